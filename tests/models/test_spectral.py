"""Every member of the table of spectral models passes these tests; a new model joins by one row of `tests/models/table.py`."""

from itertools import combinations, product

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    ExpCutoffPowerLawSpectralModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
)
from gammajax.errors import InputError, ModelError, UnitError
from gammajax.models import SPECTRAL_MODELS, bin_rule, flux_per_bin
from gammajax.models.functions import power_law_integral
from tests.models.table import TABLE, integral
from tests.problems import stacked

bins = jax.jit(flux_per_bin, static_argnums=0)
rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
# a row whose name has a comma is one more corner of the formula: nothing new for what only calls it
plain = pytest.mark.parametrize(
    "row", [r for k, r in TABLE.items() if "," not in k], ids=[k for k in TABLE if "," not in k]
)
with_gammapy = pytest.mark.parametrize(
    "row", [r for r in TABLE.values() if r.gammapy], ids=[k for k, r in TABLE.items() if r.gammapy]
)


def test_every_model_is_in_the_table():
    members = set()

    def add(model):
        members.add(type(model).__name__)
        for inner in ("model1", "model2", "model"):
            if inner in vars(model):
                add(getattr(model, inner))

    for row in TABLE.values():
        add(row.make())
    # the examples of the documentation define models of their own
    named = {c.__name__: c for c in SPECTRAL_MODELS.values() if c.__module__.startswith("gammajax.")}
    ours = {name for name in named if not name.startswith("Documented")}
    assert ours <= members


@rows
def test_value(row):
    energy = np.array([0.05, 0.9, 2.0, 30.0])
    with mpmath.workdps(30):
        theta = [mpmath.mpf(t) for t in row.theta]
        expected = [float(row.formula(mpmath.mpf(e), *theta)) for e in energy]
    model = row.make()
    found = model(energy * u.TeV).to_value(model.dnde_unit)
    # a rounding of the exponent of 1e-16 times its size, some hundreds in a cut-off; sums may cancel
    np.testing.assert_allclose(found, expected, rtol=3e-13, atol=1e-300)


