import re

import numpy as np
import pytest
from astropy import units as u

from gammajax import Datasets, Fit, PowerLawSpectralModel, SkyModel, SpectrumDatasetOnOff, Status
from gammajax.errors import FitError, InputError
from tests.problems import MINOS, REFERENCE, crab_model, embedded, small, stacked

TIGHT = {
    "newton": {},
    "minuit": {"tol": 1e-10},
    "scipy L-BFGS-B": {"method": "L-BFGS-B", "options": {"ftol": 1e-15, "gtol": 1e-8}},
    "scipy Nelder-Mead": {"method": "Nelder-Mead", "options": {"xatol": 1e-8, "fatol": 1e-10}},
    "scipy trust-constr": {"method": "trust-constr", "options": {"gtol": 1e-10, "xtol": 1e-12}},
    "scipy SLSQP": {"method": "SLSQP", "options": {"ftol": 1e-14}},
    "scipy TNC": {"method": "TNC", "options": {"ftol": 1e-14, "gtol": 1e-10}},
    "optax lbfgs": {"method": "lbfgs", "tol": 1e-12},
    "optax adam": {"method": "adam", "tol": 1e-10},
    "sherpa simplex": {"method": "simplex", "ftol": 1e-12},
    "sherpa levmar": {"method": "levmar", "ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14},
    "sherpa moncar": {"method": "moncar", "ftol": 1e-12},
    "sherpa gridsearch": {"method": "gridsearch", "ftol": 1e-12},
}
# the promise: newton and minuit within 1e-8, all others within 1e-5
CLOSE = {"newton": 1e-8, "minuit": 1e-8}


@pytest.fixture(scope="module")
def float32_inputs(hess_files):
    """The H.E.S.S. data set with gammapy's stacked arrays, which are rounded to float32: the reference's inputs."""
    gammapy_datasets = pytest.importorskip("gammapy.datasets")
    ours = stacked(hess_files)
    theirs = gammapy_datasets.Datasets(
        [gammapy_datasets.SpectrumDatasetOnOff.read(p) for p in hess_files]
    ).stack_reduce(name="HESS")
    alpha = np.squeeze(theirs.alpha.data).astype(float)
    d = SpectrumDatasetOnOff.from_arrays(
        ours.counts.data,
        ours.counts_off.data,
        exposure=np.squeeze(theirs.exposure.quantity.to("cm2 s")).astype(float),
        edisp=np.squeeze(theirs.edisp.get_edisp_kernel().pdf_matrix).astype(float),
        energy_edges=ours.counts.geom.axis.edges,
        energy_true_edges=ours.exposure.geom.axis.edges,
        acceptance=ours.acceptance.data,
        acceptance_off=np.where(alpha > 0, ours.acceptance.data / np.where(alpha > 0, alpha, 1), 0),
        mask_safe=ours.mask_safe.data,
        name="HESS",
    )
    d.mask_fit = ours.mask_fit
    return d


@pytest.fixture
def crab(float32_inputs):
    """The reference's data set with the tutorial's start values."""
    float32_inputs.models = crab_model()
    return float32_inputs


def test_files_read_in_double_precision(hess_files):
    """Without gammapy's rounding to float32 the statistic is 4.6e-8 higher, and 30.349530 all the same."""
    result = Fit([stacked(hess_files)], backend="newton").run()
    assert result.total_stat == pytest.approx(30.3495301707, abs=1e-8)
    for p in ("amplitude", "alpha", "beta"):
        value, error = REFERENCE[p]
        assert result.parameters[p].value == pytest.approx(value, rel=1e-6)
        assert result.parameters[p].error == pytest.approx(error, rel=1e-6)


def spectrum(dataset):
    return dataset.models["crab"].spectral_model


@pytest.mark.parametrize("name", TIGHT)
def test_every_backend_reaches_the_reference(crab, name):
    backend = name.split()[0]
    if backend == "sherpa":
        pytest.importorskip("sherpa")
    result = Fit([crab]).run(backend=backend, optimize_opts=dict(TIGHT[name]))
    assert result.success, str(result)
    assert result.total_stat == pytest.approx(REFERENCE["stat"], abs=CLOSE.get(name, 1e-5))
    assert result.flags.converged
    assert result.edm < 1e-5
    # MIGRAD stops where the statistic no longer resolves a step, 2e-6 of beta away
    rtol = {"newton": 1e-6, "minuit": 3e-6}.get(name, 2e-2)
    for p in ("amplitude", "alpha", "beta"):
        value, error = REFERENCE[p]
        assert abs(result.parameters[p].value - value) < rtol * abs(value)
        assert result.parameters[p].error == pytest.approx(error, rel=rtol)


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("minuit", {"tol": 0.001, "strategy": 1}),
        ("scipy", {"method": "L-BFGS-B", "options": {"ftol": 1e-4, "gtol": 1e-05}}),
        ("sherpa", {"method": "simplex", "ftol": 1e-3, "maxfev": 10000}),
    ],
)
def test_the_tutorials_loose_options(crab, backend, options):
    if backend == "sherpa":
        pytest.importorskip("sherpa")
    result = Fit([crab]).run(backend=backend, optimize_opts=options)
    assert result.total_stat == pytest.approx(REFERENCE["stat"], abs=5e-3)
    # the distance to the minimum is what the EDM says, after the last Newton steps
    assert result.total_stat - REFERENCE["stat"] == pytest.approx(result.edm, rel=0.05, abs=1e-9)
    assert result.flags.away_from_minimum == (result.edm > 1e-6)
    # and they are not taken silently
    if backend == "scipy":
        assert "Newton steps to the minimum beside it gained" in result.message


