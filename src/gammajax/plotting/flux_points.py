"""Flux points with their errors and limits."""

from typing import Any

import numpy as np

from gammajax.plotting.axes import new_axes

__all__ = ["plot_flux_points"]

LABELS = {
    "dnde": "dN/dE [TeV$^{-1}$ s$^{-1}$ cm$^{-2}$]",
    "e2dnde": "E$^2$ dN/dE [TeV s$^{-1}$ cm$^{-2}$]",
    "flux": "Flux [s$^{-1}$ cm$^{-2}$]",
    "eflux": "Energy flux [TeV s$^{-1}$ cm$^{-2}$]",
}
# those of the plots of models, so that both can share axes
UNITS = {"dnde": "TeV-1 s-1 cm-2", "e2dnde": "TeV s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2"}


def plot_flux_points(
    points: Any, ax: Any = None, sed_type: str = "e2dnde", sqrt_ts_threshold_ul: float = 2, **kwargs: Any
) -> Any:
    """Plot flux points; below a threshold in significance the upper limit is shown, if there is one.

    Parameters
    ----------
    points : `gammajax.FluxPoints`
        The points.
    ax : `matplotlib.axes.Axes`, optional
        Axes; new ones if not given.
    sed_type : {"e2dnde", "dnde", "flux", "eflux"}
        What is shown.
    sqrt_ts_threshold_ul : float
        Points of less significance are shown as limits.
    **kwargs
        To `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    unit = UNITS[sed_type]
    edges = points.energy_edges
    centre = np.sqrt(edges[:-1] * edges[1:])
    value, error = (points.quantity(f"{sed_type}{s}").to_value(unit) for s in ("", "_err"))
    both = np.stack([points.quantity(f"{sed_type}_{s}").to_value(unit) for s in ("errn", "errp")])
    limit = points.quantity(f"{sed_type}_ul").to_value(unit)
    as_limit = np.isfinite(limit) & ~(points.sqrt_ts >= sqrt_ts_threshold_ul)
    shown = ~as_limit & np.isfinite(value)
    both = np.where(np.isfinite(both), both, error)
    width = np.stack([centre - edges[:-1], edges[1:] - centre])
    style = {"fmt": "o", "color": "black", "markersize": 4} | kwargs
    ax.errorbar(centre[shown], value[shown], yerr=both[:, shown], xerr=width[:, shown], **style)
    if as_limit.any():
        style.pop("label", None)
        arrows = 0.4 * limit[as_limit]
        ax.errorbar(
            centre[as_limit],
            limit[as_limit],
            yerr=arrows,
            xerr=width[:, as_limit],
            uplims=True,
            **(style | {"fmt": "none"}),
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("Energy [TeV]")
    ax.set_ylabel(LABELS[sed_type])
    return ax
