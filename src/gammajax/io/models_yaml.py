"""Models as plain values and as YAML, in the format of gammapy's model files."""

import warnings
from typing import Any

from astropy import units as u

from gammajax.errors import FileFormatError, InputError, ModelError
from gammajax.hooks import register_hook
from gammajax.io.parameters_yaml import Links, parameter_to_dict, read_parameters
from gammajax.io.spectral_yaml import read_spectral, spectral_to_dict
from gammajax.io.temporal_yaml import read_temporal, temporal_to_dict
from gammajax.io.yaml_nodes import Node, did_you_mean
from gammajax.io.yaml_text import dump, load
from gammajax.models import Declared, FoVBackgroundModel, Models, SkyModel, SystematicsModel
from gammajax.parameters import GaussianPenalty
from gammajax.provenance import metadata

__all__ = ["models_from_dict", "models_from_yaml", "models_to_dict", "models_to_yaml", "read_components"]

# the last two are gammapy's, at the head of a model file that a fit result wrote
TOP = ("components", "covariance", "penalties", "links", "metadata", "checksum", "OptimizeResult", "CovarianceResult")
COMPONENT = ("name", "type", "apply_irf", "datasets_names", "spectral", "spatial", "temporal")
# a source that is a point is the same in a 1-D analysis with and without its position
KEPT_SPATIAL = ("PointSpatialModel", "point")
FACTORS = tuple(Declared(n, 1.0, frozen=True) for n in ("effective_area", "energy_scale", "background"))


# -- to plain values -----------------------------------------------------------------------------------------------------


def models_to_dict(models: Models, full_output: bool = False) -> dict[str, Any]:
    """Models as plain values: sources, and penalties and links by a formula, which gammapy does not store and does not read.

    A `SystematicsModel` is a component of its own type, which gammapy refuses to read.

    Parameters
    ----------
    models : `Models`
        The models.
    full_output : bool
        Every setting of every parameter, instead of those that are not the default.

    Examples
    --------
    >>> from gammajax import Models, PowerLawSpectralModel, SkyModel
    >>> models = Models([SkyModel(PowerLawSpectralModel(), name="crab")])
    >>> models_to_dict(models)["components"][0]["spectral"]["parameters"][0]
    {'name': 'index', 'value': 2.0, 'unit': '', 'frozen': False}
    """
    links = Links(models.parameters)
    data: dict[str, Any] = {"components": [_component(m, links, full_output) for m in models]}
    if models.penalties:
        data["penalties"] = [_penalty(p, models) for p in models.penalties]
    if found := _formulas(models):
        data["links"] = found
    return data


def models_to_yaml(models: Models, full_output: bool = False) -> str:
    """Text of a model file without covariance."""
    return dump(models_to_dict(models, full_output) | {"metadata": metadata()})


def _component(model: Any, links: Links, full: bool) -> dict[str, Any]:
    if isinstance(model, FoVBackgroundModel):
        spectral = spectral_to_dict(model.spectral_model, links, full)
        names = [str(n) for n in model.datasets_names or ()]
        return {"type": "FoVBackgroundModel", "name": model.name, "datasets_names": names, "spectral": spectral}
    if isinstance(model, SystematicsModel):
        pairs = zip(FACTORS, model.parameters, strict=True)
        factors = [parameter_to_dict(p, d, links, full) for d, p in pairs]
        names = [str(n) for n in model.datasets_names or ()]
        return {"type": "SystematicsModel", "name": model.name, "datasets_names": names, "parameters": factors}
    if not isinstance(model, SkyModel):
        raise ModelError(
            f"{type(model).__name__} {model.name!r} cannot be written: model files hold SkyModel, FoVBackgroundModel and "
            "SystematicsModel."
        )
    data: dict[str, Any] = {"name": model.name, "type": "SkyModel"}
    if model.datasets_names is not None:
        data["datasets_names"] = [str(n) for n in model.datasets_names]
    data |= {"spectral": spectral_to_dict(model.spectral_model, links, full)} | model._kept
    if model.temporal_model is not None:
        data["temporal"] = temporal_to_dict(model.temporal_model, links, full)
    return data


def _penalty(penalty: GaussianPenalty, models: Models) -> dict[str, Any]:
    parameters = models.parameters
    return {
        "type": "GaussianPenalty",
        "parameters": [parameters.unique_names[parameters.index(p)] for p in penalty.parameters],
        "mean": penalty.mean.tolist(),
        "precision": penalty.precision.tolist(),
        "weight": penalty.weight,
    }


def _formulas(models: Models) -> list[dict[str, Any]]:
    """Parameters that follow others, each once, numbers in the units of the two; gammapy takes them as frozen."""
    parameters = models.parameters
    names = {id(p): n for p, n in reversed(list(zip(parameters, parameters.unique_names, strict=True)))}
    found = {}
    for p in parameters:
        if (root := p.follows) is None:
            continue
        if id(root.parent) not in names:
            raise ModelError(
                f"{names[id(p)]} is linked, {p.linked}, to a parameter of none of these models; write the models together."
            )
        factor, offset = root.numbers(p.unit, root.parent.unit)
        found[id(p)] = {
            "parameter": names[id(p)],
            "follows": names[id(root.parent)],
            "factor": factor,
            "offset": offset,
        }
    return list(found.values())


# -- from plain values ---------------------------------------------------------------------------------------------------


