"""What lies above announces itself here, so that imports keep their one direction.

Models, data sets and results are written and read by ``gammajax.io``, which imports all of them. It registers its functions
when it is imported, and the methods look them up when they are called.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from gammajax.errors import InputError

__all__ = ["StoredResult", "hook", "load_all", "lock_arrays", "register_hook"]

# most of what a result holds beside arrays
_NO_ARRAYS = (str, float, int, type(None))

_hooks: dict[str, Callable[..., Any]] = {}


def register_hook(name: str, function: Callable[..., Any]) -> None:
    """Announce a function under a name."""
    _hooks[name] = function


def hook(name: str) -> Callable[..., Any]:
    """Return the function of that name.

    Raises
    ------
    InputError
        If nothing announced it, which takes an import of a package of gammajax by itself.
    """
    if name not in _hooks:
        load_all()
    if name not in _hooks:
        raise InputError(f"{name!r} is not there; `import gammajax` first, which registers the file formats.")
    return _hooks[name]


def load_all() -> None:
    """Load all public names, and with them everything that announces itself: a package that was imported by itself has none of it."""
    vars(sys.modules["gammajax"])["__getattr__"]("__all__")


def lock_arrays(result: Any) -> None:
    """Make all arrays of a result read-only, those in its tuples, lists and dictionaries too."""
    values = list(vars(result).values())
    for value in values:
        # the list grows on the way
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif isinstance(value, _NO_ARRAYS):
            continue
        elif isinstance(value, tuple | list):
            values += value
        elif isinstance(value, dict):
            values += value.values()


class StoredResult:
    """A result that can be written to a file and read back with the same numbers."""

    def write(self, path: str | Path, overwrite: bool = False) -> None:
        """Write to a file that ends in .ecsv, .fits or .yaml; see `gammajax.io.write_result`.

        Parameters
        ----------
        path : str or path
            The file.
        overwrite : bool
            Whether to replace what is there.
        """
        hook("write result")(self, path, overwrite)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read from a file that `write` made, as a read-only value; see `gammajax.io.read_result`.

        Parameters
        ----------
        path : str or path
            The file.
        """
        return hook("read result")(path, cls)
