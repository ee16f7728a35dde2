"""Flux points as data: the fit of gammapy's own examples, files, and what is refused."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from scipy import optimize

from gammajax import Datasets, Fit, FluxPointsDataset, PowerLawSpectralModel, SkyModel, XYDataset
from gammajax.errors import DataError, FileFormatError, InputError, MissingFileError, UnitError
from tests.problems import crab_model, embedded

DNDE = u.Unit("cm-2 s-1 TeV-1")
ENERGY = np.geomspace(0.5, 20, 8) * u.TeV


def points(**changes):
    rng = np.random.default_rng(4)
    expected = 3e-11 * (ENERGY.value / 1) ** -2.4
    arguments = {"dnde": expected * rng.normal(1, 0.1, 8) * DNDE, "dnde_err": 0.1 * expected * DNDE}
    return FluxPointsDataset(ENERGY, **(arguments | changes))


def test_fit_equals_scipy():
    d = points(models=PowerLawSpectralModel(amplitude=1e-11 * DNDE))
    result = Fit(d, backend="newton").run()
    model = lambda e, index, amplitude: amplitude * e**-index  # noqa: E731
    scaled = 1e11 * d.dnde.value, 1e11 * d.dnde_err.value
    best, _ = optimize.curve_fit(
        model, ENERGY.value, scaled[0], [2, 1], sigma=scaled[1], absolute_sigma=True, xtol=1e-12
    )
    assert result.success
    np.testing.assert_allclose(
        [result.parameters["index"].value, 1e11 * result.parameters["amplitude"].value], best, rtol=1e-6
    )
    assert result.total_stat == pytest.approx(
        np.sum(((scaled[0] - model(ENERGY.value, *best)) / scaled[1]) ** 2), rel=1e-9
    )
    assert d.stat_sum() == pytest.approx(np.sum(d.residuals("diff/error") ** 2), rel=1e-12)


def test_gammapy_finds_the_same(gammapy_data):
    """The example of gammapy's own tests: index 2.216, statistic 25.2059."""
    path = gammapy_data / "tests" / "spectrum" / "flux_points" / "diff_flux_points.fits"
    d = FluxPointsDataset.read(path)
    d.models = SkyModel(PowerLawSpectralModel(index=2.3, amplitude=2e-13 * DNDE, reference=1 * u.TeV), name="source")
    result = Fit(d).run()
    assert result.total_stat == pytest.approx(25.2059, abs=1e-3)
    assert result.parameters["index"].value == pytest.approx(2.216, abs=1e-3)


def test_limits_and_points_without_errors_are_not_fitted():
    limits = np.zeros(8, dtype=bool)
    limits[-1] = True
    error = 0.1 * points().dnde
    error[0] = np.nan
    d = points(is_ul=limits, dnde_err=error, models=PowerLawSpectralModel(amplitude=1e-11 * DNDE))
    assert d.mask_array.tolist() == [False] + [True] * 6 + [False]
    assert Fit(d, backend="newton").run().n_bins == 6
    d.mask_fit = np.arange(8) < 5
    assert d.mask_array.sum() == 4


def test_asymmetric_errors_are_averaged_as_in_gammapy():
    d = points(dnde_err=None, dnde_errn=np.full(8, 1e-12) * DNDE, dnde_errp=np.full(8, 3e-12) * DNDE)
    np.testing.assert_allclose(d.dnde_err.value, 2e-12)


@pytest.mark.parametrize("suffix", [".fits", ".ecsv"])
def test_files_come_back(tmp_path, suffix):
    d = points()
    d.write(tmp_path / f"p{suffix}")
    back = FluxPointsDataset.read(tmp_path / f"p{suffix}")
    assert np.array_equal(back.dnde.value, d.dnde.value)
    assert np.array_equal(back.dnde_err.value, d.dnde_err.value)
    assert np.array_equal(back.energy.value, d.energy.value)
    with pytest.raises(InputError, match="exists already"):
        d.write(tmp_path / f"p{suffix}")


def test_gammapy_reads_our_file(tmp_path):
    estimators = pytest.importorskip("gammapy.estimators")
    d = points()
    d.write(tmp_path / "p.fits")
    theirs = estimators.FluxPoints.read(tmp_path / "p.fits", sed_type="dnde")
    np.testing.assert_allclose(theirs.dnde.data.ravel(), d.dnde.value, rtol=1e-12)


def test_e2dnde_is_taken_by_its_energy():
    d = points()
    table = Table({"e_ref": d.energy.to("GeV")})
    table["e2dnde"] = (d.energy**2 * d.dnde).to("erg cm-2 s-1")
    table["e2dnde_err"] = (d.energy**2 * d.dnde_err).to("erg cm-2 s-1")
    back = FluxPointsDataset.from_table(table)
    np.testing.assert_allclose(back.dnde.value, d.dnde.value, rtol=1e-12)
    np.testing.assert_allclose(back.dnde_err.value, d.dnde_err.value, rtol=1e-12)


def test_spectra_and_points_in_one_fit():
    spectrum, d = embedded(), points()
    shared = crab_model()
    spectrum.models, d.models = shared, shared
    both = Datasets([spectrum, d])
    result = Fit(both, backend="newton").run()
    assert result.success
    assert both.stat_sum() == pytest.approx(result.total_stat, rel=1e-12)


