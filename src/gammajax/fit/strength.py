"""The strength that flux estimators fit, as a parameter with limits and a scan."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gammajax.closed import foreign_hint
from gammajax.errors import InputError
from gammajax.parameters import Parameter

__all__ = ["as_norm", "check_scan"]

# gammapy's
DEFAULT: dict[str, Any] = {"scan_min": 0.2, "scan_max": 5, "scan_n_values": 11, "interp": "log"}
KEYS = (
    "name", "value", "unit", "min", "max", "frozen", "scan_min", "scan_max", "scan_n_values", "scan_n_sigma", "scan_values", "interp",
)  # fmt: skip


def as_norm(norm: Any) -> Parameter:
    """The strength as a parameter of its own.

    Parameters
    ----------
    norm : `Parameter`, dict or None
        A parameter named "norm", or arguments of one in the place of the default ones.

    Returns
    -------
    `Parameter`
        A copy of what came; by default 1 without limits, to be scanned at 11 values from 0.2 to 5 in equal ratios.

    Raises
    ------
    InputError
        For another name, a unit, a frozen one or one with a prior.
    """
    if isinstance(norm, Mapping):
        unknown = [k for k in norm if k not in KEYS]
        if unknown:
            raise InputError(f"norm: unknown key {unknown[0]!r}; known are: {', '.join(KEYS)}.")
        arguments: dict[str, Any] = {"name": "norm", "value": 1.0} | DEFAULT | dict(norm)
        found = Parameter(arguments.pop("name"), arguments.pop("value"), **arguments)
    elif norm is None:
        return Parameter("norm", 1.0, **DEFAULT)
    elif isinstance(norm, Parameter):
        found = norm.copy()
    else:
        raise InputError(
            f"norm: got {norm!r}, expected a gammajax.Parameter named 'norm', or a dictionary such as {{'min': 0}}.{foreign_hint(norm)}"
        )
    if found.name != "norm" or not found.unit.is_equivalent(""):
        raise InputError(
            f"norm: got the parameter {found.name!r} in {str(found.unit)!r}, expected 'norm' without a unit."
        )
    if found.frozen or found.prior is not None or found.follows is not None:
        what = "is frozen" if found.frozen else "has a prior" if found.prior is not None else "is linked"
        raise InputError(f"norm: the strength {what}, but it is fitted in each bin by itself; leave that out.")
    check_scan(found.scan_values)
    if found.min >= found.max:
        raise InputError(f"norm: limits from {found.min:g} to {found.max:g}, expected min < max.")
    return found


def check_scan(values: np.ndarray) -> None:
    """Refuse strengths of a scan that are not finite and increasing, as all that is made of scans takes them.

    Parameters
    ----------
    values : array, shape (L,)
        Strengths.

    Raises
    ------
    InputError
        With the values.
    """
    if values.ndim != 1 or not np.all(np.isfinite(values)) or np.any(np.diff(values) <= 0):
        raise InputError(f"norm: the strengths of the scan are {values}, expected finite, increasing numbers.")