@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_a_fit_that_ends_on_a_limit_can_be_fitted_again(backend):
    """Scaling there and back puts the limit beside itself; the value written is the limit, and a start."""
    beside = next(v for v in np.linspace(2e-12, 2.1e-12, 1000) if v / 1e-12 * 1e-12 > v)
    d = small()
    spectrum = PowerLawSpectralModel(index=2.5, amplitude=1.5e-12 / u.cm**2 / u.s / u.TeV)
    spectrum.amplitude.max = beside
    d.models = SkyModel(spectrum, name="s")
    fit = Fit(d, backend=backend)
    first = fit.run()
    assert first.flags.at_limit, str(first)
    assert spectrum.amplitude.value == beside
    assert fit.run().total_stat == pytest.approx(first.total_stat, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "success", "said"),
    [
        ({"method": "Nelder-Mead", "options": {"maxiter": 20}}, True, "the fit ended at a minimum all the same."),
        (
            {"method": "L-BFGS-B", "options": {"ftol": 0.1}},
            False,
            "the fit did not end at a well-defined minimum, see its status.",
        ),
        ({"method": "L-BFGS-B", "options": {"ftol": 1e-10}}, True, None),
    ],
    ids=["stopped early, but there", "content too early", "of one mind"],
)
def test_optimiser_and_verdict_disagree(options, success, said):
    """Both are told, so that the message does not contradict `success`."""
    d = small()
    spectrum = PowerLawSpectralModel(index=2.5, amplitude=3e-12 / u.cm**2 / u.s / u.TeV)
    d.models = SkyModel(spectrum, name="s")
    result = Fit(d, backend="scipy", optimize_opts=options).run()
    assert result.success == success, str(result)
    assert ("judged by exact derivatives" in result.message) == (said is not None)
    assert result.message.endswith(said or "")


def test_exact_numbers(crab):
    result = Fit([crab], backend="newton").run()
    assert result.total_stat == pytest.approx(REFERENCE["stat"], abs=1e-9)
    assert result.edm < 1e-12


def test_minos_reference(crab):
    Fit([crab], backend="newton").run()
    for name, (errn, errp) in MINOS.items():
        found = Fit([crab]).confidence(name)
        assert found["success"]
        # MINOS stops where TS is within about 1e-3 of the level
        assert found["errn"] == pytest.approx(errn, rel=5e-4)
        assert found["errp"] == pytest.approx(errp, rel=5e-4)


