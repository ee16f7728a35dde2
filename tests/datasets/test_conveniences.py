"""Sums, coarser axes and summaries by gammapy's names, beside gammapy on the same files; and names that are elsewhere."""

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    Datasets,
    EnergyAxis,
    FluxPointsDataset,
    FluxPointsEstimator,
    FoVBackgroundModel,
    LightCurveEstimator,
    ParameterEstimator,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
    SpectrumDatasetOnOff,
)
from gammajax.data import embedded_ogip_files
from gammajax.errors import DataError, InputError

EDGES = [0.7, 1.1, 3.0, 12.0] * u.TeV
VALUES = {"index": 2.6, "amplitude": "3e-11 cm-2 s-1 TeV-1"}


def source():
    return SkyModel(PowerLawSpectralModel(**VALUES), name="crab")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """As gammapy writes them: without a unit of the counts, with which it cannot stack them."""
    folder, found = tmp_path_factory.mktemp("runs"), []
    for k, path in enumerate(embedded_ogip_files()):
        found.append(folder / f"pha_{k}.fits")
        SpectrumDatasetOnOff.read(path).write(found[k])
    return found


def read():
    """Two runs; the second is safe in fewer bins."""
    found = [SpectrumDatasetOnOff.read(path, name=f"run-{k}") for k, path in enumerate(embedded_ogip_files())]
    found[1].mask_safe = found[1].counts.geom.energy_mask(1.2 * u.TeV, 30 * u.TeV)
    for d in found:
        d.models = source()
    return found


@pytest.fixture(scope="module")
def theirs(files):
    """The same with gammapy: a function, since its data sets change when they are stacked."""
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")

    def make():
        found = [datasets.SpectrumDatasetOnOff.read(p, name=f"run-{k}") for k, p in enumerate(files)]
        for d, own in zip(found, read(), strict=True):
            d.mask_safe.data[:, 0, 0] = own.mask_safe.data
            d.models = models.SkyModel(models.PowerLawSpectralModel(**VALUES), name="crab")
        return found

    return make


def same_spectra(ours, expected, names):
    for name in names:
        values = getattr(ours, name)() if callable(getattr(ours, name)) else getattr(ours, name)
        other = getattr(expected, name)() if callable(getattr(expected, name)) else getattr(expected, name)
        numbers = u.Quantity(other.data.ravel(), other.unit)
        used = np.isfinite(numbers.value)
        unit = numbers.unit if not numbers.unit.is_equivalent("") and numbers.unit != "ct" else ""
        found = values.quantity.to_value(unit) if unit else values.data
        # maps of gammapy are in single precision
        np.testing.assert_allclose(found[used], numbers.value[used], rtol=1e-6, atol=1e-7, err_msg=name)
    np.testing.assert_allclose(
        ours.edisp.pdf_matrix, expected.edisp.get_edisp_kernel().pdf_matrix, rtol=1e-6, atol=1e-12
    )


ON_OFF = ("counts", "counts_off", "acceptance", "alpha", "exposure", "mask_safe")


@pytest.mark.parametrize("known", [False, True])
def test_stacking_in_place_is_that_of_gammapy(theirs, known):
    one, two = read()
    a, b = theirs()
    names = ON_OFF
    if known:
        one, two = (d.to_spectrum_dataset(d.name) for d in (one, two))
        a, b = (d.to_spectrum_dataset(name=d.name) for d in (a, b))
        names = ("counts", "background", "exposure", "mask_safe")
    one.models = models = source()
    one.compatibility = "gammapy"
    assert one.stack(two) is None
    # there the first is taken whole, so that it is masked before
    expected = a.to_masked(name="run-0")
    expected.stack(b)
    same_spectra(one, expected, names)
    assert (one.name, one.compatibility) == ("run-0", "gammapy")
    assert one.models["crab"] is models
    total = Datasets(read())
    if not known:
        np.testing.assert_array_equal(total.stack_reduce("sum").counts.data, one.counts.data)
        assert np.isfinite(one.stat_sum())
        with pytest.raises(DataError, match="cannot stack"):
            one.stack(two.to_spectrum_dataset())


