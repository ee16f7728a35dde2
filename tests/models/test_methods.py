"""Quantities that follow from a model: pivot and peak energies, inverses, errors, reference fluxes, plots, the registry."""

import matplotlib
import numpy as np
import pytest
from scipy.stats import norm

import gammajax.models as gm
from gammajax import EnergyAxis, create_cosmic_ray_spectral_model, create_crab_spectral_model, spectral_model_class
from gammajax.errors import InputError, ModelError, UnitError
from tests.models.table import DNDE, TABLE, TEV, make_dr3, make_ecpl, make_lp, make_pl

matplotlib.use("Agg")
import matplotlib.pyplot as plt

rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


def with_covariance(model, seed=1):
    """Errors of some percent for the free parameters, correlated."""
    rng = np.random.default_rng(seed)
    free = np.array([not p.frozen for p in model.parameters])
    size = np.array([abs(p.value) or 1.0 for p in model.parameters]) * free * 0.05
    root = (np.tril(0.3 * rng.normal(size=(len(size),) * 2)) + np.eye(len(size))) * size[:, None]
    model.covariance = root @ root.T
    return model


def test_pivot_energy_of_a_power_law_is_the_closed_form():
    """E0 exp(cov(index, amplitude) / (amplitude var(index))), which gammapy has as well."""
    model = with_covariance(make_pl(gm))
    c, a = model.covariance.data, model.amplitude.value
    assert model.pivot_energy.to_value("TeV") == pytest.approx(1.5 * np.exp(c[0, 1] / (a * c[0, 0])), rel=1e-10)
    gammapy = pytest.importorskip("gammapy.modeling.models")
    theirs = make_pl(gammapy)
    theirs.covariance = c.copy()
    assert model.pivot_energy.to_value("TeV") == pytest.approx(theirs.pivot_energy.to_value("TeV"), rel=1e-10)


def test_error_of_the_pivot_energy():
    """Closed form for a power law, where only the amplitude moves it; central differences at the same covariance for a curve."""
    model = with_covariance(make_pl(gm))
    best, error = model.pivot_energy_error.to_value("TeV")
    assert best == model.pivot_energy.to_value("TeV")
    sigma = model.covariance.data[1, 1] ** 0.5 / model.amplitude.value
    assert model.parameters.names[1] == "amplitude"
    assert error == pytest.approx(best * abs(np.log(best / 1.5)) * sigma, rel=1e-9)
    curve = with_covariance(make_lp(gm))
    c = curve.covariance.data.copy()
    slopes = []
    for p in curve.parameters:
        # steps of 1e-4 of the value: truncation 1e-8, rounding of the root 1e-13 / 1e-4
        start, step, ends = p.value, 1e-4 * p.value * (not p.frozen), []
        for sign in (1, -1):
            p.value = start + sign * step
            curve.covariance = c
            ends.append(curve.pivot_energy.to_value("TeV"))
        p.value = start
        slopes.append(0.0 if p.frozen else (ends[0] - ends[1]) / (2 * step))
    curve.covariance = c
    assert curve.pivot_energy_error.to_value("TeV")[1] == pytest.approx((slopes @ c @ slopes) ** 0.5, rel=1e-5)
    assert np.isnan(make_lp(gm).pivot_energy_error).all()


def test_pivot_energy_is_where_the_relative_error_is_least():
    model = with_covariance(make_lp(gm))
    best = model.pivot_energy
    value, error = model.evaluate_error(best * np.array([1 - 1e-3, 1, 1 + 1e-3]))
    assert np.argmin(error / value) == 1
    # from both sides equally: a parabola through the three has its minimum within the middle 1 %
    low, mid, high = (error / value).value
    assert abs(high - low) < 1e-2 * (high - 2 * mid + low) + 1e-13
    assert np.isnan(make_lp(gm).pivot_energy)
    flat = gm.ConstantSpectralModel()
    flat.covariance = [[1e-26]]
    assert np.isnan(flat.pivot_energy)


@pytest.mark.parametrize(
    "model",
    [make_lp(gm), make_ecpl(gm, 1.5, 0.1, 1.0), make_ecpl(gm, 1.2, 0.3, 1.6), make_dr3(gm, 0.7), make_dr3(gm, 0.0),
     make_dr3(gm, -0.4), TABLE["lp2"].make()],
    ids=["lp", "ecpl", "ecpl, alpha", "dr3", "dr3, 0", "dr3, negative", "lp2"],
)  # fmt: skip
def test_e_peak_is_where_the_index_is_two(model):
    assert model.spectral_index(model.e_peak) == pytest.approx(2.0, abs=1e-11)
    # a maximum: steeper above
    assert model.spectral_index(1.01 * model.e_peak) > 2


