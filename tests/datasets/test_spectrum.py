import numpy as np
import pytest
from astropy import units as u

from gammajax import Datasets, EnergyAxis, PowerLawSpectralModel, SkyModel, SpectrumDatasetOnOff, stats
from gammajax.datasets.describe import li_ma_sqrt_ts
from gammajax.errors import DataError, InputError, UnitError
from tests.problems import crab_model, embedded, small


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_on": [12, 9, 7, -4, 1, 0]}, r"small: n_on\[3\] is -4, expected counts of at least 0"),
        ({"n_off": [30, np.nan, 11, 6, 0, 1]}, r"small: n_off\[1\] is nan, expected finite values"),
        ({"n_on": [1, 2]}, r"small: n_on has shape \(2,\), expected \(6,\), one value per energy bin; check the axes"),
        ({"alpha": 0.0}, r"small: alpha\[0\] is 0, expected values above 0"),
        ({"alpha": None}, r"give either alpha or acceptance_off"),
        ({"exposure": -np.ones(8) * u.Unit("cm2 s")}, r"exposure\[0\] is -1 cm2 s, expected at least 0"),
        ({"energy_edges": [1, 3, 2, 4, 5, 6, 7] * u.TeV}, r"edges 1 and 2 are 3 and 2 TeV, expected increasing edges"),
        ({"energy_edges": [0, 1, 2, 4, 5, 6, 7] * u.TeV}, r"edge 0 is 0.0 TeV, expected finite and positive energies"),
        ({"edisp": np.ones((6, 8)) / 10}, r"edisp has shape \(6, 8\), expected"),
        ({"mask_safe": [True]}, r"mask_safe has shape \(1,\)"),
    ],
)
def test_bad_arrays_are_refused_by_name(changes, text):
    with pytest.raises((DataError, InputError), match=text):
        small(**changes)


def test_wrong_units_are_refused_by_name():
    with pytest.raises(UnitError, match=r"small: exposure: got unit 'm', expected one convertible to 'cm2 s'"):
        small(exposure=np.ones(8) * u.m)
    with pytest.raises(UnitError, match="energy edges: got .* without a unit"):
        small(energy_edges=np.arange(1, 8))


def test_fractional_counts_warn():
    with pytest.warns(UserWarning, match="small: 1 bins of n_on and 2 bins of n_off hold fractional counts") as caught:
        d = small(n_on=[12.5, 9, 7, 4, 1, 0], n_off=[30, 20.5, 11, 6, 0.1, 1])
    assert len(caught) == 1
    assert d.fractional_counts
    assert not small().fractional_counts


def test_derived_maps():
    d = small()
    np.testing.assert_allclose(d.background.data, 0.1 * d.counts_off.data)
    np.testing.assert_allclose(d.excess.data, d.counts.data - 0.1 * d.counts_off.data)
    np.testing.assert_allclose(d.alpha.data, 0.1)
    assert d.exposure.quantity.unit == u.Unit("cm2 s")


def test_energy_mask_takes_whole_bins_and_forgives_rounding():
    d = small()
    edges = d.counts.geom.axes["energy"].edges
    mask = d.counts.geom.energy_mask(edges[1], edges[4] * (1 - 1e-12))
    assert mask.data.tolist() == [False, True, True, True, False, False]
    with pytest.raises(InputError, match="holds no whole bin of the axis"):
        d.counts.geom.energy_mask(0.51 * u.TeV, 0.52 * u.TeV)
    with pytest.raises(InputError, match="expected energy_min < energy_max"):
        d.counts.geom.energy_mask(3 * u.TeV, 2 * u.TeV)
    with pytest.raises(UnitError, match="energy_min: got unit 's'"):
        d.counts.geom.energy_mask(3 * u.s)


def test_mask_fit_must_fit():
    d = small()
    with pytest.raises(DataError, match=r"mask_fit has shape \(2,\) and type bool, expected \(6,\)"):
        d.mask_fit = np.array([True, False])


@pytest.mark.parametrize("method", ["diff", "diff/model", "diff/sqrt(model)"])
def test_residuals(method):
    d = small()
    d.models = crab_model()
    npred = d.npred().data
    divide = {"diff": 1, "diff/model": npred, "diff/sqrt(model)": np.sqrt(npred)}[method]
    np.testing.assert_allclose(d.residuals(method).data, (d.counts.data - npred) / divide)


def test_unknown_residuals_are_refused():
    with pytest.raises(InputError, match=r"unknown method 'ratio', expected one of diff, diff/model"):
        small().residuals("ratio")


