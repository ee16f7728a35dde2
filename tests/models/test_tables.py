"""Models from tables: equal tables are one form, files are read as gammapy reads them, bad tables are refused."""

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from gammajax import (
    EBLAbsorptionNormSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawSpectralModel,
    TemplateSpectralModel,
)
from gammajax.errors import FileFormatError, InputError, MissingFileError
from gammajax.models import EBL_DATA_BUILTIN
from tests.models.table import DEPTH, DNDE, EBL_ENERGIES, REDSHIFTS, TEV, make_ebl

FILES = Path(os.path.expandvars("$GAMMAPY_DATA/ebl"))


@pytest.fixture
def table_file(tmp_path):
    """A table model as the EBL files are, one redshift twice."""
    edges = np.geomspace(1e8, 1e11, len(EBL_ENERGIES) + 1)
    z = np.array([REDSHIFTS[0], *REDSHIFTS])
    values = np.exp(-DEPTH)[[0, 0, 1, 2]].astype("f4")
    columns = [fits.Column(n, "E", array=a) for n, a in (("ENERG_LO", edges[:-1]), ("ENERG_HI", edges[1:]))]
    spectra = [fits.Column("PARAMVAL", "E", array=z), fits.Column("INTPSPEC", f"{values.shape[1]}E", array=values)]
    parameters = [
        fits.Column("MINIMUM", "E", array=z[:1]),
        fits.Column("MAXIMUM", "E", array=z[-1:]),
        fits.Column("VALUE", "4E", array=[z]),
    ]
    path = tmp_path / "table.fits"
    tables = {"PARAMETERS": parameters, "ENERGIES": columns, "SPECTRA": spectra}
    fits.HDUList([fits.PrimaryHDU(), *(fits.BinTableHDU.from_columns(c, name=n) for n, c in tables.items())]).writeto(
        path
    )
    return path


