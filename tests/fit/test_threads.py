"""Fits side by side are the fits one after the other, and a scan keeps the data that it began with."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from gammajax import Fit
from gammajax.solve import batch
from tests.problems import embedded


def drawn(seed):
    d = embedded()
    d.fake(seed)
    return d


def fitted(dataset, backend):
    result = Fit(dataset, backend=backend).run()
    assert result.success
    return result.total_stat, list(result.parameters.value), result.covariance.data.tobytes()


@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_two_threads(backend):
    """To the last bit: each with data and models of its own, both of one structure."""
    alone = [fitted(drawn(seed), backend) for seed in (1, 2)]
    together = Barrier(2)

    def run(seed):
        d = drawn(seed)
        together.wait()
        return [fitted(drawn(seed) if k else d, backend) for k in range(3)]

    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(run, (1, 2)))
    assert beside == [[one] * 3 for one in alone]


@pytest.mark.usefixtures("batched_program")
def test_data_that_change_during_a_scan(monkeypatch):
    d = drawn(1)
    fit = Fit(d, backend="newton")
    fit.run()
    values = {"alpha": np.linspace(2.0, 2.6, 5), "beta": np.linspace(0.0, 0.4, 4)}
    before = fit.stat_grid(values, reoptimize=True)
    program, changed = batch.minimize_program, []

    def disturbed(*args, **kwargs):
        # other counts in the same data set, once the scan has begun
        d.fake(99)
        changed.append(True)
        return program(*args, **kwargs)

    monkeypatch.setattr(batch, "minimize_program", disturbed)
    again = fit.stat_grid(values, reoptimize=True)
    assert changed
    np.testing.assert_array_equal(again.stat, before.stat)
    monkeypatch.undo()
    # and the next one sees them
    assert np.all(fit.stat_grid(values, reoptimize=False).stat != before.stat)
