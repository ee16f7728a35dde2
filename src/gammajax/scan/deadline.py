"""When a chunk that an executor has is given up for lost: its worker may be alive and yet never answer."""

import math
from collections import deque
from statistics import median
from typing import Any

from gammajax.errors import InputError

__all__ = ["Deadline", "check_timeout"]

# by default: so many times the time that a chunk takes from hand-out to arrival, waiting included, and no less than five minutes,
# so that neither a slow worker nor one that still compiles is taken for a stuck one
TIMES, LEAST = 20.0, 300.0
# arrivals that the time is the median of
KEPT = 99


def check_timeout(seconds: Any) -> float | None:
    """A limit that a caller gave, in seconds; None for that from measured times.

    Raises
    ------
    InputError
        If it is no number above 0.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InputError(
            f"chunk_timeout={seconds!r}: expected seconds, more than 0, float('inf') for no limit, or None for twenty times what a chunk "
            "takes."
        )
    return float(seconds)


class Deadline:
    """The clocks of the chunks that are under way.

    The clock of a chunk starts when one that was handed out later comes back before it, or when nothing comes back at all. A long
    queue before few workers is then no reason to give up anything in it.

    Parameters
    ----------
    seconds : float or None
        The limit; None for `TIMES` times the median of the measured times, at least `LEAST`. There is none before the first arrival.
    """

    def __init__(self, seconds: float | None) -> None:
        self._given = seconds
        self._out: dict[Any, float] = {}
        self._overtaken: dict[Any, float] = {}
        self._times: deque[float] = deque(maxlen=KEPT)
        self._moved = -math.inf

    @property
    def limit(self) -> float:
        """Seconds, inf where there is no limit yet."""
        if self._given is not None:
            return self._given
        return max(TIMES * median(self._times), LEAST) if self._times else math.inf

    def begin(self, future: Any, now: float) -> None:
        """A chunk is handed out."""
        self._out[future] = now

    def end(self, future: Any, now: float) -> None:
        """It came back, done or failed."""
        begun = self._out.get(future)
        self.forget(future)
        self._moved = now
        if begun is None:
            return
        self._times.append(now - begun)
        for other, since in self._out.items():
            if since < begun:
                self._overtaken.setdefault(other, now)

    def forget(self, future: Any) -> None:
        """It is no longer waited for."""
        self._out.pop(future, None)
        self._overtaken.pop(future, None)

    def overdue(self, now: float, crowd: float = 1.0) -> list[Any]:
        """Futures that took too long.

        Parameters
        ----------
        now : float
            Time, s.
        crowd : float
            How many times more chunks are under way than there should be for the workers that are left.
        """
        allowed = self.limit * max(crowd, 1.0)
        return [f for f, begun in self._out.items() if now - self._overtaken.get(f, max(begun, self._moved)) > allowed]
