"""A likelihood as plain values and a list of arrays, and back: what another process needs, without executing what a file says.

Arrays become their number in the list, our own dataclasses their fields, and what cannot be written down, the functions of the
models and of priors, becomes a reference to the models, which travel as a model file.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from gammajax.errors import FileFormatError, InputError
from gammajax.likelihood.bins import Bins
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.penalties import Penalty, penalties_of
from gammajax.likelihood.structure import DatasetStructure, Points, Structure, Term
from gammajax.models import BinRule, Models, SpectralForm

__all__ = ["Unportable", "decode", "encode", "leaves"]

CLASSES = {c.__name__: c for c in (Compact, Structure, DatasetStructure, Term, Bins, BinRule, Points)}
DEEPEST = 40


class Unportable(InputError):
    """A likelihood that holds something which only this process knows."""


def leaves(compact: Any) -> list[np.ndarray]:
    """The arrays of a likelihood in the order of its pytree, on the host."""
    return [np.asarray(a) for a in jax.tree.leaves(compact)]


def encode(compact: Any, models: Models) -> Any:
    """The likelihood as plain values, its arrays by their numbers.

    Parameters
    ----------
    compact : `gammajax.likelihood.Compact`
        The likelihood as the solver takes it.
    models : `Models`
        The models it was made of.

    Raises
    ------
    Unportable
        Naming what cannot be written down.
    """
    flat, structure = jax.tree.flatten(compact)
    numbered = jax.tree.unflatten(structure, [_Array(i) for i in range(len(flat))])
    forms = [(m.name, m.form) for m in models if m.role != "systematics"]
    return _encode(numbered, forms, [0])


@dataclasses.dataclass(frozen=True)
class _Array:
    number: int


def _encode(value: Any, forms: list, penalties: list[int]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, _Array):
        return {"array": value.number}
    if isinstance(value, tuple):
        return [_encode(v, forms, penalties) for v in value]
    if isinstance(value, SpectralForm):
        for name, form in forms:
            if form is value or form == value:
                return {"form": name}
        raise Unportable(f"the model {value.name or value!r} is no source of the models")
    if isinstance(value, Penalty):
        # they are made again in the same order
        penalties[0] += 1
        return {"penalty": penalties[0] - 1}
    name = type(value).__name__
    if CLASSES.get(name) is type(value):
        fields = {f.name: _encode(getattr(value, f.name), forms, penalties) for f in dataclasses.fields(value)}
        return {"is": name, "fields": fields}
    raise Unportable(f"{name} has no form that can be written to a file")


def decode(document: Any, arrays: list, models: Models) -> Any:
    """The likelihood from plain values, arrays and models.

    Raises
    ------
    FileFormatError
        If the document is not what `encode` makes.
    """
    penalties, _ = penalties_of(models.parameters, models)
    forms = {m.name: m.form for m in models}
    try:
        return _decode(document, arrays, forms, penalties, 0)
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"scan: the structure of the likelihood cannot be read ({error!r}).") from error


def _decode(value: Any, arrays: list, forms: dict, penalties: tuple, depth: int) -> Any:
    if depth > DEEPEST:
        raise FileFormatError("scan: the structure of the likelihood is nested too deeply.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return tuple(_decode(v, arrays, forms, penalties, depth + 1) for v in value)
    if "array" in value:
        return arrays[value["array"]]
    if "form" in value:
        return forms[value["form"]]
    if "penalty" in value:
        return penalties[value["penalty"]]
    made = {k: _decode(v, arrays, forms, penalties, depth + 1) for k, v in value["fields"].items()}
    return CLASSES[value["is"]](**made)
