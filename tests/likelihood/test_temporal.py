"""Sources that vary in time in the likelihood: predictions beside gammapy's, and joint fits of data sets in time."""

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gammajax import (
    GTI,
    ConstantTemporalModel,
    Datasets,
    ExpDecayTemporalModel,
    Fit,
    GaussianTemporalModel,
    Likelihood,
    LinearTemporalModel,
    PowerLawSpectralModel,
    SineTemporalModel,
    SkyModel,
    SpectrumDataset,
)
from gammajax.errors import DataError
from gammajax.models import SystematicsModel

BEGIN = Time(53343.9, format="mjd", scale="tt")
EDGES = np.geomspace(0.5, 20, 7) * u.TeV


def spectra(n=3, **models):
    """Spectra of half an hour each, a day and a half apart, two intervals in each; background free counts."""
    sets = []
    for k in range(n):
        start = BEGIN + (1.5 * k + np.array([0.0, 0.02])) * u.d
        d = SpectrumDataset.from_arrays(
            np.zeros(6), 0.5, exposure=np.full(6, 1e15) * u.Unit("cm2 s"), energy_edges=EDGES, energy_true_edges=EDGES,
            name=f"night-{k}", gti=GTI.create(start, start + [0.01, 0.0125] * u.d),
        )  # fmt: skip
        sets.append(d)
    datasets = Datasets(sets)
    datasets.models = SkyModel(PowerLawSpectralModel(amplitude=2e-12 * u.Unit("cm-2 s-1 TeV-1")), "flare", **models)
    return datasets


def asimov(datasets):
    """Counts that are what the models predict."""
    for d in datasets:
        with pytest.warns(UserWarning, match="fractional counts"):
            d.set_counts(d.npred().data)


def test_prediction_as_in_gammapy():
    theirs_models = pytest.importorskip("gammapy.modeling.models")
    from gammapy.data import GTI as TheirGTI
    from gammapy.datasets import SpectrumDataset as Theirs
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap

    pulse = GaussianTemporalModel(t_ref=53345.2 * u.d, sigma=1.2 * u.d, scale="tt")
    d = spectra(temporal_model=pulse)[2]
    axis = MapAxis.from_energy_edges(EDGES, name="energy_true")
    geom = RegionGeom.create(None, axes=[axis])
    exposure = RegionNDMap.from_geom(geom, data=d.exposure.data[:, None, None], unit="cm2 s")
    counts = RegionNDMap.create(None, axes=[MapAxis.from_energy_edges(EDGES)])
    theirs = Theirs(counts=counts, exposure=exposure, gti=TheirGTI.create(d.gti.time_start, d.gti.time_stop))
    theirs.models = theirs_models.SkyModel(
        theirs_models.PowerLawSpectralModel(amplitude="2e-12 cm-2 s-1 TeV-1"),
        temporal_model=theirs_models.GaussianTemporalModel(t_ref=53345.2 * u.d, sigma=1.2 * u.d, scale="tt"),
    )
    np.testing.assert_allclose(d.npred_signal().data, theirs.npred().data[:, 0, 0], rtol=1e-9)


def test_the_steady_model_changes_nothing():
    steady, constant = spectra(), spectra(temporal_model=ConstantTemporalModel())
    for a, b in zip(steady, constant, strict=True):
        np.testing.assert_allclose(a.npred_signal().data, b.npred_signal().data, rtol=1e-14)


MODELS = {
    "pulse": (GaussianTemporalModel(t_ref=53345.3 * u.d, sigma=1.5 * u.d), {"t_ref": 53345.1, "sigma": 1.8}),
    "decay": (ExpDecayTemporalModel(t0=3 * u.d, t_ref=53344 * u.d), {"t0": 2.0}),
    "wave": (SineTemporalModel(amp=0.6, omega=1.3 * u.rad / u.d, t_ref=53344 * u.d), {"amp": 0.4, "omega": 1.25}),
}


@pytest.mark.parametrize(
    "name", ["pulse", pytest.param("decay", marks=pytest.mark.slow), pytest.param("wave", marks=pytest.mark.slow)]
)
def test_temporal_parameters_are_fitted(name):
    model, start = MODELS[name]
    datasets = spectra(temporal_model=model.copy())
    (source,) = datasets.models
    if name == "wave":
        source.temporal_model.t_ref.frozen = True
    truth = datasets.parameters.value.copy()
    asimov(datasets)
    for key, value in start.items():
        getattr(source.temporal_model, key).value = value
    source.spectral_model.index.value = 2.2
    result = Fit(datasets, backend="newton").run()
    assert result.success
    free = [not p.frozen for p in datasets.parameters]
    # in units of the errors: the counts are exactly those of the truth
    error = np.array([p.error for p in datasets.parameters])[free]
    assert np.all(np.abs(datasets.parameters.value - truth)[free] < 1e-4 * error)
    assert set(result.parameters.free_parameters.unique_names) >= {f"flare.temporal.{k}" for k in start}


@pytest.mark.slow
def test_derivatives_of_the_likelihood():
    """The solver's own derivatives beside automatic differentiation of the whole."""
    import jax

    datasets = spectra(2, temporal_model=GaussianTemporalModel(t_ref=53345.2 * u.d, sigma=1.2 * u.d))
    asimov(datasets)
    extra = SystematicsModel("night-1", effective_area=1.1)
    datasets.models = [*datasets.models, extra]
    datasets.parameters["sigma"].value = 1.4
    likelihood = Likelihood(datasets)
    with jax.enable_x64(True):
        theta = np.asarray(likelihood.start)
        _, *parts = jax.jit(likelihood.scoring)(theta)
        both = jax.jit(lambda t: (jax.grad(likelihood.stat)(t), jax.hessian(likelihood.stat)(t)))
        gradient, first, second, g, h = (np.asarray(a) for a in (*parts, *both(theta)))
    unit = np.asarray(likelihood.scale)
    np.testing.assert_allclose(gradient * unit, g * unit, rtol=1e-9, atol=1e-9 * np.abs(g * unit).max())
    scale = np.outer(unit, unit)
    np.testing.assert_allclose((first + second) * scale, h * scale, rtol=1e-8, atol=1e-10 * np.abs(h * scale).max())


def test_other_times_compile_nothing():
    """Times are data: moving them changes the prediction of the same program."""
    datasets = spectra(2, temporal_model=LinearTemporalModel(beta=0.5 / u.d, t_ref=53343.9 * u.d))
    before = Likelihood(datasets)
    first = datasets[1].npred_signal().data
    datasets[1].gti = GTI.create(datasets[1].gti.time_start + 1 * u.d, datasets[1].gti.time_stop + 1 * u.d)
    after = Likelihood(datasets)
    assert before.structure == after.structure
    assert hash(before.structure) == hash(after.structure)
    # 1 + 0.5 (t - t_ref), from a mean of 1.5 d to one of 2.5
    assert np.all(datasets[1].npred_signal().data > 1.2 * first)


def test_what_is_refused():
    datasets = spectra(2, temporal_model=LinearTemporalModel())
    with pytest.raises(DataError, match="run_each: sources that vary in time are not for batches"):
        Fit(datasets).run_each(list(datasets))
    datasets[0].gti = None
    with pytest.raises(DataError, match="'flare' varies in time, but it is not known when 'night-0' was measured"):
        Likelihood(datasets)
