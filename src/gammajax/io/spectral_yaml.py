"""Spectral models as plain values, and back."""

from typing import Any

from gammajax.errors import FileFormatError, ModelError
from gammajax.io.models_special import SPECIAL, made
from gammajax.io.parameters_yaml import Links, parameter_to_dict, read_parameters
from gammajax.io.yaml_nodes import Node, did_you_mean
from gammajax.models import CompoundSpectralModel, SpectralModel

__all__ = ["read_spectral", "spectral_classes", "spectral_to_dict"]

OPERATORS = ("add", "mul", "sub")


def spectral_classes() -> dict[str, type[SpectralModel]]:
    """Every spectral model by each of its tags, those of other packages included; the one place that knows them."""
    found: dict[str, type[SpectralModel]] = {}
    waiting: list[type[SpectralModel]] = [SpectralModel]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            # an inherited tag is that of the parent
            found |= {tag: cls for tag in cls.__dict__.get("tag", ())}
            waiting.append(cls)
    return found


def spectral_to_dict(model: SpectralModel, links: Links, full: bool = False) -> dict[str, Any]:
    """One spectral model as plain values.

    Raises
    ------
    ModelError
        If its class has no tag by which it could be found again.
    """
    tag = type(model).tag[0] if type(model).tag else type(model).__name__
    if isinstance(model, CompoundSpectralModel):
        return write_compound(model, links, full)
    if tag in SPECIAL:
        return SPECIAL[tag][1](model, links, full)
    if spectral_classes().get(tag) is not type(model) or not type(model).declared:
        raise ModelError(
            f"{type(model).__name__} cannot be written: it has no tag of its own or no declared parameters; give the class a "
            "tag, such as tag = ('MySpectralModel',)."
        )
    pairs = zip(model.parameters, type(model).declared, strict=True)
    return {"type": tag, "parameters": [parameter_to_dict(p, d, links, full) for p, d in pairs]}


def read_spectral(node: Node, links: Links) -> SpectralModel:
    """One spectral model; refuses unknown types with the nearest known one."""
    kind = node["type"].text()
    if kind == "CompoundSpectralModel":
        return read_compound(node, links)
    if kind in SPECIAL:
        return SPECIAL[kind][0](node, links)
    known = spectral_classes()
    if kind not in known:
        names = sorted({c.tag[0] for c in known.values()})
        raise FileFormatError(
            f"{node.where}.type: unknown spectral model {kind!r}; known are: {', '.join(names)}.{did_you_mean(kind, known)}"
        )
    node.mapping(("type", "parameters"))
    return known[kind](**read_parameters(node["parameters"], known[kind].declared, links))


def read_compound(node: Node, links: Links) -> SpectralModel:
    """Read ``{type: CompoundSpectralModel, model1, model2, operator: add | mul | sub}``."""
    node.mapping(("type", "model1", "model2", "operator"))
    operator = node["operator"].text()
    if operator not in OPERATORS:
        raise FileFormatError(f"{node.where}.operator: got {operator!r}, expected one of {', '.join(OPERATORS)}.")
    first, second = read_spectral(node["model1"], links), read_spectral(node["model2"], links)
    return made(node, lambda: CompoundSpectralModel(first, second, operator))


def write_compound(model: Any, links: Links, full: bool) -> dict[str, Any]:
    """Write a sum, difference or product."""
    return {
        "type": "CompoundSpectralModel",
        "model1": spectral_to_dict(model.model1, links, full),
        "model2": spectral_to_dict(model.model2, links, full),
        "operator": model.operator.__name__,
    }
