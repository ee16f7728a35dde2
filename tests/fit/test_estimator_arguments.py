"""Arguments and columns of gammapy 2.1's estimators, beside gammapy on the same files."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from scipy import optimize

from gammajax import (
    Datasets,
    Fit,
    FluxPoints,
    FluxPointsDataset,
    FluxPointsEstimator,
    GaussianPrior,
    LightCurveEstimator,
    Parameter,
    ParameterEstimator,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
    SpectrumDatasetOnOff,
)
from gammajax.data import embedded_ogip_files
from gammajax.errors import InputError
from gammajax.solve import Status
from gammajax.stats import wstat, wstat_mu_bkg

EDGES = [0.7, 1.1, 3.0, 12.0] * u.TeV
VALUES = {"index": 2.6, "amplitude": "3e-11 cm-2 s-1 TeV-1"}
SEDS = ("likelihood", "dnde", "e2dnde", "flux", "eflux")


@pytest.fixture(scope="module")
def ours():
    d = SpectrumDatasetOnOff.read(embedded_ogip_files()[0], name="run")
    d.models = SkyModel(PowerLawSpectralModel(**VALUES), name="crab")
    return d


@pytest.fixture(scope="module")
def gammapy():
    """Its modules, and the same data with its own models."""
    datasets, estimators = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.estimators")
    models = pytest.importorskip("gammapy.modeling.models")

    class Theirs:
        FluxPoints, FluxPointsEstimator = estimators.FluxPoints, estimators.FluxPointsEstimator
        ParameterEstimator = estimators.ParameterEstimator

        @staticmethod
        def data(known=False):
            d = datasets.SpectrumDatasetOnOff.read(embedded_ogip_files()[0], name="run")
            d = d.to_spectrum_dataset(name="run") if known else d
            if known:
                # counts with the unit ct, as it reads them, it cannot compare with what is predicted
                d.counts, d.background = (type(m).from_geom(m.geom, data=m.data) for m in (d.counts, d.background))
            d.models = models.SkyModel(models.PowerLawSpectralModel(**VALUES), name="crab")
            return d

    return Theirs


@pytest.fixture(scope="module")
def points(ours):
    return FluxPointsEstimator(EDGES, "crab", selection_optional="all").run(ours)


@pytest.fixture(scope="module")
def expected(gammapy):
    estimator = gammapy.FluxPointsEstimator(energy_edges=EDGES, source="crab", selection_optional="all")
    return estimator.run(gammapy.data())


def values(points, name):
    return np.asarray(getattr(points, name).data).reshape(len(EDGES) - 1)


def test_bins_outside_of_the_fit_are_nan_as_in_gammapy(ours, gammapy, tmp_path, caplog):
    edges = [0.1, 0.3, *EDGES.value[1:]] * u.TeV
    found = FluxPointsEstimator(edges, "crab", selection_optional="all").run(ours)
    (record,) = [r for r in caplog.records if r.name.startswith("gammajax")]
    assert "no bin of the fit lies between" in record.getMessage()
    outside = np.array([True, False, False, False])
    assert found.success.tolist() == (~outside).tolist()
    assert found.status[0] == Status.NOT_DONE
    theirs = gammapy.FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional=["ul"])
    expected = theirs.run(gammapy.data())
    for name in ("norm", "norm_err", "norm_ul", "ts"):
        other = np.asarray(getattr(expected, name).data).reshape(len(edges) - 1)
        assert np.isnan(other).tolist() == np.isnan(getattr(found, name)).tolist() == outside.tolist(), name
    path = tmp_path / "points.fits"
    found.write(path)
    back = FluxPoints.read(path)
    np.testing.assert_array_equal(back.norm, found.norm)
    np.testing.assert_array_equal(back.status, found.status)


# -- sensitivity ---------------------------------------------------------------------------------------------------------


def test_sensitivity_is_where_predicted_data_have_the_significance(ours, points):
    """From the formula, by scipy, channel by channel."""
    centre, signal, mask = ours.counts.geom.axis.center.to_value("TeV"), ours.npred_signal().data, ours.mask.data
    arrays = ours.statistic_arrays()
    for k in range(len(points.norm)):
        inside = (centre > points.energy_edges[k]) & (centre < points.energy_edges[k + 1]) & mask
        n_on, n_off, alpha, s = (a[inside] for a in (arrays["n_on"], arrays["n_off"], arrays["alpha"], signal))

        def ts(norm, on=n_on, off=n_off, alpha=alpha, s=s):
            import jax

            with jax.enable_x64(True):
                n = norm * s + alpha * wstat_mu_bkg(on, off, alpha, norm * s)
                return float(np.sum(wstat(n, off, alpha, 0 * s) - wstat(n, off, alpha, norm * s)))

        root = optimize.brentq(lambda x, f=ts: f(x) - 25, 1e-3, 20)
        assert points.norm_sensitivity[k] == pytest.approx(root, rel=1e-8)
        np.testing.assert_allclose(points.dnde_sensitivity[k], points.norm_sensitivity[k] * points.dnde_ref[k])


@pytest.mark.parametrize("known", [False, True])
def test_sensitivity_of_gammapy(ours, gammapy, known):
    d = ours.to_spectrum_dataset("run") if known else ours
    d.models = ours.models
    settings = {"source": "crab", "selection_optional": ["sensitivity"], "n_sigma_sensitivity": 4}
    found = FluxPointsEstimator(EDGES, **settings).run(d)
    theirs = gammapy.FluxPointsEstimator(energy_edges=EDGES, **settings).run(gammapy.data(known))
    expected = values(theirs, "norm_sensitivity")
    if known:
        # a channel without background would be significant at any strength; gammapy predicts 1e-25 counts there
        assert np.isnan(found.norm_sensitivity).tolist() == [False, False, True]
        expected[2] = np.nan
    # its roots have 1 %
    np.testing.assert_allclose(found.norm_sensitivity, expected, rtol=0.02)
    assert found.n_sigma_sensitivity == 4


@pytest.mark.slow
def test_sensitivity_with_refits_holds_the_others_where_they_fit_best(ours):
    """In one bin: a second source is fitted beside; then it is held there, as if it were known."""
    d = ours.copy("run")
    other = SkyModel(PowerLawSpectralModel(index=3.0, amplitude="1e-12 cm-2 s-1 TeV-1"), name="other")
    other.spectral_model.index.frozen = True
    other.spectral_model.amplitude.prior = GaussianPrior(mu=1e-12, sigma=3e-13)
    d.models = [ours.models["crab"], other]
    edges = [0.7, 12] * u.TeV
    asked = {"source": "crab", "selection_optional": ["sensitivity"]}
    free = FluxPointsEstimator(edges, reoptimize=True, **asked).run(d)
    assert free.success.all()
    with d.models.restore_status():
        d.models["crab"].spectral_model.amplitude.value *= free.norm[0]
        d.models["crab"].parameters.freeze_all()
        d.mask_fit = d.counts.geom.energy_mask(*(free.energy_edges * u.TeV))
        Fit(d, backend="newton").run()
        d.models["crab"].spectral_model.amplitude.value /= free.norm[0]
        d.mask_fit = None
        held = FluxPointsEstimator(edges, **asked).run(d)
    assert held.norm_sensitivity[0] == pytest.approx(free.norm_sensitivity[0], rel=1e-6)
    alone = FluxPointsEstimator(edges, **asked).run(d)
    assert alone.norm_sensitivity[0] != pytest.approx(free.norm_sensitivity[0], rel=1e-5)


def test_without_background_every_strength_is_detected():
    edges = np.array([1.0, 2.0, 4.0]) * u.TeV
    d = SpectrumDataset.from_arrays(
        [3, 3], [0.0, 1.0], exposure=np.full(2, 1e13) * u.Unit("cm2 s"), energy_edges=edges, energy_true_edges=edges
    )
    d.models = SkyModel(PowerLawSpectralModel(amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1")), name="s")
    found = FluxPointsEstimator(edges, selection_optional=["sensitivity"]).run(d).norm_sensitivity
    # of one channel with a known background b: 2 (n ln(n/b) - (n - b)) = 25
    excess = optimize.brentq(lambda x: 2 * ((1 + x) * np.log(1 + x) - x) - 25, 1, 100)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(excess / d.npred_signal().data[1], rel=1e-9)


# -- columns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sed", SEDS)
@pytest.mark.parametrize("suffix", [".fits", ".ecsv"])
def test_tables_have_gammapys_columns_and_go_both_ways(points, expected, gammapy, tmp_path, sed, suffix):
    own, theirs = points.to_table(sed), expected.to_table(sed)
    assert set(theirs.colnames) <= set(own.colnames)
    scan = np.asarray(theirs["stat_scan"]).reshape(points.stat_scan.shape)
    np.testing.assert_allclose(np.asarray(own["stat_scan"]), scan, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(own["norm_scan"])[0], np.asarray(theirs["norm_scan"])[0], rtol=1e-12)
    points.write(tmp_path / f"ours{suffix}", sed_type=sed)
    name = "norm" if sed == "likelihood" else sed
    # its own energy flux of index 2
    with np.errstate(divide="ignore", invalid="ignore"):
        found = gammapy.FluxPoints.read(tmp_path / f"ours{suffix}", sed_type=sed)
        columns = (name, f"{name}_ul", f"{name}_sensitivity", "stat", "ts")
        read = {c: getattr(found, c).quantity.ravel().to_value(own[c].unit or "") for c in columns}
    for column, numbers in read.items():
        np.testing.assert_allclose(numbers, np.asarray(own[column]), rtol=1e-6, err_msg=column)
    np.testing.assert_allclose(found.stat_scan.data.reshape(scan.shape), points.stat_scan, rtol=1e-12)
    back = FluxPoints.read(tmp_path / f"ours{suffix}")
    for column in ("norm", "norm_sensitivity", "norm_scan", "stat_scan", "stat"):
        np.testing.assert_allclose(getattr(back, column), getattr(points, column), rtol=1e-12, err_msg=column)
    assert (back.sed_type_init, back.n_sigma_sensitivity) == (sed, 5)


@pytest.mark.parametrize("sed", SEDS)
def test_what_gammapy_writes_is_read(points, expected, tmp_path, sed):
    """Its tables of fluxes do not tell what the strengths of a scan are relative to: said, unless a model is given."""
    expected.write(tmp_path / "theirs.fits", sed_type=sed)
    model = PowerLawSpectralModel(**VALUES)
    if sed == "likelihood":
        back = FluxPoints.read(tmp_path / "theirs.fits")
    else:
        with pytest.warns(
            UserWarning, match=f"theirs.fits: the strengths norm_scan .* no column ref_{sed}; stat_scan is left out"
        ):
            back = FluxPoints.read(tmp_path / "theirs.fits")
        assert back.stat_scan.shape == (3, 0)
        back = FluxPoints.read(tmp_path / "theirs.fits", reference_model=model)
    np.testing.assert_allclose(back.norm_sensitivity, values(expected, "norm_sensitivity"), rtol=1e-6)
    np.testing.assert_allclose(back.stat_scan, points.stat_scan, rtol=1e-5)
    np.testing.assert_allclose(back.norm_scan, points.norm_scan, rtol=1e-9)


# -- the strength as a parameter -----------------------------------------------------------------------------------------


def test_limits_and_scan_of_the_strength_are_those_of_gammapy(ours, gammapy):
    norm = {"min": 0.95, "max": 1.5, "scan_min": 0.5, "scan_max": 2, "scan_n_values": 4}
    settings = {"source": "crab", "selection_optional": ["errn-errp", "ul", "scan"], "norm": norm}
    found = FluxPointsEstimator(EDGES, **settings).run(ours)
    theirs = gammapy.FluxPointsEstimator(energy_edges=EDGES, **settings).run(gammapy.data())
    # MIGRAD, which works on the sine of what has two limits, stops at some distance
    np.testing.assert_allclose(found.norm, values(theirs, "norm"), atol=2e-2 * np.nanmin(found.norm_err))
    for name in ("norm_errn", "norm_errp", "norm_ul"):
        np.testing.assert_array_equal(np.isnan(getattr(found, name)), np.isnan(values(theirs, name)), err_msg=name)
    np.testing.assert_allclose(found.norm_scan, np.geomspace(0.5, 2, 4), rtol=1e-12)
    np.testing.assert_allclose(found.stat_scan, theirs.stat_scan.data.reshape(3, 4), rtol=1e-5)
    free = FluxPointsEstimator(EDGES, "crab").run(ours)
    outside = (free.norm < 0.95) | (free.norm > 1.5)
    np.testing.assert_array_equal(found.status, np.where(outside, Status.AT_LIMIT, Status.CONVERGED))
    np.testing.assert_allclose(found.norm, np.clip(free.norm, 0.95, 1.5), rtol=1e-9)


def test_a_bin_without_counts_has_a_strength_of_zero_where_that_is_the_limit():
    """Known background and no counts: the statistic is 2 mu, at its lowest where mu is."""
    edges = np.array([1.0, 2.0, 4.0]) * u.TeV
    d = SpectrumDataset.from_arrays(
        [0, 30], [0.5, 1.0], exposure=np.full(2, 1e13) * u.Unit("cm2 s"), energy_edges=edges, energy_true_edges=edges
    )
    d.models = SkyModel(PowerLawSpectralModel(amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1")), name="s")
    for reoptimize in (False, True):
        norm = Parameter("norm", 1, min=0)
        found = FluxPointsEstimator(edges, norm=norm, selection_optional=["ul"], reoptimize=reoptimize).run(d)
        assert found.success.all()
        assert found.norm[0] == 0.0
        assert found.status.tolist() == [Status.AT_LIMIT, Status.CONVERGED]
        assert found.norm_ul[0] == pytest.approx(2 / d.npred_signal().data[0], rel=1e-6)
        assert found.ts[0] == 0.0


NORMS = {
    "name": ({"name": "amplitude"}, "got the parameter 'amplitude' in '', expected 'norm' without a unit"),
    "unit": (Parameter("norm", 1, "TeV"), "got the parameter 'norm' in 'TeV'"),
    "key": ({"minimum": 0}, "unknown key 'minimum'; known are: name, value"),
    "frozen": ({"frozen": True}, "the strength is frozen, but it is fitted in each bin"),
    "prior": (Parameter("norm", 1, prior=GaussianPrior(mu=1, sigma=0.1)), "the strength has a prior"),
    "upside down": ({"min": 2, "max": 1}, "limits from 2 to 1, expected min < max"),
    "number": (1.0, "got 1.0, expected a gammajax.Parameter named 'norm', or a dictionary"),
}


@pytest.mark.parametrize("case", NORMS)
def test_strengths_that_are_none(case):
    norm, text = NORMS[case]
    with pytest.raises(InputError, match=text):
        FluxPointsEstimator(EDGES, norm=norm)


def test_the_scan_of_the_strength_may_be_set_in_each_way():
    given = FluxPointsEstimator(EDGES, norm_scan=[0.5, 1, 2])
    assert given.norm.scan_values.tolist() == given.norm_scan.tolist() == [0.5, 1, 2]
    np.testing.assert_allclose(FluxPointsEstimator(EDGES).norm_scan, np.geomspace(0.2, 5, 11), rtol=1e-12)
    mine = Parameter("norm", 1, scan_values=[1, 3])
    estimator = LightCurveEstimator(EDGES, norm=mine)
    mine.scan_values = [7]
    assert estimator.copy().norm_scan.tolist() == [1, 3]
    for wrong in ([2, 1], [1, 1, 2], [1, np.nan]):
        for given in ({"norm_scan": wrong}, {"norm": {"scan_values": wrong}}):
            with pytest.raises(InputError, match="strengths of the scan are .*, expected finite, increasing numbers"):
                FluxPointsEstimator(EDGES, **given)


def test_a_scan_beyond_a_limit_falls_below_the_statistic_there(ours):
    norm = {"min": 0, "max": 0.5, "scan_min": 0.1, "scan_max": 3, "interp": "lin"}
    found = FluxPointsEstimator(EDGES, source="crab", norm=norm, selection_optional=["scan"]).run(ours)
    free = FluxPointsEstimator(EDGES, source="crab", selection_optional=["scan"], norm_scan=found.norm_scan).run(ours)
    assert np.all(found.norm == 0.5)
    assert np.all(found.ts_scan.min(axis=1) < 0)
    one, two = (
        FluxPointsDataset(data=p, stat_type="profile", models=ours.models[0].spectral_model) for p in (found, free)
    )
    # the same scans, counted from the statistic at the limit and from the lowest one
    np.testing.assert_allclose(one.stat_array() - two.stat_array(), free.stat - found.stat, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sed", SEDS)
def test_scans_are_those_of_a_data_set_whatever_the_points_are_given_in(ours, points, tmp_path, sed):
    model = ours.models[0].spectral_model
    points.write(tmp_path / "points.fits", sed_type=sed)
    read = FluxPoints.read(tmp_path / "points.fits")
    one, two = (FluxPointsDataset(data=p, stat_type="profile", models=model) for p in (points, read))
    # single strengths come back through a column of fluxes
    np.testing.assert_allclose(two.stat_array(), one.stat_array(), rtol=1e-6, atol=1e-9)


# -- the other arguments -------------------------------------------------------------------------------------------------


def test_energy_groups_that_are_added_up_are_those_of_gammapy(ours, gammapy):
    settings = {"source": "crab", "selection_optional": ["ul"], "sum_over_energy_groups": True}
    found = FluxPointsEstimator(EDGES, **settings).run(ours)
    # 0 / 0 in bins without OFF counts
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = gammapy.FluxPointsEstimator(energy_edges=EDGES, **settings).run(gammapy.data())
    # gammapy has no acceptance for the last, which has no OFF counts
    assert values(theirs, "counts")[2] == found.counts[2] > 0
    assert np.isnan(values(theirs, "norm_ul")[2])
    assert np.isfinite(found.norm_ul).all()
    np.testing.assert_allclose(found.norm_ul[:2], values(theirs, "norm_ul")[:2], rtol=1e-5)
    np.testing.assert_allclose(found.ts[:2], values(theirs, "ts")[:2], atol=1e-2)
    # one channel: the excess is met
    np.testing.assert_allclose(found.npred, found.counts, rtol=1e-6)
    curve = LightCurveEstimator(EDGES, **settings)
    with pytest.raises(InputError, match="sum_over_energy_groups: not together with reoptimize"):
        FluxPointsEstimator(EDGES, sum_over_energy_groups=True, reoptimize=True).run(ours)
    from gammajax import GTI

    d = ours.copy("run")
    d.models, d.gti = ours.models, GTI.create([0] * u.s, [100] * u.s)
    np.testing.assert_allclose(curve.run(d).norm_ul[0], found.norm_ul, rtol=1e-9)


REFUSED = {
    "n_jobs": (4, "got n_jobs=4, but all bins are one batch in one process"),
    "parallel_backend": ("ray", "got parallel_backend='ray', but all bins are one batch"),
    "fit": (Fit(), "got fit=.*, but the strengths are found by Newton's method"),
    "allow_multiple_telescopes": (
        False,
        "got allow_multiple_telescopes=False, but data sets are joined whatever their telescopes are",
    ),
    "norms": (1, "unknown argument 'norms'; the arguments are .*energy_edges, source, .*norm, norm_scan"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", [FluxPointsEstimator, LightCurveEstimator])
def test_arguments_without_a_counterpart_say_why(kind, name):
    value, text = REFUSED[name]
    with pytest.raises(InputError, match=f"{kind.__name__}: {text}"):
        kind(EDGES, **{name: value})


def test_arguments_that_ask_for_what_is_done_anyway():
    estimator = FluxPointsEstimator(n_jobs=1, parallel_backend=None, allow_multiple_telescopes=True, fit=None)
    assert estimator.energy_edges.tolist() == [1, 10]
    assert (
        FluxPointsEstimator(EDGES, selection_optional=["all"]).selection
        == estimator.__class__(selection_optional="all").selection
    )
    with pytest.raises(InputError, match="n_jobs=True, but"):
        FluxPointsEstimator(n_jobs=True)
    with pytest.raises(InputError, match="n_sigma_sensitivity=0: expected numbers above 0"):
        FluxPointsEstimator(n_sigma_sensitivity=0)


# -- one parameter -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("reoptimize", [True, False])
def test_one_parameter_with_the_others_held_or_not_is_that_of_gammapy(ours, gammapy, reoptimize):
    settings = {"selection_optional": "all", "reoptimize": reoptimize}
    d, theirs = ours.copy("run"), gammapy.data()
    d.models = ours.models.copy()
    found = ParameterEstimator(**settings).run(d, "amplitude")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = gammapy.ParameterEstimator(**settings).run(theirs, "amplitude")
    assert set(expected) <= set(found)
    for name in ("amplitude", "amplitude_err", "amplitude_errn", "amplitude_errp", "amplitude_ul"):
        assert found[name] == pytest.approx(expected[name], rel=5e-3), name
    assert found["ts"] == pytest.approx(expected["ts"], abs=1e-2)
    # its roots have 1 %
    assert found["amplitude_sensitivity"] == pytest.approx(expected["amplitude_sensitivity"], rel=0.03)
    assert not d.models["crab"].spectral_model.index.frozen
    held = d.models["crab"].spectral_model.index.value == 2.6
    assert held == (not reoptimize)
    # and its own TS of predicted data is 25 there, with the others where ours are
    from gammapy.modeling.selection import NestedModelSelection

    spectrum = theirs.models[0].spectral_model
    spectrum.index.value = d.models["crab"].spectral_model.index.value
    spectrum.amplitude.value = found["amplitude_sensitivity"]
    from gammapy.datasets import Datasets as TheirDatasets

    test = NestedModelSelection([spectrum.amplitude], [0.0])
    assert test.ts_asimov(TheirDatasets([theirs])) == pytest.approx(25, rel=2e-3)


def test_sensitivity_within_limits_and_what_has_none(ours):
    d = ours.copy("run")
    d.models = ours.models.copy()
    amplitude = d.models["crab"].spectral_model.amplitude
    amplitude.max = 1e-9
    asked = ParameterEstimator(selection_optional=["sensitivity"], fit=Fit(backend="scipy"))
    free = asked.run(d, "amplitude")
    assert "detectable at 5 sigma" in str(free)
    assert free.provenance.settings["backend"] == "scipy"
    assert free.to_table()["amplitude_sensitivity"].unit == amplitude.unit
    stronger = ParameterEstimator(selection_optional=["sensitivity"], n_sigma_sensitivity=1e3).run(d, "amplitude")
    assert np.isnan(stronger.sensitivity)
    assert any("no value within the limits has this significance" in n for n in stronger.notes)
    energies = [1, 3] * u.TeV
    fluxes = PowerLawSpectralModel(**VALUES)(energies)
    points = FluxPointsDataset(energies, fluxes, 0.1 * fluxes, models=d.models, name="points")
    with pytest.raises(InputError, match="sensitivity: 'points' is a FluxPointsDataset"):
        asked.run(Datasets([d, points]), "amplitude")
    for backend in ("scipy", "newton"):
        with pytest.raises(InputError, match=f"got backend='{backend}' and a fit with 'minuit'"):
            ParameterEstimator(backend=backend, fit=Fit())
    assert (ParameterEstimator().backend, ParameterEstimator(fit=Fit()).backend) == ("newton", "minuit")
    with pytest.raises(InputError, match="fit: got str, expected a gammajax.Fit"):
        ParameterEstimator(fit="minuit")
    with pytest.raises(InputError, match="ParameterEstimator: got n_jobs=2, but"):
        ParameterEstimator(n_jobs=2)
