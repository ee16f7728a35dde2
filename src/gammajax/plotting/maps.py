"""Arrays on energy axes, and energy dispersions."""

from typing import Any

import numpy as np

from gammajax.plotting.axes import new_axes, unit_text

__all__ = ["plot_energy_map", "plot_matrix"]

AXES = {"energy": "Energy", "energy_true": "True energy"}


def plot_energy_map(values: Any, ax: Any = None, steps: bool = False, **kwargs: Any) -> Any:
    """Plot an array with one value per energy bin.

    Parameters
    ----------
    values : `gammajax.datasets.EnergyMap`
        Counts, exposure, background, a mask ...
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    steps : bool
        Steps instead of a point in each bin.
    **kwargs
        To `matplotlib.axes.Axes.errorbar`, or `matplotlib.axes.Axes.stairs` for steps.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    axis, data = values.geom.axis, np.asarray(values.data, dtype=float)
    edges = axis.edges.value
    if steps:
        ax.stairs(data, edges, **kwargs)
    else:
        centre = axis.center.value
        width = np.stack([centre - edges[:-1], edges[1:] - centre])
        ax.errorbar(centre, data, xerr=width, **({"linestyle": "none"} | kwargs))
    ax.set(xscale="log", xlabel=f"{AXES[axis.name]}{unit_text(axis.unit)}", ylabel=f"Data{unit_text(values.unit)}")
    return ax


def plot_matrix(kernel: Any, ax: Any = None, add_cbar: bool = False, **kwargs: Any) -> Any:
    """Plot an energy dispersion as an image: the probability of each energy for each true energy.

    Parameters
    ----------
    kernel : `gammajax.datasets.EDispKernel`
        The dispersion.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    add_cbar : bool
        Whether a colour bar is drawn.
    **kwargs
        To `matplotlib.axes.Axes.pcolormesh`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    true, energy = kernel.axes["energy_true"], kernel.axes["energy"]
    mesh = ax.pcolormesh(true.edges.value, energy.edges.value, kernel.pdf_matrix.T, **({"cmap": "viridis"} | kwargs))
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=f"True energy{unit_text(true.unit)}",
        ylabel=f"Energy{unit_text(energy.unit)}",
    )
    if add_cbar:
        ax.figure.colorbar(mesh, ax=ax, label="Probability")
    return ax
