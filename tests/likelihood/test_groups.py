"""Joint likelihoods are the sums of those of their data sets, and data sets of equal structure are compiled as one."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gammajax import (
    GTI,
    Datasets,
    ExpDecayTemporalModel,
    Fit,
    FoVBackgroundModel,
    FunctionModel,
    GaussianPrior,
    Likelihood,
    Models,
    SkyModel,
    SpectrumDataset,
    SystematicsModel,
    XYDataset,
)
from gammajax.likelihood import parts_of
from gammajax.solve import derivatives
from gammajax.solve.point import _of_compact, _ready
from gammajax.units import double_precision
from tests.problems import crab_model, small

EDGES = {"energy_edges": np.geomspace(0.5, 20, 7) * u.TeV, "energy_true_edges": np.geomspace(0.3, 30, 9) * u.TeV}


def runs(n=3):
    """Runs of one instrument: other counts, exposures and fit ranges."""
    out = []
    for k in range(n):
        d = small(
            n_on=[12 + k, 9 - k % 4, 7, 4 + k, 1, k],
            alpha=0.1 + 0.02 * k,
            exposure=np.geomspace(1e12, 2e13, 8) * (1 + 0.3 * k) * u.Unit("cm2 s"),
            name=f"run{k}",
        )
        d.mask_fit = d.counts.geom.energy_mask((0.5 + 0.4 * (k % 2)) * u.TeV, 20 * u.TeV)
        out.append(d)
    return out


def with_models(datasets, *models):
    datasets = Datasets(datasets)
    datasets.models = Models(list(models))
    return datasets


def plain():
    return with_models(runs(), crab_model())


def mixed():
    """Two runs around one with another axis, and one in gammapy's mode."""
    first, second, third = runs()
    other = small(energy_true_edges=np.geomspace(0.2, 40, 9) * u.TeV, name="other")
    third.compatibility = "gammapy"
    return with_models([first, other, second, third], crab_model())


def permuted():
    """The same with the other order, and two groups that are interleaved."""
    first, second, third = runs()
    others = [small(energy_true_edges=np.geomspace(0.2, 40, 9) * u.TeV, alpha=a, name=f"other{a}") for a in (0.1, 0.2)]
    return with_models([others[1], third, first, others[0], second], crab_model())


def systematics(prior=False, shared=False, **factors):
    datasets = runs(4)
    members = [SystematicsModel(d.name, **factors) for d in datasets]
    for k, m in enumerate(members):
        for p in m.parameters.free_parameters:
            p.value += 0.02 * k
            if prior:
                p.prior = GaussianPrior(mu=1.0, sigma=0.1)
    if shared:
        # one factor for each two runs
        members[1].effective_area = members[0].effective_area
        members[3].effective_area = members[2].effective_area
    return with_models(datasets, crab_model(), *members)


def background_factors():
    """Factors on alpha in every way: one for two runs, one by a formula, one that is an area factor as well, one beside other axes."""
    datasets = [*runs(5), small(energy_true_edges=np.geomspace(0.2, 40, 9) * u.TeV, alpha=0.2, name="other")]
    members = [SystematicsModel(d.name, effective_area=1.0, background=1.05) for d in datasets]
    members[1].background = members[0].background
    members[2].effective_area = members[2].background
    members[4].background.link(members[3].background, factor=0.5, offset=0.6)
    members[5].background = members[3].background
    # of one run alone: the sum over the runs counts it once
    members[2].background.prior = GaussianPrior(mu=1.0, sigma=0.1)
    return with_models(datasets, crab_model(), *members)


def own_models(*linked):
    """A model for each run; some of its parameters are the same for all."""
    datasets, models = runs(), []
    for k, d in enumerate(datasets):
        m = crab_model().copy(name=f"model{k}")
        m.datasets_names = [d.name]
        m.spectral_model.amplitude.value *= 1 + 0.1 * k
        m.spectral_model.alpha.value += 0.1 * k
        for name in linked if k else ():
            setattr(m.spectral_model, name, getattr(models[0].spectral_model, name))
        models.append(m)
    return with_models(datasets, *models)


