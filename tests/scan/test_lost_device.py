"""Devices that are lost while they compute, here and in workers: the runtime says so, nothing is raised by a fake."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import jax
import numpy as np
import pytest

import gammajax
from gammajax import Fit, Likelihood
from gammajax.errors import DeviceError, ScanError
from gammajax.runtime import is_lost, is_out_of_memory, status_of
from gammajax.scan.engine import is_device_error
from tests.scan import lost_device
from tests.scan.stored import assert_same, contents, environment

AXES, SIZE = {"x": np.linspace(0, 2, 400)}, 20
SAID = r"INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"


@pytest.fixture(scope="module")
def fit():
    made = Fit(Likelihood.from_function(lost_device.statistic, {"x": 0.5, "y": 0.5}), backend="newton")
    made.run()
    return made


@pytest.fixture(autouse=True)
def found_again():
    yield
    lost_device.lose(float("inf"))


@pytest.fixture(scope="module")
def serial(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial") / "scan"
    return folder, scan(fit, folder)


def scan(fit, folder, **changes):
    how = {"reoptimize": True, "store": folder, "chunk_size": SIZE, "progress": False} | changes
    return fit.stat_grid(AXES, **how)


@pytest.mark.parametrize("form", ["statistic", "long_statistic"])
def test_fits_and_small_scans_say_it_in_words(form):
    """The runtime has two ways to say it: a ValueError where the program is started, or its own error where the result is fetched."""
    fit = Fit(Likelihood.from_function(getattr(lost_device, form), {"x": 0.5, "y": 0.5}), backend="newton")
    fit.run()
    profile = partial(fit.stat_profile, "x", [0.5, 1.0], reoptimize=True)
    calls = [fit.run, partial(fit.run, backend="minuit"), partial(fit.confidence, "x"), profile]
    if form == "statistic":
        calls.append(partial(fit.stat_grid, AXES, reoptimize=True))
    before = [call() for call in calls[:1]]
    lost_device.lose(0)
    for call in calls:
        with pytest.raises(
            DeviceError, match=f"the device failed while it computed .{SAID}.*JAX_PLATFORMS=cpu"
        ) as caught:
            call()
        assert isinstance(caught.value.__cause__, ValueError | jax.errors.JaxRuntimeError)
    lost_device.lose(float("inf"))
    assert fit.run().total_stat == before[0].total_stat


WORDS = {
    # text: a device error, lost, out of memory
    "INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE": (True, True, False),
    "UNAVAILABLE: the peer is gone": (True, True, False),
    "RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.": (True, False, True),
    "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory": (True, False, True),
    "INTERNAL: CpuCallback error calling callback: no such table": (False, False, False),
    "INVALID_ARGUMENT: operand 3": (False, False, False),
    "shapes (3,) and (4,) do not match": (False, False, False),
}


@pytest.mark.parametrize("text", WORDS)
def test_whose_fault_it_is(text):
    for error in (ValueError(text), jax.errors.JaxRuntimeError(text)):
        assert (bool(status_of(error)), is_lost(error), is_out_of_memory(error)) == WORDS[text]
    assert is_device_error(ValueError(text)) == WORDS[text][0]
    # not what a program of Python says in the same words
    assert status_of(KeyError(text)) == status_of(None) == ""


def test_a_scan_whose_device_is_lost_on_the_way_goes_on_later(fit, serial, tmp_path):
    """After some chunks, for good: the scan stops, no chunk has failed, and with another device the same bits come out."""

    def lose(progress):
        if progress.done == 7:
            lost_device.lose(0)

    with pytest.raises(ScanError, match=rf"the device failed in chunk 7 .*{SAID}.*make the same call again"):
        scan(fit, tmp_path / "scan", progress=lose)
    stored = gammajax.scan.open(tmp_path / "scan")
    assert (len(stored.done), stored.failed) == (7, {})
    lost_device.lose(float("inf"))
    assert_same(scan(fit, tmp_path / "scan"), serial[1])
    assert contents(tmp_path / "scan") == contents(serial[0])


@pytest.fixture
def workers(monkeypatch, tmp_path_factory):
    for name, value in environment(tmp_path_factory.mktemp("cache")).items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_worker_of_dask_whose_device_is_lost_leaves_and_its_chunks_do_not(fit, serial, tmp_path):
    pytest.importorskip("distributed")
    from gammajax.scan.dask import local_client

    with local_client(2) as client:
        # the worker that computes first, after some calls
        client.run(lost_device.lose, 5, tmp_path / "whose")
        assert len(client.nthreads()) == 2
        result = scan(fit, tmp_path / "scan", executor=client)
        assert len(client.nthreads()) == 1
    assert (tmp_path / "whose").exists()
    assert result.failures == ()
    assert_same(result, serial[1])
    assert contents(tmp_path / "scan") == contents(serial[0])


@pytest.mark.slow
@pytest.mark.usefixtures("workers")
def test_a_pool_whose_device_is_lost_ends_the_scan_and_fails_no_chunk(fit, serial, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=spawn, initializer=lost_device.lose, initargs=(5,)) as pool,
        pytest.raises(ScanError, match=rf"the device of a worker failed in chunk \d+ .*{SAID}.*same call again"),
    ):
        scan(fit, tmp_path / "scan", executor=pool)
    assert gammajax.scan.open(tmp_path / "scan").failed == {}
    assert_same(scan(fit, tmp_path / "scan"), serial[1])
