"""What every likelihood has: names, units and start values beside its functions, and its form as a pytree."""

from typing import Any

import numpy as np

from gammajax.errors import InputError, ModelError
from gammajax.likelihood.structure import Labels, Structure
from gammajax.models import Models
from gammajax.parameters import Parameter, Parameters, ParameterTable, pack

__all__ = ["Bound"]


class Bound:
    """Base of the likelihoods: arrays and static structure, bound to the parameters of the models that a person holds.

    Attributes
    ----------
    structure : `Structure`
        Static part.
    data, numbers : pytree of arrays
        Of the data sets, and of the priors and penalties.
    unique : tuple of `Parameter`
        The P parameters.
    """

    structure: Structure
    data: Any
    numbers: tuple[tuple, ...]
    labels: Labels
    unique: tuple[Parameter, ...] = ()
    _compact: Any = None
    # positions of factors of instruments that were frozen at 1: nothing depends on them
    idle: tuple[int, ...] = ()
    # how many more nodes than usual bin integrals have, see `gammajax.models.steep`
    step: int = 0

    def _bind(self, parameters: Parameters, models: Models, datasets: tuple[str, ...]) -> None:
        """Names, units and start values: what the functions do without."""
        self.table: ParameterTable | None = pack(parameters)
        self.unique = tuple(parameters.unique_parameters)
        units = tuple(str(p.internal_unit) for p in self.unique)
        self.labels = Labels(names=self.table.names, units=units, datasets=datasets)
        self.parameters: Parameters | None = parameters
        # what scans have found out about the structure and the data, by what it is of
        self.prepared: dict = self.__dict__.get("prepared", {})
        self.models: Models | None = models

    def renewed(self, models: Models | None = None) -> Any:
        """The same functions, started from the present values of the parameters.

        Parameters
        ----------
        models : `Models`, optional
            The same sources, where they were collected anew.
        """
        if self.parameters is None or self.models is None:
            raise ModelError("this Likelihood was rebuilt inside a transformation; fit with the original.")
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._bind(self.parameters, self.models if models is None else models, self.dataset_names)
        return new

    def steps(self, theta: np.ndarray) -> np.ndarray:
        """The `step` that points ask for: 0, for no function but a spectrum needs another one; shape (n,).

        Parameters
        ----------
        theta : array, shape (n, P)
            Parameters, internal units.
        """
        return np.zeros(len(theta), dtype=int)

    def covering(self, theta: np.ndarray) -> Any:
        """Itself: it is exact everywhere.

        Parameters
        ----------
        theta : array, shape (P,) or (n, P)
            Parameters, internal units.
        """
        return self

    def at_step(self, step: int) -> Any:
        """Itself.

        Parameters
        ----------
        step : int
            0.
        """
        return self

    def __getstate__(self) -> dict:
        """Without what was prepared: compiled programs stay in their process."""
        return self.__dict__ | {"prepared": {}}

    # -- pytree --------------------------------------------------------------------------------------------------

    def tree_flatten(self) -> tuple:
        """Arrays as leaves, structure as static part."""
        return (self.data, self.numbers), (self.structure, self.labels)

    @classmethod
    def tree_unflatten(cls, static: tuple, children: tuple) -> Any:
        """Rebuild from leaves; such a copy computes, but holds no start vector."""
        new = object.__new__(cls)
        new.data, new.numbers = children
        new.structure, new.labels = static
        new.table, new.parameters, new.models, new._compact = None, None, None, None
        new.prepared = {}
        return new

    def _check_theta(self, theta: Any) -> None:
        """Refuse what is no vector of all parameters: JAX takes the last element for one that is not there, and says nothing."""
        shape = (len(theta),) if isinstance(theta, list | tuple) else np.shape(theta)
        if shape != (len(self.names),):
            raise InputError(
                f"Likelihood: theta has shape {shape}, expected ({len(self.names)},), one number for each of {', '.join(self.names)}, "
                "frozen ones included; for many vectors at once take jax.vmap."
            )

    # -- names and start, beside the functions ---------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Unique names of the parameters."""
        return self.labels.names["names"]

    @property
    def units(self) -> tuple[str, ...]:
        """Internal units of the parameters."""
        return self.labels.names["units"]

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Names of the data sets, in the order of the bins."""
        return self.labels.names["datasets"]

    def _table(self) -> ParameterTable:
        if self.table is None:
            raise ModelError(
                "this Likelihood was rebuilt inside a transformation and holds no start vector; keep the original."
            )
        return self.table

    @property
    def start(self) -> np.ndarray:
        """Parameter values at construction, shape (P,), internal units."""
        return self._table().theta

    @property
    def lower(self) -> np.ndarray:
        """Lower limits, shape (P,), -inf where there is none."""
        return self._table().lower

    @property
    def upper(self) -> np.ndarray:
        """Upper limits, shape (P,), inf where there is none."""
        return self._table().upper

    @property
    def scale(self) -> np.ndarray:
        """Powers of ten of the order of the parameters, shape (P,)."""
        return self._table().scale

    @property
    def free(self) -> np.ndarray:
        """Which parameters a fit varies, shape (P,)."""
        return self._table().free

    def __repr__(self) -> str:
        return f"{type(self).__name__}(datasets={self.dataset_names}, parameters={self.names})"
