"""Spectra steeper than usual: bin integrals by the nodes that their values ask for, against closed forms."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u
from mpmath import mpf

import gammajax.models as gm
from gammajax.errors import InputError
from gammajax.models import bin_rule, flux_per_bin
from gammajax.models.form import affine_form, scaled_form, weighted_form
from gammajax.models.nodes import nodes_for, reach
from gammajax.models.steep import reaches, steeper_rule

A = 3e-12
LEAST = 1e-290


def bell(lo, hi, a, r, alpha, beta):
    """Integral of A (E/E0)^(-alpha - beta ln(E/E0)), by error functions."""
    if beta == 0:
        k = 1 - alpha
        return a * r * (mpmath.log(hi / lo) if k == 0 else ((hi / r) ** k - (lo / r) ** k) / k)
    k, s = 1 - alpha, mpmath.sqrt(beta)
    x, y = (s * (mpmath.log(e / r) - k / (2 * beta)) for e in (lo, hi))
    # far from the peak a difference of numbers next to 1 has no digits left
    tail = beta > 0 and abs(x + y) > 1
    sign = 1 if not tail or (x + y) > 0 else -1
    difference = sign * (mpmath.erfc(sign * x) - mpmath.erfc(sign * y)) if tail else mpmath.erf(y) - mpmath.erf(x)
    return mpmath.re(a * r * mpmath.exp(k * k / (4 * beta)) * mpmath.sqrt(mpmath.pi) / (2 * s) * difference)


def lp_2(lo, hi, a, r, alpha, beta, escale):
    return bell(lo, hi, a, r, alpha + beta * mpmath.log(r / escale), beta)


def lp_and_power(lo, hi, a, r, alpha, beta, tilt, norm, reference):
    """With one reference for both."""
    return norm * bell(lo, hi, a, r, alpha + tilt, beta)


@dataclass
class Steep:
    """A form with values (internal units), its integral in closed form, and which values that takes for granted."""

    form: Any
    integral: Any
    theta: tuple
    held: tuple[int, ...] = ()


LP = gm.LogParabolaSpectralModel.form
PRODUCT = (gm.LogParabolaSpectralModel() * gm.PowerLawNormSpectralModel()).form
STEEP = {
    "lp, index 30": Steep(LP, bell, (A, 1.0, 30.0, 0.3)),
    "lp, index -30": Steep(LP, bell, (A, 1.0, -30.0, 1.0)),
    "lp, beta 3": Steep(LP, bell, (A, 1.0, 2.0, 3.0)),
    "lp, beta 10": Steep(LP, bell, (A, 1.0, 2.0, 10.0)),
    "lp, beta -3": Steep(LP, bell, (A, 1.0, -2.0, -3.0)),
    # narrower than a bin
    "lp, beta 100": Steep(LP, bell, (A, 1.0, 2.0, 100.0)),
    "lp2": Steep(gm.LogParabola2SpectralModel.form, lp_2, (A, 3.0, 2.0, 5.0, 0.5)),
    "lp * pl-norm": Steep(PRODUCT, lp_and_power, (A, 1.0, 10.0, 1.0, 25.0, 1.0, 1.0), (1, 6)),
}


def check(case, per_decade, most):
    """Value, gradient and curvature of some bins; the largest and the smallest are among them."""
    theta, n = np.array(case.theta), len(case.theta)
    edges = np.geomspace(1e-2, 1e2, 4 * per_decade + 1)
    with jax.enable_x64(True):
        rule = bin_rule(edges, case.form, parameters=theta)

        def integrals(shift):
            return flux_per_bin(case.form, rule, tuple(theta * (1 + shift)))

        slopes = jax.jacfwd(integrals)
        every = jax.jit(lambda z: (integrals(z), slopes(z), jax.jacfwd(slopes)(z)))(np.zeros(n))
        found, gradient, hessian = (np.asarray(v) for v in every)
    there = np.flatnonzero(found > LEAST)
    some = {*there[:: max(1, len(there) // most)], there[-1], int(np.argmax(found))}
    with mpmath.workdps(120):
        step = mpf(10) ** -20
        for k in sorted(some):
            lo, hi = mpf(float(edges[k])), mpf(float(edges[k + 1]))

            def value(i=0, s=0, lo=lo, hi=hi):
                t = [mpf(float(p)) * (1 + s * step * (i == j)) for j, p in enumerate(theta)]
                return case.integral(lo, hi, *t)

            exact = value()
            assert found[k] == pytest.approx(float(exact), rel=1e-9), edges[k]
            for i in set(range(n)) - set(case.held):
                up, down = value(i, 1), value(i, -1)
                slope, curve = (up - down) / (2 * step), (up - 2 * exact + down) / step**2
                # one that crosses 0 is measured by the integral
                for got, want in ((gradient[k, i], slope), (hessian[k, i, i], curve)):
                    size = max(abs(want), exact)
                    assert abs(float((mpf(float(got)) - want) / size)) < 2e-9, (edges[k], i)


@pytest.mark.parametrize("name", STEEP)
def test_integrals_of_steep_spectra(name):
    """Coarse bins; with the usual nodes errors were up to 2 %."""
    check(STEEP[name], 5, 4)


@pytest.mark.slow
@pytest.mark.parametrize("per_decade", [5, 10, 20, 100])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 3.0, 10.0, -3.0])
@pytest.mark.parametrize("alpha", [-30.0, -19.0, -5.0, 2.0, 12.0, 21.0, 30.0])
def test_integrals_of_steep_spectra_on_all_axes(per_decade, alpha, beta):
    check(Steep(LP, bell, (A, 1.0, alpha, beta)), per_decade, 5)


def test_the_nodes_of_usual_spectra_are_as_few_as_ever():
    """A whole number of nodes more would make every scan of a log-parabola slower."""
    edges = np.geomspace(0.05, 200, 49)
    usual = bin_rule(edges, LP)
    for alpha, beta in ((2.0, 0.2), (2.0, 1.0), (-3.0, -0.5), (12.0, 0.0)):
        rule = bin_rule(edges, LP, parameters=(A, 1.0, alpha, beta))
        assert np.array_equal(rule.nodes, usual.nodes)
    counts = [
        len(bin_rule(edges, LP, parameters=(A, 1.0, alpha, 0.0)).nodes) for alpha in (2.0, 50.0, 70.0, 140.0, 1e9)
    ]
    assert counts[0] == len(usual.nodes) == 7
    # few different programs, and an end to it
    assert counts[0] < counts[1] == counts[2] < counts[3] < counts[4] <= 64


def test_reach_is_the_inverse_of_the_number_of_nodes():
    for count in (2, 5, 7, 11, 20, 40):
        a = reach(count)
        assert nodes_for(max(a, 0.01)) <= count
        assert nodes_for(a + 0.1) > count


@pytest.mark.parametrize("form", [LP, PRODUCT, gm.SmoothBrokenPowerLawSpectralModel.form, gm.BrokenPowerLawSpectralModel.form, weighted_form(LP), scaled_form(LP, (A, 1.0, 2.0, 10.0)), affine_form(LP, ((1.0, 0.0),) * 2 + ((2.0, 1.0), (3.0, 0.0)))])  # fmt: skip
def test_local_slopes_are_those_of_the_model(form):
    theta = np.linspace(0.5, 2.5, len(form.names))
    x = np.log([0.3, 1.0, 5.0])
    with jax.enable_x64(True):
        slope = jax.vmap(jax.grad(lambda y: jax.numpy.log(form.evaluate(jax.numpy.exp(y), *theta))))(x)
        np.testing.assert_allclose(form.local_slope(x, *theta), slope, rtol=1e-12)


def test_terms_of_a_sum_have_their_own_parameters():
    form = (gm.PowerLawSpectralModel() + gm.LogParabolaSpectralModel()).form
    rule = bin_rule(np.geomspace(0.1, 10, 11), form)
    (found,) = reaches(form, rule)
    assert found.index == (3, 4, 5, 6)
    assert found.steps([100.0, 1.0, 1.0, 1.0, 1.0, 2.0, 0.1]) == 0
    assert found.steps([2.0, 1.0, 1.0, 1.0, 1.0, 50.0, 0.1]) == 2
    assert steeper_rule(form, rule, 2).parts[0] is rule.parts[0]
    assert len(steeper_rule(form, rule, 2).parts[1].nodes) > len(rule.parts[1].nodes)


def test_closed_forms_and_tables_need_no_nodes():
    for form in (gm.PowerLawSpectralModel.form, (gm.PowerLawSpectralModel() * gm.PowerLawNormSpectralModel()).form):
        assert reaches(form, bin_rule(np.geomspace(0.1, 10, 11), form)) == ()


def test_what_holds_nothing_does_not_count():
    """The same rule: far from a peak that holds everything slopes are of no account where that is said."""
    rule = bin_rule(np.geomspace(0.01, 1000, 26), LP)
    (everywhere,), (counting,) = reaches(LP, rule), reaches(LP, rule, folds=57.5)
    narrow, steep = (A, 1.0, 2.0, 1.6), (A, 1.0, 26.0, 1.6)
    assert everywhere.steps(narrow) == 1
    assert counting.steps(narrow) == 0
    assert counting.steps(steep) == 1
    assert counting.steps([np.array([p, q]) for p, q in zip(narrow, steep, strict=True)]).tolist() == [0, 1]
    # what is no number asks for nothing
    assert counting.steps((A, 1.0, np.nan, 1.0)) == 0


@pytest.mark.parametrize(("alpha", "beta"), [(30.0, 0.0), (2.0, 10.0), (2.0, 1000.0), (-30.0, -3.0)])
def test_integral_and_energy_flux_of_a_model(alpha, beta):
    model = gm.LogParabolaSpectralModel(
        amplitude=A / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=alpha, beta=beta
    )
    model.alpha.error = 0.1
    for low, high in ((0.5, 3.0), (0.1, 10.0)):
        with mpmath.workdps(120):
            numbers = [mpf(v) for v in (low, high, A, 1.0, alpha, beta)]
            flux, energy = bell(*numbers), bell(*numbers[:4], numbers[4] - 1, numbers[5])
            step = mpf(10) ** -20
            slope = (bell(*numbers[:4], numbers[4] + step, numbers[5]) - flux) / step
        assert model.integral(low * u.TeV, high * u.TeV).value == pytest.approx(float(flux), rel=1e-9)
        assert model.energy_flux(low * u.TeV, high * u.TeV).value == pytest.approx(float(energy), rel=1e-9)
        error = model.integral_error(low * u.TeV, high * u.TeV)[1].value
        assert error == pytest.approx(abs(float(slope)) * 0.1, rel=2e-9)


TIMES = (gm.PowerLawNormSpectralModel() * gm.ExpCutoffPowerLawSpectralModel()).form


@pytest.mark.parametrize(
    ("form", "theta"),
    [
        (gm.ExpCutoffPowerLawSpectralModel.form, (-98.0, A, 1.0, 0.1, 1.0)),
        (gm.ExpCutoffPowerLaw3FGLSpectralModel.form, (-98.0, A * np.exp(-0.1), 1.0, 10.0)),
        (TIMES, (-100.0, 1.0, 1.0, 2.0, A, 1.0, 0.1, 1.0)),
    ],
    ids=["ecpl", "ecpl-3fgl", "pl-norm * ecpl"],
)
def test_a_cutoff_times_a_steep_power_law(form, theta):
    """E^98 exp(-E/10): the nodes beside a cut-off are graded, and go with it."""
    edges = np.geomspace(0.1, 100, 16)
    with jax.enable_x64(True):
        rule = bin_rule(edges, form, parameters=theta)
        found = np.asarray(flux_per_bin(form, rule, theta))
    assert len(rule.nodes) > len(bin_rule(edges, form).nodes)
    with mpmath.workdps(50):
        for got, lo, hi in zip(found, edges[:-1], edges[1:], strict=True):
            exact = mpf(A) * mpf(10) ** 99 * mpmath.gammainc(99, mpf(float(lo)) / 10, mpf(float(hi)) / 10)
            assert got == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("index", [-60.0, -98.0, 60.0])
@pytest.mark.parametrize("kind", ["3fgl", "4fgl", "dr3"])
def test_a_super_exponential_cutoff_times_a_steep_power_law(kind, index):
    """E^-index exp(-(E/6)^2), an incomplete gamma function: with the usual nodes -60 was wrong by 2.7e-9 in the bin of the cut-off."""
    a = A * np.exp(-1 / 36)
    form, theta = {
        "3fgl": (gm.SuperExpCutoffPowerLaw3FGLSpectralModel.form, (a, 1.0, 6.0, index, 2.0)),
        "4fgl": (gm.SuperExpCutoffPowerLaw4FGLSpectralModel.form, (a, 1.0, 1e-12 / 36, index, 2.0)),
        "dr3": (gm.SuperExpCutoffPowerLaw4FGLDR3SpectralModel.form, (a, 1.0, 1 / 9, index + 1 / 18, 2.0)),
    }[kind]
    edges = np.geomspace(0.01, 100, 21)
    with jax.enable_x64(True):
        rule = bin_rule(edges, form, parameters=theta)
        found = np.asarray(jax.jit(lambda values: flux_per_bin(form, rule, values))(theta))
    with mpmath.workdps(50):
        s = (1 - mpf(index)) / 2
        ends = [(mpf(float(e)) / 6) ** 2 for e in edges]
        exact = [A * mpf(6) ** (2 * s) / 2 * mpmath.gammainc(s, t, u) for t, u in pairwise(ends)]
    total = float(sum(exact))
    for got, want in zip(found, exact, strict=True):
        assert got == pytest.approx(float(want), rel=1e-9, abs=1e-21 * total)


@pytest.mark.slow
def test_a_smooth_break_between_steep_power_laws():
    """Harder above the break and with beta = 1 it is A E^-100 (1 + (E/3)^60), a sum of two powers."""
    form, edges = gm.SmoothBrokenPowerLawSpectralModel.form, np.geomspace(0.1, 100, 16)
    theta = (100.0, 40.0, A, 3.0, 1.0, 1.0)
    with jax.enable_x64(True):
        rule = bin_rule(edges, form, parameters=theta)
        found = np.asarray(flux_per_bin(form, rule, theta))
    assert rule.count > bin_rule(edges, form).count
    for got, lo, hi in zip(found, edges[:-1], edges[1:], strict=True):
        exact = A * sum(c * (lo**-k - hi**-k) / k for c, k in ((1.0, 99.0), (3.0**-60, 39.0)))
        assert got == pytest.approx(exact, rel=1e-9)


def test_mode_is_checked_with_parameters_too():
    with pytest.raises(InputError, match="integration mode"):
        bin_rule(np.geomspace(0.1, 10, 11), LP, "exakt", parameters=(A, 1.0, 2.0, 1.0))
