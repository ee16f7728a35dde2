"""What lies above the data sets announces itself here, so that imports keep their one direction.

A data set is read by a file format (``gammajax.io``) and evaluated by a likelihood (``gammajax.likelihood``); both
import the data sets. They register what they offer, and the methods of a data set look it up; see `gammajax.hooks`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gammajax.errors import InputError
from gammajax.hooks import hook, hooks, register_hook

__all__ = ["Format", "evaluator", "file_format", "read_file", "register_format"]


@dataclass(frozen=True)
class Format:
    """A file format: how to read and write one data set."""

    read: Callable[..., Any]
    write: Callable[..., Any]


def register_format(name: str, *, read: Callable[..., Any], write: Callable[..., Any]) -> None:
    """Add a file format under a name."""
    found = Format(read, write)
    register_hook(f"format {name}", lambda: found)


def file_format(name: str) -> Format:
    """Return the format of that name; refuses unknown names with the list of known ones."""
    known = hooks("format")
    if name not in known:
        raise InputError(f"unknown file format {name!r}; known are: {', '.join(known)}.")
    return hook(f"format {name}")()


def read_file(cls: type, filename: str | Path, format: str | None, **kwargs: Any) -> Any:
    """Read a data set of a class; without a format, that of the file is taken.

    Raises
    ------
    InputError
        If the file holds a data set of another class.
    """
    name = hook("guess format")(filename) if format is None else format
    found = file_format(name).read(filename, **kwargs)
    if not isinstance(found, cls):
        kind = type(found).__name__
        raise InputError(f"{cls.__name__}.read: {Path(filename).name} holds a {kind}; read it with {kind}.read(...).")
    return found


def evaluator(name: str) -> Callable[..., Any]:
    """Function of one data set (``"npred_signal"``, ``"stat_array"`` ...) that needs more than its arrays."""
    return hook(f"evaluate {name}")
