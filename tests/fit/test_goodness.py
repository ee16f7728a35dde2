"""Goodness of fit against scipy and closed forms, and the calibration of what it says."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from scipy import stats

from gammajax import (
    Datasets,
    Fit,
    FluxPointsDataset,
    FunctionModel,
    GaussianPrior,
    GoodnessOfFit,
    Likelihood,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumBatch,
    SpectrumDataset,
    XYDataset,
)
from gammajax.errors import FitError, InputError
from gammajax.fit import goodness_toys
from tests.problems import small

FLUX = u.Unit("cm-2 s-1 TeV-1")
EDGES = np.geomspace(1, 10, 13) * u.TeV


def line(y=None, **kwargs):
    x = np.linspace(0, 1, 12)
    rng = np.random.default_rng(4)
    values = 2 * x + 1 + 0.1 * rng.standard_normal(12) if y is None else y
    model = FunctionModel(lambda x, a, b: a * x + b, {"a": 1.0, "b": 0.0})
    return XYDataset(x, values, kwargs.pop("error", 0.1), model=model, **kwargs)


def counts(expected, seed=1, stat_type="cash"):
    """A power law with about `expected` counts in the last bin, on a known background, simulated."""
    exposure = np.full(12, 1e13) * u.Unit("cm2 s")
    d = SpectrumDataset.from_arrays(
        np.zeros(12),
        0.5 * expected,
        exposure=exposure,
        energy_edges=EDGES,
        energy_true_edges=EDGES,
        stat_type=stat_type,
    )
    d.models = SkyModel(PowerLawSpectralModel(index=2.0, amplitude=3e-12 * expected * FLUX), name="s")
    d.fake(seed)
    return d


def test_gaussian_data():
    d = line()
    result = Fit(d, backend="newton").run()
    x, y = d.x, d.y
    a, b = np.polyfit(x, y, 1)
    chi2 = np.sum(((y - a * x - b) / 0.1) ** 2)
    found = result.goodness
    assert found.stat == pytest.approx(chi2, rel=1e-10)
    assert (found.dof, found.method) == (10, "chi2")
    assert found.p_value == pytest.approx(stats.chi2.sf(chi2, 10), rel=1e-9)
    assert "chi2 distribution with 10 degrees of freedom" in str(result)


def test_counts_that_are_large_follow_a_chi2_and_cash_is_put_on_its_scale():
    found = {}
    for kind in ("cash", "cstat"):
        d = counts(40, stat_type=kind)
        found[kind] = Fit(d, backend="newton").run().goodness
        mu, n = d.npred_signal().data + d.background.data, d.counts.data
        deviance = 2 * np.sum(mu - n + n * np.log(n / mu))
        assert found[kind].stat == pytest.approx(deviance, rel=1e-8)
        assert found[kind].p_value == pytest.approx(stats.chi2.sf(deviance, 10), rel=1e-6)
        assert "at least 10 counts expected in every bin" in found[kind].reason
    # both are sums of numbers of order 100
    assert found["cash"].stat == pytest.approx(found["cstat"].stat, abs=1e-10)


def test_few_measured_but_enough_expected():
    # one bin falls to 8 by chance where 14 are expected: that is no reason to say nothing
    d = counts(20, seed=3)
    n = np.round(d.npred_signal().data + d.background.data)
    n[-1] = 8
    d.set_counts(n)
    assert Fit(d, backend="newton").run().goodness.method == "chi2"
    off = small(n_on=np.full(6, 60), n_off=[100, 100, 100, 100, 100, 8], alpha=0.5)
    off.models = SkyModel(PowerLawSpectralModel(index=2.3, amplitude=8e-12 * FLUX), name="s")
    assert Fit(off, backend="newton").run().goodness.p_value is None


WITHOUT = {
    "few counts": (lambda: counts(2), "bins with few counts, below 10, follow no chi2"),
    "a prior": (lambda: _prior(line()), "priors add to what is known"),
    "at a limit": (lambda: _limit(line()), "held at a limit"),
    "no freedom": (lambda: line(mask_fit=np.arange(12) < 2), "no degrees of freedom"),
    "no bins": (lambda: Likelihood.from_function(lambda t: (t[0] - 1) ** 2, {"a": 0.0}), "a function without bins"),
    "not converged": (lambda: line(y=np.full(12, 1.0), error=0.1), "did not converge"),
}


def _prior(d):
    d.models.parameters["a"].prior = GaussianPrior(mu=2, sigma=1)
    return d


def _limit(d):
    d.models.parameters["a"].max = 1.5
    return d


@pytest.mark.parametrize("case", WITHOUT)
def test_without_calibration_there_is_no_p_value(case):
    make, text = WITHOUT[case]
    options = {"max_steps": 1} if case == "not converged" else {}
    result = Fit(make(), backend="optax" if options else "newton", optimize_opts=options).run()
    assert result.goodness.p_value is None
    assert result.goodness.method == "none"
    assert text in result.goodness.reason
    assert "p-value none" in str(result)


def test_fractional_counts_have_no_p_value():
    d = counts(40)
    with pytest.warns(UserWarning, match="fractional counts"):
        d.set_counts(d.npred_signal().data + d.background.data)
    assert "not whole numbers" in Fit(d, backend="newton").run().goodness.reason


@pytest.mark.slow
def test_simulations():
    d = counts(2)
    fit = Fit(d, backend="newton")
    result = fit.run()
    before = d.models.parameters.value.copy()
    found = fit.goodness_of_fit(400, random_state=2)
    assert isinstance(found, GoodnessOfFit)
    assert found.stat == pytest.approx(result.goodness.stat, abs=1e-5)
    assert (found.dof, found.method) == (10, "toys")
    assert 0.9 * 400 < found.n_toys <= 400
    # the same with fits one by one, from the same simulations
    batch = SpectrumBatch.simulate(d, 400, 2)
    larger = 0
    for i in range(30):
        one = Fit(batch[i], backend="newton").run()
        larger += one.goodness.stat >= found.stat
        for p, value in zip(d.models.parameters, before, strict=True):
            p.value = value
    assert larger / 30 == pytest.approx(found.p_value, abs=4 * np.sqrt(0.25 / 30))
    again = fit.goodness_of_fit(400, random_state=2)
    assert found == again
    assert again.provenance.data == found.provenance.data
    assert found.provenance.settings == {"n_toys": 400, "random_state": 2}
    assert d.models.parameters.value.tolist() == before.tolist()
    with pytest.raises(InputError, match="got n_toys=0"):
        fit.goodness_of_fit(0, random_state=1)


def test_data_that_the_batch_does_not_fit(monkeypatch):
    """They are fitted alone; where the models are no best fit, or nothing finds one, the message has the numbers."""
    d = counts(2)
    fit = Fit(d, backend="newton")
    best = fit.run().total_stat
    expected = fit.goodness_of_fit(50, random_state=2)
    deviances = goodness_toys._deviances

    def lost(*arguments):
        out = deviances(*arguments)
        return np.concatenate([[np.nan], out[1:]])

    monkeypatch.setattr(goodness_toys, "_deviances", lost)
    found = fit.goodness_of_fit(50, random_state=2)
    assert found.stat == pytest.approx(expected.stat, abs=1e-6)
    assert (found.p_value, found.n_toys) == (expected.p_value, expected.n_toys)
    d.models.parameters["index"].value += 1
    text = rf"not at a best fit of the data, .* and {best:.4f}\d* at the minimum that backend 'newton' finds from there"
    with pytest.raises(FitError, match=text):
        fit.goodness_of_fit(50, random_state=2)
    monkeypatch.setattr(goodness_toys, "minimize", lambda objective: SimpleNamespace(success=False))
    with pytest.raises(
        FitError, match=r"could not be fitted from the present values, where the statistic is \S+; set other"
    ):
        fit.goodness_of_fit(50, random_state=2)


def joint(seed, energy=(1.2, 3.0, 7.0)):
    """ON and OFF counts, few counts on a known background and Gaussian points, drawn from one power law that all of them see."""
    rng = np.random.default_rng(seed)
    model = SkyModel(PowerLawSpectralModel(index=2.3, amplitude=8e-12 * FLUX), name="s")
    off, known = small(alpha=0.5, n_off=np.full(6, 15)), counts(2)
    off.models = known.models = model
    off.fake(rng)
    known.fake(rng)
    energy = np.array(energy)
    true = 8e-12 * energy**-2.3
    drawn = true * (1 + 0.2 * rng.standard_normal(len(energy)))
    points = FluxPointsDataset(energy * u.TeV, drawn * FLUX, 0.2 * true * FLUX, name="points")
    points.models = model
    return Datasets([off, known, points])


@pytest.mark.slow
def test_simulations_of_several_data_sets():
    sets = joint(1)
    fit = Fit(sets, backend="newton")
    result = fit.run()
    before = sets.models.parameters.value.copy()
    found = fit.goodness_of_fit(400, random_state=2)
    # none is known without: the counts are few
    assert result.goodness.p_value is None
    assert found.stat == pytest.approx(result.goodness.stat, abs=1e-5)
    assert (found.dof, found.method) == (6 + 12 + 3 - 2, "toys")
    assert 0.9 * 400 < found.n_toys <= 400
    assert sets.models.parameters.value.tolist() == before.tolist()
    assert found == fit.goodness_of_fit(400, random_state=2)
    assert found.p_value != fit.goodness_of_fit(400, random_state=3).p_value
    # the points alone: Gaussian, so that the p-value is known; four binomial errors
    points = Datasets([sets[2]])
    both = (
        Fit(points, backend="newton").run().goodness.p_value,
        Fit(points).goodness_of_fit(2000, random_state=5).p_value,
    )
    assert both[1] == pytest.approx(both[0], abs=4 * np.sqrt(0.25 / 2000))


def test_the_models_alone_are_drawn_from():
    """One data set that fits and one that does not: drawn from the models, not from the data, all toys are better."""
    sets = joint(1)
    known = sets[1]
    known.set_counts(np.where(np.arange(12) % 2, 40, 0))
    fit = Fit(sets, backend="newton")
    fit.run()
    assert fit.goodness_of_fit(200, random_state=1).p_value == pytest.approx(1 / 201)


def test_priors_are_left_out_of_the_statistic():
    points = joint(1)[2]
    points.models.parameters["index"].prior = GaussianPrior(mu=3.0, sigma=0.1)
    fit = Fit(points, backend="newton")
    result = fit.run()
    found = fit.goodness_of_fit(100, random_state=1)
    assert "simulate" in result.goodness.reason
    assert found.stat == pytest.approx(result.goodness.stat, abs=1e-5)
    assert result.total_stat == pytest.approx(found.stat + points.models.parameters.prior_stat_sum(), abs=1e-5)
    assert points.models.parameters.prior_stat_sum() > 0.5


def _limits():
    d = FluxPointsDataset(
        [1.0, 2.0] * u.TeV,
        [1e-12, 1e-12] * FLUX,
        [1e-13, 1e-13] * FLUX,
        is_ul=[False, True],
        dnde_ul=[1e-11, 2e-12] * FLUX,
    )
    d.stat_type = "distrib"
    d.models = SkyModel(PowerLawSpectralModel(), name="s")
    return d


def _negative():
    d = counts(2)
    d.models[0].spectral_model.amplitude.value = -1e-10
    return d


UNDRAWN = {
    "a function": (lambda: Likelihood.from_function(lambda t: (t[0] - 1) ** 2, {"a": 0.0}), "a function of the parameters"),
    "limits": (lambda: Datasets([_limits()]), "has the statistic 'distrib', from which nothing can be simulated"),
    "negative": (_negative, "the models predict -.* in bin 0 of those of .* in the fit, expected finite numbers, and counts of at least 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNDRAWN)
def test_what_cannot_be_simulated_is_refused(case):
    make, text = UNDRAWN[case]
    with pytest.raises(InputError, match=text):
        Fit(make()).goodness_of_fit(10, random_state=1)


@pytest.mark.slow
def test_p_values_of_simulations_are_uniform():
    """Of data drawn from the truth, joint fits of counts and points: so many p-values lie below p as should, within three binomial errors."""
    n, toys, p = 300, 99, []
    for seed in range(n):
        fit = Fit(joint(seed), backend="newton")
        fit.run()
        p.append(fit.goodness_of_fit(toys, random_state=10_000 + seed).p_value)
    for level in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.mean(np.array(p) <= level + 1e-9) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / n)), (
            level
        )


def test_a_wrong_model_is_seen():
    # counts that no power law describes
    d = counts(2, seed=5)
    d.set_counts(np.where(np.arange(12) % 2, 40, 0))
    fit = Fit(d, backend="newton")
    fit.run()
    assert fit.goodness_of_fit(300, random_state=1).p_value == pytest.approx(1 / 301)


@pytest.mark.slow
@pytest.mark.parametrize(("expected", "offset"), [(14, 0.02)])
def test_the_threshold_is_large_enough(expected, offset):
    """At about the smallest counts for which there is a p-value it is uniform: Kolmogorov's distance of 4000 simulations."""
    d = counts(expected)
    many = SpectrumBatch.simulate(d, 4000, 11)
    result = Fit().run_each(many)
    n = many.arrays["n_on"]
    deviance = result.total_stat - np.sum(2 * (n - n * np.log(np.where(n > 0, n, 1))), axis=1)
    distance = stats.kstest(stats.chi2.sf(deviance, 10), "uniform").statistic
    # 1.63 / sqrt(4000) is the 1 % quantile for exact uniformity, `offset` what the approximation may add
    assert distance < 1.63 / np.sqrt(4000) + offset
