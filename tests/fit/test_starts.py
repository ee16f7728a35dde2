"""Several starts of one fit: the same from the batch and one by one."""

import numpy as np
import pytest

from gammajax import Fit, Likelihood, Parameter, StartsResult, Status
from tests.problems import embedded


def wells(theta):
    x, y = theta
    return 20 * (x * x - 1) ** 2 + 3 * x + (y - 2) ** 2


@pytest.fixture(scope="module")
def results():
    likelihood = Likelihood.from_function(wells, [Parameter("x", 0.8, min=-3, max=3), Parameter("y", 1.0)])
    fit = Fit(likelihood, backend="newton")
    one_by_one = fit.run(starts=8)
    likelihood.parameters["x"].value, likelihood.parameters["y"].value = 0.8, 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gammajax.fit.starts.SERIAL", 0)
        return one_by_one, fit.run(starts=8)


def test_batch_and_one_by_one_find_the_same(results):
    first, second = (r.starts for r in results)
    assert first.n_minima == second.n_minima == 2
    np.testing.assert_array_equal(first.start, second.start)
    np.testing.assert_allclose(first.minima, second.minima, atol=1e-6)
    assert set(first.status) == set(second.status) == {Status.CONVERGED}


def test_what_a_person_reads(results):
    found = results[0].starts
    assert isinstance(found, StartsResult)
    assert (found.names, len(found)) == (("x", "y"), 8)
    # over the limits of x
    assert found.start[:, 0].min() < -1
    assert np.all(np.abs(found.start[:, 0]) <= 3)
    table = found.to_table()
    assert table["starts"].sum() == 8
    # by hand: 80 x (x^2 - 1) + 3 = 0
    roots = np.sort(np.roots([80, 0, -80, 3]).real)
    np.testing.assert_allclose(table["x"], roots[[0, 2]], atol=1e-4)
    assert "8 starts, 2 minima: " in str(found)
    assert results[0].parameters["x"].value == pytest.approx(roots[0], abs=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        found.stat[0] = 0


def test_one_minimum_stays_one_and_the_result_can_be_stored(tmp_path):
    d = embedded()
    result = Fit(d, backend="minuit").run(starts=6)
    assert result.starts.n_minima == 1
    assert result.success
    result.write(tmp_path / "fit.yaml")
    back = type(result).read(tmp_path / "fit.yaml")
    assert back.starts.minima == result.starts.minima
    assert back.status == result.status
    assert back.goodness == result.goodness
    assert str(back) == str(result)
