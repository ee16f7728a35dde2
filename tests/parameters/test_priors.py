"""Priors against scipy, gammapy and mpmath: values, first and second derivatives; how they stay with a parameter."""

from functools import partial

import jax
import mpmath
import numpy as np
import pytest
import scipy.stats
from astropy import units as u

from gammajax.errors import InputError, UnitError
from gammajax.parameters import (
    GaussianPenalty,
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Parameter,
    Parameters,
    Prior,
    SamplesKDEPrior,
    UniformPrior,
    pack,
    pack_priors,
    prior_classes,
    prior_stat,
)
from gammajax.parameters.priors import PriorValue
from gammajax.units import double_precision

# class, values, points inside the support, the distribution of scipy, its logarithm in mpmath
TABLE = {
    "gauss": (
        GaussianPrior, {"mu": 2.3, "sigma": 0.1}, [2.0, 2.3, 2.5],
        lambda v: scipy.stats.norm(v["mu"], v["sigma"]),
        lambda x, v: -((x - v["mu"]) ** 2) / (2 * v["sigma"] ** 2) - mpmath.log(v["sigma"] * mpmath.sqrt(2 * mpmath.pi)),
    ),
    "uniform": (
        UniformPrior, {"min": 1.0, "max": 3.0}, [1.0, 2.2, 3.0],
        lambda v: scipy.stats.uniform(v["min"], v["max"] - v["min"]),
        lambda x, v: -mpmath.log(v["max"] - v["min"]),
    ),
    "log uniform": (
        LogUniformPrior, {"min": 1e-14, "max": 1e-10}, [2e-14, 1e-12, 9e-11],
        lambda v: scipy.stats.loguniform(v["min"], v["max"]),
        lambda x, v: -mpmath.log(x) - mpmath.log(mpmath.log(v["max"] / v["min"])),
    ),
    "generalised, default": (
        GeneralizedGaussianPrior, {"mu": 2.0, "sigma": 0.2, "eta": 0.5}, [1.5, 2.0, 2.7],
        lambda v: scipy.stats.gennorm(1 / v["eta"], v["mu"], v["sigma"] * np.sqrt(2)),
        lambda x, v: _gennorm(x, v),
    ),
    "generalised, box-like": (
        GeneralizedGaussianPrior, {"mu": 2.0, "sigma": 0.2, "eta": 0.2}, [1.7, 2.0, 2.31],
        lambda v: scipy.stats.gennorm(1 / v["eta"], v["mu"], v["sigma"] * np.sqrt(2)),
        lambda x, v: _gennorm(x, v),
    ),
    "generalised, Laplace": (
        GeneralizedGaussianPrior, {"mu": 2.0, "sigma": 0.2, "eta": 1.0}, [1.7, 2.31],
        lambda v: scipy.stats.gennorm(1 / v["eta"], v["mu"], v["sigma"] * np.sqrt(2)),
        lambda x, v: _gennorm(x, v),
    ),
    "log normal": (
        LogNormalPrior, {"mu": 2.0, "sigma": 0.4}, [0.3, 2.0, 5.0],
        lambda v: scipy.stats.lognorm(v["sigma"], scale=v["mu"]),
        lambda x, v: -mpmath.log(x / v["mu"]) ** 2 / (2 * v["sigma"] ** 2)
        - mpmath.log(x * v["sigma"] * mpmath.sqrt(2 * mpmath.pi)),
    ),
    "samples": (
        SamplesKDEPrior, {"samples": [1.9, 2.0, 2.3, 2.35, 2.7]}, [1.5, 2.3, 3.0],
        lambda v: scipy.stats.gaussian_kde(v["samples"]),
        lambda x, v: _kde(x, v["samples"], [1] * 5),
    ),
    "samples of fluxes, weighted": (
        SamplesKDEPrior, {"samples": [1e-12, 1.1e-12, 1.5e-12, 2e-12], "weights": [1.0, 0.5, 0.0, 3.0]}, [5e-13, 1.6e-12, 2e-12],
        lambda v: scipy.stats.gaussian_kde(v["samples"], weights=v["weights"]),
        lambda x, v: _kde(x, v["samples"], v["weights"]),
    ),
}  # fmt: skip


