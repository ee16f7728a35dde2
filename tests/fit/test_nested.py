"""Nested tests against gammapy's select_nested_models, and their distributions against simulated closed forms."""

import numpy as np
import pytest
from astropy import units as u
from scipy.stats import chi2

from gammajax import Datasets, Fit, SpectrumDatasetOnOff
from gammajax.errors import FitError, InputError
from gammajax.fit.nested import NestedTest, _probability
from tests.problems import crab_model, embedded


def test_curvature_of_the_embedded_spectrum():
    d = embedded()
    fit = Fit(d, backend="newton")
    test = fit.ts({"beta": 0})
    model = d.models["crab"].spectral_model
    best = model.beta.value
    assert test.success
    assert test.dof == 1
    assert test.n_on_limit == 0
    assert test.p_value == pytest.approx(chi2.sf(test.ts, 1))
    assert test.sigma == pytest.approx(np.sqrt(test.ts), rel=1e-9)
    # the models are at the best fit of the full model again, errors and covariance included
    assert not model.beta.frozen
    assert best == test.fit.parameters["beta"].value
    assert model.beta.error == test.fit.parameters["beta"].error > 0
    assert d.stat_sum() == pytest.approx(test.fit.total_stat, rel=1e-12)
    assert test.fit_null.parameters["beta"].value == 0
    assert "sigma, two-sided)" in str(test)


def test_a_source_is_tested_on_its_limit_and_without_its_shape():
    d = embedded()
    model = d.models["crab"].spectral_model
    model.amplitude.min = 0
    test = Fit(d, backend="newton").ts({"amplitude": 0})
    assert test.n_on_limit == 1
    assert np.isnan(test.p_value)
    assert any("crab.spectral.alpha" in n and "has no effect" in n for n in test.notes)
    # the statistic without a source
    d.models["crab"].spectral_model.amplitude.value = 0
    assert test.fit_null.total_stat == pytest.approx(d.stat_sum(), rel=1e-12)


def test_only_the_amplitude_free():
    d = embedded()
    model = d.models["crab"].spectral_model
    model.alpha.frozen = model.beta.frozen = True
    model.amplitude.min = 0
    test = Fit(d, backend="newton").ts({model.amplitude: 0})
    assert test.p_value == pytest.approx(0.5 * chi2.sf(test.ts, 1))
    # the limit halves the p-value, not the significance
    assert test.sigma == pytest.approx(np.sqrt(test.ts), rel=1e-9)
    assert "sigma, one-sided)" in str(test)
    assert any("Chernoff" in n for n in test.notes)


@pytest.mark.parametrize(("ts", "sigma"), [(0.0, 0.0), (25.0, 5.0), (1600.0, 40.0), (1e4, 100.0)])
@pytest.mark.parametrize("n_on_limit", [0, 1])
def test_sigma_of_one_parameter_is_the_root_of_ts(ts, sigma, n_on_limit):
    """Also where the p-value is less than any number."""
    p = _probability(ts, 1, n_on_limit, [])[0]
    test = NestedTest(ts, 1, n_on_limit, p, (), None, None)
    assert test.sigma == pytest.approx(sigma, rel=1e-9, abs=1e-12)


def test_sigma_of_two_parameters_is_that_of_gammapy():
    ts_to_sigma = pytest.importorskip("gammapy.stats.utils").ts_to_sigma
    test = Fit(embedded(), backend="newton").ts({"beta": 0, "alpha": 2.5})
    assert test.sigma == pytest.approx(float(ts_to_sigma(test.ts, df=2)), rel=1e-9)


@pytest.mark.parametrize(("dof", "limits"), [(1, 1), (2, 1), (2, 0)])
def test_distribution(dof, limits):
    """TS of a Gaussian with the first parameter limited to positive values."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(200_000, dof))
    if limits:
        x[:, 0] = np.maximum(x[:, 0], 0)
    ts = np.sum(x**2, axis=1)
    for value in (1.0, 3.0):
        assert _probability(value, dof, limits, [])[0] == pytest.approx(np.mean(ts >= value), abs=4e-3)


def test_mistakes_are_refused():
    fit = Fit(embedded(), backend="newton")
    with pytest.raises(InputError, match=r"expected a dictionary such as \{'beta': 0\}"):
        fit.ts("beta")
    with pytest.raises(FitError, match="reference is frozen"):
        fit.ts({"reference": 1 * u.TeV})
    with pytest.raises(InputError, match=r"alpha = 5 under the null is outside its limits \[1, 3\]"):
        fit.ts({"alpha": 5})


def test_gammapy_finds_the_same(gammapy_data, hess_files):
    selection = pytest.importorskip("gammapy.modeling.selection")
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")
    ours = SpectrumDatasetOnOff.read(hess_files[0])
    ours.models = crab_model()
    ours.compatibility = "gammapy"
    found = Fit(Datasets(ours), backend="newton").ts({"beta": 0})
    theirs = datasets.SpectrumDatasetOnOff.read(hess_files[0])
    spectrum = models.LogParabolaSpectralModel(
        amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    )
    theirs.models = [models.SkyModel(spectrum, name="crab")]
    expected = selection.select_nested_models(datasets.Datasets([theirs]), [spectrum.beta], [0])
    # gammapy's fits stop at an EDM of 2e-4 each
    assert found.ts == pytest.approx(expected["ts"], abs=2e-3)
