"""Parameters that follow others by a formula: values, fits, errors, files."""

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    BrokenPowerLawSpectralModel,
    Covariance,
    Datasets,
    Fit,
    FitResult,
    FluxPointsDataset,
    GaussianPenalty,
    Likelihood,
    LogParabolaSpectralModel,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDatasetOnOff,
    SystematicsModel,
)
from gammajax.data import embedded_ogip_files
from gammajax.errors import FileFormatError, InputError, ModelError, UnitError
from gammajax.fit.problem import derivatives
from gammajax.models import bin_rule, flux_per_bin
from gammajax.models.form import affine_form
from gammajax.parameters import GaussianPrior, Parameter, Parameters, pack
from gammajax.units import double_precision
from tests.problems import small

# -- values ------------------------------------------------------------------------------------------------------------


def test_values_errors_and_chains_follow():
    a, b, c = Parameter("a", 2.0, "TeV", error=0.1), Parameter("b", 7.0, "GeV"), Parameter("c", 0.0)
    b.link(a, factor=3, offset=500)
    assert (b.value, b.error, b.frozen, b.linked) == (6500.0, pytest.approx(300), True, "3000 * a + 500")
    c.link(b, factor=-2 / u.TeV, offset=1)
    assert c.value == -12.0
    assert c.error == pytest.approx(0.6)
    assert c.linked == "-0.002 * b + 1"
    a.value = 1.0
    assert (b.value, c.value) == (3500.0, -6.0)
    assert c.follows.parent is a
    assert c.follows.numbers(c.unit, u.TeV) == pytest.approx((-6.0, 0.0))
    b.unlink()
    assert (b.value, b.error, b.frozen, b.linked) == (3500.0, pytest.approx(300), False, "")
    a.value = 9.0
    assert b.value == 3500.0
    assert c.copy().linked == ""
    assert c.copy().value == c.value


def test_collections_know_links():
    a, b, c = Parameter("a", 2.0), Parameter("b", 0.0), Parameter("c", 1.0)
    b.link(a, 2, 1)
    pars = Parameters([b, a, c, a], ["x.b", "y.a", "z.c", "w.a"])
    assert pars.unique_parameters.unique_names == ["y.a", "z.c", "w.a"][:2]
    places, slopes = pars.from_unique()
    assert (places.tolist(), slopes.tolist()) == ([0, 0, 1, 0], [2, 1, 1, 1])
    assert list(pars.to_table()["link"]) == ["2 * w.a + 1", "", "", "y.a"]
    # a parent that is in none of the models is a parameter of the fit
    assert Parameters([b, c]).unique_parameters.names == ["c", "a"]
    pars.unfreeze_all()
    pars.freeze_all()
    assert [p.frozen for p in pars] == [True] * 4


