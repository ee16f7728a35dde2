"""Scans on executors: the same bits, whatever dies on the way; only the guilty chunk fails."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import gammajax
from gammajax import Fit, Likelihood
from gammajax.errors import InputError, ScanError
from gammajax.scan.worker import make_payload, task_of
from tests.scan import faulty
from tests.scan.stored import ROOT, Moments, assert_same, contents, environment, fine, fitted, n_done, scan

AXES, SMALL = fine(30), 20


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def serial(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial") / "scan"
    return folder, scan(fit, folder, AXES, chunk_size=SMALL)


@pytest.fixture
def begun(tmp_path):
    """A folder in which workers note what they begin."""
    made = tmp_path / "begun"
    made.mkdir()
    return made


@pytest.fixture
def workers(monkeypatch, tmp_path_factory):
    """The environment that child processes inherit: the sources, and a cache of compiled programs."""
    for name, value in environment(tmp_path_factory.mktemp("cache")).items():
        monkeypatch.setenv(name, value)


def pool(*faults, n=2):
    return ProcessPoolExecutor(
        n,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=faulty.install if faults else None,
        initargs=faults,
    )


class Inline:
    """An executor that computes at once, and can be told to break."""

    def __init__(self, broken_from=None):
        self.calls, self.broken_from = 0, broken_from

    def submit(self, function, *arguments):
        self.calls += 1
        future = Future()
        if self.broken_from is not None and self.calls >= self.broken_from:
            future.set_exception(BrokenExecutor("the head node is gone"))
        else:
            future.set_result(function(*arguments))
        return future


def test_threads_compute_the_same_bits_with_and_without_a_store(fit, serial, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        stored = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=threads)
        memory = scan(fit, None, AXES, chunk_size=SMALL, executor=threads)
    assert_same(stored, serial[1])
    assert_same(memory, serial[1])
    assert contents(tmp_path / "scan") == contents(serial[0])


def test_what_is_sent_is_rebuilt_the_same(fit, serial):
    from gammajax.scan.store import resume

    task = resume(serial[0]).task
    payload = pickle.loads(pickle.dumps(make_payload(task)))
    assert payload.compact is None
    again = task_of(payload)
    assert again.fingerprint == task.fingerprint
    assert task_of(payload) is again
    for name, values in task.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], values)


def test_functions_without_a_file_are_sent_as_they_are():
    pytest.importorskip("cloudpickle")
    scale = 3.0
    likelihood = Likelihood.from_function(lambda t: (t[0] - 1) ** 2 + scale * (t[1] - t[0]) ** 2, {"x": 0.5, "y": 0.5})
    own = Fit(likelihood, backend="newton")
    own.run()
    x = np.linspace(0, 2, 21)
    result = own.stat_grid({"x": x}, reoptimize=True, executor=Inline(), chunk_size=5, progress=False)
    np.testing.assert_allclose(result.stat, (x - 1) ** 2, rtol=0, atol=1e-9)


def test_few_chunks_are_under_way(fit, tmp_path):
    """No more than three for each worker, and none is held once it is stored."""
    under_way, most = set(), []
    lock = threading.Lock()

    class Counting(ThreadPoolExecutor):
        def submit(self, function, *arguments):
            future = super().submit(function, *arguments)
            with lock:
                under_way.add(future)
                most.append(sum(not f.done() for f in under_way))
            return future

    with Counting(1) as executor:
        scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor)
    assert max(most) <= 3


def test_a_foreign_executor_that_breaks_ends_the_scan_and_keeps_the_chunks(fit, serial, tmp_path):
    with pytest.raises(
        ScanError, match=r"executor is gone \(BrokenExecutor: the head node is gone\).*Give a new executor"
    ):
        scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=Inline(broken_from=8))
    assert 0 < n_done(tmp_path / "scan") < 30
    assert_same(scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=Inline()), serial[1])


def test_a_chunk_that_raises_fails_alone(fit, serial, tmp_path, begun, monkeypatch):
    monkeypatch.setattr("gammajax.scan.engine.compute_chunk", faulty.real)
    faulty.install(begun, "raise", 7)

    class Raising(Inline):
        def submit(self, function, *arguments):
            try:
                return super().submit(function, *arguments)
            except ValueError as error:
                future = Future()
                future.set_exception(error)
                return future

    with pytest.warns(UserWarning, match="1 of 30 chunks failed"):
        result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=Raising())
    assert faulty.computed(begun).count(7) == 3
    assert result.failures == ("chunk 7 (nodes 140 to 159): ValueError: no such table",)
    good = np.arange(600) // SMALL != 7
    np.testing.assert_array_equal(result.stat.ravel()[good], serial[1].stat.ravel()[good])


def test_executors_that_cannot_be(fit, tmp_path):
    with pytest.raises(InputError, match="expected an object with submit"):
        scan(fit, tmp_path / "a", executor=4)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forks:
        with pytest.raises(
            InputError, match=r"forked from one in which JAX runs come to a deadlock; .*get_context\('spawn'\)"
        ):
            scan(fit, tmp_path / "b", executor=forks)
    with pytest.raises(InputError, match="device=.*says where this process computes, but the executor does"):
        scan(fit, tmp_path / "c", executor=Inline(), device="cpu")


# -- processes ---------------------------------------------------------------------------------------------------------


class Running:
    """Something that lives as long as the test says, for `Moments`."""

    ended = False

    def poll(self):
        return 0 if self.ended else None


def killer(folder, moments, pids, life):
    """Kill one of some processes at every moment that is drawn, beside a scan."""

    def strike():
        while len(moments.at) < moments.kills and moments.strike(folder, life):
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(moments.rng.choice(pids()), signal.SIGKILL)

    thread = threading.Thread(target=strike)
    thread.start()
    return thread


LONG = fine(200)


@pytest.fixture(scope="module")
def long(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("long") / "scan"
    return folder, scan(fit, folder, LONG, chunk_size=SMALL)


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_processes_of_a_pool_are_killed(fit, long, tmp_path):
    """What was under way is done again, chunk by chunk, so that the kills are some chunks apart."""
    folder, moments, life = tmp_path / "scan", Moments(4, 200, kills=3), Running()
    scan(fit, folder, LONG, chunk_size=SMALL, compute=False)
    with pool() as executor:
        thread = killer(folder, moments, lambda: [c.pid for c in multiprocessing.active_children()], life)
        result = scan(fit, folder, LONG, chunk_size=SMALL, executor=executor)
        life.ended = True
        thread.join()
    assert len(moments.at) >= 2
    assert_same(result, long[1])
    assert contents(folder) == contents(long[0])


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_chunk_that_kills_processes_of_a_pool_fails_alone(fit, serial, tmp_path, begun):
    with pool(begun, "poison", 7) as executor, pytest.warns(UserWarning, match="1 of 30 chunks failed"):
        result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor)
    assert len(result.failures) == 1
    assert result.failures[0].startswith("chunk 7 (nodes 140 to 159): the worker process died of it (BrokenProcessPool")
    good = np.arange(600) // SMALL != 7
    np.testing.assert_array_equal(result.stat.ravel()[good], serial[1].stat.ravel()[good])


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_pool_whose_device_is_lost_ends_the_scan(fit, tmp_path, begun):
    with (
        pool(begun, "device", 0, n=1) as executor,
        pytest.raises(ScanError, match="the device of a worker failed in chunk"),
    ):
        scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor)
    assert gammajax.scan.open(tmp_path / "scan").failed == {}


# -- Dask --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(workers):
    pytest.importorskip("distributed")
    from gammajax.scan.dask import local_client

    with local_client(2) as made:
        yield made


@pytest.mark.slow
def test_clusters_side_by_side_listen_at_home_alone():
    """Each at ports of its own: a warning of a port that is taken would be an error here."""
    pytest.importorskip("distributed")
    from gammajax.scan.dask import local_client

    with local_client(1) as one, local_client(1) as other:
        for client in (one, other):
            assert client.submit(sum, [1, 2]).result() == 3
            scheduler = client.cluster.scheduler
            sockets = scheduler.http_server._sockets.values()
            assert {s.getsockname()[0] for s in sockets} == {"127.0.0.1"}
            assert scheduler.address.startswith("tcp://127.0.0.1:")


def on_all(client, *faults):
    """Have every worker process be faulty, those too that are started later."""
    from distributed import WorkerPlugin

    class Faulty(WorkerPlugin):
        def setup(self, worker):
            from tests.scan import faulty

            faulty.install(*faults)

    client.register_plugin(Faulty(), name="faulty")


def on_start(client, path):
    """Have every worker process that starts note its number."""
    from distributed import WorkerPlugin

    class Note(WorkerPlugin):
        def setup(self, worker):
            with open(path, "a") as stream:
                stream.write(f" {os.getpid()}")

    client.register_plugin(Note(), name="note")


@pytest.mark.slow
def test_workers_of_dask_are_killed(fit, long, tmp_path, client, begun):
    on_all(client, begun, "none", None)
    assert "127.0.0.1" in client.scheduler.address
    folder, moments, life = tmp_path / "scan", Moments(5, 200, kills=4), Running()
    scan(fit, folder, LONG, chunk_size=SMALL, compute=False)

    def pids():
        return [int(line) for line in (tmp_path / "pids").read_text().split()]

    (tmp_path / "pids").write_text(" ".join(map(str, client.run(os.getpid).values())))
    on_start(client, tmp_path / "pids")
    thread = killer(folder, moments, pids, life)
    result = scan(fit, folder, LONG, chunk_size=SMALL, executor=client.get_executor(pure=False))
    life.ended = True
    thread.join()
    assert len(moments.at) >= 3
    assert_same(result, long[1])
    assert contents(folder) == contents(long[0])
    # what was done is not done again: no more than what was under way
    assert len(faulty.computed(begun)) <= 200 + 6 * len(moments.at)


@pytest.mark.slow
def test_a_chunk_that_kills_workers_of_dask_fails_alone(fit, serial, tmp_path, client, begun):
    on_all(client, begun, "poison", 7)
    with pytest.warns(UserWarning, match="1 of 30 chunks failed"):
        result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=client)
    assert len(result.failures) == 1
    assert "chunk 7 (nodes 140 to 159): the worker process died of it (KilledWorker" in result.failures[0]
    good = np.arange(600) // SMALL != 7
    np.testing.assert_array_equal(result.stat.ravel()[good], serial[1].stat.ravel()[good])


@pytest.mark.slow
def test_a_worker_of_dask_with_a_lost_device_goes_and_its_chunks_do_not(fit, serial, tmp_path, client, begun):
    on_all(client, begun, "device", None)
    assert len(client.nthreads()) == 2
    result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=client)
    assert result.failures == ()
    assert_same(result, serial[1])
    assert (tmp_path / "bad-device").exists()
    assert len(client.nthreads()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["pool", "dask"])
@pytest.mark.usefixtures("workers")
def test_a_worker_that_hangs(fit, serial, tmp_path, begun, engine, request):
    """It lives and says nothing; the limit leaves room for the other to start and to compile."""

    def run(executor):
        result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor, chunk_timeout=20.0)
        assert_same(result, serial[1])
        assert contents(tmp_path / "scan") == contents(serial[0])
        assert faulty.computed(begun).count(7) == 2

    if engine == "dask":
        client = request.getfixturevalue("client")
        on_all(client, begun, "hang", 7)
        run(client)
        os.kill(int((tmp_path / "hangs").read_text()), signal.SIGKILL)
        return
    with pool(begun, "hang", 7) as executor:
        run(executor)
        # the pool would wait for it
        os.kill(int((tmp_path / "hangs").read_text()), signal.SIGKILL)


EVERYTHING = """
import sys
import numpy as np
from gammajax.scan.dask import local_client
from gammajax.scan.store import resume, run_store

