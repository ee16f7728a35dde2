"""The temporal models that are tables: a light curve, and a curve that repeats with the phase of a pulsar."""

import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from astropy import units as u

from gammajax.errors import FileFormatError, InputError
from gammajax.hooks import hook
from gammajax.models.declared import Declared
from gammajax.models.table import FrozenArray
from gammajax.models.tables import existing_file
from gammajax.models.temporal.base import TemporalModel
from gammajax.models.temporal.form import TemporalForm
from gammajax.models.temporal.tables import (
    light_curve_pieces,
    phase_integral,
    phase_pieces,
    phase_value,
    piece_integral,
    piece_value,
)
from gammajax.parameters import Parameter
from gammajax.times import as_times
from gammajax.units import to_unit

__all__ = ["LightCurveTemplateTemporalModel", "TemplatePhaseCurveTemporalModel"]

# a frequency that changes by more in one turn is no pulsar, and its mean over many turns is not known to 1e-9
MOST_DRIFT = 1e-5


@dataclass(frozen=True)
class _LightCurve:
    """Functions of one table of times (d since the reference time) and norms."""

    time: FrozenArray
    norm: FrozenArray

    @cached_property
    def pieces(self) -> Any:
        return light_curve_pieces(self.time.data, self.norm.data)

    def evaluate(self, t: jax.Array) -> jax.Array:
        return piece_value(self.pieces, t)

    def integral(self, start: jax.Array, width: jax.Array) -> jax.Array:
        return piece_integral(self.pieces, start, width)


@lru_cache(maxsize=64)
def _light_curve_form(curve: _LightCurve) -> TemporalForm:
    return TemporalForm(curve.evaluate, curve.integral, ("t_ref",), reference=0, constants=("t_ref",))


