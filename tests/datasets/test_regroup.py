"""Slices, sums of bins, stacks and tables, live against gammapy."""

import matplotlib as mpl
import numpy as np
import pytest
from astropy import units as u

mpl.use("Agg")
import matplotlib.pyplot as plt

from gammajax import Datasets, EnergyAxis, FluxPointsDataset, PowerLawSpectralModel, SkyModel, SpectrumDatasetOnOff
from gammajax.datasets import stacking
from gammajax.errors import DataError, InputError, UnitError
from tests.problems import small

MAPS = ("counts", "exposure", "background", "mask_safe")
OFF = ("counts_off", "acceptance", "acceptance_off")
# gammapy divides and converts in float32
FLOAT32 = 1e-6


@pytest.fixture(scope="module")
def pair(hess_files):
    """Two H.E.S.S. runs with a fit range, of both classes, in gammajax and gammapy."""
    gammapy = pytest.importorskip("gammapy.datasets")
    ours = [SpectrumDatasetOnOff.read(p) for p in hess_files]
    theirs = [gammapy.SpectrumDatasetOnOff.read(p) for p in hess_files]
    for many in (ours, theirs):
        for d in many:
            d.mask_fit = d.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    known = [d.to_spectrum_dataset(name=f"{d.name}-known") for d in ours]
    other = [d.to_spectrum_dataset().copy(name=f"{d.name}-known") for d in theirs]
    for a, b in zip(known, other, strict=True):
        # gammapy leaves the mask behind
        b.mask_fit = theirs[0].mask_fit
        assert a.mask_fit is not None
    return {"on/off": (ours, theirs), "known": (known, other)}


def flat(m, unit=""):
    return np.asarray(m.quantity.to_value(unit) if unit else m.data).ravel()


def compare(ours, theirs, finite=False):
    for name in (*MAPS, *(OFF if hasattr(ours, "counts_off") else ())):
        a, b = getattr(ours, name).data, flat(getattr(theirs, name), "cm2 s" if name == "exposure" else "")
        # gammapy has no OFF acceptance in sums without OFF counts
        use = np.isfinite(b) if finite else slice(None)
        np.testing.assert_allclose(a[use], b[use], rtol=FLOAT32, err_msg=name)
    if ours.mask_fit is not None:
        np.testing.assert_array_equal(ours.mask_fit.data, flat(theirs.mask_fit))
    np.testing.assert_allclose(ours.edisp.pdf_matrix, theirs.edisp.get_edisp_kernel().pdf_matrix, atol=1e-7)
    edges = theirs.counts.geom.axes["energy"].edges.to_value("TeV")
    np.testing.assert_allclose(ours.counts.geom.axis.edges_tev, edges, rtol=1e-9)


@pytest.mark.parametrize("kind", ["on/off", "known"])
def test_slices(pair, kind):
    ours, theirs = (side[0] for side in pair[kind])
    part = {"energy": slice(40, 60)}
    compare(ours.slice_by_idx(part, name="x"), theirs.slice_by_idx(part, name="x"))
    true = {"energy_true": slice(30, 75)}
    compare(ours.slice_by_idx(true), theirs.slice_by_idx(true))
    # gammapy fails on both at once
    both = ours.slice_by_idx(true | part)
    np.testing.assert_array_equal(both.edisp.pdf_matrix, ours.edisp.pdf_matrix[30:75, 40:60])
    # between the edges, beyond the axis, and open
    for limits in ((0.8, 11.7), (1e-5, 3), (2, 1e5), (0.9, 1.1)):
        low, high = (e * u.TeV for e in limits)
        compare(ours.slice_by_energy(low, high), theirs.slice_by_energy(low, high))
    compare(ours.slice_by_energy(energy_min="1 TeV"), theirs.slice_by_energy(energy_min="1 TeV"))
    assert ours.slice_by_energy(1 * u.TeV, 2 * u.TeV).name == f"{ours.name}-slice"
    assert ours.slice_by_energy(1 * u.TeV, 2 * u.TeV, name="x").name == "x"


