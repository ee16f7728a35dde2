"""Fluxes and energy fluxes of bins, and points at energies without bins: gammapy's files, and integrals in the place of its centres."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table

from gammajax import (
    BrokenPowerLawSpectralModel,
    ConstantSpectralModel,
    Datasets,
    ExpCutoffPowerLawSpectralModel,
    Fit,
    FluxPoints,
    FluxPointsDataset,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
)
from gammajax.errors import DataError, FileFormatError, InputError
from tests.models.table import TABLE, integral

DNDE = u.Unit("cm-2 s-1 TeV-1")
UNITS = {"flux": u.Unit("cm-2 s-1"), "eflux": u.Unit("erg cm-2 s-1")}
FOLDER = "tests/spectrum/flux_points"


def integrals(model, sed, low, high):
    return (model.integral if sed == "flux" else model.energy_flux)(low, high).to(UNITS[sed])


def table_of(model, sed, low, high, **columns):
    table = QTable({"e_min": low, "e_max": high}, meta={"SED_TYPE": sed})
    table[sed] = integrals(model, sed, low, high)
    table[f"{sed}_err"] = 0.1 * table[sed]
    for name, values in columns.items():
        table[name] = values
    return table


EDGES = np.geomspace(0.1, 100, 10) * u.TeV
# bins, which of a file may leave gaps or overlap
BINS = {
    "side by side": (EDGES[:-1], EDGES[1:]),
    "in GeV": (EDGES[:-1].to("GeV"), EDGES[1:].to("GeV")),
    "gaps": (EDGES[:-1:2], EDGES[1::2]),
    "overlaps": (EDGES[:-2], EDGES[2:]),
    "one wide bin": (EDGES[:1], EDGES[-1:]),
}
MODELS = {
    "index 2": (PowerLawSpectralModel(index=2), 1e-12),
    "index 1": (PowerLawSpectralModel(index=1), 1e-11),
    "steep": (PowerLawSpectralModel(index=3.7), 1e-9),
    "curved": (LogParabolaSpectralModel(), 1e-9),
    "cut off": (ExpCutoffPowerLawSpectralModel(lambda_="0.2 TeV-1"), 1e-9),
    "broken": (BrokenPowerLawSpectralModel(ebreak="1.3 TeV", index1=1.5, index2=3), 1e-9),
}


@pytest.mark.parametrize("sed", UNITS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("bins", BINS)
def test_a_model_is_predicted_its_own_integrals(sed, model, bins):
    """Oracle: the integrals that the models give, which have tests of their own."""
    spectrum, rtol = MODELS[model]
    low, high = BINS[bins]
    points = FluxPointsDataset.from_table(table_of(spectrum, sed, low, high), models=spectrum)
    assert points.sed_type == sed
    np.testing.assert_allclose(points.flux_pred(), points.dnde, rtol=rtol)
    assert points.stat_sum() < len(low) * (10 * rtol) ** 2
    # the mean that is held is the flux that gammapy makes of it with its reference of index 2
    flat = PowerLawSpectralModel(index=2)
    mean = integrals(spectrum, sed, low, high) / integrals(flat, sed, low, high) * flat(np.sqrt(low * high))
    np.testing.assert_allclose(points.dnde.to_value(DNDE), mean.to_value(DNDE), rtol=1e-12)


# whose bends, kinks, jumps or nodes are in a bin; all others of the table take part where there is time
BENT = ("bpl", "sbpl, sharper than a bin", "template", "bpl * piecewise-norm", "(pl + lp) * ebl", "user's, with a jump")
WIDE = np.array([0.4, 1.0, 3.5, 20.0])


@pytest.mark.parametrize("name", [n if n in BENT else pytest.param(n, marks=pytest.mark.slow) for n in TABLE])
def test_energy_fluxes_are_those_of_a_high_precision_quadrature(name):
    """And so are their derivatives, by the amplitude: of models that are proportional to one."""
    row = TABLE[name]
    model = row.make()
    theta = [mpmath.mpf(float(x)) for x in row.theta]

    def exact(lo, hi):
        f = lambda e: e * row.formula(e, *theta)  # noqa: E731
        # the tails of what falls fast: pieces of half a decade are enough for its nodes
        points = row.cuts(mpmath.mpf(lo), mpmath.mpf(hi), theta)
        return float(
            integral(
                f, sorted({*points, *(p for p in map(mpmath.mpf, (0.6, 1.6, 2.5, 6.0, 11.0)) if lo < p < hi)}), degree=6
            )
        )

    expected = np.array([exact(lo, hi) for lo, hi in pairwise(WIDE)])
    table = QTable({"e_min": WIDE[:-1] * u.TeV, "e_max": WIDE[1:] * u.TeV}, meta={"SED_TYPE": "eflux"})
    table["eflux"] = np.ones(3) * u.Unit("TeV cm-2 s-1")
    table["eflux_err"] = table["eflux"]
    points = FluxPointsDataset.from_table(table)
    unit = model(1 * u.TeV).unit
    if unit == u.dimensionless_unscaled:
        # a factor of another model
        flat = ConstantSpectralModel(const=1 * DNDE)
        points.models = flat * model
    else:
        points.models = model
    mean = points.flux_pred().to_value(DNDE)
    factor = WIDE[:-1] * WIDE[1:] * np.log(WIDE[1:] / WIDE[:-1])
    np.testing.assert_allclose(mean * factor, expected, rtol=1e-9, atol=1e-12 * np.sum(np.abs(expected)))


def test_a_break_is_found_in_energy_fluxes():
    """All parameters, the break within a bin among them, to the digits that the likelihood has; values, slopes and curvatures of it."""
    truth = BrokenPowerLawSpectralModel(ebreak="1.3 TeV", index1=1.5, index2=3)
    edges = np.geomspace(0.1, 20, 9) * u.TeV
    start = BrokenPowerLawSpectralModel(ebreak="1.1 TeV", index1=1.7, index2=2.8, amplitude="2e-12 cm-2 s-1 TeV-1")
    points = FluxPointsDataset.from_table(table_of(truth, "eflux", edges[:-1], edges[1:]), models=start)
    result = Fit(points, backend="newton").run()
    assert result.success
    assert result.total_stat < 1e-12
    found = [start.parameters[n].value for n in ("ebreak", "index1", "index2")]
    np.testing.assert_allclose(found, [1.3, 1.5, 3], rtol=1e-6)


@pytest.mark.parametrize("sed", UNITS)
def test_an_energy_scale_moves_fluxes_and_energy_fluxes_alike(sed):
    """What is measured of a power law is another: phi(E / s) / s is s^(index - 1) phi(E)."""
    model = SkyModel(BrokenPowerLawSpectralModel(ebreak="90 TeV", index1=2.6, index2=2.6), name="s")
    points = FluxPointsDataset.from_table(
        table_of(model.spectral_model, sed, *BINS["side by side"]), name="p", models=[model]
    )
    before = points.flux_pred().value
    points.models = [model, SystematicsModel("p", energy_scale=1.2)]
    np.testing.assert_allclose(points.flux_pred().value / before, 1.2**1.6, rtol=1e-9)


@pytest.fixture(scope="module")
def theirs(gammapy_data):
    datasets, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")

    def read(path, index):
        found = datasets.FluxPointsDataset.read(path)
        spectrum = models.PowerLawSpectralModel(index=index, amplitude="2e-13 cm-2 s-1 TeV-1")
        found.models = models.SkyModel(spectrum, name="s")
        return found

    return read


@pytest.mark.parametrize("name", ["flux_points.fits", "flux_points.ecsv"])
@pytest.mark.parametrize("statistic", ["chi2", "distrib"])
def test_files_of_fluxes_are_those_of_gammapy(theirs, gammapy_data, tmp_path, name, statistic):
    """The same statistic for index 2, where its centres are right, and for any with its compatibility."""
    path = gammapy_data / FOLDER / name
    ours, other = FluxPointsDataset.read(path), theirs(path, 2)
    ours.stat_type = other.stat_type = statistic
    np.testing.assert_array_equal(ours.mask_array, other.mask.ravel())
    ours.models = SkyModel(PowerLawSpectralModel(index=2, amplitude=2e-13 * DNDE), name="s")
    assert ours.stat_sum() == pytest.approx(other.stat_sum(), rel=1e-9)
    ours.models["s"].spectral_model.index.value = other.models[0].spectral_model.index.value = 2.3
    exact = ours.stat_sum()
    assert exact != pytest.approx(other.stat_sum(), rel=1e-4)
    ours.compatibility = "gammapy"
    assert ours.stat_sum() == pytest.approx(other.stat_sum(), rel=1e-9)
    # as a data set of flux points, which know what they were given in
    data = FluxPointsDataset(data=FluxPoints.read(path), models=ours.models, stat_type=statistic)
    assert data.sed_type == "flux"
    assert data.stat_sum() == pytest.approx(exact, rel=1e-12)
    ours.write(tmp_path / "p.fits")
    back, again = FluxPointsDataset.read(tmp_path / "p.fits", models=ours.models), theirs(tmp_path / "p.fits", 2.3)
    back.stat_type = again.stat_type = statistic
    assert back.sed_type == "flux"
    assert back.stat_sum() == pytest.approx(exact, rel=1e-9)
    assert again.stat_sum() == pytest.approx(other.stat_sum(), rel=1e-9)


def test_a_fit_of_fluxes_finds_the_index_that_they_have(tmp_path):
    """Four bins per decade of index 3: at the centres, as with gammapy, the amplitude is off by 4 %; with integrals it is exact."""
    truth = PowerLawSpectralModel(index=3, amplitude="1e-12 cm-2 s-1 TeV-1")
    edges = np.geomspace(1, 10, 5) * u.TeV
    table = table_of(truth, "flux", edges[:-1], edges[1:])
    found = {}
    for mode in (None, "gammapy"):
        points = FluxPointsDataset.from_table(table, models=PowerLawSpectralModel(amplitude="3e-12 cm-2 s-1 TeV-1"))
        points.compatibility = mode
        result = Fit(points, backend="newton").run()
        assert result.success
        found[mode] = result.parameters["index"].value, result.parameters["amplitude"].value * 1e12
    np.testing.assert_allclose(found[None], [3, 1], rtol=1e-9)
    assert found["gammapy"][1] == pytest.approx(1 + 3 * np.log(10**0.25) ** 2 / 24, abs=2e-3)
    # beside points at energies, in lists and copies
    other = FluxPointsDataset(edges, truth(edges), 0.1 * truth(edges), name="at energies")
    both = Datasets([FluxPointsDataset.from_table(table, "in bins"), other])
    both.models = truth
    assert both.stat_sum() == pytest.approx(0, abs=1e-20)
    both.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    back = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert [d.sed_type for d in back] == [d.sed_type for d in both.copy()] == ["flux", "dnde"]
    assert back.stat_sum() == pytest.approx(0, abs=1e-18)


def test_likelihood_profiles_of_fluxes():
    """Parabolas in the strength are chi2; their strengths are of the reference that stands beside the fluxes."""
    truth, edges = PowerLawSpectralModel(index=2.6), np.geomspace(1, 10, 4) * u.TeV
    norm = np.linspace(0.2, 2, 19)
    table = table_of(truth, "flux", edges[:-1], edges[1:])
    table["ref_flux"] = 1.25 * table["flux"]
    table["stat"] = [3.0, 0.0, 1.0]
    table["norm_scan"] = np.tile(norm, (3, 1))
    table["stat_scan"] = np.array([3.0, 0.0, 1.0])[:, None] + ((norm - 0.8) / 0.08) ** 2
    points = FluxPointsDataset.from_table(table, models=truth.copy())
    points.models[0].spectral_model.amplitude.value *= 1.07
    chi2 = points.stat_sum()
    points.stat_type = "profile"
    assert points.stat_sum() == pytest.approx(chi2, rel=1e-9)
    table["norm_scan"][1] *= 2
    with pytest.raises(DataError, match="norm_scan differs from row to row"):
        FluxPointsDataset.from_table(table)


def test_no_bins_are_refused():
    low, high = BINS["side by side"]
    table = table_of(PowerLawSpectralModel(), "flux", low, high)
    with pytest.raises(
        DataError, match=r"columns are e_min, flux, flux_err; expected .*e_min, e_max, and flux or eflux"
    ):
        FluxPointsDataset.from_table(table["e_min", "flux", "flux_err"])
    table["e_max"][3] = table["e_min"][3]
    with pytest.raises(DataError, match="the energy bin of point 3 goes from 1 to 1 TeV, expected 0 < e_min < e_max"):
        FluxPointsDataset.from_table(table)
    plain = Table({n: np.asarray(table[n]) for n in table.colnames})
    with pytest.raises(DataError, match="column 'e_min' has no unit; expected one such as 'TeV'"):
        FluxPointsDataset.from_table(plain)


# energies in TeV
NODES = {"equal": np.geomspace(0.1, 10, 7), "unequal": np.array([1.0, 2.0, 5.0, 20.0])}


@pytest.mark.parametrize("nodes", NODES)
def test_points_at_energies_are_those_of_gammapy(nodes, tmp_path):
    estimators = pytest.importorskip("gammapy.estimators")
    energy = NODES[nodes] * u.TeV
    dnde = PowerLawSpectralModel(index=2.5)(energy)
    table = Table({"e_ref": energy.to("GeV"), "dnde": dnde, "dnde_err": 0.1 * dnde}, meta={"SED_TYPE": "dnde"})
    ours, other = FluxPoints.from_table(table), estimators.FluxPoints.from_table(table)
    np.testing.assert_allclose(ours.energy_edges, other.energy_axis.edges.to_value("TeV"), rtol=1e-12)
    np.testing.assert_allclose(ours.energy_ref.value, other.energy_ref.to_value("TeV"), rtol=1e-12)
    for name in ("dnde", "e2dnde", "dnde_err"):
        expected = getattr(other, name).quantity.ravel()
        np.testing.assert_allclose(getattr(ours, name).value, expected.to_value(getattr(ours, name).unit), rtol=1e-12)
    np.testing.assert_allclose(ours.norm, other.norm.data.ravel(), rtol=1e-12)
    np.testing.assert_array_equal(ours.is_ul, other.is_ul.data.ravel())
    for sed in ("dnde", "e2dnde"):
        assert {"e_min", "e_max"}.isdisjoint(ours.to_table(sed).colnames)
    part = ours.slice_by_idx({"energy": slice(1, 3)})
    np.testing.assert_array_equal(part.energies, energy.value[1:3])
    with pytest.raises(InputError, match="at energies, without bins, so that no flux of a bin is known"):
        _ = ours.flux
    with pytest.raises(InputError, match="there is no likelihood; take sed_type='dnde'"):
        ours.to_table("likelihood")
    for suffix in (".fits", ".ecsv"):
        ours.write(tmp_path / f"p{suffix}")
        back = FluxPoints.read(tmp_path / f"p{suffix}")
        np.testing.assert_allclose(back.energies, ours.energies, rtol=1e-15)
        np.testing.assert_allclose(back.dnde.value, ours.dnde.value, rtol=1e-14)
        found = estimators.FluxPoints.read(tmp_path / f"p{suffix}")
        np.testing.assert_allclose(found.dnde.quantity.ravel().to_value(DNDE), ours.dnde.to_value(DNDE), rtol=1e-12)


def test_files_of_points_at_energies(gammapy_data):
    """Which of them are limits is what gammapy says, in a table without a TS and without marks."""
    estimators = pytest.importorskip("gammapy.estimators")
    path = gammapy_data / FOLDER / "diff_flux_points.fits"
    ours, other = FluxPoints.read(path), estimators.FluxPoints.read(path)
    np.testing.assert_array_equal(ours.is_ul, other.is_ul.data.ravel())
    assert repr(ours) == "FluxPoints(24 points at energies from 0.000115 to 0.0866 TeV)"
    data = FluxPointsDataset(data=ours, models=PowerLawSpectralModel(index=2.2, amplitude="2e-13 cm-2 s-1 TeV-1"))
    read = FluxPointsDataset.read(path, models=data.models)
    assert data.stat_sum() == pytest.approx(read.stat_sum(), rel=1e-12)
    np.testing.assert_allclose(read.data.dnde.value, ours.dnde.value, rtol=1e-12)
    ax = ours.plot(sed_type="dnde")
    np.testing.assert_allclose(
        ax.containers[0].lines[0].get_xdata(), ours.energies[~ours.is_ul & np.isfinite(ours.norm)]
    )
    ax.figure.clear()


def test_one_point_at_an_energy_and_what_is_none():
    table = Table({"e_ref": [3.0] * u.TeV, "dnde": [1e-12] * DNDE})
    np.testing.assert_allclose(
        FluxPoints.from_table(table).energy_edges, 3 * 10.0 ** np.array([-0.05, 0.05]), rtol=1e-12
    )
    for energies in ([1.0, 1.0], [2.0, 1.0], [1.0, np.nan], [-1.0, 1.0]):
        table = Table({"e_ref": energies * u.TeV, "dnde": [1e-12, 1e-12] * DNDE})
        with pytest.raises(
            FileFormatError, match=r"column e_ref, row [01]: value .* TeV, expected increasing energies"
        ):
            FluxPoints.from_table(table)
    with pytest.raises(FileFormatError, match="column e_min is missing; flux belongs to energy bins"):
        FluxPoints.from_table(Table({"e_ref": [1.0] * u.TeV, "flux": [1e-12] * u.Unit("cm-2 s-1")}))


def test_gammapys_own_fluxes_are_fitted_with_integrals_or_as_there(theirs, gammapy_data):
    from gammajax.interop.gammapy import from_gammapy

    path = gammapy_data / FOLDER / "flux_points.fits"
    other = theirs(path, 2.3)
    expected = FluxPointsDataset.read(path)
    for mode in (None, "gammapy"):
        found = from_gammapy(other, compatibility=mode)[0]
        expected.compatibility, expected.models = mode, found.models
        np.testing.assert_array_equal(found.mask_array, other.mask.ravel())
        assert found.stat_sum() == pytest.approx(expected.stat_sum(), rel=1e-9)
        assert (found.stat_sum() == pytest.approx(other.stat_sum(), rel=1e-9)) == (mode == "gammapy")


def test_points_are_no_batch_of_spectra():
    low, high = BINS["side by side"]
    points = FluxPointsDataset.from_table(
        table_of(PowerLawSpectralModel(), "flux", low, high), models=PowerLawSpectralModel()
    )
    other = points.copy("other")
    other.models = points.models
    with pytest.raises(DataError, match="run_each: .* are of different kinds"):
        Fit().run_each([points, other])
