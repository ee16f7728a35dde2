"""Bad inputs and faults of fits: entries 45 to 67 and 78 to 80 of the list, each provoked, type and text or status checked.

`TABLE` holds the numbers; a row is a number and what provokes it.
"""

import copy
import os
import pickle
import re
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    BrokenPowerLawSpectralModel,
    Datasets,
    Fit,
    FunctionModel,
    GaussianPenalty,
    GaussianPrior,
    Likelihood,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
    SmoothBrokenPowerLawSpectralModel,
    SpectrumDataset,
    Status,
    XYDataset,
    define_spectral_model,
)
from gammajax.errors import DataError, DeviceError, InputError, ModelError, PrecisionError
from gammajax.fit.judge import known_part
from gammajax.fit.kinks import mean_curvature
from tests.problems import embedded, small, stacked
from tests.scan import lost_device

INF = np.inf
FLUX = u.Unit("cm-2 s-1 TeV-1")
TABLE: list = []


def entry(number, slow=False):
    """Put a check into the table, under the number of its entry in the list of faults."""

    def put(check):
        marks = [pytest.mark.slow] if slow else []
        TABLE.append(pytest.param(number, check, id=f"{number}-{check.__name__}", marks=marks))
        return check

    return put


def power_law(index=2.3, amplitude=3e-11, **kwargs):
    return PowerLawSpectralModel(index=index, amplitude=amplitude * FLUX, **kwargs)


def spectrum(dataset):
    return dataset.models["crab"].spectral_model


def crab():
    """The embedded data with the tutorial's model, without its limits."""
    d = embedded()
    spectrum(d).alpha.min = spectrum(d).alpha.max = np.nan
    return d


# -- statistics with a closed form, all in one compiled program: (function, start, lowest value or None where there is no minimum) -----


def switched(theta, data):
    return jax.lax.switch(data, [f for f, *_ in STATISTICS.values()], theta)


STATISTICS = {
    "quadratic": (lambda t: 2 * (t[0] - 1) ** 2 + (t[1] + 0.5) ** 2 + (t[0] - 1) * (t[1] + 0.5), (3.0, 2.0), 0.0),
    "scales": (
        lambda t: (t[0] / 1e-12 - 3) ** 2 + (t[1] / 1e12 - 2) ** 2 + (t[0] / 1e-12 - 3) * (t[1] / 1e12 - 2),
        (1e-12, 1e12),
        0.0,
    ),
    "far": (lambda t: (t[0] / 1e-8 - 3) ** 2 + (t[1] - 2) ** 2, (1.0, 10.0), 0.0),
    "from zero": (lambda t: (t[0] / 1e-11 - 3) ** 2 + (t[1] - 2) ** 2, (0.0, 0.0), 0.0),
    "saddle": (lambda t: t[0] ** 2 + 0.25 * t[1] ** 4 - 0.5 * t[1] ** 2, (0.5, 0.0), -0.25),
    "wells": (lambda t: (t[0] ** 2 - 1) ** 2 * 20 + 3 * t[0] + t[1] ** 2, (0.8, 1.0), None),
    "monkey saddle": (lambda t: t[0] ** 3 - 3 * t[0] * t[1] ** 2, (0.0, 0.0), None),
    "cubes": (lambda t: jnp.sum(t**3), (0.3, 0.4), None),
    "inflection": (lambda t: (t[0] - 5) ** 3 + t[1] ** 2, (6.0, 1.0), None),
    "exponential": (lambda t: jnp.exp(-t[0]) + t[1] ** 2, (1.0, 1.0), None),
    "idle": (lambda t: (t[0] - 1) ** 2 + 0 * t[1], (3.0, 1.0), None),
    "nothing": (lambda t: 1.0 + 0 * jnp.sum(t), (1.0, 0.0), None),
    "sum only": (lambda t: 10 * (t[0] + t[1] - 1) ** 2, (3.0, 1.0), None),
    "product only": (lambda t: 10 * (t[0] * t[1] - 1) ** 2, (3.0, 1.0), None),
    "corner": (lambda t: jnp.abs(t[0] - 1) + t[1] ** 2, (3.0, 1.0), None),
    "edge": (lambda t: jnp.where(t[0] > 1, jnp.nan, -t[0]) + t[1] ** 2, (0.5, 1.0), None),
    "nan": (lambda t: jnp.log(t[0]) + t[1] ** 2, (-1.0, 1.0), None),
}

BACKENDS = {
    "newton": ("newton", {}),
    "minuit": ("minuit", {}),
    "scipy Nelder-Mead": ("scipy", {}),
    "scipy L-BFGS-B": ("scipy", {"method": "L-BFGS-B"}),
    "sherpa simplex": ("sherpa", {}),
}
MORE_BACKENDS = {
    "scipy BFGS": ("scipy", {"method": "BFGS"}),
    "scipy TNC": ("scipy", {"method": "TNC"}),
    "optax lbfgs": ("optax", {}),
    "optax adam": ("optax", {"method": "adam", "max_steps": 500}),
    "sherpa moncar": ("sherpa", {"method": "moncar", "maxfev": 2000}),
}
ALL = {**BACKENDS, **MORE_BACKENDS}


