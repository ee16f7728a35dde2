"""Layouts of tables, and the arguments of gammapy's methods that make, read and draw them, beside gammapy on the same files."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.timeseries import BinnedTimeSeries

from gammajax import GTI, FluxPoints
from gammajax.errors import FileFormatError, InputError

SERIES = "binned-time-series"


@pytest.fixture(scope="module")
def folder(gammapy_data):
    return gammapy_data / "estimators"


@pytest.fixture(scope="module")
def curve(folder):
    """34 time bins, one energy bin."""
    return FluxPoints.read(folder / "pks2155_hess_lc/pks2155_hess_lc.fits")


@pytest.fixture(scope="module")
def points(folder):
    return FluxPoints.read(folder / "crab_hess_fp/crab_hess_fp.fits")


@pytest.mark.parametrize("sed", ["likelihood", "dnde", "e2dnde"])
def test_a_time_series_has_the_columns_of_gammapy(curve, folder, sed):
    theirs = pytest.importorskip("gammapy.estimators").FluxPoints.read(folder / "pks2155_hess_lc/pks2155_hess_lc.fits")
    found, expected = curve.to_table(sed, format=SERIES), theirs.to_table(sed, format=SERIES)
    assert isinstance(found, BinnedTimeSeries)
    # MJD as one number
    assert np.allclose((found.time_bin_start - expected["time_bin_start"]).to_value("s"), 0, atol=1e-5)
    np.testing.assert_allclose(found.time_bin_size.to_value("s"), expected["time_bin_size"].to_value("s"), atol=1e-5)
    numbers = [
        n for n in expected.colnames if not n.startswith("time_bin") and n not in ("counts", "npred", "npred_excess")
    ]
    assert set(expected.colnames) <= set(found.colnames)
    for name in numbers:
        mine, other = (u.Quantity(t[name]) if t[name].dtype.kind == "f" else t[name] for t in (found, expected))
        if t_unit := getattr(mine, "unit", None):
            # its fluxes are in units that do not cancel, and its reference has the seven digits of the file
            other = other.to(t_unit)
        np.testing.assert_allclose(np.asarray(mine, float), np.asarray(other, float), rtol=1e-5, err_msg=name)


def test_a_time_series_in_files_is_read_by_astropy_and_says_why_it_is_none_of_ours(curve, tmp_path):
    # ECSV keeps a Time, FITS the reference of one
    for name in ("series.ecsv", "series.fits"):
        curve.write(tmp_path / name, format=SERIES, sed_type="flux")
        back = Table.read(tmp_path / name, **({"astropy_native": True, "hdu": 1} if name.endswith("fits") else {}))
        np.testing.assert_allclose(back["flux"], curve.flux[:, 0].value, rtol=1e-15)
        np.testing.assert_allclose((back["time_bin_start"] - curve.gti.time_start).to_value("s"), 0, atol=1e-5)
        with pytest.raises(FileFormatError, match=r"does not tell the energies .*format='lightcurve'"):
            FluxPoints.read(tmp_path / name)


def test_scans_and_data_sets_are_in_a_time_series(points, curve):
    table = curve.to_table("likelihood", SERIES, formatted=True)
    assert table["norm"].info.format == ".3f"
    with pytest.raises(InputError, match="for light curves of one energy bin, and these are points without time bins"):
        points.to_table("flux", format=SERIES)
    with pytest.raises(InputError, match=r"got sed_type='x', expected one of likelihood"):
        curve.to_table("x", format=SERIES)


def test_a_light_curve_of_several_energy_bins_has_no_time_series(folder):
    three = FluxPoints.read(folder / "pks2155_hess_lc/pks2155_hess_lc_3bins.fits")
    with pytest.raises(InputError, match="this light curve has 3; take one bin"):
        three.to_table("flux", format=SERIES)
    one = three.slice_by_idx({"energy": slice(1, 2)}).to_table("flux", format=SERIES)
    np.testing.assert_array_equal(one["flux"].value, three.flux[:, 1].value)


def test_nothing_given_is_what_they_were_made_in(points, curve):
    assert points.to_table(None).meta["SED_TYPE"] == points.sed_type_init
    assert points.to_table().meta["SED_TYPE"] == "dnde"
    # the order of the arguments is that of gammapy
    assert curve.to_table("flux", "lightcurve", True)["flux"].info.format == ".3e"


def test_times_of_a_light_curve_are_taken_exactly_from_a_gti(curve, points):
    start, stop = curve.gti.time_start, curve.gti.time_stop
    exact = GTI.create(start + 1e-6 * u.s, stop)
    assert FluxPoints.from_table(curve.to_table("flux"), gti=exact).gti == exact
    with pytest.raises(InputError, match="got gti with .*but the time bins of the table are"):
        FluxPoints.from_table(curve.to_table("flux"), gti=GTI.create(start + 1 * u.s, stop))
    with pytest.raises(InputError, match="points without time bins depend on no times; leave it out"):
        FluxPoints.from_table(points.to_table("flux"), gti=exact)


def test_arguments_of_plots_are_those_of_gammapy(points, curve):
    figure, ax = plt.subplots()
    # in the order of gammapy
    curve.plot(ax, "dnde", 2, "mjd", axis_name="time")
    weak = curve.is_ul[:, 0] & np.isfinite(curve.norm_ul[:, 0])
    drawn = ax.lines[0].get_ydata()
    # dnde times E^2
    np.testing.assert_allclose(drawn, curve.e2dnde[~weak, 0].to_value("TeV s-1 cm-2"), rtol=1e-12)
    assert ax.get_ylabel().startswith("E$^{2}$ dN/dE")
    plt.close(figure)
    figure, ax = plt.subplots()
    points.plot_ts_profiles(ax=ax, sed_type="dnde", add_cbar=False, axis_name="energy")
    assert figure.axes == [ax]
    plt.close(figure)
    with pytest.raises(
        InputError, match="plot_ts_profiles: got axis_name='time', but these points are drawn over the energy"
    ):
        points.plot_ts_profiles(axis_name="time")
    with pytest.raises(InputError, match="got time_format, but these points are drawn over the energy; leave it out"):
        points.plot(time_format="iso")
    plt.close("all")
