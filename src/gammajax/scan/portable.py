"""A likelihood as plain values and a list of arrays, and back: what another process needs, without executing what a file says.

Arrays become their number in the list, our own dataclasses their fields, and what cannot be written down, the functions of the
models and of priors, becomes a reference to the models, which travel as a model file.
"""

import dataclasses
from typing import Any

import jax

from gammajax.errors import FileFormatError, InputError
from gammajax.likelihood.bins import Bins
from gammajax.likelihood.build import forms_of
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.penalties import Penalty, penalties_of
from gammajax.likelihood.structure import DatasetStructure, Points, Structure, Term, Timed
from gammajax.models import BinRule, Models, SpectralForm, TemporalForm

__all__ = ["Unportable", "decode", "encode"]

CLASSES = {c.__name__: c for c in (Compact, Structure, DatasetStructure, Term, Bins, BinRule, Points, Timed)}
DEEPEST = 40


class Unportable(InputError):
    """A likelihood that holds something which only this process knows."""


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
    return _encode(numbered, _forms(models), [0])


def _forms(models: Models) -> dict[tuple[str, str], Any]:
    """The mathematics of all models, by their names and what it is."""
    found: dict[tuple[str, str], Any] = {}
    for m in models:
        if m.role != "systematics":
            forms, found["temporal", m.name] = forms_of(m)
            found |= {(kind, m.name): form for kind, form in forms.items()}
    return found


@dataclasses.dataclass(frozen=True)
class _Array:
    number: int


def _encode(value: Any, forms: dict, penalties: list[int]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, _Array):
        return {"array": value.number}
    if isinstance(value, tuple):
        return [_encode(v, forms, penalties) for v in value]
    if isinstance(value, SpectralForm | TemporalForm):
        for (kind, name), form in forms.items():
            if form is value or form == value:
                return {kind: name}
        raise Unportable(f"the model {getattr(value, 'name', '') or value!r} is no source of the models")
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
    try:
        return _decode(document, arrays, _forms(models), penalties, 0)
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
    for kind in ("form", "loose", "weighted", "temporal"):
        if kind in value:
            return forms[kind, value[kind]]
    if "penalty" in value:
        return penalties[value["penalty"]]
    made = {k: _decode(v, arrays, forms, penalties, depth + 1) for k, v in value["fields"].items()}
    return CLASSES[value["is"]](**made)
