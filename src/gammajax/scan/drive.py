"""The host loop of a scan: chunks in any order, here or by an executor, each handed to a sink when it is finished."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from gammajax.errors import ScanError
from gammajax.scan.engine import ATTEMPTS, Outcome, Sink, describe, is_device_error
from gammajax.scan.here import Here
from gammajax.scan.progress import Reporter
from gammajax.scan.spread import spread
from gammajax.scan.task import Task

__all__ = ["run_chunks"]

log = logging.getLogger("gammajax.scan")


def run_chunks(
    task: Task, sink: Sink, todo: Sequence[int], report: Reporter, executor: Any = None, device: Any = None,
    timeout: float | None = None,
) -> Outcome:  # fmt: skip
    """Compute chunks and hand each to the sink.

    Parameters
    ----------
    task : `Task`
        The scan.
    sink : `Sink`
        Where finished chunks go.
    todo : sequence of int
        Their numbers.
    report : `Reporter`
        Is told.
    executor : object with ``submit``, optional
        Computes the chunks elsewhere; here by default.
    device : jax.Device, optional
        Where to run, if here.
    timeout : float, optional
        Seconds after which a chunk that the executor does not bring back is handed out again.

    Raises
    ------
    ScanError
        If the scan cannot go on: the device failed, nothing can be stored, the executor is gone.
    KeyboardInterrupt
        As it came, with a note that says how to go on.
    """
    outcome = Outcome(task, sink, report)
    try:
        if executor is None:
            _here(outcome, todo, Here(task, device, report.part, getattr(sink, "room", None)))
        else:
            spread(outcome, todo, executor, timeout)
    except KeyboardInterrupt as interrupt:
        text = f"interrupted: {report.state.done} of {report.total} chunks are done. {sink.hint()}"
        interrupt.add_note(text)
        log.warning("scan %s", text)
        raise
    finally:
        report.close()
    return outcome


def _here(outcome: Outcome, todo: Sequence[int], compute: Here) -> None:
    """One chunk after the other in this process."""
    todo, mine = list(todo), np.random.default_rng()
    try:
        while todo:
            number = todo.pop(0)
            if outcome.skip(number):
                continue
            arrays = _tried(outcome, number, compute)
            if arrays is not None and not outcome.commit(number, arrays):
                # another driver is doing the same chunks in the same order: from here on in an order of our own, which changes no result
                mine.shuffle(todo)
    finally:
        compute.close()


def _tried(outcome: Outcome, number: int, compute: Here) -> dict[str, np.ndarray] | None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return compute(number)
        except Exception as error:
            if is_device_error(error):
                raise ScanError(
                    f"scan: the device failed in chunk {number} ({describe(error)}). {outcome.sink.hint()}"
                ) from error
            if attempt == ATTEMPTS:
                outcome.fail(number, describe(error))
    return None
