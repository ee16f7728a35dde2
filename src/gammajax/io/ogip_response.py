"""Energies, effective areas and dispersion matrices of OGIP files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import DataError, FileFormatError
from gammajax.io.energies import GRID_TOLERANCE, contiguous_edges
from gammajax.io.fits import Table, hdu_table, open_fits
from gammajax.io.ogip_forms import is_full_matrix, split_area
from gammajax.io.ogip_options import ReadOptions

__all__ = ["Matrix", "ebounds", "read_area", "read_matrix", "same_grid"]


def _edges(table: Table, columns: tuple[str, str], options: ReadOptions) -> np.ndarray:
    """Contiguous increasing edges (TeV) from the columns of lower and upper ones."""
    low, high = (table.quantity(c, "TeV") for c in columns)
    return contiguous_edges(low, high, table.where, options.any_energy)


def ebounds(hdus: Any, path: Path, what: str, options: ReadOptions) -> np.ndarray:
    """Reconstructed energies of the channels, TeV, shape (n_reco + 1,)."""
    table = hdu_table(hdus, ("EBOUNDS",), path, what, options.units)
    return _edges(table, ("E_MIN", "E_MAX"), options)


def read_area(path: Path, options: ReadOptions) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """Effective area (cm2; nan where the file has it), true-energy edges (TeV), in files of our own the exact exposure (cm2 s), and GJSET."""
    with open_fits(path, "ARF", options.checksum) as hdus:
        table = hdu_table(hdus, ("SPECRESP",), path, "ARF", options.units)
        edges = _edges(table, ("ENERG_LO", "ENERG_HI"), options)
        # nan is judged when it is known which rows are used
        area = table.raw("SPECRESP").astype(float) * table.factor("SPECRESP", "cm2")
        if area.ndim != 1:
            raise FileFormatError(
                f"{table.where}, column SPECRESP: shape {area.shape}, expected one effective area per row."
            )
        area[table.undefined("SPECRESP")] = np.nan
        bad = np.flatnonzero((area < 0) | np.isinf(area))
        if len(bad):
            raise DataError(
                f"{table.where}, column SPECRESP, row {bad[0]}: value {area[bad[0]]:g} cm2, expected at least 0."
            )
        if not np.any(area > 0):
            raise DataError(f"{table.where}, column SPECRESP: all values are 0, there is no exposure.")
        exact = table.quantity("EXPOSURE", "cm2 s") if "EXPOSURE" in table else None
        return area, edges, exact, str(table.header.get("GJSET", ""))


@dataclass(frozen=True)
class Matrix:
    """What a response file holds.

    Attributes
    ----------
    edisp : array, shape (n_true, n_reco)
        Dispersion.
    energy_true_edges : array, shape (n_true + 1,)
        TeV.
    area : array or None, shape (n_true,)
        Effective area, cm2, where the matrix holds it too.
    energy_edges : array or None, shape (n_reco + 1,)
        EBOUNDS, TeV.
    set : str
        GJSET: the set of files that it was written with, empty if it does not say.
    """

    edisp: np.ndarray
    energy_true_edges: np.ndarray
    area: np.ndarray | None
    energy_edges: np.ndarray | None
    set: str


def read_matrix(path: Path, n_reco: int, has_area_file: bool, options: ReadOptions) -> Matrix:
    """Read the dispersion of a response file.

    Raises
    ------
    FileFormatError, DataError
        Naming file, row, channel and value.
    """
    with open_fits(path, "RMF", options.checksum) as hdus:
        table = hdu_table(hdus, ("MATRIX", "SPECRESP MATRIX"), path, "RMF", options.units)
        full = is_full_matrix(table, has_area_file)
        if full and has_area_file:
            raise FileFormatError(
                f"{table.where}: the matrix holds the effective area (HDUCLAS3 = FULL) and the spectrum names an effective area too "
                "(ANCRFILE); set ANCRFILE to none, or give a matrix without the area."
            )
        edges = _edges(table, ("ENERG_LO", "ENERG_HI"), options)
        own, numbered = None, None
        if "EBOUNDS" in [h.name.upper() for h in hdus]:
            own = ebounds(hdus, path, "RMF", options)
            numbered = _first_channel(hdu_table(hdus, ("EBOUNDS",), path, "RMF"))
            if len(own) - 1 != n_reco:
                raise DataError(
                    f"RMF file {path.name}, HDU EBOUNDS: {len(own) - 1} channels, the spectrum has {n_reco}; expected the same number."
                )
        matrix = _rows(table, _origin(table, numbered), n_reco)
        area = None
        if full:
            area, matrix = split_area(matrix, table.where)
        sums = matrix.sum(axis=1)
        if np.any(sums > 1.01):
            i = int(np.argmax(sums))
            raise DataError(f"{table.where}, column MATRIX, row {i}: adds up to {sums[i]:.4g}, expected at most 1.")
        return Matrix(matrix, edges, area, own, str(table.header.get("GJSET", "")))


def _first_channel(table: Table) -> int | None:
    """Number of the first channel of EBOUNDS; None without the column."""
    return int(table.numbers("CHANNEL")[0]) if "CHANNEL" in table else None


def _origin(table: Table, numbered: int | None) -> int:
    """Number of the first channel in F_CHAN: TLMIN, or else as EBOUNDS counts; the default of the standard is 1."""
    names = [c.upper() for c in table.hdu.columns.names]
    key = f"TLMIN{names.index('F_CHAN') + 1}" if "F_CHAN" in names else "TLMIN"
    if key not in table.header:
        return 1 if numbered is None else numbered
    origin = int(table.header[key])
    if numbered is not None and origin != numbered:
        raise DataError(
            f"{table.where}: F_CHAN counts channels from {key} = {origin}, but EBOUNDS from {numbered}: the matrix may be one channel off; "
            "set one to the other."
        )
    return origin


def _rows(table: Table, origin: int, n_reco: int) -> np.ndarray:
    """The matrix, shape (n_true, n_reco), from its groups of channels."""
    groups = table.numbers("N_GRP").astype(int)
    first, length, values = (table.raw(c) for c in ("F_CHAN", "N_CHAN", "MATRIX"))
    matrix = np.zeros((len(groups), n_reco))
    for i, n in enumerate(groups):
        where = f"{table.where}, row {i}"
        f, c = (np.atleast_1d(x[i]).astype(int) for x in (first, length))
        if not 0 <= n <= min(len(f), len(c)):
            raise DataError(f"{where}: N_GRP = {n}, but F_CHAN and N_CHAN hold {len(f)} and {len(c)} groups.")
        _fill(matrix[i], f[:n] - origin, c[:n], np.atleast_1d(values[i]).astype(float), where)
    return matrix


def _fill(row: np.ndarray, first: np.ndarray, length: np.ndarray, values: np.ndarray, where: str) -> None:
    """Write the channel groups of one matrix row."""
    at, written = 0, np.zeros(len(row), dtype=bool)
    for f, c in zip(first, length, strict=True):
        if f < 0 or c < 0 or f + c > len(row):
            raise DataError(
                f"{where}: channels {f} to {f + c - 1} (counted from 0), expected 0 to {len(row) - 1}; F_CHAN, N_CHAN or TLMIN is wrong."
            )
        if at + c > len(values):
            raise DataError(f"{where}: N_CHAN asks for {at + c} values, MATRIX holds {len(values)}.")
        if written[f : f + c].any():
            raise DataError(f"{where}: two groups hold channel {f + int(np.argmax(written[f : f + c]))}.")
        row[f : f + c], written[f : f + c] = values[at : at + c], True
        at += c
    bad = np.flatnonzero(~np.isfinite(row) | (row < 0))
    if len(bad):
        raise DataError(
            f"{where}, column MATRIX, channel {bad[0]}: value {row[bad[0]]}, expected finite values of at least 0."
        )
    # rows of fixed length are filled up with zeros
    if np.any(values[at:] != 0):
        raise DataError(f"{where}: MATRIX holds {len(values)} values, N_GRP and N_CHAN name only {at} of them.")


def same_grid(a: np.ndarray, b: np.ndarray, what: str, which: str = "true-energy") -> None:
    """Refuse two grids of energies (TeV) that differ by more than single precision.

    Raises
    ------
    DataError
        Naming the first edge that differs.
    """
    if len(a) != len(b):
        raise DataError(f"{what}: {len(a) - 1} and {len(b) - 1} {which} bins, expected the same.")
    bad = np.flatnonzero(np.abs(a / b - 1) > GRID_TOLERANCE)
    if len(bad):
        i = bad[0]
        raise DataError(f"{what}: edge {i} is {a[i]:g} and {b[i]:g} TeV, expected the same {which} grid.")
