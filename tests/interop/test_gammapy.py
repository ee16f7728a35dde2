"""gammapy's objects in memory: fitted here, results on gammapy's models; and our backend in gammapy's own Fit."""

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gammajax import Fit
from gammajax.data import embedded_ogip_files
from gammajax.errors import DataError, InputError, ModelError
from gammajax.interop import gammapy as bridge
from gammajax.interop.gammapy_models import convert_models
from tests.problems import REFERENCE

datasets_of = pytest.importorskip("gammapy.datasets")
modeling = pytest.importorskip("gammapy.modeling")
models_of = pytest.importorskip("gammapy.modeling.models")


def log_parabola():
    spectrum = models_of.LogParabolaSpectralModel(
        amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    )
    spectrum.alpha.min, spectrum.alpha.max = 1, 3
    return models_of.SkyModel(spectrum, name="crab")


def load(paths, joint=False):
    out = datasets_of.Datasets([datasets_of.SpectrumDatasetOnOff.read(p) for p in paths])
    if not joint:
        out = datasets_of.Datasets([out.stack_reduce(name="HESS")])
    for d in out:
        d.mask_fit = d.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    out.models = [log_parabola()]
    return out


@pytest.fixture
def backend():
    bridge.register()
    yield "gammajax"
    for task in modeling.fit.registry.register.values():
        task.pop("gammajax", None)


def values(models):
    return {p.name: (p.value, p.error) for p in models.parameters}


def test_the_tutorial_reaches_the_reference(hess_files):
    theirs = load(hess_files)
    result = bridge.fit(theirs)
    assert result.success
    # gammapy's stacked arrays are float32
    assert result.total_stat == pytest.approx(REFERENCE["stat"], abs=1e-5)
    found = values(theirs.models)
    for name in ("amplitude", "alpha", "beta"):
        assert found[name][0] == pytest.approx(REFERENCE[name][0], rel=1e-5)
        assert found[name][1] == pytest.approx(REFERENCE[name][1], rel=1e-5)
    np.testing.assert_allclose(
        theirs.models.covariance.data.diagonal() ** 0.5, [p.error for p in theirs.parameters], rtol=1e-10
    )


@pytest.mark.parametrize("joint", [False, True])
def test_the_backend_in_gammapys_fit(hess_files, backend, joint):
    ours, theirs = load(hess_files, joint), load(hess_files, joint)
    found, expected = modeling.Fit(backend=backend).run(ours), modeling.Fit().run(theirs)
    assert found.success
    assert found.covariance_result.success
    # our minimum, by gammapy's own statistic, is at least as deep as MIGRAD's
    assert found.total_stat <= expected.total_stat + 1e-6
    assert found.total_stat == pytest.approx(expected.total_stat, abs=1e-4)
    for name, (value, error) in values(theirs.models).items():
        assert values(ours.models)[name][0] == pytest.approx(value, abs=5e-3 * error + 1e-300)
        assert values(ours.models)[name][1] == pytest.approx(error, rel=1e-2)
    beta = ours.models[0].spectral_model.beta
    interval = modeling.Fit(backend=backend).confidence(ours, beta)
    other = modeling.Fit().confidence(theirs, theirs.models[0].spectral_model.beta)
    assert interval["success"]
    for key in ("errp", "errn"):
        assert interval[key] == pytest.approx(other[key], rel=5e-3)
    # nothing is left changed
    assert ours.models[0].spectral_model.alpha.min == 1


def test_a_prior_of_samples_comes_over_by_its_name():
    """The class is in gammapy to come: what it holds, on gammapy's own base class."""
    from scipy.stats import gaussian_kde

    class SamplesKDEPrior(models_of.Prior):
        tag, _type = ["SamplesKDEPrior"], "prior"

        def __init__(self, samples, weights):
            self.samples, self.weights = np.asarray(samples), np.asarray(weights) / np.sum(weights)
            super().__init__()

        def evaluate(self, value):
            return -2 * gaussian_kde(self.samples, weights=self.weights).logpdf(value)[0]

    theirs = models_of.SkyModel(models_of.PowerLawSpectralModel(), name="a")
    theirs.spectral_model.index.prior = SamplesKDEPrior([1.5, 2.2, 2.4], [1, 2, 1])
    theirs.spectral_model.index.prior.weight = 0.7
    ours = convert_models(models_of.Models([theirs])).models.parameters
    assert ours.prior_stat_sum() == pytest.approx(theirs.parameters.prior_stat_sum(), rel=1e-12)


