"""Stored scans under real faults: killed and interrupted processes, full and read-only folders, several devices, too little memory."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import gammajax
from gammajax.errors import InputError, ScanError
from gammajax.scan.folder import Folder
from tests.scan.stored import (
    AXES,
    ROOT,
    Moments,
    assert_same,
    contents,
    driver,
    environment,
    fine,
    fitted,
    kill,
    n_done,
    scan,
    wait_for,
)


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Compiled programs that the processes of these tests share."""
    return tmp_path_factory.mktemp("cache")


def test_kill_the_driver_and_go_on(fit, tmp_path, cache):
    scan(fit, tmp_path / "killed", fine(60), chunk_size=20, compute=False)
    process = driver(tmp_path / "killed", cache)
    wait_for(tmp_path / "killed", 5, process)
    kill(process)
    assert process.returncode == -signal.SIGKILL
    done = n_done(tmp_path / "killed")
    assert 5 <= done < 60
    went_on = scan(fit, tmp_path / "killed", fine(60), chunk_size=None)
    assert_same(went_on, scan(fit, tmp_path / "serial", fine(60), chunk_size=20))
    assert contents(tmp_path / "killed") == contents(tmp_path / "serial")
    assert not list((tmp_path / "killed").glob(".tmp-*"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_kill_the_driver_at_random_moments(fit, tmp_path, cache, seed):
    """Until it is done; whatever it was doing, what is there then is whole."""
    axes, total = fine(240), 240
    serial = scan(fit, tmp_path / "serial", axes, chunk_size=20)
    folder, moments = tmp_path / "killed", Moments(seed, total, kills=7)
    scan(fit, folder, axes, chunk_size=20, compute=False)
    for k in range(moments.kills):
        process = driver(folder, cache)
        # the first and the fourth while it still imports and compiles
        moments.strike(folder, process, early=4.0 if k % 3 == 0 else None)
        kill(process)
        stored = gammajax.scan.open(folder)
        for number in stored.done:
            assert len(stored.chunk(number)["stat"]) == 20
    # at the beginning, on the way and towards the end
    assert len(moments.at) >= 5
    assert min(moments.at) < total / 4
    assert max(moments.at) >= total / 2
    assert_same(scan(fit, folder, axes, chunk_size=None), serial)
    assert contents(folder) == contents(tmp_path / "serial")
    assert not list(folder.glob(".tmp-*"))


@pytest.mark.slow
def test_two_drivers_at_the_same_time(fit, tmp_path, cache):
    axes = fine(100)
    serial = scan(fit, tmp_path / "serial", axes, chunk_size=20)
    scan(fit, tmp_path / "two", axes, chunk_size=20, compute=False)
    both = [driver(tmp_path / "two", cache) for _ in range(2)]
    said = [p.communicate(timeout=300)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    # each chunk was stored by one of them, whatever the other computed
    stored = [
        int(line.split(": ")[1].split()[0]) for text in said for line in text.splitlines() if "stored by this" in line
    ]
    assert sum(stored) == 100
    assert_same(gammajax.scan.open(tmp_path / "two").result(), serial)
    assert contents(tmp_path / "two") == contents(tmp_path / "serial")


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_the_driver(fit, tmp_path, cache, times):
    folder = tmp_path / "scan"
    scan(fit, folder, fine(2000), chunk_size=20, compute=False)
    process = driver(folder, cache)
    wait_for(folder, 3, process)
    for _ in range(times - 1):
        process.send_signal(signal.SIGINT)
    _, said = kill(process, signal.SIGINT)
    assert process.returncode != 0
    if times == 1:
        assert process.returncode == 130
        assert "chunks are done. They are kept in" in said
        assert "make the same call again to go on from there" in said
    stored = gammajax.scan.open(folder)
    assert 3 <= len(stored.done) < 2000
    assert all(np.isfinite(stored.chunk(n)["stat"]).all() for n in stored.done)


def test_no_space_left(fit, tmp_path):
    """A limit on the size of files stands for a full disk: the write fails in the middle."""
    scan(fit, tmp_path / "scan", chunk_size=100, compute=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    folder = Folder(tmp_path / "scan")
    one = {
        "stat": np.zeros(100),
        "status": np.zeros(100, dtype=np.int8),
        "edm": np.zeros(100),
        "nuisance": np.zeros((1, 100)),
    }
    folder.commit(0, gammajax.scan.open(folder.path).fingerprint, one)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(
            ScanError, match=r"cannot write chunk 1, there is no space left .* 1 chunks are stored and stay readable"
        ):
            scan(fit, tmp_path / "scan", chunk_size=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    stored = gammajax.scan.open(tmp_path / "scan")
    assert stored.done == [0]
    np.testing.assert_array_equal(stored.chunk(0)["stat"], one["stat"])
    assert not list((tmp_path / "scan").glob(".tmp-*"))
    # with space it goes on
    assert scan(fit, tmp_path / "scan", chunk_size=100).ok.all()


def test_a_full_small_file_system(fit, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        with pytest.raises(
            ScanError, match="there is no space left .No space left on device.*Free some, then make the same call"
        ):
            scan(fit, disk / "scan", fine(1000), chunk_size=500)
        stored = gammajax.scan.open(disk / "scan")
        assert 0 < len(stored.done) < 40
        assert all(np.isfinite(stored.chunk(n)["stat"]).all() for n in stored.done)
        assert not list((disk / "scan").glob(".tmp-*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


READ_ONLY = """
import os
import sys
import gammajax
from gammajax.errors import ScanError
from gammajax.scan.folder import Folder
gammajax.scan.open(sys.argv[1]).result()
if os.geteuid() == 0:
    # root may write anywhere: from here on somebody who may not
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
stored = gammajax.scan.open(sys.argv[1])
print(len(stored.done), float(stored.result().stat.ravel()[0]))
for action in (Folder(sys.argv[1]).check_writable, lambda: Folder(sys.argv[1] + "/new").create({}, {})):
    try:
        action()
        print("it was written")
    except ScanError as error:
        print(error)
"""


def test_a_read_only_folder(fit, cache):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "scan"
        result = scan(fit, folder, chunk_size=100)
        Folder(folder).chunk_path(4).unlink()
        os.chmod(place, 0o755)
        everything = (folder, *folder.rglob("*"))
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", READ_ONLY, str(folder)]
        out = subprocess.run(command, env=environment(cache), capture_output=True, text=True, cwd=ROOT, check=False)
        for path in everything:
            path.chmod(0o755)
    assert out.returncode == 0, out.stderr
    done, refused, new = out.stdout.strip().splitlines()
    assert done == f"4 {float(result.stat.ravel()[0])}"
    assert (
        "cannot write, writing is not permitted (Permission denied). 4 chunks are stored and stay readable." in refused
    )
    assert "cannot make the folder, writing is not permitted (Permission denied)" in new


DEVICES = """
import sys
import jax
import numpy as np
from gammajax.scan.store import resume, run_store
from gammajax.solve import sharded
from gammajax.units import double_precision

calls = []
real = sharded._run
def spied(program, devices, static, *arguments):
    calls.append((program, devices, static, arguments))
    return real(program, devices, static, *arguments)
sharded._run = spied
assert len(jax.local_devices()) == 2
for folder in sys.argv[1:]:
    run_store(resume(folder), progress=False)
with double_precision():
    for program, devices, static, arguments in calls[:1] + calls[-1:]:
        assert len(devices) == 2
        text = sharded.sharded(program, devices, static).lower(*arguments).compile().as_text()
        assert "while" in text
        print("all-" in text or "collective" in text)
"""


@pytest.mark.slow
def test_several_devices_compute_the_same_bits_and_never_wait_for_one_another(fit, tmp_path, cache):
    for name, refit in (("fitted", True), ("frozen", False)):
        scan(fit, tmp_path / name, chunk_size=None, reoptimize=refit)
        scan(fit, tmp_path / f"{name} on two", chunk_size=None, reoptimize=refit, compute=False)
    # by rows of a surface: on one thread per core, whatever the devices
    surface, compute = fine(500), {"compute": False}
    for name, more in (("surface", {}), ("surface on two", compute)):
        scan(fit, tmp_path / name, surface, chunk_size=4000, **more)
    folders = [str(tmp_path / f"{n} on two") for n in ("fitted", "frozen", "surface")]
    flags = environment(cache) | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    out = subprocess.run(
        [sys.executable, "-c", DEVICES, *folders], env=flags, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == ["False", "False"]
    for name in ("fitted", "frozen", "surface"):
        assert contents(tmp_path / f"{name} on two") == contents(tmp_path / name)


TURNS = """
import jax
import numpy as np
import gammajax.scan.blocks as blocks
from gammajax.solve.surface import Layout
from tests.scan.stored import fine, fitted

assert len(jax.local_devices()) == 3
blocks.layout_of = lambda *a: Layout((16, 16), (16, 16))
used, real = set(), blocks.Blocks._on
blocks.Blocks._on = lambda self, device: (used.add(device), real(self, device))[1]
fit, found = fitted(), []
for turns in (blocks.in_turn, lambda devices: devices):
    used.clear()
    blocks.in_turn = turns
    for reoptimize in (True, False):
        result = fit.stat_grid(fine(600), reoptimize=reoptimize, chunk_size=6000, progress=False)
        found.append(result.stat)
    print(len(used))
print(np.array_equal(found[0], found[2]), np.array_equal(found[1], found[3]))
"""


@pytest.mark.slow
def test_accelerators_take_turns_at_the_blocks_of_a_surface(cache):
    flags = environment(cache) | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}
    out = subprocess.run(
        [sys.executable, "-c", TURNS], env=flags, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == ["1", "3", "True", "True"]


def test_a_device_without_memory_gets_smaller_batches(fit, tmp_path, monkeypatch, caplog):
    import jax

    from gammajax.solve import batch
    from gammajax.solve.programs import sizes

    size, real, tried = sizes("cpu"), batch.minimize_program, []
    before = dict(vars(size))

    def small(*arguments, inner, **static):
        tried.append(inner)
        if inner > 8:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.")
        return real(*arguments, inner=inner, **static)

    expected = scan(fit, tmp_path / "roomy", chunk_size=250)
    monkeypatch.setattr(batch, "minimize_program", small)
    try:
        result = scan(fit, tmp_path / "cramped", chunk_size=250)
    finally:
        vars(size).update(before)
    assert set(tried) == {32, 16, 8}
    assert result.failures == ()
    # other batches, other rounding
    np.testing.assert_allclose(result.stat, expected.stat, rtol=0, atol=1e-9)
    said = [r.message for r in caplog.records if "ran out of memory" in r.message]
    assert said == ["the cpu ran out of memory; going on with batches of 8 fits."]


CRAMPED = """
import logging
import resource
import sys
import numpy as np
from tests.scan.stored import fitted, scan
from gammajax.scan import chunk
from gammajax.solve.programs import sizes

logging.basicConfig()
fit = fitted()
size, chunk.SLAB["cpu"] = sizes("cpu"), 1 << 30
size.minimize = size.capacity = size.large = 1 << 20
(used,) = (int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + 700_000_000,) * 2)
# the nodes one by one: factors of each axis need little memory
chunk.rows_of = lambda *a: None
axes = {"alpha": np.linspace(1.9, 2.6, 1000), "beta": np.linspace(0, 0.5, 1000)}
result = scan(fit, sys.argv[1], axes, chunk_size=10**6)
print(result.ok.all(), result.failures, size.minimize)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the size of the process is not known here")
def test_memory_that_is_really_exhausted(tmp_path, cache):
    """One batch of a million fits in 700 MB: what XLA's allocator says then is understood."""
    command = [sys.executable, "-c", CRAMPED, str(tmp_path / "scan")]
    # the limit is one of addresses, of which glibc sets aside up to 128 MB for every thread
    env = environment(cache) | {"MALLOC_ARENA_MAX": "1"}
    for _ in range(4):
        out = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT, check=False)
        # a few bytes that a thread of XLA itself cannot have end the process, and nobody can catch that: it goes on from there
        if out.returncode != -signal.SIGABRT or "bad_alloc" not in out.stderr:
            break
    assert out.returncode == 0, out.stderr
    ok, failures, batch = out.stdout.split()
    assert (ok, failures) == ("True", "()")
    assert int(batch) < 1 << 20
    assert out.stderr.count("ran out of memory; going on with batches of") == 1


def test_a_device_without_any_memory_ends_the_scan(fit, tmp_path, monkeypatch):
    import jax

    from gammajax.scan import engine
    from gammajax.solve.programs import sizes

    size = sizes("cpu")
    before = dict(vars(size))

    def none(*a):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(engine, "compute_chunk", none)
    try:
        with pytest.raises(ScanError, match="the device failed in chunk 0 .*RESOURCE_EXHAUSTED"):
            scan(fit, tmp_path / "scan")
    finally:
        vars(size).update(before)
    assert gammajax.scan.open(tmp_path / "scan").failed == {}


def test_a_grid_too_large_for_the_memory_needs_a_store(fit, tmp_path, monkeypatch):
    huge = {"alpha": np.linspace(1.5, 2.9, 200_000), "beta": np.linspace(0.0, 0.5, 200_000)}
    with pytest.raises(InputError, match=r"40000000000 nodes need .* TB of memory .* Give store='folder'"):
        fit.stat_grid(huge, reoptimize=True)
    with pytest.raises(InputError, match="Give store='folder'"):
        fit.stat_grid(huge, reoptimize=False)
    begun = scan(fit, tmp_path / "huge", huge, chunk_size=10**9, compute=False)
    assert begun.n_chunks == 40
    with pytest.raises(
        InputError, match=r"the result of 40000000000 nodes takes .* GB, too much for the memory of this"
    ):
        begun.result()
    # one that is only too large for a small machine comes back as what is stored
    monkeypatch.setattr("gammajax.scan.memory.available", lambda: 10_000)
    monkeypatch.setattr("gammajax.scan.memory.SMALL", 0)
    with pytest.raises(InputError, match=r"scan: 500 nodes need .* kB of memory .*, and 10 kB are available"):
        fit.stat_grid(AXES, reoptimize=True)
    stored = scan(fit, tmp_path / "small")
    assert isinstance(stored, gammajax.scan.StoredScan)
    assert stored.complete
