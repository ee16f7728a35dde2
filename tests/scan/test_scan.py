import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from gammajax import Fit, Status
from gammajax.errors import InputError
from gammajax.fit.problem import Problem
from gammajax.likelihood import Likelihood
from gammajax.scan import level_lines
from tests.problems import embedded

pytestmark = pytest.mark.usefixtures("batched_program")


@pytest.fixture(scope="module")
def fitted():
    d = embedded()
    fit = Fit([d], backend="newton")
    result = fit.run()
    return fit, d, result


def grid(result, name, n, width):
    p = result.parameters[name]
    return np.linspace(max(p.value - width * p.error, p.bounds[0]), min(p.value + width * p.error, p.bounds[1]), n)


def test_reoptimised_surface_equals_a_serial_reference(fitted):
    """Node by node with scipy at high precision, out to 5 sigma."""
    fit, d, result = fitted
    x, y = grid(result, "alpha", 6, 5), grid(result, "beta", 5, 3.5)
    scan = fit.stat_surface("alpha", "beta", x, y, reoptimize=True)
    likelihood = Likelihood(d)
    for i in range(len(x)):
        for j in range(len(y)):
            problem = Problem(likelihood, {2: x[i], 3: y[j]})
            best = minimize_scalar(
                lambda a, p=problem: p.stat(np.array([10**a])),
                bounds=(-7, 1),
                method="bounded",
                options={"xatol": 1e-9},
            )
            assert scan.stat[i, j] == pytest.approx(best.fun, abs=1e-6)
    assert np.all(scan.ok)
    assert np.all(scan.edm < 1e-7)
    assert scan.kind == "profile"


def test_a_minimum_on_a_kink_has_a_status_of_its_own(fitted):
    """Five sigma away the best amplitude is 0, where bins without any counts have a kink."""
    fit, _, result = fitted
    x, y = grid(result, "alpha", 6, 5)[:1], grid(result, "beta", 5, 5)[:1]
    scan = fit.stat_surface("alpha", "beta", x, y, reoptimize=True)
    assert scan.status[0, 0] == Status.AT_CORNER
    assert scan.nuisance["crab.spectral.amplitude"][0, 0] == 0
    assert "strength at 0" in Status.AT_CORNER.meaning
    few = fit.stat_surface("alpha", "beta", x, y, reoptimize=True, max_iter=3)
    assert few.status[0, 0] == Status.ITERATION_LIMIT
    assert "1 of 1 nodes: iteration limit" in str(few)


def test_profile_of_one_parameter_with_two_nuisances(fitted):
    fit, d, result = fitted
    values = grid(result, "beta", 9, 4)
    scan = fit.stat_profile("beta", values, reoptimize=True)
    likelihood = Likelihood(d)
    for i, v in enumerate(values):
        problem = Problem(likelihood, {3: v})
        limits = list(
            zip(
                likelihood.lower[problem.index] / problem.scale,
                likelihood.upper[problem.index] / problem.scale,
                strict=True,
            )
        )
        best = minimize(
            problem.stat,
            problem.start,
            jac=problem.gradient,
            method="L-BFGS-B",
            bounds=limits,
            options={"ftol": 1e-15, "gtol": 1e-9},
        )
        assert scan.stat[i] == pytest.approx(best.fun, abs=1e-6)
    assert np.all(scan.ok)


def test_node_by_node_with_a_backend_agrees(fitted):
    fit, _, result = fitted
    x, y = grid(result, "alpha", 3, 2), grid(result, "beta", 3, 2)
    batch = fit.stat_surface("alpha", "beta", x, y, reoptimize=True)
    serial = fit.stat_surface("alpha", "beta", x, y, reoptimize=True, backend="minuit", tol=1e-6)
    np.testing.assert_allclose(batch.stat, serial.stat, atol=1e-6)
    assert serial.optimizer == "minuit, node by node"


def test_chunks_and_order_change_nothing(fitted):
    fit, _, result = fitted
    values = grid(result, "alpha", 130, 2)
    whole = fit.stat_profile("alpha", values, reoptimize=True)
    part = fit.stat_profile("alpha", values[::-13], reoptimize=True)
    np.testing.assert_allclose(part.stat, whole.stat[::-13], atol=1e-9)


def test_frozen_scan_is_the_statistic_itself(fitted):
    fit, d, result = fitted
    scan = fit.stat_profile("alpha", [2.0, 2.4])
    alpha = d.models["crab"].spectral_model.alpha
    best = alpha.value
    for value, stat in zip([2.0, 2.4], scan["stat_scan"], strict=True):
        alpha.value = value
        assert stat == pytest.approx(d.stat_sum(), rel=1e-12)
    alpha.value = best
    assert scan.kind == "frozen"
    assert scan.optimizer is None
    assert "none ran" in str(scan)
    assert np.all(scan.status == Status.EVALUATED)