def closed(name, x=None, **limits):
    """Likelihood of one of the closed forms."""
    start = STATISTICS[name][1] if x is None else x
    parameters = [Parameter(n, v) for n, v in zip("xy", start, strict=True)]
    for key, value in limits.items():
        setattr(parameters["xy".index(key[0])], key[2:], value)
    return Likelihood.from_function(switched, parameters, jnp.asarray(list(STATISTICS).index(name)))


def fitted(likelihood, row="newton", **kwargs):
    backend, options = ALL[row]
    if backend == "sherpa":
        pytest.importorskip("sherpa")
    return Fit(likelihood, backend=backend, optimize_opts=dict(options)).run(**kwargs)


def meaningful(result):
    """Nothing that is not a number in a result that says success."""
    errors = [p.error for p in result.parameters if not p.frozen]
    numbers = [result.total_stat, result.edm, *result.parameters.value, *errors]
    return bool(np.all(np.isfinite(numbers)) and np.all(np.isfinite(result.covariance.data)))


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("row", [*BACKENDS, *(pytest.param(r, marks=pytest.mark.slow) for r in MORE_BACKENDS)])
def test_no_backend_says_success_over_a_meaningless_number(row, name):
    result = fitted(closed(name), row)
    lowest = STATISTICS[name][2]
    assert result.success == (result.status in (Status.CONVERGED, Status.AT_LIMIT, Status.AT_CORNER))
    if name == "wells":
        assert result.success
    elif lowest is None:
        assert not result.success, str(result)
        assert len(result.notes) > 0
    if result.success:
        assert meaningful(result)
        if lowest is not None:
            assert result.total_stat == pytest.approx(lowest, abs=2e-3)
    if row == "newton" and lowest is not None:
        assert result.status == Status.CONVERGED