def models_from_yaml(text: str, where: str = "YAML text", checksum: bool | None = None) -> Models:
    """Build models from the text of a model file; the covariance is that of the errors, without correlations.

    Raises
    ------
    FileFormatError, UnitError, ModelError
        Naming the place in the document.

    Examples
    --------
    >>> from gammajax import Models, PowerLawSpectralModel, SkyModel
    >>> text = Models([SkyModel(PowerLawSpectralModel(index=2.5), name="crab")]).to_yaml()
    >>> models_from_yaml(text).parameters["index"].value
    2.5
    """
    return models_from_dict(load(text, where, checksum), where)


def models_from_dict(data: dict[str, Any], where: str = "models") -> Models:
    """Build models from plain values; see `models_from_yaml`."""
    return read_components(data, where)


def read_components(data: dict[str, Any], where: str) -> Models:
    """The sources and penalties of a document, no covariance."""
    top, links = Node(data, where).mapping(TOP), Links()
    models = Models([_read_component(c, links) for c in top["components"].elements()])
    if "penalties" in top:
        models.set_penalties([_read_penalty(p, models) for p in top["penalties"].elements()])
    if "links" in top:
        for one in top["links"].elements():
            _read_formula(one, models)
    return models


def _read_formula(node: Node, models: Models) -> None:
    node.mapping(("parameter", "follows", "factor", "offset"))
    parameters = models.parameters
    child, parent = (parameters[node[k].text()] for k in ("parameter", "follows"))
    factor = u.Quantity(node["factor"].number(finite=True), child.unit / parent.unit)
    try:
        child.link(parent, factor, u.Quantity(node["offset"].number(finite=True), child.unit))
    except InputError as error:
        raise FileFormatError(f"{node.where}: {error}") from None


def _read_background(node: Node, links: Links) -> FoVBackgroundModel:
    node.mapping(("name", "type", "datasets_names", "spectral"))
    names = [n.text() for n in node["datasets_names"].elements()]
    if len(names) != 1:
        raise FileFormatError(
            f"{node.where}.datasets_names: got {len(names)} names, a background belongs to one data set."
        )
    name = node["name"].text() if "name" in node else None
    return FoVBackgroundModel(names[0], read_spectral(node["spectral"], links), name)


def _read_systematics(node: Node, links: Links) -> SystematicsModel:
    node.mapping(("name", "type", "datasets_names", "parameters"))
    names = [n.text() for n in node["datasets_names"].elements()]
    if len(names) != 1:
        raise FileFormatError(
            f"{node.where}.datasets_names: got {len(names)} names, systematics belong to one data set."
        )
    name = node["name"].text() if "name" in node else None
    return SystematicsModel(names[0], **read_parameters(node["parameters"], FACTORS, links), name=name)


def _read_component(node: Node, links: Links) -> SkyModel | FoVBackgroundModel | SystematicsModel:
    kind = node["type"].text()
    if kind == "SystematicsModel":
        return _read_systematics(node, links)
    if kind == "FoVBackgroundModel" and "spatial" not in node:
        return _read_background(node, links)
    if kind != "SkyModel":
        raise FileFormatError(
            f"{node.where}.type: got {kind!r}, which gammajax cannot read; it knows SkyModel.{did_you_mean(kind, ['SkyModel'])}"
        )
    node.mapping(COMPONENT)
    if "apply_irf" in node and not all(
        v is True for v in node["apply_irf"].mapping(("exposure", "psf", "edisp")).value.values()
    ):
        raise FileFormatError(f"{node.where}.apply_irf: only true for exposure, psf and edisp can be read.")
    names = [n.text() for n in node["datasets_names"].elements()] if "datasets_names" in node else None
    temporal = read_temporal(node["temporal"], links) if "temporal" in node else None
    model = SkyModel(read_spectral(node["spectral"], links), node["name"].text(), names, temporal)
    if "spatial" in node:
        model._kept = {"spatial": _kept_spatial(node["spatial"], model.name)}
    return model


def _kept_spatial(node: Node, name: str) -> dict[str, Any]:
    """The position of a point source: it takes no part in the fit of a spectrum, and is written back as it came."""
    kind = node["type"].text()
    if kind not in KEPT_SPATIAL:
        raise FileFormatError(
            f"{node.where}: gammajax has no spatial models, and {kind!r} changes what a spectrum counts; only PointSpatialModel "
            "is kept, remove the part if the spectra contain the whole source."
        )
    for one in node["parameters"].elements():
        one["name"].text(), one["value"].number()
    warnings.warn(
        f"{node.where}: the position of {name!r} is kept and written back, but takes no part: gammajax fits spectra, which must "
        "contain the whole source.",
        stacklevel=2,
    )
    return dict(node.value)


def _read_penalty(node: Node, models: Models) -> GaussianPenalty:
    node.mapping(("type", "parameters", "mean", "precision", "weight"))
    if (kind := node["type"].text()) != "GaussianPenalty":
        raise FileFormatError(f"{node.where}.type: unknown penalty {kind!r}; known is: GaussianPenalty.")
    parameters = [models.parameters[n.text()] for n in node["parameters"].elements()]
    precision = [[v.number(finite=True) for v in row.elements()] for row in node["precision"].elements()]
    mean = [v.number(finite=True) for v in node["mean"].elements()]
    return GaussianPenalty.from_precision(parameters, precision, mean, node["weight"].number())


register_hook("models to dict", models_to_dict)
register_hook("models from dict", models_from_dict)
register_hook("models to yaml", models_to_yaml)
register_hook("models from yaml", models_from_yaml)
