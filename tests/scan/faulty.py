"""Chunks that fail in workers: imported there by its name, so that what is sent is found."""

import os
import signal
import time
from pathlib import Path

import jax

from gammajax.scan import engine

real = engine.compute_chunk


def computed(folder):
    """Numbers of the chunks that were begun, in order."""
    return [int(p.name.split("-")[0]) for p in sorted(Path(folder).iterdir(), key=lambda p: p.stat().st_mtime_ns)]


def note(folder, number):
    (Path(folder) / f"{number}-{os.getpid()}-{os.urandom(4).hex()}").touch()


def install(folder, kind, number):
    """Make one chunk of this process faulty, and note every chunk that is begun in a folder.

    `kind`: "poison" kills the process, "raise" raises, "device" raises as a device does, "hang" does not come back the first time,
    "none" does neither. With "device" the first process that calls is the one with the bad device.
    """

    def compute(task, n, device=None):
        note(folder, n)
        if kind == "device":
            mark = Path(folder).parent / "bad-device"
            try:
                mark.open("x").write(str(os.getpid()))
            except FileExistsError:
                pass
            if mark.read_text() in ("", str(os.getpid())):
                raise jax.errors.JaxRuntimeError("INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE")
        if n == number and kind == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        if n == number and kind == "hang":
            try:
                (Path(folder).parent / "hangs").open("x").write(str(os.getpid()))
            except FileExistsError:
                return real(task, n, device)
            time.sleep(3600)
        if n == number and kind == "raise":
            raise ValueError("no such table")
        return real(task, n, device)

    engine.compute_chunk = compute
