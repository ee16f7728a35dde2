"""From data sets and their models to the arrays and the structure of a likelihood."""

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import jax
import numpy as np

from gammajax.datasets import Dataset, Datasets
from gammajax.errors import DataError, InputError, ModelError
from gammajax.likelihood.statistics import spread_mask
from gammajax.likelihood.structure import DIRECT, MATRIX, BinData, DatasetStructure, Points, ResponseData, Term, Timed
from gammajax.models import BinRule, Source, SpectralForm, TemporalForm, bin_rule
from gammajax.models.form import affine_form, loose_form, weighted_form
from gammajax.parameters import Parameter, Parameters

__all__ = ["dataset_data", "forms_of", "parameters_and_sources", "response_data", "sources_of"]

# what was made for a data set, with copies of the arrays it was made from: scans of the same data build nothing
_built: WeakKeyDictionary = WeakKeyDictionary()


def sources_of(dataset: Dataset) -> list[Source]:
    """The sources that contribute to a data set."""
    return [m for m in (dataset.models or []) if m.shows_in(dataset.name)]


def parameters_and_sources(datasets: Datasets) -> tuple[Parameters, dict[str, list[Source]]]:
    """All parameters in the order of the models, and the sources of each data set.

    Raises
    ------
    ModelError
        If a data set has no source, or a source cannot contribute to it.
    """
    sources = {}
    for d in datasets:
        members = sources_of(d)
        for role in ("background", "systematics"):
            found = [m for m in members if m.role == role]
            if len(found) > 1:
                raise ModelError(f"data set {d.name!r} has {len(found)} {role} models; give it one at most.")
        if any(m.role == "background" for m in members) and d.background_array() is None:
            raise ModelError(
                f"data set {d.name!r} ({type(d).__name__}) has no known background that a background model could scale; "
                "with an OFF measurement use SystematicsModel(..., background=1.0)."
            )
        if not [m for m in members if m.role in ("signal", "function")] and not _background_only(d, members):
            raise ModelError(
                f"data set {d.name!r} has no model; set one: dataset.models = SkyModel(spectral_model=..., name=...)."
            )
        sources[d.name] = members
    return datasets.models.parameters, sources


def _background_only(dataset: Dataset, members: list[Source]) -> bool:
    return any(m.role == "background" for m in members)


def response_data(
    dataset: Dataset, sources: list[Source], position: dict[int, int]
) -> tuple[ResponseData, DatasetStructure]:
    """Response of a data set for some sources; `position` maps the identity of a parameter to its place in theta."""
    mode = dataset.compatibility or "exact"
    folded = dataset.response_arrays()
    diagonals: list[np.ndarray] = []
    keys: list[tuple] = []
    rules: list[BinRule | Points | Timed] = []
    terms = []
    systematics = next((m for m in sources if m.role == "systematics"), None)
    extras, places, links, alpha, alpha_link = _systematics(dataset, systematics, position)
    for source in sources:
        if source.role == "systematics":
            continue
        through = folded is not None and source.role != "background"
        if not through and not diagonals:
            known = dataset.background_array() if source.role == "background" else None
            diagonals.append(np.ones(len(dataset.mask_array)) if known is None else known)
        # the background does not go through the instrument's response
        acting = () if source.role == "background" else extras
        form, temporal, index = _linked(source, position)
        if through and dataset.energy_power:
            form = weighted_form(form)
        if "energy_scale" in acting and through and form.nodes:
            form = loose_form(form)
        times = _times(dataset, source)
        key = (form, through, None if times is None else times.tobytes())
        if key not in keys:
            keys.append(key)
            rule = _rule(folded[2].tobytes(), form, mode) if through and folded else Points(dataset.points())
            rules.append(rule if times is None else Timed(rule, times))
        index += places if acting else ()
        own = links if acting else ()
        terms.append(Term(form, index, keys.index(key), MATRIX if through else 0, acting, temporal, own))
    structure = DatasetStructure(tuple(terms), dataset.compatibility == "gammapy", dataset.stat_type, alpha, alpha_link)
    exposure, edisp = (folded[0], folded[1]) if folded is not None else (None, None)
    return ResponseData(exposure, edisp, tuple(diagonals), tuple(rules)), structure


def _linked(source: Source, position: dict[int, int]) -> tuple[SpectralForm, TemporalForm | None, tuple[int, ...]]:
    """Forms of a source and the places of its arguments in theta; a linked parameter is that of its parent, put through the link."""
    form, temporal = _through_links(source)
    return form, temporal, tuple(_place(p, position)[0] for p in source.parameters)


def _through_links(source: Source) -> tuple[SpectralForm, TemporalForm | None]:
    """Forms of a source as functions of the parameters that its own follow."""
    pars = list(source.parameters)
    if all(p.follows is None for p in pars):
        return source.form, source.temporal_form
    links = [_link(p) for p in pars]
    n, temporal = len(source.form.names), source.temporal_form
    if temporal is not None:
        temporal = replace(temporal, links=tuple(links[n:]))
    return affine_form(source.form, tuple(links[:n])), temporal