class LightCurveTemplateTemporalModel(TemporalModel):
    """Light curve given as a table: straight lines between the points, never below 0, exact integrals.

    Beyond its ends it goes on as its first and last pieces do, as in gammapy; a measurement there is warned of.

    Parameters
    ----------
    time : `~astropy.units.Quantity`, shape (n,)
        Times since the reference time, increasing.
    norm : array, shape (n,)
        Factors on the spectrum.
    t_ref : `~astropy.units.Quantity` or `~astropy.time.Time`
        Reference time, MJD in UTC, default 51544 d, frozen.
    filename : str or path, optional
        File of the table: what a model file names.

    Raises
    ------
    InputError
        For a table that is no curve, naming the row.

    Examples
    --------
    >>> from astropy.time import Time
    >>> model = LightCurveTemplateTemporalModel([0, 1, 3] * u.d, [0, 2, 1], t_ref=53000 * u.d)
    >>> begin = Time(53000, format="mjd", scale="utc")
    >>> print(f"{model.integral(begin, begin + 2 * u.d):.4f}")
    1.3750
    """

    tag = ("LightCurveTemplateTemporalModel", "template")
    declared = (Declared("t_ref", 51544.0, "d", frozen=True),)

    def __init__(self, time: Any, norm: Any, t_ref: Any = 51544.0 * u.d, filename: Any = None) -> None:
        days = np.atleast_1d(to_unit(time, "d", "LightCurveTemplateTemporalModel: time"))
        values = np.atleast_1d(to_unit(norm, "", "LightCurveTemplateTemporalModel: norm"))
        _check_table(days, values, "LightCurveTemplateTemporalModel", "times")
        self._curve = _LightCurve(FrozenArray(days), FrozenArray(values))
        self.filename = None if filename is None else Path(filename)
        if not isinstance(t_ref, u.Quantity | Parameter):
            t_ref = as_times(t_ref, "t_ref").utc.mjd * u.d
        super().__init__(scale="utc", t_ref=t_ref)

    @property
    def form(self) -> TemporalForm:
        """Functions, equal for equal tables."""
        return _light_curve_form(self._curve)

    @property
    def time(self) -> u.Quantity:
        """Times since the reference time, d, shape (n,)."""
        return u.Quantity(self._curve.time.data, "d")

    @property
    def norm(self) -> np.ndarray:
        """Factors, shape (n,)."""
        return self._curve.norm.data

    def check_times(self, times: np.ndarray) -> None:
        """Warn of a measurement outside of the table.

        Parameters
        ----------
        times : array, shape (4, n)
            Begin and end of each interval, days and parts of days, as `GTI.mjd` has them.
        """
        t = (times[::2] - self._theta()[0]) + times[1::2]
        first, last = self._curve.time.data[[0, -1]]
        if t.min() < first or t.max() > last:
            warnings.warn(
                f"LightCurveTemplateTemporalModel: the times go from {t.min():.6g} to {t.max():.6g} d after t_ref, its table from "
                f"{first:.6g} to {last:.6g} d; outside of it the last pieces go on.",
                stacklevel=3,
            )

    @classmethod
    def from_table(cls, table: Any, filename: Any = None, t_ref: Any = None) -> "LightCurveTemplateTemporalModel":
        """From an astropy table of TIME and NORM, with MJDREFI, MJDREFF and TIMESYS in its header.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The table.
        filename : str or path, optional
            The file that a model file is to name.
        t_ref : `~astropy.units.Quantity`, optional
            Reference time; that of the header if not given.

        Raises
        ------
        FileFormatError
            If a column, unit or keyword is missing, naming it.
        """
        from astropy.time import Time

        where = "light curve" if filename is None else Path(filename).name
        norm, meta = _column(table, "NORM", where, ""), {k.upper(): v for k, v in table.meta.items()}
        time = _column(table, "TIME", where, "d", str(meta.get("TIMEUNIT", "")))
        if t_ref is None:
            if "MJDREFI" not in meta:
                raise FileFormatError(f"{where}: keyword MJDREFI is missing; it gives the reference time.")
            scale = str(meta.get("TIMESYS", "utc")).strip().lower()
            try:
                t_ref = Time(float(meta["MJDREFI"]), float(meta.get("MJDREFF", 0.0)), format="mjd", scale=scale)
            except ValueError as error:
                raise FileFormatError(f"{where}: MJDREFI, MJDREFF or TIMESYS gives no time ({error}).") from None
        return cls(u.Quantity(time, "d"), norm, t_ref, filename)

    @classmethod
    def read(cls, filename: Any, format: str = "table", t_ref: Any = None) -> "LightCurveTemplateTemporalModel":
        """Read a table from file.

        Parameters
        ----------
        filename : str or path
            FITS or ECSV; variables of the environment are put in.
        format : {"table"}
            gammapy's "map", whose curves vary with the energy, is refused.
        t_ref : `~astropy.units.Quantity` or `Parameter`, optional
            Instead of that of the file.
        """
        if format != "table":
            raise InputError(
                f"LightCurveTemplateTemporalModel.read: format got {format!r}, expected 'table'; a curve that varies with the "
                "energy (gammapy's 'map') has no counterpart here."
            )
        return cls.from_table(_read_table(filename, "light curve"), filename, t_ref)

    def to_table(self) -> Any:
        """Return an astropy Table of TIME and NORM."""
        from astropy.table import Table

        mjd = self.reference_time.mjd
        meta = {"MJDREFI": int(np.floor(mjd)), "MJDREFF": float(mjd - np.floor(mjd)), "TIMESYS": self.scale}
        return Table({"TIME": self.time, "NORM": self.norm}, meta=meta)

    def write(self, filename: Any = None, overwrite: bool = False) -> None:
        """Write the table, which becomes the file that a model file names.

        Parameters
        ----------
        filename : str or path, optional
            The file; that which it was read from if not given.
        overwrite : bool
            Whether to replace what is there.
        """
        self.filename = _write_table(self.to_table(), self.filename if filename is None else filename, overwrite)


