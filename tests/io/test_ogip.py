"""The OGIP reader and writer, with damaged files made from the embedded data set."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from gammajax import SpectrumDatasetOnOff
from gammajax.data import embedded_ogip_files
from gammajax.errors import DataError, FileFormatError, InputError, MissingFileError, UnitError
from tests.problems import small

PHA, BKG, ARF, RMF = (f"pha_sim-1{end}.fits" for end in ("", "_bkg", "_arf", "_rmf"))


@pytest.fixture
def run(tmp_path):
    """A copy of one embedded run, to be damaged."""
    folder = embedded_ogip_files()[0].parent
    for name in (PHA, BKG, ARF, RMF):
        shutil.copy(folder / name, tmp_path / name)
    return tmp_path


def edit(path, hdu, change):
    """Change one table, and write it with sums that fit again."""
    with fits.open(path, memmap=False) as hdus:
        change(hdus[hdu])
        hdus[0].header.remove("SHA256", ignore_missing=True)
        hdus.writeto(path, overwrite=True, checksum=True)


def cell(column, row, value):
    def change(hdu):
        hdu.data[column][row] = value

    return change


def key(name, value):
    def change(hdu):
        if value is None:
            hdu.header.remove(name)
        else:
            hdu.header[name] = value

    return change


def without(column):
    def change(hdu):
        hdu.columns.del_col(column)

    return change


def as_float(column, row, value):
    """Replace an integer column by a floating one with one bad value."""

    def change(hdu):
        data = np.asarray(hdu.data[column], dtype=float)
        data[row] = value
        index = hdu.columns.names.index(column)
        columns = list(hdu.columns)
        columns[index] = fits.Column(name=column, format="D", array=data)
        new = fits.BinTableHDU.from_columns(columns, header=hdu.header)
        hdu.data, hdu.header = new.data, new.header

    return change


def unit(column, text):
    def change(hdu):
        hdu.columns[column].unit = text

    return change


TABLES = {
    "negative counts": (PHA, 1, cell("COUNTS", 4, -3), DataError, r"pha_sim-1.fits, HDU SPECTRUM, column COUNTS, row 4: value -3"),
    "nan counts": (PHA, 1, as_float("COUNTS", 2, np.nan), DataError, r"column COUNTS, row 2: value nan, expected finite"),
    "negative OFF counts": (BKG, 1, cell("COUNTS", 0, -1), DataError, r"_bkg.fits, HDU SPECTRUM, column COUNTS, row 0: value -1"),
    "no counts": (PHA, 1, without("COUNTS"), FileFormatError, r"column COUNTS is missing; the columns are CHANNEL, QUALITY"),
    "no exposure": (PHA, 1, key("EXPOSURE", None), FileFormatError, r"keyword EXPOSURE is missing; it is the livetime in s"),
    "exposure 0": (PHA, 1, key("EXPOSURE", 0.0), DataError, r"EXPOSURE = 0.0, expected a livetime above 0"),
    "negative exposure": (PHA, 1, key("EXPOSURE", -5.0), DataError, r"EXPOSURE = -5.0"),
    "no background keyword": (PHA, 1, key("BACKFILE", None), FileFormatError, r"keyword BACKFILE is missing; the W statistic needs OFF"),
    "no ARF keyword": (PHA, 1, key("ANCRFILE", "none"), FileFormatError, r"ANCRFILE is none; it names the effective area"),
    "no RMF keyword": (PHA, 1, key("RESPFILE", None), FileFormatError, r"keyword RESPFILE is missing"),
    "outside": (PHA, 1, key("BACKFILE", "../../secret.fits"), InputError, r"points outside the directory of the file"),
    "absolute": (PHA, 1, key("BACKFILE", "/etc/passwd"), InputError, r"points outside the directory of the file"),
    "grouping": (PHA, 1, lambda h: _add_grouping(h, 7), FileFormatError, r"column GROUPING, row 1: value 7, expected 1 where a group begins"),
    "OFF backscal nan": (BKG, 1, cell("BACKSCAL", 3, np.nan), DataError, r"column BACKSCAL, row 3: value nan"),
    "no EBOUNDS unit": (PHA, "EBOUNDS", unit("E_MIN", ""), UnitError, r"HDU EBOUNDS, column E_MIN: there is no unit"),
    "wrong unit": (ARF, 1, unit("SPECRESP", "s"), UnitError, r"column SPECRESP: unit 's', expected one convertible to 'cm2'"),
    "no area unit": (ARF, 1, unit("SPECRESP", None), UnitError, r"column SPECRESP: there is no unit \(TUNIT\)"),
    "nan area": (ARF, 1, cell("SPECRESP", 7, np.nan), DataError, r"_arf.fits, HDU SPECRESP, column SPECRESP, row 7: value nan"),
    "negative area": (ARF, 1, cell("SPECRESP", 7, -1.0), DataError, r"column SPECRESP, row 7: value -1 cm2, expected at least 0"),
    "no area": (ARF, 1, cell("SPECRESP", slice(None), 0.0), DataError, r"all values are 0, there is no exposure"),
    "overlapping bins": (ARF, 1, cell("ENERG_HI", 3, 9.0), DataError, r"HDU SPECRESP: row 3 ends at 9 TeV"),
    "upside-down bin": (ARF, 1, cell("ENERG_HI", 3, 1e-3), DataError, r"row 3: energies .* expected increasing bins"),
    "keV called TeV": (ARF, 1, lambda h: _scale(h, 1e9), DataError, r"check the unit of the column"),
    "another grid": (ARF, 1, lambda h: _scale(h, 1.01), DataError, r"expected the same true-energy grid"),
    "rows too large": (RMF, "MATRIX", lambda h: _multiply_matrix(h, 1000.0), DataError, r"column MATRIX, row \d+: adds up to"),
    "nan in the matrix": (RMF, "MATRIX", lambda h: _first_value(h, np.nan), DataError, r"_rmf.fits, HDU MATRIX, row 20, column MATRIX, channel \d+: value nan"),
    "channel out of range": (RMF, "MATRIX", lambda h: _first_channel(h, 99), DataError, r"row 20: channels 99 to .*F_CHAN, N_CHAN or TLMIN is wrong"),
    "group too long": (RMF, "MATRIX", lambda h: _group_length(h, 36), DataError, r"N_CHAN asks for 36 values, MATRIX holds|channels \d+ to"),
    "area in the matrix": (RMF, "MATRIX", key("HDUCLAS3", "FULL"), FileFormatError, r"names an effective area too"),
    "no matrix": (RMF, "MATRIX", lambda h: setattr(h, "name", "OTHER"), FileFormatError, r"no extension MATRIX or SPECRESP MATRIX; the extensions are: OTHER, EBOUNDS"),
}  # fmt: skip


def _add_grouping(hdu, second=-1):
    flags = np.tile([1, second], len(hdu.data))[: len(hdu.data)]
    columns = [*hdu.columns, fits.Column(name="GROUPING", format="I", array=flags)]
    new = fits.BinTableHDU.from_columns(columns, header=hdu.header)
    hdu.data, hdu.header = new.data, new.header


def _scale(hdu, factor):
    for column in ("ENERG_LO", "ENERG_HI"):
        hdu.data[column] *= factor


def _multiply_matrix(hdu, factor):
    for row in hdu.data["MATRIX"]:
        row *= factor


def _first_value(hdu, value):
    hdu.data["MATRIX"][20][0] = value


def _first_channel(hdu, value):
    hdu.data["F_CHAN"][20][0] = value


def _group_length(hdu, value):
    hdu.data["F_CHAN"][20][0] = 0
    hdu.data["N_CHAN"][20][0] = value


@pytest.mark.parametrize("name", TABLES)
def test_damaged_tables_are_refused(run, name):
    file, hdu, change, error, text = TABLES[name]
    edit(run / file, hdu, change)
    with pytest.raises(error, match=text):
        SpectrumDatasetOnOff.read(run / PHA)


@pytest.mark.parametrize("name", [PHA, BKG, ARF, RMF])
def test_missing_truncated_and_foreign_files(run, name):
    path = run / name
    whole = path.read_bytes()
    for cut in (100, 3000, len(whole) // 2 + 100, len(whole) - 2900):
        path.write_bytes(whole[:cut])
        with pytest.raises(FileFormatError, match=rf"{name}.*(truncated at byte {cut}|not a FITS file)"):
            SpectrumDatasetOnOff.read(run / PHA)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=rf"{name} is empty \(0 bytes\)"):
        SpectrumDatasetOnOff.read(run / PHA)
    path.write_bytes(b"<html>not found</html>" * 300)
    with pytest.raises(FileFormatError, match=rf"{name}: not a FITS file that can be read"):
        SpectrumDatasetOnOff.read(run / PHA)
    path.unlink()
    with pytest.raises(MissingFileError, match=rf"{name} does not exist; check the path"):
        SpectrumDatasetOnOff.read(run / PHA)
    path.mkdir()
    with pytest.raises(FileFormatError, match=rf"{name} is a directory"):
        SpectrumDatasetOnOff.read(run / PHA)


def test_flipped_bytes_are_found_by_the_checksum(run):
    path = run / RMF
    data = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        at = hdus["MATRIX"].fileinfo()["datLoc"]
    for i in range(200):
        data[at + 900 + 7 * i] ^= 0x5A
    path.write_bytes(bytes(data))
    with pytest.raises(FileFormatError, match="_rmf.fits, HDU MATRIX: the data do not match their DATASUM"):
        SpectrumDatasetOnOff.read(run / PHA)


def test_channel_numbers_differ(run):
    edit(run / BKG, 1, lambda h: setattr(h, "data", h.data[:-2]))
    with pytest.raises(DataError, match="34 channels, the spectrum pha_sim-1.fits has 36"):
        SpectrumDatasetOnOff.read(run / PHA)


def test_environment_variables_and_odd_names(run, monkeypatch):
    odd = run / "a folder with spaces é"
    odd.mkdir()
    for name in (PHA, BKG, ARF, RMF):
        shutil.copy(run / name, odd / name)
    monkeypatch.setenv("MY_DATA", str(odd))
    assert SpectrumDatasetOnOff.read(f"$MY_DATA/{PHA}").name == "sim-1"
    assert SpectrumDatasetOnOff.from_ogip_files(f"$MY_DATA/{PHA}").name == "sim-1"
    with pytest.raises(MissingFileError, match="the environment variable in the path is not set"):
        SpectrumDatasetOnOff.read("$NO_SUCH_VARIABLE/x.fits")


def test_tlmin_counts_channels_from_one(run):
    before = SpectrumDatasetOnOff.read(run / PHA)

    def shift(hdu):
        for row in hdu.data["F_CHAN"]:
            row += 1
        hdu.header["TLMIN4"] = 1

    edit(run / RMF, "MATRIX", shift)
    with pytest.raises(DataError, match=r"F_CHAN counts channels from TLMIN4 = 1, but EBOUNDS from 0"):
        SpectrumDatasetOnOff.read(run / PHA)
    edit(run / RMF, "EBOUNDS", lambda hdu: hdu.data["CHANNEL"].__iadd__(1))
    np.testing.assert_array_equal(SpectrumDatasetOnOff.read(run / PHA).edisp.pdf_matrix, before.edisp.pdf_matrix)


def test_ebounds_of_the_rmf_serve_where_the_spectrum_has_none(run):
    before = SpectrumDatasetOnOff.read(run / PHA)
    with fits.open(run / PHA, memmap=False) as hdus:
        del hdus[0].header["SHA256"]
        hdus[0].header["NEXTEND"] = 1
        fits.HDUList([hdus[0], hdus[1]]).writeto(run / PHA, overwrite=True, checksum=True)
    after = SpectrumDatasetOnOff.read(run / PHA)
    np.testing.assert_array_equal(after.counts.geom.axis.edges_tev, before.counts.geom.axis.edges_tev)
    assert np.isnan(after.ontime.value)


def test_zero_lower_energy_is_replaced_with_a_warning(run):
    for file, hdu in ((ARF, 1), (RMF, "MATRIX")):
        edit(run / file, hdu, cell("ENERG_LO", 0, 0.0))
    with pytest.warns(UserWarning, match="the lower energy is 0; it is replaced by"):
        SpectrumDatasetOnOff.read(run / PHA)


ARRAYS = ("_n_on", "_n_off", "_acceptance", "_acceptance_off", "_exposure", "_edisp", "_mask_safe")


def same_to_the_bit(a, b):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.counts.geom.axis.edges_tev, b.counts.geom.axis.edges_tev)
    np.testing.assert_array_equal(a.exposure.geom.axis.edges_tev, b.exposure.geom.axis.edges_tev)
    np.testing.assert_array_equal(a.livetime.value, b.livetime.value)
    np.testing.assert_array_equal(a.ontime.value, b.ontime.value)
    assert a.name == b.name


@pytest.mark.parametrize("case", ["embedded", "random", "hess"])
def test_round_trip_is_exact(case, tmp_path, request):
    if case == "hess":
        d = SpectrumDatasetOnOff.read(request.getfixturevalue("hess_files")[0])
    elif case == "embedded":
        d = SpectrumDatasetOnOff.read(embedded_ogip_files()[0])
    else:
        rng = np.random.default_rng(11)
        matrix = rng.uniform(size=(8, 6)) * (rng.uniform(size=(8, 6)) > 0.4) / 6
        matrix[2] = 0
        d = small(
            edisp=matrix,
            exposure=rng.uniform(1e10, 1e14, 8) * u.Unit("cm2 s"),
            acceptance=rng.uniform(0.5, 2, 6),
            alpha=None,
            acceptance_off=rng.uniform(5, 20, 6),
            mask_safe=rng.uniform(size=6) > 0.3,
            livetime=rng.uniform(100, 1e5) * u.s,
            ontime=rng.uniform(100, 1e5) * u.s,
        )
    path = tmp_path / "pha_x.fits"
    d.write(path)
    again = SpectrumDatasetOnOff.read(path)
    same_to_the_bit(d, again)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "pha_x.fits",
        "pha_x_arf.fits",
        "pha_x_bkg.fits",
        "pha_x_rmf.fits",
    ]


def test_fractional_counts_survive(tmp_path):
    with pytest.warns(UserWarning, match="fractional"):
        d = small(n_on=[12.25, 9, 7, 4, 1, 0])
    d.write(tmp_path / "x.fits")
    with pytest.warns(UserWarning, match="fractional"):
        same_to_the_bit(d, SpectrumDatasetOnOff.read(tmp_path / "x.fits"))


def test_gammapy_reads_what_we_write(tmp_path):
    gammapy_datasets = pytest.importorskip("gammapy.datasets")
    d = SpectrumDatasetOnOff.read(embedded_ogip_files()[0])
    d.write(tmp_path / "x.fits")
    theirs = gammapy_datasets.SpectrumDatasetOnOff.read(tmp_path / "x.fits")
    for name in ("counts", "counts_off", "acceptance", "acceptance_off", "exposure", "mask_safe"):
        np.testing.assert_allclose(
            np.squeeze(getattr(theirs, name).data), getattr(d, name).data, rtol=1e-6, err_msg=name
        )
    kernel = np.squeeze(theirs.edisp.get_edisp_kernel().pdf_matrix)
    np.testing.assert_allclose(kernel, d.edisp.pdf_matrix, rtol=1e-6, atol=1e-9)


def test_writing_refuses_and_leaves_nothing_half(tmp_path):
    d = small()
    d.write(tmp_path / "x.fits")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(
        InputError, match=r"x.fits, x_bkg.fits, x_arf.fits, x_rmf.fits exists already; .*overwrite=True"
    ):
        d.write(tmp_path / "x.fits")
    with pytest.raises(InputError, match=r"got the name 'x.txt', expected one that ends in .fits"):
        d.write(tmp_path / "x.txt")
    with pytest.raises(DataError, match=r"'small' has no livetime"):
        small(livetime=None).write(tmp_path / "y.fits")
    with pytest.raises(InputError, match="unknown file format 'hdf'; known are: gadf, ogip, ogip-standard"):
        d.write(tmp_path / "y.fits", format="hdf")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_read_only_folder_keeps_the_old_files(tmp_path, monkeypatch):
    d = small()
    d.write(tmp_path / "x.fits")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        d.write(tmp_path / "x.fits", overwrite=True)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_embedded_files_are_what_the_recipe_makes(tmp_path, monkeypatch):
    """The script in the repository makes the files in the package, number for number."""
    import runpy

    script = Path(__file__).parents[2] / "scripts" / "make_embedded_data.py"
    module = runpy.run_path(str(script))
    module["main"].__globals__["FOLDER"] = tmp_path
    module["main"]()
    for path in embedded_ogip_files():
        same_to_the_bit(SpectrumDatasetOnOff.read(path), SpectrumDatasetOnOff.read(tmp_path / path.name))