def test_no_peak():
    assert np.isnan(make_ecpl(gm, 2.3, 0.1, 1.0).e_peak)
    assert np.isnan(gm.LogParabolaSpectralModel(beta=-0.1).e_peak)
    assert np.isnan(make_dr3(gm, -2.0, a=0.1).e_peak)


def test_e_peak_agrees_with_gammapy():
    gammapy = pytest.importorskip("gammapy.modeling.models")
    for make in (make_lp, lambda m: make_ecpl(m, 1.5, 0.1, 1.0), lambda m: make_dr3(m, 0.7)):
        assert make(gm).e_peak.to_value("TeV") == pytest.approx(make(gammapy).e_peak.to_value("TeV"), rel=1e-12)


def test_inverse():
    for model in (make_pl(gm), make_lp(gm), TABLE["pl-2"].make(), TABLE["pl * ebl"].make()):
        energy = 3.7 * TEV
        np.testing.assert_allclose(np.atleast_1d(model.inverse(model(energy)))[0].to_value(TEV), 3.7, rtol=1e-11)
    line = gm.GaussianSpectralModel(mean=3 * TEV, sigma=1 * TEV)
    np.testing.assert_allclose(line.inverse(line(2 * TEV)).to_value(TEV), [2, 4], rtol=1e-11)
    assert np.isnan(line.inverse(1 * DNDE)).all()
    assert [len(x) for x in line.inverse_all(line([2, 3.5] * TEV))] == [2, 2]
    with pytest.raises(UnitError, match="value: got 3.0 without a unit"):
        line.inverse(3.0)


def test_from_log10():
    model = gm.LogParabolaSpectralModel.from_log10(amplitude=1e-12 * DNDE, reference=1 * TEV, alpha=2.0, beta=0.3)
    assert model(10 * TEV).to_value(DNDE) == pytest.approx(1e-12 * 10 ** (-2.3), rel=1e-13)


def test_errors_of_integrals_and_indices_are_propagated():
    """A power law times the exact derivatives of its closed forms, from finite differences of the values."""
    model = with_covariance(make_lp(gm))
    lo, hi = [1, 2] * TEV, [3, 20] * TEV
    for name in ("integral", "energy_flux", "spectral_index"):
        arguments = (lo,) if name == "spectral_index" else (lo, hi)
        slopes = []
        for p in model.parameters:
            start, step = p.value, 1e-6 * abs(p.value)
            sides = []
            for s in (1, -1):
                p.value = start + s * step
                sides.append(np.asarray(getattr(model, name)(*arguments)))
            p.value = start
            slopes.append((sides[0] - sides[1]) / (2 * step))
        jacobian = np.array(slopes).T
        expected = np.sqrt(np.einsum("ni,ij,nj->n", jacobian, model.covariance.data, jacobian))
        value, error = np.asarray(getattr(model, f"{name}_error")(*arguments))
        np.testing.assert_allclose(value, np.asarray(getattr(model, name)(*arguments)), rtol=1e-12)
        np.testing.assert_allclose(error, expected, rtol=1e-6)


def test_reference_fluxes():
    edges = [1, 2, 5, 10] * TEV
    model = make_lp(gm)
    table = model.reference_fluxes(edges)
    assert list(table) == ["e_ref", "e_min", "e_max", "ref_dnde", "ref_flux", "ref_eflux", "ref_e2dnde"]
    for k in range(3):
        assert table["ref_flux"][k].value == pytest.approx(model.integral(edges[k], edges[k + 1]).value, rel=1e-9)
    axis = EnergyAxis(edges) if not hasattr(EnergyAxis, "from_edges") else EnergyAxis.from_edges(edges)
    np.testing.assert_allclose(model.reference_fluxes(axis)["ref_eflux"].value, table["ref_eflux"].value)


@rows
def test_copy_is_independent_and_text_works(row):
    model = row.make()
    new = model.copy()
    energy = [0.5, 3.0] * TEV
    np.testing.assert_array_equal(new(energy).value, model(energy).value)
    assert new.form == model.form
    assert hash(new.form) == hash(model.form)
    assert row.make().form == model.form
    for p in new.parameters:
        p.value *= 1.5
    assert all(p.value != q.value or p.value == 0 for p, q in zip(new.parameters, model.parameters, strict=True))
    assert repr(model)
    assert str(model)
    assert "Parameters" in model._repr_html_() or model._repr_html_()


@pytest.mark.parametrize("name", ["lp", "pl-norm", "template", "pl * ebl", "piecewise-norm", "const"])
def test_plots(name):
    row = TABLE[name]
    model = with_covariance(row.make()) if len(row.theta) else row.make()
    ax = model.plot(energy_bounds=[0.5, 20] * TEV, energy_power=1)
    model.plot_error(energy_bounds=[0.5, 20] * TEV, ax=ax)
    assert ax.get_ylabel().startswith("Norm" if model.is_norm_spectral_model else "dN/dE")
    assert np.all(np.isfinite(ax.lines[0].get_ydata()))
    plt.close("all")


