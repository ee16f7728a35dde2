"""What holds for every statistic: one table, each test runs over it."""

import importlib.util
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax import stats
from tests.stats import make_reference, oracle

COUNTS = (0.0, 0.3, 1.0, 3.0, 11.0, 1e6)
MAGNITUDES = (1e-300, 1e-150, 1e-30, 1e-6, 0.5, 3.0, 40.0, 1e6, 1e30, 1e60)
EXPECTED = (0.0, *MAGNITUDES, *(-x for x in MAGNITUDES))


def _grid(*axes) -> np.ndarray:
    return np.array(list(itertools.product(*axes))).T


def _onoff_grid() -> np.ndarray:
    """Wide, and with the points where the second derivative jumps."""
    grid = _grid(COUNTS, COUNTS, (0.0, 1e-30, 0.08, 1.0, 3.0), EXPECTED)
    n_on, n_off, alpha, _ = grid[:, :: len(EXPECTED)]
    corners = [(n_on, n_off, alpha, alpha * n_on / (1 + alpha)), (n_on, n_off, alpha, -alpha * n_off / (1 + alpha))]
    return np.concatenate([grid, *map(np.array, corners)], axis=1)


@dataclass(frozen=True)
class Statistic:
    name: str
    function: Callable
    derivatives: Callable
    oracle: Callable
    wide: np.ndarray
    ordinary: np.ndarray
    """Arguments away from corners, one row per input."""

    @property
    def inputs(self) -> tuple[int, ...]:
        return tuple(range(len(self.wide)))


ON = _grid((0.0, 1.0, 3.0, 11.0), (1e-9, 0.5, 3.0, 40.0))
ON_OFF = _grid((0.0, 1.0, 3.0, 11.0), (0.0, 2.0, 40.0), (0.08, 1.0, 3.0), (1e-9, 0.4, 3.1, 25.0, -0.03, -2.7, -90.0))
TABLE = [
    Statistic("cash", stats.cash, stats.cash_derivatives, oracle.cash, _grid(COUNTS, EXPECTED), ON),
    Statistic("cstat", stats.cstat, stats.cstat_derivatives, oracle.cstat, _grid(COUNTS, EXPECTED), ON),
    Statistic("wstat", stats.wstat, stats.wstat_mu_sig_derivatives, oracle.wstat, _onoff_grid(), ON_OFF),
]
REFERENCE = json.loads(Path(make_reference.FILE).read_text())

statistics = pytest.mark.parametrize("statistic", TABLE, ids=lambda s: s.name)


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def _per_bin(transform: Callable, statistic: Statistic) -> Callable:
    return jax.jit(jax.vmap(transform(statistic.function, argnums=statistic.inputs)))


@statistics
@pytest.mark.parametrize("source", ["sherpa", "mpmath"])
def test_equals_the_stored_reference(statistic, source):
    arguments = np.array(make_reference.arguments(statistic.name, REFERENCE["inputs"])).T
    # rounding of sums of terms of order 100
    np.testing.assert_allclose(
        statistic.function(*arguments), REFERENCE[source][statistic.name], rtol=1e-13, atol=1e-12
    )


def test_the_stored_reference_can_be_made_again():
    assert make_reference.differences(make_reference.make(REFERENCE), REFERENCE) == []


@pytest.mark.skipif(importlib.util.find_spec("sherpa") is None, reason="sherpa is not installed")
@statistics
def test_equals_sherpa_live(statistic):
    made = make_reference.with_sherpa(REFERENCE["inputs"])[statistic.name]
    arguments = np.array(make_reference.arguments(statistic.name, REFERENCE["inputs"])).T
    np.testing.assert_allclose(statistic.function(*arguments), made, rtol=1e-13, atol=1e-12)


@statistics
def test_equals_gammapy_live(statistic):
    gammapy_stats = pytest.importorskip("gammapy.stats", reason="gammapy is not installed")
    # gammapy has no value for counts below 0 expected ones, and cancels where mu_sig is far below 0
    arguments = statistic.ordinary[:, statistic.ordinary[-1] > -1]
    theirs = getattr(gammapy_stats, statistic.name)(*arguments)
    usable = np.isfinite(theirs)
    assert usable.mean() > 0.9
    np.testing.assert_allclose(statistic.function(*arguments)[usable], theirs[usable], rtol=1e-9, atol=1e-9)


@statistics
def test_equals_60_digits(statistic):
    expected = [float(statistic.oracle(*row)) for row in statistic.ordinary.T]
    np.testing.assert_allclose(statistic.function(*statistic.ordinary), expected, rtol=1e-13, atol=1e-13)


@statistics
def test_first_derivatives_of_all_inputs_are_central_differences(statistic):
    gradient = _per_bin(jax.grad, statistic)(*statistic.ordinary)
    for axis in statistic.inputs:
        _compare(statistic, gradient[axis], axis)


@statistics
def test_second_derivatives_of_all_inputs_are_central_differences(statistic):
    hessian = _per_bin(jax.hessian, statistic)(*statistic.ordinary)
    for one, other in itertools.combinations_with_replacement(statistic.inputs, 2):
        _compare(statistic, hessian[one][other], one, other)
        np.testing.assert_allclose(hessian[one][other], hessian[other][one], rtol=1e-10, atol=1e-12)


def _compare(statistic: Statistic, ours: jax.Array, *axes: int) -> None:
    """Against 60 digits; no central difference exists in counts that are 0."""
    for row, value in zip(statistic.ordinary.T, ours, strict=True):
        if any(row[axis] == 0 for axis in axes):
            continue
        expected = float(oracle.derivative(statistic.oracle, row, *axes))
        # alpha multiplies up to 90/0.08 in the second derivative; its terms cancel to 1e-12 of that
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-11), (row, axes)


