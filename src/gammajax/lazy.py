"""Names of a package that are loaded when the first of them is used: what needs none of them does not wait for JAX."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["names_of"]


def names_of(package: str, source: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose public names are those of a module.

    Parameters
    ----------
    package : str
        Its name.
    source : str
        The module, which has them in its ``__all__``.
    """

    def get(name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            # what Python itself asks for: nothing is loaded for that
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own = importlib.import_module(source), vars(sys.modules[package])
        public = getattr(module, "__all__", ())
        if name == "__all__":
            return list(public)
        if name in public:
            own[name] = getattr(module, name)
        if name not in own:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # a public name, or a package that came with them
        return own[name]

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *get("__all__")})

    return get, names
