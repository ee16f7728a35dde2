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
FITS = SUFFIXES[:-1]
WRITTEN = (".fits", ".ecsv")


def read_table(
    filename: str | Path, what: str, checksum: bool = True, table_format: str | None = None, **options: Any
) -> Any:
    """Read the first table of a FITS file, or an ECSV file.

    Parameters
    ----------
    filename : str or path
        The file; variables of the environment are put in.
    what : str
        What it is meant to be, for error texts.
    checksum : bool
        Whether checksums are compared, where there are some.
    table_format : str, optional
        One of astropy's text formats, "ascii.csv" for one, for a file that is neither FITS nor ECSV by its name.
    **options
        To `~astropy.table.Table.read`, for such text.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    MissingFileError, FileFormatError
        If it is not there, damaged, or no such table.
    """
    path = expand(filename)
    plain = table_format in (None, "ascii.ecsv") and not options
    text = (table_format is not None or bool(options)) and not path.name.lower().endswith(FITS)
    if not (plain or text):
        raise InputError(
            f"{what}: got table_format={table_format!r} with {', '.join(options) or 'no options'}, which are for text, but {path.name!r} is "
            "FITS by its name; leave them out."
        )
    if not text and not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{what}: got the name {path.name!r}, expected one that ends in {', '.join(SUFFIXES)}.")
    try:
        if not plain:
            return _text(path, what, table_format or "ascii.ecsv", options)
        if text or path.suffix.lower() == ".ecsv":
            return _ecsv(path, what, checksum)
        return _fits(path, what, checksum)
    except (GammajaxError, Warning, MemoryError):
        raise
    except Exception as error:
        # astropy raises whatever it happens to meet first in a damaged table
        raise FileFormatError(
            f"{path.name}: no table for {what} that can be read ({error}); the file is damaged or of another kind."
        ) from error


def _text(path: Path, what: str, table_format: str, options: dict[str, Any]) -> Any:
    from astropy.table import Table

    if not table_format.startswith("ascii"):
        raise InputError(
            f"{what}: got table_format={table_format!r}, expected one of astropy's text formats, such as 'ascii.ecsv' or 'ascii.csv'; read "
            "others with astropy's Table.read, and take from_table."
        )
    return Table.read(read_text(path, what).splitlines(), format=table_format, **options)


def _ecsv(path: Path, what: str, checksum: bool = True) -> Any:
    text = read_text(path, what)
    with warnings.catch_warnings():
        # units of older files are understood, and said to be old
        warnings.simplefilter("ignore")
        table, whole = from_text(text, f"{what} file {path.name}")
    if whole is False and checksum:
        warnings.warn(
            f"{path.name}: the checksum (table_sha256 in its header) does not fit; the file was changed after it was written: remove the line "
            "if that was meant.",
            stacklevel=4,
        )
    return table


def _fits(path: Path, what: str, checksum: bool = True) -> Any:
    from astropy.io import fits
    from astropy.table import Table

    with open_fits(path, what, checksum) as hdus:
        found = next((h for h in hdus if isinstance(h, fits.BinTableHDU)), None)
        if found is None:
            raise FileFormatError(f"{what} file {path.name}: holds no table.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Table.read(found)


def table_bytes(table: Any, kind: str, name: str = "", checksum: bool = True) -> bytes:
    """A table as a whole file.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    kind : {"fits", "ecsv"}
        The format.
    name : str
        Of the extension.
    checksum : bool
        Whether there are checksums, which both formats have.
    """
    if kind == "ecsv":
        return to_text(table, checksum).encode()
    from astropy.io import fits

    hdu = fits.table_to_hdu(table)
    if name:
        hdu.name = name
    return fits_bytes([hdu], checksum)


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
