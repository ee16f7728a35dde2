"""One chunk of a scan, computed: a pure function of the task and the number."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import copy
from typing import Any

import jax
import numpy as np

from gammajax.direct import own_devices
from gammajax.likelihood.steep import steps_at
from gammajax.scan.grid import outside_limits
from gammajax.scan.refit import Refit
from gammajax.scan.rows import rows_of
from gammajax.scan.task import Grid, Task
from gammajax.solve import Plan, Status, evaluate_batch, fitted
from gammajax.solve.devices import ACCELERATE, cpu_device
from gammajax.solve.sharded import replicated
from gammajax.solve.watch import nodes_done
from gammajax.units import double_precision, require_device

__all__ = ["by_rows", "compute_chunk", "compute_nodes", "devices_for", "node_range"]

# parameters times nodes that are under way at the same time, by kind of device: their working arrays take some ten times as many numbers
SLAB = {"cpu": 1 << 19}
SLAB_ELSEWHERE = 1 << 20
SMALLEST = 1 << 10
# slabs that are prepared at the same time for an accelerator, which waits for the host otherwise
SLABS = 4


def devices_for(task: Task, device: Any = None) -> tuple:
    """Devices that compute the chunks: the one asked for, or all of this process of the kind that suits the size."""
    if device is not None:
        return (device,)
    require_device()
    devices = own_devices()
    if devices[0].platform != "cpu" and task.n_nodes < ACCELERATE:
        return (cpu_device(),)
    return devices


class _Placed:
    """A task whose likelihood is on the devices, as `Refit` and the solver take it."""

    def __init__(self, task: Task, devices: tuple) -> None:
        self.start, self.lower, self.upper = task.theta, task.lower, task.upper
        self.scale, self.free = task.scale, task.free
        self._host, self._devices = task.compact, devices
        self._compact = self._on_devices(task.compact)
        self.rows = rows_of(task, devices)
        self.step, self._steep = int(task.info.get("step", 0)), getattr(task.compact, "steep", ())
        self._steps = {self.step: self}

    def _on_devices(self, compact: Any) -> Any:
        with double_precision():
            if len(self._devices) > 1:
                return replicated(compact, self._devices)
            return jax.device_put(compact, self._devices[0])

    def steps(self, theta: np.ndarray) -> np.ndarray:
        """Which nodes points (n, P) ask for, as of a likelihood."""
        return steps_at(self._steep, theta)

    def at_step(self, step: int) -> "_Placed":
        """The same with more nodes, as of a likelihood; made once."""
        if step not in self._steps:
            new = copy(self)
            new._compact, new.step = self._on_devices(self._host.at_step(step)), step
            # another thread gets all of it
            self._steps[step] = new
        return self._steps[step]

    def compact(self) -> Any:
        """The likelihood on the devices."""
        return self._compact


def _placed(task: Task, devices: tuple) -> _Placed:
    if devices not in task.placed:
        task.placed[devices] = _Placed(task, devices)
    return task.placed[devices]


def by_rows(task: Task, device: Any = None) -> bool:
    """Whether chunks are computed by rows of a surface, by factors of each axis."""
    return _placed(task, devices_for(task, device)).rows is not None


def _plan(task: Task, devices: tuple) -> Plan:
    free, scanned = task.free, np.zeros(len(task.theta), dtype=bool)
    varied = np.zeros_like(free)
    for grid in task.grids:
        here = np.isin(np.arange(len(free)), grid.index)
        scanned |= here
        varied |= free & ~here
    return Plan(varied if task.refits else np.zeros_like(free), scanned, bool(task.info["large"]), devices)


def node_range(task: Task, number: int) -> tuple[int, int]:
    """First node of a chunk, and the one behind its last."""
    begin = number * task.chunk_size
    return begin, min(begin + task.chunk_size, task.n_nodes)


def _points(grid: Grid, factor: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Nodes begin:end of a grid in internal units, shape (n, k)."""
    at = np.unravel_index(np.arange(begin, end), grid.shape)
    return np.stack([a[i] * factor[k] for a, i, k in zip(grid.axes, at, grid.index, strict=True)], axis=1)


def _groups(task: Task, begin: int, end: int) -> list[tuple[Grid, np.ndarray]]:
    """The grids that the nodes begin:end belong to, with their values."""
    groups, first = [], 0
    for grid in task.grids:
        a, b = max(begin - first, 0), min(end - first, grid.size)
        if a < b:
            groups.append((grid, _points(grid, task.factor, a, b)))
        first += grid.size
    return groups


