"""Every kind of data set, source and prior in one table: the solver's derivatives, fits and scans are those of the plain function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy import optimize

from gammajax import (
    Datasets,
    Fit,
    FoVBackgroundModel,
    FunctionModel,
    GaussianPenalty,
    GaussianPrior,
    Likelihood,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
    SystematicsModel,
    XYDataset,
)
from gammajax.errors import DataError, InputError, ModelError, UnitError
from tests.problems import crab_model, embedded

EDGES, TRUE = np.geomspace(0.5, 20, 13) * u.TeV, np.geomspace(0.3, 30, 41) * u.TeV
# not the shape of a source: the norm of the background is known from the lowest bins
BACKGROUND = np.geomspace(20000, 1, 12)


def power_law(name="src"):
    return SkyModel(PowerLawSpectralModel(index=2.3, amplitude=2e-11 * u.Unit("cm-2 s-1 TeV-1")), name=name)


def known_background(stat_type="cash"):
    d = SpectrumDataset.from_arrays(
        np.zeros(12), BACKGROUND, exposure=np.full(40, 6e13) * u.Unit("cm2 s"), energy_edges=EDGES,
        energy_true_edges=TRUE, name="known", stat_type=stat_type,
    )  # fmt: skip
    d.models = power_law()
    d.fake(3)
    return d


def with_background_model():
    d = known_background()
    background = FoVBackgroundModel("known")
    background.spectral_model.tilt.frozen = False
    d.models = [power_law(), background]
    return Datasets(d)


def with_systematics(**factors):
    d = embedded()
    systematics = SystematicsModel("HESS", **factors)
    for p in systematics.parameters.free_parameters:
        p.prior = GaussianPrior(mu=1.0, sigma=0.1)
    d.models = [crab_model(), systematics]
    return Datasets(d)


def with_prior_on_a_strength():
    d = embedded()
    model = crab_model()
    model.spectral_model.amplitude.prior = GaussianPrior(mu=3e-11, sigma=3e-12)
    model.spectral_model.alpha.prior = GaussianPrior(mu=2.2, sigma=0.2)
    d.models = model
    return Datasets(d)


def with_penalty():
    d = embedded()
    model = crab_model()
    pars = model.spectral_model
    penalty = GaussianPenalty([pars.alpha, pars.beta], [2.3, 0.2], [[0.04, -0.01], [-0.01, 0.02]])
    d.models = Models(model, [penalty])
    return Datasets(d)


def decay(x, a, b, c):
    return a * jnp.exp(-b * x) + c


X = np.linspace(0, 4, 30)


def xy(stat_type="chi2"):
    rng = np.random.default_rng(1)
    model = FunctionModel(decay, {"a": 20.0, "b": 1.0, "c": 5.0})
    expected = 30 * np.exp(-1.3 * X) + 10
    if stat_type == "chi2":
        return Datasets(XYDataset(X, expected + rng.normal(0, 1, 30), 1.0, model=model))
    return Datasets(XYDataset(X, rng.poisson(expected), stat_type=stat_type, model=model))


def mixture():
    """ON/OFF, known background and points in one fit, the index shared by two sources."""
    on_off, known, points = embedded(), known_background(), xy()[0]
    on_off.models = crab_model()
    other = power_law()
    other.spectral_model.index = on_off.models["crab"].spectral_model.alpha
    known.models = other
    return Datasets([on_off, known, points])


def exact_kind():
    d = with_systematics(background=1.0)
    return d


def in_gammapys_mode():
    """A factor on alpha where negative predictions are cut: by differentiating the whole."""
    datasets = with_systematics(background=1.0)
    datasets[0].compatibility = "gammapy"
    return datasets


def function():
    def stat(theta, data):
        x, y = theta
        return (data - x) ** 2 + 10 * (y - x * x) ** 2 + jnp.cosh(y) - 1

    return Likelihood.from_function(stat, {"x": 0.5, "y": 0.4}, data=np.array(1.0))


TABLE = {
    "cash": lambda: Datasets(known_background()),
    "cstat": lambda: Datasets(known_background("cstat")),
    "background model": with_background_model,
    "effective area": lambda: with_systematics(effective_area=1.0),
    "energy scale": lambda: with_systematics(energy_scale=1.0),
    "all systematics": lambda: with_systematics(energy_scale=1.0, effective_area=1.0, background=1.0),
    "factor on the background": exact_kind,
    "factor in gammapy's mode": in_gammapys_mode,
    "priors": with_prior_on_a_strength,
    "penalty": with_penalty,
    "xy, chi2": xy,
    "xy, cash": lambda: xy("cash"),
    "xy, cstat": lambda: xy("cstat"),
    "mixture": mixture,
    "function": function,
}
# their parts are rows of their own
LONG = ("all systematics", "factor in gammapy's mode", "mixture")
rows = pytest.mark.parametrize(
    "make", [pytest.param(v, id=k, marks=pytest.mark.slow if k in LONG else ()) for k, v in TABLE.items()]
)


def likelihood_of(data):
    return data if not isinstance(data, Datasets) else Likelihood(data)


@rows
def test_derivatives_are_those_of_the_function(make):
    """The folded form, over all bins and over those of the fit alone, against differentiating the sum over bins."""
    like = likelihood_of(make())
    scale, n = like.scale, len(like.start)
    theta = like.start * (1 + 0.01 * np.cos(np.arange(n)))
    # the likelihood is made without them
    theta[list(like.idle)] = 1.0
    with jax.enable_x64(True):
        f = lambda x: like.stat(x * scale)  # noqa: E731
        x = theta / scale
        everything = jax.jit(lambda x: (f(x), jax.grad(f)(x), jax.hessian(f)(x)))
        value, gradient, hessian = (np.asarray(a) for a in everything(x))
        compact = like.compact()
        active = tuple(range(n))

        def scores(c, t):
            strengths = [t[i] for i in c.linear(active)]
            return c.scores(c.fold(list(t), active), strengths, active), c.stat(list(t))

        folded, again = jax.jit(scores)(compact, theta)
        ways = [jax.jit(lambda c, t: c.scoring(t))(like, theta), folded]
        assert float(again) == pytest.approx(float(value), rel=1e-12)
    for stat, g, first, second in ways:
        assert float(stat) == pytest.approx(float(value), rel=1e-12)
        np.testing.assert_allclose(np.asarray(g) * scale, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())
        whole = np.asarray(first + second) * np.outer(scale, scale)
        np.testing.assert_allclose(whole, hessian, rtol=1e-8, atol=1e-8 * np.abs(hessian).max())
        assert np.linalg.eigvalsh(np.asarray(first) * np.outer(scale, scale))[0] >= -1e-8 * np.abs(hessian).max()


@rows
def test_fit_reaches_what_scipy_reaches(make):
    data = make()
    like = likelihood_of(data)
    free, scale = like.free, like.scale
    with jax.enable_x64(True):
        f = jax.jit(lambda x: like.stat(jnp.asarray(like.start / scale).at[np.flatnonzero(free)].set(x) * scale))
        g = jax.jit(jax.grad(f))
        low, high = like.lower[free] / scale[free], like.upper[free] / scale[free]
        best = optimize.minimize(
            lambda x: float(f(x)), (like.start / scale)[free], jac=lambda x: np.asarray(g(x)), method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)), options={"ftol": 1e-15, "gtol": 1e-7, "maxiter": 2000},
        )  # fmt: skip
        if not np.any((best.x <= low) | (best.x >= high)):
            h = jax.jit(jax.hessian(f))
            best = optimize.minimize(
                lambda x: float(f(x)), best.x, jac=lambda x: np.asarray(g(x)), hess=lambda x: np.asarray(h(x)),
                method="trust-exact", options={"gtol": 1e-9},
            )  # fmt: skip
    for backend in ("minuit", "newton"):
        result = Fit(data, backend=backend).run()
        assert result.success, str(result)
        # MIGRAD stops at an EDM of 1e-4
        assert result.total_stat == pytest.approx(best.fun, abs=1e-6 if backend == "newton" else 1e-3)
    if isinstance(data, Datasets):
        assert data.stat_sum() == pytest.approx(result.total_stat, rel=1e-10)


@rows
def test_profiles_equal_a_re_fit_by_scipy(make):
    """One parameter of each problem, re-optimised by the batched program, node by node against scipy."""
    data = make()
    fit = Fit(data, backend="newton")
    result = fit.run()
    like = likelihood_of(data).renewed()
    name = like.names[int(np.flatnonzero(like.free)[-1])]
    p = result.parameters[name]
    values = p.value + np.array([-1.0, 0.7]) * p.error
    scan = fit.stat_grid({name: values}, reoptimize=True)
    assert np.all(scan.status == 0), scan.status
    i = like.names.index(name)
    factor = like.table.factor[i]
    free = like.free.copy()
    free[i] = False
    scale = like.scale
    with jax.enable_x64(True):
        full = lambda x, v: jnp.asarray(like.start).at[i].set(v).at[np.flatnonzero(free)].set(x * scale[free])  # noqa: E731
        f = jax.jit(lambda x, v: like.stat(full(x, v)))
        g, h = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
        for value, found in zip(values * factor, scan["stat_scan"], strict=True):
            out = optimize.minimize(
                lambda x, v=value: float(f(x, v)), like.start[free] / scale[free],
                jac=lambda x, v=value: np.asarray(g(x, v)), hess=lambda x, v=value: np.asarray(h(x, v)),
                method="trust-exact", options={"gtol": 1e-8},
            )  # fmt: skip
            assert found == pytest.approx(out.fun, abs=1e-6)


def test_backends_agree_on_a_function():
    for backend in ("newton", "minuit", "scipy"):
        result = Fit(
            Likelihood.from_function(lambda t: (t[0] - 3) ** 2 + t[1] ** 4, {"x": 1.0, "y": 1.0}), backend=backend
        ).run()
        # MIGRAD stops at an EDM of 1e-4
        assert result.parameters["x"].value == pytest.approx(3.0, abs=0.02)
        assert np.isnan(result.dof)


def test_intervals_and_contours_of_a_function():
    """Known in closed form: a correlated Gaussian."""
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]])
    inverse = np.linalg.inv(covariance)
    fit = Fit(Likelihood.from_function(lambda t, m: t @ m @ t, {"x": 0.3, "y": 0.2}, data=inverse), backend="newton")
    result = fit.run()
    np.testing.assert_allclose(
        result.covariance_data if hasattr(result, "covariance_data") else result.covariance.data, covariance, rtol=1e-8
    )
    out = fit.confidence("x", sigma=2)
    assert out["errp"] == pytest.approx(2 * 2**0.5, rel=1e-5)
    contour = fit.stat_contour("x", "y", sigma=1, numpoints=12)
    points = np.stack([contour["x"], contour["y"]])
    np.testing.assert_allclose(np.einsum("in,ij,jn->n", points, inverse, points), 1.0, atol=1e-4)


def test_new_numbers_of_a_prior_are_seen_and_compile_nothing():
    data = with_prior_on_a_strength()
    before = Likelihood(data).structure
    first = Fit(data, backend="newton").run()
    data.models["crab"].spectral_model.alpha.prior = GaussianPrior(mu=2.9, sigma=0.01)
    second = Fit(data, backend="newton").run()
    assert abs(second.parameters["alpha"].value - 2.9) < 0.02 < abs(first.parameters["alpha"].value - 2.9)
    # equal structure is the same program
    assert Likelihood(data).structure == before
    assert hash(Likelihood(data).structure) == hash(before)


def test_energy_scale_shifts_a_power_law_as_its_amplitude():
    r""":math:`\phi(E/s)/s` of a power law is the same with the amplitude times :math:`s^{\Gamma-1}`."""
    d = embedded()
    s = 1.2
    spectrum = PowerLawSpectralModel(index=2.5, amplitude=3e-11 * u.Unit("cm-2 s-1 TeV-1"))
    d.models = SkyModel(spectrum, name="a")
    before = d.npred_signal().data
    d.models = [SkyModel(spectrum, name="a"), SystematicsModel("HESS", energy_scale=s)]
    np.testing.assert_allclose(d.npred_signal().data, before * s**1.5, rtol=1e-12)


def test_known_background_equals_gammapy():
    datasets, maps = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.maps")
    models, irf = pytest.importorskip("gammapy.modeling.models"), pytest.importorskip("gammapy.irf")
    modeling = pytest.importorskip("gammapy.modeling")
    d = known_background()
    axis, true = maps.MapAxis.from_energy_edges(EDGES), maps.MapAxis.from_energy_edges(TRUE, name="energy_true")
    geom, geom_true = (maps.RegionGeom.create("icrs;circle(0, 0, 0.1)", axes=[a]) for a in (axis, true))
    theirs = datasets.SpectrumDataset(
        counts=maps.RegionNDMap(geom, data=d.counts.data.reshape(-1, 1, 1)),
        background=maps.RegionNDMap(geom, data=BACKGROUND.reshape(-1, 1, 1)),
        exposure=maps.RegionNDMap(geom_true, data=d.exposure.data.reshape(-1, 1, 1), unit="cm2 s"),
        edisp=irf.EDispKernelMap.from_diagonal_response(axis, true),
        name="known",
    )
    spectrum = models.PowerLawSpectralModel(index=2.3, amplitude=2e-11 * u.Unit("cm-2 s-1 TeV-1"))
    background = models.FoVBackgroundModel(dataset_name="known")
    background.spectral_model.tilt.value = 0.1
    theirs.models = [models.SkyModel(spectrum, name="src"), background]
    ours = FoVBackgroundModel("known")
    ours.spectral_model.tilt.value = 0.1
    d.models = [power_law(), ours]
    assert d.models.parameters_unique_names == theirs.models.parameters_unique_names
    np.testing.assert_allclose(d.npred_background().data, theirs.npred_background().data.ravel(), rtol=1e-6)
    np.testing.assert_allclose(d.npred_signal().data, theirs.npred_signal().data.ravel(), rtol=1e-6)
    assert d.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)
    expected = modeling.Fit().run(theirs)
    found = Fit(d).run()
    # gammapy's errors are those of MIGRAD, without HESSE: here 10 % too small for an amplitude and a norm that are correlated
    for a, b in zip(found.parameters, expected.parameters, strict=True):
        assert a.value == pytest.approx(b.value, abs=5e-3 * b.error + 1e-300)
        assert a.error == pytest.approx(b.error, rel=0.15)


def test_table_of_parameters_of_every_kind_of_source():
    models = Models([*with_systematics(background=1.0).models, FunctionModel(decay, {"a": 1.0, "b": 1.0, "c": 0.0})])
    table = models.to_parameters_table()
    assert table["type"].tolist() == ["spectral"] * 4 + ["systematics"] * 3 + ["function"] * 3
    assert table["model"].tolist()[-1] == "model"


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="chi2 needs the errors of y"):
        XYDataset([1.0], [1.0])
    with pytest.raises(InputError, match="leave error out"):
        XYDataset([1.0], [1.0], 0.1, stat_type="cash")
    with pytest.raises(DataError, match=r"data: y has shape \(2,\), expected \(1,\)"):
        XYDataset([1.0], [1.0, 2.0], 0.1)
    with pytest.raises(DataError, match="expected a FunctionModel, a function of x"):
        XYDataset([1.0], [1.0], 0.1, model=power_law())
    with pytest.raises(InputError, match="expected one argument for each of x, a, b, in this order"):
        FunctionModel(lambda x, a: a * x, {"a": 1.0, "b": 2.0})
    with pytest.raises(ModelError, match=r"returned shape \(2,\), expected a scalar"):
        Likelihood.from_function(lambda t: t, {"a": 1.0, "b": 2.0})
    with pytest.raises(ModelError, match="has no known background that a background model could scale"):
        Likelihood(_set(embedded(), [crab_model(), FoVBackgroundModel("HESS")]))
    two = [SystematicsModel("HESS"), SystematicsModel("HESS", name="other")]
    with pytest.raises(ModelError, match="has 2 systematics models; give it one at most"):
        Likelihood(_set(embedded(), [crab_model(), *two]))
    with pytest.raises(InputError, match="free the norm of its background with FoVBackgroundModel"):
        Likelihood(_set(known_background(), [power_law(), SystematicsModel("known", background=1.0)]))
    with pytest.raises(UnitError, match="scaled with a model without unit"):
        FoVBackgroundModel("a", PowerLawSpectralModel())
    with pytest.raises(ModelError, match="one function of the parameters, without bins"):
        function().npred([1.0, 2.0])
    with pytest.raises(DataError, match=r"background\[0\] is -1, expected at least 0"):
        SpectrumDataset.from_arrays(
            np.zeros(12), -1.0, exposure=np.full(40, 3e12) * u.Unit("cm2 s"), energy_edges=EDGES, energy_true_edges=TRUE
        )


def _set(dataset, models):
    dataset.models = models
    return dataset
