"""Ctrl-C while a chunk is computed: heard at once here, and by workers after the piece that is under way."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

import gammajax
from gammajax.scan.here import Here
from gammajax.scan.link import Link
from gammajax.scan.progress import Reporter
from gammajax.scan.store import resume
from gammajax.scan.worker import make_payload, run_payload
from gammajax.solve.watch import Abandoned, Watch, go_on, nodes_done, watched
from tests.scan.stored import ROOT, environment, fine, fitted, n_done, scan


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def task(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("task") / "scan"
    scan(fit, folder, chunk_size=500, compute=False)
    return resume(folder).task


def test_what_is_watched_counts_and_stops(task):
    go_on()
    nodes_done(3)
    watch = Watch()
    with watched(watch):
        run_payload(make_payload(task), 0)
        go_on()
        nodes_done(7)
        watch.wanted = False
        with pytest.raises(Abandoned):
            go_on()
        with pytest.raises(Abandoned):
            gammajax.scan.chunk.compute_chunk(task, 0)
    go_on()
    assert watch.nodes == 7
    with watched(watch := Watch()):
        gammajax.scan.chunk.compute_chunk(task, 0)
    assert watch.nodes == 500


def test_an_interruption_leaves_while_the_chunk_goes_on(task, monkeypatch):
    """The thread of the caller is interrupted where it waits; the other one ends at its next piece."""
    running, ended, done = threading.Event(), threading.Event(), []

    def compute(task, number, device):
        running.set()
        try:
            while True:
                time.sleep(0.01)
                nodes_done(1)
                go_on()
        finally:
            ended.set()

    def tell(nodes):
        done.append(nodes)
        if running.is_set() and nodes > 0:
            raise KeyboardInterrupt

    monkeypatch.setattr("gammajax.scan.engine.compute_chunk", compute)
    here = Here(task, None, tell)
    with pytest.raises(KeyboardInterrupt):
        here(0)
    here.close()
    assert ended.wait(10)
    assert done[-1] > 0


def test_workers_stop_when_the_driver_has_left(task):
    class Kept:
        def submit(self, function, payload, number):
            self.call = lambda: function(payload, number)
            return Future()

    kept = Kept()
    link = Link(kept, make_payload(task))
    link.submit(0)
    assert len(kept.call()["stat"]) == 500
    # somebody clears away what is old: the next chunk brings it back
    os.unlink(link.payload.sign)
    link.submit(0)
    assert len(kept.call()["stat"]) == 500
    link.close()
    assert not os.path.exists(link.payload.sign)
    with pytest.raises(Abandoned):
        kept.call()
    # on another machine that file never was
    elsewhere = Link(kept, make_payload(task))
    elsewhere.close()
    object.__setattr__(elsewhere.payload, "place", "another machine:1:2")
    kept.submit(run_payload, elsewhere.payload, 0)
    assert len(kept.call()["stat"]) == 500


def test_the_bar_moves_within_a_chunk(monkeypatch):
    class Bar:
        n = 0

        def update(self, n):
            self.n += n

        def set_postfix(self, **more):
            self.said = more

    bar = Bar()
    monkeypatch.setattr("gammajax.scan.progress.interactive", lambda: True)
    monkeypatch.setattr("gammajax.scan.progress.new_bar", lambda *a: bar)
    report = Reporter(True, 3, 300, 0, 0, "scan")
    seen = []
    for step in (
        lambda: report.part(30), lambda: report.part(70), lambda: report.chunk(100),
        # one that begins anew, and one that fails
        lambda: report.part(50), lambda: report.part(0), lambda: report.chunk(100),
        lambda: report.part(40), lambda: report.chunk(100, failed=True),
    ):  # fmt: skip
        step()
        seen.append(bar.n)
    assert seen == [30, 70, 100, 150, 100, 200, 240, 200]
    assert (report.state.nodes, report.state.failed, bar.said) == (200, 1, {"failed": 1})


# -- processes ---------------------------------------------------------------------------------------------------------

SERIAL = """
import sys
import jax
import jax.numpy as jnp
import numpy as np
from gammajax import Fit, Likelihood

