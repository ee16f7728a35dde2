"""Bad files that are no OGIP spectra: GADF, flux points, light curves, models, lists, results, good times, stored scans.

Entries 1 to 3, 41 and 42 for every kind of file that is read, the entries about contents for GADF files and tables of flux points, and
74 for the headers of ECSV files, which are documents as well. `tests/io/test_damage.py` damages all of them at random.
"""

import gzip
import os
import re
import signal
import subprocess
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

import gammajax
from gammajax import (
    GTI,
    Datasets,
    Fit,
    FluxPoints,
    FluxPointsDataset,
    LightCurveTemplateTemporalModel,
    Models,
    SpectrumDataset,
    SpectrumDatasetOnOff,
    TemplatePhaseCurveTemporalModel,
)
from gammajax.errors import DataError, FileFormatError, InputError, MissingFileError, UnitError
from gammajax.io import read_result
from tests.faults.test_writes import LIMIT, curve, intervals, models, phases, points, strengths
from tests.io.test_gadf import change, drop, header, rewrite
from tests.io.test_results import noise
from tests.problems import crab_model, small

# of a file that is refused before it is read; the slowest machine takes a hundredth
SECONDS = 60
TIMES = GTI.create([0, 200] * u.s, [100, 300] * u.s)
# kind -> name, how it is written, how it is read
KINDS = {
    "GADF": ("x.fits", lambda p: small().write(p, format="gadf"), lambda p: SpectrumDatasetOnOff.read(p, format="gadf")),
    "GADF, guessed": ("x.fits", lambda p: small().write(p, format="gadf"), SpectrumDatasetOnOff.read),
    "GADF, known background": ("x.fits", lambda p: small().to_spectrum_dataset("k").write(p), SpectrumDataset.read),
    "flux points": ("f.fits", lambda p: points().write(p), FluxPointsDataset.read),
    "flux points, ECSV": ("f.ecsv", lambda p: points().write(p), FluxPointsDataset.read),
    "estimated points": ("f.fits", lambda p: strengths().write(p), FluxPoints.read),
    "estimated points, ECSV": ("f.ecsv", lambda p: strengths().write(p), FluxPoints.read),
    "light curve": ("l.fits", lambda p: strengths(times=TIMES).write(p), FluxPoints.read),
    "models": ("m.yaml", lambda p: models().write(p), Models.read),
    "list of data sets": ("d.yaml", lambda p: Datasets([small()]).write(p), Datasets.read),
    "result, YAML": ("r.yaml", LIMIT.write, read_result),
    "result, ECSV": ("r.ecsv", lambda p: noise().write(p), read_result),
    "result, FITS": ("r.fits", lambda p: noise().write(p), read_result),
    "good times": ("g.fits", lambda p: intervals().write(p), GTI.read),
    "light curve template": ("c.fits", lambda p: curve().write(p), LightCurveTemplateTemporalModel.read),
    "phase curve template": ("c.fits", lambda p: phases().write(p), TemplatePhaseCurveTemporalModel.read),
}  # fmt: skip


def half(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


def loop(path):
    path.unlink()
    path.symlink_to(path)


def holes(path):
    """Ten gigabytes that take no space on the disk."""
    with open(path, "ab") as stream:
        stream.truncate(10**10)


BOMB = gzip.compress(bytes(10_000_000)) * 30
# entry, name, damage, error, what is said
FILES = [
    (1, "half of it", half, FileFormatError, "trunc|damaged|missing|No END|not an ECSV|can be read|does not|expected|holds|not YAML"),
    (2, "empty", lambda p: p.write_bytes(b""), FileFormatError, "empty|holds|can be read|not an ECSV|expected"),
    (3, "a picture", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000)), FileFormatError, "not a FITS file|not a text file"),
    (3, "a web page", lambda p: p.write_bytes(b"<html>404</html>" * 300), FileFormatError, "not a FITS file|can be read|holds|not YAML|not an ECSV"),
    (3, "another encoding", lambda p: p.write_bytes(b"\xff\xfe\x00" * 100), FileFormatError, "not a FITS file|not a text file"),
    (41, "gigabytes behind it", holes, FileFormatError, "truncated|expected at most|bytes"),
    (41, "a gzip bomb", lambda p: p.write_bytes(BOMB), FileFormatError, "unpacks to more than 256000000 bytes|not a text file"),
    (42, "not there", lambda p: p.unlink(), MissingFileError, "does not exist; check the path|there is no file"),
    (42, "a folder", folder, (FileFormatError, MissingFileError), "is a directory|there is no file"),
    (42, "a pipe", pipe, (FileFormatError, MissingFileError), "is no regular file|there is no file"),
    (42, "a loop of links", loop, MissingFileError, "a link that leads nowhere|there is no file"),
]  # fmt: skip


