"""The processor without a queue: programs that run in the thread that calls them.

JAX hands a program on a CPU to a thread of its own and waits for it. Both threads sleep and are woken, which takes 50 to 100 us, three times
what a small program takes; the switch for it is one for the whole process and belongs to the person. So small programs run on a
client of our own, which has no such thread. It is used where the CPU is JAX's only device and nobody chose another one, and beside
accelerators, whose every call costs more than a small program; where this version of JAX does not make one, everything runs as JAX has it.
"""

import os
import threading
from contextlib import ExitStack
from typing import Any
from weakref import ref

__all__ = ["Scope", "direct", "direct_device", "home_device", "own_devices", "shared"]

# the device of this process, None where there is none; a child by fork makes its own
_made: dict[int, Any] = {}
# accelerators of this process, where there are any
_beside: dict[int, tuple] = {}
# arrays of two clients do not mix: threads that begin at the same time must get the same one
_making = threading.Lock()
# copies of arrays, by the identity of the array
_copies: dict[int, tuple[ref, Any]] = {}


def direct_device() -> Any:
    """The device of our own client, or None where JAX's own are used."""
    import jax

    pid = os.getpid()
    if pid not in _made:
        with _making:
            if pid not in _made:
                _made[pid] = _make()
    chosen = jax.config.jax_default_device
    return _made[pid] if chosen is None or chosen is _made[pid] else None


def _make() -> Any:
    """A client whose programs run in the calling thread; it must take an array before it is believed."""
    import jax
    import numpy as np

    devices = jax.local_devices()
    if (len(devices) != 1 and devices[0].platform == "cpu") or jax.process_count() != 1:
        return None
    if devices[0].platform != "cpu":
        _beside[os.getpid()] = tuple(devices)
    try:
        from jax._src.lib import xla_client  # type: ignore[attr-defined]

        client: Any = xla_client.make_cpu_client(asynchronous=False, num_devices=1)
        device = client.local_devices()[0]
        # JAX must take it for one of its devices; compiling something to see more would cost every start 50 ms
        with jax.enable_x64(True):
            placed = jax.device_put(np.arange(3.0), device)
        return device if placed.devices() == {device} and np.asarray(placed).tolist() == [0.0, 1.0, 2.0] else None
    # not a public part of JAX: whatever goes wrong, there is another way
    except Exception:
        return None


def own_devices() -> tuple:
    """Devices of this process that large work is spread over: accelerators, or the one of our own client if there is no other."""
    device = direct_device()
    if device is not None:
        return _beside.get(os.getpid(), (device,))
    import jax

    return tuple(jax.local_devices())


def home_device() -> Any:
    """The device of small work, where the arrays lie that `direct` returns: our own client's, or JAX's default."""
    import jax

    device = direct_device()
    if device is not None:
        return device
    return jax.config.jax_default_device or jax.local_devices()[0]


def direct(tree: Any) -> Any:
    """Arrays, where our own programs run; an array is moved once."""
    import jax

    device = direct_device()
    with jax.enable_x64(True):
        return jax.device_put(tree) if device is None else jax.tree.map(lambda a: _moved(a, device), tree)


def _moved(array: Any, device: Any) -> Any:
    import jax

    if not isinstance(array, jax.Array) or isinstance(array, jax.core.Tracer):
        return jax.device_put(array, device)
    # kept as its own copy it would never be let go
    if array.committed and array.devices() == {device}:
        return array
    known = _copies.get(id(array))
    if known is None or known[0]() is not array:
        key = id(array)
        known = ref(array, lambda _: _copies.pop(key, None)), jax.device_put(array, device)
        _copies[key] = known
    return known[1]


def shared(tree: Any) -> Any:
    """Arrays where JAX has its own: those that a person gets to see, and may mix with others."""
    import jax

    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        if jax.config.jax_default_device is direct_device():
            stack.enter_context(jax.default_device(None))
        return jax.device_put(tree)


class Scope:
    """Double precision, and our own client where there is one, for this thread."""

    def __enter__(self) -> None:
        import jax

        device = direct_device()
        self._double = jax.enable_x64(True)
        self._double.__enter__()
        self._device = None if device is None else jax.default_device(device)
        if self._device is not None:
            self._device.__enter__()

    def __exit__(self, *failure: Any) -> None:
        if self._device is not None:
            self._device.__exit__(*failure)
        self._double.__exit__(*failure)
