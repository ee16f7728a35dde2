"""Files of flux points: checksums that are written, compared or left out, and text of other kinds."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from gammajax import FluxPoints, FluxPointsDataset
from gammajax.errors import FileFormatError, InputError, MissingFileError


@pytest.fixture(scope="module")
def points(gammapy_data):
    return FluxPoints.read(gammapy_data / "estimators/crab_hess_fp/crab_hess_fp.fits")


@pytest.fixture(scope="module")
def curve(gammapy_data):
    return FluxPoints.read(gammapy_data / "estimators/pks2155_hess_lc/pks2155_hess_lc.fits")


# what is written: the points, arguments, HDUs that have sums
WRITTEN = {
    "table": ("points", {"sed_type": "dnde"}, 2),
    "document": ("points", {}, 3),
    "light curve": ("curve", {}, 3),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_sums_are_written_and_compared(case, request, tmp_path):
    name, arguments, n = WRITTEN[case]
    found = request.getfixturevalue(name)
    summed, bare = tmp_path / "summed.fits", tmp_path / "bare.fits"
    found.write(summed, checksum=True, **arguments)
    found.write(bare, checksum=False, **arguments)
    for path, there in ((summed, True), (bare, False)):
        with fits.open(path) as hdus:
            assert len(hdus) == n
            assert [{"CHECKSUM", "DATASUM"} <= set(h.header) for h in hdus] == [there] * n
        for checksum in (True, False):
            np.testing.assert_allclose(FluxPoints.read(path, checksum=checksum).dnde, found.dnde, rtol=1e-12)
    theirs = pytest.importorskip("gammapy.estimators").FluxPoints
    dnde = theirs.read(summed, checksum=True).dnde.quantity[..., 0, 0].to_value("TeV-1 s-1 cm-2")
    np.testing.assert_allclose(dnde, found.dnde.value, rtol=1e-9)
    # a number changes, its sums do not
    damaged = tmp_path / "damaged.fits"
    with fits.open(summed, mode="readonly") as hdus:
        place = hdus["FLUXPOINTS"].fileinfo()["datLoc"]
        hdus["FLUXPOINTS"].data["ts"][1] *= 2
        changed = bytes(hdus["FLUXPOINTS"].data.tobytes())
    content = summed.read_bytes()
    damaged.write_bytes(content[:place] + changed + content[place + len(changed) :])
    with pytest.raises(FileFormatError, match=r"damaged\.fits, HDU FLUXPOINTS: the data do not match their DATASUM"):
        FluxPoints.read(damaged)
    assert len(FluxPoints.read(damaged, checksum=False).norm) == len(found.norm)


def test_text_has_a_hash_that_may_be_left_out(curve, points, tmp_path):
    for found, arguments in ((curve, {}), (points, {"sed_type": "flux"})):
        path = tmp_path / "points.ecsv"
        found.write(path, checksum=False, overwrite=True, **arguments)
        assert "table_sha256" not in path.read_text()
        found.write(path, overwrite=True, **arguments)
        text = path.read_text()
        assert "table_sha256" in text
        head, _, row = text.rstrip("\n").rpartition("\n")
        path.write_text(f"{head}\n{row.replace('1', '2', 1)}\n")
        with pytest.warns(UserWarning, match="the checksum .* does not fit"):
            FluxPoints.read(path)
        FluxPoints.read(path, checksum=False)
    points.write(tmp_path / "document.ecsv", checksum=False)
    np.testing.assert_array_equal(FluxPoints.read(tmp_path / "document.ecsv").norm, points.norm)
    with pytest.raises(InputError, match="got checksum=False, but a YAML document always has its checksum"):
        points.write(tmp_path / "points.yaml", checksum=False)


def test_a_data_set_of_points_is_written_with_or_without_sums(tmp_path):
    dnde = [3e-11, 2e-12] * u.Unit("cm-2 s-1 TeV-1")
    points = FluxPointsDataset([1, 3] * u.TeV, dnde, 0.1 * dnde)
    for checksum in (True, False):
        points.write(tmp_path / "p.fits", overwrite=True, checksum=checksum)
        with fits.open(tmp_path / "p.fits") as hdus:
            assert ("CHECKSUM" in hdus[1].header) == checksum


CSV = "e_ref;dnde;dnde_err\n1.0;3e-11;3e-12\n3.0;2e-12;2e-13\n"


def test_text_of_other_kinds_is_read_as_by_gammapy(points, tmp_path):
    """Units are in no csv; those of gammapy's default, ECSV by whatever name, are."""
    points.write(tmp_path / "points.ecsv", sed_type="dnde")
    (tmp_path / "points.txt").write_text((tmp_path / "points.ecsv").read_text())
    back = FluxPoints.read(tmp_path / "points.txt", table_format="ascii.ecsv")
    np.testing.assert_allclose(back.dnde.value, points.dnde.value, rtol=1e-12)
    theirs = pytest.importorskip("gammapy.estimators").FluxPoints.read(
        tmp_path / "points.txt", table_format="ascii.ecsv"
    )
    np.testing.assert_allclose(back.dnde.value, theirs.dnde.quantity[:, 0, 0].to_value("TeV-1 s-1 cm-2"), rtol=1e-9)
    # gammapy's default, given in full, for FITS too
    points.write(tmp_path / "points.fits")
    np.testing.assert_array_equal(
        FluxPoints.read(tmp_path / "points.fits", table_format="ascii.ecsv").norm, points.norm
    )
    (tmp_path / "other.csv").write_text(CSV)
    units = {"e_ref": "TeV", "dnde": "cm-2 s-1 TeV-1", "dnde_err": "cm-2 s-1 TeV-1"}
    found = FluxPoints.read(
        tmp_path / "other.csv", sed_type="dnde", table_format="ascii.csv", delimiter=";", units=units
    )
    np.testing.assert_allclose(found.dnde.value, [3e-11, 2e-12], rtol=1e-12)


# file, arguments, error class, what the message says
REFUSED = {
    "no units": ("a.csv", {"table_format": "ascii.csv", "delimiter": ";"}, FileFormatError, "column 'e_ref' has no unit"),
    "other kind": ("a.csv", {"table_format": "votable"}, InputError, "table_format='votable', expected one of astropy's text formats"),
    "no kind": ("a.csv", {}, InputError, "ends in .fits"),
    "no such": ("a.csv", {"table_format": "ascii.nothing"}, FileFormatError, "no table for flux points that can be read"),
    "option of text": ("a.fits", {"delimiter": ";"}, InputError, "table_format=None with delimiter, which are for text, but 'a.fits' is FITS"),
    "kind of text": ("a.fits", {"table_format": "ascii.csv"}, InputError, "with no options, which are for text, but 'a.fits' is FITS"),
    "missing": ("b.csv", {"table_format": "ascii.csv"}, MissingFileError, "b.csv does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused(case, points, tmp_path):
    name, arguments, error, text = REFUSED[case]
    (tmp_path / "a.csv").write_text(CSV)
    points.write(tmp_path / "a.fits", sed_type="dnde")
    with pytest.raises(error, match=text):
        FluxPoints.read(tmp_path / name, **arguments)


def test_documents_without_names_of_data_sets_are_read(points, tmp_path):
    """As they were written when counts were sums."""
    old = replace(points, counts=points.counts, dataset_names=None)
    object.__setattr__(old, "counts", points.counts[..., 0])
    old.write(tmp_path / "old.yaml")
    np.testing.assert_array_equal(FluxPoints.read(tmp_path / "old.yaml").counts, points.counts)
