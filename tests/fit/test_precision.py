"""The unit of a statistic, by which ends of fits are judged."""

import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import least_squares

from gammajax import Fit, FluxPointsDataset, GaussianPenalty, GaussianPrior, PowerLawSpectralModel, SkyModel

ENERGY = np.geomspace(1, 50, 10)
FLUX = u.Unit("TeV-1 cm-2 s-1")


@pytest.mark.parametrize("backend", ["newton", "minuit", "scipy"])
def test_points_without_any_scatter_are_no_matter_of_the_distance_to_the_minimum(backend):
    """What is left there is rounding, in chi2 and in the EDM."""
    flux = 3e-11 * ENERGY**-2.4 * FLUX
    model = PowerLawSpectralModel(index=2.2, amplitude=2e-11 * FLUX)
    points = FluxPointsDataset(ENERGY * u.TeV, flux, dnde_err=0.1 * flux, models=SkyModel(model, name="s"))
    result = Fit(points, backend=backend).run()
    assert result.success
    assert not result.flags.away_from_minimum
    assert model.index.value == pytest.approx(2.4, abs=1e-12)


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("backend", ["newton", "minuit"])
@pytest.mark.parametrize("kind", ["prior", "penalty"])
def test_constants_of_priors_are_no_chi2(kind, backend, noise):
    """They made the statistic negative, the unit nothing, and every end one away from the minimum."""
    sigma, expected = 1e-3, 3e-11 * ENERGY**-2.4
    error = 0.1 * expected
    flux = expected + noise * error * np.random.default_rng(4).standard_normal(10)
    model = PowerLawSpectralModel(index=2.2, amplitude=2e-11 * FLUX)
    points = FluxPointsDataset(ENERGY * u.TeV, flux * FLUX, dnde_err=error * FLUX, models=SkyModel(model, name="s"))
    if kind == "prior":
        model.index.prior = GaussianPrior(mu=2.4, sigma=sigma)
    else:
        points.models.set_penalties(GaussianPenalty([model.index], mean=[2.4], covariance=[[sigma**2]]))
    result = Fit(points, backend=backend).run()
    assert result.success
    assert not result.flags.away_from_minimum
    assert result.edm < 1e-6

    def residuals(x):
        return np.append((1e-11 * x[0] * ENERGY ** -x[1] - flux) / error, (x[1] - 2.4) / sigma)

    best = least_squares(residuals, [3.0, 2.4], x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14)
    # within a thousandth of an error, which is what an EDM of 1e-6 allows
    assert model.index.value == pytest.approx(best.x[1], abs=1e-3 * sigma)
    assert result.stat_sum(constants=False) == pytest.approx(2 * best.cost, abs=2e-6)
