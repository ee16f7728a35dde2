"""Minimum and crossings of one strength: closed forms of scipy, on the host and in a program alike."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from gammajax.solve import HOST, TRACED, norm_crossings, norm_minimum
from gammajax.units import double_precision

# counts, signal at strength 1 and background of one channel each: strong, weak, a deficit, none measured, many
COUNTS = np.array([100.0, 3.0, 2.0, 0.0, 1e6])
SIGNAL = np.array([50.0, 1.0, 10.0, 2.0, 1e5])
BACKGROUND = np.array([20.0, 2.5, 8.0, 1.0, 3e5])
LEVELS, SIDES = np.array([1.0, 1.0, 4.0, 25.0]), np.array([1.0, -1.0, 1.0, 1.0])


def cash(xp, norm):
    """Statistic, slope and curvature; infinite where no counts can be expected."""
    signal, counts = SIGNAL[:, None], COUNTS[:, None]
    mu = norm * signal + BACKGROUND[:, None]
    inside = mu > 0
    safe = xp.where(inside, mu, 1.0)
    stat = xp.where(inside, 2 * (mu - counts * xp.log(safe)), xp.inf)
    return stat, 2 * signal * (1 - counts / safe), 2 * counts * (signal / safe) ** 2


def on_the_host():
    norm, success = norm_minimum(partial(cash, np), np.ones(5))
    best = np.where(success, norm, 0.0)
    stat, _, curvature = (a[:, 0] for a in cash(np, best[:, None]))
    with np.errstate(divide="ignore"):
        error = np.sqrt(2 / curvature)
    return norm, success, norm_crossings(partial(cash, np), best, stat, error, LEVELS, SIDES, HOST)


def in_a_program():
    @jax.jit
    def run(start):
        curve = partial(cash, jnp)
        norm, success = norm_minimum(curve, start, TRACED)
        best = jnp.where(success, norm, 0.0)
        stat, _, curvature = (a[:, 0] for a in curve(best[:, None]))
        return norm, success, norm_crossings(curve, best, stat, jnp.sqrt(2 / curvature), LEVELS, SIDES, TRACED)

    with double_precision():
        return tuple(np.asarray(a) for a in run(jnp.ones(5)))


@pytest.mark.parametrize("way", [on_the_host, in_a_program])
def test_minimum_and_crossings(way):
    norm, success, crossing = way()
    # without counts the statistic falls to the end of its domain: there is no minimum
    assert success.tolist() == [True, True, True, False, True]
    exact = (COUNTS - BACKGROUND) / SIGNAL
    # the EDM is below 1e-12, which is 1e-6 of an error
    error = np.sqrt(COUNTS) / SIGNAL
    assert np.all(np.abs(norm - exact)[success] < 2e-6 * error[success])
    best = np.where(success, exact, 0.0)
    for k in range(5):
        for j, (level, side) in enumerate(zip(LEVELS, SIDES, strict=True)):

            def rise(x, k=k, level=level):
                return cash(np, np.full((5, 1), x))[0][k, 0] - cash(np, best[:, None])[0][k, 0] - level

            # without counts the statistic falls all the way to the edge of the domain
            if not success[k] and side < 0:
                assert np.isnan(crossing[k, j])
                continue
            edge = (-BACKGROUND[k] / SIGNAL[k]) * (1 - 1e-12) if side < 0 else best[k] + 50 * (1 + abs(best[k]))
            # a rise to 1e-10 of its level is 1e-10 of an error; in a statistic of 2e7 sixteen digits are 4e-9
            assert crossing[k, j] == pytest.approx(brentq(rise, best[k], edge, xtol=1e-14), rel=1e-8)


@pytest.mark.parametrize("way", [HOST, TRACED])
def test_without_levels_nothing_is_computed(way):
    def never(norm):
        raise AssertionError("called")

    assert norm_crossings(never, np.ones(3), np.ones(3), np.ones(3), np.zeros(0), np.zeros(0), way).shape == (3, 0)
