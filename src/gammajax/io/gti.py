"""Good time intervals in FITS, as the open formats of gamma-ray astronomy (GADF) have them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import GTI
from gammajax.errors import DataError, FileFormatError
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import Table, expand, hdu_table, open_fits, require_key
from gammajax.io.fits_write import fits_bytes

__all__ = ["gti_from_table", "gti_hdu", "measured_times", "read_gti", "times_hdus", "write_gti"]

# keyword of a GTI extension whose times are not known
ONLY_SUM = "ONLYSUM"


def read_gti(filename: str | Path, hdu: str = "GTI") -> GTI:
    """Read good time intervals from a FITS file.

    Parameters
    ----------
    filename : str or path
        The file; environment variables are expanded.
    hdu : str
        Name of the extension.

    Raises
    ------
    MissingFileError, FileFormatError, DataError, UnitError
        Naming file, HDU, column, row and value.
    """
    path = expand(filename)
    with open_fits(path, "GTI") as hdus:
        return gti_from_table(hdu_table(hdus, (hdu.upper(),), path, "GTI"))


def gti_from_table(table: Table) -> GTI:
    """Good time intervals from a table of START and STOP, and the reference time in its header: MJDREFI, MJDREFF, TIMESYS.

    The unit is that of the columns, or TIMEUNIT, or s; the scale is TT where the header does not say, as in gammapy.
    """
    start, stop = (_seconds(table, c) for c in ("START", "STOP"))
    bad = np.flatnonzero(stop < start)
    if len(bad):
        i = bad[0]
        raise DataError(
            f"{table.where}, row {i}: from {start[i]:g} to {stop[i]:g} s, expected a stop behind the start."
        )
    return GTI(start, stop, reference_time(table))


def reference_time(table: Table) -> Any:
    """The reference time that a header gives."""
    from astropy.time import Time

    header, scale = table.header, str(table.header.get("TIMESYS", "TT")).strip().lower()
    if scale not in Time.SCALES:
        raise FileFormatError(f"{table.where}: TIMESYS = {scale!r}, expected one of {', '.join(Time.SCALES)}.")
    if "MJDREFI" not in header and "MJDREF" in header:
        parts = (_number(table, "MJDREF"), 0.0)
    else:
        parts = (_number(table, "MJDREFI"), _number(table, "MJDREFF") if "MJDREFF" in header else 0.0)
    return Time(*parts, format="mjd", scale=scale)


def _number(table: Table, key: str) -> float:
    value = require_key(table, key, "it gives the reference time")
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise FileFormatError(f"{table.where}: {key} = {value!r}, expected a number of days (MJD).")
    return number


def _seconds(table: Table, column: str) -> np.ndarray:
    names = [c.upper() for c in table.hdu.columns.names]
    if column in table and not table.hdu.columns[names.index(column)].unit:
        unit = str(table.header.get("TIMEUNIT", "s"))
        try:
            return np.asarray(u.Quantity(table.numbers(column), unit).to_value("s"))
        except (ValueError, TypeError):
            raise FileFormatError(f"{table.where}: TIMEUNIT = {unit!r}, expected a unit of time.") from None
    return table.quantity(column, "s")


def gti_hdu(gti: GTI) -> Any:
    """Return a FITS table GTI; the times in it are those of `gti` to the last bit."""
    from astropy.io import fits

    day, rest = gti.time_ref.jd1 - 2400000.5, gti.time_ref.jd2
    whole = np.floor(day + rest)
    columns = [
        fits.Column(name, "D", unit="s", array=t.value)
        for name, t in (("START", gti.met_start), ("STOP", gti.met_stop))
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    hdu.header["HDUCLASS"], hdu.header["HDUCLAS1"] = "GADF", "GTI"
    hdu.header["MJDREFI"], hdu.header["MJDREFF"] = int(whole), float((day - whole) + rest)
    hdu.header["TIMEUNIT"], hdu.header["TIMESYS"], hdu.header["TIMEREF"] = "s", gti.time_ref.scale.upper(), "LOCAL"
    return hdu


def measured_times(hdus: Any, path: Path, what: str) -> tuple[float, GTI | None]:
    """Ontime (s; nan without an extension GTI) and good time intervals of an open file."""
    found = [h for h in hdus if h.name.upper() == "GTI"]
    if not found:
        return np.nan, None
    if len(found) > 1:
        # those of several detectors, say; nothing in a fit of one spectrum needs them
        warnings.warn(f"{path.name}: {len(found)} extensions GTI; the ontime is not known (nan).", stacklevel=2)
        return np.nan, None
    table = hdu_table(hdus, ("GTI",), path, what)
    gti = gti_from_table(table)
    # written where the times themselves were not known
    only_sum = bool(table.header.get(ONLY_SUM, False))
    return float(gti.time_sum.value), None if only_sum or not gti.time_sum.value > 0 else gti


def times_hdus(dataset: Any) -> list[Any]:
    """The extension GTI of a data set; none where neither times nor ontime are known."""
    from astropy.io import fits

    if dataset.gti is not None:
        return [gti_hdu(dataset.gti)]
    ontime = float(dataset.ontime.value)
    if not np.isfinite(ontime):
        return []
    columns = [fits.Column(n, "D", unit="s", array=[t]) for n, t in (("START", 0.0), ("STOP", ontime))]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    header = {"MJDREFI": 51544, "MJDREFF": 0.0, "TIMEUNIT": "s", "TIMESYS": "TT", "TIMEREF": "LOCAL"}
    hdu.header.update(header | {ONLY_SUM: True})
    return [hdu]


def write_gti(gti: GTI, filename: str | Path, overwrite: bool = False) -> None:
    """Write good time intervals as a FITS file with one extension GTI, which gammapy reads.

    Parameters
    ----------
    gti : `GTI`
        The intervals.
    filename : str or path
        The file; variables of the environment are put in.
    overwrite : bool
        Whether to replace what is there.

    Raises
    ------
    InputError
        If the file is there and `overwrite` is not set.
    """
    path = target(filename, (".fits", ".fits.gz", ".fit"), "write")
    refuse_existing([path], overwrite)
    write_bytes({path: fits_bytes([gti_hdu(gti)])})


register_hook("read gti", read_gti)
register_hook("write gti", write_gti)
