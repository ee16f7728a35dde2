"""Flux points by gammapy's names: columns, parts, tables and data sets made of them, beside gammapy on the same files."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gammajax import Fit, FluxPoints, FluxPointsDataset, LogParabolaSpectralModel, PowerLawSpectralModel, SkyModel
from gammajax.errors import DataError, FileFormatError, InputError

SEDS = ("dnde", "e2dnde", "flux", "eflux")
SUFFIXES = ("", "_err", "_errn", "_errp", "_ul", "_ref")


@pytest.fixture(scope="module")
def path(gammapy_data):
    return gammapy_data / "estimators/crab_hess_fp/crab_hess_fp.fits"


@pytest.fixture(scope="module")
def points(path):
    return FluxPoints.read(path, format="gadf-sed")


@pytest.fixture(scope="module")
def light_curve(gammapy_data):
    return FluxPoints.read(gammapy_data / "estimators/pks2155_hess_lc/pks2155_hess_lc_3bins.fits", format="lightcurve")


def test_columns_are_attributes_and_those_of_gammapy(points, path):
    theirs = pytest.importorskip("gammapy.estimators").FluxPoints.read(path)
    for sed in SEDS:
        for suffix in SUFFIXES:
            name = f"{sed}{suffix}"
            ours = getattr(points, name)
            np.testing.assert_array_equal(ours, points.quantity(name))
            # e2dnde and eflux in erg there; the file has seven digits of the reference fluxes
            expected = getattr(theirs, name)
            expected = u.Quantity(getattr(expected, "quantity", expected)).squeeze().to(ours.unit)
            np.testing.assert_allclose(ours.value, expected.value, rtol=1e-5, err_msg=name)
            assert name in dir(points)
    for name in ("energy_ref", "energy_min", "energy_max"):
        np.testing.assert_allclose(
            getattr(points, name).to_value("TeV"), getattr(theirs, name).to_value("TeV"), rtol=1e-6
        )
    assert (points.has_ul, points.has_stat_profiles) == (theirs.has_ul, theirs.has_stat_profiles) == (True, True)


def test_parts_are_those_of_gammapy(points, path):
    theirs = pytest.importorskip("gammapy.estimators").FluxPoints.read(path)
    part, other = points.slice_by_idx({"energy": slice(1, 4)}), theirs.slice_by_idx({"energy": slice(1, 4)})
    np.testing.assert_allclose(part.dnde.value, other.dnde.quantity.squeeze().to_value(part.dnde.unit), rtol=1e-5)
    assert part.stat_scan.shape == (3, len(points.norm_scan))
    assert part.slice_by_energy(1 * u.TeV, 5 * u.TeV).energy_edges[-1] <= 8
    one = list(points.iter_by_axis("energy"))
    assert [p.norm[0] for p in one[1:4]] == part.norm.tolist()
    assert repr(part) == "FluxPoints(3 energy bins from 0.761 to 7.89 TeV)"


def test_parts_of_a_light_curve(light_curve):
    times, energies = len(light_curve.gti), len(light_curve.energy_edges) - 1
    part = light_curve.slice_by_idx({"time": slice(2, 5), "energy": slice(0, 1)})
    np.testing.assert_array_equal(part.norm, light_curve.norm[2:5, :1])
    assert repr(part).startswith("FluxPoints(3 time bins, 1 energy bins from")
    spectrum = light_curve.slice_by_idx({"time": 2})
    assert spectrum.gti is None
    np.testing.assert_array_equal(spectrum.norm_err, light_curve.norm_err[2])
    assert len(list(light_curve.iter_by_axis("time"))) == times
    start, stop = light_curve.gti.time_start, light_curve.gti.time_stop
    found = light_curve.slice_by_time(start[1], stop[3])
    np.testing.assert_array_equal(found.flux.value, light_curve.flux[1:4].value)
    assert (Time(found.gti.time_start) - start[1:4]).to_value("s") == pytest.approx(0, abs=1e-6)
    assert found.norm.shape == (3, energies)


def test_tables_go_out_and_come_back(points, light_curve):
    for one, form in ((points, "gadf-sed"), (light_curve, "lightcurve")):
        table = one.to_table("likelihood", format=form)
        same = FluxPoints.from_table(table, sed_type="likelihood", format=form)
        np.testing.assert_array_equal(same.norm_err, one.norm_err)
    model = LogParabolaSpectralModel(amplitude="4e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.4, beta=0.2)
    again = FluxPoints.from_table(points.to_table("e2dnde"), reference_model=SkyModel(model))
    np.testing.assert_allclose(again.e2dnde.value, points.e2dnde.value, rtol=1e-12)
    np.testing.assert_allclose(again.dnde_ref.value, model(points.energy_ref).to_value("TeV-1 s-1 cm-2"), rtol=1e-12)
    digits = points.to_table(formatted=True).pformat()
    assert digits[3].split()[0] == "0.545"


# what is done with flux points and a light curve, error class, what the message says
REFUSED = {
    "format": (lambda p, c: p.to_table(format="lightcurve"), InputError, "these are flux points: leave it out, or format='gadf-sed'"),
    "write": (lambda p, c: c.write("x.fits", format="gadf-sed"), InputError, "a light curve: leave it out, or format='lightcurve'"),
    "axis": (lambda p, c: p.slice_by_idx({"time": 0}), InputError, "no axis 'time'; the axes are energy"),
    "steps": (lambda p, c: p.slice_by_idx({"energy": slice(0, 4, 2)}), InputError, "bins that follow one another"),
    "list": (lambda p, c: p.slice_by_idx({"energy": [0, 1]}), InputError, r"'energy' got \[0, 1\] of .* expected a slice or a number"),
    "outside": (lambda p, c: c.slice_by_idx({"time": 900}), InputError, "'time' got 900"),
    "energies": (lambda p, c: p.slice_by_energy(1 * u.PeV), InputError, "no bin has its centre in 1000 to inf TeV"),
    "times": (lambda p, c: p.slice_by_time(Time("2020-01-01"), Time("2021-01-01")), InputError, "have no time bins"),
    "other times": (lambda p, c: c.slice_by_time(Time("2020-01-01"), Time("2021-01-01")), InputError, "no time bin lies in 2020"),
    "no such column": (lambda p, c: p.quantity("dnde_scan"), InputError, "no 'dnde_scan'; known are dnde"),
    "sed": (lambda p, c: FluxPoints.from_table(p.to_table("dnde"), sed_type="flux"), FileFormatError, "expected flux"),
    "model": (lambda p, c: FluxPoints.from_table(p.to_table("likelihood"), reference_model=PowerLawSpectralModel()), InputError, "relative to a model with .* leave it out"),
    "no model": (lambda p, c: FluxPoints.from_table(p.to_table("dnde"), reference_model="pl"), InputError, "reference_model: got 'pl'"),
    "plot": (lambda p, c: c.plot(axis_name="energy"), InputError, r"drawn over the time; .*points.slice_by_idx\(\{\"time\": 0\}\)"),
    "time format": (lambda p, c: c.plot(time_format="mjdd"), InputError, "time_format='mjdd', expected 'mjd' or 'iso'"),
    "curve as spectrum": (lambda p, c: FluxPointsDataset(c), DataError, "a light curve is no spectrum"),
    "twice": (lambda p, c: FluxPointsDataset(p, p.dnde), InputError, "give one or the other"),
    "nothing": (lambda p, c: FluxPointsDataset(models=PowerLawSpectralModel()), DataError, "energy and dnde are missing; give them, or data="),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(points, light_curve, case):
    act, error, text = REFUSED[case]
    with pytest.raises(error, match=text):
        act(points, light_curve)
    plt.close("all")


def test_a_data_set_of_estimated_points_is_fitted_as_by_gammapy(points, path):
    estimators = pytest.importorskip("gammapy.estimators")
    datasets, models, modeling = (
        pytest.importorskip(f"gammapy.{n}") for n in ("datasets", "modeling.models", "modeling")
    )
    theirs = datasets.FluxPointsDataset(
        data=estimators.FluxPoints.read(path), models=models.SkyModel(models.PowerLawSpectralModel(), name="crab")
    )
    modeling.Fit().run(theirs)
    ours = FluxPointsDataset(data=points, models=SkyModel(PowerLawSpectralModel(), name="crab"), name="crab")
    assert ours.data is points
    np.testing.assert_array_equal(ours.mask_safe, np.squeeze(theirs.mask_safe))
    result = Fit(ours, backend="newton").run()
    # gammapy's tolerance of the fit
    np.testing.assert_allclose(result.total_stat, theirs.stat_sum(), rtol=1e-4)
    np.testing.assert_allclose(result.parameters.value, theirs.models.parameters.value, rtol=2e-3)
    again = FluxPointsDataset.read(path)
    np.testing.assert_array_equal(again.data.norm, points.norm)
    ours.fake(0)
    with pytest.raises(DataError, match="no flux points that it was made from; its arrays are"):
        ours.data  # noqa: B018


@pytest.mark.parametrize("time_format", ["mjd", "iso"])
def test_a_light_curve_is_drawn_over_days_or_dates(light_curve, time_format):
    figure, ax = plt.subplots()
    light_curve.plot(ax=ax, axis_name="time", sed_type="eflux", marker="s", ls="--", lw=1, time_format=time_format)
    figure.canvas.draw()
    line = ax.containers[0].lines[0]
    assert (line.get_marker(), line.get_linestyle()) == ("s", "--")
    labels = " ".join(t.get_text() for t in ax.get_xticklabels())
    assert ax.get_xlabel() == {"mjd": "Time [MJD, TT]", "iso": "Time [TT]"}[time_format]
    assert (":" in labels) == (time_format == "iso")
    plt.close(figure)


def test_upper_limits_are_drawn_as_arrows(points):
    marked = replace(points, marked=np.arange(len(points.norm)) > 2)
    dataset = FluxPointsDataset(data=marked, models=PowerLawSpectralModel(amplitude="4e-11 cm-2 s-1 TeV-1", index=2.5))
    np.testing.assert_array_equal(dataset.is_ul, marked.is_ul)
    figure, ax = plt.subplots()
    dataset.plot_spectrum(ax=ax, kwargs_fp={"marker": "s"})
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert ("upper limits" in labels) == bool(np.isfinite(points.dnde_ul[dataset.is_ul]).any())
    plt.close(figure)