def backgrounds():
    """Known backgrounds, each with a norm and one with a tilt that are fitted."""
    datasets = []
    dispersion = np.clip(np.eye(8, 6, -1) * 0.6 + np.eye(8, 6) * 0.2 + np.eye(8, 6, -2) * 0.2, 0, 1)
    for k in range(3):
        datasets.append(
            SpectrumDataset.from_arrays(
                counts=[14 + k, 9, 7, 4, 1, 0],
                background=np.linspace(6, 1, 6) * (1 + 0.2 * k),
                exposure=np.geomspace(1e12, 2e13, 8) * u.Unit("cm2 s"),
                edisp=dispersion,
                livetime=1000 * u.s,
                name=f"known{k}",
                **EDGES,
            )
        )
    models = [FoVBackgroundModel(dataset_name=d.name) for d in datasets]
    models[1].spectral_model.tilt.frozen = False
    models[2].spectral_model.norm.value = 1.1
    return with_models(datasets, crab_model(), *models)


def held_backgrounds():
    """The same, with nothing of the backgrounds fitted."""
    datasets = backgrounds()
    for m in list(datasets.models)[1:]:
        m.spectral_model.norm.frozen = m.spectral_model.tilt.frozen = True
    return datasets


def variable():
    """A source that decays, in runs of different nights."""
    datasets = runs()
    for k, d in enumerate(datasets):
        d.gti = GTI.create(0 * u.h, (1 + k) * u.h, reference_time=Time("2010-01-01T00:00:00", scale="tt") + k * u.d)
    decay = ExpDecayTemporalModel(t0=2 * u.d, t_ref=55197 * u.d)
    decay.t0.frozen = False
    return with_models(
        datasets, SkyModel(spectral_model=crab_model().spectral_model, temporal_model=decay, name="crab")
    )


def points():
    """Values at points that differ from data set to data set; the third has more of them."""
    datasets = []
    for k, n in enumerate((9, 9, 12)):
        x = np.linspace(1, 5 + k, n)
        datasets.append(XYDataset(x, 2 / x + 0.1 * np.sin(7 * x), np.full(n, 0.1), name=f"points{k}"))
    return with_models(datasets, FunctionModel(lambda x, a, b: a * x**b, {"a": 2.0, "b": -1.0}, name="line"))


TABLE = {
    "plain": (plain, ((0, 1, 2),)),
    "mixed": (mixed, ((0, 2), (1,), (3,))),
    "permuted": (permuted, ((0, 3), (1, 2, 4))),
    "areas": (lambda: systematics(effective_area=1.0, prior=True), ((0, 1, 2, 3),)),
    "areas of two": (lambda: systematics(effective_area=1.0, shared=True), ((0, 1, 2, 3),)),
    "scales": (lambda: systematics(energy_scale=1.0, effective_area=1.0), ((0, 1, 2, 3),)),
    "backgrounds of runs": (lambda: systematics(background=1.0), ((0, 1, 2, 3),)),
    "backgrounds in every way": (background_factors, ((0, 1, 2, 3), (4,), (5,))),
    "amplitudes": (lambda: own_models("reference", "alpha", "beta"), ((0, 1, 2),)),
    "own models": (lambda: own_models("beta"), ((0, 1, 2),)),
    "known backgrounds": (backgrounds, ((0, 1, 2),)),
    "variable": (variable, ((0, 1, 2),)),
    "points": (points, ((0, 1), (2,))),
}
# what most people have; the others take as long again
FAST = ("permuted", "amplitudes", "known backgrounds")


def alone(dataset, models):
    """A data set by itself, with the very parameters of the joint fit."""
    single = dataset.copy(name=dataset.name)
    single.models = Models([m for m in models if m.shows_in(dataset.name)])
    return Likelihood(single)


def summed(like, datasets, theta):
    """Statistic, gradient and Hessian of the joint fit, from each data set by itself; priors once."""
    p = len(theta)
    stat, gradient, hessian = 0.0, np.zeros(p), np.zeros((p, p))
    where = {id(q): i for i, q in enumerate(like.unique)}
    arrays, predicted = [], []
    for d in datasets:
        single = alone(d, datasets.models)
        at = np.array([where[id(q)] for q in single.unique])
        s, g, h = derivatives(single, theta[at])
        stat, gradient[at] = stat + s, gradient[at] + g
        hessian[np.ix_(at, at)] += h
        with double_precision():
            a, n = (np.asarray(v) for v in _per_bin(single, theta[at]))
        arrays.append(a)
        predicted.append(n)
    return stat, gradient, hessian, np.concatenate(arrays), np.concatenate(predicted)


