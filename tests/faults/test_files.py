"""Bad FITS and OGIP files: entries 1 to 44 of the list of bad inputs and faults, each provoked with files damaged by the test.

A row of `REFUSED` says how the embedded run is damaged, and class and text of the error on reading it; one of `UNFIT` what a fit
refuses, before anything compiles; one of `WORKS` what must be read, and how the result is judged.
"""

import gzip
import os
import re
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

from gammajax import EBLAbsorptionNormSpectralModel, FluxPointsDataset, PowerLawSpectralModel, SkyModel
from gammajax.errors import DataError, FileFormatError, InputError, MissingFileError, UnitError
from gammajax.io.fits_write import fits_bytes
from gammajax.io.ogip import read_ogip
from gammajax.io.tables import table_bytes
from gammajax.likelihood import Likelihood
from gammajax.response import diagonal_dispersion
from tests.faults import damage as d
from tests.faults.damage import both, card, column, content, cut, flip, gone, linked, no_sums, number, second_hdu, table
from tests.io.test_ogip import (
    ARF,
    BKG,
    PHA,
    RMF,
    _add_grouping,
    _first_channel,
    _first_value,
    _group_length,
    _multiply_matrix,
    _scale,
    as_float,
    cell,
    key,
    unit,
    without,
)  # fmt: skip
from tests.likelihood.test_likelihood import compilations  # noqa: F401

FILES = (PHA, BKG, ARF, RMF)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(5000)


def ebounds(factor):
    """Multiply the energies of the channels, in the spectrum and in the response."""

    def change(h):
        for name in ("E_MIN", "E_MAX"):
            h.data[name] *= factor

    return both(table(PHA, "EBOUNDS", change), table(RMF, "EBOUNDS", change))


def true_energies(factor):
    return both(table(ARF, 1, lambda h: _scale(h, factor)), table(RMF, "MATRIX", lambda h: _scale(h, factor)))


@dataclass(frozen=True)
class Refused:
    """A damage, and the error on reading."""

    number: int
    name: str
    damage: Any
    error: type
    texts: tuple[str, ...]
    options: dict = field(default_factory=dict)