def slow(t):
    # some 10 ms: a call of the compiled program takes seconds
    extra = jax.lax.fori_loop(0, 40_000, lambda k, a: jnp.sin(a) + 1e-3 * t[0], t[1])
    return (t[0] - 1) ** 2 + 3 * (t[1] - t[0]) ** 2 + 1e-12 * extra

fit = Fit(Likelihood.from_function(slow, {"x": 0.5, "y": 0.5}), backend="newton")
fit.run()
try:
    fit.stat_grid(
        {"x": np.linspace(0, 2, 20_000)}, reoptimize=True, store=sys.argv[1], chunk_size=10_000, progress=False,
    )
finally:
    print("left", flush=True)
"""

DASK = """
import sys
import numpy as np
from gammajax.scan.dask import local_client
from tests.scan.stored import fitted

if __name__ == "__main__":
    fit = fitted()
    axes = {"alpha": np.linspace(1.9, 2.6, 4000), "beta": np.linspace(0.0, 0.5, 4000)}
    with local_client(2) as client:
        try:
            fit.stat_grid(
                axes, reoptimize=True, starts=2, store=sys.argv[1], chunk_size=4_000_000, progress=False, executor=client
            )
        finally:
            print("left", flush=True)
"""


@contextlib.contextmanager
def running(program, folder, cache):
    """A program that has begun to compute its first chunk."""
    script = folder.parent / "program.py"
    script.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)], env=environment(cache), cwd=ROOT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not (folder / "manifest.json").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        # workers start and compile, and then a chunk takes far longer than this test
        time.sleep(8)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "wait"),
    [
        pytest.param(p, w, id=f"{name}, {'once' if w is None else f'twice in {w} s'}")
        for name, p in (("serial", SERIAL), ("dask", DASK))
        for w in (None, 0.02, 0.7)
    ],
)
def test_ctrl_c_in_a_long_chunk(tmp_path, program, wait):
    """Once: it leaves at once, and is gone when the piece is done. Twice, so many seconds later: it is gone at once.

    0.02 s later: before it has said anything; 0.7 s after it has.
    """
    if program is DASK:
        pytest.importorskip("distributed")
    with running(program, tmp_path / "scan", tmp_path / "cache") as process:
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        if wait != 0.02:
            assert process.stdout.readline() == "left\n"
            # a thread that is woken, on a machine that may be busy, where another one may hold the interpreter to trace a program
            assert time.monotonic() - begin < 5
        if wait is not None:
            time.sleep(wait)
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        # an end of the interpreter, or of Dask, takes about a second, on a busy machine six; left to itself Dask waits for ten
        assert time.monotonic() - begin < (20 if wait is None else 9), said
    assert process.returncode != 0
    if wait is None:
        # it is said at the end of the traceback, which a second one cuts short
        assert "interrupted: 0 of" in said
        assert "make the same call again to go on from there" in said
    assert gammajax.scan.open(tmp_path / "scan").done == []


@pytest.mark.slow
def test_two_scans_alike_on_one_cluster(fit, tmp_path):
    """One that is interrupted takes nothing away from the other."""
    pytest.importorskip("distributed")
    from gammajax.scan.dask import local_client

    axes, serial = fine(60), scan(fit, tmp_path / "serial", fine(60), chunk_size=20)

    def stop(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with local_client(2) as client:

        def first():
            scan(fit, tmp_path / "first", axes, chunk_size=20, executor=client)

        thread = threading.Thread(target=first)
        thread.start()
        while n_done(tmp_path / "first") < 2 if (tmp_path / "first").exists() else True:
            time.sleep(0.01)
        with pytest.raises(KeyboardInterrupt):
            scan(fit, tmp_path / "second", axes, chunk_size=20, executor=client, progress=stop)
        thread.join()
        assert gammajax.scan.open(tmp_path / "first").complete
        np.testing.assert_array_equal(gammajax.scan.open(tmp_path / "first").result().stat, serial.stat)
