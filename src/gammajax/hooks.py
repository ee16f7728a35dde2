"""What lies above announces itself here, so that imports keep their one direction.

Models, data sets and results are written and read by ``gammajax.io``, which imports all of them. It registers its functions
when it is imported, and the methods look them up when they are called.
"""

from collections.abc import Callable
from typing import Any

from gammajax.errors import InputError

__all__ = ["hook", "register_hook"]

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
        raise InputError(f"{name!r} is not there; `import gammajax` first, which registers the file formats.")
    return _hooks[name]
