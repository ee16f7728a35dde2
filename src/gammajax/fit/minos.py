"""A Minuit object at a best fit, with exact derivatives, for intervals and contours."""

from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.fit.backends.exact_minuit import exact_minuit
from gammajax.fit.problem import Problem

__all__ = ["minuit_at_minimum"]

OPTIONS = ("tol", "strategy", "backend")


def minuit_at_minimum(problem: Problem, names: tuple[str, ...], options: dict) -> Any:
    """Return a valid ``iminuit.Minuit`` at the minimum, parameters scaled, or refuse.

    Parameters
    ----------
    problem : `Problem`
        The likelihood at its best fit.
    names : tuple of str
        Free parameters.
    options : dict
        `tol` and `strategy` of MIGRAD.

    Raises
    ------
    FitError
        If the present parameter values are not a minimum: MIGRAD finds a lower statistic.
    """
    for key in options:
        if key not in OPTIONS:
            raise InputError(f"confidence_opts: unknown option {key!r}; known are: {', '.join(OPTIONS)}.")
    i = problem.index
    diagonal = np.diag(problem.hessian(problem.start))
    step = np.where(diagonal > 0, np.sqrt(2 / np.where(diagonal > 0, diagonal, 1.0)), 0.1)
    lower, upper = problem.likelihood.lower[i] / problem.scale, problem.likelihood.upper[i] / problem.scale
    minuit = exact_minuit(names, problem.start, lower, upper, step, problem.stat, problem.gradient, problem.hessian)
    minuit.tol = options.get("tol", 1e-4)
    minuit.strategy = options.get("strategy", 1)
    before = problem.stat(problem.start)
    minuit.migrad()
    minuit.hesse()
    if before - minuit.fval > 1e-3:
        raise FitError(
            f"the parameters are not at a minimum: the statistic is {before:.6f} there, and {minuit.fval:.6f} close by; "
            "run the fit (again, with tighter options) before asking for intervals or contours."
        )
    if not minuit.valid:
        raise FitError("no valid minimum at the present parameter values; run the fit first and look at its flags.")
    return minuit
