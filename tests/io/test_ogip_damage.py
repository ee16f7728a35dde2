"""Random damage of the files: an error of our own family that names the file, or the very same data set; never anything else."""

import shutil
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gammajax import SpectrumDatasetOnOff
from gammajax.data import embedded_ogip_files
from gammajax.errors import GammajaxError
from tests.io.test_ogip import ARF, BKG, PHA, RMF

FILES = (PHA, BKG, ARF, RMF)
FOLDER = embedded_ogip_files()[0].parent
CLEAN = {name: (FOLDER / name).read_bytes() for name in FILES}


def arrays(dataset):
    return (
        dataset.counts.data, dataset.counts_off.data, dataset.acceptance.data, dataset.acceptance_off.data,
        dataset.exposure.data, dataset.edisp.pdf_matrix, dataset.mask_safe.data, dataset.counts.geom.axis.edges_tev,
        dataset.exposure.geom.axis.edges_tev,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    return folder


def check(place, files):
    """Read a set of files: refused by name, or equal to the undamaged ones, or said to be different by a warning."""
    clean = arrays(SpectrumDatasetOnOff.read(FOLDER / PHA))
    for name in FILES:
        (place / name).write_bytes(files.get(name, CLEAN[name]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = arrays(SpectrumDatasetOnOff.read(place / PHA))
        except GammajaxError:
            return
    same = all(np.array_equal(a, b) for a, b in zip(found, clean, strict=True))
    assert same or caught


def names(hdus):
    """Everything that has a name in a file: columns and keywords."""
    return {n for h in hdus for n in (*(getattr(h, "columns", None) or fits.ColDefs([])).names, *h.header)}


QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def flips(length):
    return st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=length)


@QUICK
@given(name=st.sampled_from(FILES), changes=flips(4))
def test_flipped_bytes(place, name, changes):
    data = bytearray(CLEAN[name])
    for where, mask in changes:
        data[int(where * len(data))] ^= mask
    check(place, {name: bytes(data)})


@QUICK
@given(name=st.sampled_from(FILES), fraction=st.floats(0, 1, exclude_max=True))
def test_truncated_files(place, name, fraction):
    check(place, {name: CLEAN[name][: int(fraction * len(CLEAN[name]))]})


@QUICK
@given(name=st.sampled_from(FILES), begin=st.floats(0, 1, exclude_max=True), block=st.binary(min_size=1, max_size=200))
def test_overwritten_blocks(place, name, begin, block):
    data = bytearray(CLEAN[name])
    at = int(begin * len(data))
    data[at : at + len(block)] = block[: len(data) - at]
    check(place, {name: bytes(data)})


@QUICK
@given(name=st.sampled_from(FILES), data=st.data())
def test_dropped_columns_and_keywords(place, name, data):
    """With sums that fit again: what is not there is named, or was not needed."""
    folder = place
    with fits.open(FOLDER / name, memmap=False) as hdus:
        hdu = hdus[data.draw(st.integers(1, len(hdus) - 1), label="extension")]
        if data.draw(st.booleans(), label="column"):
            hdu.columns.del_col(data.draw(st.sampled_from(hdu.columns.names)))
        else:
            keys = [
                k
                for k in hdu.header
                if not k.startswith(("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TF", "TT"))
            ]
            del hdu.header[data.draw(st.sampled_from(keys))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hdus.writeto(folder / "changed.fits", overwrite=True, checksum=True)
    changed = (folder / "changed.fits").read_bytes()
    optional = {"QUALITY", "AREASCAL", "LO_THRES"}
    try:
        check(place, {name: changed})
    except AssertionError:
        # a file without them is a valid one: QUALITY is 0 and scales are 1 by default
        with fits.open(folder / name) as now, fits.open(FOLDER / name) as before:
            gone = names(before) - names(now)
        assert gone & optional, gone


@pytest.mark.slow
@settings(QUICK, max_examples=800)
@given(name=st.sampled_from(FILES), changes=flips(3))
def test_flipped_bytes_at_length(place, name, changes):
    data = bytearray(CLEAN[name])
    for where, mask in changes:
        data[int(where * len(data))] ^= mask
    check(place, {name: bytes(data)})


def test_nothing_but_the_copies_is_touched(place):
    folder = place
    shutil.copy(FOLDER / PHA, folder / "again.fits")
    assert (folder / "again.fits").read_bytes() == CLEAN[PHA]
