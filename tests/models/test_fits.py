"""Every model fitted to the H.E.S.S. data, from the class's own defaults: no peer finds a lower statistic.

The data have no counts above 8.9 TeV, which a cut-off describes the better the sharper it is: models that can make a step run
away to one, and the fit has to say so.
"""

import numpy as np
import pytest
from astropy import units as u

import gammajax.models as gm
from gammajax import Fit, Likelihood, SkyModel
from tests.problems import stacked

# one per class with free parameters; what is started elsewhere than at its defaults says why
FITS = {
    "ConstantSpectralModel": {},
    "PowerLawSpectralModel": {},
    "PowerLaw2SpectralModel": {},
    "BrokenPowerLawSpectralModel": {},
    # at equal indices, the defaults, the formula jumps on all sides and the break has no effect
    "SmoothBrokenPowerLawSpectralModel": {},
    "ExpCutoffPowerLawSpectralModel": {},
    "ExpCutoffPowerLaw3FGLSpectralModel": {},
    "SuperExpCutoffPowerLaw3FGLSpectralModel": {},
    "SuperExpCutoffPowerLaw4FGLSpectralModel": {},
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel": {},
    "LogParabolaSpectralModel": {},
    "LogParabola2SpectralModel": {},
    "GaussianSpectralModel": {},
}
# no minimum at finite values: a step, and for a Gaussian its tail, an exponential
RUN_AWAY = {
    "BrokenPowerLawSpectralModel",
    "SmoothBrokenPowerLawSpectralModel",
    "SuperExpCutoffPowerLaw3FGLSpectralModel",
    "SuperExpCutoffPowerLaw4FGLSpectralModel",
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel",
    "GaussianSpectralModel",
}
# MIGRAD ends at an expected distance of 2e-4, and so may be lower or higher by as much
SAME = 1e-3


@pytest.fixture(scope="module")
def ours(hess_files):
    return stacked(hess_files)


@pytest.fixture(scope="module")
def theirs(hess_files):
    datasets = pytest.importorskip("gammapy.datasets")
    stack = datasets.Datasets([datasets.SpectrumDatasetOnOff.read(p) for p in hess_files]).stack_reduce(name="HESS")
    stack.mask_fit = stack.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    return stack


def started(module, name):
    model = getattr(module, name)()
    for parameter, value in FITS[name].items():
        getattr(model, parameter).value = value
    return model


def test_every_model_with_free_parameters_is_fitted():
    own = {c for c in gm.SPECTRAL_MODELS.values() if c.__module__.startswith("gammajax.models") and c.dnde_unit}
    free = {c.__name__ for c in own if isinstance(c.declared, tuple) and any(not d.frozen for d in c.declared)}
    # a multiple of another model has no spectrum of its own
    assert free - {"ScaleSpectralModel"} == set(FITS)


