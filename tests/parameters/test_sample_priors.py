"""The prior from samples: against scipy and mpmath, far outside the samples, its mistakes, and in a likelihood."""

import copy
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column
from scipy.optimize import minimize_scalar
from scipy.stats import gaussian_kde

from gammajax import Fit, Likelihood
from gammajax.errors import InputError, UnitError
from gammajax.likelihood.penalties import penalties_of, penalty_derivatives, penalty_stat
from gammajax.parameters import Parameter, Parameters, SamplesKDEPrior, pack_priors
from gammajax.units import double_precision

RNG = np.random.default_rng(20240611)
SAMPLES = {
    "few": (np.array([1.0, 1.5, 4.0]), None),
    "equal ones": (np.array([2.0, 2.0, 2.0, 2.0, 3.0]), None),
    "many": (RNG.normal(2.3, 0.2, 3000), None),
    "weighted": (RNG.normal(2.3, 0.2, 300), RNG.exponential(size=300)),
    "one sample weighs nearly all": (np.array([1.0, 2.0, 5.0]), np.array([1.0, 1e-3, 1e-4])),
    "fluxes": (RNG.lognormal(-27.6, 0.3, 200), RNG.exponential(size=200)),
    "two groups": (np.concatenate([RNG.normal(-5, 0.1, 50), RNG.normal(5, 0.2, 70)]), None),
}


@pytest.mark.parametrize("case", SAMPLES)
def test_scipy(case):
    samples, weights = SAMPLES[case]
    prior, theirs = SamplesKDEPrior(samples, weights), gaussian_kde(samples, weights=weights)
    # scipy takes 1 - sum w^2 as a difference, a few units in its last place off
    near_one = 1e-16 / (1 - np.sum(theirs.weights**2))
    assert prior.bandwidth == pytest.approx(theirs.covariance[0, 0] ** 0.5, rel=1e-13 + 3 * near_one)
    x = np.linspace(samples.min() - 5 * prior.std, samples.max() + 5 * prior.std, 41)
    with np.errstate(divide="ignore"):
        expected = -2 * theirs.logpdf(x)
    # where scipy's sum of densities has not underflowed
    here = np.isfinite(expected) & (expected < 1200)
    assert here.sum() > 10
    np.testing.assert_allclose(prior.stat(x)[here], expected[here], rtol=1e-12, atol=1e-11)


def exact(prior, x):
    """-2 ln density and two derivatives with 60 digits, from the bandwidth of the prior."""
    samples, log_weights, h = prior.values
    with mpmath.workdps(60):
        x, h = mpmath.mpf(float(x)), mpmath.mpf(float(h))
        z = [(x - mpmath.mpf(s)) / h for s in samples.tolist()]
        p = [mpmath.exp(mpmath.mpf(w) - a * a / 2) for w, a in zip(log_weights.tolist(), z, strict=True)]
        total = mpmath.fsum(p)
        first = mpmath.fsum(a * b for a, b in zip(z, p, strict=True)) / total
        second = mpmath.fsum(a * a * b for a, b in zip(z, p, strict=True)) / total - first**2
        value = -2 * mpmath.log(total / (h * mpmath.sqrt(2 * mpmath.pi)))
        return [float(value), float(2 * first / h), float(2 * (1 - second) / h**2)]


@pytest.mark.parametrize("case", ["few", "weighted", "fluxes", "two groups"])
def test_value_and_derivatives_near_and_far(case):
    prior = SamplesKDEPrior(*SAMPLES[case])
    function = partial(type(prior).function)
    points = prior.mean + prior.std * np.array([0.0, 0.3, -1.1, 4.0, -30.0, 100.0, -1e4, 1e8])
    with double_precision():
        for x in points:
            got = [float(g(x, *prior.values)) for g in (function, jax.grad(function), jax.grad(jax.grad(function)))]
            value, first, second = exact(prior, x)
            # values are relative to one; derivatives in units of the bandwidth, where they are differences of sums of about 1;
            # in the gap between two groups a sum is as sharp as its exponents, 50 bandwidths squared
            assert got[0] == pytest.approx(value, rel=1e-12, abs=1e-10)
            assert got[1] * prior.bandwidth == pytest.approx(first * prior.bandwidth, rel=1e-12, abs=1e-10)
            assert got[2] * prior.bandwidth**2 == pytest.approx(second * prior.bandwidth**2, rel=1e-10, abs=1e-10)


def test_one_sample_with_nearly_all_the_weight():
    # by hand: mean s0, variance e d^2 / (2 e) for e -> 0, one effective sample
    prior = SamplesKDEPrior([1.0, 3.0], [1.0, 1e-30])
    assert (prior.mean, prior.std, prior.bandwidth) == pytest.approx((1.0, 2**0.5, 2**0.5), rel=1e-15)


