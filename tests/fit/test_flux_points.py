"""Flux points against gammapy's estimator, scipy on the same statistic, and closed forms."""

import numpy as np
import pytest
from astropy import units as u
from scipy import optimize

from gammajax import (
    Datasets,
    Fit,
    FluxPointsEstimator,
    GaussianPrior,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
    SpectrumDatasetOnOff,
    SystematicsModel,
)
from gammajax.errors import DataError, FitError, InputError
from gammajax.stats import wstat
from tests.problems import embedded, small

EDGES = np.array([0.7, 1.1, 1.8, 3.0, 6.0, 12.0]) * u.TeV


@pytest.fixture(scope="module")
def fitted():
    d = embedded()
    Fit(d, backend="newton").run()
    return d


@pytest.fixture(scope="module")
def points(fitted):
    return FluxPointsEstimator(EDGES, "crab", selection_optional="all").run(fitted)


def test_each_point_is_the_minimum_of_its_bins(fitted, points):
    """Every number again, bin by bin, from the statistic alone and by scipy."""
    centre = fitted.counts.geom.axis.center.to_value("TeV")
    signal = fitted.npred_signal().data
    arrays = fitted.statistic_arrays()
    assert points.success.all()
    for k in range(len(points.norm)):
        inside = (centre > points.energy_edges[k]) & (centre < points.energy_edges[k + 1]) & fitted.mask.data
        n_on, n_off, alpha, s = (a[inside] for a in (arrays["n_on"], arrays["n_off"], arrays["alpha"], signal))
        stat = lambda x, a=(n_on, n_off, alpha, s): float(np.sum(wstat_of(*a, x)))  # noqa: E731
        best = optimize.minimize_scalar(stat, bounds=(0, 5), method="bounded", options={"xatol": 1e-10})
        assert points.norm[k] == pytest.approx(best.x, abs=1e-5)
        assert points.stat[k] == pytest.approx(best.fun, abs=1e-9)
        assert points.ts[k] == pytest.approx(stat(0.0) - best.fun, abs=1e-8)
        h = 1e-3
        curvature = (stat(best.x + h) - 2 * stat(best.x) + stat(best.x - h)) / h**2
        assert points.norm_err[k] == pytest.approx((2 / curvature) ** 0.5, rel=1e-4)
        for sign, level, value in (
            (1, 1, points.norm[k] + points.norm_errp[k]),
            (-1, 1, points.norm[k] - points.norm_errn[k]),
            (1, 4, points.norm_ul[k]),
        ):
            root = optimize.brentq(
                lambda x, n=level, f=stat, low=best.fun: f(x) - low - n,
                best.x,
                best.x + sign * (2 if sign > 0 else best.x),
            )
            assert value == pytest.approx(root, abs=1e-5)
        np.testing.assert_allclose(points.stat_scan[k], [stat(x) for x in points.norm_scan], rtol=1e-12)
        assert points.counts[k] == n_on.sum()


def wstat_of(n_on, n_off, alpha, signal, norm):
    import jax

    with jax.enable_x64(True):
        return np.asarray(wstat(n_on, n_off, alpha, norm * signal))


def test_columns_and_conversions(fitted, points):
    model = fitted.models["crab"].spectral_model
    table = points.to_table("dnde")
    assert table["dnde"].unit == "TeV-1 s-1 cm-2"
    np.testing.assert_allclose(
        table["dnde"].value, points.norm * model(table["e_ref"]).to_value("TeV-1 s-1 cm-2"), rtol=1e-12
    )
    flux = points.quantity("flux")[1]
    low, high = points.energy_edges[1:3] * u.TeV
    assert flux.value == pytest.approx(points.norm[1] * model.integral(low, high).value, rel=1e-12)
    full = points.to_table("likelihood")
    assert {"ref_dnde", "norm_ul", "stat_scan", "sqrt_ts", "npred_excess"} <= set(full.colnames)
    assert "norm_errp" in str(points)
    with pytest.raises(InputError, match="have no 'counts'"):
        points.quantity("counts")
    with pytest.raises(InputError, match="got sed_type='sed'"):
        points.to_table("sed")


def test_what_is_not_asked_for_is_nan(fitted):
    points = FluxPointsEstimator(EDGES).run(fitted)
    assert np.isnan(points.norm_ul).all()
    assert np.isnan(points.norm_errp).all()
    assert points.stat_scan.shape == (5, 0)


def test_joint_points_of_the_same_data_twice_have_half_the_variance(fitted):
    other = fitted.copy("again")
    other.models, other.mask_fit = fitted.models, fitted.mask_fit
    both = FluxPointsEstimator(EDGES).run(Datasets([fitted, other]))
    one = FluxPointsEstimator(EDGES).run(fitted)
    np.testing.assert_allclose(both.norm, one.norm, rtol=1e-8)
    np.testing.assert_allclose(both.norm_err, one.norm_err / 2**0.5, rtol=1e-8)


