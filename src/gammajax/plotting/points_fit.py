"""Flux points as data, with the model that was fitted to them."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import FluxPointsDataset
from gammajax.plotting.axes import new_axes
from gammajax.plotting.flux_points import long_names

__all__ = ["plot_points_fit", "plot_points_residuals", "plot_points_spectrum"]

DNDE = "TeV-1 s-1 cm-2"
POINT = {"marker": "o", "linestyle": "none", "markersize": 4}
LABELS = {
    "diff": "data - model\n[TeV$^{-1}$ s$^{-1}$ cm$^{-2}$]",
    "diff/model": "(data - model)\n/ model",
    "diff/error": "(data - model)\n/ error",
}


def plot_points_fit(
    dataset: Any,
    ax_spectrum: Any = None,
    ax_residuals: Any = None,
    kwargs_spectrum: dict | None = None,
    kwargs_residuals: dict | None = None,
) -> tuple[Any, Any]:
    """Plot points with the model, and residuals below.

    Parameters
    ----------
    dataset : `gammajax.FluxPointsDataset`
        Data set with models.
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`, optional
        Axes; a new figure if not given.
    kwargs_spectrum, kwargs_residuals : dict, optional
        To `plot_points_spectrum` and `plot_points_residuals`.

    Returns
    -------
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`
    """
    import matplotlib.pyplot as plt

    if ax_spectrum is None or ax_residuals is None:
        _, (ax_spectrum, ax_residuals) = plt.subplots(
            2, 1, sharex=True, figsize=(8, 7), gridspec_kw={"height_ratios": [5, 2], "hspace": 0}
        )
    plot_points_spectrum(dataset, ax=ax_spectrum, **(kwargs_spectrum or {}))
    plot_points_residuals(dataset, ax=ax_residuals, **({"method": "diff/model"} | (kwargs_residuals or {})))
    return ax_spectrum, ax_residuals


def plot_points_spectrum(
    dataset: Any, ax: Any = None, kwargs_fp: dict | None = None, kwargs_model: dict | None = None
) -> Any:
    """Plot E^2 dN/dE of the points and of the sum of the models; grey points are not in the fit.

    Parameters
    ----------
    dataset : `gammajax.FluxPointsDataset`
        Data set; without models the points alone are drawn.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    kwargs_fp, kwargs_model : dict, optional
        To the error bars of the points, and to the line of the model.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    energy, mask = dataset.energy.to_value("TeV"), dataset.mask_array
    value, error = (energy**2 * q.to_value(DNDE) for q in (dataset.dnde, dataset.dnde_err))
    limit = energy**2 * dataset._limit
    # a limit that is fitted says what it is; chi2 leaves it out
    as_limit = dataset.is_ul & np.isfinite(limit)
    if as_limit.any():
        style = (
            {"color": "0.7", "label": "upper limits"}
            | long_names(kwargs_fp or {})
            | {"linestyle": "none", "marker": "none"}
        )
        ax.errorbar(energy[as_limit], limit[as_limit], yerr=0.4 * np.abs(limit[as_limit]), uplims=True, **style)
    for shown, color, label in ((mask, "black", "points"), (~mask & ~as_limit, "0.7", "not in the fit")):
        good = shown & np.isfinite(value) & np.isfinite(error) & ~as_limit
        if good.any():
            style = POINT | {"color": color, "label": label} | long_names(kwargs_fp or {})
            ax.errorbar(energy[good], value[good], yerr=error[good], **style)
    if dataset.models:
        at = np.geomspace(energy.min() / 1.1, energy.max() * 1.1, 200)
        line = {"color": "tab:orange", "linewidth": 1.5, "label": "model"} | (kwargs_model or {})
        ax.plot(at, at**2 * _model(dataset, at), **line)
    ax.set(xscale="log", yscale="log", xlabel="Energy [TeV]", ylabel="E$^2$ dN/dE [TeV s$^{-1}$ cm$^{-2}$]")
    ax.set_title(dataset.name)
    ax.legend()
    return ax


def _model(dataset: Any, energy: np.ndarray) -> np.ndarray:
    """Predicted fluxes at other energies, by the way that those at the points go."""
    ones = u.Quantity(np.ones(len(energy)), DNDE)
    other = FluxPointsDataset(u.Quantity(energy, "TeV"), ones, ones, models=dataset.models, name=dataset.name)
    other.gti = dataset.gti
    return np.asarray(other.flux_pred().to_value(DNDE))


def plot_points_residuals(dataset: Any, ax: Any = None, method: str = "diff", **kwargs: Any) -> Any:
    """Plot residuals of the points in the fit.

    Parameters
    ----------
    dataset : `gammajax.FluxPointsDataset`
        Data set with models.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    method : {"diff", "diff/model", "diff/error"}
        See `FluxPointsDataset.residuals`.
    **kwargs
        To `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    residuals = dataset.residuals(method)
    ax = new_axes(ax)
    error = dataset.dnde_err.to_value(DNDE)
    if method == "diff/model":
        error = error / dataset.flux_pred().to_value(DNDE)
    elif method == "diff/error":
        error = np.ones(len(error))
    good = dataset.mask_array & np.isfinite(residuals) & np.isfinite(error)
    style = POINT | {"color": "black"} | long_names(kwargs)
    ax.errorbar(dataset.energy.to_value("TeV")[good], residuals[good], yerr=np.abs(error[good]), **style)
    ax.axhline(0, color="black", linewidth=0.5)
    ax.set(xscale="log", xlabel="Energy [TeV]", ylabel=LABELS[method])
    if good.any():
        most = (np.abs(residuals) + np.abs(error))[good].max()
        ax.set_ylim(-1.2 * most, 1.2 * most)
    return ax
