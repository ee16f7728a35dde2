"""Spectral models that are more than a list of parameters; each type has its own pair of functions here.

A pair is ``read(node, links) -> SpectralModel`` and ``write(model, links, full) -> dict``. `node` is the ``spectral`` part of a
component; `links` keeps parameters that several places share.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import FileFormatError, InputError, ModelError
from gammajax.io.parameters_yaml import Links, parameter_to_dict, read_parameters, unit_text
from gammajax.io.yaml_nodes import Node
from gammajax.models import (
    Declared,
    EBLAbsorptionNormSpectralModel,
    PiecewiseNormSpectralModel,
    SpectralModel,
    TemplateSpectralModel,
)

__all__ = ["SPECIAL", "made"]


def _values(node: Node) -> u.Quantity:
    """An array with its unit, ``{data: [...], unit: text}``, of one or two dimensions."""
    node.mapping(("data", "unit"))
    rows = node["data"].elements()
    deep = bool(rows) and isinstance(rows[0].value, list)
    data = [[v.number(finite=True) for v in r.elements()] for r in rows] if deep else [r.number(True) for r in rows]
    if deep and len({len(r) for r in data}) > 1:  # type: ignore[arg-type]
        raise FileFormatError(f"{node.where}.data: the rows have different lengths; expected a table.")
    unit = node["unit"].text() if "unit" in node else ""
    try:
        return u.Quantity(np.array(data), u.Unit(unit))
    except ValueError:
        raise FileFormatError(f"{node.where}.unit: {unit!r} is no unit that astropy knows.") from None


def _plain(values: Any) -> dict[str, Any]:
    quantity = u.Quantity(values)
    return {"data": np.asarray(quantity.value, dtype=float).tolist(), "unit": unit_text(quantity.unit)}


def made(node: Node, make: Callable[[], SpectralModel]) -> SpectralModel:
    """Errors of a model's own checks with the place in the file."""
    try:
        return make()
    except (InputError, ModelError) as error:
        raise FileFormatError(f"{node.where}: {error}") from None


def _parameters(model: SpectralModel, links: Links, full: bool) -> list[dict[str, Any]]:
    return [parameter_to_dict(p, d, links, full) for p, d in zip(model.parameters, model.declared, strict=True)]


def read_template(node: Node, links: Links) -> SpectralModel:
    """Read ``{type: TemplateSpectralModel, parameters: [], energy, values}``."""
    node.mapping(("type", "parameters", "energy", "values"))
    return made(node, lambda: TemplateSpectralModel(_values(node["energy"]), _values(node["values"])))


def write_template(model: Any, links: Links, full: bool) -> dict[str, Any]:
    """Write the table; gammapy's form knows interpolation in logarithms only."""
    if model.interp_kwargs != {"values_scale": "log", "extrapolate": True}:
        raise ModelError(
            f"TemplateSpectralModel with interp_kwargs={model.interp_kwargs} cannot be written: the file format knows only "
            "interpolation of logarithms that goes on beyond the ends."
        )
    return {
        "type": "TemplateSpectralModel", "parameters": [], "energy": _plain(model.energy), "values": _plain(model.values),
    }  # fmt: skip


def read_piecewise(node: Node, links: Links) -> SpectralModel:
    """Read ``{type: PiecewiseNormSpectralModel, parameters, energy, interp}``."""
    node.mapping(("type", "parameters", "energy", "interp"))
    energy = _values(node["energy"])
    interp = node["interp"].text() if "interp" in node else "log"
    declared = tuple(Declared(f"norm_{k}", 1.0) for k in range(energy.size))
    norms = list(read_parameters(node["parameters"], declared, links).values())
    return made(node, lambda: PiecewiseNormSpectralModel(energy, norms, interp))


def write_piecewise(model: Any, links: Links, full: bool) -> dict[str, Any]:
    """Write nodes and norms."""
    return {
        "type": "PiecewiseNormSpectralModel", "parameters": _parameters(model, links, full),
        "energy": _plain(model.energy), "interp": model._interp,
    }  # fmt: skip


def read_absorption(node: Node, links: Links) -> SpectralModel:
    """Read ``{type: EBLAbsorptionNormSpectralModel, parameters, filename}``, or with the table itself: energy, param, values."""
    node.mapping(("type", "parameters", "filename", "energy", "param", "values"))
    pars = read_parameters(node["parameters"], EBLAbsorptionNormSpectralModel.declared, links)
    if "filename" in node:
        return EBLAbsorptionNormSpectralModel.read(node["filename"].text(), **pars)
    table = [_values(node[key]) for key in ("energy", "param", "values")]
    return made(node, lambda: EBLAbsorptionNormSpectralModel(*table, **pars))


def write_absorption(model: Any, links: Links, full: bool) -> dict[str, Any]:
    """Write the name of its file, or the table itself where it came from arrays."""
    data: dict[str, Any] = {
        "type": "EBLAbsorptionNormSpectralModel", "parameters": _parameters(model, links, full),
    }  # fmt: skip
    if model.filename is not None:
        return data | {"filename": str(model.filename)}
    return data | {"energy": _plain(model.energy), "param": _plain(model.param), "values": _plain(model.data)}


def _no_form(name: str) -> tuple[Callable[..., SpectralModel], Callable[..., dict[str, Any]]]:
    """A model that the file format has no form for."""

    def read(node: Node, links: Links) -> SpectralModel:
        raise FileFormatError(f"{node.where}: {name} cannot be read from a file; use a compound with a norm model.")

    def write(model: SpectralModel, links: Links, full: bool) -> dict[str, Any]:
        raise ModelError(
            f"{name} cannot be written: gammapy's files have no form for it; use a compound with a norm model."
        )

    return read, write


SPECIAL: dict[str, tuple[Callable[..., SpectralModel], Callable[..., dict[str, Any]]]] = {
    "EBLAbsorptionNormSpectralModel": (read_absorption, write_absorption),
    "PiecewiseNormSpectralModel": (read_piecewise, write_piecewise),
    "ScaleSpectralModel": _no_form("ScaleSpectralModel"),
    "TemplateSpectralModel": (read_template, write_template),
}
