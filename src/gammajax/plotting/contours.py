"""Contour lines through a few points."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes, unit_text

__all__ = ["closed_curve", "plot_contour", "plot_contour_line"]


def closed_curve(x: np.ndarray, y: np.ndarray, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Smooth closed curve through points: a periodic cubic spline.

    Parameters
    ----------
    x, y : array, shape (k,)
        At least 4 points, in order, not closed.
    n : int
        Points on the curve.

    Returns
    -------
    x, y : array, shape (n,)
    """
    from scipy.interpolate import CubicSpline

    points = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)], axis=1)
    if len(points) < 4 or points.ndim != 2 or not np.all(np.isfinite(points)):
        raise InputError(f"contour line: got {len(points)} points, expected at least 4 finite ones.")
    if np.allclose(points[0], points[-1], rtol=1e-12, atol=0):
        points = points[:-1]
    # distances along the contour made round: in raw units one axis alone sets them, and a long thin contour has its
    # points crowded at the tips, where the spline would overshoot
    closed = np.vstack([points, points[:1]])
    steps = np.linalg.norm(np.diff(_rounded(closed), axis=0), axis=1)
    if np.any(steps == 0):
        raise InputError("contour line: two neighbouring points are the same.")
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    curve = CubicSpline(distance, closed, bc_type="periodic")(np.linspace(0, distance[-1], n))
    return curve[:, 0], curve[:, 1]


def _rounded(points: np.ndarray) -> np.ndarray:
    """Points in the axes of their scatter, with unit width along each; shape (n, 2)."""
    extent = np.ptp(points, axis=0)
    centred = (points - points.mean(axis=0)) / np.where(extent > 0, extent, 1.0)
    _, size, axes = np.linalg.svd(centred[:-1], full_matrices=False)
    return centred @ axes.T / np.where(size > 1e-9 * size[0], size, 1.0)


def plot_contour_line(ax: Any, x: Any, y: Any, **kwargs: Any) -> Any:
    """Plot a smooth closed line through the points of a contour, and the points.

    Parameters
    ----------
    ax : `matplotlib.axes.Axes`
        Axes.
    x, y : array, shape (k,)
        At least 4 points, in order.
    **kwargs
        To `matplotlib.axes.Axes.plot`; ``marker`` is that of the points.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    options = {"color": "b"} | kwargs
    marker = options.pop("marker", "+")
    ax.plot(*closed_curve(x, y), **options)
    ax.plot(x, y, linestyle="", marker=marker, color=options["color"])
    return ax


def plot_contour(contour: Any, ax: Any = None, **kwargs: Any) -> Any:
    """Plot the contour of a fit: a smooth line through its points, or the lines as they are where it was traced from a surface.

    Parameters
    ----------
    contour : `gammajax.ContourResult`
        The contour.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    **kwargs
        To `matplotlib.axes.Axes.plot`; ``label`` tells the level if not given.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    options: dict[str, Any] = {"label": f"{contour.sigma:g} sigma"} | kwargs
    if contour.pieces:
        options = {"color": "b"} | options
        for piece in contour.pieces:
            ax.plot(*np.asarray(piece).T, **options)
            options["label"] = None
    else:
        known = np.isfinite(contour.x) & np.isfinite(contour.y)
        plot_contour_line(ax, contour.x[known], contour.y[known], **options)
    for set_label, name, unit in zip((ax.set_xlabel, ax.set_ylabel), contour.names, contour.units, strict=True):
        set_label(f"{name.rpartition('.')[2]}{unit_text(unit)}")
    return ax