EXPECTED = {
    "monkey saddle": (Status.RUNAWAY, "runs away"),
    "cubes": (Status.RUNAWAY, "x runs away: the statistic does not rise any more as it falls, however far"),
    "inflection": (Status.RUNAWAY, "x runs away"),
    "exponential": (Status.RUNAWAY, "x runs away: the statistic does not rise any more as it grows, however far"),
    "idle": (Status.UNIDENTIFIED, "y has no effect on the statistic; its error is nan"),
    "nothing": (Status.UNIDENTIFIED, "x has no effect"),
    "sum only": (Status.SINGULAR, r"the statistic does not change along x \(-0.71\), y \(\+0.71\); freeze one of them"),
    "product only": (Status.SINGULAR, "Perfectly correlated"),
    "corner": (Status.NOT_POSITIVE_DEFINITE, "the statistic does not rise along x"),
    "edge": (Status.NOT_POSITIVE_DEFINITE, "the optimiser stopped before the minimum"),
    "nan": (Status.NON_FINITE, "not finite"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_verdict_is_named(name):
    result = fitted(closed(name))
    status, text = EXPECTED[name]
    assert result.status == status
    assert re.search(text, str(result), re.IGNORECASE), str(result)
    assert result.status.meaning in str(result)


# -- parameters and starts ----------------------------------------------------------------------------------------------------------


@entry(45)
def everything_frozen():
    d = crab()
    spectrum(d).parameters.freeze_all()
    result = Fit(d).run()
    assert (result.status, result.n_free, result.success) == (Status.CONVERGED, 0, True)
    assert result.covariance.get_subcovariance(result.parameters.free_parameters).shape == (0, 0)
    assert result.total_stat == pytest.approx(d.stat_sum(), abs=1e-9)


@entry(46)
def start_outside_its_limits():
    """Refused, not moved onto the limit: which of the two numbers is the mistake only the person knows, a warning scrolls away, and the
    fit would begin from a value that nobody chose."""
    d = crab()
    spectrum(d).alpha.min, spectrum(d).alpha.max, spectrum(d).alpha.value = 1, 3, 9
    with pytest.raises(
        InputError, match=r"crab.spectral.alpha: the start value 9 is outside its limits \[1, 3\] .*change the value"
    ):
        Fit(d).run()
    assert spectrum(d).alpha.value == 9


@entry(47)
def limits_in_the_wrong_order():
    for low, high in ((3, 1), (2, 2)):
        d = crab()
        spectrum(d).alpha.min, spectrum(d).alpha.max = low, high
        with pytest.raises(
            InputError, match=r"crab.spectral.alpha: limits min=.*, max=.*; min must be smaller than max"
        ):
            Fit(d).run()


@entry(48)
def minimum_on_a_limit():
    # with x held at 0.5 the minimum in y is at -0.25, its error from the free subspace alone is 1
    for row in ("newton", "minuit", "scipy Nelder-Mead", "scipy L-BFGS-B"):
        result = fitted(closed("quadratic", (0.2, 0.0), x_max=0.5, x_min=-1.0), row)
        assert result.status == Status.AT_LIMIT, row
        assert result.success
        assert result.flags.at_limit == ("x",)
        assert result.flags.sides["x"] == "upper"
        x, y = result.parameters
        assert x.error == 0
        assert y.value == pytest.approx(-0.25, abs=2e-2)
        assert y.error == pytest.approx(1.0, rel=1e-6)
        assert "x is on its upper limit: its error is not defined there" in str(result)
        assert "fit.confidence for a one-sided interval" in str(result)


@entry(49)
def start_that_is_no_number():
    for value in (np.nan, INF):
        d = crab()
        spectrum(d).beta.value = value
        with pytest.raises(InputError, match=f"crab.spectral.beta: the value is {value}, expected a finite number"):
            Fit(d).run()


def known_background(counts, background):
    edges = np.geomspace(1, 10, 7) * u.TeV
    exposure = np.full(6, 1e13) * u.Unit("cm2 s")
    return SpectrumDataset.from_arrays(
        counts, background, exposure=exposure, energy_edges=edges, energy_true_edges=edges, name="known"
    )


@entry(50)
def infinite_statistic_at_the_start():
    d = known_background([5, 3, 0, 1, 0, 0], 0.0)
    d.models = SkyModel(power_law(amplitude=0.0), name="s")
    for backend in ("minuit", "newton"):
        result = Fit(d, backend=backend).run()
        assert result.status == Status.NON_FINITE
        assert result.flags.bad_bins == ("'known' bins 0 (predicted 0), 1 (predicted 0), 3 (predicted 0)",)
        assert "s.spectral.amplitude = 0" in result.message
        assert not np.isfinite(result.total_stat)


@entry(51)
def amplitude_of_zero_or_the_wrong_sign():
    lowest = Fit(crab(), backend="newton").run().total_stat
    for value in (0.0, -4e-11):
        for row in ("newton", "minuit", "scipy L-BFGS-B"):
            d = crab()
            spectrum(d).amplitude.value = value
            result = fitted(d, row)
            assert result.success, (row, value)
            assert result.total_stat == pytest.approx(lowest, abs=2e-3)


@entry(52)
def start_decades_off():
    lowest = Fit(crab(), backend="newton").run().total_stat
    for row in BACKENDS:
        d = crab()
        spectrum(d).amplitude.value, spectrum(d).alpha.value = 1e-3, 10.0
        result = fitted(d, row)
        assert result.success == (result.total_stat < lowest + 2e-3), row
        if row == "newton":
            assert result.success
        if not result.success and result.flags.lower_nearby:
            assert f"a statistic lower by {result.flags.lower_nearby:.3g} was found" in str(result)


# -- what the data do not determine -------------------------------------------------------------------------------------------------------


@entry(53)
def two_perfectly_correlated_parameters():
    d = crab()
    first, second = power_law(), power_law()
    second.index = first.index
    d.models = [SkyModel(first, name="a"), SkyModel(second, name="b")]
    for row in ("newton", "minuit", "sherpa simplex"):
        first.amplitude.value = second.amplitude.value = 3e-11
        result = fitted(d, row)
        assert result.status == Status.SINGULAR, row
        assert set(result.flags.direction) == {"a.spectral.amplitude", "b.spectral.amplitude"}
        assert np.isnan(result.parameters["a.spectral.amplitude"].error)
        assert "Perfectly correlated: the statistic does not change along" in str(result)


@entry(54)
def free_reference_energy():
    for row in BACKENDS:
        d = crab()
        spectrum(d).reference.frozen = False
        result = fitted(d, row)
        assert result.status == Status.SINGULAR, (row, str(result))
        assert "crab.spectral.reference" in result.flags.direction
        assert np.isnan(result.parameters["reference"].error)


@entry(55)
def parameter_without_effect():
    dark = power_law(amplitude=0.0)
    dark.amplitude.frozen = True
    alone = Fit(crab(), backend="newton").run()
    for row in ("newton", "minuit", "scipy L-BFGS-B"):
        d = crab()
        d.models = [*d.models, SkyModel(dark, name="dark")]
        result = fitted(d, row)
        assert result.status == Status.UNIDENTIFIED
        assert result.flags.unidentified == ("dark.spectral.index",)
        # the others are what they are without it
        assert result.parameters["alpha"].error == pytest.approx(alone.parameters["alpha"].error, rel=1e-2)


@entry(55, slow=True)
def break_between_linked_indices():
    equal_indices((True,), ("minuit",))


@entry(55, slow=True)
def break_between_equal_indices():
    equal_indices((True, False), ("newton", "minuit"))


def equal_indices(links, backends):
    """There is no break: where it is and how sharp has no effect, and the rest is the fit of a power law. Unless both indices may move apart."""
    d = crab()
    d.models = SkyModel(power_law(2.6, 4e-11), name="crab")
    straight = Fit(d, backend="newton").run()
    alone = straight.parameters
    for linked in links:
        d = crab()
        model = SmoothBrokenPowerLawSpectralModel(index1=2.6, index2=2.6, amplitude=4e-11 * FLUX)
        model.beta.frozen = False
        if linked:
            model.index2 = model.index1
        d.models = SkyModel(model, name="crab")
        for row in backends:
            with d.models.restore_status():
                result = fitted(d, row)
            if not linked:
                # the break is found from the side that ends lower; with these data it has no end
                assert result.total_stat < straight.total_stat - 4
                assert not result.success
                assert "crab.spectral.ebreak has no effect at the start" in str(result)
                continue
            assert result.status == Status.UNIDENTIFIED
            assert set(result.flags.unidentified) == {"crab.spectral.ebreak", "crab.spectral.beta"}
            found = result.parameters
            # MIGRAD ends somewhat before the minimum where it is asked for the impossible
            assert found["amplitude"].error == pytest.approx(alone["amplitude"].error, rel=1e-3)
            assert np.isnan(found["ebreak"].error)
            assert np.isnan(found["beta"].error)
            assert found["crab.spectral.index1"].error == pytest.approx(alone["index"].error, rel=1e-3)
            assert "does not rise" not in str(result)


KNOWN = {
    # matrix, variances: nan where a combination is not known
    "two of three": ([[2, 2, 0], [2, 2, 0], [0, 0, 8]], [np.nan, np.nan, 0.25]),
    # x + y and z are correlated: with s = x + y the matrix of (s, z) is [[2, 1], [1, 2]], whose inverse has 2/3
    "correlated with their sum": ([[2, 2, 1], [2, 2, 1], [1, 1, 2]], [np.nan, np.nan, 4 / 3]),
    "very different sizes": ([[2e24, 2e12, 1e12], [2e12, 2, 1], [1e12, 1, 2]], [np.nan, np.nan, 4 / 3]),
    "all known": ([[2, 0], [0, 8]], [1.0, 0.25]),
    "downwards": ([[2, 3, 0], [3, 2, 0], [0, 0, 2]], None),
    "without curvature": ([[0, 0], [0, 2]], None),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_beside_what_is_not(name):
    matrix, expected = KNOWN[name]
    found = known_part(np.array(matrix, dtype=float))
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(np.diag(found), expected, rtol=1e-9)


@entry(56)
def saddle_as_a_start():
    left = {row: fitted(closed("saddle"), row) for row in ("newton", "minuit", "scipy L-BFGS-B")}
    assert left["newton"].total_stat == pytest.approx(-0.25, abs=1e-9)
    assert left["minuit"].total_stat == pytest.approx(-0.25, abs=2e-3)
    # stays, and says so with the way down
    stays = left["scipy L-BFGS-B"]
    assert stays.raw.success
    assert (stays.success, stays.status) == (False, Status.NOT_POSITIVE_DEFINITE)
    assert stays.flags.direction == {"y": 1.0}
    assert stays.flags.lower_nearby == pytest.approx(0.25, abs=1e-6)


def real(folder, model):
    """All four runs, stacked."""
    files = sorted((folder / "joint-crab" / "spectra" / "hess").glob("pha_obs*.fits"))
    d = stacked(files)
    d.models = SkyModel(model, name="crab")
    return d


@entry(57, slow=True)
def smooth_break_that_runs_away(folder):
    """gammapy says success with an index of 6e4 +- 7e5."""
    for row in ("newton", "minuit", "optax lbfgs"):
        model = SmoothBrokenPowerLawSpectralModel(index1=2, index2=3, amplitude=4e-11 * FLUX, ebreak=3 * u.TeV)
        result = fitted(real(folder, model), row)
        assert result.status == Status.RUNAWAY, row
        assert result.flags.runaway == ("crab.spectral.index2",)
        assert result.flags.sides["crab.spectral.index2"] == "upper"
        assert np.isnan(result.parameters["index2"].error)
        assert result.parameters["index1"].error == pytest.approx(0.0817, rel=0.01)


@entry(57)
def parameter_that_runs_away():
    for row in BACKENDS:
        result = fitted(closed("exponential"), row)
        assert result.status == Status.RUNAWAY, row
        assert result.flags.runaway == ("x",)
        assert result.flags.sides["x"] == "upper"
        assert np.isnan(result.parameters["x"].error)
        # what it ran from is still known, unless the optimiser gave up before
        assert result.parameters["y"].error == pytest.approx(1.0, rel=1e-6)
    # a limit is a limit, not a way to infinity
    result = fitted(closed("exponential", x_max=20.0))
    assert result.status == Status.AT_LIMIT


@entry(58)
def more_than_one_minimum():
    # the statistic of the two wells: 3 x lifts the right one
    one = fitted(closed("wells"))
    assert one.success
    assert one.parameters["x"].value > 0
    result = fitted(closed("wells"), starts=12)
    assert result.success
    assert result.parameters["x"].value < 0
    assert result.total_stat < one.total_stat - 5
    found = result.starts
    assert len(found) == 12
    assert found.n_minima == 2
    assert found.minima == pytest.approx([result.total_stat, one.total_stat], abs=1e-6)
    assert found.won > 0
    assert found.start[0].tolist() == list(STATISTICS["wells"][1])
    assert f"12 starts, 2 minima: {found.minima[0]:.4f}" in str(result)
    with pytest.raises(InputError, match="got starts=0, expected a whole number of at least 1"):
        fitted(closed("wells"), starts=0)


@entry(58, slow=True)
def two_minima_of_the_broken_power_law(folder):
    """From a break at 2 TeV every optimiser, gammapy's too, ends in the one that is worse by 2.1."""
    model = BrokenPowerLawSpectralModel(index1=2, index2=3, amplitude=4e-11 * FLUX, ebreak=2 * u.TeV)
    model.index2.max = 10
    d = real(folder, model)
    alone = Fit(d, backend="newton").run()
    assert alone.status == Status.CONVERGED
    assert alone.total_stat == pytest.approx(26.0504503, abs=1e-6)
    result = Fit(d, backend="newton").run(starts=16)
    assert result.status == Status.AT_LIMIT
    assert result.total_stat == pytest.approx(23.9114449, abs=1e-6)
    assert result.starts.n_minima == 2
    assert result.starts.won > 0
    assert min(abs(s - 26.0504503) for s in result.starts.minima) < 1e-6


@entry(59)
def kink_at_the_best_fit():
    """A statistic whose curvature is 2 below the kink and 6 above it: neither is the error, their mean is."""

    def gradient(x):
        return np.array([2 * x[0] if x[0] < 0 else 6 * x[0], 2 * x[1]])

    x, open_end = np.zeros(2), np.full(2, INF)
    exact = np.diag([6.0, 2.0])
    mean, changed = mean_curvature(gradient, x, -open_end, open_end, np.ones(2), gradient(x), exact, [0])
    assert changed == [0]
    np.testing.assert_allclose(mean, np.diag([4.0, 2.0]), rtol=1e-12)
    # a smooth one is left as it is, to the last bit
    same, changed = mean_curvature(lambda x: exact @ x, x, -open_end, open_end, np.ones(2), x, exact, [0])
    assert changed == []
    assert np.array_equal(same, exact)


@entry(59, slow=True)
def break_energy_on_the_edge_of_a_bin(folder):
    model = BrokenPowerLawSpectralModel(index1=2, index2=100, amplitude=1e-13 * FLUX, ebreak=12 * u.TeV)
    model.index2.frozen = True
    d = real(folder, model)
    result = Fit(d, backend="newton").run()
    assert result.flags.kinked == ("crab.spectral.ebreak",)
    assert "moves a kink of the model" in str(result)
    assert "mean over one error across kinks" in str(result)
    # of the size of the interval that follows the statistic itself
    interval = Fit(d).confidence("ebreak")
    mean = 0.5 * (interval["errn"] + interval["errp"])
    assert result.parameters["ebreak"].error == pytest.approx(mean, rel=0.4)


@entry(60)
def scales_of_1e24_between_parameters():
    for row in BACKENDS:
        result = fitted(closed("scales"), row)
        assert result.success
        np.testing.assert_allclose(result.parameters.value, [3e-12, 2e12], rtol=1e-3)
        np.testing.assert_allclose(result.covariance.errors, np.sqrt(4 / 3) * np.array([1e-12, 1e12]), rtol=1e-6)


# -- counts ------------------------------------------------------------------------------------------------------------------------------


@entry(61)
def no_counts_at_all():
    """gammapy: index 3.7 +- 579, success."""
    for low in (np.nan, 0.0):
        for row in ("newton", "minuit", "scipy L-BFGS-B"):
            d = small(n_on=np.zeros(6), n_off=np.zeros(6))
            d.models = SkyModel(power_law(), name="s")
            amplitude = d.models["s"].spectral_model.amplitude
            amplitude.min = low
            result = fitted(d, row)
            assert result.status == Status.UNIDENTIFIED
            assert result.flags.unidentified == ("s.spectral.index",)
            where = result.flags.at_limit if low == 0 else result.flags.at_corner
            assert where == ("s.spectral.amplitude",)
            assert amplitude.value == pytest.approx(0, abs=1e-18)
            assert np.isnan(result.parameters["index"].error)
            assert "s.spectral.index has no effect" in str(result)


@entry(62)
def bins_without_off_counts():
    d = small(n_off=np.zeros(6))
    d.models = SkyModel(power_law(amplitude=3e-12), name="s")
    result = Fit(d, backend="newton").run()
    assert result.success
    assert meaningful(result)
    assert "small: 6 of 6 bins in the fit have no OFF counts" in str(result)
    d = small()
    d.models = SkyModel(power_law(amplitude=3e-12), name="s")
    assert Fit(d, backend="newton").run().data_notes == ()
    # no OFF acceptance either: there is nothing to fit with
    d = small(alpha=None, acceptance_off=[10, 10, 0, 10, 10, 10])
    d.models = SkyModel(power_law(), name="s")
    with pytest.raises(DataError, match="alpha is 0 in bin 2, which is in the fit"):
        Fit(d).run()


@entry(63)
def unbounded_statistic():
    """iminuit: valid, at 0.0187."""
    for row in BACKENDS:
        result = fitted(closed("cubes"), row)
        assert result.status == Status.RUNAWAY, row
        assert result.flags.runaway == ("x", "y")
        assert set(result.flags.sides.values()) == {"lower"}


@entry(64)
def single_precision():
    d = crab()
    likelihood = Likelihood(d)
    assert not jax.config.jax_enable_x64
    with pytest.raises(PrecisionError, match="needs double precision.*jax_enable_x64"):
        likelihood.stat(likelihood.start)
    # a fit sets it for itself, and for nobody else
    assert Fit(likelihood, backend="newton").run().edm < 1e-12
    assert not jax.config.jax_enable_x64
    assert jnp.asarray(1.0).dtype == jnp.float32


@entry(65)
def names_links_and_priors():
    d = crab()
    with pytest.raises(ModelError, match="two different models are named 'crab'; give each model a name of its own"):
        d.models = [SkyModel(power_law(), name="crab"), SkyModel(power_law(), name="crab")]
    with pytest.raises(DataError, match="two data sets are named 'HESS'"):
        Datasets([crab(), crab()])
    # a link is a shared parameter: linking both ways is one parameter, not a circle
    first, second = power_law(), power_law(2.9)
    first.index = second.index
    second.index = first.index
    d.models = [SkyModel(first, name="a"), SkyModel(second, name="b")]
    assert [n for n in Likelihood(d).names if n.endswith("index")] == ["a.spectral.index"]
    # a penalty on a parameter of no model
    absent = power_law().index
    d.models.set_penalties(GaussianPenalty.from_diagonal([absent], sigma=[1.0], mean=[2.0]))
    with pytest.raises(InputError, match="parameter 'index' is in no model of the fit; drop the penalty"):
        Likelihood(d)


@entry(65)
def prior_on_a_frozen_parameter():
    """Taken, and said: a parameter is often frozen for a test and freed again, and refusing would take its prior away meanwhile.
    It adds a constant, so that nothing is wrong but the statistic."""
    d = crab()
    spectrum(d).beta.prior = GaussianPrior(mu=0.1, sigma=0.1)
    spectrum(d).beta.frozen = True
    result = Fit(d, backend="newton").run()
    assert result.success
    assert "crab.spectral.beta is frozen and has a prior: it adds a constant to the statistic" in str(result)


# -- scans ---------------------------------------------------------------------------------------------------------------------------------


@entry(66)
def nodes_that_are_none():
    d = crab()
    fit = Fit(d, backend="newton")
    fit.run()
    for reoptimize in (False, True):
        for values, text in (
            ([2.0, np.nan], "value 1 is nan, expected finite values"),
            ([INF], "value 0 is inf"),
            ([2.0, 2.1, 2.0], "the value 2 stands there more than once"),
            ([], "expected at least one value"),
            ([[2.0]], "expected at least one value in one dimension"),
        ):
            with pytest.raises(InputError, match=text):
                fit.stat_profile("alpha", values, reoptimize=reoptimize)
        # the order is the person's own: each node is computed for itself
        mixed = fit.stat_profile("alpha", [2.6, 2.2, 2.4], reoptimize=reoptimize)
        sorted_ = fit.stat_profile("alpha", [2.2, 2.4, 2.6], reoptimize=reoptimize)
        assert mixed.stat.tolist() == sorted_.stat[[2, 0, 1]].tolist()
        # outside of the limits a node is evaluated and says so
        spectrum(d).alpha.max = 2.8
        outside = fit.stat_profile("alpha", [2.6, 2.9], reoptimize=reoptimize)
        spectrum(d).alpha.max = np.nan
        assert outside.status[1] == Status.OUTSIDE_LIMITS
        assert outside.status[0] in (Status.CONVERGED, Status.EVALUATED)


def neighbours_are_untouched(scan):
    """A scan with a bad last node against the same scan with a good one.

    Verdicts are the same, values to rounding: bin integrals get the nodes that the steepest spectrum of the axes asks for.
    """
    d = crab()
    Fit(d, backend="newton").run()
    values = np.linspace(2.2, 2.9, 8)
    good, bad = (scan(Fit(d), np.append(values[:-1], last)) for last in (3.0, -4000.0))
    assert bad.status[-1] == Status.NON_FINITE
    assert not np.isfinite(bad.stat[-1])
    np.testing.assert_allclose(bad.stat[:-1], good.stat[:-1], rtol=0, atol=1e-9)
    assert np.array_equal(good.status[:-1], bad.status[:-1])
    for k in good.nuisance:
        # an EDM of 1e-9 is 3e-5 of an error
        np.testing.assert_allclose(bad.nuisance[k][:-1], good.nuisance[k][:-1], rtol=1e-5)


@entry(67)
def one_node_that_fails():
    neighbours_are_untouched(lambda fit, values: fit.stat_profile("alpha", values))


@entry(67, slow=True)
def one_node_that_fails_among_re_fitted_ones():
    neighbours_are_untouched(lambda fit, values: fit.stat_grid({"alpha": values}, reoptimize=True))
    with pytest.MonkeyPatch.context() as patch:
        # all of them in the batched program from the beginning
        patch.setattr("gammajax.solve.few.POINTS", {"evaluate": 0, "minimize": 0})
        neighbours_are_untouched(lambda fit, values: fit.stat_grid({"alpha": values}, reoptimize=True))


# -- process -------------------------------------------------------------------------------------------------------------------------------


@entry(78)
def device_that_is_not_there():
    d = crab()
    fit = Fit(d, backend="newton")
    fit.run()
    missing = "gpu" if jax.default_backend() == "cpu" else "tpu"
    for device in (missing, "abacus"):
        for call in (
            lambda where: fit.stat_profile("alpha", [2.5], reoptimize=True, device=where),
            lambda where: fit.run(starts=3, device=where),
            lambda where: fit.goodness_of_fit(10, random_state=1, device=where),
        ):
            with pytest.raises(
                InputError, match=f"device='{device}': this process has none of that kind; it has: .*cpu"
            ):
                call(device)
    with pytest.raises(InputError, match="device is for the batch of several starts"):
        fit.run(device="cpu")
    named = fit.stat_profile("alpha", [2.5, 2.6], device="cpu")
    np.testing.assert_allclose(named.stat, fit.stat_profile("alpha", [2.5, 2.6]).stat, rtol=1e-12)


@entry(78)
def device_that_is_lost():
    """XLA's runtime reports it while a compiled program runs; tests/scan/test_lost_device.py has scans and workers."""
    fit = Fit(Likelihood.from_function(lost_device.statistic, {"x": 0.5, "y": 0.5}), backend="newton")
    before = fit.run()
    assert before.success
    lost_device.lose(0)
    try:
        for call in (fit.run, lambda: fit.run(backend="minuit"), lambda: fit.confidence("x")):
            with pytest.raises(
                DeviceError, match=r"the device failed while it computed \(INTERNAL: CUDA_ERROR_ECC.*JAX_PLATFORMS=cpu"
            ):
                call()
    finally:
        lost_device.lose(INF)
    assert fit.run().total_stat == before.total_stat


NO_DEVICE = """
import gammajax
from tests.problems import crab_model, small
from gammajax.scan.engine import is_device_error
d = small()
for what in ("fit", "scan", "statistic", "device"):
    try:
        d.models = crab_model()
        fit = gammajax.Fit(d, backend="newton")
        if what == "fit":
            fit.run()
        elif what == "scan":
            fit.stat_profile("alpha", [2.0, 2.1], reoptimize=True)
        elif what == "statistic":
            d.stat_sum()
        else:
            fit.stat_profile("alpha", [2.0, 2.1], reoptimize=True, device="cpu")
        print("it ran")
    except gammajax.errors.DeviceError as error:
        # a worker on such a machine leaves, and does not fail the chunks
        print(is_device_error(error), error)
"""


@entry(78)
def platform_that_is_not_there():
    """As on a login node without a GPU: JAX fails by an assertion of its own, or says that it cannot initialise something."""
    for platform in ("cuda", "nowhere"):
        env = os.environ | {"JAX_PLATFORMS": platform, "PYTHONPATH": os.pathsep.join(sys.path)}
        out = subprocess.run([sys.executable, "-c", NO_DEVICE], env=env, capture_output=True, text=True, check=False)
        if platform == "cuda" and "it ran" in out.stdout:
            # there is one
            continue
        assert out.returncode == 0, out.stderr
        lines = [line for line in out.stdout.splitlines() if "JAX has no device" in line]
        assert len(lines) == 4, out.stdout
        for line in lines:
            assert line.startswith(f"True JAX has no device to compute on: JAX_PLATFORMS='{platform}'")
        assert "Set JAX_PLATFORMS=cpu, or leave it unset" in out.stdout


def _raises(x, a, b):
    raise RuntimeError("no spectrum today")


def _branches(x, a, b):
    return a * x if a > 0 else b * x


def _numpy(x, a, b):
    return a * np.exp(x) + b


WRONG = {
    "raises": (_raises, r"'_raises' of \(x, a, b\) raised RuntimeError: no spectrum today"),
    "shape": (
        lambda x, a, b: jnp.stack([a * x, b * x]),
        r"returned shape \(2, 8\) for x of shape \(8,\), expected \(8,\)",
    ),
    "complex": (lambda x, a, b: a * x + 1j * b, r"returned complex numbers \(complex128\), expected real ones"),
    "nothing": (lambda x, a, b: None, "returned NoneType, expected an array|Argument 'None'|returned"),
    "branches": (_branches, "'_branches'.*It decides by a value that changes: use jnp.where"),
    "numpy": (_numpy, "'_numpy'.*use jax.numpy instead of numpy"),
}


def xy(function, **parameters):
    x = np.linspace(1, 3, 8)
    model = FunctionModel(function, {"a": 1.0, "b": 0.5} | parameters)
    return XYDataset(x, 2 * x + 0.1, 0.1, model=model, name="points")


@entry(79)
def wrong_functions_of_users():
    for function, text in WRONG.values():
        with pytest.raises(ModelError, match=text):
            Fit(xy(function), backend="newton").run()


@entry(79)
def wrong_spectra_and_statistics_of_users():
    with pytest.raises(
        ModelError, match="'_raises' for theta of shape .* raised|raised RuntimeError: no spectrum today"
    ):
        Likelihood.from_function(lambda t: _raises(t, 1, 2), {"a": 1.0})
    with pytest.raises(ModelError, match="raised TracerBoolConversionError.*use jnp.where"):
        Likelihood.from_function(lambda t: t[0] if t[0] > 0 else -t[0], {"a": 1.0})
    with pytest.raises(ModelError, match=r"returned shape \(2,\), expected a scalar"):
        Likelihood.from_function(lambda t: t, {"a": 1.0, "b": 1.0})
    with pytest.raises(ModelError, match="returned numbers of type complex128, expected a real statistic"):
        Likelihood.from_function(lambda t: t[0] * 1j, {"a": 1.0})

    def thrown(energy, norm):
        raise KeyError("norm")

    Broken = define_spectral_model(
        thrown, name="FaultySpectralModel", parameters={"norm": (1e-12, "cm-2 s-1 TeV-1")}, linear=["norm"]
    )
    d = small()
    d.models = SkyModel(Broken(), name="s")
    with pytest.raises(ModelError, match="the spectral model FaultySpectralModel raised KeyError: 'norm'"):
        Fit(d).run()


@entry(79)
def functions_that_are_nan_for_some_rows_or_have_side_effects():
    result = Fit(xy(lambda x, a, b: jnp.where(x > 2.5, jnp.nan, a * x + b)), backend="newton").run()
    assert result.status == Status.NON_FINITE
    assert result.flags.bad_bins == ("'points' bins 6 (predicted nan), 7 (predicted nan)",)
    assert result.flags.bad_parameters == ("model.a", "model.b")
    seen = []

    def counting(x, a, b):
        seen.append(1)
        return a * x + b

    d = xy(counting)
    assert Fit(d, backend="newton").run().success
    traced = len(seen)
    assert traced > 0
    d.models[0].parameters["a"].value = 7.0
    d.y[0] += 0.3
    assert Fit(d, backend="minuit").run().success
    assert len(seen) == traced


@entry(80)
def results_cannot_be_changed_and_travel():
    d = crab()
    fit = Fit(d, backend="newton")
    results = [Fit(d, backend=b).run() for b in ("newton", "minuit", "scipy")]
    results += [fit.run(starts=3), fit.stat_profile("alpha", [2.5, 2.6], reoptimize=True), fit.confidence("alpha")]
    results += [fit.upper_limit("beta"), fit.stat_contour("alpha", "beta", numpoints=4), fit.ts({"beta": 0})]
    results += [results[0].goodness, results[3].starts, fit.stat_profiles(["beta"], nvalues=3, reoptimize=False)]
    for result in results:
        for other in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
            assert type(other) is type(result)
            assert str(other) == str(result)
        if not isinstance(result, dict):
            with pytest.raises(AttributeError):
                result.success = True
    for array in (results[4].stat, results[4].axes[0], results[7].x, results[3].starts.end, results[0].covariance.data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    with pytest.raises(InputError, match="read-only"):
        results[0].parameters["alpha"].value = 0
    assert pickle.loads(pickle.dumps(results[1])).raw is None


@entry(80)
def fits_in_two_threads():
    def one(index):
        d = small()
        d.models = SkyModel(power_law(index, 3e-12), name="s")
        return [(r.total_stat, *r.parameters.value) for r in (Fit(d, backend=b).run() for b in ("newton", "minuit"))]

    serial = [one(1.8), one(2.8)]
    for _ in range(5):
        found = [None, None]

        def work(k, into):
            into[k] = one((1.8, 2.8)[k])

        threads = [threading.Thread(target=work, args=(k, found)) for k in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert found == serial


@entry(80)
def data_changed_during_a_scan():
    values = np.linspace(2.2, 2.9, 4)
    clean = small()
    clean.models = SkyModel(power_law(2.3, 8e-12), name="s")
    expected = Fit(clean).stat_profile("index", values, reoptimize=True, backend="newton")
    d = small()
    d.models = SkyModel(power_law(2.3, 8e-12), name="s")
    from gammajax.fit.backends import newton

    true = newton.minimize

    def spoiling(objective, **options):
        # between two nodes somebody writes in everything there is
        for array in (d._n_on, d._n_off, d._exposure, d._edisp, d.mask_safe.data):
            array.flags.writeable and array.fill(0)
        d.models["s"].spectral_model.amplitude.value = 1.0
        return true(objective, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newton, "minimize", spoiling)
        found = Fit(d).stat_profile("index", values, reoptimize=True, backend="newton")
    assert d._n_on.sum() == 0
    assert np.array_equal(found.stat, expected.stat)
    assert np.array_equal(found.nuisance["s.spectral.amplitude"], expected.nuisance["s.spectral.amplitude"])


NUMBERS = {p.values[0] for p in TABLE}


@pytest.mark.parametrize(("number", "check"), TABLE)
def test_fault(number, check, request):
    assert number in NUMBERS
    if check.__code__.co_argcount:
        check(request.getfixturevalue("gammapy_data"))
    else:
        check()


def test_every_entry_is_there():
    assert {*range(45, 68), 78, 79, 80} == NUMBERS
