"""Objects that take only the attributes their class knows."""

import inspect
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar, get_origin

from gammajax.elsewhere import Pointing
from gammajax.errors import InputError

__all__ = ["Closed", "foreign_hint", "refuse_unknown"]


def foreign_hint(value: Any) -> str:
    """What to do with an object of gammapy, as a sentence for the end of a message; empty for everything else."""
    members = value if isinstance(value, list | tuple) else [value]
    if not any(type(v).__module__.partition(".")[0] == "gammapy" for v in members):
        return ""
    return (
        " These objects are gammapy's: gammajax.interop.gammapy.fit(datasets) fits its data sets as they are, from_gammapy(datasets) there "
        "makes ours of them and of their models."
    )


@lru_cache(maxsize=1024)
def _known(cls: Any, name: str) -> bool:
    return hasattr(cls, name) or any(name in inspect.get_annotations(base) for base in cls.__mro__)


@lru_cache(maxsize=64)
def _settable(cls: Any) -> tuple[str, ...]:
    """Public names that can be set: attributes of instances and properties with a setter."""
    annotated = [item for base in cls.__mro__ for item in inspect.get_annotations(base).items()]
    found = {n for n, kind in annotated if get_origin(kind) is not ClassVar and kind is not ClassVar}
    found |= {n for n in dir(cls) if isinstance(p := inspect.getattr_static(cls, n), property) and p.fset is not None}
    return tuple(sorted(n for n in found if not n.startswith("_") and not n.isupper()))


def refuse_unknown(instance: Any, name: str, settable: tuple[str, ...], what: str = "attribute") -> None:
    """Say that an object has no attribute of a name, and which could be meant.

    Raises
    ------
    InputError
        Always.
    """
    near = get_close_matches(name, settable, 1, 0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"what can be set: {', '.join(settable)}."
    raise InputError(f"{type(instance).__name__} has no {what} {name!r}, and setting it would have no effect; {hint}")


class Closed(Pointing):
    """Base of objects that refuse an attribute which their class neither defines nor annotates.

    A misspelt name, ``dataset.model = ...``, would otherwise be kept and have no effect. Names that begin with an underscore are free.
    """

    # whether names that look like none of its own are kept: people note things on a fit, ``fit.result = fit.run()``
    _notes_allowed: ClassVar[bool] = False
    # what to do in the place of setting a property that has no setter
    _instead: ClassVar[dict[str, str]] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        if not name.startswith("_") and not _known(cls, name):
            settable = _settable(cls)
            if not cls._notes_allowed or get_close_matches(name, settable, 1, 0.6):
                refuse_unknown(self, name, settable)
        try:
            object.__setattr__(self, name, value)
        except AttributeError:
            found = inspect.getattr_static(cls, name, None)
            if not isinstance(found, property) or found.fset is not None:
                raise
            hint = cls._instead.get(name, f"what can be set: {', '.join(_settable(cls))}")
            raise InputError(f"{cls.__name__}.{name} cannot be replaced; {hint}.") from None
