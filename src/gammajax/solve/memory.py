"""What to do when a device has too little memory: smaller batches, and in the end an error that says what was needed."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from gammajax.errors import DeviceError
from gammajax.runtime import is_out_of_memory
from gammajax.solve.devices import pick_device
from gammajax.solve.programs import sizes

__all__ = ["halve_batches", "is_short", "tell_of_batches", "within_memory"]

log = logging.getLogger("gammajax.solve")

LEAST_BATCH, LEAST_SURFACE = 1, 1 << 10

T = TypeVar("T")


def is_short(error: BaseException) -> bool:
    """Whether there was too little memory: on a CPU device and host share theirs, and whose allocation fails is chance."""
    return is_out_of_memory(error) or isinstance(error, MemoryError)


def halve_batches(platform: str, refits: bool) -> bool:
    """Make the batches on a kind of device half as large, and the calls that hold them; False where they cannot be smaller."""
    size, which = sizes(platform), "minimize" if refits else "evaluate"
    inner = getattr(size, which) // 2
    if inner < LEAST_BATCH:
        return False
    setattr(size, which, inner)
    size.surface = max(size.surface // 2, min(size.surface, LEAST_SURFACE))
    # on a device that shares its memory with the host the arrays of a call are as much in the way as those of a batch
    size.capacity, size.large = (max(lanes // 2, inner) for lanes in (size.capacity, size.large))
    return True


def tell_of_batches(platform: str, refits: bool) -> None:
    """Say with which batches it goes on."""
    size = sizes(platform)
    n, what = (size.minimize, "fits") if refits else (size.evaluate, "evaluations")
    log.warning(
        "the %s ran out of memory; going on with batches of %d %s%s.", platform, n, what,
        f", of surfaces {size.surface} nodes" if size.surface else "",
    )  # fmt: skip


def within_memory(compute: Callable[[], T], device: Any, lanes: int, refits: bool) -> T:
    """Result of a computation in batches, tried again with smaller and smaller ones where its device runs out of memory.

    Parameters
    ----------
    compute : callable
        The computation, which looks up the sizes of its batches each time.
    device : jax.Device or None
        Where it was asked to run.
    lanes : int
        How many points or fits there are, by which the device is chosen where none was asked for.
    refits : bool
        Whether its batches are fits, and not evaluations.

    Raises
    ------
    DeviceError
        If not even the smallest batches have room.
    """
    halved = False
    while True:
        try:
            out = compute()
        except (jax.errors.JaxRuntimeError, ValueError, MemoryError) as error:
            if not is_short(error):
                raise
            where = pick_device(device, lanes)
            if not halve_batches(where.platform, refits):
                raise DeviceError(_too_little(where, refits, error)) from error
            halved = True
            continue
        if halved:
            tell_of_batches(pick_device(device, lanes).platform, refits)
        return out


def _too_little(device: Any, refits: bool, error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    said, batch = (
        f"{type(error).__name__}: {lines[0] if lines else ''}",
        f"one {'fit' if refits else 'evaluation'} each",
    )
    if device.platform == "cpu":
        todo = "end what else takes memory, or ask for less at a time"
    else:
        todo = "end what else runs on it, or compute on the processor with device='cpu'"
    return f"{device} has too little memory, even for batches of {batch} ({said}): {todo}."