def test_contour_points_lie_on_the_level(crab):
    fit = Fit([crab], backend="newton")
    fit.run()
    for sigma in (1, 2):
        contour = fit.stat_contour("alpha", "beta", numpoints=12, sigma=sigma)
        np.testing.assert_allclose(contour.ts, sigma**2, atol=1e-3)
        assert contour["success"]
        assert len(contour["alpha"]) == 12
        np.testing.assert_array_equal(contour["crab.spectral.beta"], contour["beta"])
        # measured once more, node by node with another optimiser
        scan = fit.stat_surface(
            "alpha", "beta", contour["alpha"][:1], contour["beta"][:1], reoptimize=True, backend="minuit", tol=1e-6
        )
        assert scan.ts[0, 0] == pytest.approx(sigma**2, abs=1e-3)
    assert "86.5 %" in str(contour)


def test_compatible_mode_fits_like_gammapy(crab):
    """Values, errors and correlations of an independent program with gammapy's integration scheme."""
    crab.compatibility = "gammapy"
    try:
        result = Fit([crab], backend="newton").run()
    finally:
        crab.compatibility = None
    assert result.total_stat == pytest.approx(30.349530124351, abs=1e-9)
    amplitude = result.parameters["amplitude"]
    assert amplitude.value == pytest.approx(3.8121871685e-11, rel=1e-8)
    assert amplitude.error == pytest.approx(3.54884814e-12, rel=1e-8)
    correlation, index = result.covariance.correlation, result.parameters.index
    expected = {
        ("amplitude", "alpha"): 0.489405353,
        ("amplitude", "beta"): -0.238844025,
        ("alpha", "beta"): -0.904005245,
    }
    for (a, b), value in expected.items():
        assert correlation[index(a), index(b)] == pytest.approx(value, abs=2e-9)


def test_gammapy_live_profiles_and_surface(crab):
    gammapy_datasets = pytest.importorskip("gammapy.datasets")
    from gammapy.modeling import Fit as TheirFit
    from gammapy.modeling import models

    crab.compatibility = "gammapy"
    Fit([crab], backend="newton").run()
    ours = spectrum(crab)
    folder = __import__("os").environ["GAMMAPY_DATA"] + "/joint-crab/spectra/hess/pha_obs{}.fits"
    theirs = gammapy_datasets.Datasets(
        [gammapy_datasets.SpectrumDatasetOnOff.read(folder.format(n)) for n in (23523, 23526)]
    ).stack_reduce(name="HESS")
    model = models.LogParabolaSpectralModel(
        amplitude=ours.amplitude.quantity, reference=1 * u.TeV, alpha=ours.alpha.value, beta=ours.beta.value
    )
    theirs.models = models.SkyModel(spectral_model=model, name="crab")
    theirs.mask_fit = theirs.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    x, y = np.linspace(1.9, 2.5, 4), np.linspace(0.1, 0.3, 3)
    try:
        model.alpha.scan_values, model.beta.scan_values = x, y
        profile = TheirFit().stat_profile([theirs], model.alpha)
        surface = TheirFit().stat_surface([theirs], model.alpha, model.beta)
        fit = Fit([crab])
        np.testing.assert_allclose(fit.stat_profile("alpha", x)["stat_scan"], profile["stat_scan"], rtol=1e-6)
        np.testing.assert_allclose(
            fit.stat_surface("alpha", "beta", x, y)["stat_scan"], surface["stat_scan"], rtol=1e-6
        )
        refit = TheirFit(optimize_opts={"tol": 1e-4}).stat_surface([theirs], model.alpha, model.beta, reoptimize=True)
        mine = fit.stat_surface("alpha", "beta", x, y, reoptimize=True)
        np.testing.assert_allclose(mine["stat_scan"], refit["stat_scan"], atol=1e-3)
        assert np.all(mine["stat_scan"] <= refit["stat_scan"] + 1e-6)
    finally:
        crab.compatibility = None


