import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from gammajax import Fit, Likelihood
from gammajax.errors import FitError, InputError
from gammajax.fit.problem import derivatives
from gammajax.fit.resolve import parameter_index
from gammajax.scan import Refit
from gammajax.scan.crossing import Rays, find_crossings, whitened
from tests.problems import MINOS, at_limit, embedded, many_parameters, stacked, two_minima
from tests.scan.serial import reference

pytestmark = pytest.mark.usefixtures("batched_program")

PAIRS = [("amplitude", "alpha"), ("amplitude", "beta"), ("alpha", "beta")]


@pytest.fixture(scope="module")
def fitted():
    d = embedded()
    Fit([d], backend="newton").run()
    return Fit([d]), d


def refit_of(datasets):
    likelihood = Likelihood(datasets)
    stat, _, hessian = derivatives(likelihood, likelihood.start)
    return Refit(likelihood, hessian), stat


# -- the search itself, on functions that are known ------------------------------------------------------------------


class Known:
    """Stands for a Refit over one parameter whose TS is a given function of the distance."""

    def __init__(self, function, slope, upper=np.inf):
        self.function, self.derivative = function, slope
        self.best, self.hessian, self.scale = np.zeros(1), np.full((1, 1), 2.0), np.ones(1)
        self.third = None
        self.likelihood = type(
            "L", (), {"free": np.array([True]), "lower": np.array([-np.inf]), "upper": np.array([upper])}
        )

    def run(self, starts, again, free, derivatives=False):
        t = starts[:, 0]
        n = len(t)
        stat = self.function(t)
        status = np.where(np.isfinite(stat), 0, 4)
        from gammajax.solve import BatchResult

        return BatchResult(
            stat, starts, np.zeros(n), np.ones(n, int), status, self.derivative(t)[:, None], np.full((n, 1, 1), 2.0)
        )


