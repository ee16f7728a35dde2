"""What a person types who knows gammapy: it works as there, or the message says what to do."""

import operator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

import gammajax
from gammajax import (
    GTI,
    Datasets,
    EnergyAxis,
    Fit,
    FluxPointsDataset,
    FunctionModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
    XYDataset,
)
from gammajax.datasets import EnergyMap
from gammajax.errors import DataError, InputError, ModelError, UnitError
from tests.problems import embedded


@pytest.fixture(scope="module")
def fitted():
    dataset = embedded()
    model = PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", index=2.3)
    dataset.models = SkyModel(model, name="crab")
    fit = Fit(dataset, backend="newton")
    return dataset, fit, fit.run()


# energies, number of bins and further arguments
BOUNDS = [
    ("0.1 TeV", "100 TeV", 24, {"per_decade": True}),
    (30 * u.GeV, 2 * u.TeV, 5, {}),
    (30 * u.GeV, 2 * u.TeV, 5, {"unit": "keV", "name": "energy_true"}),
]


@pytest.mark.parametrize("case", range(len(BOUNDS)))
def test_axes_are_those_of_gammapy(case):
    low, high, nbin, more = BOUNDS[case]
    theirs = pytest.importorskip("gammapy.maps").MapAxis.from_energy_bounds(low, high, nbin=nbin, **more)
    ours = EnergyAxis.from_energy_bounds(low, high, nbin=nbin, **more)
    assert (ours.nbin, ours.name, ours.edges.unit) == (theirs.nbin, theirs.name, theirs.edges.unit)
    np.testing.assert_allclose(ours.edges.value, theirs.edges.value, rtol=1e-12)
    assert EnergyAxis.from_energy_edges(theirs.edges, name=ours.name) == ours


def test_axes_that_are_none():
    with pytest.raises(InputError, match="got 2 to 1 TeV in 3 bins, expected 0 < energy_min < energy_max"):
        EnergyAxis.from_energy_bounds("2 TeV", "1 TeV", 3)
    with pytest.raises(UnitError, match="energy_max: got unit 'cm'"):
        EnergyAxis.from_energy_bounds("2 TeV", "1 cm", 3)


def test_maps_are_added_and_divided_with_their_units(fitted):
    dataset = fitted[0]
    np.testing.assert_array_equal((dataset.counts - dataset.background).data, dataset.excess.data)
    half = dataset.exposure / (2 * u.s)
    assert half.unit == u.cm**2
    np.testing.assert_array_equal((half * 2).data, dataset.exposure.data)
    np.testing.assert_array_equal((dataset.counts + 1).data, dataset.counts.data + 1)
    other = EnergyMap(type(dataset.counts.geom)(EnergyAxis([1, 2] * u.TeV)), [1.0])
    for op in (operator.add, operator.sub, operator.mul, operator.truediv):
        with pytest.raises(DataError, match="cannot be combined: the bins differ"):
            op(dataset.counts, other)
    copied = dataset.counts.copy()
    copied.data[:] = -1
    assert dataset.counts.data.min() == 0


def test_maps_kernels_and_contours_are_drawn(fitted):
    dataset, fit, _ = fitted
    figure, axes = plt.subplots(1, 4)
    dataset.counts.plot(axes[0], label="points")
    dataset.counts.plot_hist(ax=axes[0], color="red")
    np.testing.assert_array_equal(axes[0].containers[0].lines[0].get_ydata(), dataset.counts.data)
    dataset.exposure.plot(ax=axes[1])
    assert "True energy" in axes[1].get_xlabel()
    assert "cm" in axes[1].get_ylabel()
    dataset.edisp.get_edisp_kernel().plot_matrix(ax=axes[2], add_cbar=True)
    np.testing.assert_array_equal(axes[2].collections[0].get_array().T, dataset.edisp.pdf_matrix)
    contour = fit.stat_contour("index", "amplitude", numpoints=8)
    ax = contour.plot(axes[3], color="k")
    assert ax.get_xlabel() == "index"
    assert ax.get_ylabel().startswith("amplitude [")
    points = ax.lines[1]
    np.testing.assert_array_equal(points.get_xdata(), contour.x)
    assert ax.get_legend_handles_labels()[1] == ["1 sigma"]
    plt.close(figure)


