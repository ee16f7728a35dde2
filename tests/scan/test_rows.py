"""Chunks of a surface by factors of each axis: equal to the surface at once and node by node, whatever the chunks, and the same bits again."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy import units as u

import gammajax
from gammajax import Datasets, ExpCutoffPowerLawSpectralModel, Fit, LogParabolaSpectralModel, SkyModel, Status
from gammajax.errors import InputError
from gammajax.scan import Refit, fast_surface, frozen_grid, profile_grid, rows
from gammajax.scan.chunk import by_rows
from gammajax.scan.partition import MOST, chunk_bytes, measured_size, size_in_memory
from gammajax.scan.store import resume
from gammajax.solve.programs import ALONE_FITS
from gammajax.solve.surface import TILE
from tests.problems import small
from tests.scan.stored import assert_same, contents, edit_manifest

AMPLITUDE = 2e-12 / u.cm**2 / u.s / u.TeV
# 12 x 13 nodes, some of them beyond the limit of alpha
ALPHA, BETA = np.linspace(1.2, 3.1, 12), np.linspace(-0.3, 1.2, 13)
N = len(ALPHA) * len(BETA)
# a chunk of 8 rows, one that begins and ends within rows, all nodes
CHUNKS = (8 * len(BETA), 111, N)


@pytest.fixture(autouse=True)
def _small_surfaces(monkeypatch):
    """The program for surfaces from 100 nodes on."""
    monkeypatch.setattr(rows, "LARGE", 100)
    monkeypatch.setattr("gammajax.scan.surface.LARGE", 100)


def _fit(spectrum, **changes):
    dataset = small(**changes)
    dataset.models = SkyModel(spectrum, name="s")
    return Fit(Datasets([dataset]))


def _log_parabola(**changes):
    spectrum = LogParabolaSpectralModel(amplitude=AMPLITUDE, reference=1 * u.TeV, alpha=2.2, beta=0.2)
    spectrum.alpha.max = 2.9
    return _fit(spectrum, **changes)


def _cut_off():
    return _fit(
        ExpCutoffPowerLawSpectralModel(
            index=1.8, amplitude=AMPLITUDE, reference=1 * u.TeV, lambda_=0.1 / u.TeV, alpha=1.0
        )
    )


def _limited():
    fit = _log_parabola()
    fit.datasets[0].models[0].spectral_model.amplitude.min = 1.9e-12
    return fit


CASES = {
    "held": (_log_parabola, {"alpha": ALPHA, "beta": BETA}, False),
    "re-fitted": (_log_parabola, {"alpha": ALPHA, "beta": BETA}, True),
    "strength on its limit": (_limited, {"beta": BETA, "alpha": ALPHA}, True),
    # without counts the minimum is where the slope jumps: every node is left to the general solver
    "stragglers": (
        lambda: _log_parabola(n_on=[0] * 6, n_off=[0] * 6), {"alpha": ALPHA, "beta": BETA}, True,
    ),
    # exp(-lambda E) is lost below the smallest number
    "factors out of range": (_cut_off, {"lambda_": np.r_[np.linspace(0, 0.4, 12), 400.0], "index": ALPHA}, False),
}  # fmt: skip


def _unchunked(fit, axes, reoptimize):
    """The surface at once and node by node."""
    likelihood = gammajax.likelihood.likelihood_of(fit.datasets)
    index = [next(i for i, n in enumerate(likelihood.names) if n == f"s.spectral.{name}") for name in axes]
    values = list(axes.values())
    if not reoptimize:
        return fast_surface(likelihood, index, values, None), frozen_grid(likelihood, index, values)[0]
    refit = Refit(likelihood, gammajax.solve.derivatives(likelihood, likelihood.start)[2])
    return fast_surface(likelihood, index, values, refit), profile_grid(refit, index, values)


@pytest.mark.parametrize(("make", "axes", "reoptimize"), CASES.values(), ids=CASES.keys())
def test_chunked_equals_unchunked_and_node_by_node(make, axes, reoptimize, monkeypatch):
    fit = make()
    seen = []
    real = rows.Rows.compute
    monkeypatch.setattr(rows.Rows, "compute", lambda self, *a: (seen.append(a[:2]), real(self, *a))[1])
    for size in CHUNKS:
        chunked = fit.stat_grid(axes, reoptimize=reoptimize, chunk_size=size, progress=False)
        assert seen.pop()[1] == chunked.stat.size
        seen.clear()
        for whole in _unchunked(fit, axes, reoptimize):
            # held: rounding of a sum of counts near 1e2; re-fits end within 1e-9 of the minimum on both sides
            np.testing.assert_allclose(chunked.stat, whole.stat, rtol=1e-9, atol=2e-9 if reoptimize else 1e-10)
            np.testing.assert_array_equal(chunked.status, whole.status)
        assert np.all(np.isnan(chunked.edm)) if not reoptimize else np.all(chunked.edm[chunked.ok] < 1e-9)
    assert Status.OUTSIDE_LIMITS in chunked.status or "alpha" not in axes


def test_small_chunks_and_other_scans_go_node_by_node(monkeypatch):
    fit = _log_parabola()
    monkeypatch.setattr(rows.Rows, "compute", lambda *a: pytest.fail("by rows"))
    axes = {"alpha": ALPHA, "beta": BETA}
    whole = _unchunked(fit, axes, True)[0]
    for changes in ({"chunk_size": 60}, {"chunk_size": N, "starts": 2}, {"chunk_size": N, "max_iter": 100}):
        chunked = fit.stat_grid(axes, reoptimize=True, progress=False, **changes)
        np.testing.assert_allclose(chunked.stat, whole.stat, rtol=0, atol=2e-9)
        np.testing.assert_array_equal(chunked.status, whole.status)
    narrow = {"alpha": np.linspace(1.2, 2.8, 40), "beta": BETA[:3]}
    assert fit.stat_grid(narrow, reoptimize=True, progress=False, chunk_size=120).ok.all()


@pytest.fixture
def stored(tmp_path):
    """A fit, and a stored scan of it in two chunks."""
    fit = _log_parabola()
    axes = {"alpha": ALPHA, "beta": BETA}

    def scan(name, **changes):
        how = {"store": tmp_path / name, "chunk_size": 111, "progress": False} | changes
        return fit.stat_grid(axes, reoptimize=True, **how)

    return scan, scan("serial"), tmp_path


def test_the_same_bits_after_an_interruption_by_an_executor_and_in_memory(stored):
    scan, serial, place = stored
    scan("resumed")
    (place / "resumed" / "chunks" / "chunk-0000000.npz").unlink()
    assert_same(scan("resumed"), serial)
    with ThreadPoolExecutor(2) as threads:
        assert_same(scan("threads", executor=threads), serial)
        assert_same(scan("memory", executor=threads, store=None), serial)
    assert contents(place / "serial") == contents(place / "resumed") == contents(place / "threads")


def test_the_folder_of_an_older_kernel_is_refused_and_can_be_read(stored):
    scan, serial, place = stored
    edit_manifest(place / "serial", lambda m: m["spec"].update(kernel=m["spec"]["kernel"] - 1))
    for call in (lambda: scan("serial"), lambda: resume(place / "serial")):
        with pytest.raises(InputError, match=r"computes nodes in another way \(kernel 1, here 2\).*begin anew"):
            call()
    assert gammajax.scan.open(place / "serial").n_chunks == 2


class _Clock:
    """A machine on which every node takes so many seconds, those in vain too: whole tiles of rows are computed."""

    def __init__(self, seconds):
        self.seconds, self.now = seconds, 0.0

    def compute(self, task, begin, end, device):
        step = TILE[0] * task.grids[0].shape[1]
        self.now += self.seconds * -(-(end - begin) // step) * step

    def __call__(self):
        return self.now


@pytest.mark.parametrize("reoptimize", [True, False])
@pytest.mark.parametrize("nodes", [(100, 100), (3000, 4000), (60_000, 20_000), (40, 30_000_000)])
@pytest.mark.parametrize("seconds", [2e-7, 5e-7, 1e-4])
def test_chunks_take_seconds_and_fit_into_memory(nodes, seconds, reoptimize, monkeypatch):
    task = _task(reoptimize)
    monkeypatch.setattr(type(task), "grids", property(lambda self: (_Shape(nodes),)))
    clock = _Clock(seconds)
    monkeypatch.setattr("gammajax.scan.partition.compute_nodes", clock.compute)
    monkeypatch.setattr("gammajax.scan.partition.perf_counter", clock)
    n, width = nodes[0] * nodes[1], nodes[1]
    size = measured_size(task)
    takes, share = size * seconds, size * chunk_bytes(task) / MOST
    assert share <= 1
    assert size <= n
    # rows too long for memory go in parts, node by node
    long_rows = rows.LEAST_ROWS * width * chunk_bytes(task) > MOST
    assert long_rows or size % width == 0
    if not long_rows:
        # shorter only where the scan is, or where memory is the limit
        assert 5 <= takes or size == n or share > 0.9
        assert takes <= 30
    memory = size_in_memory(task)
    assert long_rows or memory % (TILE[0] * width) == 0 or memory == n
    assert memory * chunk_bytes(task) <= MOST


@pytest.mark.parametrize("cores", [1, 2, 16])
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("seconds", [1e-6, 1e-4, 3e-3, 0.05, 0.3])
@pytest.mark.parametrize("length", [8, 25, 100, 1e4])
def test_chunks_that_go_node_by_node_take_seconds(cores, alone, seconds, length, monkeypatch):
    """However many threads their nodes are enough for, and where a worker has one thread."""
    task, now = _task(True), [0.0]
    n = int(length / seconds)
    monkeypatch.setattr(type(task), "grids", property(lambda self: (_Shape((n,)),)))
    monkeypatch.setattr("gammajax.scan.partition.by_rows", lambda task, device: False)
    monkeypatch.setattr("gammajax.scan.partition.workers", lambda: cores)

    def takes(nodes, cores):
        # inner batches of 32, and as many threads as nodes are enough for
        return -(-nodes // 32) * 32 * seconds / min(cores, max(nodes // ALONE_FITS, 1))

    def compute(task, begin, end, device):
        now[0] += takes(end - begin, cores)

    monkeypatch.setattr("gammajax.scan.partition.compute_nodes", compute)
    monkeypatch.setattr("gammajax.scan.partition.perf_counter", lambda: now[0])
    size = measured_size(task, alone=alone)
    chunk = takes(size, cores if alone else 1)
    assert 5 <= chunk <= 30 or size == n or size * chunk_bytes(task) > 0.5 * MOST
    # and finding it out takes little
    assert now[0] < 3 or now[0] < 2.5 * takes(32, 1)


class _Shape:
    """A grid of which only the shape is asked."""

    def __init__(self, shape):
        self.shape, self.size = shape, int(np.prod(shape))


def _task(reoptimize):
    from gammajax.scan.task import Grid, make_task

    likelihood = gammajax.likelihood.likelihood_of(_log_parabola().datasets)
    grid = Grid(("s.spectral.alpha", "s.spectral.beta"), (2, 3), (ALPHA, BETA))
    hessian = np.eye(len(likelihood.start)) if reoptimize else None
    task = make_task(likelihood, [grid], hessian=hessian, best=0.0, chunk_size=N)
    assert by_rows(task)
    return task
