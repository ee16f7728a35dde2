"""One point of a likelihood: the program over all bins, and that over the bins in the fit, which fits get when they come often."""

import numpy as np
import pytest

from gammajax import Fit, Likelihood
from gammajax.solve import derivatives, point, scores
from tests.problems import at_limit, embedded, many_parameters


@pytest.mark.parametrize("problem", [embedded, many_parameters, at_limit])
def test_both_programs_agree(problem, monkeypatch):
    likelihood = Likelihood(problem())
    rng = np.random.default_rng(5)
    monkeypatch.setattr(point, "_asked", {})
    for k in range(3):
        theta = likelihood.start * (1 + 0.02 * k * rng.uniform(-1, 1, size=len(likelihood.start)))
        monkeypatch.setattr(point, "REPEATED", 10**9)
        one = scores(likelihood, theta, fits=True)
        np.testing.assert_array_equal(one[2], derivatives(likelihood, theta)[2])
        monkeypatch.setattr(point, "REPEATED", 0)
        other = scores(likelihood, theta, fits=True)
        # sums of up to 100 bins in another order; derivatives in units of what the curvature makes of one scale
        assert other[0] == pytest.approx(one[0], rel=1e-12, abs=1e-12)
        unit = likelihood.scale
        for a, b in zip(one[1:], other[1:], strict=True):
            size = unit if a.ndim == 1 else np.outer(unit, unit)
            np.testing.assert_allclose(
                b * size, a * size, rtol=1e-9, atol=1e-9 * np.max(np.abs(one[2] * np.outer(unit, unit)))
            )
        # scans go on with the first program, whatever fits do
        np.testing.assert_array_equal(derivatives(likelihood, theta)[2], one[2])


def test_fits_that_come_often_end_where_the_first_did(monkeypatch):
    monkeypatch.setattr(point, "_asked", {})
    d = embedded()
    start = {p.name: p.value for p in d.models.parameters}
    ends = []
    for limit in (10**9, 0):
        monkeypatch.setattr(point, "REPEATED", limit)
        for p in d.models.parameters:
            p.value = start[p.name]
        result = Fit([d], backend="minuit").run()
        assert result.success
        ends.append([result.total_stat, *(p.value / p.error for p in d.models.parameters if not p.frozen)])
    # Newton steps take both to the minimum
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-8)
    assert sum(point._asked.values()) > 0
