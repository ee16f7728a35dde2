"""Grids of the statistic: every node a start of its own, no node a neighbour's heir."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.solve import BatchResult, Status, evaluate_batch, minimize_batch

__all__ = [
    "GridScan",
    "check_axis",
    "frozen_grid",
    "grid_points",
    "outside_limits",
    "profile_grid",
    "refit_points",
]

OPTIONS = ("tol", "max_iter")


@dataclass(frozen=True)
class GridScan:
    """Arrays of a scan over a grid of shape S, with P parameters.

    Attributes
    ----------
    stat : array, shape S
        Statistic.
    theta : array, shape S + (P,)
        Parameters at each node, internal units.
    edm : array, shape S
        Expected distance to the minimum in the re-fitted parameters; nan where nothing was fitted.
    status : array of int, shape S
        `gammajax.solve.Status`.
    """

    stat: np.ndarray
    theta: np.ndarray
    edm: np.ndarray
    status: np.ndarray


def check_axis(values: Any, name: str) -> np.ndarray:
    """Scan values as a float array; refuses what would not be a scan.

    Raises
    ------
    InputError
        For an empty, non-finite or repeated node.
    """
    values = np.atleast_1d(np.asarray(values, dtype=float))
    if values.ndim != 1 or values.size == 0:
        raise InputError(
            f"scan of {name}: got values of shape {values.shape}, expected at least one value in one dimension."
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InputError(f"scan of {name}: value {bad[0]} is {values[bad[0]]}, expected finite values.")
    unique, counts = np.unique(values, return_counts=True)
    if len(unique) < len(values):
        raise InputError(f"scan of {name}: the value {unique[np.argmax(counts)]:g} stands there more than once.")
    return values


def grid_points(
    theta: np.ndarray, index: Sequence[int], axes: Sequence[np.ndarray]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """All nodes of a grid as full vectors, shape (n, P), and the shape of the grid."""
    mesh = np.meshgrid(*axes, indexing="ij")
    points = np.tile(theta, (mesh[0].size, 1))
    for i, m in zip(index, mesh, strict=True):
        points[:, i] = m.ravel()
    return points, mesh[0].shape


def outside_limits(likelihood: Any, points: np.ndarray, index: Sequence[int]) -> np.ndarray:
    """Which nodes lie outside the limits of a scanned parameter, shape (n,)."""
    i = list(index)
    return np.any((points[:, i] < likelihood.lower[i]) | (points[:, i] > likelihood.upper[i]), axis=1)


def frozen_grid(likelihood: Any, index: Sequence[int], axes: Sequence[np.ndarray]) -> GridScan:
    """Statistic on a grid with every other parameter held at its value.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function; its start vector gives the other parameters.
    index : sequence of int
        Positions of the scanned parameters.
    axes : sequence of array
        Their values, internal units.
    """
    points, shape = grid_points(likelihood.start, index, axes)
    stat = evaluate_batch(likelihood, points)
    status = np.where(np.isfinite(stat), Status.EVALUATED, Status.NON_FINITE)
    status = np.where(outside_limits(likelihood, points, index), Status.OUTSIDE_LIMITS, status)
    return GridScan(stat.reshape(shape), points.reshape(*shape, -1), np.full(shape, np.nan), status.reshape(shape))


def linear_prediction(
    points: np.ndarray, best: np.ndarray, hessian: np.ndarray, index: list[int], free: np.ndarray
) -> np.ndarray:
    r"""Nuisance parameters predicted from the best fit, :math:`\hat\nu - H_{\nu\nu}^{-1} H_{\nu\psi} (\psi - \hat\psi)`.

    Parameters
    ----------
    points : array, shape (n, P)
        Nodes with the other parameters at the best fit.
    best : array, shape (P,)
        Best fit.
    hessian : array, shape (P, P)
        Exact Hessian there.
    index : list of int
        Scanned parameters.
    free : array of bool, shape (P,)
        Nuisance parameters.

    Returns
    -------
    array, shape (n, P)
        The nodes with predicted nuisance parameters; unchanged where the Hessian allows no prediction.
    """
    nuisance = np.flatnonzero(free)
    block, cross = hessian[np.ix_(nuisance, nuisance)], hessian[np.ix_(nuisance, index)]
    diagonal = np.diag(block)
    if len(nuisance) == 0 or np.any(diagonal <= 0) or not np.all(np.isfinite(hessian)):
        return points
    scale = 1 / np.sqrt(diagonal)
    slope, *_ = np.linalg.lstsq(block * np.outer(scale, scale), cross * scale[:, None], rcond=1e-12)
    predicted = points.copy()
    predicted[:, nuisance] -= (points[:, index] - best[index]) @ (slope * scale[:, None]).T
    return predicted


def refit_points(
    likelihood: Any,
    index: Sequence[int],
    values: np.ndarray,
    best: np.ndarray,
    hessian: np.ndarray,
    **options: Any,
) -> BatchResult:
    """Statistic at points of some parameters with every other free parameter re-fitted, in one batch.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    index : sequence of int, length k
        Positions of the held parameters.
    values : array, shape (n, k)
        Their values, internal units.
    best : array, shape (P,)
        Best fit.
    hessian : array, shape (P, P)
        Exact Hessian there.
    **options
        `tol` and `max_iter` of `gammajax.solve.minimize_batch`.
    """
    for name in options:
        if name not in OPTIONS:
            raise InputError(f"re-optimised scan: unknown option {name!r}; known are: {', '.join(OPTIONS)}.")
    held = list(index)
    free = likelihood.free.copy()
    free[held] = False
    points = np.tile(best, (len(values), 1))
    points[:, held] = values
    predicted = linear_prediction(points, best, hessian, held, free)
    bounded = np.where(free, np.clip(predicted, likelihood.lower, likelihood.upper), predicted)
    starts = np.stack([bounded, points], axis=1)
    scale = _scales(likelihood, hessian)
    return minimize_batch(likelihood, starts, free, likelihood.lower, likelihood.upper, scale, **options)


def profile_grid(
    likelihood: Any, index: Sequence[int], axes: Sequence[np.ndarray], hessian: np.ndarray, **options: Any
) -> GridScan:
    """Statistic on a grid with every other free parameter re-fitted at every node; see `refit_points`."""
    points, shape = grid_points(likelihood.start, index, axes)
    out = refit_points(likelihood, index, points[:, list(index)], likelihood.start, hessian, **options)
    usable = (out.status == Status.CONVERGED) | (out.status == Status.AT_LIMIT)
    status = np.where(usable & outside_limits(likelihood, points, index), Status.OUTSIDE_LIMITS, out.status)
    return GridScan(
        out.stat.reshape(shape), out.theta.reshape(*shape, -1), out.edm.reshape(shape), status.reshape(shape)
    )


def _scales(likelihood: Any, hessian: np.ndarray) -> np.ndarray:
    """Errors where the curvature gives them, otherwise the scale of the parameter."""
    diagonal = np.diag(hessian)
    good = (diagonal > 0) & np.isfinite(diagonal)
    return np.where(good, np.sqrt(2 / np.where(good, diagonal, 1.0)), likelihood.scale)