# -- both call forms, resolution of names, write-back ---------------------------------------------------------------


def test_both_forms_give_the_same():
    bound, other = embedded(), embedded()
    a = Fit([bound], store_trace=True).run(backend="minuit", optimize_opts={"tol": 1e-3})
    b = Fit(backend="minuit", optimize_opts={"tol": 1e-3}, store_trace=True).run([other])
    c = Fit("minuit", optimize_opts={"tol": 1e-3}).run(Datasets([other]))
    assert a.total_stat == b.total_stat
    assert c.success
    assert a.trace.colnames == ["total_stat", "crab.spectral.amplitude", "crab.spectral.alpha", "crab.spectral.beta"]
    assert len(a.trace) == a.nfev
    assert a.trace["total_stat"].min() == pytest.approx(a.total_stat)
    fit = Fit(backend="newton")
    p = spectrum(other).alpha
    one = fit.stat_profile(datasets=[other], parameter=p)
    two = fit.stat_profile([other], p)
    np.testing.assert_array_equal(one["stat_scan"], two["stat_scan"])
    np.testing.assert_array_equal(one["alpha_scan"], one["crab.spectral.alpha_scan"])


def test_results_write_back_and_stay_what_they_are():
    d = embedded()
    result = Fit([d], backend="newton").run()
    alpha = spectrum(d).alpha
    assert alpha.value == result.parameters["alpha"].value
    assert alpha.error == result.parameters["alpha"].error > 0
    np.testing.assert_array_equal(d.models.covariance.data, result.covariance.data)
    np.testing.assert_array_equal(spectrum(d).covariance.data, result.covariance.data)
    kept = result.parameters["alpha"].value
    alpha.value = 1.5
    assert result.parameters["alpha"].value == kept
    with pytest.raises(InputError, match="read-only"):
        result.parameters["alpha"].value = 2
    with pytest.raises(AttributeError):
        result.total_stat = 0
    # a snapshot resolves to the live parameter
    alpha.value = kept
    scan = Fit([d]).stat_profile(result.parameters["alpha"], nvalues=3)
    assert scan.names == ("crab.spectral.alpha",)


def test_covariance_call_and_linked_parameters():
    d = embedded()
    first, second = PowerLawSpectralModel(), PowerLawSpectralModel()
    first.amplitude.quantity = second.amplitude.quantity = 1.5e-11 * u.Unit("cm-2 s-1 TeV-1")
    second.index = first.index
    second.amplitude.frozen = True
    d.models = [SkyModel(first, name="a"), SkyModel(second, name="b")]
    result = Fit([d], backend="newton").run()
    assert result.covariance.shape == (6, 6)
    assert result.covariance.data[0, 0] == result.covariance.data[3, 3] == result.covariance.data[0, 3]
    again = Fit([d]).covariance()
    np.testing.assert_allclose(again.data, result.covariance.data, rtol=1e-6)


def test_print_and_html():
    d = embedded()
    result = Fit([d]).run()
    text = str(result)
    for word in ("minuit", "migrad", "success", "nfev", "gradient evaluations", "total stat", "EDM", "exact Hessian"):
        assert word in text
    assert "<table>" in result._repr_html_()
    assert result.models.to_parameters_table()["model"][0] == "crab"


# -- verdicts ---------------------------------------------------------------------------------------------------------


def test_minimum_on_a_limit_is_flagged_and_the_rest_is_from_the_free_subspace():
    d = embedded()
    alpha = spectrum(d).alpha
    alpha.min, alpha.max = 1, 2.2
    for backend, options in (("newton", {}), ("minuit", {"tol": 1e-5}), ("scipy", {"method": "L-BFGS-B"})):
        alpha.value = 2.0
        result = Fit([d]).run(backend=backend, optimize_opts=options)
        assert result.flags.at_limit == ("crab.spectral.alpha",), backend
        assert "is on its upper limit" in str(result)
        assert result.parameters["alpha"].error == 0
        frozen = embedded()
        spectrum(frozen).alpha.value, spectrum(frozen).alpha.frozen = result.parameters["alpha"].value, True
        reference = Fit([frozen], backend="newton").run()
        assert result.parameters["beta"].error == pytest.approx(reference.parameters["beta"].error, rel=1e-3)