def _gennorm(x, v):
    beta, scale = 1 / mpmath.mpf(v["eta"]), v["sigma"] * mpmath.sqrt(2)
    # |z|^beta is a polynomial for the even powers, so that mpmath.diff may step across the centre
    z = (x - v["mu"]) / scale
    power = z**2 if beta == 2 else abs(z) ** beta
    return -power + mpmath.log(beta / (2 * scale * mpmath.gamma(1 / beta)))


def _kde(x, samples, weights):
    total = mpmath.fsum(weights)
    w = [one / total for one in weights]
    mean = mpmath.fsum(a * s for a, s in zip(w, samples, strict=True))
    squares = mpmath.fsum(a * a for a in w)
    variance = mpmath.fsum(a * (s - mean) ** 2 for a, s in zip(w, samples, strict=True)) / (1 - squares)
    h = mpmath.sqrt(variance) * squares ** mpmath.mpf("0.2")
    density = mpmath.fsum(a * mpmath.exp(-(((x - s) / h) ** 2) / 2) for a, s in zip(w, samples, strict=True))
    return mpmath.log(density) - mpmath.log(h * mpmath.sqrt(2 * mpmath.pi))


def _exact(value):
    return [mpmath.mpf(v) for v in value] if isinstance(value, list) else mpmath.mpf(value)


def derivatives(prior, x):
    def f(t):
        return prior.weight * type(prior).function(t, *prior.values)

    with double_precision():
        return [float(g(x)) for g in (f, jax.grad(f), jax.grad(jax.grad(f)))]


@pytest.mark.parametrize("case", TABLE)
def test_values_are_those_of_scipy(case):
    cls, values, points, distribution, _ = TABLE[case]
    expected = -2 * distribution(values).logpdf(points)
    np.testing.assert_allclose(cls(**values).stat(points), expected, rtol=1e-12)
    np.testing.assert_allclose(cls(**values, weight=0.5).stat(points), expected / 2, rtol=1e-12)


@pytest.mark.parametrize("case", TABLE)
def test_value_and_derivatives_are_those_of_mpmath(case):
    cls, values, points, _, log_density = TABLE[case]
    exact = {k: _exact(v) for k, v in values.items()}

    def at(t, x):
        # around the point in units of itself: amplitudes are 1e-12
        return -2 * log_density(mpmath.mpf(x) * (1 + t), exact)

    with mpmath.workdps(40):
        for x in points:
            expected = np.array([float(mpmath.diff(partial(at, x=x), 0, n) / mpmath.mpf(x) ** n) for n in range(3)])
            scale = np.maximum(1.0, np.abs(expected))
            np.testing.assert_allclose(np.array(derivatives(cls(**values), x)) / scale, expected / scale, atol=1e-11)


@pytest.mark.parametrize("case", TABLE)
def test_without_constants_only_a_constant_is_missing(case):
    cls, values, points, *_ = TABLE[case]
    prior = cls(**values)
    difference = prior.stat(points) - prior.stat(points, constants=False)
    np.testing.assert_allclose(difference, difference[0], rtol=1e-12, atol=1e-12)
    assert GaussianPrior().stat(0.0, constants=False) == 0.0


@pytest.mark.parametrize("case", TABLE)
def test_live_gammapy(case):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    cls, values, points, *_ = TABLE[case]
    if not hasattr(gammapy, cls.__name__):
        pytest.skip(f"this gammapy has no {cls.__name__}")
    from gammapy.modeling import Parameter as TheirParameter

    theirs = getattr(gammapy, cls.__name__)(**values)
    theirs.weight = 0.7
    expected = [theirs(TheirParameter("x", x)) for x in points]
    np.testing.assert_allclose(cls(**values, weight=0.7).stat(points), expected, rtol=1e-12)
    if cls.declared:
        defaults = [p.value for p in getattr(gammapy, cls.__name__)().parameters]
        assert cls().values.tolist() == defaults


@pytest.mark.parametrize(
    ("prior", "x"),
    [
        (UniformPrior(), -0.1),
        (UniformPrior(), 1.1),
        (LogUniformPrior(), -1.0),
        (LogUniformPrior(), 0.0),
        (LogNormalPrior(), 0.0),
        (LogNormalPrior(), -3.0),
    ],
)
def test_outside_the_support_is_infinite_with_finite_derivatives(prior, x):
    assert derivatives(prior, x) == [np.inf, 0.0, 0.0]


def test_the_kink_of_laplace_has_finite_derivatives():
    value, first, second = derivatives(GeneralizedGaussianPrior(mu=1.0, sigma=0.5, eta=1.0), 1.0)
    assert np.isfinite(value)
    assert (first, second) == (0.0, 0.0)


