"""The statistic with and without the constants of priors and penalties, against the densities of scipy."""

import numpy as np
import pytest
import scipy.stats

from gammajax import Fit, FitResult, GaussianPenalty, Models
from gammajax.parameters import GaussianPrior, LogNormalPrior
from tests.problems import embedded

MEAN, MATRIX = [2.6, 0.3], np.array([[0.04, 0.002], [0.002, 0.01]])
MU, SIGMA = 1e-11, 0.3


@pytest.fixture(scope="module")
def fitted():
    dataset = embedded()
    model = dataset.models[0].spectral_model
    model.amplitude.prior = LogNormalPrior(mu=MU, sigma=SIGMA)
    models = Models(dataset.models)
    models.set_penalties(GaussianPenalty([model.alpha, model.beta], MEAN, MATRIX))
    dataset.models = models
    fit = Fit([dataset], backend="newton")
    return fit, fit.run()


def _densities(parameters):
    """-2 ln of the normalised densities at the values, from scipy."""
    alpha, beta, amplitude = (parameters[n].value for n in ("alpha", "beta", "amplitude"))
    penalty = scipy.stats.multivariate_normal(MEAN, MATRIX).logpdf([alpha, beta])
    prior = scipy.stats.lognorm(s=SIGMA, scale=MU).logpdf(amplitude)
    return -2 * penalty, -2 * prior


# the sums of two numbers of order 100, and densities from a 2 x 2 inverse
TOLERANCE = 1e-10


def test_all_constants_make_densities(fitted):
    fit, result = fitted
    assert result.success
    data = fit.datasets.stat_sum_likelihood()
    penalty, prior = _densities(result.parameters)
    assert result.stat_sum(constants=True) == pytest.approx(data + penalty + prior, abs=TOLERANCE)
    assert fit.datasets.stat_sum(constants=True) == pytest.approx(data + penalty + prior, abs=TOLERANCE)
    assert result.models.prior_stat_sum(constants=True) == pytest.approx(penalty + prior, abs=TOLERANCE)


def test_without_any(fitted):
    fit, result = fitted
    data = fit.datasets.stat_sum_likelihood()
    penalty, prior = _densities(result.parameters)
    # the constants in closed form; that of the prior does not hold 2 ln of the value, which depends on it
    penalty -= np.linalg.slogdet(2 * np.pi * MATRIX)[1]
    prior -= 2 * np.log(SIGMA) + np.log(2 * np.pi)
    assert result.stat_sum(constants=False) == pytest.approx(data + penalty + prior, abs=TOLERANCE)
    assert fit.datasets.stat_sum(constants=False) == pytest.approx(data + penalty + prior, abs=TOLERANCE)


def test_what_is_minimised_is_that_of_gammapy(fitted):
    """Priors with, penalties without: `total_stat` stays as it is."""
    fit, result = fitted
    penalty, prior = _densities(result.parameters)
    penalty -= np.linalg.slogdet(2 * np.pi * MATRIX)[1]
    expected = fit.datasets.stat_sum_likelihood() + penalty + prior
    assert result.total_stat == pytest.approx(expected, abs=TOLERANCE)
    assert result.stat_sum() == result.total_stat
    assert fit.datasets.stat_sum() == pytest.approx(expected, abs=TOLERANCE)


def test_a_weight_counts_for_the_constants_too():
    model = embedded().models[0].spectral_model
    model.alpha.prior = GaussianPrior(mu=2.0, sigma=0.5, weight=3.0)
    models = Models(model)
    expected = -2 * 3 * scipy.stats.norm(2.0, 0.5).logpdf(model.alpha.value)
    assert models.prior_stat_sum() == models.prior_stat_sum(constants=True) == pytest.approx(expected, rel=1e-12)
    pull = ((model.alpha.value - 2.0) / 0.5) ** 2
    assert models.prior_stat_sum(constants=False) == pytest.approx(3 * pull, rel=1e-12)


def test_read_from_a_file(fitted, tmp_path):
    _, result = fitted
    result.write(tmp_path / "fit.yaml")
    assert FitResult.read(tmp_path / "fit.yaml").stat_sum(constants=True) == result.stat_sum(constants=True)
