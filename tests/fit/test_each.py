"""Fits of many data sets in one batch against fits one by one."""

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    Datasets,
    Fit,
    FoVBackgroundModel,
    GaussianPenalty,
    GaussianPrior,
    LogParabolaSpectralModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumBatch,
    SpectrumDataset,
    Status,
    SystematicsModel,
)
from gammajax.errors import DataError, FitError, InputError
from gammajax.response import diagonal_dispersion

EDGES, TRUE = np.geomspace(0.5, 30, 17) * u.TeV, np.geomspace(0.3, 50, 25) * u.TeV
BACKGROUND = np.geomspace(30, 0.3, 16)
N = 6


def model(name="s"):
    spectrum = LogParabolaSpectralModel(
        alpha=2.3, beta=0.1, reference=1 * u.TeV, amplitude=2e-11 * u.Unit("cm-2 s-1 TeV-1")
    )
    return SkyModel(spectrum, name=name)


def batch(n=N, exposure=None, edisp=None, known=False):
    rng = np.random.default_rng(2)
    per = np.full(24, 3e13) if exposure is None else 3e13 * rng.uniform(0.8, 1.2, (n, 1)) * np.ones(24)
    matrix = diagonal_dispersion(TRUE.value, EDGES.value)
    if edisp is not None:
        matrix = matrix * rng.uniform(0.7, 1.0, (n, 1, 1))
    common = {"exposure": per * u.Unit("cm2 s"), "edisp": matrix, "energy_edges": EDGES, "energy_true_edges": TRUE}
    ones = np.ones((n, 16))
    if known:
        out = Datasets.from_arrays(ones, background=BACKGROUND, **common)
    else:
        out = Datasets.from_arrays(ones, BACKGROUND * 10 * ones, 0.1, **common)
    out.models = model()
    out.fake(1, npred_background=BACKGROUND)
    return out


