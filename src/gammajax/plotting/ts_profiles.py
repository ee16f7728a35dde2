"""The scanned statistic of flux points as an image."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes
from gammajax.plotting.flux_points import UNITS, own_unit

__all__ = ["plot_ts_profiles"]

PIXELS = 500


def plot_ts_profiles(
    points: Any, ax: Any = None, sed_type: str = "e2dnde", add_cbar: bool = True, **kwargs: Any
) -> Any:
    r"""Plot the likelihood profiles of flux points: :math:`-\Delta TS` over energy, or time, and flux; white below -4.

    Between the nodes of the scan the root of :math:`\Delta TS` is linear in the strength, with its sign and 0 at the best strength: exact
    for a parabola. Nothing is drawn where the scan does not reach.

    Parameters
    ----------
    points : `gammajax.FluxPoints`
        Points, or a light curve of one energy bin, with ``selection_optional=["scan"]``.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    sed_type : {"e2dnde", "dnde", "flux", "eflux", "norm"}
        What the other axis is.
    add_cbar : bool
        Whether to draw a colour bar.
    **kwargs
        To `matplotlib.axes.Axes.pcolormesh`; `vmin` is where white begins.

    Returns
    -------
    `matplotlib.axes.Axes`

    Raises
    ------
    InputError
        For points without scans, or a light curve of several energy bins.
    """
    if sed_type not in UNITS:
        raise InputError(f"plot: unknown sed_type {sed_type!r}, expected one of {', '.join(UNITS)}.")
    if len(points.norm_scan) < 2:
        raise InputError("plot_ts_profiles: the points have no scans; estimate them with selection_optional=['scan'].")
    if points.gti is not None and points.norm.shape[1] != 1:
        raise InputError(
            f"plot_ts_profiles: the light curve has {points.norm.shape[1]} energy bins; an image shows time and flux, so that it takes one."
        )
    n = points.norm.size
    reference = np.ones(n)
    if sed_type != "norm":
        one = points.quantity(sed_type).unit.to(UNITS[sed_type])
        reference = np.broadcast_to(points.reference[sed_type] * one, n)
    edges = _flux_edges(points.norm_scan, reference)
    centre = 0.5 * (edges[1:] + edges[:-1])
    ts = (points.stat_scan - points.stat[..., None]).reshape(n, -1)
    best = np.where(points.success, points.norm, 0.0).ravel()
    image = np.array(
        [_delta_ts(points.norm_scan, t, b, centre / r) for t, b, r in zip(ts, best, reference, strict=True)]
    )
    style: dict[str, Any] = {
        "vmin": -4,
        "vmax": 0,
        "zorder": 0,
        "cmap": "Blues",
        "linewidth": 0,
        "shading": "flat",
    } | kwargs
    shown = np.where(image <= -style["vmin"], -image, np.nan)
    ax = new_axes(ax)
    x, shown = _along(points, shown)
    factor, text = own_unit(ax, sed_type)
    mesh = ax.pcolormesh(x, factor * edges, shown.T, **style)
    if edges[0] > 0:
        ax.set_yscale("log")
    if points.gti is None:
        ax.set_xscale("log")
        ax.set_xlabel("Energy [TeV]")
    else:
        ax.set_xlabel(f"Time [MJD, {points.gti.time_ref.scale.upper()}]")
    ax.set_ylabel(text)
    if add_cbar:
        ax.figure.colorbar(mesh, ax=ax, label="Fit statistic difference")
    return ax


def _flux_edges(norm: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Edges of the pixels: all that the scans reach, in equal ratios where it is above 0."""
    low, high = np.min(norm.min() * reference), np.max(norm.max() * reference)
    return np.geomspace(low, high, PIXELS + 1) if low > 0 else np.linspace(low, high, PIXELS + 1)


def _delta_ts(norm: np.ndarray, ts: np.ndarray, best: float, at: np.ndarray) -> np.ndarray:
    """The rise of the statistic at some strengths, nan outside of the scan."""
    known = np.isfinite(ts)
    x, y = norm[known], np.sign(norm - best)[known] * np.sqrt(np.maximum(ts[known], 0.0))
    if len(x) == 0:
        return np.full(len(at), np.nan)
    x, y = np.append(x, best), np.append(y, 0.0)
    order = np.argsort(x, kind="stable")
    low, high = norm[known].min(), norm[known].max()
    return np.where((at >= low) & (at <= high), np.interp(at, x[order], y[order]) ** 2, np.nan)


def _along(points: Any, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the bins, and the image with empty columns where time bins leave gaps."""
    if points.gti is None:
        return points.energy_edges, image
    start, stop = points.gti.time_start.mjd, points.gti.time_stop.mjd
    edges = np.stack([start, stop], axis=1).ravel()
    spread = np.full((2 * len(start) - 1, image.shape[1]), np.nan)
    spread[::2] = image
    return edges, spread