def exact_bins(row, edges):
    with mpmath.workdps(25):
        theta = [mpmath.mpf(t) for t in row.theta]
        limits = [(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in edges]
        return np.array([float(integral(lambda e: row.formula(e, *theta), row.cuts(a, b, theta))) for a, b in limits])


def check_bins(row, per_decade, step):
    """1e-9 relative in bins above 1e-12 of the whole, absolute at that scale below (the promise of the design)."""
    edges = np.geomspace(0.1, 30, int(2.477 * per_decade) + 1)
    with jax.enable_x64(True):
        form = row.make().form
        found = np.asarray(bins(form, bin_rule(edges, form), tuple(row.theta)))
    # some of the bins, and those with a break
    theta = row.theta
    kinks = [*row.breaks, *(theta[k] for k in row.moving)][:6]
    some = {*range(0, len(found), step), len(found) - 1}
    some |= {int(k) for k in np.searchsorted(edges, kinks, side="right") - 1 if 0 <= k < len(found)}
    some = sorted(some)
    expected = exact_bins(row, [(edges[k], edges[k + 1]) for k in some])
    np.testing.assert_allclose(found[some], expected, rtol=1e-9, atol=1e-21 * np.abs(found).sum())


@rows
@pytest.mark.parametrize("per_decade", [5, 100])
def test_bin_integrals_are_exact(row, per_decade):
    check_bins(row, per_decade, step=max(1, int(2.477 * per_decade) // 3))


@pytest.mark.slow
@rows
@pytest.mark.parametrize("per_decade", [5, 17, 24, 40, 100])
def test_all_bin_integrals_are_exact(row, per_decade):
    check_bins(row, per_decade, step=1)


# a third of a bin over each kink: both sides count, and the moving ones are in the middle of the bin that is looked at
EDGES = np.geomspace(0.5, 20, 9)


DEAR = (
    "sbpl, sharper than a bin",
    "secpl-3fgl, a step",
    "secpl-4fgl, sharp",
    "secpl-4fgl-dr3, sharp",
    "ecpl, alpha 3",
    "bpl, indices 1",
    "gauss * pl-norm",
    "secpl-4fgl-dr3, index_2 negative",
    "secpl-4fgl-dr3, index_2 small",
    "bpl * ecpl-norm",
)


@pytest.mark.parametrize(
    "row", [pytest.param(r, id=k, marks=[pytest.mark.slow] * (k in DEAR)) for k, r in TABLE.items()]
)
def test_gradient_and_hessian_of_bin_integrals(row):
    """Against central differences of the mpmath integrals, first and second, in units of each parameter."""
    check_derivatives(row, mixed=False)


@pytest.mark.slow
@rows
def test_mixed_derivatives_of_bin_integrals(row):
    check_derivatives(row, mixed=True)


def check_derivatives(row, mixed):
    model, theta = row.make(), row.theta
    form, n = model.form, len(theta)
    unit = np.where(theta == 0, 1.0, theta)
    with jax.enable_x64(True):
        rule = bin_rule(EDGES, form)

        def integrals(shift):
            return flux_per_bin(form, rule, tuple(theta + shift * unit))

        zero = np.zeros(n)
        whole = np.abs(np.asarray(bins(form, rule, tuple(theta))))
        if n == 0:
            return
        slopes = jax.jacfwd(integrals)
        gradient, hessian = jax.jit(lambda z: (slopes(z), jax.jacfwd(slopes)(z)))(zero)
        gradient, hessian = np.asarray(gradient), np.asarray(hessian)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(hessian))
    np.testing.assert_allclose(hessian, hessian.transpose(0, 2, 1), atol=1e-12 * np.abs(hessian).max())
    scale, at = whole[3], 3
    # 24 nodes between two breaks are not enough for E to the power of hundreds
    degree = 7 if np.max(np.abs(theta)) > 100 else 4
    with mpmath.workdps(30):
        step = mpmath.mpf(10) ** -8
        lo, hi = (mpmath.mpf(float(e)) for e in EDGES[at : at + 2])

        def value(shift):
            t = [mpmath.mpf(float(p)) + s * mpmath.mpf(float(q)) for p, q, s in zip(theta, unit, shift, strict=True)]
            return integral(lambda e: row.formula(e, *t), row.cuts(lo, hi, t), degree=degree) / mpmath.mpf(float(scale))

        def along(**steps):
            shift = [0] * n
            for k, s in steps.items():
                shift[int(k[1:])] += s * step
            return value(shift)

        here = value([0] * n)
        for i in range(n):
            up, down = along(**{f"p{i}": 1}), along(**{f"p{i}": -1})
            assert gradient[at, i] / scale == pytest.approx(float((up - down) / (2 * step)), rel=2e-9, abs=1e-11)
            second = float((up - 2 * here + down) / step**2)
            assert hessian[at, i, i] / scale == pytest.approx(second, rel=2e-8, abs=1e-10)
            for j in range(i if mixed else 0):
                corners = [a * b * along(**{f"p{i}": a, f"p{j}": b}) for a in (1, -1) for b in (1, -1)]
                expected = float(mpmath.fsum(corners) / (4 * step**2))
                assert hessian[at, i, j] / scale == pytest.approx(expected, rel=2e-8, abs=1e-10)


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
QUIET = [
    pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]


def quiet(test):
    for mark in QUIET:
        test = mark(test)
    return test


@quiet
@with_gammapy
def test_gammapy_agrees(row):
    """Live: names, defaults, units; values to rounding."""
    gammapy = pytest.importorskip("gammapy.modeling.models")
    ours, theirs = row.make(), row.build(gammapy)
    assert ours.parameters.names == theirs.parameters.names
    for p, q in zip(ours.parameters, theirs.parameters, strict=True):
        assert p.unit.is_equivalent(q.unit)
        assert (p.value, p.frozen, p.interp) == (pytest.approx(q.value), q.frozen, q.interp)
    energy = np.geomspace(0.1, 30, 11) * u.TeV
    found, expected = ours(energy), theirs(energy)
    np.testing.assert_allclose(found.value, expected.to_value(found.unit), rtol=row.tolerance, atol=1e-300)


@quiet
@pytest.mark.parametrize("name", sorted({c.__name__ for c in SPECTRAL_MODELS.values() if c.declared}))
def test_defaults_are_those_of_gammapy(name):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    cls = SPECTRAL_MODELS[name]
    if not hasattr(gammapy, name) or not isinstance(cls.declared, tuple) or name in NEED_ARGUMENTS:
        pytest.skip("made from arguments, or not in gammapy")
    ours, theirs = cls(), getattr(gammapy, name)()
    assert tuple(cls.tag) == tuple(getattr(theirs, "tag", cls.tag))
    for p, q in zip(ours.parameters, theirs.parameters, strict=True):
        assert (p.name, p.value, p.frozen, p.interp) == (q.name, q.value, q.frozen, q.interp)
        assert p.unit == q.unit


NEED_ARGUMENTS = ("ScaleSpectralModel", "EBLAbsorptionNormSpectralModel")


@quiet
@with_gammapy
def test_gammapy_compatible_bins(row):
    """The compatibility mode is gammapy's scheme: equal to rounding, where the exact integral differs by up to 1e-2."""
    gammapy = pytest.importorskip("gammapy.modeling.models")
    theirs = row.build(gammapy)
    edges = np.geomspace(0.1, 30, 49)
    model = row.make()
    with jax.enable_x64(True):
        found = np.asarray(bins(model.form, bin_rule(edges, model.form, "gammapy"), tuple(row.theta)))
    expected = theirs.integral(edges[:-1] * u.TeV, edges[1:] * u.TeV)
    expected = expected.to_value(u.Unit(model.dnde_unit) * u.TeV)
    # gammapy's own power law cancels beside index 1, and its Gaussian in the tails
    cancels = 2e-8 if row is TABLE["pl, index beside 1"] else max(1e-9, row.tolerance)
    tails = 1e-15 * row.theta[0] if type(model).__name__ == "GaussianSpectralModel" else 1e-300
    # where a difference changes its sign gammapy gives numbers like 1e289
    sane = np.abs(expected) < 1e100
    assert np.mean(sane) > 0.95
    np.testing.assert_allclose(found[sane], expected[sane], rtol=cancels, atol=tails)


@pytest.fixture(scope="module")
def stacks(hess_files):
    """The H.E.S.S. data, ours and gammapy's."""
    datasets = pytest.importorskip("gammapy.datasets")
    return stacked(hess_files), datasets.Datasets(
        [datasets.SpectrumDatasetOnOff.read(p) for p in hess_files]
    ).stack_reduce(name="HESS")


@pytest.mark.slow
@quiet
# where a difference changes its sign gammapy's integrals are numbers like 1e289, which are folded into many bins
@pytest.mark.parametrize("row", [k for k, r in TABLE.items() if r.gammapy and "," not in k and k != "pl - bpl"])
def test_gammapy_predicts_the_same_counts(row, stacks):
    """Live, in the compatible mode; what has no unit multiplies a power law."""
    gammapy = pytest.importorskip("gammapy.modeling.models")
    ours, theirs = stacks
    model, other = TABLE[row].make(), TABLE[row].build(gammapy)
    if model.is_norm_spectral_model:
        model, other = PowerLawSpectralModel() * model, gammapy.PowerLawSpectralModel() * other
    ours.models, ours.compatibility = SkyModel(model, name="crab"), "gammapy"
    theirs.models = gammapy.SkyModel(spectral_model=other, name="crab")
    found, expected = ours.npred_signal().data, np.squeeze(theirs.npred_signal().data)
    # gammapy keeps exposure and dispersion in single precision
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-12 * np.abs(expected).max())


@plain
@pytest.mark.parametrize(("name", "weight"), [("integral", 0), ("energy_flux", 1)])
def test_integral_and_energy_flux(row, name, weight):
    """Over a decade and more, with breaks inside, against mpmath."""
    model = row.make()
    found = getattr(model, name)(1 * u.TeV, 12 * u.TeV).to_value(u.Unit(model.dnde_unit) * u.TeV ** (1 + weight))
    with mpmath.workdps(25):
        theta = [mpmath.mpf(t) for t in row.theta]
        cuts = row.cuts(mpmath.mpf(1), mpmath.mpf(12), theta)
        points = sorted({*cuts, *(mpmath.mpf(p) for p in (2, 4, 7))})
        expected = float(integral(lambda e: e**weight * row.formula(e, *theta), points))
    assert found == pytest.approx(expected, rel=2e-9)


@rows
def test_spectral_index(row):
    """-d ln dnde/d ln E, exact, against differences in mpmath."""
    energy = np.array([0.2, 1.7, 3.3])
    with mpmath.workdps(40):
        theta, h = [mpmath.mpf(t) for t in row.theta], mpmath.mpf(10) ** -12

        def log(e):
            return mpmath.log(abs(row.formula(e, *theta)))

        expected = [float((log(mpmath.mpf(e) / (1 + h)) - log(mpmath.mpf(e) * (1 + h))) / (2 * h)) for e in energy]
    model = row.make()
    # where a cut-off has left no flux there is no index
    expected = np.where(model(energy * u.TeV).value == 0, np.nan, expected)
    np.testing.assert_allclose(model.spectral_index(energy * u.TeV), expected, rtol=1e-9, atol=1e-10)


@plain
def test_error_band_is_the_exact_propagation(row):
    """J C J^T against a correctly scaled Monte Carlo with small errors, where the model is linear."""
    model, theta = row.make(), row.theta
    if not len(theta):
        return
    free = [i for i, p in enumerate(model.parameters) if not p.frozen] or list(range(len(theta)))
    rng = np.random.default_rng(3)
    root = np.zeros((len(theta),) * 2)
    root[np.ix_(free, free)] = np.tril(rng.normal(size=(len(free),) * 2)) + 2 * np.eye(len(free))
    root *= (1e-6 * np.where(theta == 0, 1.0, theta))[:, None]
    model.covariance = root @ root.T
    energy = np.array([0.7, 1.0, 5.0]) * u.TeV
    value, error = model.evaluate_error(energy)
    samples = theta + rng.normal(size=(20000, len(theta))) @ root.T
    with jax.enable_x64(True):
        drawn = np.asarray(jax.jit(jax.vmap(lambda t: model.form.evaluate(energy.value, *t)))(samples))
    np.testing.assert_allclose(value.value, model(energy).value, rtol=1e-14)
    # the standard deviation of 20000 samples is known to 0.5 %
    np.testing.assert_allclose(error.to_value(model.dnde_unit), drawn.std(axis=0), rtol=0.02)


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


separable = [k for k in TABLE if TABLE[k].make().form.separable]


@pytest.mark.parametrize("name", separable)
def test_separable_parameters_enter_by_a_factor_each(name):
    """f(x, y) f(x0, y0) = f(x, y0) f(x0, y), for every pair of them, at values on both sides of those of the table."""
    row = TABLE[name]
    form, theta, energy = row.make().form, row.theta, np.geomspace(0.1, 20, 9)
    at = [form.names.index(n) for n in form.separable]

    def values(changed):
        return np.asarray(form.evaluate(energy, *(t * changed.get(i, 1.0) for i, t in enumerate(theta))))

    with jax.enable_x64(True):
        for x, y in combinations(at, 2):
            for a, b in product((0.6, 1.5), repeat=2):
                together, apart = values({x: a, y: b}) * values({}), values({x: a}) * values({y: b})
                np.testing.assert_allclose(together, apart, rtol=1e-12)


def test_which_models_are_separable():
    known = {type(TABLE[k].make()).__name__: TABLE[k].make().form.separable for k in separable}
    assert known["LogParabolaSpectralModel"] == ("alpha", "beta")
    assert known["ExpCutoffPowerLawSpectralModel"] == ("index", "lambda_")
    assert TABLE["bpl * ecpl-norm"].make().form.separable == ("model2_index", "model2_lambda_")


log_linear = [k for k in TABLE if TABLE[k].make().form.log_slopes is not None]


@pytest.mark.parametrize("factor", [1.0, 1.7])
@pytest.mark.parametrize("name", log_linear)
def test_log_slopes_are_the_derivatives_of_the_logarithm(name, factor):
    """And do not depend on the parameters that they belong to."""
    row, energy = TABLE[name], np.geomspace(0.1, 20, 9)
    form = row.make().form
    at = [form.names.index(n) for n in form.log_linear]
    theta = [t * factor if i in at else t for i, t in enumerate(row.theta)]
    with jax.enable_x64(True):
        values, jacobian = (
            form.evaluate(energy, *theta),
            jax.jacfwd(lambda t: form.evaluate(energy, *t))(np.array(theta)),
        )
        for i, slope in zip(at, form.log_slopes(energy, *row.theta), strict=True):
            np.testing.assert_allclose(jacobian[:, i], slope * values, rtol=1e-12, atol=0)