def scipy_and_minuit(dataset, model):
    """Lowest statistic that optimisers without derivatives find from five starts, on the compiled likelihood."""
    import jax
    from iminuit import Minuit
    from scipy.optimize import minimize

    rng = np.random.default_rng(5)
    with jax.enable_x64(True):
        likelihood = Likelihood(dataset)
        stat = jax.jit(lambda L, t: L.stat(t))
        start, free = np.array(likelihood.start), [i for i, p in enumerate(model.parameters) if not p.frozen]

        def value(x):
            theta = start.copy()
            theta[free] = x * start[free]
            out = float(stat(likelihood, theta))
            return out if np.isfinite(out) else 1e30

        found = []
        for k in range(5):
            x = np.exp(0.2 * rng.normal(size=len(free))) if k else np.ones(len(free))
            found.append(minimize(value, x, method="Nelder-Mead", options={"maxiter": 1500}).fun)
            minuit = Minuit(value, x)
            minuit.errordef = 1
            found.append(minuit.migrad(ncall=1500).fval)
    return min(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
@pytest.mark.filterwarnings("ignore")
def test_no_peer_finds_a_lower_statistic(ours, theirs, name):
    models, modeling = pytest.importorskip("gammapy.modeling.models"), pytest.importorskip("gammapy.modeling")
    peer = started(models, name)
    theirs.models = models.SkyModel(spectral_model=peer, name="crab")
    best = modeling.Fit().run([theirs]).total_stat
    model = started(gm, name)
    ours.models = SkyModel(model, name="crab")
    best = min(best, scipy_and_minuit(ours, model))
    result = Fit([ours], backend="newton").run()
    assert result.total_stat < best + SAME
    check_verdict(result, model, name)


def check_verdict(result, model, name):
    free = [p for p in model.parameters if not p.frozen]
    assert not result.flags.non_finite
    assert all(np.isfinite(p.value) for p in free)
    assert not result.flags.call_limit
    if name in RUN_AWAY:
        assert not result.success
        assert result.flags.runaway
    else:
        assert result.success, str(result)
        assert all(p.error > 0 for p in free)


@pytest.mark.parametrize(
    "name",
    ["BrokenPowerLawSpectralModel", "ExpCutoffPowerLawSpectralModel", "SmoothBrokenPowerLawSpectralModel"],
)
def test_minimum_and_verdict(hess_files, name):
    """Exact integrals; gammapy ends at 28.324 with its call limit for the first, 29.4407 for the second (a step ends at 28.0204).

    From the defaults of the third a fit may come to 33.5433, a power law that wants to bend the other way.
    """
    dataset, model = stacked(hess_files), started(gm, name)
    dataset.models = SkyModel(model, name="crab")
    result = Fit([dataset], backend="newton").run()
    best = 29.4407 if name.startswith("Exp") else 28.0204
    assert result.total_stat == pytest.approx(best, abs=1e-4)
    check_verdict(result, model, name)


# where each ended in gammapy's mode before: derivatives that were nan, an amplitude below 0 where all predictions are cut off
STALLED = {
    "SuperExpCutoffPowerLaw3FGLSpectralModel": (28.0204, 390.6),
    "SuperExpCutoffPowerLaw4FGLSpectralModel": (28.18, 211.5),
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel": (28.03, 254.0),
    "LogParabola2SpectralModel": (30.3495, 728.9),
    "SmoothBrokenPowerLawSpectralModel": (28.0204, 33.5433),
}


@pytest.mark.parametrize(
    "name", [n if n.startswith("Log") else pytest.param(n, marks=pytest.mark.slow) for n in STALLED]
)
def test_no_stall_in_the_compatible_mode(hess_files, name):
    """The statistic of the exact mode, whose best steps and curved spectra gammapy's integrals describe as well: differences are 1e-3."""
    dataset, model = stacked(hess_files), started(gm, name)
    dataset.compatibility = "gammapy"
    dataset.models = SkyModel(model, name="crab")
    result = Fit([dataset], backend="newton").run()
    assert result.total_stat < STALLED[name][0] + SAME
    assert not result.flags.non_finite
    assert not result.flags.unidentified


BENT = {
    # the factor in front of E^index_2 falls by 16 orders of magnitude for one more of it; numbers end at 2e-154
    "SuperExpCutoffPowerLaw4FGLSpectralModel": ({"index_2": "upper"}, 28.07),
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel": ({"index_2": "upper"}, 28.024),
    "GaussianSpectralModel": ({"amplitude": "upper", "mean": "lower", "sigma": "upper"}, 54.7),
}


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        pytest.param(n, b, marks=[] if (n, b) == ("GaussianSpectralModel", "newton") else [pytest.mark.slow])
        for n in BENT
        for b in ("newton", "minuit", "scipy")
    ],
)
def test_bent_valleys_are_named(hess_files, name, backend):
    """By every backend, with the lowest statistic there are numbers for: optimisers stop at 28.17, 28.03 and 55.5 after 1000 steps."""
    dataset, model = stacked(hess_files), started(gm, name)
    dataset.models = SkyModel(model, name="crab")
    result = Fit([dataset], backend=backend).run()
    sides, most = BENT[name]
    assert result.status.name == "RUNAWAY"
    assert {n.split(".")[-1]: result.flags.sides[n] for n in result.flags.runaway} == sides
    assert not result.flags.call_limit
    assert not result.flags.stopped
    assert result.total_stat < most
    assert backend != "newton" or result.nfev < 200


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["newton", "minuit", "scipy"])
def test_a_smooth_break_runs_away_to_a_step(hess_files, backend):
    """By every backend to the same statistic, from equal indices, where the formula jumps."""
    dataset, model = stacked(hess_files), started(gm, "SmoothBrokenPowerLawSpectralModel")
    dataset.models = SkyModel(model, name="crab")
    result = Fit([dataset], backend=backend).run()
    assert result.status.name == "RUNAWAY"
    assert {n.split(".")[-1]: result.flags.sides[n] for n in result.flags.runaway} == {"index2": "upper"}
    assert not result.flags.call_limit
    assert not result.flags.stopped
    assert result.total_stat == pytest.approx(28.0204, abs=SAME)


@pytest.mark.slow
def test_a_smooth_break_in_the_compatible_mode(hess_files):
    """From a wrong strength MINUIT came to 33.55; where predictions are cut off nothing is linear to the last digit."""
    dataset, model = stacked(hess_files), started(gm, "SmoothBrokenPowerLawSpectralModel")
    dataset.compatibility = "gammapy"
    dataset.models = SkyModel(model, name="crab")
    assert Fit([dataset], backend="minuit").run().total_stat == pytest.approx(28.0204, abs=SAME)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
@pytest.mark.filterwarnings("ignore")
def test_npred_in_the_compatible_mode(ours, theirs, name):
    """Live: integrals by gammapy's scheme, folded; gammapy keeps exposure and dispersion in single precision."""
    models = pytest.importorskip("gammapy.modeling.models")
    ours.models = SkyModel(started(gm, name), name="crab")
    theirs.models = models.SkyModel(spectral_model=started(models, name), name="crab")
    ours.compatibility = "gammapy"
    try:
        found = ours.npred_signal().data
    finally:
        ours.compatibility = None
    expected = np.squeeze(theirs.npred_signal().data)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-12 * expected.max())
