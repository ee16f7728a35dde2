"""Parameters that move a kink of a model: where it crosses the edge of a bin the second derivative jumps."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gammajax.units import double_precision

__all__ = ["mean_curvature", "moving_breaks"]

# a difference to the curvature at the point that is not worth replacing it
SAME = 0.01


def moving_breaks(likelihood: Any, index: np.ndarray, theta: np.ndarray) -> list[int]:
    """Which free parameters, as positions in `index`, move a break of a model of the likelihood at theta (P,)."""
    found: set[int] = set()
    for dataset in likelihood.structure.datasets:
        for term in getattr(dataset, "terms", ()):
            if term.form.breaks is not None:
                found |= _movers(term, theta)
    return [k for k, i in enumerate(index) if int(i) in found]


def _movers(term: Any, theta: np.ndarray) -> set[int]:
    n = len(term.form.names)
    values = [float(theta[i]) for i in term.index[:n]]
    with double_precision():
        before = np.array(term.form.breaks(*values), dtype=float)
        out = set()
        for k in range(n):
            moved = list(values)
            moved[k] += 1e-3 * (abs(moved[k]) or 1.0)
            after = np.array(term.form.breaks(*moved), dtype=float)
            if not np.array_equal(before, after):
                out.add(int(term.index[k]))
    return out


def mean_curvature(
    gradient_at: Callable[[np.ndarray], np.ndarray], x: np.ndarray, lower: np.ndarray, upper: np.ndarray, step: np.ndarray,
    gradient: np.ndarray, hessian: np.ndarray, which: Sequence[int],
) -> tuple[np.ndarray, list[int]]:  # fmt: skip
    """Hessian whose rows and columns of some parameters are means over one error to both sides.

    The first derivatives have no jump at a kink that moves, so that their differences are what the curvature is on
    average. The error is that of this very curvature, found in three rounds.

    Parameters
    ----------
    gradient_at : callable
        Gradient (n,) at a point (n,).
    x, lower, upper, step, gradient : array, shape (n,)
        Point, limits, first steps, gradient at the point.
    hessian : array, shape (n, n)
        Exact Hessian at the point.
    which : sequence of int
        Parameters that move a kink.

    Returns
    -------
    hessian, changed : array (n, n), list of int
        And those parameters whose curvature differs from that at the point.
    """
    out, changed = hessian.copy(), []
    for k in which:
        size = np.sqrt(2 / hessian[k, k]) if hessian[k, k] > 0 else step[k]
        row = hessian[k]
        for _ in range(3):
            high, low = x.copy(), x.copy()
            high[k], low[k] = min(x[k] + size, upper[k]), max(x[k] - size, lower[k])
            if not high[k] > low[k]:
                break
            difference = (gradient_at(high) - gradient_at(low)) / (high[k] - low[k])
            if not np.isfinite(difference).all() or difference[k] <= 0:
                size *= 0.5
                continue
            row, size = difference, np.sqrt(2 / difference[k])
        scale = np.sqrt(np.abs(np.diag(hessian)) * abs(hessian[k, k]))
        if np.any(np.abs(row - hessian[k]) > SAME * np.where(scale > 0, scale, np.inf)) or hessian[k, k] <= 0 < row[k]:
            changed.append(k)
            out[k, :] = out[:, k] = row
    return out, changed