def test_every_class_is_in_the_table():
    ours = {n for n, c in prior_classes().items() if c.__module__.startswith("gammajax")}
    assert ours == {row[0].__name__ for row in TABLE.values()}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GaussianPrior(mean=1), "GaussianPrior: unknown value 'mean'; it has: mu, sigma, weight"),
        (lambda: GaussianPrior(sigma=0), "GaussianPrior.sigma: got 0, expected a number above 0"),
        (lambda: GaussianPrior(mu=np.nan), "GaussianPrior.mu: got nan, expected a finite number"),
        (lambda: GaussianPrior(mu="2"), "GaussianPrior.mu: got '2'"),
        (lambda: GaussianPrior(weight=-1), "GaussianPrior.weight: got -1.0"),
        (lambda: UniformPrior(min=2, max=1), "got min=2 and max=1, expected min below max"),
        (lambda: LogUniformPrior(min=0), "LogUniformPrior.min: got 0, expected a number above 0"),
        (lambda: setattr(GaussianPrior(), "mu", 3), "a prior does not change; set a new one"),
        (lambda: Parameter("x", 1, prior="gauss"), "x.prior: got 'gauss', expected a prior such as"),
    ],
)
def test_refusals(make, text):
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        make()


def test_units():
    flux = u.Unit("cm-2 s-1 TeV-1")
    p = Parameter(
        "amplitude", 1e-12, flux, prior=GaussianPrior(mu=2e-8 / u.m**2 / u.s / u.TeV, sigma=1e-8 / u.m**2 / u.s / u.TeV)
    )
    # 2e-8 m-2 is 2e-12 cm-2
    assert p.prior.mu == pytest.approx(2e-12, rel=1e-14)
    assert p.prior.stat(p.value, constants=False) == pytest.approx(1.0, rel=1e-12)
    p.quantity = p.quantity.to("m-2 s-1 TeV-1")
    assert p.prior_stat_sum() == pytest.approx(p.prior.in_unit(p.unit).stat(1e-8), rel=1e-12)
    with pytest.raises(UnitError, match="GaussianPrior has unit 'TeV', expected one convertible to"):
        p.prior = GaussianPrior(mu=1 * u.TeV, sigma=1 * u.TeV)
    with pytest.raises(UnitError, match=r"GaussianPrior.sigma: got 1.0 without a unit, but another value has 'TeV'"):
        GaussianPrior(mu=1 * u.TeV)


def test_support_limits_the_fit():
    p = Parameter("x", 2.0, min=1.5, prior=UniformPrior(min=1, max=3))
    assert p.bounds == (1.5, 3.0)
    assert (p.min, np.isnan(p.max)) == (1.5, True)
    assert pack(Parameters([p])).upper.tolist() == [3.0]


def test_a_prior_stays_with_copies_and_tables():
    p = Parameter("x", 2.0, prior=GaussianPrior(mu=1, sigma=2))
    snap = p.snapshot("m.x")
    p.prior = None
    assert snap.prior.mu == 1.0
    with pytest.raises(InputError, match="read-only"):
        snap.prior = None
    assert Parameters([snap, p]).to_table()["prior"].tolist() == ["GaussianPrior", ""]


# -- penalties ---------------------------------------------------------------------------------------------------------

COVARIANCE = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.5]])
PENALTIES = {
    "covariance": ({}, {"mean": [0.5, 1, 1.5], "covariance": COVARIANCE}, None),
    "default": ({}, {}, None),
    "precision": ({"precision": np.linalg.inv(COVARIANCE)}, {"mean": [1, 1, 1]}, "from_precision"),
    "diagonal": ({"sigma": [1.0, 2.0, 3.0]}, {"mean": 0.5}, "from_diagonal"),
    "l2": ({}, {"mean": [1, 2, 3.5]}, "l2"),
    "smoothness": ({}, {}, "smoothness"),
}
THEIR_NAMES = {"l2": "L2_penalty", "smoothness": "SmoothnessPenalty"}


