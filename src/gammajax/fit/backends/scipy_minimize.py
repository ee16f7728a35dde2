"""`scipy.optimize.minimize`, any method; exact gradient and Hessian where the method takes them."""

import warnings
from collections.abc import Callable
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
# options by which somebody sets how far Nelder-Mead goes
LIMITS = {"maxiter", "maxfev", "initial_simplex"}
# the first simplex of a second attempt, in parts of that of the first, and how often Nelder-Mead goes on after it
SMALLER, AGAIN = 0.25, 2
# edges of the simplex with which it goes on, in errors, and at most in parts of the parameters
EDGE, LARGEST = 0.5, 0.5


def minimize(objective: Objective, **options: Any) -> BackendResult:
    """Minimise with a method of `scipy.optimize.minimize`.

    Nelder-Mead has scipy's limit of 200 evaluations for each parameter. If that is reached and was not set here, it begins once more with a
    smaller simplex, and goes on twice at most from the better end, with a simplex along the axes of the Hessian there.

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

    def run(**changed: Any) -> Any:
        own = {**arguments, "options": {**arguments["options"], **changed}}
        return optimize.minimize(objective.value, objective.clip(objective.start), **own)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = _nelder_mead(objective, run, set(arguments["options"])) if method.lower() == "nelder-mead" else run()
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


def _nelder_mead(objective: Objective, run: Callable[..., Any], given: set[str]) -> Any:
    """The best end of a few attempts, more than one only where the first ends with a limit that nobody asked for."""
    if "initial_simplex" in given:
        return run()
    best = run(initial_simplex=_simplex(objective))
    if not _goes_on(objective, best) or given & LIMITS:
        return best
    # a large first simplex may lie across a jump of the function, and the way is lost on its other side
    second = run(initial_simplex=_simplex(objective, SMALLER))
    best = second if second.fun < best.fun else best
    for _ in range(AGAIN):
        simplex = _along_axes(objective, best.x) if _goes_on(objective, best) else None
        if simplex is None:
            break
        best = run(initial_simplex=simplex)
    return best


def _goes_on(objective: Objective, out: Any) -> bool:
    return not out.success and not (objective.endless is not None and objective.endless(objective.clip(out.x)))


def _along_axes(objective: Objective, x: np.ndarray) -> np.ndarray | None:
    """Simplex at x with edges of half an error along the axes of the Hessian, inside the limits; None where there is none."""
    hessian = np.asarray(objective.hess(x))
    if not np.isfinite(hessian).all():
        return None
    diagonal = np.abs(np.diag(hessian))
    unit = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
    # a curvature below 0 has a length as well
    edges = vectors * EDGE * np.sqrt(2 / np.maximum(np.abs(values), 1e-12)) * unit[:, None]
    edges /= np.maximum(np.max(np.abs(edges) / np.maximum(np.abs(x), 1e-3)[:, None], axis=0) / LARGEST, 1.0)
    return objective.clip(np.stack([x, *(x + edges.T)]))


def _simplex(objective: Objective, part: float = 1.0) -> np.ndarray:
    """First simplex with edges of two expected errors, or a part of that, inside the limits; scipy's own are 5 % of the values."""
    start = objective.clip(objective.start)
    simplex = np.tile(start, (len(start) + 1, 1))
    for i, step in enumerate(2 * part * objective.step):
        forward = start[i] + step <= objective.upper[i]
        simplex[i + 1, i] = objective.clip(start + (step if forward else -step))[i]
    return simplex
