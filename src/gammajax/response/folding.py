"""Response as pure functions of arrays: exposure, energy dispersion, folding."""

import jax
import numpy as np

from gammajax.errors import DataError

__all__ = ["check_dispersion", "diagonal_dispersion", "fold"]


def fold(flux: jax.Array, exposure: jax.Array, edisp: jax.Array) -> jax.Array:
    r"""Predicted counts :math:`\mu_j = \sum_i F_i X_i R_{ij}`.

    Parameters
    ----------
    flux : array, shape (..., n_true)
        Flux in each true-energy bin, cm-2 s-1.
    exposure : array, shape (n_true,)
        Effective area times livetime, cm2 s.
    edisp : array, shape (n_true, n_reco)
        Probability of a reconstructed bin given the true one.

    Returns
    -------
    array, shape (..., n_reco)
        Counts.
    """
    return (flux * exposure) @ edisp


def diagonal_dispersion(energy_true_edges: np.ndarray, energy_edges: np.ndarray) -> np.ndarray:
    """Dispersion of a perfect measurement: the fraction of each true bin that each reconstructed bin covers.

    Parameters
    ----------
    energy_true_edges : array, shape (n_true + 1,)
        TeV.
    energy_edges : array, shape (n_reco + 1,)
        TeV.

    Returns
    -------
    array, shape (n_true, n_reco)
        Overlap divided by the width of the true bin.

    Examples
    --------
    >>> import numpy as np
    >>> diagonal_dispersion(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 4.0])).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    true, reco = np.asarray(energy_true_edges, dtype=float), np.asarray(energy_edges, dtype=float)
    low = np.maximum(true[:-1, None], reco[None, :-1])
    high = np.minimum(true[1:, None], reco[None, 1:])
    return np.clip(high - low, 0, None) / np.diff(true)[:, None]


def check_dispersion(edisp: np.ndarray, n_true: int, n_reco: int, what: str) -> None:
    """Refuse a dispersion matrix of the wrong shape or with impossible entries.

    Raises
    ------
    DataError
        Naming the first bad row and its value.
    """
    if edisp.shape != (n_true, n_reco):
        raise DataError(
            f"{what}: edisp has shape {edisp.shape}, expected (n_true, n_reco) = ({n_true}, {n_reco}); "
            "check the axes, a transposed matrix is the usual cause."
        )
    bad = ~np.isfinite(edisp) | (edisp < 0)
    if np.any(bad):
        i, j = np.argwhere(bad)[0]
        raise DataError(
            f"{what}: edisp[{i}, {j}] is {edisp[i, j]}, expected finite values of at least 0; "
            f"{int(bad.sum())} such entries."
        )
    sums = edisp.sum(axis=1)
    if np.any(sums > 1.01):
        i = int(np.argmax(sums))
        raise DataError(
            f"{what}: row {i} of edisp adds up to {sums[i]:.4g}, expected at most 1; the matrix must hold "
            "probabilities without the effective area."
        )
