"""A sign while JAX compiles: what is computed the first time waits for that, seconds at worst.

JAX runs the Python function behind a program only to compile it, so that is where the sign is put up, and calls that compile nothing
pay one look at a flag. A bar's rules hold: it shows after a second, in a terminal or a notebook, and not where bars are switched off.
"""

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial, wraps
from time import monotonic
from typing import Any

from gammajax import progress

__all__ = ["compiled", "finished", "hush", "silent", "traced"]

log = logging.getLogger(__name__)
# seconds between two programs of one call, which are counted together: only all of them take long
PAUSE = 1.0
# between two looks at the clock while the sign is up
TICK = 0.2


class _Thread(threading.local):
    """Whether this thread compiles."""

    compiles = False


class _Sign:
    """Threads that compile, since when one of them does, and the thread that shows it."""

    def __init__(self) -> None:
        self.lock, self.threads, self.silent = threading.Lock(), 0, 0
        self.began = self.ended = float("-inf")
        self.stop: threading.Event | None = None
        self.shown: threading.Thread | None = None

    def up(self) -> None:
        """One thread more compiles."""
        with self.lock:
            self.threads += 1
            now = monotonic()
            if self.threads > 1:
                return
            if now - self.ended > PAUSE:
                self.began = now
            if self.silent or not progress.progress_wanted():
                return
            self.stop = threading.Event()
            # in a notebook it belongs to the cell that runs
            show = partial(copy_context().run, _show, self.began, self.stop)
            self.shown = threading.Thread(target=show, name="gammajax-compiling", daemon=True)
            self.shown.start()

    def down(self) -> None:
        """One thread is done."""
        with self.lock:
            self.threads -= 1
            if self.threads:
                return
            self.ended = monotonic()
        progress.note_compilation()
        self.off()

    def off(self) -> None:
        """Take it away, and wait until it is gone: what is printed next has the line for itself."""
        with self.lock:
            stop, shown, self.stop, self.shown = self.stop, self.shown, None, None
        if stop is not None and shown is not None:
            stop.set()
            shown.join()


_thread, _sign = _Thread(), _Sign()


def _show(began: float, stop: threading.Event) -> None:
    """Wait for the first second, then show for how long it takes, until it is done."""
    if stop.wait(max(progress.AFTER - (monotonic() - began), 0.0)):
        return
    if not progress.interactive() or _is_worker():
        while not stop.wait(progress.EVERY):
            log.info("compiling: %.0f s", monotonic() - began)
        return
    bar, text = None, ""
    try:
        while not stop.is_set():
            now = f"compiling ... {monotonic() - began:.0f} s"
            if bar is None:
                bar = progress.new_sign(now)
            elif now != text:
                bar.set_description_str(now)
            text = now
            stop.wait(TICK)
    finally:
        if bar is not None:
            bar.close()


def _is_worker() -> bool:
    """Whether another process of Python started this one to work for it, and has the terminal."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and multiprocessing.parent_process() is not None


def traced(function: Callable) -> Callable:
    """The same function, which puts up the sign when JAX calls it; whoever runs its program calls `finished` behind."""
    inner = function.func if isinstance(function, partial) else function

    # the name of the program is that of the function
    @wraps(inner)
    def call(*arguments: Any, **static: Any) -> Any:
        if not _thread.compiles:
            _thread.compiles = True
            try:
                _sign.up()
            except BaseException:
                # with bars neither wanted nor not: the error says what to set
                _sign.down()
                _thread.compiles = False
                raise
        return function(*arguments, **static)

    return call


def finished() -> None:
    """A program has run, or failed: if it was compiled for that, this is over."""
    if _thread.compiles:
        _thread.compiles = False
        _sign.down()


def compiled(function: Callable, **options: Any) -> Callable:
    """``jax.jit`` of a function, with the sign while it compiles; for programs of which each call takes long beside a microsecond."""
    import jax

    run = jax.jit(traced(function), **options)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return run(*arguments)
        finally:
            finished()

    return call


def hush() -> None:
    """Take the sign away, whatever still compiles: somebody interrupts."""
    _sign.off()


class _Silence:
    """No sign within, in any thread."""

    def __enter__(self) -> None:
        with _sign.lock:
            _sign.silent += 1

    def __exit__(self, *failure: Any) -> None:
        with _sign.lock:
            _sign.silent -= 1


def silent(yes: bool) -> AbstractContextManager[None]:
    """No sign within, if `yes`: the caller is told nothing, or shows something else."""
    return _Silence() if yes else nullcontext()