_per_bin = jax.jit(lambda likelihood, theta: (likelihood.stat_array(theta), likelihood.npred(theta)))
_stat = jax.jit(lambda likelihood, theta: (likelihood.stat(theta), likelihood.npred_signal(theta)))


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in TABLE])
def test_a_joint_likelihood_is_the_sum_of_its_data_sets(name):
    make, expected = TABLE[name]
    datasets = make()
    like = Likelihood(datasets)
    assert like.groups == expected
    theta = np.where(like.free, like.start * np.linspace(1.0, 1.03, len(like.start)), like.start)
    found = derivatives(like, theta)
    stat, gradient, hessian, arrays, predicted = summed(like, datasets, theta)
    # a position has the unit of its parameter; what is compared is of the order of the statistic
    unit = np.where(theta != 0, np.abs(theta), 1.0)
    both = unit[:, None] * unit[None, :]
    # sums in another order: 1e-11 of the largest entry is a hundred times their rounding
    size = np.abs(hessian * both).max()
    assert found[0] == pytest.approx(stat, rel=1e-12)
    np.testing.assert_allclose(found[1] * unit, gradient * unit, rtol=1e-10, atol=1e-12 * size)
    np.testing.assert_allclose(found[2] * both, hessian * both, rtol=1e-10, atol=1e-11 * size)
    with double_precision():
        np.testing.assert_allclose(_per_bin(like, theta)[0], arrays, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(_per_bin(like, theta)[1], predicted, rtol=1e-12)
        value, signals = _stat(like, theta)
        assert float(value) == pytest.approx(stat, rel=1e-12)
        assert [len(s) for s in signals] == list(like.n_bins) == [d.mask_array.size for d in datasets]
        # the form of the batched solver, over the bins in the fit only
        compact = np.asarray(jax.jit(_packed)(like.compact(), theta))
    p = len(theta)
    assert compact[0] == pytest.approx(stat, rel=1e-12)
    np.testing.assert_allclose(compact[1 : 1 + p] * unit, gradient * unit, rtol=1e-10, atol=1e-12 * size)
    matrix = compact[1 + p : 1 + p + p * p].reshape(p, p)
    np.testing.assert_allclose(matrix * both, hessian * both, rtol=1e-10, atol=1e-11 * size)
    assert compact[-1] == pytest.approx(stat, rel=1e-12)


def _packed(compact, theta):
    scalars = list(theta)
    stat, gradient, first, second = _of_compact(compact, theta)
    parts = [stat[None], gradient, (first + second).ravel(), compact.stat(scalars)[None]]
    return jax.numpy.concatenate(parts)


def parts(make):
    """The bins of the fit in two parts, as functions of all free parameters, and where to evaluate them."""
    like = Likelihood(make())
    halves = [[np.asarray(d.mask) & (np.arange(len(d.mask)) % 2 == k) for d in like.data] for k in range(2)]
    return parts_of(like, halves, np.flatnonzero(like.free)), like.start[like.free] * 1.02


@pytest.mark.parametrize(
    "name",
    ["permuted", *(pytest.param(n, marks=pytest.mark.slow) for n in ("mixed", "scales", "variable", "backgrounds in every way"))],
)  # fmt: skip
def test_parts_of_groups_are_those_of_single_data_sets(name, monkeypatch):
    make = TABLE[name][0]
    together, theta = parts(make)
    monkeypatch.setattr("gammajax.likelihood.core.grouped", lambda *a: ())
    single, _ = parts(make)
    assert together[0].whole.groups == TABLE[name][1]
    assert single[0].whole.groups == ()
    program = jax.jit(_packed)
    for one, other in zip(together, single, strict=True):
        with double_precision():
            a, b = np.asarray(program(one, theta)), np.asarray(program(other, theta))
        p = len(theta)
        unit = np.concatenate([[1.0], theta, np.outer(theta, theta).ravel(), [1.0]])
        assert len(a) == len(unit) == 2 + p + p * p
        # sums in another order: a thousand times their rounding
        np.testing.assert_allclose(a * unit, b * unit, rtol=1e-10, atol=1e-12 * np.abs(b * unit).max())


def size_of(like):
    """Number of operations in the program of a point."""
    with double_precision():
        return _count(jax.make_jaxpr(lambda L, t: L.scoring(t))(like, like.start).jaxpr)


def _count(jaxpr):
    inner = [v for e in jaxpr.eqns for p in e.params.values() for v in (p if isinstance(p, list | tuple) else [p])]
    inner = [getattr(v, "jaxpr", v) for v in inner]
    return len(jaxpr.eqns) + sum(_count(v) for v in inner if hasattr(v, "eqns"))


@pytest.mark.parametrize("nuisance", [None, "effective_area", "background"])
def test_programs_do_not_grow_with_the_number_of_data_sets(nuisance):
    def sizes(n):
        datasets = runs(n)
        own = [SystematicsModel(d.name, **{nuisance: 1.0}) for d in datasets] if nuisance else []
        for m in own:
            getattr(m, nuisance).prior = GaussianPrior(mu=1.0, sigma=0.1)
        return size_of(Likelihood(with_models(datasets, crab_model(), *own)))

    few, many = sizes(4), sizes(24)
    # sums are written out in columns: some more for twenty data sets, by the version of JAX, where each by itself takes hundreds
    assert many < few + 600
    assert few < 4000


def test_moving_fit_ranges_and_other_counts_compile_nothing():
    datasets = with_models(runs(6), crab_model())
    like = Likelihood(datasets)
    for k, d in enumerate(datasets):
        d.mask_fit = d.counts.geom.energy_mask((0.5 + 0.3 * (k % 3)) * u.TeV, 15 * u.TeV)
        d.fake(k)
    moved = Likelihood(datasets)
    # programs are looked up by static structure and shapes
    assert _ready(moved).kind == _ready(like).kind
    assert _ready(moved, compact=True).kind == _ready(like, compact=True).kind


def test_the_order_of_the_data_sets_does_not_matter():
    first, second, third = runs()
    a = Likelihood(with_models([first, second, third], crab_model()))
    b = Likelihood(with_models([third, first, second], crab_model()))
    at = a.start * 1.01
    for x, y in zip(derivatives(a, at), derivatives(b, at), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-11)
    with double_precision():
        x, y = (np.split(np.asarray(_per_bin(like, at)[0]), 3) for like in (a, b))
    np.testing.assert_allclose([x[2], x[0], x[1]], y, rtol=1e-12)


def test_arrays_are_kept_as_long_as_the_data_stay_the_same():
    datasets = with_models(runs(), crab_model())
    first, again = Likelihood(datasets), Likelihood(datasets)
    assert again.joined[0] is first.joined[0]
    datasets[1].counts.data[2] += 1
    changed = Likelihood(datasets)
    assert changed.joined[0] is not first.joined[0]
    assert derivatives(changed, first.start)[0] != derivatives(first, first.start)[0]


def test_a_transformation_rebuilds_bins_and_data_sets():
    like = Likelihood(permuted())
    again = jax.tree.unflatten(*jax.tree.flatten(like)[::-1])
    assert again.n_bins == like.n_bins
    assert again.n_bins_in_fit == like.n_bins_in_fit == sum(int(np.sum(d.mask)) for d in like.data)


@pytest.mark.slow
@pytest.mark.parametrize("make", [plain, held_backgrounds])
def test_scans_and_simulations_of_groups_are_those_of_single_data_sets(monkeypatch, make):
    def results():
        datasets = make()
        fit = Fit(datasets, backend="newton")
        fitted = fit.run()
        spectrum = datasets.models[0].spectral_model
        spectrum.alpha.scan_n_values = spectrum.beta.scan_n_values = 70
        surface = fit.stat_surface(spectrum.alpha, spectrum.beta)
        goodness = fit.goodness_of_fit(n_toys=20, random_state=3)
        return fitted.total_stat, surface.stat, goodness.p_value

    together = results()
    monkeypatch.setattr("gammajax.likelihood.core.grouped", lambda *a: ())
    single = results()
    assert together[0] == pytest.approx(single[0], rel=1e-12)
    np.testing.assert_allclose(together[1], single[1], rtol=1e-10)
    assert together[2] == single[2]
