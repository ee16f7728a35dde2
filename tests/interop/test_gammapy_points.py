"""gammapy's flux points with each of its statistics: the same numbers, the same fits."""

import numpy as np
import pytest
from astropy import units as u

from gammajax.errors import DataError
from gammajax.interop import gammapy as bridge

datasets_of = pytest.importorskip("gammapy.datasets")
estimators = pytest.importorskip("gammapy.estimators")
modeling = pytest.importorskip("gammapy.modeling")
models_of = pytest.importorskip("gammapy.modeling.models")

STATISTICS = ("chi2", "distrib", "profile")
# files of gammapy's data, with scans, limits and errors on both sides; and what they are turned into
FILES = {
    "strengths": ("estimators/crab_hess_fp/crab_hess_fp.fits", None),
    "fluxes": ("estimators/crab_hess_fp/crab_hess_fp.fits", "flux"),
    "energy fluxes": ("estimators/crab_hess_fp/crab_hess_fp.fits", "eflux"),
    "at energies": ("estimators/crab_hess_fp/crab_hess_fp.fits", "dnde"),
}


def source(amplitude=4e-11, index=2.5):
    spectrum = models_of.PowerLawSpectralModel(amplitude=amplitude * u.Unit("cm-2 s-1 TeV-1"), index=index)
    return models_of.SkyModel(spectrum, name="crab")


def points(folder, name):
    """The first is nan, the second a limit."""
    path, sed = FILES[name]
    found = estimators.FluxPoints.read(folder / path)
    if sed is not None:
        # it divides by 0 for the energy flux of an index of 2
        with np.errstate(divide="ignore", invalid="ignore"):
            table = found.to_table(sed)
        found = estimators.FluxPoints.from_table(table, sed_type=sed)
    limits = np.zeros(found.norm.data.shape, dtype=bool)
    limits[1] = True
    found.is_ul = limits
    return found


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("name", FILES)
def test_statistics_are_those_of_gammapy(gammapy_data, name, statistic):
    theirs = datasets_of.FluxPointsDataset(
        data=points(gammapy_data, name), models=source(), stat_type=statistic, name="published"
    )
    # at the points, below and above them, and far beyond the scans
    for amplitude, index in ((4e-11, 2.5), (1e-11, 2.0), (9e-11, 2.9), (4e-10, 2.4)):
        theirs.models = [source(amplitude, index)]
        ours = bridge.from_gammapy(theirs, compatibility="gammapy")[0]
        assert ours.stat_type == statistic
        np.testing.assert_array_equal(ours.mask_array, theirs.mask.ravel())
        expected = np.where(theirs.mask, theirs.stat_array(), 0.0).ravel()
        np.testing.assert_allclose(ours.stat_array(), expected, rtol=1e-7, atol=1e-8)


def test_integrals_in_the_place_of_centres(gammapy_data):
    """With index 2 both agree; with another the exact mode compares integrals, in profiles too."""
    theirs = datasets_of.FluxPointsDataset(data=points(gammapy_data, "fluxes"), stat_type="profile", name="published")
    for index, same in ((2.0, True), (2.9, False)):
        theirs.models = [source(2e-11, index)]
        exact = bridge.from_gammapy(theirs)[0]
        assert exact.sed_type == "flux"
        assert (exact.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)) == same


@pytest.mark.parametrize("statistic", STATISTICS)
def test_fits_end_where_those_of_gammapy_do(gammapy_data, statistic):
    def dataset():
        found = datasets_of.FluxPointsDataset(
            data=points(gammapy_data, "strengths"), stat_type=statistic, name="published"
        )
        found.models = [source()]
        mask = np.ones(found.data.dnde.data.shape, dtype=bool)
        # one that counts in none but the profiles
        mask[0] = False
        found.mask_fit = mask
        return found

    theirs, mine = dataset(), dataset()
    modeling.Fit().run(theirs)
    result = bridge.fit(mine)
    assert result.success
    # MIGRAD stops at an EDM of 2e-4
    assert result.total_stat <= theirs.stat_sum() + 1e-6
    assert mine.stat_sum() == pytest.approx(theirs.stat_sum(), abs=1e-3)
    for a, b in zip(mine.models.parameters.free_parameters, theirs.models.parameters.free_parameters, strict=True):
        assert a.value == pytest.approx(b.value, abs=5e-2 * a.error)


def test_scans_alone_are_enough_for_profiles(gammapy_data):
    found = points(gammapy_data, "strengths")
    for name in ("norm_err", "norm_errn", "norm_errp", "norm_ul"):
        found._data.pop(name, None)
    theirs = datasets_of.FluxPointsDataset(data=found, models=source(), stat_type="profile", name="published")
    ours = bridge.from_gammapy(theirs)[0]
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-7)


def test_other_ways_to_interpolate_are_refused(gammapy_data):
    theirs = datasets_of.FluxPointsDataset(
        data=points(gammapy_data, "strengths"), models=source(), stat_type="profile", name="published",
        stat_kwargs={"interp_scale": "lin"},
    )  # fmt: skip
    with pytest.raises(DataError, match=r"'published' has stat_kwargs=.*'lin'.*by their roots and extrapolated here"):
        bridge.from_gammapy(theirs)
