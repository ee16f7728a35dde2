"""What an optimiser left is taken away; nothing else is touched."""

import numpy as np
import pytest

from gammajax.fit.backends import BackendResult, Objective
from gammajax.fit.polish import polished


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


def test_a_limit_holds():
    o = valley(upper=np.array([0.5, np.inf]))
    out = polished(o, stopped([0.5, 0.251]))
    np.testing.assert_allclose(out.x, [0.5, 0.25], atol=1e-12)