def test_prediction_by_hand():
    d = small()
    model = PowerLawSpectralModel(index=2, amplitude=1e-11 * u.Unit("cm-2 s-1 TeV-1"))
    d.models = SkyModel(model, name="source")
    edges = d.exposure.geom.axis.edges_tev
    flux = 1e-11 * (1 / edges[:-1] - 1 / edges[1:])
    np.testing.assert_allclose(d.npred_signal().data, (flux * d.exposure.data) @ d.edisp.pdf_matrix, rtol=1e-12)
    n_on, n_off = d.counts.data, d.counts_off.data
    expected = np.asarray(stats.wstat(n_on, n_off, 0.1, d.npred_signal().data))
    np.testing.assert_allclose(d.stat_array(), expected, rtol=1e-5)
    assert d.stat_sum() == pytest.approx(d.stat_array().sum())


def test_masked_bins_do_not_count():
    d = small()
    d.models = crab_model()
    full = d.stat_array()
    d.mask_fit = np.array([True, False, True, True, True, False])
    np.testing.assert_array_equal(d.stat_array(), full * d.mask.data)


def test_without_models_the_signal_is_zero():
    d = small()
    assert d.npred_signal().data.tolist() == [0] * 6
    assert np.isfinite(d.stat_sum())


def test_fake_is_reproducible_and_poisson():
    d = embedded()
    sums = []
    for seed in (5, 5, 6):
        d.fake(seed, npred_background=np.full(len(d.counts.data), 2.0))
        sums.append((d.counts.data.sum(), d.counts_off.data.sum()))
    assert sums[0] == sums[1] != sums[2]
    with pytest.raises(InputError, match="expected a seed"):
        d.fake("random-seed")
    means = []
    for seed in range(200):
        d.fake(seed, npred_background=np.full(len(d.counts.data), 2.0))
        means.append(d.counts.data.sum())
    expected = d.npred_signal().data.sum() + 2.0 * len(d.counts.data)
    # five standard errors of the mean of 200 Poisson sums
    assert abs(np.mean(means) - expected) < 5 * np.sqrt(expected / 200)


def test_stacking_needs_the_same_axes():
    other = small(energy_edges=np.geomspace(0.5, 30, 7) * u.TeV, name="other")
    with pytest.raises(DataError, match="cannot stack 'small' and 'other': their energy axes differ"):
        Datasets([small(), other]).stack_reduce()
    with pytest.raises(DataError, match="no data sets to stack"):
        Datasets([]).stack_reduce()


def test_stacking_a_run_with_itself_doubles_it():
    d = Datasets([small(name="a"), small(name="b")]).stack_reduce(name="both")
    one = small()
    np.testing.assert_allclose(d.counts.data, 2 * one.counts.data)
    np.testing.assert_allclose(d.alpha.data[one.counts_off.data > 0], 0.1)
    np.testing.assert_allclose(d.exposure.data, 2 * one.exposure.data)
    np.testing.assert_allclose(d.edisp.pdf_matrix, one.edisp.pdf_matrix)
    assert d.livetime == 2000 * u.s


def test_names_are_unique():
    with pytest.raises(DataError, match="two data sets are named 'small'"):
        Datasets([small(), small()])
    with pytest.raises(InputError, match="no data set named 'x'; the names are: small"):
        Datasets([small()])["x"]


def test_print_and_info():
    d = small()
    d.models = crab_model()
    info = d.info_dict()
    assert (info["counts"], info["counts_off"], info["n_fit_bins"]) == (33, 68, 6)
    assert info["npred"] == pytest.approx(d.npred().data.sum())
    text = str(d)
    assert "Total counts                        : 33" in text
    assert "Number of free parameters           : 3" in text


def test_li_ma_against_the_statistic():
    n_on, n_off, alpha = 37.0, 120.0, 0.15
    import jax

    with jax.enable_x64(True):
        ts = stats.wstat(n_on, n_off, alpha, 0.0) - stats.wstat(n_on, n_off, alpha, n_on - alpha * n_off)
    assert li_ma_sqrt_ts(n_on, n_off, alpha) == pytest.approx(float(ts) ** 0.5, rel=1e-9)
    assert li_ma_sqrt_ts(3, 120.0, alpha) < 0


def test_axes_compare_by_value():
    a, b = EnergyAxis([1, 2, 4] * u.TeV), EnergyAxis([1000, 2000, 4000] * u.GeV)
    assert a == b
    assert a != EnergyAxis([1, 2, 5] * u.TeV)


def test_compatibility_is_checked():
    with pytest.raises(InputError, match="compatibility got 'sherpa', expected None or 'gammapy'"):
        small().compatibility = "sherpa"


def test_copy_is_independent():
    d = small()
    d.models = crab_model()
    copy = d.copy(name="copy")
    copy.set_counts(np.zeros(6), np.zeros(6))
    assert d.counts.data.sum() == 33
    assert copy.models is None
    assert isinstance(copy, SpectrumDatasetOnOff)