@pytest.mark.parametrize("kind", ["on/off", "known"])
def test_coarser_axes(pair, kind):
    from gammapy.maps import MapAxis

    ours, theirs = (side[0] for side in pair[kind])
    for step, first in ((4, 0), (8, 16)):
        edges = ours.counts.geom.axis.edges[first::step]
        axis = MapAxis.from_energy_edges(edges, interp="log")
        with np.errstate(invalid="ignore"):
            other = theirs.resample_energy_axis(axis, name="x")
        compare(ours.resample_energy_axis(edges, name="x"), other, finite=True)
        assert ours.resample_energy_axis(EnergyAxis(edges)).name == f"{ours.name}-resampled"
    image = ours.to_image()
    assert image.counts.geom.axis.nbin == 1
    compare(image, theirs.to_image(), finite=True)
    # the prediction of the sum is the sum of the predictions of the safe bins
    spectrum = PowerLawSpectralModel(amplitude=3e-11 / u.cm**2 / u.s / u.TeV)
    for d in (ours, image):
        d.models = SkyModel(spectrum, name="crab")
    total = float(ours.npred_signal().data[ours.mask_safe.data].sum())
    assert image.npred_signal().data[0] == pytest.approx(total, rel=1e-12)
    ours.models = None


def test_sums_without_off_counts_keep_an_acceptance():
    d = small(n_off=[30, 20, 11, 6, 0, 0], alpha=[0.1, 0.1, 0.2, 0.1, 0.1, 0.2])
    joined = d.resample_energy_axis(d.counts.geom.axis.edges[::2])
    np.testing.assert_allclose(joined.background.data, [5, 2.8, 0])
    np.testing.assert_allclose(joined.alpha.data, [0.1, 2.8 / 17, 2 / 15])
    assert joined.counts.data.tolist() == [21, 11, 1]


@pytest.mark.parametrize("kind", ["on/off", "known"])
def test_stacks_and_tables(pair, kind):
    gammapy = pytest.importorskip("gammapy.datasets")
    ours, theirs = Datasets(pair[kind][0]), gammapy.Datasets(pair[kind][1])
    compare(ours.stack_reduce("s"), theirs.stack_reduce("s"))
    for cumulative in (False, True):
        one, two = ours.info_table(cumulative=cumulative), theirs.info_table(cumulative=cumulative)
        assert one.colnames == two.colnames
        for name in one.colnames:
            if name in ("name", "stat_type"):
                assert list(one[name]) == list(two[name])
            # gammapy knows no ontime of these files, and takes a stack for one without models
            elif name not in ("ontime", "stat_sum"):
                a, b = u.Quantity(one[name]), u.Quantity(two[name])
                np.testing.assert_allclose(a.value, b.to_value(a.unit), rtol=1e-5, err_msg=name)
    low, high = ours.energy_ranges
    other = theirs.energy_ranges
    np.testing.assert_allclose(low.to_value("TeV"), other[0].to_value("TeV"))
    np.testing.assert_allclose(high.to_value("TeV"), other[1].to_value("TeV"))


@pytest.mark.parametrize("kind", ["on/off", "known"])
def test_a_cumulative_table_adds_each_data_set_once(monkeypatch, kind):
    """Row k is that of the stack of the first k, to the last digit, and the work grows with their number, not with its square."""
    members = [
        small(name="all", ontime=1200 * u.s),
        # its fit range is all of it, from here on all bins are in the fit
        small(name="no OFF counts", n_off=np.zeros(6), alpha=0.3, mask_safe=[False, True, True, False, False, False]),
        small(name="no safe bin", mask_safe=[False] * 6),
        small(name="other", n_on=[3, 1, 4, 1, 5, 9], alpha=0.2, mask_safe=[True] * 5 + [False]),
    ]
    members[0].mask_fit = members[3].mask_fit = members[0].counts.geom.energy_mask(1 * u.TeV, 10 * u.TeV)
    if kind == "known":
        members = [d.to_spectrum_dataset(name=d.name) for d in members]
    datasets = Datasets(members)
    expected = [Datasets(members[: k + 1]).stack_reduce().info_dict() for k in range(4)]
    added = []
    add = stacking._Total.add
    monkeypatch.setattr(stacking._Total, "add", lambda self, d: (added.append(d.name), add(self, d)))
    rows = datasets.info_table(cumulative=True)
    assert added == datasets.names
    assert list(rows["n_fit_bins"]) == [e["n_fit_bins"] for e in expected]
    assert len(set(rows["n_fit_bins"])) > 1
    for row, one in zip(rows, expected, strict=True):
        for name, value in one.items():
            a, b = (getattr(v, "value", v) for v in (row[name], value))
            assert a == b or (np.isnan(a) and np.isnan(b)), name


