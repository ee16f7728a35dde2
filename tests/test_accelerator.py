"""On a machine with an accelerator: small work stays on the processor, large work goes there, and every number is the same."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import gammajax
from gammajax import Fit
from gammajax.direct import home_device, own_devices
from gammajax.solve.devices import pick_device, resolve_device
from tests.problems import cut_off, embedded, many_parameters
from tests.scan.stored import ROOT, assert_same, environment, fitted, n_done


def _kind():
    import jax

    try:
        return jax.devices()[0].platform
    except RuntimeError:
        return "none"


KIND = _kind()
pytestmark = pytest.mark.skipif(KIND in ("cpu", "none"), reason="this machine has no accelerator")

ALPHA, BETA = np.linspace(1.9, 2.6, 160), np.linspace(0.0, 0.5, 140)
WIDE = {"alpha": ALPHA, "beta": BETA}


@pytest.fixture(scope="module")
def fit():
    return fitted()


def _alike(ours, cpu):
    # two compilers round differently; re-fits end within 1e-9 of their minimum
    np.testing.assert_allclose(ours.stat, cpu.stat, rtol=1e-11, atol=2e-9)
    np.testing.assert_array_equal(ours.status, cpu.status)


def test_small_work_stays_on_the_processor(fit):
    assert home_device().platform == "cpu"
    assert {d.platform for d in own_devices()} == {KIND}
    assert pick_device(None, 100).platform == "cpu"
    assert pick_device(None, 10**6).platform == KIND
    assert resolve_device("cpu") == home_device()
    assert resolve_device(KIND).platform == KIND


@pytest.mark.parametrize("reoptimize", [True, False])
def test_surfaces_are_those_of_the_processor(fit, reoptimize):
    cpu = fit.stat_grid(WIDE, reoptimize=reoptimize, device="cpu")
    _alike(fit.stat_grid(WIDE, reoptimize=reoptimize), cpu)
    _alike(fit.stat_grid(WIDE, reoptimize=reoptimize, device=KIND, progress=False, chunk_size=10_000), cpu)


@pytest.mark.parametrize(
    "make", [lambda: [embedded()], lambda: [cut_off()], many_parameters], ids=["one", "cut-off", "nine"]
)
def test_scans_by_the_general_solver_are_those_of_the_processor(make, monkeypatch):
    monkeypatch.setattr("gammajax.solve.few.POINTS", {"evaluate": 0, "minimize": 0})
    made = Fit(make(), backend="newton")
    made.run()
    there, here = (made.stat_profiles(reoptimize=True, device=d) for d in (KIND, "cpu"))
    for name in here:
        _alike(there[name], here[name])
    first = next(iter(here))
    _alike(*(made.stat_profile(first, reoptimize=True, starts=2, device=d) for d in (KIND, "cpu")))


def test_intervals_and_contours_are_those_of_the_processor(fit):
    there, here = (fit.confidence("all", sigma=[1, 2], device=d) for d in (KIND, "cpu"))
    assert list(there) == list(here)
    for a, b in ((there[name, sigma], here[name, sigma]) for name in here for sigma in (1, 2)):
        assert (a.errn, a.errp) == pytest.approx((b.errn, b.errp), rel=1e-5)
    there, here = (fit.stat_contour("alpha", "beta", sigma=1, numpoints=12, device=d) for d in (KIND, "cpu"))
    for name in ("x", "y"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-5)


CROWDED = """
import logging, sys
import numpy as np
from gammajax.solve.programs import sizes
from tests.scan.stored import fitted
from tests.test_accelerator import KIND, WIDE, _alike

logging.basicConfig(level=logging.WARNING)
fit, size = fitted(), sizes(KIND)
what = sys.argv[1]
if what == "general":
    size.minimize = size.large = size.capacity = 1 << 20
axes = WIDE if what != "general" else {"amplitude": 3.8e-11 * np.linspace(0.9, 1.1, 300), "alpha": np.linspace(2.0, 2.4, 200)}
before = dict(vars(size))
how = {} if what == "in memory" else {"progress": False, "chunk_size": 60_000}
found = fit.stat_grid(axes, reoptimize=what != "frozen", device=KIND, **how)
assert vars(size) != before, "there was memory enough"
_alike(found, fit.stat_grid(axes, reoptimize=what != "frozen", device="cpu"))
print("went on")
"""


@pytest.mark.parametrize("what", ["re-fitted", "frozen", "general", "in memory"])
def test_out_of_memory_goes_on_with_smaller_batches(tmp_path, what):
    """Another program has nearly all memory of the device: 70 MB are left, less than one block takes."""
    script = tmp_path / "crowded.py"
    script.write_text(CROWDED)
    more = environment(
        tmp_path / "cache", XLA_PYTHON_CLIENT_MEM_FRACTION="0.0005", XLA_PYTHON_CLIENT_PREALLOCATE="true"
    )
    out = subprocess.run(
        [sys.executable, str(script), what], env=more, cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert "went on" in out.stdout, out.stderr[-3000:]
    assert out.stderr.count("ran out of memory; going on with batches of") == 1


DRIVER = """
import sys
import numpy as np
from tests.scan.stored import fitted

fit = fitted()
axes = {"alpha": np.linspace(1.9, 2.6, 1600), "beta": np.linspace(0.0, 0.5, 1400)}
fit.stat_grid(axes, reoptimize=True, store=sys.argv[1], chunk_size=28_000, progress=False, device=sys.argv[2])
"""


def test_killed_and_resumed_it_is_the_uninterrupted_scan(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)

    def start(folder):
        # beside the process of the tests, which has memory of the device for itself
        more = environment(tmp_path / "cache", XLA_PYTHON_CLIENT_PREALLOCATE="false")
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / folder), KIND], env=more, cwd=ROOT)

    assert start("whole").wait(300) == 0
    process, killed = start("killed"), 0
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < 200:
        if (tmp_path / "killed").exists() and n_done(tmp_path / "killed") >= 10:
            os.kill(process.pid, signal.SIGKILL)
            killed = n_done(tmp_path / "killed")
            break
        time.sleep(0.005)
    process.wait(60)
    assert 10 <= killed < 80
    assert start("killed").wait(300) == 0
    whole, resumed = (gammajax.scan.open(tmp_path / f) for f in ("whole", "killed"))
    assert resumed.complete
    assert_same(whole.result(), resumed.result())


def test_a_worker_with_the_device(fit, tmp_path, monkeypatch):
    """One process of Dask has the accelerator, as one of several would have each its own."""
    pytest.importorskip("distributed")
    from gammajax.scan.dask import local_client

    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    serial = fit.stat_grid(WIDE, reoptimize=True, store=tmp_path / "serial", chunk_size=5600, progress=False)
    with local_client(1) as client:
        spread = fit.stat_grid(
            WIDE, reoptimize=True, store=tmp_path / "spread", chunk_size=5600, progress=False, executor=client
        )
    assert_same(serial, spread)
