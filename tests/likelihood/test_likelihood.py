import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax import Datasets, ExpCutoffPowerLawSpectralModel, Fit, Likelihood, PowerLawSpectralModel, SkyModel
from gammajax.errors import DataError, InputError, ModelError, PrecisionError
from tests.problems import crab_model, embedded, small


@pytest.fixture
def likelihood():
    d = small()
    d.models = crab_model()
    return Likelihood(d)


def test_names_units_and_start(likelihood):
    assert likelihood.names == tuple(f"crab.spectral.{n}" for n in ("amplitude", "reference", "alpha", "beta"))
    assert likelihood.units[0] == "1 / (TeV s cm2)"
    np.testing.assert_allclose(likelihood.start, [1e-11, 1, 2.3, 0.2])
    assert likelihood.free.tolist() == [True, False, True, True]
    np.testing.assert_allclose(likelihood.upper, [np.inf, np.inf, 3, np.inf])
    assert np.all((likelihood.start / likelihood.scale >= 1) & (likelihood.start / likelihood.scale < 10))


def test_single_precision_is_refused_with_the_line_to_add(likelihood):
    with pytest.raises(PrecisionError, match=r"jax.config.update\('jax_enable_x64', True\)"):
        jax.jit(likelihood.stat)(likelihood.start)


# what is handed over for theta, by the start vector
NO_VECTOR = {
    "too short": lambda theta: theta[:2],
    "too long": lambda theta: np.append(theta, 1.0),
    "several": lambda theta: np.stack([theta] * 3),
    "by name": lambda theta: {"alpha": 2.0},
    "one number": lambda theta: 2.0,
}


@pytest.mark.parametrize("name", NO_VECTOR)
def test_theta_of_another_shape_is_refused_not_cut_or_filled(likelihood, name):
    theta = NO_VECTOR[name](likelihood.start)
    own = Likelihood.from_function(lambda t: (t[0] - 1) ** 2 + t[1] ** 2, {"a": 0.0, "b": 0.0})
    text = "theta has shape .*, expected .*frozen ones included; for many vectors at once take jax.vmap"
    with jax.enable_x64(True):
        for function in (
            likelihood.stat,
            likelihood.stat_array,
            likelihood.npred,
            likelihood.scoring,
            jax.jit(likelihood.stat),
        ):
            with pytest.raises(InputError, match=text):
                function(theta)
        with pytest.raises(InputError, match=text):
            own.stat(np.ones(3))
        assert np.shape(jax.vmap(likelihood.stat)(np.stack([likelihood.start] * 3))) == (3,)
        assert float(likelihood.stat(list(likelihood.start))) == float(likelihood.stat(likelihood.start))


def test_another_number_of_parameters_on_the_same_data_is_another_program():
    """A model on another data set changes nothing of the mathematics, and theta gets longer."""
    d = small()
    found = []
    for more in (0, 1, 2):
        others = [SkyModel(PowerLawSpectralModel(), name=f"other {k}", datasets_names=["another"]) for k in range(more)]
        d.models = [crab_model(), *others]
        found.append(Fit(d, backend="newton").run().total_stat)
    assert found[1:] == pytest.approx([found[0]] * 2, abs=1e-9)


def test_parts_add_up(likelihood):
    d = small()
    d.models = crab_model()
    with jax.enable_x64(True):
        array = likelihood.stat_array(likelihood.start)
        assert float(likelihood.stat(likelihood.start)) == pytest.approx(float(array.sum()))
        np.testing.assert_allclose(likelihood.npred(likelihood.start), d.npred().data, rtol=1e-12)
    np.testing.assert_allclose(array, d.stat_array(), rtol=1e-12)


@pytest.mark.slow
def test_transformations_agree(likelihood):
    """jit, grad, hessian and vmap; scoring against jax.hessian, gradient against finite differences."""
    scale = likelihood.scale
    with jax.enable_x64(True):
        f = lambda x: likelihood.stat(x * scale)  # noqa: E731
        x = likelihood.start / scale
        gradient, hessian = np.asarray(jax.grad(f)(x)), np.asarray(jax.hessian(f)(x))
        stat, g, first, second = (
            np.asarray(a) for a in jax.jit(lambda L, t: L.scoring(t))(likelihood, likelihood.start)
        )
        h = first + second
        step = 1e-5
        shifts = x + step * np.concatenate([np.eye(4), -np.eye(4)])
        values = np.asarray(jax.vmap(jax.jit(f))(shifts))
        assert float(f(x)) == pytest.approx(float(stat), rel=1e-14)
    np.testing.assert_allclose(g * scale, gradient, rtol=1e-10)
    np.testing.assert_allclose(h * np.outer(scale, scale), hessian, rtol=1e-9, atol=1e-9 * np.abs(hessian).max())
    np.testing.assert_allclose((values[:4] - values[4:]) / (2 * step), gradient, rtol=1e-7, atol=1e-6)