CASES = {
    "shared response": {},
    "own exposure": {"exposure": True},
    "own dispersion": {"edisp": True},
    "both": {"exposure": True, "edisp": True},
    "known background": {"known": True},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_equals_a_fit_of_its_own(case):
    many = batch(**case)
    many.mask_fit = many.template.counts.geom.energy_mask(0.6 * u.TeV, 25 * u.TeV)
    result = Fit().run_each(many)
    assert result.success.all()
    for i in range(0, N, 2):
        one = Fit(many[i], backend="newton").run()
        assert result.total_stat[i] == pytest.approx(one.total_stat, abs=1e-8)
        # an EDM of 1e-9 is 3e-5 of an error
        np.testing.assert_allclose(
            result.value[i], one.parameters.value, atol=1e-4 * np.max(one.parameters["beta"].error)
        )
        errors = np.array([p.error for p in one.parameters])
        np.testing.assert_allclose(result.error[i], errors, rtol=1e-4)
        np.testing.assert_allclose(result.covariance[i], one.covariance.data, rtol=1e-3, atol=1e-4 * errors.max() ** 2)


def test_a_list_of_data_sets_with_masks_and_start_values_of_their_own():
    members = list(batch())
    for i, d in enumerate(members):
        d.models = model("s")
        d.models["s"].spectral_model.alpha.value = 2.0 + 0.1 * i
        d.mask_fit = d.counts.geom.energy_mask((0.5 + 0.1 * i) * u.TeV, 20 * u.TeV)
    result = Fit().run_each(members)
    assert result.success.all()
    assert members[1].models["s"].spectral_model.alpha.value == 2.1
    for i in (0, 5):
        one = Fit(members[i], backend="newton").run()
        assert result.total_stat[i] == pytest.approx(one.total_stat, abs=1e-8)
        np.testing.assert_allclose(result.error[i][2:], [p.error for p in one.parameters][2:], rtol=1e-4)


def test_a_list_of_data_sets_with_masks_and_dispersions_of_their_own():
    members = list(batch(edisp=True))
    for i, d in enumerate(members):
        d.mask_fit = d.counts.geom.energy_mask((0.5 + 0.1 * i) * u.TeV, 20 * u.TeV)
    # bins of true energy that reach the fit of the others only
    members[0]._edisp[:8] = 0.0
    result = Fit().run_each(members)
    assert result.success.all()
    for i in (0, 1, 5):
        one = Fit(members[i], backend="newton").run()
        assert result.total_stat[i] == pytest.approx(one.total_stat, abs=1e-8)
        np.testing.assert_allclose(result.error[i][2:], [p.error for p in one.parameters][2:], rtol=1e-4)


def with_factors(members):
    """Each with models of its own: a factor on its background, known to a tenth."""
    for d in members:
        factors = SystematicsModel(d.name, background=1.0)
        factors.background.prior = GaussianPrior(mu=1.0, sigma=0.1)
        d.models = [model("s"), factors]
    return members


@pytest.mark.slow
@pytest.mark.parametrize("case", ["shared response", pytest.param("both", marks=pytest.mark.slow)])
def test_factors_on_the_background(case):
    """One with more counts at high energies than its OFF region and its model explain, so that its factor moves."""
    many = batch(**CASES[case])
    members = with_factors(list(many))
    members[1].counts.data[:] += np.where(np.arange(16) > 6, 40, 0)
    for i, d in enumerate(members[:3]):
        d.mask_fit = d.counts.geom.energy_mask((0.5 + 0.1 * i) * u.TeV, 20 * u.TeV)
    result = Fit().run_each(members)
    assert result.success.all()
    at = [i for i, f in enumerate(result.free) if f]
    assert [result.names[i].split(".")[-1] for i in at] == ["amplitude", "alpha", "beta", "background"]
    # a thousand times what the comparison below forgives
    assert np.ptp(result.value[:, at[-1]]) > 0.01
    for i in (0, 1, 4):
        one = Fit(members[i], backend="newton").run()
        assert result.total_stat[i] == pytest.approx(one.total_stat, abs=1e-8)
        errors = np.array([p.error for p in one.parameters])
        # an EDM of 1e-9 is 3e-5 of an error
        np.testing.assert_allclose((result.value[i] - one.parameters.value)[at] / errors[at], 0.0, atol=1e-4)
        np.testing.assert_allclose(result.error[i], errors, rtol=1e-4)
        both = np.outer(errors[at], errors[at])
        np.testing.assert_allclose(
            result.covariance[i][np.ix_(at, at)] / both, one.covariance.data[np.ix_(at, at)] / both, atol=1e-3
        )


def _other_limits(models):
    models.parameters["alpha"].max = 5.0


def _other_prior(models):
    models.parameters["alpha"].prior = GaussianPrior(mu=2.0, sigma=0.2)


def _other_frozen(models):
    models.parameters["beta"].frozen = True


def _other_link(models):
    models.parameters["beta"].link(models.parameters["alpha"], factor=0.1)


def _other_penalty(models):
    models.set_penalties(GaussianPenalty([models.parameters["alpha"]], [2.0], [[0.04]]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_other_limits, "limits"), (_other_prior, "priors"), (_other_frozen, "frozen parameters"), (_other_link, "links"),
        (_other_penalty, "penalties"),
    ],
)  # fmt: skip
def test_settings_of_one_member_are_not_those_of_all(change, what):
    members = with_factors(list(batch()))
    change(members[3].models)
    with pytest.raises(DataError, match=rf"'{members[3].name}' has other {what} than '{members[0].name}'"):
        Fit().run_each(members)


def test_a_source_of_one_data_set_is_not_that_of_all():
    members = list(batch())
    source = model("s")
    extra = SkyModel(PowerLawSpectralModel(), name="extra", datasets_names=[members[0].name])
    models = Models([source, extra])
    for d in members:
        d.models = models
    with pytest.raises(DataError, match="each with models of its own where they are for single data sets"):
        Fit().run_each(members)


def test_factors_in_gammapys_mode_are_refused():
    members = with_factors(list(batch()))
    for d in members:
        d.compatibility = "gammapy"
    with pytest.raises(
        DataError, match="factors on the background are not for batches in gammapy's compatibility mode"
    ):
        Fit().run_each(members)


def test_pulls_of_many_realisations():
    """The mean and the spread of the pulls inside five errors of their own, and one verdict for each."""
    d = batch(1)[0]
    d.models = SkyModel(PowerLawSpectralModel(index=2.3, amplitude=2e-11 * u.Unit("cm-2 s-1 TeV-1")), name="s")
    many = SpectrumBatch.simulate(d, 2000, 7, npred_background=BACKGROUND)
    result = Fit().run_each(many)
    assert np.all(result.status == Status.CONVERGED)
    pull = (result.value[:, 0] - 2.3) / result.error[:, 0]
    assert abs(pull.mean()) < 5 / 2000**0.5
    # errors from the curvature at each best fit: not exactly Gaussian
    assert pull.std() == pytest.approx(1.0, abs=0.06)
    assert str(result) == "2000 fits of s.spectral.index, s.spectral.amplitude: 2000 converged"


