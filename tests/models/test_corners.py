"""Where formulas have a 0/0 or lose their digits: value, first and second derivative in 30 digits."""

from functools import partial
from itertools import pairwise

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    BrokenPowerLawSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    Likelihood,
    PowerLawSpectralModel,
    SkyModel,
    SmoothBrokenPowerLawSpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    SuperExpCutoffPowerLaw4FGLDR3SpectralModel,
    SuperExpCutoffPowerLaw4FGLSpectralModel,
)
from gammajax.fit.problem import derivatives as derivatives_of
from gammajax.models import PowerLawNormSpectralModel, bin_rule, flux_per_bin
from gammajax.models.functions import (
    exp_cutoff_power_law,
    gaussian_integral,
    power_law,
    smooth_broken_power_law,
    super_exp_cutoff_4fgl_dr3,
)
from gammajax.models.functions.special import exprel, exprel2
from tests.models.table import TABLE, broken, integral, piecewise_log, super_dr3
from tests.problems import embedded


def derivatives(f, x):
    """Value and two derivatives, both ways of differentiating twice."""
    with jax.enable_x64(True):
        out = [float(g(x)) for g in (f, jax.grad(f), jax.jacfwd(jax.jacfwd(f)), jax.grad(jax.grad(f)))]
    assert out[3] == pytest.approx(out[2], rel=1e-12, abs=1e-300)
    return out[:3]


@pytest.mark.parametrize("t", [0.0, 1e-9, -1e-6, 1e-5, 0.3, -0.5, 0.5, 0.99, -1.0, 1.01, -30.0, 40.0])
@pytest.mark.parametrize(("f", "order"), [(exprel, 1), (exprel2, 2)])
def test_quotients(f, order, t):
    with mpmath.workdps(80):

        def exact(x):
            return (mpmath.exp(x) - 1 - x * (order - 1)) / x**order

        # at 0 the terms of the series
        at_zero = [float(mpmath.factorial(k) / mpmath.factorial(k + order)) for k in range(3)]
        x, h = mpmath.mpf(t), mpmath.mpf(10) ** -20
        expected = [float(mpmath.diff(exact, x, k, h=h)) for k in range(3)] if t else at_zero
    # just outside the series the second derivative of the quotient has lost three digits
    np.testing.assert_allclose(derivatives(f, t), expected, rtol=2e-12)


@pytest.mark.parametrize("index_2", [0.0, 1e-10, -1e-6, 1e-3, 0.5])
@pytest.mark.parametrize("energy", [0.1, 1.5, 1.6, 20.0])
def test_super_exponential_cutoff_through_index_zero(index_2, energy):
    found = derivatives(lambda g: super_exp_cutoff_4fgl_dr3(energy, 1.0, 1.5, 0.3, 1.7, g), index_2)
    with mpmath.workdps(50):
        e = mpmath.mpf(energy)
        f = lambda g: super_dr3(e, mpmath.mpf(1), mpmath.mpf(1.5), mpmath.mpf(0.3), mpmath.mpf(1.7), g)  # noqa: E731
        expected = [float(mpmath.diff(f, mpmath.mpf(index_2), k, h=mpmath.mpf(10) ** -15)) for k in range(3)]
    np.testing.assert_allclose(found, expected, rtol=2e-12, atol=1e-14)


@pytest.mark.parametrize("energy", [0.3, 2.0, 7.0])
def test_smooth_break_with_equal_indices(energy):
    """The power law, as in gammapy, and the mean of the derivatives on both sides of the jump."""
    with jax.enable_x64(True):
        f = lambda g: smooth_broken_power_law(energy, 2.2, g, 1.0, 2.0, 1.5, 0.8)  # noqa: E731
        plain = float(power_law(energy, 2.2, 1.0, 1.5))
        value, slope, curve = derivatives(f, 2.2)
        assert value == pytest.approx(plain, rel=1e-14)
        # both sides are 2^(-+beta) times a smooth function
        sides = [float(jax.grad(f)(2.2 + s)) * 2 ** (0.8 * np.sign(s)) for s in (1e-9, -1e-9)]
    assert slope == pytest.approx(np.mean(sides), rel=1e-7, abs=1e-12)
    assert np.isfinite(curve)
    # and at the break itself, where the second derivative in the index difference is that of the cosh: 0
    assert all(np.isfinite(derivatives(lambda g: smooth_broken_power_law(2.0, 2.2, g, 1.0, 2.0, 1.5, 0.8), 2.2)))


