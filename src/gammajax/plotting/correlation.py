"""Correlation matrices."""

from typing import Any

import numpy as np

from gammajax.errors import InputError

__all__ = ["plot_correlation"]


def plot_correlation(covariance: Any, ax: Any = None, figsize: tuple[float, float] | None = None, **kwargs: Any) -> Any:
    """Plot a correlation matrix as an annotated heat map; parameters without error are left out.

    Parameters
    ----------
    covariance : `gammajax.Covariance`
        The covariance.
    ax : `matplotlib.axes.Axes`, optional
        Axes; a new figure if not given.
    figsize : tuple of float, optional
        Size of the new figure in inches.
    **kwargs
        To `matplotlib.axes.Axes.imshow`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    import matplotlib.pyplot as plt

    keep = np.flatnonzero(np.isfinite(np.diag(covariance.correlation)))
    matrix = covariance.correlation[np.ix_(keep, keep)]
    names = [covariance.parameters.unique_names[i] for i in keep]
    if not names:
        raise InputError("plot_correlation: no parameter has an error; fit first, or free a parameter.")
    if ax is None:
        side = 2.5 + 0.9 * len(names)
        # long names of parameters need room outside of the axes
        _, ax = plt.subplots(figsize=figsize or (side + 1, side), layout="constrained")
    image = ax.imshow(matrix, **({"cmap": "coolwarm", "vmin": -1, "vmax": 1} | kwargs))
    ax.figure.colorbar(image, ax=ax, label="Correlation")
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)
    for i in range(len(names)):
        for j in range(len(names)):
            # dark cells take white text
            ax.text(
                j,
                i,
                f"{matrix[i, j]:.2f}",
                ha="center",
                va="center",
                color="white" if abs(matrix[i, j]) > 0.7 else "black",
            )
    return ax
