"""Checked access to the tables of FITS files: what is missing or damaged is named by file, HDU, column and row."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import DataError, FileFormatError, UnitError
from gammajax.io.fits_file import expand, open_fits

__all__ = ["Table", "expand", "hdu_table", "open_fits", "require_key"]


class Table:
    """One binary table of an open file, with columns in native float64.

    Parameters
    ----------
    hdu : `~astropy.io.fits.BinTableHDU`
        The table.
    path : path
        Its file.
    units : mapping of str to str, optional
        Units of columns that state none.
    """

    def __init__(self, hdu: Any, path: Path, units: Mapping[str, str] | None = None) -> None:
        self.hdu, self.path, self.header = hdu, path, hdu.header
        self.where = f"{path.name}, HDU {hdu.name}"
        self._units = {k.upper(): v for k, v in (units or {}).items()}

    def __contains__(self, column: str) -> bool:
        return column.upper() in (c.upper() for c in self.hdu.columns.names)

    def _column(self, column: str) -> Any:
        names = [c.upper() for c in self.hdu.columns.names]
        return self.hdu.columns[names.index(column.upper())]

    def raw(self, column: str) -> np.ndarray:
        """Column as stored; refuses a missing one."""
        if column not in self:
            raise FileFormatError(
                f"{self.where}: column {column} is missing; the columns are {', '.join(self.hdu.columns.names)}."
            )
        try:
            return np.asarray(self.hdu.data[column])
        except Exception as error:
            raise FileFormatError(
                f"{self.where}, column {column}: cannot be read ({error}); the file is damaged."
            ) from error

    def undefined(self, column: str) -> np.ndarray:
        """Rows that hold the integer which stands for no value (TNULL), bool, shape (rows,)."""
        own = self._column(column)
        if own.null in (None, ""):
            return np.zeros(len(self.hdu.data), dtype=bool)
        # TNULL is a stored number, before TSCAL and TZERO
        return np.asarray(np.asarray(self.hdu.data.view(np.ndarray))[own.name] == own.null)

    def numbers(self, column: str, ignore: np.ndarray | None = None) -> np.ndarray:
        """Column as finite native float64, one number per row; refuses a bad one with its row and value.

        Parameters
        ----------
        column : str
            Its name.
        ignore : array of bool, shape (rows,), optional
            Rows that may be undefined (TNULL); they are 0.
        """
        data = self.raw(column)
        if data.ndim != 1 or data.dtype.kind not in "iufb":
            raise FileFormatError(
                f"{self.where}, column {column}: shape {data.shape} and type {data.dtype}, expected one number per row."
            )
        values, missing = data.astype(np.float64), self.undefined(column)
        used = np.flatnonzero(missing if ignore is None else missing & ~ignore)
        if len(used):
            raise DataError(
                f"{self.where}, column {column}, row {used[0]}: no value (TNULL), expected a number; {len(used)} rows are affected."
            )
        values[missing] = 0.0
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(
                f"{self.where}, column {column}, row {bad[0]}: value {values[bad[0]]}, expected finite numbers; "
                f"{len(bad)} rows are affected."
            )
        return values

    def unit(self, column: str) -> u.UnitBase:
        """Unit of a column; refuses a missing one."""
        text = self._column(column).unit or self._units.get(column.upper())
        if not text:
            raise UnitError(
                f"{self.where}, column {column}: there is no unit (TUNIT); write one into the file, or say it on reading: "
                f"units={{{column!r}: ...}}."
            )
        try:
            # OGIP files count in counts
            return u.Unit(text.replace("counts", "count"))
        except ValueError:
            raise UnitError(f"{self.where}, column {column}: unit {text!r} is not known.") from None

    def factor(self, column: str, unit: str) -> float:
        """What values of a column are multiplied with to be in a unit; refuses a missing unit or one of another dimension."""
        own = self.unit(column)
        if own == u.Unit(unit):
            return 1.0
        if not own.is_equivalent(unit):
            raise UnitError(
                f"{self.where}, column {column}: unit {own.to_string()!r}, expected one convertible to {unit!r}."
            )
        return float(own.to(unit))

    def quantity(self, column: str, unit: str) -> np.ndarray:
        """Column converted to a unit; refuses bad numbers, a missing unit or one of another dimension."""
        values = self.numbers(column)
        factor = self.factor(column, unit)
        return values if factor == 1.0 else values * factor


def hdu_table(
    hdus: Any, names: tuple[str, ...], path: Path, what: str, units: Mapping[str, str] | None = None
) -> Table:
    """The binary table of one of the given names.

    One that is there twice is read, with a warning, where all hold the same data.

    Raises
    ------
    FileFormatError
        Naming the extensions that are there.
    """
    from astropy.io import fits

    for name in names:
        found = [(i, h) for i, h in enumerate(hdus) if h.name.upper() == name and isinstance(h, fits.BinTableHDU)]
        if found:
            _refuse_ambiguous(found, name, f"{what} file {path.name}")
            return Table(found[0][1], path, units)
    there = ", ".join(h.name for h in hdus[1:]) or "none"
    raise FileFormatError(f"{what} file {path.name}: no extension {' or '.join(names)}; the extensions are: {there}.")


def _refuse_ambiguous(found: list, name: str, where: str) -> None:
    if len(found) == 1:
        return
    numbers = ", ".join(str(i) for i, _ in found)
    if len({(h.header["TFIELDS"], h._calculate_datasum()) for _, h in found}) > 1:
        raise FileFormatError(
            f"{where}: {len(found)} extensions {name} with different data (HDUs {numbers}); split the file, or remove all but one."
        )
    warnings.warn(f"{where}: {len(found)} extensions {name} with the same data (HDUs {numbers}).", stacklevel=4)


def require_key(table: Table, key: str, why: str) -> Any:
    """Header value; refuses a missing keyword."""
    value = table.header.get(key)
    if value is None or (isinstance(value, str) and value.strip().upper() in ("", "NONE")):
        raise FileFormatError(f"{table.where}: keyword {key} is missing; {why}.")
    return value
