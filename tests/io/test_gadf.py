"""Spectra in gammapy's own format: to the last bit, to gammapy and back, and what is refused."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from gammajax import (
    Datasets,
    Fit,
    FluxPointsDataset,
    FluxPointsEstimator,
    FoVBackgroundModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
    SpectrumDatasetOnOff,
)
from gammajax.errors import DataError, FileFormatError, GammajaxError, InputError, MissingFileError, UnitError
from tests.problems import crab_model, embedded, small

MAPS = ("counts", "exposure", "background", "mask_safe")
OFF = ("counts_off", "acceptance", "acceptance_off")


def known(**changes):
    """Six bins with a known background."""
    d = small()
    arguments = {
        "counts": [12, 9, 7, 4, 1, 0], "background": np.array([3, 2, 1.1, 0.6, 1 / 3, 0.0]), "exposure": d.exposure.quantity,
        "edisp": d.edisp.pdf_matrix, "energy_edges": d.counts.geom.axis.edges,
        "energy_true_edges": d.exposure.geom.axis.edges, "name": "known",
    }  # fmt: skip
    return SpectrumDataset.from_arrays(**(arguments | changes))


def assert_same(a, b):
    assert type(a) is type(b)
    assert (a.name, a.stat_type) == (b.name, b.stat_type)
    for name in (*MAPS, *(OFF if hasattr(a, "counts_off") else ())):
        np.testing.assert_array_equal(getattr(a, name).data, getattr(b, name).data, err_msg=name)
    np.testing.assert_array_equal(a.edisp.pdf_matrix, b.edisp.pdf_matrix)
    for one, two in ((a.counts, b.counts), (a.exposure, b.exposure)):
        np.testing.assert_array_equal(one.geom.axis.edges_tev, two.geom.axis.edges_tev)
    np.testing.assert_equal([a.livetime.value, a.ontime.value], [b.livetime.value, b.ontime.value])
    assert (a.mask_fit is None) == (b.mask_fit is None)
    if a.mask_fit is not None:
        np.testing.assert_array_equal(a.mask_fit.data, b.mask_fit.data)


CASES = {
    "on/off": lambda: small(ontime=1100 * u.s),
    "no times": lambda: small(livetime=None, mask_safe=[0, 1, 1, 1, 1, 0]),
    "known background": known,
    "cstat": lambda: known(stat_type="cstat", livetime=3 * u.h),
}


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
@pytest.mark.parametrize("case", CASES)
def test_round_trip_to_the_last_bit(tmp_path, case, suffix):
    dataset = CASES[case]()
    dataset.mask_fit = np.arange(6) < 4 if case == "no times" else None
    dataset.write(tmp_path / f"x{suffix}", format="gadf")
    assert_same(dataset, type(dataset).read(tmp_path / f"x{suffix}"))
    assert type(dataset).read(tmp_path / f"x{suffix}", name="other").name == "other"
    with pytest.raises(InputError, match="exists already"):
        dataset.write(tmp_path / f"x{suffix}", format="gadf")


def test_the_class_must_be_that_of_the_file(tmp_path):
    small().write(tmp_path / "a.fits", format="gadf")
    known().write(tmp_path / "b.fits")
    with pytest.raises(
        InputError, match=r"a\.fits holds a SpectrumDatasetOnOff; read it with SpectrumDatasetOnOff\.read"
    ):
        SpectrumDataset.read(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"b\.fits holds a SpectrumDataset; read it with"):
        SpectrumDatasetOnOff.read(tmp_path / "b.fits")
    with pytest.raises(InputError, match="'ogip' has no place for a known background"):
        known().write(tmp_path / "c.fits", format="ogip")
    with pytest.raises(InputError, match="the name 'Crab é' has characters that no FITS header holds"):
        known(name="Crab é").write(tmp_path / "c.fits")
    with pytest.raises(InputError, match=r"got the name 'c\.gz'"):
        known().write(tmp_path / "c.gz")


# -- gammapy -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs(hess_files):
    """Two H.E.S.S. runs, their stack with a fit range, and that with a known background; one model, and a background model."""
    datasets = pytest.importorskip("gammapy.datasets")
    from gammapy.modeling import models

    runs = [datasets.SpectrumDatasetOnOff.read(p) for p in hess_files]
    stack = datasets.Datasets(runs).stack_reduce(name="HESS")
    stack.mask_fit = stack.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    cash = stack.to_spectrum_dataset().copy(name="known one")
    cash.mask_fit = stack.mask_fit
    out = datasets.Datasets([*runs, stack, cash])
    spectrum = models.LogParabolaSpectralModel(
        amplitude="3.8e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.2, beta=0.2
    )
    background = models.FoVBackgroundModel(dataset_name="known one")
    background.spectral_model.norm.value = 1.1
    out.models = [models.SkyModel(spectrum, name="crab"), background]
    # any positive definite matrix will do: the files carry it
    rng = np.random.default_rng(3)
    half = rng.normal(size=(7, 7)) * np.sqrt(np.abs([p.value for p in out.parameters]) + 1e-30)
    out.models.covariance = half.T @ half
    return out


def test_we_read_what_gammapy_writes(tmp_path, theirs):
    theirs.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    ours = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert ours.names == ["23523", "23526", "HESS", "known one"]
    assert [type(d).__name__ for d in ours] == [type(d).__name__ for d in theirs]
    for a, b in zip(ours, theirs, strict=True):
        for name in (*MAPS, *(OFF if hasattr(a, "counts_off") else ())):
            other = getattr(b, name).quantity.to_value(getattr(a, name).unit).ravel()
            # gammapy divides and converts the maps of its stack in float32
            np.testing.assert_allclose(getattr(a, name).data, other, rtol=1e-7, err_msg=f"{a.name} {name}")
        np.testing.assert_array_equal(a.edisp.pdf_matrix, b.edisp.get_edisp_kernel().pdf_matrix)
        np.testing.assert_array_equal(a.mask.data, b.mask.data.ravel())
        a.compatibility = "gammapy"
    np.testing.assert_allclose(ours.models.covariance.data, theirs.models.covariance.data, rtol=1e-12)
    # gammapy's stacked maps are float32; the fit range of the stack is in the file
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)
    np.testing.assert_allclose([d.stat_sum() for d in ours], [d.stat_sum() for d in theirs], rtol=1e-6)


@pytest.mark.parametrize("format", ["gadf", "ogip"])
def test_gammapy_reads_what_we_write(tmp_path, theirs, format):
    datasets = pytest.importorskip("gammapy.datasets")
    theirs.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    ours = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    if format == "ogip":
        with pytest.raises(DataError, match="'23523' has no livetime, which an OGIP file must hold"):
            ours.write(tmp_path / "x.yaml", format=format, overwrite=True)
        for d in ours:
            d._livetime = 1000.0
    ours.write(tmp_path / "d.yaml", tmp_path / "m.yaml", overwrite=True, format=format)
    again = datasets.Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert again.names == ours.names
    assert again.models.names == ours.models.names
    np.testing.assert_allclose(again.models.covariance.data, ours.models.covariance.data, rtol=1e-12)
    # bit for bit, but for the exposure that OGIP holds as area times livetime
    exposure = 0 if format == "gadf" else 1e-12
    for mine, back in zip(ours, again, strict=True):
        mine.compatibility = "gammapy"
        if hasattr(mine, "counts_off"):
            # gammapy's own lists forget it
            assert back.mask_fit is None
            back.mask_fit = back.counts.copy(data=mine.mask.data[:, None, None].copy())
        for name in (*MAPS, *(OFF if hasattr(mine, "counts_off") else ())):
            other = getattr(back, name).quantity.to_value("cm2 s" if name == "exposure" else None).ravel()
            np.testing.assert_allclose(other, getattr(mine, name).data, rtol=exposure, err_msg=name)
        used = mine.mask.data
        np.testing.assert_allclose(mine.npred().data[used], back.npred().data.ravel()[used], rtol=1e-9)
        assert mine.stat_sum() == pytest.approx(back.stat_sum(), rel=1e-9)
        # from OGIP gammapy's counts have the unit ct, which it writes
        back.write(tmp_path / "back.fits", overwrite=True)
        np.testing.assert_array_equal(type(mine).read(tmp_path / "back.fits").counts.data, mine.counts.data)


def test_regions_times_and_the_log_are_kept(tmp_path):
    maps, datasets = pytest.importorskip("gammapy.maps"), pytest.importorskip("gammapy.datasets")
    from gammapy.data import GTI

    axis = maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
    true = maps.MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 4, name="energy_true")
    geom = maps.RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[axis])
    made = datasets.SpectrumDataset.create(geom, energy_axis_true=true, name="made")
    made.exposure.data += 1e10
    made.background.data += 2
    made.mask_safe.data[...] = True
    made.gti = GTI.create([0, 100] * u.s, [50, 170] * u.s)
    made.meta_table = Table({"OBS_ID": ["7", "8"]})
    made.write(tmp_path / "a.fits")
    ours = SpectrumDataset.read(tmp_path / "a.fits")
    assert ours.ontime.to_value(u.s) == pytest.approx(120, rel=1e-12)
    ours.write(tmp_path / "b.fits")
    back = datasets.SpectrumDataset.read(tmp_path / "b.fits")
    assert back.name == "made"
    assert back.counts.geom == made.counts.geom
    assert back.exposure.geom.region.radius.to_value("deg") == pytest.approx(0.11, rel=1e-12)
    np.testing.assert_allclose(back.gti.time_sum.to_value("s"), 120)
    assert (back.gti.time_start[0] - made.gti.time_start[0]).to_value("s") == pytest.approx(0, abs=1e-6)
    assert list(back.meta_table["OBS_ID"]) == ["7", "8"]


def test_a_dispersion_that_is_no_kernel_is_refused(tmp_path):
    maps, datasets = pytest.importorskip("gammapy.maps"), pytest.importorskip("gammapy.datasets")
    axis = maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
    true = maps.MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 4, name="energy_true")
    migra = maps.MapAxis.from_bounds(0.2, 5, 10, name="migra", node_type="edges")
    geom = maps.RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[axis])
    datasets.SpectrumDataset.create(geom, energy_axis_true=true, migra_axis=migra).write(tmp_path / "m.fits")
    with pytest.raises(
        FileFormatError, match=r"EDISP_BANDS: the axes are \['MIGRA_MIN,MIGRA_MAX'.*to_edisp_kernel_map"
    ):
        SpectrumDataset.read(tmp_path / "m.fits")


# -- refusals ----------------------------------------------------------------------------------------------------------


def change(hdus, name, **values):
    """Set values of the column DATA: index to value."""
    for index, value in values.items():
        hdus[name].data["DATA"][int(index[1:])] = value


def drop(hdus, *names):
    for name in names:
        del hdus[name]


def to_image(hdus):
    hdus[hdus.index_of("COUNTS")] = fits.ImageHDU(np.zeros((2, 3, 3)), name="COUNTS")


def header(hdus, name, key, value):
    hdus[name].header[key] = value


def rewrite(hdus, path):
    """Write without what says that the file is as it was."""
    for key in ("NEXTEND", "SHA256"):
        hdus[0].header.remove(key, ignore_missing=True)
    for hdu in hdus:
        for key in ("DATASUM", "CHECKSUM"):
            hdu.header.remove(key, ignore_missing=True)
    hdus.writeto(path)


WRONG = {
    "image": (to_image, FileFormatError, r"HDU COUNTS: an image of the sky"),
    "no exposure": (lambda h: drop(h, "EXPOSURE"), FileFormatError, r"no extension EXPOSURE; the extensions are"),
    "no bands": (lambda h: drop(h, "COUNTS_BANDS"), FileFormatError, r"no extension COUNTS_BANDS"),
    "no off": (lambda h: drop(h, "COUNTS_OFF"), FileFormatError, r"no extension COUNTS_OFF; an ON/OFF spectrum has"),
    "nan": (lambda h: change(h, "COUNTS", i2=np.nan), DataError, r"HDU COUNTS, column DATA, row 2: value nan"),
    "negative counts": (lambda h: change(h, "COUNTS_OFF", i1=-1), DataError, r"n_off\[1\] is -1"),
    "negative exposure": (lambda h: change(h, "EXPOSURE", i1=-1), DataError, r"exposure\[1\] is -1"),
    "unit": (lambda h: header(h, "EXPOSURE", "TUNIT2", "cm2"), UnitError, r"EXPOSURE, column DATA: unit 'cm2', expected one convertible"),
    "counts with a unit": (lambda h: header(h, "COUNTS", "TUNIT2", "s-1"), UnitError, r"COUNTS, column DATA: unit 's-1', expected none, or counts"),
    "axes": (lambda h: header(h, "COUNTS_BANDS", "AXCOLS1", "TIME_MIN,TIME_MAX"), FileFormatError, r"the axes are \['TIME_MIN"),
    "livetime": (lambda h: header(h, "EXPOSURE", "LIVETIME", "soon"), DataError, r"LIVETIME = 'soon', expected a time"),
    "energies": (lambda h: h["COUNTS_BANDS"].data["E_MAX"].__setitem__(2, 1.0), DataError, r"COUNTS_BANDS"),
    "other grid": (lambda h: [h["EDISP_BANDS"].data[c].__imul__(1.1) for c in ("E_MIN", "E_MAX")], DataError, r"EDISP_BANDS: 6 bins .* expected those of COUNTS_BANDS"),
    "bins": (lambda h: h["EDISP_BANDS"].data["E_MIN"].__setitem__(7, 0.4), FileFormatError, r"EDISP_BANDS"),
    "mask of numbers": (lambda h: h.__setitem__(h.index_of("MASK_SAFE"), renamed(h["COUNTS"])), FileFormatError, r"MASK_SAFE.*expected 6 flags"),
    "psf": (lambda h: h.append(fits.ImageHDU(np.ones((2, 2)), name="PSF")), FileFormatError, r"HDU PSF: gammajax folds no PSF"),
    "probabilities": (lambda h: change(h, "EDISP", i3=0.9), DataError, r"row 3 of edisp adds up to"),
}  # fmt: skip


def renamed(hdu):
    new = hdu.copy()
    new.name = "MASK_SAFE"
    return new


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path, case):
    make, error, text = WRONG[case]
    small().write(tmp_path / "x.fits", format="gadf")
    with fits.open(tmp_path / "x.fits", memmap=False) as hdus:
        make(hdus)
        rewrite(hdus, tmp_path / "y.fits")
    with pytest.raises(error, match=text):
        SpectrumDatasetOnOff.read(tmp_path / "y.fits", format="gadf")


def test_off_acceptance_of_gammapy_that_is_no_number(tmp_path):
    small().write(tmp_path / "x.fits", format="gadf")
    with fits.open(tmp_path / "x.fits", memmap=False) as hdus:
        change(hdus, "ACCEPTANCE_OFF", i4=np.nan)
        rewrite(hdus, tmp_path / "y.fits")
    with pytest.warns(
        UserWarning, match=r"ACCEPTANCE_OFF, row 4: value nan; 1 bins are taken to have no OFF acceptance"
    ):
        d = SpectrumDatasetOnOff.read(tmp_path / "y.fits")
    assert d.alpha.data[4] == 0
    d.models = crab_model()
    with pytest.raises(DataError, match="alpha is 0 in bin 4"):
        Fit([d], backend="newton").run()


def test_random_damage_is_an_error_of_our_own_or_changes_nothing(tmp_path):
    small(ontime=3 * u.s).write(tmp_path / "x.fits", format="gadf")
    clean = (tmp_path / "x.fits").read_bytes()
    whole = SpectrumDatasetOnOff.read(tmp_path / "x.fits")
    rng = np.random.default_rng(8)
    for k in range(60):
        data = bytearray(clean if k % 4 else clean[: rng.integers(1, len(clean))])
        for at in rng.integers(0, len(data), 3):
            data[at] ^= int(rng.integers(1, 256))
        (tmp_path / "y.fits").write_bytes(bytes(data))
        try:
            found = SpectrumDatasetOnOff.read(tmp_path / "y.fits", format="gadf", name="small")
        except GammajaxError:
            continue
        for name in ("counts", "counts_off", "exposure", "acceptance_off"):
            np.testing.assert_array_equal(getattr(found, name).data, getattr(whole, name).data)


def test_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"x\.fits does not exist"):
        SpectrumDataset.read(tmp_path / "x.fits")


def test_lists_of_all_kinds(tmp_path):
    a, b = small(), known()
    b.mask_fit = np.arange(6) > 0
    Datasets([a, b]).write(tmp_path / "d.yaml")
    back = Datasets.read(tmp_path / "d.yaml")
    assert_same(back[0], a)
    assert_same(back[1], b)
    back.models = [SkyModel(PowerLawSpectralModel(), "s"), FoVBackgroundModel("known")]
    back.write(tmp_path / "e.yaml", tmp_path / "m.yaml", overwrite=True)
    again = Datasets.read(tmp_path / "e.yaml", tmp_path / "m.yaml")
    assert again.stat_sum() == back.stat_sum()
    text = (tmp_path / "d.yaml").read_text()
    (tmp_path / "d.yaml").write_text(text.replace("type: SpectrumDataset\n", "type: SpectrumDatasetOnOff\n"))
    with (
        pytest.warns(UserWarning, match="checksum"),
        pytest.raises(
            FileFormatError,
            match=r"datasets\[1\]\.type: got 'SpectrumDatasetOnOff', but known\.fits holds a SpectrumDataset",
        ),
    ):
        Datasets.read(tmp_path / "d.yaml")
    with pytest.raises(InputError, match=r"'a b' and 'a_b' would both be a_b\.fits"):
        Datasets([known(name="a b"), known(name="a_b")]).write(tmp_path / "x.yaml")


# -- flux points in lists ----------------------------------------------------------------------------------------------


def test_flux_points_in_lists_of_gammapy(tmp_path, gammapy_data):
    datasets = pytest.importorskip("gammapy.datasets")
    from gammapy.estimators import FluxPoints
    from gammapy.modeling import models

    published = gammapy_data / "tests/spectrum/flux_points/diff_flux_points.fits"
    estimated = FluxPoints.read(gammapy_data / "estimators/crab_hess_fp/crab_hess_fp.fits")
    theirs = datasets.Datasets(
        [
            datasets.FluxPointsDataset.read(published, name="a b"),
            datasets.FluxPointsDataset(data=estimated, name="made"),
        ]
    )
    theirs[0].mask_fit = theirs[0].mask_safe & (np.arange(24) > 4)[:, None, None]
    spectrum = models.PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1", reference="1 TeV")
    theirs.models = [models.SkyModel(spectrum, name="s")]
    theirs.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    ours = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert ours.names == ["a b", "made"]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.mask_array, b.mask.ravel())
        assert a.stat_sum() == pytest.approx(b.stat_sum(), rel=1e-9)
    assert ours["made"].mask_fit is None
    ours.write(tmp_path / "e.yaml", tmp_path / "m.yaml", overwrite=True)
    again = datasets.Datasets.read(tmp_path / "e.yaml", tmp_path / "m.yaml")
    for a, b in zip(again, theirs, strict=True):
        assert a.name == b.name
        np.testing.assert_array_equal(a.mask.ravel(), b.mask.ravel())
        assert a.stat_sum() == pytest.approx(b.stat_sum(), rel=1e-9)
    back = Datasets.read(tmp_path / "e.yaml", tmp_path / "m.yaml")
    assert back.stat_sum() == pytest.approx(ours.stat_sum(), rel=1e-14)


def test_errors_on_both_sides_and_limits_come_back(tmp_path):
    unit = u.Unit("cm-2 s-1 TeV-1")
    points = FluxPointsDataset(
        [1, 2, 4] * u.TeV, [3, 2, 1] * unit, dnde_errn=[1, 0.5, 0.2] * unit, dnde_errp=[2, 0.7, 0.3] * unit,
        dnde_ul=[np.nan, np.nan, 3] * unit, is_ul=[False, False, True], stat_type="distrib", models=PowerLawSpectralModel(amplitude=3 * unit),
    )  # fmt: skip
    # a mask that takes away nothing but what chi2 does not fit anyway
    points.mask_fit = ~points.is_ul
    Datasets([points]).write(tmp_path / "d.yaml")
    listed = Datasets.read(tmp_path / "d.yaml")[0]
    assert listed.stat_type == "distrib"
    assert listed.mask_array.tolist() == [True, True, False]
    points.mask_fit = None
    Datasets([points]).write(tmp_path / "d.yaml", overwrite=True)
    listed = Datasets.read(tmp_path / "d.yaml")
    listed.models = points.models
    assert listed[0].mask_array.all()
    assert listed.stat_sum() == points.stat_sum()
    text = (tmp_path / "d.yaml").read_text().partition("checksum")[0]
    for wrong, message in (
        ("profile", "profile needs the scanned statistic"),
        ("wstat", "got 'wstat', expected one of chi2"),
    ):
        (tmp_path / "e.yaml").write_text(text.replace("distrib", wrong))
        with pytest.raises(FileFormatError, match=rf"e.yaml, datasets\[0\].stat_type: .*{message}"):
            Datasets.read(tmp_path / "e.yaml")
    points.write(tmp_path / "p.fits")
    back = FluxPointsDataset.read(tmp_path / "p.fits", models=points.models)
    back.stat_type = "distrib"
    assert back.stat_sum() == points.stat_sum()


@pytest.mark.parametrize("statistic", ["chi2", "distrib", "profile"])
def test_statistics_of_flux_points_in_lists_with_gammapy(statistic, tmp_path, scanned):
    """From a list of gammapy's and into one that it reads; it keeps no statistic there, so that it is set anew."""
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")
    from gammapy.estimators import FluxPoints

    data = FluxPoints.read(scanned)
    theirs = datasets.Datasets([datasets.FluxPointsDataset(data=data, name="made", stat_type=statistic)])
    spectrum = models.PowerLawSpectralModel(index=2.3, amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV")
    theirs.models = [models.SkyModel(spectrum, name="s")]
    theirs.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    ours = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert ours[0].stat_type == "chi2"
    ours[0].stat_type = statistic
    # gammapy's limits take the error of the limit for those without one
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-9)
    ours.write(tmp_path / "e.yaml", tmp_path / "m.yaml", overwrite=True)
    assert ("stat_type" in (tmp_path / "e.yaml").read_text()) is (statistic != "chi2")
    back = Datasets.read(tmp_path / "e.yaml", tmp_path / "m.yaml")
    assert back[0].stat_type == statistic
    assert back.stat_sum() == ours.stat_sum()
    again = datasets.Datasets.read(tmp_path / "e.yaml", tmp_path / "m.yaml")
    again[0].stat_type = statistic
    assert again.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-9)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A file of points with errors on both sides, limits and scans."""
    path = tmp_path_factory.mktemp("points") / "points.fits"
    estimator = FluxPointsEstimator(np.array([0.7, 1.1, 1.8, 3.0, 6.0]) * u.TeV, "crab", selection_optional="all")
    estimator.run(embedded()).write(path)
    return path


def test_masks_of_flux_points_are_checked():
    table = Table({"e_ref": [1, 2] * u.TeV, "dnde": [1, 2] * u.Unit("cm-2 s-1 TeV-1")})
    table["dnde_err"] = table["dnde"]
    table["mask_fit"] = [1.0, 0.0]
    with pytest.raises(DataError, match="column 'mask_fit' has shape .2,. and type float64, expected 2 flags"):
        FluxPointsDataset.from_table(table)
    table.remove_columns(["dnde", "mask_fit"])
    table["norm"] = [1.0, 2.0]
    with pytest.raises(DataError, match="expected e_ref, and dnde, e2dnde or norm with errors"):
        FluxPointsDataset.from_table(table)
