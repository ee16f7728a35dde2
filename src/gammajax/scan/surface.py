"""Grids of two parameters in the fast way: where models are products, and nothing or one strength is re-fitted."""

from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import jax
import numpy as np

from gammajax.likelihood.factors import parts_of
from gammajax.scan.refit import Refit
from gammajax.solve import Status, evaluate_batch, fitted
from gammajax.solve.batch import MAX_ITER, TOL
from gammajax.solve.devices import pick_device
from gammajax.solve.programs import in_parallel, workers
from gammajax.solve.surface import TILE, capacity_of, cut, filled, surface_program
from gammajax.units import double_precision

__all__ = ["SurfaceScan", "fast_surface"]

# from so many nodes on in one scan, or in all of a likelihood so far, the program is worth its compilation (0.7 s, 1.7 s with re-fits)
LARGE, WORTH = 10_000, 4_000
# nodes that one thread has done before another has begun: held, re-fitted
ALONE = {False: 800, True: 200}


@dataclass(frozen=True)
class SurfaceScan:
    """Arrays of a scan over a grid of shape S.

    Attributes
    ----------
    stat, edm, status : array, shape S
        As in `GridScan`.
    base : array, shape (P,)
        Parameters that do not change.
    moved : dict of int to array
        Parameters that were re-fitted, shape S, by position.
    """

    stat: np.ndarray
    edm: np.ndarray
    status: np.ndarray
    base: np.ndarray
    moved: dict[int, np.ndarray]

    def parameter(self, i: int) -> np.ndarray:
        """Values of a parameter that is not scanned, shape S, internal units."""
        return self.moved[i] if i in self.moved else np.full(self.stat.shape, self.base[i])


class _Prepared(NamedTuple):
    """What is known of a likelihood and a pair of parameters."""

    leaves: tuple
    tree: Any
    parts: tuple
    programs: dict


def fast_surface(
    likelihood: Any, index: list[int], axes: list[np.ndarray], refit: Refit | None, device: Any = None
) -> SurfaceScan | None:
    """Statistic on a grid of two parameters, or None where there is no faster way than node by node.

    Nodes at which the short cut does not do are computed node by node.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function; its start vector gives the other parameters.
    index : list of int
        Positions of the two scanned parameters.
    axes : list of array
        Their values, internal units.
    refit : `Refit` or None
        Re-fit all other free parameters; None to hold them.
    device : jax.Device, optional
        Where to run.
    """
    n = len(axes[0]) * len(axes[1]) if len(axes) == 2 else 0
    refitted = _strength(likelihood, index, refit)
    if n == 0 or refitted == -1 or pick_device(device, n).platform != "cpu":
        return None
    prepared = _prepared(likelihood, index, refitted, n)
    if prepared is None:
        return None
    device = pick_device(device, n)
    out = _run(
        likelihood, prepared, index, axes, refitted, 0.0 if refit is None else refit.options.get("tol", TOL), device
    )
    return _held(likelihood, index, axes, out) if refit is None else _fitted(refit, index, axes, out, refitted)


def _strength(likelihood: Any, index: list[int], refit: Refit | None) -> int | None:
    """Position of the one parameter to re-fit; None if there is none to re-fit, -1 if there are other ones."""
    if refit is None:
        return None
    others = [int(i) for i in np.flatnonzero(likelihood.free) if i not in index]
    alone = refit.starts == 1 and refit.options.get("max_iter", MAX_ITER) == MAX_ITER and len(others) == 1
    return others[0] if alone else -1


def _prepared(likelihood: Any, index: list[int], refitted: int | None, n: int) -> _Prepared | None:
    """Parts and arrays of the likelihood; None if there is no short cut, or none yet that is worth a compilation."""
    key = (*index, refitted)
    known = likelihood.prepared.get(key)
    if known is None:
        compact = likelihood.compact()
        parts = parts_of(compact, index[0], index[1], refitted)
        leaves, tree = jax.tree.flatten(compact)
        known = likelihood.prepared[key] = (None if parts is None else _Prepared(tuple(leaves), tree, parts, {}), [0])
    prepared, seen = known
    if prepared is None:
        return None
    seen[0] += n
    return prepared if n >= LARGE or seen[0] >= WORTH else None


