"""Starts from which it does not show which way to go: a parameter without effect, the statistic alike to both sides."""

import numpy as np
import pytest

from gammajax import Fit, Likelihood, Parameter
from gammajax.fit.backends.newton import expected_distance


@pytest.fixture(scope="module")
def likelihood():
    """Two wells in a, of which `tilt` says which one is the lower; b has no effect at a = 0, and a no slope at b = 0."""
    parameters = [Parameter("a", 0.0), Parameter("b", 0.0), Parameter("tilt", 0.3, frozen=True)]
    return Likelihood.from_function(
        lambda t: 0.5 * (t[0] * t[1] + 1) ** 2 + t[0] ** 4 / 4 - t[0] ** 2 / 2 + t[2] * t[0] ** 3 / 3, parameters
    )


@pytest.mark.parametrize("tilt", [0.3, -0.3])
@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_the_lower_side_is_found_whichever_it_is(likelihood, tilt, backend):
    a, b = likelihood.parameters["a"], likelihood.parameters["b"]
    a.value, b.value, likelihood.parameters["tilt"].value = 0.0, 0.0, tilt
    result = Fit(likelihood, backend=backend).run()
    # by hand: a^2 + tilt a - 1 = 0 and a b = -1
    root = -np.sign(tilt) * (0.15 + np.sqrt(0.15**2 + 1))
    assert result.success
    assert a.value == pytest.approx(root, rel=1e-5)
    assert b.value == pytest.approx(-1 / root, rel=1e-5)
    (said,) = (n for n in result.notes if "no effect at the start" in n)
    assert said.startswith(
        "b has no effect at the start, which does not tell which way to go: the fit began beside it, at a = "
    )


def test_a_start_with_a_slope_stays_what_it_is(likelihood):
    """b has no effect there, but a a slope: the fit leaves by itself, into the well on its side."""
    likelihood.parameters["a"].value, likelihood.parameters["b"].value = 0.0, -0.5
    likelihood.parameters["tilt"].value = 0.3
    result = Fit(likelihood, backend="newton").run()
    assert likelihood.parameters["a"].value == pytest.approx(np.sqrt(0.15**2 + 1) - 0.15, rel=1e-6)
    assert not any("no effect at the start" in n for n in result.notes)


def test_curvatures_at_the_end_of_numbers():
    """A fit from 8 starts ended in LinAlgError: the square of the scale of a curvature of 1e-310 is infinite."""
    slopes = np.array([0.0, 2.0])
    assert expected_distance(slopes, np.array([[1e-310, 0.0], [0.0, 2.0]])) == pytest.approx(1.0)
    with np.errstate(over="ignore"):
        assert expected_distance(slopes, np.array([[1e-310, 1e200], [1e200, 2.0]])) == np.inf
