"""A ``Minuit`` object with exact derivatives, as far as the installed iminuit takes them."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["exact_minuit"]

# stands in for +inf: MIGRAD's line search steps back from a huge value, while inf gives it nan
HUGE = 1e30


def exact_minuit(
    names: tuple[str, ...],
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    step: np.ndarray,
    value: Callable[[np.ndarray], float],
    gradient: Callable[[np.ndarray], np.ndarray],
    hessian: Callable[[np.ndarray], np.ndarray],
) -> Any:
    """Return ``iminuit.Minuit`` for a statistic on the -2 ln L scale, with limits and steps set.

    Parameters
    ----------
    names : tuple of str, length n
        Parameters.
    start, lower, upper, step : array, shape (n,)
        Start, limits and first steps.
    value, gradient, hessian : callable
        Exact derivatives.
    """
    from iminuit import Minuit

    def finite(x: np.ndarray) -> float:
        v = value(x)
        return v if np.isfinite(v) else HUGE

    exact: dict[str, Any] = {"grad": gradient}
    if "hessian" in inspect.signature(Minuit.__init__).parameters:
        # iminuit 2.33 calls g2 at points of negative curvature even where it has the Hessian, and then calls None
        exact |= {"hessian": hessian, "g2": lambda x: np.ascontiguousarray(np.diag(hessian(x)))}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="hessian overrides g2")
        minuit = Minuit(finite, np.array(start), name=names, **exact)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.limits = list(zip(lower, upper, strict=True))
    minuit.errors = step
    return minuit
