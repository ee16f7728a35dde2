"""Statistics of flux points beside gammapy's, their derivatives beside finite differences and with a jump where it is told of."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from gammajax import Fit, FluxPointsDataset, FluxPointsEstimator, Likelihood, PowerLawSpectralModel, SkyModel
from gammajax.errors import DataError, InputError
from gammajax.stats import distrib_derivatives, likelihood_profile_derivatives
from tests.problems import embedded

DNDE = u.Unit("TeV-1 s-1 cm-2")
EDGES = np.array([0.7, 1.1, 1.8, 3.0, 6.0, 12.0]) * u.TeV


@pytest.fixture(scope="module")
def points():
    d = embedded()
    Fit(d, backend="newton").run()
    return FluxPointsEstimator(EDGES, "crab", selection_optional="all").run(d)


@pytest.fixture(scope="module")
def file(points, tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "points.fits"
    points.write(path)
    return path


def with_limits(path):
    """The same points, the second and the last of them upper limits."""
    table = Table.read(path, hdu="FLUXPOINTS")
    table["is_ul"] = [False, True, False, False, True]
    return table


def source(m, amplitude=3.5e-11, index=2.4):
    return m.SkyModel(
        spectral_model=m.PowerLawSpectralModel(amplitude=amplitude * u.Unit("cm-2 s-1 TeV-1"), index=index), name="s"
    )


@pytest.mark.parametrize("stat_type", ["chi2", "distrib", "profile"])
def test_as_in_gammapy(file, stat_type):
    datasets, estimators = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.estimators")
    from gammapy.modeling import models

    import gammajax.models as own

    table = with_limits(file)
    theirs = datasets.FluxPointsDataset(data=estimators.FluxPoints.from_table(table), stat_type=stat_type)
    ours = FluxPointsDataset.from_table(table)
    assert np.array_equal(ours.is_ul, np.asarray(theirs.data.is_ul.data).ravel())
    ours.stat_type = stat_type
    # below and above the points, and far beyond the scan
    for amplitude, index in ((3.5e-11, 2.4), (1e-11, 2.0), (9e-11, 2.9), (4e-10, 2.4)):
        theirs.models, ours.models = [source(models, amplitude, index)], source(own, amplitude, index)
        expected = np.where(theirs.mask_safe, theirs.stat_array(), 0.0).ravel()
        np.testing.assert_allclose(ours.stat_array(), expected, rtol=1e-8, atol=1e-8)
        assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-8)
    assert np.array_equal(ours.mask_safe, np.asarray(theirs.mask_safe).ravel())


def spline_arrays():
    from gammajax.datasets.points_arrays import scanned_pieces

    norm = np.geomspace(0.2, 5, 11)
    stat = np.stack([(norm - 1) ** 2 * 9, np.abs(norm - 0.5) ** 1.5 * 4])
    pieces = scanned_pieces(norm, stat, 2, "x")
    return [np.zeros(2), np.array([2.0, 0.5]), *(pieces[k] for k in ("edges", "left", "c2", "c1", "c0"))]


CASES = {
    "points": (distrib_derivatives, [np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([4.0, 1.0]), np.zeros(2)]),
    "limits": (distrib_derivatives, [np.zeros(2), np.zeros(2), np.zeros(2), np.array([1.5, 0.3])]),
    "profile": (likelihood_profile_derivatives, spline_arrays()),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    function, arrays = CASES[name]
    h = 1e-4
    with jax.enable_x64(True):
        for mu in (np.array([0.4, 1.3]), np.array([1.7, 2.6]), np.array([-0.8, 0.11]), np.array([3.1, 5.9])):
            low, middle, high = (np.stack(function(*arrays, mu + s)) for s in (-h, 0.0, h))
            # central differences of 1e-4: 1e-8 of the third derivatives, and rounding over 1e-8
            np.testing.assert_allclose(middle[1], (high[0] - low[0]) / (2 * h), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(middle[2], (high[1] - low[1]) / (2 * h), rtol=1e-6, atol=1e-6)


def test_where_derivatives_jump():
    """At the point itself value and slope are continuous; the curvature is that of the upper error."""
    _, arrays = CASES["points"]
    with jax.enable_x64(True):
        below, at, above = (np.stack(distrib_derivatives(*arrays, arrays[0] + s)) for s in (-1e-9, 0.0, 1e-9))
    assert np.array_equal(at[0], [0, 0])
    np.testing.assert_allclose(below[1], above[1], atol=1e-7)
    np.testing.assert_allclose(at[2], 2 * arrays[2] ** 2)
    np.testing.assert_allclose(above[2], at[2])
    np.testing.assert_allclose(below[2], 2 * arrays[1] ** 2)


def test_a_limit_far_below_and_above():
    """erfc underflows at 27; the statistic of a limit does not, and ends at 2 ln(2 / erfc(1))."""
    zero = np.zeros(2)
    with jax.enable_x64(True):
        stat, slope, curvature = (
            np.asarray(a) for a in distrib_derivatives(zero, zero, zero, np.ones(2), np.array([-100.0, 50.0]))
        )
    assert np.all(np.isfinite([stat, slope, curvature]))
    assert stat[1] == pytest.approx(2 * np.log(2 / 0.15729920705028513), rel=1e-12)
    # -x^2 - ln(x sqrt(pi)) far out
    x = 101.0
    assert stat[0] == pytest.approx(2 * (-x * x - np.log(x * np.pi**0.5) - np.log(0.15729920705028513)), rel=1e-6)


@pytest.mark.parametrize("stat_type", ["distrib", "profile"])
def test_fits_are_minima(points, file, stat_type):
    """The minimum of scipy on gammajax's own function, and errors from its curvature."""
    from scipy import optimize

    data = FluxPointsDataset.from_table(with_limits(file))
    data.stat_type = stat_type
    data.models = SkyModel(PowerLawSpectralModel(amplitude=2e-11 * DNDE, index=2.0), name="s")
    result = Fit(data, backend="newton").run()
    assert result.success
    likelihood = Likelihood(data)
    start, scale = np.asarray(likelihood.start), np.asarray(likelihood.scale)
    with jax.enable_x64(True):
        program = jax.jit(likelihood.stat)
        found = optimize.minimize(
            lambda x: float(program(np.append(x, 1.0) * scale)), [2.2, 3.0], method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 2000},
        )  # fmt: skip
    assert result.total_stat == pytest.approx(found.fun, abs=1e-7)
    np.testing.assert_allclose(start[:2] / scale[:2], found.x, rtol=1e-4)
    assert data.models.parameters["index"].error > 0
    assert result.goodness.p_value is None


