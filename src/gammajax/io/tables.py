"""Tables in files of their own, FITS and ECSV, with the guards that all files have."""

import warnings
from pathlib import Path
from typing import Any

from gammajax.errors import FileFormatError, GammajaxError, InputError
from gammajax.hooks import register_hook
from gammajax.io.ecsv import from_text, to_text
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand, open_fits
from gammajax.io.fits_write import fits_bytes
from gammajax.io.yaml_text import read_text

__all__ = ["SUFFIXES", "read_table", "table_bytes", "write_table"]

SUFFIXES = (".fits", ".fit", ".fits.gz", ".ecsv")
WRITTEN = (".fits", ".ecsv")


def read_table(filename: str | Path, what: str) -> Any:
    """Read the first table of a FITS file, or an ECSV file.

    Parameters
    ----------
    filename : str or path
        The file; variables of the environment are put in.
    what : str
        What it is meant to be, for error texts.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    MissingFileError, FileFormatError
        If it is not there, damaged, or no such table.
    """
    path = expand(filename)
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{what}: got the name {path.name!r}, expected one that ends in {', '.join(SUFFIXES)}.")
    try:
        if path.suffix.lower() == ".ecsv":
            return _ecsv(path, what)
        return _fits(path, what)
    except (GammajaxError, Warning, MemoryError):
        raise
    except Exception as error:
        # astropy raises whatever it happens to meet first in a damaged table
        raise FileFormatError(
            f"{path.name}: no table for {what} that can be read ({error}); the file is damaged or of another kind."
        ) from error


def _ecsv(path: Path, what: str) -> Any:
    text = read_text(path, what)
    with warnings.catch_warnings():
        # units of older files are understood, and said to be old
        warnings.simplefilter("ignore")
        table, whole = from_text(text, f"{what} file {path.name}")
    if whole is False:
        warnings.warn(
            f"{path.name}: the checksum (table_sha256 in its header) does not fit; the file was changed after it was written: remove the line "
            "if that was meant.",
            stacklevel=4,
        )
    return table


def _fits(path: Path, what: str) -> Any:
    from astropy.io import fits
    from astropy.table import Table

    with open_fits(path, what) as hdus:
        found = next((h for h in hdus if isinstance(h, fits.BinTableHDU)), None)
        if found is None:
            raise FileFormatError(f"{what} file {path.name}: holds no table.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Table.read(found)


def table_bytes(table: Any, kind: str, name: str = "") -> bytes:
    """A table as a whole file.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    kind : {"fits", "ecsv"}
        Both have checksums.
    name : str
        Of the extension.
    """
    if kind == "ecsv":
        return to_text(table).encode()
    from astropy.io import fits

    hdu = fits.table_to_hdu(table)
    if name:
        hdu.name = name
    return fits_bytes([hdu])


def write_table(table: Any, filename: str | Path, overwrite: bool = False, name: str = "") -> Path:
    """Write a table, FITS or ECSV, with checksums: the old file or the new one, never half.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    filename : str or path
        .fits or .ecsv; variables of the environment are put in.
    overwrite : bool
        Whether to replace what is there.
    name : str
        Of the FITS extension.

    Returns
    -------
    path
        Where it was written.

    Raises
    ------
    InputError
        If the file is there and `overwrite` is not set.
    WriteError
        If the disk is full or the folder read-only; the old file is whole.
    """
    path = target(filename, WRITTEN, "write")
    refuse_existing([path], overwrite)
    write_bytes({path: table_bytes(table, path.suffix.lower()[1:], name)})
    return path


register_hook("open fits", open_fits)
register_hook("read table", read_table)
register_hook("write table", write_table)
