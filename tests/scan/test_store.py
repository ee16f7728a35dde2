"""Scans in a folder: the same bits in any order and after any interruption, damage found, other scans refused."""

import json
import logging
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

import gammajax
from gammajax import Fit, ScanResult, Status
from gammajax.errors import FileFormatError, InputError, MissingFileError, ScanError
from gammajax.io.fits import open_fits
from gammajax.scan import StoredScan
from gammajax.scan.folder import Folder
from tests.problems import embedded
from tests.scan.stored import ALPHA, AXES, BETA, CHUNK, assert_same, contents, edit_manifest, fitted, scan


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def serial(fit, tmp_path_factory):
    """An uninterrupted scan, its folder and its result."""
    folder = tmp_path_factory.mktemp("serial") / "scan"
    return folder, scan(fit, folder)


def copy(serial, tmp_path, without=()):
    """A copy of the folder of the uninterrupted scan, without some chunks."""
    from shutil import copytree

    folder = tmp_path / "scan"
    copytree(serial[0], folder)
    for number in without:
        Folder(folder).chunk_path(number).unlink()
    return folder


@pytest.mark.usefixtures("batched_program")
def test_a_stored_scan_is_the_scan_in_memory(fit, serial):
    _, stored = serial
    assert isinstance(stored, ScanResult)
    assert stored.ok.all()
    assert_same(stored, fit.stat_grid(AXES, reoptimize=True))


def test_other_scans_through_the_same_engine(fit, tmp_path, batched_program):
    pairs = {
        "frozen": lambda **how: fit.stat_grid(AXES, reoptimize=False, **how),
        "surface": lambda **how: fit.stat_surface("alpha", "beta", ALPHA[:5], BETA[:4], reoptimize=True, **how),
        "profile": lambda **how: fit.stat_profile("beta", BETA, reoptimize=True, **how),
    }
    for name, call in pairs.items():
        assert_same(call(store=tmp_path / name, chunk_size=7, progress=False), call())
    profiles = fit.stat_profiles(nvalues=5, reoptimize=True, store=tmp_path / "all", chunk_size=7, progress=False)
    assert list(profiles) == list(gammajax.scan.open(tmp_path / "all").results())
    for name, one in fit.stat_profiles(nvalues=5, reoptimize=True).items():
        # one program for all chunks: a parameter that a profile holds is among the columns of another's
        np.testing.assert_allclose(profiles[name].stat, one.stat, rtol=0, atol=1e-9)
        assert profiles[name].nuisance.keys() == one.nuisance.keys()
    path = gammajax.scan.open(tmp_path / "all").consolidate(tmp_path / "all.fits")
    # a wrong sum is a warning of astropy, and an error of ours
    with open_fits(path, "scan") as file:
        assert file[0].header["NEXTEND"] == len(file) - 1
    with fits.open(path, checksum=True) as file:
        assert all({"CHECKSUM", "DATASUM"} <= set(h.header) for h in file)
        for k, (name, one) in enumerate(profiles.items(), start=1):
            np.testing.assert_array_equal(file[f"STAT{k}"].data, one.stat)
            row = file["AXES"].data[k - 1]
            assert (row["GRID"], row["NAME"]) == (k, name)
            np.testing.assert_array_equal(row["VALUES"], one.axes[0])


def test_the_second_call_computes_nothing(fit, serial, monkeypatch):
    folder, result = serial
    monkeypatch.setattr("gammajax.scan.engine.compute_chunk", lambda *a: pytest.fail("computed again"))
    assert_same(scan(fit, folder), result)
    assert_same(scan(fit, folder, chunk_size=None), result)


def test_resume_computes_what_is_missing_and_nothing_else(fit, serial, tmp_path, monkeypatch):
    folder = copy(serial, tmp_path, without=(2, 5))
    computed = []
    from gammajax.scan import engine

    real = engine.compute_chunk
    monkeypatch.setattr(engine, "compute_chunk", lambda t, n, d: (computed.append(n), real(t, n, d))[1])
    assert_same(scan(fit, folder), serial[1])
    assert computed == [2, 5]
    assert contents(folder) == contents(serial[0])


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "other scan", "other chunk"])
def test_a_damaged_chunk_is_set_aside_and_computed_again(fit, serial, tmp_path, damage):
    folder = copy(serial, tmp_path)
    path = Folder(folder).chunk_path(3)
    whole = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        # in the middle of the numbers: only a checksum sees it
        whole[300] ^= 1
        path.write_bytes(whole)
    elif damage == "other scan":
        arrays = Folder(folder).read(3, gammajax.scan.open(folder).fingerprint)
        path.unlink()
        Folder(folder).commit(3, "f" * 64, arrays)
    else:
        path.write_bytes(Folder(folder).chunk_path(2).read_bytes())
    # whoever only looks sees no value of it
    seen = gammajax.scan.open(folder).result()
    assert (seen.status.ravel()[3 * CHUNK : 4 * CHUNK] == Status.FAILED).all()
    assert np.isnan(seen.stat.ravel()[3 * CHUNK : 4 * CHUNK]).all()
    assert "run the scan on" in " ".join(seen.notes())
    with pytest.warns(UserWarning, match="chunk 3 is damaged and computed again; it was set aside as"):
        assert_same(scan(fit, folder), serial[1])
    assert contents(folder) == contents(serial[0])
    assert len(list((folder / "aside").iterdir())) == 1


