"""How a fit ended: the derivatives at its end, and where they leave a doubt, what the statistic does around it."""

from dataclasses import dataclass, replace

import numpy as np

from gammajax.fit.around import corner, falls_for_ever, has_no_effect, polished
from gammajax.fit.backends.base import BackendResult, Objective
from gammajax.fit.flags import FitFlags
from gammajax.fit.judge import EDM_MINIMUM, Verdict, judge, weakest_direction
from gammajax.fit.kinks import mean_curvature, moving_breaks
from gammajax.fit.problem import Problem
from gammajax.fit.valley import Descent, Descents

__all__ = ["Settled", "settle"]

# smallest curvature, in units of the parameters' own, below which the end is looked at more closely
WEAK = 0.02
# and below which, at a minimum found to rounding, nothing is left of it: correlations of 0.9999999 are still told apart
NULL = 1e-7
# of the rise that the curvature promises one error away; outside of it the statistic is no parabola
PARABOLA = (1 / 3, 3.0)
# parts of an error over which the weakest direction is followed
PARTS = (0.1, 0.01, 1e-3, 1e-4)


@dataclass(frozen=True)
class Settled:
    """An end point, statistic and scaled parameters (n,), with its verdict."""

    x: np.ndarray
    stat: float
    verdict: Verdict


def settle(problem: Problem, objective: Objective, out: BackendResult, ways: Descents | None = None) -> Settled:
    """Judge where an optimiser stopped.

    Most fits need two evaluations more, one error to both sides. Only where the derivatives do not settle it is there more to do:
    parameters are followed outwards with all others re-fitted, and Newton's method goes on from the end.

    Parameters
    ----------
    problem : `Problem`
        The function.
    objective : `Objective`
        What the optimiser was given.
    out : `BackendResult`
        Where it stopped, and what it says.
    ways : `Descents`, optional
        Those that were followed before, by an optimiser that asked.
    """
    x = np.asarray(out.x, dtype=float)
    stat, verdict, hessian = _judged(problem, objective, x, out)
    if verdict.flags.non_finite:
        bins = problem.non_finite_bins(x)
        return Settled(x, stat, replace(verdict, flags=replace(verdict.flags, bad_bins=bins)))
    converged = verdict.flags.converged
    parabolic = not converged or _parabolic(problem, objective, x, hessian, _inside(objective, verdict))
    if converged and parabolic:
        # an insignificant parameter is no reason for doubt if the statistic rises to both sides of it
        wide = _wide(objective, x, stat, verdict)
        parabolic = all(_parabolic(problem, objective, x, hessian, np.array([i])) for i in wide)
    if not parabolic:
        verdict = replace(verdict, flags=replace(verdict.flags, not_parabolic=True))
    end = Settled(x, stat, verdict)
    if converged and parabolic:
        return _polished(problem, objective, end, False) if _weak(objective, verdict, hessian) else end
    return _in_doubt(problem, objective, out, end, ways or Descents(problem, objective))


def _judged(
    problem: Problem,
    objective: Objective,
    x: np.ndarray,
    out: BackendResult,
    corners: tuple[int, ...] = (),
    without: tuple[int, ...] = (),
) -> tuple[float, Verdict, np.ndarray]:
    stat, gradient, hessian = problem.stat(x), problem.gradient(x), problem.hessian(x)
    kinked: tuple[str, ...] = ()
    moving = moving_breaks(problem.likelihood, problem.index, problem.theta(x))
    if moving and np.isfinite(hessian).all():
        hessian, changed = mean_curvature(
            problem.gradient, x, objective.lower, objective.upper, objective.step, gradient, hessian, moving
        )
        kinked = tuple(objective.names[i] for i in changed)
    verdict = judge(
        objective.names, x, objective.lower, objective.upper, stat, gradient, hessian, out.call_limit, out.success, corners,
        objective.unit(stat), without, objective.noise(stat),
    )  # fmt: skip
    if kinked:
        verdict = replace(verdict, flags=replace(verdict.flags, kinked=kinked))
    return stat, verdict, hessian


def _inside(objective: Objective, verdict: Verdict) -> np.ndarray:
    """Positions of the parameters that neither a limit nor a corner holds, and that have an effect."""
    flags = verdict.flags
    out = {*flags.at_limit, *flags.at_corner, *flags.unidentified}
    return np.array([i for i, name in enumerate(objective.names) if name not in out], dtype=int)


