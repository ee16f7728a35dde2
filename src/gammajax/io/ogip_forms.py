"""Standard forms of OGIP files that gammapy does not write: scaled areas, different exposures, full matrices, grouped channels."""

from dataclasses import replace
from typing import Any

import numpy as np

from gammajax.errors import DataError, FileFormatError
from gammajax.io.fits import Table

__all__ = ["areascal", "exposure_ratio", "grouped", "is_full_matrix", "split_area"]


def areascal(table: Table, n: int) -> np.ndarray:
    """AREASCAL of each channel, column or keyword, 1 if it is not there; shape (n,).

    Raises
    ------
    DataError
        For a value that is not above 0 in a channel.
    """
    if "AREASCAL" in table:
        values = table.numbers("AREASCAL")
    else:
        values = np.full(n, float(table.header.get("AREASCAL", 1.0)))
    bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(bad):
        raise DataError(
            f"{table.where}, AREASCAL, row {bad[0]}: value {values[bad[0]]:g}, expected finite values of at least 0."
        )
    # gammapy's files hold 0 where nothing was measured
    return np.where(values > 0, values, 1.0)


def exposure_ratio(table: Table, livetime: float) -> float:
    """EXPOSURE of the background over that of the spectrum; 1 if the background does not say."""
    value = table.header.get("EXPOSURE", livetime)
    if not isinstance(value, int | float) or not np.isfinite(value) or value <= 0:
        raise DataError(f"{table.where}: EXPOSURE = {value!r}, expected a livetime above 0 in s.")
    return float(value) / livetime


def is_full_matrix(table: Table, has_area_file: bool) -> bool:
    """Whether a matrix holds the effective area too: by HDUCLAS3, or without it by its name where no file names the area."""
    kind = str(table.header.get("HDUCLAS3", "")).strip().upper()
    if kind:
        return kind == "FULL"
    return table.hdu.name.upper() == "SPECRESP MATRIX" and not has_area_file


def split_area(matrix: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Effective area (cm2) and dispersion of a matrix that holds both; shape (n_true,) and (n_true, n_reco)."""
    area = matrix.sum(axis=1)
    if not np.any(area > 0):
        raise DataError(f"{where}, column MATRIX: all values are 0, there is no exposure.")
    return area, matrix / np.where(area > 0, area, 1.0)[:, None]


def _groups(table: Table, n: int) -> np.ndarray | None:
    """Number of the group of each channel, from GROUPING: 1 begins one, -1 continues it; None where each stands alone."""
    if "GROUPING" not in table:
        return None
    flags = table.numbers("GROUPING").astype(int)
    bad = np.flatnonzero((flags < -1) | (flags > 1))
    if not np.any(flags < 0) and not len(bad):
        return None
    if len(bad) or flags[0] < 0:
        row = int(bad[0]) if len(bad) else 0
        raise FileFormatError(
            f"{table.where}, column GROUPING, row {row}: value {flags[row]}, expected 1 where a group begins, -1 where it goes "
            "on, 0 for a channel by itself."
        )
    return np.cumsum(flags >= 0) - 1


def grouped(spectrum: Any, table: Table, wanted: bool = True) -> Any:
    r"""The spectrum with its channels summed as the file's GROUPING says; as it is where there is none, or it is not wanted.

    Counts and columns of the dispersion are summed. A group is safe if all of its channels are. alpha of a group is
    :math:`\sum \alpha_i n_{off,i} / \sum n_{off,i}`, its mean without OFF counts.
    """
    n = len(spectrum.n_on)
    group = _groups(table, n) if wanted else None
    if group is None:
        return spectrum
    k = int(group[-1]) + 1
    count = np.bincount(group, minlength=k)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(group, values, k)

    off = spectrum.acceptance_off
    alpha = np.where(off > 0, spectrum.acceptance / np.where(off > 0, off, 1.0), 0.0)
    n_off, acceptance = summed(spectrum.n_off), summed(spectrum.acceptance) / count
    mean = np.where(n_off > 0, summed(alpha * spectrum.n_off) / np.where(n_off > 0, n_off, 1.0), summed(alpha) / count)
    edisp = np.zeros((len(spectrum.edisp), k))
    np.add.at(edisp.T, group, spectrum.edisp.T)
    first = np.flatnonzero(np.diff(np.concatenate([[-1], group])))
    return replace(
        spectrum,
        energy_edges=np.append(spectrum.energy_edges[first], spectrum.energy_edges[-1]),
        n_on=summed(spectrum.n_on),
        n_off=n_off,
        acceptance=acceptance,
        acceptance_off=np.where(mean > 0, acceptance / np.where(mean > 0, mean, 1.0), 0.0),
        mask_safe=summed(spectrum.mask_safe.astype(float)) == count,
        edisp=edisp,
    )
