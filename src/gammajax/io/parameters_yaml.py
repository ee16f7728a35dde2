"""Parameters and priors as plain values, by the names of gammapy's model files."""

import warnings
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import FileFormatError, InputError, UnitError
from gammajax.io.yaml_nodes import Node, did_you_mean
from gammajax.models import Declared
from gammajax.parameters import Parameter, Prior, SamplesKDEPrior, prior_classes

__all__ = ["Links", "parameter_to_dict", "read_parameters", "unit_text"]

# gammapy's scaling for its optimisers (scale_method, scale_transform) has no counterpart: gammajax scales by itself
KEYS = (
    "name", "value", "unit", "error", "min", "max", "frozen", "interp", "scale_method", "scale_transform", "link",
    "prior", "scan_min", "scan_max", "scan_n_values", "scan_n_sigma", "scan_values",
)  # fmt: skip
# its square is a number still
LARGEST = float(np.sqrt(np.finfo(float).max))
INTERPOLATIONS = ("lin", "log", "sqrt")


class Links:
    """Labels of parameters that several places share: on writing by object, on reading by label."""

    def __init__(self, parameters: Any = ()) -> None:
        self.read: dict[str, Parameter] = {}
        self._labels: dict[int, str] = {}
        seen: set[int] = set()
        for p in parameters:
            if id(p) in seen and id(p) not in self._labels:
                # numbers instead of gammapy's random letters: the same models give the same text
                self._labels[id(p)] = f"{p.name}@link{len(self._labels) + 1:04d}"
            seen.add(id(p))

    def label(self, parameter: Parameter) -> str | None:
        """Label of a shared parameter; None for one that stands by itself."""
        return self._labels.get(id(parameter))


def unit_text(unit: u.UnitBase) -> str:
    """A unit as text in the style of FITS where that has it."""
    try:
        text = unit.to_string("fits")
        if u.Unit(text) == unit:
            return text
    except ValueError:
        pass
    return unit.to_string()


def parameter_to_dict(p: Parameter, d: Declared, links: Links, full: bool) -> dict[str, Any]:
    """One parameter; without `full` only what is not the default of every model."""
    data: dict[str, Any] = {"name": d.name, "value": p.value, "unit": unit_text(p.unit)}
    if full or p.error != 0:
        data["error"] = p.error
    data |= {k: v for k, v in (("min", p.min), ("max", p.max)) if full or not np.isnan(v)}
    # always: the defaults of gammapy need not be ours
    data["frozen"] = p.frozen
    if full or p.interp != d.interp:
        data["interp"] = p.interp
    if full:
        data |= {"scale_method": "scale10", "scale_transform": "lin"}
    data |= _scan_settings(p)
    if links.label(p) is not None:
        data["link"] = links.label(p)
    if p.prior is not None:
        data["prior"] = _prior_to_dict(p.prior.in_unit(p.unit))
    return data


def _scan_settings(p: Parameter) -> dict[str, Any]:
    data: dict[str, Any] = {k: float(v) for k in ("scan_min", "scan_max") if (v := getattr(p, k)) is not None}
    if p.scan_n_values != 11:
        data["scan_n_values"] = int(p.scan_n_values)
    if p.scan_n_sigma != 2:
        data["scan_n_sigma"] = float(p.scan_n_sigma)
    if p._scan_values is not None:
        data["scan_values"] = [float(v) for v in p._scan_values]
    return data


def _prior_to_dict(prior: Prior) -> dict[str, Any]:
    assert prior.unit is not None
    unit = unit_text(prior.unit)
    if isinstance(prior, SamplesKDEPrior):
        lists = {"samples": prior.samples.tolist(), "weights": prior.weights.tolist()}
        if set(lists["weights"]) == {1.0}:
            del lists["weights"]
        return {"type": type(prior).__name__, **lists, "unit": unit, "weight": prior.weight}
    numbers = [
        {"name": d.name, "value": float(v), "unit": unit if d.dimensional else ""}
        for d, v in zip(prior.declared, prior.values, strict=True)
    ]
    return {"type": type(prior).__name__, "parameters": numbers, "weight": prior.weight}


def read_parameters(node: Node, declared: tuple[Declared, ...], links: Links) -> dict[str, Parameter]:
    """The parameters of one model by name; one that is not in the file has its default, with a warning."""
    given: dict[str, Node] = {}
    names = [d.name for d in declared]
    for one in node.elements():
        name = one["name"].text()
        if name not in names:
            raise FileFormatError(
                f"{one.where}: unknown parameter {name!r}; the model has: {', '.join(names)}.{did_you_mean(name, names)}"
            )
        if name in given:
            raise FileFormatError(f"{one.where}: parameter {name!r} is there twice.")
        given[name] = one
    found = {}
    for d in declared:
        if d.name in given:
            found[d.name] = _read_parameter(given[d.name].mapping([*KEYS, "is_norm"]), d, links)
        else:
            warnings.warn(
                f"{node.where}: {d.name} is missing, its default {d.value:g} {d.unit} is taken.", stacklevel=2
            )
            p = found[d.name] = Parameter(d.name, d.value, d.unit, frozen=d.frozen, interp=d.interp, linear=d.linear)
            p.internal_unit = u.Unit(d.unit)
    return found


