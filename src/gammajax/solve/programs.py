"""The two compiled programs of the solver, and how many lanes are fed to them.

A program takes `capacity` lanes and a number of inner batches that counts: one compilation serves every number of lanes. Inner
batches are small on a CPU, so that temporaries stay in the cache and a batch stops with its own slowest lane.
"""

import os
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.solve.lane import Settings, minimize_lane
from gammajax.units import double_precision

__all__ = ["ALONE", "Sizes", "evaluate_program", "in_parallel", "minimize_program", "sizes"]

# evaluations that one thread has done before another has begun
ALONE = 200


class Sizes:
    """Lanes per call and per inner batch, by the kind of device.

    Parameters
    ----------
    platform : str
        ``"cpu"``, or the name of an accelerator.
    """

    def __init__(self, platform: str) -> None:
        cpu = platform == "cpu"
        self.capacity = 1024 if cpu else 1 << 16
        self.minimize = 32 if cpu else 1 << 14
        self.evaluate = 32 if cpu else 1 << 16


@cache
def sizes(platform: str) -> Sizes:
    """Sizes for a kind of device."""
    return Sizes(platform)


def _spread(values: list, base: jax.Array, columns: tuple[int, ...]) -> list:
    """All P parameters as scalars: those that differ from lane to lane, and those that do not."""
    theta = [base[i] for i in range(len(base))]
    for i, v in zip(columns, values, strict=True):
        theta[i] = v
    return theta


def _batches(function: Callable, inputs: tuple, n_batches: Any, inner: int, shapes: tuple) -> tuple:
    """Apply `function` to the first `n_batches` inner batches of the inputs, along their leading axis.

    `shapes` are those of what comes back for one lane; asking JAX for them would trace the function a second time.
    """

    def part(i: jax.Array) -> tuple:
        return function(*(jax.lax.dynamic_slice_in_dim(x, i * inner, inner) for x in inputs))

    capacity = inputs[0].shape[0]
    out = tuple(jnp.zeros((capacity, *shape), inputs[0].dtype) for shape in shapes)

    def body(i: jax.Array, out: tuple) -> tuple:
        new = part(i)
        return tuple(
            jax.lax.dynamic_update_slice_in_dim(o, v.astype(o.dtype), i * inner, 0)
            for o, v in zip(out, new, strict=True)
        )

    return jax.lax.fori_loop(0, n_batches, body, out)


@partial(jax.jit, static_argnames=("columns", "active", "inner"))
def minimize_program(
    likelihood: Any,
    base: jax.Array,
    starts: jax.Array,
    again: jax.Array,
    free: jax.Array,
    settings: Settings,
    n_batches: Any,
    *,
    columns: tuple[int, ...],
    active: tuple[int, ...],
    inner: int,
) -> tuple:
    """Minimise lanes of `starts`, shape (capacity, len(columns)); see `minimize_lane` for what comes back, here all floats."""
    at = [columns.index(i) for i in active]

    def lane(start: jax.Array, again: jax.Array, free: jax.Array) -> tuple:
        def full(x: jax.Array) -> list:
            values = [start[k] for k in range(len(columns))]
            for n, k in enumerate(at):
                values[k] = x[n] * settings.scale[n]
            return _spread(values, base, columns)

        where = np.asarray(at, dtype=int)
        return minimize_lane(
            likelihood, full, active, start[where] / settings.scale, again[where] / settings.scale, free, settings
        )

    n = len(active)
    shapes: tuple = ((), (n,), (), (), (), (n,), (n, n))
    return _batches(jax.vmap(lane), (starts, again, free), n_batches, inner, shapes)


@partial(jax.jit, static_argnames=("columns", "inner"))
def evaluate_program(
    likelihood: Any, base: jax.Array, points: jax.Array, n_batches: Any, *, columns: tuple[int, ...], inner: int
) -> tuple:
    """Statistic of lanes of `points`, shape (capacity, len(columns)); nothing is fitted."""

    def lane(point: jax.Array) -> tuple:
        return (likelihood.stat(_spread([point[k] for k in range(len(columns))], base, columns)),)

    return _batches(jax.vmap(lane), (points,), n_batches, inner, ((),))


@cache
def _workers() -> tuple[ThreadPoolExecutor, int]:
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(n, thread_name_prefix="gammajax"), n


def pieces(n: int, capacity: int, inner: int, parallel: int, least: int = 1) -> list[tuple[int, int]]:
    """Begin and end of each call: whole inner batches, `least` to `capacity` lanes, and even over the workers."""
    batches = -(-n // inner)
    calls = max(min(parallel, batches, max(n // least, 1)), -(-batches // (capacity // inner)))
    edges = np.linspace(0, batches, calls + 1).round().astype(int) * inner
    return [(int(a), min(int(b), n)) for a, b in pairwise(edges)]


# programs that were run before
_ran: set[Hashable] = set()


def in_parallel(
    call: Callable[[int, int], Any], n: int, capacity: int, inner: int, platform: str, program: Hashable, least: int = 1
) -> Iterator[tuple[int, int, Any]]:
    """Run ``call(begin, end)`` over all pieces, on a CPU with one thread per core; yields them in order.

    XLA runs these small loops on one core; a second thread gains a factor of almost two on two. The first time that a
    `program` runs, its first piece runs alone: two threads would both compile it.
    """
    pool, workers = _workers() if platform == "cpu" else (None, 1)

    def scoped(begin: int, end: int) -> Any:
        # the scoped double precision holds for one thread
        with double_precision():
            return call(begin, end)

    todo = pieces(n, capacity, inner, workers, least)
    if pool is None or len(todo) == 1:
        yield from ((a, b, scoped(a, b)) for a, b in todo)
        return
    if program not in _ran:
        a, b = todo.pop(0)
        yield a, b, scoped(a, b)
        _ran.add(program)
    # this thread works as well: one hand-over less
    ahead = workers
    futures = {k: pool.submit(scoped, *todo[k]) for k in range(1, min(ahead, len(todo)))}
    try:
        for k, (a, b) in enumerate(todo):
            out = futures.pop(k).result() if k in futures else scoped(a, b)
            nxt = k + ahead
            if nxt < len(todo):
                futures[nxt] = pool.submit(scoped, *todo[nxt])
            yield a, b, out
    finally:
        for f in futures.values():
            f.cancel()
