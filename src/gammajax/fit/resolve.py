"""Finding the data sets and parameters that a call means."""

from typing import Any

from gammajax.datasets import Dataset, Datasets
from gammajax.errors import FitError, InputError
from gammajax.likelihood import Bound, likelihood_of
from gammajax.parameters import Parameter, Parameters, find_parameter

__all__ = ["as_datasets", "as_likelihood", "check_acts", "check_choice", "check_free", "is_datasets", "parameter_index"]


def is_datasets(value: Any) -> bool:
    """Whether an argument is data: a data set, `Datasets`, a list of data sets, or a likelihood made by hand."""
    if isinstance(value, Datasets | Dataset | Bound):
        return True
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(v, Dataset) for v in value)


def as_datasets(value: Any, bound: Any) -> Any:
    """Data sets of a call, or those the `Fit` was made with.

    Raises
    ------
    InputError
        If there are none, or the argument is no data set.
    """
    if value is None:
        if bound is None:
            raise InputError("no data sets: give them here, fit.run(datasets), or when making the fit, Fit([dataset]).")
        return bound
    return value if isinstance(value, Datasets | Bound) else Datasets(value)


def as_likelihood(datasets: Any) -> Any:
    """The likelihood of data sets with their present values, or the one that came, with its present values."""
    return datasets.renewed() if isinstance(datasets, Bound) else likelihood_of(datasets)


def parameter_index(likelihood: Bound, parameter: Parameter | str | int) -> tuple[int, Parameter, str]:
    """Position in theta, live parameter and unique name of a parameter given in any form.

    Raises
    ------
    InputError
        For an unknown or ambiguous name, with the list of known ones.
    """
    parameters, unique = likelihood.parameters, likelihood.unique
    assert parameters is not None
    for index, live in enumerate(unique):
        if live is parameter:
            return index, live, likelihood.names[index]
    if isinstance(parameter, int):
        position = Parameters(list(parameters), parameters.unique_names).index(parameter)
    else:
        position = find_parameter(parameter, list(parameters), parameters.unique_names)
    live = parameters[position]
    if (root := live.follows) is not None:
        raise InputError(
            f"{parameters.unique_names[position]} is linked, {live.linked}, and does not vary by itself; ask for "
            f"{root.parent.name} instead."
        )
    index = next(i for i, p in enumerate(unique) if p is live)
    return index, live, likelihood.names[index]


def check_acts(likelihood: Bound, parameter: Parameter, name: str, what: str) -> None:
    """Refuse a factor of an instrument that the likelihood is made without: nothing would depend on it."""
    left_out = [p for m in likelihood.models or () if m.role == "systematics" for p in m.left_out]
    if any(p is parameter for p in left_out):
        raise FitError(
            f"{what}: {name} is frozen at 1, and the likelihood is made without it; free it with .frozen = False, a scan holds it at its "
            "values all the same."
        )


def check_choice(what: str, name: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of a few."""
    if value not in known:
        raise InputError(f"{what}: unknown {name} {value!r}; known are: {', '.join(map(repr, known))}.")


def check_free(parameter: Parameter, name: str, what: str) -> None:
    """Refuse a frozen parameter where only a free one makes sense."""
    if parameter.frozen:
        raise FitError(f"{what}: {name} is frozen; free it with .frozen = False and fit again.")
