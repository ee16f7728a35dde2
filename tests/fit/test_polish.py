"""What an optimiser left is taken away; nothing else is touched."""

import numpy as np
import pytest

from gammajax import Fit
from gammajax.fit.backends import BackendResult, Objective
from gammajax.fit.polish import polished
from tests.problems import embedded


def valley(**changes):
    """Rosenbrock's valley, minimum 0 at (1, 1)."""
    return Objective(
        **{
            "names": ("a", "b"),
            "start": np.zeros(2),
            "lower": np.full(2, -np.inf),
            "upper": np.full(2, np.inf),
            "step": np.ones(2),
            "fun": lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
            "grad": lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
            "hess": lambda x: np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]]),
        }
        | changes
    )


def narrow():
    """The same with walls a million times as steep: a whole Newton step along it ends high up on one of them."""
    steep = 1e8
    return valley(
        fun=lambda x: steep * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        grad=lambda x: np.array(
            [-4 * steep * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 2 * steep * (x[1] - x[0] ** 2)]
        ),
        hess=lambda x: np.array(
            [[4 * steep * (3 * x[0] ** 2 - x[1]) + 2, -4 * steep * x[0]], [-4 * steep * x[0], 2 * steep]]
        ),
    )


def stopped(x):
    return BackendResult(x=np.array(x), fun=0.0, success=True, message="stopped", method="test")


def test_close_to_the_minimum():
    o = valley()
    out = polished(o, stopped([1.01, 1.0203]))
    np.testing.assert_allclose(out.x, [1, 1], atol=1e-8)
    assert out.fun == pytest.approx(0, abs=1e-15)
    assert out.message == "stopped"
    assert o.counts.fun == o.counts.grad == o.counts.hess == 0


@pytest.mark.parametrize("x", [[0.3, 0.1], [-1.0, 1.0], [np.nan, 0.0]], ids=["far", "elsewhere in the valley", "nan"])
def test_far_away_nothing_happens(x):
    before = stopped(x)
    assert polished(valley(), before) is before


def test_a_bent_valley_is_followed_to_its_end():
    o = narrow()
    out = polished(o, stopped([0.98, 0.98**2]))
    np.testing.assert_allclose(out.x, [1, 1], atol=1e-8)
    assert out.fun == pytest.approx(0, abs=1e-15)
    assert o.counts.fun == o.counts.grad == o.counts.hess == 0
    # not from far
    before = stopped([0.5, 0.25])
    assert polished(o, before) is before


@pytest.mark.parametrize("simulate", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["fit", "simulations"])
def test_a_log_parabola_far_from_its_pivot_energy(simulate):
    """At 10 PeV its amplitude follows index and curvature exponentially. MIGRAD stops in that valley, 1e-3 above the minimum."""
    dataset, energy = embedded(), 1e4
    model, x = dataset.models[0].spectral_model, np.log(energy)
    model.alpha.min = model.alpha.max = np.nan
    model.amplitude.value *= np.exp(-2.3 * x - 0.2 * x * x)
    model.alpha.value = 2.3 + 2 * 0.2 * x
    model.reference.value = energy
    fit = Fit([dataset])
    found = fit.run(backend="minuit")
    assert found.success, found.flags
    assert "Newton steps to the minimum beside it gained 0.00" in found.message
    if simulate:
        assert fit.goodness_of_fit(20, random_state=1).stat == pytest.approx(found.total_stat, abs=1e-6)
    assert fit.run(backend="newton").total_stat == pytest.approx(found.total_stat, abs=1e-8)


def test_a_limit_holds():
    o = valley(upper=np.array([0.5, np.inf]))
    out = polished(o, stopped([0.5, 0.251]))
    np.testing.assert_allclose(out.x, [0.5, 0.25], atol=1e-12)
