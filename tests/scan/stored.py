"""What the tests of stored scans share: a small scan of the embedded data, its driver as a process of its own, and comparisons."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gammajax import Fit
from tests.problems import embedded

ROOT = Path(__file__).parents[2]
ALPHA, BETA = np.linspace(1.9, 2.6, 25), np.linspace(0.0, 0.5, 20)
AXES = {"alpha": ALPHA, "beta": BETA}
CHUNK = 64


def fitted():
    """A fit of the embedded data at its minimum."""
    made = Fit([embedded()], backend="newton")
    made.run()
    return made


def scan(fit, store, axes=AXES, **changes):
    """A stored scan."""
    return fit.stat_grid(
        axes, **({"reoptimize": True, "store": store, "chunk_size": CHUNK, "progress": False} | changes)
    )


def fine(n):
    """Axes with n nodes along the first."""
    return {"alpha": np.linspace(1.9, 2.6, n), "beta": BETA}


def assert_same(one, other):
    """Every number of two results, bit for bit."""
    for name in ("stat", "status", "edm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.nuisance.keys() == other.nuisance.keys()
    for name in one.nuisance:
        np.testing.assert_array_equal(one.nuisance[name], other.nuisance[name])
    assert (one.stat_best, one.best, one.names, one.units) == (other.stat_best, other.best, other.names, other.units)


def contents(folder):
    """Bytes of every chunk file by name."""
    return {p.name: p.read_bytes() for p in (Path(folder) / "chunks").iterdir()}


def environment(cache, **more):
    """Environment of a process that finds the sources and keeps compiled programs in a folder."""
    keep = {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return os.environ | keep | {"PYTHONPATH": path, "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"} | more


def driver(folder, cache, *options, **popen):
    """``gammajax scan run`` as a process of its own."""
    command = [sys.executable, "-m", "gammajax", "scan", "run", str(folder), "--no-cache", *options]
    return subprocess.Popen(
        command, env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **popen
    )


def edit_manifest(folder, change):
    """Change a manifest, with a sum that fits again."""
    from gammajax.scan.folder import HEAD, _document_sha

    path = Path(folder) / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["sha256"] = _document_sha({k: v for k, v in manifest.items() if k not in HEAD})
    path.write_text(json.dumps(manifest))


def n_done(folder):
    """Chunks that are there."""
    return len(list((Path(folder) / "chunks").glob("chunk-*.npz")))


def wait_for(folder, n, process, seconds=120):
    """Wait until n chunks are there, or the process has ended."""
    end = time.monotonic() + seconds
    while n_done(folder) < n and process.poll() is None:
        assert time.monotonic() < end, f"{n_done(folder)} chunks after {seconds} s"
        time.sleep(0.002)


class Moments:
    """Moments at which something is killed: drawn, and spread over the life of a run.

    Some are before the first chunk, while a process still starts and compiles; the others at a number of chunks, and a little later, so
    that they fall anywhere between two commits or into one.
    """

    def __init__(self, seed, total, kills):
        self.rng, self.total, self.kills, self.at = random.Random(seed), total, kills, []

    def strike(self, folder, process, early=None):
        """Wait for the next moment; False if the process was done before.

        With `early` it comes at the latest so many seconds after the beginning.
        """
        # one in each part of the life, as many parts as kills
        parts = [self.total * (len(self.at) + k) // self.kills for k in (0, 1)]
        low = max(n_done(folder) + 1, parts[0])
        target = self.rng.randrange(low, max(low + 1, parts[1]))
        end = time.monotonic() + (120.0 if early is None else self.rng.uniform(0, early))
        while n_done(folder) < target and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(self.rng.uniform(0.0, 0.01))
        if process.poll() is not None:
            return False
        self.at.append(n_done(folder))
        return True


def kill(process, how=signal.SIGKILL):
    """Send a signal and collect what the process said."""
    process.send_signal(how)
    return process.communicate(timeout=60)
