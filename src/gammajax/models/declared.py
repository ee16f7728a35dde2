"""What spectral and temporal models share: declared parameters with names, units and limits."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from astropy import units as u

from gammajax.closed import refuse_unknown
from gammajax.elsewhere import pointer
from gammajax.errors import InputError, UnitError
from gammajax.models.plain import PlainModel
from gammajax.parameters import Covariance, Parameter, Parameters, SampledParameters, set_errors
from gammajax.units import parsed, quantity_from_text

__all__ = ["Declared", "DeclaredModel"]


@dataclass(frozen=True)
class Declared:
    """A parameter as a model class declares it: name, default value and internal unit."""

    name: str
    value: float
    unit: str = ""
    frozen: bool = False
    interp: str = "lin"
    linear: bool = False


class DeclaredModel(SampledParameters, PlainModel):
    """Base of models that declare their parameters.

    Parameters
    ----------
    **kwargs
        One value per parameter: a quantity, its text (``"1e-12 cm-2 s-1 TeV-1"``), a number where the parameter is dimensionless, or a
        `Parameter` (which is then shared, a link).
    """

    declared: Any = ()
    # whether the constructor is over that declares all there is; a class with a constructor of its own adds to it
    _complete = False

    def __getattr__(self, name: str) -> Any:
        # reached only for what is not there: says what is, and tells a type checker that parameters are attributes
        if hint := pointer(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; {hint}.")
        known = "" if name.startswith("_") else ", ".join(self.parameters.names) or "none"
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
        self._complete = type(self).__init__ is DeclaredModel.__init__

    def _make(self, d: Declared, value: Any) -> Parameter:
        what = f"{type(self).__name__}.{d.name}"
        if isinstance(value, str):
            value = quantity_from_text(value, what, d.unit)
        if not isinstance(value, u.Quantity):
            if parsed(d.unit) != u.dimensionless_unscaled:
                raise UnitError(
                    f"{what}: got {value!r} without a unit, expected a quantity convertible to {d.unit!r}; "
                    f"write for instance {d.name}={value!r} * u.Unit({d.unit!r})."
                )
            value = u.Quantity(value)
        par = Parameter(d.name, float(value.value), value.unit, frozen=d.frozen, interp=d.interp, linear=d.linear)
        self._check(d, par)
        par.internal_unit = parsed(d.unit)
        return par

    def _check(self, d: Declared, par: Parameter) -> None:
        if not par.unit.is_equivalent(parsed(d.unit)):
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
        elif self._complete and not key.startswith("_") and key not in vars(self) and not hasattr(type(self), key):
            refuse_unknown(self, key, tuple(d.name for d in self.declared), "parameter")
        object.__setattr__(self, key, value)

    @property
    def parameters(self) -> Parameters:
        """The parameters in declared order."""
        return Parameters([getattr(self, d.name) for d in self.declared])

    @property
    def parameter_names(self) -> list[str]:
        """Names that are unique inside the model: ``"model1.index"`` in a compound."""
        return [d.name for d in self.declared]

    @property
    def parameters_unique_names(self) -> list[str]:
        """The same, by gammapy's name."""
        return self.parameter_names

    @classmethod
    def from_parameters(cls, parameters: Any, **kwargs: Any) -> Self:
        """Build a model that holds the given parameters themselves.

        Parameters
        ----------
        parameters : iterable of `Parameter`
            Parameters of its names; those that are not given have their defaults.
        **kwargs
            Further arguments of the class.
        """
        return cls(**{p.name: p for p in parameters}, **kwargs)

    @property
    def frozen(self) -> bool:
        """Whether all of its parameters are frozen."""
        return all(p.frozen for p in self.parameters)

    def freeze(self) -> None:
        """Freeze all of its parameters."""
        self.parameters.freeze_all()

    def unfreeze(self) -> None:
        """Free its parameters but those that are frozen by default, such as a reference energy."""
        for d in self.declared:
            p = getattr(self, d.name)
            if p.follows is None:
                p.frozen = d.frozen

    @property
    def covariance(self) -> Covariance:
        """Covariance of this model's parameters; that of the errors, uncorrelated, before a fit.

        Setting it sets the errors. An error that is set afterwards counts: row and column follow it, the correlations stay.
        """
        return Covariance.of_errors(self.parameters, self._covariance)

    @covariance.setter
    def covariance(self, data: Any) -> None:
        matrix = Covariance(self.parameters, np.asarray(data)).data
        set_errors(self.parameters, matrix)
        self._covariance = matrix

    @property
    def covariance_state(self) -> tuple[Any, ...]:
        """What was set: tells whether the model was fitted since."""
        return (self._covariance,)

    def copy(self, parameters: Any = None) -> Self:
        """Return an independent copy; `parameters` replaces the parameter objects, in declared order.

        Parameters
        ----------
        parameters : list of `Parameter`, optional
            Parameters of the copy, in declared order; copies of the present ones if not given.
        """
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        pars = [p.copy() for p in self.parameters] if parameters is None else list(parameters)
        for d, p in zip(self.declared, pars, strict=True):
            object.__setattr__(new, d.name, p)
        return new

    def _theta(self) -> np.ndarray:
        return np.array([p.value * p.factor for p in self.parameters])

    def _covariance_internal(self) -> np.ndarray:
        factor = np.array([p.factor for p in self.parameters])
        return self.covariance.data * np.outer(factor, factor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{p.name}={p.quantity:.4g}' for p in self.parameters)})"

    def __str__(self) -> str:
        return f"{type(self).__name__}\n\n{self.parameters}\n"

    def _repr_html_(self) -> str:
        return f"<b>{type(self).__name__}</b>{self.parameters._repr_html_()}"
