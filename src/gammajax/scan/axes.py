"""What is scanned: axes over some parameters, as a stored scan tells it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Grid", "grids_of"]


@dataclass(frozen=True)
class Grid:
    """Axes over some parameters.

    Attributes
    ----------
    names : tuple of str
        Unique names of the parameters.
    index : tuple of int
        Their positions in theta.
    axes : tuple of array
        Values in the parameters' own units.
    """

    names: tuple[str, ...]
    index: tuple[int, ...]
    axes: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each axis."""
        return tuple(len(a) for a in self.axes)

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(np.prod([len(a) for a in self.axes], dtype=object))


def grids_of(spec: dict[str, Any]) -> tuple[Grid, ...]:
    """The grids of a specification."""
    return tuple(
        Grid(tuple(g["names"]), tuple(g["index"]), tuple(np.array(a, dtype=float) for a in g["axes"]))
        for g in spec["grids"]
    )