def _read_parameter(node: Node, d: Declared, links: Links) -> Parameter:
    label = node["link"].text() if "link" in node else None
    if label is not None and label in links.read:
        return links.read[label]
    interp = node["interp"].text() if "interp" in node else d.interp
    if interp not in INTERPOLATIONS:
        raise FileFormatError(f"{node.where}.interp: got {interp!r}, expected one of {', '.join(INTERPOLATIONS)}.")

    def number(key: str, default: Any) -> Any:
        return node[key].number() if key in node else default

    low, high = number("min", np.nan), number("max", np.nan)
    if low > high:
        raise FileFormatError(
            f"{node.where}: min = {low:g} and max = {high:g}, expected min below max; they may be interchanged."
        )
    frozen = node["frozen"].flag() if "frozen" in node else d.frozen
    value, error = node["value"].number(finite=True), number("error", 0.0)
    if LARGEST < abs(error) < np.inf:
        raise FileFormatError(
            f"{node.where}: {d.name} has the error {error:g}, expected at most {LARGEST:.3g}: its square, the variance, is beyond the "
            "range of numbers; remove the error or correct it."
        )
    if low == high and not frozen:
        if value != low:
            raise FileFormatError(
                f"{node.where}: {d.name} = {value:g} with min = max = {low:g}, which leave no other value; correct the value or the limits."
            )
        frozen = True
        warnings.warn(
            f"{node.where}: {d.name} has min = max = {low:g} and is read as frozen, which is what MINUIT does with it.",
            stacklevel=2,
        )
    p = Parameter(
        # a shared parameter keeps its own name, which stands in the label
        d.name if label is None else label.split("@")[0], value, _read_unit(node, d), min=low, max=high,
        frozen=frozen, error=error, interp=interp, linear=d.linear, scan_min=number("scan_min", None),
        scan_max=number("scan_max", None), scan_n_sigma=number("scan_n_sigma", 2),
        scan_n_values=node["scan_n_values"].whole() if "scan_n_values" in node else 11,
        scan_values=[v.number() for v in node["scan_values"].elements()] if "scan_values" in node else None,
    )  # fmt: skip
    p.internal_unit = u.Unit(d.unit)
    if "prior" in node:
        p.prior = _read_prior(node["prior"], p)
    if label is not None:
        links.read[label] = p
    return p


def _read_unit(node: Node, d: Declared) -> u.UnitBase:
    if "unit" not in node:
        return u.Unit(d.unit)
    unit = _unit(node["unit"])
    if not unit.is_equivalent(u.Unit(d.unit)):
        raise UnitError(f"{node.where}.unit: got {unit.to_string()!r}, expected one convertible to {d.unit!r}.")
    return unit


def _unit(node: Node) -> u.UnitBase:
    try:
        return u.Unit(node.text())
    except ValueError:
        raise UnitError(f"{node.where}: {node.shown()} is no unit that astropy knows.") from None


def _read_prior(node: Node, parameter: Parameter) -> Prior:
    name = node["type"].text()
    known = prior_classes()
    if name not in known:
        raise FileFormatError(
            f"{node.where}.type: unknown prior {name!r}; known are: {', '.join(sorted(known))}.{did_you_mean(name, known)}"
        )
    weight = node["weight"].number() if "weight" in node else 1.0
    if issubclass(known[name], SamplesKDEPrior):
        values = _samples_of_prior(node.mapping(("type", "samples", "weights", "unit", "weight")), parameter)
    else:
        values = _values_of_prior(node.mapping(("type", "parameters", "weight")), known[name], parameter)
    try:
        return known[name](**values, weight=weight).in_unit(parameter.unit, parameter.name)
    except InputError as error:
        raise FileFormatError(f"{node.where}: {error}") from None


def _samples_of_prior(node: Node, parameter: Parameter) -> dict[str, Any]:
    lists = {
        key: [v.number(finite=True) for v in node[key].elements()] for key in ("samples", "weights") if key in node
    }
    if "samples" not in lists:
        raise FileFormatError(f"{node.where}: key 'samples' is missing, the list of values that the prior is made of.")
    unit = _unit(node["unit"]) if "unit" in node else u.dimensionless_unscaled
    samples = u.Quantity(lists["samples"], parameter.unit if unit == u.dimensionless_unscaled else unit)
    return lists | {"samples": samples}


def _values_of_prior(node: Node, cls: type[Prior], parameter: Parameter) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in node["parameters"].elements():
        one.mapping(("name", "value", "unit", "min", "max", "error"))
        value, unit = one["value"].number(finite=True), _unit(one["unit"]) if "unit" in one else u.Unit("")
        d = next((d for d in cls.declared if d.name == one["name"].text()), None)
        if d is not None and d.dimensional:
            # gammapy leaves the unit out where numbers were given, and takes them in the unit of the parameter
            unit = parameter.unit if unit == u.dimensionless_unscaled else unit
            if unit.is_equivalent(parameter.unit) and unit != parameter.unit:
                warnings.warn(
                    f"{one.where}: the unit {str(unit)!r} is not that of {parameter.name}, {str(parameter.unit)!r}; the value "
                    "is converted here, gammapy would take the number as it is.",
                    stacklevel=2,
                )
            values[one["name"].text()] = u.Quantity(value, unit)
        else:
            values[one["name"].text()] = value
    return values
