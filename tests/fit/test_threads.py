"""Fits and scans side by side are those one after the other, a scan keeps the data that it began with; results and data travel."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
from astropy import units as u

import gammajax
from gammajax import (
    GTI,
    Datasets,
    Fit,
    FluxPointsDataset,
    GaussianPrior,
    Likelihood,
    ParameterEstimator,
    SpectrumBatch,
    XYDataset,
)
from gammajax.hooks import StoredResult
from gammajax.solve import batch
from tests.faults.test_writes import strengths
from tests.problems import embedded


@pytest.fixture(autouse=True)
def one_program(monkeypatch):
    """Fits take another program after so many points, whatever asked for them: the last digits are then others."""
    monkeypatch.setattr("gammajax.solve.point.REPEATED", 10**9)


def drawn(seed):
    d = embedded()
    d.fake(seed)
    return d


def fitted(dataset, backend):
    result = Fit(dataset, backend=backend).run()
    assert result.success
    return result.total_stat, list(result.parameters.value), result.covariance.data.tobytes()


@pytest.mark.parametrize("backend", ["newton", "minuit"])
def test_two_threads(backend):
    """To the last bit: each with data and models of its own, both of one structure."""
    alone = [fitted(drawn(seed), backend) for seed in (1, 2)]
    together = Barrier(2)

    def run(seed):
        d = drawn(seed)
        together.wait()
        return [fitted(drawn(seed) if k else d, backend) for k in range(3)]

    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(run, (1, 2)))
    assert beside == [[one] * 3 for one in alone]


ALPHA, BETA = np.linspace(2.0, 2.6, 6), np.linspace(0.0, 0.4, 5)
SCANS = {
    "surface": lambda fit: fit.stat_surface("alpha", "beta", ALPHA, BETA, reoptimize=True),
    "frozen surface": lambda fit: fit.stat_surface("alpha", "beta", ALPHA, BETA, reoptimize=False),
    "grid": lambda fit: fit.stat_grid({"alpha": ALPHA, "beta": BETA}, reoptimize=True, chunk_size=8, progress=False),
    "profiles": lambda fit: fit.stat_profiles(reoptimize=True, nvalues=7),
    "contours": lambda fit: fit.stat_contours(numpoints=12),
    "intervals": lambda fit: fit.confidence(),
    "several starts": lambda fit: fit.run(starts=4),
}


def numbers(value):
    """All arrays and numbers of a result, as bytes."""
    if isinstance(value, dict) or hasattr(value, "keys"):
        return [numbers(value[k]) for k in value]
    if hasattr(value, "total_stat"):
        return [value.total_stat, list(value.parameters.value), value.covariance.data.tobytes()]
    return np.asarray(value).tobytes()


def scans(fit):
    """Every kind of scan of a fit that was run."""
    return {name: numbers(call(fit)) for name, call in SCANS.items()}


def after_a_fit(dataset):
    made = Fit(dataset, backend="newton")
    made.run()
    return made


# which program computes a few nodes depends on how many were computed before; here all go through the same one
@pytest.mark.usefixtures("batched_program")
def test_scans_in_two_threads():
    """To the last bit: of different data, then of the same fit and data set in both."""
    alone = [scans(after_a_fit(drawn(seed))) for seed in (1, 2)]
    assert alone[0] != alone[1]
    for same in (False, True):
        fits = [after_a_fit(drawn(seed)) for seed in ((1, 1) if same else (1, 2))]
        fits[1] = fits[0] if same else fits[1]
        together = Barrier(2)

        def run(fit, together=together):
            together.wait()
            # scans of one fit; what writes on its models is not for two threads
            return {n: numbers(call(fit)) for n, call in SCANS.items() if not (same and n == "several starts")}  # noqa: B023

        with ThreadPoolExecutor(2) as pool:
            beside = list(pool.map(run, fits))
        for found, expected in zip(beside, (alone[0], alone[0] if same else alone[1]), strict=True):
            assert found.keys() <= expected.keys()
            for name in found:
                assert found[name] == expected[name], name


def test_a_thread_that_fits_beside_one_that_reads_and_changes_its_own_data():
    alone = [fitted(drawn(1), backend) for backend in ("newton", "minuit")]
    done = Event()

    def disturb():
        mine, n = drawn(2), 0
        first, counts = mine.stat_sum(), (mine.counts.data.copy(), mine.counts_off.data.copy())
        while not done.is_set():
            mine.fake(n)
            mine.models[0].spectral_model.alpha.value = 2.0 + 0.1 * (n % 5)
            mine.mask_fit = mine.counts.geom.energy_mask(energy_min=mine.counts.geom.axis.edges[10 + n % 3])
            mine.npred(), mine.info_dict(), mine.stat_array(), Likelihood(mine)
            n += 1
        mine.models[0].spectral_model.alpha.value = drawn(2).models[0].spectral_model.alpha.value
        mine.set_counts(*counts)
        mine.mask_fit = drawn(2).mask_fit
        return n, first, mine.stat_sum()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(disturb)
        try:
            beside = [[fitted(drawn(1), backend) for backend in ("newton", "minuit")] for _ in range(4)]
        finally:
            done.set()
        n, first, last = other.result()
    assert beside == [alone] * 4
    # it did something, and its own numbers are its own
    assert n > 0
    assert last == first


@pytest.mark.usefixtures("batched_program")
def test_data_that_change_during_a_scan(monkeypatch):
    d = drawn(1)
    fit = Fit(d, backend="newton")
    fit.run()
    values = {"alpha": np.linspace(2.0, 2.6, 5), "beta": np.linspace(0.0, 0.4, 4)}
    before = fit.stat_grid(values, reoptimize=True)
    program, changed = batch.minimize_program, []

    def disturbed(*args, **kwargs):
        # other counts in the same data set, once the scan has begun
        d.fake(99)
        changed.append(True)
        return program(*args, **kwargs)

    monkeypatch.setattr(batch, "minimize_program", disturbed)
    again = fit.stat_grid(values, reoptimize=True)
    assert changed
    np.testing.assert_array_equal(again.stat, before.stat)
    monkeypatch.undo()
    # and the next one sees them
    assert np.all(fit.stat_grid(values, reoptimize=False).stat != before.stat)


# -- what can be pickled and copied --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """One of everything that a person can hold."""
    d = drawn(1)
    d.gti = GTI.create(0 * u.s, 100 * u.s)
    fit = Fit(d, backend="newton")
    result = fit.run()
    known = d.to_spectrum_dataset("known")
    known.models = d.models
    energy, unit = np.array([1.0, 2.0, 4.0]), u.Unit("cm-2 s-1 TeV-1")
    points = FluxPointsDataset(
        energy * u.TeV, 3e-11 * energy**-2.3 * unit, 3e-12 * energy**-2.3 * unit, models=d.models
    )
    many = SpectrumBatch.simulate(d, 3, 1)
    folder = tmp_path_factory.mktemp("scan") / "scan"
    fit.stat_grid({"alpha": ALPHA}, reoptimize=True, store=folder, progress=False)
    return {
        "fit": fit, "result": result, "several starts": fit.run(starts=3), "starts": fit.run(starts=3).starts, "flags": result.flags,
        "goodness": result.goodness, "provenance": result.provenance, "covariance": result.covariance,
        "snapshots": result.parameters, "interval": fit.confidence("alpha"), "intervals": fit.confidence(),
        "limit": fit.upper_limit("beta"), "contour": fit.stat_contour("alpha", "beta", numpoints=4), "test": fit.ts({"beta": 0}),
        "profile": fit.stat_profile("alpha", ALPHA, reoptimize=True), "profiles": fit.stat_profiles(["beta"], nvalues=3, reoptimize=False),
        "surface": fit.stat_surface("alpha", "beta", ALPHA, BETA), "each": fit.run_each(many), "flux points": strengths(),
        "light curve": strengths(times=GTI.create([0, 200] * u.s, [100, 300] * u.s)), "stored": gammajax.scan.open(folder),
        "ON and OFF": d, "known background": known, "points": points, "any x": XYDataset([1.0, 2.0], [1.0, 2.0], 0.1),
        "data sets": Datasets([d, known, points]), "batch": many, "good times": d.gti, "axis": d.counts.geom.axis,
        "counts": d.counts, "mask": d.mask_fit, "models": d.models, "spectrum": d.models[0].spectral_model,
        "parameters": d.models.parameters, "parameter": d.models.parameters[0], "prior": GaussianPrior(mu=1, sigma=1),
        "estimate": ParameterEstimator().run(d, "beta"), "likelihood": Likelihood(d), "status": gammajax.Status(3),
    }  # fmt: skip


def subclasses(cls):
    return {c for s in cls.__subclasses__() for c in (s, *subclasses(s)) if c.__module__.startswith("gammajax.")}


def test_every_kind_of_result_is_among_them(things):
    assert {c.__name__ for c in subclasses(StoredResult)} <= {type(t).__name__ for t in things.values()}


WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


@pytest.mark.parametrize("way", WAYS)
def test_everything_can_be_pickled_and_copied(things, way):
    for name, one in things.items():
        other = WAYS[way](one)
        assert type(other) is type(one), name
        if type(one).__str__ is not object.__str__:
            assert str(other) == str(one), name
        if hasattr(one, "stat_sum") and one.models is not None:
            assert other.stat_sum() == one.stat_sum(), name


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_copies_are_independent(way):
    d = drawn(1)
    made = WAYS[way](Fit(d, backend="newton"))
    expected = fitted(drawn(1), "newton")
    copied = WAYS[way](d)
    # the copy of a fit has data and models of its own
    made.run()
    assert d.models.parameters.value.tolist() == drawn(1).models.parameters.value.tolist()
    copied.fake(5)
    copied.models[0].spectral_model.alpha.value = 1.5
    assert fitted(d, "newton") == expected
    assert fitted(WAYS[way](drawn(1)), "newton") == expected