@pytest.mark.parametrize("case", PENALTIES)
def test_penalties_are_those_of_gammapy(case):
    statistics = pytest.importorskip("gammapy.stats.fit_statistics")
    from gammapy.modeling import Parameter as TheirParameter
    from gammapy.modeling import Parameters as TheirParameters

    first, keywords, method = PENALTIES[case]
    values = [1.2, 0.4, 3.3]
    ours = getattr(GaussianPenalty, method or "__call__") if method else GaussianPenalty
    theirs = statistics.GaussianPriorPenalty
    theirs = getattr(theirs, THEIR_NAMES.get(method, method)) if method else theirs
    pars = TheirParameters([TheirParameter(f"p{i}", v) for i, v in enumerate(values)])
    expected = theirs(pars, **first, **keywords, lambda_=1.7).stat_sum()
    penalty = ours([Parameter(f"p{i}", v) for i, v in enumerate(values)], **first, **keywords, weight=1.7)
    assert penalty.stat() == pytest.approx(expected, rel=1e-12)


def test_a_penalty_with_its_constants_is_the_density():
    covariance, mean, x = [[0.04, 0.01], [0.01, 0.09]], [2.0, 0.5], [2.1, 0.2]
    penalty = GaussianPenalty([Parameter("a", x[0]), Parameter("b", x[1])], mean, covariance, weight=1.7)
    expected = -2 * scipy.stats.multivariate_normal(mean, covariance).logpdf(x)
    assert penalty.stat(constants=True) == pytest.approx(1.7 * expected, rel=1e-12)
    assert penalty.stat(mean, constants=True) == pytest.approx(
        1.7 * np.linalg.slogdet(2 * np.pi * np.array(covariance))[1]
    )
    assert penalty.stat(mean) == 0


def test_penalty_of_amplitudes_beside_indices():
    pars = [Parameter("a", 2e-12), Parameter("b", 3.0)]
    penalty = GaussianPenalty(pars, [1e-12, 2.0], [[1e-24, 5e-13], [5e-13, 1.0]])
    # by hand: correlation 1/2, both one sigma away: (1 - 2 rho + 1) / (1 - rho^2)
    assert penalty.stat() == pytest.approx(1 / 0.75, rel=1e-9)


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.eye(3), r"got covariance of shape \(3, 3\), expected \(2, 2\)"),
        ([[1, 0.5], [0.4, 1]], "the covariance is not symmetric"),
        ([[1, 2], [2, 1]], "the covariance is not positive definite"),
    ],
)
def test_penalty_refusals(matrix, text):
    with pytest.raises(InputError, match=text):
        GaussianPenalty([Parameter("a", 1), Parameter("b", 1)], covariance=matrix)


# -- what a likelihood takes -------------------------------------------------------------------------------------------


def test_packed_priors_add_up_and_other_numbers_compile_nothing():
    flux = u.Unit("m-2 s-1 TeV-1")
    a = Parameter("a", 2e-8, flux)
    a.internal_unit = u.Unit("cm-2 s-1 TeV-1")
    b, c = Parameter("b", 2.0), Parameter("c", 0.5)
    traced = []

    def total(structure, arrays, theta):
        traced.append(1)
        return prior_stat(structure, arrays, theta)

    program = jax.jit(total, static_argnums=0)
    for shift in (0.0, 0.3):
        a.prior = GaussianPrior(mu=1e-8 + shift * 1e-8, sigma=1e-8)
        b.prior = GeneralizedGaussianPrior(mu=1 + shift, sigma=0.5, weight=2 - shift)
        penalty = GaussianPenalty([b, c], [shift, 0], COVARIANCE[:2, :2], weight=1 + shift)
        pars = Parameters([a, b, c])
        structure, arrays = pack_priors(pars, [penalty])
        hash(structure)
        with double_precision():
            got = float(program(structure, arrays, pack(pars).theta))
        assert got == pytest.approx(pars.prior_stat_sum() + penalty.stat(), rel=1e-13)
    assert len(traced) == 1


def test_a_penalty_on_a_foreign_parameter_is_refused():
    with pytest.raises(InputError, match="parameter 'z' is in no model of the fit"):
        pack_priors(Parameters([Parameter("a", 1)]), [GaussianPenalty.l2([Parameter("z", 1)])])


def test_a_prior_of_ones_own_joins_by_its_declaration():
    class Quadratic(Prior):
        declared = (PriorValue("centre", 1.0),)

        @staticmethod
        def function(x, centre, constants=True):
            return (x - centre) ** 2

    assert prior_classes()["Quadratic"] is Quadratic
    assert Parameter("x", 4.0, prior=Quadratic(centre=2)).prior_stat_sum() == 4.0
