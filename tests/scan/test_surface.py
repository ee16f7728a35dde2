"""Surfaces by factors of each axis: equal to node by node, and given up where factors would lose something."""

import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import minimize_scalar

from gammajax import (
    Datasets,
    ExpCutoffPowerLawSpectralModel,
    Fit,
    GaussianPrior,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)
from gammajax.likelihood import likelihood_of
from gammajax.scan import Refit, fast_surface, frozen_grid, profile_grid
from gammajax.scan import surface as module
from gammajax.solve import Status, derivatives
from gammajax.solve.surface import TILE, Layout, cut, layout_of
from tests.problems import small

AMPLITUDE = 2e-12 / u.cm**2 / u.s / u.TeV


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Compile the program for the first surface, however small."""
    monkeypatch.setattr(module, "WORTH", 0)


def _one(spectrum, **changes):
    d = small(**changes)
    d.models = SkyModel(spectrum, name="s")
    return Datasets([d])


def _log_parabola():
    spectrum = LogParabolaSpectralModel(amplitude=AMPLITUDE, reference=1 * u.TeV, alpha=2.2, beta=0.2)
    spectrum.alpha.max = 2.9
    return spectrum


def _cut_off():
    return ExpCutoffPowerLawSpectralModel(
        index=1.8, amplitude=AMPLITUDE, reference=1 * u.TeV, lambda_=0.1 / u.TeV, alpha=1.0
    )


def _two_sources():
    """Two data sets; one source in both, of the other, in one of them, only the index is scanned."""
    first, second = small(), small(name="second", alpha=0.3)
    shared = SkyModel(_log_parabola(), name="s")
    halo = SkyModel(PowerLawSpectralModel(index=2.7, amplitude=AMPLITUDE / 20), name="halo", datasets_names=["second"])
    halo.spectral_model.amplitude.frozen = True
    halo.spectral_model.index = shared.spectral_model.alpha
    datasets = Datasets([first, second])
    datasets.models = [shared, halo]
    return datasets


ALPHA, BETA = np.linspace(1.2, 3.1, 9), np.linspace(-0.3, 1.2, 13)
CASES = {
    "log-parabola, held": (lambda: _one(_log_parabola()), ("alpha", "beta"), (ALPHA, BETA), False),
    "log-parabola, re-fitted": (lambda: _one(_log_parabola()), ("alpha", "beta"), (ALPHA, BETA), True),
    "order of the axes": (lambda: _one(_log_parabola()), ("beta", "alpha"), (BETA, ALPHA), True),
    "strength and shape": (
        lambda: _one(_log_parabola()), ("amplitude", "beta"), (np.linspace(-1e-13, 5e-12, 6), BETA), False,
    ),
    "two sources, linked": (_two_sources, ("alpha", "beta"), (ALPHA, BETA), True),
    "cut-off": (lambda: _one(_cut_off()), ("index", "lambda_"), (ALPHA, np.linspace(-0.05, 0.4, 7)), False),
    # exp(-lambda E) is lost below the smallest number on one side
    "factors out of range": (lambda: _one(_cut_off()), ("index", "lambda_"), (ALPHA, [0.0, 0.1, 400.0]), False),
}  # fmt: skip


def _scan(datasets, names, axes, reoptimize):
    likelihood = likelihood_of(datasets)
    index = [next(i for i, n in enumerate(likelihood.names) if n == f"s.spectral.{name}") for name in names]
    axes = [np.asarray(a) for a in axes]
    refit = Refit(likelihood, derivatives(likelihood, likelihood.start)[2]) if reoptimize else None
    plain = profile_grid(refit, index, axes) if reoptimize else frozen_grid(likelihood, index, axes)[0]
    return likelihood, fast_surface(likelihood, index, axes, refit), plain


@pytest.mark.parametrize(
    ("make", "names", "axes", "reoptimize"),
    [pytest.param(*v, id=k, marks=pytest.mark.slow if k == "two sources, linked" else ()) for k, v in CASES.items()],
)
def test_equal_to_node_by_node(make, names, axes, reoptimize):
    likelihood, fast, plain = _scan(make(), names, axes, reoptimize)
    # re-fits end within 1e-9 of the minimum on both sides
    np.testing.assert_allclose(fast.stat, plain.stat, rtol=1e-9, atol=2e-9 if reoptimize else 1e-10)
    np.testing.assert_array_equal(fast.status, plain.status)
    for i in range(len(likelihood.start)):
        if f"{likelihood.names[i].rsplit('.', 1)[-1]}" not in names:
            # EDM 1e-9 allows 5e-5 of an error
            np.testing.assert_allclose(fast.parameter(i), plain.parameter(i), rtol=1e-4)
    assert np.all(np.isnan(fast.edm)) if not reoptimize else np.all(fast.edm[fast.status == 0] < 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in CASES if n != "order of the axes"])
def test_all_nodes_of_a_call_at_once_as_on_an_accelerator(name, monkeypatch):
    monkeypatch.setattr("gammajax.scan.blocks.layout_of", lambda *a: Layout((8, 8), (8, 8)))
    test_equal_to_node_by_node(*CASES[name])


def test_layouts_of_accelerators_are_few_and_fit():
    for shape in ((300, 300), (1, 20_000), (20_000, 1), (1000, 1000), (10_000, 10_000)):
        tile, (rows, columns) = layout = layout_of("gpu", True, shape)
        assert tile == (rows, columns)
        assert rows * columns in (1 << 18, 1 << 20)
        assert columns in {1 << k for k in range(11)}
        _covered(shape, layout, 1)
    assert layout_of("gpu", True, (1000, 1000)) == layout_of("gpu", True, (900, 600))


def test_re_fits_equal_scipy():
    datasets = _one(_log_parabola())
    spectrum = datasets[0].models[0].spectral_model
    scan = Fit().stat_surface(datasets, "alpha", "beta", ALPHA, BETA, reoptimize=True)
    assert scan.nuisance["s.spectral.amplitude"].shape == scan.stat.shape

    def stat(logarithm):
        spectrum.amplitude.value = np.exp(logarithm)
        return datasets.stat_sum()

    for i, j in ((0, 0), (3, 5), (7, 12), (2, 12)):
        spectrum.alpha.value, spectrum.beta.value = ALPHA[i], BETA[j]
        best = minimize_scalar(stat, bounds=np.log([1e-14, 1e-10]), method="bounded", options={"xatol": 1e-9})
        assert scan.stat[i, j] == pytest.approx(best.fun, abs=1e-6)
        assert scan.nuisance["s.spectral.amplitude"][i, j] == pytest.approx(np.exp(best.x), rel=1e-4)


def test_strength_on_its_limit_and_nodes_left_to_the_general_solver():
    datasets = _one(_log_parabola())
    spectrum = datasets[0].models[0].spectral_model
    spectrum.amplitude.min = 1.9e-12
    likelihood, fast, plain = _scan(datasets, ("alpha", "beta"), (ALPHA, BETA), True)
    np.testing.assert_array_equal(fast.status, plain.status)
    assert {Status.AT_LIMIT, Status.CONVERGED, Status.OUTSIDE_LIMITS} <= set(fast.status.ravel())
    np.testing.assert_allclose(fast.stat, plain.stat, rtol=0, atol=2e-9)
    # without counts the statistic has its minimum where the slope jumps: a case for the general solver
    empty = _one(_log_parabola(), n_on=[0] * 6, n_off=[0] * 6)
    likelihood, fast, plain = _scan(empty, ("alpha", "beta"), (ALPHA[:2], BETA[:3]), True)
    np.testing.assert_array_equal(fast.status, plain.status)
    np.testing.assert_allclose(fast.stat, plain.stat, rtol=0, atol=1e-8)


def test_where_there_is_no_short_cut():
    datasets = _one(_log_parabola())
    spectrum = datasets[0].models[0].spectral_model
    likelihood = likelihood_of(datasets)
    hessian = derivatives(likelihood, likelihood.start)[2]
    axes = [ALPHA, BETA]
    # a parameter that is no strength is re-fitted; more starts, other options; three parameters; a reference energy
    assert fast_surface(likelihood, [0, 2], axes, Refit(likelihood, hessian)) is None
    assert fast_surface(likelihood, [2, 3], axes, Refit(likelihood, hessian, starts=2)) is None
    assert fast_surface(likelihood, [2, 3], axes, Refit(likelihood, hessian, max_iter=5)) is None
    assert fast_surface(likelihood, [0, 2, 3], [ALPHA, ALPHA, BETA], None) is None
    assert fast_surface(likelihood, [1, 2], axes, None) is None
    spectrum.beta.prior = GaussianPrior(mu=0.2, sigma=0.1)
    assert fast_surface(likelihood_of(datasets), [2, 3], axes, None) is None
    spectrum.beta.prior = None
    datasets[0].compatibility = "gammapy"
    assert fast_surface(likelihood_of(datasets), [2, 3], axes, None) is None


def test_small_scans_compile_nothing_until_there_are_many(monkeypatch):
    monkeypatch.setattr(module, "WORTH", 200)
    likelihood = likelihood_of(_one(_log_parabola()))
    assert fast_surface(likelihood, [2, 3], [ALPHA, BETA], None) is None
    assert fast_surface(likelihood, [2, 3], [ALPHA, BETA], None) is not None


def _covered(shape, layout, parallel):
    """Blocks cover the grid once and fit into a call."""
    seen = np.zeros(shape, dtype=int)
    for block in cut(shape, layout, parallel):
        seen[block] += 1
        assert all(0 < s.stop - s.start <= c for s, c in zip(block, layout.capacity, strict=True))
    assert np.all(seen == 1)


@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (32, 40), (33, 41), (300, 300), (5, 1000), (1000, 7)])
@pytest.mark.parametrize("parallel", [1, 2, 7])
def test_blocks_cover_the_grid_once_and_fit(shape, parallel):
    _covered(shape, Layout(TILE, (8 * TILE[0], 4 * TILE[1])), parallel)


def test_large_grids_in_many_calls(monkeypatch):
    monkeypatch.setattr("gammajax.scan.blocks.layout_of", lambda *a: Layout(TILE, TILE))
    likelihood, fast, plain = _scan(_one(_log_parabola()), ("alpha", "beta"), (ALPHA, BETA), False)
    np.testing.assert_allclose(fast.stat, plain.stat, rtol=1e-9, atol=1e-10)