R = Refused
REFUSED = [
    R(1, "spectrum cut in its data", cut(PHA, 6000), FileFormatError, (PHA, "truncated at byte 6000")),
    R(1, "response cut in its data", cut(RMF, -9000), FileFormatError, (RMF, "HDU MATRIX: truncated at byte ")),
    R(1, "response cut in a header", cut(RMF, 4000), FileFormatError, (RMF, "truncated at byte 4000")),
    R(1, "gzip cut", d.compressed_and_cut, FileFormatError, ("pha.fits.gz: truncated, the gzip data end",)),
    *(R(2, f"empty {f}", content(f, b""), FileFormatError, (f"{f} is empty (0 bytes)",)) for f in FILES),
    R(3, "text", content(PHA, b"counts 1 2 3\n" * 400), FileFormatError, (f"{PHA}: not a FITS file that can be read",)),
    R(3, "PNG", content(ARF, PNG), FileFormatError, (f"{ARF}: not a FITS file that can be read",)),
    R(3, "HTML", content(RMF, b"<html>404</html>" * 300), FileFormatError, (f"{RMF}: not a FITS file that can be read",)),
    R(4, "200 bytes of the matrix", flip(RMF, "MATRIX", "data", 200), FileFormatError, (RMF, "HDU MATRIX: the data do not match their DATASUM")),
    R(4, "the same without sums", both(no_sums(RMF), flip(RMF, "MATRIX", "data", 200)), DataError, (RMF, "HDU MATRIX", "row ")),
    R(4, "one bit of the counts", flip(PHA, 1, "data", 1), FileFormatError, (PHA, "HDU SPECTRUM: the data do not match their DATASUM")),
    R(5, "bytes of a header", flip(RMF, "MATRIX", "header", 20), FileFormatError, (RMF,)),
    R(5, "the value of a keyword", number(PHA, 1, EXPOSURE="158O.0"), DataError, (PHA, "EXPOSURE = ", "expected a livetime above 0")),
    R(5, "the format of a column", card(RMF, "MATRIX", TFORM6="TFORM6  = '1Q?(34)'"), FileFormatError, (RMF,)),
    R(6, "no file of the area", gone(ARF), MissingFileError, (f"{ARF} does not exist",)),
    R(7, "no file of the response", gone(RMF), MissingFileError, (f"{RMF} does not exist",)),
    R(7, "no name of the response", table(PHA, 1, key("RESPFILE", None)), FileFormatError, (PHA, "keyword RESPFILE is missing", "rmf='diagonal'")),
    R(8, "no file of the background", gone(BKG), MissingFileError, (f"{BKG} does not exist",)),
    R(9, "no name of the background", table(PHA, 1, key("BACKFILE", None)), FileFormatError, (PHA, "BACKFILE is missing", "W statistic needs OFF counts", "cash or cstat")),
    R(10, "no name of the area", table(PHA, 1, key("ANCRFILE", None)), FileFormatError, (PHA, "keyword ANCRFILE is missing", "(arf=)")),
    R(10, "the name none", table(PHA, 1, key("ANCRFILE", "NONE")), FileFormatError, (PHA, "ANCRFILE is none")),
    R(11, "a path of dots", table(PHA, 1, key("BACKFILE", "../../../../etc/passwd")), InputError, (PHA, "BACKFILE = '../../../../etc/passwd' points outside", "allow_outside=True")),
    R(11, "an absolute path", table(PHA, 1, key("RESPFILE", "/etc/passwd")), InputError, ("RESPFILE = '/etc/passwd' points outside",)),
    R(11, "a link to the outside", d.linked_to_another_folder, InputError, (f"BACKFILE = '{BKG}' points outside",)),
    R(12, "nan in the used range", table(ARF, 1, cell("SPECRESP", 20, np.nan)), DataError, (ARF, "column SPECRESP, row 20: value nan")),
    R(12, "infinite area", table(ARF, 1, cell("SPECRESP", 0, np.inf)), DataError, (ARF, "column SPECRESP, row 0: value inf cm2")),
    R(13, "negative area", table(ARF, 1, cell("SPECRESP", 7, -1.0)), DataError, (ARF, "column SPECRESP, row 7: value -1 cm2, expected at least 0")),
    R(14, "area 0", table(ARF, 1, cell("SPECRESP", slice(None), 0.0)), DataError, (ARF, "column SPECRESP: all values are 0, there is no exposure")),
    R(15, "no unit of the area", table(ARF, 1, unit("SPECRESP", None)), UnitError, (ARF, "column SPECRESP: there is no unit (TUNIT)", "units={'SPECRESP': ...}")),
    R(16, "unit s of the area", table(ARF, 1, unit("SPECRESP", "s")), UnitError, (ARF, "column SPECRESP: unit 's', expected one convertible to 'cm2'")),
    R(17, "keV called TeV", both(ebounds(1e9), true_energies(1e9)), DataError, ("row 0: lower energy 1e+08 TeV, expected 1e-06 to 1e+06 TeV; check the unit",)),
    R(17, "TeV called keV", both(ebounds(1e-9), true_energies(1e-9)), DataError, ("lower energy 1e-10 TeV, expected 1e-06", "any_energy=True")),
    R(17, "GeV called TeV in the true energies", true_energies(1e3), DataError, (PHA, "lie at 0.00101 times the true energies", "check the units of E_MIN, E_MAX")),
    R(17, "GeV called TeV in the channels", ebounds(1e3), DataError, (PHA, "times the true energies that reach them")),
    R(17, "EBOUNDS of spectrum and response differ", table(RMF, "EBOUNDS", lambda h: h.data["E_MIN"].__imul__(1.01)), DataError, ("EBOUNDS",)),
    R(18, "another grid of the area", table(ARF, 1, lambda h: _scale(h, 1.01)), DataError, (f"{ARF} and {RMF}: edge 0 is 0.0505 and 0.05 TeV, expected the same true-energy grid",)),
    R(18, "a grid that differs by 2e-5", table(ARF, 1, lambda h: _scale(h, 1 + 2e-5)), DataError, ("expected the same true-energy grid",)),
    R(19, "nan in the matrix", table(RMF, "MATRIX", lambda h: _first_value(h, np.nan)), DataError, (RMF, "HDU MATRIX, row 20, column MATRIX, channel ", "value nan")),
    R(20, "rows 1000 times too large", table(RMF, "MATRIX", lambda h: _multiply_matrix(h, 1000.0)), DataError, (RMF, "column MATRIX, row ", "adds up to ", "expected at most 1")),
    R(22, "N_CHAN longer than MATRIX", table(RMF, "MATRIX", lambda h: _group_length(h, 36)), DataError, (RMF, "row 20: N_CHAN asks for 36 values, MATRIX holds ")),
    R(22, "N_CHAN shorter than MATRIX", table(RMF, "MATRIX", lambda h: h.data["N_CHAN"][20].__setitem__(0, 1)), DataError, (RMF, "row 20: MATRIX holds ", "N_GRP and N_CHAN name only 1")),
    R(22, "N_GRP larger than F_CHAN", table(RMF, "MATRIX", cell("N_GRP", 20, 3)), DataError, (RMF, "row 20: N_GRP = 3, but F_CHAN and N_CHAN hold 1 and 1 groups")),
    R(22, "groups on top of each other", table(RMF, "MATRIX", d.regrouped(lambda f, n: [(f, n - n // 2), (f, n // 2)])), DataError, (RMF, "two groups hold channel ")),
    R(23, "F_CHAN out of range", table(RMF, "MATRIX", lambda h: _first_channel(h, 99)), DataError, (RMF, "row 20: channels 99 to ", "F_CHAN, N_CHAN or TLMIN is wrong")),
    R(23, "TLMIN against EBOUNDS", table(RMF, "MATRIX", key("TLMIN4", 1)), DataError, (RMF, "F_CHAN counts channels from TLMIN4 = 1, but EBOUNDS from 0")),
    R(23, "no TLMIN and no EBOUNDS: counted from 1", both(table(RMF, "MATRIX", key("TLMIN4", None)), d.without_hdu(RMF, "EBOUNDS")), DataError, (RMF, "channels -1 to ")),
    R(25, "a bin upside down", table(ARF, 1, cell("ENERG_HI", 3, 1e-3)), DataError, (ARF, "row 3: energies ", "expected increasing bins")),
    R(25, "rows out of order", table(RMF, "MATRIX", d.swapped_rows), DataError, (RMF, "row 2 ends at ", "expected contiguous bins")),
    R(25, "bins that overlap", table(ARF, 1, cell("ENERG_HI", 3, 9.0)), DataError, (ARF, "row 3 ends at 9 TeV")),
    R(27, "a response of 30 rows less", table(RMF, "MATRIX", d.rows(18)), DataError, (f"{ARF} and {RMF}: 48 and 18 true-energy bins, expected the same",)),
    R(28, "no EBOUNDS at all", both(d.without_hdu(PHA, "EBOUNDS"), d.without_hdu(RMF, "EBOUNDS")), FileFormatError, (PHA, RMF, "no extension EBOUNDS")),
    R(29, "channels of the response", table(RMF, "EBOUNDS", d.rows(34)), DataError, (RMF, "34 channels, the spectrum has 36")),
    R(29, "channels of the spectrum", table(PHA, 1, d.rows(34)), DataError, (BKG, "36 channels, the spectrum", "has 34")),
    R(29, "channels out of order", table(PHA, 1, cell("CHANNEL", 5, 7)), DataError, (PHA, "column CHANNEL, row 5: value 7 behind 4, expected channels in order")),
    R(30, "no counts", table(PHA, 1, without("COUNTS")), FileFormatError, (PHA, "column COUNTS is missing; the columns are CHANNEL, QUALITY")),
    R(30, "a rate that is no number of counts", table(PHA, 1, d.rate(1.1, "count/s")), FileFormatError, (PHA, "RATE times EXPOSURE is ", "no number of counts")),
    R(30, "a rate in another unit", table(PHA, 1, d.rate(1.0, "m")), FileFormatError, (PHA, "column RATE: unit 'm', expected counts per second")),
    R(31, "negative ON counts", table(PHA, 1, cell("COUNTS", 4, -3)), DataError, (PHA, "column COUNTS, row 4: value -3, expected counts of at least 0")),
    R(32, "negative OFF counts", table(BKG, 1, cell("COUNTS", 0, -1)), DataError, (BKG, "column COUNTS, row 0: value -1")),
    R(33, "nan counts", table(PHA, 1, as_float("COUNTS", 2, np.nan)), DataError, (PHA, "column COUNTS, row 2: value nan, expected finite")),
    R(33, "nan OFF counts", table(BKG, 1, as_float("COUNTS", 2, np.nan)), DataError, (BKG, "column COUNTS, row 2: value nan, expected finite")),
    R(35, "no livetime", table(PHA, 1, key("EXPOSURE", None)), FileFormatError, (PHA, "keyword EXPOSURE is missing; it is the livetime in s")),
    R(35, "livetime 0", table(PHA, 1, key("EXPOSURE", 0.0)), DataError, (PHA, "EXPOSURE = 0.0, expected a livetime above 0")),
    R(35, "negative livetime", table(PHA, 1, key("EXPOSURE", -5.0)), DataError, (PHA, "EXPOSURE = -5.0")),
    R(35, "livetime nan", number(PHA, 1, EXPOSURE="NaN"), DataError, (PHA, "EXPOSURE = ")),
    R(35, "livetime true", table(PHA, 1, key("EXPOSURE", True)), DataError, (PHA, "EXPOSURE = True")),
    R(36, "OFF acceptance nan", table(BKG, 1, cell("BACKSCAL", 3, np.nan)), DataError, (BKG, "column BACKSCAL, row 3: value nan")),
    R(36, "negative OFF acceptance", table(BKG, 1, cell("BACKSCAL", 3, -1.0)), DataError, (BKG, "BACKSCAL, row 3: value -1")),
    R(39, "GROUPING of other numbers", table(PHA, 1, lambda h: _add_grouping(h, 7)), FileFormatError, (PHA, "column GROUPING, row 1: value 7, expected 1 where a group begins")),
    R(40, "type II", d.type_two, FileFormatError, (PHA, "COUNTS holds 3 spectra, one in each of rows 0 to 2 (type II)")),
    R(40, "type II of one row", d.type_two_of_one, FileFormatError, (PHA, "COUNTS holds a whole spectrum in its one row (type II)")),
    R(40, "type II with SPEC_NUM", d.numbered(1, declared=True), FileFormatError, (PHA, "column SPEC_NUM gives each row its spectrum, 1 of them (type II)")),
    R(40, "two SPEC_NUM", d.numbered(2), FileFormatError, (PHA, "column SPEC_NUM gives each row its spectrum, 2 of them (type II)")),
    R(40, "two spectra", second_hdu(PHA, 1, cell("COUNTS", 20, 99)), FileFormatError, (PHA, "2 extensions SPECTRUM with different data (HDUs 1, 4)")),
    R(40, "two matrices", d.second_raw(RMF, "MATRIX"), FileFormatError, (RMF, "2 extensions MATRIX with different data")),
    R(41, "a gzip bomb", d.bomb, FileFormatError, (PHA, "unpacks to more than 256000000 bytes")),
    R(41, "another compression", content(RMF, b"BZh9" + bytes(3000)), FileFormatError, (RMF, "compressed with bzip2, expected FITS or FITS compressed with gzip")),
    R(41, "10^9 rows", number(PHA, 1, NAXIS2=10**9), FileFormatError, (PHA, "HDU SPECTRUM: truncated at byte ")),
    R(41, "2^40 rows", number(PHA, 1, NAXIS2=2**40), FileFormatError, (PHA,)),
    R(41, "2^40 rows of nothing", number(PHA, 1, NAXIS1=0, NAXIS2=2**40), FileFormatError, (PHA,)),
    R(41, "a huge heap", number(RMF, "MATRIX", PCOUNT=2**36), FileFormatError, (RMF, "HDU MATRIX: truncated at byte ")),
    R(42, "a loop of links", linked(ARF, ARF), FileFormatError, (ARF,)),
    R(42, "a broken link", linked(ARF, "nowhere.fits"), MissingFileError, (f"{ARF} is a link that leads nowhere",)),
    R(42, "a folder", both(gone(BKG), lambda run: (run / BKG).mkdir()), FileFormatError, (f"{BKG} is a directory",)),
    R(42, "a pipe", both(gone(BKG), lambda run: os.mkfifo(run / BKG)), FileFormatError, (f"{BKG} is no regular file (a pipe or a device)",)),
    R(42, "replaced while it is read", d.replaced, FileFormatError, (f"{PHA}: was replaced while the data set was read",)),
    R(42, "counts of two writes", d.mixed_sets("x_bkg.fits", lambda s: s.set_counts(s.counts.data, s.counts_off.data + 1)), FileFormatError, ("x_bkg.fits was not written together with x.fits",)),
    R(42, "responses of two writes", d.mixed_sets("x_rmf.fits", lambda s: s.edisp.pdf_matrix.__imul__(0.9)), FileFormatError, ("x_rmf.fits was not written together with x.fits",)),
    R(43, "an undefined count in a good channel", table(PHA, 1, column(fits.Column("COUNTS", "J", null=-99, array=np.full(36, -99)))), DataError, (PHA, "column COUNTS, row ", "no value (TNULL)")),
    R(44, "another class of HDU", table(PHA, 1, key("HDUCLAS1", "EVENTS")), FileFormatError, (PHA, "HDUCLAS1 = 'EVENTS', expected 'SPECTRUM'")),
]  # fmt: skip


@dataclass(frozen=True)
class Works:
    """A damage that must be understood; `same` names what must be as in the undamaged run, and `judge` looks at the rest."""

    number: int
    name: str
    damage: Any
    warning: str = ""
    options: dict = field(default_factory=dict)
    same: tuple[str, ...] = ("counts", "counts_off", "alpha", "exposure", "edisp", "mask_safe", "axis", "axis_true")
    judge: Any = None


ARRAYS = {
    "counts": lambda s: s.counts.data,
    "counts_off": lambda s: s.counts_off.data,
    "alpha": lambda s: s.alpha.data,
    "exposure": lambda s: s.exposure.data,
    "edisp": lambda s: s.edisp.pdf_matrix,
    "mask_safe": lambda s: s.mask_safe.data,
    "axis": lambda s: s.counts.geom.axis.edges_tev,
    "axis_true": lambda s: s.exposure.geom.axis.edges_tev,
}


def all_but(*names):
    return tuple(n for n in ARRAYS if n not in names)


def nothing(run):
    pass


def response_in_fit(s):
    """What the bins in the fit see of the response."""
    return (s.exposure.data[:, None] * s.edisp.pdf_matrix)[:, s.mask_safe.data]


def equal(function, rtol=0.0):
    def judge(found, clean):
        np.testing.assert_allclose(function(found), function(clean), rtol=rtol, atol=0)

    return judge


def factor(name, value):
    def judge(found, clean):
        np.testing.assert_allclose(ARRAYS[name](found), value * ARRAYS[name](clean), rtol=1e-12, atol=0)

    return judge


def diagonal(found, clean):
    expected = diagonal_dispersion(clean.exposure.geom.axis.edges_tev, clean.counts.geom.axis.edges_tev)
    np.testing.assert_array_equal(found.edisp.pdf_matrix, expected)


def pairs(found, clean):
    for name in ("counts", "counts_off"):
        np.testing.assert_array_equal(ARRAYS[name](found), ARRAYS[name](clean).reshape(-1, 2).sum(axis=1))
    np.testing.assert_array_equal(ARRAYS["axis"](found), ARRAYS["axis"](clean)[::2])


def marked(found, clean):
    assert found.fractional_counts
    assert not clean.fractional_counts


def columns_of(kind):
    """The columns of the spectrum in another form of numbers."""

    def change(h):
        counts = np.asarray(h.data["COUNTS"])
        new = {
            "unsigned 16 bit": lambda: fits.Column("COUNTS", "I", bzero=2**15, array=counts.astype(np.uint16)),
            "signed byte": lambda: fits.Column("COUNTS", "B", bzero=-128, array=counts.astype(np.int8)),
            "single precision": lambda: fits.Column("COUNTS", "E", array=counts.astype(np.float32)),
        }[kind]()
        column(new)(h)

    return change


def scaled(run):
    """Stored numbers of which the counts are half, and 10 more."""
    table(PHA, 1, lambda h: h.data["COUNTS"].__setitem__(slice(None), 2 * (h.data["COUNTS"] - 10)))(run)
    card(PHA, 1, CORRSCAL="TSCAL2  =                  0.5", SYS_ERR="TZERO2  =                 10.0")(run)


def undefined_where_bad(h):
    """Channels of bad quality hold the number that stands for none."""
    counts = np.where(h.data["QUALITY"] == 0, h.data["COUNTS"], -99)
    column(fits.Column("COUNTS", "J", null=-99, array=counts))(h)


def undefined_before_scaling(h):
    """TNULL is a stored number, that of 32767 counts here."""
    counts = np.where(h.data["QUALITY"] == 0, h.data["COUNTS"], 2**15 - 1)
    column(fits.Column("COUNTS", "I", bzero=2**15, null=-1, array=counts.astype(np.uint16)))(h)


def zero_where_bad(h):
    h.data["BACKSCAL"][:8] = 0.0


def long_name(run):
    """A background file with a name of 100 characters, which the header holds in CONTINUE cards."""
    name = "b" * 95 + ".fits"
    shutil.move(run / BKG, run / name)
    table(PHA, 1, key("BACKFILE", name))(run)


W = Works
WORKS = [
    W(4, "a header without its sum, on request", lambda run: _stale(run), options={"checksum": False}, same=all_but("alpha", "exposure")),
    W(7, "a perfect measurement, on request", gone(RMF), options={"rmf": "diagonal"}, same=all_but("edisp"), judge=diagonal),
    W(9, "the background, on request", table(PHA, 1, key("BACKFILE", None)), options={"bkg": BKG}),
    W(10, "the area, on request", table(PHA, 1, key("ANCRFILE", None)), options={"arf": ARF}),
    W(11, "another folder, on request", d.in_another_folder, options={"allow_outside": True}),
    W(12, "nan where no good channel is reached", table(ARF, 1, cell("SPECRESP", 0, np.nan), without("EXPOSURE")), "column SPECRESP: 1 rows are nan and contribute to no channel of good QUALITY", same=all_but("exposure"), judge=equal(response_in_fit, 1e-14)),
    W(15, "the unit, on request", table(ARF, 1, unit("SPECRESP", None)), options={"units": {"SPECRESP": "cm2"}}),
    W(17, "X-rays, on request", both(ebounds(1e-9), true_energies(1e-9)), options={"any_energy": True}, same=all_but("axis", "axis_true"), judge=factor("axis", 1e-9)),
    W(18, "a grid in single precision", table(ARF, 1, lambda h: [h.data.__setitem__(c, h.data[c].astype(np.float32)) for c in ("ENERG_LO", "ENERG_HI")]), same=all_but("axis_true")),
    W(21, "leakage: rows that add up to less", table(RMF, "MATRIX", lambda h: _multiply_matrix(h, 0.7)), same=all_but("edisp"), judge=factor("edisp", 0.7)),
    W(23, "no TLMIN: counted as EBOUNDS does", table(RMF, "MATRIX", key("TLMIN4", None))),
    W(24, "three groups of channels", table(RMF, "MATRIX", d.regrouped(d.thirds))),
    W(24, "single channels", table(RMF, "MATRIX", d.regrouped(lambda f, n: [(f + i, 1) for i in range(n)]))),
    W(26, "a lower energy of 0", both(*(table(f, h, cell("ENERG_LO", 0, 0.0)) for f, h in ((ARF, 1), (RMF, "MATRIX")))), "row 0: the lower energy is 0; it is replaced by 5.94", same=all_but("axis_true"), judge=equal(lambda s: s.exposure.geom.axis.edges_tev[1:])),
    W(28, "EBOUNDS of the spectrum", d.without_hdu(RMF, "EBOUNDS")),
    W(28, "EBOUNDS of the response", d.without_hdu(PHA, "EBOUNDS")),
    W(30, "a rate of whole counts", table(PHA, 1, d.rate(1.0, "count/s")), "column COUNTS is missing; the counts are RATE times EXPOSURE"),
    W(30, "the same in words of XSPEC", table(PHA, 1, d.rate(1.0, "counts/s")), "the counts are RATE times EXPOSURE"),
    W(34, "fractional counts", table(PHA, 1, as_float("COUNTS", 20, 2.5)), "sim-1: 1 bins of n_on hold fractional counts", same=all_but("counts"), judge=marked),
    W(36, "OFF acceptance 0 in bad channels", table(BKG, 1, zero_where_bad), same=all_but("alpha"), judge=lambda s, c: np.testing.assert_array_equal(s.alpha.data[8:], c.alpha.data[8:])),
    W(39, "channels in pairs", table(PHA, 1, _add_grouping), same=("exposure", "axis_true"), judge=pairs),
    W(39, "grouping not wanted", table(PHA, 1, _add_grouping), options={"grouping": False}),
    W(40, "the same spectrum twice", second_hdu(PHA, 1), "2 extensions SPECTRUM with the same data (HDUs 1, 4)"),
    W(41, "gzip", d.compressed),
    W(42, "files that cannot be written", lambda run: [os.chmod(run / f, 0o444) for f in FILES]),
    W(42, "odd names", d.odd_names),
    *(W(43, kind, table(PHA, 1, columns_of(kind))) for kind in ("unsigned 16 bit", "signed byte", "single precision")),
    W(43, "scaled", scaled),
    W(43, "undefined counts in bad channels", table(PHA, 1, undefined_where_bad), "8 rows of bad QUALITY hold no value (TNULL); they are 0", same=all_but("counts"), judge=equal(lambda s: s.counts.data[s.mask_safe.data])),
    W(43, "TNULL before scaling", table(PHA, 1, undefined_before_scaling), "rows of bad QUALITY hold no value (TNULL); they are 0", same=all_but("counts"), judge=equal(lambda s: s.counts.data[s.mask_safe.data])),
    W(44, "EBOUNDS twice", second_hdu(PHA, "EBOUNDS"), "2 extensions EBOUNDS with the same data"),
    W(44, "GTI twice", second_hdu(PHA, "GTI", lambda h: h.data["STOP"].__iadd__(1.0)), "2 extensions GTI; the ontime is not known", judge=lambda s, c: np.isnan(s.ontime.value) or pytest.fail("ontime")),
    W(44, "a keyword in lower case", card(PHA, 1, EXPOSURE="exposure=               1580.0"), "not quite FITS: Card keyword 'exposure' is not upper case"),
    # part of the FITS standard since 4.0, so no warning
    W(44, "CONTINUE cards", long_name),
    W(44, "no HDUCLAS1", table(PHA, 1, key("HDUCLAS1", None)), "keyword HDUCLAS1 is missing; it is taken for a spectrum by its name"),
]  # fmt: skip


def _stale(run):
    """A livetime changed by a program that leaves the old sums."""
    data = (run / PHA).read_bytes()
    at = data.index(b"EXPOSURE=")
    (run / PHA).write_bytes(data[:at] + b"EXPOSURE=               1580.5".ljust(80) + data[at + 80 :])
    table(ARF, 1, without("EXPOSURE"))(run)


@pytest.fixture
def run(tmp_path):
    """A copy of one embedded run, to be damaged."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in FILES:
        shutil.copy(d.FOLDER / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def clean():
    return read_ogip(d.FOLDER / PHA)


def damaged(row, run):
    """Damage the run, and say which file is to be read and how."""
    where = row.damage(run)
    options = {k: run / v if k in ("bkg", "arf") else v for k, v in row.options.items()}
    return (where if isinstance(where, Path) else run / PHA), options


def label(row):
    return f"{row.number} {row.name}"


@pytest.mark.parametrize("row", REFUSED, ids=label)
def test_refused(run, row):
    path, options = damaged(row, run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(row.error) as caught:
            read_ogip(path, **options)
    for text in row.texts:
        assert text in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("row", WORKS, ids=label)
def test_works(run, clean, row):
    path, options = damaged(row, run)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = read_ogip(path, **options)
    if row.warning:
        assert any(row.warning in str(w.message) for w in said)
    else:
        assert not said
    for name in row.same:
        # counts from rates, areas without the exact exposure: to rounding
        np.testing.assert_allclose(ARRAYS[name](found), ARRAYS[name](clean), rtol=1e-14, atol=0, err_msg=name)
        assert ARRAYS[name](found).dtype.isnative
    if row.judge is not None:
        row.judge(found, clean)


# -- what is refused when a fit begins ---------------------------------------------------------------------------------


def with_mask(make):
    def change(run):
        s = read_ogip(run / PHA)
        s.mask_fit = make(s.counts.geom)
        return s

    return change


def read_after(damage):
    def change(run):
        damage(run)
        return read_ogip(run / PHA)

    return change


def quality_bad(h):
    h.data["QUALITY"][:] = 5


@dataclass(frozen=True)
class Unfit:
    """A data set that can be looked at, but not fitted."""

    number: int
    name: str
    make: Any
    error: type
    text: str


UNFIT = [
    Unfit(14, "exposure only outside the fit", read_after(table(ARF, 1, cell("SPECRESP", slice(1, None), 0.0), without("EXPOSURE"))), DataError, "there is no exposure in the bins of the fit"),
    Unfit(36, "OFF acceptance 0 in the fit", read_after(table(BKG, 1, cell("BACKSCAL", 20, 0.0))), DataError, "alpha is 0 in bin 20, which is in the fit"),
    Unfit(37, "all channels of bad quality", read_after(table(PHA, 1, quality_bad)), DataError, "no bins left in the fit of sim-1: mask_safe and mask_fit have no bin in common"),
    Unfit(37, "an empty mask", with_mask(lambda g: g.energy_mask() & ~g.energy_mask()), DataError, "no bins left in the fit of sim-1"),
    Unfit(38, "a mask of bad channels only", with_mask(lambda g: g.energy_mask(0.1 * u.TeV, 0.3 * u.TeV)), DataError, "no bins left in the fit of sim-1"),
    Unfit(38, "a range outside the data", with_mask(lambda g: g.energy_mask(200 * u.TeV, 300 * u.TeV)), InputError, "energy range 200 to 300 TeV holds no whole bin of the axis (0.1 to 100 TeV, 36 bins)"),
    Unfit(38, "a range upside down", with_mask(lambda g: g.energy_mask(10 * u.TeV, 1 * u.TeV)), InputError, "energy range: got 10 to 1 TeV, expected energy_min < energy_max"),
    Unfit(38, "a range in m", with_mask(lambda g: g.energy_mask(1 * u.m, 2 * u.m)), UnitError, "energy_min"),
    Unfit(38, "a range of nan", with_mask(lambda g: g.energy_mask(np.nan * u.TeV, 2 * u.TeV)), InputError, "got nan to 2 TeV"),
    Unfit(38, "a mask of numbers", with_mask(lambda g: np.ones(36)), DataError, "mask_fit has shape (36,) and type float64"),
    Unfit(38, "a mask of another axis", with_mask(lambda g: np.ones(35, dtype=bool)), DataError, "mask_fit has shape (35,)"),
]  # fmt: skip


@pytest.mark.parametrize("row", UNFIT, ids=label)
def test_no_fit(run, row, request):
    """Refused before anything compiles."""
    counter = request.getfixturevalue("compilations")

    def begin():
        s = row.make(run)
        s.models = SkyModel(PowerLawSpectralModel(), "source")
        Likelihood([s])

    with pytest.raises(row.error, match=re.escape(row.text)):
        begin()
    assert counter.names == []


def test_one_of_several_without_bins_is_said(run):
    """37, in a joint fit: the others can be fitted, and it is said that this one takes no part."""
    table(PHA, 1, quality_bad)(run)
    sets = [read_ogip(run / PHA, name="empty"), read_ogip(d.FOLDER / PHA)]
    model = SkyModel(PowerLawSpectralModel(), "source")
    for s in sets:
        s.models = model
    with pytest.warns(UserWarning, match="no bins left in the fit of empty, which takes no part"):
        Likelihood(sets)


# -- the same of tables that are no spectra ------------------------------------------------------------------------------


def ebl_file(bad=None):
    """Bytes of an EBL table of 3 redshifts and 4 energies, with sums; `bad` goes into the second row."""
    energy, z = np.array([1e8, 1e9, 1e10, 1e11, 1e12]), [0.1, 0.2, 0.3]
    values = np.exp(-np.outer(z, energy[:-1] / 1e10))
    values[1, 2] = values[1, 2] if bad is None else bad
    columns = [fits.Column(n, "D", array=a) for n, a in (("ENERG_LO", energy[:-1]), ("ENERG_HI", energy[1:]))]
    spectra = [fits.Column("PARAMVAL", "D", array=z), fits.Column("INTPSPEC", "4D", array=values)]
    tables = {"ENERGIES": columns, "SPECTRA": spectra}
    return fits_bytes([fits.BinTableHDU.from_columns(c, name=n) for n, c in tables.items()])


def points_file(bad=None):
    """Bytes of three flux points, with sums; `bad` is the error of the second."""
    energy, unit = np.array([1.0, 2.0, 4.0]), u.Unit("cm-2 s-1 TeV-1")
    table = QTable({"e_ref": energy * u.TeV, "dnde": 1e-11 / energy**2 * unit, "dnde_err": 1e-12 / energy**2 * unit})
    if bad is not None:
        table["dnde_err"][1] = bad * unit
    return table_bytes(table, "fits")


def huge_rows(whole):
    """A header that declares a billion rows, without sums."""
    at = whole.rindex(b"NAXIS2  =")
    card = f"NAXIS2  = {10**9:>20}".encode().ljust(80)
    return re.sub(rb"(CHECKSUM|DATASUM |SHA256  )=", rb"COMMENT  ", whole[:at] + card + whole[at + 80 :])


BOMB = gzip.compress(bytes(10_000_000)) * 26
READERS = {"EBL": (ebl_file, EBLAbsorptionNormSpectralModel.read), "flux points": (points_file, FluxPointsDataset.read)}
TABLES = [
    (1, "EBL", lambda w: w[:-2880], "x.fits", FileFormatError, "x.fits, HDU SPECTRA: truncated at byte"),
    (1, "EBL", lambda w: gzip.compress(w)[:-20], "x.fits.gz", FileFormatError, "x.fits.gz: truncated, the gzip data end"),
    (1, "flux points", lambda w: w[:-2880], "x.fits", FileFormatError, "truncated at byte"),
    (1, "flux points", lambda w: gzip.compress(w)[:-20], "x.fits.gz", FileFormatError, "x.fits.gz: truncated, the gzip data end"),
    (12, "EBL", lambda w: ebl_file(np.nan), "x.fits", DataError, "row 1 (redshift 0.2), column 2 (31.6228 TeV): the transmission is nan"),
    (12, "EBL", lambda w: ebl_file(-np.inf), "x.fits", DataError, "the transmission is -inf, expected 0 to 1"),
    (12, "flux points", lambda w: points_file(-1e-12), "x.fits", DataError, "the error of point 1 is -1e-12"),
    (41, "EBL", lambda w: gzip.compress(w) + BOMB, "x.fits.gz", FileFormatError, "unpacks to more than 256000000 bytes"),
    (41, "EBL", huge_rows, "x.fits", FileFormatError, "x.fits, HDU SPECTRA: truncated at byte"),
    (41, "flux points", lambda w: gzip.compress(w) + BOMB, "x.fits.gz", FileFormatError, "unpacks to more than 256000000 bytes"),
    (41, "flux points", huge_rows, "x.fits", FileFormatError, "truncated at byte"),
    (41, "flux points", lambda w: b"BZh9" + w, "x.fits", FileFormatError, "compressed with bzip2, expected FITS"),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLES, ids=lambda r: f"{r[0]} {r[1]}")
def test_tables_that_are_no_spectra(row, tmp_path):
    _, kind, damage, name, error, text = row
    make, read = READERS[kind]
    (tmp_path / name).write_bytes(make())
    if name.endswith(".fits"):
        read(tmp_path / name)
    (tmp_path / name).write_bytes(damage(make()))
    with pytest.raises(error, match=re.escape(text)):
        read(tmp_path / name)


def test_a_point_of_nan_takes_no_part(tmp_path):
    """12: an unmeasured point is kept, and not fitted."""
    (tmp_path / "x.fits").write_bytes(points_file(np.nan))
    assert FluxPointsDataset.read(tmp_path / "x.fits").mask_array.tolist() == [True, False, True]


def test_magic_has_seven_groups(gammapy_data):
    """24 with real data: MAGIC's matrix has rows of up to 7 groups, and gammapy reads the same."""
    irf = pytest.importorskip("gammapy.irf")
    folder = gammapy_data / "joint-crab" / "spectra" / "magic"
    with fits.open(folder / "rmf_obs5029748.fits") as hdus:
        assert hdus["MATRIX"].data["N_GRP"].max() == 7
    found = read_ogip(folder / "pha_obs5029748.fits").edisp.pdf_matrix
    theirs = irf.EDispKernel.read(folder / "rmf_obs5029748.fits").pdf_matrix
    np.testing.assert_allclose(found, theirs, rtol=1e-6, atol=1e-9)


NUMBERS = {row.number for row in (*REFUSED, *WORKS, *UNFIT)}
