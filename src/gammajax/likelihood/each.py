"""One likelihood for many data sets of the same structure: each lane of a batch has data of its own."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.likelihood.bins import bins_of
from gammajax.likelihood.compact import Compact

__all__ = ["EachCompact", "compact_of", "own_numbers"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EachCompact:
    """The compact form of a likelihood of one data set, whose counts, exposure or response come with each lane.

    Parameters
    ----------
    template : `Compact`
        Of one data set; its matrix is the energy dispersion alone where the exposure comes with the lanes.
    own : tuple of str
        What a lane brings, in this order: "values", and of "exposure", "matrix" and "mask" what differs.
    """

    template: Compact
    own: tuple[str, ...] = field(metadata={"static": True})

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the positions `active` that every prediction is linear in."""
        return self.template.linear(active)

    def constants(self) -> tuple[int, ...]:
        """Positions of parameters that hardly anybody fits."""
        return self.template.constants()

    def of_lane(self, numbers: jax.Array) -> Compact:
        """The likelihood of one lane, from its numbers (see `own_numbers`)."""
        (bins,) = self.template.bins
        rows, columns = bins.matrix.shape
        at = 0

        def take(n: int) -> jax.Array:
            nonlocal at
            at += n
            return numbers[at - n : at]

        values = tuple(take(columns) for _ in bins.values)
        matrix = bins.matrix
        if "matrix" in self.own:
            matrix = take(rows * columns).reshape(rows, columns)
        if "exposure" in self.own:
            matrix = take(rows)[:, None] * matrix
        if "mask" in self.own:
            matrix = jnp.where(take(columns) > 0, matrix, 0.0)
        return replace(self.template, bins=(replace(bins, values=values, matrix=matrix),))


def own_numbers(
    values: list[np.ndarray],
    *,
    fit: np.ndarray,
    used: np.ndarray,
    size: tuple[int, int],
    harmless: tuple[float, ...],
    mask: np.ndarray | None = None,
    exposure: np.ndarray | None = None,
    matrix: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pack what differs from data set to data set into rows of numbers.

    Parameters
    ----------
    values : list of array, shape (N, n_reco)
        What the statistic takes.
    fit, used : array of int
        Bins in the fit of any of them, and true-energy bins that reach them.
    size : pair of int
        Rows and columns of the compact matrix: those numbers rounded up.
    harmless : tuple of float
        What fills up the values.
    mask : array of bool, shape (N, n_reco), optional
        Bins in the fit of each, where they differ.
    exposure : array, shape (N, n_true), optional
        cm2 s.
    matrix : array, shape (N, n_true, n_reco), optional
        Exposure times dispersion.

    Returns
    -------
    array, shape (N, D), and a tuple of str
        The numbers, and what they are: the `own` of `EachCompact`.
    """
    n, (rows, columns) = len(values[0]), size
    parts, names = [], ["values"]
    for v, fill in zip(values, harmless, strict=True):
        inside = v[:, fit] if mask is None else np.where(mask[:, fit], v[:, fit], fill)
        parts.append(np.pad(inside, ((0, 0), (0, columns - len(fit))), constant_values=fill))
    if matrix is not None:
        full = np.zeros((n, rows, columns))
        full[:, : len(used), : len(fit)] = matrix[:, used][:, :, fit]
        parts.append(full.reshape(n, -1))
        names.append("matrix")
    if exposure is not None:
        parts.append(np.pad(exposure[:, used], ((0, 0), (0, rows - len(used)))))
        names.append("exposure")
    if mask is not None:
        parts.append(np.pad(mask[:, fit].astype(float), ((0, 0), (0, columns - len(fit)))))
        names.append("mask")
    return np.concatenate(parts, axis=1), tuple(names)


def compact_of(likelihood: Any, used: np.ndarray, fit: np.ndarray, matrix: np.ndarray) -> Compact:
    """Compact form of a likelihood of one data set with chosen bins and another matrix; see `bins_of`."""
    (structure,), (data,) = likelihood.structure.datasets, likelihood.data
    return Compact(likelihood.structure, (bins_of(structure, data, used, fit, matrix),), likelihood.numbers)
