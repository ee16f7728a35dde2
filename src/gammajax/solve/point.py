"""Statistic, gradient and exact Hessian at one point: the program that the fit has compiled, for whoever needs a single point."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import ref

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.compiling import finished, traced
from gammajax.direct import direct
from gammajax.units import double_precision

__all__ = ["derivatives", "derivatives_at", "is_compiled", "scores"]


# after so many points of one kind in fits, the bins in the fit have a program of their own: it needs half the time of the one over all
# bins, which serves every mask, and by now that has taken as long as compiling takes
REPEATED = 5000

_asked: dict[tuple, int] = {}


# of leaves, for then the tree is walked once, and into one array, for each costs a transfer
@lru_cache(maxsize=256)
def _program(tree: Any) -> Callable[[tuple, Any], jax.Array]:
    def point(leaves: tuple, theta: jax.Array) -> jax.Array:
        form = jax.tree.unflatten(tree, leaves)
        stat, gradient, first, second = _of_compact(form, theta) if hasattr(form, "fold") else form.scoring(theta)
        return jnp.concatenate([stat[None], gradient, (first + second).ravel(), first.ravel()])

    return jax.jit(traced(point))


def _of_compact(form: Any, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    everything = tuple(range(theta.shape[0]))
    return form.scores(form.fold(theta, everything), None, everything)


class _Ready(NamedTuple):
    """A likelihood as its program takes it: the data it is of, the program, its leaves, and what it is compiled for."""

    data: Any
    numbers: Any
    run: Callable[[tuple, Any], jax.Array]
    leaves: tuple
    kind: tuple


def _ready(likelihood: Any, compact: bool = False) -> _Ready:
    """Over all bins, one program for fit, covariance, every backend and the first small scans; or over the bins in the fit."""
    name = "compact point" if compact else "point"
    known = likelihood.prepared.get(name)
    if known is None or known.data is not likelihood.data or known.numbers is not likelihood.numbers:
        leaves, tree = jax.tree.flatten(likelihood.compact() if compact else direct(likelihood))
        kind = tree, tuple(np.shape(a) for a in leaves)
        known = _Ready(likelihood.data, likelihood.numbers, _program(tree), tuple(leaves), kind)
        likelihood.prepared[name] = known
    return known


def _often(likelihood: Any) -> bool:
    """Whether fits have asked for so many points that another program pays; counts this one."""
    kind = _ready(likelihood, compact=True).kind
    _asked[kind] = asked = _asked.get(kind, 0) + 1
    return asked > REPEATED


def _cut(row: np.ndarray, n: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Statistic, gradient, Hessian and its first part, of n parameters."""
    middle = 1 + n + n * n
    return float(row[0]), row[1 : 1 + n], row[1 + n : middle].reshape(n, n), row[middle:].reshape(n, n)


# likelihoods of which structure and with arrays of which sizes it was compiled for
_compiled: set = set()
# the last point: scans, intervals and contours after a fit all begin at the same one. The data are compared by identity; they are
# made anew when anything in them changes
_last: tuple[tuple, tuple, tuple] | None = None


def is_compiled(likelihood: Any) -> bool:
    """Whether points of such a likelihood were computed before."""
    return _ready(likelihood).kind in _compiled


def derivatives(likelihood: Any, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Statistic, gradient (P,) and exact Hessian (P, P) at theta (P,), internal units."""
    return scores(likelihood, theta)[:3]


def scores(likelihood: Any, theta: np.ndarray, fits: bool = False) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The same, and the part of the Hessian (P, P) that is never negative: for chi2 that of Gauss and Newton.

    With `fits` it is one of the many points of a fit, which may have a program of their own: the last digits are then others.
    """
    global _last
    compact = fits and _often(likelihood)
    # the numbers of priors are few and are made anew each time: their values count
    values = (theta, *jax.tree.leaves(likelihood.numbers))
    key = compact, b"".join(np.asarray(a, dtype=float).tobytes() for a in values)
    # another thread may replace it at any moment
    last = _last
    if last is not None and last[1] == key and _holds(last[0], likelihood):
        return last[2]
    ready = _ready(likelihood, compact)
    try:
        with double_precision():
            out = _cut(np.asarray(ready.run(ready.leaves, theta)), len(theta))
    finally:
        finished()
    _compiled.add(ready.kind)
    _last = (likelihood.structure, tuple(ref(d) for d in _parts(likelihood))), key, out
    return out


def derivatives_at(likelihood: Any, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same at points (n, P), one after the other: shapes (n,), (n, P), (n, P, P)."""
    ready = _ready(likelihood)
    try:
        with double_precision():
            # all are under way before the first is waited for
            rows = np.array([np.asarray(row) for row in [ready.run(ready.leaves, theta) for theta in points]])
    finally:
        finished()
    n = points.shape[1]
    middle = 1 + n + n * n
    return rows[:, 0], rows[:, 1 : 1 + n], rows[:, 1 + n : middle].reshape(-1, n, n)


def _holds(known: tuple, likelihood: Any) -> bool:
    structure, data = known
    parts = _parts(likelihood)
    same = len(data) == len(parts) and all(k() is d for k, d in zip(data, parts, strict=True))
    return same and (structure is likelihood.structure or structure == likelihood.structure)


def _parts(likelihood: Any) -> list:
    """Objects that are the same as long as the data are: the data sets' own, or the arrays of a function."""
    return [p for d in likelihood.data for p in ([d] if hasattr(d, "mask") else jax.tree.leaves(d))]
