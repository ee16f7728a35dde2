"""Reading OGIP spectra: PHA, background, effective area, dispersion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.datasets import GTI
from gammajax.errors import DataError, FileFormatError, InputError
from gammajax.io.energies import GRID_TOLERANCE, contiguous_edges
from gammajax.io.fits import Table, expand, hdu_table, open_fits, require_key
from gammajax.io.gti import measured_times
from gammajax.io.ogip_forms import areascal, exposure_ratio, grouped, is_full_matrix, split_area

__all__ = ["OgipSpectrum", "read_files"]


@dataclass(frozen=True)
class OgipSpectrum:
    """What four OGIP files hold, as arrays.

    Attributes
    ----------
    name : str
        OBS_ID, or the stem of the file.
    energy_edges, energy_true_edges : array, shapes (n_reco + 1,), (n_true + 1,)
        TeV.
    n_on, n_off, acceptance, acceptance_off : array, shape (n_reco,)
        Counts and BACKSCAL of the two regions.
    mask_safe : array of bool, shape (n_reco,)
        QUALITY = 0.
    exposure : array, shape (n_true,)
        Effective area times EXPOSURE, cm2 s.
    edisp : array, shape (n_true, n_reco)
        Dispersion.
    livetime : float
        EXPOSURE, s.
    ontime : float
        Sum of the good time intervals, s; nan without a GTI extension.
    gti : `GTI`, optional
        The good time intervals; None without a GTI extension, or if that holds only their sum.
    """

    name: str
    energy_edges: np.ndarray
    energy_true_edges: np.ndarray
    n_on: np.ndarray
    n_off: np.ndarray
    acceptance: np.ndarray
    acceptance_off: np.ndarray
    mask_safe: np.ndarray
    exposure: np.ndarray
    edisp: np.ndarray
    livetime: float
    ontime: float
    gti: GTI | None = None


def _ebounds(hdus: Any, path: Path, what: str) -> np.ndarray:
    table = hdu_table(hdus, ("EBOUNDS",), path, what)
    return contiguous_edges(table.quantity("E_MIN", "TeV"), table.quantity("E_MAX", "TeV"), table.where)


def _partner(table: Table, key: str, directory: Path, allow_outside: bool, why: str) -> Path:
    """Path of a file that a header names; refuses one outside the directory of the PHA file."""
    name = str(require_key(table, key, why)).strip()
    path = directory / expand(name)
    if not allow_outside and directory.resolve() not in path.resolve().parents:
        raise InputError(
            f"{table.where}: {key} = {name!r} points outside the directory of the file; move the file there, or read with "
            "allow_outside=True if you trust it."
        )
    return path


def _counts(table: Table) -> np.ndarray:
    if "COUNTS" in table and table.raw("COUNTS").ndim > 1:
        raise FileFormatError(
            f"{table.where}: COUNTS holds several spectra (type II); split the file into one spectrum each."
        )
    if "COUNTS" not in table and "RATE" in table:
        raise FileFormatError(
            f"{table.where}: column COUNTS is missing, only RATE is there; the statistic needs counts."
        )
    counts = table.numbers("COUNTS")
    bad = np.flatnonzero(counts < 0)
    if len(bad):
        raise DataError(
            f"{table.where}, column COUNTS, row {bad[0]}: value {counts[bad[0]]:g}, expected counts of at least 0; {len(bad)} rows are affected."
        )
    return counts


def _backscal(table: Table, n: int) -> np.ndarray:
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


def _quality(table: Table, n: int) -> np.ndarray:
    if "QUALITY" in table:
        return table.raw("QUALITY").astype(int) == 0
    return np.full(n, int(table.header.get("QUALITY", 0)) == 0)


def _livetime(table: Table) -> float:
    value = require_key(table, "EXPOSURE", "it is the livetime in s")
    if not isinstance(value, int | float) or not np.isfinite(value) or value <= 0:
        raise DataError(f"{table.where}: EXPOSURE = {value!r}, expected a livetime above 0 in s.")
    return float(value)


def _area(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Effective area (cm2), true-energy edges (TeV) and, in files of our own, the exact exposure (cm2 s)."""
    with open_fits(path, "ARF") as hdus:
        table = hdu_table(hdus, ("SPECRESP",), path, "ARF")
        edges = contiguous_edges(table.quantity("ENERG_LO", "TeV"), table.quantity("ENERG_HI", "TeV"), table.where)
        area = table.quantity("SPECRESP", "cm2")
        bad = np.flatnonzero(area < 0)
        if len(bad):
            raise DataError(
                f"{table.where}, column SPECRESP, row {bad[0]}: value {area[bad[0]]:g} cm2, expected at least 0."
            )
        if not np.any(area > 0):
            raise DataError(f"{table.where}, column SPECRESP: all values are 0, there is no exposure.")
        return area, edges, table.quantity("EXPOSURE", "cm2 s") if "EXPOSURE" in table else None


