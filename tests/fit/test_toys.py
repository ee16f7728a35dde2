"""Simulated realisations of the H.E.S.S. runs: how they end, and whether the truth is inside as often as it should be."""

import numpy as np
import pytest

from benchmarks import toys
from gammajax import Status

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("gammapy_data")]


@pytest.mark.parametrize("model", ["power law", "log-parabola"])
def test_coverage(model):
    """Without limits all converge; pulls, and TS at the truth in one, two and three dimensions, inside three binomial errors."""
    found = toys.run(toys.observed(model))
    assert len(found.result) == toys.N
    assert np.all(found.result.status == Status.CONVERGED)
    far = [s for s in found.shares if abs(s.deviation) > toys.CHANCE]
    assert far == []
    # both kinds, all parameters, and a pair
    kinds = {s.what.split(" of ")[0] for s in found.shares}
    assert kinds == {"pull", "TS"}
    assert {s.dimensions for s in found.shares} == set(range(1, len(found.names) + 1))
    # the amplitude is not Gaussian: its error is larger where its value is. The others are, to five errors of the mean
    shape = [k for k, name in enumerate(found.names) if name != "amplitude"]
    assert np.all(np.abs(found.pull[:, shape].mean(axis=0)) < 5 / np.sqrt(toys.N))


def test_ends_on_a_limit():
    """beta >= 0: on the limit where the minimum is outside, converged otherwise, and nothing else."""
    free, limited = toys.at_limit(toys.observed("log-parabola"))
    outside = free.value[:, free.names.index("crab.spectral.beta")] < 0
    assert np.all(free.status == Status.CONVERGED)
    assert 20 < outside.sum() < 200
    np.testing.assert_array_equal(limited.status == Status.AT_LIMIT, outside)
    np.testing.assert_array_equal(limited.status == Status.CONVERGED, ~outside)
    np.testing.assert_allclose(limited.total_stat[~outside], free.total_stat[~outside], atol=1e-7)
    assert np.all(limited.total_stat[outside] > free.total_stat[outside])


def test_expected_shares():
    for sigma in toys.SIGMAS:
        assert toys.expected_share(2, sigma) == pytest.approx(1 - np.exp(-(sigma**2) / 2), rel=1e-12)
