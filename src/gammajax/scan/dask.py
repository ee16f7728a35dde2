"""Dask as the executor of large scans: a client with the settings that JAX needs, and what happens when a worker or its device dies.

The only module that knows Dask; ``pip install gammajax[dask]``.
"""

import contextlib
import os
import signal
from typing import Any
from uuid import uuid4

import numpy as np

from gammajax.errors import InputError, ScanError
from gammajax.scan.engine import guarded, is_device_error
from gammajax.scan.link import PER_WORKER, WORKERS, Link
from gammajax.scan.worker import Payload, task_of
from gammajax.solve.watch import Abandoned, Watch, watched

__all__ = ["DaskLink", "local_client", "settings"]

# payloads that this worker process was sent, and the chunks that it computes, by the name of the scan
_payloads: dict[str, Payload] = {}
_running: dict[str, set[Watch]] = {}


def settings() -> dict[str, Any]:
    """Settings of Dask with which JAX runs well on its workers, for ``dask.config.set``.

    The allocator's thresholds that Dask sets make every temporary array of XLA be fetched from the system anew, which costs 40 % on
    CPUs; with ``NPROC=1`` a worker of one thread takes one core. A chunk that kills its worker is given up after three; a worker that
    says nothing for a minute is given up as well, by default it is five. Dask's profiler is off: it reads the stacks of running threads
    a hundred times a second, which can end an interpreter.

    Examples
    --------
    >>> settings()["distributed.scheduler.allowed-failures"]
    2
    """
    environment = "distributed.nanny.pre-spawn-environ."
    return {
        environment + "MALLOC_TRIM_THRESHOLD_": 10**9,
        environment + "MALLOC_MMAP_THRESHOLD_": 10**9,
        environment + "NPROC": 1,
        "distributed.scheduler.allowed-failures": 2,
        "distributed.scheduler.worker-ttl": "60 s",
        "distributed.worker.profile.enabled": False,
    }


def local_client(n_workers: int | None = None, **cluster: Any) -> Any:
    """A Dask client with worker processes on this machine, reachable from this machine alone.

    Parameters
    ----------
    n_workers : int, optional
        Worker processes of one thread each; one per core by default.
    **cluster
        Further arguments of `distributed.LocalCluster`.

    Returns
    -------
    distributed.Client
        Give ``client.get_executor(pure=False)``, or the client, as ``executor=``. Close it, or use it in a ``with`` statement, after
        ``if __name__ == "__main__":`` in a script.

    Raises
    ------
    InputError
        If Dask is not installed.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InputError(f"local_client: Dask is not installed ({error}); pip install gammajax[dask].") from None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    arguments = {"host": "127.0.0.1", "dashboard_address": None, "threads_per_worker": 1, "processes": True} | cluster
    if "dashboard_address" not in cluster:
        # with no dashboard the scheduler still serves its state, by default at one port for all clusters of a machine
        arguments["scheduler_kwargs"] = {"dashboard_address": "127.0.0.1:0"} | cluster.get("scheduler_kwargs", {})
    # scheduler and nannies read them when they are made
    with dask.config.set(settings()):
        return _local(Client)(n_workers=n_workers or cores, **arguments)


def _local(client: type) -> Any:
    """The class of a client whose workers are its own."""

    class LocalClient(client):
        """Leaves at once where its end is interrupted."""

        def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
            # a second Ctrl-C came before the first one was here
            if isinstance(value, KeyboardInterrupt) and isinstance(value.__context__, KeyboardInterrupt):
                _let_go(self.cluster)
            super().__exit__(kind, value, traceback)

        def close(self, *arguments: Any, **options: Any) -> Any:
            """Close the client and its workers."""
            try:
                return super().close(*arguments, **options)
            except KeyboardInterrupt:
                _let_go(self.cluster)
                raise

    return LocalClient


def _let_go(cluster: Any) -> None:
    """Kill workers that were asked to close; Dask would wait ten seconds for them when Python ends."""
    cluster.shutdown_on_close = False
    for nanny in list(cluster.workers.values()):
        with contextlib.suppress(Exception):
            os.kill(nanny.process.pid, signal.SIGKILL)


def run_on_worker(name: str, number: int) -> dict[str, np.ndarray]:
    """Compute one chunk on a worker; where the device fails the worker goes, not the chunk."""
    from distributed import Reschedule, get_worker

    watch, running = Watch(), _running.setdefault(name, set())
    running.add(watch)
    try:
        with watched(watch):
            return guarded(task_of(_payloads[name]), number)
    except Abandoned:
        # the driver has left, or this worker does
        raise Reschedule() from None
    except Exception as error:
        if not is_device_error(error):
            raise
        worker = get_worker()
        # with its nanny, which would start it again on the same device
        worker.loop.add_callback(worker.close, nanny=True, reason=f"gammajax: the device failed ({error})"[:500])
        raise Reschedule() from None
    finally:
        running.discard(watch)


class DaskLink(Link):
    """A Dask client, or its executor, as the driver uses it; see `gammajax.scan.spread.Link`."""

    def __init__(self, executor: Any, payload: Payload) -> None:
        from distributed import Client

        client = executor if isinstance(executor, Client) else getattr(executor, "_client", None)
        if not isinstance(client, Client):
            raise InputError(
                f"executor={executor!r}: expected a distributed.Client or client.get_executor(pure=False)."
            )
        self.client, self.payload = client, payload
        # of its own, also where two drivers do the same scan
        self._name, self._count = f"gammajax-{payload.key[:16]}-{uuid4().hex[:12]}", 0
        # every worker gets it once, also one that joins later
        client.register_plugin(_plugin(self._name, payload), name=self._name)

    @property
    def workers(self) -> int:
        """Threads of all workers that are there at this moment; they come and go."""
        return sum(self.client.nthreads().values())

    @property
    def window(self) -> int:
        """Chunks that may be under way."""
        return PER_WORKER * max(self.workers, WORKERS // 2)

    def submit(self, number: int) -> Any:
        """Hand over a chunk; returns a future."""
        self._count += 1
        key = f"{self._name}-{number}-{self._count}"
        return self.client.submit(run_on_worker, self._name, number, key=key, pure=False)

    def killed(self, error: BaseException) -> bool:
        """Whether the error says that workers died with the chunk."""
        return type(error).__name__ == "KilledWorker"

    def check(self) -> None:
        """Raise if the scheduler is gone."""
        if self.client.status not in ("running", "connecting"):
            raise ScanError(
                "scan: the Dask scheduler is gone. Make the same call again with a new client: it goes on from there."
            )

    def renew(self) -> bool:
        """Dask starts its workers again by itself."""
        return False

    def close(self) -> None:
        """Let the workers forget the task, and what they still compute of it."""
        with contextlib.suppress(Exception):
            if self.client.status == "running":
                self.client.unregister_worker_plugin(self._name)


def _plugin(name: str, payload: Payload) -> Any:
    from distributed import WorkerPlugin

    class Hold(WorkerPlugin):
        """Holds the task of a scan on a worker."""

        def setup(self, worker: Any) -> None:
            """Keep it."""
            from gammajax.scan import dask

            dask._payloads[name] = payload

        def teardown(self, worker: Any) -> None:
            """Forget it, and end what nobody waits for any more."""
            from gammajax.scan import dask

            dask._payloads.pop(name, None)
            for watch in list(dask._running.pop(name, ())):
                watch.wanted = False

    return Hold()