@dataclass(frozen=True)
class _PhaseCurve:
    """Functions of one table of phases and norms."""

    phase: FrozenArray
    norm: FrozenArray

    @cached_property
    def parts(self) -> Any:
        return phase_pieces(self.phase.data, self.norm.data)

    def evaluate(self, t: jax.Array, *parameters: jax.Array) -> jax.Array:
        mean, pieces = self.parts
        return phase_value(mean, pieces, t, *parameters)

    def integral(self, start: jax.Array, width: jax.Array, *parameters: jax.Array) -> jax.Array:
        mean, pieces = self.parts
        return phase_integral(mean, pieces, start, width, *parameters)


@lru_cache(maxsize=64)
def _phase_curve_form(curve: _PhaseCurve) -> TemporalForm:
    names = ("t_ref", "phi_ref", "f0", "f1", "f2")
    return TemporalForm(curve.evaluate, curve.integral, names, reference=0, constants=names)


class TemplatePhaseCurveTemporalModel(TemporalModel):
    r"""Curve that repeats with the phase :math:`\phi = \phi_{ref} + f_0 t + f_1 t^2/2 + f_2 t^3/6`, with t since `t_ref`.

    The table gives straight lines between phases of 0 and 1. The integral counts every turn and is exact for the drift of the
    frequency in any pulsar; a frequency that changes by more than 1e-5 in one turn is refused. In a parameter of the
    timing the derivatives of the mean jump where an end of an interval is on a phase of the table.

    Parameters
    ----------
    phase : array, shape (n,)
        Phases from 0 to 1, increasing.
    norm : array, shape (n,)
        Factors on the spectrum.
    normalize : bool
        Divide the factors by their mean over a turn.
    filename : str or path, optional
        File of the table: what a model file names.
    scale : {"utc", "tt", ...}
        Time scale.
    t_ref : `~astropy.units.Quantity`
        Reference time, MJD, default 48442.5 d; as all of them frozen.
    phi_ref : float
        Phase then, default 0.
    f0, f1, f2 : `~astropy.units.Quantity`
        Frequency then and its derivatives, defaults 29.946923 s-1, 0 s-2, 0 s-3.
    """

    tag = ("TemplatePhaseCurveTemporalModel", "template-phase")
    declared = (
        Declared("t_ref", 48442.5, "d", frozen=True),
        Declared("phi_ref", 0.0, frozen=True),
        Declared("f0", 29.946923, "s-1", frozen=True),
        Declared("f1", 0.0, "s-2", frozen=True),
        Declared("f2", 0.0, "s-3", frozen=True),
    )

    def __init__(
        self, phase: Any, norm: Any, normalize: bool = True, filename: Any = None, scale: str = "utc", **kwargs: Any
    ) -> None:
        where = "TemplatePhaseCurveTemporalModel"
        if not isinstance(normalize, bool):
            raise InputError(f"{where}: normalize got {normalize!r}, expected True or False.")
        x, y = (np.atleast_1d(to_unit(a, "", f"{where}: {n}")) for a, n in ((phase, "phase"), (norm, "norm")))
        _check_table(x, y, where, "phases")
        if x[0] < 0 or x[-1] > 1:
            raise InputError(f"{where}: the phases go from {x[0]:g} to {x[-1]:g}, expected 0 to 1.")
        mean = phase_pieces(x, y)[0]
        if normalize and not mean > 0:
            raise InputError(f"{where}: the mean of the norms is {mean:g}, expected one above 0 to normalise with.")
        self.normalize, self.phase, self.norm = normalize, x, y
        self._curve = _PhaseCurve(FrozenArray(x), FrozenArray(y / mean if normalize else y))
        self.filename = None if filename is None else Path(filename)
        super().__init__(scale=scale, **kwargs)

    @property
    def form(self) -> TemporalForm:
        """Functions, equal for equal tables."""
        return _phase_curve_form(self._curve)

    def check_times(self, times: np.ndarray) -> None:
        """Refuse a frequency that changes too fast for the integral to be right.

        Parameters
        ----------
        times : array, shape (4, n)
            Begin and end of each interval, days and parts of days, as `GTI.mjd` has them.
        """
        t_ref, _, f0, f1, f2 = self._theta()
        s = ((times[::2] - t_ref) + times[1::2]) * 86400
        nu, rate = f0 + s * (f1 + s / 2 * f2), f1 + s * f2
        with np.errstate(divide="ignore", invalid="ignore"):
            drift = np.max(np.abs(rate / nu**2) + np.sqrt(np.abs(f2 / nu**3)))
        if not drift < MOST_DRIFT:
            raise InputError(
                f"TemplatePhaseCurveTemporalModel: the frequency changes by {drift:.2g} of itself in one turn, expected less than "
                f"{MOST_DRIFT:g}; check f0, f1 and f2, or give the curve in time as a LightCurveTemplateTemporalModel."
            )

    @classmethod
    def from_table(cls, table: Any, normalize: bool = True, filename: Any = None, **kwargs: Any) -> Any:
        """From an astropy table of PHASE and NORM.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The table.
        normalize : bool
            Whether the norms are divided by their mean over a turn.
        filename : str or path, optional
            The file that a model file is to name.
        **kwargs
            The parameters.
        """
        where = "phase curve" if filename is None else Path(filename).name
        phase, norm = (_column(table, c, where, "") for c in ("PHASE", "NORM"))
        return cls(phase, norm, normalize, filename, **kwargs)

    @classmethod
    def read(cls, path: Any, normalize: bool = True, **kwargs: Any) -> "TemplatePhaseCurveTemporalModel":
        """Read a table of PHASE and NORM, FITS or ECSV.

        Parameters
        ----------
        path : str or path
            The file.
        normalize : bool
            Whether the norms are divided by their mean over a turn.
        **kwargs
            The parameters, which are not in the table.
        """
        return cls.from_table(_read_table(path, "phase curve"), normalize, path, **kwargs)

    def write(self, path: Any = None, overwrite: bool = False) -> None:
        """Write the table, which becomes the file that a model file names.

        Parameters
        ----------
        path : str or path, optional
            The file; that which it was read from if not given.
        overwrite : bool
            Whether to replace what is there.
        """
        from astropy.table import Table

        table = Table({"PHASE": self.phase, "NORM": self.norm})
        self.filename = _write_table(table, self.filename if path is None else path, overwrite)