def forms_of(source: Source) -> tuple[dict[str, SpectralForm], TemporalForm | None]:
    """All forms that a likelihood may take for a source, by what was done to its own, and that of its variation in time.

    Parameters
    ----------
    source : `Source`
        A source with a spectrum.
    """
    form, temporal = _through_links(source)
    return {"form": form, "loose": loose_form(form), "weighted": weighted_form(form)}, temporal


def _link(p: Parameter) -> tuple[float, float]:
    """Factor and offset between a parameter and the one that it follows, internal units."""
    root = p.follows
    return DIRECT if root is None else root.numbers(p.internal_unit, root.parent.internal_unit)


def _place(p: Parameter, position: dict[int, int]) -> tuple[int, tuple[float, float]]:
    """Where a parameter, or the one that it follows, is in theta; and factor and offset between the two, internal units."""
    return position[id(p if p.follows is None else p.follows.parent)], _link(p)


def _times(dataset: Dataset, source: Source) -> np.ndarray | None:
    """Good time intervals in the time scale of a source that varies, shape (4, n); None for a steady one."""
    if source.temporal_form is None:
        return None
    if dataset.gti is None:
        raise DataError(
            f"{source.name!r} varies in time, but it is not known when {dataset.name!r} was measured; set dataset.gti = "
            "GTI.create(start, stop), or take the temporal model away."
        )
    times = dataset.gti.mjd(source.time_scale)
    source.check_times(times)
    return times


def _systematics(dataset: Dataset, source: Any, position: dict[int, int]) -> tuple:
    """Factors on the response, their places in theta and their links, and place and link of the factor on alpha."""
    if source is None:
        return (), (), (), None, DIRECT
    acting = tuple(n for n in source.acting if n != "background")
    alpha, alpha_link = _place(source.background, position) if "background" in source.acting else (None, DIRECT)
    if alpha is not None and dataset.stat_type != "wstat":
        raise InputError(
            f"{source.name}: the factor on the background acts on ON/OFF spectra, but {dataset.name!r} has the statistic {dataset.stat_type}; "
            "free the norm of its background with FoVBackgroundModel."
        )
    placed = [_place(getattr(source, n), position) for n in acting]
    return acting, tuple(i for i, _ in placed), tuple(link for _, link in placed), alpha, alpha_link


def dataset_data(
    dataset: Dataset, sources: list[Source], position: dict[int, int]
) -> tuple[BinData, DatasetStructure, Hashable]:
    """Arrays and structure of a data set, and what those have in common that go together; masked bins get harmless numbers.

    Raises
    ------
    DataError
        If a bin of the fit has no OFF acceptance, or none has exposure.
    """
    response, structure = response_data(dataset, sources, position)
    values = dict(dataset.statistic_arrays())
    if response.diagonals and dataset.background_array() is not None:
        # the background model has taken over
        values["background"] = np.zeros_like(values["background"])
    mask = dataset.mask_array
    edges = dataset.response_arrays()
    now = (*values.values(), mask, *jax.tree.leaves(edges), *response.diagonals, *_points(response))
    kind = (
        None if edges is None else edges[2].tobytes(),
        len(mask),
        tuple(a.shape[1:] for a in values.values()),
        _sizes(response),
    )
    known = _built.get(dataset)
    # arrays can be changed in place, so their values are compared, which costs microseconds
    if known is not None and known[0] == structure.statistic and _same(known[1], response.rules):
        if len(known[2]) == len(now) and all(map(np.array_equal, known[2], now)):
            return known[3], structure, kind
    dataset.check_for_fit()
    statistic = structure.stat
    safe = {
        name: np.where(spread_mask(mask, values[name]), values[name], fill)
        for name, fill in zip(statistic.arrays, statistic.harmless, strict=True)
    }
    # copies: arrays on a CPU may share the memory of what they were made from, which can be changed in place
    data = jax.tree.map(np.array, BinData(safe, mask, response))
    _built[dataset] = (structure.statistic, response.rules, tuple(np.array(a) for a in now), data)
    return data, structure, kind


def _sizes(response: ResponseData) -> tuple:
    """Sizes that are not those of bins: of points with several variables, and of good time intervals."""
    points = tuple(r.at.shape[1:] for r in map(_untimed, response.rules) if isinstance(r, Points))
    return points, tuple(r.times.shape for r in response.rules if isinstance(r, Timed))


def _points(response: ResponseData) -> list:
    timed = [r.times for r in response.rules if isinstance(r, Timed)]
    return timed + [r.at for r in map(_untimed, response.rules) if isinstance(r, Points)]


def _untimed(rule: BinRule | Points | Timed) -> BinRule | Points:
    return rule.rule if isinstance(rule, Timed) else rule


def _same(rules: tuple, others: tuple) -> bool:
    """Whether they are the very same rules: one is made for each form and axis; points are compared as arrays."""
    if len(rules) != len(others) or any(type(a) is not type(b) for a, b in zip(rules, others, strict=True)):
        return False
    pairs = zip(map(_untimed, rules), map(_untimed, others), strict=True)
    return all(a is b or (isinstance(a, Points) and isinstance(b, Points)) for a, b in pairs)


@lru_cache(maxsize=128)
def _rule(edges: bytes, form: SpectralForm, mode: str) -> BinRule:
    return bin_rule(np.frombuffer(edges), form, mode)