CORNERS = {
    "amplitude 0": {0: 0.0},
    "negative amplitude": {0: -1e-13},
    "on the upper limit": {2: 3.0},
    "no curvature": {3: 0.0},
    "tiny amplitude": {0: 1e-300},
    "steep": {2: 30.0},
}


@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS.keys())
@pytest.mark.parametrize("counts", [{}, {"n_on": [0] * 6}, {"n_off": [0] * 6}, {"n_on": [0] * 6, "n_off": [0] * 6}])
def test_no_nan_at_the_corners(corner, counts):
    d = small(**counts)
    d.models = crab_model()
    likelihood = Likelihood(d)
    theta = likelihood.start.copy()
    for i, value in corner.items():
        theta[i] = value
    with jax.enable_x64(True):
        out = likelihood.scoring(theta)
        gradient = jax.grad(likelihood.stat)(theta)
        hessian = jax.hessian(likelihood.stat)(theta)
    for array in (*out, gradient, hessian):
        assert not np.any(np.isnan(np.asarray(array)))


def test_nan_in_a_masked_bin_poisons_nothing():
    d = small()
    d.models = crab_model()
    d.mask_fit = np.array([True, True, True, True, True, False])
    clean = Likelihood(d)
    dirty = Likelihood(d)
    with jax.enable_x64(True):
        leaves, tree = jax.tree.flatten(dirty)
        edisp = next(i for i, leaf in enumerate(leaves) if leaf.ndim == 2 and leaf.shape == (8, 6))
        leaves[edisp] = leaves[edisp].at[:, 5].set(jnp.nan)
        dirty = jax.tree.unflatten(tree, leaves)
        for a, b in zip(clean.scoring(clean.start)[:3], dirty.scoring(clean.start)[:3], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_pytree_round_trip(likelihood):
    leaves, tree = jax.tree.flatten(likelihood)
    again = jax.tree.unflatten(tree, leaves)
    with jax.enable_x64(True):
        assert float(again.stat(likelihood.start)) == float(likelihood.stat(likelihood.start))
    assert again.names == likelihood.names
    with pytest.raises(ModelError, match="holds no start vector"):
        _ = again.start


class CompileCounter(logging.Handler):
    """Counts what JAX says that it compiles."""

    def __init__(self):
        super().__init__()
        self.names = []

    def emit(self, record):
        message = record.getMessage()
        if message.startswith("Compiling"):
            self.names.append(message.split()[1])


@pytest.fixture
def compilations():
    counter = CompileCounter()
    logger = logging.getLogger("jax._src.interpreters.pxla")
    level = logger.level
    logger.addHandler(counter)
    logger.setLevel(logging.DEBUG)
    yield counter
    logger.removeHandler(counter)
    logger.setLevel(level)


def test_the_counter_counts(compilations):
    jax.jit(lambda x: x + 1.2345)(np.ones(3, dtype=np.float32))
    assert compilations.names


def test_values_and_second_likelihoods_compile_nothing(compilations):
    """A new value, another free parameter, other names, another mask, other counts: the same programs."""
    # other tests may have compiled these programs already
    jax.clear_caches()
    d = embedded()
    d.npred_signal()
    fit = Fit([d], backend="newton")
    fit.run()
    fit.stat_surface("alpha", "beta", [2, 2.1], [0, 0.1], reoptimize=True)
    fit.stat_profile("alpha")
    before = len(compilations.names)
    assert before
    spectrum = d.models["crab"].spectral_model
    spectrum.alpha.value, spectrum.beta.value = 2.2, 0.1
    fit.run()
    spectrum.beta.frozen = True
    fit.run()
    spectrum.beta.frozen = False
    other = embedded().copy(name="another")
    other.models = SkyModel(crab_model().spectral_model, name="renamed")
    other.fake(3)
    other.mask_fit = other.counts.geom.energy_mask(1 * u.TeV, 20 * u.TeV)
    second = Fit([other], backend="newton")
    second.run()
    # scans run over the bins in the fit only, their number rounded up: a mask that moves a little keeps it
    other.mask_fit = other.counts.geom.energy_mask(d.counts.geom.axis.edges[1], None)
    second.run()
    second.stat_surface("alpha", "beta", [2, 2.1, 2.2], [0, 0.1], reoptimize=True)
    assert compilations.names[before:] == []


def test_users_own_jit_compiles_once_per_structure(compilations):
    jax.clear_caches()
    stat = jax.jit(lambda L, t: L.stat(t))
    with jax.enable_x64(True):
        for seed in range(3):
            d = embedded()
            d.fake(seed)
            likelihood = Likelihood(d)
            before = len(compilations.names)
            stat(likelihood, likelihood.start + 0.0)
            assert (len(compilations.names) > before) == (seed == 0)


def test_joint_fit_shares_what_is_shared():
    a, b = small(name="a"), small(name="b", n_on=[8, 8, 8, 4, 2, 1])
    datasets = Datasets([a, b])
    datasets.models = crab_model()
    joint = Likelihood(datasets)
    assert len(joint.names) == 4
    assert joint.n_bins == (6, 6)
    with jax.enable_x64(True):
        single = [float(Likelihood(d).stat(joint.start)) for d in (a, b)]
        assert float(joint.stat(joint.start)) == pytest.approx(sum(single), rel=1e-13)


def test_links_enter_once():
    first, second = PowerLawSpectralModel(), ExpCutoffPowerLawSpectralModel()
    second.index = first.index
    d = small()
    d.models = [SkyModel(first, name="a"), SkyModel(second, name="b")]
    likelihood = Likelihood(d)
    assert likelihood.names.count("a.spectral.index") == 1
    assert "b.spectral.index" not in likelihood.names
    with jax.enable_x64(True):
        separate = [np.asarray(_alone(m)) for m in (first, second)]
        np.testing.assert_allclose(likelihood.npred_signal(likelihood.start)[0], sum(separate), rtol=1e-12)


def _alone(model):
    d = small()
    d.models = SkyModel(model, name="x")
    return d.npred_signal().data


def test_what_cannot_be_fitted_is_refused():
    d = small()
    with pytest.raises(ModelError, match=r"data set 'small' has no model; set one: dataset.models = SkyModel"):
        Likelihood(d)
    d.models = crab_model()
    d.mask_fit = np.zeros(6, dtype=bool)
    with pytest.raises(DataError, match="no bins left in the fit of small"):
        Likelihood(d)
    dark = small(exposure=np.zeros(8) * u.Unit("cm2 s"))
    dark.models = crab_model()
    with pytest.raises(DataError, match="there is no exposure in the bins of the fit"):
        Likelihood(dark)
    blind = small(alpha=None, acceptance_off=0.0)
    blind.models = crab_model()
    with pytest.raises(DataError, match=r"alpha is 0 in bin 0, which is in the fit"):
        Likelihood(blind)


def test_derivatives_of_a_log_parabola_whose_curvature_follows_its_index():
    """The shortcut of log-linear parameters is for the parameters themselves, not for what is put through a link."""
    d = small()
    d.models = crab_model()
    spectrum = d.models[0].spectral_model
    spectrum.beta.link(spectrum.alpha, factor=0.3, offset=-0.4)
    likelihood = Likelihood(d)
    scale = likelihood.scale
    with jax.enable_x64(True):
        f = lambda x: likelihood.stat(x * scale)  # noqa: E731
        gradient, hessian = (np.asarray(jax.jit(d(f))(likelihood.start / scale)) for d in (jax.grad, jax.hessian))
        scores = jax.jit(lambda L, t: L.scoring(t))(likelihood, likelihood.start)
        _, g, first, second = (np.asarray(a) for a in scores)
    np.testing.assert_allclose(g * scale, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())
    h = (first + second) * np.outer(scale, scale)
    np.testing.assert_allclose(h, hessian, rtol=1e-9, atol=1e-9 * np.abs(hessian).max())
