"""The contract of an optimiser backend.

A backend takes an `Objective` (function with exact derivatives, start, limits, and a residual vector where the statistic
has one) and returns a `BackendResult`. It knows no model and no data set.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np

from gammajax.errors import InputError

__all__ = ["BackendResult", "Counts", "Objective", "check_names"]


@dataclass
class Counts:
    """How often an optimiser asked for what."""

    fun: int = 0
    grad: int = 0
    hess: int = 0
    residuals: int = 0


@dataclass
class Objective:
    """A scalar function of n scaled parameters, with exact derivatives.

    Attributes
    ----------
    names : tuple of str
        Parameters.
    start, lower, upper : array, shape (n,)
        Start and limits, of order one; -inf and inf where there is no limit.
    step : array, shape (n,)
        Expected errors, for first steps.
    fun, grad, hess : callable
        Value, gradient (n,) and Hessian (n, n); +inf outside the domain.
    residuals : callable or None
        Vector whose squares add up to the value.
    residuals_refused : str
        Why there is none.
    safe_hess : callable or None
        Where the function is a sum of squares: the Hessian of Gauss and Newton (n, n), without the second derivatives of the
        residuals and never negative.
    noise : callable
        Of a value: how much of it may be rounding.
    unit : callable
        Of a value: what counts as one unit of the function; less than 1 where the errors of the data turn out far too large.
    endless : callable or None
        Of a point: whether the function is proven to fall from there for ever, at the cost of some hundred values; for an optimiser that
        takes long to find out.
    trace : list or None
        Takes (value, parameters) of each evaluation when it is a list.
    watch : callable or None
        Is told the value of each evaluation.
    """

    names: tuple[str, ...]
    start: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    step: np.ndarray
    fun: Callable[[np.ndarray], float]
    grad: Callable[[np.ndarray], np.ndarray]
    hess: Callable[[np.ndarray], np.ndarray]
    residuals: Callable[[np.ndarray], np.ndarray] | None = None
    residuals_refused: str = "this statistic has no residual vector"
    safe_hess: Callable[[np.ndarray], np.ndarray] | None = None
    noise: Callable[[float], float] = lambda value: 1e-13 * max(abs(value), 1.0)
    unit: Callable[[float], float] = lambda value: 1.0
    endless: Callable[[np.ndarray], bool] | None = None
    trace: list | None = None
    watch: Callable[[float], None] | None = None
    counts: Counts = field(default_factory=Counts)

    def value(self, x: np.ndarray) -> float:
        """Value; counted and traced."""
        x = np.array(x, dtype=float)
        self.counts.fun += 1
        value = float(self.fun(x))
        if self.trace is not None:
            self.trace.append((value, x))
        if self.watch is not None:
            self.watch(value)
        return value

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Gradient, shape (n,); counted."""
        self.counts.grad += 1
        return np.array(self.grad(np.array(x, dtype=float)))

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Hessian, shape (n, n); counted."""
        self.counts.hess += 1
        return np.array(self.hess(np.array(x, dtype=float)))

    def safe_hessian(self, x: np.ndarray) -> np.ndarray:
        """Hessian of Gauss and Newton, shape (n, n)."""
        assert self.safe_hess is not None
        return np.array(self.safe_hess(np.array(x, dtype=float)))

    def residual_vector(self, x: np.ndarray) -> np.ndarray:
        """Residuals, shape (m,); counted, and traced as the value that their squares add up to."""
        if self.residuals is None:
            raise InputError(f"residuals: {self.residuals_refused}.")
        x = np.array(x, dtype=float)
        self.counts.residuals += 1
        self.counts.fun += 1
        residuals = np.array(self.residuals(x))
        if self.trace is not None:
            self.trace.append((float(np.sum(residuals**2)), x))
        if self.watch is not None:
            self.watch(float(np.sum(residuals**2)))
        return residuals

    @property
    def bounded(self) -> bool:
        """Whether any parameter has a limit."""
        return bool(np.any(np.isfinite(self.lower)) or np.any(np.isfinite(self.upper)))

    def clip(self, x: np.ndarray) -> np.ndarray:
        """Move x inside the limits."""
        return np.clip(x, self.lower, self.upper)


@dataclass(frozen=True)
class BackendResult:
    """Where an optimiser stopped, in its own words.

    Attributes
    ----------
    x : array, shape (n,)
        End point, inside the limits.
    fun : float
        Value there.
    success : bool
        Whether the optimiser itself says so.
    message, method : str
        Its words and its name.
    call_limit : bool
        Whether it ran out of calls or steps.
    raw : object
        What the optimiser's library returned.
    options : dict
        Options that were used.
    """

    x: np.ndarray
    fun: float
    success: bool
    message: str
    method: str
    call_limit: bool = False
    raw: Any = None
    options: dict = field(default_factory=dict)


def check_names(given: Any, known: Any, what: str) -> None:
    """Refuse unknown option names with the list of known ones.

    Raises
    ------
    InputError
        Naming the first unknown option, and the nearest known one.
    """
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), list(known), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{what}: unknown option {name!r}; known are: {', '.join(sorted(known))}.{hint}")
