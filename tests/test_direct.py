"""The client of our own: who runs the programs, what a person still has, and what happens where there is none."""

import os
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax import Fit, Likelihood, Parameter, direct
from gammajax.direct import direct_device, own_devices, shared
from gammajax.units import double_precision

COUNTS = np.array([3.0, 5.0, 9.0, 2.0])


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, timeout=300
    )


def poisson(theta, counts):
    """Cash statistic of counts with one strength and one slope."""
    mu = theta[0] * jnp.exp(theta[1] * jnp.arange(4))
    return 2 * jnp.sum(mu - counts * jnp.log(mu))


def parameters():
    return [Parameter("a", 4.0), Parameter("b", 0.1)]


@pytest.fixture
def without(monkeypatch):
    """A JAX that makes no client."""
    from jax._src.lib import xla_client

    def none(*args, **kwargs):
        raise RuntimeError("not today")

    monkeypatch.setattr(xla_client, "make_cpu_client", none)
    monkeypatch.setattr(direct, "_made", {})


def who_runs():
    """The thread in which a program calls back, and the type of the numbers that it gives."""
    seen = []

    def back(x):
        seen.append((threading.get_ident(), np.asarray(x).dtype))
        return x

    @jax.jit
    def program(x):
        return jax.pure_callback(back, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    with double_precision():
        np.asarray(program(np.ones(3)))
    return seen[0]


def test_programs_run_in_the_thread_that_calls():
    assert direct_device() is not None
    assert own_devices() == (direct_device(),)
    assert who_runs() == (threading.get_ident(), np.float64)


def test_without_a_client_jax_does_it_its_own_way(without):
    assert direct_device() is None
    assert own_devices() == tuple(jax.local_devices())
    with double_precision():
        assert np.asarray(jax.jit(jnp.sin)(np.ones(2))).dtype == np.float64


def test_fits_are_the_same_with_and_without(without, monkeypatch):
    found = []
    for _ in range(2):
        result = Fit(backend="newton").run(Likelihood.from_function(poisson, parameters(), COUNTS))
        found.append((result.total_stat, result.parameters.value.tolist(), result.covariance.data.tolist()))
        # the second time with a client
        monkeypatch.undo()
        assert direct_device() is not None
    assert found[0] == found[1]


def test_scope_is_left_as_it_was_found_also_by_an_error():
    before = jax.config.jax_default_device, jax.config.jax_enable_x64
    with pytest.raises(ZeroDivisionError), double_precision(), double_precision():
        1 / (jax.config.jax_default_device is not direct_device())
    assert (jax.config.jax_default_device, jax.config.jax_enable_x64) == before


def test_a_device_that_a_person_has_chosen_is_used():
    with jax.default_device(jax.devices("cpu")[0]):
        assert direct_device() is None
        with double_precision():
            assert jnp.ones(3).devices() == set(jax.devices("cpu"))


def test_likelihoods_mix_with_arrays_of_a_person():
    """Their own programs on arrays of JAX's device, and functions that hold such arrays."""
    with jax.enable_x64(True):
        mine = jax.device_put(jnp.asarray(COUNTS), jax.devices("cpu")[0])
        theta = jax.device_put(jnp.array([4.0, 0.1]), jax.devices("cpu")[0])
    holding = Likelihood.from_function(lambda theta: poisson(theta, mine), parameters())
    given = Likelihood.from_function(poisson, parameters(), mine)
    fits = [Fit(backend="newton").run(like).total_stat for like in (holding, given)]
    assert fits[0] == pytest.approx(fits[1], rel=1e-14)
    with jax.enable_x64(True):
        for like in (holding, given):
            value, slope = jax.jit(jax.value_and_grad(lambda t, L: L.stat(t)))(theta, like)
            assert value.devices() == set(jax.devices("cpu"))
            np.testing.assert_allclose(value, poisson(theta, mine), rtol=1e-14)
            assert np.isfinite(np.asarray(slope)).all()


def test_what_a_person_sees_is_on_the_device_of_jax():
    with double_precision():
        assert shared(np.ones(2)).devices() == set(jax.devices("cpu"))
        assert direct.direct(np.ones(2)).devices() == {direct_device()}


def test_an_array_is_moved_once():
    with jax.enable_x64(True):
        array = jnp.arange(4.0)
    first, again = direct.direct([array]), direct.direct([array])
    assert first[0] is again[0]
    key = id(array)
    assert key in direct._copies
    del array, first, again
    assert key not in direct._copies


def test_several_devices_are_all_used():
    code = "import jax; from gammajax.direct import own_devices; assert own_devices() == tuple(jax.devices()); print(len(own_devices()))"
    run = run_python(code, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert (run.stdout.strip(), run.returncode) == ("2", 0), run.stderr


def test_an_array_that_is_there_is_not_kept():
    there = direct.direct(np.arange(4.0))
    before = len(direct._copies)
    assert direct.direct(there) is there
    assert len(direct._copies) == before


def test_threads_that_begin_together_get_one_device(monkeypatch):
    monkeypatch.setattr(direct, "_made", {})
    gate, found = threading.Barrier(8), []

    def begin():
        gate.wait()
        found.append(direct_device())

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 8
    assert len({id(d) for d in found}) == 1


def test_a_device_may_be_chosen_between_two_fits():
    likes = [Likelihood.from_function(poisson, parameters(), COUNTS) for _ in range(2)]

    def here(like):
        return Fit(backend="newton").run(like).total_stat

    def chosen(like):
        with jax.default_device(jax.devices("cpu")[0]):
            return here(like)

    found = [here(likes[0]), chosen(likes[0]), chosen(likes[1]), here(likes[1])]
    np.testing.assert_allclose(found, found[0], rtol=1e-14)
