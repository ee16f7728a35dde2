"""What runs long looks up between its pieces: whether anybody still wants the result, and to say how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Abandoned", "Watch", "go_on", "nodes_done", "watched", "watching"]


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class Watch:
    """One computation, seen from another thread.

    Parameters
    ----------
    still : callable, optional
        Whether it is wanted, as far as somebody else knows.

    Attributes
    ----------
    nodes : int
        How many are done.
    wanted : bool
        False to end it after the piece that is under way.
    """

    def __init__(self, still: Callable[[], bool] | None = None) -> None:
        self.nodes, self.wanted, self.still = 0, True, still


_watch: ContextVar[Watch | None] = ContextVar("gammajax watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """What this thread computes within is seen by a `Watch`."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def watching() -> bool:
    """Whether somebody may want this thread to stop: pieces should then be short."""
    return _watch.get() is not None


def go_on() -> None:
    """Called between two pieces.

    Raises
    ------
    Abandoned
        If the result is not wanted any more.
    """
    watch = _watch.get()
    if watch is not None and not (watch.wanted and (watch.still is None or watch.still())):
        raise Abandoned


def nodes_done(n: int) -> None:
    """So many nodes more are done."""
    watch = _watch.get()
    if watch is not None:
        watch.nodes += n
