"""Chunks of a grid of two parameters, by factors of each axis: whole rows, or what is needed of the first and the last."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import jax
import numpy as np

from gammajax.scan.blocks import Blocks, Setting, middle_of, missing, only_strength
from gammajax.scan.refit import Refit
from gammajax.scan.surface import LARGE
from gammajax.scan.task import Grid, Task
from gammajax.solve import Status, evaluate_batch, fitted
from gammajax.solve.batch import MAX_ITER
from gammajax.solve.surface import TILE
from gammajax.units import double_precision

__all__ = ["LEAST_ROWS", "Rows", "rows_of"]

# rows of a chunk from which on it may begin and end within one: what is computed in vain then costs less than the general solver
LEAST_ROWS = 8


def rows_of(task: Task, device: jax.Device) -> "Rows | None":
    """The short cut for the chunks of a task on a device, or None where they go node by node.

    It depends on the task and the kind of device alone: on what is scanned, and on how large scan and chunks are.
    """
    if len(task.grids) != 1 or len(task.grids[0].axes) != 2 or device.platform != "cpu" or task.n_nodes < LARGE:
        return None
    grid, refitted = task.grids[0], None
    # a narrow grid would fill little of each tile
    if 2 * grid.shape[1] < TILE[1] or task.chunk_size < min(LEAST_ROWS * grid.shape[1], task.n_nodes):
        return None
    if task.refits:
        refitted = only_strength(task.free, grid.index)
        if refitted < 0 or task.spec["starts"] != 1 or task.spec["max_iter"] != MAX_ITER:
            return None
    with double_precision():
        # not what is shared by several devices: each block runs on one
        compact = jax.device_put(task.compact, device)
    blocks = Blocks.of(compact, (int(grid.index[0]), int(grid.index[1])), refitted)
    if blocks is None:
        return None
    axes = [a * task.factor[i] for a, i in zip(grid.axes, grid.index, strict=True)]
    limits = (0.0, 0.0) if refitted is None else (task.lower[refitted], task.upper[refitted])
    tol = float(task.spec["tol"]) if task.refits else 0.0
    return Rows(task, grid, axes, blocks, Setting(task.theta, middle_of(axes), limits, tol), device)


@dataclass(frozen=True)
class Rows:
    """The program, its grid in internal units, and what all nodes have in common."""

    task: Task
    grid: Grid
    axes: list[np.ndarray]
    blocks: Blocks
    setting: Setting
    device: Any

    def compute(self, begin: int, end: int, refit: Refit, slab: int) -> dict[str, np.ndarray]:
        """Arrays of the nodes begin:end, as `compute_chunk` returns them.

        Parameters
        ----------
        begin, end : int
            Numbers of nodes.
        refit : `Refit`
            With a plan; it re-fits, or evaluates, the nodes at which the short cut does not do.
        slab : int
            So many of those at a time.
        """
        width = self.grid.shape[1]
        first = begin // width
        axes = [self.axes[0][first : ceil(end / width)], self.axes[1]]
        out = self.blocks.run(self.setting, axes, self.device)
        skip, n = begin - first * width, end - begin
        columns = [a.reshape(-1)[skip : skip + n] for a in out]
        status = np.full(n, Status.EVALUATED.value, dtype=np.int8) if len(columns) == 1 else columns[3]
        finish = self._held if self.blocks.refitted is None else self._fitted
        for a in range(0, n, slab):
            part = tuple(c[a : a + slab] for c in columns)
            at = np.unravel_index(np.arange(skip + a, skip + a + len(part[0])), out[0].shape)
            finish(part, status[a : a + slab], [x[k] for x, k in zip(axes, at, strict=True)], refit)
        if self.blocks.refitted is None:
            return {"stat": columns[0], "status": status}
        strength = columns[1]
        strength /= self.task.factor[self.blocks.refitted]
        return {"stat": columns[0], "edm": columns[2], "status": status, "nuisance": strength[None]}

    def _held(self, columns: tuple, status: np.ndarray, values: list[np.ndarray], refit: Refit) -> None:
        (stat,), bad = columns, missing(columns)
        if bad.any():
            points = np.tile(self.task.theta, (int(bad.sum()), 1))
            points[:, list(self.grid.index)] = np.stack(values, axis=1)[bad]
            stat[bad] = evaluate_batch(refit.likelihood, points, None, refit.plan)
            status[~np.isfinite(stat)] = Status.NON_FINITE.value
        status[self._outside(values)] = Status.OUTSIDE_LIMITS.value

    def _fitted(self, columns: tuple, status: np.ndarray, values: list[np.ndarray], refit: Refit) -> None:
        (stat, strength, edm, _), bad = columns, missing(columns)
        if bad.any():
            again = refit.points([(self.grid.index, np.stack(values, axis=1)[bad])])
            stat[bad], edm[bad], status[bad] = again.stat, again.edm, again.status
            strength[bad] = again.theta[:, self.blocks.refitted]
        status[fitted(status) & self._outside(values)] = Status.OUTSIDE_LIMITS.value

    def _outside(self, values: list[np.ndarray]) -> np.ndarray:
        """Nodes outside the limits of a scanned parameter."""
        lower, upper = self.task.lower, self.task.upper
        x, y = ((v < lower[i]) | (v > upper[i]) for i, v in zip(self.grid.index, values, strict=True))
        return x | y