REFUSED = {
    "itself": (lambda a, b: a.link(a), InputError, r"a\.link: a follows a already; a circle"),
    "circle": (lambda a, b: (b.link(a), a.link(b)), InputError, r"a\.link: b follows a already; a circle has no value"),
    "zero": (lambda a, b: b.link(a, 0), InputError, "got factor=0, expected one finite number that is not 0"),
    "nan": (lambda a, b: b.link(a, np.nan), InputError, "got factor=nan"),
    "inf offset": (lambda a, b: b.link(a, 1, np.inf), InputError, "got offset=inf"),
    "text": (lambda a, b: b.link(a, "two times"), InputError, "expected numbers or quantities"),
    "unit": (lambda a, b: b.link(a, 1 * u.s), UnitError, "factor times the unit of a has the unit 's', expected one convertible"),
    "offset unit": (lambda a, b: b.link(a, 1, 1 * u.s), UnitError, "offset has the unit 's'"),
    "no parameter": (lambda a, b: b.link(2.0), InputError, "got 2.0, expected a parameter"),
    "value": (lambda a, b: (b.link(a, 2), setattr(b, "value", 3)), InputError, r"b is linked, 2 \* a: its value cannot be set; set it on a"),
    "frozen later": (lambda a, b: (b.link(a), setattr(b, "frozen", False)), InputError, "its frozen cannot be set"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_meaning_is_refused(case):
    make, error, text = REFUSED[case]
    with pytest.raises(error, match=text):
        make(Parameter("a", 2.0), Parameter("b", 1.0))


# -- mathematics -------------------------------------------------------------------------------------------------------

FORMS = {
    "closed form": (PowerLawSpectralModel(index=2.2).form, (2.2, 1e-11, 1.0)),
    "nodes": (LogParabolaSpectralModel().form, (1e-11, 1.0, 2.2, 0.1)),
    "breaks": (BrokenPowerLawSpectralModel().form, (1.5, 3.0, 1e-11, 2.2)),
    "sum": ((PowerLawSpectralModel() + LogParabolaSpectralModel()).form, (2.2, 1e-11, 1.0, 1e-11, 1.0, 2.2, 0.1)),
    "product": ((PowerLawSpectralModel() * PowerLawNormSpectralModel()).form, (2.2, 1e-11, 1.0, 0.5, 2.0, 1.0)),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_linked_form_is_the_form_of_what_the_links_give(name):
    form, theta = FORMS[name]
    links = tuple((1.5 + k, 0.1 * k * t) for k, t in enumerate(theta))
    moved = affine_form(form, links)
    assert affine_form(form, links) is moved
    arguments = tuple((t - o) / f for t, (f, o) in zip(theta, links, strict=True))
    edges = np.geomspace(0.5, 20, 7)
    with double_precision():
        one = flux_per_bin(form, bin_rule(edges, form, "exact"), theta)
        two = flux_per_bin(moved, bin_rule(edges, moved, "exact"), arguments)
    # the arguments are rounded once more
    np.testing.assert_allclose(two, one, rtol=1e-13)
    # proportional only without an offset
    assert moved.linear == tuple(n for n, (_, o) in zip(form.names, links, strict=True) if n in form.linear and o == 0)


# -- fits --------------------------------------------------------------------------------------------------------------


def two_runs(linked):
    """The two embedded runs, a log-parabola each; that of the second has its index and strength from the first."""
    runs = Datasets([SpectrumDatasetOnOff.read(p) for p in embedded_ogip_files()])
    models = []
    for k, d in enumerate(runs):
        d.mask_fit = d.counts.geom.energy_mask(0.7 * u.TeV, 30 * u.TeV)
        spectrum = LogParabolaSpectralModel(
            amplitude=3e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.2, beta=0.1
        )
        models.append(SkyModel(spectrum, name=f"run-{k}", datasets_names=[d.name]))
    one, two = (m.spectral_model for m in models)
    two.amplitude.quantity = 3e-7 / u.m**2 / u.s / u.TeV
    if linked:
        two.alpha.link(one.alpha, offset=0.2)
        two.amplitude.link(one.amplitude, factor=1.3)
        two.beta.link(one.alpha, factor=-0.5, offset=1.2)
    runs.models = models
    return runs


@pytest.fixture(scope="module")
def fitted():
    runs = two_runs(linked=True)
    fit = Fit(runs, backend="newton")
    fit.result = fit.run()
    fit.runs = runs
    return fit


# amplitude, reference, alpha, beta of the first, then the reference of the second
SPREAD = np.array(
    [
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [1.3, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 1, 0, 0],
        [0, 0, -0.5, 0, 0],
    ]
)
SHIFT = np.array([0, 0, 0, 0, 0, 0, 0.2, 1.2])


def test_the_fit_is_that_of_the_chain_rule(fitted):
    linked, free = Likelihood(fitted.runs), Likelihood(two_runs(linked=False))
    own = [f"run-0.spectral.{n}" for n in ("amplitude", "reference", "alpha", "beta")]
    assert linked.names == (*own, "run-1.spectral.reference")
    theta = linked.start
    stat, gradient, hessian = derivatives(linked, theta)
    other, slope, whole = derivatives(free, SPREAD @ theta + SHIFT)
    size = np.outer(linked.scale, linked.scale)
    assert stat == pytest.approx(other, rel=1e-13)
    np.testing.assert_allclose(gradient * linked.scale, SPREAD.T @ slope * linked.scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hessian * size, SPREAD.T @ whole @ SPREAD * size, rtol=1e-9, atol=1e-7)
    # it is the minimum, and the covariance that of its curvature
    assert fitted.result.success
    at = [0, 2, 3]
    assert np.max(np.abs(gradient * linked.scale)[at]) < 1e-5
    covariance = np.zeros((5, 5))
    covariance[np.ix_(at, at)] = 2 * np.linalg.inv(hessian[np.ix_(at, at)])
    # gammajax's unit of the second amplitude is m-2
    unit = np.array([1, 1, 1, 1, 1e4, 1, 1, 1])
    full = SPREAD @ covariance @ SPREAD.T * np.outer(unit, unit)
    np.testing.assert_allclose(fitted.runs.models.covariance.data, full, rtol=1e-6, atol=1e-40)
    np.testing.assert_allclose([p.error for p in fitted.runs.parameters], np.sqrt(np.diag(full)), rtol=1e-6)


def test_the_result_shows_links(fitted):
    table = fitted.result.parameters.to_table()
    assert list(table["link"])[4:] == [
        "13000 * run-0.spectral.amplitude", "", "run-0.spectral.alpha + 0.2", "-0.5 * run-0.spectral.alpha + 1.2",
    ]  # fmt: skip
    correlation = fitted.result.models.covariance.correlation
    assert correlation[2, 7] == pytest.approx(-1)
    assert correlation[0, 4] == pytest.approx(1)
    assert isinstance(fitted.result.models.covariance, Covariance)


def test_scans_and_intervals_go_through(fitted):
    interval = fitted.confidence("run-0.spectral.alpha")
    assert interval.success
    # where the other profile says so: TS = 1 at the ends
    alpha = fitted.runs.models[0].spectral_model.alpha
    ends = [alpha.value - interval.errn, alpha.value + interval.errp]
    profile = fitted.stat_profile(alpha, ends, reoptimize=True)
    np.testing.assert_allclose(profile.stat - fitted.result.total_stat, 1, atol=1e-5)
    for call in (fitted.confidence, fitted.stat_profile, fitted.upper_limit):
        with pytest.raises(
            InputError,
            match=r"run-1\.spectral\.alpha is linked, alpha \+ 0\.2, and does not vary by itself; ask for alpha",
        ):
            call("run-1.spectral.alpha")
    with pytest.raises(InputError, match="is linked"):
        fitted.ts({"run-1.spectral.beta": 0})


def test_predictions_of_one_data_set_alone(fitted):
    free = two_runs(linked=False)
    for p, q in zip(free.parameters, fitted.runs.parameters, strict=True):
        p.value = q.value
    second = fitted.runs[1]
    alone = second.copy(name=second.name)
    alone.models = fitted.runs.models[1]
    np.testing.assert_allclose(alone.npred_signal().data, free[1].npred_signal().data, rtol=1e-12)
    np.testing.assert_allclose(second.npred_signal().data, free[1].npred_signal().data, rtol=1e-12)


def test_a_strength_that_follows_is_still_linear():
    runs = two_runs(linked=True)
    compact = Likelihood(runs).compact()
    assert compact.linear((0, 2, 3)) == (0,)
    runs.models[1].spectral_model.amplitude.unlink()
    runs.models[1].spectral_model.amplitude.link(
        runs.models[0].spectral_model.amplitude, offset=1e-12 / u.cm**2 / u.s / u.TeV
    )
    assert Likelihood(runs).compact().linear((0, 2, 3)) == ()


def test_points_are_fitted_with_links():
    energy = np.geomspace(0.5, 20, 8) * u.TeV
    truth = PowerLawSpectralModel(index=2.5, amplitude=2.5e-12 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV)
    dnde = truth(energy)
    model = PowerLawSpectralModel(index=2, amplitude=1e-12 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV)
    # one number for both: amplitude = index * 1e-12
    model.amplitude.link(model.index, factor=1e-12 * model.amplitude.unit)
    result = Fit(FluxPointsDataset(energy, dnde, 0.1 * dnde, models=model), backend="newton").run()
    assert result.success
    assert result.parameters["index"].value == pytest.approx(2.5, rel=1e-8)
    assert model.amplitude.value == pytest.approx(2.5e-12, rel=1e-8)


# -- limits, priors, penalties and systematics -------------------------------------------------------------------------


def test_limits_of_a_follower_are_limits_of_its_parent():
    a, b = Parameter("a", 2.0, "TeV", max=50), Parameter("b", 0.0, "GeV", min=-5000, max=1000)
    b.link(a, factor=-2, offset=1000)
    b.min = -7000
    table = pack(Parameters([a, b]))
    # b = 1000 GeV - 2 a: from -7000 to 1000 GeV is a from 4 to 0 TeV, the narrower of the two
    np.testing.assert_allclose((table.lower, table.upper), [[0.0], [4.0]], rtol=1e-14)
    a.max = 3.0
    assert pack(Parameters([a, b])).upper == [3.0]
    a.value = 3.9
    a.max = np.nan
    b.max = -7000.0
    with pytest.raises(InputError, match=r"b: limits min=-7000.0, max=-7000.0; min must be smaller"):
        pack(Parameters([a, b]))
    b.min, b.max = -3000.0, np.nan
    with pytest.raises(InputError, match=r"b: the start value -6800 is outside its limits \[-3000, inf\] GeV"):
        pack(Parameters([a, b]))
    a.frozen, a.min = True, 30.0
    with pytest.raises(InputError, match=r"b: its limits leave no room to a, which it follows \(-2000 \* a \+ 1000\)"):
        pack(Parameters([a, b]))


def test_priors_and_penalties_see_the_value_by_the_link():
    """Of a fit in closed form: chi2 of a and of what follows it."""
    a, b = Parameter("a", 1.0), Parameter("b", 0.0, prior=GaussianPrior(mu=2.0, sigma=0.5))
    c = Parameter("c", 7.0)
    b.link(a, 3, 1)
    likelihood = Likelihood.from_function(lambda t: (t[0] - 1) ** 2 + t[2] ** 2 + 0 * t[1], [a, b, c])
    result = Fit(likelihood, backend="newton").run()
    # (a - 1)^2 + ((3 a + 1 - 2) / 0.5)^2
    best = (1 + 3 * 4 * 1) / (1 + 9 * 4)
    assert result.success
    np.testing.assert_allclose(result.parameters.value, [best, 3 * best + 1, 0], atol=1e-9)
    assert result.parameters["a"].error == pytest.approx(1 / np.sqrt(37))
    assert result.parameters["b"].error == pytest.approx(3 / np.sqrt(37))
    assert likelihood.parameters.prior_stat_sum() == pytest.approx(b.prior.stat(3 * best + 1), rel=1e-12)


def linked_instruments():
    """Two data sets of one source; the instrument of the second follows that of the first, with a prior on each and a penalty."""
    one, two = small(name="one"), small(name="two", n_on=[15, 8, 9, 2, 2, 1])
    spectrum = PowerLawSpectralModel(index=2.2, amplitude=4e-11 / u.cm**2 / u.s / u.TeV)
    first = SystematicsModel("one", effective_area=1.0, energy_scale=1.02, background=1.1)
    second = SystematicsModel("two", background=1.0)
    second.effective_area = first.effective_area
    second.energy_scale.frozen = False
    second.energy_scale.link(first.energy_scale, factor=0.9, offset=0.1)
    second.background.link(first.background, offset=-0.05)
    for p in (first.effective_area, first.energy_scale, first.background, second.energy_scale):
        p.prior = GaussianPrior(mu=1.0, sigma=0.1)
    penalty = GaussianPenalty(
        [second.energy_scale, first.energy_scale, second.background], [1.0, 1.0, 0.9], np.diag([0.2, 0.1, 0.3]) ** 2
    )
    datasets = Datasets([one, two])
    datasets.models = Models([SkyModel(spectrum, "s"), first, second], [penalty])
    return datasets


@pytest.fixture(scope="module")
def instruments():
    datasets = linked_instruments()
    fit = Fit(datasets, backend="newton")
    fit.result = fit.run()
    fit.datasets = datasets
    return fit


def test_systematics_follow(instruments):
    linked = instruments.datasets
    likelihood = Likelihood(linked)
    names = [n for n, f in zip(likelihood.names, likelihood.free, strict=True) if f]
    own = [f"one-sys.systematics.{n}" for n in ("effective_area", "energy_scale", "background")]
    assert names == ["s.spectral.index", "s.spectral.amplitude", *own]
    # the same without links: all five factors by themselves, each with the value that the link gives
    plain = linked_instruments()
    first, second = plain.models[1:]
    for p in (second.energy_scale, second.background):
        p.unlink()
        p.frozen = False
    second.effective_area = first.effective_area.copy()
    second.effective_area.prior = None
    free = Likelihood(plain)
    pair = [likelihood.names.index(n) for n in names]
    spread = np.zeros((len(free.names), len(likelihood.names)))
    shift = np.zeros(len(free.names))
    for k, n in enumerate(free.names):
        link = {
            "two-sys.systematics.energy_scale": (own[1], 0.9, 0.1),
            "two-sys.systematics.background": (own[2], 1.0, -0.05),
            "two-sys.systematics.effective_area": (own[0], 1.0, 0.0),
        }
        parent, factor, offset = link.get(n, (n, 1.0, 0.0))
        spread[k, likelihood.names.index(parent)], shift[k] = factor, offset
    theta = np.array(likelihood.start)
    stat, gradient, hessian = derivatives(likelihood, theta)
    other, slope, whole = derivatives(free, spread @ theta + shift)
    assert stat == pytest.approx(other, rel=1e-12)
    size = likelihood.scale[pair]
    np.testing.assert_allclose(gradient[pair] * size, (spread.T @ slope)[pair] * size, rtol=1e-8, atol=1e-8)
    both = np.outer(size, size)
    np.testing.assert_allclose(
        hessian[np.ix_(pair, pair)] * both, (spread.T @ whole @ spread)[np.ix_(pair, pair)] * both, rtol=1e-8, atol=1e-7
    )
    # it was fitted to its minimum, and the statistic is that of the data, of four priors and of the penalty
    assert instruments.result.success
    assert np.max(np.abs(gradient[pair] * size)) < 1e-5
    data = sum(float(np.sum(d.stat_array())) for d in linked)
    extra = linked.models.parameters.prior_stat_sum() + linked.models.penalties[0].stat()
    assert stat == pytest.approx(data + extra, rel=1e-12)


def test_a_link_of_an_instrument_at_1_is_not_forgotten():
    datasets = linked_instruments()
    datasets.models.penalties[0].parameters[0].unlink()
    first, second = datasets.models[1:]
    first.energy_scale.value = 1.0
    second.energy_scale.link(first.energy_scale)
    likelihood = Likelihood(datasets)
    at = likelihood.names.index("one-sys.systematics.energy_scale")
    start = np.array(likelihood.start)
    moved = start.copy()
    moved[at] = 1.1
    with double_precision():
        change = np.asarray(likelihood.stat_array(moved) - likelihood.stat_array(start)).reshape(2, -1)
    assert np.all(np.abs(change).max(axis=1) > 1e-3)


def test_files_of_linked_instruments(tmp_path, instruments):
    models = instruments.datasets.models
    with (
        pytest.warns(UserWarning, match=r"two-sys\.systematics\.energy_scale = 0\.9 \* energy_scale \+ 0\.1"),
        pytest.warns(UserWarning, match="the penalties on background, energy_scale are for gammajax alone"),
        pytest.warns(UserWarning, match="gammapy knows no SystematicsModel in files"),
    ):
        models.write(tmp_path / "m.yaml")
    back = Models.read(tmp_path / "m.yaml")
    assert back[2].effective_area is back[1].effective_area
    assert [p.linked for p in back.parameters] == [p.linked for p in models.parameters]
    assert [str(p.prior) for p in back.parameters] == [str(p.prior) for p in models.parameters]
    assert back.penalties[0].parameters[0] is back[2].energy_scale
    assert back.penalties[0].stat() == pytest.approx(models.penalties[0].stat(), rel=1e-14)
    again = linked_instruments()
    again.models = back
    with double_precision():
        found, before = (
            float(np.asarray(like.stat(like.start))) for like in map(Likelihood, (again, instruments.datasets))
        )
    assert found == pytest.approx(before, rel=1e-14)
    np.testing.assert_allclose(back.covariance.data, models.covariance.data, rtol=1e-12)


def test_scans_of_linked_instruments(instruments):
    fit, name = instruments, "one-sys.systematics.energy_scale"
    interval = fit.confidence(name)
    assert interval.success
    p = fit.datasets.models[1].energy_scale
    profile = fit.stat_profile(p, [p.value - interval.errn, p.value + interval.errp], reoptimize=True)
    np.testing.assert_allclose(profile.stat - fit.result.total_stat, 1, atol=1e-5)
    with pytest.raises(InputError, match="two-sys.systematics.energy_scale is linked"):
        fit.confidence("two-sys.systematics.energy_scale")


# -- files -------------------------------------------------------------------------------------------------------------


def test_model_files(tmp_path, fitted):
    models = fitted.runs.models
    with pytest.warns(UserWarning, match=r"run-1\.spectral\.alpha = alpha \+ 0\.2, .*takes these parameters as frozen"):
        models.write(tmp_path / "m.yaml")
    back = Models.read(tmp_path / "m.yaml")
    assert [p.linked for p in back.parameters] == [p.linked for p in models.parameters]
    np.testing.assert_allclose(back.parameters.value, models.parameters.value, rtol=1e-15)
    np.testing.assert_allclose(back.covariance.data, models.covariance.data, rtol=1e-12)
    for p, q in zip(back.parameters, models.parameters, strict=True):
        assert p.error == pytest.approx(q.error, rel=1e-12)
    alone = Models.from_yaml(models.to_yaml())
    assert alone.covariance.data[2, 6] == alone.covariance.data[2, 2] > 0
    gammapy = pytest.importorskip("gammapy.modeling.models")
    theirs = gammapy.Models.read(tmp_path / "m.yaml")
    np.testing.assert_allclose([p.value for p in theirs.parameters], models.parameters.value, rtol=1e-15)
    assert theirs["run-1"].spectral_model.alpha.frozen
    with pytest.raises(ModelError, match="is linked, .*, to a parameter of none of these models"):
        Models(models[1]).to_yaml()


def test_damaged_links(fitted):
    text = fitted.runs.models.to_yaml()
    for old, new, words in (
        ("factor: 1.0\n", "factor: 0\n", r"links\[1\]: alpha\.link: got factor="),
        ("follows: run-0.spectral.alpha", "follows: run-1.spectral.alpha", r"links\[1\]: alpha\.link: alpha follows alpha already"),
        ("factor: 1.0\n", "power: 2\n", r"links\[1\]: unknown key 'power'"),
    ):  # fmt: skip
        assert old in text
        with pytest.raises(FileFormatError, match=words):
            Models.from_yaml(text.replace(old, new, 1))


@pytest.mark.parametrize("suffix", ["ecsv", "fits", "yaml"])
def test_results_keep_links(tmp_path, fitted, suffix):
    fitted.result.write(tmp_path / f"r.{suffix}")
    back = FitResult.read(tmp_path / f"r.{suffix}")
    assert [p.linked for p in back.parameters] == [p.linked for p in fitted.result.parameters]
    np.testing.assert_allclose(back.parameters.value, fitted.result.parameters.value, rtol=1e-15)
    np.testing.assert_array_equal(back.models.covariance.data, fitted.result.models.covariance.data)