def test_prediction_of_some_of_the_sources(fitted):
    dataset = fitted[0].copy()
    one = SkyModel(PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1"), name="one")
    two = SkyModel(PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1", index=3), name="two")
    dataset.models = Models([one, two, SystematicsModel(dataset.name, energy_scale=1.1)])
    parts = dataset.npred_signal(model_names="one").data, dataset.npred_signal(model_names=["two"]).data
    np.testing.assert_allclose(parts[0] + parts[1], dataset.npred_signal().data, rtol=1e-12)
    dataset.models["hess" if "hess" in dataset.models else dataset.models.names[2]].energy_scale.value = 1.0
    assert not np.allclose(dataset.npred_signal("one").data, parts[0])
    assert dataset.models.names[:2] == ["one", "two"]
    with pytest.raises(InputError, match="no model named 'three'; the names are: one, two"):
        dataset.npred_signal("three")


def test_results_have_the_parts_that_gammapy_has(fitted):
    dataset, fit, result = fitted
    assert result.optimize_result is result
    found = result.covariance_result
    assert (found.success, found.message) == (True, "exact Hessian.")
    np.testing.assert_array_equal(found.matrix, result.covariance.data)
    again = fit.covariance(optimize_result=result.optimize_result)
    np.testing.assert_allclose(again.data, found.matrix, rtol=1e-9)
    np.testing.assert_array_equal(Fit().covariance(dataset, result).data, again.data)
    with dataset.models.restore_status():
        dataset.models["crab"].spectral_model.index.value = 3
        with pytest.raises(InputError, match="not those of optimize_result any more; leave it out"):
            fit.covariance(optimize_result=result)


def test_data_sets_in_time():
    names = ("a", "b", "c")
    datasets = Datasets([embedded() for _ in names[:1]])
    for name in names[1:]:
        other = embedded()
        other.name = name
        datasets.append(other)
    datasets[0].name = "a"
    assert datasets.gti is None
    assert datasets.is_all_same_type
    assert datasets.is_all_same_shape
    start = Time("2020-01-01T00:00:00", scale="tt")
    with pytest.raises(DataError, match="select_time: a, b, c has no good times; set them"):
        datasets.select_time(start, start + 1 * u.d)
    for k, d in enumerate(datasets):
        d.gti = GTI.create([k, k + 0.5] * u.h, [k + 0.2, k + 0.7] * u.h, start)
    assert len(datasets.gti) == 3
    assert datasets.gti.time_sum.to_value("h") == pytest.approx(3 * 0.7)
    assert datasets.select_time(start + 1 * u.h, start + 2.7 * u.h).names == ["b", "c"]
    assert datasets.select_time(start + 1 * u.h, start + 2.6 * u.h).names == ["b"]


def test_values_for_other_parameters_are_those_of_gammapy():
    models = pytest.importorskip("gammapy.modeling.models")
    ours, theirs = PowerLawSpectralModel(index=2.2), models.PowerLawSpectralModel(index=2.2)
    energy, amplitude, reference = [1, 3] * u.TeV, 2e-12 * u.Unit("cm-2 s-1 TeV-1"), 2 * u.TeV
    given = {"index": 2.7, "amplitude": amplitude, "reference": reference}
    found = ours.evaluate(energy, **given)
    np.testing.assert_allclose(found.value, theirs.evaluate(energy, **given).to_value(found.unit), rtol=1e-12)
    np.testing.assert_array_equal(ours.evaluate(energy, 2.7, amplitude, reference), found)
    np.testing.assert_array_equal(ours.evaluate(energy), ours(energy))
    assert ours.index.value == 2.2
    with pytest.raises(ModelError, match="got 4 values for 3 parameters: index, amplitude, reference"):
        ours.evaluate(energy, 1, amplitude, reference, 3)
    with pytest.raises(InputError, match="unknown parameter 'gamma'"):
        ours.evaluate(energy, gamma=2)


def test_points_at_x_are_drawn_with_their_function():
    model = FunctionModel(lambda x, slope, offset: slope * x + offset, {"slope": 2.0, "offset": 1.0})
    x = np.arange(5.0)
    data = XYDataset(x, 2 * x + 1.1, 0.1, model=model, mask_fit=x < 4)
    np.testing.assert_allclose(data.prediction(), 2 * x + 1, rtol=1e-12)
    np.testing.assert_allclose(data.prediction([10.0]), [21.0], rtol=1e-12)
    top, bottom = data.plot_fit()
    np.testing.assert_allclose(bottom.lines[0].get_ydata(), np.ones(4), rtol=1e-9)
    assert top.get_legend_handles_labels()[1] == ["model", "data", "not in the fit"]
    counts = XYDataset(x, x + 1, model=model, stat_type="cash")
    assert len(counts.plot_fit()) == 2
    plt.close("all")
    plane = FunctionModel(lambda x, a: a * x[..., 0] * x[..., 1], {"a": 1.0})
    with pytest.raises(InputError, match=r"x of shape \(3, 2\), and only a function of one x can be drawn"):
        XYDataset(np.ones((3, 2)), np.ones(3), 1.0, model=plane).plot_fit()
    with pytest.raises(InputError, match="'data' has no models that predict anything"):
        XYDataset(x, x, 0.1).prediction()


# a name of gammapy's or a misspelt one, what the message offers
MOVED = {
    "MapAxis": "gammajax.EnergyAxis",
    "wstat": "gammajax.stats.wstat",
    "FluxEstimator": "gammajax.FluxPointsEstimator",
    "plot_contour_line": "gammajax.plotting.plot_contour_line",
    "SpectrumDatasetOnOf": "gammajax.SpectrumDatasetOnOff",
}


@pytest.mark.parametrize("name", MOVED)
def test_names_that_are_elsewhere_are_pointed_to(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; you may mean {MOVED[name]}$"):
        getattr(gammajax, name)


def test_a_correlation_without_errors_is_refused_and_long_names_fit_on_the_page(fitted):
    dataset = fitted[0]
    with pytest.raises(InputError, match="no parameter has an error; fit first"):
        Models([SkyModel(PowerLawSpectralModel(), name="new")]).covariance.plot_correlation()
    ax = dataset.models.covariance.plot_correlation()
    ax.figure.canvas.draw()
    width = ax.figure.bbox.width
    assert all(0 <= t.get_window_extent().x0 < width for t in [*ax.get_xticklabels(), *ax.get_yticklabels()])
    plt.close("all")


# what is done with a data set and its fit, what the message says
REFUSED = {
    "frozen errors": (lambda d, f: f.confidence("index", reoptimize=False), "reoptimize=False, .* freeze the other parameters first"),
    "background first": (lambda d, f: d.fake(d.background, 1), "got random_state=EnergyMap, expected a seed .*npred_background="),
    "spatial": (lambda d, f: SkyModel(PowerLawSpectralModel(), spatial_model="point"), "no spatial models here.* leave it out"),
    "no seed": (lambda d, f: d.fake("random-seed"), "got random_state='random-seed', expected a seed"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_gammapy_takes_and_we_do_not(fitted, case):
    act, text = REFUSED[case]
    with pytest.raises(InputError, match=text):
        act(fitted[0], fitted[1])


def test_objects_of_gammapy_are_met_with_the_way_to_go():
    models = pytest.importorskip("gammapy.modeling.models")
    datasets = pytest.importorskip("gammapy.datasets")
    spectrum, theirs = models.PowerLawSpectralModel(), datasets.SpectrumDatasetOnOff(name="theirs")
    source = models.SkyModel(spectrum, name="theirs")
    for act in (
        lambda: Datasets(datasets.Datasets([theirs])),
        lambda: Datasets([theirs]),
        lambda: Models(source),
        lambda: Models([source]),
        lambda: SkyModel(spectrum),
        lambda: Fit().run(datasets.Datasets([theirs])),
        lambda: Fit().run([theirs]),
        lambda: Fit().stat_profile(theirs, "index"),
        lambda: Fit([theirs]),
        lambda: setattr(embedded(), "models", source),
    ):
        with pytest.raises(InputError, match=r"gammapy's: gammajax.interop.gammapy.fit\(datasets\) fits"):
            act()


def test_everything_shows_itself_in_a_notebook(fitted):
    dataset, _, result = fitted
    shown = {
        "data set": (dataset, "Total counts"),
        "data sets": (Datasets([dataset]), "Total counts"),
        "source": (dataset.models["crab"], "SkyModel crab"),
        "models": (dataset.models, "amplitude"),
        "result": (result, "CONVERGED"),
    }
    for what, (thing, text) in shown.items():
        assert text in thing._repr_html_(), what


def test_numbers_that_follow_from_others_cannot_be_changed_in_vain():
    dataset = embedded()
    before = dataset.stat_sum()
    for name in ("alpha", "background", "excess", "mask"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(dataset, name).data[-1] = 50
    dataset.counts.data[dataset.mask_array] += 1
    assert dataset.stat_sum() != before
    known = dataset.to_spectrum_dataset()
    known.background.data[dataset.mask_array] += 1
    for name in ("counts", "exposure", "background", "counts_off"):
        with pytest.raises(
            InputError, match=f"SpectrumDatasetOnOff.{name} cannot be replaced; change its numbers in place"
        ):
            setattr(dataset, name, 1)
    with pytest.raises(InputError, match="SpectrumDatasetOnOff.mask cannot be replaced; what can be set: "):
        dataset.mask = None


def test_a_statistic_that_the_data_do_not_have_is_refused():
    dataset = embedded()
    with pytest.raises(InputError, match=r"stat_type got 'cash', expected 'wstat'; to_spectrum_dataset\(\)"):
        dataset.stat_type = "cash"
    known = dataset.to_spectrum_dataset()
    known.stat_type = "cstat"
    assert known.stat_type == "cstat"
    with pytest.raises(InputError, match="got 'wstat', expected 'cash' or 'cstat'"):
        known.stat_type = "wstat"


def test_masks_are_set_and_arrays_of_points_are_not_changed_in_vain():
    dataset = embedded()
    safe = dataset.mask_safe.data.copy()
    dataset.mask_safe = dataset.counts.geom.energy_mask(1 * u.TeV, 10 * u.TeV)
    assert 0 < dataset.mask_array.sum() < safe.sum()
    dataset.mask_safe = None
    assert dataset.mask_safe.data.all()
    with pytest.raises(DataError, match="mask_safe has shape .*energy_mask"):
        dataset.mask_safe = [True]
    dnde = [1e-11, 1e-12] * u.Unit("cm-2 s-1 TeV-1")
    points = FluxPointsDataset([1, 3] * u.TeV, dnde, 0.1 * dnde, models=PowerLawSpectralModel())
    for name in ("energy", "dnde", "dnde_err", "is_ul", "mask_safe"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(points, name)[0] = getattr(points, name)[1]
    with pytest.raises(InputError, match="FluxPointsDataset.is_ul cannot be replaced; what can be set: .*mask_safe"):
        points.is_ul = [True, False]
    models = Models([SkyModel(PowerLawSpectralModel(), name="a")])
    models.covariance = np.diag([0.01, 1e-26, 0.0])
    assert models.covariance.data[0, 0] == models["a"].covariance.data[0, 0] == 0.01
    with pytest.raises(InputError, match=r"SkyModel.covariance cannot be replaced; take set_covariance\(matrix\)"):
        models["a"].covariance = np.eye(3)