def _parabolic(
    problem: Problem, objective: Objective, x: np.ndarray, hessian: np.ndarray, keep: np.ndarray
) -> bool:  # fmt: skip
    """Whether one error to both sides, some parameters at once, the statistic rises as the curvature says."""
    if len(keep) == 0:
        return True
    curvature = hessian[np.ix_(keep, keep)]
    step = np.zeros_like(x)
    step[keep] = np.sqrt(2 / np.diag(curvature))
    step /= np.sqrt(max(0.5 * step[keep] @ curvature @ step[keep], 1.0))
    base, slope = problem.stat(x), problem.gradient(x)[keep]
    unit = objective.unit(base)
    step *= np.sqrt(unit)
    for sign in (1.0, -1.0):
        moved = objective.clip(x + sign * step)
        by = (moved - x)[keep]
        expected = slope @ by + 0.5 * by @ curvature @ by
        if expected < 0.05 * unit:
            # a limit is in the way
            continue
        rise = problem.stat(moved) - base
        if not PARABOLA[0] * expected < rise < PARABOLA[1] * expected:
            return False
    return True


def _weak(objective: Objective, verdict: Verdict, hessian: np.ndarray) -> bool:
    """Whether some combination of parameters is hardly known."""
    keep = _inside(objective, verdict)
    if len(keep) < 2:
        return False
    return weakest_direction(hessian[np.ix_(keep, keep)], [objective.names[i] for i in keep])[0] < WEAK


def _wide(objective: Objective, x: np.ndarray, stat: float, verdict: Verdict) -> list[int]:
    """Parameters whose error is larger than their value, or not known."""
    error = np.sqrt(np.diag(verdict.covariance) * objective.unit(stat))
    return [int(i) for i in _inside(objective, verdict) if not error[i] <= abs(x[i])]


def _in_doubt(problem: Problem, objective: Objective, out: BackendResult, end: Settled, ways: Descents) -> Settled:
    """A closer look, gravest first."""
    flags, x = end.verdict.flags, end.x
    suspects = [int(i) for i in _inside(objective, end.verdict)]
    dead = [objective.names.index(name) for name in flags.unidentified]
    idle = tuple(i for i in {*suspects, *dead} if has_no_effect(problem, objective, x, i, i in dead))
    # flat at this very point only, as a saddle of higher order is
    flat = [i for i in dead if i not in idle]
    if flat:
        flags = _flat(flags, [objective.names[i] for i in flat])
        end = replace(end, verdict=replace(end.verdict, flags=flags))
    held = None if flags.converged else corner(problem, objective, x)
    if held is not None:
        at, i = held
        stat, verdict, _ = _judged(problem, objective, at, out, (i,))
        return _without_effect(problem, objective, Settled(at, stat, verdict))
    way = None if flags.converged or idle else ways(x)
    if way is not None and way.sides:
        return _on_its_way(problem, objective, out, way)
    at = x if way is None else way.x
    if way is not None and _ends_in_a_minimum(problem, objective, way):
        # what the optimiser has not reached for lack of calls: nothing runs away beside it
        suspects = []
    away = {}
    for i in suspects:
        if i not in idle and (side := falls_for_ever(problem, objective, at, i, way is None or way.minimum)):
            away[objective.names[i]] = side
    if away and way is not None:
        return _on_its_way(problem, objective, out, replace(way, sides=away))
    if idle and np.isnan(end.verdict.covariance).any():
        # what is left of the slopes of parameters without effect, where others stand as they do, leaves those no errors
        verdict = _judged(problem, objective, x, out, without=idle)[1]
        end, flags = replace(end, verdict=verdict), verdict.flags
    if idle or away:
        return _marked(objective, end, idle, **_running(flags, away))
    if flags.call_limit and not flags.converged:
        return end
    return _polished(problem, objective, end, bool(flat))


def _on_its_way(problem: Problem, objective: Objective, out: BackendResult, way: Descent) -> Settled:
    """The end of a fit that runs away: far enough out that less is left to gain than the EDM of a minimum."""
    stat, verdict, _ = _judged(problem, objective, way.x, out)
    end = Settled(way.x, stat, verdict)
    return _marked(objective, end, (), **_running(verdict.flags, way.sides))


def _running(flags: FitFlags, away: dict[str, str]) -> dict[str, object]:
    """Flags of parameters that run away: that explains where the optimiser stopped."""
    if not away:
        return {}
    return {
        "runaway": tuple(away),
        "sides": {**flags.sides, **away},
        "near_limit": tuple(n for n in flags.near_limit if n not in away),
        "call_limit": False,
        "stopped": False,
    }


def _ends_in_a_minimum(problem: Problem, objective: Objective, way: Descent) -> bool:
    """Whether a way down arrives at a minimum that rises to both sides as its curvature says."""
    if not way.minimum:
        return False
    out = BackendResult(way.x, way.stat, True, "", "newton")
    _, verdict, hessian = _judged(problem, objective, way.x, out)
    return verdict.flags.converged and _parabolic(problem, objective, way.x, hessian, _inside(objective, verdict))


