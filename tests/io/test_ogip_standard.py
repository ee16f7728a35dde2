"""Standard OGIP files as XSPEC and sherpa use them, beside gammapy's form."""

import shutil
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from gammajax import PowerLawSpectralModel, SkyModel, SpectrumDatasetOnOff
from gammajax.data import embedded_ogip_files
from gammajax.errors import DataError, FileFormatError
from tests.io.test_ogip import ARF, BKG, PHA, RMF, _add_grouping, edit, key, without


@pytest.fixture
def run(tmp_path):
    folder = embedded_ogip_files()[0].parent
    for name in (PHA, BKG, ARF, RMF):
        shutil.copy(folder / name, tmp_path / name)
    return tmp_path


def read(run, **kwargs):
    return SpectrumDatasetOnOff.read(run / PHA, **kwargs)


def model():
    return SkyModel(PowerLawSpectralModel(index=2.4, amplitude=3e-11 * u.Unit("cm-2 s-1 TeV-1")), name="s")


def test_exposures_of_on_and_off_enter_alpha(run):
    before = read(run)
    with fits.open(run / BKG) as hdus:
        exposure = hdus[1].header["EXPOSURE"]
    edit(run / BKG, 1, key("EXPOSURE", 2 * exposure))
    np.testing.assert_allclose(read(run).alpha.data, before.alpha.data / 2, rtol=1e-14)
    edit(run / BKG, 1, key("EXPOSURE", -1.0))
    with pytest.raises(DataError, match=r"_bkg.fits, HDU SPECTRUM: EXPOSURE = -1.0, expected a livetime above 0"):
        read(run)


def test_area_scaling_of_both_regions(run):
    before = read(run)
    edit(run / PHA, 1, key("AREASCAL", 0.5))
    after = read(run)
    np.testing.assert_allclose(after.alpha.data, before.alpha.data / 2, rtol=1e-14)
    np.testing.assert_allclose(after.edisp.pdf_matrix, before.edisp.pdf_matrix / 2, rtol=1e-14)
    edit(run / BKG, 1, key("AREASCAL", 0.5))
    np.testing.assert_allclose(read(run).alpha.data, before.alpha.data, rtol=1e-14)
    edit(run / PHA, 1, key("AREASCAL", -1.0))
    with pytest.raises(DataError, match="AREASCAL, row 0: value -1"):
        read(run)


def test_backscal_and_quality_as_keywords(run):
    before = read(run)
    for name, value in (("BACKSCAL", 1.0), ("QUALITY", 0)):
        edit(run / PHA, 1, without(name))
        edit(run / PHA, 1, key(name, value))
    after = read(run)
    assert np.all(after.acceptance.data == 1.0)
    assert after.mask_safe.data.all()
    assert after.counts.data.sum() == before.counts.data.sum()


@pytest.mark.parametrize("name", ["MATRIX", "SPECRESP MATRIX"])
def test_a_matrix_with_the_area_inside(run, name):
    """Rows times the effective area, no ARF: the same predictions."""
    before = read(run)
    with fits.open(run / ARF) as hdus:
        area = hdus[1].data["SPECRESP"].astype(float) * (u.Unit(hdus[1].columns["SPECRESP"].unit).to("cm2"))

    def full(hdu):
        for row, a in zip(hdu.data["MATRIX"], area, strict=True):
            row *= a
        hdu.header["HDUCLAS3"] = "FULL"
        hdu.name = name

    edit(run / RMF, "MATRIX", full)
    edit(run / PHA, 1, key("ANCRFILE", "none"))
    after = read(run)
    for d in (before, after):
        d.models = model()
    np.testing.assert_allclose(after.npred_signal().data, before.npred_signal().data, rtol=1e-6)


def test_a_redistribution_may_be_called_specresp_matrix(run):
    before = read(run)
    edit(run / RMF, "MATRIX", lambda h: setattr(h, "name", "SPECRESP MATRIX"))
    np.testing.assert_array_equal(read(run).edisp.pdf_matrix, before.edisp.pdf_matrix)


def test_energies_in_other_units(run):
    before = read(run)
    for file, hdu, columns in ((PHA, "EBOUNDS", ("E_MIN", "E_MAX")), (ARF, 1, ("ENERG_LO", "ENERG_HI"))):

        def to_mev(h, columns=columns):
            for c in columns:
                h.data[c] *= u.Unit(h.columns[c].unit).to("MeV")
                h.columns[c].unit = "MeV"

        edit(run / file, hdu, to_mev)
    np.testing.assert_allclose(read(run).counts.geom.axis.edges_tev, before.counts.geom.axis.edges_tev, rtol=1e-6)


