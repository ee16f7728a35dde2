"""Priors and penalties against gammapy, scipy and high precision; derivatives at the corners."""

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u
from scipy import stats

from gammajax import (
    GaussianPrior,
    GaussianPriorPenalty,
    GeneralizedGaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
    UniformPrior,
)
from gammajax.errors import InputError, ModelError, UnitError

# prior, scipy's distribution, points inside, its maximum
TABLE = {
    "gaussian": (GaussianPrior(mu=2.0, sigma=0.3), stats.norm(2.0, 0.3), [1.0, 2.0, 2.7], 2.0),
    "uniform": (UniformPrior(min=-1.0, max=3.0), stats.uniform(-1.0, 4.0), [-0.9, 0.1, 2.9], 1.0),
    "log-uniform": (
        LogUniformPrior(min=1e-14, max=1e-10),
        stats.loguniform(1e-14, 1e-10),
        [2e-14, 1e-12, 9e-11],
        1e-14,
    ),
    "generalised": (
        GeneralizedGaussianPrior(mu=1.0, sigma=0.5, eta=0.3),
        stats.gennorm(1 / 0.3, 1.0, 0.5 * 2**0.5),
        [0.2, 1.0, 1.9],
        1.0,
    ),
    "generalised, gaussian": (
        GeneralizedGaussianPrior(mu=1.0, sigma=0.5, eta=0.5),
        stats.norm(1.0, 0.5),
        [0.2, 1.0, 1.9],
        1.0,
    ),
    "log-normal": (
        LogNormalPrior(mu=2.0, sigma=0.4),
        stats.lognorm(0.4, scale=2.0),
        [0.5, 2.0, 5.0],
        2 * np.exp(-0.16),
    ),
}
rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


@rows
def test_value_is_minus_two_log_density(row):
    prior, density, points, _ = row
    np.testing.assert_allclose([prior.stat(x) for x in points], -2 * density.logpdf(points), rtol=1e-12, atol=1e-12)


@rows
def test_without_constants_it_is_zero_at_its_maximum(row):
    prior, _, points, best = row
    bare = type(prior)(constants=False, **prior.values)
    assert bare.stat(best) == pytest.approx(0.0, abs=1e-12)
    # the difference is a constant
    differences = [prior.stat(x) - bare.stat(x) for x in points]
    np.testing.assert_allclose(differences, differences[0], rtol=1e-12)


@rows
def test_first_and_second_derivative(row):
    """Against differences of the density in 40 digits, at the points and at the maximum."""
    prior, _, points, _ = row
    with jax.enable_x64(True):
        f = lambda x: prior.program(x[None], *prior.numbers())  # noqa: E731
        slope, curvature = jax.grad(f), jax.grad(jax.grad(f))
        found = np.array([[float(slope(x)), float(curvature(x))] for x in np.array(points)])
    formula = {
        GaussianPrior: lambda x, m, s: ((x - m) / s) ** 2,
        UniformPrior: lambda x, a, b: mpmath.mpf(0),
        LogUniformPrior: lambda x, a, b: 2 * mpmath.log(x),
        GeneralizedGaussianPrior: lambda x, m, s, eta: 2 * abs((x - m) / (s * mpmath.sqrt(2))) ** (1 / eta),
        LogNormalPrior: lambda x, m, s: (mpmath.log(x / m) / s) ** 2 + 2 * mpmath.log(x),
    }[type(prior)]
    with mpmath.workdps(40):
        numbers = [mpmath.mpf(n) for n in prior.numbers()[:-1]]
        for x, (first, second) in zip(points, found, strict=True):
            h = mpmath.mpf(10) ** -12 * (abs(mpmath.mpf(x)) or 1)
            low, here, up = (formula(mpmath.mpf(x) + k * h, *numbers) for k in (-1, 0, 1))
            assert first == pytest.approx(float((up - low) / (2 * h)), rel=1e-9, abs=1e-9)
            assert second == pytest.approx(float((up - 2 * here + low) / h**2), rel=1e-9, abs=1e-7)


@rows
def test_gammapy_agrees(row):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    prior, _, points, _ = row
    theirs = getattr(gammapy, type(prior).__name__, None)
    if theirs is None:
        pytest.skip("this gammapy does not have it")
    other = theirs(**{k: u.Quantity(v) for k, v in prior.values.items()}, weight=1.5)
    ours = type(prior)(weight=1.5, **prior.values)
    assert list(prior.values) == other.parameters.names
    for x in points:
        assert ours.stat(x) == pytest.approx(float(other(u.Quantity(x))), rel=1e-12, abs=1e-12)


def test_outside_of_a_range_it_is_infinite_and_limits_the_parameter():
    prior = UniformPrior(min=1.0, max=3.0)
    assert prior.stat(0.999) == np.inf
    par = Parameter("index", 2.0, min=0.0, max=2.5, prior=prior)
    assert par.bounds == (1.0, 2.5)
    assert LogNormalPrior().stat(-1.0) == np.inf


def test_quantities_are_taken_in_the_unit_of_the_parameter():
    par = Parameter("ecut", 2.0, "TeV", prior=GaussianPrior(mu=3000 * u.GeV, sigma=500 * u.GeV, constants=False))
    assert par.prior_stat_sum() == pytest.approx(4.0)
    par.prior = GaussianPrior(mu=3 * u.s, sigma=1)
    with pytest.raises(UnitError, match=r"ecut.prior.mu: got unit 's', expected one convertible to 'TeV'"):
        par.prior_stat_sum()


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="sigma is 0, expected a finite number above 0"):
        GaussianPrior(sigma=0)
    with pytest.raises(InputError, match="unknown 'width'; it has: mu, sigma"):
        GaussianPrior(width=2)
    with pytest.raises(InputError, match="min is 2 and max 1, expected min < max"):
        UniformPrior(min=2.0, max=1.0)
    with pytest.raises(InputError, match=r"index.prior: got 2.0, expected a prior such as GaussianPrior"):
        PowerLawSpectralModel().index.prior = 2.0
    with pytest.raises(InputError, match="symmetric, positive definite"):
        GaussianPriorPenalty([Parameter("a", 1.0)], covariance=[[-1.0]])
    with pytest.raises(ModelError, match="'a' that belongs to none of the models"):
        Models(SkyModel(PowerLawSpectralModel()), [GaussianPriorPenalty([Parameter("a", 1.0)])])


PENALTIES = {
    "L2_penalty": {"lambda_": 2.0},
    "SmoothnessPenalty": {"mean": 0.5},
    "from_diagonal": {"sigma": 2.0, "mean": [1.0, 2.0, 3.0]},
    "from_precision": {"precision": np.diag([1.0, 2.0, 3.0]) + 0.1},
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_equal_gammapys(name):
    gammapy, modeling = pytest.importorskip("gammapy.stats"), pytest.importorskip("gammapy.modeling")
    values = [2.0, 3.0, 5.0]
    ours = getattr(GaussianPriorPenalty, name)(
        [Parameter(n, v) for n, v in zip("abc", values, strict=True)], **PENALTIES[name]
    )
    arguments = dict(PENALTIES[name])
    if "mean" in arguments:
        arguments["mean"] = np.broadcast_to(arguments["mean"], (3,))
    theirs = getattr(gammapy.GaussianPriorPenalty, name)(
        modeling.Parameters([modeling.Parameter(n, v) for n, v in zip("abc", values, strict=True)]), **arguments
    )
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-12)