def _without_effect(problem: Problem, objective: Objective, end: Settled) -> Settled:
    idle = tuple(int(i) for i in _inside(objective, end.verdict) if has_no_effect(problem, objective, end.x, int(i)))
    return _marked(objective, end, idle) if idle else end


def _marked(objective: Objective, end: Settled, idle: tuple[int, ...], **found: object) -> Settled:
    """The same end without success; errors of the named parameters are nan, others are theirs while those are held."""
    flags = end.verdict.flags
    unidentified = tuple(dict.fromkeys((*flags.unidentified, *(objective.names[i] for i in idle))))
    gone = [objective.names.index(n) for n in {*unidentified, *found.get("runaway", ())}]  # type: ignore[misc]
    covariance = _held(end.verdict.covariance, gone)
    changed = replace(flags, converged=False, unidentified=unidentified, **found)  # type: ignore[arg-type]
    return replace(end, verdict=replace(end.verdict, flags=changed, covariance=covariance))


def _held(covariance: np.ndarray, gone: list[int]) -> np.ndarray:
    """Covariance with some parameters held: their rows and columns are nan, the others conditional."""
    keep = np.array([i for i in range(len(covariance)) if i not in gone], dtype=int)
    out = np.full_like(covariance, np.nan)
    block = covariance[np.ix_(keep, keep)]
    known = [i for i in gone if np.isfinite(covariance[i, i]) and covariance[i, i] > 0]
    if np.isfinite(block).all() and known:
        cross = covariance[np.ix_(keep, known)]
        block = block - cross @ np.linalg.pinv(covariance[np.ix_(known, known)], hermitian=True) @ cross.T
    out[np.ix_(keep, keep)] = block
    return out


def _polished(problem: Problem, objective: Objective, end: Settled, flat: bool) -> Settled:
    """Newton's method from the end: a lower statistic, or nothing left of the curvature in some direction."""
    flags, names = end.verdict.flags, objective.names
    x, lowest = polished(problem, objective, end.x)
    drop = end.stat - lowest
    promised = EDM_MINIMUM * objective.unit(end.stat)
    promised = promised if np.isnan(end.verdict.edm) else max(promised, 3 * end.verdict.edm)
    promised = max(promised, 3 * objective.noise(end.stat))
    keep = _inside(objective, end.verdict)
    smallest, direction = np.inf, {}
    # on a way that led elsewhere the curvature says nothing of this end
    if drop <= promised and len(keep) > 1:
        for at in (end.x, x):
            block = problem.hessian(at)[np.ix_(keep, keep)]
            # each must have a curvature of its own: one without is no matter of correlation
            if np.all(np.diag(block) > 0):
                value, along = weakest_direction(block, [names[i] for i in keep])
                if abs(value) < smallest:
                    smallest, direction = abs(value), along
    changed = flags
    if smallest < NULL and not _rises_along(problem, objective, x, keep):
        changed = replace(
            changed, converged=False, singular=True, hessian_not_positive_definite=True, direction=direction
        )
    if drop > promised + objective.noise(end.stat):
        changed = replace(changed, converged=False, lower_nearby=float(drop))
    undefined = changed.singular or flat
    covariance = np.full_like(end.verdict.covariance, np.nan) if undefined else end.verdict.covariance
    return replace(end, verdict=replace(end.verdict, flags=changed, covariance=covariance))


def _rises_along(problem: Problem, objective: Objective, x: np.ndarray, keep: np.ndarray) -> bool:
    """Whether, at a minimum, the statistic rises as the smallest curvature says, to both sides: then it is small, but not nothing.

    A small part of an error away: valleys of so little curvature are bent.
    """
    block = problem.hessian(x)[np.ix_(keep, keep)]
    diagonal = np.diag(block)
    if np.any(diagonal <= 0):
        return False
    scale = 1 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(block * np.outer(scale, scale))
    if values[0] <= 1e-13 * values[-1]:
        return False
    unit = objective.unit(problem.stat(x))
    step = np.zeros_like(x)
    step[keep] = scale * vectors[:, 0] * np.sqrt(2 * unit / values[0])
    # by the slope, which rounding spares longer than the value
    for part in PARTS:
        slopes = [problem.gradient(x + by * step) @ step / by for by in (part, -part)]
        if all(PARABOLA[0] < slope / (2 * unit) < PARABOLA[1] for slope in slopes):
            return True
    return False


def _flat(flags: FitFlags, names: list[str]) -> FitFlags:
    """Parameters without slope and curvature at the end, but not without effect."""
    return replace(
        flags,
        converged=False,
        hessian_not_positive_definite=True,
        unidentified=tuple(n for n in flags.unidentified if n not in names),
        direction={**flags.direction, **dict.fromkeys(names, 1.0)},
    )
