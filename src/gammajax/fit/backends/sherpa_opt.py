"""Sherpa's optimisation methods."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends.base import BackendResult, Objective, check_names

__all__ = ["METHODS", "minimize"]

METHODS = {"simplex": "NelderMead", "levmar": "LevMar", "moncar": "MonCar", "gridsearch": "GridSearch"}

# stands in for no limit: Sherpa's methods want finite ones; far outside anything of order one
FAR = 1e6


def _methods() -> Any:
    try:
        from sherpa import optmethods
    except ImportError:
        raise InputError(
            "backend 'sherpa': sherpa is not installed; install the extra, pip install 'gammajax[sherpa]' (it builds from "
            "source, the README says what it needs), or use backend 'newton' or 'minuit'."
        ) from None
    return optmethods


def _method(name: Any) -> Any:
    if name not in METHODS:
        raise InputError(f"backend 'sherpa': unknown method {name!r}; known are: {', '.join(METHODS)}.")
    return getattr(_methods(), METHODS[name])()


def known_options(options: dict) -> list[str]:
    """Names of the options of the method that the options choose."""
    return ["method", *_method(options.get("method", "simplex")).config]


def minimize(objective: Objective, **options: Any) -> BackendResult:
    """Minimise with a method of Sherpa.

    Parameters
    ----------
    objective : `Objective`
        Function.
    method : {"simplex", "levmar", "moncar", "gridsearch"}
        "levmar" is fed with residuals whose squares are the statistic of each bin, not with the sum.
    **options
        Options of Sherpa's method, such as ``ftol``, ``maxfev``, ``epsfcn``; for "gridsearch" also ``num``, ``sequence``
        and the method that polishes its best node, as ``polish="simplex"``, ``"levmar"`` or None.

    Raises
    ------
    InputError
        If sherpa is not installed, for unknown methods and options, and for "levmar" with a statistic that has no
        residuals.
    """
    name = options.pop("method", "simplex")
    method = _method(name)
    polish = options.pop("polish", "simplex") if name == "gridsearch" else None
    check_names(
        options,
        list(method.config) + (["polish"] if name == "gridsearch" else []),
        f"backend 'sherpa', method {name!r}",
    )
    if objective.residuals is None and name == "levmar":
        raise InputError(
            f"backend 'sherpa', method 'levmar': {objective.residuals_refused}; use 'simplex' or 'moncar'."
        )
    lower = np.where(np.isfinite(objective.lower), objective.lower, -FAR)
    upper = np.where(np.isfinite(objective.upper), objective.upper, FAR)
    if name in ("moncar", "gridsearch"):
        # a random search or a grid over an open range would never come near: twenty expected errors each way, or up to
        # ten times the start
        reach = np.maximum(20 * objective.step, 9 * np.abs(objective.start))
        lower, upper = np.maximum(lower, objective.start - reach), np.minimum(upper, objective.start + reach)
    for key, value in options.items():
        method.config[key] = value
    if name == "gridsearch":
        method.config["method"] = {None: None, "simplex": "NelderMead", "levmar": "LevMar"}[polish]

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        if objective.residuals is not None and (name == "levmar" or polish == "levmar"):
            residuals = objective.residual_vector(x)
            return float(np.sum(residuals**2)), residuals
        value = objective.value(x)
        return (value if np.isfinite(value) else 1e30), np.array([value])

    out = method.fit(evaluate, objective.clip(objective.start), lower, upper)
    success, x, value, message = bool(out[0]), np.asarray(out[1], dtype=float), float(out[2]), str(out[3])
    at_edge = [
        n for n, v, lo, hi, own_lo, own_hi in zip(objective.names, x, lower, upper, objective.lower, objective.upper, strict=True)
        if (v <= lo and lo > own_lo) or (v >= hi and hi < own_hi)
    ]  # fmt: skip
    if at_edge:
        success, message = (
            False,
            f"{message}; the search range of {name} ends at {', '.join(at_edge)}: set limits",
        )
    return BackendResult(
        x=objective.clip(x),
        fun=value,
        success=success,
        message=message,
        method=name,
        call_limit="evaluations" in message or "maxfev" in message,
        raw=out,
        options={"method": name, **options} | ({"polish": polish} if name == "gridsearch" else {}),
    )
