"""What a worker is sent, once, and what it does for every chunk."""

import hashlib
import io
import json
import os
import pickle
import platform
from collections import OrderedDict
from dataclasses import dataclass

import jax
import numpy as np

from gammajax.errors import InputError
from gammajax.scan.engine import guarded
from gammajax.scan.task import Task
from gammajax.solve.watch import Watch, go_on, watched

__all__ = ["Payload", "make_payload", "place_of", "run_payload", "task_of"]


@dataclass(frozen=True)
class Payload:
    """A task that can be sent to another process.

    Attributes
    ----------
    key : str
        Its digest.
    document : str
        The plain values of the task, JSON.
    arrays : bytes
        Its arrays, npz.
    compact : bytes or None
        The likelihood, pickled, where it has no form as plain values.
    sign : str
        A file that is there as long as the driver is; empty for none.
    place : str
        Where that is, from `place_of`: elsewhere nobody sees it.
    """

    key: str
    document: str
    arrays: bytes
    compact: bytes | None
    sign: str = ""
    place: str = ""


def make_payload(task: Task) -> Payload:
    """Make a task ready to be sent.

    Raises
    ------
    InputError
        If the likelihood holds functions that cannot be sent.
    """
    document, stream = json.dumps(task.document()), io.BytesIO()
    np.savez(stream, **task.arrays())  # type: ignore[arg-type]
    compact = None if task.structure is not None else _pickled(task)
    parts = (document.encode(), stream.getvalue(), compact or b"")
    key = hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()
    return Payload(key, document, stream.getvalue(), compact)


def _pickled(task: Task) -> bytes:
    try:
        # functions of a notebook or a script, which the standard library cannot send
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        return pickler.dumps(jax.tree.map(np.asarray, task.compact))
    except Exception as error:
        raise InputError(
            f"executor: this likelihood cannot be sent to other processes ({error}). Define its functions in a module that the workers "
            "import, or install cloudpickle."
        ) from error


# tasks that this process has put together
_tasks: OrderedDict[str, Task] = OrderedDict()
KEPT = 2


def task_of(payload: Payload) -> Task:
    """The task of a payload, put together once in each process."""
    task = _tasks.get(payload.key)
    if task is None:
        with np.load(io.BytesIO(payload.arrays), allow_pickle=False) as file:
            arrays = {n: file[n] for n in file.files}
        document = json.loads(payload.document)
        if payload.compact is None:
            task = Task.rebuilt(document, arrays)
        else:
            # it comes from the driver, which could have sent any function
            task = Task.of(document, arrays, pickle.loads(payload.compact))
        _tasks[payload.key] = task
        while len(_tasks) > KEPT:
            _tasks.popitem(last=False)
    return task


def place_of(path: str) -> str:
    """The folder of a file, in words that are others on another machine, or where a container has another folder of this name."""
    try:
        folder = os.stat(os.path.dirname(path))
    except OSError:
        return ""
    return f"{platform.node()}:{folder.st_dev}:{folder.st_ino}"


def _wanted(payload: Payload) -> bool:
    """Whether the driver is there, as far as one can see from here."""
    return not payload.sign or os.path.exists(payload.sign) or place_of(payload.sign) != payload.place


def run_payload(payload: Payload, number: int) -> dict[str, np.ndarray]:
    """Compute one chunk.

    Raises
    ------
    Abandoned
        If the driver has left.
    """
    with watched(Watch(lambda: _wanted(payload))):
        go_on()
        return guarded(task_of(payload), number)
