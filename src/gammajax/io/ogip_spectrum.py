"""The table SPECTRUM of an OGIP file: counts, scales, times and the quality of each channel."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import DataError, FileFormatError
from gammajax.io.fits import Table, hdu_table, require_key

__all__ = ["backscal", "counts", "good", "livetime", "spectrum_table"]

# a rate in single precision times the livetime is this close to a whole number of counts
WHOLE = 1e-3
# HDUCLAS4 of a table with one spectrum in each row, as it is found in files
TYPE_TWO = ("TYPE:II", "TYPEII", "TYPE:2", "TYPE2", "TYPE II")


def spectrum_table(hdus: Any, path: Path, what: str) -> Table:
    """The one spectrum of a file; refuses several, and channels out of order."""
    table = hdu_table(hdus, ("SPECTRUM",), path, what)
    kind = str(table.header.get("HDUCLAS1", "")).strip().upper()
    if not kind:
        warnings.warn(
            f"{table.where}: keyword HDUCLAS1 is missing; it is taken for a spectrum by its name.", stacklevel=2
        )
    elif kind != "SPECTRUM":
        raise FileFormatError(f"{table.where}: HDUCLAS1 = {kind!r}, expected 'SPECTRUM'.")
    _refuse_several(table)
    if "CHANNEL" in table:
        channel = table.numbers("CHANNEL")
        bad = np.flatnonzero(np.diff(channel) != 1)
        if len(bad):
            row = bad[0] + 1
            raise DataError(
                f"{table.where}, column CHANNEL, row {row}: value {channel[row]:g} behind {channel[row - 1]:g}, expected channels "
                "in order without gaps."
            )
    return table


def _refuse_several(table: Table) -> None:
    """Refuse type II, one spectrum in each row; a header that alone says so is contradicted by one number in each row."""
    declared = str(table.header.get("HDUCLAS4", "")).strip().upper() in TYPE_TWO
    for column in ("COUNTS", "RATE"):
        if column in table and table.raw(column).ndim > 1:
            n = len(table.hdu.data)
            several = f"{n} spectra, one in each of rows 0 to {n - 1}" if n > 1 else "a whole spectrum in its one row"
            raise FileFormatError(
                f"{table.where}: {column} holds {several} (type II); split the file into one spectrum each."
            )
    if "SPEC_NUM" in table:
        numbers = np.unique(table.numbers("SPEC_NUM"))
        if declared or len(numbers) > 1:
            raise FileFormatError(
                f"{table.where}: column SPEC_NUM gives each row its spectrum, {len(numbers)} of them (type II); split the file into one "
                "spectrum each."
            )
    if declared:
        warnings.warn(
            f"{table.where}: HDUCLAS4 = {table.header['HDUCLAS4']!r} says one spectrum in each row, but each row holds one channel; it is "
            "read as one spectrum, as sherpa does. Set the keyword to 'TYPE:I'.",
            stacklevel=3,
        )


def counts(table: Table, safe: np.ndarray) -> np.ndarray:
    """Counts of each channel, shape (n,); a RATE where it is a whole number of counts.

    Parameters
    ----------
    table : `Table`
        SPECTRUM.
    safe : array of bool, shape (n,)
        Channels with QUALITY 0: others may hold no value (TNULL).
    """
    if "COUNTS" not in table and "RATE" in table:
        return _counts_of_rate(table)
    if "COUNTS" in table and (missing := int(np.sum(table.undefined("COUNTS") & ~safe))):
        warnings.warn(
            f"{table.where}, column COUNTS: {missing} rows of bad QUALITY hold no value (TNULL); they are 0.",
            stacklevel=2,
        )
    values = table.numbers("COUNTS", ~safe)
    bad = np.flatnonzero(values < 0)
    if len(bad):
        raise DataError(
            f"{table.where}, column COUNTS, row {bad[0]}: value {values[bad[0]]:g}, expected counts of at least 0; {len(bad)} rows are affected."
        )
    return values


def _counts_of_rate(table: Table) -> np.ndarray:
    unit = table.unit("RATE")
    per_second = next((x for x in ("1/s", "ct/s") if unit.is_equivalent(x)), None)
    if per_second is None:
        raise FileFormatError(
            f"{table.where}, column RATE: unit {unit.to_string()!r}, expected counts per second ('count/s')."
        )
    values = table.quantity("RATE", per_second) * livetime(table)
    whole = np.round(values)
    bad = np.flatnonzero((np.abs(values - whole) > WHOLE * np.maximum(1.0, 1e-3 * whole)) | (values < 0))
    if len(bad):
        raise FileFormatError(
            f"{table.where}: column COUNTS is missing, and RATE times EXPOSURE is {values[bad[0]]:g} in row {bad[0]}, no number of "
            "counts; the statistic needs counts."
        )
    warnings.warn(
        f"{table.where}: column COUNTS is missing; the counts are RATE times EXPOSURE, {whole.sum():g} in all.",
        stacklevel=3,
    )
    return whole


def backscal(table: Table, n: int) -> np.ndarray:
    """BACKSCAL of each channel, column or keyword, shape (n,)."""
    values = (
        table.numbers("BACKSCAL")
        if "BACKSCAL" in table
        else np.full(n, float(require_key(table, "BACKSCAL", "it gives the acceptance of the region")))
    )
    bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(bad):
        raise DataError(
            f"{table.where}, BACKSCAL, row {bad[0]}: value {values[bad[0]]:g}, expected finite values of at least 0."
        )
    return values


def good(table: Table, n: int) -> np.ndarray:
    """Channels with QUALITY 0, column or keyword, shape (n,)."""
    if "QUALITY" in table:
        # a quality that is not known is no good one
        return (table.numbers("QUALITY", np.ones(n, dtype=bool)) == 0) & ~table.undefined("QUALITY")
    return np.full(n, int(table.header.get("QUALITY", 0)) == 0)


def livetime(table: Table) -> float:
    """EXPOSURE, s."""
    value = require_key(table, "EXPOSURE", "it is the livetime in s")
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value <= 0:
        raise DataError(f"{table.where}: EXPOSURE = {value!r}, expected a livetime above 0 in s.")
    return float(value)