def test_equal_indices_are_gammapys_power_law():
    gammapy = pytest.importorskip("gammapy.modeling.models")
    energy = np.geomspace(0.1, 10, 7) * u.TeV
    theirs = PowerLawSpectralModel()(energy)
    np.testing.assert_allclose(SmoothBrokenPowerLawSpectralModel()(energy).value, theirs.value, rtol=1e-13)
    with np.errstate(all="ignore"):
        again = gammapy.SmoothBrokenPowerLawSpectralModel()(energy)
    np.testing.assert_allclose(again.to_value(theirs.unit), theirs.value, rtol=1e-13)


@pytest.mark.parametrize(("lambda_", "alpha"), [(0.0, 1.0), (-0.1, 1.0), (0.0, 1.5), (0.0, 2.0), (1e-12, 1.0)])
def test_cutoff_at_and_below_lambda_zero(lambda_, alpha):
    value, slope, curve = derivatives(lambda la: exp_cutoff_power_law(2.0, 1.5, 1.0, 1.0, la, alpha), lambda_)
    plain = 2.0**-1.5 * np.exp(-np.sign(lambda_) * abs(2 * lambda_) ** alpha)
    assert value == pytest.approx(plain, rel=1e-14)
    assert slope == pytest.approx(-2.0 * plain if alpha == 1 else 0.0, rel=1e-12, abs=1e-12)
    assert np.isfinite(curve)
    if alpha == 1:
        assert curve == pytest.approx(4.0 * plain, rel=1e-12)


@pytest.mark.parametrize("mean", [0.0, 1.02, 1.5, 3.0, -9.0, 30.0])
@pytest.mark.parametrize(("lo", "hi"), [(1.0, 1.047), (1.0, 1.6), (0.01, 8.0)])
def test_gaussian_in_bins_near_and_far(mean, lo, hi):
    """Relative accuracy in the tails, to 26 sigma, where the difference of error functions has none."""
    found = derivatives(lambda m: gaussian_integral(lo, hi, 1.0, m, 1.1), mean)
    # the difference of error functions, with digits enough
    with mpmath.workdps(400):

        def exact(m):
            return mpmath.ncdf((mpmath.mpf(hi) - m) / mpmath.mpf(1.1)) - mpmath.ncdf(
                (mpmath.mpf(lo) - m) / mpmath.mpf(1.1)
            )

        expected = [float(mpmath.diff(exact, mpmath.mpf(mean), k, h=mpmath.mpf(10) ** -20)) for k in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11 * abs(found[0]))


