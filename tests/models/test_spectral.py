"""One table of spectral models: a new model joins by one row."""

from dataclasses import dataclass
from itertools import pairwise

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
)
from gammajax.errors import InputError, ModelError, UnitError
from gammajax.models import bin_rule, flux_per_bin
from gammajax.models.functions import power_law_integral

DNDE = u.Unit("cm-2 s-1 TeV-1")


@dataclass
class Row:
    """A model with values, and its formula in mpmath."""

    model: type
    values: dict
    formula: object

    @property
    def theta(self):
        return np.array([float(u.Quantity(v).value) for v in self.values.values()])

    def make(self):
        return self.model(**self.values)


TABLE = {
    "pl": Row(
        PowerLawSpectralModel,
        {"index": 2.3, "amplitude": 3e-12 * DNDE, "reference": 1.5 * u.TeV},
        lambda e, g, a, r: a * (e / r) ** (-g),
    ),
    "pl, index 1": Row(
        PowerLawSpectralModel,
        {"index": 1.0, "amplitude": 3e-12 * DNDE, "reference": 1.5 * u.TeV},
        lambda e, g, a, r: a * (e / r) ** (-g),
    ),
    "pl, index beside 1": Row(
        PowerLawSpectralModel,
        {"index": 1 + 3e-9, "amplitude": 3e-12 * DNDE, "reference": 1.5 * u.TeV},
        lambda e, g, a, r: a * (e / r) ** (-g),
    ),
    "lp": Row(
        LogParabolaSpectralModel,
        {"amplitude": 3e-12 * DNDE, "reference": 2 * u.TeV, "alpha": 2.2, "beta": 0.2},
        lambda e, a, r, al, b: a * (e / r) ** (-al - b * mpmath.log(e / r)),
    ),
    "lp, defaults": Row(
        LogParabolaSpectralModel,
        {"amplitude": 1e-12 * DNDE, "reference": 10 * u.TeV, "alpha": 2.0, "beta": 1.0},
        lambda e, a, r, al, b: a * (e / r) ** (-al - b * mpmath.log(e / r)),
    ),
    "ecpl": Row(
        ExpCutoffPowerLawSpectralModel,
        {"index": 1.5, "amplitude": 3e-12 * DNDE, "reference": 1 * u.TeV, "lambda_": 0.1 / u.TeV, "alpha": 1.0},
        lambda e, g, a, r, la, al: a * (e / r) ** (-g) * mpmath.exp(-((la * e) ** al)),
    ),
    "ecpl, sharp": Row(
        ExpCutoffPowerLawSpectralModel,
        {"index": 2.0, "amplitude": 3e-12 * DNDE, "reference": 1 * u.TeV, "lambda_": 1 / u.TeV, "alpha": 1.3},
        lambda e, g, a, r, la, al: a * (e / r) ** (-g) * mpmath.exp(-((la * e) ** al)),
    ),
}
rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


@rows
def test_value(row):
    energy = np.array([0.05, 0.9, 2.0, 30.0])
    expected = [float(row.formula(mpmath.mpf(e), *map(mpmath.mpf, row.theta))) for e in energy]
    np.testing.assert_allclose(row.make()(energy * u.TeV).to_value(DNDE), expected, rtol=1e-13, atol=1e-300)


def exact_bins(row, edges):
    with mpmath.workdps(30):
        theta = [mpmath.mpf(t) for t in row.theta]
        return np.array([float(mpmath.quad(lambda e: row.formula(e, *theta), [a, b])) for a, b in pairwise(edges)])


@rows
@pytest.mark.parametrize("per_decade", [5, 24, 100])
def test_bin_integrals_are_exact(row, per_decade):
    """1e-9 relative in bins above 1e-12 of the whole, absolute at that scale below (the promise of the design)."""
    edges = np.geomspace(0.1, 30, int(2.477 * per_decade) + 1)
    with jax.enable_x64(True):
        form = row.model.form
        found = np.asarray(flux_per_bin(form, bin_rule(edges, form), tuple(row.theta)))
    expected = exact_bins(row, edges)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-21 * expected.sum())


