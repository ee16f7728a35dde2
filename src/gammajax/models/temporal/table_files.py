"""The tables of temporal models: read, checked, written."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import FileFormatError, InputError
from gammajax.hooks import hook
from gammajax.models.tables import existing_file

__all__ = ["check_table", "column_of", "read_table", "write_table"]


def check_table(x: np.ndarray, y: np.ndarray, where: str, what: str) -> None:
    """Refuse places and norms that are no function: a row that is not finite, places that do not increase."""
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


def read_table(filename: Any, what: str) -> Any:
    """The table in a file that has to be there."""
    return hook("read table")(existing_file(filename, what), what)


def column_of(table: Any, name: str, where: str, unit: str, otherwise: str = "") -> np.ndarray:
    """A column in a unit; `otherwise` is the unit of one that names none."""
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


def write_table(table: Any, filename: Any, overwrite: bool) -> Path:
    """Write a table to a file of that name, which has to be given."""
    if filename is None:
        raise InputError("write: there is no name of a file; give one.")
    return hook("write table")(table, filename, overwrite)
