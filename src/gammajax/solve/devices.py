"""Where the batches run: by name, by object, or by their size."""

from typing import Any

import jax

from gammajax.direct import direct_device, own_devices
from gammajax.errors import InputError
from gammajax.units import require_device

__all__ = ["ACCELERATE", "cpu_device", "pick_device", "resolve_device"]

# lanes from which on an accelerator is used by itself: measured (`benchmarks/accelerator.py`) it is as fast as 16 cores at some 2500, and
# twice as fast at so many, but its programs take 1 to 3 s to compile
ACCELERATE = 10_000


def resolve_device(device: Any) -> Any:
    """A JAX device from a device, its platform's name, or None.

    Raises
    ------
    InputError
        If this process has no such device.
    """
    if device is None or hasattr(device, "platform"):
        return device
    require_device()
    if device == own_devices()[0].platform:
        return own_devices()[0]
    if device == "cpu":
        return cpu_device()
    try:
        return jax.devices(str(device))[0]
    except RuntimeError:
        known = ", ".join(sorted({d.platform for d in jax.devices()} | {"cpu"}))
        raise InputError(f"device={device!r}: this process has none of that kind; it has: {known}.") from None


def pick_device(device: Any, lanes: int) -> Any:
    """The device asked for; otherwise the CPU for small work and the accelerator, if there is one, for large batches."""
    if device is not None:
        return device
    require_device()
    default = own_devices()[0]
    if default.platform == "cpu" or lanes >= ACCELERATE:
        return default
    return cpu_device()


def cpu_device() -> Any:
    """The processor, beside accelerators."""
    device = direct_device()
    return jax.local_devices(backend="cpu")[0] if device is None else device
