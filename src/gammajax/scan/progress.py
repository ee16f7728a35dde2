"""How far a scan is: a bar in a terminal or a notebook, a line now and then in a log, or a function of the caller."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gammajax.errors import InputError
from gammajax.progress import interactive, new_bar

__all__ = ["Progress", "Reporter"]

log = logging.getLogger("gammajax.scan")
# seconds between two lines of a log
EVERY = 30.0


@dataclass(frozen=True)
class Progress:
    """How far a scan is.

    Attributes
    ----------
    done, failed, total : int
        Chunks.
    nodes, total_nodes : int
        Nodes that are done, and all.
    rate : float
        Nodes per second of this run; 0 at first.
    left : float
        Seconds left at this rate; inf at first.
    """

    done: int
    failed: int
    total: int
    nodes: int
    total_nodes: int
    rate: float
    left: float

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        left = f", {_time(self.left)} left" if self.rate > 0 else ""
        return (
            f"{self.done} of {self.total} chunks{failed}, {self.nodes} of {self.total_nodes} nodes, "
            f"{self.rate:.4g} nodes/s{left}"
        )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Reporter:
    """Counts chunks and nodes, and tells.

    Parameters
    ----------
    progress : bool or callable
        True for a bar or log lines, False for nothing, or a function of `Progress`.
    total, total_nodes : int
        Chunks and nodes of the scan.
    done, nodes : int
        Those that were done before.
    name : str
        What is scanned, for the bar.
    """

    def __init__(self, progress: Any, total: int, total_nodes: int, done: int, nodes: int, name: str) -> None:
        if not (isinstance(progress, bool) or callable(progress)):
            raise InputError(f"progress={progress!r}: expected True, False, or a function that takes a Progress.")
        self.total, self.total_nodes, self.name = total, total_nodes, name
        self.done, self.nodes, self.failed = done, nodes, 0
        self._first, self._began, self._last = nodes, monotonic(), monotonic()
        # nodes of the chunk under way that the bar shows already
        self._shown = 0
        self._tell: Callable[[Progress], Any] | None = progress if callable(progress) else None
        self._bar: Any = None
        self._lines = progress is True and not interactive()
        if progress is True and not self._lines:
            self._bar = new_bar(total_nodes, nodes, name, "node")

    @property
    def state(self) -> Progress:
        """How far it is now."""
        seconds = monotonic() - self._began
        rate = (self.nodes - self._first) / seconds if seconds > 0 else 0.0
        left = (self.total_nodes - self.nodes) / rate if rate > 0 else float("inf")
        return Progress(self.done, self.failed, self.total, self.nodes, self.total_nodes, rate, left)

    def part(self, nodes: int) -> None:
        """So many nodes of the chunk that is computed here are done: the bar moves on, counts and rates wait for the chunk."""
        if self._bar is not None:
            self._bar.update(nodes - self._shown)
            self._shown = nodes

    def chunk(self, nodes: int, failed: bool = False) -> None:
        """One chunk of so many nodes is done, or has failed."""
        if failed:
            self.failed += 1
        else:
            self.done, self.nodes = self.done + 1, self.nodes + nodes
        if self._tell is not None:
            self._tell(self.state)
        if self._bar is not None:
            self._bar.update((0 if failed else nodes) - self._shown)
            self._shown = 0
            if failed:
                self._bar.set_postfix(failed=self.failed)
        if self._lines and (monotonic() - self._last > EVERY or self.done + self.failed == self.total):
            self._last = monotonic()
            log.info("%s: %s", self.name, self.state)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
