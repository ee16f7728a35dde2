"""The joint fit of the Crab Nebula with one energy scale per instrument, as in Nigro et al. 2019, A&A 625, A10."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from gammajax import Datasets, Fit, GaussianPrior, Likelihood, Models, SpectrumDatasetOnOff, SystematicsModel
from gammajax.errors import FitError, InputError
from tests.problems import crab_model, embedded, joint, small

# standard deviations of the energy scales that the paper assumes
SCALES = {"hess": 0.15, "magic": 0.15, "fermi": 0.05}


def with_energy_scales(folder):
    datasets = joint(folder)
    members = [crab_model()]
    for name, sigma in SCALES.items():
        systematics = SystematicsModel(name, energy_scale=1.0)
        systematics.energy_scale.prior = GaussianPrior(mu=1.0, sigma=sigma)
        members.append(systematics)
    datasets.models = Models(members)
    return datasets


def test_a_factor_that_the_likelihood_is_made_without_is_not_moved_in_silence(hess_files):
    dataset = SpectrumDatasetOnOff.read(hess_files[0])
    systematics = SystematicsModel(dataset.name, effective_area=1.0)
    dataset.models = Models([crab_model(), systematics])
    like = Likelihood(dataset)
    names = [like.names[i].rsplit(".", 1)[1] for i in like.idle]
    assert names == ["energy_scale", "background"]
    moved = like.start.copy()
    moved[like.idle[0]] = 1.1
    with jax.enable_x64(True):
        assert np.isfinite(like.stat(like.start))
        for call in (like.stat, like.stat_array, like.npred, like.npred_signal):
            with pytest.raises(
                InputError,
                match=r"theta moves .*energy_scale, frozen at 1 when the likelihood was made.*\.frozen = False",
            ):
                call(moved)
        stat = jax.jit(like.stat)
        assert stat(like.start) == pytest.approx(float(like.stat(like.start)), rel=1e-12)
        assert np.isnan(stat(moved))
        slope = jax.grad(like.stat)(jnp.asarray(like.start))
        assert np.isfinite(slope).all()
        assert slope[like.idle[0]] == 0
    # what it was made without stays so, whatever the model says later
    systematics.energy_scale.frozen = False
    with jax.enable_x64(True), pytest.raises(InputError, match="theta moves"):
        like.stat(moved)
    again = Likelihood(dataset)
    with jax.enable_x64(True):
        assert again.stat(moved) != again.stat(like.start)


@pytest.mark.slow
def test_energy_scales_of_the_joint_crab(gammapy_data):
    folder = gammapy_data / "joint-crab" / "spectra"
    plain = Fit(joint(folder), backend="newton").run()
    datasets = with_energy_scales(folder)
    fit = Fit(datasets, backend="newton")
    result = fit.run()
    assert result.success
    like = Likelihood(datasets)
    free, scale = np.flatnonzero(like.free), like.scale[like.free]
    assert len(free) == 6
    with jax.enable_x64(True):
        f = jax.jit(lambda x: like.stat(jnp.asarray(like.start).at[free].set(x * scale)))
        g, h = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
        best = optimize.minimize(
            lambda x: float(f(x)), like.start[free] / scale * 1.02, jac=lambda x: np.asarray(g(x)),
            hess=lambda x: np.asarray(h(x)), method="trust-exact", options={"gtol": 1e-9},
        )  # fmt: skip
    assert result.total_stat == pytest.approx(best.fun, abs=1e-6)
    # scales that may move can only help, and less than their priors allow
    constants = sum(2 * np.log(s) + np.log(2 * np.pi) for s in SCALES.values())
    assert result.total_stat - constants <= plain.total_stat + 1e-6
    for name, sigma in SCALES.items():
        p = result.parameters[f"{name}-sys.systematics.energy_scale"]
        assert abs(p.value - 1) < 3 * sigma
        assert 0 < p.error <= sigma * 1.01
    # what is not known of the scales is not known of the amplitude
    assert result.parameters["amplitude"].error > plain.parameters["amplitude"].error
    interval = fit.confidence("alpha")
    assert interval["success"]
    assert isinstance(datasets, Datasets)


@pytest.mark.slow
@pytest.mark.parametrize(("free", "reoptimize"), [(True, True), (False, True), (False, False)])
def test_surfaces_know_a_factor_on_the_background(free, reoptimize, monkeypatch):
    """Where tables of predictions, which do not know alpha, are taken for grids of any size."""
    monkeypatch.setattr("gammajax.scan.surface.WORTH", 0)
    dataset, systematics = embedded(), SystematicsModel("HESS", background=1.2)
    systematics.background.frozen = not free
    if free:
        # with a prior there are no tables
        systematics.background.prior = GaussianPrior(mu=1.0, sigma=0.1)
    dataset.models = Models([crab_model(), systematics])
    fit = Fit(dataset, backend="newton")
    best = fit.run()
    spectrum = dataset.models[0].spectral_model
    for p in (spectrum.alpha, spectrum.beta):
        p.scan_values = p.value + p.error * np.linspace(-1, 1, 40)
    surface = fit.stat_surface(spectrum.alpha, spectrum.beta, reoptimize=reoptimize)
    spectrum.alpha.frozen = spectrum.beta.frozen = True
    for i, j in ((0, 0), (7, 33), (39, 20)):
        spectrum.alpha.value, spectrum.beta.value = spectrum.alpha.scan_values[i], spectrum.beta.scan_values[j]
        if reoptimize:
            expected = Fit(dataset, backend="newton").run().total_stat
        else:
            spectrum.amplitude.value = best.parameters["amplitude"].value
            like = Likelihood(dataset)
            with jax.enable_x64(True):
                expected = float(like.stat(like.start))
        # both are minima to an EDM of 1e-9
        assert surface.stat[i, j] == pytest.approx(expected, abs=1e-7)


def test_a_factor_that_is_left_out_is_not_scanned():
    """Frozen at 1 it is in no program: the scan was level."""
    d = small(n_on=[120, 90, 70, 40, 10, 3])
    factors = SystematicsModel("small")
    area = factors.effective_area
    d.models = [crab_model(), factors]
    fit = Fit(d, backend="newton")
    area.scan_values = [0.9, 1.0, 1.1]
    for scan in (fit.stat_profile, lambda p: fit.stat_profiles([p], reoptimize=False)):
        with pytest.raises(FitError, match="effective_area is frozen at 1, .* free it"):
            scan(area)
    area.frozen = False
    stat = fit.stat_profile(area).stat
    expected = []
    for value in area.scan_values:
        area.value = value
        expected.append(d.stat_sum())
    np.testing.assert_allclose(stat, expected, rtol=1e-10)
    assert np.ptp(stat) > 1