def test_groups_of_channels_are_summed(run):
    before = read(run)
    edit(run / PHA, 1, _add_grouping)
    after, ungrouped = read(run), read(run, grouping=False)
    np.testing.assert_array_equal(ungrouped.counts.data, before.counts.data)
    pairs = lambda a: a.reshape(-1, 2).sum(axis=1)  # noqa: E731
    np.testing.assert_array_equal(after.counts.data, pairs(before.counts.data))
    np.testing.assert_array_equal(after.counts_off.data, pairs(before.counts_off.data))
    np.testing.assert_allclose(after.background.data, pairs(before.background.data), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(after.counts.geom.axis.edges_tev, before.counts.geom.axis.edges_tev[::2])
    assert np.array_equal(after.mask_safe.data, before.mask_safe.data.reshape(-1, 2).all(axis=1))
    for d in (before, after):
        d.models = model()
    np.testing.assert_allclose(after.npred_signal().data, pairs(before.npred_signal().data), rtol=1e-12)


def test_a_group_cannot_go_on_before_it_began(run):
    edit(run / PHA, 1, _add_grouping)
    edit(run / PHA, 1, lambda h: h.data["GROUPING"].__setitem__(0, -1))
    with pytest.raises(FileFormatError, match="column GROUPING, row 0: value -1, expected 1 where a group begins"):
        read(run)


def test_the_standard_form_comes_back(run, tmp_path):
    d = read(run)
    d.write(tmp_path / "out.fits", format="ogip-standard")
    back = SpectrumDatasetOnOff.read(tmp_path / "out.fits")
    np.testing.assert_array_equal(back.counts.data, d.counts.data)
    np.testing.assert_array_equal(back.alpha.data, d.alpha.data)
    np.testing.assert_array_equal(back.exposure.data, d.exposure.data)
    np.testing.assert_allclose(back.counts.geom.axis.edges_tev, d.counts.geom.axis.edges_tev, rtol=1e-14)
    with fits.open(tmp_path / "out_rmf.fits") as hdus:
        assert hdus["EBOUNDS"].columns["E_MIN"].unit == "keV"


@pytest.mark.parametrize(("form", "kind"), [("ogip-standard", "TYPE:I"), ("ogip", "TYPE:1")])
def test_one_spectrum_is_of_type_one(run, tmp_path, form, kind):
    """OGIP/92-007 has TYPE:I, gammapy writes TYPE:1 and so does the form that is its own; both are read, and without a keyword."""
    d = read(run)
    d.write(tmp_path / "out.fits", format=form)
    for name in ("out.fits", "out_bkg.fits"):
        assert fits.getval(tmp_path / name, "HDUCLAS4", 1) == kind
    for value in ("TYPE:I", "TYPE:1", None):
        for name in (PHA, BKG):
            edit(run / name, 1, key("HDUCLAS4", value))
        np.testing.assert_array_equal(read(run).counts.data, d.counts.data)


def test_sherpa_reads_it_and_finds_the_same_statistic(run, tmp_path):
    """Counts, and wstat of a power law, whose bin integrals both sides have in closed form."""
    ui = pytest.importorskip("sherpa.astro.ui")
    d = read(run)
    d.models = model()
    d.write(tmp_path / "out.fits", format="ogip-standard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ui.clean()
        ui.load_pha(str(tmp_path / "out.fits"))
        ui.ignore_bad()
        np.testing.assert_array_equal(ui.get_data().counts, d.counts.data)
        ui.set_stat("wstat")
        line = ui.powlaw1d.line
        ui.set_source(line)
        line.gamma, line.ref = 2.4, 1e9
        line.ampl.max = 1.0
        line.ampl = 3e-20
        found = ui.calc_stat()
        ui.clean()
    assert found == pytest.approx(d.stat_sum(), rel=1e-6)


@pytest.mark.parametrize("name", [PHA, BKG])
@pytest.mark.parametrize("value", ["TYPE:II", "TypeII", "TYPE:2"])
def test_one_spectrum_that_is_called_type_two_is_read_with_a_warning(run, name, value):
    """A row for each channel is one spectrum, whatever the keyword says: sherpa goes by the shape of CHANNEL alone."""
    before = read(run)
    edit(run / name, 1, key("HDUCLAS4", value))
    text = rf"{name}, HDU SPECTRUM: HDUCLAS4 = '{value}' says one spectrum in each row, but each row holds one channel; .* as sherpa does"
    with pytest.warns(UserWarning, match=text):
        after = read(run)
    np.testing.assert_array_equal(after.counts.data, before.counts.data)
    np.testing.assert_array_equal(after.counts_off.data, before.counts_off.data)


def test_sherpa_reads_what_is_called_type_two_as_one_spectrum(run):
    astro_io = pytest.importorskip("sherpa.astro.io")
    before = read(run)
    edit(run / PHA, 1, key("HDUCLAS4", "TYPE:II"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = astro_io.read_pha(str(run / PHA))
    np.testing.assert_array_equal(found.counts, before.counts.data)
