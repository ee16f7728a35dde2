"""Small scans point by point, with the program of the fit: the same results, and only until a program of its own pays."""

import numpy as np
import pytest

from gammajax import Datasets, Fit, Likelihood
from gammajax.scan import Refit
from gammajax.solve import batch, derivatives, evaluate_batch, few, programs
from tests.problems import at_limit, embedded, many_parameters


def refit_of(problem):
    d = problem()
    Fit(d if isinstance(d, Datasets) else [d], backend="newton").run()
    likelihood = Likelihood(d)
    return Refit(likelihood, derivatives(likelihood, likelihood.start)[2])


@pytest.fixture
def calls(monkeypatch):
    """Which compiled programs were called."""
    out = []

    def counted(name):
        real = getattr(programs, name)

        def call(*arguments, **static):
            out.append(name)
            return real(*arguments, **static)

        monkeypatch.setattr(batch, name, call)

    counted("minimize_program")
    counted("evaluate_program")
    monkeypatch.setattr(few, "_spent", {})
    return out


def budget(monkeypatch, points):
    monkeypatch.setattr(few, "POINTS", {"evaluate": points, "minimize": points})


@pytest.mark.parametrize("problem", [embedded, many_parameters, at_limit])
@pytest.mark.parametrize("width", [2, 6])
def test_both_ways_agree(problem, width, monkeypatch, calls):
    refit = refit_of(problem)
    rng = np.random.default_rng(3)
    free = np.flatnonzero(refit.likelihood.free)
    held = tuple(int(i) for i in free[-1:])
    nodes = refit.best[list(held)] + rng.uniform(-width, width, size=(40, 1)) * refit.scale[list(held)]
    budget(monkeypatch, 10**9)
    one = refit.points([(held, nodes)], derivatives=True)
    # of the near ones none needs the batched program
    assert not calls or width > 2
    budget(monkeypatch, 0)
    other = refit.points([(held, nodes)], derivatives=True)
    assert "minimize_program" in calls
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(one.stat, other.stat, atol=1e-8, rtol=0)
    np.testing.assert_allclose(one.theta / refit.scale, other.theta / refit.scale, atol=1e-4, rtol=0)
    unit = np.outer(refit.scale, refit.scale)
    both = np.ix_(range(40), free, free)
    np.testing.assert_allclose((one.hessian * unit)[both], (other.hessian * unit)[both], rtol=1e-3, atol=1e-3)


def test_statistic_both_ways(monkeypatch, calls):
    refit = refit_of(embedded)
    points = refit.best + np.random.default_rng(4).normal(size=(30, 4)) * refit.scale * refit.likelihood.free
    budget(monkeypatch, 10**9)
    one = evaluate_batch(refit.likelihood, points)
    assert not calls
    budget(monkeypatch, 0)
    np.testing.assert_allclose(evaluate_batch(refit.likelihood, points), one, rtol=1e-12)
    assert calls == ["evaluate_program"]


def test_a_program_is_compiled_once_it_pays(monkeypatch, calls):
    refit = refit_of(embedded)
    nodes = refit.best[[2]] + np.linspace(-1, 1, 10)[:, None] * refit.scale[[2]]
    budget(monkeypatch, 10 * few.PER_LANE * 2)
    for _ in range(2):
        refit.points([((2,), nodes)])
    assert not calls
    refit.points([((2,), nodes)])
    assert calls == ["minimize_program"]
    # from now on always
    refit.points([((2,), nodes[:1])])
    assert calls == ["minimize_program"] * 2


def test_what_plain_steps_do_not_settle_is_left_to_the_program(monkeypatch, calls):
    refit = refit_of(embedded)
    like = refit.likelihood
    starts = np.tile(refit.best, (3, 1))
    # the second begins where no step can be taken, the third far away
    starts[1, 0] *= 1e8
    starts[2, 2] = 12.0
    budget(monkeypatch, 10**9)
    again = np.tile(refit.best, (3, 1))
    out = batch.minimize_batch(like, starts, like.free, like.lower, like.upper, refit.scale, again=again)
    assert calls
    np.testing.assert_allclose(out.stat, out.stat[0], atol=1e-7)
    assert out.iterations[0] < out.iterations[1]


def test_nothing_is_compiled_for_a_likelihood_that_was_never_computed(monkeypatch, calls):
    """Then the program of the fit would have to be compiled first."""
    budget(monkeypatch, 10**9)
    monkeypatch.setattr("gammajax.solve.point._compiled", set())
    like = Likelihood(embedded())
    evaluate_batch(like, like.start[None])
    assert calls == ["evaluate_program"]


def test_the_limit_of_steps_counts_both_ways(monkeypatch, calls):
    refit = refit_of(embedded)
    like = refit.likelihood
    starts = np.tile(refit.best, (4, 1))
    starts[:, 2] += np.linspace(3, 12, 4)
    for limit in (1, 3, few.MAX_STEPS + 1, 12):
        budget(monkeypatch, 10**9)
        out = batch.minimize_batch(like, starts, like.free, like.lower, like.upper, refit.scale, max_iter=limit)
        assert np.all(out.iterations <= limit)
        budget(monkeypatch, 0)
        few_steps = batch.minimize_batch(like, starts, like.free, like.lower, like.upper, refit.scale, max_iter=limit)
        assert np.all(few_steps.iterations <= limit)


def test_a_compiler_that_does_not_know_an_option_compiles_without(monkeypatch):
    monkeypatch.setattr(programs, "OPTIONS", {"xla_cpu_no_such_thing": True})
    double = programs.Program(lambda x: 2 * x, static=())
    assert float(double(3.0)) == 6.0
    assert float(double(4.0)) == 8.0