def test_only_ratios_of_weights_matter_and_zero_is_as_if_left_out():
    x = np.linspace(0, 5, 7)
    one = SamplesKDEPrior([1, 2, 4], [1, 2, 3]).stat(x)
    np.testing.assert_allclose(SamplesKDEPrior([1, 2, 4], [1e-300, 2e-300, 3e-300]).stat(x), one, rtol=1e-13)
    np.testing.assert_allclose(SamplesKDEPrior([1, 2, 9, 4], [10, 20, 0, 30]).stat(x), one, rtol=1e-13)
    assert SamplesKDEPrior([1, 2, 4]) == SamplesKDEPrior([1, 2, 4], [1, 1, 1])


def test_a_large_table_goes_in_pieces():
    samples = np.random.default_rng(2).normal(size=5000)
    prior = SamplesKDEPrior(samples * u.TeV)
    x = np.linspace(-3, 3, 2000).reshape(2, 1000)
    expected = -2 * gaussian_kde(samples).logpdf(x.ravel()).reshape(x.shape)
    np.testing.assert_allclose(prior.stat(1000 * x * u.GeV), expected, rtol=1e-11)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([],), "samples: got 0 of 0 with a weight above 0, expected at least two different values"),
        (([2.0],), "samples: got 1 of 1 with a weight above 0, expected at least two different values"),
        (([2.0, 2.0, 2.0],), "samples: got 2 in all 3, expected at least two different values; for a known value"),
        (([1, 2], [0, 3]), "samples: got 1 of 2 with a weight above 0"),
        (([1, 2, np.nan],), "samples: got nan at position 2, expected finite numbers"),
        (([1, -np.inf],), "samples: got -inf at position 1"),
        (([[1, 2], [3, 4]],), r"samples: got an array of shape \(2, 2\), expected one dimension"),
        (([[1, 2], [3]],), "samples: got rows of different lengths"),
        ((2.0,), r"samples: got an array of shape \(\)"),
        ((["1", "2"],), "samples: got values of type <U1"),
        (([1, 2j],), "samples: got values of type complex128"),
        (([1 * u.TeV, 1 * u.cm],), "samples: got quantities of different dimensions"),
        ((np.ma.array([1, 2, 3], mask=[0, 1, 0]),), "samples: got a masked value at position 1"),
        (([-1e308, 1e308],), "standard deviation is beyond the range of numbers; change the unit"),
        (([1, 2, 3], [1, 2]), "got 2 weights for 3 samples, expected one for each"),
        (([1, 2], [1, -1]), "weights: got -1 at position 1, expected numbers of 0 and more"),
        (([1, 2], [np.nan, 1]), "weights: got nan at position 0"),
        (([1, 2], None, 0), r"weight: got 0\.0, expected a finite number above 0"),
    ],
)
def test_refusals(arguments, text):
    with pytest.raises(InputError, match=rf"SamplesKDEPrior.*{text}"):
        SamplesKDEPrior(*arguments)


def test_weights_have_no_unit():
    with pytest.raises(UnitError, match="SamplesKDEPrior.weights"):
        SamplesKDEPrior([1, 2], [1, 2] * u.TeV)
    assert SamplesKDEPrior([1, 2], [50, 100] * u.percent) == SamplesKDEPrior([1, 2], [0.5, 1.0])


def test_units():
    samples = np.array([1e-8, 2e-8, 4e-8]) / u.m**2 / u.s / u.TeV
    p = Parameter("amplitude", 1e-12, "cm-2 s-1 TeV-1", prior=SamplesKDEPrior(samples, weights=[1, 2, 1]))
    # 1e-8 m-2 is 1e-12 cm-2
    np.testing.assert_allclose(p.prior.samples, [1e-12, 2e-12, 4e-12], rtol=1e-14)
    numbers = SamplesKDEPrior([1e-12, 2e-12, 4e-12], weights=[1, 2, 1])
    assert p.prior_stat_sum() == pytest.approx(numbers.stat(1e-12), rel=1e-12)
    assert Parameter("amplitude", 1e-12, "cm-2 s-1 TeV-1", prior=numbers).prior.unit == u.Unit("cm-2 s-1 TeV-1")
    with pytest.raises(UnitError, match="SamplesKDEPrior has unit 'TeV', expected one convertible to"):
        p.prior = SamplesKDEPrior([1, 2] * u.TeV)
    for given in ([1 * u.TeV, 2000 * u.GeV], Column([1.0, 2.0], unit="TeV")):
        assert SamplesKDEPrior(given) == SamplesKDEPrior([1, 2] * u.TeV)


