"""Chunks on an executor: few are under way, each is handed over as it comes, and what a dying worker takes along is done again."""

import contextlib
import logging
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from gammajax.errors import InputError, ScanError
from gammajax.scan.deadline import Deadline
from gammajax.scan.engine import ATTEMPTS, Outcome, describe, is_device_error
from gammajax.scan.link import Link
from gammajax.scan.worker import Payload, make_payload

__all__ = ["spread"]

log = logging.getLogger("gammajax.scan")

# seconds after which the driver looks whether the executor is still there
LOOK = 5.0


def link_to(executor: Any, payload: Payload) -> Link:
    """The link that an executor needs: that of Dask knows more of its workers."""
    if any(c.__module__.split(".")[0] == "distributed" for c in type(executor).__mro__):
        from gammajax.scan.dask import DaskLink

        return DaskLink(executor, payload)
    if not hasattr(executor, "submit"):
        raise InputError(
            f"executor={executor!r}: expected an object with submit(function, *arguments) that returns a future, such as a "
            "concurrent.futures pool or client.get_executor(pure=False) of Dask."
        )
    return Link(executor, payload)


def spread(outcome: Outcome, todo: Sequence[int], executor: Any, timeout: float | None = None) -> None:
    """Compute chunks by an executor, and hand each over as it comes.

    Parameters
    ----------
    outcome : `Outcome`
        What became of them.
    todo : sequence of int
        Their numbers.
    executor : object with ``submit``
        Computes them.
    timeout : float, optional
        Seconds after which a chunk that does not come back is handed out again; see `Deadline`.

    Raises
    ------
    ScanError
        If the executor or a device is gone; what is done is kept.
    """
    if not todo:
        return
    link = link_to(executor, make_payload(outcome.task))
    driver = _Driver(outcome, link, timeout)
    try:
        driver.run(deque(todo), link.window)
        # those that were under way when a worker died: alone, so that only the guilty one is blamed
        while driver.suspects:
            driver.run(deque([driver.suspects.popleft()]), 1)
    finally:
        driver.drop()
        link.close()


class _Driver:
    def __init__(self, outcome: Outcome, link: Link, timeout: float | None) -> None:
        self.outcome, self.link, self.deadline = outcome, link, Deadline(timeout)
        self.running: dict[Any, int] = {}
        # handed out again since: whichever comes first counts
        self.late: dict[Any, int] = {}
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
        self.deadline.begin(future, monotonic())
        future.add_done_callback(self.arrived.put)

    def _take(self, waiting: deque[int]) -> None:
        """Wait for one chunk and see what became of it."""
        try:
            future = self.arrived.get(timeout=min(LOOK, self.deadline.limit / 4))
        except Empty:
            self.link.check()
            self._remind(waiting)
            return
        # no future is held once its chunk is stored: an executor may keep results for as long as one is
        number = self.running.pop(future, None)
        self.deadline.end(future, monotonic())
        if number is None:
            self._take_late(future, waiting)
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
            self._settle(number)
            self.outcome.commit(number, arrays)
        self._remind(waiting)

    def _take_late(self, future: Any, waiting: deque[int]) -> None:
        """One that was given up came after all; what went wrong with it is the business of the other one."""
        number = self.late.pop(future, None)
        if number is None or future.cancelled() or future.exception() is not None:
            return
        if number in waiting:
            waiting.remove(number)
        self._settle(number)
        self.outcome.commit(number, future.result())

    def _settle(self, number: int) -> None:
        """Wait no longer for a chunk, from whom it may be."""
        for futures in (self.running, self.late):
            for future in [f for f, n in futures.items() if n == number]:
                del futures[future]
                self.deadline.forget(future)
                with contextlib.suppress(Exception):
                    future.cancel()

    def _remind(self, waiting: deque[int]) -> None:
        """Hand out again what does not come back, and fail what never did."""
        now = monotonic()
        if not self.deadline.overdue(now) or not self.link.workers:
            # without a worker there is nobody who could be stuck
            return
        # of many workers few may be left, with a long queue
        for future in self.deadline.overdue(now, len(self.running) / self.link.window):
            number = self.running.pop(future)
            self.deadline.forget(future)
            text = f"it did not come back within {self.deadline.limit:.3g} s"
            if self.attempts[number] >= ATTEMPTS:
                future.cancel()
                self._settle(number)
                self.outcome.fail(number, f"{text}, {ATTEMPTS} times", self.attempts[number])
            else:
                log.warning("scan: chunk %d is handed out again, %s.", number, text)
                self.late[future] = number
                waiting.append(number)

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
        for future in (*self.running, *self.late):
            self.deadline.forget(future)
        self.running.clear()
        self.late.clear()
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
        for future in (*self.running, *self.late):
            with contextlib.suppress(Exception):
                future.cancel()
        self.running.clear()
        self.late.clear()