def test_links_limits_and_priors_come_over(hess_files):
    first, second = load(hess_files, joint=True)
    a = log_parabola()
    b = models_of.SkyModel(models_of.LogParabolaSpectralModel(), name="other", datasets_names=[second.name])
    b.spectral_model.alpha = a.spectral_model.alpha
    a.spectral_model.beta.prior = models_of.GaussianPrior(mu=0.2, sigma=0.1)
    first.models, second.models = None, None
    theirs = datasets_of.Datasets([first, second])
    theirs.models = [a, b]
    ours = bridge.from_gammapy(theirs, compatibility="gammapy")
    assert ours.models.parameters_unique_names == theirs.models.parameters_unique_names
    assert ours.models["other"].spectral_model.alpha is ours.models["crab"].spectral_model.alpha
    assert ours.models["crab"].spectral_model.alpha.bounds == (1, 3)
    assert ours.models["crab"].spectral_model.reference.frozen
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)


def known_background():
    """gammapy's spectrum with a known background, from plain numbers, a free norm of the background beside a source."""
    from gammapy.maps import MapAxis, RegionGeom

    reco = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4, name="energy")
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=8, name="energy_true")
    d = datasets_of.SpectrumDataset.create(RegionGeom.create("icrs;circle(0, 0, 0.1)", axes=[reco]), true, name="known")
    d.counts.data[:, 0, 0] = [30, 22, 14, 9]
    d.background.data[:, 0, 0] = [20, 15, 10, 6]
    d.exposure.data[...] = 1e9
    d.mask_safe.data[...] = True
    theirs = datasets_of.Datasets([d])
    background = models_of.FoVBackgroundModel(
        dataset_name="known", spectral_model=models_of.PowerLawNormSpectralModel()
    )
    background.spectral_model.norm.value = 1.2
    theirs.models = [log_parabola(), background]
    return theirs


def test_a_background_model_comes_over():
    theirs = known_background()
    ours = bridge.from_gammapy(theirs, compatibility="gammapy")
    assert ours.models.parameters_unique_names == theirs.models.parameters_unique_names
    np.testing.assert_allclose(ours[0].npred_background().data, 1.2 * np.array([20, 15, 10, 6]), rtol=1e-6)
    # gammapy's maps are of single precision
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)
    theirs.models[1].spectral_model.norm.value = 0.7
    again = bridge.from_gammapy(theirs, compatibility="gammapy")
    assert again.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)
    assert again.stat_sum() != pytest.approx(ours.stat_sum(), rel=1e-3)


def test_penalties_come_over_or_are_refused():
    from gammapy.stats import GaussianPriorPenalty
    from gammapy.stats.fit_statistics import FitStatisticPenalty

    theirs = known_background()
    pars = [theirs.models[0].spectral_model.alpha, theirs.models[1].spectral_model.norm]
    without = theirs.stat_sum()
    penalty = GaussianPriorPenalty(pars, mean=[2.0, 1.0], covariance=[[0.04, 0.01], [0.01, 0.09]], lambda_=2.0)
    theirs.models = modeling.models.Models(list(theirs.models), penalties=penalty)
    assert theirs.stat_sum() > without + 1
    ours = bridge.from_gammapy(theirs, compatibility="gammapy")
    assert len(ours.models.penalties) == 1
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)

    class Other(FitStatisticPenalty):
        def stat_sum(self):
            return 0.0

    other = object.__new__(Other)
    theirs.models = modeling.models.Models(list(theirs.models), penalties=other)
    with pytest.raises(ModelError, match="gammapy's penalty Other is not known here; known is: GaussianPriorPenalty"):
        bridge.from_gammapy(theirs)


@pytest.fixture(scope="module")
def constrained(hess_files):
    """Two runs fitted by MINUIT and by us: a linked index with a prior and limits, a penalty, a frozen parameter."""
    from gammapy.stats import GaussianPriorPenalty

    def made():
        theirs = load(hess_files, joint=True)
        models = []
        for d in theirs:
            model = log_parabola()
            models.append(models_of.SkyModel(model.spectral_model, name=f"source-{d.name}", datasets_names=[d.name]))
        one, two = (m.spectral_model for m in models)
        two.alpha = one.alpha
        one.alpha.prior = models_of.GaussianPrior(mu=2.0, sigma=0.2)
        two.amplitude.prior = models_of.UniformPrior(min=1e-12, max=1e-9)
        two.beta.value, two.beta.frozen = 0.15, True
        penalty = GaussianPriorPenalty([one.alpha, one.beta], mean=[2.1, 0.1], covariance=[[0.04, 0.01], [0.01, 0.02]])
        theirs.models = modeling.models.Models(models, penalties=penalty)
        return theirs

    bridge.register()
    try:
        ours, theirs = made(), made()
        found = modeling.Fit(backend="gammajax").run(ours)
        # a tolerance at which MINUIT's own distance to the minimum cannot be seen
        expected = modeling.Fit(optimize_opts={"tol": 1e-4, "strategy": 2}).run(theirs)
        yield ours, found, theirs, expected
    finally:
        for task in modeling.fit.registry.register.values():
            task.pop("gammajax", None)


