"""Where a result comes from: versions, the data as a hash, and the settings."""

import hashlib
import sys
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["Provenance", "data_hash", "metadata", "provenance", "versions"]


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from.

    Attributes
    ----------
    versions : tuple of (str, str)
        Packages and their versions.
    data : str
        SHA-256 of the arrays of all data sets in the fit: counts, acceptances, mask, response, bins. Not of the models. In batches
        of data sets with own dispersions those go in as one number each.
    created : str
        Time, ISO 8601, UTC.
    settings : dict
        Settings of the call that the result does not tell elsewhere.
    """

    versions: tuple[tuple[str, str], ...]
    data: str
    created: str
    settings: dict[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    """Versions of gammajax, jax, jaxlib and numpy."""
    import jax
    from jaxlib.version import __version__ as jaxlib_version

    own = getattr(sys.modules.get("gammajax"), "__version__", "unknown")
    return ("gammajax", own), ("jax", jax.__version__), ("jaxlib", jaxlib_version), ("numpy", np.__version__)


def now() -> str:
    """Time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()


def metadata() -> dict[str, Any]:
    """Head of a YAML file, by gammapy's keys."""
    return {"creator": f"gammajax {dict(versions())['gammajax']}", "date": now(), "origin": None}


def provenance(data: Iterable[Any], **settings: Any) -> Provenance:
    """Provenance of a result that was made now from data sets, given as the pytrees of a likelihood."""
    return Provenance(versions(), data_hash(data), now(), settings)


# the arrays on the device never change, so their hash is taken once: a scan looks it up
_known: dict[int, tuple[weakref.ref, bytes]] = {}


def data_hash(data: Iterable[Any]) -> str:
    """SHA-256 of the arrays of some data sets.

    Parameters
    ----------
    data : iterable of pytree
        One for each data set; nodes and weights of bin integrals, which depend on the models, are left out.
    """
    parts = [_one(d) for d in data]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _one(data: Any) -> bytes:
    if data is None or isinstance(data, tuple | list | dict):
        # of a function's own data: no object that could be remembered by itself
        return _digest(data)
    known = _known.get(id(data))
    if known is not None and known[0]() is data:
        return known[1]
    digest = _digest(data)
    key = id(data)
    _known[key] = weakref.ref(data, lambda _: _known.pop(key, None)), digest
    return digest


def _digest(data: Any) -> bytes:
    from jax.tree_util import keystr, tree_flatten_with_path

    total = hashlib.sha256()
    for path, leaf in tree_flatten_with_path(data)[0]:
        name = keystr(path)
        if "rules" in name and not name.endswith(("rules[0].lo", "rules[0].hi")):
            continue
        array = np.ascontiguousarray(leaf)
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.digest()