def test_the_folder_of_another_scan_is_refused_with_what_differs(fit, serial):
    folder, _ = serial
    cases = {
        r"axes\[1\]: there 20 values from 0.0 to 0.5, here 19 values": {"axes": AXES | {"beta": BETA[:-1]}},
        "names": {"axes": {"alpha": ALPHA, "amplitude": np.array([3e-11, 4e-11])}},
        "tol: there 1e-09, here 1e-06": {"tol": 1e-6},
        "max_iter: there 200, here 100": {"max_iter": 100},
        "starts: there 1, here 2": {"starts": 2},
        "kind: there 'profile', here 'frozen'": {"reoptimize": False},
        "chunk_size: there 64, here 32": {"chunk_size": 32},
    }
    for text, changes in cases.items():
        with pytest.raises(InputError, match=text):
            scan(fit, folder, **changes)
    spectrum = fit.datasets.models[0].spectral_model
    spectrum.alpha.max = 4
    try:
        with pytest.raises(
            InputError,
            match=r"another scan is stored there. What differs: limits.crab.spectral.alpha\[1\]: there 3.0, here 4.0",
        ):
            scan(fit, folder)
    finally:
        spectrum.alpha.max = 3


def test_other_data_and_another_model_are_other_scans(fit, serial):
    from gammajax import ExpCutoffPowerLawSpectralModel, SkyModel

    other = embedded()
    other.mask_fit = other.counts.geom.energy_mask(1 * u.TeV, 30 * u.TeV)
    changed = Fit([other], backend="newton")
    changed.run()
    with pytest.raises(InputError, match="data: there '[0-9a-f]{60}"):
        scan(changed, serial[0])
    other.models = SkyModel(ExpCutoffPowerLawSpectralModel(), name="crab")
    with pytest.raises(InputError, match="model: there"):
        Fit([other], backend="newton").stat_grid(
            {"index": [2.0, 2.1]}, reoptimize=True, store=serial[0], progress=False, chunk_size=CHUNK
        )


def test_a_best_fit_elsewhere_is_another_scan(fit, serial):
    alpha = fit.datasets.models[0].spectral_model.alpha
    best = alpha.value
    try:
        # rounding of another machine is no other start: the stored one is used
        alpha.value = best + 1e-9
        assert_same(scan(fit, serial[0]), serial[1])
        alpha.value = best + 0.1
        with pytest.raises(InputError, match="best fit of crab.spectral.alpha: there 2.*, here 2"):
            scan(fit, serial[0])
    finally:
        alpha.value = best


def test_open_tells_what_is_there(fit, serial, tmp_path):
    folder = copy(serial, tmp_path, without=(0, 7))
    stored = gammajax.scan.open(str(folder))
    assert isinstance(stored, StoredScan)
    assert (stored.n_chunks, stored.chunk_size, stored.n_nodes, stored.shape) == (8, 64, 500, (25, 20))
    assert (stored.done, stored.left, stored.failed) == ([1, 2, 3, 4, 5, 6], [0, 7], {})
    assert not stored.complete
    assert stored.notes() == ["2 of 8 chunks are not done yet."]
    assert "6 of 8 done, 0 failed, 2 left" in str(stored)
    result = stored.result()
    flat = np.arange(500).reshape(25, 20)
    missing = (flat < 64) | (flat >= 7 * 64)
    np.testing.assert_array_equal(np.isnan(result.stat), missing)
    np.testing.assert_array_equal(result.status == Status.NOT_DONE, missing)
    np.testing.assert_array_equal(result.stat[~missing], serial[1].stat[~missing])
    assert f"{missing.sum()} of 500 nodes: not computed yet" in result.notes()[0]
    table = stored.to_table()
    assert table["status"][0] == "NOT_DONE"
    assert len(table) == 500
    pytest.importorskip("xarray")
    assert stored.to_xarray()["stat"].isnull().sum() == missing.sum()


