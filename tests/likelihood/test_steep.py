"""Likelihoods of spectra steeper than usual: nodes by the values they start from, end at, or are scanned over."""

import pickle

import jax
import numpy as np
import pytest
from astropy import units as u

from gammajax import Datasets, Fit, Likelihood, LogParabolaSpectralModel, ScaleSpectralModel, SkyModel, SpectrumDataset
from gammajax.likelihood import likelihood_of
from gammajax.scan import Refit
from gammajax.scan.grid import covering_axes
from gammajax.solve import derivatives
from tests.problems import embedded

EDGES = np.geomspace(0.4, 60, 7)
AMPLITUDE = 1e-11
# counts that are not whole numbers are those that the truth predicts
pytestmark = pytest.mark.filterwarnings("ignore:.*fractional counts")


def flux(alpha, beta):
    """Of a log-parabola with the amplitude 1 and the reference 1 TeV, by eighty nodes in NumPy."""
    x, w = np.polynomial.legendre.leggauss(80)
    middle, half = 0.5 * np.log(EDGES[1:] * EDGES[:-1]), 0.5 * np.log(EDGES[1:] / EDGES[:-1])
    y = middle + half * x[:, None]
    return np.sum(w[:, None] * np.exp(y - (alpha + beta * y) * y), axis=0) * half


def narrow(alpha, beta, name="narrow"):
    """Counts of an instrument whose effective area grows as steeply as the spectrum falls: all bins count."""
    rate = AMPLITUDE * flux(alpha, beta)
    counts = np.linspace(900, 200, 6)
    return SpectrumDataset.from_arrays(
        counts, np.zeros(6), exposure=counts / rate * u.Unit("cm2 s"), edisp=np.eye(6), energy_edges=EDGES * u.TeV,
        energy_true_edges=EDGES * u.TeV, name=name,
    )  # fmt: skip


def model(alpha, beta, name="source"):
    spectrum = LogParabolaSpectralModel(
        amplitude=AMPLITUDE / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=alpha, beta=beta
    )
    return SkyModel(spectrum, name=name)


@pytest.fixture(scope="module")
def fitted():
    """A fit that begins where the usual nodes do and ends where they are wrong by up to 1e-5, and its data."""
    d = narrow(32.0, 1.0)
    d.models = model(18.0, 0.0)
    begin = Likelihood(d)
    return d, begin, Fit(d, backend="newton").run()


def test_a_fit_ends_at_the_truth(fitted):
    d, begin, result = fitted
    assert begin.step == 0
    assert result.success
    # the truth predicts the counts: to rounding, amplified by the correlations
    value = {p.name: p.value for p in result.parameters}
    assert value["alpha"] == pytest.approx(32, abs=1e-9)
    assert value["beta"] == pytest.approx(1, abs=1e-9)
    assert value["amplitude"] == pytest.approx(AMPLITUDE, rel=1e-9)
    truth = np.array([AMPLITUDE, 1.0, 32.0, 1.0])
    found = [np.asarray(derivatives(like, truth)[1]) for like in (begin, begin.covering(truth))]
    # in units of the errors: the usual nodes are no good there, those that were taken are
    error = np.sqrt(np.diag(result.covariance.data)) + 0.0
    assert np.max(np.abs(found[0] * error)) > 1e-5
    assert np.max(np.abs(found[1] * error)) < 1e-8


def test_other_backends_end_there_too(fitted):
    d, *_ = fitted
    d = d.copy(name="again")
    d.models = model(30.0, 0.8)
    result = Fit(d, backend="minuit").run()
    assert result.success
    np.testing.assert_allclose([p.value for p in result.parameters][2:], [32, 1], rtol=1e-6)


def test_nodes_follow_the_start_both_ways(fitted):
    d, begin, _ = fitted
    shape = begin.joined[0].response.rules[0].nodes.shape
    steep = likelihood_of(Datasets([d]))
    assert steep.step == 1
    assert steep.joined[0].response.rules[0].nodes.shape > shape
    try:
        d.models[0].spectral_model.alpha.value, d.models[0].spectral_model.beta.value = 2.0, 0.1
        usual = likelihood_of(Datasets([d]))
        assert (usual.step, usual.joined[0].response.rules[0].nodes.shape) == (0, shape)
    finally:
        d.models[0].spectral_model.alpha.value, d.models[0].spectral_model.beta.value = 32.0, 1.0
    again = likelihood_of(Datasets([d]))
    # arrays are made once
    assert again.joined is steep.joined
    with jax.enable_x64(True):
        copy = pickle.loads(pickle.dumps(again))
    assert copy.step == 1
    assert copy.covering(np.array([AMPLITUDE, 1.0, 2.0, 100.0])).step > 1
    assert copy.at_step(0).joined[0].response.rules[0].nodes.shape == shape


def test_predictions_at_any_values():
    d = narrow(60.0, 5.0)
    d.models = model(60.0, 5.0)
    np.testing.assert_allclose(d.npred_signal().data.ravel(), d.counts.data.ravel(), rtol=1e-9)


