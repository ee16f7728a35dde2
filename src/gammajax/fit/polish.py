"""The last digits: from where an optimiser stopped to the minimum beside it."""

from dataclasses import replace

import numpy as np

from gammajax.fit.backends import BackendResult, Objective
from gammajax.fit.backends.newton import expected_distance, moving

__all__ = ["polished"]

STEPS = 6
# further away it is for the optimiser to go on; MINUIT's own goal is below it
CLOSE = 1e-3
# a distance that no longer matters
ENOUGH = 1e-24
# a distance from which on the optimiser's message says that it was left behind
SAID = 1e-6


def polished(objective: Objective, out: BackendResult) -> BackendResult:
    """The minimum beside the point where an optimiser stopped, or what it returned where there is none close by.

    Whole Newton steps with exact derivatives, kept only if they arrive within a few. They are not counted among the optimiser's
    calls, and parameters on a limit stay there. Where they gained more than 1e-6 in the statistic, the message says so.

    Parameters
    ----------
    objective : `Objective`
        Function.
    out : `BackendResult`
        Where the optimiser stopped.
    """
    x = _minimum(objective, np.asarray(out.x, dtype=float))
    if x is None:
        return out
    value = float(objective.fun(x))
    gained = float(out.fun) - value
    said = f"; Newton steps to the minimum beside it gained {gained:.2g}" if gained > SAID else ""
    return replace(out, x=x, fun=value, message=f"{out.message.rstrip('.')}{said}" if said else out.message)


def _minimum(objective: Objective, point: np.ndarray) -> np.ndarray | None:
    value, last, distance, unit = objective.fun(point), np.inf, np.inf, 1.0
    for _ in range(STEPS):
        gradient, hessian = np.asarray(objective.grad(point)), np.asarray(objective.hess(point))
        if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            return None
        free = moving(objective, point, gradient)
        if len(free) == 0:
            return point
        gradient, hessian = gradient[free], hessian[np.ix_(free, free)]
        distance, unit = expected_distance(gradient, hessian), objective.unit(value)
        if distance < ENOUGH * unit:
            return point
        if not distance < min(CLOSE, 0.1 * last):
            # rounding is all that is left, or it was too far
            break
        scale = 1 / np.sqrt(np.diag(hessian))
        trial = point.copy()
        trial[free] -= scale * np.linalg.solve(hessian * np.outer(scale, scale), gradient * scale)
        trial = objective.clip(trial)
        new = objective.fun(trial)
        if not new <= value + objective.noise(value):
            return None
        point, value, last = trial, new, distance
    return point if distance < CLOSE * unit else None
