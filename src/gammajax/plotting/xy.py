"""Measurements y at x, with the function that was fitted to them."""

from typing import Any

import numpy as np

from gammajax.errors import InputError

__all__ = ["plot_xy_fit"]

POINT = {"marker": "o", "linestyle": "none", "markersize": 4}


def plot_xy_fit(dataset: Any, ax_data: Any = None, ax_residuals: Any = None) -> tuple[Any, Any]:
    """Plot the points with the function, and residuals in units of the error below; grey points are not in the fit.

    Parameters
    ----------
    dataset : `gammajax.XYDataset`
        With a function of one x.
    ax_data, ax_residuals : `matplotlib.axes.Axes`, optional
        Axes; a new figure if not given.

    Returns
    -------
    ax_data, ax_residuals : `matplotlib.axes.Axes`
    """
    import matplotlib.pyplot as plt

    if dataset.x.ndim != 1:
        raise InputError(
            f"plot_fit: {dataset.name!r} has x of shape {dataset.x.shape}, and only a function of one x can be drawn."
        )
    if ax_data is None or ax_residuals is None:
        _, (ax_data, ax_residuals) = plt.subplots(
            2, 1, sharex=True, figsize=(8, 7), gridspec_kw={"height_ratios": [5, 2], "hspace": 0}
        )
    predicted = dataset.prediction()
    # counts scatter by the root of what is expected
    error = np.sqrt(np.maximum(predicted, 0)) if dataset.error is None else dataset.error
    for shown, color, label in ((dataset.mask_fit, "black", "data"), (~dataset.mask_fit, "0.7", "not in the fit")):
        if shown.any():
            style = POINT | {"color": color, "label": label}
            ax_data.errorbar(dataset.x[shown], dataset.y[shown], yerr=error[shown], **style)
            with np.errstate(divide="ignore", invalid="ignore"):
                ax_residuals.plot(dataset.x[shown], ((dataset.y - predicted) / error)[shown], **style)
    fine = np.linspace(dataset.x.min(), dataset.x.max(), 200)
    ax_data.plot(fine, dataset.prediction(fine), color="tab:orange", linewidth=1.5, label="model")
    ax_residuals.axhline(0, color="black", linewidth=0.5)
    ax_data.set(ylabel="y", title=dataset.name)
    ax_residuals.set(xlabel="x", ylabel="(data - model)\n/ error")
    ax_data.legend()
    return ax_data, ax_residuals
