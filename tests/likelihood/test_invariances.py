"""What must not change anything: order, splitting, copies, freezing, another form of the same model, compilation.

The structures are few and fixed, so that little is compiled; values and data are drawn.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from hypothesis import given, settings
from hypothesis import strategies as st

from gammajax import (
    Datasets,
    Fit,
    FunctionModel,
    Likelihood,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    XYDataset,
)
from gammajax.fit.problem import derivatives
from tests.problems import small

# the same examples each time; a first one compiles
FEW = settings(max_examples=20, deadline=None, derandomize=True, database=None)
# sums in another order differ in their last bits
BITS = 1e-12
FLUX = u.Unit("cm-2 s-1 TeV-1")

# compiled once
stat_program = jax.jit(lambda like, t: like.stat(t))
batch_program = jax.jit(jax.vmap(lambda like, t: like.stat(t), (None, 0)))

seeds = st.integers(0, 2**32 - 1)


def log_parabola(**changes):
    arguments = {"amplitude": 1e-11 * FLUX, "reference": 1 * u.TeV, "alpha": 2.3, "beta": 0.2}
    return LogParabolaSpectralModel(**(arguments | changes))


def power_law():
    return PowerLawSpectralModel(index=2.3, amplitude=1e-11 * FLUX, reference=1 * u.TeV)


def spectrum(seed, name="small", **changes):
    """Six bins with drawn counts, some of them 0."""
    rng = np.random.default_rng(seed)
    return small(n_on=rng.poisson(6, 6), n_off=rng.poisson(15, 6), name=name, **changes)


def at(likelihood, **values):
    theta = likelihood.start.copy()
    for name, value in values.items():
        theta[likelihood.names.index(f"source.spectral.{name}")] = value
    return theta


def drawn(likelihood, seed):
    rng = np.random.default_rng(seed)
    return at(
        likelihood, amplitude=10 ** rng.uniform(-12, -10), alpha=rng.uniform(1.2, 3.5), beta=rng.uniform(-0.2, 0.5)
    )


def agree(one, other, factor=1.0, order=slice(None)):
    """Statistic, gradient and Hessian, the second ones in the order of the first."""
    np.testing.assert_allclose(other[0], factor * one[0], rtol=1e-11, atol=1e-11)
    # parameters have units: compare in units of each one's own curvature
    size = np.sqrt(np.abs(np.diag(one[2]))) + 1e-300
    gradient, hessian = other[1][order], other[2][order][:, order]
    np.testing.assert_allclose(gradient / size, factor * one[1] / size, rtol=1e-9, atol=1e-9 * factor)
    both = np.outer(size, size)
    np.testing.assert_allclose(hessian / both, factor * one[2] / both, rtol=1e-9, atol=1e-9 * factor)


def joined(datasets, spectral=None):
    many = Datasets(datasets)
    many.models = SkyModel(spectral or log_parabola(), name="source")
    return Likelihood(many)


@FEW
@given(seed=seeds, order=st.permutations(range(3)))
def test_order_of_the_data_sets(seed, order):
    sets = [spectrum(seed + k, f"set-{k}") for k in range(3)]
    one, other = joined(sets), joined([sets[k] for k in order])
    theta = drawn(one, seed)
    agree(derivatives(one, theta), derivatives(other, theta))


@FEW
@given(seed=seeds)
def test_masks_split_a_data_set_into_parts_that_add_up(seed):
    rng = np.random.default_rng(seed)
    d = spectrum(seed)
    mask = rng.random(6) < 0.5
    # neither part may be empty
    mask[:2] = True, False
    parts = []
    for m in (np.ones(6, dtype=bool), mask, ~mask):
        d.mask_fit = m
        one = joined([d.copy(name="x")])
        # a copy keeps the mask
        assert one.n_bins_in_fit == m.sum()
        parts.append(derivatives(one, drawn(one, seed)))
    whole, left, right = parts
    agree(whole, tuple(a + b for a, b in zip(left, right, strict=True)))


@FEW
@given(seed=seeds)
def test_copies_scale_the_statistic(seed):
    k = 3
    d = spectrum(seed)
    one, other = joined([d]), joined([d.copy(name=f"set-{i}") for i in range(k)])
    theta = drawn(one, seed)
    agree(derivatives(one, theta), derivatives(other, theta), factor=k)


def test_a_fit_of_copies_has_smaller_errors():
    fits = []
    for k in (1, 3):
        many = Datasets([spectrum(3).copy(name=f"set-{i}") for i in range(k)])
        many.models = SkyModel(log_parabola(), name="source")
        result = Fit(many, backend="newton").run()
        assert result.success
        fits.append(result)
    one, three = fits
    np.testing.assert_allclose(three.parameters.value, one.parameters.value, rtol=1e-7)
    np.testing.assert_allclose(three.covariance.data * 3, one.covariance.data, rtol=1e-6, atol=0)
    assert three.total_stat == pytest.approx(3 * one.total_stat, rel=1e-12)


@FEW
@given(seed=seeds)
def test_a_log_parabola_without_curvature_is_a_power_law(seed):
    d = spectrum(seed)
    curved = joined([d.copy(name="x")])
    straight = joined([d.copy(name="x")], power_law())
    rng = np.random.default_rng(seed)
    amplitude, index = 10 ** rng.uniform(-12, -10), rng.uniform(0.8, 3.5)
    one = derivatives(curved, at(curved, amplitude=amplitude, alpha=index, beta=0.0))
    other = derivatives(straight, at(straight, amplitude=amplitude, index=index))
    names = ("amplitude", "alpha"), ("amplitude", "index")
    i, j = ([like.names.index(f"source.spectral.{n}") for n in names[k]] for k, like in enumerate((curved, straight)))
    # bins are integrated by nodes on one side and in closed form on the other: 1e-9 each
    assert one[0] == pytest.approx(other[0], rel=1e-8, abs=1e-8)
    size = np.sqrt(np.abs(np.diag(other[2])[j]))
    np.testing.assert_allclose(one[1][i] / size, other[1][j] / size, rtol=1e-6, atol=1e-7)
    both = np.outer(size, size)
    np.testing.assert_allclose(one[2][np.ix_(i, i)] / both, other[2][np.ix_(j, j)] / both, rtol=1e-6, atol=1e-7)


def test_a_frozen_curvature_is_none():
    results = []
    for spectral in (log_parabola(beta=0.0), power_law()):
        d = spectrum(3)
        d.models = SkyModel(spectral, name="source")
        for p in d.models.parameters:
            p.frozen = p.frozen or p.name == "beta"
        results.append(Fit(d, backend="newton").run())
    curved, straight = results
    assert curved.success
    assert straight.success
    assert curved.n_free == straight.n_free == 2
    assert curved.total_stat == pytest.approx(straight.total_stat, rel=1e-9)
    for name, other in (("amplitude", "amplitude"), ("alpha", "index")):
        a, b = curved.parameters[name], straight.parameters[other]
        assert a.value == pytest.approx(b.value, abs=1e-6 * b.error)
        assert a.error == pytest.approx(b.error, rel=1e-6)


@FEW
@given(seed=seeds, background=st.floats(0.5, 50))
@pytest.mark.filterwarnings("ignore:.*hold fractional counts")
def test_asimov_data_have_no_gradient_at_the_truth(seed, background):
    template = spectrum(seed)
    template.models = SkyModel(log_parabola(), name="source")
    like = Likelihood(template)
    theta = drawn(like, seed)
    for value, p in zip(theta, template.models.parameters, strict=True):
        p.value = value / p.factor
    expected = template.npred_signal().data
    off = np.full(6, background)
    asimov = small(n_on=expected + 0.1 * off, n_off=off)
    asimov.models = template.models
    stat, gradient, hessian = derivatives(Likelihood(asimov), theta)
    free = like.free
    size = np.sqrt(np.diag(hessian)[free])
    # in units of the error: rounding of counts of up to a thousand
    np.testing.assert_allclose(gradient[free] / size, 0, atol=1e-9)
    # W is 0 where the prediction meets both counts
    assert stat == pytest.approx(0, abs=1e-9)


@settings(FEW, max_examples=3)
@given(seed=seeds)
def test_compiled_or_not(seed):
    like = joined([spectrum(seed)])
    theta = drawn(like, seed)
    with jax.enable_x64(True):
        compiled = stat_program(like, theta)
        assert float(compiled) == pytest.approx(float(like.stat(jnp.asarray(theta))), rel=BITS, abs=BITS)


@FEW
@given(seed=seeds)
def test_a_batch_of_points_is_each_of_them(seed):
    like = joined([spectrum(seed)])
    points = np.array([drawn(like, seed + k) for k in range(5)])
    with jax.enable_x64(True):
        batch = np.asarray(batch_program(like, points))
    np.testing.assert_allclose(batch, [derivatives(like, p)[0] for p in points], rtol=1e-11, atol=1e-11)


# -- points and functions of one's own -------------------------------------------------------------------------------


def saturating(x, a, b, c):
    return a * (1 - jnp.exp(-b * x)) + c


def reordered(x, c, a, b):
    return saturating(x, a, b, c)


def without_c(x, a, b):
    return saturating(x, a, b, 0.5)


X = np.linspace(0.2, 6, 12)
START = {"a": 4.0, "b": 0.6, "c": 0.5}


def points(seed):
    rng = np.random.default_rng(seed)
    return 5 * (1 - np.exp(-0.8 * X)) + 0.5 + 0.2 * rng.standard_normal(12), 0.1 + 0.2 * rng.random(12)


@FEW
@given(seed=seeds, order=st.permutations(range(12)))
def test_order_of_the_points(seed, order):
    y, error = points(seed)
    order = np.array(order)
    model = FunctionModel(saturating, START)
    one = Likelihood(XYDataset(X, y, error, model=model))
    other = Likelihood(XYDataset(X[order], y[order], error[order], model=model))
    agree(derivatives(one, one.start), derivatives(other, other.start))


@FEW
@given(seed=seeds)
def test_order_of_the_parameters(seed):
    y, error = points(seed)
    one = Fit(XYDataset(X, y, error, model=FunctionModel(saturating, START)), backend="newton").run()
    names = ("c", "a", "b")
    model = FunctionModel(reordered, {n: START[n] for n in names})
    other = Fit(XYDataset(X, y, error, model=model), backend="newton").run()
    assert one.success == other.success
    assert other.total_stat == pytest.approx(one.total_stat, rel=1e-10)
    order = [names.index(n) for n in START]
    np.testing.assert_allclose(np.array(other.parameters.value)[order], one.parameters.value, rtol=1e-7)
    # the covariance changes with the parameters, these by 1e-9 of their errors
    np.testing.assert_allclose(other.covariance.data[np.ix_(order, order)], one.covariance.data, rtol=1e-5)


@FEW
@given(seed=seeds, cut=st.integers(3, 9))
def test_two_data_sets_are_one(seed, cut):
    # two shapes for each cut: few are compiled, since cuts repeat
    y, error = points(seed)
    model = FunctionModel(saturating, START)
    whole = Likelihood(XYDataset(X, y, error, model=model))
    parts = [XYDataset(X[s], y[s], error[s], name=n) for n, s in (("low", slice(cut)), ("high", slice(cut, None)))]
    both = Datasets(parts)
    both.models = model
    split = Likelihood(both)
    with jax.enable_x64(True):
        assert float(split.stat(split.start)) == pytest.approx(float(whole.stat(whole.start)), rel=BITS)


@FEW
@given(seed=seeds)
def test_a_frozen_parameter_is_a_removed_one(seed):
    y, error = points(seed)
    model = FunctionModel(saturating, START)
    model.parameters["c"].frozen = True
    frozen = Fit(XYDataset(X, y, error, model=model), backend="newton").run()
    removed = FunctionModel(without_c, {n: START[n] for n in ("a", "b")})
    other = Fit(XYDataset(X, y, error, model=removed), backend="newton").run()
    assert frozen.success == other.success
    assert frozen.dof == other.dof
    assert frozen.total_stat == pytest.approx(other.total_stat, rel=1e-12)
    np.testing.assert_allclose(frozen.parameters.value[:2], other.parameters.value, rtol=1e-8)
    np.testing.assert_allclose(frozen.covariance.data[:2, :2], other.covariance.data, rtol=1e-6)
    assert np.all(frozen.covariance.data[2] == 0)


@pytest.mark.parametrize("stat_type", ["chi2", "cash", "cstat"])
@FEW
@given(a=st.floats(1, 50), b=st.floats(0.1, 2), c=st.floats(0.1, 5))
@pytest.mark.filterwarnings("ignore:.*hold fractional counts")
def test_asimov_points(stat_type, a, b, c):
    y = a * (1 - np.exp(-b * X)) + c
    error = 0.3 if stat_type == "chi2" else None
    d = XYDataset(X, y, error, stat_type=stat_type, model=FunctionModel(saturating, {"a": a, "b": b, "c": c}))
    like = Likelihood(d)
    _, gradient, hessian = derivatives(like, like.start)
    np.testing.assert_allclose(gradient / np.sqrt(np.diag(hessian)), 0, atol=1e-11)