def test_the_backend_with_priors_penalties_links_and_frozen_parameters(constrained):
    ours, found, theirs, expected = constrained
    assert found.success
    assert expected.success
    # the minimum of gammapy's own statistic, priors and penalty included
    assert found.total_stat == pytest.approx(ours.stat_sum(), rel=1e-12)
    assert found.total_stat <= expected.total_stat + 1e-6
    assert found.total_stat == pytest.approx(expected.total_stat, abs=1e-4)
    data = sum(float(d.stat_array()[d.mask.data].sum()) for d in ours)
    assert abs(ours.stat_sum() - data) > 1
    # and the statistic that we see there is that of gammapy
    assert bridge.from_gammapy(ours, compatibility="gammapy").stat_sum() == pytest.approx(ours.stat_sum(), rel=1e-6)
    assert ours.models[1].spectral_model.alpha is ours.models[0].spectral_model.alpha
    for mine, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert mine.frozen == other.frozen
        assert mine.value == pytest.approx(other.value, abs=5e-3 * other.error + 1e-300)
        # MINUIT's covariance is good to a percent
        assert mine.error == pytest.approx(other.error, rel=2e-2)
    assert ours.models[1].spectral_model.beta.error == 0
    assert ours.models[1].spectral_model.beta.value == 0.15


def test_the_covariance_is_written_on_gammapys_models(constrained):
    ours, _, theirs, _ = constrained
    matrix, other = ours.models.covariance.data, theirs.models.covariance.data
    size = np.array([p.error for p in ours.models.parameters])
    np.testing.assert_allclose(np.sqrt(np.diag(matrix)), size, rtol=1e-10)
    names = ours.models.parameters_unique_names
    first, second = (i for i, n in enumerate(names) if n.endswith(".alpha"))
    free = size > 0
    assert not np.any(matrix[~free])
    # gammapy leaves out what is between models, and of a linked parameter all but the variance in its second row: with MINUIT as with us
    np.testing.assert_array_equal(matrix != 0, other != 0)
    correlation, expected = (
        m[free][:, free] / np.sqrt(np.outer(np.diag(m)[free], np.diag(m)[free])) for m in (matrix, other)
    )
    np.testing.assert_allclose(correlation, expected, atol=0.02)
    for mine, their in zip(ours.models, theirs.models, strict=True):
        one, two = (m.spectral_model.covariance.data for m in (mine, their))
        np.testing.assert_array_equal(one != 0, two != 0)
        np.testing.assert_allclose(np.diag(one), np.diag(two), rtol=0.04)
    # our own fit writes the whole: the linked index has one row, twice
    result = bridge.fit(ours, compatibility="gammapy")
    assert result.success
    assert ours.models[1].spectral_model.alpha is ours.models[0].spectral_model.alpha
    whole = ours.models.covariance.data
    np.testing.assert_allclose(whole[first], whole[second], rtol=1e-10)
    there = matrix != 0
    np.testing.assert_allclose(whole[there], matrix[there], rtol=1e-4)
    assert np.sum(whole != 0) > np.sum(there)


def test_intervals_with_priors(constrained):
    ours, _, theirs, _ = constrained
    bridge.register()
    mine = modeling.Fit(backend="gammajax").confidence(ours, ours.models[0].spectral_model.alpha)
    other = modeling.Fit().confidence(theirs, theirs.models[0].spectral_model.alpha)
    assert mine["success"]
    for key in ("errp", "errn"):
        assert mine[key] == pytest.approx(other[key], rel=1e-2)


