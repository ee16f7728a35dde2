"""Spectral models: classes that bind names, units and limits to the functions of `gammajax.models.functions`."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from astropy import units as u

from gammajax.errors import InputError, ModelError, UnitError
from gammajax.models.functions import exp_cutoff_power_law, log_parabola, power_law, power_law_integral
from gammajax.models.integrate import SpectralForm
from gammajax.models.quantities import band, integral_band, integrate_range, values
from gammajax.parameters import Covariance, Parameter, Parameters
from gammajax.units import energy_values

__all__ = [
    "Declared",
    "ExpCutoffPowerLawSpectralModel",
    "LogParabolaSpectralModel",
    "PowerLawSpectralModel",
    "SpectralModel",
]

DNDE = "TeV-1 s-1 cm-2"


@dataclass(frozen=True)
class Declared:
    """A parameter as a model class declares it: name, default value and internal unit."""

    name: str
    value: float
    unit: str = ""
    frozen: bool = False
    interp: str = "lin"
    linear: bool = False


class SpectralModel:
    """Base of the spectral models.

    A member declares `declared` (its parameters, in the order of the arguments of its function) and `form`
    (the pure functions); everything else follows.

    Parameters
    ----------
    **kwargs
        One value per parameter: a quantity, a number where the parameter is dimensionless, or a `Parameter`
        (which is then shared, a link).
    """

    tag: ClassVar[tuple[str, ...]] = ()
    declared: ClassVar[tuple[Declared, ...]] = ()
    form: ClassVar[SpectralForm]
    model_type: ClassVar[str] = "spectral"

    def __getattr__(self, name: str) -> Any:
        # reached only for what is not there: says what is, and tells a type checker that parameters are attributes
        known = ", ".join(d.name for d in type(self).declared)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; its parameters are: {known}.")

    def __init__(self, **kwargs: Any) -> None:
        known = [d.name for d in self.declared]
        for name in kwargs:
            if name not in known:
                raise InputError(f"{type(self).__name__}: unknown parameter {name!r}; it has: {', '.join(known)}.")
        self._covariance: np.ndarray | None = None
        for d in self.declared:
            value = kwargs.get(d.name, u.Quantity(d.value, d.unit))
            setattr(self, d.name, value if isinstance(value, Parameter) else self._make(d, value))

    def _make(self, d: Declared, value: Any) -> Parameter:
        what = f"{type(self).__name__}.{d.name}"
        if not isinstance(value, u.Quantity):
            if u.Unit(d.unit) != u.dimensionless_unscaled:
                raise UnitError(
                    f"{what}: got {value!r} without a unit, expected a quantity convertible to {d.unit!r}; "
                    f"write for instance {d.name}={value!r} * u.Unit({d.unit!r})."
                )
            value = u.Quantity(value)
        par = Parameter(d.name, float(value.value), value.unit, frozen=d.frozen, interp=d.interp, linear=d.linear)
        self._check(d, par)
        par.internal_unit = u.Unit(d.unit)
        return par

    def _check(self, d: Declared, par: Parameter) -> None:
        if not par.unit.is_equivalent(u.Unit(d.unit)):
            raise UnitError(
                f"{type(self).__name__}.{d.name}: got unit {par.unit.to_string()!r}, expected one convertible to "
                f"{d.unit!r}; give the value in such a unit."
            )

    def __setattr__(self, key: str, value: Any) -> None:
        d = next((d for d in self.declared if d.name == key), None)
        if d is not None:
            if not isinstance(value, Parameter):
                raise InputError(
                    f"{type(self).__name__}.{key}: got {value!r}; set the number with model.{key}.value = ..., a "
                    f"quantity with model.{key}.quantity = ..., or assign a Parameter to link two models."
                )
            self._check(d, value)
        object.__setattr__(self, key, value)

    @property
    def parameters(self) -> Parameters:
        """The parameters in declared order."""
        return Parameters([getattr(self, d.name) for d in self.declared])

    @property
    def covariance(self) -> Covariance:
        """Covariance of this model's parameters; zeros before a fit."""
        return Covariance(self.parameters, self._covariance)

    @covariance.setter
    def covariance(self, data: Any) -> None:
        self._covariance = Covariance(self.parameters, np.asarray(data)).data

    def copy(self, parameters: Any = None) -> "SpectralModel":
        """Return an independent copy; `parameters` replaces the parameter objects, in declared order."""
        new = object.__new__(type(self))
        object.__setattr__(new, "_covariance", self._covariance)
        pars = [p.copy() for p in self.parameters] if parameters is None else list(parameters)
        for d, p in zip(self.declared, pars, strict=True):
            object.__setattr__(new, d.name, p)
        return new

    @property
    def _dnde_unit(self) -> u.UnitBase:
        linear = [getattr(self, n).unit for n in self.form.linear]
        return linear[0] if linear else u.Unit(DNDE)

    def _theta(self) -> np.ndarray:
        return np.array([p.value * p.factor for p in self.parameters])

    def _covariance_internal(self) -> np.ndarray:
        factor = np.array([p.factor for p in self.parameters])
        return self.covariance.data * np.outer(factor, factor)

    def __call__(self, energy: u.Quantity) -> u.Quantity:
        """Differential flux dnde at `energy` (quantity, any shape), in the unit of the amplitude."""
        e = energy_values(energy, "energy")
        return u.Quantity(values(self.form, e, self._theta()), DNDE).to(self._dnde_unit)

    def integral(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        r"""Integral flux :math:`\int dnde\, dE` between two energies, relative error below 1e-9; cm-2 s-1."""
        lo, hi = _limits(energy_min, energy_max)
        return u.Quantity(integrate_range(self.form, lo, hi, self._theta(), 0), "cm-2 s-1")

    def energy_flux(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        r"""Energy flux :math:`\int E\, dnde\, dE` between two energies, relative error below 1e-9; TeV cm-2 s-1."""
        lo, hi = _limits(energy_min, energy_max)
        return u.Quantity(integrate_range(self.form, lo, hi, self._theta(), 1), "TeV cm-2 s-1")

    def evaluate_error(self, energy: u.Quantity) -> u.Quantity:
        r"""Differential flux and its error, by exact propagation :math:`\sigma^2 = J C J^T`.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`, shape (n,)
            Energies.

        Returns
        -------
        `~astropy.units.Quantity`, shape (2, n)
            dnde and its one-sigma error.
        """
        e = energy_values(energy, "energy")
        out = band(self.form, e, self._theta(), self._covariance_internal())
        return u.Quantity(np.stack(out), DNDE).to(self._dnde_unit)

    def integral_error(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        """Integral flux and its error by exact propagation, shape (2,); cm-2 s-1."""
        lo, hi = _limits(energy_min, energy_max)
        return u.Quantity(
            np.stack(integral_band(self.form, lo, hi, self._theta(), self._covariance_internal(), 0)),
            "cm-2 s-1",
        )

    def plot(self, energy_bounds: Any = None, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the model; see `gammajax.plotting.plot_spectral_model`."""
        from gammajax.plotting import plot_spectral_model

        return plot_spectral_model(self, energy_bounds, ax=ax, **kwargs)

    def plot_error(self, energy_bounds: Any = None, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the one-sigma band of the model; see `gammajax.plotting.plot_spectral_error`."""
        from gammajax.plotting import plot_spectral_error

        return plot_spectral_error(self, energy_bounds, ax=ax, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{p.name}={p.quantity:.4g}' for p in self.parameters)})"

    def __str__(self) -> str:
        return f"{type(self).__name__}\n\n{self.parameters}\n"

    def _repr_html_(self) -> str:
        return f"<b>{type(self).__name__}</b>{self.parameters._repr_html_()}"


def _limits(energy_min: Any, energy_max: Any) -> tuple[float, float]:
    lo, hi = float(energy_values(energy_min, "energy_min")), float(energy_values(energy_max, "energy_max"))
    if not 0 < lo < hi:
        raise ModelError(f"energy range: got {lo:g} to {hi:g} TeV, expected 0 < energy_min < energy_max.")
    return lo, hi


class PowerLawSpectralModel(SpectralModel):
    r"""Power law :math:`\phi(E) = A (E/E_0)^{-\Gamma}`.

    Parameters
    ----------
    index : float
        :math:`\Gamma`, default 2.
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.

    Examples
    --------
    >>> from astropy import units as u
    >>> model = PowerLawSpectralModel(index=2, amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1"))
    >>> print(f"{model.integral(1 * u.TeV, 10 * u.TeV):.4g}")
    9e-13 1 / (s cm2)
    """

    tag = ("PowerLawSpectralModel", "pl")
    declared = (
        Declared("index", 2.0),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
    )
    form = SpectralForm(
        power_law,
        ("index", "amplitude", "reference"),
        integral=power_law_integral,
        linear=("amplitude",),
        constants=("reference",),
    )


class LogParabolaSpectralModel(SpectralModel):
    r"""Log-parabola :math:`\phi(E) = A (E/E_0)^{-\alpha - \beta \ln(E/E_0)}`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 10 TeV, frozen.
    alpha, beta : float
        Index and curvature, defaults 2 and 1.

    Examples
    --------
    >>> from astropy import units as u
    >>> model = LogParabolaSpectralModel(
    ...     amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    ... )
    >>> print(f"{model(2 * u.TeV):.4g}")
    1.845e-12 1 / (TeV s cm2)
    """

    tag = ("LogParabolaSpectralModel", "lp")
    declared = (
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 10.0, "TeV", frozen=True),
        Declared("alpha", 2.0),
        Declared("beta", 1.0),
    )
    # steeper than 20 only where alpha + 2 beta ln(E/E0) is: far below 1e-12 of the integral for beta <= 1
    form = SpectralForm(
        log_parabola,
        ("amplitude", "reference", "alpha", "beta"),
        linear=("amplitude",),
        constants=("reference",),
        log_slope=20.0,
    )


class ExpCutoffPowerLawSpectralModel(SpectralModel):
    r"""Power law with exponential cut-off :math:`\phi(E) = A (E/E_0)^{-\Gamma} \exp(-(\lambda E)^\alpha)`.

    Parameters
    ----------
    index : float
        :math:`\Gamma`, default 1.5.
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    lambda_ : `~astropy.units.Quantity`
        :math:`\lambda`, default 0.1 TeV-1.
    alpha : float
        Exponent of the cut-off, default 1, frozen.

    Examples
    --------
    >>> from astropy import units as u
    >>> print(f"{ExpCutoffPowerLawSpectralModel()(10 * u.TeV):.4g}")
    1.163e-14 1 / (TeV s cm2)
    """

    tag = ("ExpCutoffPowerLawSpectralModel", "ecpl")
    declared = (
        Declared("index", 1.5),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("lambda_", 0.1, "TeV-1"),
        Declared("alpha", 1.0, frozen=True),
    )
    form = SpectralForm(
        exp_cutoff_power_law,
        ("index", "amplitude", "reference", "lambda_", "alpha"),
        linear=("amplitude",),
        constants=("reference", "alpha"),
        log_slope=40.0,
    )
