"""Models made of models: sums, differences, products and multiples."""

import operator as operators
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError, ModelError
from gammajax.models.base import Declared, SpectralModel
from gammajax.models.form import difference_form, product_form, scaled_form, sum_form
from gammajax.parameters import Covariance, JointCovariance, Parameters, joint_covariance, keep_joint

__all__ = ["CompoundSpectralModel", "ScaleSpectralModel"]

FORMS: dict[str, Any] = {"add": sum_form, "sub": difference_form, "mul": product_form}


class CompoundSpectralModel(SpectralModel):
    r"""Sum, difference or product of two models, :math:`\phi_1 \pm \phi_2` or :math:`\phi_1 \phi_2`; written ``a + b``, ``a - b``, ``a * b``.

    A quantity in a sum is a `ConstantSpectralModel`, a number in a product a `PowerLawNormSpectralModel` whose norm is frozen.
    Sums are integrated term by term, products between the breaks of both. The parameters are those of both models, and
    stay theirs: `parameters` lists them all, ``model1`` and ``model2`` hold them.

    Parameters
    ----------
    model1, model2 : `SpectralModel`
        The members. In a sum both are fluxes or both are factors; in a product at least one is a factor (a norm model).
    operator : {"add", "sub", "mul"} or callable
        Name, or the function of that name in the module `operator`.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.

    Examples
    --------
    >>> from astropy import units as u
    >>> from gammajax.models import LogParabolaNormSpectralModel, PowerLawSpectralModel
    >>> model = PowerLawSpectralModel() * LogParabolaNormSpectralModel(norm=3)
    >>> print(f"{model(1 * u.TeV):.4g}")
    3e-12 1 / (TeV s cm2)
    """

    tag = ("CompoundSpectralModel", "compound")
    _joint: JointCovariance | None = None

    def __init__(self, model1: SpectralModel, model2: SpectralModel, operator: Any) -> None:
        name = getattr(operator, "__name__", operator)
        if name not in FORMS:
            raise InputError(f"CompoundSpectralModel: got operator {operator!r}, expected one of {', '.join(FORMS)}.")
        for m in (model1, model2):
            if not isinstance(m, SpectralModel):
                raise ModelError(f"CompoundSpectralModel: got {m!r}, expected a spectral model.")
        norms = model1.is_norm_spectral_model + model2.is_norm_spectral_model
        kinds = ", ".join(f"{type(m).__name__} ({m.dnde_unit or 'no unit'})" for m in (model1, model2))
        if name == "mul" and norms == 0:
            raise ModelError(f"product of {kinds}: two fluxes cannot be multiplied; one of them must be a norm model.")
        if name != "mul" and norms == 1:
            raise ModelError(f"sum of {kinds}: a flux and a factor cannot be added; multiply them instead.")
        self.model1, self.model2 = model1, model2
        self.operator = getattr(operators, name)
        super().__init__()

    @property
    def form(self) -> Any:
        """Functions, made from those of the members."""
        return FORMS[self.operator.__name__](self.model1.form, self.model2.form)

    @property
    def dnde_unit(self) -> Any:
        """Internal unit of the values."""
        return self.model1.dnde_unit or self.model2.dnde_unit

    @property
    def _dnde_unit(self) -> u.UnitBase:
        flux = next((m for m in (self.model1, self.model2) if not m.is_norm_spectral_model), self.model1)
        return flux._dnde_unit

    @property
    def parameters(self) -> Parameters:
        """The parameters of both members, with names such as ``"model1.index"`` to tell them apart."""
        members = [*self.model1.parameters, *self.model2.parameters]
        return Parameters(members, [p.unique_name or n for p, n in zip(members, self.parameter_names, strict=True)])

    @property
    def parameter_names(self) -> list[str]:
        """Names such as ``"model1.index"``."""
        return [f"model{k}.{n}" for k, m in ((1, self.model1), (2, self.model2)) for n in m.parameter_names]

    def unfreeze(self) -> None:
        """Free the parameters of both members but those that are frozen by default."""
        self.model1.unfreeze()
        self.model2.unfreeze()

    @property
    def covariance(self) -> Covariance:
        """Covariance of the parameters of both; that of the errors, uncorrelated, before a fit.

        Setting it sets the errors. An error that is set afterwards counts: row and column follow it, the correlations stay. A member
        that was fitted without the other since then has its new covariance, and none with it.
        """
        return joint_covariance(self.parameters, (self.model1, self.model2), self._joint)

    @covariance.setter
    def covariance(self, data: Any) -> None:
        matrix = Covariance(self.parameters, np.asarray(data)).data
        n = len(self.model1.parameters)
        self.model1.covariance, self.model2.covariance = matrix[:n, :n], matrix[n:, n:]
        self._joint = keep_joint(matrix, (self.model1, self.model2))

    @property
    def covariance_state(self) -> tuple[Any, ...]:
        """What was set, for both together and for each: tells whether one was fitted since."""
        own = None if self._joint is None else self._joint.matrix
        return (own, *self.model1.covariance_state, *self.model2.covariance_state)

    def copy(self, parameters: Any = None) -> "CompoundSpectralModel":
        """Return an independent copy; `parameters` replaces the parameter objects. Links between the members are kept.

        Parameters
        ----------
        parameters : list of `Parameter`, optional
            Parameters of the copy, those of both members; copies of the present ones if not given.
        """
        made: dict[int, Any] = {}
        if parameters is None:
            parameters = [made.setdefault(id(p), p.copy()) for p in self.parameters]
        parameters = list(parameters)
        n = len(self.model1.parameters)
        new = CompoundSpectralModel(self.model1.copy(parameters[:n]), self.model2.copy(parameters[n:]), self.operator)
        new._joint = self._joint
        return new

    def __repr__(self) -> str:
        sign = {"add": "+", "sub": "-", "mul": "*"}[self.operator.__name__]
        return f"({self.model1!r} {sign} {self.model2!r})"

    def __str__(self) -> str:
        return f"CompoundSpectralModel ({self.operator.__name__})\n\n{self.model1}\n\n{self.model2}"


