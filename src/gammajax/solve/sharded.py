"""One program on several devices of this process: each computes lanes of its own, and none waits for another."""

from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gammajax.compiling import finished, traced
from gammajax.solve.programs import OPTIONS
from gammajax.solve.watch import go_on

__all__ = ["over_devices", "replicated", "sharded"]

AXIS = "lanes"


def replicated(tree: Any, devices: tuple) -> Any:
    """The arrays of a pytree on every one of the devices."""
    return jax.device_put(tree, NamedSharding(_mesh(devices), PartitionSpec()))


@lru_cache(maxsize=8)
def _mesh(devices: tuple) -> Mesh:
    return Mesh(np.array(devices), (AXIS,))


@lru_cache(maxsize=64)
def sharded(program: Any, devices: tuple, static: tuple, options: bool = True) -> Any:
    """A program of `gammajax.solve.programs` with its lanes split over devices, compiled without a collective.

    Parameters
    ----------
    program : object
        `minimize_program` or `evaluate_program`.
    devices : tuple of jax.Device
        Devices of this process, all of one kind.
    static : tuple of (str, value)
        Its static arguments.
    options : bool
        Whether to compile with `OPTIONS`.
    """
    whole, part = PartitionSpec(), PartitionSpec(AXIS)

    def one(likelihood: Any, common: jax.Array, lanes: jax.Array) -> jax.Array:
        return program.__wrapped__(likelihood, common, lanes, **dict(static))

    mapped = jax.shard_map(
        traced(one), mesh=_mesh(devices), in_specs=(whole, whole, part), out_specs=part, check_vma=False
    )
    return jax.jit(mapped, compiler_options=OPTIONS if options else None)


def _run(program: Any, devices: tuple, static: tuple, *arguments: Any) -> np.ndarray:
    try:
        return np.asarray(sharded(program, devices, static)(*arguments))
    except jax.errors.JaxRuntimeError as error:
        # a compiler of another version does not know them all
        if "No such compile option" not in str(error):
            raise
    finally:
        finished()
    return np.asarray(sharded(program, devices, static, False)(*arguments))


def over_devices(
    program: Any, devices: tuple, compact: Any, common: np.ndarray, lanes: list, capacity: int, static: dict[str, Any]
) -> np.ndarray:
    """Run all lanes, each device whole inner batches of them; the same batches as on one device, so the same bits.

    Parameters
    ----------
    program, devices, static
        As in `sharded`.
    compact : pytree
        The likelihood, `replicated`.
    common : array
        The program's common numbers but the last, the number of batches.
    lanes : list of array, shape (n, ...)
        Columns of the lanes.
    capacity : int
        Lanes per device and call.

    Returns
    -------
    array, shape (n, width)
        What the program returns.
    """
    settings, inner, n = tuple(sorted(static.items())), static["inner"], len(lanes[0])
    width, parts = sum(p.shape[1] for p in lanes), []
    for begin in range(0, n, capacity * len(devices)):
        go_on()
        rest = min(capacity * len(devices), n - begin)
        batches = -(-rest // (inner * len(devices)))
        each = batches * inner
        filled = np.empty((len(devices), capacity, width))
        for d in range(len(devices)):
            # a device without lanes of its own repeats the last one; nobody reads that
            at = np.minimum(np.arange(begin + d * each, begin + (d + 1) * each), begin + rest - 1)
            np.concatenate([p[at] for p in lanes], axis=1, out=filled[d, :each], casting="unsafe")
            filled[d, each:] = 0.0
        out = _run(program, devices, settings, compact, np.append(common, batches), filled.reshape(-1, width))
        parts.append(out.reshape(len(devices), capacity, -1)[:, :each].reshape(len(devices) * each, -1)[:rest])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
