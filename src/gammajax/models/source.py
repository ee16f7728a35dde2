"""What a fit calls a model: something with a name, parameters and mathematics, that contributes to some data sets."""

from collections.abc import Sequence
from html import escape
from itertools import count
from typing import Any, Self

import numpy as np

from gammajax.closed import Closed
from gammajax.errors import InputError, ModelError
from gammajax.hooks import hook
from gammajax.models.integrate import SpectralForm
from gammajax.parameters import Covariance, Parameter, Parameters, SampledParameters

__all__ = ["Source"]

_numbers = count(1)


class Source(SampledParameters, Closed):
    """Base of what `Models` holds.

    Attributes
    ----------
    name : str
        Unique in a fit.
    datasets_names : list of str or None
        Names of the data sets it contributes to; None for all.
    role : {"signal", "background", "systematics"}
        What it contributes.
    """

    role = "signal"
    _instead = {"covariance": "take set_covariance(matrix)"}  # noqa: RUF012
    name: str
    datasets_names: list[str] | None

    def __init__(self, name: str | None = None, datasets_names: Any = None) -> None:
        # parts of a model file that have no counterpart here and are written back as they came
        self._kept: dict[str, Any] = {}
        self.name = f"source-{next(_numbers)}" if name is None else str(name)
        self.datasets_names = [datasets_names] if isinstance(datasets_names, str) else datasets_names

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names."""
        raise NotImplementedError

    @property
    def parameters_unique_names(self) -> list[str]:
        """Names of the parameters without that of the source, such as ``"spectral.index"``."""
        return [name.removeprefix(f"{self.name}.") for name in self.parameters.unique_names]

    def to_dict(self, full_output: bool = False) -> dict[str, Any]:
        """Return it as plain values by gammapy's names.

        Parameters
        ----------
        full_output : bool
            Whether parameters at their defaults are written out as well.
        """
        return hook("models to dict")(hook("collection of models")([self]), full_output)["components"][0]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build it from plain values, as `to_dict` makes them.

        Parameters
        ----------
        data : dict
            Plain values.

        Raises
        ------
        ModelError
            If they are those of another class.
        """
        (found,) = hook("models from dict")({"components": [data]})
        if not isinstance(found, cls):
            raise ModelError(f"{cls.__name__}.from_dict: the values are those of a {type(found).__name__}.")
        return found

    def reassign(self, datasets_names: Any, new_datasets_names: Any) -> Self:
        """Return a copy of the same name that shows in other data sets.

        Parameters
        ----------
        datasets_names : str or list of str
            Data sets that it shows in now.
        new_datasets_names : str or list of str
            As many, to be there in their places.
        """
        old, new = ([v] if isinstance(v, str) else list(v) for v in (datasets_names, new_datasets_names))
        if len(old) != len(new):
            raise InputError(f"reassign: got {len(old)} data sets and {len(new)} new ones, expected as many.")
        places = dict(zip(old, new, strict=True))
        copied = hook("collection of models")([self]).copy()[0]
        if self.datasets_names is not None:
            copied.datasets_names = [places.get(n, n) for n in self.datasets_names]
        return copied

    def models_of(self, model_type: str | None) -> list[Any]:
        """Its spectral and its temporal model, or one of them; an empty list where there is none.

        Parameters
        ----------
        model_type : {None, "spectral", "temporal"}
            Which.
        """
        if model_type not in (None, "spectral", "temporal"):
            raise ModelError(f"{self.name}: got model_type={model_type!r}, expected 'spectral', 'temporal' or None.")
        kinds = ("spectral", "temporal") if model_type is None else (model_type,)
        found = [getattr(self, f"{kind}_model", None) for kind in kinds]
        return [m for m in found if m is not None]

    @property
    def frozen(self) -> bool:
        """Whether all of its parameters are frozen."""
        return all(p.frozen for p in self.parameters)

    def freeze(self, model_type: str | None = None) -> None:
        """Freeze all of its parameters.

        Parameters
        ----------
        model_type : {None, "spectral", "temporal"}
            Those of the spectrum or of the variation in time alone.
        """
        for m in self.models_of(model_type):
            m.freeze()

    def unfreeze(self, model_type: str | None = None) -> None:
        """Free its parameters but those that are frozen by default, such as a reference energy.

        Parameters
        ----------
        model_type : {None, "spectral", "temporal"}
            Those of the spectrum or of the variation in time alone.
        """
        for m in self.models_of(model_type):
            m.unfreeze()

    def _repr_html_(self) -> str:
        return f"<b>{type(self).__name__} {escape(self.name)}</b>{self.parameters._repr_html_()}"

    @property
    def form(self) -> SpectralForm:
        """Its mathematics, as a function of the parameters in their order."""
        raise ModelError(f"{type(self).__name__} {self.name!r} is no function of the energy.")

    @property
    def temporal_form(self) -> Any:
        """Mathematics of its variation in time, whose parameters come last; None where it is steady."""
        return None

    @property
    def time_scale(self) -> str:
        """Scale in which its times are counted."""
        return "utc"

    def check_times(self, times: np.ndarray) -> None:
        """Say or refuse what its variation in time cannot describe.

        Parameters
        ----------
        times : array, shape (4, n)
            Begin and end of each interval, days and parts of days, as `GTI.mjd` has them.
        """

    @property
    def covariance(self) -> Covariance:
        """Covariance of the parameters of this source; that of the errors, uncorrelated, before a fit."""
        raise NotImplementedError

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance of its own parameters, shape (n, n).

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix, in the units of the parameters.
        """
        raise NotImplementedError

    @property
    def covariance_state(self) -> tuple[Any, ...]:
        """What was set: tells whether the source was fitted since."""
        raise NotImplementedError

    def with_parameters(self, parameters: Sequence[Parameter]) -> "Source":
        """Return a copy of the same name that holds other parameter objects, in the same order.

        Parameters
        ----------
        parameters : list of `Parameter`
            As many as it has, in the same order.
        """
        raise NotImplementedError

    def shows_in(self, dataset_name: str) -> bool:
        """Whether the source contributes to the data set of that name.

        Parameters
        ----------
        dataset_name : str
            Name of a data set.
        """
        return self.datasets_names is None or dataset_name in self.datasets_names
