"""Whether a way down has no end: a valley of the statistic, straight or bent, followed until it is level or its numbers end."""

from dataclasses import dataclass, field, replace

import numpy as np

from gammajax.errors import FitError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.backends.base import Objective
from gammajax.fit.backends.newton import expected_distance, moving
from gammajax.fit.judge import EDM_MINIMUM
from gammajax.fit.problem import Problem

__all__ = ["Descent", "Descents", "is_minimum", "way_down"]

# evaluations to come down into the valley, and for the other parameters at one of its points
DESCENT, REFIT = 60, 24
# an expected distance at which Newton's method has arrived, in units of the statistic
ARRIVED = 1e-6
# logarithm of the first factor between two points of a way, of the largest and of the smallest
PACE, LONGEST, SHORTEST = 0.15, 1.0, 0.02
# points at most, and the factor by which a parameter has grown over a way that proves something; beyond the second it needs no more proof
POINTS, GROWN, FAR = 30, 3.0, 1e8
# a way that falls by less, in units of the statistic, is level; and a slope is none where it would fall by less for a factor of e
FALLS, NO_SLOPE = 1e-5, 1e-7
# decimal logarithm of a scaled parameter beyond which squares of derivatives have no numbers
EXTREME = 120
# what a companion has grown by if it runs away as well: over the way, and over its last step
ALONG, STILL = 1.5, 1.02


@dataclass(frozen=True)
class Descent:
    """Where a descent leads to.

    Attributes
    ----------
    x : array, shape (n,)
        A point on the way from which less is left to gain than the EDM that a minimum may have, or its last one.
    stat : float
        Statistic there.
    minimum : bool
        Whether this is where Newton's method arrives, so that there is no more to look for.
    sides : dict of str to str
        Parameters that grow for ever along the way, "upper" or "lower"; empty if nothing is proven.
    """

    x: np.ndarray
    stat: float
    minimum: bool = False
    sides: dict[str, str] = field(default_factory=dict)


class Descents:
    """Descents from points of one fit, each followed once."""

    def __init__(self, problem: Problem, objective: Objective) -> None:
        self._problem, self._objective = problem, objective
        self._known: dict[bytes, Descent] = {}

    def __call__(self, x: np.ndarray) -> Descent:
        """Where the way down from x leads to."""
        key = np.asarray(x, dtype=float).tobytes()
        if key not in self._known:
            self._known[key] = way_down(self._problem, self._objective, np.asarray(x, dtype=float))
        return self._known[key]

    def endless(self, x: np.ndarray) -> bool:
        """Whether it is proven to have no end."""
        return bool(self(x).sides)


@dataclass(frozen=True)
class _Place:
    """A point in the valley: parameter i is held, the others are re-fitted."""

    x: np.ndarray
    stat: float
    # change of the statistic for a factor of e in parameter i, and of the logarithms of the others per unit of it
    slope: float
    bend: np.ndarray
    # how much of the slope may be rounding
    rounding: float


def way_down(problem: Problem, objective: Objective, x: np.ndarray) -> Descent:
    """Follow the statistic downwards from x: to a minimum, along a valley without end, or to where neither can be told.

    A parameter runs away if, with all others re-fitted, the statistic falls over a factor of three of it at least, for ever less, up to where
    it is level over many orders of magnitude or one of the parameters has no numbers any more; the slope counts, which rounding spares
    longer than the value. One step that rises, or a re-fit that does not arrive, and nothing is proven.

    Parameters
    ----------
    problem : `Problem`
        The function.
    objective : `Objective`
        What the optimiser was given.
    x : array, shape (n,)
        Where to begin, scaled.
    """
    with np.errstate(all="ignore"):
        end, stat, arrived = _descent(problem, objective, x, ())
        if arrived:
            return Descent(end, stat, minimum=True)
        # a descent may have gone so far that all is rounding
        found = _first_without_end(problem, objective, end) or _first_without_end(problem, objective, x)
        return found or Descent(end, stat)


def _first_without_end(problem: Problem, objective: Objective, x: np.ndarray) -> Descent | None:
    """The steepest way out of a point of the valley, if it has no end."""
    found = [(i, place) for i in _candidates(objective, x) if (place := _place(problem, objective, x, i)) is not None]
    for i, place in sorted(found, key=lambda item: item[1].slope):
        if place.slope < -NO_SLOPE * objective.unit(place.stat):
            way = _along(problem, objective, place, i)
            if way is not None:
                return way
    return None


def _candidates(objective: Objective, x: np.ndarray) -> list[int]:
    """Parameters without a limit on their way outwards."""
    limit = np.where(x > 0, objective.upper, -objective.lower)
    return [int(i) for i in np.flatnonzero((x != 0) & np.isinf(limit))]


def _descent(
    problem: Problem, objective: Objective, x: np.ndarray, held: tuple[int, ...], steps: int = DESCENT
) -> tuple[np.ndarray, float, bool]:
    """Where Newton's method ends from x with some parameters held, the statistic there, and whether it has arrived."""
    base = problem.stat(x)
    free = [k for k in range(len(x)) if k not in held]
    if not free or not np.isfinite(base):
        return x, base, bool(np.isfinite(base))
    theta = problem.theta(x)
    fixed = {int(problem.index[k]): float(theta[problem.index[k]]) for k in held}
    try:
        part = Problem(problem.likelihood, fixed, start=theta, scale=problem.scale[free]).objective()
        out = get_backend("newton")(part, max_iter=steps)
    except FitError:
        return x, base, False
    end = x.copy()
    end[free] = out.x
    return end, float(out.fun), is_minimum(problem, objective, end, free)


