"""Temporal models."""

from typing import Any

import numpy as np

from gammajax.plotting.axes import new_axes
from gammajax.times import as_times

__all__ = ["plot_temporal"]


def plot_temporal(model: Any, time_range: Any, ax: Any = None, *, n_points: int = 100, **kwargs: Any) -> Any:
    """Plot a temporal model.

    Parameters
    ----------
    model : `gammajax.TemporalModel`
        The model.
    time_range : pair of `~astropy.time.Time`
        Begin and end.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    n_points : int
        Points.
    **kwargs
        To `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    first, last = (as_times(t, "time_range") for t in time_range)
    times = first + (last - first) * np.linspace(0, 1, n_points)
    ax = new_axes(ax)
    ax.plot(getattr(times, model.scale).mjd, model(times).value, **kwargs)
    ax.set_xlabel(f"Time [MJD, {model.scale.upper()}]")
    ax.set_ylabel("Norm")
    return ax
