"""Corners of the W statistic; what all statistics share is in test_statistics.py."""

import itertools

import jax
import numpy as np
import pytest

from gammajax.stats import cstat, wstat, wstat_alpha_derivatives, wstat_mu_bkg, wstat_mu_sig_derivatives
from tests.stats import oracle

EVERY = (0, 1, 2, 3)
CANCELLING = [(10.0, 1.0, 1e-3, 1e6), (100.0, 2.0, 1e-3, 1e9), (3.0, 5.0, 0.1, -1e9), (0.0, 4.0, 0.3, -1e7)]
GRID = list(itertools.product((0.0, 1.0, 3.0, 11.0), (0.0, 2.0, 40.0), (0.08, 1.0, 3.0), (0.0, 1e-9, 0.4, 25.0, -2.7)))


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def test_background_is_the_root_of_the_slope_of_the_likelihood():
    for row in GRID:
        assert float(oracle.background_by_search(*row)) == pytest.approx(float(oracle.background(*row)), rel=1e-25)
    ours = wstat_mu_bkg(*np.array(GRID).T)
    expected = [float(oracle.background(*row)) for row in GRID]
    np.testing.assert_allclose(ours, expected, rtol=1e-14, atol=1e-30)


@pytest.mark.parametrize("row", CANCELLING)
def test_no_cancellation(row):
    assert float(wstat_mu_bkg(*row)) == pytest.approx(float(oracle.background(*row)), rel=1e-13)
    value, first, second = wstat_mu_sig_derivatives(*row)
    assert float(value) == pytest.approx(float(oracle.wstat(*row)), rel=1e-12)
    assert float(first) == pytest.approx(float(oracle.derivative(oracle.wstat, row, 3)), rel=1e-12)
    assert float(second) == pytest.approx(float(oracle.derivative(oracle.wstat, row, 3, 3)), rel=1e-12)


def test_derivatives_of_the_background_are_central_differences():
    derivative = jax.jit(jax.vmap(jax.jacfwd(wstat_mu_bkg, argnums=EVERY)))(*np.array(GRID).T)
    for row, *gradient in zip(GRID, *derivative, strict=True):
        # with no counts it turns at mu_sig = 0; it has no central difference in counts that are 0
        if row[0] == row[1] == row[3] == 0:
            continue
        for axis, ours in enumerate(gradient):
            if row[axis] == 0 and axis < 2:
                continue
            expected = float(oracle.derivative(oracle.background, row, axis))
            assert float(ours) == pytest.approx(expected, rel=1e-12, abs=1e-12), (row, axis)


def test_derivatives_in_alpha_are_central_differences():
    background, mixed, second = wstat_alpha_derivatives(*np.array(GRID).T)
    slope = background * wstat_mu_sig_derivatives(*np.array(GRID).T)[1]
    for row, *found in zip(GRID, slope, mixed, second, strict=True):
        # with no counts it turns at mu_sig = 0
        if row[0] == row[1] == row[3] == 0:
            continue
        expected = [float(oracle.derivative(oracle.wstat, row, *axes)) for axes in ((2,), (2, 3), (2, 2))]
        # the last is a sum of two that cancel to a thousandth in this table
        assert np.array(found) == pytest.approx(expected, rel=1e-11, abs=1e-11), row


@pytest.mark.parametrize("alpha", [0.08, 1.0, 3.0])
@pytest.mark.parametrize("n_on", [1.0, 3.0, 11.0])
def test_without_off_counts_the_second_derivative_jumps_and_the_corner_has_the_value_from_above(n_on, alpha):
    # alpha n_on/(1+alpha) exact in binary, so that the corner itself is met
    corner = float(np.float32(alpha * n_on / (1 + alpha)))
    n_on = corner * (1 + alpha) / alpha
    near = 1e-9 * corner
    _, first, second = wstat_mu_sig_derivatives(n_on, 0.0, alpha, np.array([corner - near, corner, corner + near]))
    np.testing.assert_allclose(first, 2 * (1 - (1 + alpha) / alpha), rtol=1e-8)
    np.testing.assert_allclose(second, [0.0, 2 * n_on / corner**2, 2 * n_on / corner**2], rtol=1e-8)
    # one-sided differences of the value agree with that
    below, above = (oracle.derivative(oracle.wstat, (n_on, 0.0, alpha, corner + s * near), 3, 3) for s in (-1, 1))
    assert float(below) == pytest.approx(0.0, abs=1e-20)
    assert float(above) == pytest.approx(float(second[1]), rel=1e-8)


def test_the_corner_is_met_exactly_and_its_hessian_is_finite():
    corner = (4.0, 0.0, 1.0, 2.0)
    assert float(jax.grad(jax.grad(wstat, argnums=3), argnums=3)(*corner)) == 2 * 4.0 / 2.0**2
    assert np.isfinite(jax.hessian(wstat, argnums=EVERY)(*corner)).all()


