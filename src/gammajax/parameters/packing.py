"""Packing: unique parameters to a flat vector in internal units, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.parameters.collection import Parameters
from gammajax.parameters.parameter import Parameter

__all__ = ["ParameterTable", "onto_limits", "pack", "place_of"]

# what scaling and changing of units leave undecided, relative
ROUNDING = 8 * np.finfo(float).eps


@dataclass(frozen=True)
class ParameterTable:
    """What solvers and scans know of the parameters: names and arrays, all of length n (unique parameters).

    Attributes
    ----------
    names : tuple of str
        Unique names.
    theta : array, shape (n,)
        Values in internal units.
    lower, upper : array, shape (n,)
        Limits in internal units, -inf and inf where there are none.
    free : array of bool, shape (n,)
        Which are varied.
    scale : array, shape (n,)
        Powers of ten; theta / scale is of order one.
    factor : array, shape (n,)
        Internal units per unit of the person's parameter.
    """

    names: tuple[str, ...]
    theta: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    free: np.ndarray
    scale: np.ndarray
    factor: np.ndarray

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of the free parameters."""
        return tuple(n for n, f in zip(self.names, self.free, strict=True) if f)


def onto_limits(values: Any, lower: Any, upper: Any) -> np.ndarray:
    """Values, those on a limit that rounding has put beside it back on it; all of one shape and unit."""
    values = np.asarray(values, dtype=float)
    out = values
    for limit in (np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)):
        beside = np.isfinite(limit) & (np.abs(values - limit) <= ROUNDING * np.abs(limit))
        out = np.where(beside, limit, out)
    return out


def pack(parameters: Parameters) -> ParameterTable:
    """Pack the unique parameters of a collection.

    Raises
    ------
    InputError
        If a value is not finite, the limits are in the wrong order, or a start value is outside its limits; for linked parameters too,
        whose limits hold for the parameters that they follow.
    """
    unique, followers = parameters.unique_parameters, parameters.followers
    for p, name in zip([*unique, *followers], [*unique.unique_names, *followers.unique_names], strict=True):
        low, high = p.bounds
        if not np.isfinite(p.value):
            raise InputError(f"{name}: the value is {p.value}, expected a finite number; set it before the fit.")
        root = p.follows
        held = (p if root is None else root.parent).frozen
        if low > high or (low == high and not held):
            raise InputError(
                f"{name}: limits min={low}, max={high}; min must be smaller than max. Freeze a parameter that is to stay where it is."
            )
        if not low <= onto_limits(p.value, low, high) <= high and not held:
            raise InputError(
                f"{name}: the start value {p.value:g} is outside its limits [{low:g}, {high:g}] {p.unit.to_string()}; "
                "change the value or the limits."
            )
    factor = np.array([p.factor for p in unique])
    theta = unique.value * factor
    bounds = np.array([p.bounds for p in unique]).reshape(-1, 2) * factor[:, None]
    theta = onto_limits(theta, *bounds.T)
    _narrow(bounds, unique, followers, theta)
    size = np.abs(theta)
    for i, p in enumerate(unique):
        if size[i] == 0:
            # the error of a fit that failed is nan
            size[i] = abs(p.error * factor[i]) if p.error > 0 else 1.0
    scale = 10.0 ** np.floor(np.log10(size)) if len(size) else np.zeros(0)
    free = np.array([not p.frozen for p in unique], dtype=bool)
    return ParameterTable(tuple(unique.unique_names), theta, bounds[:, 0], bounds[:, 1], free, scale, factor)


def place_of(p: Parameter, position: dict[int, int]) -> tuple[int, float, float]:
    """Where a parameter is in theta, and the factor and offset with which it is theta / factor + offset in its unit.

    Parameters
    ----------
    p : `Parameter`
        It may follow another one.
    position : dict
        Places in theta by the identity of the unique parameters.
    """
    root = p.follows
    if root is None:
        return position[id(p)], p.factor, 0.0
    factor, offset = root.numbers(p.unit, root.parent.unit)
    return position[id(root.parent)], root.parent.factor / factor, offset


def _narrow(bounds: np.ndarray, unique: Parameters, followers: Parameters, theta: np.ndarray) -> None:
    """Put the limits of linked parameters on those that they follow; `bounds` (n, 2) is changed in place."""
    place = {id(p): i for i, p in enumerate(unique)}
    for p, name in zip(followers, followers.unique_names, strict=True):
        root = p.follows
        assert root is not None
        i = place[id(root.parent)]
        factor, offset = root.numbers(p.internal_unit, root.parent.internal_unit)
        ends = sorted((b * p.factor - offset) / factor for b in p.bounds)
        low, high = max(bounds[i, 0], ends[0]), min(bounds[i, 1], ends[1])
        if low > high or (low == high and not root.parent.frozen):
            raise InputError(
                f"{name}: its limits leave no room to {unique.unique_names[i]}, which it follows ({p.linked}); widen the limits of one of them."
            )
        # a start on a limit stays inside by rounding
        inside = bounds[i, 0] <= theta[i] <= bounds[i, 1]
        bounds[i] = (min(low, theta[i]), max(high, theta[i])) if inside else (low, high)
