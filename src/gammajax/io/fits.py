"""Checked access to FITS files: what is missing or damaged is named by file, HDU, column and row."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import DataError, FileFormatError, MissingFileError, UnitError

__all__ = ["Table", "expand", "hdu_table", "open_fits", "require_key"]

# a table that declares more rows than this is damaged or hostile, not a spectrum
MAX_ROWS = 10_000_000
BLOCK = 2880


class Table:
    """One binary table of an open file, with columns in native float64."""

    def __init__(self, hdu: Any, path: Path) -> None:
        self.hdu, self.path, self.header = hdu, path, hdu.header
        self.where = f"{path.name}, HDU {hdu.name}"

    def __contains__(self, column: str) -> bool:
        return column.upper() in (c.upper() for c in self.hdu.columns.names)

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

    def numbers(self, column: str) -> np.ndarray:
        """Column as finite native float64, one number per row; refuses a bad one with its row and value."""
        data = self.raw(column)
        if data.ndim != 1 or data.dtype.kind not in "iufb":
            raise FileFormatError(
                f"{self.where}, column {column}: shape {data.shape} and type {data.dtype}, expected one number per row."
            )
        values = data.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(
                f"{self.where}, column {column}, row {bad[0]}: value {values[bad[0]]}, expected finite numbers; "
                f"{len(bad)} rows are affected."
            )
        return values

    def unit(self, column: str) -> u.UnitBase:
        """Unit of a column; refuses a missing one."""
        names = [c.upper() for c in self.hdu.columns.names]
        text = self.hdu.columns[names.index(column.upper())].unit
        if not text:
            raise UnitError(f"{self.where}, column {column}: there is no unit (TUNIT); write one into the file.")
        try:
            return u.Unit(text)
        except ValueError:
            raise UnitError(f"{self.where}, column {column}: unit {text!r} is not known.") from None

    def quantity(self, column: str, unit: str) -> np.ndarray:
        """Column converted to a unit; refuses a missing unit or one of another dimension."""
        values, own = self.numbers(column), self.unit(column)
        if own == u.Unit(unit):
            return values
        if not own.is_equivalent(unit):
            raise UnitError(
                f"{self.where}, column {column}: unit {own.to_string()!r}, expected one convertible to {unit!r}."
            )
        return np.asarray(u.Quantity(values, own).to_value(unit))


def expand(path: str | Path) -> Path:
    """Expand environment variables and ~ in a path; refuses a variable that is not set."""
    text = os.path.expandvars(os.path.expanduser(str(path)))
    if "$" in text and not os.path.exists(text):
        raise MissingFileError(
            f"{path}: the environment variable in the path is not set; set it, or give the full path."
        )
    return Path(text)


@contextmanager
def open_fits(path: Path, what: str) -> Iterator[Any]:
    """Open a FITS file, refusing what is missing, empty, truncated or not FITS.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileFormatError
        If it is no complete FITS file.
    """
    from astropy.io import fits

    if not path.exists():
        raise MissingFileError(f"{what} file {path} does not exist; check the path and the name.")
    if path.is_dir():
        raise FileFormatError(f"{what} file {path} is a directory, expected a FITS file.")
    size = path.stat().st_size
    if size == 0:
        raise FileFormatError(f"{what} file {path.name} is empty (0 bytes), expected a FITS file.")
    stream = path.open("rb")
    try:
        with warnings.catch_warnings():
            # a truncated file is refused below, with its numbers; a checksum is checked below too
            warnings.simplefilter("ignore")
            hdus = fits.open(stream, memmap=False, lazy_load_hdus=False, checksum=False)
    except Exception as error:
        # astropy leaves a file open that it cannot read
        stream.close()
        raise FileFormatError(f"{what} file {path.name}: not a FITS file that can be read ({error}).") from error
    with stream, hdus:
        if path.suffix != ".gz":
            _check_complete(hdus[-1], size, f"{what} file {path.name}")
        for hdu in hdus[1:]:
            if hdu.header.get("NAXIS2", 0) > MAX_ROWS:
                raise FileFormatError(
                    f"{what} file {path.name}, HDU {hdu.name}: declares {hdu.header['NAXIS2']} rows, expected at most {MAX_ROWS}."
                )
            _check_sums(hdu, path, what)
        yield hdus


def _check_complete(last: Any, size: int, where: str) -> None:
    """Refuse a file that ends inside the data of its last HDU, or inside the header of one more."""
    end = last.fileinfo()["datLoc"] + _data_size(last)
    if end > size:
        raise FileFormatError(f"{where}, HDU {last.name or 'PRIMARY'}: truncated at byte {size} of {end}.")
    # blocks have 2880 bytes; the padding of the last one may be left away, but nothing may follow it
    blocks = -(-end // BLOCK) * BLOCK
    if size > blocks:
        raise FileFormatError(
            f"{where}: truncated at byte {size}, in the header that begins behind HDU {last.name or 'PRIMARY'} at byte {blocks}."
        )


def _data_size(hdu: Any) -> int:
    h = hdu.header
    if h.get("NAXIS", 0) == 0:
        return 0
    n = abs(h["BITPIX"]) // 8
    for i in range(h["NAXIS"]):
        n *= h[f"NAXIS{i + 1}"]
    return n + abs(h["BITPIX"]) // 8 * h.get("PCOUNT", 0)


def _check_sums(hdu: Any, path: Path, what: str) -> None:
    """Refuse data whose checksum, where there is one, does not fit."""
    if "DATASUM" in hdu.header and hdu.verify_datasum() == 0:
        raise FileFormatError(
            f"{what} file {path.name}, HDU {hdu.name}: the data do not match their DATASUM; the file is damaged."
        )


def hdu_table(hdus: Any, names: tuple[str, ...], path: Path, what: str) -> Table:
    """First binary table of one of the given names.

    Raises
    ------
    FileFormatError
        Naming the extensions that are there.
    """
    from astropy.io import fits

    for name in names:
        for hdu in hdus:
            if hdu.name.upper() == name and isinstance(hdu, fits.BinTableHDU):
                return Table(hdu, path)
    there = ", ".join(h.name for h in hdus[1:]) or "none"
    raise FileFormatError(f"{what} file {path.name}: no extension {' or '.join(names)}; the extensions are: {there}.")


def require_key(table: Table, key: str, why: str) -> Any:
    """Header value; refuses a missing keyword."""
    value = table.header.get(key)
    if value is None or (isinstance(value, str) and value.strip().upper() in ("", "NONE")):
        raise FileFormatError(f"{table.where}: keyword {key} is missing; {why}.")
    return value
