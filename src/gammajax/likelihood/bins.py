"""The arrays of a data set as the solver takes them: response in one matrix, and only what is in the fit."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.likelihood.statistics import spread_mask
from gammajax.likelihood.structure import MATRIX, BinData, DatasetStructure, Points, Timed
from gammajax.models import BinRule

__all__ = ["Bins", "bins_in_fit", "bins_of", "cut_bins", "filled", "masked_bins", "reached", "rounded"]

# sizes of compact arrays are rounded up to a multiple of this, so that moving the fit range compiles nothing
ROUND = 16


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bins:
    """Arrays of one data set with its response in one matrix.

    Attributes
    ----------
    values : tuple of array, shape (n_reco,)
        What the statistic takes, in the order of its arguments; harmless in bins that do not count.
    matrix : array, shape (n_true, n_reco), or None
        Exposure (cm2 s) times dispersion; 0 in bins that do not count. Of a group of data sets whose flux differs
        (members, n_true, n_reco / members), see `groups`.
    diagonals : tuple of array, shape (n_reco,)
        Factors of models that are evaluated at points; 0 in bins that do not count.
    rules : tuple of `BinRule`, `Points` or `Timed`
        How the models are integrated over the true-energy bins.
    """

    values: tuple[Any, ...]
    matrix: Any
    diagonals: tuple[Any, ...]
    rules: tuple[BinRule | Points | Timed, ...]

    @property
    def zero(self) -> jax.Array:
        """Zeros, shape (n_reco,)."""
        return jnp.zeros_like(self.values[0])

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(self.values[0].shape[-1])

    def onto(self, fold: int, values: jax.Array) -> jax.Array:
        """What is measured of a source, from its flux or its values at points, shape (..., n), of a group ([members,] n)."""
        if fold != MATRIX:
            return values * self.diagonals[fold]
        return values @ self.matrix if self.matrix.ndim == 2 else self.onto_each(values[..., None, :])[0]

    def onto_each(self, rows: jax.Array) -> jax.Array:
        """Fold K fluxes of each data set of a group, shape ([members,] K, n_true); shape (K, n_reco)."""
        rows = jnp.broadcast_to(rows, (self.matrix.shape[0], *rows.shape[-2:]))
        return jnp.matmul(rows, self.matrix).swapaxes(0, 1).reshape(rows.shape[1], -1)

    def back(self, fold: int, weight: jax.Array) -> jax.Array:
        """The transpose of `onto`, of one vector of shape (n_reco,); of a group whose flux differs (members, n_true)."""
        if fold != MATRIX:
            return self.diagonals[fold] * weight
        if self.matrix.ndim == 2:
            return self.matrix @ weight
        return jnp.matmul(self.matrix, weight.reshape(len(self.matrix), -1, 1))[..., 0]


def masked_bins(structure: DatasetStructure, data: BinData) -> Bins:
    """All bins of a data set, those outside the fit without effect; traceable."""
    mask, response, statistic = data.mask, data.response, structure.stat
    matrix = None
    if response.edisp is not None:
        matrix = response.edisp
        if response.exposure is not None:
            matrix = jnp.asarray(response.exposure)[:, None] * matrix
        matrix = jnp.where(mask if matrix.ndim == 2 else mask.reshape(len(matrix), 1, -1), matrix, 0.0)
    values = tuple(
        jnp.where(spread_mask(mask, data.values[name]), data.values[name], fill)
        for name, fill in zip(statistic.arrays, statistic.harmless, strict=True)
    )
    diagonals = tuple(jnp.where(mask, d, 0.0) for d in response.diagonals)
    return Bins(values, matrix, diagonals, response.rules)


def bins_in_fit(structure: DatasetStructure, data: BinData) -> Bins:
    """Only the bins in the fit, and the true-energy bins that reach them; sizes rounded up with bins without effect.

    Parameters
    ----------
    structure : `DatasetStructure`
        Static part.
    data : `BinData`
        Arrays, not traced.
    """
    return cut_bins(structure, data, reached(data), rounded(int(np.asarray(data.mask).sum())))


def reached(data: BinData) -> np.ndarray:
    """True-energy bins that reach the bins in the fit."""
    if data.response.edisp is None:
        return np.zeros(0, dtype=int)
    return np.flatnonzero(np.any(_matrix_in_fit(data) != 0, axis=1))


def _matrix_in_fit(data: BinData) -> np.ndarray:
    response = data.response
    return (np.asarray(response.exposure)[:, None] * np.asarray(response.edisp))[:, np.asarray(data.mask)]


def cut_bins(structure: DatasetStructure, data: BinData, rows: np.ndarray, columns: int) -> Bins:
    """The bins in the fit, filled up to a number of them, and some true-energy bins, whose number is rounded up."""
    mask, response, statistic = np.asarray(data.mask), data.response, structure.stat
    points = filled(np.flatnonzero(mask), columns)
    matrix, used = None, np.zeros(0, dtype=int)
    if response.edisp is not None:
        small = _matrix_in_fit(data)
        used = filled(rows, rounded(len(rows)))
        matrix = np.zeros((len(used), columns))
        matrix[: len(rows), : small.shape[1]] = small[rows]

    def padded(values: Any, fill: float) -> np.ndarray:
        inside = np.asarray(values)[mask]
        return np.concatenate([inside, np.full((columns - len(inside), *inside.shape[1:]), fill)])

    rules = tuple(r.take(points if isinstance(getattr(r, "rule", r), Points) else used) for r in response.rules)
    values = tuple(
        padded(data.values[name], fill) for name, fill in zip(statistic.arrays, statistic.harmless, strict=True)
    )
    return Bins(values, matrix, tuple(padded(d, 0.0) for d in response.diagonals), rules)


def bins_of(structure: DatasetStructure, data: BinData, used: np.ndarray, fit: np.ndarray, matrix: np.ndarray) -> Bins:
    """The same with chosen true-energy bins `used` and reconstructed bins `fit`, and another matrix (n_true, n_reco)."""
    rows, columns = rounded(len(used)), rounded(len(fit))
    full = np.zeros((rows, columns))
    full[: len(used), : len(fit)] = matrix[np.ix_(used, fit)]
    statistic = structure.stat
    values = tuple(
        np.concatenate([np.asarray(data.values[name])[fit], np.full(columns - len(fit), fill)])
        for name, fill in zip(statistic.arrays, statistic.harmless, strict=True)
    )
    return Bins(values, full, (), tuple(r.take(filled(used, rows)) for r in data.response.rules))


def filled(indices: np.ndarray, n: int) -> np.ndarray:
    """Indices, n of them: what only fills up repeats the last one, no energy there can be harmful."""
    last = indices[-1:] if len(indices) else np.zeros(1, dtype=int)
    return np.concatenate([indices, np.repeat(last, n - len(indices))]).astype(int)


def rounded(n: int) -> int:
    """Size of a compact array for n bins."""
    return max(ROUND, -(-n // ROUND) * ROUND)
