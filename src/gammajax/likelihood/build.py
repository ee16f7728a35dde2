"""From data sets and their models to the arrays and the structure of a likelihood."""

from functools import lru_cache
from weakref import WeakKeyDictionary

import jax
import numpy as np

from gammajax.datasets import Datasets, SpectrumDatasetOnOff
from gammajax.errors import DataError, ModelError
from gammajax.likelihood.compact import Bins, bins_in_fit
from gammajax.likelihood.structure import DatasetStructure, ResponseData, SpectrumData, Term
from gammajax.models import BinRule, SpectralForm, bin_rule
from gammajax.parameters import Parameters
from gammajax.units import double_precision

__all__ = ["parameters_and_sources", "response_data", "spectrum_data"]

# what was put on the device for a data set, with copies of the arrays it was made from: scans of the same data build nothing
_built: WeakKeyDictionary = WeakKeyDictionary()


def parameters_and_sources(datasets: Datasets) -> tuple[Parameters, dict[str, list]]:
    """All parameters in the order of the models, and the sources of each data set."""
    sources = {}
    for d in datasets:
        members = [m for m in (d.models or []) if m.shows_in(d.name)]
        if not members:
            raise ModelError(
                f"data set {d.name!r} has no model; set one: dataset.models = SkyModel(spectral_model=..., name=...)."
            )
        sources[d.name] = members
    return datasets.models.parameters, sources


def response_data(
    dataset: SpectrumDatasetOnOff, sources: list, position: dict[int, int]
) -> tuple[ResponseData, DatasetStructure]:
    """Response of a data set for some sources; `position` maps the identity of a parameter to its place in theta."""
    mode = dataset.compatibility or "exact"
    edges = dataset.exposure.geom.axis.edges_tev
    forms: list[SpectralForm] = []
    terms = []
    for source in sources:
        form = source.spectral_model.form
        if form not in forms:
            forms.append(form)
        index = tuple(position[id(p)] for p in source.spectral_model.parameters)
        terms.append(Term(form, index, forms.index(form)))
    rules = tuple(_rule(edges.tobytes(), form, mode) for form in forms)
    structure = DatasetStructure(tuple(terms), clip=dataset.compatibility == "gammapy")
    return ResponseData(dataset.exposure.data, dataset.edisp.pdf_matrix, rules), structure


def spectrum_data(
    dataset: SpectrumDatasetOnOff, sources: list, position: dict[int, int]
) -> tuple[SpectrumData, Bins, DatasetStructure]:
    """Arrays on the device, all bins and those in the fit, and structure of a data set; masked bins get harmless numbers.

    Raises
    ------
    DataError
        If a bin of the fit has no OFF acceptance, or none has exposure.
    """
    response, structure = response_data(dataset, sources, position)
    now = (
        dataset.counts.data, dataset.counts_off.data, dataset.alpha.data, dataset.mask.data, response.exposure,
        response.edisp, dataset.exposure.geom.axis.edges_tev,
    )  # fmt: skip
    known = _built.get(dataset)
    # arrays can be changed in place, so their values are compared, which costs microseconds
    if known is not None and _same(known[0], response.rules) and all(map(np.array_equal, known[1], now)):
        return known[2], known[3], structure
    data = _checked(dataset, response)
    with double_precision():
        placed = jax.device_put((data, bins_in_fit(data)))
    _built[dataset] = (response.rules, tuple(np.array(a) for a in now), *placed)
    return *placed, structure


def _same(rules: tuple[BinRule, ...], others: tuple[BinRule, ...]) -> bool:
    """Whether they are the very same rules: one is made for each form and axis."""
    return len(rules) == len(others) and all(a is b for a, b in zip(rules, others, strict=True))


def _checked(dataset: SpectrumDatasetOnOff, response: ResponseData) -> SpectrumData:
    mask, alpha = dataset.mask.data, dataset.alpha.data
    bad = np.flatnonzero(mask & ~(alpha > 0))
    if len(bad):
        raise DataError(
            f"{dataset.name!r}: alpha is {alpha[bad[0]]:g} in bin {bad[0]}, which is in the fit; the W statistic needs an "
            "OFF acceptance above 0 in every bin of the fit: check BACKSCAL, or mask the bin."
        )
    if not np.any(dataset.exposure.data @ dataset.edisp.pdf_matrix * mask > 0) and mask.any():
        raise DataError(
            f"{dataset.name!r}: there is no exposure in the bins of the fit, so no model can predict counts there; "
            "check the effective area and the dispersion, or move the fit range."
        )
    return SpectrumData(
        n_on=np.where(mask, dataset.counts.data, 0.0),
        n_off=np.where(mask, dataset.counts_off.data, 0.0),
        alpha=np.where(mask, alpha, 1.0),
        mask=mask,
        response=response,
    )


@lru_cache(maxsize=128)
def _rule(edges: bytes, form: SpectralForm, mode: str) -> BinRule:
    return bin_rule(np.frombuffer(edges), form, mode)