@rows
def test_gradient_and_hessian_of_bin_integrals(row):
    """Against central differences of the mpmath integrals, first and second, in units of each parameter."""
    edges = np.geomspace(0.5, 20, 9)
    form = row.model.form
    with jax.enable_x64(True):

        def total(scaled):
            rule = bin_rule(edges, form)
            return flux_per_bin(form, rule, tuple(scaled * row.theta)) / row.values["amplitude"].value

        one = np.ones(len(row.theta))
        gradient, hessian = np.asarray(jax.jacfwd(total)(one)), np.asarray(jax.hessian(total)(one))
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(hessian))
    scale = row.values["amplitude"].value
    with mpmath.workdps(50):
        step = mpmath.mpf(10) ** -12
        edge = [mpmath.mpf(float(e)) for e in edges[3:5]]

        def value(shift):
            theta = [mpmath.mpf(float(t)) * (1 + s) for t, s in zip(row.theta, shift, strict=True)]
            return mpmath.quad(lambda e: row.formula(e, *theta), edge) / mpmath.mpf(float(scale))

        n = len(row.theta)
        for i in range(n):
            e = [step if k == i else 0 for k in range(n)]
            up, down, here = value(e), value([-s for s in e]), value([0] * n)
            assert gradient[3, i] == pytest.approx(float((up - down) / (2 * step)), rel=2e-9, abs=1e-12)
            assert hessian[3, i, i] == pytest.approx(float((up - 2 * here + down) / step**2), rel=2e-8, abs=1e-11)


@pytest.mark.parametrize("index", [1.0, 1 + 1e-9, 1 - 1e-6, 1 + 1e-4, 1.4, 1.6])
def test_power_law_integral_is_smooth_through_index_one(index):
    """Value, first and second derivative in the index against closed forms in 50 digits."""
    with jax.enable_x64(True):
        f = lambda g: power_law_integral(1.0, 10.0, g, 1.0, 1.0)  # noqa: E731
        found = float(f(index)), float(jax.grad(f)(index)), float(jax.grad(jax.grad(f))(index))
    with mpmath.workdps(50):
        expected = [
            mpmath.quad(lambda e, k=k: (-mpmath.log(e)) ** k * e ** (-mpmath.mpf(index)), [1, 3, 10]) for k in range(3)
        ]
    np.testing.assert_allclose(found, [float(x) for x in expected], rtol=1e-12)


# gammapy itself divides by zero at index 1 and guards the result
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@rows
def test_gammapy_agrees(row):
    """Live: values to rounding; integrals to the 3e-4 that its numeric scheme allows for curved models."""
    gammapy = pytest.importorskip("gammapy.modeling.models")
    ours, theirs = row.make(), getattr(gammapy, row.model.__name__)(**row.values)
    assert ours.parameters.names == theirs.parameters.names
    energy = np.geomspace(0.1, 30, 11) * u.TeV
    np.testing.assert_allclose(ours(energy).value, theirs(energy).to_value(ours(energy).unit), rtol=1e-12)
    for name in ("integral", "energy_flux"):
        mine = getattr(ours, name)(1 * u.TeV, 10 * u.TeV)
        np.testing.assert_allclose(
            mine.value, getattr(theirs, name)(1 * u.TeV, 10 * u.TeV).to_value(mine.unit), rtol=3e-4
        )


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@rows
def test_gammapy_compatible_bins(row):
    """The compatibility mode is gammapy's scheme: equal to rounding, where the exact integral differs by 1e-4."""
    gammapy = pytest.importorskip("gammapy.modeling.models")
    theirs = getattr(gammapy, row.model.__name__)(**row.values)
    edges = np.geomspace(0.1, 30, 49)
    form = row.model.form
    with jax.enable_x64(True):
        found = np.asarray(flux_per_bin(form, bin_rule(edges, form, "gammapy"), tuple(row.theta)))
    expected = theirs.integral(edges[:-1] * u.TeV, edges[1:] * u.TeV).to_value("cm-2 s-1")
    # gammapy's own power law cancels beside index 1
    np.testing.assert_allclose(found, expected, rtol=2e-8 if row is TABLE["pl, index beside 1"] else 1e-9)


