"""The base of the spectral models: it binds names, units and limits to the functions of `gammajax.models.functions`."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.errors import InputError, UnitError
from gammajax.models.declared import Declared, DeclaredModel
from gammajax.models.derived import DerivedQuantities
from gammajax.models.form import SpectralForm
from gammajax.models.registry import register, spectral_model_class
from gammajax.units import parsed

__all__ = ["DNDE", "Declared", "SpectralModel"]

DNDE = "TeV-1 s-1 cm-2"


@gammapy_arguments
class SpectralModel(DeclaredModel, DerivedQuantities):
    """Base of the spectral models.

    A member declares `declared` (its parameters, in the order of the arguments of its function) and `form`
    (the pure functions); everything else follows. A subclass is known to `spectral_model_class` by its name and its `tag`.

    Parameters
    ----------
    **kwargs
        One value per parameter: a quantity, a number where the parameter is dimensionless, or a `Parameter`
        (which is then shared, a link).
    """

    tag: ClassVar[tuple[str, ...]] = ()
    form: Any
    model_type: ClassVar[str] = "spectral"
    # what `form` returns, a string: norm models have ""
    dnde_unit: Any = DNDE

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        form = cls.__dict__.get("form")
        if isinstance(form, SpectralForm):
            cls.form = replace(form, defaults=tuple(d.value for d in cls.declared), name=form.name or cls.__name__)
        register(cls, cls.__dict__.get("tag", ()))

    @property
    def is_norm_spectral_model(self) -> bool:
        """Whether the model is a factor without unit, to be multiplied with another model."""
        return parsed(self.dnde_unit) == u.dimensionless_unscaled

    @property
    def _dnde_unit(self) -> u.UnitBase:
        """Unit of the values that go out: that of the amplitude where it is a flux per energy."""
        internal = parsed(self.dnde_unit)
        pairs = zip(self.form.names, self.parameters, strict=True)
        units = [p.unit for name, p in pairs if name in self.form.linear and p.unit.is_equivalent(internal)]
        return units[0] if units and not self.is_norm_spectral_model else internal

    # numbers and quantities of numpy and astropy leave what they do with a model to the model
    __array_ufunc__ = None

    def __add__(self, other: Any) -> "SpectralModel":
        return _compound("add", self, other)

    def __sub__(self, other: Any) -> "SpectralModel":
        return _compound("sub", self, other)

    def __mul__(self, other: Any) -> "SpectralModel":
        return _compound("mul", self, other)

    def __radd__(self, other: Any) -> "SpectralModel":
        return _compound("add", self, other)

    def __rsub__(self, other: Any) -> "SpectralModel":
        return _compound("sub", self, other, swapped=True)

    def __rmul__(self, other: Any) -> "SpectralModel":
        return _compound("mul", self, other)


def _compound(operator: str, model: SpectralModel, other: Any, swapped: bool = False) -> SpectralModel:
    """Two models joined; a flux per energy is a constant model, a number a factor that is not fitted."""
    if not isinstance(other, SpectralModel):
        other = _constant(operator, model, other)
    # by its name: the class itself is built on this base
    members = (other, model) if swapped else (model, other)
    return spectral_model_class("CompoundSpectralModel")(*members, operator)


def _constant(operator: str, model: SpectralModel, value: Any) -> SpectralModel:
    """The model that a number or a quantity stands for beside another one."""
    sign = {"add": "+", "sub": "-", "mul": "*"}[operator]
    what = f"{type(model).__name__} {sign} {value!r}"
    number = isinstance(value, Real | u.Quantity) and not isinstance(value, bool)
    if not number or np.ndim(value) != 0 or not np.isfinite(getattr(value, "value", value)):
        raise InputError(f"{what}: expected a spectral model, a finite number or a quantity, not an array.")
    amount = u.Quantity(value)
    if operator == "mul":
        if amount.unit.physical_type != "dimensionless":
            raise UnitError(f"{what}: expected a factor without unit; a flux times a quantity is no spectral model.")
        factor = spectral_model_class("PowerLawNormSpectralModel")(norm=amount.to(""))
        # beside the amplitude of the other model it could not be fitted
        factor.norm.frozen = True
        return factor
    if model.is_norm_spectral_model:
        raise UnitError(f"{what}: only a factor is added to a factor; write PowerLawNormSpectralModel(norm=...).")
    if not amount.unit.is_equivalent(parsed(DNDE)):
        raise UnitError(f"{what}: expected a quantity convertible to {DNDE!r}; a number has no unit.")
    return spectral_model_class("ConstantSpectralModel")(const=amount)
