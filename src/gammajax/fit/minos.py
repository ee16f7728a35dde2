"""MINOS and MNCONTOUR of iminuit, with exact derivatives: the cross-check of our own intervals and contours."""

from math import erf
from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.backends.exact_minuit import exact_minuit
from gammajax.fit.confidence import ConfidenceResult
from gammajax.fit.contour import ContourResult, joint_probability, verdict
from gammajax.fit.problem import Problem, derivatives
from gammajax.parameters import Parameter
from gammajax.scan import Refit

__all__ = ["minos", "minos_contour", "minuit_at_minimum"]

# how far the re-optimised TS may be from sigma^2 at an accepted crossing
MINOS_TOLERANCE = 1e-2

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


def _ts_at(problem: Problem, index: int, value: float, start: np.ndarray, stat_min: float) -> float:
    """Re-optimised TS with one parameter held, by an independent Newton fit."""
    node = Problem(problem.likelihood, {index: value}, start=start)
    if len(node.index) == 0:
        return node.stat(node.start) - stat_min
    end = get_backend("newton")(node.objective())
    steeper = problem.likelihood.covering(node.theta(end.x))
    if steeper is problem.likelihood:
        return end.fun - stat_min
    # with the nodes that spectra as steep as there need: if it matters this is no crossing any more, and is not taken for one
    return Problem(steeper, {index: value}, node.theta(end.x), node.scale).stat(end.x) - stat_min


def minos(
    problem: Problem, index: int, name: str, parameter: Parameter, sigma: float, options: dict
) -> ConfidenceResult:
    """Run MINOS for one parameter, and verify each crossing by a re-fit.

    Parameters
    ----------
    problem : `Problem`
        At the best fit.
    index : int
        Position of the parameter in theta.
    name : str
        Its unique name.
    parameter : `Parameter`
        The parameter.
    sigma : float
        Level; TS = sigma^2.
    options : dict
        See `minuit_at_minimum`.
    """
    names = tuple(problem.likelihood.names[i] for i in problem.index)
    minuit = minuit_at_minimum(problem, names, options)
    minuit.minos(name, cl=erf(sigma / np.sqrt(2)))
    out = minuit.merrors[name]
    best = problem.theta(np.asarray(minuit.values))
    scale = problem.likelihood.scale[index]
    found, reasons = [], []
    for side, distance, valid, at_limit in (
        ("lower", out.lower, out.lower_valid, out.at_lower_limit),
        ("upper", out.upper, out.upper_valid, out.at_upper_limit),
    ):
        reason = ""
        if at_limit:
            reason = f"the {side} side reaches the limit of the parameter before TS = {sigma**2:g}"
        elif not valid or distance == 0:
            reason = f"the {side} side has no crossing of TS = {sigma**2:g}"
        else:
            ts = _ts_at(problem, index, best[index] + distance * scale, best, minuit.fval)
            if abs(ts - sigma**2) > MINOS_TOLERANCE * sigma**2:
                reason = f"the {side} side ended at TS = {ts:.4g}, which is no crossing of {sigma**2:g}"
        found.append(np.nan if reason else abs(distance) * scale / parameter.factor)
        reasons += [reason] if reason else []
    return ConfidenceResult(
        parameter=name,
        sigma=float(sigma),
        errn=float(found[0]),
        errp=float(found[1]),
        unit=parameter.unit.to_string(),
        success=not reasons,
        message="; ".join(reasons) or "both sides crossed",
        nfev=int(out.nfcn),
    )


def minos_contour(problem: Problem, found: list, numpoints: int, sigma: float, options: dict) -> ContourResult:
    """Trace a contour with MNCONTOUR, and measure the TS of every point by a re-fit.

    Parameters
    ----------
    problem : `Problem`
        At the best fit.
    found : list
        For x and y: position in theta, parameter, unique name.
    numpoints : int
        Points.
    sigma : float
        Level; TS = sigma^2.
    options : dict
        See `minuit_at_minimum`.
    """
    names = tuple(problem.likelihood.names[i] for i in problem.index)
    minuit = minuit_at_minimum(problem, names, options)
    try:
        points = minuit.mncontour(found[0][2], found[1][2], cl=joint_probability(sigma), size=numpoints)
    except RuntimeError as error:
        raise FitError(
            f"MNCONTOUR found no contour of {found[0][2]} and {found[1][2]} at TS = {sigma**2:g} ({error}); it may leave the "
            "limits: widen them, or scan the surface with stat_surface(..., reoptimize=True)."
        ) from None
    # iminuit closes the polygon; gammapy does not
    points = np.asarray(points)[:numpoints]
    scale = np.array([problem.likelihood.scale[f[0]] for f in found])
    ts = _measured_ts(problem, [f[0] for f in found], points * scale, minuit)
    success, message = verdict(ts, sigma**2)
    values = points * scale / np.array([f[1].factor for f in found])
    return ContourResult(
        names=(found[0][2], found[1][2]),
        units=(found[0][1].unit.to_string(), found[1][1].unit.to_string()),
        x=values[:, 0],
        y=values[:, 1],
        sigma=float(sigma),
        ts=ts,
        success=success,
        message=message,
        method="mncontour",
    )


def _measured_ts(problem: Problem, index: list[int], points: np.ndarray, minuit: Any) -> np.ndarray:
    """Re-optimised TS of points (n, 2) in internal units, all in one batch."""
    best = problem.theta(np.asarray(minuit.values))
    hessian = derivatives(problem.likelihood, best)[2]
    return Refit(problem.likelihood, hessian).points([(index, points)]).stat - minuit.fval
