"""What the driver asks of an executor."""

import contextlib
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from gammajax.errors import InputError
from gammajax.scan.worker import Payload, place_of, run_payload

__all__ = ["PER_WORKER", "WORKERS", "Link"]

# chunks under way for each worker: one that is computed, and some that wait, so that no worker waits for the driver
PER_WORKER = 3
# workers of an executor that does not tell
WORKERS = 4


def _sign() -> str:
    """A file that workers of this machine look for between the pieces of a chunk."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="gammajax-scan-")
    except OSError:
        # no room for it: they then compute what they have begun
        return ""
    os.close(descriptor)
    return path


class Link:
    """An executor with ``submit``, as the driver uses it.

    Parameters
    ----------
    executor : object
        Anything whose ``submit(function, *arguments)`` returns a future.
    payload : `Payload`
        The task.
    """

    def __init__(self, executor: Any, payload: Payload) -> None:
        self.executor, self._own = executor, False
        if isinstance(executor, ProcessPoolExecutor):
            method = getattr(getattr(executor, "_mp_context", None), "get_start_method", lambda: "")()
            if method == "fork":
                raise InputError(
                    "executor: processes that are forked from one in which JAX runs come to a deadlock; make the pool with "
                    "ProcessPoolExecutor(n, mp_context=multiprocessing.get_context('spawn'))."
                )
        sign = _sign()
        self.payload = replace(payload, sign=sign, place=place_of(sign))

    @property
    def workers(self) -> int:
        """How many chunks can be computed at the same time, at this moment."""
        return int(getattr(self.executor, "_max_workers", None) or WORKERS)

    @property
    def window(self) -> int:
        """Chunks that may be under way."""
        return PER_WORKER * self.workers

    def submit(self, number: int) -> Any:
        """Hand over a chunk; returns a future."""
        if self.payload.sign:
            with contextlib.suppress(OSError):
                # not old enough to be cleared away
                Path(self.payload.sign).touch()
        return self.executor.submit(run_payload, self.payload, number)

    def killed(self, error: BaseException) -> bool:
        """Whether the error says that the worker died, of which the chunk may be innocent, and the executor lives."""
        return False

    def check(self) -> None:
        """Raise if the executor is gone without a word to its futures."""

    def renew(self) -> bool:
        """Replace an executor that broke; False where only its owner can."""
        old = self.executor
        if type(old) is not ProcessPoolExecutor:
            return False
        private = ("_max_workers", "_mp_context", "_initializer", "_initargs")
        if not all(hasattr(old, name) for name in private):
            return False
        settings = [getattr(old, name) for name in private]
        self._end()
        self.executor, self._own = ProcessPoolExecutor(*settings), True
        return True

    def close(self) -> None:
        """Give back what was made here; what workers still compute ends with the piece that is under way."""
        with contextlib.suppress(OSError):
            os.unlink(self.payload.sign)
        self._end()

    def _end(self) -> None:
        if self._own:
            self.executor.shutdown(wait=False, cancel_futures=True)