def test_open_refuses_what_is_no_scan(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        gammajax.scan.open(tmp_path / "nothing")
    with pytest.raises(MissingFileError, match="holds no scan"):
        gammajax.scan.open(tmp_path)
    for text, match in (
        ("{", "not JSON"),
        ("{}", "holds no scan"),
        ('{"format": "gammajax scan", "version": 9}', "version 9"),
    ):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(FileFormatError, match=match):
            gammajax.scan.open(tmp_path)


@pytest.mark.parametrize(
    "change", [{"chunk_size": 0}, {"chunk_size": "many"}, {"grids": []}, {"grids": [{"names": ["x"]}]}]
)
def test_a_damaged_manifest_is_refused(serial, tmp_path, change):
    folder = copy(serial, tmp_path)
    edit_manifest(folder, lambda m: m["spec"].update(change))
    with pytest.raises(FileFormatError, match="manifest.json: .*; the file is damaged"):
        gammajax.scan.open(folder)


def test_a_manifest_that_was_changed_is_refused(serial, tmp_path):
    """A digit of what results tell beside the scan, which the fingerprint does not know: TS would be another."""
    folder = copy(serial, tmp_path)
    text = (folder / "manifest.json").read_text()
    best = f'"stat_best": {serial[1].stat_best!r}'
    assert best in text
    (folder / "manifest.json").write_text(text.replace(best, f'"stat_best": {serial[1].stat_best + 1!r}'))
    with pytest.raises(
        FileFormatError, match="manifest.json: does not match its SHA-256; the file is damaged, or was changed by hand"
    ):
        gammajax.scan.open(folder)
    # one of before there were sums
    edit_manifest(folder, lambda m: None)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert gammajax.scan.open(folder).stat_best == serial[1].stat_best + 1


def test_a_damaged_likelihood_is_refused(fit, serial, tmp_path):
    folder = copy(serial, tmp_path, without=(1,))
    (path,) = folder.glob("likelihood-*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="does not match its SHA-256"):
        scan(fit, folder)
    # values can be read without it
    assert len(gammajax.scan.open(folder).done) == 7


def test_a_folder_with_other_files_is_left_alone(fit, tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(InputError, match=r"holds other files \(thesis.tex\) and no scan"):
        scan(fit, tmp_path)


@pytest.mark.parametrize("fails", ["once", "always"])
def test_a_chunk_that_fails_is_tried_again_and_then_listed(fit, serial, tmp_path, monkeypatch, fails):
    from gammajax.scan import engine

    folder = copy(serial, tmp_path, without=(2, 4))
    real, calls = engine.compute_chunk, []

    def faulty(task, number, device):
        calls.append(number)
        if number == 4 and (fails == "always" or calls.count(4) == 1):
            raise ValueError("no such table")
        return real(task, number, device)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "compute_chunk", faulty)
        if fails == "once":
            assert_same(scan(fit, folder), serial[1])
            return
        with pytest.warns(UserWarning, match="1 of 8 chunks failed, their nodes are nan with the status FAILED"):
            result = scan(fit, folder)
    assert calls == [2, 4, 4, 4]
    flat = result.status.ravel()
    assert (flat[256:320] == Status.FAILED).all()
    assert not result.ok.ravel()[256:320].any()
    assert np.isnan(result.stat.ravel()[256:320]).all()
    assert result.failures == ("chunk 4 (nodes 256 to 319): ValueError: no such table",)
    assert result.failures[0] in result.notes()
    stored = gammajax.scan.open(folder)
    assert stored.failed == {4: "ValueError: no such table"}
    assert stored.left == []
    # a new run tries it again, and its error is forgotten
    assert_same(scan(fit, folder), serial[1])
    assert gammajax.scan.open(folder).failed == {}


def test_a_scan_whose_chunks_all_fail_stops(fit, tmp_path, monkeypatch):
    from gammajax.scan import engine

    monkeypatch.setattr(engine, "compute_chunk", lambda *a: 1 / 0)
    with pytest.raises(
        ScanError, match="the first 8 chunks all failed and none was done; the last error: ZeroDivisionError"
    ):
        scan(fit, tmp_path / "scan", chunk_size=10)


def test_a_lost_device_stops_the_scan_and_keeps_the_chunks(fit, serial, tmp_path, monkeypatch):
    import jax

    from gammajax.scan import engine

    folder = copy(serial, tmp_path, without=(3, 4))

    def lost(*a):
        raise jax.errors.JaxRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "compute_chunk", lost)
        with pytest.raises(ScanError, match=r"the device failed in chunk 3 .*CUDA_ERROR.* make the same call again"):
            scan(fit, folder)
    assert gammajax.scan.open(folder).left == [3, 4]
    assert_same(scan(fit, folder), serial[1])


def test_interruption_keeps_what_is_done_and_says_how_to_go_on(fit, serial, tmp_path, monkeypatch, caplog):
    from gammajax.scan import engine

    folder = copy(serial, tmp_path, without=(3, 4, 5))
    real = engine.compute_chunk

    def interrupted(task, number, device):
        if number == 4:
            raise KeyboardInterrupt
        return real(task, number, device)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "compute_chunk", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught, caplog.at_level(logging.WARNING):
            scan(fit, folder)
    assert "interrupted: 6 of 8 chunks are done. They are kept in" in caught.value.__notes__[0]
    assert "make the same call again" in caplog.text
    assert gammajax.scan.open(folder).left == [4, 5]
    assert_same(scan(fit, folder), serial[1])


def test_two_drivers_commit_every_chunk_once(fit, serial, tmp_path, monkeypatch):
    """The second driver does chunk 3 while the first is computing it."""
    from gammajax.scan import engine

    folder = copy(serial, tmp_path, without=(3, 4, 5))
    real, commits = engine.compute_chunk, []
    commit = Folder.commit

    def slow(task, number, device):
        out = real(task, number, device)
        if number == 3:
            commit(Folder(folder), 3, task.fingerprint, out)
        return out

    def counted(self, number, *rest):
        commits.append((number, commit(self, number, *rest)))
        return commits[-1][1]

    monkeypatch.setattr(engine, "compute_chunk", slow)
    monkeypatch.setattr(Folder, "commit", counted)
    assert_same(scan(fit, folder), serial[1])
    assert dict(commits) == {3: False, 4: True, 5: True}
    assert len(commits) == 3


def test_without_hard_links(tmp_path, monkeypatch):
    def none(*a):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", none)
    folder = Folder(tmp_path)
    (tmp_path / "chunks").mkdir()
    assert folder.commit(0, "x", {"stat": np.arange(3.0)})
    assert not folder.commit(0, "x", {"stat": np.zeros(3)})
    np.testing.assert_array_equal(folder.read(0, "x")["stat"], [0, 1, 2])
    assert [p.name for p in tmp_path.iterdir()] == ["chunks"]


def test_stale_temporary_files_are_swept(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = socket.gethostname()
    keep = [f".tmp-{host}-{os.getpid()}-1", ".tmp-another-host-17-4"]
    for name in (*keep, f".tmp-{host}-{gone.pid}-12"):
        (tmp_path / name).write_bytes(b"half")
    assert Folder(tmp_path).sweep() == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(keep)
    # one of another host goes after a day
    os.utime(tmp_path / keep[1], (0, 0))
    assert Folder(tmp_path).sweep() == 1


def test_versions_are_provenance_and_a_difference_is_told(fit, serial, tmp_path):
    folder = copy(serial, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["provenance"]["versions"]["jax"]
    assert manifest["provenance"]["devices"]
    assert "versions" not in manifest["spec"]
    edit_manifest(folder, lambda m: m["provenance"]["versions"].update(jax="0.0.1"))
    with pytest.warns(UserWarning, match="going on in another environment.*versions.jax: there '0.0.1'"):
        scan(fit, folder)


def test_progress_goes_to_a_log_or_to_a_function(fit, serial, tmp_path, caplog):
    told = []
    scan(fit, copy(serial, tmp_path, without=(3, 4)), progress=told.append)
    assert [(p.done, p.nodes) for p in told] == [(7, 436), (8, 500)]
    assert told[-1].rate > 0
    assert str(told[-1]).startswith("8 of 8 chunks, 500 of 500 nodes, ")
    with caplog.at_level(logging.INFO, "gammajax.scan"):
        fit.stat_grid({"alpha": ALPHA}, reoptimize=True, progress=True)
    assert "1 of 1 chunks, 25 of 25 nodes" in caplog.text
    with pytest.raises(InputError, match="progress='yes': expected True, False, or a function"):
        scan(fit, tmp_path / "x", progress="yes")


def test_calls_that_make_no_sense(fit, tmp_path):
    with pytest.raises(InputError, match="compute=False begins a stored scan"):
        fit.stat_grid(AXES, reoptimize=True, compute=False)
    with pytest.raises(InputError, match="chunk_size=0: expected a whole number"):
        scan(fit, tmp_path, chunk_size=0)
    with pytest.raises(InputError, match="backend='minuit' fits node by node"):
        scan(fit, tmp_path, backend="minuit")
    with pytest.raises(InputError, match="unknown option 'speed'"):
        scan(fit, tmp_path, speed=3)
    assert list(tmp_path.iterdir()) == []


def test_a_scan_begun_and_not_computed(fit, serial, tmp_path):
    begun = scan(fit, tmp_path / "scan", compute=False)
    assert isinstance(begun, StoredScan)
    assert begun.left == list(range(8))
    assert begun.rebuildable
    assert (begun.result().status == Status.NOT_DONE).all()
    assert_same(scan(fit, tmp_path / "scan", chunk_size=None), serial[1])


def test_the_size_of_chunks_is_measured_once(fit, tmp_path):
    scan(fit, tmp_path / "scan", chunk_size=None)
    # a scan of less than a second is one chunk
    assert gammajax.scan.open(tmp_path / "scan").n_chunks == 1


def test_data_and_models_that_change_during_a_scan_change_nothing_in_it(fit, serial, tmp_path):
    own = fitted()
    counts = own.datasets[0].counts.data.copy()
    dataset, alpha = own.datasets[0], own.datasets.models[0].spectral_model.alpha

    def meddle(progress):
        dataset.counts.data[...] += 1
        alpha.value, alpha.max, alpha.frozen = 2.0, 2.1, True

    assert_same(scan(own, tmp_path / "scan", progress=meddle), serial[1])
    assert alpha.value == 2.0
    assert not np.array_equal(dataset.counts.data, counts)


def test_a_bar_in_a_terminal(fit, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gammajax.scan.progress.interactive", lambda: True)
    scan(fit, tmp_path / "scan", progress=None)
    said = capsys.readouterr().err
    assert "scan scan: 100%" in said
    assert "500/500" in said
    assert "node/s" in said


def test_a_result_with_holes_is_printed_and_written(fit, serial, tmp_path):
    empty = scan(fit, tmp_path / "empty", compute=False).result()
    assert "stat       : nan at every node" in str(empty)
    assert empty.better_start is None
    folder = copy(serial, tmp_path, without=(3,))
    Folder(folder).fail(3, "ValueError: no such table", 3)
    result = gammajax.scan.open(folder).result()
    result.write(tmp_path / "holes.fits")
    again = ScanResult.read(tmp_path / "holes.fits")
    assert_same(again, result)
    assert again.failures == result.failures == ("chunk 3 (nodes 192 to 255): ValueError: no such table",)


@pytest.mark.parametrize("change", [lambda a: a.pop("edm"), lambda a: a.update(stat=a["stat"][:5])])
def test_a_chunk_without_all_of_its_arrays_is_no_chunk(serial, tmp_path, change):
    folder = copy(serial, tmp_path)
    arrays = Folder(folder).read(3, gammajax.scan.open(folder).fingerprint)
    change(arrays)
    Folder(folder).chunk_path(3).unlink()
    Folder(folder).commit(3, gammajax.scan.open(folder).fingerprint, arrays)
    seen = gammajax.scan.open(folder).result()
    here = slice(3 * CHUNK, 4 * CHUNK)
    assert (seen.status.ravel()[here] == Status.FAILED).all()
    assert np.isnan(seen.stat.ravel()[here]).all()
    assert "damaged" in " ".join(seen.failures)
    np.testing.assert_array_equal(np.delete(seen.stat.ravel(), here), np.delete(serial[1].stat.ravel(), here))


def test_the_likelihood_of_another_layout_is_refused(fit, serial, tmp_path):
    from gammajax.scan.folder import _npz, _sha

    folder = copy(serial, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    arrays = Folder(folder).arrays(manifest)
    del arrays["leaf_0"]
    content = _npz(arrays)
    (folder / manifest["arrays"]).write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"arrays_sha256": _sha(content)}))
    with pytest.raises(InputError, match="laid out by another version of gammajax"):
        scan(fit, folder)


def test_what_a_process_left_that_died_after_its_last_chunk_is_swept(fit, tmp_path):
    scan(fit, tmp_path / "scan")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / "scan" / f".tmp-{socket.gethostname()}-{gone.pid}-3"
    left.write_bytes(b"half")
    scan(fit, tmp_path / "scan")
    assert not left.exists()