@contextmanager
def in_time():
    """Fail instead of waiting for ever, as for a pipe into which nobody writes."""

    def late(*_):
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pairs():
    """All kinds with all damages; half a list of data sets is a list, so that is left to test_damage.py, with its checksum."""
    for kind in KINDS:
        for row in FILES:
            if (kind, row[0]) != ("list of data sets", 1):
                # unpacking up to the cap takes a second
                slow = row[1] == "a gzip bomb" and kind not in ("GADF", "models", "flux points, ECSV")
                yield pytest.param(kind, row, id=f"{row[0]} {kind}, {row[1]}", marks=[pytest.mark.slow] * slow)


@pytest.mark.parametrize(("kind", "row"), list(pairs()))
def test_every_kind_of_file(tmp_path, kind, row):
    number, _, damage, error, text = row
    name, write, read = KINDS[kind]
    write(tmp_path / name)
    read(tmp_path / name)
    damage(tmp_path / name)
    if (number, kind) == (1, "models"):
        # what is left of the text is a file too: it is said what it lacks
        with pytest.warns(
            UserWarning, match=r"m\.yaml, components\[0\].*reference is missing, its default 1 TeV is taken"
        ):
            read(tmp_path / name)
        return
    with warnings.catch_warnings(), in_time():
        # what a damaged file makes other warnings of is not the point
        warnings.simplefilter("ignore")
        with pytest.raises(error) as caught:
            read(tmp_path / name)
    said = str(caught.value)
    assert name in said
    assert re.search(text, said), said
    assert len(said) < 700


READER = """
import os, sys
import gammajax.io, gammajax.scan
from gammajax import Models
if os.geteuid() == 0:
    # everything is imported before this is somebody who may not see the packages either
    for name, read in (("x.fits", gammajax.SpectrumDatasetOnOff.read), ("f.ecsv", gammajax.FluxPointsDataset.read), ("m.yaml", Models.read)):
        read(os.path.join(sys.argv[1], name))
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for name, read in (("x.fits", gammajax.SpectrumDatasetOnOff.read), ("f.ecsv", gammajax.FluxPointsDataset.read), ("m.yaml", Models.read)):
    try:
        read(os.path.join(sys.argv[1], name))
        print("it was read")
    except gammajax.errors.FileFormatError as error:
        print(error)
"""


