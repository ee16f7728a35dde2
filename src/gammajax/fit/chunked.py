"""Scans in chunks: stored in a folder, spread over workers, or with a bar; what `Fit` makes of its arguments for them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.likelihood import Likelihood
from gammajax.progress import progress_wanted
from gammajax.provenance import provenance
from gammajax.scan import Refit, ScanResult
from gammajax.scan.assemble import Values, results
from gammajax.scan.deadline import check_timeout
from gammajax.scan.drive import run_chunks
from gammajax.scan.folder import Folder
from gammajax.scan.memory import check_memory
from gammajax.scan.partition import check_size, measured_size, size_in_memory
from gammajax.scan.progress import Reporter
from gammajax.scan.store import begin, run_store
from gammajax.scan.stored import StoredScan
from gammajax.scan.task import Grid, Task, make_task
from gammajax.solve import derivatives

__all__ = ["Chunked", "in_chunks"]

# from so many nodes on a scan goes through in chunks by itself: working arrays stay small, and a bar tells how long it takes
MANY = 1_000_000


@dataclass(frozen=True)
class Chunked:
    """How a scan goes through in chunks.

    Attributes
    ----------
    store : path or None
        Folder of the scan.
    executor : object with ``submit``, or None
        Computes the chunks.
    progress : bool or callable or None
        See `gammajax.scan.progress.Reporter`; None for a bar where there are chunks.
    chunk_size : int or None
        Nodes of a chunk.
    compute : bool
        False to begin a stored scan and leave the computing to others.
    timeout : float or None
        Seconds after which a chunk that the executor does not bring back is handed out again; see `gammajax.scan.deadline.Deadline`.
    """

    store: Any = None
    executor: Any = None
    progress: Any = None
    chunk_size: int | None = None
    compute: bool = True
    timeout: float | None = None

    @property
    def quiet(self) -> bool:
        """Whether nothing else is to be shown: nothing was asked for, or a function of the caller's."""
        return self.progress is not None and self.progress is not True

    def wanted(self, nodes: int) -> bool:
        """Whether a scan of so many nodes goes through in chunks."""
        if not self.compute and self.store is None:
            raise InputError("compute=False begins a stored scan for others to compute: give store='folder'.")
        if check_timeout(self.timeout) is not None and self.executor is None:
            raise InputError("chunk_timeout is for chunks that an executor computes; give executor= or leave it away.")
        asked = self.store is not None or self.executor is not None or self.chunk_size is not None
        return asked or self.progress not in (None, False) or nodes >= MANY


def in_chunks(
    likelihood: Likelihood,
    grids: Sequence[Grid],
    how: Chunked,
    *,
    refit: bool,
    starts: int,
    options: dict[str, Any],
    device: Any,
    what: str,
) -> list[ScanResult] | StoredScan:
    """Scan grids in chunks.

    Returns
    -------
    list of `ScanResult`, or `StoredScan`
        The latter if nothing is to be computed here, or if the result does not fit into memory.
    """
    best, _, hessian = derivatives(likelihood, likelihood.start)
    if refit:
        # refuses what is no option
        Refit(likelihood, hessian, starts, device, **options)
    if how.executor is not None and device is not None:
        raise InputError(
            f"{what}: device={device!r} says where this process computes, but the executor does; leave one away."
        )
    n = sum(g.size for g in grids)
    size = None if how.chunk_size is None else check_size(how.chunk_size, n)
    if how.store is None:
        check_memory(n, int(np.sum(likelihood.free)) if refit else 0, 0, what)
    task = make_task(
        likelihood,
        grids,
        hessian=hessian if refit else None,
        best=best,
        starts=starts,
        options=options,
        chunk_size=size or n,
    )
    if how.store is not None:
        return _stored(task, how, size, device)
    if size is None:
        size = size_in_memory(task, device) if how.executor is None else measured_size(task, alone=False)
    return _in_memory(likelihood, task.with_chunks(size), how, device)


def _stored(task: Task, how: Chunked, size: int | None, device: Any) -> list[ScanResult] | StoredScan:
    if size is None and not Folder(how.store).exists():
        task = task.with_chunks(measured_size(task, device, alone=how.executor is None))
    store = begin(how.store, task, size)
    if how.compute:
        outcome = run_store(store, executor=how.executor, progress=_progress(how), device=device, timeout=how.timeout)
        _tell_of_failures(outcome.failed, store.task.n_chunks)
    scan = StoredScan(store.folder.path)
    return list(scan.results().values()) if how.compute and scan.fits_in_memory else scan


def _in_memory(likelihood: Likelihood, task: Task, how: Chunked, device: Any) -> list[ScanResult]:
    values = Values(task.spec, task.info)
    report = Reporter(_progress(how), task.n_chunks, task.n_nodes, 0, 0, "scan")
    outcome = run_chunks(task, values, range(task.n_chunks), report, how.executor, device, how.timeout)
    _tell_of_failures(outcome.failed, task.n_chunks)
    return results(values, provenance(likelihood.data))


def _progress(how: Chunked) -> Any:
    return progress_wanted() if how.progress is None else how.progress


def _tell_of_failures(failed: int, total: int) -> None:
    if failed:
        warnings.warn(
            f"scan: {failed} of {total} chunks failed, their nodes are nan with the status FAILED; .failures of the result has the errors.",
            stacklevel=4,
        )
