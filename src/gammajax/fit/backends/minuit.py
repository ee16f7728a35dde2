"""iminuit's MIGRAD, fed with exact derivatives."""

import inspect
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends.base import BackendResult, Objective, check_names
from gammajax.fit.backends.exact_minuit import exact_minuit

__all__ = ["OPTIONS", "minimize"]

OPTIONS = {"tol": 0.1, "strategy": 1, "print_level": 0, "migrad_opts": None}


def minimize(objective: Objective, **options: Any) -> BackendResult:
    """Minimise with MIGRAD.

    Parameters
    ----------
    objective : `Objective`
        Function.
    tol : float
        MIGRAD's tolerance, default 0.1: it stops at an EDM of 0.002 tol.
    strategy : int
        0, 1 or 2; default 1.
    print_level : int
        MINUIT's own print-out; default 0.
    migrad_opts : dict
        Arguments of ``Minuit.migrad``, such as ``ncall`` and ``iterate``.
    """
    from iminuit import Minuit

    check_names(options, OPTIONS, "backend 'minuit'")
    settings = {**OPTIONS, **options}
    migrad = dict(settings["migrad_opts"] or {})
    check_names(migrad, [p for p in inspect.signature(Minuit.migrad).parameters if p != "self"], "migrad_opts")
    if settings["strategy"] not in (0, 1, 2):
        raise InputError(f"backend 'minuit': strategy={settings['strategy']!r}, expected 0, 1 or 2.")

    minuit = exact_minuit(
        objective.names, objective.start, objective.lower, objective.upper, objective.step,
        objective.value, objective.gradient, objective.hessian,
    )  # fmt: skip
    minuit.tol = settings["tol"]
    minuit.strategy = settings["strategy"]
    minuit.print_level = settings["print_level"]
    minuit.migrad(**migrad)
    fmin = minuit.fmin
    reasons = [
        text
        for flag, text in (
            (fmin.has_reached_call_limit, "call limit was reached"),
            (fmin.is_above_max_edm, "estimated distance to the minimum is too large"),
            (not fmin.has_covariance, "no covariance"),
        )
        if flag
    ]
    message = (
        "Optimization terminated successfully."
        if minuit.valid
        else "Optimization failed: " + (", ".join(reasons) or "not valid") + "."
    )
    return BackendResult(
        x=objective.clip(np.array(minuit.values)),
        fun=float(minuit.fval),
        success=bool(minuit.valid),
        message=message,
        method="migrad",
        call_limit=bool(fmin.has_reached_call_limit),
        raw=minuit,
        options=settings,
    )
