"""Chunks of a grid of two parameters, by factors of each axis: whole rows, or what is needed of the first and the last."""

from dataclasses import dataclass
from math import ceil

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


def rows_of(task: Task, devices: tuple) -> "Rows | None":
    """The short cut for the chunks of a task on some devices, or None where they go node by node.

    It depends on the task and the kind of device alone: on what is scanned, and on how large scan and chunks are.
    """
    if len(task.grids) != 1 or len(task.grids[0].axes) != 2 or task.n_nodes < LARGE:
        return None
    grid, refitted = task.grids[0], None
    # a narrow grid would fill little of each tile
    if (devices[0].platform == "cpu" and 2 * grid.shape[1] < TILE[1]) or task.chunk_size < min(
        LEAST_ROWS * grid.shape[1], task.n_nodes
    ):
        return None
    if task.refits:
        refitted = only_strength(task.free, grid.index)
        if refitted < 0 or task.spec["starts"] != 1 or task.spec["max_iter"] != MAX_ITER:
            return None
    with double_precision():
        # not what is shared by several devices: each block runs on one
        compact = jax.device_put(task.compact, devices[0])
    blocks = Blocks.of(compact, (int(grid.index[0]), int(grid.index[1])), refitted)
    if blocks is None:
        return None
    axes = [a * task.factor[i] for a, i in zip(grid.axes, grid.index, strict=True)]
    limits = (0.0, 0.0) if refitted is None else (task.lower[refitted], task.upper[refitted])
    tol = float(task.spec["tol"]) if task.refits else 0.0
    return Rows(task, grid, axes, blocks, Setting(task.theta, middle_of(axes), limits, tol), devices)


@dataclass(frozen=True)
class Rows:
    """The program, its grid in internal units, and what all nodes have in common."""

    task: Task
    grid: Grid
    axes: list[np.ndarray]
    blocks: Blocks
    setting: Setting
    devices: tuple

    def compute(
        self, begin: int, end: int, refit: Refit, slab: int, into: dict[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Arrays of the nodes begin:end, as `compute_chunk` returns them.

        Parameters
        ----------
        begin, end : int
            Numbers of nodes.
        refit : `Refit`
            With a plan; it re-fits, or evaluates, the nodes at which the short cut does not do.
        slab : int
            So many of those at a time.
        into : dict of str to array, optional
            Where to put them, if whole rows are asked for.
        """
        width = self.grid.shape[1]
        first = begin // width
        axes = [self.axes[0][first : ceil(end / width)], self.axes[1]]
        skip, n = begin - first * width, end - begin
        whole = skip == 0 and n == len(axes[0]) * width
        out = self.blocks.run(self.setting, axes, self.devices, into=self._room(into, width) if whole else None)
        columns = tuple(a.reshape(-1)[skip : skip + n] for a in out)
        status = np.full(n, Status.EVALUATED.value, dtype=np.int8) if len(columns) == 1 else columns[3]
        left, finish = np.flatnonzero(missing(columns)), self._held if self.blocks.refitted is None else self._fitted
        for a in range(0, len(left), slab):
            part = left[a : a + slab]
            at = np.unravel_index(skip + part, out[0].shape)
            finish(columns, status, part, np.stack([x[k] for x, k in zip(axes, at, strict=True)], axis=1), refit)
        outside = self._outside(axes)
        if outside is not None:
            outside = outside.reshape(-1)[skip : skip + n]
            status[outside if self.blocks.refitted is None else fitted(status) & outside] = Status.OUTSIDE_LIMITS.value
        if self.blocks.refitted is None:
            return {"stat": columns[0], "status": status}
        strength, factor = columns[1], self.task.factor[self.blocks.refitted]
        if factor != 1:
            strength /= factor
        return {"stat": columns[0], "edm": columns[2], "status": status, "nuisance": strength[None]}

    def _room(self, into: dict[str, np.ndarray] | None, width: int) -> tuple[np.ndarray, ...] | None:
        if into is None:
            return None
        parts = [into["stat"]]
        if self.blocks.refitted is not None:
            parts += [into["nuisance"][0], into["edm"], into["status"]]
        return tuple(a.reshape(-1, width) for a in parts)

    def _held(self, columns: tuple, status: np.ndarray, left: np.ndarray, values: np.ndarray, refit: Refit) -> None:
        points = np.tile(self.task.theta, (len(left), 1))
        points[:, list(self.grid.index)] = values
        columns[0][left] = evaluate_batch(refit.likelihood, points, None, refit.plan)
        status[left[~np.isfinite(columns[0][left])]] = Status.NON_FINITE.value

    def _fitted(self, columns: tuple, status: np.ndarray, left: np.ndarray, values: np.ndarray, refit: Refit) -> None:
        again = refit.points([(self.grid.index, values)])
        for column, new in zip(columns, (again.stat, again.theta[:, self.blocks.refitted], again.edm), strict=False):
            column[left] = new
        status[left] = again.status

    def _outside(self, axes: list[np.ndarray]) -> np.ndarray | None:
        """Nodes outside the limits of a scanned parameter, or None if there are none."""
        lower, upper = self.task.lower, self.task.upper
        x, y = ((v < lower[i]) | (v > upper[i]) for i, v in zip(self.grid.index, axes, strict=True))
        return x[:, None] | y if x.any() or y.any() else None