def test_default_grid_and_bounds(fitted):
    fit, d, result = fitted
    p = d.models["crab"].spectral_model.beta
    np.testing.assert_allclose(fit.stat_profile("beta")["beta_scan"], p.scan_values)
    values = fit.stat_profile("beta", bounds=1, nvalues=5)["beta_scan"]
    np.testing.assert_allclose(values, np.linspace(p.value - p.error, p.value + p.error, 5))
    np.testing.assert_allclose(fit.stat_profile("beta", bounds=(0, 1), nvalues=3)["beta_scan"], [0, 0.5, 1])


def test_nodes_outside_the_limits_are_flagged(fitted):
    fit, *_ = fitted
    for reoptimize in (False, True):
        scan = fit.stat_profile("alpha", [2.5, 3.5], reoptimize=reoptimize)
        assert scan.status[1] == Status.OUTSIDE_LIMITS
        assert not scan.ok[1]
        assert "1 of 2 nodes: the node is outside the limits" in str(scan)


def test_nuisance_on_its_limit_is_flagged():
    d = embedded()
    fit = Fit([d], backend="newton")
    result = fit.run()
    d.models["crab"].spectral_model.alpha.max = result.parameters["alpha"].value + 0.01
    p = result.parameters["beta"]
    scan = fit.stat_profile("beta", p.value + p.error * np.array([-2.0, 0.0, 2.0]), reoptimize=True)
    assert scan.status[0] == Status.AT_LIMIT
    assert scan.status[2] == Status.CONVERGED


def test_a_node_below_the_best_fit_is_reported():
    d = embedded()
    fit = Fit([d], backend="newton")
    fit.run()
    d.models["crab"].spectral_model.alpha.value -= 0.1
    scan = fit.stat_profile("alpha", bounds=(2.2, 2.8), nvalues=13)
    assert np.nanmin(scan.ts) < 0
    assert np.any(np.isnan(scan.sqrt_ts))
    assert "nodes lie below the best fit" in str(scan)
    assert "had not converged" in str(scan)


def test_keys_table_and_errors(fitted):
    fit, *_ = fitted
    scan = fit.stat_surface("alpha", "beta", [2.4, 2.5, 2.6], [0.0, 0.1], reoptimize=True)
    assert scan["stat_scan"].shape == (3, 2)
    assert list(scan) == ["crab.spectral.alpha_scan", "crab.spectral.beta_scan", "stat_scan"]
    with pytest.raises(KeyError, match="a scan has the keys crab.spectral.alpha_scan"):
        scan["gamma_scan"]
    table = scan.to_table()
    assert len(table) == 6
    assert table["crab.spectral.alpha"][2] == 2.5
    assert set(table["status"]) == {"CONVERGED"}
    with pytest.raises(InputError, match="contour lines need a surface"):
        fit.stat_profile("alpha").contour_lines()


def test_level_lines_of_a_circle():
    x, y = np.linspace(-2, 2, 81), np.linspace(-3, 3, 121)
    radius = np.hypot(*np.meshgrid(x, y, indexing="ij"))
    lines, cut = level_lines(x, y, radius, 1.5)
    assert not cut
    assert len(lines) == 1
    np.testing.assert_array_equal(lines[0][0], lines[0][-1])
    np.testing.assert_allclose(np.hypot(*lines[0].T), 1.5, atol=2e-3)
    length = np.hypot(*np.diff(lines[0], axis=0).T).sum()
    assert length == pytest.approx(2 * np.pi * 1.5, rel=2e-3)


def test_a_line_cut_by_the_edge_is_reported(fitted):
    x, y = np.linspace(-1, 1, 21), np.linspace(-3, 3, 61)
    _, cut = level_lines(x, y, np.hypot(*np.meshgrid(x, y, indexing="ij")), 1.5)
    assert cut
    fit, _, result = fitted
    scan = fit.stat_surface(
        "alpha", "beta", grid(result, "alpha", 8, 0.8), grid(result, "beta", 8, 0.8), reoptimize=True
    )
    _, notes = scan.contour_lines((1, 2))
    assert any("1 sigma contour is cut by the edge of the grid" in n for n in notes)


def test_saddle_cells_give_two_lines():
    values = np.array([[0.0, 1.0], [1.0, 0.0]])
    lines, _ = level_lines(np.array([0.0, 1.0]), np.array([0.0, 1.0]), values, 0.4)
    assert len(lines) == 2
