"""The last digits: from where an optimiser stopped to the minimum beside it."""

from dataclasses import replace

import numpy as np

from gammajax.fit.backends import BackendResult, Objective
from gammajax.fit.backends.base import Counts
from gammajax.fit.backends.newton import expected_distance, minimize, moving

__all__ = ["polished"]

STEPS = 6
# further away it is for the optimiser to go on; MINUIT's own goal is below it
CLOSE = 1e-3
# steps in a trust region from there, where whole ones do not arrive, and what they may gain without being in another valley
MORE, SAME = 200, 0.1
# a distance that no longer matters
ENOUGH = 1e-24
# a distance from which on the optimiser's message says that it was left behind
SAID = 1e-6


def polished(objective: Objective, out: BackendResult) -> BackendResult:
    """The minimum beside the point where an optimiser stopped, or what it returned where there is none close by.

    Whole Newton steps with exact derivatives, kept only if they arrive within a few; where the function is a bent valley, as between a
    reference energy and a pivot energy far from it, shorter ones. They are not counted among the optimiser's
    calls, and parameters on a limit stay there. Where they gained more than 1e-6 in the statistic, the message says so.

    Parameters
    ----------
    objective : `Objective`
        Function.
    out : `BackendResult`
        Where the optimiser stopped.
    """
    begin = np.asarray(out.x, dtype=float)
    x, arrived = _minimum(objective, begin)
    if not arrived:
        further = _along_the_valley(objective, begin if x is None else x)
        x = x if further is None else further
    if x is None:
        return out
    value = float(objective.fun(x))
    gained = float(out.fun) - value
    said = f"; Newton steps to the minimum beside it gained {gained:.2g}" if gained > SAID else ""
    return replace(out, x=x, fun=value, message=f"{out.message.rstrip('.')}{said}" if said else out.message)


def _along_the_valley(objective: Objective, point: np.ndarray) -> np.ndarray | None:
    """The minimum, by Newton steps in a trust region, from a point close to it; None where the point is not or they do not arrive."""
    value, gradient, hessian = (
        objective.fun(point),
        np.asarray(objective.grad(point)),
        np.asarray(objective.hess(point)),
    )
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return None
    free, unit = moving(objective, point, gradient), objective.unit(value)
    if not 0 < expected_distance(gradient[free], hessian[np.ix_(free, free)]) < CLOSE * unit:
        return None
    begin = replace(objective, start=point, counts=Counts(), trace=None, watch=None, endless=None)
    out = minimize(begin, max_iter=MORE)
    return out.x if out.success and 0 <= value - out.fun < SAME * unit else None


def _minimum(objective: Objective, point: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """Where a few whole Newton steps lead, None where that is no better, and whether it is the minimum to rounding."""
    value, last, distance, unit = objective.fun(point), np.inf, np.inf, 1.0
    for _ in range(STEPS):
        gradient, hessian = np.asarray(objective.grad(point)), np.asarray(objective.hess(point))
        if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            return None, False
        free = moving(objective, point, gradient)
        if len(free) == 0:
            return point, True
        gradient, hessian = gradient[free], hessian[np.ix_(free, free)]
        distance, unit = expected_distance(gradient, hessian), objective.unit(value)
        if distance < ENOUGH * unit:
            return point, True
        if not distance < min(CLOSE, 0.1 * last):
            # rounding is all that is left, or it was too far
            break
        scale = 1 / np.sqrt(np.diag(hessian))
        trial = point.copy()
        trial[free] -= scale * np.linalg.solve(hessian * np.outer(scale, scale), gradient * scale)
        trial = objective.clip(trial)
        new = objective.fun(trial)
        if not new <= value + objective.noise(value):
            return None, False
        point, value, last = trial, new, distance
    # below what matters the steps have arrived as far as rounding lets them
    return (point, distance < SAID * unit) if distance < CLOSE * unit else (None, False)
