"""The internal unit system, and double precision scoped to our own calls.

Quantities come in and go out at the boundary; inside are plain floats in TeV, cm, s and deg.
"""

import os
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import DeviceError, PrecisionError, UnitError
from gammajax.runtime import is_lost

__all__ = [
    "ENERGY",
    "double_precision",
    "energy_values",
    "parsed",
    "quantity_from_text",
    "require_device",
    "require_double",
    "to_unit",
    "unit_text",
]

ENERGY = u.TeV


@lru_cache(maxsize=256)
def parsed(unit: Any) -> u.UnitBase:
    """The unit of a text, read once: reading it takes longer than evaluating a model."""
    return u.Unit(unit)


@lru_cache(maxsize=256)
def unit_text(unit: u.UnitBase) -> str:
    """Text of a unit, written once."""
    return unit.to_string()


def to_unit(value: Any, unit: u.UnitBase | str, what: str) -> np.ndarray:
    """Convert a quantity to plain numbers in a stated unit.

    Parameters
    ----------
    value : `~astropy.units.Quantity` or float or array or str
        What came; also as text, ``"1 TeV"``. A plain number is accepted only where `unit` is dimensionless.
    unit : `~astropy.units.Unit`
        The unit wanted.
    what : str
        The name of the thing, for the error text.

    Returns
    -------
    numpy.ndarray
        The numbers, float64, same shape as `value`.

    Raises
    ------
    UnitError
        If the unit is missing or of another physical dimension.

    Examples
    --------
    >>> from astropy import units as u
    >>> float(to_unit(3 * u.GeV, "TeV", "energy"))
    0.003
    """
    unit = parsed(unit)
    if isinstance(value, str):
        value = quantity_from_text(value, what, unit.to_string())
    if not isinstance(value, u.Quantity):
        if unit.is_equivalent(u.dimensionless_unscaled):
            return np.asarray(value, dtype=float) * float(u.dimensionless_unscaled.to(unit))
        raise UnitError(
            f"{what}: got {value!r} without a unit, expected a quantity convertible to {unit.to_string()!r}; "
            f"write for instance {what} = {value!r} * u.Unit({unit.to_string()!r})."
        )
    try:
        return np.asarray(value.to_value(unit), dtype=float)
    except u.UnitConversionError:
        raise UnitError(
            f"{what}: got unit {value.unit.to_string()!r}, expected one convertible to {unit.to_string()!r}; "
            "give the quantity in such a unit."
        ) from None


def quantity_from_text(text: str, what: str, unit: str) -> u.Quantity:
    """A number with its unit as people type it, ``"1e-12 cm-2 s-1 TeV-1"``.

    Raises
    ------
    UnitError
        If the text is something else.
    """
    try:
        return u.Quantity(text)
    except (TypeError, ValueError) as error:
        example = f"1 {unit}".strip()
        raise UnitError(f"{what}: got {text!r}, expected a number with a unit such as {example!r}.") from error


def energy_values(value: Any, what: str) -> np.ndarray:
    """Energies as plain float64 numbers in TeV; refuses any other dimension by name."""
    return to_unit(value, ENERGY, what)


def double_precision() -> AbstractContextManager:
    """Context manager in which JAX works in float64, for this thread and nothing else; small programs run in it (see `gammajax.direct`).

    Raises
    ------
    DeviceError
        If JAX has no device to work on, or if it is lost within.
    """
    from gammajax.direct import Scope

    require_device()
    return _Double(Scope())


class _Double:
    """The scope of `double_precision`; a device that is lost within is said in words."""

    __slots__ = ("scope",)

    def __init__(self, scope: AbstractContextManager) -> None:
        self.scope = scope

    def __enter__(self) -> None:
        self.scope.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.scope.__exit__(kind, error, traceback)
        if error is not None and is_lost(error):
            raise DeviceError(
                f"the device failed while it computed ({str(error).splitlines()[0][:300]}). Start Python again, in most cases it is of no "
                "more use in this process; with JAX_PLATFORMS=cpu set before, everything is computed on the CPU."
            ) from error


# whether JAX was found to have a device, once in each process
_started: list[bool] = []


def require_device() -> None:
    """Refuse to go on where JAX has no device to work on.

    Raises
    ------
    DeviceError
        Saying what was asked for.
    """
    if _started:
        return
    import jax

    try:
        jax.local_devices()
    except Exception as error:
        # JAX says it by a RuntimeError, or by an assertion of its own
        asked = os.environ.get("JAX_PLATFORMS") or jax.config.jax_platforms
        raise DeviceError(
            f"JAX has no device to compute on: JAX_PLATFORMS={asked!r}, and this machine has none of that kind or it does not start "
            f"({type(error).__name__}: {str(error)[:200]}). Set JAX_PLATFORMS=cpu, or leave it unset, before Python starts."
        ) from error
    _started.append(True)


def require_double(what: str) -> None:
    """Refuse to go on where JAX would silently compute in single precision.

    Raises
    ------
    PrecisionError
        If double precision is off at the point of the call.
    """
    import jax

    if not jax.config.jax_enable_x64:
        raise PrecisionError(
            f"{what} needs double precision, and JAX is in single precision here. Add one line at the start of the "
            "program: jax.config.update('jax_enable_x64', True); or wrap the call in `with jax.enable_x64(True):`."
        )