@pytest.mark.parametrize("partner", [False, True])
@pytest.mark.parametrize("where", [1.0, 1.0 + 1e-14, 1.0 - 1e-14, 1.0 + 1e-6, 1.4, 0.3, 5.0])
def test_break_on_beside_and_off_an_edge(where, partner):
    """Both bins at the edge 1 TeV; on the edge itself the second derivative is the one to the right."""
    form = BrokenPowerLawSpectralModel.form
    theta = [1.6, 3.1, 1.0, where]
    if partner:
        form = (BrokenPowerLawSpectralModel() * PowerLawNormSpectralModel()).form
        theta += [0.5, 1.0, 2.0]
    edges = np.array([0.6, 1.0, 1.8])
    with jax.enable_x64(True):
        rule = bin_rule(edges, form)
        f = lambda b: flux_per_bin(form, rule, [*theta[:3], b, *theta[4:]])  # noqa: E731
        x = np.float64(where)
        slope = jax.jacfwd(f)
        found = np.array(jax.jit(lambda b: (f(b), slope(b), jax.jacfwd(slope)(b)))(x))
    with mpmath.workdps(70):
        step = mpmath.mpf(10) ** -20
        for k in range(2):
            lo, hi = mpmath.mpf(edges[k]), mpmath.mpf(edges[k + 1])

            def exact(b, lo=lo, hi=hi):
                tilt = (lambda e: (e / 2) ** -mpmath.mpf(0.5)) if partner else (lambda e: 1)
                one = lambda e: broken(e, mpmath.mpf(1.6), mpmath.mpf(3.1), 1, b) * tilt(e)  # noqa: E731
                return integral(one, [lo, *([b] if lo < b < hi else []), hi])

            # differences to the right
            f0, f1, f2 = (exact(mpmath.mpf(where) + j * step) for j in range(3))
            expected = [float(f0), float((f1 - f0) / step), float((f2 - 2 * f1 + f0) / step**2)]
            np.testing.assert_allclose(found[:, k], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("row", [r for k, r in TABLE.items() if "," not in k], ids=[k for k in TABLE if "," not in k])
def test_strength_zero_and_negative(row):
    """A model of no flux is 0 with the right slope in its strength, one of negative flux the negative."""
    form, theta = row.make().form, row.theta
    where = [k for k, name in enumerate(form.names) if name in form.linear][:1]
    rule = bin_rule(np.geomspace(0.5, 20, 6), form)
    for k in where:
        with jax.enable_x64(True):

            def f(a, k=k):
                return flux_per_bin(form, rule, [a if j == k else np.float64(t) for j, t in enumerate(theta)])

            f = jax.jit(f)
            zero, one, less = (np.asarray(f(np.float64(a))) for a in (0.0, 1.0, -1.0))
            slope = np.asarray(jax.jacfwd(f)(np.float64(0.0)))
        assert np.all(zero == 0)
        np.testing.assert_allclose(less, -one, rtol=1e-14)
        np.testing.assert_allclose(slope, one, rtol=1e-14)


FAR = {
    "bpl, index 400": (BrokenPowerLawSpectralModel, [1.6, 400.0, 1.0, 2.5]),
    "secpl-3fgl, index_2 3000": (SuperExpCutoffPowerLaw3FGLSpectralModel, [1.0, 1.0, 2.5, 1.6, 3000.0]),
    "secpl-4fgl, index_2 15": (SuperExpCutoffPowerLaw4FGLSpectralModel, [1.0, 1.0, 1e-96, 1.6, 15.0]),
    "secpl-4fgl-dr3, index_2 90": (SuperExpCutoffPowerLaw4FGLDR3SpectralModel, [1.0, 1.0, 1e-32, 1.6, 90.0]),
    "ecpl, alpha 300": (ExpCutoffPowerLawSpectralModel, [1.6, 1.0, 1.0, 0.4, 300.0]),
}


@pytest.mark.parametrize(
    ("cls", "theta"),
    [pytest.param(*v, id=k, marks=[pytest.mark.slow] * ("3fgl" not in k and "bpl" not in k)) for k, v in FAR.items()],
)
def test_nothing_overflows_far_out(cls, theta):
    """Where a fit runs away to: as good as no flux beyond 2.6 TeV, the power law far below, all derivatives finite."""
    form = cls.form
    rule = bin_rule(np.geomspace(1e-2, 1e2, 41), form)
    with jax.enable_x64(True):
        f = jax.jit(lambda t: flux_per_bin(form, rule, tuple(t)))
        t = np.array(theta)
        value, slope, back = np.asarray(f(t)), np.asarray(jax.jacfwd(f)(t)), np.asarray(jax.jacrev(f)(t))
        curve = np.asarray(jax.jacfwd(jax.jacfwd(f))(t))
    for found in (value, slope, back, curve):
        assert np.all(np.isfinite(found))
    largest = np.abs(slope).max(axis=0)
    np.testing.assert_allclose(back / largest, slope / largest, rtol=1e-9, atol=1e-9)
    lo, hi = np.asarray(rule.lo), np.asarray(rule.hi)
    assert np.all(value[lo > 2.6] < 1e-12 * value[0])
    reference = 2.5 if cls is BrokenPowerLawSpectralModel else 1.0
    below = hi < 1.0
    plain = (lo**-0.6 - hi**-0.6) / 0.6 * reference**1.6
    # the exponent is normalised at the reference, 1e-6 for the mildest of these
    np.testing.assert_allclose(value[below], plain[below], rtol=2e-6)


def test_gammapys_scheme_has_finite_derivatives_in_a_cut_off():
    """Where the flux fades to the smallest numbers there are."""
    form = SuperExpCutoffPowerLaw3FGLSpectralModel.form
    rule = bin_rule(np.geomspace(1e-2, 1e2, 61), form, "gammapy")
    with jax.enable_x64(True):
        f = jax.jit(lambda t: flux_per_bin(form, rule, tuple(t)).sum())
        t = np.array([1.0, 1.0, 10.9, 0.9, 2.43])
        slope, curve = np.asarray(jax.grad(f)(t)), np.asarray(jax.hessian(f)(t))
        steps = np.diag(1e-4 * t)
        differences = [(float(f(t + h)) - 2 * float(f(t)) + float(f(t - h))) / h.sum() ** 2 for h in steps]
    assert np.all(np.isfinite(slope))
    # the second difference has an error of 1e-8 of the fourth derivative, and rounding of 1e-16 / 1e-8
    np.testing.assert_allclose(np.diag(curve)[1:], differences[1:], rtol=1e-4)


@partial(jax.jit, static_argnums=0)
def with_derivatives(form, rule, theta):
    f = lambda t: flux_per_bin(form, rule, tuple(t))  # noqa: E731
    return f(theta), jax.jacfwd(f)(theta), jax.jacfwd(jax.jacfwd(f))(theta)


@pytest.mark.parametrize("norm", [1e-3, 1e-120, 1e-200, 1e-300, 0.0, -1.0])
def test_a_norm_that_vanishes_between_nodes(norm):
    """Logarithms are interpolated: from next to nothing the norm rises by hundreds of orders of magnitude within a bin."""
    form = TABLE["piecewise-norm"].make().form
    edges = np.array([0.1, 0.25, 0.7, 1.0, 1.2, 3.0])
    with jax.enable_x64(True):
        found = with_derivatives(form, bin_rule(edges, form), np.array([norm, 1.2, 0.8, 2.0]))
    value, slope, curve = (np.asarray(a) for a in found)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
    # of smaller ones the second derivative, which goes with 1/norm^2, is no number
    assert norm < 1e-150 or np.isfinite(curve).all()
    if norm <= 0:
        # gammapy's, the smallest number there is
        assert np.all(slope[:, 0] == 0)
        return
    with mpmath.workdps(30):
        n, step = mpmath.mpf(norm), mpmath.mpf(10) ** -8

        def exact(lo, hi, change):
            norms = [n * (1 + change), mpmath.mpf(1.2), mpmath.mpf(0.8), mpmath.mpf(2)]
            points = sorted({lo, hi, *(b for b in (0.3, 1.1, 2.4) if lo < b < hi)})
            total = mpmath.mpf(0)
            for a, b in pairwise(mpmath.mpf(float(p)) for p in points):
                # a power law in between
                fa, fb = (
                    x * piecewise_log(x, *norms)
                    for x in (a * (1 + mpmath.mpf(10) ** -25), b * (1 - mpmath.mpf(10) ** -25))
                )
                total += fa * mpmath.log(b / a) if fa == fb else (fb - fa) * mpmath.log(b / a) / mpmath.log(fb / fa)
            return total

        for k, (lo, hi) in enumerate(pairwise(edges)):
            low, middle, up = (exact(lo, hi, s * step) for s in (-1, 0, 1))
            expected = [float(middle), float((up - low) / (2 * step)), float((up - 2 * middle + low) / step**2)]
            scaled = [value[k], slope[k, 0] * norm, curve[k, 0, 0] * norm * norm]
            if middle > 1e-290:
                np.testing.assert_allclose(scaled[:2], expected[:2], rtol=1e-9, atol=1e-10 * expected[0])
                if norm > 1e-150:
                    assert scaled[2] == pytest.approx(expected[2], rel=1e-8, abs=1e-9 * expected[0])


def test_compiled_derivatives_where_the_square_of_a_flux_is_no_number():
    """A compiler may divide by a product of two of them."""
    dataset = embedded()
    dataset.compatibility = "gammapy"
    dataset.models = SkyModel(SuperExpCutoffPowerLaw3FGLSpectralModel(), "s")
    likelihood = Likelihood(dataset)
    theta = np.array([{"amplitude": 1.97e-12, "reference": 1, "ecut": 10.7546, "index_1": 0.57, "index_2": 2.59}[n.split(".")[-1]] for n in likelihood.names])  # fmt: skip
    _, gradient, hessian = derivatives_of(likelihood, theta)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(hessian))
    k = likelihood.names.index("s.spectral.ecut")
    step = 1e-5 * np.eye(len(theta))[k]
    values = [derivatives_of(likelihood, theta + sign * step)[0] for sign in (1, -1)]
    # 1e-10 of the third derivative, and rounding of 1e-14 / 1e-5
    assert gradient[k] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)
