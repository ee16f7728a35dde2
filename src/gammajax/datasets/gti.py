"""Good time intervals: when a measurement was taken."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.elsewhere import Pointing
from gammajax.errors import DataError, InputError
from gammajax.hooks import hook
from gammajax.times import as_times, mjd_parts
from gammajax.units import to_unit

__all__ = ["GTI"]


@gammapy_arguments
class GTI(Pointing):
    """Good time intervals, held as seconds since a reference time.

    Make one with `create`, `from_time_intervals` or `read`.

    Parameters
    ----------
    start, stop : array, shape (n,)
        Begin and end of each interval, s since `reference_time`.
    reference_time : `~astropy.time.Time`
        Its scale is that of all times; seconds are SI seconds.

    Raises
    ------
    DataError
        If a time is not finite or an interval ends before it begins, naming it.

    Examples
    --------
    >>> from astropy.time import Time
    >>> gti = GTI.create([0, 30] * u.min, [28, 58] * u.min, Time("2004-12-04T22:08:10", scale="tt"))
    >>> gti.time_sum
    <Quantity 3360. s>
    """

    def __init__(self, start: Any, stop: Any, reference_time: Any) -> None:
        self._start, self._stop = (np.atleast_1d(np.array(t, dtype=float)) for t in (start, stop))
        if self._start.ndim != 1 or self._start.shape != self._stop.shape:
            raise DataError(
                f"GTI: {self._start.shape} starts and {self._stop.shape} stops, expected one of each per interval."
            )
        bad = np.flatnonzero(~(np.isfinite(self._start) & np.isfinite(self._stop) & (self._stop >= self._start)))
        if len(bad):
            i = bad[0]
            raise DataError(
                f"GTI: interval {i} goes from {self._start[i]:g} to {self._stop[i]:g} s, expected finite times and a stop that is "
                "not before the start."
            )
        self._reference = as_times(reference_time, "reference_time")

    @classmethod
    def create(cls, start: Any, stop: Any, reference_time: Any = None) -> "GTI":
        """From start and stop times.

        Parameters
        ----------
        start, stop : `~astropy.time.Time` or `~astropy.units.Quantity`, shape (n,)
            Times, or durations since the reference time.
        reference_time : `~astropy.time.Time`, optional
            2000-01-01 in TT if not given, as in gammapy.
        """
        from astropy.time import Time

        if reference_time is None:
            reference_time = Time("2000-01-01T00:00:00", scale="tt")
        reference = as_times(reference_time, "reference_time")
        return cls(_seconds(start, reference, "start"), _seconds(stop, reference, "stop"), reference)

    @classmethod
    def from_time_intervals(cls, time_intervals: Iterable[Any], reference_time: Any = None) -> "GTI":
        """From a list of pairs of `~astropy.time.Time`.

        Parameters
        ----------
        time_intervals : list of pairs of `~astropy.time.Time`
            Start and stop of each.
        reference_time : `~astropy.time.Time`, optional
            What times are counted from, as in `create`.
        """
        from astropy.time import Time

        pairs = [(as_times(a, "time_intervals"), as_times(b, "time_intervals")) for a, b in time_intervals]
        if not pairs:
            raise DataError("GTI: there are no time intervals; give at least one.")
        return cls.create(Time([a for a, _ in pairs]), Time([b for _, b in pairs]), reference_time)

    @classmethod
    def from_stack(cls, gtis: Iterable["GTI"]) -> "GTI":
        """All intervals of several, one after another, with the reference time of the first; overlaps stay.

        Parameters
        ----------
        gtis : list of `GTI`
            What is joined.
        """
        members = list(gtis)
        if not members:
            raise DataError("GTI.from_stack: there is nothing to stack; give at least one GTI.")
        shifts = [(g.time_ref - members[0].time_ref).to_value("s") for g in members]
        start, stop = (
            np.concatenate([getattr(g, k) + s for g, s in zip(members, shifts, strict=True)])
            for k in ("_start", "_stop")
        )
        return cls(start, stop, members[0].time_ref)

    # -- what it holds -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._start)

    @property
    def time_ref(self) -> Any:
        """The reference time."""
        return self._reference

    @property
    def met_start(self) -> u.Quantity:
        """Starts since the reference time, s, shape (n,)."""
        return u.Quantity(self._start, "s")

    @property
    def met_stop(self) -> u.Quantity:
        """Stops since the reference time, s, shape (n,)."""
        return u.Quantity(self._stop, "s")

    @property
    def time_start(self) -> Any:
        """Starts as `~astropy.time.Time`, shape (n,)."""
        return self._reference + self.met_start

    @property
    def time_stop(self) -> Any:
        """Stops as `~astropy.time.Time`, shape (n,)."""
        return self._reference + self.met_stop

    @property
    def time_delta(self) -> u.Quantity:
        """Durations, s, shape (n,)."""
        return self.met_stop - self.met_start

    @property
    def time_sum(self) -> u.Quantity:
        """Sum of all durations, s."""
        return self.time_delta.sum()

    @property
    def time_intervals(self) -> list[tuple[Any, Any]]:
        """Pairs of start and stop, `~astropy.time.Time`."""
        return list(zip(self.time_start, self.time_stop, strict=True))

    def mjd(self, scale: str) -> np.ndarray:
        """Starts and stops as modified Julian dates in two parts; see `gammajax.times.mjd_parts`.

        Parameters
        ----------
        scale : {"tt", "utc", ...}
            Time scale.

        Returns
        -------
        array, shape (4, n)
            Whole part and rest of the starts, then of the stops; days.
        """
        return np.stack([*mjd_parts(self.time_start, scale), *mjd_parts(self.time_stop, scale)])

    # -- others made of it ---------------------------------------------------------------------------------------

    def select_time(self, time_interval: Any) -> "GTI":
        """What of it lies in a time interval, cut at its ends.

        Parameters
        ----------
        time_interval : pair of `~astropy.time.Time`
            Begin and end.
        """
        first, last = _interval(time_interval, self._reference)
        inside = (self._start < last) & (self._stop > first)
        start, stop = (np.clip(t[inside], first, last) for t in (self._start, self._stop))
        return GTI(start, stop, self._reference)

    def delete_interval(self, time_interval: Any) -> "GTI":
        """What of it lies outside of a time interval.

        Parameters
        ----------
        time_interval : pair of `~astropy.time.Time`
            What is cut out.
        """
        first, last = _interval(time_interval, self._reference)
        before = np.stack([self._start, np.minimum(self._stop, first)])
        after = np.stack([np.maximum(self._start, last), self._stop])
        pieces = np.concatenate([before, after], axis=1)
        pieces = pieces[:, pieces[1] > pieces[0]]
        start, stop = pieces[:, np.argsort(pieces[0], kind="stable")]
        return GTI(start, stop, self._reference)

    def union(self, overlap_ok: bool = True, merge_equal: bool = True) -> "GTI":
        """Overlapping intervals merged.

        Parameters
        ----------
        overlap_ok : bool
            Whether overlaps are merged or refused.
        merge_equal : bool
            Whether intervals that only touch become one.
        """
        merged: list[list[float]] = []
        for i in np.argsort(self._start, kind="stable"):
            start, stop = float(self._start[i]), float(self._stop[i])
            touches = bool(merged) and (start < merged[-1][1] or (merge_equal and start == merged[-1][1]))
            if not touches:
                merged.append([start, stop])
                continue
            if not overlap_ok and start < merged[-1][1]:
                raise DataError(f"GTI.union: the interval from {start:g} s begins before the one before it has ended.")
            merged[-1][1] = max(merged[-1][1], stop)
        pairs = np.array(merged).reshape(-1, 2)
        return GTI(pairs[:, 0], pairs[:, 1], self._reference)

    def copy(self) -> "GTI":
        """Return a copy with its own arrays."""
        return GTI(self._start, self._stop, self._reference)

    def to_table(self) -> Any:
        """Return an astropy QTable of the columns START and STOP, times."""
        from astropy.table import QTable

        return QTable({"START": self.time_start, "STOP": self.time_stop})

    # -- files ---------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, filename: str | Path, hdu: str = "GTI") -> "GTI":
        """Read the extension of a FITS file; see `gammajax.io.gti.read_gti`.

        Parameters
        ----------
        filename : str or path
            The file; variables of the environment are put in.
        hdu : str
            Name of the extension.
        """
        return hook("read gti")(filename, hdu)

    def write(self, filename: str | Path, overwrite: bool = False) -> None:
        """Write a FITS file with one extension GTI; see `gammajax.io.gti.write_gti`.

        Parameters
        ----------
        filename : str or path
            The file; variables of the environment are put in.
        overwrite : bool
            Whether to replace what is there.
        """
        hook("write gti")(self, filename, overwrite)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GTI) or len(self) != len(other):
            return False
        shift = float((other.time_ref - self.time_ref).to_value("s"))
        # a microsecond: what is left of a time behind its conversion from one reference to another
        return all(
            np.allclose(a, b + shift, rtol=0, atol=1e-6)
            for a, b in ((self._start, other._start), (self._stop, other._stop))
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        if not len(self):
            return "GTI: no intervals"
        return (
            f"GTI: {len(self)} intervals, {self.time_sum:.6g}, {self.time_start.min().isot} to {self.time_stop.max().isot} "
            f"({self._reference.scale.upper()})"
        )

    __repr__ = __str__


def _seconds(times: Any, reference: Any, what: str) -> np.ndarray:
    """Seconds since the reference, of times or durations."""
    if isinstance(times, u.Quantity):
        return to_unit(times, "s", what)
    return np.asarray((as_times(times, what) - reference).to_value("s"))


def _interval(time_interval: Any, reference: Any) -> tuple[float, float]:
    first, last = (float(_seconds(t, reference, "time_interval")) for t in time_interval)
    if not first < last:
        raise InputError(
            f"time_interval: got {time_interval[0]} to {time_interval[1]}, expected a begin before the end."
        )
    return first, last
