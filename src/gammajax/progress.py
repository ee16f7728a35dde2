"""Bars for what takes longer than a second, and the one switch for all of them."""

import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Self

from gammajax.errors import InputError

__all__ = [
    "AFTER",
    "Bar",
    "Bytes",
    "Evaluations",
    "interactive",
    "new_bar",
    "new_sign",
    "note_compilation",
    "progress_wanted",
    "set_progress",
    "track",
]

log = logging.getLogger(__name__)
# seconds before a bar shows, and between two lines of a log
AFTER = 1.0
EVERY = 30.0
# of a terminal that does not tell
WIDTH, ROWS = 80, 24
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

_switch: list[bool | None] = [None]
# how often something was compiled
_compilations = [0]


def set_progress(on: bool | None) -> None:
    """Show bars, or none, in this process.

    A bar appears in a terminal or a notebook when something takes longer than a second; anywhere else a line goes to the log every half
    minute (logger ``gammajax``, level INFO). The environment variable ``GAMMAJAX_PROGRESS=0`` switches them off as well.

    Parameters
    ----------
    on : bool or None
        True or False; None for what the environment says.

    Examples
    --------
    >>> set_progress(False)
    >>> progress_wanted()
    False
    >>> set_progress(None)
    """
    if on is not None and not isinstance(on, bool):
        raise InputError(f"set_progress: got {on!r}, expected True, False or None.")
    _switch[0] = on


def progress_wanted() -> bool:
    """Whether bars are shown: what `set_progress` says, or ``GAMMAJAX_PROGRESS``, or yes.

    Raises
    ------
    InputError
        If the environment variable is none of the known words.
    """
    if _switch[0] is not None:
        return _switch[0]
    word = os.environ.get("GAMMAJAX_PROGRESS", "1").strip().lower()
    if word not in (*ON, *OFF):
        raise InputError(f"GAMMAJAX_PROGRESS={word!r}: expected one of {', '.join((*ON, *OFF))}.")
    return word in ON


def note_compilation() -> None:
    """Something was compiled, which had a sign of its own: bars that wait for their first piece begin to count their second anew."""
    _compilations[0] += 1


def interactive() -> bool:
    """Whether a person looks at a terminal or a notebook."""
    if "ipykernel" in sys.modules:
        return True
    return bool(getattr(sys.stderr, "isatty", lambda: False)())


def new_bar(total: int | None, initial: int, name: str, unit: str) -> Any:
    """A bar of tqdm."""
    return _tqdm(total=total, initial=initial, desc=name, unit=unit, unit_scale=True)


def new_sign(text: str) -> Any:
    """A line of tqdm's, of which nothing is left when it is closed."""
    return _tqdm(desc=text, bar_format="{desc}", leave=False)


def _tqdm(**arguments: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        # in a notebook without widgets tqdm says that its bar is made of text
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        return tqdm(**arguments, **_size())


def _size() -> dict[str, int]:
    """Size of the terminal where it does not tell: with the 0 that it says a bar would show nothing."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno())
    except (AttributeError, ValueError, OSError):
        # no terminal: a notebook, or a stream of somebody's own
        return {}
    return {} if known.columns and known.lines else {"ncols": WIDTH, "nrows": ROWS}


class Bar:
    """How much of something is done; says nothing for the first second.

    Parameters
    ----------
    total : int or None
        How much there is; None where nobody knows.
    name : str
        What it is.
    unit : str
        Of what.
    """

    def __init__(self, total: int | None, name: str, unit: str) -> None:
        self.total, self.name, self.unit, self.done = total, name, unit, 0
        self._wanted, self._compilations = progress_wanted(), _compilations[0]
        self._began = self._last = monotonic()
        self._bar: Any = None

    def note(self) -> str:
        """What is said beside the number."""
        return ""

    def update(self, n: int = 1) -> None:
        """So much more is done."""
        now = monotonic()
        if not self.done and self._compilations != _compilations[0]:
            self._began = self._last = now
        self.done += n
        if not self._wanted or now - self._began < AFTER:
            return
        if self._bar is not None:
            self._say_note()
            self._bar.update(n)
        elif interactive():
            unit = self.unit if self.total is not None else f" {self.unit}s"
            self._bar = new_bar(self.total, self.done, self.name, unit)
            self._say_note()
        elif now - self._last >= EVERY:
            self._last = now
            of = "" if self.total is None else f" of {self.total}"
            log.info(
                "%s: %d%s %ss%s", self.name, self.done, of, self.unit, f", {note}" if (note := self.note()) else ""
            )

    def _say_note(self) -> None:
        if note := self.note():
            self._bar.set_postfix_str(note, refresh=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class Evaluations(Bar):
    """How often a fit has asked for its statistic, and the lowest value so far.

    Parameters
    ----------
    name : str
        What is fitted.
    """

    def __init__(self, name: str) -> None:
        super().__init__(None, name, "evaluation")
        self.lowest = math.inf
        self._next = 1

    def note(self) -> str:
        """The lowest value."""
        return f"stat = {self.lowest:.8g}"

    def seen(self, value: float) -> None:
        """One more value."""
        if value < self.lowest:
            self.lowest = value
        if self.done + 1 < self._next:
            self.done += 1
            return
        self.update()
        if monotonic() - self._began < AFTER:
            # whole fits take a millisecond: the clock is looked at after twice as many, when twice the time has passed
            self._next = 2 * self.done


class Bytes(Bar):
    """How much of a file has come, as pooch reports it.

    Parameters
    ----------
    name : str
        The file.
    """

    def __init__(self, name: str) -> None:
        super().__init__(None, name, "B")

    def reset(self) -> None:
        """All is there: pooch begins anew, and says once how much it was."""
        self.done = 0
        if self._bar is not None:
            self._bar.reset(self.total)

    def close(self) -> None:
        """Nothing more comes."""
        self.__exit__(None, None, None)


def track(items: Iterable[Any], total: int, name: str, unit: str) -> Iterator[Any]:
    """Hand out items one by one, and count them."""
    with Bar(total, name, unit) as bar:
        for item in items:
            yield item
            bar.update()