def test_a_bad_member_is_flagged_alone():
    many = batch()
    many.arrays["n_on"][3] = 0
    many.arrays["n_off"][3] = 0
    many.models["s"].spectral_model.amplitude.min = 0
    result = Fit().run_each(many)
    assert result.success.tolist()[:3] == [True] * 3
    assert result.status[3] != Status.CONVERGED
    others = np.arange(N) != 3
    assert np.all(result.status[others] == Status.CONVERGED)
    table = result.to_table()
    assert table["s.spectral.beta_err"].shape == (N,)
    assert table["status"][3] != "converged"


def test_priors_act_on_each():
    many = batch()
    many.models["s"].spectral_model.alpha.prior = GaussianPrior(mu=2.9, sigma=0.001)
    result = Fit().run_each(many)
    np.testing.assert_allclose(result.value[:, 2], 2.9, atol=0.01)
    one = Fit(many[2], backend="newton").run()
    assert result.total_stat[2] == pytest.approx(one.total_stat, abs=1e-8)


def test_simulation_draws_the_models():
    d = batch(1)[0]
    d.models = model()
    many = SpectrumBatch.simulate(d, 4000, 3, npred_background=BACKGROUND)
    expected = d.npred_signal().data + BACKGROUND
    np.testing.assert_allclose(many.arrays["n_on"].mean(axis=0), expected, atol=6 * np.sqrt(expected.max() / 4000))
    again = SpectrumBatch.simulate(d, 4000, 3, npred_background=BACKGROUND)
    assert np.array_equal(again.arrays["n_on"], many.arrays["n_on"])
    own = batch(edisp=True, exposure=True)
    for i in (0, 4):
        np.testing.assert_allclose(own.npred_signal()[i], own[i].npred_signal().data, rtol=1e-12)


def test_mistakes_are_refused():
    many = batch()
    arguments = {"exposure": np.ones(24) * u.Unit("cm2 s"), "energy_edges": EDGES, "energy_true_edges": TRUE}
    with pytest.raises(DataError, match=r"n_on has shape \(16,\), expected \(N, n_reco\)"):
        Datasets.from_arrays(np.ones(16), np.ones(16), 0.1, **arguments)
    with pytest.raises(InputError, match="give either n_off and alpha, or background"):
        Datasets.from_arrays(np.ones((2, 16)), **arguments)
    off = np.ones((2, 16))
    off[1, 3] = -1
    with pytest.raises(DataError, match=r"batch: n_off\[1, 3\] is -1, expected finite values of at least 0; 1 entries"):
        Datasets.from_arrays(np.ones((2, 16)), off, 0.1, **arguments)
    with pytest.raises(DataError, match="are of different kinds"):
        Fit().run_each([many[0], batch(known=True)[0]])
    other = many[1]
    other.models = SkyModel(PowerLawSpectralModel(), name="s")
    with pytest.raises(DataError, match="has other kinds of models than"):
        Fit().run_each([many[0], other])
    many.models.parameters.freeze_all()
    with pytest.raises(FitError, match="no free parameter"):
        Fit().run_each(many)
    known = batch(known=True)
    known.models = [model(), FoVBackgroundModel(known.template.name)]
    with pytest.raises(DataError, match="background models are not for batches"):
        Fit().run_each(known)
    assert isinstance(known[0], SpectrumDataset)
    with pytest.raises(IndexError):
        known[N]


def test_provenance_tells_one_value_of_an_own_dispersion():
    from gammajax.fit.each import _folded

    matrices = np.random.default_rng(2).random((4, 6, 5))
    first = _folded(matrices)
    assert first.dtype == np.uint64
    for where in ((0, 0, 0), (2, 3, 4), (3, 5, 4)):
        other = matrices.copy()
        # the last bit of one number
        other[where] = np.nextafter(other[where], 2)
        assert np.flatnonzero(_folded(other) != first).tolist() == [where[0]]
    # two values that change places
    other = matrices.copy()
    other[1, 0, :2] = other[1, 0, 1::-1]
    assert _folded(other)[1] != first[1]
