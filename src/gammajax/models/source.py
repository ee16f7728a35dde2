"""What a fit calls a model: something with a name, parameters and mathematics, that contributes to some data sets."""

from collections.abc import Sequence
from html import escape
from itertools import count
from typing import Any

import numpy as np

from gammajax.closed import Closed
from gammajax.errors import ModelError
from gammajax.models.integrate import SpectralForm
from gammajax.parameters import Covariance, Parameter, Parameters

__all__ = ["Source"]

_numbers = count(1)


class Source(Closed):
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
