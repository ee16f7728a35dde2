import logging
import runpy
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

import gammajax
from gammajax import Fit, Likelihood, Status
from gammajax.cli import main
from gammajax.scan.folder import Folder
from tests.scan.stored import AXES, CHUNK, contents, fitted, scan


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def serial(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial") / "scan"
    return folder, scan(fit, folder)


@pytest.fixture(autouse=True)
def quiet_logger():
    """The command sets how much is said; other tests do without."""
    yield
    logging.getLogger("gammajax").setLevel(logging.NOTSET)


def call(*arguments):
    return main(["scan", *map(str, arguments)])


def compute(folder, *options):
    return call("run", folder, "--no-cache", "--no-progress", *options)


def test_shards_status_and_merge(fit, serial, tmp_path, capsys):
    folder = tmp_path / "scan"
    scan(fit, folder, compute=False)
    assert call("status", folder) == 3
    assert "0 of 8 done, 0 failed, 8 left" in capsys.readouterr().out
    assert compute(folder, "--shard", "1/2") == 0
    assert gammajax.scan.open(folder).done == [1, 3, 5, 7]
    assert call("merge", folder) == 2
    assert (
        "4 chunks are not done and 0 failed; run the scan on, or write what is there with --partial"
        in capsys.readouterr().err
    )
    assert call("merge", folder, "--partial", "--output", tmp_path / "half.fits") == 1
    with fits.open(tmp_path / "half.fits") as half:
        assert not half[0].header["COMPLETE"]
        assert np.isnan(half["STAT"].data).sum() == 4 * CHUNK
        assert (half["STATUS"].data == Status.NOT_DONE).sum() == 4 * CHUNK
    assert compute(folder, "--shard", "0/2") == 0
    assert contents(folder) == contents(serial[0])
    assert call("status", folder) == 0
    assert call("merge", f"{folder}/") == 0
    assert f"Wrote {folder}.fits" in capsys.readouterr().out
    assert call("merge", folder) == 2
    assert "scan.fits exists already" in capsys.readouterr().err


STATUS = """
import sys
from gammajax.cli import main
code = main(["scan", "status", sys.argv[1]])
assert "jax" not in sys.modules
sys.exit(code)
"""


def test_status_reads_the_folder_alone(serial):
    """Without JAX, so that a loop over many folders on a login node costs little."""
    out = subprocess.run([sys.executable, "-c", STATUS, str(serial[0])], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert out.stdout == f"{gammajax.scan.open(serial[0])}\n"


def test_the_fits_file_has_coordinates_units_and_verdicts(serial, tmp_path):
    folder, result = serial
    path = gammajax.scan.open(folder).consolidate(tmp_path / "scan.fits")
    with fits.open(path) as file:
        file.verify("exception")
        assert file[0].header["COMPLETE"]
        assert file[0].header["STATBEST"] == result.stat_best
        np.testing.assert_array_equal(file["STAT"].data, result.stat)
        np.testing.assert_array_equal(file["TS"].data, result.ts)
        np.testing.assert_array_equal(file["EDM"].data, result.edm)
        np.testing.assert_array_equal(file["STATUS"].data, result.status)
        amplitude = file["REFIT_CRAB.SPECTRAL.AMPLITUDE"]
        np.testing.assert_array_equal(amplitude.data, result.nuisance["crab.spectral.amplitude"])
        assert amplitude.header["BUNIT"] == "1 / (TeV s cm2)"
        axes = file["AXES"].data
        assert list(axes["NAME"]) == list(result.names)
        for values, axis in zip(axes["VALUES"], result.axes, strict=True):
            np.testing.assert_array_equal(values, axis)
        # the first axis of FITS is the last of the array
        header = file["STAT"].header
        assert (header["CNAME1"], header["CRVAL1"], header["CDELT1"]) == ("crab.spectral.beta", 0.0, AXES["beta"][1])
        meaning = dict(zip(file["STATUS_CODES"].data["STATUS"], file["STATUS_CODES"].data["MEANING"], strict=True))
        assert meaning == {s.value: s.meaning for s in Status}
        assert len(file["FAILED"].data) == 0


def test_failed_chunks_end_the_command_with_one(fit, tmp_path, monkeypatch, capsys):
    from gammajax.scan import engine

    folder, real = tmp_path / "scan", engine.compute_chunk
    scan(fit, folder, compute=False)

    def faulty(task, number, device):
        if number == 2:
            raise ValueError("no such table")
        return real(task, number, device)

    monkeypatch.setattr(engine, "compute_chunk", faulty)
    assert compute(folder) == 1
    assert "chunk 2 failed: ValueError: no such table" in capsys.readouterr().out
    assert call("status", folder) == 1
    assert call("merge", folder, "--partial") == 1
    with fits.open(tmp_path / "scan.fits") as file:
        assert list(file["FAILED"].data["CHUNK"]) == [2]
        assert file["FAILED"].data["ERROR"][0] == "ValueError: no such table"
        assert (file["STATUS"].data == Status.FAILED).sum() == CHUNK


@pytest.mark.parametrize("shard", ["2/2", "0", "1/0", "-1/4", "a/b"])
def test_shards_that_are_none(serial, capsys, shard):
    assert compute(serial[0], f"--shard={shard}") == 2
    assert f"--shard {shard}: expected k/n with k from 0 to n - 1" in capsys.readouterr().err


def test_folders_that_are_none(tmp_path, capsys):
    for action in ("run", "status", "merge"):
        assert call(action, tmp_path / "nothing") == 2
        assert "does not exist" in capsys.readouterr().err


def test_a_damaged_chunk_does_not_get_into_the_file(fit, serial, tmp_path, capsys):
    from shutil import copytree

    copytree(serial[0], tmp_path / "scan")
    path = Folder(tmp_path / "scan").chunk_path(3)
    path.write_bytes(path.read_bytes()[:100])
    assert call("merge", tmp_path / "scan") == 2
    assert "chunk-0000003.npz: damaged" in capsys.readouterr().err
    assert not (tmp_path / "scan.fits").exists()


def test_a_function_of_ones_own_stays_with_its_program(tmp_path, capsys):
    likelihood = Likelihood.from_function(lambda t: (t[0] - 1) ** 2 + 3 * (t[1] - t[0]) ** 2, {"x": 0.5, "y": 0.5})
    own = Fit(likelihood, backend="newton")
    own.run()

    def grid(**how):
        return own.stat_grid({"x": np.linspace(0, 2, 21)}, reoptimize=True, **how)

    scan = grid(store=tmp_path / "scan", chunk_size=5, compute=False, progress=False)
    assert not scan.rebuildable
    assert compute(tmp_path / "scan") == 2
    assert "cannot be rebuilt from its folder" in capsys.readouterr().err
    result = grid(store=tmp_path / "scan", progress=False)
    # the minimum over y is at y = x
    np.testing.assert_allclose(result.stat, (np.linspace(0, 2, 21) - 1) ** 2, rtol=0, atol=1e-9)
    other = Likelihood.from_function(lambda t: (t[0] - 2) ** 2 + 3 * (t[1] - t[0]) ** 2, {"x": 1.0, "y": 1.0})
    with pytest.raises(gammajax.errors.InputError, match="another scan is stored there. What differs: model"):
        Fit(other, backend="newton").stat_grid(
            {"x": np.linspace(0, 2, 21)}, reoptimize=True, store=tmp_path / "scan", progress=False
        )


OWN_MODEL = """
from gammajax import define_spectral_model

def dnde(energy, amplitude, index):
    return amplitude * energy**-index / (1 + 0.2 * energy**{power})

Bent = define_spectral_model(
    dnde, name="BentSpectralModel", linear=["amplitude"],
    parameters={{"amplitude": (3e-11, "cm-2 s-1 TeV-1"), "index": (2.0, "")}},
)
"""


def test_models_of_ones_own_are_imported_and_must_be_the_same(tmp_path, capsys):
    from gammajax import SkyModel
    from tests.problems import embedded

    mine, other = tmp_path / "mine.py", tmp_path / "other.py"
    mine.write_text(OWN_MODEL.format(power=1))
    other.write_text(OWN_MODEL.format(power=2))
    names = runpy.run_path(str(mine))
    dataset = embedded()
    dataset.models = SkyModel(names["Bent"](), name="crab")
    own = Fit([dataset], backend="newton")
    own.run()
    for folder in ("scan", "serial"):
        scan(own, tmp_path / folder, {"index": np.linspace(1.8, 2.4, 25)}, compute=folder == "serial")
    assert compute(tmp_path / "scan", "--import", other) == 2
    assert "the models of the scan are defined differently here" in capsys.readouterr().err
    assert compute(tmp_path / "scan", "--import", mine) == 0
    assert contents(tmp_path / "scan") == contents(tmp_path / "serial")
    assert compute(tmp_path / "scan", "--import", tmp_path / "none.py") == 2
    assert "expected a Python file that is there" in capsys.readouterr().err
