"""A start from which it does not show which way to go: the better of two sides is looked for."""

import logging

import numpy as np

from gammajax.errors import FitError
from gammajax.fit.backends import Objective
from gammajax.fit.backends import get as get_backend
from gammajax.fit.problem import Problem

__all__ = ["better_side"]

log = logging.getLogger(__name__)
# slope along a way, in units of the whole gradient, that is none
NO_SLOPE = 1e-6
# steps that tell which side is lower
STEPS = 200


def better_side(problem: Problem) -> tuple[np.ndarray | None, str]:
    """Start (P,) beside a start at which a parameter has no effect, and a sentence about it; None and "" where there is no need.

    Where a free parameter k has neither slope nor curvature, it gets a slope along the direction :math:`H_k`, its row of the Hessian. If the
    statistic itself has no slope along it, both ways are as good to an optimiser, and the first step decides by rounding. So it is
    with the break energy of a smoothly broken power law of equal indices. From a short step to both sides the strengths are fitted
    alone, then all parameters; the fit begins on the side that ends lower, unless the start itself leads lower still.

    Parameters
    ----------
    problem : `Problem`
        The function with its start.
    """
    if not np.isfinite(problem.stat(problem.start)):
        return None, ""
    objective = problem.objective()
    ways = _ways(problem, objective)
    if not ways:
        return None, ""
    begins = [objective.clip(problem.start + sign * way) for _, way in ways for sign in (1.0, -1.0)]
    begins = [_strengths(problem, x) for x in begins]
    ends = [_end(problem, x) for x in (problem.start, *begins)]
    best = int(np.argmin(ends[1:]))
    if not ends[1 + best] <= ends[0] + objective.noise(ends[0]):
        return None, ""
    x, (k, _) = begins[best], ways[best // 2]
    theta = problem.theta(x)
    names, units = problem.likelihood.names, problem.likelihood.units
    moved = ", ".join(
        f"{names[i]} = {theta[i]:.4g} {units[i]}".rstrip() for i in problem.index if theta[i] != problem.base[i]
    )
    said = f"{names[problem.index[k]]} has no effect at the start, which does not tell which way to go: the fit began beside it, at {moved}."
    log.info("%s", said)
    return theta, said


def _ways(problem: Problem, objective: Objective) -> list[tuple[int, np.ndarray]]:
    """Parameters without effect, with a short step along which they get one and the statistic has no slope."""
    step = objective.step
    gradient, hessian = problem.gradient(problem.start) * step, problem.hessian(problem.start) * np.outer(step, step)
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return []
    out = []
    for k in np.flatnonzero((gradient == 0) & (np.diag(hessian) == 0) & np.any(hessian != 0, axis=1)):
        way = hessian[k] / np.max(np.abs(hessian[k]))
        if abs(gradient @ way) <= NO_SLOPE * np.linalg.norm(gradient) * np.linalg.norm(way):
            out.append((int(k), way * step))
    return out


def _strengths(problem: Problem, x: np.ndarray) -> np.ndarray:
    """The same point with its strengths fitted: shapes that begin beside wrong strengths are led astray."""
    index = [int(i) for i in problem.index]
    # by what the models say: in gammapy's mode nothing is linear to the last digit
    parameters = problem.likelihood.parameters
    assert parameters is not None
    strengths = {i for i, p in enumerate(parameters.unique_parameters) if p.linear}
    theta = problem.theta(x)
    if not strengths.intersection(index):
        return x
    return _descent(problem, theta, {i: float(theta[i]) for i in index if i not in strengths})[0] / problem.scale


def _end(problem: Problem, x: np.ndarray) -> float:
    return _descent(problem, problem.theta(x), {})[1]


def _descent(problem: Problem, theta: np.ndarray, fixed: dict[int, float]) -> tuple[np.ndarray, float]:
    """Free parameters (n,) where Newton's method ends, internal units, and the statistic there; inf where it cannot begin."""
    part = Problem(problem.likelihood, fixed, start=theta)
    try:
        out = get_backend("newton")(part.objective(), max_iter=STEPS)
    except FitError:
        return theta[problem.index], np.inf
    return part.theta(out.x)[problem.index], float(out.fun)
