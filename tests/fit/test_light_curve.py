"""Light curves: each time bin beside the flux points of its data sets alone, and all beside gammapy's estimator."""

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    GTI,
    Datasets,
    FluxPoints,
    FluxPointsEstimator,
    LightCurveEstimator,
    LogParabolaSpectralModel,
    SkyModel,
    SpectrumDatasetOnOff,
)
from gammajax.errors import DataError, FileFormatError, InputError
from gammajax.io.points_table import points_from_table
from tests.problems import BEGIN, CRAB

COLUMNS = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "stat", "stat_null")
COUNTED = ("counts", "npred", "npred_excess")
EDGES = np.array([0.75, 2.2, 20]) * u.TeV


def runs(files, compatibility=None):
    """Runs of H.E.S.S., an hour apart; when they were taken is not in their files."""
    sets = [SpectrumDatasetOnOff.read(p) for p in files]
    for k, d in enumerate(sets):
        start = BEGIN + k * u.h
        d.gti, d.compatibility = GTI.create(start, start + d.livetime), compatibility
    datasets = Datasets(sets)
    datasets.models = SkyModel(LogParabolaSpectralModel(**CRAB), name="crab")
    return datasets


@pytest.fixture(scope="module")
def datasets(hess_files):
    return runs(hess_files)


@pytest.fixture(scope="module")
def curve(datasets):
    return LightCurveEstimator(EDGES, "crab", selection_optional="all").run(datasets)


def test_each_time_bin_is_that_of_its_data_set(datasets, curve):
    assert curve.norm.shape == (len(datasets), 2)
    assert curve.stat_scan.shape == (len(datasets), 2, 11)
    assert len(curve.gti) == len(datasets)
    for row, d in enumerate(datasets):
        alone = FluxPointsEstimator(EDGES, "crab", selection_optional="all").run(d)
        for name in COLUMNS:
            np.testing.assert_allclose(getattr(curve, name)[row], getattr(alone, name), rtol=1e-8, err_msg=name)
        for name in COUNTED:
            np.testing.assert_allclose(getattr(curve, name)[row][:, [row]], getattr(alone, name), rtol=1e-8)
            assert np.isnan(np.delete(getattr(curve, name)[row], row, axis=1)).all()
        np.testing.assert_allclose(curve.stat_scan[row], alone.stat_scan, rtol=1e-10)
        assert curve.gti.time_start[row] == d.gti.time_start[0]


def test_intervals_join_and_stack(datasets):
    one = [(BEGIN - 1 * u.h, BEGIN + 1 * u.d)]
    # an empty night behind it is left out
    wanted = [*one, (BEGIN + 2 * u.d, BEGIN + 3 * u.d)]
    joined = LightCurveEstimator(EDGES, time_intervals=wanted).run(datasets)
    points = FluxPointsEstimator(EDGES).run(datasets)
    assert joined.norm.shape == (1, 2)
    np.testing.assert_allclose(joined.norm[0], points.norm, rtol=1e-8)
    stacked = LightCurveEstimator(EDGES, time_intervals=one, stack_over_time_interval=True).run(datasets)
    stack = datasets.stack_reduce("stack")
    stack.models = datasets.models
    np.testing.assert_allclose(stacked.norm[0], FluxPointsEstimator(EDGES).run(stack).norm, rtol=1e-8)
    assert not np.allclose(stacked.norm, joined.norm, rtol=1e-8)


def test_a_bin_without_data_is_nan(datasets):
    high = datasets[0].copy("high")
    high.gti, high.models = GTI.create(BEGIN + 2 * u.d, BEGIN + 2.1 * u.d), datasets.models
    high.mask_fit = high.counts.geom.energy_mask(2.3 * u.TeV, None)
    found = LightCurveEstimator(EDGES, selection_optional="all").run([datasets[0], high])
    assert np.isnan(found.norm[1, 0])
    assert np.isnan(found.stat[1, 0])
    assert not found.success[1, 0]
    assert found.success.sum() == 3
    assert np.isfinite(found.norm_ul[1, 1])


def test_what_is_refused(datasets):
    estimator = LightCurveEstimator(EDGES)
    unknown = datasets[0].copy("unknown")
    unknown.gti, unknown.models = None, datasets.models
    with pytest.raises(DataError, match="it is not known when 'unknown' was measured"):
        estimator.run(unknown)
    overlapping = [(BEGIN, BEGIN + 1 * u.d), (BEGIN + 0.5 * u.d, BEGIN + 2 * u.d)]
    with pytest.raises(DataError, match="the time bins 0 and 1 overlap"):
        LightCurveEstimator(EDGES, time_intervals=overlapping).run(datasets)
    with pytest.raises(DataError, match="no data set lies within one of the time bins"):
        LightCurveEstimator(EDGES, time_intervals=[(BEGIN, BEGIN + 1 * u.s)]).run(datasets)
    mine = datasets[0].copy("mine")
    mine.gti, mine.models = datasets[0].gti, SkyModel(LogParabolaSpectralModel(**CRAB), "crab", "mine")
    with pytest.raises(InputError, match="'crab' belongs to single data sets"):
        LightCurveEstimator(EDGES, stack_over_time_interval=True).run(mine)