def test_ranges(pair):
    ours, theirs = (side[0] for side in pair["on/off"])
    for name in ("energy_range", "energy_range_safe", "energy_range_fit", "energy_range_total"):
        one, two = getattr(ours, name), getattr(theirs, name)
        # maps of one number, or numbers
        two = [np.ravel(u.Quantity(getattr(m, "data", m), m.unit).to_value("TeV"))[0] for m in two]
        np.testing.assert_allclose([e.to_value("TeV") for e in one], two, err_msg=name)
    empty = small(mask_safe=[False] * 6)
    assert all(np.isnan(e) for e in empty.energy_range_safe)


def test_collections_are_sliced(pair):
    ours = Datasets(pair["on/off"][0])
    some = Datasets([*ours, small(energy_edges=np.geomspace(200, 400, 7) * u.TeV, name="far")])
    part = some.slice_by_energy(1 * u.TeV, 5 * u.TeV)
    assert part.names == ours.names
    with pytest.raises(InputError, match="got 5 to 1 TeV, expected energy_min < energy_max"):
        some.slice_by_energy(5 * u.TeV, 1 * u.TeV)
    with pytest.raises(UnitError):
        some.slice_by_energy(5 * u.s)
    points = FluxPointsDataset([1, 2] * u.TeV, [1, 1] * u.Unit("cm-2 s-1 TeV-1"), [1, 1] * u.Unit("cm-2 s-1 TeV-1"))
    with pytest.raises(DataError, match="is a FluxPointsDataset, which has no energy bins"):
        Datasets([points]).slice_by_energy(1 * u.TeV)
    with pytest.raises(DataError, match="info_table: the data sets are FluxPointsDataset, SpectrumDatasetOnOff"):
        Datasets([points, small()]).info_table()
    some.models = SkyModel(PowerLawSpectralModel(), name="s")
    copied = some.copy()
    assert copied.models is some.models
    assert copied[0] is not some[0]
    assert copied.names == some.names


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda d: d.slice_by_idx({"time": slice(1)}), "unknown axis 'time'; the axes are: energy, energy_true"),
        (lambda d: d.slice_by_idx({"energy": 3}), "energy got 3, expected a slice with step 1"),
        (lambda d: d.slice_by_idx({"energy": slice(0, 6, 2)}), "expected a slice with step 1"),
        (lambda d: d.slice_by_idx({"energy": slice(4, 4)}), r"slice\(4, 4, None\) holds no bin of energy, which has 6"),
        (lambda d: d.slice_by_energy(1 * u.TeV, 1.01 * u.TeV), "has no bin between 1 and 1.01 TeV; its 6 bins"),
        (lambda d: d.resample_energy_axis([0.5, 1, 20] * u.TeV), "1 TeV is no edge of the present axis, the nearest is 0.92"),
        (lambda d: d.resample_energy_axis([0.5, 40] * u.TeV), "40 TeV is no edge of the present axis, the nearest is 20"),
        (lambda d: Datasets([d, d.to_spectrum_dataset()]).stack_reduce(), "only SpectrumDatasetOnOff with such"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make, text):
    with pytest.raises(InputError, match=text):
        make(small())


def test_the_parts_of_a_fit_range():
    a, b = small(name="a"), small(name="b")
    a.mask_fit = np.arange(6) < 2
    assert Datasets([a, b]).stack_reduce().mask_fit is None
    b.mask_fit = np.arange(6) == 3
    np.testing.assert_array_equal(Datasets([a, b]).stack_reduce().mask_fit.data, [1, 1, 0, 1, 0, 0])
    joined = a.resample_energy_axis(a.counts.geom.axis.edges[::3])
    np.testing.assert_array_equal(joined.mask_fit.data, [True, False])


def test_plots_of_counts():
    d = small()
    d.models = SkyModel(PowerLawSpectralModel(amplitude=1e-12 / u.cm**2 / u.s / u.TeV), name="s")
    d.mask_fit = np.arange(6) > 1
    ax = d.plot_counts(ax=plt.figure().gca(), kwargs_counts={"color": "red"})
    np.testing.assert_array_equal(ax.patches[0].get_data().values, d.counts.data)
    np.testing.assert_array_equal(ax.patches[1].get_data().values, d.background.data)
    d.plot_masks(ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["counts", "background", "mask fit", "mask safe"]
    ax = d.to_spectrum_dataset().plot_counts(ax=plt.figure().gca())
    np.testing.assert_array_equal(ax.patches[1].get_data().values, d.background.data)
    ax = d.plot_excess(ax=plt.figure().gca())
    np.testing.assert_allclose(ax.patches[0].get_data().values, d.npred_signal().data)
    ax = d.plot_residuals_spectral(ax=plt.figure().gca(), method="diff")
    assert ax.get_ylabel() == "data - model"
    plt.close("all")