@pytest.mark.parametrize(("n_off", "alpha"), [(4.0, 1.0), (6.0, 0.5)])
def test_without_on_counts_the_profiled_expectation_is_zero_far_below_zero(n_off, alpha):
    corner = -alpha * n_off / (1 + alpha)
    for mu_sig in (1.001 * corner, 3 * corner, 100 * corner):
        row = (0.0, n_off, alpha, mu_sig)
        b = wstat_mu_bkg(*row)
        assert float(mu_sig + alpha * b) == pytest.approx(0.0, abs=1e-12 * abs(mu_sig))
        value, first, second = wstat_mu_sig_derivatives(*row)
        assert float(value) == pytest.approx(float(oracle.wstat(*row)), rel=1e-13)
        # there the constraint mu_on >= 0 binds: 2 (1 - n_on/mu_on) with the limit of its quotient, not 2
        assert float(first) == pytest.approx(-2 / alpha - 2 * n_off / mu_sig, rel=1e-12)
        assert float(second) == pytest.approx(2 * n_off / mu_sig**2, rel=1e-12)
    _, first, second = wstat_mu_sig_derivatives(0.0, n_off, alpha, np.array([corner * (1 + 1e-9), corner]))
    np.testing.assert_allclose(first, 2.0, rtol=1e-8)
    np.testing.assert_allclose(second, [2 * n_off / corner**2, 0.0], rtol=1e-8)


def test_no_counts_at_all():
    mu_sig = np.array([-1.0, 0.0, 1.0])
    value, first, second = wstat_mu_sig_derivatives(0, 0, 0.5, mu_sig)
    np.testing.assert_allclose(value, [4.0, 0.0, 2.0], rtol=1e-15)
    np.testing.assert_allclose(first, [-4.0, 2.0, 2.0], rtol=1e-15)
    np.testing.assert_array_equal(second, 0.0)


def test_derivatives_in_empty_counts_are_their_limits_where_these_exist():
    by_on, by_off = jax.grad(wstat, argnums=0), jax.grad(wstat, argnums=1)
    step = 1e-25
    for function, row in [(by_off, (3.0, 0.0, 0.5, 7.0)), (by_on, (0.0, 4.0, 0.5, -7.0))]:
        axis = row.index(0.0)
        moved = [step if i == axis else x for i, x in enumerate(row)]
        limit = (oracle.wstat(*moved) - oracle.wstat(*row)) / oracle.mp.mpf(step)
        assert float(function(*row)) == pytest.approx(float(limit), rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_derivatives_that_diverge_in_empty_counts_are_large_and_finite(axis):
    row = [3.0, 5.0, 0.5, 0.2]
    row[axis] = 0.0
    slope = float(jax.grad(wstat, argnums=axis)(*row))
    assert -1500 < slope < -1400
    # a tangent of zero along it gives zero, not NaN
    assert float(jax.jvp(wstat, tuple(row), (0.0, 0.0, 0.0, 0.0))[1]) == 0.0


def test_without_background_it_is_cstat():
    n_on, n_off, mu_sig = np.array(list(itertools.product((0.0, 1.0, 9.0), (0.0, 4.0), (1e-200, 1e-3, 2.0, 1e5)))).T
    np.testing.assert_allclose(wstat(n_on, n_off, 0.0, mu_sig), cstat(n_on, mu_sig), rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(wstat_mu_bkg(n_on, n_off, 0.0, mu_sig), n_off)
    gradient = jax.vmap(jax.grad(wstat, argnums=EVERY))(n_on, n_off, np.zeros_like(n_on), mu_sig)
    ratio = n_on[mu_sig > 1e-100] / mu_sig[mu_sig > 1e-100]
    np.testing.assert_allclose(gradient[3][mu_sig > 1e-100], 2 * (1 - ratio), rtol=1e-13)
    np.testing.assert_allclose(gradient[2][mu_sig > 1e-100], 2 * n_off[mu_sig > 1e-100] * (1 - ratio), rtol=1e-13)


@pytest.mark.parametrize(("n_on", "mu_sig", "value"), [(0, -1e-9, np.inf), (2, 0.0, np.inf), (0, 0.0, 0.0)])
def test_edge_of_the_domain_without_background(n_on, mu_sig, value):
    assert [float(x) for x in wstat_mu_sig_derivatives(n_on, 5, 0.0, mu_sig)] == [value, 2.0, 0.0]
    assert np.isfinite(jax.grad(wstat, argnums=EVERY)(float(n_on), 5.0, 0.0, mu_sig)).all()


def test_negative_signal_with_on_counts_is_always_inside_the_domain():
    value = wstat(1.0, 10.0, 0.2, np.array([-1e-3, -1.9, -2.1, -1e4]))
    assert np.isfinite(value).all()
    assert np.all(np.diff(value) > 0)


def test_the_gradient_in_the_signal_needs_no_logarithm(monkeypatch):
    # JAX's own, which can be found in what was compiled
    monkeypatch.setattr("gammajax.stats.onoff.log", jax.numpy.log)
    compiled = jax.jit(jax.grad(wstat, argnums=3)).lower(3.0, 5.0, 0.5, 0.2).compile()
    assert " log(" not in compiled.as_text()
    both = jax.jit(jax.value_and_grad(wstat, argnums=3)).lower(3.0, 5.0, 0.5, 0.2).compile()
    assert both.as_text().count(" log(") == 2