def test_42_files_that_may_not_be_read():
    """By somebody else: root may read anything."""
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as place:
        where = Path(place)
        small().write(where / "x.fits", format="gadf")
        points().write(where / "f.ecsv")
        models().write(where / "m.yaml")
        for path in where.iterdir():
            path.chmod(0)
        where.chmod(0o755)
        out = subprocess.run([sys.executable, "-c", READER, place], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    lines = out.stdout.splitlines()
    for name, line in zip(("x.fits", "f.ecsv", "m.yaml"), lines, strict=True):
        assert re.search(rf"{name} cannot be opened \(Permission denied\)", line), line


# -- what GADF files say -----------------------------------------------------------------------------------------------


def each(name, **values):
    return lambda h: change(h, name, **values)


def every(name, factor):
    def set_all(h):
        h[name].data["DATA"][:] = h[name].data["DATA"] * factor

    return set_all


def bands(name, *columns, by):
    def scale(h):
        for c in columns:
            h[name].data[c][:] = h[name].data[c] * by

    return scale


def upside_down(h):
    low, high = (h["COUNTS_BANDS"].data[c].copy() for c in ("E_MIN", "E_MAX"))
    h["COUNTS_BANDS"].data["E_MIN"][:], h["COUNTS_BANDS"].data["E_MAX"][:] = high, low


def all_energies(by):
    names = ("COUNTS_BANDS", "COUNTS_OFF_BANDS", "ACCEPTANCE_BANDS", "ACCEPTANCE_OFF_BANDS", "MASK_SAFE_BANDS", "EXPOSURE_BANDS", "EDISP_BANDS", "EDISP_EXPOSURE_BANDS")  # fmt: skip

    def scale(h):
        for n in names:
            if n in h:
                for c in h[n].data.names:
                    if c.endswith(("_MIN", "_MAX")) or c == "ENERGY":
                        h[n].data[c][:] = h[n].data[c] * by

    return scale


GADF = [
    (6, "no exposure", lambda h: drop(h, "EXPOSURE"), FileFormatError, "no extension EXPOSURE"),
    (7, "no dispersion's axis", lambda h: drop(h, "EDISP_BANDS"), FileFormatError, "no extension EDISP_BANDS"),
    (8, "no OFF counts", lambda h: drop(h, "COUNTS_OFF"), FileFormatError, "no extension COUNTS_OFF; an ON/OFF spectrum has"),
    (9, "no OFF acceptance", lambda h: drop(h, "ACCEPTANCE_OFF"), FileFormatError, "no extension ACCEPTANCE_OFF"),
    (12, "nan exposure", each("EXPOSURE", i2=np.nan), DataError, "HDU EXPOSURE, column DATA, row 2: value nan"),
    (12, "infinite exposure", each("EXPOSURE", i2=np.inf), DataError, "HDU EXPOSURE, column DATA, row 2: value inf"),
    (13, "negative exposure", each("EXPOSURE", i1=-1), DataError, r"exposure\[1\] is -1"),
    (15, "no unit of the exposure", lambda h: h["EXPOSURE"].header.remove("TUNIT2"), UnitError, "EXPOSURE, column DATA: there is no unit"),
    (16, "another unit of the exposure", lambda h: header(h, "EXPOSURE", "TUNIT2", "s"), UnitError, "EXPOSURE, column DATA: unit 's', expected one convertible"),
    (17, "keV called TeV", all_energies(1e9), DataError, "expected 1e-06 to 1e\\+06 TeV; check the unit"),
    (18, "another grid of the exposure", bands("EXPOSURE_BANDS", "ENERGY_TRUE_MIN", "ENERGY_TRUE_MAX", by=1.01), (DataError, FileFormatError), "EXPOSURE_BANDS|EDISP_BANDS"),
    (19, "nan in the matrix", each("EDISP", i3=np.nan), DataError, r"HDU EDISP, column DATA, row \d+: value nan"),
    (20, "rows 1000 times too large", every("EDISP", 1000.0), DataError, "of edisp adds up to .*, expected at most 1"),
    (25, "bins upside down", upside_down, DataError, "COUNTS_BANDS"),
    (31, "negative ON counts", each("COUNTS", i4=-3), DataError, r"n_on\[4\] is -3"),
    (32, "negative OFF counts", each("COUNTS_OFF", i1=-1), DataError, r"n_off\[1\] is -1"),
    (33, "nan counts", each("COUNTS", i2=np.nan), DataError, "HDU COUNTS, column DATA, row 2: value nan"),
    (33, "nan OFF counts", each("COUNTS_OFF", i2=np.nan), DataError, "HDU COUNTS_OFF, column DATA, row 2: value nan"),
    (35, "livetime of words", lambda h: header(h, "EXPOSURE", "LIVETIME", "soon"), DataError, "LIVETIME = 'soon', expected a time"),
    (35, "negative livetime", lambda h: header(h, "EXPOSURE", "LIVETIME", -5.0), DataError, "LIVETIME = -5.0, expected a time above 0"),
    (36, "negative acceptance", each("ACCEPTANCE", i1=-1), DataError, r"acceptance\[1\] is -1, expected at least 0"),
]  # fmt: skip


@pytest.mark.parametrize("row", GADF, ids=lambda r: f"{r[0]} {r[1]}")
def test_gadf(tmp_path, row):
    _, _, make, error, text = row
    small().write(tmp_path / "x.fits", format="gadf")
    with fits.open(tmp_path / "x.fits", memmap=False) as hdus:
        make(hdus)
        rewrite(hdus, tmp_path / "y.fits")
    with pytest.raises(error, match=text) as caught:
        SpectrumDatasetOnOff.read(tmp_path / "y.fits", format="gadf")
    assert len(str(caught.value)) < 700


def fitted_after(make, tmp_path):
    small().write(tmp_path / "x.fits", format="gadf")
    with fits.open(tmp_path / "x.fits", memmap=False) as hdus:
        make(hdus)
        rewrite(hdus, tmp_path / "y.fits")
    d = SpectrumDatasetOnOff.read(tmp_path / "y.fits", format="gadf")
    d.models = crab_model()
    return Fit(d, backend="newton").run()


UNFIT = [
    (14, "exposure 0", every("EXPOSURE", 0.0), "exposure"),
    (36, "OFF acceptance 0", each("ACCEPTANCE_OFF", i2=0.0), "alpha is 0 in bin 2"),
    (37, "nothing is safe", lambda h: h["MASK_SAFE"].data["DATA"].fill(0), "no bins left in the fit"),
]


@pytest.mark.parametrize("row", UNFIT, ids=lambda r: f"{r[0]} {r[1]}")
def test_gadf_that_cannot_be_fitted(tmp_path, row):
    _, _, make, text = row
    with pytest.raises(DataError, match=text):
        fitted_after(make, tmp_path)


def test_gadf_of_fractional_counts(tmp_path):
    """34: taken, and marked."""
    small().write(tmp_path / "x.fits", format="gadf")
    with fits.open(tmp_path / "x.fits", memmap=False) as hdus:
        change(hdus, "COUNTS", i1=2.5)
        rewrite(hdus, tmp_path / "y.fits")
    with pytest.warns(UserWarning, match="1 bins of n_on hold fractional counts"):
        assert SpectrumDatasetOnOff.read(tmp_path / "y.fits", format="gadf").fractional_counts


# -- what tables of flux points say ------------------------------------------------------------------------------------


def column(name, value):
    def set_one(t):
        t[name][1] = value

    return set_one


def unit(name, word):
    def set_unit(t):
        t[name].unit = word

    return set_unit


POINTS = [
    (12, "infinite flux", column("dnde", np.inf), DataError, "the flux of point 1 is inf, expected a finite number, or nan"),
    (13, "negative error", column("dnde_err", -1e-12), DataError, "the error of point 1 is -1e-12"),
    (13, "error of 0", column("dnde_err", 0.0), DataError, "the error of point 1 is 0"),
    (15, "no unit", unit("dnde", None), DataError, "column 'dnde' has no unit"),
    (16, "unit of another dimension", unit("dnde", "m"), UnitError, "dnde"),
    (16, "unit of an energy", unit("e_ref", "s"), UnitError, "energy"),
    (25, "negative energy", column("e_ref", -1.0), DataError, "expected finite energies above 0"),
    (25, "energy of nan", column("e_ref", np.nan), DataError, "expected finite energies above 0"),
    (30, "no fluxes", lambda t: t.remove_column("dnde"), DataError, "the columns are .*; expected e_ref, and dnde"),
    (30, "no errors", lambda t: t.remove_column("dnde_err"), DataError, "chi2 needs errors"),
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("row", POINTS, ids=lambda r: f"{r[0]} {r[1]}")
def test_flux_points(tmp_path, row, suffix):
    _, _, make, error, text = row
    points().write(tmp_path / f"x.{suffix}")
    table = Table.read(tmp_path / f"x.{suffix}")
    make(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key in ("CHECKSUM", "DATASUM", "NEXTEND", "SHA256", "table_sha256"):
            table.meta.pop(key, None)
        table.write(tmp_path / f"y.{suffix}")
    with pytest.raises(error, match=text):
        FluxPointsDataset.read(tmp_path / f"y.{suffix}")


# -- headers of ECSV files are documents --------------------------------------------------------------------------------


def laughs(indent):
    """A billion values by aliases, as lines of a header."""
    rows = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    return "".join(f"# {indent}{row}\n" for row in rows)


HEADERS = {
    "laughs in a result": ("r.ecsv", "#       fields:\n", "#       fields:\n" + laughs("        "), r"r\.ecsv: more than 2000000 values once its aliases"),
    "laughs in points": ("f.ecsv", "# - {SED_TYPE: dnde}\n", "# - \n" + laughs("    "), r"f\.ecsv: more than 2000000 values once its aliases"),
    "a function in a result": ("r.ecsv", "format: gammajax result", "format: !!python/object/apply:os.mkdir [hacked]", r"r\.ecsv: not an ECSV file"),
    "a function in points": ("f.ecsv", "SED_TYPE: dnde", "SED_TYPE: !!python/object/apply:os.mkdir [hacked]", r"f\.ecsv: no table for flux points"),
    "a class in points": ("f.ecsv", "astropy.units.quantity.Quantity", "subprocess.Popen", r"f\.ecsv: no table for flux points"),
    "100 000 brackets": ("r.ecsv", "format: gammajax result", "format: " + "[" * 100_000, r"r\.ecsv"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_74_headers(tmp_path, case, monkeypatch):
    name, old, new, text = HEADERS[case]
    monkeypatch.chdir(tmp_path)
    write, read = (noise().write, read_result) if name == "r.ecsv" else (points().write, FluxPointsDataset.read)
    write(tmp_path / name)
    whole = (tmp_path / name).read_text()
    assert old in whole
    (tmp_path / name).write_text(whole.replace(old, new, 1))
    with in_time(), pytest.raises(FileFormatError, match=text):
        read(tmp_path / name)
    assert not (tmp_path / "hacked").exists()


# -- stored scans --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    from tests.scan.stored import fitted, scan

    place = tmp_path_factory.mktemp("stored") / "scan"
    return place, scan(fitted(), place)


def places(where):
    (likelihood,) = where.glob("likelihood-*.npz")
    return {
        "manifest": where / "manifest.json",
        "likelihood": likelihood,
        "chunk": where / "chunks" / "chunk-0000002.npz",
    }


@pytest.mark.parametrize("part", ["manifest", "likelihood", "chunk"])
@pytest.mark.parametrize("row", [r for r in FILES if r[1] not in ("a gzip bomb", "gigabytes behind it")], ids=lambda r: f"{r[0]} {r[1]}")  # fmt: skip
def test_stored_scans(stored, tmp_path, part, row):
    """A manifest that is damaged is refused; of a chunk its nodes are marked; the likelihood is looked at when it is needed."""
    import shutil

    from gammajax.scan.store import resume

    where = tmp_path / "scan"
    shutil.copytree(stored[0], where)
    row[2](places(where)[part])
    with in_time():
        if part == "manifest":
            with pytest.raises((FileFormatError, MissingFileError, InputError), match="manifest.json"):
                gammajax.scan.open(where)
            return
        if part == "likelihood":
            with pytest.raises((FileFormatError, MissingFileError), match="likelihood-.*npz"):
                resume(where)
            return
        seen = gammajax.scan.open(where).result()
    flat = seen.status.ravel()
    lost = flat != stored[1].status.ravel()
    assert set(flat[lost]) <= {gammajax.Status.FAILED, gammajax.Status.NOT_DONE}
    assert lost.sum() == 64
    assert np.isnan(seen.stat.ravel()[lost]).all()
    np.testing.assert_array_equal(seen.stat.ravel()[~lost], stored[1].stat.ravel()[~lost])


NUMBERS = {row[0] for row in (*FILES, *GADF, *UNFIT, *POINTS)} | {34, 74}