def test_a_second_source_stays_as_it_is(fitted):
    d = fitted.copy("HESS")
    d.mask_fit = fitted.mask_fit
    other = SkyModel(PowerLawSpectralModel(index=2.5, amplitude=1e-11 * u.Unit("cm-2 s-1 TeV-1")), name="other")
    d.models = [fitted.models["crab"], other]
    alone = FluxPointsEstimator(EDGES, "crab").run(fitted)
    beside = FluxPointsEstimator(EDGES, "crab").run(d)
    assert np.all(beside.norm < alone.norm)
    assert d.models.names == ["crab", "other"]


def test_a_data_set_keeps_its_models_while_points_are_estimated(fitted, monkeypatch):
    """Another thread that fits it, or makes points of it too, must not see the source alone."""
    d = fitted.copy("HESS")
    other = SkyModel(PowerLawSpectralModel(index=2.5, amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1")), name="other")
    d.models = [fitted.models["crab"], other]
    shown, predicted, kept = d.models, SpectrumDatasetOnOff.npred_signal, []

    def looked_at(self, *args):
        kept.append(d.models is shown)
        return predicted(self, *args)

    monkeypatch.setattr(SpectrumDatasetOnOff, "npred_signal", looked_at)
    FluxPointsEstimator(EDGES, "crab").run(d)
    assert kept == [True, True]


def test_a_bin_without_counts_has_a_limit_and_no_point():
    """Known background and no counts: the statistic is 2 mu, its limit is known exactly."""
    edges = np.array([1.0, 2.0, 4.0]) * u.TeV
    d = SpectrumDataset.from_arrays(
        [0, 30], [0.5, 1.0], exposure=np.full(2, 1e13) * u.Unit("cm2 s"), energy_edges=edges, energy_true_edges=edges
    )
    d.models = SkyModel(PowerLawSpectralModel(amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1")), name="s")
    points = FluxPointsEstimator(edges, selection_optional=["ul"]).run(d)
    assert points.success.tolist() == [False, True]
    assert np.isnan(points.norm[0])
    assert points.norm_ul[0] == pytest.approx(2 / d.npred_signal().data[0], rel=1e-6)
    assert points.norm[1] == pytest.approx(29 / d.npred_signal().data[1], rel=1e-6)


REFITTED = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "stat", "counts", "npred", "npred_excess")


def test_nothing_else_free_is_the_same_with_refits(fitted, points):
    again = FluxPointsEstimator(EDGES, "crab", selection_optional="all", reoptimize=True).run(fitted)
    for name in REFITTED:
        np.testing.assert_allclose(getattr(again, name), getattr(points, name), rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(again.stat_scan, points.stat_scan, rtol=1e-10)
    assert dict(again.provenance.settings)["reoptimize"] is True


def uncertain(fitted):
    """A factor on the background with a prior beside the source."""
    factor = SystematicsModel("HESS", background=1.0)
    factor.background.prior = GaussianPrior(mu=1.0, sigma=0.1)
    d = fitted.copy("HESS")
    d.mask_fit = fitted.mask_fit
    d.models = [fitted.models["crab"], factor]
    return d, factor


def test_refits_are_fits_of_each_bin(fitted):
    """Beside a fit of the amplitude and the factor to the channels of one bin alone."""
    d, factor = uncertain(fitted)
    found = FluxPointsEstimator(EDGES, "crab", selection_optional=["errn-errp"], reoptimize=True).run(d)
    assert factor.background.value == 1.0
    assert not factor.background.frozen
    k = 2
    centre = d.counts.geom.axis.center.to_value("TeV")
    one, own = uncertain(fitted)
    one.mask_fit = d.mask.data & (centre > found.energy_edges[k]) & (centre < found.energy_edges[k + 1])
    spectrum = fitted.models["crab"].spectral_model.copy()
    for p in spectrum.parameters:
        p.frozen = p.name != "amplitude"
    start = spectrum.amplitude.value
    one.models = [SkyModel(spectrum, name="crab"), own]
    fit = Fit(one, backend="newton")
    result = fit.run()
    interval = fit.confidence("amplitude", sigma=1)
    # both minima and crossings are found to 1e-9 of the statistic, about 1e-5 of the error in the strength
    assert found.norm[k] == pytest.approx(spectrum.amplitude.value / start, rel=1e-6)
    assert found.norm_err[k] == pytest.approx(spectrum.amplitude.error / start, rel=1e-6)
    assert found.norm_errp[k] == pytest.approx(interval["errp"] / start, rel=1e-5)
    assert found.norm_errn[k] == pytest.approx(interval["errn"] / start, rel=1e-5)
    assert found.stat[k] == pytest.approx(result.total_stat, abs=1e-8)
    assert found.npred[k] == pytest.approx(one.npred().data[one.mask.data].sum(), rel=1e-6)


def test_the_source_is_seen_through_the_systematics(fitted):
    """With an effective area of half all strengths double, for the same counts."""
    d = fitted.copy("HESS")
    d.mask_fit = fitted.mask_fit
    factor = SystematicsModel("HESS")
    factor.effective_area.value = 0.5
    d.models = [fitted.models["crab"], factor]
    half, one = (FluxPointsEstimator(EDGES, "crab").run(x) for x in (d, fitted))
    # a minimum to 1e-12 of the statistic, 1e-6 of the error in the strength
    np.testing.assert_allclose(half.norm, 2 * one.norm, rtol=1e-6)
    np.testing.assert_allclose(half.stat, one.stat, rtol=1e-10)


def test_what_cannot_be_told_apart_in_a_bin_is_no_point():
    """Two free strengths of the same shape in one bin: no answer, and an end."""
    edges = np.array([1.0, 2.0, 4.0]) * u.TeV
    d = SpectrumDataset.from_arrays(
        [20, 30], [0.5, 1.0], exposure=np.full(2, 1e13) * u.Unit("cm2 s"), energy_edges=edges, energy_true_edges=edges
    )
    spectra = [PowerLawSpectralModel(amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1")) for _ in range(2)]
    d.models = [SkyModel(s, name=n) for s, n in zip(spectra, "ab", strict=True)]
    points = FluxPointsEstimator(edges, "a", reoptimize=True).run(d)
    assert not points.success.any()
    assert np.isnan(points.norm).all()


def test_mistakes_are_refused(fitted):
    with pytest.raises(InputError, match="expected at least two increasing energies"):
        FluxPointsEstimator([3, 1] * u.TeV)
    with pytest.raises(InputError, match="unknown 'limits'; known are: errn-errp, ul, scan"):
        FluxPointsEstimator(EDGES, selection_optional=["limits"])
    with pytest.raises(DataError, match=r"no bin of the fit lies between 0\.1 and 0\.3"):
        FluxPointsEstimator([0.1, 0.3] * u.TeV).run(fitted)
    with pytest.raises(DataError, match="are closer than the bins of 'HESS'"):
        FluxPointsEstimator([1, 1.0001, 3] * u.TeV).run(fitted)
    with pytest.raises(FitError, match="flux points need a source"):
        FluxPointsEstimator(EDGES).run(small())


@pytest.mark.slow
def test_gammapy_finds_the_same(hess_files):
    """Norms, errors on both sides, limits, TS and scan, in the compatible mode."""
    estimators = pytest.importorskip("gammapy.estimators")
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")
    arguments = {
        "amplitude": 3.8e-11 / u.cm**2 / u.s / u.TeV, "reference": 1 * u.TeV, "alpha": 2.196, "beta": 0.2265,
    }  # fmt: skip
    ours = Datasets([SpectrumDatasetOnOff.read(p) for p in hess_files])
    ours.models = SkyModel(LogParabolaSpectralModel(**arguments), name="crab")
    for d in ours:
        d.compatibility = "gammapy"
    theirs = datasets.Datasets([datasets.SpectrumDatasetOnOff.read(p) for p in hess_files])
    theirs.models = [models.SkyModel(models.LogParabolaSpectralModel(**arguments), name="crab")]
    axis = ours[0].counts.geom.axis.edges_tev
    edges = axis[(axis > 0.7) & (axis < 20)][::4] * u.TeV
    found = FluxPointsEstimator(edges, "crab", selection_optional="all").run(ours)
    expected = estimators.FluxPointsEstimator(energy_edges=edges, source="crab", selection_optional="all").run(theirs)
    column = lambda name: np.asarray(getattr(expected, name).data).ravel()  # noqa: E731
    # MIGRAD of gammapy stops at an EDM of 2e-4, its errors come without HESSE
    np.testing.assert_allclose(found.norm, column("norm"), atol=2e-2 * np.min(found.norm_err))
    np.testing.assert_allclose(found.norm_err, column("norm_err"), rtol=1e-2)
    np.testing.assert_allclose(found.norm_errp, column("norm_errp"), rtol=2e-2)
    np.testing.assert_allclose(found.norm_errn, column("norm_errn"), rtol=2e-2)
    np.testing.assert_allclose(found.norm_ul, column("norm_ul"), rtol=1e-2)
    np.testing.assert_allclose(found.ts, column("ts"), atol=1e-2)
    scan = np.asarray(expected.stat_scan.data)[:, :, 0, 0]
    # gammapy's statistic leaves out a constant of each bin in nothing: the same numbers
    np.testing.assert_allclose(
        np.asarray(expected.norm_scan if hasattr(expected, "norm_scan") else found.norm_scan), found.norm_scan
    )
    np.testing.assert_allclose(scan, found.stat_scan, rtol=1e-6)


def test_plot(points):
    import matplotlib.pyplot as plt

    ax = points.plot()
    assert ax.get_ylabel() == "E$^2$ dN/dE [TeV s$^{-1}$ cm$^{-2}$]"
    # the same unit as the curve of a model, so that both can share axes
    drawn = ax.lines[0].get_ydata()
    np.testing.assert_allclose(drawn, points.quantity("e2dnde").to_value("TeV cm-2 s-1")[: len(drawn)], rtol=1e-12)
    plt.close("all")
