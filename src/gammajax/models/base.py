"""The base of the spectral models: it binds names, units and limits to the functions of `gammajax.models.functions`."""

from dataclasses import replace
from typing import Any, ClassVar

from astropy import units as u

from gammajax.errors import InputError
from gammajax.models.declared import Declared, DeclaredModel
from gammajax.models.derived import DerivedQuantities
from gammajax.models.form import SpectralForm
from gammajax.models.registry import register, spectral_model_class
from gammajax.units import parsed

__all__ = ["DNDE", "Declared", "SpectralModel"]

DNDE = "TeV-1 s-1 cm-2"


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

    def __add__(self, other: Any) -> "SpectralModel":
        return _compound("add", self, other)

    def __sub__(self, other: Any) -> "SpectralModel":
        return _compound("sub", self, other)

    def __mul__(self, other: Any) -> "SpectralModel":
        return _compound("mul", self, other)

    def __radd__(self, other: Any) -> "SpectralModel":
        return _compound("add", self, other)

    def __rmul__(self, other: Any) -> "SpectralModel":
        return _compound("mul", self, other)


def _compound(operator: str, first: SpectralModel, second: Any) -> SpectralModel:
    """Two models joined; what a number means must be said."""
    if not isinstance(second, SpectralModel):
        if operator == "mul":
            remedy = "multiply by a norm model such as PowerLawNormSpectralModel(norm=...), or use ScaleSpectralModel(model, norm)"
        else:
            remedy = "wrap a constant flux: ConstantSpectralModel(const=...)"
        sign = {"add": "+", "sub": "-", "mul": "*"}[operator]
        raise InputError(f"{type(first).__name__} {sign} {second!r}: expected two spectral models; {remedy}.")
    # by its name: the class itself is built on this base
    return spectral_model_class("CompoundSpectralModel")(first, second, operator)
