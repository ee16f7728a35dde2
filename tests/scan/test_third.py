import jax.numpy as jnp
import numpy as np
import pytest

from gammajax import Likelihood
from gammajax.fit.problem import derivatives
from gammajax.scan import Refit
from gammajax.scan.crossing import _between
from gammajax.scan.third import bend, third_derivatives


@pytest.fixture(scope="module")
def bent():
    """Minimum at (0, 0); at a fixed x the best y is x + 0.3 x^2."""

    def function(theta):
        x, y = theta
        return 2 * (y - x - 0.3 * x**2) ** 2 + x**2

    return Likelihood.from_function(function, {"x": 0.0, "y": 0.0})


def two_groups(refit, x):
    """Starts at values of x, in a batch of two groups: a single one stays at first order, as stored scans do."""
    return refit.lanes([([0], x[:, None]), ([1], np.zeros((1, 1)))])[0][:-1]


def test_third_derivatives_by_hand(bent):
    third = third_derivatives(bent, np.ones(2))
    expected = np.zeros((2, 2, 2))
    expected[1, 0, 0] = expected[0, 1, 0] = expected[0, 0, 1] = -2.4
    expected[0, 0, 0] = 7.2
    # central differences of a Hessian of second order are exact
    np.testing.assert_allclose(third, expected, atol=1e-12)


def test_starts_are_predicted_to_second_order(bent):
    _, _, hessian = derivatives(bent, bent.start)
    refit = Refit.around(bent, hessian)
    # the rise by the Hessian stays below 25
    x = np.array([-2.0, -0.5, 0.1, 3.0])
    starts = two_groups(refit, x)
    np.testing.assert_allclose(starts[:, 1], x + 0.3 * x**2, rtol=1e-10)
    single, *_ = refit.lanes([([0], x[:, None])])
    np.testing.assert_allclose(single[:, 1], x, rtol=1e-10)
    # further away the straight line is left as it is
    far = two_groups(refit, np.array([40.0]))
    assert far[0, 1] == pytest.approx(40.0)


def test_starts_of_one_parameter_are_predicted_to_third_order():
    def function(theta):
        x, y = theta
        return 2 * (jnp.log(y) - x) ** 2 + x**2 + (x - jnp.log(y)) * x**4

    like = Likelihood.from_function(function, {"x": 0.0, "y": 1.0})
    refit = Refit.around(like, derivatives(like, like.start)[2])
    # 4 (ln y - x) = x^4, so that y is exp(x) to third order
    x = np.array([-0.2, -0.1, 0.1, 0.2])
    starts = two_groups(refit, x)
    # the third order is up to 1.3e-3 here; the derivatives come from differences over 0.02 errors, 4e-4 of the second order
    np.testing.assert_allclose(starts[:, 1], 1 + x + x**2 / 2 + x**3 / 6, rtol=0, atol=5e-5)


def test_no_second_order_where_it_is_not_known(bent):
    assert third_derivatives(bent, np.full(2, np.nan)) is None
    assert bend(-np.eye(2), np.zeros((2, 2, 2)), np.array([1])) is None


def test_a_distance_between_three_points():
    # root of TS = t + 0.2 t^2 on one ray; the second falls on the way
    t = np.array([[0.8, 0.8], [1.6, 1.6], [2.4, 2.4]])
    ts = (t + 0.2 * t**2) ** 2
    first, second = (
        2 * (t + 0.2 * t**2) * (1 + 0.4 * t),
        2 * (1 + 0.4 * t) ** 2 + 0.8 * (t + 0.2 * t**2),
    )
    first[1, 1] = -1.0
    found = _between(t, ts, first, second, np.array([4.0, 4.0]))
    # the inverse, a square root, by a polynomial of degree 8
    assert found[0] == pytest.approx((np.sqrt(1 + 0.8 * 2) - 1) / 0.4, abs=1e-7)
    assert np.isnan(found[1])
