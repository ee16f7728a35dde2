"""Far beyond a cut-off: integrals relative to themselves down to where numbers end, against incomplete gamma functions."""

from dataclasses import dataclass
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u
from mpmath import mpf

import gammajax.models as gm
from gammajax.models import bin_rule, flux_per_bin
from gammajax.models.form import loose_form, weighted_form
from gammajax.models.nodes import graded_for, graded_legendre

A = 3e-12
LEAST = 1e-290


def cut_power(lo, hi, amplitude, reference, index, strength, exponent):
    """Integral of A (E/E0)^-index exp(-strength E^exponent)."""
    k = strength ** (1 / exponent)
    ends = sorted(((k * lo) ** exponent, (k * hi) ** exponent))
    gamma = mpmath.gammainc((1 - index) / exponent, *ends)
    return amplitude * reference**index * k ** (index - 1) * gamma / abs(exponent)


def ecpl(lo, hi, g, a, r, la, al):
    return cut_power(lo, hi, a, r, g, la**al, al)


def ecpl_3fgl(lo, hi, g, a, r, c):
    return cut_power(lo, hi, a * mpmath.exp(r / c), r, g, 1 / c, mpf(1))


def secpl_3fgl(lo, hi, a, r, c, g1, g2):
    return cut_power(lo, hi, a * mpmath.exp((r / c) ** g2), r, g1, c**-g2, g2)


def secpl_4fgl(lo, hi, a, r, x, g1, g2):
    mev = mpf(10) ** 6
    return cut_power(lo, hi, a * mpmath.exp(x * (r * mev) ** g2), r, g1, x * mev**g2, g2)


def secpl_dr3(lo, hi, a, r, x, g1, g2):
    return cut_power(lo, hi, a * mpmath.exp(x / g2**2), r, g1 - x / g2, x / g2**2 * r**-g2, g2)


def broken_and_cut(lo, hi, g1, g2, a, b, tilt, norm, r, la, al):
    edge = min(max(lo, b), hi)
    parts = ((lo, edge, g1), (edge, hi, g2))
    return sum(
        cut_power(x, y, a * norm * (r / b) ** -g, r, g + tilt, la**al, al) for x, y, g in parts if y > x
    )  # fmt: skip


@dataclass
class Tail:
    """A class of models with values (internal units), and its integral in closed form."""

    form: Any
    integral: Any
    theta: tuple
    end: float = 1e3


def broken_times_cutoff():
    return (gm.BrokenPowerLawSpectralModel() * gm.ExpCutoffPowerLawNormSpectralModel()).form


FAST = ("ecpl", "ecpl, flat", "ecpl, alpha 3", "ecpl-3fgl", "secpl-4fgl-dr3")
TAILS = {
    "ecpl": Tail(gm.ExpCutoffPowerLawSpectralModel.form, ecpl, (2.0, A, 1.0, 1.0, 1.0)),
    "ecpl, flat": Tail(gm.ExpCutoffPowerLawSpectralModel.form, ecpl, (0.0, A, 1.0, 10.0, 1.0), 100.0),
    "ecpl, alpha 3": Tail(gm.ExpCutoffPowerLawSpectralModel.form, ecpl, (2.0, A, 1.0, 0.4, 3.0), 30.0),
    "ecpl-3fgl": Tail(gm.ExpCutoffPowerLaw3FGLSpectralModel.form, ecpl_3fgl, (2.0, A, 1.0, 1.0)),
    "secpl-3fgl": Tail(gm.SuperExpCutoffPowerLaw3FGLSpectralModel.form, secpl_3fgl, (A, 1.0, 1.0, 1.7, 2.0), 30.0),
    "secpl-3fgl, sharp": Tail(gm.SuperExpCutoffPowerLaw3FGLSpectralModel.form, secpl_3fgl, (A, 1.0, 3.0, 1.7, 9.0), 20.0),
    # the cut-off is at low energies
    "secpl-3fgl, from below": Tail(gm.SuperExpCutoffPowerLaw3FGLSpectralModel.form, secpl_3fgl, (A, 1.0, 3.0, 2.0, -1.0)),
    "secpl-4fgl": Tail(gm.SuperExpCutoffPowerLaw4FGLSpectralModel.form, secpl_4fgl, (A, 1.0, 1e-12, 1.5, 2.0), 30.0),
    "secpl-4fgl-dr3": Tail(gm.SuperExpCutoffPowerLaw4FGLDR3SpectralModel.form, secpl_dr3, (A, 1.5, 2.0, 2.0, 1.0)),
    "bpl * ecpl-norm": Tail(
        broken_times_cutoff(), broken_and_cut, (1.6, 2.4, A, 7.0, 0.3, 1.4, 1.0, 0.9, 1.0)
    ),
}  # fmt: skip


