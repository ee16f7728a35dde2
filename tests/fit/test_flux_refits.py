"""Flux points and light curves with everything else re-fitted: beside single fits, bin by bin and node by node, and beside gammapy."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gammajax import (
    GTI,
    Datasets,
    Fit,
    FluxPointsEstimator,
    FoVBackgroundModel,
    GaussianPenalty,
    GaussianPrior,
    LightCurveEstimator,
    LogParabolaSpectralModel,
    Parameter,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
    SpectrumDatasetOnOff,
)
from gammajax.fit.flux_refits import Refits
from gammajax.solve import Status
from gammajax.solve.programs import minimize_program

AXIS = np.geomspace(1, 100, 25) * u.TeV
EDGES = np.geomspace(1, 100, 4) * u.TeV
BEGIN = Time(53343.92, format="mjd", scale="tt")
COLUMNS = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "stat", "stat_null", "stat_scan")  # fmt: skip
COUNTED = ("counts", "npred", "npred_excess")
GRID = [0.5, 1.0, 2.0]


def night(k: int) -> SpectrumDataset:
    """A source on a known background, which is 20 % higher in truth; measured in the k-th night."""
    rng = np.random.default_rng(40 + k)
    centre = np.sqrt(AXIS[:-1] * AXIS[1:]).value
    background = 60 * centre**-0.7
    exposure = np.full(24, 1e14) * u.Unit("cm2 s")
    source = PowerLawSpectralModel(index=2.2, amplitude=1.2e-11 * u.Unit("cm-2 s-1 TeV-1")).integral(
        AXIS[:-1], AXIS[1:]
    )
    counts = rng.poisson((source * exposure).to_value("") + 1.2 * background * centre**-0.1)
    d = SpectrumDataset.from_arrays(
        counts, background, exposure=exposure, energy_edges=AXIS, energy_true_edges=AXIS, name=f"night-{k}"
    )
    d.gti = GTI.create(BEGIN + k * u.d, BEGIN + k * u.d + 1 * u.h)
    return d


def background_of(d: SpectrumDataset, tilt: bool) -> FoVBackgroundModel:
    spectrum = PowerLawNormSpectralModel()
    spectrum.norm.prior = GaussianPrior(mu=1, sigma=0.3)
    spectrum.tilt.frozen = not tilt
    if tilt:
        spectrum.tilt.prior = GaussianPrior(mu=0, sigma=0.2)
    return FoVBackgroundModel(d.name, spectral_model=spectrum)


def source_model() -> SkyModel:
    return SkyModel(PowerLawSpectralModel(index=2.2, amplitude=1e-11 * u.Unit("cm-2 s-1 TeV-1")), name="source")


def nights(tilt: bool = False, n: int = 2) -> Datasets:
    members = Datasets([night(k) for k in range(n)])
    members.models = [source_model(), *(background_of(d, tilt) for d in members)]
    return members


def by_single_fits(members: list, tilt: bool, low: float, high: float) -> dict:
    """The same numbers from `Fit` with the amplitude free and the index held, on the channels of one bin."""
    copies = []
    for d in members:
        new = d.copy(d.name)
        centre = np.sqrt(AXIS[:-1] * AXIS[1:]).value
        new.mask_fit = (centre > low) & (centre < high)
        copies.append(new)
    joined, model = Datasets(copies), source_model()
    model.spectral_model.index.frozen = True
    joined.models = [model, *(background_of(d, tilt) for d in copies)]
    p = model.spectral_model.amplitude
    start = p.value
    fit = Fit(joined, backend="newton")
    result = fit.run()
    assert result.success
    one, two = (fit.confidence("amplitude", sigma=s) for s in (1, 2))
    p.scan_values = np.array([0.0, *GRID]) * start
    scan = fit.stat_profile("amplitude", reoptimize=True)["stat_scan"]
    inside = copies[0].mask.data
    return {
        "norm": p.value / start, "norm_err": p.error / start, "norm_errn": one["errn"] / start, "norm_errp": one["errp"] / start,
        "norm_ul": (p.value + two["errp"]) / start, "stat": result.total_stat, "stat_null": scan[0], "ts": scan[0] - result.total_stat,
        "stat_scan": scan[1:], "counts": [d.counts.data[inside].sum() for d in copies],
        "npred": [d.npred().data[inside].sum() for d in copies],
        "npred_excess": [d.npred_signal().data[inside].sum() for d in copies],
    }  # fmt: skip


def compare(found, place, expected):
    for name, value in expected.items():
        # minima and crossings of both are good to 1e-9 of the statistic: 3e-5 of an error in the strength, which is a tenth of it
        mine = getattr(found, name)[place]
        # nan for what is not in the time bin
        mine = mine[np.isfinite(mine)] if name in COUNTED else mine
        np.testing.assert_allclose(mine, value, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("tilt", "n"), [(False, 2), (True, 1)])
def test_norms_and_tilts_of_backgrounds_are_refitted_node_by_node(tilt, n):
    data = nights(tilt, n)
    found = FluxPointsEstimator(EDGES, "source", selection_optional="all", norm_scan=GRID, reoptimize=True).run(data)
    assert found.success.all()
    assert (found.status == Status.CONVERGED).all()
    for k in range(3):
        compare(found, k, by_single_fits(data, tilt, *found.energy_edges[k : k + 2]))
    held = FluxPointsEstimator(EDGES, "source").run(data)
    # the background is higher than it says
    assert np.all(np.abs(held.norm - found.norm) > 1e-3)
    # the models of the person are as they were
    assert [p.value for p in data.models.parameters if p.name in ("norm", "tilt")] == [0, 1] * n


def test_a_light_curve_is_refitted_night_by_night():
    data = nights(n=3)
    found = LightCurveEstimator(EDGES, "source", selection_optional="all", norm_scan=GRID, reoptimize=True).run(data)
    assert found.norm.shape == found.status.shape == (3, 3)
    assert (found.status == Status.CONVERGED).all()
    for row, d in enumerate(data):
        alone = FluxPointsEstimator(EDGES, "source", selection_optional="all", norm_scan=GRID, reoptimize=True).run(d)
        for name in COLUMNS:
            np.testing.assert_allclose(
                getattr(found, name)[row], getattr(alone, name), rtol=1e-7, atol=1e-9, err_msg=name
            )
        for name in COUNTED:
            np.testing.assert_allclose(getattr(found, name)[row][:, [row]], getattr(alone, name), rtol=1e-7, atol=1e-9)
    compare(found, (1, 2), by_single_fits([data[1]], False, *found.energy_edges[2:4]))
    # two nights in one interval are joined, each with its background
    interval = [(BEGIN - 1 * u.h, BEGIN + 1.5 * u.d)]
    joined = LightCurveEstimator(EDGES, "source", selection_optional="all", norm_scan=GRID, reoptimize=True, time_intervals=interval).run(data)  # fmt: skip
    compare(joined, (0, 1), by_single_fits([data[0], data[1]], False, *found.energy_edges[1:3]))


def test_all_bins_take_one_program():
    """Also those of other nights, and of other data of the same structure."""
    data = nights(n=3)
    estimator = LightCurveEstimator(EDGES, "source", selection_optional="all", reoptimize=True)
    estimator.run(data)
    before = minimize_program.compiled._cache_size()
    data[0].mask_fit = data[0].counts.geom.energy_mask(2 * u.TeV, None)
    estimator.run(data)
    LightCurveEstimator(EDGES, "source", selection_optional="all", norm_scan=GRID, reoptimize=True).run(data)
    assert minimize_program.compiled._cache_size() == before


def test_verdicts_name_what_is_on_a_limit():
    data = nights(n=1)
    norm = data.models["night-0-bkg"].spectral_model.norm
    norm.value, norm.max = 0.5, 0.5
    found = FluxPointsEstimator(EDGES, "source", reoptimize=True).run(data)
    # lower than it wants to be
    assert (found.status == Status.AT_LIMIT).all()
    assert found.success.all()
    assert found.to_table()["status"].tolist() == [1, 1, 1]


def test_what_is_followed_may_be_in_no_model():
    """A parameter that stands by itself is re-fitted as the one that follows it would be."""
    data = nights(n=1)
    norm = data.models["night-0-bkg"].spectral_model.norm
    norm.prior = None
    estimator = FluxPointsEstimator(EDGES, "source", reoptimize=True)
    free = estimator.run(data)
    norm.link(Parameter("doubled", 2.0), factor=0.5)
    followed = estimator.run(data)
    np.testing.assert_allclose(followed.norm, free.norm, rtol=1e-8)
    np.testing.assert_allclose(followed.norm_err, free.norm_err, rtol=1e-8)


@pytest.mark.slow
def test_penalties_tie_nights_together():
    """A penalty on the norms of two nights: the second takes part in the time bin of the first, held by nothing but the penalty."""
    data = nights(n=2)
    norms = [data.models[f"night-{k}-bkg"].spectral_model.norm for k in range(2)]
    for p in norms:
        p.prior = None
    data.models.set_penalties([GaussianPenalty(norms, mean=1.0, covariance=[[0.09, 0.045], [0.045, 0.09]])])
    data.models = data.models
    found = LightCurveEstimator(EDGES, "source", reoptimize=True).run(data)
    single = nights(n=2)
    prior = LightCurveEstimator(EDGES, "source", reoptimize=True).run(single)
    # with the other norm free the penalty is its marginal Gaussian: that of the prior, without the prior's constants
    np.testing.assert_allclose(found.norm, prior.norm, rtol=1e-6)
    np.testing.assert_allclose(found.norm_err, prior.norm_err, rtol=1e-6)


STEEP = np.geomspace(0.4, 60, 7)
# alpha and beta of another source, in truth
TRUTH = 32.0, 1.0


def steep_night(start, gti=None, name="steep"):
    """Counts of two very steep sources as they are predicted by mpmath: of the first 1.5 times what its model says.

    The effective area grows as steeply as the second falls, so that all bins count. Its model begins at `start`.
    """
    alpha, beta = TRUTH
    ends = [mpmath.log(e) for e in STEEP]
    with mpmath.workdps(30):
        curved = lambda y: mpmath.exp(y - (alpha + beta * y) * y)  # noqa: E731
        other = np.array([float(mpmath.quad(curved, mpmath.linspace(a, b, 5))) for a, b in pairwise(ends)])
        own = np.array([float((mpmath.exp(-33 * a) - mpmath.exp(-33 * b)) / 33) for a, b in pairwise(ends)])
    exposure = 1e9 * np.linspace(0.9, 0.2, 6) / (1e-11 * other)
    d = SpectrumDataset.from_arrays(
        exposure * (1e-11 * other + 1.5e-13 * own), np.zeros(6), exposure=exposure * u.Unit("cm2 s"), edisp=np.eye(6),
        energy_edges=STEEP * u.TeV, energy_true_edges=STEEP * u.TeV, name=name, gti=gti,
    )  # fmt: skip
    unit = u.Unit("cm-2 s-1 TeV-1")
    spectrum = LogParabolaSpectralModel(amplitude=1e-11 * unit, reference=1 * u.TeV, alpha=start[0], beta=start[1])
    return d, [
        SkyModel(PowerLawSpectralModel(index=34, amplitude=1e-13 * unit), name="source"),
        SkyModel(spectrum, name=f"other-{name}", datasets_names=[name]),
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fractional counts")
def test_other_sources_that_end_steeper_are_integrated_with_more_nodes(monkeypatch):
    """The usual nodes are wrong by 1e-5 in some bins, where the other source ends."""
    steps, kept = [], Refits.steeper
    monkeypatch.setattr(Refits, "steeper", lambda self, norm: steps.append(self._step) or kept(self, norm))
    wanted = ["errn-errp", "scan"]
    estimator = FluxPointsEstimator([0.4, 60] * u.TeV, "source", selection_optional=wanted, reoptimize=True)
    found = []
    for start in ((24.0, 0.0), TRUTH):
        d, d.models = steep_night(start)
        found.append(estimator.run(d))
    # once more, and not where it began there
    assert steps[0] == 0 < steps[1] == steps[2]
    assert len(steps) == 3
    for points in found:
        assert points.success.all()
        # the statistic is found to 1e-12: 1e-6 of the error in the strength, which is 2.6e-4
        np.testing.assert_allclose(points.norm, 1.5, atol=2e-9)
        np.testing.assert_allclose(points.npred, points.counts, rtol=1e-9)
    np.testing.assert_allclose(found[0].norm_err, found[1].norm_err, rtol=1e-7)
    for name in ("norm_errn", "norm_errp"):
        # a rise by 1 of a statistic of 1e11, which is rounded by 3e-5
        np.testing.assert_allclose(getattr(found[0], name), getattr(found[1], name), rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(found[0].stat_scan, found[1].stat_scan, rtol=1e-12)
    monkeypatch.setattr(Refits, "steeper", lambda self, norm: False)
    d, d.models = steep_night((24.0, 0.0))
    assert abs(estimator.run(d).norm[0] - 1.5) > 2e-8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fractional counts")
def test_time_bins_take_more_nodes_together():
    """One night ends where the usual nodes do not, the other begins there: one program, and the strengths of both."""
    made = [
        steep_night(start, GTI.create(BEGIN + k * u.d, BEGIN + k * u.d + 1 * u.h), name)
        for k, (start, name) in enumerate([((24.0, 0.0), "first"), (TRUTH, "second")])
    ]
    data = Datasets([d for d, _ in made])
    data.models = [made[0][1][0], made[0][1][1], made[1][1][1]]
    found = LightCurveEstimator([0.4, 60] * u.TeV, "source", reoptimize=True).run(data)
    np.testing.assert_allclose(found.norm, 1.5, atol=2e-9)


# -- beside gammapy --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hess_both(hess_files):
    """Two runs of H.E.S.S. with known backgrounds, whose norms have priors, as ours and as gammapy's."""
    theirs_data, models = pytest.importorskip("gammapy.datasets"), pytest.importorskip("gammapy.modeling.models")
    from gammapy.data import GTI as TheirGTI
    from gammapy.maps import Map

    arguments = {"amplitude": 3.8e-11 / u.cm**2 / u.s / u.TeV, "reference": 1 * u.TeV, "alpha": 2.196, "beta": 0.2265}
    theirs = theirs_data.Datasets(
        [theirs_data.SpectrumDatasetOnOff.read(p).to_spectrum_dataset() for p in hess_files[:2]]
    )
    # it gives them names of its own
    ours = Datasets(
        [
            SpectrumDatasetOnOff.read(p).to_spectrum_dataset(name=d.name)
            for p, d in zip(hess_files, theirs, strict=False)
        ]
    )
    their_models = [models.SkyModel(models.LogParabolaSpectralModel(**arguments), name="crab")]
    our_models = [SkyModel(LogParabolaSpectralModel(**arguments), name="crab")]
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        name, a.compatibility = b.name, "gammapy"
        # without any background the statistic of no source is infinite, and large in gammapy, which truncates
        a.mask_fit = a.background.data > 0
        b.mask_fit = Map.from_geom(b.counts.geom, data=a.mask_fit.data[:, None, None])
        a.gti = GTI.create(BEGIN + k * u.d, BEGIN + k * u.d + 1 * u.h)
        b.gti = TheirGTI.create(a.gti.time_start, a.gti.time_stop)
        for made, cls, prior in (
            (our_models, FoVBackgroundModel, GaussianPrior(mu=1, sigma=0.2)),
            (their_models, models.FoVBackgroundModel, models.GaussianPrior(mu=1, sigma=0.2)),
        ):
            background = cls(dataset_name=name)
            background.spectral_model.norm.prior = prior
            made.append(background)
    ours.models, theirs.models = our_models, models.Models(their_models)
    axis = ours[0].counts.geom.axis.edges_tev
    return ours, theirs, axis[(axis > 0.7) & (axis < 20)][::10] * u.TeV


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["points", "curve"])
def test_gammapy_finds_the_same(hess_both, kind):
    """Its minima are those of MIGRAD; errors by MINOS, for those of its default go wrong with several free parameters."""
    estimators, modeling = pytest.importorskip("gammapy.estimators"), pytest.importorskip("gammapy.modeling")
    ours, theirs, edges = hess_both
    name = "FluxPointsEstimator" if kind == "points" else "LightCurveEstimator"
    mine = {"points": FluxPointsEstimator, "curve": LightCurveEstimator}[kind]
    found = mine(edges, "crab", selection_optional="all", norm_scan=GRID, reoptimize=True).run(ours)
    estimator = getattr(estimators, name)(
        energy_edges=edges, source="crab", selection_optional=["errn-errp", "ul", "scan"], reoptimize=True, fit=modeling.Fit(),
    )  # fmt: skip
    estimator.norm.scan_values = np.array(GRID)
    expected = estimator.run(theirs)

    def column(name):
        return np.asarray(getattr(expected, name).data)[..., 0, 0]

    # MIGRAD stops at an EDM of 2e-4: 1.4 % of an error
    np.testing.assert_allclose(found.norm, column("norm"), atol=2e-2 * np.min(found.norm_err))
    np.testing.assert_allclose(found.norm_err, column("norm_err"), rtol=2e-2)
    for name in ("norm_errn", "norm_errp", "norm_ul"):
        np.testing.assert_allclose(getattr(found, name), column(name), rtol=1e-2, err_msg=name)
    for name in ("ts", "stat", "stat_scan"):
        np.testing.assert_allclose(getattr(found, name), column(name), atol=1e-2, err_msg=name)