def test_closer_than_one_error_to_a_limit_is_flagged():
    d = embedded()
    best = Fit([d], backend="newton").run().parameters["alpha"]
    spectrum(d).alpha.max = best.value + 0.5 * best.error
    result = Fit([d], backend="newton").run()
    assert result.success
    assert result.flags.near_limit == ("crab.spectral.alpha",)
    assert "closer than one error to its upper limit" in str(result)


def test_degenerate_parameters_are_no_success():
    d = embedded()
    spectrum(d).reference.frozen = False
    result = Fit([d]).run(backend="newton")
    assert not result.success
    assert result.flags.hessian_not_positive_definite
    assert "crab.spectral.reference" in result.flags.direction
    assert np.isnan(result.parameters["alpha"].error)


def test_parameter_without_effect_is_named():
    d = embedded()
    model = SkyModel(PowerLawSpectralModel(), name="elsewhere", datasets_names=["another"])
    model.spectral_model.amplitude.frozen = True
    d.models = [*d.models, model]
    result = Fit([d]).run(backend="newton")
    assert not result.success
    assert result.flags.unidentified == ("elsewhere.spectral.index",)
    assert result.parameters["alpha"].error > 0


def test_call_limit_is_flagged():
    d = embedded()
    result = Fit([d]).run(backend="newton", optimize_opts={"max_iter": 1})
    assert not result.success
    assert result.flags.call_limit
    result = Fit([d]).run(backend="minuit", optimize_opts={"migrad_opts": {"ncall": 3, "iterate": 1}})
    assert not result.success


@pytest.mark.parametrize("start", [{"amplitude": 1e-3}, {"amplitude": 1e-18}, {"alpha": 2.99}, {"beta": 3.0}])
def test_far_starts_converge_or_say_so(start):
    d = embedded()
    reference = Fit([d], backend="newton").run().total_stat
    for name, value in start.items():
        spectrum(d).parameters[name].value = value
    result = Fit([d], backend="newton").run()
    assert result.success == (abs(result.total_stat - reference) < 1e-6)
    assert result.success, str(result)


# -- refusals -----------------------------------------------------------------------------------------------------------


def unchanged(d):
    return spectrum(d).parameters.value.tolist(), [p.error for p in spectrum(d).parameters]