def check_tail(tail, per_decade, most):
    """Value, gradient and curvature of up to `most` bins, all of them above 1e-290; the last of these always."""
    theta, n = np.array(tail.theta, dtype=float), len(tail.theta)
    edges = np.geomspace(1e-3, tail.end, int(np.log10(tail.end * 1e3) * per_decade) + 1)
    with jax.enable_x64(True):
        rule = bin_rule(edges, tail.form)

        def integrals(shift):
            return flux_per_bin(tail.form, rule, tuple(theta * (1 + shift)))

        slopes = jax.jacfwd(integrals)
        every = jax.jit(lambda z: (integrals(z), slopes(z), jax.jacfwd(slopes)(z)))(np.zeros(n))
        found, gradient, hessian = (np.asarray(v) for v in every)
    there = np.flatnonzero(found > LEAST)
    # the tail was really followed
    assert found.min() < 1e-80
    some = {*there[:: max(1, len(there) // most)], *there[:3], *there[-3:]}
    with mpmath.workdps(50):
        step = mpf(10) ** -12
        for k in sorted(some):
            lo, hi = mpf(float(edges[k])), mpf(float(edges[k + 1]))

            def value(i=0, s=0, lo=lo, hi=hi):
                t = [mpf(float(p)) * (1 + s * step * (i == j)) for j, p in enumerate(theta)]
                return tail.integral(lo, hi, *t)

            exact = value()
            assert found[k] == pytest.approx(float(exact), rel=1e-9), edges[k]
            for i in range(n):
                up, down = value(i, 1), value(i, -1)
                slope, curve = (up - down) / (2 * step), (up - 2 * exact + down) / step**2
                # one that crosses 0 is measured by the integral
                for got, want in ((gradient[k, i], slope), (hessian[k, i, i], curve)):
                    size = max(abs(want), exact)
                    assert abs(float((mpf(float(got)) - want) / size)) < 2e-9, (edges[k], i)


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in TAILS])
def test_integrals_in_the_tail_of_a_cutoff(name):
    """Coarse bins, in which a flux may fall by a hundred orders of magnitude; errors were up to 80 %."""
    check_tail(TAILS[name], 5, 5)


@pytest.mark.slow
@pytest.mark.parametrize("per_decade", [3, 10, 30, 100])
@pytest.mark.parametrize("name", TAILS)
def test_integrals_in_the_tail_of_a_cutoff_on_all_axes(name, per_decade):
    check_tail(TAILS[name], per_decade, 6)


@pytest.mark.slow
def test_bins_that_move_over_a_table():
    """The pieces of the mode for a free energy scale are those of the fixed one."""
    energies = np.array([0.1, 1.0, 10.0, 100.0])
    table = gm.PiecewiseNormSpectralModel(energies * u.TeV, norms=[1.0, 2.0, 1.5, 1.0])
    form = (gm.ExpCutoffPowerLawSpectralModel() * table).form
    theta, edges = (2.0, A, 1.0, 3.0, 1.0, 1.0, 2.0, 1.5, 1.0), np.geomspace(0.05, 150, 18)
    with jax.enable_x64(True):
        fixed, moving = (
            np.asarray(flux_per_bin(f, bin_rule(edges, f), theta)) for f in (form, loose_form(form))
        )  # fmt: skip
    assert fixed[-2] < 1e-80
    np.testing.assert_allclose(moving, fixed, rtol=1e-9, atol=LEAST)


@pytest.mark.slow
def test_energy_flux_of_a_line_far_from_it():
    """No closed form: sigma^2 times the density at the ends plus the mean times the integral."""
    form, (norm, mean, sigma) = weighted_form(gm.GaussianSpectralModel.form), (A, 10.0, 0.5)
    edges = np.array([1.0, 1.6, 2.5, 4.0, 15.0, 20.0, 25.0])
    with jax.enable_x64(True):
        found = np.asarray(flux_per_bin(form, bin_rule(edges, form), (norm, mean, sigma)))
    with mpmath.workdps(200):
        for got, a, b in zip(found, edges[:-1], edges[1:], strict=True):
            p, q = ((mpf(float(e)) - mean) / sigma for e in (a, b))
            bell = (mpmath.npdf(p) - mpmath.npdf(q)) * mpf(sigma)
            exact = mpf(norm) * (mpf(mean) * (mpmath.ncdf(q) - mpmath.ncdf(p)) + bell)
            assert got == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("rise", [1.0, 30.0])
@pytest.mark.parametrize("fall", [50.0, 900.0])
def test_graded_nodes_integrate_exponentials(rise, fall):
    x, w = graded_legendre(*graded_for(rise, fall))
    assert np.all((x > -1) & (x < 1))
    s = np.concatenate([np.geomspace(1e-3, fall, 997), -np.linspace(1e-3, rise, 99)])
    found = np.exp(-0.5 * np.outer(s, 1 + x)) @ (0.5 * w)
    np.testing.assert_allclose(found, -np.expm1(-s) / s, rtol=1e-9)


@pytest.mark.parametrize("energy", [1e-12, 1.0, 1e12])
def test_steepness_has_numbers_everywhere(energy):
    with jax.enable_x64(True):
        assert all(np.isfinite(float(tail.form.steepness(energy, *tail.theta))) for tail in TAILS.values())


def test_the_nodes_of_other_models_are_as_few_as_ever():
    """A model without cut-off pays nothing for those that have one."""
    edges = np.geomspace(0.05, 200, 49)
    counts = {
        name: len(bin_rule(edges, getattr(gm, name).form).nodes)
        for name in ("LogParabolaSpectralModel", "ExpCutoffPowerLaw3FGLSpectralModel", "ExpCutoffPowerLawSpectralModel")
    }
    assert counts == {
        "LogParabolaSpectralModel": 7,
        "ExpCutoffPowerLaw3FGLSpectralModel": 15,
        "ExpCutoffPowerLawSpectralModel": 19,
    }
