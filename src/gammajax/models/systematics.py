"""Systematic uncertainties of one data set as parameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.models.source import Source
from gammajax.parameters import Covariance, Parameter, Parameters, set_errors

__all__ = ["SystematicsModel"]

NAMES = ("effective_area", "energy_scale", "background")


class SystematicsModel(Source):
    r"""Factors on the instrument of one data set, each 1 and frozen until it is freed, usually with a prior.

    With an effective area factor a and an energy scale s a spectrum :math:`\phi` is seen as
    :math:`a\,\phi(E/s)/s`: s = 1.1 means that the instrument takes an event of 1 TeV for one of 1.1 TeV. The factor on
    the background multiplies alpha, the ratio of acceptances of an ON/OFF spectrum, and with it the background expected in its ON region. The
    norm of a known background is a `FoVBackgroundModel`.

    The joint fit of the Crab Nebula by Nigro et al. 2019, A&A 625, A10, sect. 5.2, has one energy scale per instrument; its z is
    s - 1.

    Parameters
    ----------
    dataset_name : str
        The data set.
    effective_area, energy_scale, background : float or `Parameter`, optional
        A start value frees it; a parameter (its own limits, prior, shared with others) is taken as it is. One can also be assigned
        later, ``two.energy_scale = one.energy_scale``, or follow another: ``two.energy_scale.link(one.energy_scale, offset=0.05)``.
    name : str, optional
        ``"<dataset_name>-sys"`` if not given.

    Examples
    --------
    >>> s = SystematicsModel("magic", energy_scale=1.0)
    >>> s.parameters.free_parameters.unique_names
    ['magic-sys.systematics.energy_scale']
    """

    role = "systematics"
    effective_area: Parameter
    energy_scale: Parameter
    background: Parameter

    def __init__(
        self,
        dataset_name: str,
        *,
        effective_area: Any = None,
        energy_scale: Any = None,
        background: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(f"{dataset_name}-sys" if name is None else name, [str(dataset_name)])
        for key, value in zip(NAMES, (effective_area, energy_scale, background), strict=True):
            setattr(self, key, value if isinstance(value, Parameter) else self._make(key, value))
        self._covariance: np.ndarray | None = None
        self._freed: tuple[Parameter, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in NAMES and not isinstance(value, Parameter):
            raise InputError(
                f"SystematicsModel.{name}: got {value!r}; set the number with .{name}.value = ..., or assign a Parameter to "
                "share it."
            )
        super().__setattr__(name, value)

    @staticmethod
    def _make(name: str, value: Any) -> Parameter:
        start = 1.0 if value is None else float(value)
        if not (np.isfinite(start) and start > 0):
            raise InputError(f"SystematicsModel: {name} got {value!r}, expected a factor above 0, 1 for no effect.")
        par = Parameter(name, start, frozen=value is None)
        par.min = 1e-3
        return par

    @property
    def acting(self) -> tuple[str, ...]:
        """Those that are free, linked, or not 1."""
        pars = {n: getattr(self, n) for n in NAMES}
        return tuple(n for n, p in pars.items() if not p.frozen or p.follows is not None or p.value != 1.0)

    @property
    def left_out(self) -> tuple[Parameter, ...]:
        """Those that a likelihood is made without: frozen at 1."""
        acting = self.acting
        return tuple(getattr(self, n) for n in NAMES if n not in acting)

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names ``"<name>.systematics.<parameter>"``."""
        return Parameters([getattr(self, n) for n in NAMES], [f"{self.name}.systematics.{n}" for n in NAMES])

    def freeze(self, model_type: str | None = None) -> None:
        """Freeze all factors.

        Parameters
        ----------
        model_type : str, optional
            With "spectral" or "temporal" nothing is done.
        """
        if model_type is None:
            self._freed = tuple(p for p in self.parameters if not p.frozen)
            self.parameters.freeze_all()

    def unfreeze(self, model_type: str | None = None) -> None:
        """Free the factors that `freeze` has frozen; those that were frozen before stay so.

        Parameters
        ----------
        model_type : str, optional
            With "spectral" or "temporal" nothing is done.
        """
        if model_type is None:
            for p in self._freed:
                if p.follows is None:
                    p.frozen = False

    @property
    def covariance(self) -> Covariance:
        """Covariance of the parameters; that of the errors, uncorrelated, before a fit."""
        return Covariance.of_errors(self.parameters, self._covariance)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance, shape (n, n).

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix, in the units of the parameters.
        """
        matrix = Covariance(self.parameters, np.asarray(data)).data
        set_errors(self.parameters, matrix)
        self._covariance = matrix

    @property
    def covariance_state(self) -> tuple[Any, ...]:
        """What was set: tells whether it was fitted since."""
        return (self._covariance,)

    def with_parameters(self, parameters: Sequence[Parameter]) -> "SystematicsModel":
        """Return a copy of the same name that holds other parameter objects, in the same order.

        Parameters
        ----------
        parameters : list of `Parameter`
            As many as it has, in the same order.
        """
        new = object.__new__(SystematicsModel)
        new.__dict__.update(self.__dict__ | dict(zip(NAMES, parameters, strict=True)) | {"_freed": ()})
        return new

    def __repr__(self) -> str:
        return f"SystematicsModel({self.datasets_names}, {', '.join(f'{p.name}={p.value:g}' for p in self.parameters)})"

    def __str__(self) -> str:
        return f"SystematicsModel: {self.name}\n\n{self.parameters}\n"