def test_mistakes_are_refused(tmp_path):
    with pytest.raises(DataError, match="chi2 needs errors; give dnde_err"):
        points(dnde_err=None)
    with pytest.raises(UnitError, match=r"dnde: got unit 'TeV / \(s cm2\)'"):
        points(dnde=np.ones(8) * u.Unit("TeV cm-2 s-1"))
    with pytest.raises(DataError, match=r"dnde has shape \(3,\), expected \(8,\)"):
        points(dnde=np.ones(3) * DNDE)
    with pytest.raises(DataError, match="the error of point 0 is 0"):
        points(dnde_err=np.zeros(8) * DNDE)
    with pytest.raises(DataError, match="no point has a flux and an error"):
        points(is_ul=np.ones(8, dtype=bool))
    for mask in ([True], np.ones(8)):
        for name in ("mask_safe", "mask_fit"):
            with pytest.raises(DataError, match=rf"{name} has shape .* and type .*, expected 8 of bool"):
                points(**{name: mask})
        with pytest.raises(DataError, match=r"mask_safe has shape .* and type .*, expected 8 of bool"):
            points().mask_safe = mask
    with pytest.raises(DataError, match="expected e_ref, and dnde, e2dnde or norm with errors"):
        FluxPointsDataset.from_table(Table({"e_ref": [1.0]}))
    with pytest.raises(DataError, match="column 'e_ref' has no unit"):
        FluxPointsDataset.from_table(Table({"e_ref": [1.0], "dnde": [1.0]}))
    with pytest.raises(MissingFileError, match=r"none.fits does not exist; check the path"):
        FluxPointsDataset.read(tmp_path / "none.fits")
    (tmp_path / "broken.ecsv").write_text("# %ECSV 1.0\nnothing")
    with pytest.raises(FileFormatError, match=r"broken.ecsv: no table for flux points"):
        FluxPointsDataset.read(tmp_path / "broken.ecsv")


def test_summaries_and_ranges_of_lists():
    """By gammapy's names; beside spectra too."""
    one, two = points(models=PowerLawSpectralModel(index=2.4, amplitude=3e-11 * DNDE)), points(name="two")
    two.mask_fit = ENERGY > 1 * u.TeV
    table = Datasets([one, two]).info_table()
    assert table.colnames == ["name", "n_bins", "n_fit_bins", "stat_type", "stat_sum"]
    assert list(table["n_fit_bins"]) == [8, int(two.mask_fit.sum())]
    assert table["stat_sum"][0] == pytest.approx(np.sum(one.residuals("diff/error") ** 2), rel=1e-12)
    assert np.isnan(points().info_dict()["stat_sum"])
    np.testing.assert_allclose([e.to_value("TeV") for e in one.energy_range], ENERGY.value[[0, -1]], rtol=1e-15)
    assert two.energy_range[0] == ENERGY[ENERGY > 1 * u.TeV][0]
    two.mask_fit = np.zeros(8, dtype=bool)
    assert np.isnan(two.energy_range[0])
    low, high = Datasets([one, embedded()]).energy_ranges
    np.testing.assert_allclose(low.to_value("TeV"), [0.5, 0.1], rtol=1e-12)
    np.testing.assert_allclose(high.to_value("TeV"), [20, 100], rtol=1e-12)


def test_lists_say_what_has_no_summary():
    other = XYDataset([1.0, 2.0], [1.0, 2.0], 0.1, name="other")
    with pytest.raises(DataError, match="info_table: 'other' is a XYDataset, which has no summary"):
        Datasets([other]).info_table()
    with pytest.raises(DataError, match="energy_ranges: 'other' is a XYDataset, which has no energies"):
        _ = Datasets([other]).energy_ranges
    with pytest.raises(DataError, match="which has no spectra of counts to be stacked"):
        Datasets([points()]).info_table(cumulative=True)


def test_plots_show_points_model_and_residuals():
    import matplotlib.pyplot as plt

    d = points(models=PowerLawSpectralModel(index=2.4, amplitude=3e-11 * DNDE))
    d.mask_fit = ENERGY > 1 * u.TeV
    top, bottom = d.plot_fit()
    energy = ENERGY.value
    inside, outside = (c.lines[0] for c in top.containers)
    np.testing.assert_allclose(inside.get_xdata(), energy[d.mask_fit])
    np.testing.assert_allclose(inside.get_ydata(), (energy**2 * d.dnde.value)[d.mask_fit])
    np.testing.assert_allclose(outside.get_xdata(), energy[~d.mask_fit])
    x, y = next(line for line in top.lines if line.get_label() == "model").get_data()
    np.testing.assert_allclose(y, x**2 * 3e-11 * x**-2.4, rtol=1e-12)
    shown = bottom.containers[0].lines[0]
    np.testing.assert_allclose(shown.get_ydata(), d.residuals("diff/model")[d.mask_fit])
    for method in ("diff", "diff/error"):
        ax = d.plot_residuals(plt.figure().add_subplot(), method)
        np.testing.assert_allclose(ax.containers[0].lines[0].get_ydata(), d.residuals(method)[d.mask_fit])
    with pytest.raises(DataError, match="unknown method 'ratio'"):
        d.plot_residuals(method="ratio")
    plt.close("all")
