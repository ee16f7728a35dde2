"""Chunks in this process, by a thread of their own: this one hears Ctrl-C at once, whatever a compiled program is doing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from gammajax.compiling import hush
from gammajax.scan.engine import guarded
from gammajax.scan.task import Task
from gammajax.solve.watch import Watch, watched

__all__ = ["Here"]

# seconds between two looks at how far a chunk is
LOOK = 0.25


class Here:
    """Computes chunks one after the other.

    Parameters
    ----------
    task : `Task`
        The scan.
    device : jax.Device or None
        Where to run.
    tell : callable
        Is told now and then, in the thread of the caller, how many nodes of the chunk are done.
    room : callable, optional
        Gives the arrays of a chunk where its values are to be, see `compute_chunk`.
    """

    def __init__(
        self,
        task: Task,
        device: Any,
        tell: Callable[[int], None],
        room: Callable[[int], dict[str, np.ndarray]] | None = None,
    ) -> None:
        self.task, self.device, self.tell, self.room = task, device, tell, room
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gammajax-chunk")

    def __call__(self, number: int) -> dict[str, np.ndarray]:
        """Arrays of a chunk; an interruption leaves after the piece that is under way."""
        watch = Watch()
        future = self._thread.submit(self._compute, number, watch)
        try:
            while not wait([future], LOOK).done:
                self.tell(watch.nodes)
        except BaseException:
            watch.wanted = False
            # a program that is compiled is waited for, but nobody wants to read of it
            hush()
            raise
        return future.result()

    def _compute(self, number: int, watch: Watch) -> dict[str, np.ndarray]:
        with watched(watch):
            return guarded(self.task, number, self.device, None if self.room is None else self.room(number))

    def close(self) -> None:
        """Let the thread go, without waiting for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