@statistics
def test_closed_derivatives_agree_with_autodiff(statistic):
    last = statistic.inputs[-1]
    first = jax.vmap(jax.grad(statistic.function, argnums=last))
    second = jax.vmap(jax.grad(jax.grad(statistic.function, argnums=last), argnums=last))
    value, d1, d2 = statistic.derivatives(*statistic.wide)
    np.testing.assert_array_equal(value, statistic.function(*statistic.wide))
    np.testing.assert_allclose(d1, first(*statistic.wide), rtol=1e-14)
    np.testing.assert_allclose(d2, second(*statistic.wide), rtol=1e-14)
    assert np.all(d2 >= 0)


@statistics
def test_no_nan_anywhere(statistic):
    value = np.asarray(statistic.function(*statistic.wide))
    assert not np.isnan(value).any()
    for transform in (jax.grad, jax.jacfwd, jax.hessian):
        derivative = np.array(jax.tree.leaves(_per_bin(transform, statistic)(*statistic.wide)))
        assert not np.isnan(derivative).any(), transform
    closed = np.array(statistic.derivatives(*statistic.wide)[1:])
    assert np.isfinite(closed).all()


@statistics
def test_infinite_expectation_is_an_infinite_value(statistic):
    ends = np.array([np.inf, -np.inf, 1e305, -1e305])
    arguments = [np.full(4, x) for x in (3.0, 2.0, 0.5)[: len(statistic.inputs) - 1]] + [ends]
    value, first, second = statistic.derivatives(*arguments)
    assert value[0] == value[1] == np.inf
    assert not np.isnan(value).any()
    assert np.isfinite([first, second]).all()
    assert not np.isnan(jax.tree.leaves(_per_bin(jax.hessian, statistic)(*arguments))).any()


@statistics
def test_nan_stays_nan(statistic):
    for axis in statistic.inputs:
        for counts in (0.0, 3.0):
            arguments = [counts, counts, 0.5, 2.0][-len(statistic.inputs) :]
            arguments = [counts, 2.0] if len(statistic.inputs) == 2 else arguments
            arguments[axis] = np.nan
            assert np.isnan(statistic.function(*arguments)), arguments


@statistics
def test_never_negative_but_for_cash(statistic):
    if statistic.name != "cash":
        assert np.all(statistic.function(*statistic.wide) >= 0)


@statistics
def test_jit_changes_nothing(statistic):
    # the compiler may contract a product and a sum: a few units in the last place of the terms
    np.testing.assert_allclose(
        jax.jit(statistic.function)(*statistic.ordinary),
        statistic.function(*statistic.ordinary),
        rtol=1e-12,
        atol=1e-13,
    )


@statistics
def test_vmap_equals_the_array_call(statistic):
    np.testing.assert_allclose(
        jax.vmap(statistic.function)(*statistic.ordinary), statistic.function(*statistic.ordinary), rtol=1e-14
    )


@statistics
def test_orders_of_differentiation_agree(statistic):
    arguments = list(statistic.ordinary[:, -5])
    orders = [(jax.jacfwd, jax.jacrev), (jax.jacrev, jax.jacfwd), (jax.jacfwd, jax.jacfwd), (jax.jacrev, jax.jacrev)]
    results = [
        np.array(outer(inner(statistic.function, argnums=statistic.inputs), argnums=statistic.inputs)(*arguments))
        for outer, inner in orders
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-12, atol=1e-14)


@statistics
def test_inside_while_loop_with_derivatives(statistic):
    *others, mu = statistic.ordinary[:, 5]

    def three_times(mu):
        body = lambda state: (state[0] + 1, state[1] + statistic.function(*others, state[2]), state[2])  # noqa: E731
        return jax.lax.while_loop(lambda state: state[0] < 3, body, (0, 0.0, mu))[1]

    _, first, second = statistic.derivatives(*others, mu)
    slope = lambda x: jax.jvp(three_times, (x,), (1.0,))[1]  # noqa: E731
    assert slope(mu) == pytest.approx(3 * float(first), rel=1e-12)
    assert jax.jvp(slope, (mu,), (1.0,))[1] == pytest.approx(3 * float(second), rel=1e-12)


@statistics
def test_shapes_broadcast_and_integers_become_floating(statistic):
    counts = np.arange(3)
    arguments = [*(counts, 2, 0.5)[: len(statistic.inputs) - 1], np.full((4, 1), 1.5)]
    value = statistic.function(*arguments)
    assert value.shape == (4, 3)
    assert value.dtype == np.float64
    assert statistic.function(*[1] * len(statistic.inputs)).dtype == np.float64
    np.testing.assert_array_equal(value[0], statistic.function(counts.astype(float), *arguments[1:])[0])
    slope = jax.grad(lambda mu: statistic.function(*arguments[:-1], mu).sum())(1.5)
    assert slope == pytest.approx(float(statistic.derivatives(*arguments)[1][0].sum()), rel=1e-13)


@statistics
def test_single_precision_stays_single_and_free_of_nan(statistic):
    with jax.enable_x64(False):
        # single precision has no room for the ends of the wide grid, products such as mu_b^2 r
        small = (np.abs(statistic.wide) < 1e7).all(axis=0) & (statistic.wide[2:3] != 1e-30).all(axis=0)
        wide = jnp.asarray(statistic.wide[:, small], dtype=np.float32)
        value = statistic.function(*wide)
        derivatives = jax.tree.leaves(_per_bin(jax.hessian, statistic)(*wide))
        assert value.dtype == np.float32
        assert not np.isnan(value).any()
        assert not np.isnan(derivatives).any()
