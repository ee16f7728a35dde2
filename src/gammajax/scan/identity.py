"""What makes two scans the same: a digest of arrays, and one of the mathematics of a likelihood."""

import dataclasses
import functools
import hashlib
import inspect
import json
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["differences", "digest", "fingerprint", "structure_digest"]


def digest(arrays: Iterable[Any]) -> str:
    """SHA-256 of some arrays: types, shapes and values."""
    total = hashlib.sha256()
    for a in arrays:
        array = np.ascontiguousarray(a)
        total.update(f"{array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def fingerprint(spec: dict[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def structure_digest(structure: Any) -> str:
    """SHA-256 of what is static about a likelihood: its models, their functions and where their parameters are.

    Functions of gammajax and of installed packages count by their name, a user's own by their source and what they enclose. What they
    read from the module around them is not seen.
    """
    total = hashlib.sha256()
    _describe(structure, total, set())
    return total.hexdigest()


def _describe(value: Any, total: Any, above: set[int]) -> None:
    """Feed a value into a digest; `above` are the objects that contain it."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        total.update(f"{type(value).__name__} {value!r};".encode())
        return
    if id(value) in above:
        total.update(b"itself;")
        return
    above = above | {id(value)}
    total.update(f"{type(value).__name__}(".encode())
    for part in _parts(value):
        _describe(part, total, above)
    total.update(b")")


def _parts(value: Any) -> list:
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, dict):
        return [p for item in value.items() for p in item]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.FunctionType):
        return _function_parts(value)
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, f.name) for f in dataclasses.fields(value) if f.metadata.get("digest", True)]
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return [digest([value])]
    if hasattr(value, "__wrapped__"):
        return [value.__wrapped__]
    return [getattr(value, "__module__", ""), getattr(value, "__qualname__", type(value).__qualname__)]


def _function_parts(function: types.FunctionType) -> list:
    name = [function.__module__, function.__qualname__, function.__defaults__, function.__kwdefaults__]
    cells = [c.cell_contents for c in function.__closure__ or () if not isinstance(c.cell_contents, types.ModuleType)]
    if str(function.__module__).split(".")[0] in ("gammajax", "jax", "numpy"):
        return name + cells
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        code = function.__code__
        text = (
            f"{code.co_code.hex()} {[c for c in code.co_consts if not isinstance(c, types.CodeType)]!r} {code.co_names}"
        )
    # the module of a script is __main__ in one process and another in the next
    return [function.__qualname__, text, *name[2:], *cells]


def differences(theirs: Any, ours: Any, where: str = "") -> list[str]:
    """Sentences about what differs between two trees of plain values, field by field.

    Examples
    --------
    >>> differences({"tol": 1e-9, "free": ["alpha"]}, {"tol": 1e-6, "free": ["alpha"]})
    ['tol: there 1e-09, here 1e-06']
    """
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            text
            for key in dict.fromkeys((*theirs, *ours))
            for text in differences(theirs.get(key), ours.get(key), f"{where}.{key}" if where else key)
        ]
    same = theirs == ours
    if not same and isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours) <= 8:
        return [
            t for n, (a, b) in enumerate(zip(theirs, ours, strict=True)) for t in differences(a, b, f"{where}[{n}]")
        ]
    return [] if same else [f"{where}: there {_short(theirs)}, here {_short(ours)}"]


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values from {value[0]} to {value[-1]}"
    text = repr(value)
    return text if len(text) <= 80 else text[:60] + "..."
