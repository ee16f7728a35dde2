"""Counts of each data set in flux points and light curves, and which bins are limits, beside gammapy on two runs of H.E.S.S."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    GTI,
    Datasets,
    FluxPoints,
    FluxPointsEstimator,
    LightCurveEstimator,
    LogParabolaSpectralModel,
    SkyModel,
    SpectrumDatasetOnOff,
)
from gammajax.errors import FileFormatError
from gammajax.fit import light_curve
from gammajax.fit.flux_members import counted
from tests.problems import BEGIN, CRAB

COUNTED = ("counts", "npred", "npred_excess")
# below the threshold of the runs, two bins with a point, and one without counts
EDGES = [0.01, 0.5, 2.2, 20, 100] * u.TeV
SETTINGS = {"energy_edges": EDGES, "source": "crab", "selection_optional": ["ul"]}


@pytest.fixture(scope="module")
def ours(hess_files):
    datasets = Datasets([SpectrumDatasetOnOff.read(p) for p in hess_files[:2]])
    for k, d in enumerate(datasets):
        d.gti, d.compatibility = GTI.create(BEGIN + k * u.h, BEGIN + k * u.h + 1600 * u.s), "gammapy"
    datasets.models = SkyModel(LogParabolaSpectralModel(**CRAB), name="crab")
    return datasets


@pytest.fixture(scope="module")
def theirs(hess_files):
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")
    from gammapy.data import GTI as TheirGTI

    found = datasets.Datasets([datasets.SpectrumDatasetOnOff.read(p) for p in hess_files[:2]])
    for k, d in enumerate(found):
        d.gti = TheirGTI.create(BEGIN + k * u.h, BEGIN + k * u.h + 1600 * u.s)
    found.models = [models.SkyModel(models.LogParabolaSpectralModel(**CRAB), name="crab")]
    return found


@pytest.fixture(scope="module")
def both(ours, theirs):
    """Points and light curves of both programs."""
    import logging

    estimators = pytest.importorskip("gammapy.estimators")
    logging.getLogger("gammapy").setLevel("ERROR")
    with np.errstate(all="ignore"):
        return {
            "points": (
                FluxPointsEstimator(**SETTINGS).run(ours),
                estimators.FluxPointsEstimator(**SETTINGS).run(theirs),
            ),
            "curve": (
                LightCurveEstimator(**SETTINGS).run(ours),
                estimators.LightCurveEstimator(**SETTINGS).run(theirs),
            ),
        }


def column(theirs, name):
    return np.asarray(getattr(theirs, name).data)[..., 0, 0]


@pytest.mark.parametrize("kind", ["points", "curve"])
def test_counts_of_each_data_set_are_those_of_gammapy(both, kind):
    mine, other = both[kind]
    shape = {"points": (4, 2), "curve": (2, 4, 2)}[kind]
    assert mine.counts.shape == shape
    assert mine.dataset_names == tuple(other.counts.geom.axes["dataset"].center)
    np.testing.assert_array_equal(mine.counts, column(other, "counts"))
    known = np.isfinite(mine.npred)
    np.testing.assert_array_equal(known, np.isfinite(column(other, "npred")))
    for name in ("npred", "npred_excess", "npred_background"):
        # its fit stops at 1.4 % of an error, and the strength has one of a tenth
        np.testing.assert_allclose(getattr(mine, name)[known], column(other, name)[known], rtol=2e-3, atol=1e-4)
    # nothing is predicted outside of the fit, where it has 0 for the source and nan for all
    assert np.isnan(mine.npred_excess[~known]).all()
    for sed in ("likelihood", "flux"):
        for name in COUNTED:
            assert mine.to_table(sed)[name].shape == other.to_table(sed)[name].shape == shape
    some = np.isfinite(mine.npred_excess_ul)
    np.testing.assert_allclose(mine.npred_excess_ul[some], (mine.npred_excess_ref * mine.norm_ul[..., None])[some])


@pytest.mark.parametrize("kind", ["points", "curve"])
def test_limits_and_success_outside_of_the_fit_are_those_of_gammapy(both, kind):
    mine, other = both[kind]
    outside = np.isnan(mine.ts)
    assert outside[..., 0].all()
    assert not outside[..., 1:].any()
    np.testing.assert_array_equal(mine.is_ul, column(other, "is_ul"))
    assert not mine.is_ul[outside].any()
    # a bin without counts has a limit and no strength
    assert np.isnan(mine.norm[..., 3]).all()
    assert mine.is_ul[..., 3].all()
    table, same = mine.to_table("dnde"), other.to_table("dnde")
    np.testing.assert_array_equal(table["is_ul"], same["is_ul"])
    np.testing.assert_array_equal(table["success"][outside], same["success"][outside])
    # without limits it is what has no strength
    bare = replace(mine, norm_ul=np.full(mine.norm.shape, np.nan))
    np.testing.assert_array_equal(bare.is_ul, np.isnan(mine.norm))
    assert "is_ul" not in bare.to_table().colnames
    scored = replace(bare, norm_ul=mine.norm_ul, ts=np.full(mine.norm.shape, np.nan))
    np.testing.assert_array_equal(scored.is_ul, np.isfinite(mine.norm_ul))


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("kind", ["points", "curve"])
def test_counts_in_files_both_ways(both, kind, suffix, tmp_path):
    mine, other = both[kind]
    for sed in ("likelihood", "dnde"):
        mine.write(tmp_path / f"mine.{suffix}", sed_type=sed, overwrite=True)
        back, read = FluxPoints.read(tmp_path / f"mine.{suffix}"), type(other).read(tmp_path / f"mine.{suffix}")
        assert back.dataset_names == mine.dataset_names
        assert read.counts.geom.axes["dataset"].nbin == 2
        for name in COUNTED:
            np.testing.assert_array_equal(getattr(back, name), getattr(mine, name))
            np.testing.assert_array_equal(column(read, name), getattr(mine, name))
        np.testing.assert_array_equal(back.is_ul, mine.is_ul)
        np.testing.assert_array_equal(column(read, "is_ul"), mine.is_ul)
        other.write(tmp_path / f"other.{suffix}", sed_type=sed, overwrite=True)
        theirs = FluxPoints.read(tmp_path / f"other.{suffix}")
        for name in COUNTED:
            np.testing.assert_array_equal(getattr(theirs, name), column(other, name))
        np.testing.assert_array_equal(theirs.is_ul, column(other, "is_ul"))


def test_a_time_series_of_fluxes_is_that_of_gammapy(both):
    mine, other = (c.slice_by_idx({"energy": slice(1, 2)}) for c in both["curve"])
    found, expected = (c.to_table("flux", format="binned-time-series") for c in (mine, other))
    assert set(expected.colnames) <= set(found.colnames)
    # its fluxes are in keV / (TeV s cm2)
    flux = u.Quantity(expected["flux"]).to_value("s-1 cm-2")
    np.testing.assert_allclose(found["flux"].value, flux, atol=2e-2 * np.min(found["flux_err"].value))
    np.testing.assert_array_equal(found["counts"], expected["counts"])
    np.testing.assert_array_equal(found["is_ul"], expected["is_ul"])


def test_parts_keep_the_data_sets(both):
    points, curve = both["points"][0], both["curve"][0]
    part = curve.slice_by_idx({"time": slice(1, 2), "energy": slice(1, 3)})
    np.testing.assert_array_equal(part.counts, curve.counts[1:2, 1:3])
    night = curve.slice_by_idx({"time": 1})
    np.testing.assert_array_equal(night.npred, curve.npred[1])
    one = points.slice_by_energy(1 * u.TeV, 5 * u.TeV)
    np.testing.assert_array_equal(one.npred_excess, points.npred_excess[1:2])
    assert part.dataset_names == night.dataset_names == one.dataset_names == points.dataset_names
    row = str(points).splitlines()[4]
    first, last = (f"{points.counts[1, k]:.1f}" for k in (0, 1))
    assert f"{first} .. {last}" in row


def test_data_sets_of_a_stacked_time_bin_are_one(ours):
    whole = [(BEGIN - 1 * u.h, BEGIN + 1 * u.d)]
    settings = {"energy_edges": [0.5, 20] * u.TeV, "time_intervals": whole}
    joined, stacked, added = (
        LightCurveEstimator(**settings, **more).run(ours)
        for more in ({}, {"stack_over_time_interval": True}, {"sum_over_energy_groups": True})
    )
    assert (joined.counts.shape, stacked.counts.shape) == ((1, 1, 2), (1, 1, 1))
    assert stacked.dataset_names == ("stacked",)
    assert stacked.counts.sum() == joined.counts.sum() > 0
    np.testing.assert_array_equal(added.counts, joined.counts)
    # one number for each bin, as in tables of others, is that of one data set
    assert replace(stacked, counts=np.array([[7.0]])).counts.tolist() == [[[7.0]]]


def test_counts_of_very_many_data_sets_are_added_up(ours, monkeypatch, caplog):
    apart = LightCurveEstimator([0.5, 20] * u.TeV).run(ours)
    monkeypatch.setattr(light_curve, "MOST_COUNTS", 3)
    found = LightCurveEstimator([0.5, 20] * u.TeV).run(ours)
    assert found.dataset_names == ("sum",)
    for name in COUNTED:
        np.testing.assert_allclose(getattr(found, name)[..., 0], np.nansum(getattr(apart, name), axis=-1), rtol=1e-12)
    assert "counts of 2 data sets in 2 bins would take gigabytes" in caplog.text


def test_data_sets_of_two_statistics_keep_their_places(ours):
    """Sums over the channels, one data set after the other."""
    known = ours[0].to_spectrum_dataset(name="known")
    known.mask_fit = known.background.data > 0
    data = Datasets([known, ours[1]])
    data.models = ours.models
    edges = [0.5, 2.2, 20] * u.TeV
    found = FluxPointsEstimator(edges, "crab").run(data)
    assert found.dataset_names == ("known", ours[1].name)
    for k, d in enumerate(data):
        centre, signal = d.counts.geom.axis.center.value, d.npred_signal().data
        for b, (low, high) in enumerate(pairwise(found.energy_edges)):
            inside = (centre > low) & (centre < high) & d.mask.data
            assert found.counts[b, k] == d.counts.data[inside].sum()
            np.testing.assert_allclose(found.npred_excess[b, k], found.norm[b] * signal[inside].sum(), rtol=1e-12)
    background = known.background.data
    centre = known.counts.geom.axis.center.value
    inside = (centre > found.energy_edges[0]) & (centre < found.energy_edges[1]) & known.mask.data
    np.testing.assert_allclose(found.npred_background[0, 0], background[inside].sum(), rtol=1e-12)


def test_counts_go_by_bin_and_data_set():
    """Beside a loop."""
    rng = np.random.default_rng(3)
    values, segment, column = rng.normal(size=(2, 50)), rng.integers(0, 4, 50), rng.integers(0, 3, 50)
    found = counted(values, segment, column, (4, 3))
    expected = np.zeros((2, 4, 3))
    for k in range(50):
        expected[:, segment[k], column[k]] += values[:, k]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


# what is wrong with a table of two data sets, what the message says
DAMAGED = {
    "other data sets": (lambda t: t.meta.__setitem__("DATASETS", '["a", "b", "c"]'), r"column counts has shape \(4, 2\), expected \(4, 3\)"),
    "no names": (lambda t: t.meta.__setitem__("DATASETS", "[1]"), "DATASETS holds no list of names; remove the keyword"),
    "no list": (lambda t: t.meta.__setitem__("DATASETS", "[1"), "no table of flux points"),
    "one more": (lambda t: t.replace_column("npred", np.ones((4, 3))), r"column npred has shape \(4, 3\), expected \(4, 2\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_counts_are_refused(both, case):
    change, text = DAMAGED[case]
    table = both["points"][0].to_table("likelihood")
    change(table)
    with pytest.raises(FileFormatError, match=text):
        FluxPoints.from_table(table)
