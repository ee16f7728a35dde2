"""Many problems with one strength each: minimum and crossings of a convex statistic, all at once on the host."""

from collections.abc import Callable

import numpy as np

__all__ = ["norm_crossings", "norm_minimum"]

# strengths (K, L) -> statistic, slope and curvature, each (K, L)
Curve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
ROUNDS = 200
EDM = 1e-12


def norm_minimum(curve: Curve, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimise each over its strength by Newton's method, a step halved where it leaves the domain or rises.

    Parameters
    ----------
    curve : callable
        Statistic, slope and curvature at strengths (K, L); +inf outside of the domain.
    start : array, shape (K,)
        Where to begin, inside of the domain.

    Returns
    -------
    x : array, shape (K,)
        Strengths.
    success : array of bool, shape (K,)
        Whether the slope is zero there and the curvature positive.
    """
    x = start.copy()
    stat, slope, curvature = (a[:, 0] for a in curve(x[:, None]))
    shrink = np.ones(len(x))
    for _ in range(ROUNDS):
        curved = curvature > 0
        step = -slope / np.where(curved, curvature, 1.0)
        # without curvature, as for counts of zero, there is only a direction
        step = np.where(curved, step, -np.sign(slope) * (1 + np.abs(x)))
        reach = 4 * (1 + np.abs(x))
        trial = x + np.clip(step, -reach, reach) * shrink
        done = curved & (0.5 * slope * slope / np.where(curved, curvature, 1.0) < EDM)
        if done.all() or np.all(done | (shrink < 1e-12)):
            break
        trial = np.where(done, x, trial)
        new = [a[:, 0] for a in curve(trial[:, None])]
        better = np.isfinite(new[0]) & (new[0] <= stat + 1e-13 * (1 + np.abs(stat))) & np.isfinite(new[1])
        x = np.where(better, trial, x)
        stat, slope, curvature = (np.where(better, a, b) for a, b in zip(new, (stat, slope, curvature), strict=True))
        shrink = np.where(better, np.minimum(1.0, 4 * shrink), 0.25 * shrink)
    curved = curvature > 0
    edm = 0.5 * slope * slope / np.where(curved, curvature, 1.0)
    return x, np.isfinite(stat) & curved & (edm < 1e-8)


def norm_crossings(
    curve: Curve, best: np.ndarray, stat: np.ndarray, error: np.ndarray, levels: np.ndarray, sides: np.ndarray
) -> np.ndarray:
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

    Returns
    -------
    array, shape (K, L)
        Strengths.
    """
    begin, floor = best[:, None], stat[:, None]
    scale = np.where(np.isfinite(error) & (error > 0), error, 1.0)[:, None]
    inner = begin + np.zeros(len(levels))
    outer = begin + sides * np.sqrt(levels) * scale
    for _ in range(60):
        value, slope, _ = curve(outer)
        short = value - floor - levels < 0
        if not short.any():
            break
        inner = np.where(short, outer, inner)
        outer = np.where(short, outer + sides * (0.3 * np.abs(outer - begin) + np.abs(outer - inner)), outer)
    x = outer.copy()
    for _ in range(ROUNDS):
        rise = value - floor - levels
        finite = np.isfinite(rise)
        inner, outer = np.where(finite & (rise < 0), x, inner), np.where(~finite | (rise >= 0), x, outer)
        there = np.abs(np.where(finite, rise, np.inf)) <= 1e-10 * levels
        if there.all():
            break
        new = x - np.where(finite, rise, 0.0) / np.where(finite & (slope != 0), slope, 1.0)
        usable = finite & (slope != 0) & (new > np.minimum(inner, outer)) & (new < np.maximum(inner, outer))
        x = np.where(there, x, np.where(usable, new, 0.5 * (inner + outer)))
        value, slope, _ = curve(x)
    rise = value - floor - levels
    return np.where(np.abs(np.where(np.isfinite(rise), rise, np.inf)) <= 1e-6 * levels, x, np.nan)
