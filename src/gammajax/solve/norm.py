"""Many problems with one strength each: minimum and crossings of a convex statistic, all at once, on the host or in a program."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["HOST", "TRACED", "Way", "norm_crossings", "norm_minimum"]

# strengths (K, L) -> statistic, slope and curvature, each (K, L)
Curve = Callable[[Any], tuple[Any, Any, Any]]
ROUNDS = 200
# rounds in which a bracket is widened
WIDER = 60
EDM = 1e-12


@dataclass(frozen=True)
class Way:
    """Where a search runs: its array functions, and its loop as ``loop(condition, body, state)``."""

    xp: Any
    loop: Callable[[Callable, Callable, Any], Any]


def _host_loop(condition: Callable, body: Callable, state: Any) -> Any:
    while condition(state):
        state = body(state)
    return state


# a curve that is computed on the host, as one with re-fits
HOST = Way(np, _host_loop)
# within a compiled function: one call for the whole search
TRACED = Way(jnp, jax.lax.while_loop)


def norm_minimum(curve: Curve, start: Any, way: Way = HOST) -> tuple[Any, Any]:
    """Minimise each over its strength by Newton's method, a step halved where it leaves the domain or rises.

    Parameters
    ----------
    curve : callable
        Statistic, slope and curvature at strengths (K, L); +inf outside of the domain.
    start : array, shape (K,)
        Where to begin, inside of the domain.
    way : `Way`
        Where it runs.

    Returns
    -------
    x : array, shape (K,)
        Strengths.
    success : array of bool, shape (K,)
        Whether the slope is zero there and the curvature positive.
    """
    xp = way.xp

    def at(x: Any) -> tuple:
        return tuple(a[:, 0] for a in curve(x[:, None]))

    def edm(slope: Any, curvature: Any) -> Any:
        return 0.5 * slope * slope / xp.where(curvature > 0, curvature, 1.0)

    def done(slope: Any, curvature: Any) -> Any:
        return (curvature > 0) & (edm(slope, curvature) < EDM)

    def go_on(state: tuple) -> Any:
        k, _, _, slope, curvature, shrink = state
        return (k < ROUNDS) & ~xp.all(done(slope, curvature) | (shrink < 1e-12))

    def body(state: tuple) -> tuple:
        k, x, stat, slope, curvature, shrink = state
        curved = curvature > 0
        # without curvature, as for counts of zero, there is only a direction
        step = xp.where(curved, -slope / xp.where(curved, curvature, 1.0), -xp.sign(slope) * (1 + xp.abs(x)))
        reach = 4 * (1 + xp.abs(x))
        trial = xp.where(done(slope, curvature), x, x + xp.clip(step, -reach, reach) * shrink)
        new = at(trial)
        better = xp.isfinite(new[0]) & (new[0] <= stat + 1e-13 * (1 + xp.abs(stat))) & xp.isfinite(new[1])
        x = xp.where(better, trial, x)
        stat, slope, curvature = (xp.where(better, a, b) for a, b in zip(new, (stat, slope, curvature), strict=True))
        return k + 1, x, stat, slope, curvature, xp.where(better, xp.minimum(1.0, 4 * shrink), 0.25 * shrink)

    begin = (0, start, *at(start), xp.ones(start.shape))
    _, x, stat, slope, curvature, _ = way.loop(go_on, body, begin)
    return x, xp.isfinite(stat) & (curvature > 0) & (edm(slope, curvature) < 1e-8)


def norm_crossings(curve: Curve, best: Any, stat: Any, error: Any, levels: Any, sides: Any, way: Way = HOST) -> Any:
    """Strengths at which the statistic has risen by a level above its value at `best`, all levels and sides at once.

    Newton's method inside a bracket: every value comes back either as a crossing to 1e-10 of the level, or as nan.

    Parameters
    ----------
    curve : callable
        As in `norm_minimum`.
    best, stat : array, shape (K,)
        Where to begin, and the statistic there.
    error : array, shape (K,)
        Typical size; nan where unknown.
    levels : array, shape (L,)
        Rises of the statistic.
    sides : array, shape (L,)
        +1 above, -1 below.
    way : `Way`
        Where it runs.

    Returns
    -------
    array, shape (K, L)
        Strengths.
    """
    xp = way.xp
    if len(levels) == 0:
        return xp.zeros((len(best), 0))
    begin, floor = best[:, None], stat[:, None]
    scale = xp.where(xp.isfinite(error) & (error > 0), error, 1.0)[:, None]

    def rise_at(x: Any) -> tuple:
        value, slope, _ = curve(x)
        return value - floor - levels, slope

    def too_short(state: tuple) -> Any:
        k, _, _, rise, _ = state
        return (k < WIDER) & xp.any(rise < 0)

    def widen(state: tuple) -> tuple:
        k, inner, outer, rise, _ = state
        short = rise < 0
        further = outer + sides * (0.3 * xp.abs(outer - begin) + xp.abs(outer - inner))
        inner, outer = xp.where(short, outer, inner), xp.where(short, further, outer)
        return k + 1, inner, outer, *rise_at(outer)

    def off(rise: Any) -> Any:
        return xp.abs(xp.where(xp.isfinite(rise), rise, xp.inf)) / levels

    def not_there(state: tuple) -> Any:
        k, _, _, _, rise, _ = state
        return (k < ROUNDS) & xp.any(off(rise) > 1e-10)

    def closer(state: tuple) -> tuple:
        k, inner, outer, x, rise, slope = state
        finite = xp.isfinite(rise)
        inner, outer = xp.where(finite & (rise < 0), x, inner), xp.where(~finite | (rise >= 0), x, outer)
        new = x - xp.where(finite, rise, 0.0) / xp.where(finite & (slope != 0), slope, 1.0)
        usable = finite & (slope != 0) & (new > xp.minimum(inner, outer)) & (new < xp.maximum(inner, outer))
        x = xp.where(off(rise) <= 1e-10, x, xp.where(usable, new, 0.5 * (inner + outer)))
        return k + 1, inner, outer, x, *rise_at(x)

    first = begin + sides * xp.sqrt(levels) * scale
    _, inner, outer, rise, slope = way.loop(
        too_short, widen, (0, begin + xp.zeros(first.shape), first, *rise_at(first))
    )
    *_, x, rise, _ = way.loop(not_there, closer, (0, inner, outer, outer, rise, slope))
    return xp.where(off(rise) <= 1e-6, x, xp.nan)