def test_a_file_is_read_as_by_gammapy(table_file):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    energy = np.geomspace(0.2, 30, 9) * TEV
    for z in (0.05, 0.07, 0.1, 0.16, 0.2):
        ours = EBLAbsorptionNormSpectralModel.read(table_file, redshift=z)
        theirs = gammapy.EBLAbsorptionNormSpectralModel.read(table_file, redshift=z)
        # gammapy takes logarithms in the single precision of the file
        np.testing.assert_allclose(ours(energy).value, theirs(energy).value, rtol=1e-4)
    ours = TemplateSpectralModel.read_xspec_model(table_file, 0.12)
    theirs = gammapy.TemplateSpectralModel.read_xspec_model(table_file, 0.12)
    np.testing.assert_allclose(ours.energy.to_value("keV"), np.asarray(theirs.energy, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(ours(ours.energy).value, theirs.values.value, rtol=1e-6)
    with pytest.raises(InputError, match=r"got param=7, expected a value from 0.05 to 0.2"):
        TemplateSpectralModel.read_xspec_model(table_file, 7)


@pytest.mark.skipif(not FILES.is_dir(), reason="needs the EBL tables of gammapy-data")
@pytest.mark.parametrize("name", EBL_DATA_BUILTIN)
def test_builtin_tables_agree_with_gammapy(name):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    energy = np.geomspace(0.1, 20, 12) * TEV
    for z in (0.03, 0.117):
        ours = EBLAbsorptionNormSpectralModel.read_builtin(name, redshift=z)
        theirs = gammapy.EBLAbsorptionNormSpectralModel.read_builtin(name, redshift=z)
        # gammapy takes logarithms in the single precision of the file
        np.testing.assert_allclose(ours(energy).value, theirs(energy).value, rtol=1e-4)


def test_missing_tables_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path))
    with pytest.raises(
        MissingFileError, match="Set the environment variable GAMMAPY_DATA to a folder and run `gammajax download ebl`"
    ):
        EBLAbsorptionNormSpectralModel.read_builtin("finke")
    with pytest.raises(InputError, match="got 'gilmore', expected one of dominguez, finke"):
        EBLAbsorptionNormSpectralModel.read_builtin("gilmore")
    with pytest.raises(MissingFileError, match="there is no file"):
        EBLAbsorptionNormSpectralModel.read(tmp_path / "none.fits")
    (tmp_path / "text.fits").write_text("no table")
    with pytest.raises(FileFormatError, match=r"table model file text\.fits: not a FITS file that can be read"):
        EBLAbsorptionNormSpectralModel.read(tmp_path / "text.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(FileFormatError, match="not a table model of XSPEC with one parameter"):
        EBLAbsorptionNormSpectralModel.read(tmp_path / "empty.fits")


BAD_TRANSMISSIONS = {"nan": np.nan, "inf": np.inf, "-0.01": -0.01, "1.5": 1.5}


@pytest.mark.parametrize("text", BAD_TRANSMISSIONS)
def test_what_is_no_transmission_is_named_by_row_and_column(text, table_file):
    values = np.exp(-DEPTH)
    values[1, 4] = BAD_TRANSMISSIONS[text]
    place = rf"row 1 \(redshift 0\.1\), column 4 \({EBL_ENERGIES[4]:.6g} TeV\): the transmission is {text}, expected 0 to 1; 1 values"
    with pytest.raises(InputError, match=f"EBLAbsorptionNormSpectralModel: {place}"):
        EBLAbsorptionNormSpectralModel(EBL_ENERGIES * TEV, REDSHIFTS, values)
    with fits.open(table_file, mode="update") as hdus:
        # the first redshift stands there twice, and the energies are those of the bins
        hdus["SPECTRA"].data["INTPSPEC"][2, 4] = values[1, 4]
    with pytest.raises(
        InputError,
        match=rf"EBL table table\.fits: row 1 \(redshift 0\.1\), column 4 \(.* TeV\): the transmission is {text}",
    ):
        EBLAbsorptionNormSpectralModel.read(table_file)


def test_transmissions_of_one_to_rounding_are_fine():
    values = np.ones((3, len(EBL_ENERGIES)))
    values[0] += 2e-7
    model = EBLAbsorptionNormSpectralModel(EBL_ENERGIES * TEV, REDSHIFTS, values)
    assert model(1 * TEV).value == 1.0


def test_a_redshift_outside_of_the_table_is_said():
    models = __import__("gammajax.models").models
    outside = r"the redshift is {}, its table goes from 0\.05 to 0\.2; outside of it the last slopes go on"
    with pytest.warns(UserWarning, match=outside.format(5)):
        model = make_ebl(models, z=5)
    # said once
    model(1 * TEV)
    model.redshift.value = 0.2
    model(1 * TEV)
    model.redshift.value = 0.01
    with pytest.warns(UserWarning, match=outside.format("0.01")):
        (PowerLawSpectralModel() * model)(1 * TEV)


def damaged_tables(path):
    """Name -> content of a table model that was cut, packed or changed after its sums were written."""
    with fits.open(path) as hdus:
        stream = io.BytesIO()
        hdus.writeto(stream, checksum=True)
        place = hdus["SPECTRA"].fileinfo()["datLoc"]
    whole = stream.getvalue()
    with fits.open(io.BytesIO(whole)) as hdus:
        place = hdus["SPECTRA"].fileinfo()["datLoc"]
    flipped = bytearray(whole)
    flipped[place + 9] ^= 1
    return {
        "truncated at byte": whole[: len(whole) - 2880],
        "the data do not match their DATASUM": bytes(flipped),
        "unpacks to more than": gzip.compress(whole + bytes(256_000_000), compresslevel=1),
    }


@pytest.mark.parametrize("text", ["truncated at byte", "the data do not match their DATASUM", "unpacks to more than"])
def test_damaged_table_models_are_refused(text, table_file):
    table_file.write_bytes(damaged_tables(table_file)[text])
    for read in (EBLAbsorptionNormSpectralModel.read, lambda p: TemplateSpectralModel.read_xspec_model(p, 0.1)):
        with pytest.raises(FileFormatError, match=rf"table model file table\.fits.*{text}"):
            read(table_file)


def test_redshift_is_linear_between_tabulated_ones_and_takes_the_right_slope_at_one():
    def log(z):
        return np.log(make_ebl(__import__("gammajax.models").models, z=z, al=1.0)(2 * TEV).value)

    assert log(0.15) == pytest.approx((log(0.1) + log(0.2)) / 2, rel=1e-12)
    with pytest.warns(UserWarning, match=r"the redshift is 0\.25"):
        beyond = log(0.25)
    assert beyond == pytest.approx(1.5 * log(0.2) - 0.5 * log(0.1), rel=1e-12)


def test_tables_differ_in_their_forms():
    values = [1e-11, 1e-12, 1e-13] * DNDE
    one = TemplateSpectralModel([1, 2, 3] * TEV, values)
    same = TemplateSpectralModel([1000, 2000, 3000] * u.GeV, values)
    other = TemplateSpectralModel([1, 2, 3] * TEV, values * 1.001)
    assert one.form == same.form
    assert one.form != other.form
    assert PiecewiseNormSpectralModel([1, 2] * TEV).form == PiecewiseNormSpectralModel([1, 2] * TEV, norms=[3, 4]).form


def test_template_options():
    energy, values = [1, 2, 4] * TEV, [4e-12, 2e-12, 0] * DNDE
    lin = TemplateSpectralModel(energy, values, interp_kwargs={"values_scale": "lin"})
    assert lin(2**1.5 * TEV).to_value(DNDE) == pytest.approx(1e-12, rel=1e-12)
    assert lin(8 * TEV).value == 0
    flat = TemplateSpectralModel(energy[:2], values[:2], interp_kwargs={"extrapolate": False})
    np.testing.assert_allclose(flat([0.5, 8] * TEV).to_value(DNDE), [4e-12, 2e-12], rtol=1e-12)
    assert TemplateSpectralModel([1] * TEV, [3e-12] * DNDE)(5 * TEV).to_value(DNDE) == pytest.approx(3e-12)
    assert TemplateSpectralModel(energy, [1, 2, 3]).is_norm_spectral_model


def test_bad_tables_are_refused():
    with pytest.raises(InputError, match="expected at least 2 positive ones in increasing order"):
        PiecewiseNormSpectralModel([2, 1] * TEV)
    with pytest.raises(InputError, match="got 3 norms for 2 energies"):
        PiecewiseNormSpectralModel([1, 2] * TEV, norms=[1, 1, 1])
    with pytest.raises(InputError, match="got interp='sqrt', expected 'log' or 'lin'"):
        PiecewiseNormSpectralModel([1, 2] * TEV, interp="sqrt")
    with pytest.raises(InputError, match="values of unit 's' and shape"):
        TemplateSpectralModel([1, 2] * TEV, [1, 2] * u.s)
    with pytest.raises(InputError, match="expected values_scale"):
        TemplateSpectralModel([1, 2] * TEV, [1, 2], interp_kwargs={"method": "cubic"})
    with pytest.raises(InputError, match="data of shape"):
        EBLAbsorptionNormSpectralModel([1, 2] * TEV, [0.1, 0.2], np.ones((2, 3)))