def _matrix(path: Path, n_reco: int, has_area_file: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Dispersion (n_true, n_reco), true-energy edges (TeV), and the effective area (cm2) where the matrix holds it too."""
    with open_fits(path, "RMF") as hdus:
        table = hdu_table(hdus, ("MATRIX", "SPECRESP MATRIX"), path, "RMF")
        full = is_full_matrix(table, has_area_file)
        if full and has_area_file:
            raise FileFormatError(
                f"{table.where}: the matrix holds the effective area (HDUCLAS3 = FULL) and the spectrum names an effective area too "
                "(ANCRFILE); set ANCRFILE to none, or give a matrix without the area."
            )
        edges = contiguous_edges(table.quantity("ENERG_LO", "TeV"), table.quantity("ENERG_HI", "TeV"), table.where)
        rows = len(edges) - 1
        matrix = np.zeros((rows, n_reco))
        groups = table.numbers("N_GRP").astype(int)
        first, length, values = (table.raw(c) for c in ("F_CHAN", "N_CHAN", "MATRIX"))
        # the number of F_CHAN's first channel; the standard's default is 1, gammapy's files say 0
        names = [c.upper() for c in table.hdu.columns.names]
        origin = int(table.header.get(f"TLMIN{names.index('F_CHAN') + 1}", 1))
        for i in range(rows):
            f, c = (np.atleast_1d(x[i])[: groups[i]].astype(int) for x in (first, length))
            _fill(matrix[i], f - origin, c, np.atleast_1d(values[i]).astype(float), f"{table.where}, row {i}")
        area = None
        if full:
            area, matrix = split_area(matrix, table.where)
        sums = matrix.sum(axis=1)
        if np.any(sums > 1.01):
            i = int(np.argmax(sums))
            raise DataError(f"{table.where}, column MATRIX, row {i}: adds up to {sums[i]:.4g}, expected at most 1.")
        if "EBOUNDS" in [h.name.upper() for h in hdus]:
            _check_channels(_ebounds(hdus, path, "RMF"), n_reco, path)
        return matrix, edges, area


def _check_channels(edges: np.ndarray, n_reco: int, path: Path) -> None:
    if len(edges) - 1 != n_reco:
        raise DataError(
            f"RMF file {path.name}, HDU EBOUNDS: {len(edges) - 1} channels, the spectrum has {n_reco}; expected the same number."
        )


def _fill(row: np.ndarray, first: np.ndarray, length: np.ndarray, values: np.ndarray, where: str) -> None:
    """Write the channel groups of one matrix row."""
    at = 0
    for f, c in zip(first, length, strict=True):
        if f < 0 or c < 0 or f + c > len(row):
            raise DataError(
                f"{where}: channels {f} to {f + c - 1} (counted from 0), expected 0 to {len(row) - 1}; F_CHAN, N_CHAN or TLMIN is wrong."
            )
        if at + c > len(values):
            raise DataError(f"{where}: N_CHAN asks for {at + c} values, MATRIX holds {len(values)}.")
        row[f : f + c] = values[at : at + c]
        at += c
    bad = np.flatnonzero(~np.isfinite(row) | (row < 0))
    if len(bad):
        raise DataError(
            f"{where}, column MATRIX, channel {bad[0]}: value {row[bad[0]]}, expected finite values of at least 0."
        )


def _same_grid(a: np.ndarray, b: np.ndarray, what: str) -> None:
    if len(a) != len(b):
        raise DataError(f"{what}: {len(a) - 1} and {len(b) - 1} true-energy bins, expected the same.")
    bad = np.flatnonzero(np.abs(a / b - 1) > GRID_TOLERANCE)
    if len(bad):
        i = bad[0]
        raise DataError(f"{what}: edge {i} is {a[i]:g} and {b[i]:g} TeV, expected the same true-energy grid.")


def read_files(
    filename: str | Path, name: str | None = None, allow_outside: bool = False, grouping: bool = True
) -> OgipSpectrum:
    """Read a PHA file and the files that its header names.

    Parameters
    ----------
    filename : str or path
        The PHA file; environment variables are expanded.
    name : str, optional
        Name instead of OBS_ID.
    allow_outside : bool
        Accept partner files outside the directory of the PHA file.
    grouping : bool
        Sum the channels as the column GROUPING says.

    Raises
    ------
    FileFormatError, MissingFileError, DataError, UnitError
        Naming file, HDU, column, row and value.
    """
    path = expand(filename)
    with open_fits(path, "PHA") as hdus:
        table = hdu_table(hdus, ("SPECTRUM",), path, "PHA")
        n_on = _counts(table)
        n = len(n_on)
        acceptance, mask_safe, livetime = _backscal(table, n), _quality(table, n), _livetime(table)
        scale = areascal(table, n)
        has_area_file = str(table.header.get("ANCRFILE", "none")).strip().upper() not in ("", "NONE")
        no_area = "keyword ANCRFILE is missing" if "ANCRFILE" not in table.header else "ANCRFILE is none"
        outside = allow_outside
        bkg = _partner(
            table, "BACKFILE", path.parent, outside, "the W statistic needs OFF counts, name the background file"
        )
        rmf = _partner(table, "RESPFILE", path.parent, outside, "it names the energy dispersion file")
        arf = (
            _partner(table, "ANCRFILE", path.parent, outside, "it names the effective area file")
            if has_area_file
            else None
        )
        own = _ebounds(hdus, path, "PHA") if "EBOUNDS" in [h.name.upper() for h in hdus] else None
        (ontime, gti), label = measured_times(hdus, path, "PHA"), table.header.get("OBS_ID")
    with open_fits(bkg, "background") as hdus:
        table = hdu_table(hdus, ("SPECTRUM",), bkg, "background")
        n_off = _counts(table)
        if len(n_off) != n:
            raise DataError(
                f"{table.where}: {len(n_off)} channels, the spectrum {path.name} has {n}; expected the same number."
            )
        # alpha is the ratio of BACKSCAL, AREASCAL and EXPOSURE; the ON region keeps its own BACKSCAL
        off_scale = areascal(table, n)
        acceptance_off = _backscal(table, n) * exposure_ratio(table, livetime) * (off_scale / scale)
    edisp, matrix_edges, matrix_area = _matrix(rmf, n, has_area_file)
    area, true_edges, exact = matrix_area, matrix_edges, None
    if arf is not None:
        area, true_edges, exact = _area(arf)
        _same_grid(true_edges, matrix_edges, f"{arf.name} and {rmf.name}")
    if area is None:
        raise FileFormatError(
            f"{path.name}, HDU SPECTRUM: {no_area}; it names the effective area file, and the matrix of {rmf.name} does not say "
            "that it holds the area itself (HDUCLAS3 = FULL)."
        )
    if arf is not None and exact is not None and not np.allclose(exact, area * livetime, rtol=1e-9, atol=0):
        raise DataError(
            f"{arf.name}, HDU SPECRESP: column EXPOSURE is not SPECRESP times the EXPOSURE of {path.name}; remove the "
            "column if the effective area was changed."
        )
    if own is None:
        with open_fits(rmf, "RMF") as hdus:
            own = _ebounds(hdus, rmf, "RMF")
    if len(own) - 1 != n:
        raise DataError(f"{path.name}: EBOUNDS has {len(own) - 1} channels, COUNTS has {n}; expected the same number.")
    spectrum = OgipSpectrum(
        name=str(name if name is not None else label if label is not None else path.stem),
        energy_edges=own,
        energy_true_edges=true_edges,
        n_on=n_on,
        n_off=n_off,
        acceptance=acceptance,
        acceptance_off=acceptance_off,
        mask_safe=mask_safe,
        exposure=area * livetime if exact is None else exact,
        # what AREASCAL takes from a channel, it takes from what is predicted there
        edisp=edisp * scale,
        livetime=livetime,
        ontime=ontime,
        gti=gti,
    )
    with open_fits(path, "PHA") as hdus:
        return grouped(spectrum, hdu_table(hdus, ("SPECTRUM",), path, "PHA")) if grouping else spectrum
