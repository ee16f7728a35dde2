"""`scipy.optimize.minimize`, any method; exact gradient and Hessian where the method takes them."""

import warnings
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends.base import BackendResult, Objective, check_names

__all__ = ["OPTIONS", "minimize"]

OPTIONS = {"method": "Nelder-Mead", "tol": None, "options": None}

# what each method takes: gradient, Hessian, limits
METHODS = {
    "nelder-mead": (False, False, True),
    "powell": (False, False, True),
    "cg": (True, False, False),
    "bfgs": (True, False, False),
    "newton-cg": (True, True, False),
    "l-bfgs-b": (True, False, True),
    "tnc": (True, False, True),
    "cobyla": (False, False, True),
    "cobyqa": (False, False, True),
    "slsqp": (True, False, True),
    "trust-constr": (True, True, True),
    "dogleg": (True, True, False),
    "trust-ncg": (True, True, False),
    "trust-exact": (True, True, False),
    "trust-krylov": (True, True, False),
}


def minimize(objective: Objective, **options: Any) -> BackendResult:
    """Minimise with a method of `scipy.optimize.minimize`.

    Parameters
    ----------
    objective : `Objective`
        Function.
    method : str
        Any method of scipy, default "Nelder-Mead" as in gammapy.
    tol : float
        scipy's tolerance.
    options : dict
        Options of the method, such as ``{"ftol": 1e-4, "gtol": 1e-5}`` for L-BFGS-B.

    Raises
    ------
    InputError
        For an unknown method or option, and for a method without limits where parameters have some.
    """
    from scipy import optimize

    check_names(options, OPTIONS, "backend 'scipy'")
    settings = {**OPTIONS, **options}
    method = str(settings["method"])
    if method.lower() not in METHODS:
        raise InputError(f"backend 'scipy': unknown method {method!r}; known are: {', '.join(sorted(METHODS))}.")
    takes_gradient, takes_hessian, takes_limits = METHODS[method.lower()]
    limited = [
        n
        for n, lo, hi in zip(objective.names, objective.lower, objective.upper, strict=True)
        if np.isfinite([lo, hi]).any()
    ]
    if limited and not takes_limits:
        able = ", ".join(sorted(m for m, takes in METHODS.items() if takes[2]))
        raise InputError(
            f"backend 'scipy': method {method!r} knows no limits, and {', '.join(limited)} has some; remove the limits "
            f"(parameter.min = nan, parameter.max = nan) or use one of {able}."
        )
    arguments: dict[str, Any] = {
        "method": method,
        "tol": settings["tol"],
        "options": dict(settings["options"] or {}),
    }
    if takes_gradient:
        arguments["jac"] = objective.gradient
    if takes_hessian:
        arguments["hess"] = objective.hessian
    if limited:
        arguments["bounds"] = optimize.Bounds(objective.lower, objective.upper)
    if method.lower() == "nelder-mead" and "initial_simplex" not in arguments["options"]:
        arguments["options"]["initial_simplex"] = _simplex(objective)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = optimize.minimize(objective.value, objective.clip(objective.start), **arguments)
    unknown = [str(w.message) for w in caught if "Unknown solver options" in str(w.message)]
    if unknown:
        raise InputError(
            f"backend 'scipy', method {method!r}: {unknown[0]}; see scipy.optimize.show_options('minimize', {method!r})."
        )
    notes = sorted({str(w.message) for w in caught} - {str(out.message)})
    text = str(out.message) + "".join(f" ({n})" for n in notes)
    limit = not out.success and any(word in text.lower() for word in ("maximum", "iterations", "limit", "evaluations"))
    return BackendResult(
        x=objective.clip(np.array(out.x, dtype=float)),
        fun=float(out.fun),
        success=bool(out.success),
        message=text,
        method=method,
        call_limit=limit,
        raw=out,
        options=settings,
    )


def _simplex(objective: Objective) -> np.ndarray:
    """First simplex with edges of two expected errors, inside the limits; scipy's own are 5 % of the values."""
    start = objective.clip(objective.start)
    simplex = np.tile(start, (len(start) + 1, 1))
    for i, step in enumerate(2 * objective.step):
        forward = start[i] + step <= objective.upper[i]
        simplex[i + 1, i] = objective.clip(start + (step if forward else -step))[i]
    return simplex
