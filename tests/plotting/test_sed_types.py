"""Every SED type of models and flux points, line by line beside gammapy's plots, and the images of scans."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from gammajax import (
    FluxPoints,
    FluxPointsEstimator,
    LightCurveEstimator,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)
from gammajax.errors import InputError
from gammajax.plotting.flux_points import UNITS
from tests.problems import embedded

BOUNDS = [0.7, 20] * u.TeV
EDGES = np.array([0.7, 1.1, 1.8, 3.0, 6.0]) * u.TeV
ARGUMENTS = {"index": 2.3, "amplitude": 3e-11 * u.Unit("cm-2 s-1 TeV-1"), "reference": 1 * u.TeV}
FLUXES = ("dnde", "e2dnde", "flux", "eflux")


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def gammapy():
    return pytest.importorskip("gammapy.modeling.models")


def new():
    return plt.figure().gca()


def drawn(line, unit):
    x, y = (u.Quantity(a) for a in line.get_data(orig=True))
    return x.to_value("TeV"), y.to_value(unit)


@pytest.mark.parametrize("energy_power", [0, 1])
@pytest.mark.parametrize("sed_type", FLUXES)
def test_curves_of_models(sed_type, energy_power, gammapy):
    theirs = gammapy.PowerLawSpectralModel(**ARGUMENTS).plot(BOUNDS, new(), sed_type, energy_power, n_points=30)
    unit = u.Unit(UNITS[sed_type]) * u.TeV**energy_power
    x, y = drawn(theirs.lines[0], unit)
    # its differential fluxes are at the centres of bins too
    bounds = BOUNDS if sed_type in ("flux", "eflux") else x[[0, -1]] * u.TeV
    ours = PowerLawSpectralModel(**ARGUMENTS).plot(
        bounds, new(), sed_type=sed_type, energy_power=energy_power, n_points=30
    )
    mine = ours.lines[0].get_data()
    np.testing.assert_allclose(mine[0], x, rtol=1e-10)
    # integrals of a power law are closed forms in both
    np.testing.assert_allclose(mine[1], y, rtol=1e-9)
    assert {"flux": "Flux", "eflux": "Energy flux"}.get(sed_type, "dN/dE") in ours.get_ylabel()


@pytest.mark.parametrize("sed_type", FLUXES)
def test_bands_of_models(sed_type, gammapy):
    """gammapy draws 4000 samples of each parameter: widths to a percent; and with index first it draws right."""
    theirs, ours = gammapy.PowerLawSpectralModel(**ARGUMENTS), PowerLawSpectralModel(**ARGUMENTS)
    # index, amplitude and reference: errors of 0.05 and 6 %, so that nothing bends
    matrix = np.zeros((3, 3))
    matrix[:2, :2] = [[0.0025, 0.3 * 0.05 * 1.8e-12], [0.3 * 0.05 * 1.8e-12, 1.8e-12**2]]
    assert (
        [p.name for p in theirs.parameters] == [p.name for p in ours.parameters] == ["index", "amplitude", "reference"]
    )
    theirs.covariance = matrix
    Models([SkyModel(ours)]).set_covariance(matrix)
    ax = theirs.plot_error(BOUNDS, new(), sed_type, n_points=12, n_samples=4000)
    x, expected = width(ax, ax.yaxis.units.to(u.Unit(UNITS[sed_type])))
    bounds = BOUNDS if sed_type in ("flux", "eflux") else x[[0, -1]] * u.TeV
    again, found = width(ours.plot_error(bounds, new(), sed_type=sed_type, n_points=12), 1.0)
    np.testing.assert_allclose(again, x, rtol=1e-8)
    np.testing.assert_allclose(found, expected, rtol=0.05)


def width(ax, scale):
    """Energies of a band, and how wide it is there."""
    vertices = ax.collections[0].get_paths()[0].vertices
    x = np.unique(np.round(vertices[:, 0], 9))
    return x, np.array([np.ptp(vertices[np.isclose(vertices[:, 0], e, rtol=1e-6), 1]) * scale for e in x])


def test_norms_of_models(gammapy):
    norm = {"norm": 1.5, "tilt": 0.3}
    theirs = gammapy.PowerLawNormSpectralModel(**norm).plot(BOUNDS, new(), n_points=20)
    x, y = drawn(theirs.lines[0], "")
    ours = PowerLawNormSpectralModel(**norm).plot(x[[0, -1]] * u.TeV, new(), n_points=20)
    np.testing.assert_allclose(ours.lines[0].get_ydata(), y, rtol=1e-12)
    assert ours.get_ylabel() == "Norm"
    # a flux relative to another one
    model, other = PowerLawSpectralModel(**ARGUMENTS), PowerLawSpectralModel(**(ARGUMENTS | {"index": 2.0}))
    ax = model.plot(BOUNDS, new(), sed_type="norm", reference=other)
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, x**-0.3, rtol=1e-12)
    with pytest.raises(InputError, match="this one is a norm already"):
        PowerLawNormSpectralModel().plot(BOUNDS, reference=other)


# -- flux points -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source():
    d = embedded()
    spectrum = PowerLawSpectralModel(**ARGUMENTS)
    d.models = spectrum
    return d


@pytest.fixture(scope="module")
def points(source):
    return FluxPointsEstimator(EDGES, selection_optional="all", norm_scan=np.geomspace(0.2, 5, 21)).run(source)


@pytest.fixture(scope="module")
def theirs(points, gammapy, tmp_path_factory):
    from gammapy.estimators import FluxPoints

    path = tmp_path_factory.mktemp("points") / "points.fits"
    points.write(path)
    # read without the model its fluxes would be those of a curve through the few points
    return FluxPoints.read(path, reference_model=gammapy.PowerLawSpectralModel(**ARGUMENTS))


@pytest.mark.parametrize("energy_power", [0, 2])
@pytest.mark.parametrize("sed_type", [*FLUXES, "norm"])
def test_lines_of_points(points, theirs, sed_type, energy_power):
    unit = u.Unit(UNITS[sed_type]) * u.TeV**energy_power
    x, y = drawn(theirs.plot(new(), sed_type, energy_power).lines[0], unit)
    ours = points.plot(new(), sed_type, energy_power=energy_power)
    mine = ours.lines[0].get_data()
    shown = ~points.is_ul
    np.testing.assert_allclose(mine[0], x[shown], rtol=1e-9)
    np.testing.assert_allclose(mine[1], y[shown], rtol=1e-6)
    if energy_power:
        assert ours.get_ylabel().startswith("E$^{2}$ ")
    with pytest.raises(InputError, match="unknown sed_type 'sed', expected one of dnde"):
        points.plot(new(), "sed")


@pytest.mark.parametrize("sed_type", [*FLUXES, "norm"])
def test_images_of_scans(source, points, sed_type):
    """Every pixel beside the statistic itself at the strength of its centre."""
    ax = points.plot_ts_profiles(new(), sed_type)
    mesh = ax.collections[0]
    edges, image = mesh.get_coordinates()[:, 0, 1], np.ma.filled(mesh.get_array(), np.nan)
    assert image.shape == (500, 4)
    for k, norms in _strengths(points, sed_type, edges):
        exact = FluxPointsEstimator(EDGES, selection_optional=["scan"], norm_scan=norms).run(source)
        rise = exact.stat_scan[k] - exact.stat[k]
        inside = np.isfinite(image[:, k])
        # shown are all up to 4 within the scan; the root is linear between the 21 nodes to a percent
        wanted = (rise <= 4) & (norms >= 0.2) & (norms <= 5)
        assert np.sum(inside != wanted) <= 2
        np.testing.assert_allclose(-image[inside, k], rise[inside], rtol=0.03, atol=0.02)
    assert len(ax.figure.axes) == 2
    assert len(points.plot_ts_profiles(new(), add_cbar=False).figure.axes) == 1


def _strengths(points, sed_type, edges):
    centre = 0.5 * (edges[1:] + edges[:-1])
    for k in (0, 3):
        reference = 1.0 if sed_type == "norm" else points.reference[sed_type][k]
        yield k, centre / reference


def test_images_beside_gammapy(points, theirs):
    """gammapy goes on beyond the scan and is linear in the logarithm of the strength: equal at the nodes, close between them."""
    ours, other = points.plot_ts_profiles(new()), theirs.plot_ts_profiles(new(), "e2dnde")
    images, grids = [], []
    for ax, unit in ((ours, 1.0), (other, u.erg.to("TeV"))):
        mesh = ax.collections[0]
        images.append(np.ma.filled(mesh.get_array(), np.nan))
        grids.append(mesh.get_coordinates()[:, 0, 1] * unit)
    centres = [0.5 * (g[1:] + g[:-1]) for g in grids]
    for k, norm in ((i, n) for i in range(4) for n in points.norm_scan):
        at = norm * points.reference["e2dnde"][k]
        a, b = (i[np.argmin(np.abs(np.log(c / at))), k] for i, c in zip(images, centres, strict=True))
        if np.isfinite(a) and np.isfinite(b):
            # the pixels are 1 % wide, an error is 10 %
            assert a == pytest.approx(b, abs=0.4)
    assert other.figure.axes[1].get_ylabel() == ours.figure.axes[1].get_ylabel()


def test_images_of_light_curves_and_what_is_refused(source):
    from astropy.time import Time

    from gammajax import GTI

    members = [source.copy(name) for name in ("a", "b")]
    begin = Time(53343.92, format="mjd", scale="tt")
    for k, d in enumerate(members):
        d.models, d.gti = source.models, GTI.create(begin + k * u.d, begin + k * u.d + 1 * u.h)
    one = LightCurveEstimator(EDGES[[0, -1]], selection_optional=["scan"]).run(members)
    mesh = one.plot_ts_profiles(new()).collections[0]
    image = np.ma.filled(mesh.get_array(), np.nan)
    # nothing stands between the two nights
    assert image.shape == (500, 3)
    assert np.isnan(image[:, 1]).all()
    np.testing.assert_array_equal(image[:, 0], image[:, 2])
    assert np.nanmax(image) > -0.1
    two = LightCurveEstimator(EDGES[[0, 2, 4]], selection_optional=["scan"]).run(members)
    with pytest.raises(InputError, match="the light curve has 2 energy bins"):
        two.plot_ts_profiles()
    with pytest.raises(InputError, match="have no scans; estimate them with selection_optional"):
        FluxPointsEstimator(EDGES).run(source).plot_ts_profiles()
    with pytest.raises(InputError, match="unknown sed_type 'sed'"):
        one.plot_ts_profiles(sed_type="sed")


@pytest.mark.parametrize("unit", ["TeV-1 s-1 cm-2", "MeV-1 s-1 cm-2", "GeV-1 s-1 m-2"])
def test_models_with_amplitudes_in_other_units_share_axes_with_flux_points(unit):
    model = PowerLawSpectralModel(amplitude=(1e-12 * u.Unit("TeV-1 s-1 cm-2")).to(unit), index=2.5)
    figure, axes = plt.subplots(1, 2)
    for ax, sed_type, expected in ((axes[0], "dnde", 1e-12), (axes[1], "e2dnde", 1e-12)):
        model.plot([1, 10] * u.TeV, ax=ax, sed_type=sed_type)
        np.testing.assert_allclose(ax.lines[0].get_ydata()[0], expected, rtol=1e-12)
        assert "TeV" in ax.get_ylabel()
        assert "MeV" not in ax.get_ylabel()
    plt.close(figure)


def test_the_unit_of_the_axes_is_followed():
    model = PowerLawSpectralModel()
    model.covariance = np.diag([0.01, 1e-26, 0.0])
    edges = np.array([1.0, 3.0, 10.0])
    points = FluxPoints.from_table(fluxes(model, edges))
    figure, ax = plt.subplots()
    ax.yaxis.set_units(u.Unit("erg cm-2 s-1"))
    model.plot([1, 10] * u.TeV, ax=ax, sed_type="e2dnde")
    model.plot_error([1, 10] * u.TeV, ax=ax, sed_type="e2dnde")
    points.plot(ax=ax, sed_type="e2dnde")
    erg = (1 * u.TeV).to_value("erg")
    np.testing.assert_allclose(ax.lines[0].get_ydata()[0], 1e-12 * erg, rtol=1e-12)
    np.testing.assert_allclose(ax.containers[0].lines[0].get_ydata(), points.e2dnde.value * erg, rtol=1e-12)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(band.max(), 1.1e-12 * erg, rtol=0.3)
    assert "erg" in ax.get_ylabel()
    # a unit that does not suit is none
    other = figure.add_subplot()
    other.yaxis.set_units(u.Unit("m"))
    points.plot(ax=other, sed_type="flux")
    assert "m" in other.get_ylabel()
    np.testing.assert_allclose(other.containers[0].lines[0].get_ydata(), points.flux.value, rtol=1e-12)
    plt.close(figure)


def fluxes(model, edges):
    """Table of the fluxes of a model in bins, with errors of a tenth."""
    low, high = edges[:-1] * u.TeV, edges[1:] * u.TeV
    dnde = model(np.sqrt(low * high))
    columns = {"e_ref": np.sqrt(low * high), "e_min": low, "e_max": high, "dnde": dnde, "dnde_err": 0.1 * dnde}
    return Table(columns | {"sqrt_ts": np.full(len(low), 10.0)})
