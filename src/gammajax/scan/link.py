"""What the driver asks of an executor."""

from concurrent.futures import ProcessPoolExecutor
from typing import Any

from gammajax.errors import InputError
from gammajax.scan.worker import Payload, run_payload

__all__ = ["PER_WORKER", "WORKERS", "Link"]

# chunks under way for each worker: one that is computed, and some that wait, so that no worker waits for the driver
PER_WORKER = 3
# workers of an executor that does not tell
WORKERS = 4


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
        self.executor, self.payload = executor, payload
        self._own = False
        if isinstance(executor, ProcessPoolExecutor):
            method = getattr(getattr(executor, "_mp_context", None), "get_start_method", lambda: "")()
            if method == "fork":
                raise InputError(
                    "executor: processes that are forked from one in which JAX runs come to a deadlock; make the pool with "
                    "ProcessPoolExecutor(n, mp_context=multiprocessing.get_context('spawn'))."
                )

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
        self.close()
        self.executor, self._own = ProcessPoolExecutor(*settings), True
        return True

    def close(self) -> None:
        """Give back what was made here."""
        if self._own:
            self.executor.shutdown(wait=False, cancel_futures=True)