class ScaleSpectralModel(SpectralModel):
    r"""A model times a norm, :math:`N \phi(E)`; the norm is the only parameter, the model stays as it is.

    Parameters
    ----------
    model : `SpectralModel`
        The model; the values that its parameters have when this one is used are part of the compiled program.
    norm : float
        N, default 1.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.

    Examples
    --------
    >>> from astropy import units as u
    >>> from gammajax.models import PowerLawSpectralModel
    >>> print(f"{ScaleSpectralModel(PowerLawSpectralModel(), norm=2)(1 * u.TeV):.4g}")
    2e-12 1 / (TeV s cm2)
    """

    tag = ("ScaleSpectralModel", "scale")
    declared = (Declared("norm", 1.0, interp="log", linear=True),)

    def __init__(self, model: SpectralModel, norm: Any = 1.0) -> None:
        if not isinstance(model, SpectralModel):
            raise ModelError(f"ScaleSpectralModel: got {model!r}, expected a spectral model.")
        self.model = model
        super().__init__(norm=norm)

    @property
    def form(self) -> Any:
        """Functions of the norm, for the values that the inner parameters have now."""
        return scaled_form(self.model.form, tuple(self.model._theta().tolist()))

    @property
    def dnde_unit(self) -> Any:
        """Internal unit of the values."""
        return self.model.dnde_unit

    @property
    def _dnde_unit(self) -> u.UnitBase:
        return self.model._dnde_unit

    def copy(self, parameters: Any = None) -> "ScaleSpectralModel":
        """Return an independent copy, the inner model included.

        Parameters
        ----------
        parameters : list of `Parameter`, optional
            The norm of the copy; a copy of the present one if not given.
        """
        new = super().copy(parameters)
        assert isinstance(new, ScaleSpectralModel)
        new.model = self.model.copy()
        return new