def test_a_multiple_of_a_model_has_the_nodes_of_the_model():
    """Its own parameter, a norm, says nothing of the slope."""
    d, other = narrow(32.0, 1.0), narrow(32.0, 1.0)
    d.models = SkyModel(ScaleSpectralModel(model(32.0, 1.0).spectral_model, norm=1.0), name="multiple")
    other.models = model(32.0, 1.0)
    assert Likelihood(d).step == Likelihood(other).step > 0
    np.testing.assert_allclose(d.npred_signal().data, other.npred_signal().data, rtol=1e-12)
    d.models[0].spectral_model.norm.value = 2.0
    np.testing.assert_allclose(d.npred_signal().data, 2 * other.npred_signal().data, rtol=1e-12)


def test_ordinary_data_keep_the_usual_nodes():
    """Fit, scans and likelihood of the tutorial, and what scans move: the same arrays and programs."""
    d = embedded()
    likelihood = likelihood_of(Datasets([d]))
    assert likelihood.step == 0
    assert covering_axes(likelihood, [([2, 3], [np.linspace(1, 3, 9), np.linspace(-0.5, 3, 9)])]) is likelihood
    wide = covering_axes(likelihood, [([3], [np.linspace(0, 30, 9)])])
    assert wide.step > 0
    assert covering_axes(likelihood, [([3], [np.linspace(0, 30, 9)])]) is not likelihood
    # what a person passes to JAX is the same kind of thing
    assert jax.tree.structure(wide) == jax.tree.structure(likelihood)


@pytest.mark.slow
def test_lanes_of_a_batch_are_done_again_where_they_ended_too_steep():
    """Start and statistic are those of the usual nodes for some lanes only; each is right."""
    d = narrow(19.0, 0.1)
    d.models = model(19.0, 0.1)
    likelihood = Likelihood(d)
    assert likelihood.step == 0
    hessian = derivatives(likelihood, likelihood.start)[2]
    values = np.array([[18.0], [19.0], [26.0], [40.0]])
    refit = Refit(likelihood, hessian)
    out = refit.points([([2], values)])
    assert (likelihood.steps(out.theta) > 0).tolist() == [False, False, True, True]
    reference = Refit(likelihood.at_step(3), hessian).points([([2], values)])
    assert np.all(out.status == reference.status)
    np.testing.assert_allclose(out.stat, reference.stat, rtol=0, atol=1e-7)
    # alone or with others: the same
    alone = Refit(likelihood, hessian).points([([2], values[2:3])])
    np.testing.assert_allclose(alone.stat, out.stat[2:3], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_scans_intervals_and_chunks(fitted):
    d, _, result = fitted
    fit, alpha = Fit(d), d.models[0].spectral_model.alpha
    values = np.array([10.0, 31.9, 32.0, 32.1])
    whole = fit.stat_grid({"alpha": values}, reoptimize=True)
    chunks = fit.stat_grid({"alpha": values}, reoptimize=True, chunk_size=2, progress=False)
    np.testing.assert_allclose(chunks.stat, whole.stat, rtol=0, atol=1e-8)
    frozen = fit.stat_grid({"alpha": values}, reoptimize=False)
    mu = {a: AMPLITUDE * flux(a, 1.0) for a in values}
    exposure = d.exposure.data.ravel()
    counts = d.counts.data.ravel()
    expected = [2 * np.sum(m * exposure - counts * np.log(m * exposure)) for m in mu.values()]
    np.testing.assert_allclose(frozen.stat - frozen.stat[2], np.array(expected) - expected[2], rtol=1e-8, atol=1e-8)
    interval = fit.confidence("alpha")
    assert interval.success
    assert interval["errp"] == pytest.approx(alpha.error, rel=0.1)


def test_many_spectra_in_one_batch():
    datasets = [narrow(a, 1.0, name=f"d{a:.0f}") for a in (20.0, 32.0, 50.0)]
    for k, d in enumerate(datasets):
        d.models = model(18.0 + 14 * k, 0.5, name=f"s{k}")
    out = Fit(backend="newton").run_each(datasets)
    assert out.success.all()
    np.testing.assert_allclose(out.value[:, 2], [20, 32, 50], rtol=1e-7)
    np.testing.assert_allclose(out.value[:, 3], 1, rtol=1e-6)


def test_groups_of_data_sets():
    """One model for two data sets of one group, and one of its own for each."""
    pair = [narrow(32.0, 1.0, name=n) for n in ("first", "second")]
    datasets = Datasets(pair)
    datasets.models = model(30.0, 0.9)
    result = Fit(datasets, backend="newton").run()
    assert result.success
    np.testing.assert_allclose([p.value for p in result.parameters][2:], [32, 1], rtol=1e-9)
    first, second = model(18.0, 0.1, "a"), model(60.0, 0.1, "b")
    first.datasets_names, second.datasets_names = ["first"], ["second"]
    datasets.models = [first, second]
    likelihood = Likelihood(datasets)
    assert likelihood.groups == ((0, 1),)
    theta = likelihood.start
    assert likelihood.step == int(likelihood.steps(theta[None])[0]) == 2
    theta = theta.copy()
    theta[likelihood.names.index("b.spectral.alpha")] = 18.0
    assert likelihood.steps(theta[None])[0] == 0
