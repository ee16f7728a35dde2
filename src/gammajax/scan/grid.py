"""Grids of the statistic: every node a start of its own, no node a neighbour's heir."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.scan.refit import Refit
from gammajax.solve import Status, evaluate_batch, fitted

__all__ = [
    "GridScan",
    "check_axis",
    "covering_axes",
    "frozen_grid",
    "grid_points",
    "outside_limits",
    "profile_grid",
    "profile_grids",
]


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

    def parameter(self, i: int) -> np.ndarray:
        """Values of the parameter at position i, shape S, internal units."""
        return self.theta[..., i]


def check_axis(values: Any, name: str) -> np.ndarray:
    """Scan values as a float array; refuses what would not be a scan.

    Raises
    ------
    InputError
        For an empty, non-finite or repeated node.
    """
    # a copy: a result holds it, and the person may go on with the array
    values = np.atleast_1d(np.array(values, dtype=float))
    if values.ndim != 1 or values.size == 0:
        raise InputError(
            f"scan of {name}: got values of shape {values.shape}, expected at least one value in one dimension."
        )
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values)))
        raise InputError(f"scan of {name}: value {bad} is {values[bad]}, expected finite values.")
    ordered = np.sort(values)
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        raise InputError(f"scan of {name}: the value {ordered[1:][twice][0]:g} stands there more than once.")
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


def covering_axes(likelihood: Any, scans: Sequence[tuple[Sequence[int], Sequence[np.ndarray]]]) -> Any:
    """The likelihood with as many nodes as spectra need that are as steep as anywhere on some grids, other parameters at their start.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    scans : sequence of (positions, axes)
        Of each grid; values in internal units.
    """
    key = [(tuple(index), [a.tobytes() for a in axes]) for index, axes in scans], likelihood.start.tobytes()
    known = likelihood.prepared.get("ends")
    if known is None or known[0] != key:
        ends = [(tuple(index), tuple((float(a.min()), float(a.max())) for a in axes)) for index, axes in scans]
        # slopes are steepest at the ends of the axes; which bins count changes slowly in between
        coarse = [grid_points(likelihood.start, index, [np.linspace(*e, 5) for e in axes])[0] for index, axes in ends]
        step = int(np.max(likelihood.steps(np.concatenate(coarse)), initial=likelihood.step))
        known = likelihood.prepared["ends"] = key, step
    return likelihood.at_step(known[1])


def outside_limits(likelihood: Any, points: np.ndarray, index: Sequence[int]) -> np.ndarray:
    """Which nodes lie outside the limits of a scanned parameter, shape (n,)."""
    out = np.zeros(len(points), dtype=bool)
    for i in index:
        out |= (points[:, i] < likelihood.lower[i]) | (points[:, i] > likelihood.upper[i])
    return out


def frozen_grid(
    likelihood: Any, index: Sequence[int], axes: Sequence[np.ndarray], device: Any = None
) -> tuple[GridScan, float]:
    """Statistic on a grid with every other parameter held at its value, and the statistic of those values themselves.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function; its start vector gives the other parameters.
    index : sequence of int
        Positions of the scanned parameters.
    axes : sequence of array
        Their values, internal units.
    device : jax.Device, optional
        Where to run.
    """
    points, shape = grid_points(likelihood.start, index, axes)
    stat = evaluate_batch(likelihood, np.concatenate([points, likelihood.start[None]]), device)
    best, stat = float(stat[-1]), stat[:-1]
    status = np.where(np.isfinite(stat), Status.EVALUATED.value, Status.NON_FINITE.value)
    status[outside_limits(likelihood, points, index)] = Status.OUTSIDE_LIMITS.value
    grid = GridScan(stat.reshape(shape), points.reshape(*shape, -1), np.full(shape, np.nan), status.reshape(shape))
    return grid, best


def profile_grid(refit: Refit, index: Sequence[int], axes: Sequence[np.ndarray]) -> GridScan:
    """Statistic on a grid with every other free parameter re-fitted at every node.

    Parameters
    ----------
    refit : `Refit`
        Around the best fit.
    index : sequence of int
        Positions of the scanned parameters.
    axes : sequence of array
        Their values, internal units.
    """
    return profile_grids(refit, [(index, axes)])[0]


def profile_grids(refit: Refit, scans: Sequence[tuple[Sequence[int], Sequence[np.ndarray]]]) -> list[GridScan]:
    """Several grids, of different parameters, in one batch; see `profile_grid`."""
    nodes = []
    for index, axes in scans:
        if len(axes) == 1:
            nodes.append((list(index), axes[0][:, None], axes[0].shape))
            continue
        mesh = np.meshgrid(*axes, indexing="ij")
        nodes.append((list(index), np.stack([m.ravel() for m in mesh], axis=1), mesh[0].shape))
    out = refit.points([(index, values) for index, values, _ in nodes])
    grids, begin = [], 0
    for index, values, shape in nodes:
        part = out.take(slice(begin, begin + len(values)))
        begin += len(values)
        part.status[fitted(part.status) & outside_limits(refit.likelihood, part.theta, index)] = (
            Status.OUTSIDE_LIMITS.value
        )
        grids.append(
            GridScan(
                part.stat.reshape(shape),
                part.theta.reshape(*shape, -1),
                part.edm.reshape(shape),
                part.status.reshape(shape),
            )
        )
    return grids
