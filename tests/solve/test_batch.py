import jax
import numpy as np
import pytest

from gammajax import Fit, Likelihood, Status
from gammajax.solve import cholesky_solve, minimize_batch
from tests.problems import embedded

pytestmark = pytest.mark.usefixtures("batched_program")


@pytest.mark.parametrize("n", [1, 2, 3, 6, 8, 9, 12])
def test_cholesky_against_numpy(n):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n))
    matrix, vector = root @ root.T + 0.1 * np.eye(n), rng.normal(size=n)
    with jax.enable_x64(True):
        x, positive = jax.jit(cholesky_solve)(matrix, vector)
        _, negative = cholesky_solve(matrix - 1e3 * np.eye(n), vector)
    assert bool(positive)
    assert not bool(negative)
    np.testing.assert_allclose(x, np.linalg.solve(matrix, vector), rtol=1e-8)


@pytest.fixture(scope="module")
def fitted():
    d = embedded()
    result = Fit([d], backend="newton").run()
    return Likelihood(d), result


def starts(likelihood, n, seed=0, width=0.3):
    rng = np.random.default_rng(seed)
    spread = np.where(likelihood.free, likelihood.scale * width, 0)
    return likelihood.start + rng.normal(size=(n, len(spread))) * spread


def solve(likelihood, s, **options):
    return minimize_batch(
        likelihood, s, likelihood.free, likelihood.lower, likelihood.upper, likelihood.scale, **options
    )


def test_many_starts_find_the_same_minimum(fitted):
    likelihood, result = fitted
    out = solve(likelihood, np.clip(starts(likelihood, 150), likelihood.lower, likelihood.upper))
    good = out.status == Status.CONVERGED
    assert good.mean() > 0.9
    # what says converged is at a minimum; here there is only one
    np.testing.assert_allclose(out.stat[good], result.total_stat, atol=1e-8)
    assert np.all(out.edm[good] < 1e-7)


def test_batch_equals_single_and_order_does_not_matter(fitted):
    likelihood, _ = fitted
    s = np.clip(starts(likelihood, 70), likelihood.lower, likelihood.upper)
    whole = solve(likelihood, s)
    flipped = solve(likelihood, s[::-1])
    one = solve(likelihood, s[5:6])
    np.testing.assert_array_equal(whole.status, flipped.status[::-1])
    np.testing.assert_allclose(whole.stat, flipped.stat[::-1], atol=1e-10)
    np.testing.assert_allclose(whole.stat[5], one.stat[0], atol=1e-10)


def test_iteration_limit_and_non_finite_are_flagged(fitted):
    likelihood, _ = fitted
    s = starts(likelihood, 3, width=0.0) * 1.0
    s[0, 2] += 0.3
    s[1, 2] = np.nan
    out = solve(likelihood, s, max_iter=1)
    assert out.status[0] == Status.ITERATION_LIMIT
    assert out.status[1] == Status.NON_FINITE
    assert out.status[2] == Status.CONVERGED


def test_every_status_has_words():
    for status in Status:
        assert len(status.meaning) > 5
