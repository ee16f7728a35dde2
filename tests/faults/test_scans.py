"""Faults of large scans: entries 68 to 72 of the list of bad inputs and faults. tests/scan has the killed processes and workers.

What an interrupted scan leaves is provoked here byte by byte; whatever it was, going on gives the bits of an uninterrupted one.
"""

import errno
import os
import resource
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

import gammajax
from gammajax import Status
from gammajax.errors import InputError, ScanError
from gammajax.scan.folder import Folder
from tests.scan.stored import assert_same, contents, fitted, scan

TABLE: list = []


def entry(number):
    """Put a check into the table, under the number of its entry in the list of faults."""

    def put(check):
        TABLE.append(pytest.param(number, check, id=f"{number}-{check.__name__}"))
        return check

    return put


class Scene:
    """A fit, an uninterrupted scan, and a folder to work in."""

    def __init__(self, folder):
        self.fit, self.folder, self.serial = fitted(), folder, folder / "serial"
        self.expected = scan(self.fit, self.serial)

    def copy(self, name, without=()):
        made = self.folder / name
        shutil.copytree(self.serial, made)
        for number in without:
            Folder(made).chunk_path(number).unlink()
        return made

    def goes_on(self, folder):
        assert_same(scan(self.fit, folder), self.expected)
        assert contents(folder) == contents(self.serial)
        assert not list(folder.glob(".tmp-*"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("faults"))


@entry(68)
def a_grid_larger_than_the_memory(scene):
    axes = {"alpha": np.linspace(1.5, 2.9, 300_000), "beta": np.linspace(0, 0.5, 300_000)}
    for refit in (True, False):
        with pytest.raises(InputError, match=r"90000000000 nodes need [\d.]+ TB of memory .*Give store='folder'"):
            scene.fit.stat_grid(axes, reoptimize=refit)
    stored = scan(scene.fit, scene.folder / "huge", axes, chunk_size=10**9, compute=False)
    with pytest.raises(InputError, match="too much for the memory of this machine; read it chunk by chunk"):
        stored.result()


@entry(69)
def an_interruption(scene):
    folder = scene.copy("interrupted", without=(2, 4, 6))

    def stop(progress):
        if progress.done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        scan(scene.fit, folder, progress=stop)
    assert "interrupted: 6 of 8 chunks are done. They are kept in" in caught.value.__notes__[0]
    # the interpreter is as it was, and so is what is stored
    assert gammajax.scan.open(folder).left == [4, 6]
    scene.goes_on(folder)


def _gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@entry(70)
def killed_at_any_byte(scene):
    """A process that dies while it writes leaves the beginning of a file under a temporary name, nothing else."""
    whole, pid = Folder(scene.serial).chunk_path(3).read_bytes(), _gone()
    for n in (0, 1, 100, len(whole) // 2, len(whole) - 1, len(whole)):
        folder = scene.copy(f"killed at {n}", without=(3,))
        (folder / f".tmp-{socket.gethostname()}-{pid}-4").write_bytes(whole[:n])
        scene.goes_on(folder)


@entry(70)
def killed_between_the_name_and_the_end(scene):
    """After the link, before the temporary name is gone: the chunk counts."""
    folder = scene.copy("killed after")
    os.link(Folder(folder).chunk_path(3), folder / f".tmp-{socket.gethostname()}-{_gone()}-4")
    Folder(folder).chunk_path(5).unlink()
    scene.goes_on(folder)


@entry(70)
def killed_before_the_manifest(scene):
    folder = scene.copy("killed early", without=range(8))
    (folder / "manifest.json").unlink()
    scene.goes_on(folder)


@entry(70)
def gone_on_with_another_scan(scene):
    with pytest.raises(InputError, match="another scan is stored there. What differs: tol: there 1e-09, here 1e-05"):
        scan(scene.fit, scene.serial, tol=1e-5)


@entry(71)
def a_disk_that_is_full(scene):
    folder = scene.copy("full", without=(6, 7))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(
            ScanError, match="there is no space left .*6 chunks are stored and stay readable. Free some"
        ):
            scan(scene.fit, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert gammajax.scan.open(folder).left == [6, 7]
    scene.goes_on(folder)


@entry(71)
def a_name_that_a_file_server_does_not_give(scene):
    """What only a server far away can answer is put in its mouth: the quota is used up, the folder is gone stale, the disk has failed."""
    for code, text in (
        (errno.EDQUOT, "there is no space left .*Free some, then make the same call again"),
        (errno.ESTALE, "cannot write chunk 6, .*Make the same call again when that is mended"),
        (errno.EIO, "cannot write chunk 6, .*Make the same call again when that is mended"),
    ):
        folder = scene.copy(f"served {code}", without=(6, 7))

        def refused(*names, code=code):
            raise OSError(code, os.strerror(code))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "link", refused)
            with pytest.raises(ScanError, match=text) as caught:
                scan(scene.fit, folder)
        assert caught.value.errno == code
        assert "6 chunks are stored and stay readable" in str(caught.value)
        assert gammajax.scan.open(folder).left == [6, 7]
        scene.goes_on(folder)


@entry(71)
def one_file_that_cannot_be_written(scene):
    stored = gammajax.scan.open(scene.serial)
    path = scene.folder / "one.fits"
    path.write_bytes(b"the old one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ScanError, match="cannot write .*one.fits .*; the stored scan is as it was"):
            stored.consolidate(path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"the old one"
    assert not list(scene.folder.glob(".one-*"))


@entry(72)
def two_processes_on_one_chunk(scene):
    folder = scene.copy("two", without=(1,))
    target, arrays = Folder(folder), gammajax.scan.open(scene.serial).chunk(1)
    fingerprint = gammajax.scan.open(folder).fingerprint
    assert target.commit(1, fingerprint, arrays)
    # the second copy is thrown away, even if it were another
    assert not target.commit(1, fingerprint, {k: np.zeros_like(v) for k, v in arrays.items()})
    scene.goes_on(folder)


@entry(72)
def a_chunk_cut_anywhere(scene):
    whole = Folder(scene.serial).chunk_path(2).read_bytes()
    for n in (0, 10, 200, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        folder = scene.copy(f"cut at {n}")
        Folder(folder).chunk_path(2).write_bytes(whole[:n])
        seen = gammajax.scan.open(folder).result()
        assert (seen.status == Status.FAILED).sum() == 64
        with pytest.warns(UserWarning, match="chunk 2 is damaged and computed again; it was set aside as"):
            scene.goes_on(folder)
        assert len(list((folder / "aside").iterdir())) == 1


@entry(72)
def a_chunk_with_flipped_bytes(scene):
    """No damage of a chunk gives a value that differs without a word."""
    whole, rng = Folder(scene.serial).chunk_path(2).read_bytes(), np.random.default_rng(72)
    folder = scene.copy("flipped")
    expected = scene.expected.stat.ravel()[128:192]
    for _ in range(60):
        content = bytearray(whole)
        content[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        Folder(folder).chunk_path(2).write_bytes(bytes(content))
        stat = gammajax.scan.open(folder).result().stat.ravel()[128:192]
        assert np.isnan(stat).all() or np.array_equal(stat, expected)


NUMBERS = {p.values[0] for p in TABLE}


@pytest.mark.parametrize(("number", "check"), TABLE)
def test_fault(number, check, scene):
    check(scene)
