"""Level lines of a surface."""

import numpy as np

__all__ = ["level_lines"]


def level_lines(x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float) -> tuple[list[np.ndarray], bool]:
    """Lines on which a surface, linear between its nodes, takes a value.

    Parameters
    ----------
    x, y : array, shapes (nx,), (ny,)
        Axes.
    values : array, shape (nx, ny)
        The surface; cells with a nan are left out.
    level : float
        The value.

    Returns
    -------
    lines : list of array, shape (n, 2)
        Vertices of each line, in order; a closed one ends where it begins.
    cut : bool
        Whether a line ends at the edge of the grid (or at a cell that is left out).
    """
    segments = _segments(x, y, values, level)
    lines = _join(segments)
    return lines, any(not np.array_equal(line[0], line[-1]) for line in lines)


def _segments(x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float) -> list[tuple]:
    """Marching squares: pairs of edge points, each keyed by the grid edge it lies on."""
    out = []
    for i in range(len(x) - 1):
        for j in range(len(y) - 1):
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            v = [values[c] for c in corners]
            if not np.all(np.isfinite(v)):
                continue
            crossed = []
            for k in range(4):
                a, b = k, (k + 1) % 4
                if (v[a] < level) != (v[b] < level):
                    first, second = sorted((corners[a], corners[b]))
                    va, vb = values[first], values[second]
                    t = (level - va) / (vb - va)
                    point = (
                        x[first[0]] + t * (x[second[0]] - x[first[0]]),
                        y[first[1]] + t * (y[second[1]] - y[first[1]]),
                    )
                    crossed.append(((first, second), point))
            if len(crossed) == 4 and (np.mean(v) < level) != (v[0] < level):
                # saddle cell: the mean decides which corners are joined
                crossed = [crossed[1], crossed[2], crossed[3], crossed[0]]
            out += [(crossed[k], crossed[k + 1]) for k in range(0, len(crossed), 2)]
    return out


def _join(segments: list[tuple]) -> list[np.ndarray]:
    """Chain segments that share a grid edge into lines; open ones begin at a free end."""
    points: dict = {}
    neighbours: dict = {}
    for (ka, pa), (kb, pb) in segments:
        points[ka], points[kb] = pa, pb
        neighbours.setdefault(ka, []).append(kb)
        neighbours.setdefault(kb, []).append(ka)
    lines, left = [], dict.fromkeys(sorted(neighbours, key=lambda k: (len(neighbours[k]), k)))
    while left:
        key = next(iter(left))
        closed = len(neighbours[key]) == 2
        chain = [key]
        left.pop(key)
        while True:
            following = [k for k in neighbours[chain[-1]] if k in left]
            if not following:
                break
            chain.append(following[0])
            left.pop(following[0])
        if closed:
            chain.append(chain[0])
        lines.append(np.array([points[k] for k in chain]))
    return lines
