"""A user's own function as a model: any function of x and some parameters, and of parameters alone."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from astropy import units as u

from gammajax.errors import InputError, ModelError
from gammajax.models.checked import checked
from gammajax.models.integrate import SpectralForm
from gammajax.models.source import Source
from gammajax.parameters import Covariance, Parameter, Parameters, set_errors

__all__ = ["FunctionModel", "as_parameters"]


def as_parameters(parameters: Any, what: str) -> list[Parameter]:
    """Parameters given as a list of `Parameter`, or as a mapping of names to values, quantities or parameters.

    Raises
    ------
    InputError
        If there are none, two have the same name, or something else came.
    """
    if isinstance(parameters, Mapping):
        made = []
        for name, value in parameters.items():
            if isinstance(value, Parameter):
                made.append(value)
            elif isinstance(value, u.Quantity):
                made.append(Parameter(str(name), float(value.value), value.unit))
            else:
                made.append(Parameter(str(name), float(value)))
        names = [str(n) for n in parameters]
    else:
        made = list(parameters)
        names = [getattr(p, "name", "?") for p in made]
    wrong = [p for p in made if not isinstance(p, Parameter)]
    if wrong or not made:
        raise InputError(
            f"{what}: got parameters={parameters!r}, expected a list of Parameter or a dictionary of start values such as "
            "{'slope': 2.0, 'offset': 0.0}."
        )
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{what}: two parameters are named {name!r}; give each a name of its own.")
    return made


@lru_cache(maxsize=256)
def _form(function: Callable[..., jax.Array], names: tuple[str, ...]) -> SpectralForm:
    what = f"the model function {getattr(function, '__name__', function)!r} of ({', '.join(('x', *names))})"
    return SpectralForm(checked(function, what, rows=True), names)


class FunctionModel(Source):
    """A function ``function(x, *parameters)`` written with `jax.numpy`, to be fitted to data in x and y.

    Parameters
    ----------
    function : callable
        Takes x, shape (n,) or (n, k), and one scalar per parameter in the order of `parameters`; returns shape (n,).
    parameters : mapping or list of `Parameter`
        Start values by name, or parameters with limits, units and priors.
    name : str, optional
        Name, ``"model"`` if not given.
    datasets_names : list of str, optional
        Names of the data sets it is fitted to; all if not given.

    Raises
    ------
    InputError
        If the function does not take as many arguments as there are parameters and x.

    Examples
    --------
    >>> line = FunctionModel(lambda x, slope, offset: slope * x + offset, {"slope": 1.0, "offset": 0.0})
    >>> line.parameters.unique_names
    ['model.slope', 'model.offset']
    """

    role = "function"
    function: Callable[..., jax.Array]

    def __init__(
        self, function: Callable[..., jax.Array], parameters: Any, name: str = "model", datasets_names: Any = None
    ) -> None:
        if not callable(function):
            raise ModelError(f"FunctionModel: got function={function!r}, expected a function of x and the parameters.")
        super().__init__(name, datasets_names)
        self.function = function
        self._parameters = as_parameters(parameters, "FunctionModel")
        self._names = tuple(parameters) if isinstance(parameters, Mapping) else tuple(p.name for p in self._parameters)
        _check_arguments(function, ("x", *self._names))
        self._covariance: np.ndarray | None = None

    @property
    def form(self) -> SpectralForm:
        """The function with the names of its arguments."""
        return _form(self.function, self._names)

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names ``"<name>.<parameter>"``."""
        prefix = f"{self.name}." if self.name else ""
        return Parameters(self._parameters, [f"{prefix}{n}" for n in self._names])

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

    def with_parameters(self, parameters: Sequence[Parameter]) -> "FunctionModel":
        """Return a copy of the same name that holds other parameter objects, in the same order.

        Parameters
        ----------
        parameters : list of `Parameter`
            As many as it has, in the same order.
        """
        new = object.__new__(FunctionModel)
        new.__dict__.update(self.__dict__ | {"_parameters": list(parameters)})
        return new

    def __call__(self, x: Any) -> np.ndarray:
        """Values at x, shape (n,), with the present values of the parameters."""
        from gammajax.units import double_precision

        with double_precision():
            values = [p.value * p.factor for p in self._parameters]
            return np.asarray(jax.jit(self.form.evaluate)(np.asarray(x, dtype=float), *values))

    def __repr__(self) -> str:
        shown = ", ".join(f"{p.name}={p.quantity:.4g}" for p in self._parameters)
        return f"FunctionModel({getattr(self.function, '__name__', self.function)!r}, {shown}, name={self.name!r})"

    def __str__(self) -> str:
        return f"FunctionModel: {self.name}\n\n{self.parameters}\n"


def _check_arguments(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # some compiled functions do not tell
        return
    try:
        signature.bind(*names)
    except TypeError:
        raise InputError(
            f"the function takes {signature}, expected one argument for each of {', '.join(names)}, in this order."
        ) from None