def test_plot(curve):
    import matplotlib.pyplot as plt

    ax = curve.plot(ax=plt.figure().gca())
    assert ax.get_xlabel() == "Time [MJD, TT]"
    drawn = ax.lines[0].get_ydata()
    np.testing.assert_allclose(drawn, curve.quantity("flux")[:, 0].to_value("s-1 cm-2")[: len(drawn)], rtol=1e-12)
    plt.close("all")


# -- files ---------------------------------------------------------------------------------------------------------------


def same(a, b):
    for name in (*COLUMNS, *COUNTED, "stat_scan", "norm_scan", "success", "status"):
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True), name
    np.testing.assert_allclose(a.energy_edges, b.energy_edges, rtol=1e-14)
    assert (a.n_sigma, a.n_sigma_ul) == (b.n_sigma, b.n_sigma_ul)
    assert a.gti == b.gti
    assert a.dataset_names == b.dataset_names


def test_a_light_curve_goes_into_a_document_with_all_that_is_known_of_it(curve, tmp_path):
    curve.write(tmp_path / "curve.yaml")
    back = FluxPoints.read(tmp_path / "curve.yaml", format="lightcurve")
    same(back, curve)
    assert back.provenance == curve.provenance
    np.testing.assert_array_equal(back.gti.met_start, curve.gti.met_start)
    assert (back.gti.time_ref.scale, str(back.gti)) == (curve.gti.time_ref.scale, str(curve.gti))
    with pytest.raises(InputError, match=r"ends in \.fits, \.ecsv"):
        curve.write(tmp_path / "fluxes.yaml", sed_type="dnde")


@pytest.fixture(scope="module")
def points(datasets):
    return FluxPointsEstimator(EDGES, "crab", selection_optional="all", n_sigma_ul=3).run(datasets)


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("what", ["points", "curve"])
def test_files_both_ways(what, suffix, request, tmp_path):
    """Ours and back to the last bit, ours into gammapy, and gammapy's own writing of it back."""
    found = request.getfixturevalue(what)
    file = tmp_path / f"points.{suffix}"
    found.write(file)
    same(FluxPoints.read(file), found)
    assert FluxPoints.read(file).provenance == found.provenance
    assert found.provenance.settings["source"] == "crab"
    with pytest.raises(InputError, match="exists already"):
        found.write(file)
    theirs_class = pytest.importorskip("gammapy.estimators").FluxPoints
    theirs = theirs_class.read(file)
    for name in ("norm", "norm_errn", "norm_ul", "ts"):
        assert np.array_equal(np.asarray(getattr(theirs, name).data)[..., 0, 0], getattr(found, name)), name
    assert np.array_equal(np.asarray(theirs.stat_scan.data)[..., 0, 0], found.stat_scan)
    dnde = theirs.dnde.quantity[..., 0, 0].to_value("TeV-1 s-1 cm-2")
    np.testing.assert_allclose(dnde, found.quantity("dnde").value, rtol=1e-12)
    theirs.write(tmp_path / f"theirs.{suffix}")
    back = FluxPoints.read(tmp_path / f"theirs.{suffix}")
    np.testing.assert_allclose(back.norm, found.norm, rtol=1e-12)
    np.testing.assert_allclose(back.stat_scan, found.stat_scan, rtol=1e-12)
    # its fluxes of a bin are those of a curve through its few points
    np.testing.assert_allclose(back.reference["dnde"], found.reference["dnde"], rtol=1e-9)
    assert back.n_sigma_ul == found.n_sigma_ul
    for name in COUNTED:
        assert np.array_equal(np.asarray(getattr(theirs, name).data)[..., 0, 0], getattr(found, name), equal_nan=True)
        assert np.array_equal(getattr(back, name), getattr(found, name), equal_nan=True)
    assert back.dataset_names is None
    if what == "curve":
        # one MJD as a float: a microsecond
        assert np.allclose(back.gti.time_start.mjd, found.gti.time_start.mjd, rtol=0, atol=1e-10)


