"""A likelihood written down and read again is the same one, for every kind of model and data set; what cannot be says why."""

import json

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from gammajax import (
    ExpCutoffPowerLawSpectralModel,
    FluxPointsDataset,
    FoVBackgroundModel,
    GaussianPenalty,
    GaussianPrior,
    GaussianTemporalModel,
    Likelihood,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SamplesKDEPrior,
    SkyModel,
    SpectrumDataset,
    SystematicsModel,
    TemplateSpectralModel,
    XYDataset,
)
from gammajax.errors import FileFormatError
from gammajax.models import FunctionModel
from gammajax.scan.identity import structure_digest
from gammajax.scan.portable import decode, encode
from gammajax.scan.task import Task, _portable
from tests.likelihood.test_temporal import spectra
from tests.problems import cut_off, embedded, many_parameters, two_minima

FLUX = u.Unit("cm-2 s-1 TeV-1")
EDGES = np.geomspace(0.5, 20, 7) * u.TeV


def compound():
    d = embedded()
    line = PowerLawSpectralModel(amplitude=1e-11 * FLUX) + ExpCutoffPowerLawSpectralModel(amplitude=1e-11 * FLUX)
    d.models = SkyModel(line, name="both")
    return d


def priors():
    d = embedded()
    spectrum = d.models[0].spectral_model
    spectrum.alpha.prior = GaussianPrior(mu=2.3, sigma=0.1)
    spectrum.beta.prior = SamplesKDEPrior([0.1, 0.2, 0.25, 0.4], weights=[1, 2, 0, 1])
    d.models.set_penalties(
        GaussianPenalty.from_diagonal([spectrum.beta, spectrum.alpha], sigma=[0.1, 0.2], mean=[0.2, 2.0])
    )
    return d


def background():
    d = SpectrumDataset.from_arrays(
        np.arange(6)[::-1], 0.5, exposure=np.full(6, 1e12) * u.Unit("cm2 s"), energy_edges=EDGES, energy_true_edges=EDGES, name="run"
    )  # fmt: skip
    d.models = [SkyModel(PowerLawSpectralModel(), name="source"), FoVBackgroundModel("run")]
    return d


def linked():
    d = many_parameters()
    d.models[1].spectral_model.alpha = d.models[0].spectral_model.alpha
    return d


def flux_points():
    d = FluxPointsDataset(
        np.array([1.0, 2.0, 3.0]) * u.TeV, np.array([3e-12, 1e-12, 4e-13]) * FLUX, np.full(3, 1e-13) * FLUX
    )
    d.models = SkyModel(PowerLawSpectralModel(), name="source")
    return d


def energy_fluxes():
    table = QTable({"e_min": [1.0, 2.0] * u.TeV, "e_max": [2.0, 4.0] * u.TeV})
    table["eflux"] = [7e-13, 5e-13] * u.Unit("TeV cm-2 s-1")
    table["eflux_err"] = 0.1 * table["eflux"]
    d = FluxPointsDataset.from_table(table)
    d.models = SkyModel(PowerLawSpectralModel() * PowerLawNormSpectralModel(), name="source")
    return d


def in_time():
    return spectra(temporal_model=GaussianTemporalModel(t_ref=53345.2 * u.d, sigma=1.2 * u.d, scale="tt"))


def template():
    d = embedded()
    energy = np.geomspace(0.1, 100, 31) * u.TeV
    d.models = SkyModel(TemplateSpectralModel(energy, 3e-11 * energy.value**-2.3 * FLUX), name="table")
    return d


def systematics():
    d = embedded()
    d.models = [*d.models, SystematicsModel(d.name, energy_scale=1.0)]
    return d


def linked_by_a_formula():
    d = many_parameters()
    d.models[1].spectral_model.alpha.link(d.models[0].spectral_model.alpha, factor=1.1, offset=0.2)
    return d


def in_time_linked():
    temporal = GaussianTemporalModel(t_ref=53345.2 * u.d, sigma=1.2 * u.d, scale="tt")
    d = spectra(temporal_model=temporal)
    spectral = d.models[0].spectral_model
    spectral.index.link(temporal.sigma, factor=2.0 / u.d, offset=0.1)
    return d


def scaled_table():
    d = template()
    d.models = [*d.models, SystematicsModel(d.name, energy_scale=1.0)]
    return d


def scaled_table_linked():
    d = scaled_table()
    table, systematics = d.models
    bent = PowerLawNormSpectralModel() * table.spectral_model
    other = PowerLawSpectralModel(amplitude=1e-12 * FLUX)
    bent.parameters["tilt"].frozen = False
    bent.parameters["tilt"].link(other.index, factor=0.1, offset=-0.2)
    d.models = [SkyModel(bent, name="bent"), SkyModel(other, name="other"), systematics]
    return d


PORTABLE = [
    embedded, systematics, cut_off, many_parameters, two_minima, compound, priors, background, linked, linked_by_a_formula,
    flux_points, energy_fluxes, in_time, in_time_linked, template, scaled_table, scaled_table_linked,
]  # fmt: skip


@pytest.mark.parametrize("problem", PORTABLE, ids=lambda p: p.__name__)
def test_written_down_and_read_again(problem):
    likelihood = Likelihood(problem())
    compact = likelihood.compact()
    document, models, why = _portable(compact, likelihood.models)
    assert why == ""
    assert models is not None
    from gammajax import Models

    arrays = [np.asarray(a) for a in jax.tree.leaves(compact)]
    again = decode(json.loads(json.dumps(document)), arrays, Models.from_yaml(models))
    # the same static structure: the very same programs
    assert jax.tree.structure(again) == jax.tree.structure(compact)
    assert structure_digest(again.structure) == structure_digest(likelihood.structure)
    for a, b in zip(jax.tree.leaves(again), arrays, strict=True):
        np.testing.assert_array_equal(a, b)


def points_in_x_and_y():
    line = FunctionModel(lambda x, a, b: a * x + b, {"a": 1.0, "b": 0.0})
    return XYDataset([1.0, 2.0, 3.0], [1.0, 2.1, 2.9], [0.1, 0.1, 0.1], model=line)


@pytest.mark.parametrize("problem", [points_in_x_and_y], ids=lambda p: p.__name__)
def test_what_cannot_be_written_down_says_why(problem):
    likelihood = Likelihood(problem())
    document, models, why = _portable(likelihood.compact(), likelihood.models)
    assert (document, models) == (None, None)
    assert "cannot be written" in why


def test_documents_that_are_none():
    likelihood = Likelihood(embedded())
    document = encode(likelihood.compact(), likelihood.models)
    leaves = jax.tree.leaves(likelihood.compact())
    deep: list = []
    for _ in range(2000):
        deep = [deep]
    broken = {
        "an array that is not there": {"array": 99},
        "a model that is not there": {"form": "nobody"},
        "a class of no likelihood": {"is": "Popen", "fields": {"args": "true"}},
        "fields of no likelihood": document | {"fields": {"structure": None, "more": 1}},
        "a text": {"is": "Compact"},
        "nested": deep,
    }
    for value in broken.values():
        with pytest.raises(FileFormatError, match="the structure of the likelihood"):
            decode(value, leaves, likelihood.models)


def test_a_task_without_structure_is_not_rebuilt():
    with pytest.raises(
        ValueError, match=r"cannot be rebuilt from its folder \(it is a lambda\); run the scan from the program"
    ):
        Task.rebuilt({"structure": None, "why": "it is a lambda"}, {})
