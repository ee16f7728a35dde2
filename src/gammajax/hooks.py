"""What lies above announces itself here, so that imports keep their one direction.

Models, data sets and results are written and read by ``gammajax.io``, which imports all of them. Its modules register their
functions when they are imported, which is when a method asks for one of them first.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from gammajax.elsewhere import Pointing

__all__ = ["StoredResult", "hook", "hooks", "lock_arrays", "register_hook"]

# most of what a result holds beside arrays
_NO_ARRAYS = (str, float, int, type(None))

# which module announces what
_HOMES = {
    "gammajax.io.datasets_yaml": ("read datasets", "write datasets"),
    "gammajax.io.flux_points": (
        "points from table",
        "read flux points",
        "read points",
        "write flux points",
        "write points",
    ),
    "gammajax.io.gadf": ("format gadf", "guess format"),
    "gammajax.io.gti": ("read gti", "write gti"),
    "gammajax.io.models_files": ("read models", "write models"),
    "gammajax.io.models_yaml": ("models from dict", "models from yaml", "models to dict", "models to yaml"),
    "gammajax.io.ogip": ("format ogip", "format ogip-standard"),
    "gammajax.io.results": ("read result", "write result"),
    "gammajax.io.tables": ("open fits", "read table", "write table"),
    "gammajax.likelihood.evaluate": (
        "evaluate flux",
        "evaluate npred_background",
        "evaluate npred_signal",
        "evaluate stat_array",
    ),
    "gammajax.models.collection": ("collection of models", "collection of one"),
    "gammajax.models.spectral": ("spectral models",),
    "gammajax.models.temporal.known": ("temporal models",),
}
_home_of = {name: home for home, names in _HOMES.items() for name in names}

_hooks: dict[str, Callable[..., Any]] = {}


def register_hook(name: str, function: Callable[..., Any]) -> None:
    """Announce a function under a name."""
    _hooks[name] = function


def hook(name: str) -> Callable[..., Any]:
    """Return the function of that name, from the module that has it."""
    if name not in _hooks:
        importlib.import_module(_home_of[name])
    return _hooks[name]


def hooks(kind: str) -> list[str]:
    """Names of all functions that begin with a word, without it."""
    known = {*_hooks, *_home_of}
    return sorted(name.removeprefix(f"{kind} ") for name in known if name.startswith(f"{kind} "))


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


class StoredResult(Pointing):
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