def test_a_value_that_never_changes():
    given = np.array([1.0, 2.0, -0.0])
    prior = SamplesKDEPrior(given, weights=[1, 2, 1], weight=0.5)
    given[0] = 7.0
    assert prior.samples.tolist() == [1.0, 2.0, 0.0]
    assert prior == SamplesKDEPrior([1, 2, 0.0], [1, 2, 1], 0.5)
    assert hash(prior) == hash(SamplesKDEPrior([1, 2, 0.0], [1, 2, 1], 0.5))
    for other in (SamplesKDEPrior([1, 2, 0.0], [1, 2, 1]), SamplesKDEPrior([1, 2, 0.1], [1, 2, 1], 0.5), "x"):
        assert prior != other
    for one in (prior, pickle.loads(pickle.dumps(prior)), copy.deepcopy(prior), prior.in_unit(u.TeV)):
        with pytest.raises(ValueError, match="read-only"):
            one.samples[0] = 3.0
        with pytest.raises(ValueError, match="read-only"):
            one.weights[0] = 3.0
    assert pickle.loads(pickle.dumps(prior)) == copy.deepcopy(prior) == prior
    with pytest.raises(InputError, match=r"SamplesKDEPrior\.samples: a prior does not change"):
        prior.samples = [1, 2]
    assert repr(prior) == "SamplesKDEPrior(3 samples, mean=1.25, std=1.04881, weight=0.5)"


# -- in a likelihood ---------------------------------------------------------------------------------------------------

PRIORS = [
    SamplesKDEPrior([1.0, 2.0, 4.0]),
    SamplesKDEPrior([0.0, 0.5, 1.0], [1, 5, 2], weight=0.7),
    SamplesKDEPrior([1.0, 2.0, 4.0, 3.0, 2.5]),
    SamplesKDEPrior(RNG.normal(size=400)),
    # one of four has no weight: as many as the first
    SamplesKDEPrior([-1.0, 2.0, 4.0, 0.0], [1, 1, 1, 0]),
]


@pytest.mark.slow
def test_several_lengths_side_by_side():
    pars = Parameters([Parameter(f"p{k}", 0.3 * k, prior=prior) for k, prior in enumerate(PRIORS)])
    theta = pars.value
    penalties, numbers = penalties_of(pars, None)
    with double_precision():
        value, gradient, hessian = map(np.asarray, penalty_derivatives(penalties, numbers, theta, tuple(range(5))))
        plain = float(penalty_stat(penalties, numbers, theta))
    expected = [np.array(exact(prior, x)) * prior.weight for prior, x in zip(PRIORS, theta, strict=True)]
    assert value == pytest.approx(sum(e[0] for e in expected), rel=1e-12)
    assert plain == pytest.approx(value, rel=1e-14)
    assert pars.prior_stat_sum() == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(gradient, [e[1] for e in expected], rtol=1e-11)
    np.testing.assert_allclose(hessian, np.diag([e[2] for e in expected]), rtol=1e-11)


def test_samples_are_arrays_and_arguments():
    _, arrays = pack_priors(Parameters([Parameter("x", 0.0, prior=PRIORS[3])]))
    assert [np.shape(a) for a in jax.tree.leaves(arrays)] == [(400,), (400,), (), (), (), ()]
    traced = []

    def stat(penalties, numbers, theta):
        traced.append(1)
        return penalty_stat(penalties, numbers, theta)

    program = jax.jit(stat, static_argnums=0)
    for shift in (0.0, 1.0):
        prior = SamplesKDEPrior(PRIORS[3].samples + shift)
        penalties, numbers = penalties_of(Parameters([Parameter("x", 0.0, prior=prior)]), None)
        with double_precision():
            assert float(program(penalties, numbers, jnp.array([0.2]))) == pytest.approx(prior.stat(0.2), rel=1e-12)
    assert len(traced) == 1


def measurement(theta, at):
    return ((theta[0] - at) / 0.2) ** 2


@pytest.mark.parametrize("measured", [0.9, 2.0])
def test_a_fit_beside_scipy(measured):
    """A Gaussian measurement times the density of skewed samples, among them and far from them; from near and far starts."""
    rng = np.random.default_rng(5)
    samples, weights = rng.gamma(3.0, 0.2, 250), rng.exponential(size=250)
    kde = gaussian_kde(samples, weights=weights)
    prior = SamplesKDEPrior(samples, weights)

    def stat(x):
        return ((x - measured) / 0.2) ** 2 - 2 * kde.logpdf(x)[0]

    expected = minimize_scalar(stat, bounds=(0, 2), method="bounded", options={"xatol": 1e-10})
    for start in (0.5, prior.mean + 100 * prior.std):
        likelihood = Likelihood.from_function(measurement, [Parameter("x", start, prior=prior)], measured)
        result = Fit(likelihood, backend="newton").run()
        assert result.success
        # the place of a minimum is as sharp as the root of the rounding of the statistic
        assert result.parameters["x"].value == pytest.approx(expected.x, abs=1e-7)
        assert result.total_stat == pytest.approx(expected.fun, rel=1e-10)