SPECTRA = {
    "compound": lambda: models_of.PowerLawSpectralModel() + models_of.LogParabolaSpectralModel(),
    "piecewise": lambda: (
        models_of.PowerLawSpectralModel()
        * models_of.PiecewiseNormSpectralModel(energy=[0.5, 2, 10] * u.TeV, norms=np.array([1.0, 2.0, 1.5]))
    ),
    "template": lambda: models_of.TemplateSpectralModel(
        energy=[0.1, 1, 100] * u.TeV, values=[1e-10, 1e-12, 1e-16] * u.Unit("cm-2 s-1 TeV-1")
    ),
    "cut-off": lambda: models_of.ExpCutoffPowerLawSpectralModel(),
    "broken": lambda: models_of.BrokenPowerLawSpectralModel(index1=1.5, index2=3),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_predict_what_gammapy_predicts(name):
    theirs = datasets_of.Datasets([datasets_of.SpectrumDatasetOnOff.read(embedded_ogip_files()[0], name="a")])
    theirs.models = [models_of.SkyModel(SPECTRA[name](), name="s")]
    ours = bridge.from_gammapy(theirs, compatibility="gammapy")
    np.testing.assert_allclose(
        ours[0].npred_signal().data, theirs[0].npred_signal().data.ravel(), rtol=1e-5, atol=1e-12
    )


def test_a_source_that_varies_predicts_what_gammapy_predicts():
    from astropy.table import Table
    from gammapy.data import GTI

    theirs = datasets_of.Datasets([datasets_of.SpectrumDatasetOnOff.read(embedded_ogip_files()[0], name="a")])
    theirs[0].gti = GTI.create([0] * u.s, [1700] * u.s, Time(53343.25, format="mjd", scale="tt"))
    table = Table({"TIME": [0.0, 9.0] * u.d, "NORM": [1.0, 4.0]}, meta={"MJDREFI": 53340, "MJDREFF": 0.0})
    curves = [
        models_of.GaussianTemporalModel(t_ref=53343 * u.d, sigma=0.3 * u.d, scale="tt"),
        models_of.LightCurveTemplateTemporalModel.from_table(table),
    ]
    for curve, tolerance in zip(curves, (1e-5, 1.02e-2), strict=True):
        theirs.models = [models_of.SkyModel(models_of.PowerLawSpectralModel(), temporal_model=curve, name="s")]
        ours = bridge.from_gammapy(theirs, compatibility="gammapy")
        # gammapy's integral of a table is 1.01 % too large
        np.testing.assert_allclose(
            ours[0].npred_signal().data, theirs[0].npred_signal().data.ravel(), rtol=tolerance, atol=1e-12
        )
        assert ours[0].gti.time_sum.to_value("s") == pytest.approx(1700, abs=1e-6)


def test_what_is_not_for_spectra_is_refused(hess_files, backend):
    theirs = load(hess_files)
    theirs.models[0].temporal_model = type("SpinTemporalModel", (models_of.ConstantTemporalModel,), {})()
    with pytest.raises(ModelError, match="gammapy's temporal model SpinTemporalModel is not known here"):
        bridge.from_gammapy(theirs)
    with pytest.raises(InputError, match="takes the data sets from gammapy's Fit; it got another statistic"):
        modeling.fit.registry.get("optimize", backend)(parameters=None, function=lambda: 0.0)
    maps = datasets_of.MapDataset(name="maps")
    with pytest.raises(DataError, match="'maps' is a MapDataset; SpectrumDatasetOnOff, .* are taken here"):
        bridge._dataset(maps, [])


def test_flux_points_join_a_spectrum(hess_files, gammapy_data, backend):
    points = gammapy_data / "tests/spectrum/flux_points/diff_flux_points.fits"
    theirs = load(hess_files)
    published = datasets_of.FluxPointsDataset.read(points, name="points")
    published.mask_fit = published.mask_safe & (np.arange(24) > 2)[:, None, None]
    other = models_of.PowerLawSpectralModel(index=2.2, amplitude="2e-13 cm-2 s-1 TeV-1", reference="1 TeV")
    both = datasets_of.Datasets([theirs[0], published])
    crab = theirs.models[0]
    crab.datasets_names = [theirs[0].name]
    both.models = [crab, models_of.SkyModel(other, name="other", datasets_names=["points"])]
    ours = bridge.from_gammapy(both, compatibility="gammapy")
    np.testing.assert_array_equal(ours["points"].mask_array, published.mask.ravel())
    assert ours.stat_sum() == pytest.approx(both.stat_sum(), rel=1e-6)
    # the points by themselves, which no parameter joins to the spectrum
    alone = datasets_of.Datasets([published])
    expected = modeling.Fit().run(alone)
    index, error = other.index.value, other.index.error
    found = modeling.Fit(backend=backend).run(both)
    assert found.success
    assert other.index.value == pytest.approx(index, abs=0.02 * error)
    assert other.index.error == pytest.approx(error, rel=0.02)
    assert published.stat_sum() == pytest.approx(expected.total_stat, abs=1e-3)


def test_scans_of_gammapys_data(hess_files):
    theirs = load(hess_files)
    bridge.fit(theirs)
    ours = bridge.from_gammapy(theirs)
    scan = Fit(ours).stat_grid({"beta": np.linspace(0, 0.5, 6)}, reoptimize=True)
    assert np.all(scan.status == 0)