def is_minimum(problem: Problem, objective: Objective, x: np.ndarray, free: list[int]) -> bool:
    """Whether next to nothing is left to gain in some of the parameters."""
    gradient, hessian = problem.gradient(x), problem.hessian(x)
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return False
    keep = [k for k in moving(objective, x, gradient) if k in free]
    distance = expected_distance(gradient[keep], hessian[np.ix_(keep, keep)]) if keep else 0.0
    return distance < max(ARRIVED * objective.unit(problem.stat(x)), objective.noise(problem.stat(x)))


def _place(problem: Problem, objective: Objective, x: np.ndarray, i: int) -> _Place | None:
    """The point of the valley beside x, or None where the others do not arrive."""
    x, stat, arrived = _descent(problem, objective, x, (i,), REFIT)
    if not arrived:
        return None
    gradient, hessian = problem.gradient(x), problem.hessian(x)
    others = [k for k in moving(objective, x, gradient) if k != i]
    block = hessian[np.ix_(others, others)]
    unit = 1 / np.sqrt(np.where(np.diag(block) > 0, np.diag(block), 1.0))
    right = np.stack([hessian[others, i], gradient[others]], axis=1) * unit[:, None]
    matrix = block * np.outer(unit, unit)
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        # curvatures so small that their inverses are no numbers
        return None
    bend, left = -(unit[:, None] * np.linalg.lstsq(matrix, right, rcond=1e-14)[0]).T
    whole = np.zeros(len(x))
    whole[others] = bend / np.where(x[others] == 0, 1.0, x[others])
    # what is left of the others' own slopes counts as if they had arrived
    slope = float((gradient[i] + hessian[i, others] @ left) * x[i])
    rounding = 1e-15 * float(np.abs(x[i] * hessian[i]) @ np.abs(x))
    return _Place(x, stat, slope, whole, rounding)


def _next(now: _Place, before: _Place | None, i: int, pace: float) -> np.ndarray:
    """Where the valley leads to with parameter i a factor of exp(pace) larger: bends are powers of it, found from two points."""
    power = np.zeros(len(now.x))
    if before is not None:
        same = now.bend * before.bend > 0
        ratio = np.where(same, now.bend, 1.0) / np.where(same, before.bend, 1.0)
        power = np.clip(np.log(ratio) / np.log(now.x[i] / before.x[i]), -4, 4)
    rise = np.where(
        np.abs(power + 1) < 1e-9, pace, np.expm1((power + 1) * pace) / np.where(power == -1, 1.0, power + 1)
    )
    out = now.x * np.exp(now.bend * now.x[i] * rise)
    out[i] = now.x[i] * np.exp(pace)
    return out


def _follow(
    problem: Problem, objective: Objective, start: _Place, i: int, direction: float, factor: float
) -> tuple[list[_Place], str]:
    """Points of a valley from `start`, in which parameter i grows (direction 1) or shrinks (-1) by at most `factor`, and why they end.

    "far": by the factor; "numbers": of some parameter or of the slope; "rises": the statistic has a minimum in between; "lost": a re-fit did not arrive.
    """
    places, pace, longest = [start], PACE, LONGEST
    while len(places) < POINTS:
        now, before = places[-1], places[-2] if len(places) > 1 else None
        trial = objective.clip(_next(now, before, i, direction * pace))
        numbers = bool(np.isfinite(trial).all()) and _numbers(problem, trial)
        place = _place(problem, objective, trial, i) if numbers else None
        if place is None:
            # bends get sharper further out
            longest = pace = 0.5 * pace
            if pace < SHORTEST:
                return places, "lost" if numbers and not _extreme(now.x) else "numbers"
            continue
        if place.rounding > max(abs(place.slope), NO_SLOPE * objective.unit(place.stat)):
            return places, "numbers"
        if place.slope > NO_SLOPE * objective.unit(place.stat):
            return places, "rises"
        places.append(place)
        if abs(np.log(place.x[i] / start.x[i])) >= np.log(factor):
            return places, "far"
        pace = min(1.5 * pace, longest)
    return places, "far"


def _numbers(problem: Problem, x: np.ndarray) -> bool:
    return bool(np.isfinite(problem.stat(x)) and np.isfinite(problem.hessian(x)).all())


def _extreme(x: np.ndarray) -> bool:
    """Whether squares of derivatives are about to have no numbers."""
    return bool(np.any(np.abs(np.log10(np.abs(x[x != 0]))) > EXTREME))


def _along(problem: Problem, objective: Objective, start: _Place, i: int) -> Descent | None:
    """The way on which parameter i grows, if it has no end."""
    places, why = _follow(problem, objective, start, i, 1.0, FAR)
    if why not in ("far", "numbers"):
        return None
    if abs(places[-1].x[i]) < GROWN * abs(start.x[i]):
        # near to where numbers end: what is behind counts as well
        back, why = _follow(problem, objective, start, i, -1.0, GROWN)
        if why != "far":
            return None
        places = [*back[:0:-1], *places]
    fall = places[0].stat - places[-1].stat
    unit = objective.unit(places[-1].stat)
    if fall < FALLS * unit or places[-1].slope < 0.5 * places[0].slope:
        return None
    enough = next(p for p in places if p.stat <= places[-1].stat + EDM_MINIMUM * unit)
    enough = enough if enough.stat <= start.stat else start
    first, late, last = places[0].x, places[-2].x, places[-1].x
    grows = (np.abs(last) > ALONG * np.abs(first)) & (np.abs(last) > STILL * np.abs(late))
    grows[i] = True
    sides = {objective.names[k]: "upper" if last[k] > 0 else "lower" for k in np.flatnonzero(grows)}
    return replace(Descent(enough.x, enough.stat), sides=sides)
