"""gammapy's fitting tutorial, and a joint fit, by its own Fit with our backend: the same calls, the same keys, the same numbers."""

import numpy as np
import pytest
from astropy import units as u

from gammajax import ConfidenceResult, ContourResult, ScanResult
from gammajax.errors import ModelError
from gammajax.interop import gammapy as bridge

datasets_of = pytest.importorskip("gammapy.datasets")
modeling = pytest.importorskip("gammapy.modeling")
models_of = pytest.importorskip("gammapy.modeling.models")


@pytest.fixture(scope="module", autouse=True)
def backend():
    bridge.register()
    yield
    for task in modeling.fit.registry.register.values():
        task.pop("gammajax", None)


def tutorial(files):
    spectrum = models_of.LogParabolaSpectralModel(
        amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    )
    spectrum.alpha.max, spectrum.alpha.min = 3, 1
    runs = datasets_of.Datasets([datasets_of.SpectrumDatasetOnOff.read(p) for p in files])
    stack = runs.stack_reduce(name="HESS")
    stack.mask_fit = stack.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    stack.models = models_of.SkyModel(spectral_model=spectrum, name="crab")
    return datasets_of.Datasets([stack])


@pytest.fixture(scope="module")
def fits(hess_files):
    """The tutorial's fit with MINUIT and with our backend, both with a trace."""
    out = {}
    for name, options in (("minuit", {"tol": 0.001}), ("gammajax", {})):
        datasets = tutorial(hess_files)
        fit = modeling.Fit(store_trace=True, backend=name, optimize_opts=dict(options))
        out[name] = datasets, fit, fit.run(datasets)
    return out


def test_the_fit(fits):
    (ours, _, found), (theirs, _, expected) = fits["gammajax"], fits["minuit"]
    assert found.success
    assert found.total_stat == pytest.approx(expected.total_stat, abs=1e-6)
    assert found.trace.colnames == expected.trace.colnames
    assert len(found.trace) == found.nfev
    assert found.trace["total_stat"][-1] == pytest.approx(found.total_stat, rel=1e-7)
    for p, q in zip(ours.parameters, theirs.parameters, strict=True):
        # MINUIT's errors are 0.5 % off the curvature
        assert p.value == pytest.approx(q.value, abs=1e-3 * q.error + 1e-300)
        assert p.error == pytest.approx(q.error, rel=0.01)
    errors = found.covariance_result.matrix.diagonal() ** 0.5
    np.testing.assert_allclose(errors, [p.error for p in ours.parameters], rtol=1e-8)


def test_confidence_and_scans(fits):
    (ours, fit, found), (theirs, other, _) = fits["gammajax"], fits["minuit"]
    before = ours.parameters.value.copy()
    for name in ("alpha", "beta"):
        a, b = fit.confidence(ours, ours.parameters[name]), other.confidence(theirs, theirs.parameters[name])
        assert a["success"]
        assert set(b) - {"minuit"} <= set(a)
        np.testing.assert_allclose([a["errn"], a["errp"]], [b["errn"], b["errp"]], rtol=2e-3)
    for datasets in (ours, theirs):
        datasets.parameters["alpha"].scan_values = [2.0, 2.2, 2.4]
        datasets.parameters["beta"].scan_values = [0.1, 0.3]
    a, b = (f.stat_profile(d, d.parameters["alpha"], reoptimize=True) for d, f in ((ours, fit), (theirs, other)))
    assert list(a) == list(b)
    np.testing.assert_allclose(a["stat_scan"], b["stat_scan"], atol=1e-3)
    a, b = (f.stat_surface(d, d.parameters["alpha"], d.parameters["beta"]) for d, f in ((ours, fit), (theirs, other)))
    np.testing.assert_allclose(a["stat_scan"], b["stat_scan"], rtol=2e-5)
    # in one batch each; the fit was in gammapy's mode
    mode = {"compatibility": "gammapy"}
    profile = bridge.stat_profile(ours, "alpha", reoptimize=True, **mode)
    assert isinstance(profile, ScanResult)
    b = other.stat_profile(theirs, theirs.parameters["alpha"], reoptimize=True)
    np.testing.assert_allclose(profile["stat_scan"], b["stat_scan"], atol=1e-3)
    np.testing.assert_array_equal(profile["crab.spectral.alpha_scan"], b["crab.spectral.alpha_scan"])
    surface = bridge.stat_surface(ours, ours.parameters["alpha"], ours.parameters["beta"], **mode)
    np.testing.assert_allclose(surface["stat_scan"], a["stat_scan"], rtol=1e-6)
    interval = bridge.confidence(ours, ours.parameters["beta"], **mode)
    assert isinstance(interval, ConfidenceResult)
    # in the unit of the parameter, as gammapy's are
    again = fit.confidence(ours, ours.parameters["beta"])
    np.testing.assert_allclose([interval["errn"], interval["errp"]], [again["errn"], again["errp"]], rtol=1e-5)
    np.testing.assert_array_equal(ours.parameters.value, before)
    assert found.total_stat == pytest.approx(ours.stat_sum(), rel=1e-12)


