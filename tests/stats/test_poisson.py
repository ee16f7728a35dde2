"""Corners of the statistics with a known expectation; what all statistics share is in test_statistics.py."""

import jax
import numpy as np
import pytest

from gammajax.stats import cash, cash_derivatives, cstat, cstat_derivatives
from tests.stats import oracle


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


both = pytest.mark.parametrize(
    ("function", "derivatives"), [(cash, cash_derivatives), (cstat, cstat_derivatives)], ids=["cash", "cstat"]
)


@both
@pytest.mark.parametrize(("n_on", "mu_on"), [(0, -1e-12), (3, -2.0), (3, 0.0), (1e-3, 0.0)])
def test_outside_the_domain_is_infinite_with_finite_derivatives(function, derivatives, n_on, mu_on):
    assert [float(x) for x in derivatives(n_on, mu_on)] == [np.inf, 2.0, 0.0]
    assert np.isfinite(jax.grad(function, argnums=(0, 1))(float(n_on), mu_on)).all()


@both
def test_nothing_seen_and_nothing_expected(function, derivatives):
    assert [float(x) for x in derivatives(0, 0.0)] == [0.0, 2.0, 0.0]
    # the slope is the one from above: below 0 the value is infinite
    step = 1e-9
    assert float(function(0, step)) / step == pytest.approx(2.0, rel=1e-12)


def test_cstat_is_cash_plus_a_constant():
    n = np.array([0.0, 1.0, 7.0])
    difference = cstat(n, np.array([2.0, 0.1, 30.0])) - cash(n, np.array([2.0, 0.1, 30.0]))
    np.testing.assert_allclose(difference, cstat(n, 5.0) - cash(n, 5.0), rtol=1e-13)


def test_cstat_keeps_its_precision_with_many_counts():
    n, mu = 1e8, 1e8 + 2e4
    # cash alone is 3.5e9 here: taking its constant from it would leave 6 digits
    assert float(cstat(n, mu)) == pytest.approx(float(oracle.cstat(n, mu)), rel=1e-8)


def test_counts_where_almost_nothing_is_expected_give_a_large_finite_slope():
    value, first, second = cash_derivatives(3, 1e-200)
    assert float(value) == pytest.approx(float(oracle.cash(3, 1e-200)), rel=1e-14)
    assert -np.inf < float(first) < -1e150
    assert 1e300 < float(second) < np.inf