def _check_table(x: np.ndarray, y: np.ndarray, where: str, what: str) -> None:
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise InputError(
            f"{where}: {x.shape} {what} and {y.shape} norms, expected one norm each, and two of them at least."
        )
    bad = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
    if len(bad):
        raise InputError(f"{where}: row {bad[0]} holds {x[bad[0]]} and {y[bad[0]]}, expected finite numbers.")
    bad = np.flatnonzero(np.diff(x) <= 0)
    if len(bad):
        raise InputError(f"{where}: rows {bad[0]} and {bad[0] + 1}: the {what} do not increase; sort the table.")
    if np.any(y < 0):
        warnings.warn(f"{where}: row {np.argmax(y < 0)}: the norm is below 0.", stacklevel=4)


def _read_table(filename: Any, what: str) -> Any:
    return hook("read table")(existing_file(filename, what), what)


def _column(table: Any, name: str, where: str, unit: str, otherwise: str = "") -> np.ndarray:
    names = {c.upper(): c for c in table.colnames}
    if name not in names:
        raise FileFormatError(f"{where}: column {name} is missing; the columns are {', '.join(table.colnames)}.")
    column = table[names[name]]
    own = column.unit or otherwise
    if unit and not own:
        raise FileFormatError(f"{where}: column {name} has no unit, and the header no TIMEUNIT.")
    values = np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(float), np.nan)
    try:
        return np.asarray(u.Quantity(values, own).to_value(unit))
    except (ValueError, u.UnitConversionError):
        raise FileFormatError(f"{where}: column {name} has the unit {str(own)!r}, expected {unit or 'none'}.") from None


def _write_table(table: Any, filename: Any, overwrite: bool) -> Path:
    if filename is None:
        raise InputError("write: there is no name of a file; give one.")
    return hook("write table")(table, filename, overwrite)
