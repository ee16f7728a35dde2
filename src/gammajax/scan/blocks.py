"""The program for surfaces, run over a grid in blocks that fit into one call each."""

from math import ceil
from typing import Any, NamedTuple

import jax
import numpy as np

from gammajax.direct import own_devices
from gammajax.likelihood.factors import parts_of
from gammajax.solve import Status, fitted
from gammajax.solve.programs import in_parallel
from gammajax.solve.surface import TILE, capacity_of, cut, filled, surface_program
from gammajax.solve.watch import nodes_done
from gammajax.units import double_precision

__all__ = ["Blocks", "Setting", "middle_of", "missing", "only_strength"]


class Setting(NamedTuple):
    """What the nodes of a grid have in common, internal units.

    Attributes
    ----------
    theta : array, shape (P,)
        The parameters that are not scanned, and where the re-fitted one is at the best fit.
    middle : sequence of float
        x and y at which factors are parted.
    limits : sequence of float
        Of the strength that is re-fitted.
    tol : float
        EDM below which a node has converged.
    """

    theta: np.ndarray
    middle: Any
    limits: Any
    tol: float


class Blocks:
    """A likelihood on grids of two of its parameters, with nothing or one strength re-fitted; see `surface_program`.

    Parameters
    ----------
    compact : `gammajax.likelihood.Compact`
        The likelihood.
    parts : tuple
        From `gammajax.likelihood.factors.parts_of`.
    pair : (int, int)
        Positions of x and y in theta.
    refitted : int or None
        Position of the strength that is re-fitted.
    """

    def __init__(self, compact: Any, parts: tuple, pair: tuple[int, int], refitted: int | None) -> None:
        leaves, self.tree = jax.tree.flatten(compact)
        self.parts, self.pair, self.refitted = parts, pair, refitted
        self._leaves: dict[Any, tuple] = {None: tuple(leaves)}
        self._programs: dict[tuple[int, int], Any] = {}

    @classmethod
    def of(cls, compact: Any, pair: tuple[int, int], refitted: int | None) -> "Blocks | None":
        """The same, or None where a likelihood is no product of factors."""
        parts = parts_of(compact, *pair, refitted)
        return None if parts is None else cls(compact, parts, pair, refitted)

    def run(
        self, setting: Setting, axes: list[np.ndarray], device: Any = None, large: bool = True, parallel: int = 1
    ) -> tuple[np.ndarray, ...]:
        """The statistic at all nodes; with a strength re-fitted also that, the EDM and the status.

        Parameters
        ----------
        setting : `Setting`
            What the nodes have in common.
        axes : list of array
            Values of x and y.
        device : jax.Device, optional
            A CPU device; the first one by default.
        large : bool
            Whether to use the program for large grids.
        parallel : int
            Blocks that there are at least; how a grid is cut, and with it the last bit of a node, depends on nothing else but its shape.
        """
        shape, capacity = (len(axes[0]), len(axes[1])), capacity_of(large)
        blocks = cut(shape, capacity, parallel)
        kinds = (float,) if self.refitted is None else (float, float, float, np.int8)
        out = tuple(np.empty(shape, kind) for kind in kinds)
        program, leaves = self._program(capacity), self._on(device)

        def call(begin: int, end: int) -> None:
            for block in blocks[begin:end]:
                parts = [a[s] for a, s in zip(axes, block, strict=True)]
                tiles = [ceil(len(p) / t) for p, t in zip(parts, TILE, strict=True)]
                values = [filled(p, c) for p, c in zip(parts, capacity, strict=True)]
                common = np.concatenate([setting.theta, setting.middle, tiles, setting.limits, [setting.tol], *values])
                found = np.asarray(program(leaves, common))[: len(parts[0]), : len(parts[1])]
                for k, column in enumerate(out):
                    column[block] = _codes(found) if column.dtype == np.int8 else found[..., k]

        if len(blocks) == 1:
            with double_precision():
                call(0, 1)
            return out
        key = (
            "surface", self.tree, self.parts, self.pair, self.refitted, capacity, device, tuple(a.shape for a in leaves),
        )  # fmt: skip
        for begin, end, _ in in_parallel(call, len(blocks), 1, 1, "cpu", key):
            nodes_done(sum(out[0][block].size for block in blocks[begin:end]))
        return out

    def _program(self, capacity: tuple[int, int]) -> Any:
        if capacity not in self._programs:
            self._programs[capacity] = surface_program(self.tree, self.parts, self.pair, self.refitted, capacity)
        return self._programs[capacity]

    def _on(self, device: Any) -> tuple:
        if device == own_devices()[0]:
            device = None
        if device not in self._leaves:
            with double_precision():
                self._leaves[device] = tuple(jax.device_put(self._leaves[None], device))
        return self._leaves[device]


def _codes(found: np.ndarray) -> np.ndarray:
    """Status of the nodes of a block; where the statistic is not finite, that of a node which is not done."""
    finite = np.isfinite(found[..., 0])
    return found[..., 3] if finite.all() else np.where(finite, found[..., 3], Status.ITERATION_LIMIT.value)


def missing(out: tuple[np.ndarray, ...]) -> np.ndarray:
    """Nodes that the program leaves to the general solver, shape of the grid."""
    good = np.isfinite(out[0])
    return ~good if len(out) == 1 else ~(good & fitted(out[3]))


def middle_of(axes: list[np.ndarray]) -> list[float]:
    """Middle of the ranges of x and y."""
    return [0.5 * (a.min() + a.max()) for a in axes]


def only_strength(free: np.ndarray, index: Any) -> int:
    """Position of the one free parameter that is not scanned; -1 if there is none or more than one."""
    others = [int(i) for i in np.flatnonzero(free) if i not in index]
    return others[0] if len(others) == 1 else -1
