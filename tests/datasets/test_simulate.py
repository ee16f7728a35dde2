"""Draws of flux points and of functions of x: their distributions against scipy, and what is refused."""

import numpy as np
import pytest
from astropy import units as u
from scipy import stats

from gammajax import FluxPointsDataset, FunctionModel, PowerLawSpectralModel, XYDataset
from gammajax.errors import InputError

DNDE = u.Unit("cm-2 s-1 TeV-1")
N = 4000
ENERGY = np.geomspace(0.5, 20, N) * u.TeV
TRUTH = 3e-11 * ENERGY.value**-2.4
# of a correct draw once in ten thousand seeds; the seeds are fixed
LEAST = 1e-4


def points(**changes):
    arguments = {"dnde": TRUTH * DNDE, "dnde_err": 0.1 * TRUTH * DNDE}
    model = PowerLawSpectralModel(index=2.4, amplitude=3e-11 * DNDE)
    return FluxPointsDataset(ENERGY, **(arguments | changes), models=model)


def test_chi2_draws_gaussians_about_the_model():
    d = points(dnde=7 * TRUTH * DNDE)
    before = d.dnde_err
    d.fake(3)
    pull = (d.dnde - d.flux_pred()) / d.dnde_err
    assert stats.kstest(pull.value, "norm").pvalue > LEAST
    assert np.array_equal(d.dnde_err, before)
    # its chi2 at the truth
    assert stats.chi2.sf(d.stat_sum(), N) > LEAST
    assert stats.chi2.cdf(d.stat_sum(), N) > LEAST


def test_the_seed_decides():
    a, b, c = points(), points(), points()
    a.fake(1)
    b.fake(np.random.default_rng(1))
    c.fake(2)
    assert np.array_equal(a.dnde, b.dnde)
    assert not np.array_equal(a.dnde, c.dnde)
    a.fake(1)
    assert np.array_equal(a.dnde, b.dnde)


def test_distrib_draws_with_both_errors():
    d = points(dnde_err=None, dnde_errn=0.1 * TRUTH * DNDE, dnde_errp=0.3 * TRUTH * DNDE, stat_type="distrib")
    d.fake(5)
    # the statistic is -2 ln of a density with these halves: below the model the upper error, with probability 0.3 / 0.4
    shift = ((d.dnde - d.flux_pred()) / (TRUTH * DNDE)).to_value("")

    def cdf(x):
        low = 1.5 * stats.norm.cdf(np.minimum(x, 0) / 0.3)
        return low + 0.5 * (stats.norm.cdf(np.maximum(x, 0) / 0.1) - 0.5)

    assert stats.kstest(shift, cdf).pvalue > LEAST
    assert stats.chi2.sf(d.stat_sum(), N) > LEAST


def test_limits_and_points_without_errors_stay():
    limits = np.zeros(N, dtype=bool)
    limits[-2:] = True
    error = 0.1 * TRUTH * DNDE
    error[0] = np.nan
    d = points(is_ul=limits, dnde_err=error, dnde_ul=2 * TRUTH * DNDE)
    before = d.dnde
    d.fake(3)
    assert np.array_equal(d.dnde == before, limits | (np.arange(N) == 0))
    d.stat_type = "distrib"
    with pytest.raises(
        InputError, match=f"point {N - 2} of 'flux-points' is an upper limit in the fit, which defines no draw"
    ):
        d.fake(3)
    d.mask_fit = ~limits
    d.fake(3)
    assert np.array_equal(d.dnde[-2:], before[-2:])


def test_functions_of_x():
    x = np.linspace(1, 2, N)
    model = FunctionModel(lambda x, a: a * x, {"a": 30.0})
    d = XYDataset(x, np.zeros(N), 0.5, model=model)
    d.fake(8)
    assert stats.kstest((d.y - 30 * x) / 0.5, "norm").pvalue > LEAST
    for statistic in ("cash", "cstat"):
        counts = XYDataset(x, np.zeros(N), stat_type=statistic, model=model)
        counts.fake(8)
        # the probability integral of a discrete value, spread over its step
        step = np.random.default_rng(1).uniform(size=N)
        p = stats.poisson.cdf(counts.y - 1, 30 * x) + step * stats.poisson.pmf(counts.y, 30 * x)
        assert stats.kstest(p, "uniform").pvalue > LEAST


def test_what_is_refused():
    scanned = {"dnde_ref": TRUTH * DNDE, "norm_scan": [0.5, 1, 2], "stat_scan": np.tile([4.0, 0.0, 4.0], (N, 1))}
    with pytest.raises(InputError, match="scanned likelihoods, which belong to the values that were measured"):
        points(**scanned, stat_type="profile").fake(1)
    with pytest.raises(InputError, match=r"got random_state=None, expected a seed"):
        points().fake(None)
    d = points()
    d.models = None
    with pytest.raises(InputError, match="'flux-points' has no models to draw from"):
        d.fake(1)
    falling = XYDataset(
        [1.0, 2.0], [3.0, 4.0], stat_type="cash", model=FunctionModel(lambda x, a: a - 2 * x, {"a": 3.0})
    )
    with pytest.raises(InputError, match="point 1 of 'data' predicts -1 counts"):
        falling.fake(1)
    with pytest.raises(InputError, match="is nan at point 0, expected a finite number"):
        XYDataset([1.0], [3.0], 1.0, model=FunctionModel(lambda x, a: a / (x - x), {"a": 0.0})).fake(1)