@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde", "flux", "eflux"])
def test_tables_in_flux_units(points, sed_type, tmp_path):
    points.write(tmp_path / "points.fits", sed_type=sed_type)
    back = FluxPoints.read(tmp_path / "points.fits")
    for suffix in ("", "_err", "_errn", "_errp", "_ul"):
        np.testing.assert_allclose(
            back.quantity(f"{sed_type}{suffix}"), points.quantity(f"{sed_type}{suffix}"), rtol=1e-12
        )
    theirs = pytest.importorskip("gammapy.estimators").FluxPoints.read(tmp_path / "points.fits")
    # both take a power law of index 2 where the table names no model
    np.testing.assert_allclose(back.quantity("dnde"), theirs.dnde.quantity[:, 0, 0].to("TeV-1 s-1 cm-2"), rtol=1e-9)


def test_files_of_gammapys_data(gammapy_data):
    folder = gammapy_data / "estimators"
    shapes = {"pks2155_hess_lc/pks2155_hess_lc.fits": (34, 1), "pks2155_hess_lc/pks2155_hess_lc_3bins.fits": (34, 3)}
    theirs_class = pytest.importorskip("gammapy.estimators").FluxPoints
    names = {k: folder / k for k in (*shapes, "crab_hess_fp/crab_hess_fp.fits")}
    names["hawc"] = gammapy_data / "hawc" / "crab_flux" / "HAWC19_flux_points.fits"
    for name, path in names.items():
        if not path.is_file():
            pytest.skip(f"there is no {path.name} in the data")
        ours, theirs = FluxPoints.read(path), theirs_class.read(path)
        assert ours.norm.shape == shapes.get(name, ours.norm.shape)
        dnde = theirs.dnde.quantity[..., 0, 0].to_value("TeV-1 s-1 cm-2")
        np.testing.assert_allclose(ours.quantity("dnde").value, dnde, rtol=1e-9)
        known = np.isfinite(ours.norm)
        np.testing.assert_allclose(ours.sqrt_ts[known], np.asarray(theirs.sqrt_ts.data)[..., 0, 0][known], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.remove_column("e_min"), "column e_min is missing"),
        (lambda t: t.remove_column("ref_flux"), "column ref_flux is missing"),
        (lambda t: t.remove_column("norm"), "expected norm, dnde, e2dnde, flux or eflux"),
        (lambda t: t["e_max"].__setitem__(0, 1.5), "energy bin 0 ends at 1.5 TeV and the next begins"),
        (lambda t: setattr(t["e_min"], "unit", None), "column 'e_min' has no unit"),
        (lambda t: setattr(t["ref_dnde"], "unit", "s"), "column 'ref_dnde' has the unit 's'"),
        (lambda t: t["norm_scan"][0].__setitem__(0, 7.0), "norm_scan differs from row to row"),
    ],
)
def test_damaged_tables(points, change, text):
    from astropy.table import Table

    table = Table(points.to_table("likelihood"))
    change(table)
    with pytest.raises(FileFormatError, match=text):
        points_from_table(table, "damaged.fits")


@pytest.mark.slow
def test_gammapy_finds_the_same(hess_files):
    """Norms, errors on both sides, limits, TS and scans, in the compatible mode."""
    estimators = pytest.importorskip("gammapy.estimators")
    from gammapy.data import GTI as TheirGTI
    from gammapy.datasets import Datasets as TheirDatasets
    from gammapy.datasets import SpectrumDatasetOnOff as Theirs
    from gammapy.modeling import models

    ours, theirs = runs(hess_files, "gammapy"), TheirDatasets([Theirs.read(p) for p in hess_files])
    for a, b in zip(ours, theirs, strict=True):
        b.gti = TheirGTI.create(a.gti.time_start, a.gti.time_stop)
    theirs.models = [models.SkyModel(models.LogParabolaSpectralModel(**CRAB), name="crab")]
    axis = ours[0].counts.geom.axis.edges_tev
    edges = axis[(axis > 0.7) & (axis < 20)][::8] * u.TeV
    found = LightCurveEstimator(edges, "crab", selection_optional="all").run(ours)
    wanted = ["errn-errp", "ul", "scan"]
    expected = estimators.LightCurveEstimator(energy_edges=edges, source="crab", selection_optional=wanted).run(theirs)

    def column(name):
        return np.asarray(getattr(expected, name).data)[..., 0, 0]

    # gammapy's minima are those of MIGRAD, and its errors those of its finite differences
    np.testing.assert_allclose(found.norm, column("norm"), atol=2e-2 * found.norm_err.min())
    np.testing.assert_allclose(found.norm_err, column("norm_err"), rtol=1e-2)
    for name in ("norm_errn", "norm_errp", "norm_ul"):
        np.testing.assert_allclose(getattr(found, name), column(name), rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(found.ts, column("ts"), atol=1e-2)
    np.testing.assert_allclose(found.stat_scan, column("stat_scan"), atol=1e-2)
    start = expected.geom.axes["time"].time_min
    assert np.allclose((start - found.gti.time_start).to_value("s"), 0, atol=1e-6)
