"""Stored scans: begin one or go on with it, and keep every finished chunk."""

import logging
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.compiling import silent
from gammajax.errors import FileFormatError, InputError
from gammajax.provenance import versions
from gammajax.scan.chunk import node_range
from gammajax.scan.drive import run_chunks
from gammajax.scan.engine import Outcome
from gammajax.scan.folder import Folder
from gammajax.scan.identity import differences
from gammajax.scan.progress import Reporter
from gammajax.scan.task import Task, check_kernel

__all__ = ["Store", "begin", "machine", "resume", "run_store"]

log = logging.getLogger("gammajax.scan")
# how far the best fit may lie from the stored one, in errors: a fit made again elsewhere ends there, another minimum does not
SAME_START = 1e-3


class Store:
    """The sink of a stored scan.

    Parameters
    ----------
    folder : `Folder`
        Its files.
    task : `Task`
        The scan as it is stored.
    """

    def __init__(self, folder: Folder, task: Task) -> None:
        self.folder, self.task = folder, task
        self.fingerprint = task.fingerprint

    def has(self, number: int) -> bool:
        """Whether a chunk is there."""
        return self.folder.has(number)

    def commit(self, number: int, arrays: dict[str, np.ndarray]) -> bool:
        """Store a chunk; False where another process was first."""
        return self.folder.commit(number, self.fingerprint, arrays)

    def fail(self, number: int, error: str, attempts: int) -> None:
        """Note that a chunk failed for good."""
        self.folder.fail(number, error, attempts)

    def hint(self) -> str:
        """How to go on."""
        return f"They are kept in {self.folder.path}: make the same call again to go on from there."

    def checked(self, numbers: list[int]) -> list[int]:
        """Those of the chunks that are whole; damaged ones are set aside, with a warning."""
        good = []
        for number in numbers:
            begin, end = node_range(self.task, number)
            try:
                arrays = self.folder.read(number, self.fingerprint)
                if any(a.shape[-1] != end - begin for a in arrays.values()):
                    raise FileFormatError(f"{self.folder.chunk_path(number)}: expected {end - begin} nodes.")
                good.append(number)
            except FileFormatError as error:
                place = self.folder.set_aside(number)
                warnings.warn(
                    f"scan: chunk {number} is damaged and computed again; it was set aside as {place} ({error})",
                    stacklevel=2,
                )
        return good


def machine() -> dict[str, Any]:
    """Versions, devices and processor: where a scan was computed."""
    import jax

    devices = jax.local_devices()
    return {
        "versions": dict(versions()),
        "python": platform.python_version(),
        "devices": [d.device_kind for d in devices],
        "platform": devices[0].platform,
        "processor": _processor(),
        "host": platform.node(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def begin(path: Any, task: Task, chunk_size: int | None) -> Store:
    """Begin a scan in a folder, or take up the same scan that is there.

    Parameters
    ----------
    path : path
        The folder.
    task : `Task`
        The scan, with its partition if it is new.
    chunk_size : int or None
        What the caller asked for; None takes the stored partition.

    Raises
    ------
    InputError
        If another scan is stored there, with what differs.
    """
    folder = Folder(path)
    if not folder.exists():
        folder.create(task.document() | {"provenance": machine()}, task.arrays())
    manifest = folder.manifest()
    document, arrays = _document(manifest), folder.arrays(manifest)
    check_kernel(document["spec"])
    ours = task.spec if chunk_size is not None else task.spec | {"chunk_size": document["spec"].get("chunk_size")}
    found = differences(document["spec"], ours)
    if not found and task.refits:
        found = _starts(task, arrays)
    if found:
        raise InputError(
            f"store={str(folder.path)!r}: another scan is stored there. What differs: {'; '.join(found)}. Give another folder, or "
            "make the call that began that scan."
        )
    _tell_of_machine(manifest)
    return Store(folder, task.with_arrays(document, arrays))


def resume(path: Any) -> Store:
    """Take up a stored scan from its folder alone.

    Raises
    ------
    InputError
        If its likelihood cannot be rebuilt.
    """
    folder = Folder(path)
    manifest = folder.manifest()
    task = Task.rebuilt(_document(manifest), folder.arrays(manifest))
    _tell_of_machine(manifest)
    return Store(folder, task)


def _document(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("spec", "info", "structure", "models", "why")}


def _starts(task: Task, arrays: dict[str, np.ndarray]) -> list[str]:
    """Free parameters whose best fit is not the stored one."""
    diagonal = np.diag(arrays["hessian"])
    error = np.where(diagonal > 0, np.sqrt(2 / np.where(diagonal > 0, diagonal, 1.0)), np.inf)
    far = task.free & (np.abs(task.theta - arrays["theta"]) > SAME_START * error)
    names = task.spec["parameters"]
    return [
        f"best fit of {names[i]}: there {arrays['theta'][i] / task.factor[i]:.10g}, here {task.theta[i] / task.factor[i]:.10g}"
        for i in np.flatnonzero(far)
    ]


def _tell_of_machine(manifest: dict[str, Any]) -> None:
    """Warn where a scan goes on with other versions or another kind of device: bits may differ, numbers do not."""
    then, now = manifest.get("provenance", {}), machine()
    found = [t for k in ("versions", "platform") for t in differences(then.get(k), now[k], k)]
    if found:
        warnings.warn(
            f"scan: going on in another environment, results may differ by rounding: {'; '.join(found)}", stacklevel=3
        )


def run_store(
    store: Store, *, executor: Any = None, progress: Any = True, device: Any = None, shard: tuple[int, int] = (0, 1),
    timeout: float | None = None,
) -> Outcome:  # fmt: skip
    """Compute what is missing of a stored scan.

    Parameters
    ----------
    store : `Store`
        The scan.
    executor : object with ``submit``, optional
        Computes the chunks elsewhere.
    progress : bool or callable
        See `Reporter`.
    device : jax.Device, optional
        Where to run, if here.
    shard : pair of int
        (k, n): only the chunks k, k + n, k + 2 n, ...
    timeout : float, optional
        Seconds after which a chunk that the executor does not bring back is handed out again.
    """
    task, folder = store.task, store.folder
    mine = range(shard[0], task.n_chunks, shard[1])
    there = set(folder.done())
    # a process that was killed between its last chunk and the end may have left a file, which stays where nothing may be removed
    folder.sweep()
    if all(n in there for n in mine):
        # nothing to write; a folder that may only be read will do
        done = store.checked(list(mine)) if os.access(folder.path, os.W_OK) else list(mine)
    else:
        folder.check_writable()
        done = store.checked([n for n in mine if n in there])
    missing = [n for n in mine if n not in set(done)]
    nodes = [b - a for a, b in (node_range(task, n) for n in mine)]
    finished = sum(b - a for a, b in (node_range(task, n) for n in done))
    if done and missing:
        log.info("scan %s: %d of %d chunks were done before.", folder.path, len(done), len(mine))
    report = Reporter(progress, len(mine), sum(nodes), len(done), finished, f"scan {folder.path.name}")
    with silent(progress is not True):
        outcome = run_chunks(task, store, missing, report, executor, device, timeout)
    if missing:
        log.info(
            "scan %s: %d chunks stored by this process, %d by others meanwhile, %d failed.",
            folder.path, outcome.stored, outcome.done - outcome.stored, outcome.failed,
        )  # fmt: skip
    return outcome
