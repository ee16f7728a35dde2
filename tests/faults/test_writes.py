"""Writing that fails: entry 71 of the list of bad inputs and faults. The old file is whole, and nothing is left beside it."""

import errno
import os
import re
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from gammajax import (
    Datasets,
    FluxPoints,
    FluxPointsDataset,
    LightCurveTemplateTemporalModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    TemplatePhaseCurveTemporalModel,
    UpperLimit,
)
from gammajax.datasets import GTI
from gammajax.errors import GammajaxError, InputError, WriteError
from gammajax.io import write_datasets, write_flux_points, write_gti, write_models, write_result
from gammajax.io.gadf import write_gadf
from gammajax.io.ogip import write_ogip, write_standard
from gammajax.io.points_table import points_from_table
from gammajax.provenance import provenance
from tests.io.test_results import noise
from tests.problems import small


def models(index=2.0):
    return Models([SkyModel(PowerLawSpectralModel(index=index), "crab")])


def points(value=1e-12):
    unit = u.Unit("cm-2 s-1 TeV-1")
    return FluxPointsDataset(np.array([1.0, 3.0]) * u.TeV, np.full(2, value) * unit, np.full(2, 1e-13) * unit)


def intervals(stop=100.0):
    return GTI.create(0 * u.s, stop * u.s)


def curve(last=1.0):
    return LightCurveTemplateTemporalModel([0, 1, 3] * u.d, [0, 2, last], t_ref=53000 * u.d)


def phases(last=1.0):
    return TemplatePhaseCurveTemporalModel([0, 0.5, 1], [1, 2, last])


def strengths(norm=1.0, n_sigma_ul=2.0, times=None):
    """Flux points in two bins, or a light curve."""
    shape = (2,) if times is None else (len(times), 2)
    one, none = np.full(shape, norm), np.full(shape, np.nan)
    reference = dict.fromkeys(("dnde", "e2dnde", "flux", "eflux"), np.array([1e-11, 1e-12]))
    return FluxPoints(
        np.array([1.0, 3.0, 10.0]), reference, one, 0.1 * one, none, none, 1.2 * one, 25 * one, one, 26 * one, one, one, one,
        np.zeros(0), np.zeros((*shape, 0)), np.ones(shape, dtype=bool), 1.0, n_sigma_ul, provenance([], of="a test"), times,
    )  # fmt: skip