if __name__ == "__main__":
    store = resume(sys.argv[1])
    with local_client(2) as client:
        run_store(store, executor=client, progress=False)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("seed", [1, 2])
def test_driver_scheduler_and_workers_are_killed_together(fit, long, tmp_path, seed):
    pytest.importorskip("distributed")
    folder, moments = tmp_path / "scan", Moments(seed, 200, kills=4)
    scan(fit, folder, LONG, chunk_size=SMALL, compute=False)
    script = tmp_path / "everything.py"
    script.write_text(EVERYTHING)
    for k in range(moments.kills):
        process = subprocess.Popen([sys.executable, str(script), str(folder)], cwd=ROOT, start_new_session=True)
        # one while the cluster starts
        moments.strike(folder, process, early=5.0 if k == 1 else None)
        # the whole group: driver, scheduler, nannies, workers
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(moments.at) >= 3
    assert max(moments.at) >= 100
    assert_same(scan(fit, folder, LONG, chunk_size=SMALL), long[1])
    assert contents(folder) == contents(long[0])


@pytest.fixture
def cluster(tmp_path, workers):
    """A scheduler and a worker as processes of their own, and the file that tells where the scheduler is."""
    pytest.importorskip("distributed")
    place = tmp_path / "scheduler.json"
    env = os.environ | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
    where = ["--host", "127.0.0.1", "--scheduler-file", str(place)]
    scheduler, worker = (
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.dask_{name}", *where, *more], env=env, stderr=subprocess.DEVNULL)
        for name, more in (
            ("scheduler", ["--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]),
            ("worker", ["--no-dashboard", "--nthreads", "1", "--death-timeout", "20"]),
        )
    )  # fmt: skip
    try:
        while not place.exists():
            time.sleep(0.1)
        yield place, scheduler
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


DRIVER = """
import sys
from distributed import Client
from gammajax.scan.store import resume, run_store

if __name__ == "__main__":
    with Client(scheduler_file=sys.argv[2], timeout="30s") as client:
        run_store(resume(sys.argv[1]), executor=client, progress=False)
"""


@pytest.mark.slow
def test_the_driver_is_killed_and_the_cluster_lives_on(fit, long, tmp_path, cluster):
    from distributed import Client

    folder, moments = tmp_path / "scan", Moments(3, 200, kills=3)
    scan(fit, folder, LONG, chunk_size=SMALL, compute=False)
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    for _ in range(moments.kills):
        process = subprocess.Popen([sys.executable, str(script), str(folder), str(cluster[0])], cwd=ROOT)
        moments.strike(folder, process)
        process.kill()
        process.wait()
    assert len(moments.at) >= 2
    with Client(scheduler_file=str(cluster[0]), timeout="10s") as client:
        assert_same(scan(fit, folder, LONG, chunk_size=SMALL, executor=client), long[1])
    assert contents(folder) == contents(long[0])


@pytest.mark.slow
def test_the_scheduler_of_dask_is_lost(fit, tmp_path, cluster):
    from distributed import Client

    place, scheduler = cluster
    folder = tmp_path / "scan"

    def strike():
        while n_done(folder) < 5:
            time.sleep(0.01)
        scheduler.kill()

    scan(fit, folder, fine(300), chunk_size=SMALL, compute=False)
    with Client(scheduler_file=str(place), timeout="10s") as client:
        client.wait_for_workers(1, timeout=60)
        thread = threading.Thread(target=strike)
        thread.start()
        begin = time.monotonic()
        with pytest.raises(ScanError, match=r"make the same call again|Make the same call again"):
            scan(fit, folder, fine(300), chunk_size=SMALL, executor=client)
        assert time.monotonic() - begin < 120
        thread.join()
    assert 5 <= n_done(folder) < 300