@pytest.mark.slow
def test_contours(fits):
    """gammapy asks MINUIT for contours whatever the backend is; ours are on the same curve."""
    ours, fit, found = fits["gammajax"]
    alpha, beta = ours.parameters["alpha"], ours.parameters["beta"]
    theirs = fit.stat_contour(ours, alpha, beta, numpoints=6)
    assert theirs["success"]
    contour = bridge.stat_contour(ours, alpha, beta, numpoints=40, compatibility="gammapy")
    assert isinstance(contour, ContourResult)
    assert contour["success"]
    angle = [
        np.unwrap(np.arctan2((c["crab.spectral.beta"] - beta.value) / beta.error, (c["crab.spectral.alpha"] - alpha.value) / alpha.error))
        for c in (theirs, contour)
    ]  # fmt: skip
    radius = [
        np.hypot((c["crab.spectral.beta"] - beta.value) / beta.error, (c["crab.spectral.alpha"] - alpha.value) / alpha.error)
        for c in (theirs, contour)
    ]  # fmt: skip
    order = np.argsort(angle[1] % (2 * np.pi))
    expected = np.interp(angle[0] % (2 * np.pi), angle[1][order] % (2 * np.pi), radius[1][order], period=2 * np.pi)
    # between 40 points of an ellipse of axes 6 to 1 the chord is a per cent or two inside
    np.testing.assert_allclose(radius[0], expected, rtol=0.04)
    assert found.success


@pytest.mark.slow
def test_a_joint_fit_with_priors_and_links(hess_files):
    """Three data sets, one of them with a known background and its norm free; a limit, a shared index with a prior.

    gammapy counts that prior twice, once for each model, and so does our backend.
    """

    def make():
        first, second = (datasets_of.SpectrumDatasetOnOff.read(p) for p in hess_files)
        third = first.to_spectrum_dataset().copy(name="known")
        for d in (first, second, third):
            d.mask_fit = d.counts.geom.energy_mask(0.7 * u.TeV, 20 * u.TeV)
        main = models_of.PowerLawSpectralModel(index=2.3, amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV")
        other = models_of.PowerLawSpectralModel(index=2.0, amplitude="2e-11 cm-2 s-1 TeV-1", reference="1 TeV")
        main.index.min, main.index.max = 1, 5
        main.index.prior = models_of.GaussianPrior(mu=2.5, sigma=0.1)
        other.index = main.index
        background = models_of.FoVBackgroundModel(dataset_name="known")
        out = datasets_of.Datasets([first, second, third])
        out.models = [
            models_of.SkyModel(main, name="main", datasets_names=[first.name, "known"]),
            models_of.SkyModel(other, name="other", datasets_names=[second.name]),
            background,
        ]
        return out

    ours, theirs = make(), make()
    found, expected = modeling.Fit(backend="gammajax").run(ours), modeling.Fit().run(theirs)
    assert found.success
    assert found.total_stat <= expected.total_stat + 1e-6
    assert found.total_stat == pytest.approx(expected.total_stat, abs=1e-2)
    assert ours.models["other"].spectral_model.index is ours.models["main"].spectral_model.index
    for p, q in zip(ours.parameters, theirs.parameters, strict=True):
        assert p.value == pytest.approx(q.value, abs=0.05 * q.error + 1e-300), p.name
        assert p.error == pytest.approx(q.error, rel=0.02), p.name
    assert bridge.from_gammapy(ours, compatibility="gammapy").stat_sum() == pytest.approx(ours.stat_sum(), abs=1e-5)
    once = bridge.from_gammapy(ours)
    assert once.parameters["main.spectral.index"].prior.weight == 1
    a = modeling.Fit(backend="gammajax").confidence(ours, ours.parameters["index"])
    b = modeling.Fit().confidence(theirs, theirs.parameters["index"])
    np.testing.assert_allclose([a["errn"], a["errp"]], [b["errn"], b["errp"]], rtol=0.01)


def test_an_interval_with_the_others_fixed(fits):
    ours, fit, _ = fits["gammajax"]
    alpha = ours.parameters["alpha"]
    narrow = fit.confidence(ours, alpha, reoptimize=False)
    assert narrow["success"]
    # TS = 1 without a re-fit, by gammapy's own statistic
    with ours.parameters.restore_status():
        best = ours.stat_sum()
        for step in (-narrow["errn"], narrow["errp"]):
            value = alpha.value
            alpha.value = value + step
            assert ours.stat_sum() - best == pytest.approx(1, abs=2e-3)
            alpha.value = value
    assert not ours.parameters["beta"].frozen


def test_a_part_of_the_response_that_is_off_is_refused(hess_files):
    datasets = tutorial(hess_files)
    datasets.models[0].apply_irf["edisp"] = False
    with pytest.raises(ModelError, match="'crab' has apply_irf="):
        bridge.from_gammapy(datasets)


@pytest.mark.slow
def test_flux_points_of_gammapy_through_our_backend(hess_files):
    from gammapy.estimators import FluxPointsEstimator

    datasets = tutorial(hess_files)
    tables = []
    for name in ("gammajax", "minuit"):
        fit = modeling.Fit(backend=name)
        estimator = FluxPointsEstimator(
            energy_edges=[0.7, 2, 8] * u.TeV, source="crab", selection_optional=["errn-errp"], fit=fit
        )
        tables.append(estimator.run(datasets).to_table(sed_type="dnde"))
    for column in ("dnde", "dnde_err", "dnde_errn", "dnde_errp"):
        np.testing.assert_allclose(tables[0][column], tables[1][column], rtol=5e-3, err_msg=column)
