"""Good time intervals, beside gammapy's."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.time import Time

from gammajax import GTI, Datasets, SpectrumDatasetOnOff
from gammajax.errors import DataError, FileFormatError, InputError
from tests.problems import small

REF = Time("2004-12-04T22:00:00", scale="tt")
# one interval begins where another ends, two overlap
START, STOP = [0.0, 100.0, 250.0, 400.0] * u.s, [100.0, 220.0, 420.0, 500.0] * u.s


def pairs(gti):
    """Starts and stops of gammapy's or ours, s since REF."""
    return np.array([[(t - REF).to_value("s") for t in times] for times in (gti.time_start, gti.time_stop)])


@pytest.fixture(scope="module")
def both():
    """The same intervals here and in gammapy."""
    data = pytest.importorskip("gammapy.data")
    return GTI.create(START, STOP, REF), data.GTI.create(START, STOP, REF)


WAYS = {
    "as it is": lambda g: g,
    "select": lambda g: g.select_time(Time([REF + 50 * u.s, REF + 410 * u.s])),
    "delete": lambda g: g.delete_interval(Time([REF + 90 * u.s, REF + 300 * u.s])),
    "union": lambda g: g.union(),
    "union, touching apart": lambda g: g.union(merge_equal=False),
    "stack": lambda g: type(g).from_stack([g, g.select_time(Time([REF + 50 * u.s, REF + 90 * u.s]))]),
}


@pytest.mark.parametrize("way", WAYS)
def test_as_in_gammapy(both, way):
    ours, theirs = (pairs(WAYS[way](g)) for g in both)
    # astropy's times have 1e-16 of 53000 days, in two parts: far below a nanosecond
    assert np.allclose(ours, theirs, rtol=0, atol=1e-7)


def test_sums_and_other_scales(both):
    ours, theirs = both
    assert ours.time_sum.to_value("s") == pytest.approx(theirs.time_sum.to_value("s"), abs=1e-7)
    day, rest = ours.mjd("utc")[:2]
    assert np.allclose((day - 53343) + rest, theirs.time_start.utc.mjd - 53343, rtol=0, atol=1e-11)
    assert GTI.create(ours.time_start.utc, ours.time_stop.utc) == ours
    assert not GTI.create(ours.time_start + 1 * u.ms, ours.time_stop) == ours


def test_files_both_ways(both, tmp_path):
    ours, theirs = both
    ours.write(tmp_path / "ours.fits")
    theirs.write(tmp_path / "theirs.fits")
    back = GTI.read(tmp_path / "ours.fits")
    assert np.array_equal(back.met_start, ours.met_start)
    assert np.array_equal(back.met_stop, ours.met_stop)
    assert back.time_ref == ours.time_ref
    assert GTI.read(tmp_path / "theirs.fits") == ours
    assert np.allclose(pairs(type(theirs).read(tmp_path / "ours.fits")), pairs(ours), rtol=0, atol=1e-7)
    with pytest.raises(InputError, match=r"ours\.fits exists already"):
        ours.write(tmp_path / "ours.fits")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda h: h.header.remove("MJDREFI"), "keyword MJDREFI is missing"),
        (lambda h: h.header.set("MJDREFF", "soon"), "MJDREFF = 'soon', expected a number"),
        (lambda h: h.header.set("TIMESYS", "noon"), "TIMESYS = 'noon', expected one of"),
        (lambda h: h.data["START"].__setitem__(1, 1e9), "row 1: from 1e\\+09 to 220 s"),
        (lambda h: h.data["STOP"].__setitem__(0, np.nan), "column STOP, row 0: value nan"),
    ],
)
def test_damaged_file(both, tmp_path, change, text):
    both[0].write(tmp_path / "gti.fits")
    with fits.open(tmp_path / "gti.fits", memmap=False) as hdus:
        change(hdus["GTI"])
        del hdus[0].header["SHA256"]
        hdus.writeto(tmp_path / "gti.fits", overwrite=True, checksum=True)
    with pytest.raises((DataError, FileFormatError), match=text):
        GTI.read(tmp_path / "gti.fits")


def test_what_is_refused():
    with pytest.raises(DataError, match="interval 1 goes from 5 to 2 s"):
        GTI([0, 5], [1, 2], REF)
    with pytest.raises(InputError, match="start: got 53343.5, expected times"):
        GTI.create(53343.5, 53344.5)
    with pytest.raises(DataError, match="begins before the one before it has ended"):
        GTI.create(START, STOP, REF).union(overlap_ok=False)
    dataset = small()
    with pytest.raises(InputError, match=r"gti got 3, expected a GTI"):
        dataset.gti = 3
    with pytest.raises(DataError, match="add up to 0 s"):
        dataset.gti = GTI([0], [0], REF)


def test_data_sets_carry_it(tmp_path):
    dataset = small()
    dataset.gti = GTI.create(START, STOP, REF)
    assert dataset.copy().gti == dataset.gti
    dataset.write(tmp_path / "pha.fits")
    assert SpectrumDatasetOnOff.read(tmp_path / "pha.fits").gti == dataset.gti
    later = dataset.copy("later")
    later.gti = GTI.create(START + 1 * u.h, STOP + 1 * u.h, REF)
    stacked = Datasets([dataset, later]).stack_reduce()
    # two intervals each, for two touch and two overlap
    assert len(stacked.gti) == 4
    assert stacked.gti.time_sum == dataset.gti.union().time_sum * 2
    later.gti = None
    assert Datasets([dataset, later]).stack_reduce().gti is None


def test_an_ontime_alone_is_no_time(tmp_path):
    dataset = small()
    dataset.gti = None
    dataset._ontime = 1234.0
    dataset.write(tmp_path / "pha.fits")
    back = SpectrumDatasetOnOff.read(tmp_path / "pha.fits")
    assert back.gti is None
    assert back.ontime == 1234 * u.s
