"""Priors of one parameter: what is known of it beforehand, added to the statistic as -2 ln of a density."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.elsewhere import Pointing
from gammajax.errors import InputError, UnitError
from gammajax.parameters import prior_functions as functions
from gammajax.units import double_precision, to_unit

__all__ = [
    "GaussianPrior",
    "GeneralizedGaussianPrior",
    "LogNormalPrior",
    "LogUniformPrior",
    "Prior",
    "PriorValue",
    "UniformPrior",
    "prior_classes",
]


@dataclass(frozen=True)
class PriorValue:
    """A number as a prior class declares it: name, default, whether it has the unit of the parameter, whether it is > 0."""

    name: str
    default: float
    dimensional: bool = True
    positive: bool = False


@gammapy_arguments
class Prior(Pointing):
    """Base of the priors: a value that never changes; to change a number, set a new prior on the parameter.

    A member declares `declared` (its numbers, in the order of the arguments of its function) and `function`. The numbers are
    in the unit of the parameter, unless a quantity is given; the unit is settled when the prior is set on a parameter.

    Parameters
    ----------
    **values
        The declared numbers, or quantities of one unit.
    weight : float
        What -2 ln of the density is multiplied with, 1 by default.
    """

    declared: ClassVar[tuple[PriorValue, ...]] = ()
    function: ClassVar[Callable[..., Any]]

    weight: float
    unit: u.UnitBase | None
    _numbers: tuple[float, ...]

    def __init__(self, *, weight: float = 1.0, **values: Any) -> None:
        known = [d.name for d in self.declared]
        for name in values:
            if name not in known:
                raise InputError(f"{type(self).__name__}: unknown value {name!r}; it has: {', '.join(known)}, weight.")
        given = {d.name: values.get(d.name, d.default) for d in self.declared}
        quantities = [given[d.name] for d in self.declared if d.dimensional and isinstance(given[d.name], u.Quantity)]
        unit = quantities[0].unit if quantities else None
        numbers = [self._number(d, given[d.name], unit) for d in self.declared]
        self._set(tuple(numbers), float(weight), unit)

    def _number(self, d: PriorValue, value: Any, unit: u.UnitBase | None) -> float:
        what = f"{type(self).__name__}.{d.name}"
        if isinstance(value, u.Quantity):
            wanted = unit if d.dimensional and unit is not None else u.dimensionless_unscaled
            value = float(to_unit(value, wanted, what))
        elif unit is not None and d.dimensional and unit != u.dimensionless_unscaled:
            raise UnitError(
                f"{what}: got {value!r} without a unit, but another value has {str(unit)!r}; give all or none."
            )
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise InputError(f"{what}: got {value!r}, expected a finite number.")
        if d.positive and value <= 0:
            raise InputError(f"{what}: got {value!r}, expected a number above 0.")
        return float(value)

    def _set(self, numbers: tuple[float, ...], weight: float, unit: u.UnitBase | None) -> None:
        if not (np.isfinite(weight) and weight > 0):
            raise InputError(
                f"{type(self).__name__}.weight: got {weight!r}, expected a finite number above 0; leave the prior out instead of 0."
            )
        self.__dict__.update(_numbers=numbers, weight=weight, unit=unit)
        self.__dict__.update(zip([d.name for d in self.declared], numbers, strict=True))
        self._check()

    def _check(self) -> None:
        """Refuse numbers that do not go together."""

    def __setattr__(self, key: str, value: Any) -> None:
        raise InputError(
            f"{type(self).__name__}.{key}: a prior does not change; set a new one, for instance "
            f"parameter.prior = {type(self).__name__}({key}={value!r}, ...)."
        )

    # -- what a likelihood takes -----------------------------------------------------------------------------------

    @property
    def values(self) -> Any:
        """The numbers in declared order, shape (k,), float64; arguments of `function`, never part of a program.

        A prior that is made of arrays has a tuple of them.
        """
        return np.array(self._numbers)

    @property
    def support(self) -> tuple[float, float]:
        """Where the density is not zero, in `unit`."""
        return -np.inf, np.inf

    def in_unit(self, unit: u.UnitBase, what: str = "prior") -> "Prior":
        """Return the same prior with its numbers in a unit; one without a unit takes it.

        Parameters
        ----------
        unit : `~astropy.units.Unit`
            The unit.
        what : str
            What messages call the prior.

        Raises
        ------
        UnitError
            If the unit of the prior is of another dimension.
        """
        return self._times(self._factor(unit, what), u.Unit(unit))

    def _times(self, factor: float, unit: u.UnitBase) -> "Prior":
        """The same prior with its numbers multiplied by a factor, in a unit."""
        new = object.__new__(type(self))
        numbers = zip(self.declared, self._numbers, strict=True)
        new._set(tuple(v * factor if d.dimensional else v for d, v in numbers), self.weight, unit)
        return new

    def _factor(self, unit: u.UnitBase, what: str) -> float:
        """What the numbers are multiplied with to be in a unit."""
        if self.unit is not None and not self.unit.is_equivalent(unit):
            raise UnitError(
                f"{what}: the {type(self).__name__} has unit {self.unit.to_string()!r}, expected one convertible to "
                f"{unit.to_string()!r}."
            )
        return 1.0 if self.unit is None or self.unit == unit else float(self.unit.to(unit))

    def stat(self, x: Any, constants: bool = True) -> Any:
        """-2 ln of the density times `weight`, at numbers in `unit` or at a quantity; shape of `x`.

        Parameters
        ----------
        x : float, array or `~astropy.units.Quantity`
            Values of the parameter.
        constants : bool
            Keep what does not depend on x, as gammapy does.
        """
        if isinstance(x, u.Quantity):
            x = to_unit(x, self.unit or u.dimensionless_unscaled, type(self).__name__)
        with double_precision():
            out = np.asarray(type(self).function(np.asarray(x, dtype=float), *self.values, constants=constants))
        return self.weight * out if out.ndim else float(self.weight * out)

    __call__ = stat

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), self._numbers, self.weight))

    def __repr__(self) -> str:
        numbers = [f"{d.name}={v:g}" for d, v in zip(self.declared, self._numbers, strict=True)]
        return f"{type(self).__name__}({', '.join(numbers)}{'' if self.weight == 1 else f', weight={self.weight:g}'})"


class GaussianPrior(Prior):
    r"""Normal distribution, :math:`((x-\mu)/\sigma)^2 + 2\ln\sigma + \ln 2\pi`.

    Parameters
    ----------
    mu, sigma : float or `~astropy.units.Quantity`
        Mean and standard deviation, defaults 0 and 1.
    weight : float
        Factor, default 1.

    Examples
    --------
    >>> GaussianPrior(mu=2.3, sigma=0.1).stat(2.5, constants=False)
    4.0000...
    """

    declared = (PriorValue("mu", 0.0), PriorValue("sigma", 1.0, positive=True))
    function = staticmethod(functions.gaussian)


class UniformPrior(Prior):
    r"""Uniform distribution, :math:`2\ln(max-min)` inside and +inf outside; its ends are limits of the fit.

    Parameters
    ----------
    min, max : float or `~astropy.units.Quantity`
        Ends, defaults 0 and 1.
    weight : float
        Factor, default 1.

    Examples
    --------
    >>> UniformPrior(min=0, max=2).stat([1.0, 3.0]).round(6).tolist()
    [1.386294, inf]
    """

    declared = (PriorValue("min", 0.0), PriorValue("max", 1.0))
    function = staticmethod(functions.uniform)

    def _check(self) -> None:
        low, high = self._numbers
        if low >= high:
            raise InputError(f"{type(self).__name__}: got min={low:g} and max={high:g}, expected min below max.")

    @property
    def support(self) -> tuple[float, float]:
        """Both ends, in `unit`."""
        return self._numbers[0], self._numbers[1]


class LogUniformPrior(UniformPrior):
    r"""Uniform in ln x, :math:`2\ln x + 2\ln\ln(max/min)` inside and +inf outside; its ends are limits of the fit.

    Parameters
    ----------
    min, max : float or `~astropy.units.Quantity`
        Ends, above 0, defaults 1e-14 and 1e-10.
    weight : float
        Factor, default 1.
    """

    declared = (PriorValue("min", 1e-14, positive=True), PriorValue("max", 1e-10, positive=True))
    function = staticmethod(functions.log_uniform)


class GeneralizedGaussianPrior(Prior):
    r"""Generalised normal distribution of scale :math:`\sqrt2\sigma` and power :math:`1/\eta`.

    Parameters
    ----------
    mu, sigma : float or `~astropy.units.Quantity`
        Centre and width, defaults 0 and 1.
    eta : float
        Shape: 0.5, the default, is a Gaussian, 1 a Laplace distribution.
    weight : float
        Factor, default 1.
    """

    declared = (
        PriorValue("mu", 0.0),
        PriorValue("sigma", 1.0, positive=True),
        PriorValue("eta", 0.5, dimensional=False, positive=True),
    )
    function = staticmethod(functions.generalized_gaussian)


class LogNormalPrior(Prior):
    r"""Normal distribution of ln x, :math:`(\ln(x/\mu)/\sigma)^2 + 2\ln x + 2\ln\sigma + \ln 2\pi`; +inf for x <= 0.

    Parameters
    ----------
    mu : float or `~astropy.units.Quantity`
        Median, above 0, default 1.
    sigma : float
        Standard deviation of ln x, default 1.
    weight : float
        Factor, default 1.
    """

    declared = (PriorValue("mu", 1.0, positive=True), PriorValue("sigma", 1.0, dimensional=False, positive=True))
    function = staticmethod(functions.log_normal)

    @property
    def support(self) -> tuple[float, float]:
        """Above 0."""
        return 0.0, np.inf


def prior_classes() -> dict[str, type[Prior]]:
    """Every prior class by its name, those of other packages included."""
    found: dict[str, type[Prior]] = {}
    waiting = [Prior]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            found[cls.__name__] = cls
            waiting.append(cls)
    return found
