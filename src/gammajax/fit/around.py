"""What the statistic does around the end of a fit, one parameter at a time."""

import numpy as np

from gammajax.errors import FitError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.backends.base import Objective
from gammajax.fit.problem import Problem
from gammajax.fit.valley import is_minimum

__all__ = ["corner", "falls_for_ever", "has_no_effect", "polished"]

# changes of the statistic that count as none
NOTHING = 1e-9
# how far a parameter is followed, in powers of ten of its own size, and the rise, in units of the statistic, that is still none: rounding takes over far out
OUTWARDS = ((1, 1e-4), (2, 1e-4), (4, 1e-3), (7, 1e-1), (10, 30.0))
# a fall that is one
FALLS = 1e-5
# so many of them must be finite
CERTAIN = 3
# so many are enough where the next is this many times the start: there the rounding of the model is all that is left
ENOUGH, BEYOND = 2, 1e12
# beyond this nothing is re-fitted: the other parameters cannot make up for it
HOPELESS = 30.0


def _size(objective: Objective, x: np.ndarray, i: int) -> float:
    return float(max(abs(x[i]), abs(objective.start[i]), objective.step[i]))


def _moved(objective: Objective, x: np.ndarray, i: int, by: float) -> np.ndarray:
    out = x.copy()
    out[i] += by
    return objective.clip(out)


def has_no_effect(problem: Problem, objective: Objective, x: np.ndarray, i: int, flat: bool = False) -> bool:
    """Whether the statistic stays what it is for other values of parameter i, small and large.

    Where the statistic is so large that rounding hides an effect, only a parameter whose derivatives are 0 (`flat`) counts.
    """
    base, size = problem.stat(x), _size(objective, x, i)
    nothing, rounding = NOTHING * objective.unit(base), 1e-14 * abs(base)
    if rounding > nothing and not flat:
        return False
    tried = [_moved(objective, x, i, sign * factor * size) for factor in (0.1, 1.0) for sign in (1, -1)]
    # far out a model may end in no number at all, which says nothing
    changes = np.array([problem.stat(t) - base for t in tried])
    changes = changes[np.isfinite(changes)]
    return len(changes) > 1 and bool(np.all(np.abs(changes) <= nothing + rounding))


def polished(
    problem: Problem, objective: Objective, x: np.ndarray, held: tuple[int, ...] = ()
) -> tuple[np.ndarray, float]:
    """Where Newton's method ends from x, some parameters held, and the statistic there: x itself where it finds nothing lower."""
    base = problem.stat(x)
    free = [k for k in range(len(x)) if k not in held]
    if not free or not np.isfinite(base):
        return x, base
    theta = problem.theta(x)
    fixed = {int(problem.index[k]): float(theta[problem.index[k]]) for k in held}
    try:
        part = Problem(problem.likelihood, fixed, start=theta, scale=problem.scale[free]).objective()
        out = get_backend("newton")(part, tol=1e-24, max_iter=60)
    except FitError:
        return x, base
    if not out.fun <= base:
        return x, base
    end = x.copy()
    end[free] = out.x
    return end, float(out.fun)


def _profile(problem: Problem, objective: Objective, x: np.ndarray, i: int, by: float, alone: bool) -> float:
    """Statistic with parameter i moved and the others re-fitted, or where they are (`alone`)."""
    moved = _moved(objective, x, i, by)
    stat = problem.stat(moved)
    if alone or not np.isfinite(stat) or stat > problem.stat(x) + HOPELESS * objective.unit(problem.stat(x)):
        return stat
    return polished(problem, objective, moved, (i,))[1]


def falls_for_ever(problem: Problem, objective: Objective, x: np.ndarray, i: int, level: bool = True) -> str:
    """Side towards which the statistic never rises again, the other parameters re-fitted; or an empty string.

    Only where there is no limit, and where it does rise towards the other side: a parameter that can be made up for by others in
    both directions is not running away. Where the others have no minimum themselves, they stay where they are: away from one they would make
    the statistic fall whatever parameter i does. At a minimum it is enough that the statistic stays `level` on the way out; elsewhere
    it must fall, for a parameter may also be without effect there only because of what the others are.
    """
    settled, base = polished(problem, objective, x, (i,))
    alone = not is_minimum(problem, objective, settled, [k for k in range(len(x)) if k != i])
    x, base = (x, problem.stat(x)) if alone else (settled, base)
    size = _size(objective, x, i)
    for side, sign, limit in (("upper", 1.0, objective.upper[i]), ("lower", -1.0, objective.lower[i])):
        if np.isfinite(limit) or not _level(problem, objective, x, i, sign * size, base, alone, level):
            continue
        back = [_profile(problem, objective, x, i, -sign * size * factor, alone) for factor in (0.5, 1.0, 10.0)]
        if any(not s <= base + 1e-2 * objective.unit(base) for s in back):
            return side
    return ""


def _level(
    problem: Problem, objective: Objective, x: np.ndarray, i: int, by: float, base: float, alone: bool, level: bool
) -> bool:
    """Whether the statistic is nowhere above `base` on the way out, and somewhere below it if it may not stay level."""
    own = max(abs(objective.start[i]), objective.step[i])
    unit, lowest = objective.unit(base), base
    for n, (power, rise) in enumerate(OUTWARDS):
        if n >= ENOUGH and abs(x[i] + by * 10.0**power) > BEYOND * own:
            break
        stat = _profile(problem, objective, x, i, by * 10.0**power, alone)
        if np.isnan(stat) or stat == np.inf:
            # numbers end before the parameter does
            if n < CERTAIN:
                return False
            break
        if stat > base + rise * unit:
            return False
        lowest = min(lowest, stat)
    return level or lowest < base - FALLS * unit


def corner(problem: Problem, objective: Objective, x: np.ndarray) -> tuple[np.ndarray, int] | None:
    """A strength that has its minimum at 0, where the slope jumps, and the point with the others re-fitted; None without one."""
    strengths = set(problem.likelihood.compact().linear(tuple(range(len(problem.base)))))
    for i, place in enumerate(problem.index):
        if int(place) not in strengths or not objective.lower[i] < 0 < objective.upper[i]:
            continue
        at = x.copy()
        at[i] = 0.0
        at, stat = polished(problem, objective, at, (i,))
        unit = 1e-6 * _size(objective, x, i)
        beside = [problem.stat(_moved(objective, at, i, sign * unit)) for sign in (1, -1)]
        if (
            np.isfinite(stat)
            and stat <= problem.stat(x) + NOTHING * objective.unit(stat)
            and min(beside) > stat
            and _jumps(problem, at, i, unit)
        ):
            return at, i
    return None


def _jumps(problem: Problem, x: np.ndarray, i: int, unit: float) -> bool:
    """Whether the slope in parameter i changes its sign across x."""
    slopes = []
    for sign in (1, -1):
        beside = x.copy()
        beside[i] += sign * unit
        slopes.append(problem.gradient(beside)[i])
    # at a smooth minimum the slopes fall with the distance to it: a hundredth of it, a hundredth of the slope
    near = []
    for sign in (1, -1):
        beside = x.copy()
        beside[i] += sign * 0.01 * unit
        near.append(problem.gradient(beside)[i])
    return slopes[0] > 0 > slopes[1] and near[0] > 0.5 * slopes[0] and near[1] < 0.5 * slopes[1]
