import matplotlib
import numpy as np
import pytest
from astropy import units as u

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from gammajax import Fit, PowerLawSpectralModel
from gammajax.errors import InputError
from gammajax.plotting import plot_contour_line
from gammajax.plotting.contours import closed_curve
from tests.problems import embedded


@pytest.fixture(scope="module")
def fitted():
    d = embedded()
    fit = Fit([d], backend="newton")
    return d, fit, fit.run()


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_spectrum_and_band(fitted):
    model = fitted[0].models["crab"].spectral_model
    ax = model.plot(energy_bounds=[1, 10] * u.TeV, energy_power=2)
    again = model.plot_error(energy_range=[1, 10] * u.TeV, energy_power=2)
    assert again is ax
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, (model(x * u.TeV) * x**2).value)
    band = ax.collections[0].get_paths()[0].vertices
    value, error = model.evaluate_error([1.0] * u.TeV).value
    at = band[np.isclose(band[:, 0], 1.0), 1]
    np.testing.assert_allclose([at.min(), at.max()], [value[0] - error[0], value[0] + error[0]])
    assert "TeV" in ax.get_ylabel()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


@pytest.mark.parametrize("n_points", [50, 100])
def test_a_level_curve_can_be_drawn(n_points):
    """E2 dN/dE of the default power law is level but for rounding, at which matplotlib warns."""
    ax = PowerLawSpectralModel().plot([0.1, 100] * u.TeV, sed_type="e2dnde", n_points=n_points)
    ax.figure.canvas.draw()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1e-12, rtol=1e-14)
    low, high = ax.get_ylim()
    assert low < 1e-12 < high


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give either energy_bounds or energy_range"),
        ({"energy_bounds": [10, 1] * u.TeV}, "expected two positive energies in increasing order"),
        (
            {"energy_bounds": [1, 10] * u.TeV, "sed_type": "sed"},
            "unknown sed_type 'sed', expected one of dnde, e2dnde, flux, eflux, norm",
        ),
        (
            {"energy_bounds": [1, 10] * u.TeV, "sed_type": "norm"},
            "is relative to another one; give reference=, a spectral model",
        ),
        (
            {"energy_bounds": [1, 10] * u.TeV, "reference": 1},
            "reference belongs to sed_type='norm', got 'dnde'",
        ),
    ],
)
def test_bad_spectrum_plots_are_refused(fitted, arguments, text):
    with pytest.raises(InputError, match=text):
        fitted[0].models["crab"].spectral_model.plot(**arguments)


def test_fit_residuals_and_peek(fitted):
    d = fitted[0]
    top, bottom = d.plot_fit()
    assert top.get_ylabel() == "Counts"
    np.testing.assert_allclose(
        next(p for p in top.patches if hasattr(p, "get_data")).get_data().values, d.npred_signal().data
    )
    assert "sqrt(model)" in bottom.get_ylabel()
    ax = d.plot_residuals(ax=plt.figure().gca(), method="diff/model")
    x, y = ax.lines[0].get_data()
    finite = np.isfinite(d.residuals("diff/model").data)
    assert set(np.round(y, 9)) <= set(np.round(d.residuals("diff/model").data[finite], 9))
    axes = d.peek()
    assert [a.get_ylabel() for a in axes] == ["Counts", "Exposure [cm$^2$ s]", "Energy [TeV]"]


def test_scans(fitted):
    _, fit, result = fitted
    profile = fit.stat_profile("alpha", nvalues=7)
    ax = profile.plot(ax=plt.figure().gca(), label="x")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), profile.ts)
    assert ax.get_xlabel() == "alpha"
    a, b = result.parameters["alpha"], result.parameters["beta"]
    axes = [np.linspace(p.value - 0.7 * p.error, p.value + 0.7 * p.error, 9) for p in (a, b)]
    surface = fit.stat_surface("alpha", "beta", *axes, reoptimize=True)
    ax = surface.plot(ax=plt.figure().gca())
    assert ax.get_title().startswith("profile")
    # what the edge cuts is said in the picture
    assert any("cut by the edge" in t.get_text() for t in ax.texts)


def test_correlation_leaves_out_frozen_parameters(fitted):
    ax = fitted[2].covariance.plot_correlation()
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        f"crab.spectral.{n}" for n in ("amplitude", "alpha", "beta")
    ]
    assert ax.texts[0].get_text() == "1.00"


def test_closed_curve_passes_through_the_points_of_an_ellipse():
    """Axes 24 decades apart: distances in raw units would see one of them only."""
    phi = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    x, y = 1e-12 * np.cos(phi), 1e12 * np.sin(phi)
    cx, cy = closed_curve(x, y, n=1201)
    assert (cx[0], cy[0]) == pytest.approx((cx[-1], cy[-1]), abs=1e-3)
    np.testing.assert_allclose((cx / 1e-12) ** 2 + (cy / 1e12) ** 2, 1, atol=2e-3)
    for a, b in zip(x, y, strict=True):
        assert np.min(np.hypot((cx - a) / 1e-12, (cy - b) / 1e12)) < 5e-3


def test_contour_line(fitted):
    ax = plt.figure().gca()
    plot_contour_line(ax, [0, 1, 0, -1], [1, 0, -1, 0], color="r")
    assert len(ax.lines) == 2
    assert ax.lines[1].get_marker() == "+"
    with pytest.raises(InputError, match="got 3 points, expected at least 4"):
        plot_contour_line(ax, [0, 1, 2], [0, 1, 2])
