"""Grids of two parameters in the fast way: where models are products, and nothing or one strength is re-fitted."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.scan.blocks import Blocks, Setting, middle_of, missing, only_strength
from gammajax.scan.refit import Refit
from gammajax.solve import Status, evaluate_batch, fitted
from gammajax.solve.batch import MAX_ITER, TOL
from gammajax.solve.devices import pick_device
from gammajax.solve.memory import within_memory
from gammajax.solve.programs import workers

__all__ = ["LARGE", "SurfaceScan", "fast_surface"]

# from so many nodes on in one scan, or in all of a likelihood so far, the program is worth its compilation (0.7 s, 1.7 s with re-fits)
LARGE, WORTH = 10_000, 4_000
# nodes that one thread has done as soon as two, because the other has to be woken: held, re-fitted (measured on two cores)
ALONE = {False: 1300, True: 1000}


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
        return self.moved[i] if i in self.moved else np.broadcast_to(self.base[i], self.stat.shape)


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
    if n == 0 or refitted == -1:
        return None
    blocks = _prepared(likelihood, index, refitted, n)
    if blocks is None:
        return None
    limits = (0.0, 0.0) if refitted is None else (likelihood.lower[refitted], likelihood.upper[refitted])
    tol = 0.0 if refit is None else refit.options.get("tol", TOL)
    setting = Setting(likelihood.start, middle_of(axes), limits, tol)
    parallel = 1 if n < ALONE[refitted is not None] else workers()
    where = pick_device(device, n)
    out = within_memory(lambda: blocks.run(setting, axes, (where,), n >= LARGE, parallel), where, n, refit is not None)
    return _held(likelihood, index, axes, out) if refit is None else _fitted(refit, index, axes, out, refitted)


def _strength(likelihood: Any, index: list[int], refit: Refit | None) -> int | None:
    """Position of the one parameter to re-fit; None if there is none to re-fit, -1 if there are other ones."""
    if refit is None:
        return None
    alone = refit.starts == 1 and refit.options.get("max_iter", MAX_ITER) == MAX_ITER
    return only_strength(likelihood.free, index) if alone else -1


def _prepared(likelihood: Any, index: list[int], refitted: int | None, n: int) -> Blocks | None:
    """The program for the likelihood; None if there is no short cut, or none yet that is worth a compilation."""
    key = (*index, refitted)
    known = likelihood.prepared.get(key)
    if known is None:
        pair = (int(index[0]), int(index[1]))
        known = likelihood.prepared[key] = (Blocks.of(likelihood.compact(), pair, refitted), [0])
    blocks, seen = known
    if blocks is None:
        return None
    seen[0] += n
    return blocks if n >= LARGE or seen[0] >= WORTH else None


def _held(likelihood: Any, index: list[int], axes: list[np.ndarray], out: tuple[np.ndarray, ...]) -> SurfaceScan:
    (stat,), bad = out, missing(out)
    if bad.any():
        points = np.tile(likelihood.start, (int(bad.sum()), 1))
        points[:, index] = _values(axes, np.nonzero(bad))
        stat[bad] = evaluate_batch(likelihood, points)
    status = np.full(stat.shape, Status.EVALUATED.value)
    if bad.any():
        status[~np.isfinite(stat)] = Status.NON_FINITE.value
    outside = _outside(likelihood, index, axes)
    if outside is not None:
        status[outside] = Status.OUTSIDE_LIMITS.value
    # what is the same at all nodes needs no room
    return SurfaceScan(stat, np.broadcast_to(np.nan, stat.shape), status, likelihood.start, {})


def _fitted(
    refit: Refit, index: list[int], axes: list[np.ndarray], out: tuple[np.ndarray, ...], refitted: int | None
) -> SurfaceScan:
    assert refitted is not None
    (stat, strength, edm), status, bad = out[:3], out[3].astype(int), missing(out)
    if bad.any():
        # the general solver has more patience: damping, other starts, corners of the statistic
        again = refit.points([(index, _values(axes, np.nonzero(bad)))])
        stat[bad], strength[bad], edm[bad], status[bad] = again.stat, again.theta[:, refitted], again.edm, again.status
    outside = _outside(refit.likelihood, index, axes)
    if outside is not None:
        status[fitted(status) & outside] = Status.OUTSIDE_LIMITS.value
    return SurfaceScan(stat, edm, status, refit.best, {refitted: strength})


def _values(axes: list[np.ndarray], which: Any) -> np.ndarray:
    """Values of x and y at some nodes of a grid, shape (n, 2); `which` are two index arrays."""
    return np.stack([a[k] for a, k in zip(axes, which, strict=True)], axis=1)


def _outside(likelihood: Any, index: Any, axes: list[np.ndarray]) -> np.ndarray | None:
    """Nodes outside the limits of a scanned parameter, shape of the grid; None if there is none."""
    x, y = ((a < likelihood.lower[i]) | (a > likelihood.upper[i]) for i, a in zip(index, axes, strict=True))
    return x[:, None] | y[None, :] if x.any() or y.any() else None
