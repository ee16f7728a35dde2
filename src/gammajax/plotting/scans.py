"""Profiles and surfaces of the statistic."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes, unit_text

__all__ = ["plot_scan"]

KINDS = {"frozen": "other parameters held", "profile": "other parameters re-fitted"}


def plot_scan(scan: Any, ax: Any = None, sigma: tuple[float, ...] = (1, 2), **kwargs: Any) -> Any:
    """Plot a scan: TS as a curve for one parameter, sqrt(TS) as a picture with contours for two.

    Parameters
    ----------
    scan : `gammajax.ScanResult`
        Profile or surface.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    sigma : tuple of float
        Levels that are marked; TS = sigma^2.
    **kwargs
        To ``plot`` or ``pcolormesh``.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    if len(scan.names) > 2:
        raise InputError(f"plot: a scan of {len(scan.names)} parameters cannot be drawn, only of one or two.")
    ax = new_axes(ax)
    return _curve(scan, ax, sigma, **kwargs) if len(scan.names) == 1 else _picture(scan, ax, sigma, **kwargs)


def _axis_label(scan: Any, i: int) -> str:
    return scan.names[i].rsplit(".", 1)[-1] + unit_text(scan.units[i])


def _notes(ax: Any, notes: list[str]) -> None:
    if notes:
        # on a picture of any colour
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
        text = "\n".join(notes)
        ax.text(0.02, 0.02, text, transform=ax.transAxes, fontsize=7, color="tab:red", wrap=True, bbox=box)


def _curve(scan: Any, ax: Any, sigma: tuple[float, ...], **kwargs: Any) -> Any:
    ax.plot(scan.axes[0], scan.ts, **kwargs)
    bad = ~scan.ok
    if np.any(bad):
        ax.plot(scan.axes[0][bad], scan.ts[bad], "x", color="tab:red")
    top = np.nanmax(scan.ts) if np.any(np.isfinite(scan.ts)) else 1
    for s in sigma:
        if s**2 < 1.1 * top:
            ax.axhline(s**2, color="0.7", linewidth=0.7, linestyle="--")
    ax.axvline(scan.best[0], color="0.7", linewidth=0.7)
    ax.set(xlabel=_axis_label(scan, 0), ylabel="TS = stat - best stat")
    _notes(ax, scan.notes())
    return ax


def _picture(scan: Any, ax: Any, sigma: tuple[float, ...], **kwargs: Any) -> Any:
    values = np.where(scan.ok, scan.sqrt_ts, np.nan)
    mesh = ax.pcolormesh(*scan.axes, values.T, **({"shading": "nearest", "cmap": "viridis_r", "vmax": 5} | kwargs))
    ax.figure.colorbar(mesh, ax=ax, label=r"$\sqrt{\mathrm{TS}}$")
    lines, cut = scan.contour_lines(sigma)
    for level, pieces in lines.items():
        for k, line in enumerate(pieces):
            style = {"color": "white" if level > 1 else "tab:red", "linewidth": 1.5}
            ax.plot(line[:, 0], line[:, 1], label=rf"{level:g} $\sigma$" if k == 0 else None, **style)
    ax.plot(*scan.best, "+", color="tab:red", markersize=10)
    ax.set(xlabel=_axis_label(scan, 0), ylabel=_axis_label(scan, 1), title=f"{scan.kind}: {KINDS[scan.kind]}")
    if any(lines.values()):
        ax.legend(facecolor="0.4", labelcolor="white", fontsize=8)
    _notes(ax, scan.notes() + cut)
    return ax