@pytest.mark.parametrize(
    ("spoil", "call", "error", "text"),
    [
        (None, lambda f: f.run(backend="minit"), InputError, r"unknown backend 'minit'; known are: minuit, newton, optax, scipy, sherpa"),
        (None, lambda f: f.run(backend="scipy", optimize_opts={"method": "best"}), InputError, "unknown method 'best'; known are: bfgs"),
        (None, lambda f: f.run(backend="optax", optimize_opts={"method": "adm"}), InputError, "unknown method 'adm'.*Did you mean"),
        (None, lambda f: f.run(backend="newton", optimize_opts={"tl": 1}), InputError, "unknown option 'tl'; known are: max_iter, tol"),
        (None, lambda f: f.run(backend="scipy", optimize_opts={"method": "BFGS"}), InputError, "'BFGS' knows no limits, and crab.spectral.alpha has some"),
        (None, lambda f: f.stat_profile("gamma"), InputError, "unknown parameter 'gamma'; known are: crab.spectral.amplitude"),
        (None, lambda f: f.stat_surface("alpha", "alpha"), InputError, "crab.spectral.alpha is given twice"),
        (None, lambda f: f.stat_profile("alpha", [2.0, np.nan]), InputError, "value 1 is nan, expected finite values"),
        (None, lambda f: f.stat_profile("alpha", []), InputError, "expected at least one value"),
        (None, lambda f: f.stat_profile("alpha", [2.0, 2.0]), InputError, "the value 2 stands there more than once"),
        (None, lambda f: f.stat_profile("alpha", nvalues=3, ftl=1), InputError, "unknown option 'ftl'"),
        (None, lambda f: f.stat_profile("alpha", nvalues=3, reoptimize=True, ftl=1), InputError, "unknown option 'ftl'; known are: tol, max_iter"),
        (None, lambda f: f.confidence("reference"), FitError, "crab.spectral.reference is frozen"),
        (None, lambda f: f.confidence("alpha", sigma=-1), InputError, "got sigma=-1"),
        (None, lambda f: f.stat_contour("alpha", "alpha"), InputError, "are the same parameter"),
        (None, lambda f: f.stat_contour("alpha", "beta", numpoints=3), InputError, "a whole number of at least 4"),
        (lambda s: setattr(s.alpha, "value", 9), lambda f: f.run(), InputError, r"crab.spectral.alpha: the start value 9 is outside its limits \[1, 3\]"),
        (lambda s: setattr(s.alpha, "value", np.nan), lambda f: f.run(), InputError, "the value is nan"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_and_change_nothing(spoil, call, error, text):
    d = embedded()
    if spoil:
        spoil(spectrum(d))
    before = unchanged(d)
    with pytest.raises(error, match=text):
        call(Fit([d]))
    np.testing.assert_array_equal(unchanged(d), before)


def test_non_finite_start_names_bins_and_values():
    d = small()
    model = PowerLawSpectralModel(index=-400, amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1"))
    d.models = SkyModel(model, name="source")
    before = model.parameters.value.tolist()
    for backend in ("minuit", "newton", "optax", "scipy"):
        result = Fit([d]).run(backend=backend)
        assert result.status == Status.NON_FINITE
        assert not result.success
        assert result.flags.bad_bins[0].startswith("'small' bins 0 (predicted")
        assert re.search(
            r"statistic is (inf|nan) at the start, in 'small' bins .*source.spectral.index = -400", result.message
        )
        assert "Not finite: 'small' bins" in str(result)
        assert model.parameters.value.tolist() == before
        assert np.isnan(model.index.error)


def test_nothing_free_is_evaluated():
    d = embedded()
    spectrum(d).parameters.freeze_all()
    before = spectrum(d).parameters.value.tolist()
    result = Fit([d]).run()
    assert result.status == Status.CONVERGED
    assert result.success
    assert (result.n_free, result.method, result.edm) == (0, "evaluated", 0.0)
    assert result.total_stat == pytest.approx(d.stat_sum(), abs=1e-9)
    assert result.covariance.get_subcovariance(result.parameters.free_parameters).shape == (0, 0)
    assert not result.covariance.data.any()
    assert spectrum(d).parameters.value.tolist() == before
    with pytest.raises(InputError, match="unknown option 'tl'"):
        Fit([d]).run(optimize_opts={"tl": 1})


def test_fit_without_data_is_refused():
    with pytest.raises(InputError, match="no data sets: give them here"):
        Fit().run()
    with pytest.raises(InputError, match="the covariance always comes from the exact Hessian"):
        Fit(covariance_opts={"backend": "minuit"})


def test_intervals_that_do_not_close_are_nan_with_a_reason():
    d = embedded()
    best = Fit([d], backend="newton").run().parameters["alpha"]
    spectrum(d).alpha.max = best.value + 0.3 * best.error
    found = Fit([d]).confidence("alpha")
    assert np.isnan(found["errp"])
    assert not found["success"]
    assert "upper side: the limit of the parameter comes first" in found["message"]
    assert found["errn"] > 0


def test_intervals_away_from_the_minimum_are_refused():
    with pytest.raises(FitError, match="not at the lowest: a re-fit found a statistic lower by"):
        Fit([embedded()]).confidence("alpha")