FUNCTIONS = {
    "parabola": (lambda t: t**2, lambda t: 2 * t, np.inf, 2.0),
    "quartic": (lambda t: t**4, lambda t: 4 * t**3, np.inf, 2**0.5),
    "steep": (lambda t: np.expm1(t**2), lambda t: 2 * t * np.exp(t**2), np.inf, np.log(5) ** 0.5),
    "flat at first": (lambda t: np.maximum(t - 20, 0) ** 2, lambda t: 2 * np.maximum(t - 20, 0), np.inf, 22.0),
    "finite before a wall": (lambda t: np.where(t < 3, t**2, np.inf), lambda t: 2 * t, np.inf, 2.0),
    "never": (lambda t: 3 * t**2 / (1 + t**2), lambda t: 6 * t / (1 + t**2) ** 2, np.inf, "does not close"),
    "limit first": (lambda t: t**2, lambda t: 2 * t, 1.5, "limit of the parameter comes first, at TS = 2.25 of 4"),
    "on the limit": (lambda t: t**2, lambda t: 2 * t, 0.0, "the best fit is on that limit"),
    "jump": (lambda t: np.where(t < 1, t, 9.0 + t), lambda t: np.ones_like(t), np.inf, "it jumps over the level"),
    "wall": (lambda t: np.where(t < 1, t, np.nan), lambda t: np.ones_like(t), np.inf, "re-fits beyond it fail"),
    # the first crossing counts: Newton lands on the second, a look inside finds the bump
    "bump": (
        lambda t: t**2 + 5 * np.exp(-(((t - 1.2) / 0.3) ** 2)),
        lambda t: 2 * t - 5 * np.exp(-(((t - 1.2) / 0.3) ** 2)) * 2 * (t - 1.2) / 0.09,
        np.inf,
        None,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_crossing_of_known_functions(name):
    function, slope, upper, expected = FUNCTIONS[name]
    rays = Rays(np.array([[True]]), np.array([[1.0]]), np.array([4.0]))
    out = find_crossings(Known(function, slope, upper), rays, 0.0)
    if isinstance(expected, str):
        assert np.isnan(out.t[0])
        assert expected in out.reason[0]
        return
    if expected is None:
        expected = brentq(lambda t: function(t) - 4, 0, 1.2)
    assert out.reason[0] == ""
    assert out.t[0] == pytest.approx(expected, abs=2e-6)


def test_whitened_is_a_root_of_the_covariance():
    covariance = np.array([[4e-24, 1.2e-12], [1.2e-12, 1.0]])
    root = whitened(covariance, np.ones(2))
    np.testing.assert_allclose(root @ root.T, covariance, rtol=1e-12)
    np.testing.assert_array_equal(whitened(np.full((2, 2), np.nan), np.array([1.0, 2.0])), np.diag([1.0, 2.0]))


# -- intervals -------------------------------------------------------------------------------------------------------


def test_intervals_of_all_parameters_are_crossings(fitted):
    fit, d = fitted
    table = fit.confidence(sigma=[1, 2])
    assert table.success
    refit, stat = refit_of([d])
    assert set(table) == {"crab.spectral.amplitude", "crab.spectral.alpha", "crab.spectral.beta"}
    for name, row in table.items():
        index, live, _ = parameter_index(refit.likelihood, name)
        for one in row:
            for sign, distance in ((-1, one.errn), (1, one.errp)):
                value = (live.value + sign * distance) * live.factor
                ts = reference(refit.likelihood, [index], np.array([[value]]))[0] - stat
                assert ts == pytest.approx(one.sigma**2, abs=3e-6)
    assert table["alpha", 2] is table["alpha"][1]
    assert len(table.to_table()) == 6
    # alpha has an upper limit of 3, less than three sigma away
    assert "limit of the parameter comes first" in fit.confidence("alpha", 3).message


def test_intervals_equal_minos(fitted):
    """MINOS ends where TS is up to 2e-4 from the level, whatever its tolerance (ours is 1e-6): they agree to that."""
    fit, _ = fitted
    for name in ("amplitude", "alpha", "beta"):
        ours, minuit = fit.confidence(name), fit.confidence(name, backend="minuit")
        for side in ("errn", "errp"):
            # at one sigma TS changes by about twice the relative change of the error
            assert 2 * abs(ours[side] / minuit[side] - 1) < 2.5e-4


def test_intervals_of_the_tutorial(hess_files):
    d = stacked(hess_files)
    fit = Fit([d], backend="newton")
    fit.run()
    for name, (low, high) in MINOS.items():
        found = fit.confidence(name)
        assert found["success"]
        assert found["errn"] == pytest.approx(low, rel=5e-5)
        assert found["errp"] == pytest.approx(high, rel=5e-5)


def test_interval_on_a_limit_is_nan_with_a_reason():
    d = at_limit()
    Fit([d], backend="newton").run()
    table = Fit([d]).confidence(sigma=[1, 2])
    beta = table["beta"]
    assert all(np.isnan(one.errp) and not one.success for one in beta)
    assert all("upper side: the best fit is on that limit" in one.message for one in beta)
    assert all(one.errn > 0 for one in beta)
    assert all(one.success for one in table["alpha"])
    assert not table.success


@pytest.mark.slow
def test_intervals_of_nine_parameters():
    datasets = many_parameters()
    Fit(datasets, backend="newton").run()
    table = Fit(datasets).confidence()
    assert len(table) == 9
    for name, row in table.items():
        error = datasets.models.parameters[name].error
        if row[0].success:
            assert 0.5 < row[0].errp / error < 2


@pytest.mark.slow
def test_a_better_minimum_on_the_way_is_an_error():
    d = two_minima()
    Fit([d], backend="newton").run()
    d.models["hard"].spectral_model.index.value *= 1.2
    with pytest.raises(FitError, match="not at the lowest: a re-fit found a statistic lower by"):
        Fit([d]).confidence()


@pytest.fixture(scope="module")
def two_branches():
    """TS(x) is 1.5 x^2 where y is about 1, and 1 + 0.5 x^2 where it is about -1: lower from x = 1 on."""

    def stat(theta):
        x, y, z = theta
        return 8 * (y**2 - 1) ** 2 + x**2 * (1 + 0.5 * y) + 0.5 * (1 - y) + z**2

    fit = Fit(Likelihood.from_function(stat, {"x": 0.1, "y": 0.9, "z": 0.1}))
    best = fit.run(backend="newton").total_stat

    def lowest(x, z=0.0):
        """TS with y re-fitted: it is a polynomial, so that the lowest of its stationary points is the minimum."""
        roots = np.roots([32, 0, -32, 0.5 * x**2 - 0.5])
        return min(stat((x, y.real, z)) for y in roots if abs(y.imag) < 1e-9) - best

    return fit, lowest


def test_intervals_from_several_starts_find_the_other_branch(two_branches):
    fit, lowest = two_branches
    one = fit.confidence("x", 2)
    assert one.starts == 1
    assert "follow the branch of the best fit" in str(one)
    assert lowest(one.errp) < 3  # 4 on its own branch only
    several = fit.confidence("x", 2, starts=8)
    assert "best of 8 starts" in str(several)
    for distance in (several.errn, several.errp):
        assert lowest(distance) == pytest.approx(4, abs=1e-5)
    limit = fit.upper_limit("x", 0.95, starts=8)
    assert limit.starts == 8
    assert lowest(limit.value) == pytest.approx(limit.ts, abs=1e-5)


def test_contours_from_several_starts_find_the_other_branch(two_branches):
    fit, lowest = two_branches
    one, several = (fit.stat_contour("x", "z", 16, 2, starts=n) for n in (1, 8))
    assert min(lowest(x, z) for x, z in zip(one.x, one.y, strict=True)) < 3
    assert several.success
    np.testing.assert_allclose([lowest(x, z) for x, z in zip(several.x, several.y, strict=True)], 4, atol=1e-3)
    assert "best of 8 starts" in str(several)


def test_starts_of_intervals_are_refused_where_they_cannot_be(fitted):
    fit, _ = fitted
    with pytest.raises(InputError, match="from one start; leave device and starts out"):
        fit.confidence("alpha", backend="minuit", starts=2)
    with pytest.raises(InputError, match="from one start; leave device and starts out"):
        fit.stat_contour("alpha", "beta", backend="minuit", starts=2)
    with pytest.raises(InputError, match="got starts=0"):
        fit.confidence(starts=0)
    with pytest.raises(InputError, match="got starts='a'"):
        fit.confidence(starts="a")


def test_upper_limit_is_the_one_sided_crossing(fitted):
    fit, d = fitted
    found = fit.upper_limit("beta", cl=0.95)
    assert found.success
    assert found.ts == pytest.approx(norm.ppf(0.95) ** 2)
    refit, stat = refit_of([d])
    index, live, _ = parameter_index(refit.likelihood, "beta")
    ts = reference(refit.likelihood, [index], np.array([[found.value * live.factor]]))[0] - stat
    assert ts == pytest.approx(2.7055, abs=1e-4)
    assert "95 % CL" in str(found)
    with pytest.raises(InputError, match="got cl=0.3"):
        fit.upper_limit("beta", cl=0.3)


# -- contours --------------------------------------------------------------------------------------------------------


def test_contours_of_all_pairs_are_on_the_level(fitted):
    fit, d = fitted
    found = fit.stat_contours(numpoints=12, sigma=[1, 2])
    assert len(found) == 6
    refit, stat = refit_of([d])
    for c in found:
        assert c.success
        assert c.method == "rays"
        index = [parameter_index(refit.likelihood, n) for n in c.names]
        values = np.stack([c.x * index[0][1].factor, c.y * index[1][1].factor], axis=1)
        ts = reference(refit.likelihood, [i[0] for i in index], values) - stat
        np.testing.assert_allclose(ts, c.sigma**2, atol=3e-6)
        # in order, around the best fit
        angle = np.unwrap(np.arctan2((c.y - index[1][1].value) / np.ptp(c.y), (c.x - index[0][1].value) / np.ptp(c.x)))
        assert np.all(np.diff(angle) > 0)
        assert angle[-1] - angle[0] < 2 * np.pi


def test_contour_runs_through_mncontour(fitted):
    """The points of MINUIT lie on the level that ours is drawn at, and the other way round."""
    fit, d = fitted
    minuit = fit.stat_contour("alpha", "beta", numpoints=10, sigma=2, backend="minuit")
    assert minuit.method == "mncontour"
    refit, stat = refit_of([d])
    ts = reference(refit.likelihood, [2, 3], np.stack([minuit.x, minuit.y], axis=1)) - stat
    np.testing.assert_allclose(ts, 4, atol=1e-3)
    ours = fit.stat_contour("alpha", "beta", numpoints=72, sigma=2)
    for values, other in ((ours.x, minuit.x), (ours.y, minuit.y)):
        assert values.max() == pytest.approx(other.max(), abs=0.01 * np.ptp(other))
        assert values.min() == pytest.approx(other.min(), abs=0.01 * np.ptp(other))


def test_joint_confidence_level(fitted):
    fit, _ = fitted
    found = fit.stat_contour("alpha", "beta", cl=0.68)
    assert found.sigma**2 == pytest.approx(chi2.ppf(0.68, 2))
    assert found.joint_probability == pytest.approx(0.68)
    with pytest.raises(InputError, match="give one of them"):
        fit.stat_contour("alpha", "beta", sigma=1, cl=0.68)
    with pytest.raises(InputError, match="joint confidence level between 0 and 1"):
        fit.stat_contour("alpha", "beta", cl=68)


def test_a_contour_that_leaves_the_limits_is_traced_from_a_surface():
    d = embedded()
    best = Fit([d], backend="newton").run().parameters["beta"]
    beta = d.models[0].spectral_model.beta
    beta.max = best.value + 0.7 * best.error
    fit = Fit([d])
    found = fit.stat_contour("alpha", "beta", numpoints=16)
    assert found.method == "surface"
    assert not found.success
    assert "traced from a" in found.message
    assert "limit" in found.message
    assert np.all(found.y <= beta.max * (1 + 1e-12))
    np.testing.assert_allclose(found.ts, 1, atol=1e-3)


def test_a_region_that_is_not_star_shaped_is_traced_from_a_surface():
    """Index and strength of one of two power laws: a long, bent valley."""
    d = two_minima()
    fit = Fit([d], backend="newton")
    fit.run()
    found = fit.stat_contour("hard.spectral.index", "hard.spectral.amplitude", numpoints=24, sigma=2)
    if found.method == "rays":
        np.testing.assert_allclose(found.ts, 4, atol=1e-3)
    else:
        assert "traced from a" in found.message
