"""Light curves with their errors and limits."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes
from gammajax.plotting.flux_points import column, long_names, own_unit

__all__ = ["plot_light_curve"]

MJD_OF_1970 = 40587


def plot_light_curve(
    points: Any,
    ax: Any = None,
    sed_type: str = "flux",
    sqrt_ts_threshold_ul: float | None = None,
    time_format: str = "mjd",
    energy_power: float = 0,
    **kwargs: Any,
) -> Any:
    """Plot flux over time, one series for each energy bin; below a threshold in significance the limit, if there is one.

    Parameters
    ----------
    points : `gammajax.FluxPoints`
        The light curve.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    sed_type : {"flux", "eflux", "dnde", "e2dnde", "norm"}
        What is shown.
    sqrt_ts_threshold_ul : float, optional
        Points of less significance are shown as limits; those of `is_ul`, a significance below 2 or what a table marks, if not given.
    time_format : {"mjd", "iso"}
        Whether the axis counts days or shows dates.
    energy_power : float
        Power of the energy (TeV, at the logarithmic centres of the bins) that it is multiplied with.
    **kwargs
        To `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    from matplotlib.dates import ConciseDateFormatter

    start, stop = points.gti.time_start.mjd, points.gti.time_stop.mjd
    centre, half = 0.5 * (start + stop), 0.5 * (stop - start)
    if time_format not in ("mjd", "iso"):
        raise InputError(f"plot: got time_format={time_format!r}, expected 'mjd' or 'iso'.")
    if time_format == "iso":
        # days since the epoch of matplotlib
        centre = centre - MJD_OF_1970
    ax = new_axes(ax)
    factor, text = own_unit(ax, sed_type, energy_power)
    weight = factor * points.energy_ref.value**energy_power
    columns = {s: weight * column(points, sed_type, s) for s in ("", "_err", "_errn", "_errp", "_ul")}
    weak = points.is_ul if sqrt_ts_threshold_ul is None else ~(points.sqrt_ts >= sqrt_ts_threshold_ul)
    as_limit = np.isfinite(columns["_ul"]) & weak
    edges = points.energy_edges
    for k in range(len(edges) - 1):
        shown = ~as_limit[:, k] & np.isfinite(columns[""][:, k])
        both = np.stack([np.where(columns[s] >= 0, columns[s], columns["_err"])[shown, k] for s in ("_errn", "_errp")])
        style: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 4}
        if len(edges) > 2:
            style["label"] = f"{edges[k]:.3g} to {edges[k + 1]:.3g} TeV"
        style |= long_names(kwargs)
        drawn = ax.errorbar(centre[shown], columns[""][shown, k], yerr=both, xerr=half[shown], **style)
        limits = as_limit[:, k]
        if limits.any():
            style |= {"marker": "none", "label": None, "ecolor": drawn.lines[0].get_color()}
            arrows = 0.4 * np.abs(columns["_ul"][limits, k])
            ax.errorbar(centre[limits], columns["_ul"][limits, k], yerr=arrows, xerr=half[limits], uplims=True, **style)
    scale = points.gti.time_ref.scale.upper()
    if time_format == "iso":
        ax.xaxis_date()
        ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    ax.set_xlabel(f"Time [{'MJD, ' if time_format == 'mjd' else ''}{scale}]")
    ax.set_ylabel(text)
    if len(edges) > 2:
        ax.legend()
    return ax
