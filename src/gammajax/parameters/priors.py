"""Priors of parameters and penalties on several: classes that bind numbers to the functions of `prior_functions`."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.parameters import prior_functions as functions
from gammajax.units import double_precision, to_unit

__all__ = [
    "PRIORS",
    "GaussianPrior",
    "GaussianPriorPenalty",
    "GeneralizedGaussianPrior",
    "LogNormalPrior",
    "LogUniformPrior",
    "Prior",
    "UniformPrior",
]


@lru_cache(maxsize=64)
def _bound(function: Callable[..., Any], constants: bool) -> Callable[..., Any]:
    """One function object per prior, so that programs are compiled once for all of a kind; the last number is the weight."""

    def stat(x: Any, *numbers: Any) -> Any:
        *own, weight = numbers
        return weight * function(x[0], *own, constants=constants)

    return stat


class Prior:
    """Base of the priors of one parameter.

    Parameters
    ----------
    **kwargs
        Its numbers, in the unit of the parameter, or quantities.
    weight : float
        Multiplies its statistic.
    constants : bool
        Whether the normalisation of the density is part of the statistic, as in gammapy. Without it the statistic can be compared
        with that of a fit without the prior.
    """

    tag: ClassVar[str] = ""
    defaults: ClassVar[dict[str, float]] = {}
    function: ClassVar[Callable[..., Any]]
    positive: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, weight: float = 1.0, constants: bool = True, **kwargs: Any) -> None:
        unknown = set(kwargs) - set(self.defaults)
        if unknown:
            raise InputError(
                f"{type(self).__name__}: unknown {sorted(unknown)[0]!r}; it has: {', '.join(self.defaults)}."
            )
        self.weight, self.constants = float(weight), bool(constants)
        self.values: dict[str, Any] = {n: kwargs.get(n, d) for n, d in self.defaults.items()}
        for name, value in self.values.items():
            number = float(value.value if isinstance(value, u.Quantity) else value)
            if not np.isfinite(number) or (name in self.positive and number <= 0):
                raise InputError(
                    f"{type(self).__name__}: {name} is {value}, expected a finite number"
                    + (" above 0." if name in self.positive else ".")
                )
        if not self.weight >= 0:
            raise InputError(f"{type(self).__name__}: weight is {weight}, expected a number of at least 0.")

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("values", {})
        if name in values:
            return values[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; its numbers are: {', '.join(values)}.")

    def numbers(self, unit: Any = "", name: str = "parameter") -> tuple[float, ...]:
        """Its numbers in the unit of the parameter, the weight last; dimensionless ones as they are."""
        own = [
            float(to_unit(v, unit if k not in ("eta",) and not self._relative(k) else "", f"{name}.prior.{k}"))
            if isinstance(v, u.Quantity)
            else float(v)
            for k, v in self.values.items()
        ]
        return (*own, self.weight)

    def _relative(self, name: str) -> bool:
        return False

    @property
    def program(self) -> Callable[..., Any]:
        """``program(x, *numbers)`` with x of shape (1,): -2 ln of the prior; the same object for all of a kind."""
        return _bound(type(self).function, self.constants)

    @property
    def limits(self) -> tuple[float, float]:
        """Where the prior is not zero."""
        return -np.inf, np.inf

    def stat(self, x: Any) -> float:
        """-2 ln of the prior at x, a number in the unit of the parameter."""
        with double_precision():
            return float(self.program(np.array([float(x)]), *self.numbers()))

    def copy(self) -> "Prior":
        """Return an independent copy."""
        return type(self)(weight=self.weight, constants=self.constants, **self.values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.weight, self.constants, tuple(map(str, self.values.values()))))

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={v}" for n, v in self.values.items())
        return f"{type(self).__name__}({shown})"


class GaussianPrior(Prior):
    r"""Gaussian prior: :math:`((x - \mu)/\sigma)^2 + 2 \ln \sigma + \ln 2\pi`.

    Examples
    --------
    >>> GaussianPrior(mu=2.0, sigma=0.5, constants=False).stat(2.5)
    1.0
    """

    tag = "GaussianPrior"
    defaults: ClassVar[dict[str, float]] = {"mu": 0.0, "sigma": 1.0}
    positive = ("sigma",)
    function = staticmethod(functions.gaussian)


class _Range(Prior):
    defaults: ClassVar[dict[str, float]] = {"min": 0.0, "max": 1.0}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        low, high, _ = self.numbers()
        if not low < high:
            raise InputError(f"{type(self).__name__}: min is {low:g} and max {high:g}, expected min < max.")

    @property
    def limits(self) -> tuple[float, float]:
        """Its range."""
        low, high, _ = self.numbers()
        return low, high


class UniformPrior(_Range):
    r"""Uniform prior, :math:`2 \ln(max - min)` inside; its range also limits the parameter."""

    tag = "UniformPrior"
    function = staticmethod(functions.uniform)


class LogUniformPrior(_Range):
    r"""Prior uniform in the logarithm, :math:`2 \ln x + 2 \ln\ln(max/min)` inside; its range also limits the parameter."""

    tag = "LogUniformPrior"
    defaults: ClassVar[dict[str, float]] = {"min": 1e-14, "max": 1e-10}
    positive = ("min", "max")
    function = staticmethod(functions.log_uniform)


class GeneralizedGaussianPrior(Prior):
    r"""Generalised Gaussian prior with exponent :math:`1/\eta`; a Gaussian for eta = 0.5."""

    tag = "GeneralizedGaussianPrior"
    defaults: ClassVar[dict[str, float]] = {"mu": 0.0, "sigma": 1.0, "eta": 0.5}
    positive = ("sigma", "eta")
    function = staticmethod(functions.generalized_gaussian)


class LogNormalPrior(Prior):
    r"""Log-normal prior: median mu, standard deviation sigma of the logarithm."""

    tag = "LogNormalPrior"
    defaults: ClassVar[dict[str, float]] = {"mu": 1.0, "sigma": 1.0}
    positive = ("mu", "sigma")
    function = staticmethod(functions.log_normal)

    def _relative(self, name: str) -> bool:
        return name == "sigma"


PRIORS: dict[str, type[Prior]] = {
    p.tag: p for p in (GaussianPrior, UniformPrior, LogUniformPrior, GeneralizedGaussianPrior, LogNormalPrior)
}


class GaussianPriorPenalty:
    r"""Penalty on several parameters, :math:`\lambda (x - \mu)^T C^{-1} (x - \mu)`, added to the statistic.

    Parameters
    ----------
    parameters : sequence of `Parameter`
        The k parameters.
    mean : float or array, shape (k,)
        :math:`\mu`, in their units.
    covariance : array, shape (k, k)
        C, in their units; symmetric and positive definite; the unit matrix if not given.
    lambda_ : float
        Strength.

    Raises
    ------
    InputError
        For shapes that do not fit, or a covariance that is not symmetric and positive definite.
    """

    def __init__(
        self, parameters: Sequence[Any], mean: Any = 0.0, covariance: Any = None, lambda_: float = 1.0
    ) -> None:
        n = len(parameters)
        c = np.eye(n) if covariance is None else np.array(covariance, dtype=float)
        if c.shape != (n, n) or not np.allclose(c, c.T, rtol=1e-10, atol=0) or np.linalg.eigvalsh(c)[0] <= 0:
            raise InputError(
                f"GaussianPriorPenalty: the covariance of shape {c.shape} must be symmetric, positive definite and of shape "
                f"({n}, {n}), one row for each parameter."
            )
        self._set(parameters, mean, np.linalg.inv(c), lambda_)

    def _set(self, parameters: Sequence[Any], mean: Any, precision: np.ndarray, lambda_: float) -> None:
        self.parameters = list(parameters)
        n = len(self.parameters)
        self.mean = np.broadcast_to(np.asarray(mean, dtype=float), (n,)).copy()
        if precision.shape != (n, n) or not np.all(np.isfinite(precision)):
            raise InputError(
                f"GaussianPriorPenalty: the precision has shape {precision.shape}, expected ({n}, {n}), finite."
            )
        if np.linalg.eigvalsh(precision)[0] < -1e-10 * np.abs(precision).max():
            raise InputError(
                "GaussianPriorPenalty: the precision has a negative eigenvalue, so that the penalty has no minimum."
            )
        if not (np.isfinite(lambda_) and lambda_ >= 0):
            raise InputError(f"GaussianPriorPenalty: lambda_ is {lambda_}, expected a finite number of at least 0.")
        self.precision, self.lambda_ = precision, float(lambda_)

    @classmethod
    def from_precision(
        cls, parameters: Sequence[Any], precision: Any, mean: Any = 0.0, lambda_: float = 1.0
    ) -> "GaussianPriorPenalty":
        """From the inverse covariance, shape (k, k), which may be singular."""
        new = object.__new__(cls)
        new._set(parameters, mean, np.array(precision, dtype=float), lambda_)
        return new

    @classmethod
    def from_diagonal(
        cls, parameters: Sequence[Any], sigma: Any, mean: Any = 0.0, lambda_: float = 1.0
    ) -> "GaussianPriorPenalty":
        """Independent parameters with standard deviations sigma, a number or shape (k,)."""
        errors = np.broadcast_to(np.asarray(sigma, dtype=float), (len(parameters),))
        return cls.from_precision(parameters, np.diag(1 / errors**2), mean, lambda_)

    @classmethod
    def L2_penalty(cls, parameters: Sequence[Any], mean: Any = 0.0, lambda_: float = 1.0) -> "GaussianPriorPenalty":
        r"""Tikhonov regularisation, :math:`\lambda \sum_i (x_i - \mu_i)^2`."""
        return cls.from_precision(parameters, np.eye(len(parameters)), mean, lambda_)

    @classmethod
    def SmoothnessPenalty(
        cls, parameters: Sequence[Any], mean: Any = 0.0, lambda_: float = 1.0
    ) -> "GaussianPriorPenalty":
        """Differences of neighbours: the precision is tridiagonal with 2 and -1."""
        n = len(parameters)
        return cls.from_precision(parameters, 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1), mean, lambda_)

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (k,) and lambda times the precision (k, k)."""
        return self.mean, self.lambda_ * self.precision

    @property
    def program(self) -> Callable[..., Any]:
        """``program(x, mean, precision)`` with x of shape (k,)."""
        return functions.gaussian_penalty

    def stat_sum(self) -> float:
        """The penalty at the present values of the parameters."""
        d = np.array([p.value for p in self.parameters]) - self.mean
        return float(self.lambda_ * d @ self.precision @ d)

    def __repr__(self) -> str:
        return f"GaussianPriorPenalty({[p.name for p in self.parameters]}, lambda_={self.lambda_:g})"
