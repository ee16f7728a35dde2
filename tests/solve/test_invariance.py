"""What must not matter: how lanes are cut into calls, their order, their neighbours, and which program runs them."""

from itertools import pairwise

import numpy as np
import pytest

from gammajax import Fit, Likelihood, Status
from gammajax.fit.problem import derivatives
from gammajax.scan import Refit
from gammajax.solve import batch, evaluate_batch, fitted, programs
from tests.problems import cut_off, embedded, many_parameters
from tests.scan.serial import reference

pytestmark = pytest.mark.usefixtures("batched_program")

# a lane ends when less than 1e-9 is expected; on another way it may end elsewhere within that
STAT, SIGMA = 1e-8, 1e-4


@pytest.fixture(scope="module")
def refit():
    d = embedded()
    Fit([d], backend="newton").run()
    likelihood = Likelihood(d)
    return Refit(likelihood, derivatives(likelihood, likelihood.start)[2])


@pytest.fixture(scope="module")
def nodes(refit):
    rng = np.random.default_rng(5)
    return refit.best[[2, 3]] + rng.uniform(-4, 4, size=(150, 2)) * refit.scale[[2, 3]]


@pytest.fixture(scope="module")
def whole(refit, nodes):
    return refit.points([((2, 3), nodes)])


def agree(refit, one, other):
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(one.stat, other.stat, atol=STAT, rtol=0)
    np.testing.assert_allclose(one.theta / refit.scale, other.theta / refit.scale, atol=SIGMA, rtol=0)


def test_cut_into_other_calls(refit, nodes, whole, monkeypatch):
    sizes = programs.Sizes("cpu")
    sizes.capacity = sizes.large = 48
    sizes.minimize = sizes.evaluate = 16
    monkeypatch.setattr(batch, "sizes", lambda platform: sizes)
    agree(refit, whole, refit.points([((2, 3), nodes)]))
    np.testing.assert_allclose(evaluate_batch(refit.likelihood, whole.theta), whole.stat, rtol=1e-12)


def test_order(refit, nodes, whole):
    order = np.random.default_rng(1).permutation(len(nodes))
    again = refit.points([((2, 3), nodes[order])])
    np.testing.assert_array_equal(again.status, whole.status[order])
    np.testing.assert_allclose(again.stat, whole.stat[order], atol=STAT, rtol=0)


def test_one_at_a_time(refit, nodes, whole):
    for k in (0, 40, 149):
        one = refit.points([((2, 3), nodes[k : k + 1])])
        assert one.stat[0] == pytest.approx(whole.stat[k], abs=STAT)


def test_program_with_fixed_free_parameters(refit, nodes, whole, monkeypatch):
    monkeypatch.setattr(batch, "SPECIALISE", 1)
    agree(refit, whole, refit.points([((2, 3), nodes)]))
    np.testing.assert_allclose(evaluate_batch(refit.likelihood, whole.theta), whole.stat, rtol=1e-12)


def test_without_the_inner_step(refit, nodes, whole, monkeypatch):
    """The general solver alone, told of no linear parameter, ends at the same minima."""
    compact = type(refit.likelihood.compact())
    # a new function, so that nothing compiled with the inner step is used again
    monkeypatch.setattr(batch, "minimize_program", _without_linear(compact, monkeypatch))
    agree(refit, whole, refit.points([((2, 3), nodes)]))


def _without_linear(compact, monkeypatch):
    import jax

    from gammajax.likelihood import compact as module

    real = module.make_plan.__wrapped__

    def plan(structure, active):
        found = real(structure, active)
        none = tuple(tuple(None for _ in s) for s in found.strength)
        slopes = tuple(
            tuple(tuple(k for k, i in enumerate(t.index) if i in active) for t in s.terms) for s in structure.datasets
        )
        return module.Plan(active, (), none, slopes)

    monkeypatch.setattr(module, "make_plan", plan)
    function = programs.minimize_program.__wrapped__
    return jax.jit(
        lambda *a, **k: function(*a, **k), static_argnames=("columns", "active", "inner", "shapes", "derivatives")
    )


def test_derivatives_come_with_it(refit, nodes):
    out = refit.points([((2, 3), nodes[:5])], derivatives=True)
    for k in range(5):
        _, gradient, hessian = derivatives(refit.likelihood, out.theta[k])
        moving = [0, 2, 3]
        np.testing.assert_allclose(
            out.gradient[k][moving] * refit.scale[moving], gradient[moving] * refit.scale[moving], atol=1e-7
        )
        unit = np.outer(refit.scale[moving], refit.scale[moving])
        grid = np.ix_(moving, moving)
        np.testing.assert_allclose(out.hessian[k][grid] * unit, hessian[grid] * unit, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "calls", [(1, 1024, 32, 2), (33, 1024, 32, 2), (400, 1024, 32, 2), (5000, 1024, 32, 2), (7, 8, 8, 3)]
)
def test_pieces_cover_every_lane_once(calls):
    n, capacity, inner, workers = calls
    found = programs.pieces(n, capacity, inner, workers)
    assert found[0][0] == 0
    assert found[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(0 < b - a <= capacity and a % inner == 0 for a, b in found)


@pytest.mark.slow
@pytest.mark.parametrize("problem", [embedded, cut_off, many_parameters])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("points", [0, 10**9], ids=["batched", "point by point"])
def test_no_wrong_node_says_that_it_converged(problem, seed, points, monkeypatch):
    """Simulated counts, nodes to ten errors away: from where a lane says it ended, scipy finds nothing lower."""
    monkeypatch.setattr("gammajax.solve.few.POINTS", {"evaluate": points, "minimize": points})
    d = problem()
    first = d if not hasattr(d, "fake") else [d]
    for k, dataset in enumerate(first):
        dataset.fake(100 * seed + k)
    Fit(d, backend="newton").run()
    likelihood = Likelihood(d)
    refit = Refit(likelihood, derivatives(likelihood, likelihood.start)[2])
    free = np.flatnonzero(likelihood.free)
    rng = np.random.default_rng(seed)
    for index in free[:4]:
        values = refit.best[index] + rng.uniform(-10, 10, size=12) * refit.scale[index]
        values = np.clip(values, likelihood.lower[index], likelihood.upper[index])[:, None]
        out = refit.points([((index,), values)])
        good = np.flatnonzero(fitted(out.status) & (out.status != Status.AT_CORNER))
        assert len(good) > 0
        for k in good:
            near = Likelihood(d)
            near.table.theta[:] = out.theta[k]
            lowest = reference(near, [index], out.theta[k : k + 1, [index]])[0]
            assert out.stat[k] <= lowest + 1e-6
