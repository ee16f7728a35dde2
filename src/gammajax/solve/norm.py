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

    def edm(slope: Any, curvature: Any) -> Any:
        return 0.5 * slope * slope / xp.where(curvature > 0, curvature, 1.0)

    def done(slope: Any, curvature: Any) -> Any:
        return (curvature > 0) & (edm(slope, curvature) < EDM)

    def go_on(state: tuple) -> Any:
        k, _, _, _, slope, curvature, shrink = state
        return (k < ROUNDS) & ~xp.all(done(slope, curvature) | (shrink < 1e-12))

    # the curve is called in one place only: each would be compiled
    def body(state: tuple) -> tuple:
        k, trial, x, stat, slope, curvature, shrink = state
        new = [a[:, 0] for a in curve(trial[:, None])]
        better = xp.isfinite(new[0]) & (new[0] <= stat + 1e-13 * (1 + xp.abs(stat))) & xp.isfinite(new[1])
        x = xp.where(better, trial, x)
        stat, slope, curvature = (xp.where(better, a, b) for a, b in zip(new, (stat, slope, curvature), strict=True))
        shrink = xp.where(better, xp.minimum(1.0, 4 * shrink), 0.25 * shrink)
        curved = curvature > 0
        # without curvature, as for counts of zero, there is only a direction
        step = xp.where(curved, -slope / xp.where(curved, curvature, 1.0), -xp.sign(slope) * (1 + xp.abs(x)))
        reach = 4 * (1 + xp.abs(x))
        trial = xp.where(done(slope, curvature), x, x + xp.clip(step, -reach, reach) * shrink)
        return k + 1, trial, x, stat, slope, curvature, shrink

    zero, one = xp.zeros(start.shape), xp.ones(start.shape)
    _, _, x, stat, slope, curvature, _ = way.loop(go_on, body, (0, start, start, xp.inf * one, zero, zero, one))
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

    def off(rise: Any) -> Any:
        return xp.abs(xp.where(xp.isfinite(rise), rise, xp.inf)) / levels

    def not_there(state: tuple) -> Any:
        k, *_, rise = state
        return (k < ROUNDS) & xp.any(off(rise) > 1e-10)

    def closer(state: tuple) -> tuple:
        k, inner, outer, _, x, _ = state
        value, slope, _ = curve(x)
        rise = value - floor - levels
        finite = xp.isfinite(rise)
        short = finite & (rise < 0)
        # beyond what is known to be too short, until something is not
        further = x + sides * (0.3 * xp.abs(x - begin) + xp.abs(x - inner))
        inner, outer = xp.where(short, x, inner), xp.where(short, outer, x)
        new = x - xp.where(finite, rise, 0.0) / xp.where(finite & (slope != 0), slope, 1.0)
        usable = finite & (slope != 0) & (new > xp.minimum(inner, outer)) & (new < xp.maximum(inner, outer))
        inside = xp.where(usable, new, 0.5 * (inner + outer))
        new = xp.where(xp.isfinite(outer), inside, further)
        return k + 1, inner, outer, x, xp.where(off(rise) <= 1e-10, x, new), rise

    first = begin + sides * xp.sqrt(levels) * scale
    nothing = xp.inf * xp.ones(first.shape)
    state = (0, begin + xp.zeros(first.shape), sides * nothing, first, first, nothing)
    *_, x, _, rise = way.loop(not_there, closer, state)
    return xp.where(off(rise) <= 1e-6, x, xp.nan)
