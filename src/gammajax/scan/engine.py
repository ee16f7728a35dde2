"""What every way of computing chunks has in common: how one is tried, what is whose fault, and who is told."""

import logging
from typing import Any, Protocol

import jax
import numpy as np

from gammajax.errors import DeviceError, ScanError
from gammajax.runtime import status_of
from gammajax.scan.chunk import compute_chunk, devices_for, node_range
from gammajax.scan.progress import Reporter
from gammajax.scan.task import Task
from gammajax.solve.memory import halve_batches, is_short, tell_of_batches

__all__ = ["ATTEMPTS", "Outcome", "Sink", "describe", "guarded", "is_device_error"]

log = logging.getLogger("gammajax.scan")

# times that a chunk is tried before it has failed for good
ATTEMPTS = 3
# chunks that may fail before any is done: then it is not the chunks that are wrong
HOPELESS = 8


class Sink(Protocol):
    """Where finished chunks go."""

    def has(self, number: int) -> bool:
        """Whether a chunk is there already."""

    def commit(self, number: int, arrays: dict[str, np.ndarray]) -> bool:
        """Take a chunk; False where it was there already."""

    def fail(self, number: int, error: str, attempts: int) -> None:
        """Note that a chunk failed for good."""

    def hint(self) -> str:
        """How to go on after an interruption."""


def is_device_error(error: BaseException) -> bool:
    """Whether it is the device or the machine that failed, and not what was computed."""
    if isinstance(error, MemoryError | DeviceError) or status_of(error):
        return True
    # an exception of a user's own Python function comes back in the same class
    return isinstance(error, jax.errors.JaxRuntimeError) and "callback" not in str(error).lower()


def guarded(
    task: Task, number: int, device: Any = None, into: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Compute a chunk, see `compute_chunk`; where a device runs out of memory, with smaller and smaller batches, which is said once."""
    halved = False
    while True:
        try:
            out = compute_chunk(task, number, device, *(() if into is None else (into,)))
        except (jax.errors.JaxRuntimeError, ValueError, MemoryError) as error:
            if not is_short(error) or not halve_batches(devices_for(task, device)[0].platform, task.refits):
                raise
            halved = True
            continue
        if halved:
            tell_of_batches(devices_for(task, device)[0].platform, task.refits)
        return out


def describe(error: BaseException) -> str:
    """Class and first line of an error, for the list of failed chunks."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:500]


class Outcome:
    """What became of the chunks: told to the sink and to the reporter."""

    def __init__(self, task: Task, sink: Sink, report: Reporter) -> None:
        self.task, self.sink, self.report = task, sink, report
        self.done = self.failed = self.stored = 0

    def nodes(self, number: int) -> int:
        """Nodes of a chunk."""
        begin, end = node_range(self.task, number)
        return end - begin

    def commit(self, number: int, arrays: dict[str, np.ndarray]) -> bool:
        """Hand over a finished chunk; False where another driver was first."""
        first = self.sink.commit(number, arrays)
        self.done += 1
        self.stored += first
        self.report.chunk(self.nodes(number))
        return first

    def skip(self, number: int) -> bool:
        """Whether another driver has done a chunk meanwhile."""
        if not self.sink.has(number):
            return False
        self.done += 1
        self.report.chunk(self.nodes(number))
        return True

    def fail(self, number: int, error: str, attempts: int = ATTEMPTS) -> None:
        """A chunk has failed for good.

        Raises
        ------
        ScanError
            If many have and none was ever done.
        """
        self.failed += 1
        log.warning("scan: chunk %d failed, %s", number, error)
        self.sink.fail(number, error, attempts)
        self.report.chunk(self.nodes(number), failed=True)
        if self.report.done == 0 and self.failed >= HOPELESS:
            raise ScanError(
                f"scan: the first {self.failed} chunks all failed and none was done; the last error: {error}. Mend that, then make the "
                "same call again."
            )
