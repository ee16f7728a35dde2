"""One likelihood for many data sets of the same structure: each lane of a batch has data of its own."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.likelihood.bins import bins_of
from gammajax.likelihood.compact import Compact

__all__ = ["EachCompact", "OwnNumbers", "compact_of", "own_numbers"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EachCompact:
    """The compact form of a likelihood of one data set, whose counts, exposure or response come with each lane.

    Parameters
    ----------
    template : `Compact`
        Of one data set; its matrix is the energy dispersion alone where the exposure comes with the lanes.
    own : tuple of str
        What a lane brings, in this order: "values", and of "exposure", "mask" and "matrix" what differs.
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
        exposure = take(rows)[:, None] if "exposure" in self.own else None
        mask = take(columns) > 0 if "mask" in self.own else None
        matrix = take(rows * columns).reshape(rows, columns) if "matrix" in self.own else bins.matrix
        matrix = matrix if exposure is None else exposure * matrix
        matrix = matrix if mask is None else jnp.where(mask, matrix, 0.0)
        return replace(self.template, bins=(replace(bins, values=values, matrix=matrix),))


class OwnNumbers:
    """Rows of numbers, shape (N, D), with a response matrix at the end of each; none is made before it is needed.

    All matrices at once would be another copy of the largest array there is, made by one thread before the others can begin.

    Parameters
    ----------
    small : array, shape (N, S)
        What comes before the matrix.
    exposure : array, shape ([N,] n_true)
        cm2 s.
    edisp : array, shape (N, n_true, n_reco)
        Dispersion.
    used, fit : array of int
        Bins of the matrix that count, in true and reconstructed energy.
    size : pair of int
        Rows and columns of the compact matrix.
    """

    def __init__(
        self, small: np.ndarray, exposure: np.ndarray, edisp: np.ndarray, used: np.ndarray, fit: np.ndarray, size: tuple[int, int]
    ) -> None:  # fmt: skip
        self.small, self.edisp, self.used, self.fit, self.size = small, edisp, used, fit, size
        self.exposure = np.broadcast_to(exposure, edisp.shape[:2])
        self.shape = (len(small), small.shape[1] + size[0] * size[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> np.ndarray:
        """Some rows, by an index array or a slice."""
        out = np.empty((len(self.small[which]), self.shape[1]))
        self.write(which, out)
        return out

    def write(self, which: Any, out: np.ndarray) -> None:
        """Put some rows into an array; the last axis of `out` is contiguous."""
        n_small, (rows, columns) = self.small.shape[1], self.size
        out[:, :n_small] = self.small[which]
        matrix = out[:, n_small:].reshape(len(out), rows, columns)
        matrix[:, len(self.used) :] = 0.0
        matrix[:, :, len(self.fit) :] = 0.0
        true, reco = _as_slice(self.used), _as_slice(self.fit)
        factor, values = self.exposure[which][:, true, None], self.edisp[which][:, true][:, :, reco]
        np.multiply(factor, values, out=matrix[:, : len(self.used), : len(self.fit)])


def _as_slice(indices: np.ndarray) -> Any:
    """Neighbours as a slice, which copies nothing."""
    if len(indices) and np.array_equal(indices, np.arange(indices[0], indices[0] + len(indices))):
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


def own_numbers(
    values: list[np.ndarray],
    *,
    fit: np.ndarray,
    used: np.ndarray,
    size: tuple[int, int],
    harmless: tuple[float, ...],
    mask: np.ndarray | None = None,
    exposure: np.ndarray | None = None,
    edisp: np.ndarray | None = None,
) -> tuple[np.ndarray | OwnNumbers, tuple[str, ...]]:
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
    exposure : array, shape ([N,] n_true), optional
        cm2 s; needed with `edisp`, otherwise only where it differs.
    edisp : array, shape (N, n_true, n_reco), optional
        Dispersion, where it differs.

    Returns
    -------
    array or `OwnNumbers`, shape (N, D), and a tuple of str
        The numbers, and what they are: the `own` of `EachCompact`.
    """
    rows, columns = size
    parts, names = [], ["values"]
    for v, fill in zip(values, harmless, strict=True):
        inside = v[:, fit] if mask is None else np.where(mask[:, fit], v[:, fit], fill)
        parts.append(np.pad(inside, ((0, 0), (0, columns - len(fit))), constant_values=fill))
    if exposure is not None and edisp is None:
        parts.append(np.pad(exposure[:, used], ((0, 0), (0, rows - len(used)))))
        names.append("exposure")
    if mask is not None:
        parts.append(np.pad(mask[:, fit].astype(float), ((0, 0), (0, columns - len(fit)))))
        names.append("mask")
    small = np.concatenate(parts, axis=1)
    if edisp is None:
        return small, tuple(names)
    assert exposure is not None
    return OwnNumbers(small, exposure, edisp, used, fit, size), (*names, "matrix")


def compact_of(likelihood: Any, used: np.ndarray, fit: np.ndarray, matrix: np.ndarray) -> Compact:
    """Compact form of a likelihood of one data set with chosen bins and another matrix; see `bins_of`."""
    (structure,), (data,) = likelihood.structure.datasets, likelihood.data
    return Compact(likelihood.structure, (bins_of(structure, data, used, fit, matrix),), likelihood.numbers)