def test_a_background_model_acts_once_on_a_sum():
    one, two = (d.to_spectrum_dataset(d.name) for d in read())
    background = FoVBackgroundModel("run-0")
    one.models = [source(), background]
    expected = Datasets([one, two]).stack_reduce("sum").background.data
    background.parameters["norm"].value = 1.5
    before = one.background.data.copy()
    with pytest.raises(
        DataError, match="run-0: stack adds up what 'run-0-bkg' predicts, which would then act on the sum"
    ):
        one.stack(two)
    np.testing.assert_array_equal(one.background.data, before)
    background.parameters["norm"].value = 1.0
    one.stack(two)
    np.testing.assert_allclose(one.npred_background().data, expected, rtol=1e-14)


def test_one_that_is_masked_is_that_of_gammapy(theirs):
    ours, expected = read()[1], theirs()[1].to_masked()
    new = ours.to_masked()
    same_spectra(new, expected, ON_OFF)
    assert new.name == "run-1-masked"
    assert new.models is None
    assert new.counts.data[~ours.mask_safe.data].sum() == 0 < ours.counts.data[~ours.mask_safe.data].sum()


def test_empty_spectra_take_others_in(theirs):
    for kind in (SpectrumDatasetOnOff, SpectrumDataset):
        sets = [d if kind is SpectrumDatasetOnOff else d.to_spectrum_dataset(d.name) for d in read()]
        for d in sets:
            d.mask_fit = d.counts.geom.energy_mask(2 * u.TeV, 10 * u.TeV)
        first = sets[0]
        total = kind.create(first.counts.geom, first.exposure.geom.axis, name="total")
        assert not total.mask_safe.data.any()
        for d in sets:
            total.stack(d)
        expected = Datasets(sets).stack_reduce("total")
        np.testing.assert_array_equal(total.counts.data, expected.counts.data)
        np.testing.assert_allclose(total.exposure.data, expected.exposure.data, rtol=1e-14)
        np.testing.assert_allclose(total.edisp.pdf_matrix, expected.edisp.pdf_matrix, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(total.mask_fit.data, expected.mask_fit.data)
        assert total.livetime.value == pytest.approx(expected.livetime.value)
    assert SpectrumDataset.create(EDGES).exposure.geom.axis.nbin == 3
    assert SpectrumDataset.create(EnergyAxis(EDGES), [0.1, 1] * u.TeV).edisp.pdf_matrix.shape == (1, 3)


def test_numbers_that_are_not_finite_are_refused_or_taken_for_none():
    for what, text in (("counts", "run-0: counts is nan in bin"), ("exposure", "run-0: exposure is nan in bin")):
        one, two = read()
        safe = int(np.flatnonzero(one.mask_safe.data)[3])
        values = getattr(one, what).data
        values[safe] = np.nan
        with pytest.raises(DataError, match=f"{text} {safe}, expected finite numbers; mask the bin"):
            Datasets([one, two]).stack_reduce()
        zeroed, _ = read()
        getattr(zeroed, what).data[safe] = 0
        found = Datasets([one, two]).stack_reduce(nan_to_num=True)
        np.testing.assert_array_equal(
            getattr(found, what).data, getattr(Datasets([zeroed, two]).stack_reduce(), what).data
        )
    # outside of the safe range nobody looks
    one, two = read()
    one.counts.data[~one.mask_safe.data] = np.nan
    assert np.isfinite(Datasets([one, two]).stack_reduce().counts.data).all()


# edges in TeV: none of them an edge of the data; further than these; two that fall together
AXES = {
    "other edges": np.geomspace(0.9, 27, 8),
    "beyond": np.geomspace(1e-3, 1e4, 9),
    "together": np.array([1.0, 1.01, 3.3, 12.0]),
}


@pytest.mark.parametrize("case", AXES)
def test_axes_of_other_edges_are_those_of_gammapy(theirs, case):
    from gammapy.maps import MapAxis

    ours, other = read()[0], theirs()[0]
    edges = AXES[case] * u.TeV
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = other.resample_energy_axis(MapAxis.from_energy_edges(edges))
    found = ours.resample_energy_axis(edges, nearest=True)
    np.testing.assert_allclose(
        found.counts.geom.axis.edges.to_value("TeV"),
        expected.counts.geom.axes["energy"].edges.to_value("TeV"),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(found.counts.data, expected.counts.data.ravel())
    np.testing.assert_array_equal(found.counts_off.data, expected.counts_off.data.ravel())
    with pytest.raises(InputError, match="bins can be joined, not cut: nearest=True moves the edges"):
        ours.resample_energy_axis(edges)
    with pytest.raises(InputError, match="'run-0' has no bin from 500 to 600 TeV; its bins go from"):
        ours.resample_energy_axis([500, 600] * u.TeV, nearest=True)


def test_predicted_off_counts_are_those_of_gammapy(theirs):
    ours, other = read()[0], theirs()[0]
    ours.compatibility = "gammapy"
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = other.npred_off().data.ravel()
    np.testing.assert_allclose(ours.npred_off().data, expected, rtol=1e-6, atol=1e-9)


def test_off_counts_from_a_known_background_are_those_of_gammapy(theirs):
    from gammapy.datasets import SpectrumDatasetOnOff as Theirs

    ours, other = read()[0], theirs()[0]
    known, expected = ours.to_spectrum_dataset("known"), other.to_spectrum_dataset(name="known")
    known.models = source()
    found = SpectrumDatasetOnOff.from_spectrum_dataset(known, acceptance=1, acceptance_off=5, name="new")
    made = Theirs.from_spectrum_dataset(dataset=expected, acceptance=1, acceptance_off=5)
    np.testing.assert_allclose(found.counts_off.data, made.counts_off.data.ravel(), rtol=1e-12)
    np.testing.assert_allclose(found.alpha.data, 0.2, rtol=1e-15)
    np.testing.assert_array_equal(found.counts.data, known.counts.data)
    assert (found.name, found.models["crab"]) == ("new", known.models["crab"])
    found.fake(1, npred_background=known.background)
    given = SpectrumDatasetOnOff.from_spectrum_dataset(known, 1, 5, counts_off=np.arange(36.0))
    np.testing.assert_array_equal(given.counts_off.data, np.arange(36.0))
    with pytest.raises(InputError, match="got SpectrumDatasetOnOff.*expected a SpectrumDataset"):
        SpectrumDatasetOnOff.from_spectrum_dataset(ours, 1, 5)
    with pytest.raises(DataError, match=r"acceptance_off\[0\] is 0, expected values above 0"):
        SpectrumDatasetOnOff.from_spectrum_dataset(known, 1, 0)


def test_what_lists_say_of_their_members(theirs):
    from gammapy.datasets import Datasets as Theirs

    ours, other = Datasets(read()), Theirs(theirs())
    cut = ours[0].slice_by_energy(1 * u.TeV, 5 * u.TeV, "cut")
    lists = {"same": (ours, other)}
    lists["cut"] = (
        Datasets([ours[0], cut]),
        Theirs([other[0], other[0].slice_by_energy(1 * u.TeV, 5 * u.TeV, name="cut")]),
    )
    for name, (a, b) in lists.items():
        for what in ("energy_axes_are_aligned", "is_all_same_geom", "is_all_same_energy_shape"):
            assert getattr(a, what) == getattr(b, what) == (name == "same" or what == "energy_axes_are_aligned"), what
    shifted = cut.copy("shifted")
    shifted._geom = type(cut.counts.geom)(EnergyAxis(cut.counts.geom.axis.edges * 1.01))
    assert not Datasets([ours[0], shifted]).energy_axes_are_aligned
    ours[1].mask_fit = np.zeros(36, dtype=bool)
    assert ours.contributes_to_stat.tolist() == [True, False]
    ours.reverse()
    assert ours.names == ["run-1", "run-0"]
    assert (ours.count("run-0"), ours.count("run-2")) == (1, 0)


# -- flux points -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def points():
    return FluxPointsEstimator(EDGES, "crab", selection_optional="all", norm_scan=np.linspace(0.2, 4, 39)).run(
        read()[0]
    )


@pytest.fixture(scope="module")
def gammapys(points, tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "p.fits"
    points.write(path)
    return pytest.importorskip("gammapy.estimators").FluxPoints.read(path)


def test_numbers_that_follow_from_flux_points_are_those_of_gammapy(points, gammapys):
    for name in (
        "npred_background", "npred_excess_ref", "npred_excess_err", "npred_excess_errn", "npred_excess_errp", "npred_excess_ul", "ts_scan",
    ):  # fmt: skip
        expected = getattr(gammapys, name).data.reshape(getattr(points, name).shape)
        np.testing.assert_allclose(getattr(points, name), expected, rtol=1e-9, atol=1e-9, err_msg=name)
    for name in ("has_any_ts", "has_success", "is_convertible_to_flux_sed_type", "has_ul", "has_stat_profiles"):
        assert getattr(points, name) == getattr(gammapys, name), name
    assert set(points.available_quantities) <= set(gammapys.available_quantities)
    np.testing.assert_array_equal(points.copy().norm, points.norm)


def test_limits_are_computed_again_from_scans_as_by_gammapy(points, gammapys):
    found, expected = points.recompute_ul(n_sigma_ul=3), gammapys.recompute_ul(n_sigma_ul=3)
    # its search for the minimum stops at 1e-5
    np.testing.assert_allclose(found.norm_ul, expected.norm_ul.data.ravel(), rtol=1e-4)
    assert found.n_sigma_ul == 3
    exact = FluxPointsEstimator(EDGES, "crab", selection_optional=["ul"], n_sigma_ul=3).run(read()[0])
    # as fine as the scan
    np.testing.assert_allclose(found.norm_ul, exact.norm_ul, rtol=1e-3)
    assert np.isnan(points.recompute_ul(n_sigma_ul=100).norm_ul).all()
    with pytest.raises(
        InputError, match="needs scans of at least 3 strengths, got 0; estimate with selection_optional"
    ):
        exact.recompute_ul()
    with pytest.raises(InputError, match="got n_sigma_ul=0, expected a number above 0"):
        points.recompute_ul(0)


def test_masks_of_points(points):
    data = FluxPointsDataset(data=points, models=source())
    data.mask_fit = np.array([True, False, True])
    np.testing.assert_array_equal(data.mask, data.mask_array)
    np.testing.assert_array_equal(data.mask_valid, data.mask_safe)
    assert data.available_stat_type == ["chi2", "distrib", "profile"]
    # gammapy's have two more axes
    given = FluxPointsDataset(
        data=points, mask_fit=np.array([True, False, True])[:, None, None], mask_safe=[True, True, False]
    )
    np.testing.assert_array_equal(given.mask, [True, False, False])
    for name in ("mask_fit", "mask_safe"):
        with pytest.raises(DataError, match=f"{name} has shape .* expected 3 of bool"):
            FluxPointsDataset(data=points, **{name: [1, 0, 1]})


# -- names -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs(theirs, points, gammapys):
    estimators, datasets = pytest.importorskip("gammapy.estimators"), pytest.importorskip("gammapy.datasets")
    one, other = read()[0], theirs()[0]
    return {
        "spectrum with OFF": (one, other),
        "spectrum": (one.to_spectrum_dataset(), other.to_spectrum_dataset()),
        "points data set": (FluxPointsDataset(data=points), datasets.FluxPointsDataset(data=gammapys)),
        "points": (points, gammapys),
        "list": (Datasets([one]), datasets.Datasets([other])),
        "flux estimator": (FluxPointsEstimator(EDGES), estimators.FluxPointsEstimator(energy_edges=EDGES)),
        "light curve estimator": (LightCurveEstimator(EDGES), estimators.LightCurveEstimator(energy_edges=EDGES)),
        "parameter estimator": (ParameterEstimator(), estimators.ParameterEstimator()),
    }


def test_each_name_of_gammapys_objects_is_there_or_pointed_to(pairs):
    if not pytest.importorskip("gammapy").__version__.startswith("2.1"):
        pytest.skip("the names are those of gammapy 2.1")
    missing = {}
    for what, (ours, theirs) in pairs.items():
        for name in sorted(set(dir(theirs)) - set(dir(ours))):
            if name.startswith("_"):
                continue
            with pytest.raises(AttributeError) as caught:
                getattr(ours, name)
            if f"has no attribute {name!r}; " not in str(caught.value):
                missing.setdefault(what, []).append(name)
    assert not missing


def test_pointing_leaves_other_errors_as_they_are(points):
    d = read()[0]
    with pytest.raises(
        AttributeError, match="'SpectrumDatasetOnOff' object has no attribute 'psf'; there are no maps here"
    ):
        _ = d.psf
    with pytest.raises(AttributeError, match="'SpectrumDatasetOnOff' object has no attribute 'count_s'"):
        _ = d.count_s
    with pytest.raises(AttributeError, match="'FluxPoints' object has no attribute 'meta'; n_sigma, n_sigma_ul"):
        _ = points.meta
    with pytest.raises(
        AttributeError, match="'FluxPointsEstimator' object has no attribute 'n_jobs'; all bins are one batch"
    ):
        _ = FluxPointsEstimator(EDGES).n_jobs
    assert not hasattr(d, "cutout")

    class Broken(SpectrumDatasetOnOff):
        @property
        def data_shape(self):
            return self.nowhere

    broken = Broken.create(EDGES)
    with pytest.raises(AttributeError, match="no attribute 'nowhere'"):
        _ = broken.data_shape
