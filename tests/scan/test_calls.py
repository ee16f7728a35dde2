"""The calls and views of scans: profiles of all parameters, grids, devices, what a result offers."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from gammajax import Fit
from gammajax.errors import InputError
from tests.problems import embedded


@pytest.fixture(scope="module")
def fit():
    fit = Fit([embedded()], backend="newton")
    fit.run()
    return fit


@pytest.mark.parametrize("reoptimize", [False, True])
def test_profiles_of_all_parameters_equal_each_profile(fit, reoptimize):
    found = fit.stat_profiles(bounds=1, nvalues=5, reoptimize=reoptimize)
    assert list(found) == [f"crab.spectral.{n}" for n in ("amplitude", "alpha", "beta")]
    for name, profile in found.items():
        one = fit.stat_profile(name, bounds=1, nvalues=5, reoptimize=reoptimize)
        np.testing.assert_array_equal(profile.axes[0], one.axes[0])
        np.testing.assert_allclose(profile.stat, one.stat, atol=1e-8)
        assert profile.kind == one.kind


def test_grid_equals_surface_and_has_any_dimension(fit):
    alpha, beta = [2.4, 2.6], [0.0, 0.1, 0.2]
    surface = fit.stat_surface("alpha", "beta", alpha, beta, reoptimize=True)
    grid = fit.stat_grid({"alpha": alpha, "beta": beta}, reoptimize=True)
    np.testing.assert_allclose(grid.stat, surface.stat, atol=1e-8)
    cube = fit.stat_grid({"alpha": alpha, "beta": beta, "amplitude": [3e-11, 4e-11]}, reoptimize=False)
    assert cube.stat.shape == (2, 3, 2)
    line = fit.stat_grid({"alpha": alpha[1:], "beta": beta[2:], "amplitude": [4e-11]}, reoptimize=True)
    assert line.stat.item() == pytest.approx(cube.stat[1, 2, 1], rel=1e-12)
    assert len(cube.to_table()) == 12


def test_what_is_refused(fit):
    with pytest.raises(TypeError, match="reoptimize"):
        fit.stat_grid({"alpha": [2.4]})
    with pytest.raises(InputError, match="expected a dictionary"):
        fit.stat_grid([2.4], reoptimize=True)
    with pytest.raises(InputError, match="given twice"):
        fit.stat_grid({"alpha": [2.4], "crab.spectral.alpha": [2.5]}, reoptimize=True)
    with pytest.raises(InputError, match="starts=3 needs reoptimize=True"):
        fit.stat_profile("alpha", starts=3)
    with pytest.raises(InputError, match="got starts=0"):
        fit.stat_profile("alpha", reoptimize=True, starts=0)
    with pytest.raises(InputError, match="starts and device need backend=None"):
        fit.stat_profile("alpha", reoptimize=True, starts=2, backend="newton")
    with pytest.raises(InputError, match="this process has none of that kind; it has: cpu"):
        fit.stat_profile("alpha", reoptimize=True, device="tpu")


def test_options_of_intervals_are_used_or_refused(fit):
    with pytest.raises(InputError, match="options are those of MIGRAD and need 'backend': 'minuit'"):
        Fit(confidence_opts={"tol": 1e-3})
    minuit = Fit(fit.datasets, confidence_opts={"backend": "minuit"})
    assert minuit.stat_contour("alpha", "beta").method == "mncontour"
    assert fit.stat_contour("alpha", "beta").method == "rays"
    with pytest.raises(InputError, match="leave device"):
        minuit.stat_contour("alpha", "beta", device="cpu")
    with pytest.raises(InputError, match="leave device"):
        minuit.confidence("alpha", device="cpu")
    with pytest.raises(InputError, match="takes one parameter and one sigma"):
        minuit.confidence(sigma=[1, 2])


def test_device_by_name(fit):
    default = fit.stat_profile("alpha", reoptimize=True)
    named = fit.stat_profile("alpha", reoptimize=True, device="cpu")
    # the first may come from the program of the fit, a device that was asked for runs the batched one
    np.testing.assert_allclose(default.stat, named.stat, rtol=0, atol=1e-8)


def test_gaussian_sigma_by_degrees_of_freedom(fit):
    scan = fit.stat_surface("alpha", "beta", [2.3, 2.6, 2.9], [-0.1, 0.1, 0.3], reoptimize=True)
    np.testing.assert_allclose(scan.sigma_1dof, norm.isf(chi2.sf(scan.ts, 1) / 2), rtol=1e-7)
    np.testing.assert_allclose(scan.sigma_2dof, norm.isf(chi2.sf(scan.ts, 2) / 2), rtol=1e-7)


def test_minimum_and_better_start():
    d = embedded()
    fit = Fit([d], backend="newton")
    best = fit.run()
    model = d.models[0].spectral_model
    values = model.alpha.value + np.array([-0.1, 0.0, 0.1])
    scan = fit.stat_profile("alpha", values, reoptimize=True)
    lowest, where = scan.minimum
    assert lowest == pytest.approx(best.total_stat, abs=1e-8)
    assert where["crab.spectral.alpha"] == values[1]
    assert scan.better_start is None
    # away from the minimum the scan finds lower nodes, says so, and a fit from what it offers arrives
    model.alpha.value = values[0] - 0.2
    scan = fit.stat_profile("alpha", values, reoptimize=True)
    assert "offered as .better_start" in " ".join(scan.notes())
    for name, value in scan.better_start.items():
        d.models.parameters[name].value = value
    assert fit.run().total_stat == pytest.approx(best.total_stat, abs=1e-8)


def test_xarray(fit):
    pytest.importorskip("xarray")
    scan = fit.stat_surface("alpha", "beta", [2.4, 2.6], [0.0, 0.1, 0.2], reoptimize=True)
    found = scan.to_xarray()
    np.testing.assert_array_equal(found["stat"].values, scan.stat)
    assert found["stat"].dims == ("crab_spectral_alpha", "crab_spectral_beta")
    np.testing.assert_array_equal(
        found["refit_crab_spectral_amplitude"].values, scan.nuisance["crab.spectral.amplitude"]
    )
    assert found.attrs["kind"] == "profile"
