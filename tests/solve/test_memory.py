"""A device without memory gets smaller batches in everything that runs in batches, and an error that says what to do in the end."""

import jax
import numpy as np
import pytest

from gammajax import Datasets, Fit
from gammajax.errors import DeviceError
from gammajax.scan.blocks import Blocks
from gammajax.solve import batch
from gammajax.solve.programs import sizes
from tests.problems import embedded

# as XLA says it
TEXT = "RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes."
ROOM = 8

X = np.linspace(0.1, 0.4, 9)
GRID = {"alpha": np.linspace(2.0, 2.4, 5), "beta": np.linspace(0.1, 0.3, 4)}
CALLS = {
    "profile": lambda fit: fit.stat_profile("beta", X, reoptimize=True).stat,
    "profiles": lambda fit: [p.stat for p in fit.stat_profiles(["alpha", "beta"], nvalues=5, reoptimize=True).values()],
    "surface, held": lambda fit: fit.stat_grid(GRID, reoptimize=False).stat,
    "surface": lambda fit: fit.stat_grid(GRID, reoptimize=True).stat,
    # crossings lie within 1e-6 of their level
    "interval": lambda fit: np.round(fit.confidence("beta")["errp"], 6),
    "contour": lambda fit: np.round(fit.stat_contour("alpha", "beta", numpoints=4).y, 5),
}


@pytest.fixture(scope="module")
def fit():
    fit = Fit([embedded()], backend="newton")
    fit.run()
    return fit


@pytest.fixture
def as_before():
    """Sizes of batches, which stay small for the rest of a process."""
    size = sizes("cpu")
    before = dict(vars(size))
    yield size
    vars(size).update(before)


def cramped(monkeypatch, room):
    """Programs on a device with room for batches of so many lanes; returns the sizes that were tried."""
    tried = []

    def small(real):
        def run(*arguments, inner, **static):
            tried.append(inner)
            if inner > room:
                raise jax.errors.JaxRuntimeError(TEXT)
            return real(*arguments, inner=inner, **static)

        return run

    for name in ("minimize_program", "evaluate_program"):
        monkeypatch.setattr(batch, name, small(getattr(batch, name)))
    # no lane by the program of the fit
    monkeypatch.setattr("gammajax.solve.few.POINTS", {"evaluate": 0, "minimize": 0})
    return tried


@pytest.mark.parametrize("what", CALLS)
def test_smaller_batches(monkeypatch, caplog, fit, as_before, what):
    expected = CALLS[what](fit)
    with monkeypatch.context() as patch:
        tried = cramped(patch, ROOM)
        found = CALLS[what](fit)
    assert set(tried) == {32, 16, 8}
    # other batches, other rounding
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 if what in ("interval", "contour") else 1e-8)
    said = [r.message for r in caplog.records if "ran out of memory" in r.message]
    assert said == [
        f"the cpu ran out of memory; going on with batches of 8 {'evaluations' if 'held' in what else 'fits'}."
    ]


@pytest.mark.slow
def test_many_fits_at_once(monkeypatch, fit, as_before):
    many = Datasets([embedded().copy(f"d{k}") for k in range(3)])
    for d in many:
        d.models = fit.datasets.models
    expected = fit.run_each(many).total_stat
    tried = cramped(monkeypatch, ROOM)
    np.testing.assert_allclose(fit.run_each(many).total_stat, expected, rtol=0, atol=1e-8)
    assert set(tried) == {32, 16, 8}


@pytest.mark.parametrize("what", ["profile", "surface, held"])
def test_no_memory_at_all(monkeypatch, fit, as_before, what):
    cramped(monkeypatch, 0)
    kind = "evaluation" if "held" in what else "fit"
    text = rf"has too little memory, even for batches of one {kind} each \(JaxRuntimeError: {TEXT}\): end what else takes memory"
    with pytest.raises(DeviceError, match=text) as error:
        CALLS[what](fit)
    assert isinstance(error.value.__cause__, jax.errors.JaxRuntimeError)


@pytest.mark.parametrize("reoptimize", [True, False])
def test_surfaces_by_factors(monkeypatch, fit, as_before, reoptimize):
    """On an accelerator a surface has pieces of its own, which become smaller as well."""
    run, nodes = Blocks.run, []
    as_before.surface = 1 << 14
    monkeypatch.setattr("gammajax.scan.surface.LARGE", 0)
    for p in fit.datasets.models.parameters:
        p.frozen = p.name == "reference"
    expected = fit.stat_grid(GRID, reoptimize=reoptimize).stat

    def small(self, *arguments, **more):
        nodes.append(as_before.surface)
        if as_before.surface > 1 << 12:
            raise jax.errors.JaxRuntimeError(TEXT)
        return run(self, *arguments, **more)

    monkeypatch.setattr(Blocks, "run", small)
    np.testing.assert_array_equal(fit.stat_grid(GRID, reoptimize=reoptimize).stat, expected)
    assert nodes == [1 << 14, 1 << 13, 1 << 12]
    monkeypatch.setattr(Blocks, "run", lambda *a, **k: (_ for _ in ()).throw(MemoryError("no room")))
    with pytest.raises(DeviceError, match=r"too little memory.*MemoryError: no room"):
        fit.stat_grid(GRID, reoptimize=reoptimize)


def test_other_errors_pass(monkeypatch, fit, as_before):
    """What is no question of memory is not tried again."""
    calls = []

    def broken(*a, **k):
        calls.append(1)
        raise ValueError("shapes do not match")

    cramped(monkeypatch, 32)
    monkeypatch.setattr(batch, "minimize_program", broken)
    with pytest.raises(ValueError, match="shapes do not match"):
        CALLS["profile"](fit)
    assert calls == [1]
    assert as_before.minimize == 32