def compute_chunk(
    task: Task, number: int, device: Any = None, into: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Statistic, status and nuisance parameters of the nodes of a chunk.

    Parameters
    ----------
    task : `Task`
        The scan.
    number : int
        Which chunk.
    device : jax.Device, optional
        Where to run; all devices of the process by default.
    into : dict of str to array, optional
        Contiguous arrays of the chunk, as they are returned, that may be filled instead of new ones.

    Returns
    -------
    dict of str to array
        "stat" and "edm", shape (n,), "status", shape (n,), and "nuisance", shape (k, n): the stored parameters in their own units.
    """
    return compute_nodes(task, *node_range(task, number), device, into)


def compute_nodes(
    task: Task, begin: int, end: int, device: Any = None, into: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """The same for the nodes begin:end."""
    devices = devices_for(task, device)
    placed = _placed(task, devices)
    numbers = SLAB.get(devices[0].platform, SLAB_ELSEWHERE)
    slab = max(numbers // (len(task.theta) * task.spec["starts"]), SMALLEST)
    if placed.rows is not None:
        # few nodes are left to the general solver: not worth a program of their own
        refit = _refit(task, placed, _plan(task, devices)._replace(large=False))
        return placed.rows.compute(begin, end, refit, slab, into)
    n, k = end - begin, len(task.info["stored"])
    out: dict[str, np.ndarray] = {"stat": np.empty(n), "status": np.empty(n, dtype=np.int8)}
    if task.refits:
        out |= {"edm": np.empty(n), "nuisance": np.empty((k, n))}

    def one(a: int) -> None:
        b = min(a + slab, end)
        run = _refitted if task.refits else _evaluated
        for name, values in run(task, placed, _groups(task, a, b), _plan(task, devices)).items():
            out[name][..., a - begin : b - begin] = values
        nodes_done(b - a)

    _all_of(one, range(begin, end, slab), 1 if devices[0].platform == "cpu" else SLABS)
    return out


def _all_of(one: Callable[[int], None], slabs: range, threads: int) -> None:
    """Compute all slabs, some at the same time."""
    if threads == 1 or len(slabs) == 1:
        for a in slabs:
            one(a)
        return
    with ThreadPoolExecutor(min(threads, len(slabs))) as pool:
        # each thread is watched as this one is
        futures = [pool.submit(copy_context().run, one, a) for a in slabs]
        try:
            for f in futures:
                f.result()
        finally:
            for f in futures:
                f.cancel()


def _refit(task: Task, placed: Any, plan: Plan) -> Refit:
    options = {"tol": task.spec["tol"], "max_iter": task.spec["max_iter"]}
    refit = Refit(placed, task.hessian, task.spec["starts"], None, **options)
    refit.plan = plan
    return refit


def _refitted(task: Task, placed: Any, groups: list, plan: Plan) -> dict[str, np.ndarray]:
    refit = _refit(task, placed, plan)
    out = refit.points([(grid.index, values) for grid, values in groups])
    begin = 0
    for grid, values in groups:
        here = slice(begin, begin + len(values))
        begin += len(values)
        outside = outside_limits(task, out.theta[here], grid.index)
        out.status[here][fitted(out.status[here]) & outside] = Status.OUTSIDE_LIMITS.value
    stored = [task.spec["parameters"].index(n) for n in task.info["stored"]]
    nuisance = np.stack([out.theta[:, i] / task.factor[i] for i in stored]) if stored else np.empty((0, len(out.stat)))
    return {"stat": out.stat, "edm": out.edm, "status": out.status, "nuisance": nuisance}


def _evaluated(task: Task, placed: Any, groups: list, plan: Plan) -> dict[str, np.ndarray]:
    points = np.concatenate([np.tile(task.theta, (len(values), 1)) for _, values in groups])
    begin = 0
    outside = np.zeros(len(points), dtype=bool)
    for grid, values in groups:
        here = slice(begin, begin + len(values))
        begin += len(values)
        points[here, list(grid.index)] = values
        outside[here] = outside_limits(task, points[here], grid.index)
    stat = evaluate_batch(placed, points, None, plan)
    status = np.where(np.isfinite(stat), Status.EVALUATED.value, Status.NON_FINITE.value)
    status[outside] = Status.OUTSIDE_LIMITS.value
    return {"stat": stat, "status": status}