@rows
def test_error_band_is_the_exact_propagation(row):
    """J C J^T against a correctly scaled Monte Carlo with small errors, where the model is linear."""
    model = row.make()
    free = [i for i, p in enumerate(model.parameters) if not p.frozen]
    rng = np.random.default_rng(3)
    root = np.zeros((len(row.theta),) * 2)
    root[np.ix_(free, free)] = np.tril(rng.normal(size=(len(free),) * 2)) + 2 * np.eye(len(free))
    root *= (1e-4 * row.theta)[:, None]
    model.covariance = root @ root.T
    energy = np.array([0.7, 1.0, 5.0]) * u.TeV
    value, error = model.evaluate_error(energy)
    samples = row.theta + rng.normal(size=(20000, len(row.theta))) @ root.T
    with jax.enable_x64(True):
        drawn = np.asarray(jax.vmap(lambda t: row.model.form.evaluate(energy.value, *t))(samples))
    np.testing.assert_allclose(value.value, model(energy).value, rtol=1e-14)
    # the standard deviation of 20000 samples is known to 0.5 %
    np.testing.assert_allclose(error.value, drawn.std(axis=0), rtol=0.02)


def test_wrong_and_missing_units_are_refused():
    with pytest.raises(
        UnitError, match=r"amplitude: got 1e-12 without a unit, expected a quantity convertible to 'TeV-1"
    ):
        PowerLawSpectralModel(amplitude=1e-12)
    with pytest.raises(UnitError, match=r"reference: got unit 's', expected one convertible to 'TeV'"):
        PowerLawSpectralModel(reference=1 * u.s)
    with pytest.raises(UnitError, match="energy: got 2.0 without a unit"):
        PowerLawSpectralModel()(2.0)


def test_unknown_parameters_are_refused():
    with pytest.raises(InputError, match="unknown parameter 'gamma'; it has: index, amplitude, reference"):
        PowerLawSpectralModel(gamma=2)
    with pytest.raises(AttributeError, match="no attribute 'gamma'; its parameters are: index"):
        _ = PowerLawSpectralModel().gamma
    with pytest.raises(InputError, match=r"index: got 2; set the number with model.index.value"):
        PowerLawSpectralModel().index = 2


def test_models_have_unique_names_and_links_survive_a_snapshot():
    a, b = PowerLawSpectralModel(), PowerLawSpectralModel()
    b.index = a.index
    models = Models([SkyModel(a, name="a"), SkyModel(b, name="b")])
    snapshot = models.snapshot()
    assert snapshot["a"].spectral_model.index is snapshot["b"].spectral_model.index
    assert models.parameters_unique_names[0] == "a.spectral.index"
    with pytest.raises(ModelError, match="two different models are named 'a'"):
        Models([SkyModel(a, name="a"), SkyModel(b, name="a")])
    with pytest.raises(InputError, match="no model named 'c'; the names are: a, b"):
        models["c"]


def test_cutoff_has_no_nan_at_lambda_zero():
    with jax.enable_x64(True):
        f = lambda la: ExpCutoffPowerLawSpectralModel.form.evaluate(2.0, 1.5, 1.0, 1.0, la, 1.0)  # noqa: E731
        value, slope = float(f(0.0)), float(jax.grad(f)(0.0))
    assert slope == pytest.approx(-2.0 * value, rel=1e-12)


def test_negative_energy_range_is_refused():
    with pytest.raises(ModelError, match="expected 0 < energy_min < energy_max"):
        PowerLawSpectralModel().integral(2 * u.TeV, 1 * u.TeV)
