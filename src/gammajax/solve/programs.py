"""The two compiled programs of the solver, and how many lanes are fed to them.

A program takes `capacity` lanes and a number of inner batches that counts: one compilation serves every number of lanes. Inner
batches are small on a CPU, so that temporaries stay in the cache and a batch stops with its own slowest lane.
"""

import os
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.compiling import finished, traced
from gammajax.solve.lane import Settings, minimize_lane
from gammajax.solve.watch import go_on, watching
from gammajax.units import double_precision

__all__ = [
    "ALONE",
    "ALONE_FITS",
    "Program",
    "Sizes",
    "evaluate_program",
    "in_parallel",
    "minimize_program",
    "sizes",
    "workers",
]

# vectors as wide as the processor has them, the default is half of that on many; and products by the thread that needs them: those
# that ask a pool for help wait for one another as soon as two threads run programs (measured: a gain of 1.4 instead of 2.0)
OPTIONS = {
    "xla_cpu_prefer_vector_width": 512,
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_multi_thread_eigen": False,
    # of a GPU: trying products out when compiling, two processes choose different ones, and the last bits of a scan depend on which it was
    "xla_gpu_autotune_level": 0,
}
# evaluations, and re-fits, that one thread has done before another has begun
ALONE = 200
ALONE_FITS = 96
# threads for each accelerator
FEEDERS = 3
# pieces of what may be stopped between two of them, at least; none has fewer lanes than that
FINE = 64


class Sizes:
    """Lanes per call (`large`: of the programs made for large scans) and per inner batch, by the kind of device.

    Parameters
    ----------
    platform : str
        ``"cpu"``, or the name of an accelerator.
    """

    def __init__(self, platform: str) -> None:
        cpu = platform == "cpu"
        self.capacity = 1024 if cpu else 1 << 16
        self.large = 8192 if cpu else 1 << 16
        self.minimize = 32 if cpu else 1 << 14
        self.evaluate = 32 if cpu else 1 << 16
        # of a surface, see `gammajax.solve.surface`; on a CPU it has tiles
        self.surface = 0 if cpu else 1 << 20


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


class Program:
    """A compiled function with `OPTIONS`, or without where a compiler of another version does not know them."""

    def __init__(self, function: Callable, static: tuple[str, ...]) -> None:
        self.__wrapped__, self.static = function, static
        self.__doc__ = function.__doc__
        self._traced = traced(function)
        self.compiled = jax.jit(self._traced, static_argnames=static, compiler_options=OPTIONS)

    def __call__(self, *arguments: Any, **static: Any) -> Any:
        """Run it; compiled the first time for arrays of these shapes."""
        try:
            return self._run(arguments, static)
        finally:
            finished()

    def _run(self, arguments: tuple, static: dict[str, Any]) -> Any:
        try:
            return self.compiled(*arguments, **static)
        except jax.errors.JaxRuntimeError as error:
            if "No such compile option" not in str(error):
                raise
        self.compiled = jax.jit(self._traced, static_argnames=self.static)
        return self.compiled(*arguments, **static)


def _batches(function: Callable, lanes: jax.Array, n_batches: Any, inner: int, width: int) -> jax.Array:
    """Apply `function` to the first `n_batches` inner batches of `lanes`; from one lane comes a row of `width` numbers."""
    out = jnp.zeros((lanes.shape[0], width), lanes.dtype)

    def none(part: jax.Array) -> jax.Array:
        return jnp.zeros((inner, width), part.dtype)

    def body(i: jax.Array, out: jax.Array) -> jax.Array:
        part = jax.lax.dynamic_slice_in_dim(lanes, i * inner, inner)
        # always true, but the compiler does not know: what stands in a branch it leaves whole. Outside it cuts loops in as many
        # pieces as there are cores, which costs their vector code and gains nothing, because each core has lanes of its own
        new = jax.lax.cond(i >= 0, jax.vmap(function), none, part)
        return jax.lax.dynamic_update_slice_in_dim(out, new, i * inner, 0)

    return jax.lax.fori_loop(0, n_batches, body, out)


def _cut(row: jax.Array, *sizes: int) -> list[jax.Array]:
    """A row of numbers in consecutive parts."""
    edges = np.cumsum((0, *sizes))
    return [row[a:b] for a, b in pairwise(edges)]


