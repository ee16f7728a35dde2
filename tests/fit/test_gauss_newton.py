"""The covariance of curve fitting against scipy's."""

import jax.numpy as jnp
import numpy as np
import pytest

from gammajax import Fit, FunctionModel, XYDataset
from gammajax.errors import InputError

X = np.linspace(0.2, 5, 20)
Y = 3 * np.exp(-0.7 * X) + 0.3 * np.cos(9 * X)
ERROR = 0.1 + 0.02 * X


def decay(x, a, b):
    return a * jnp.exp(-b * x)


def test_it_is_that_of_curve_fit():
    from scipy.optimize import curve_fit

    fit = Fit(XYDataset(X, Y, ERROR, model=FunctionModel(decay, {"a": 1.0, "b": 1.0})), backend="newton")
    result = fit.run()
    start = [p.value for p in result.parameters]

    def jacobian(x, a, b):
        return np.stack([np.exp(-b * x), -a * x * np.exp(-b * x)], axis=1)

    arguments = {"sigma": ERROR, "jac": jacobian, "p0": start}
    _, absolute = curve_fit(lambda x, a, b: a * np.exp(-b * x), X, Y, absolute_sigma=True, **arguments)
    _, relative = curve_fit(lambda x, a, b: a * np.exp(-b * x), X, Y, absolute_sigma=False, **arguments)
    found = fit.gauss_newton_covariance()
    np.testing.assert_allclose(found.data, absolute, rtol=1e-6)
    np.testing.assert_allclose(found.scaled(result.total_stat / result.dof).data, relative, rtol=1e-6)
    # the exact Hessian is another one, and stays on the models
    assert np.max(np.abs(result.covariance.data / absolute - 1)) > 0.01
    np.testing.assert_array_equal(fit.datasets.models.covariance.data, result.covariance.data)


def test_a_parameter_that_is_not_fitted_has_none():
    model = FunctionModel(decay, {"a": 3.0, "b": 0.7})
    model.parameters["b"].frozen = True
    fit = Fit(XYDataset(X, Y, ERROR, model=model), backend="newton")
    fit.run()
    errors = fit.gauss_newton_covariance().errors
    # linear in a: a weighted mean
    slope = np.exp(-0.7 * X) / ERROR
    np.testing.assert_allclose(errors, [1 / np.sqrt(slope @ slope), 0], rtol=1e-12)


def test_refusals():
    line = FunctionModel(lambda x, a: a + 0 * x, {"a": 1.0})
    fit = Fit(XYDataset([0.0, 1.0], [3, 4], stat_type="cash", model=line))
    with pytest.raises(InputError, match="got data sets with cash, expected chi2 for all"):
        fit.gauss_newton_covariance()
    with pytest.raises(InputError, match="covariance.scaled: got 0.0, expected a positive number"):
        fit.covariance().scaled(0.0)
