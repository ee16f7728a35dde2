"""The program for surfaces, run over a grid in blocks that fit into one call each."""

from math import ceil
from typing import Any, NamedTuple

import jax
import numpy as np

from gammajax.direct import home_device, own_devices
from gammajax.likelihood.factors import parts_of
from gammajax.solve import Status, fitted
from gammajax.solve.programs import in_parallel
from gammajax.solve.surface import Layout, cut, filled, layout_of, surface_program
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
        self._programs: dict[Layout, Any] = {}

    @classmethod
    def of(cls, compact: Any, pair: tuple[int, int], refitted: int | None) -> "Blocks | None":
        """The same, or None where a likelihood is no product of factors."""
        parts = parts_of(compact, *pair, refitted)
        return None if parts is None else cls(compact, parts, pair, refitted)

    def run(
        self, setting: Setting, axes: list[np.ndarray], devices: tuple = (), large: bool = True, parallel: int = 1,
        into: tuple[np.ndarray, ...] | None = None,
    ) -> tuple[np.ndarray, ...]:  # fmt: skip
        """The statistic at all nodes; with a strength re-fitted also that, the EDM and the status.

        Parameters
        ----------
        setting : `Setting`
            What the nodes have in common.
        axes : list of array
            Values of x and y.
        devices : tuple of jax.Device, optional
            Devices of one kind that take turns; the first one of this process by default. Of CPU devices only the first works: its threads
            have all cores.
        large : bool
            Whether to use the program for large grids.
        parallel : int
            Blocks that there are at least; how a grid is cut, and with it the last bit of a node, depends on nothing else but its shape.
        into : tuple of array, optional
            Where to put what is returned, arrays of the shape of the grid.
        """
        devices = devices or own_devices()[:1]
        platform = devices[0].platform
        devices = in_turn(devices)
        shape = (len(axes[0]), len(axes[1]))
        layout = layout_of(platform, large, shape)
        blocks = cut(shape, layout, parallel)
        kinds = (float,) if self.refitted is None else (float, float, float, np.int8)
        out = tuple(np.empty(shape, kind) for kind in kinds) if into is None else into
        program, leaves = self._program(layout), [self._on(d) for d in devices]

        def call(begin: int, end: int) -> None:
            for n, block in enumerate(blocks[begin:end], begin):
                parts = [a[s] for a, s in zip(axes, block, strict=True)]
                tiles = [ceil(len(p) / t) for p, t in zip(parts, layout.tile, strict=True)]
                values = [filled(p, c) for p, c in zip(parts, layout.capacity, strict=True)]
                common = np.concatenate([setting.theta, setting.middle, tiles, setting.limits, [setting.tol], *values])
                columns, codes = program(leaves[n % len(leaves)], common)
                found = np.asarray(columns)[:, : len(parts[0]), : len(parts[1])]
                for column, new in zip(out[:3], found, strict=False):
                    column[block] = new
                if self.refitted is not None:
                    status = found[3] if codes is None else np.asarray(codes)[: len(parts[0]), : len(parts[1])]
                    out[3][block] = _codes(status, found[0])

        if len(blocks) == 1:
            with double_precision():
                call(0, 1)
            return out
        arrays = tuple(a.shape for a in self._leaves[None])
        key = ("surface", self.tree, self.parts, self.pair, self.refitted, layout, devices, arrays)
        for begin, end, _ in in_parallel(call, len(blocks), 1, 1, platform, key, devices=len(devices)):
            nodes_done(sum(out[0][block].size for block in blocks[begin:end]))
        return out

    def _program(self, layout: Layout) -> Any:
        if layout not in self._programs:
            self._programs[layout] = surface_program(self.tree, self.parts, self.pair, self.refitted, layout)
        return self._programs[layout]

    def _on(self, device: Any) -> tuple:
        if device == home_device():
            device = None
        if device not in self._leaves:
            with double_precision():
                self._leaves[device] = tuple(jax.device_put(self._leaves[None], device))
        return self._leaves[device]


def in_turn(devices: tuple) -> tuple:
    """Devices that take turns: of a CPU only the first, whose threads have all cores."""
    return devices[:1] if devices[0].platform == "cpu" else devices


def _codes(status: np.ndarray, stat: np.ndarray) -> np.ndarray:
    """Status of the nodes of a block; where the statistic is not finite, that of a node which is not done."""
    finite = np.isfinite(stat)
    return status if finite.all() else np.where(finite, status, np.int8(Status.ITERATION_LIMIT.value))


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
