"""Temporal models as plain values by gammapy's names, and back."""

from typing import Any

from gammajax.errors import FileFormatError, InputError, ModelError
from gammajax.io.fits import expand
from gammajax.io.parameters_yaml import Links, parameter_to_dict, read_parameters
from gammajax.io.yaml_nodes import Node, did_you_mean
from gammajax.models import LightCurveTemplateTemporalModel, TemplatePhaseCurveTemporalModel, TemporalModel
from gammajax.models.temporal import TEMPORAL_MODELS

__all__ = ["read_temporal", "temporal_to_dict"]

KEYS = ("type", "parameters", "scale")
TABLES = (LightCurveTemplateTemporalModel, TemplatePhaseCurveTemporalModel)


def temporal_to_dict(model: TemporalModel, links: Links, full: bool = False) -> dict[str, Any]:
    """One temporal model as plain values; of a table, the name of its file.

    Raises
    ------
    ModelError
        If a table was never written to a file.
    """
    pairs = zip(model.parameters, type(model).declared, strict=True)
    tag = type(model).tag[0] if type(model).tag else type(model).__name__
    data = {"type": tag, "parameters": [parameter_to_dict(p, d, links, full) for p, d in pairs], "scale": model.scale}
    if not isinstance(model, TABLES):
        return data
    if model.filename is None:
        raise ModelError(
            f"{tag} cannot be written: a model file names the file of its table; write that first with "
            "model.write('curve.fits')."
        )
    data["filename"] = str(model.filename)
    if isinstance(model, LightCurveTemplateTemporalModel):
        return data | {"format": "table", "unit": ""}
    return data | {"normalize": model.normalize}


def read_temporal(node: Node, links: Links) -> TemporalModel:
    """One temporal model; refuses unknown types with the nearest known one."""
    kind = node["type"].text()
    if kind not in TEMPORAL_MODELS:
        names = sorted({c.__name__ for c in TEMPORAL_MODELS.values()} - {"TemporalModel"})
        raise FileFormatError(
            f"{node.where}.type: unknown temporal model {kind!r}; known are: {', '.join(names)}.{did_you_mean(kind, names)}"
        )
    cls: Any = TEMPORAL_MODELS[kind]
    extra = {LightCurveTemplateTemporalModel: ("filename", "format", "unit"),
             TemplatePhaseCurveTemporalModel: ("filename", "normalize")}.get(cls, ())  # fmt: skip
    node.mapping((*KEYS, *extra))
    # the constant model has none
    has = bool(cls.declared) or "parameters" in node
    pars: dict[str, Any] = dict(read_parameters(node["parameters"], cls.declared, links)) if has else {}
    scale = node["scale"].text() if "scale" in node else "utc"
    try:
        if cls is LightCurveTemplateTemporalModel:
            return _light_curve(node, pars, scale)
        if cls is TemplatePhaseCurveTemporalModel:
            normalize = node["normalize"].flag() if "normalize" in node else True
            return cls.read(expand(node["filename"].text()), normalize, scale=scale, **pars)
        return cls(scale=scale, **pars)
    except InputError as error:
        raise FileFormatError(f"{node.where}: {error}") from None


def _light_curve(node: Node, pars: dict[str, Any], scale: str) -> TemporalModel:
    if "unit" in node and node["unit"].text():
        raise FileFormatError(f"{node.where}.unit: got {node['unit'].shown()}, expected a curve without unit.")
    if scale != "utc":
        raise FileFormatError(
            f"{node.where}.scale: got {scale!r}; a light curve counts its times in utc, as in gammapy."
        )
    kind = node["format"].text() if "format" in node else "table"
    # the file keeps its own reference time; that of the model file is the one that was fitted
    return LightCurveTemplateTemporalModel.read(expand(node["filename"].text()), kind, **pars)