def _run(
    likelihood: Any, prepared: _Prepared, index: list[int], axes: list[np.ndarray], refitted: int | None, tol: float, device: Any
) -> np.ndarray:  # fmt: skip
    shape = (len(axes[0]), len(axes[1]))
    n = shape[0] * shape[1]
    large = n >= LARGE
    capacity = capacity_of(large)
    blocks = cut(shape, capacity, 1 if n < ALONE[refitted is not None] else workers())
    width = 1 if refitted is None else 4
    out = np.empty((*shape, width))
    middle = [0.5 * (a.min() + a.max()) for a in axes]
    limits = (0.0, 0.0) if refitted is None else (likelihood.lower[refitted], likelihood.upper[refitted])
    pair = (int(index[0]), int(index[1]))
    if capacity not in prepared.programs:
        prepared.programs[capacity] = surface_program(prepared.tree, prepared.parts, pair, refitted, capacity)
    leaves, program = prepared.leaves, prepared.programs[capacity]
    if device != jax.local_devices()[0]:
        leaves = jax.device_put(leaves, device)

    def call(begin: int, end: int) -> None:
        for block in blocks[begin:end]:
            parts = [a[s] for a, s in zip(axes, block, strict=True)]
            tiles = [ceil(len(p) / t) for p, t in zip(parts, TILE, strict=True)]
            values = [filled(p, c) for p, c in zip(parts, capacity, strict=True)]
            common = np.concatenate([likelihood.start, middle, tiles, limits, [tol], *values])
            found = program(leaves, common)
            out[block] = np.asarray(found)[: len(parts[0]), : len(parts[1])]

    if len(blocks) == 1:
        with double_precision():
            call(0, 1)
        return out
    key = ("surface", prepared.tree, prepared.parts, pair, refitted, capacity, tuple(a.shape for a in leaves))
    for _ in in_parallel(call, len(blocks), 1, 1, "cpu", key):
        pass
    return out


def _held(likelihood: Any, index: list[int], axes: list[np.ndarray], out: np.ndarray) -> SurfaceScan:
    stat = out[..., 0]
    bad = ~np.isfinite(stat)
    if bad.any():
        stat[bad] = evaluate_batch(likelihood, _points(likelihood, index, axes, bad))
        bad = ~np.isfinite(stat)
    status = np.full(stat.shape, Status.EVALUATED.value)
    status[bad] = Status.NON_FINITE.value
    status[_outside(likelihood, index, axes)] = Status.OUTSIDE_LIMITS.value
    return SurfaceScan(stat, np.full(stat.shape, np.nan), status, likelihood.start, {})


def _fitted(
    refit: Refit, index: list[int], axes: list[np.ndarray], out: np.ndarray, refitted: int | None
) -> SurfaceScan:
    assert refitted is not None
    stat, strength, edm, code = (np.ascontiguousarray(out[..., k]) for k in range(4))
    good = np.isfinite(stat)
    status = np.where(good, code, Status.ITERATION_LIMIT.value).astype(int)
    good &= fitted(status)
    if not good.all():
        # the general solver has more patience: damping, other starts, corners of the statistic
        again = refit.points([(index, _points(refit.likelihood, index, axes, ~good)[:, index])])
        stat[~good], strength[~good], edm[~good] = again.stat, again.theta[:, refitted], again.edm
        status[~good] = again.status
    status[fitted(status) & _outside(refit.likelihood, index, axes)] = Status.OUTSIDE_LIMITS.value
    return SurfaceScan(stat, edm, status, refit.best, {refitted: strength})


def _points(likelihood: Any, index: list[int], axes: list[np.ndarray], which: np.ndarray) -> np.ndarray:
    """Some nodes as full vectors, shape (n, P)."""
    at = np.nonzero(which)
    points = np.tile(likelihood.start, (len(at[0]), 1))
    for i, a, k in zip(index, axes, at, strict=True):
        points[:, i] = a[k]
    return points


def _outside(likelihood: Any, index: list[int], axes: list[np.ndarray]) -> np.ndarray:
    """Nodes outside the limits of a scanned parameter."""
    x, y = ((a < likelihood.lower[i]) | (a > likelihood.upper[i]) for i, a in zip(index, axes, strict=True))
    return x[:, None] | y[None, :]
