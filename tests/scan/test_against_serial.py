"""Every re-optimised scan against scipy, node by node: a wrong node that says it converged is the worst defect there is."""

import numpy as np
import pytest

from gammajax import Datasets, Fit, Likelihood, Status
from gammajax.fit.resolve import parameter_index
from tests import problems
from tests.scan.serial import reference


def axis(parameter, width, n):
    """Values of a parameter around its best fit, within its limits."""
    low, high = parameter.value - width * parameter.error, parameter.value + width * parameter.error
    low = max(low, parameter.min) if np.isfinite(parameter.min) else low
    high = min(high, parameter.max) if np.isfinite(parameter.max) else high
    return np.linspace(low, high, n)


# name: problem, scanned parameters, half width in errors, nodes per axis, starts, statuses that must appear
CASES = {
    "embedded": (problems.embedded, ["alpha", "beta"], 3, 6, 1, {Status.CONVERGED}),
    "profile, two nuisances": (problems.embedded, ["alpha"], 4, 17, 1, {Status.CONVERGED}),
    "strength scanned": (problems.embedded, ["amplitude", "alpha"], 3, 5, 1, {Status.CONVERGED}),
    "three dimensions, nothing left": (problems.embedded, ["amplitude", "alpha", "beta"], 2, 4, 1, {Status.CONVERGED}),
    "cut-off from far away": (problems.cut_off, ["index", "lambda_"], 4, 6, 1, {Status.CONVERGED}),
    "nine parameters": (problems.many_parameters, ["source-0.spectral.alpha"], 4, 9, 1, {Status.CONVERGED}),
    "minimum on a limit": (problems.at_limit, ["alpha"], 3, 9, 1, {Status.CONVERGED, Status.AT_LIMIT}),
    "ten sigma": (problems.embedded, ["alpha", "beta"], 10, 9, 1, {Status.CONVERGED, Status.AT_CORNER}),
    "two minima": (problems.two_minima, ["hard.spectral.index"], 3, 9, 20, {Status.CONVERGED}),
}
REAL = {
    "H.E.S.S.": (
        lambda f: problems.stacked([f / "hess" / f"pha_obs{i}.fits" for i in (23523, 23526)]),
        ["alpha", "beta"],
        4,
        6,
    ),
    "joint": (problems.joint, ["alpha", "beta"], 4, 5),
    "joint, ten sigma": (problems.joint, ["alpha"], 10, 21),
}


def scans_and_reference(monkeypatch, data, names, width, n, starts=1):
    """The scan point by point and by the batched program, and what scipy finds."""
    datasets = data if isinstance(data, Datasets) else Datasets([data])
    fit = Fit(datasets, backend="newton")
    assert fit.run().success
    likelihood = Likelihood(datasets)
    found = [parameter_index(likelihood, name) for name in names]
    values = {name: axis(live, width, n) for name, (_, live, _) in zip(names, found, strict=True)}
    scans = []
    for points in (10**9, 0):
        monkeypatch.setattr("gammajax.solve.few.POINTS", {"evaluate": points, "minimize": points})
        scans.append(fit.stat_grid(values, reoptimize=True, starts=starts))
    internal = [v * live.factor for v, (_, live, _) in zip(values.values(), found, strict=True)]
    nodes = np.stack([m.ravel() for m in np.meshgrid(*internal, indexing="ij")], axis=1)
    serial = reference(likelihood, [i for i, *_ in found], nodes, starts=20 if starts > 1 else 1)
    return scans, serial.reshape(scans[0].stat.shape)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "two minima")) for n in CASES])
def test_scan_equals_serial(name, monkeypatch):
    problem, names, width, n, starts, statuses = CASES[name]
    scans, serial = scans_and_reference(monkeypatch, problem(), names, width, n, starts)
    for scan in scans:
        np.testing.assert_allclose(scan.stat, serial, atol=1e-6, rtol=0)
        assert scan.ok.all()
        assert statuses <= {Status(s) for s in np.unique(scan.status)}


@pytest.mark.parametrize("name", REAL)
def test_scan_of_real_data_equals_serial(name, gammapy_data, monkeypatch):
    problem, names, width, n = REAL[name]
    data = problem(gammapy_data / "joint-crab" / "spectra")
    scans, serial = scans_and_reference(monkeypatch, data, names, width, n)
    for scan in scans:
        np.testing.assert_allclose(scan.stat, serial, atol=1e-6, rtol=0)
        assert scan.ok.all()


def test_without_starts_the_scan_follows_the_branch_of_the_best_fit_and_says_so():
    d = problems.two_minima()
    fit = Fit([d], backend="newton")
    fit.run()
    index = axis(d.models["hard"].spectral_model.index, 3, 9)
    one = fit.stat_grid({"hard.spectral.index": index}, reoptimize=True)
    many = fit.stat_grid({"hard.spectral.index": index}, reoptimize=True, starts=20)
    assert "follows the branch of the best fit" in str(one)
    assert "best of 20 per node" in str(many)
    # the other branch is lower by more than 20 somewhere, and no node found from more starts is worse
    assert np.max(one.stat - many.stat) > 20
    assert np.all(many.stat <= one.stat + 1e-6)
