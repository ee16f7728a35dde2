"""gammapy's fitting tutorial with only the import lines changed: gammapy 2's form, and the older bound form."""

from itertools import combinations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u

from gammajax import Datasets, Fit, LogParabolaSpectralModel, SkyModel, SpectrumDatasetOnOff
from gammajax.data import embedded_ogip_files
from gammajax.plotting import plot_contour_line


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def reduced():
    spectrum = LogParabolaSpectralModel(
        amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    )
    spectrum.alpha.max = 3
    spectrum.alpha.min = 1
    model = SkyModel(spectral_model=spectrum, name="crab")
    dataset = Datasets([SpectrumDatasetOnOff.read(p) for p in embedded_ogip_files()]).stack_reduce(name="HESS")
    dataset.models = model
    dataset.mask_fit = dataset.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    return spectrum, model, dataset


def test_form_of_gammapy_2():
    spectrum, model, dataset = reduced()
    datasets = Datasets([dataset])
    scipy_opts = {"method": "L-BFGS-B", "options": {"ftol": 1e-4, "gtol": 1e-05}, "backend": "scipy"}
    result_scipy = Fit(store_trace=True, optimize_opts=scipy_opts).run(datasets)
    assert result_scipy.backend == "scipy"
    fit = Fit(store_trace=True, backend="minuit", optimize_opts={"tol": 0.001, "strategy": 1})
    result = fit.run(datasets)
    assert result.minuit.valid
    # the fit before left the models at the minimum
    assert len(result.trace) == result.nfev > 1
    assert len(result.parameters.to_table()) == 4
    total_stat = result.total_stat
    for par in model.parameters.free_parameters:
        par.scan_n_values = 17
        name = datasets.models.parameters_unique_names[model.parameters.index(par)]
        profile = fit.stat_profile(datasets=datasets, parameter=par)
        assert len(profile[f"{name}_scan"]) == 17
        assert np.min(profile["stat_scan"] - total_stat) > -1e-6
    assert result.models.covariance.plot_correlation(figsize=(6, 5)) is not None
    spectrum.plot(energy_bounds=[1, 10] * u.TeV, energy_power=2)
    spectrum.plot_error(energy_bounds=[1, 10] * u.TeV, energy_power=2)
    for x, y in combinations(["alpha", "beta", "amplitude"], r=2):
        names = [datasets.models.parameters_unique_names[model.parameters.index(p)] for p in (x, y)]
        contour = fit.stat_contour(
            datasets=datasets, x=model.parameters[x], y=model.parameters[y], numpoints=10, sigma=1
        )
        plot_contour_line(plt.gca(), contour[names[0]].tolist(), contour[names[1]].tolist(), lw=2)
    spectrum.alpha.scan_values = np.linspace(2.2, 2.9, 6)
    spectrum.beta.scan_values = np.linspace(-0.1, 0.3, 5)
    surface = fit.stat_surface(datasets=datasets, x=spectrum.alpha, y=spectrum.beta, reoptimize=False)
    assert surface["stat_scan"].shape == (6, 5)


def test_older_bound_form():
    spectrum, model, dataset = reduced()
    fit = Fit([dataset], store_trace=True)
    result = fit.run(backend="minuit", optimize_opts={"tol": 0.001, "strategy": 1})
    assert result.success
    values = np.linspace(2.2, 2.9, 17)
    profile = fit.stat_profile(parameter=result.parameters["alpha"], values=values)
    np.testing.assert_array_equal(profile["alpha_scan"], values)
    profile = fit.stat_profile(parameter=result.parameters["alpha"], bounds=2, nvalues=17)
    assert len(profile["stat_scan"]) == 17
    contour = fit.minos_contour(result.parameters["alpha"], result.parameters["beta"], numpoints=10)
    assert contour["success"]
    surface = fit.stat_surface(
        result.parameters["alpha"],
        result.parameters["beta"],
        x_values=values,
        y_values=np.linspace(-0.1, 0.3, 4),
        reoptimize=False,
        **{"tol": 0.001, "strategy": 1},
    )
    assert surface["stat_scan"].shape == (17, 4)
    interval = fit.confidence(parameter=result.parameters["alpha"], sigma=1)
    assert interval["errp"] > 0
    assert spectrum.alpha.error > 0
    spectrum.plot(energy_range=[1, 10] * u.TeV, energy_power=2)