LIMIT = UpperLimit("crab.spectral.beta", 0.95, 0.3, "", 2.7055, 0.1, True, "crossed")
# every function that writes: what writes the old content, and what writes the new, of which something is large
WRITERS = {
    "ogip": (lambda p: write_ogip(small(), p / "x.fits"), lambda p: write_ogip(small(n_on=[1] * 6), p / "x.fits", overwrite=True)),
    "ogip-standard": (lambda p: write_standard(small(), p / "x.fits"), lambda p: write_standard(small(n_on=[1] * 6), p / "x.fits", overwrite=True)),
    "ogip, gzip": (lambda p: write_ogip(small(), p / "x.fits.gz"), lambda p: write_ogip(small(n_on=[1] * 6), p / "x.fits.gz", overwrite=True)),
    "gadf": (lambda p: write_gadf(small(), p / "x.fits"), lambda p: write_gadf(small(n_on=[1] * 6), p / "x.fits", overwrite=True)),
    "list of data sets": (
        lambda p: write_datasets(Datasets([small(), small(name="b")]), p / "d.yaml"),
        lambda p: write_datasets(Datasets([small(n_on=[1] * 6), small(name="b", n_on=[2] * 6)]), p / "d.yaml", overwrite=True),
    ),
    "models": (lambda p: write_models(models(), p / "m.yaml"), lambda p: write_models(models(3.0), p / "m.yaml", overwrite=True)),
    "gti": (lambda p: write_gti(intervals(), p / "g.fits"), lambda p: write_gti(intervals(200.0), p / "g.fits", overwrite=True)),
    "flux points": (lambda p: write_flux_points(points(), p / "f.fits"), lambda p: write_flux_points(points(2e-12), p / "f.fits", True)),
    "light curve template": (lambda p: curve().write(p / "c.fits"), lambda p: curve(2.0).write(p / "c.fits", overwrite=True)),
    "phase curve template": (lambda p: phases().write(p / "c.fits"), lambda p: phases(3.0).write(p / "c.fits", overwrite=True)),
    "flux points, dnde": (
        lambda p: strengths().write(p / "f.fits", sed_type="dnde"),
        lambda p: strengths(2.0).write(p / "f.fits", overwrite=True, sed_type="dnde"),
    ),
    "light curve": (
        lambda p: strengths(times=intervals()).write(p / "l.fits"),
        lambda p: strengths(2.0, times=intervals()).write(p / "l.fits", overwrite=True),
    ),
    **{
        f"result, {s}": (lambda p, s=s: write_result(LIMIT, p / f"r.{s}"), lambda p, s=s: write_result(noise(), p / f"r.{s}", True))
        for s in ("yaml", "ecsv", "fits")
    },
}  # fmt: skip


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@contextmanager
def file_size(limit):
    """No file of this process may grow beyond so many bytes: a write ends in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_ends_in_the_middle(tmp_path, name):
    old, new = WRITERS[name]
    old(tmp_path)
    before = contents(tmp_path)
    with file_size(200), pytest.raises(WriteError) as caught:
        new(tmp_path)
    assert caught.value.errno == errno.EFBIG
    assert isinstance(caught.value, GammajaxError)
    assert re.search(
        r"write: \S+ cannot be written to '.*' \(File too large\); the old file is as it was", str(caught.value)
    )
    assert contents(tmp_path) == before
    new(tmp_path)
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert after != before


@pytest.mark.parametrize("name", WRITERS)
def test_every_fits_file_has_its_sums(tmp_path, name):
    """A flipped bit in the data of any of them is seen."""
    WRITERS[name][0](tmp_path)
    for path in tmp_path.iterdir():
        if path.suffix not in (".fits", ".gz"):
            continue
        with fits.open(path, checksum=True) as hdus:
            assert all({"CHECKSUM", "DATASUM"} <= set(h.header) for h in hdus)
            assert hdus[0].header["NEXTEND"] == len(hdus) - 1
            assert len(hdus[0].header["SHA256"]) == 64


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("sed_type", ["likelihood", "dnde", "eflux"])
@pytest.mark.parametrize("times", [None, GTI.create([0, 200] * u.s, [100, 300] * u.s)], ids=["points", "curve"])
def test_sigmas_and_provenance_of_flux_points_come_back(tmp_path, suffix, sed_type, times):
    written = replace(strengths(n_sigma_ul=1.645, times=times), n_sigma=1.5)
    written.write(tmp_path / f"f.{suffix}", sed_type=sed_type)
    back = FluxPoints.read(tmp_path / f"f.{suffix}")
    assert (back.n_sigma, back.n_sigma_ul, back.provenance) == (1.5, 1.645, written.provenance)


@pytest.mark.parametrize("sigmas", [1.0, 1.645, 1.96, 2.0, 3.0, 4.5])
def test_sigmas_of_a_level_alone(sigmas):
    """As gammapy writes it: the shortest number with the seven digits of the level."""
    table = Table(strengths(n_sigma_ul=sigmas).to_table("dnde"))
    del table.meta["NSIGMAUL"]
    assert points_from_table(table, "x").n_sigma_ul == sigmas
    # another program counted other limits, and left our keyword
    table.meta |= {"NSIGMAUL": sigmas, "UL_CONF": 0.9}
    assert points_from_table(table, "x").n_sigma_ul == pytest.approx(1.644854, abs=1e-6)
    table.meta["UL_CONF"] = 1.5
    with pytest.raises(GammajaxError, match=r"x: UL_CONF = 1\.5, expected a confidence level between 0 and 1"):
        points_from_table(table, "x")


@pytest.fixture
def disk(tmp_path):
    """A file system of a megabyte, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if made.returncode:
        pytest.skip(f"this process may mount nothing: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place):
    """Leave no free page."""
    with open(place / "filler", "wb", buffering=0) as stream:
        while os.statvfs(place).f_bfree:
            stream.write(bytes(4096))


@pytest.mark.parametrize("name", ["ogip", "models", "result, fits"])
def test_a_full_disk(disk, name):
    old, new = WRITERS[name]
    old(disk)
    fill(disk)
    before = contents(disk)
    with pytest.raises(WriteError, match="No space left on device"):
        new(disk)
    assert contents(disk) == before


@pytest.mark.parametrize("name", ["ogip", "models", "result, fits"])
def test_a_read_only_disk(disk, name):
    old, new = WRITERS[name]
    old(disk)
    before = contents(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(WriteError, match="Read-only file system"):
        new(disk)
    assert contents(disk) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path):
    write_models(models(), tmp_path / "m.yaml")
    before = contents(tmp_path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WriteError, match="Permission denied"):
            write_models(models(3.0), tmp_path / "m.yaml", overwrite=True)
    finally:
        tmp_path.chmod(0o700)
    assert contents(tmp_path) == before


def test_a_place_that_takes_no_files():
    """The superuser as well: the kernel lets nobody make a file there."""
    with pytest.raises(WriteError, match=r"write: m\S+ cannot be written to '/proc/self'"):
        write_models(models(), "/proc/self/m.yaml")
    with pytest.raises(InputError, match="the folder .* does not exist; make it first"):
        write_ogip(small(), "/proc/self/none/x.fits")


# What a writer leaves that is killed before its n-th rename: for each n one process that ends so, in one that looks at what it left.
KILLED = """
import os, signal, sys
from pathlib import Path
from gammajax import SpectrumDatasetOnOff
from gammajax.errors import FileFormatError

folder = Path(sys.argv[1])
dataset = SpectrumDatasetOnOff.read(folder / "x.fits")
dataset.set_counts(dataset.counts.data + 100, dataset.counts_off.data + 100)
replace = os.replace
for n in range(5):
    child = os.fork()
    if child == 0:
        done = []

        def counted(*args):
            if len(done) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(replace(*args))

        os.replace = counted
        dataset.write(folder / "x.fits", overwrite=True)
        os._exit(0)
    code = os.waitpid(child, 0)[1]
    try:
        found = SpectrumDatasetOnOff.read(folder / "x.fits")
    except FileFormatError as error:
        print(n, code, "refused:", error)
    else:
        same = (found.counts.data[0] < 100) == (found.counts_off.data[0] < 100)
        print(n, code, ("old" if found.counts.data[0] < 100 else "new") if same else "MIXED")
"""


def test_a_writer_that_is_killed(tmp_path):
    """Before its first rename the four files are the old ones, after the last the new; between them they are refused, not mixed."""
    small().write(tmp_path / "x.fits")
    out = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    lines = out.stdout.splitlines()
    assert lines[0] == "0 9 old"
    for n in (1, 2, 3):
        assert re.match(
            rf"{n} 9 refused: x_(bkg|arf|rmf)\.fits was not written together with x\.fits \(GJSET = ", lines[n]
        )
    assert lines[4] == "4 0 new"
    assert len(lines) == 5


NUMBERS = {71}
