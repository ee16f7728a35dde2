"""Chunks on an executor: few are under way, each is handed over as it comes, and what a dying worker takes along is done again."""

import contextlib
import logging
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from queue import Empty, SimpleQueue
from typing import Any

from gammajax.errors import InputError, ScanError
from gammajax.scan.engine import ATTEMPTS, Outcome, describe, is_device_error
from gammajax.scan.link import Link
from gammajax.scan.worker import Payload, make_payload

__all__ = ["spread"]

log = logging.getLogger("gammajax.scan")

# seconds after which the driver looks whether the executor is still there
LOOK = 5.0


def link_to(executor: Any, payload: Payload) -> Link:
    """The link that an executor needs: that of Dask knows more of its workers."""
    if type(executor).__module__.split(".")[0] == "distributed":
        from gammajax.scan.dask import DaskLink

        return DaskLink(executor, payload)
    if not hasattr(executor, "submit"):
        raise InputError(
            f"executor={executor!r}: expected an object with submit(function, *arguments) that returns a future, such as a "
            "concurrent.futures pool or client.get_executor(pure=False) of Dask."
        )
    return Link(executor, payload)


def spread(outcome: Outcome, todo: Sequence[int], executor: Any) -> None:
    """Compute chunks by an executor, and hand each over as it comes.

    Raises
    ------
    ScanError
        If the executor or a device is gone; what is done is kept.
    """
    if not todo:
        return
    link = link_to(executor, make_payload(outcome.task))
    driver = _Driver(outcome, link)
    try:
        driver.run(deque(todo), link.window)
        # those that were under way when a worker died: alone, so that only the guilty one is blamed
        while driver.suspects:
            driver.run(deque([driver.suspects.popleft()]), 1)
    finally:
        driver.drop()
        link.close()


class _Driver:
    def __init__(self, outcome: Outcome, link: Link) -> None:
        self.outcome, self.link = outcome, link
        self.running: dict[Any, int] = {}
        self.suspects: deque[int] = deque()
        self.attempts: Counter[int] = Counter()
        self.arrived: SimpleQueue = SimpleQueue()

    def run(self, waiting: deque[int], window: int) -> None:
        """Compute those chunks, at most `window` at a time."""
        while waiting or self.running:
            while waiting and len(self.running) < window:
                number = waiting.popleft()
                if not self.outcome.skip(number):
                    self._submit(number)
            if self.running:
                self._take(waiting)

    def _submit(self, number: int) -> None:
        try:
            future = self.link.submit(number)
        except (BrokenExecutor, RuntimeError) as error:
            self.running[object()] = number
            self._broken(error)
            return
        self.attempts[number] += 1
        self.running[future] = number
        future.add_done_callback(self.arrived.put)

    def _take(self, waiting: deque[int]) -> None:
        """Wait for one chunk and see what became of it."""
        try:
            future = self.arrived.get(timeout=LOOK)
        except Empty:
            self.link.check()
            return
        # no future is held once its chunk is stored: an executor may keep results for as long as one is
        number = self.running.pop(future, None)
        if number is None:
            return
        try:
            arrays = future.result()
        except BrokenExecutor as error:
            self.running[future] = number
            self._broken(error)
        except (CancelledError, ConnectionError) as error:
            raise self._gone(error) from error
        except Exception as error:
            self._failed(number, error, waiting)
        else:
            self.outcome.commit(number, arrays)

    def _failed(self, number: int, error: Exception, waiting: deque[int]) -> None:
        if self.link.killed(error):
            self._suspect([number], error)
        elif is_device_error(error):
            raise ScanError(
                f"scan: the device of a worker failed in chunk {number} ({describe(error)}). {self.outcome.sink.hint()}"
            ) from error
        elif self.attempts[number] >= ATTEMPTS:
            self.outcome.fail(number, describe(error))
        else:
            waiting.append(number)

    def _broken(self, error: Exception) -> None:
        """The pool is gone with all that was under way."""
        lost = list(self.running.values())
        self.running.clear()
        if not self.link.renew():
            raise self._gone(error) from error
        log.warning(
            "scan: a worker process died; %d chunks that were under way are done again, one at a time.", len(lost)
        )
        self._suspect(lost, error)

    def _suspect(self, numbers: list[int], error: Exception) -> None:
        """Try chunks again alone; one whose worker dies then as well is the cause."""
        for number in numbers:
            if len(numbers) == 1 and self.attempts[number] >= ATTEMPTS:
                self.outcome.fail(number, f"the worker process died of it ({describe(error)})", self.attempts[number])
            else:
                self.suspects.append(number)

    def _gone(self, error: BaseException) -> ScanError:
        return ScanError(
            f"scan: the executor is gone ({describe(error)}). {self.outcome.sink.hint()} Give a new executor."
        )

    def drop(self) -> None:
        """Give up what is under way."""
        for future in self.running:
            with contextlib.suppress(Exception):
                future.cancel()
        self.running.clear()