def test_copies_files_and_masks(file, tmp_path):
    data = FluxPointsDataset.from_table(with_limits(file))
    assert data.mask_safe.tolist() == [True, False, True, True, False]
    data.stat_type = "distrib"
    assert data.mask_safe.all()
    data.mask_safe = [True, True, True, False, False]
    assert data.mask_safe.sum() == 3
    again = data.copy()
    assert again.stat_type == "distrib"
    assert np.array_equal(again.mask_safe, data.mask_safe)
    again.mask_safe = np.ones(5, dtype=bool)
    assert data.mask_safe.sum() == 3


def test_what_is_refused():
    energy, dnde = [1, 3] * u.TeV, [3e-11, 2e-12] * DNDE
    data = FluxPointsDataset(energy, dnde, 0.1 * dnde)
    with pytest.raises(InputError, match="stat_type got 'cash', expected one of chi2, distrib, profile"):
        data.stat_type = "cash"
    with pytest.raises(DataError, match="profile needs the scanned statistic"):
        data.stat_type = "profile"
    with pytest.raises(DataError, match=r"norm_scan has shape \(2,\)"):
        FluxPointsDataset(energy, dnde, 0.1 * dnde, norm_scan=[1, 2], stat_scan=np.zeros((2, 2)), dnde_ref=dnde)
