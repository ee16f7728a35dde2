"""Asymmetric errors: MINOS."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.minos import minuit_at_minimum
from gammajax.fit.problem import Problem
from gammajax.parameters import Parameter

__all__ = ["ConfidenceResult", "minos"]

# how far the re-optimised TS may be from sigma^2 at an accepted crossing
TS_TOLERANCE = 1e-2


@dataclass(frozen=True, repr=False)
class ConfidenceResult(Mapping):
    """Distances from the best fit to the crossings of TS = sigma^2.

    Readable like gammapy's dictionary: keys ``errn``, ``errp``, ``success``, ``message``, ``nfev``.

    Attributes
    ----------
    parameter : str
        Unique name.
    sigma : float
        Level.
    errn, errp : float
        Distances down and up, positive, in `unit`; nan where that side does not close.
    unit : str
        Unit of the parameter.
    success : bool
        Whether both sides are crossings, verified by a re-fit.
    message : str
        Why a side is nan, or "both sides crossed".
    nfev : int
        Evaluations.
    """

    parameter: str
    sigma: float
    errn: float
    errp: float
    unit: str
    success: bool
    message: str
    nfev: int

    _keys = ("errn", "errp", "success", "message", "nfev")

    def __getitem__(self, key: str) -> Any:
        if key in self._keys:
            return getattr(self, key)
        raise KeyError(f"{key!r}: the keys are {', '.join(self._keys)}.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __str__(self) -> str:
        return (
            f"{self.parameter}: -{self.errn:.6g} +{self.errp:.6g} {self.unit} at TS = {self.sigma**2:g} "
            f"({self.sigma:g} sigma, one parameter); {self.message}"
        )

    __repr__ = __str__


def _ts_at(problem: Problem, index: int, value: float, start: np.ndarray, stat_min: float) -> float:
    """Re-optimised TS with one parameter held, by an independent Newton fit."""
    node = Problem(problem.likelihood, {index: value}, start=start)
    if len(node.index) == 0:
        return node.stat(node.start) - stat_min
    return get_backend("newton")(node.objective()).fun - stat_min


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
    if not (np.isfinite(sigma) and 0 < sigma <= 8):
        raise InputError(f"confidence: got sigma={sigma!r}, expected a number above 0 and at most 8.")
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
            if abs(ts - sigma**2) > TS_TOLERANCE * sigma**2:
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
