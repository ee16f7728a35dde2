"""exp, ln and sums of the inner loops against numpy's extended precision, and their constants against the recipe."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

from gammajax import elementary
from gammajax.elementary import exp, log, total

RECIPE = Path(__file__).parent / "recipes" / "elementary.py"
EPS = np.finfo(float).eps
rng = np.random.default_rng(20261124)

SAMPLES = {
    "exp": np.concatenate(
        [rng.uniform(-706.9, 709.7, 50_000), rng.uniform(-1, 1, 50_000), rng.normal(size=9000) * 1e-8]
    ),
    "log": np.concatenate(
        [np.exp(rng.uniform(-700, 709, 50_000)), rng.uniform(0.5, 2, 50_000), 1 + rng.normal(size=9000) * 1e-12]
    ),
}
FUNCTIONS = {"exp": (exp, np.exp), "log": (log, np.log)}
CORNERS = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0), (710.0, np.inf), (1e19, np.inf), (-1e19, 0.0), (-708.0, 0.0)],
    "log": [(1.0, 0.0), (0.0, -np.inf), (-0.0, -np.inf), (np.inf, np.inf), (5e-324, -np.inf)],
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_within_two_units_in_the_last_place(name):
    ours, numpys = FUNCTIONS[name]
    x = SAMPLES[name]
    with jax.enable_x64(True):
        value = np.asarray(jax.jit(ours)(x))
    truth = numpys(x.astype(np.longdouble))
    assert np.max(np.abs(value - truth) / np.abs(truth)) < 2 * EPS


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name):
    with jax.enable_x64(True):
        for x, expected in CORNERS[name]:
            assert float(FUNCTIONS[name][0](np.float64(x))) == expected
        for x in (np.nan,) if name == "exp" else (np.nan, -1.0, -np.inf):
            assert np.isnan(float(FUNCTIONS[name][0](np.float64(x))))


def test_derivatives():
    with jax.enable_x64(True):
        for x in (-3.0, 0.2, 5.0):
            assert float(jax.grad(jax.grad(exp))(x)) == pytest.approx(np.exp(x), rel=1e-15)
        for x in (1e-3, 0.9, 40.0):
            assert float(jax.grad(log)(x)) == pytest.approx(1 / x, rel=1e-15)
            assert float(jax.grad(jax.grad(log))(x)) == pytest.approx(-1 / x**2, rel=1e-15)


def test_single_precision_is_left_to_jax():
    x = np.float32(0.3)
    assert exp(x).dtype == log(x).dtype == np.float32
    assert float(exp(x)) == float(jax.numpy.exp(x))


@pytest.mark.parametrize("n", [0, 1, 8, 16, 37, 64, 130, 1000])
def test_total_of_any_length(n):
    x = rng.normal(size=n)
    with jax.enable_x64(True):
        assert float(total(jax.numpy.asarray(x))) == pytest.approx(float(np.sum(x)), abs=1e-12)


def test_constants_are_those_of_the_recipe():
    spec = importlib.util.spec_from_file_location("recipe", RECIPE)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    np.testing.assert_allclose(elementary.EXP, recipe.exponential(), rtol=4e-16)
    np.testing.assert_allclose(elementary.LOG, recipe.logarithm(), rtol=4e-16)
    assert (elementary.LN2_HIGH, elementary.LN2_LOW) == pytest.approx(recipe.split_logarithm(), rel=1e-15)