def test_registry():
    assert spectral_model_class("ecpl") is gm.ExpCutoffPowerLawSpectralModel
    assert spectral_model_class("users-kink").__name__ == "UsersKinkSpectralModel"
    with pytest.raises(InputError, match="unknown spectral model 'PowerlawSpectralModel'; did you mean PowerLaw"):
        spectral_model_class("PowerlawSpectralModel")
    with pytest.raises(ModelError, match="the name 'pl' belongs to PowerLawSpectralModel already"):

        class Other(gm.SpectralModel):
            tag = ("Other", "pl")


def test_crab():
    gammapy = pytest.importorskip("gammapy.modeling.models")
    for name in ("meyer", "hegra", "hess_pl", "hess_ecpl", "magic_lp", "magic_ecpl"):
        energy = np.geomspace(0.1, 50, 7) * TEV
        expected = gammapy.create_crab_spectral_model(name)(energy).to_value(DNDE)
        np.testing.assert_allclose(create_crab_spectral_model(name)(energy).to_value(DNDE), expected, rtol=1e-12)
    with pytest.raises(InputError, match="got reference 'magic', expected one of meyer, hegra"):
        create_crab_spectral_model("magic")


@pytest.mark.parametrize("particle", ["proton", "N", "Si", "Fe", "electron"])
def test_cosmic_rays(particle):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    energy = np.geomspace(0.01, 100, 41) * TEV
    ours, theirs = (f(particle) for f in (create_cosmic_ray_spectral_model, gammapy.create_cosmic_ray_spectral_model))
    np.testing.assert_allclose(ours(energy).to_value(DNDE), theirs(energy).to_value(DNDE), rtol=1e-12)
    # by the closed form of the power law and of the normal distribution of ln E
    lo, hi = 0.02, 30.0
    a, index = theirs.parameters["amplitude"].quantity.to_value(DNDE), theirs.parameters["index"].value
    expected = a * (lo ** (1 - index) - hi ** (1 - index)) / (index - 1)
    if particle == "electron":
        part = norm.cdf(np.log(np.array([lo, hi]) / 0.107) / 0.776)
        expected += 3.19e-7 * 4 * np.pi * (part[1] - part[0])
    assert ours.integral(lo * TEV, hi * TEV).to_value("cm-2 s-1") == pytest.approx(expected, rel=1e-9)


def test_unknown_cosmic_rays():
    with pytest.raises(InputError, match="got particle 'He', expected one of proton, N, Si, Fe, electron"):
        create_cosmic_ray_spectral_model("He")


def test_errors_by_hand_count_before_a_fit():
    """Independent ones, as the covariance of gammapy has them; a covariance that is set counts instead."""
    model = gm.PowerLawSpectralModel(index=2, amplitude=1e-12 * DNDE, reference=1 * TEV)
    model.amplitude.error, model.index.error = 1e-13, 0.1
    value, error = model.evaluate_error(2 * TEV)
    expected = value * np.hypot(0.1, 0.1 * np.log(2))
    assert error.value == pytest.approx(expected.value, rel=1e-12)
    assert model.spectral_index_error(2 * TEV)[1] == pytest.approx(0.1, rel=1e-12)
    # one more member, and what the first knows of its own stays
    factor = gm.PowerLawNormSpectralModel()
    factor.tilt.error = 0.2
    both = (model * factor).evaluate_error(2 * TEV)[1]
    assert both.value == pytest.approx((value * np.sqrt(0.1**2 + (0.1**2 + 0.2**2) * np.log(2) ** 2)).value, rel=1e-12)
    model.covariance = np.diag([0.01, 4e-26, 0.0])
    assert model.evaluate_error(1 * TEV)[1].value == pytest.approx(2e-13, rel=1e-12)
    assert (model * factor).evaluate_error(1 * TEV)[1].value == pytest.approx(2e-13, rel=1e-12)


def test_a_shared_parameter_with_an_error_by_hand_is_one():
    """Two sources of one index: its two places go together, as in a file that is read."""
    first, second = gm.PowerLawSpectralModel(), gm.PowerLawSpectralModel()
    second.index = first.index
    first.index.error = 0.1
    models = gm.Models([gm.SkyModel(first, name="a"), gm.SkyModel(second, name="b")])
    at = [i for i, name in enumerate(models.parameters.unique_names) if name.endswith("index")]
    assert len(at) == 2
    np.testing.assert_allclose(models.covariance.data[np.ix_(at, at)], 0.01, rtol=1e-12)
