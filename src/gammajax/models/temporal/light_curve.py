"""A source that varies as a table of times and norms says."""

import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from astropy import units as u

from gammajax.errors import FileFormatError, InputError
from gammajax.models.declared import Declared
from gammajax.models.table import FrozenArray
from gammajax.models.temporal.base import TemporalModel
from gammajax.models.temporal.form import TemporalForm
from gammajax.models.temporal.table_files import check_table, column_of, read_table, write_table
from gammajax.models.temporal.tables import light_curve_pieces, piece_integral, piece_value
from gammajax.parameters import Parameter
from gammajax.times import as_times
from gammajax.units import to_unit

__all__ = ["LightCurveTemplateTemporalModel"]


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
        check_table(days, values, "LightCurveTemplateTemporalModel", "times")
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
        norm, meta = column_of(table, "NORM", where, ""), {k.upper(): v for k, v in table.meta.items()}
        time = column_of(table, "TIME", where, "d", str(meta.get("TIMEUNIT", "")))
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
        return cls.from_table(read_table(filename, "light curve"), filename, t_ref)

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
        self.filename = write_table(self.to_table(), self.filename if filename is None else filename, overwrite)
