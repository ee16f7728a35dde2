"""Packing: unique parameters to a flat vector in internal units, and back."""

from dataclasses import dataclass

import numpy as np

from gammajax.errors import InputError
from gammajax.parameters.collection import Parameters

__all__ = ["ParameterTable", "pack"]


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


def pack(parameters: Parameters) -> ParameterTable:
    """Pack the unique parameters of a collection.

    Raises
    ------
    InputError
        If a value is not finite, the limits are in the wrong order, or a start value is outside its limits.
    """
    unique = parameters.unique_parameters
    for p, name in zip(unique, unique.unique_names, strict=True):
        low, high = p.bounds
        if not np.isfinite(p.value):
            raise InputError(f"{name}: the value is {p.value}, expected a finite number; set it before the fit.")
        if low >= high:
            raise InputError(f"{name}: limits min={low}, max={high}; min must be smaller than max.")
        if not low <= p.value <= high and not p.frozen:
            raise InputError(
                f"{name}: the start value {p.value:g} is outside its limits [{low:g}, {high:g}] {p.unit.to_string()}; "
                "change the value or the limits."
            )
    factor = np.array([p.factor for p in unique])
    theta = unique.value * factor
    bounds = np.array([p.bounds for p in unique]).reshape(-1, 2) * factor[:, None]
    size = np.abs(theta)
    for i, p in enumerate(unique):
        if size[i] == 0:
            # the error of a fit that failed is nan
            size[i] = abs(p.error * factor[i]) if p.error > 0 else 1.0
    scale = 10.0 ** np.floor(np.log10(size)) if len(size) else np.zeros(0)
    free = np.array([not p.frozen for p in unique], dtype=bool)
    return ParameterTable(tuple(unique.unique_names), theta, bounds[:, 0], bounds[:, 1], free, scale, factor)