@partial(Program, static=("columns", "active", "inner", "shapes", "derivatives"))
def minimize_program(
    likelihood: Any,
    common: jax.Array,
    lanes: jax.Array,
    *,
    columns: tuple[int, ...],
    active: tuple[int, ...],
    inner: int,
    shapes: bool,
    derivatives: bool,
) -> jax.Array:
    """Minimise lanes; see `minimize_lane` for what comes back. Few large arrays go in and one comes out: each costs a transfer.

    Parameters
    ----------
    likelihood : object
        See `minimize_lane`.
    common : array, shape (P + 3 A + 4,)
        Parameters that no lane changes, lower and upper limits and scale of the active ones, the other `Settings`, and the number
        of inner batches that count.
    lanes : array, shape (capacity, 2 C + A + D)
        Of each lane the start and the second start in `columns`, which active parameters are free, and D numbers that are data of
        its own: with them the likelihood is that of ``likelihood.of_lane(numbers)``.

    Returns
    -------
    array, shape (capacity, 4 + A), with `derivatives` (capacity, 4 + 2 A + A^2)
        Statistic, EDM, iterations, status, active parameters, and the derivatives by them.
    """
    n, c = len(active), len(columns)
    base, lower, upper, scale, rest = _cut(common, len(common) - 3 * n - 4, n, n, n, 4)
    settings = Settings(lower, upper, scale, rest[0], rest[1], rest[2])
    at = np.array([columns.index(i) for i in active], dtype=int)

    def lane(row: jax.Array) -> jax.Array:
        start, again, free, own = _cut(row, c, c, n, len(row) - 2 * c - n)
        here = likelihood.of_lane(own) if len(own) else likelihood

        def full(x: jax.Array) -> list:
            values = [start[k] for k in range(c)]
            for number, k in enumerate(at):
                values[k] = x[number] * scale[number]
            return _spread(values, base, columns)

        stat, x, edm, iterations, status, gradient, hessian = minimize_lane(
            here, full, active, start[at] / scale, again[at] / scale, free > 0, settings, shapes
        )
        numbers = [jnp.stack([stat, edm, iterations.astype(edm.dtype), status.astype(edm.dtype)]), x]
        return jnp.concatenate(numbers + ([gradient, hessian.ravel()] if derivatives else []))

    return _batches(lane, lanes, rest[3].astype(int), inner, 4 + n + (n + n * n if derivatives else 0))


@partial(Program, static=("columns", "inner"))
def evaluate_program(
    likelihood: Any, common: jax.Array, points: jax.Array, *, columns: tuple[int, ...], inner: int
) -> jax.Array:
    """Statistic, shape (capacity, 1), of lanes of `points`, shape (capacity, C); nothing is fitted.

    `common`, shape (P + 1,), holds the parameters that no lane changes and the number of inner batches that count.
    """

    def lane(point: jax.Array) -> jax.Array:
        return likelihood.stat(_spread([point[k] for k in range(len(columns))], common[:-1], columns))[None]

    return _batches(lane, points, common[-1].astype(int), inner, 1)


@cache
def _workers() -> tuple[ThreadPoolExecutor, int]:
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # XLA obeys it too: a worker among several on one machine is given its share
    share = os.environ.get("NPROC", "")
    n = int(share) if share.isdigit() and int(share) else n
    return ThreadPoolExecutor(n, thread_name_prefix="gammajax"), n


def workers() -> int:
    """Threads that work on a CPU, one per core."""
    return _workers()[1]


@cache
def _feeders(devices: int) -> tuple[ThreadPoolExecutor, int]:
    """Threads that feed accelerators: while a program runs, lanes are filled for the next one and results of the last are fetched."""
    n = FEEDERS * devices
    return ThreadPoolExecutor(n, thread_name_prefix="gammajax-feed"), n


def pieces(n: int, capacity: int, inner: int, parallel: int, least: int = 1) -> list[tuple[int, int]]:
    """Begin and end of each call: whole inner batches, `least` to `capacity` lanes, and even over the workers."""
    batches = -(-n // inner)
    calls = max(min(parallel, batches, max(n // least, 1)), -(-batches // (capacity // inner)))
    if calls > parallel:
        # no worker waits for another's last one
        calls = min(-(-calls // parallel) * parallel, batches)
    edges = [(k * batches + calls // 2) // calls * inner for k in range(calls + 1)]
    return [(a, min(b, n)) for a, b in pairwise(edges)]


# programs that were run before
_ran: set[Hashable] = set()


def in_parallel(
    call: Callable[[int, int], Any], n: int, capacity: int, inner: int, platform: str, program: Hashable, least: int = 1,
    devices: int = 1,
) -> Iterator[tuple[int, int, Any]]:  # fmt: skip
    """Run ``call(begin, end)`` over all pieces, on a CPU with one thread per core, on accelerators with a few; yields them in order.

    XLA runs these small loops on one core; a second thread gains a factor of almost two on two. The first time that a
    `program` runs, its first piece runs alone: two threads would both compile it.
    """
    cpu = platform == "cpu"
    pool, workers = _workers() if cpu else _feeders(devices)

    def scoped(begin: int, end: int) -> Any:
        # the scoped double precision holds for one thread
        with double_precision():
            return call(begin, end)

    # shorter ones where somebody may want to stop
    parts = -(-FINE // workers) * workers if cpu and watching() else workers
    todo = pieces(n, capacity, inner, parts if cpu else 1, least)
    if len(todo) == 1:
        for a, b in todo:
            go_on()
            yield a, b, scoped(a, b)
        return
    if program not in _ran:
        a, b = todo.pop(0)
        yield a, b, scoped(a, b)
        _ran.add(program)
        go_on()
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
            go_on()
    finally:
        # those that run write into arrays which a second try fills again, and hold the memory that it needs
        wait([f for f in futures.values() if not f.cancel()])
