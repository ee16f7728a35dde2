"""Counts, predictions and residuals of a data set."""

from typing import Any

import numpy as np

from gammajax.plotting.axes import new_axes

__all__ = ["peek", "plot_counts", "plot_excess", "plot_fit", "plot_masks", "plot_residuals"]

RESIDUAL_LABELS = {
    "diff": "data - model",
    "diff/model": "(data - model)\n/ model",
    "diff/sqrt(model)": "(data - model)\n/ sqrt(model)",
}


def _grey_outside(ax: Any, dataset: Any) -> None:
    """Shade the energies that are not in the fit."""
    edges, mask = dataset.counts.geom.axis.edges_tev, dataset.mask.data
    steps = np.flatnonzero(np.diff(np.concatenate([[False], ~mask, [False]]).astype(int)))
    for i, j in steps.reshape(-1, 2):
        ax.axvspan(edges[i], edges[j], color="0.85", zorder=0, linewidth=0)


def _bars(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    axis = dataset.counts.geom.axis
    centre = axis.center.to_value("TeV")
    return centre, np.stack([centre - axis.edges_tev[:-1], axis.edges_tev[1:] - centre])


def plot_fit(
    dataset: Any,
    ax_spectrum: Any = None,
    ax_residuals: Any = None,
    kwargs_spectrum: dict | None = None,
    kwargs_residuals: dict | None = None,
) -> tuple[Any, Any]:
    """Plot excess counts with the predicted signal, and residuals below.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff`
        Data set with models.
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`, optional
        Axes; a new figure if not given.
    kwargs_spectrum, kwargs_residuals : dict, optional
        To the error bars of the excess, and to `plot_residuals`.

    Returns
    -------
    ax_spectrum, ax_residuals : `matplotlib.axes.Axes`
    """
    import matplotlib.pyplot as plt

    if ax_spectrum is None or ax_residuals is None:
        _, (ax_spectrum, ax_residuals) = plt.subplots(
            2, 1, sharex=True, figsize=(8, 7), gridspec_kw={"height_ratios": [5, 2], "hspace": 0}
        )
    plot_excess(dataset, ax=ax_spectrum, kwargs_excess=kwargs_spectrum)
    _grey_outside(ax_spectrum, dataset)
    ax_spectrum.set_title(f"{dataset.name}; grey: not in the fit")
    ax_spectrum.legend()
    plot_residuals(dataset, ax=ax_residuals, **({"method": "diff/sqrt(model)"} | (kwargs_residuals or {})))
    return ax_spectrum, ax_residuals


def plot_excess(
    dataset: Any, ax: Any = None, kwargs_excess: dict | None = None, kwargs_npred_signal: dict | None = None
) -> Any:
    """Plot excess counts with the predicted signal.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff` or `gammajax.SpectrumDataset`
        Data set with models.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    kwargs_excess, kwargs_npred_signal : dict, optional
        To the error bars of the excess, and to the steps of the prediction.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    centre, width = _bars(dataset)
    shown = {"fmt": ".", "color": "tab:blue", "label": "excess counts"} | (kwargs_excess or {})
    ax.errorbar(centre, dataset.excess.data, yerr=dataset.counts_error(), xerr=width, **shown)
    signal = {"color": "tab:orange", "linewidth": 1.5, "label": "predicted signal"} | (kwargs_npred_signal or {})
    ax.stairs(dataset.npred_signal().data, dataset.counts.geom.axis.edges_tev, **signal)
    ax.set(xscale="log", xlabel="Energy [TeV]", ylabel="Counts")
    ax.legend()
    return ax


def plot_counts(
    dataset: Any, ax: Any = None, kwargs_counts: dict | None = None, kwargs_background: dict | None = None
) -> Any:
    """Plot ON counts and the background in the ON region.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff` or `gammajax.SpectrumDataset`
        Data set.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    kwargs_counts, kwargs_background : dict, optional
        To `matplotlib.axes.Axes.stairs`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    edges = dataset.counts.geom.axis.edges_tev
    ax.stairs(dataset.counts.data, edges, **({"label": "counts"} | (kwargs_counts or {})))
    ax.stairs(dataset.background.data, edges, **({"label": "background"} | (kwargs_background or {})))
    ax.set(xscale="log", xlabel="Energy [TeV]", ylabel="Counts")
    ax.legend()
    return ax


def plot_masks(dataset: Any, ax: Any = None, kwargs_fit: dict | None = None, kwargs_safe: dict | None = None) -> Any:
    """Shade the bins of `mask_safe`, and of `mask_fit` where there is one.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff` or `gammajax.SpectrumDataset`
        Data set.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    kwargs_fit, kwargs_safe : dict, optional
        To `matplotlib.axes.Axes.fill_between`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    ax = new_axes(ax)
    edges = dataset.counts.geom.axis.edges_tev
    for mask, shown, more in (
        (dataset.mask_fit, {"label": "mask fit", "color": "tab:green"}, kwargs_fit),
        (dataset.mask_safe, {"label": "mask safe", "color": "black"}, kwargs_safe),
    ):
        if mask is not None:
            inside = np.append(mask.data, False)
            # heights in parts of the axes, so that the range of the counts stays as it is
            ax.fill_between(
                edges, 0, inside.astype(float), step="post", transform=ax.get_xaxis_transform(),
                **({"alpha": 0.2, "linewidth": 0} | shown | (more or {})),
            )  # fmt: skip
    ax.set(xscale="log", xlabel="Energy [TeV]")
    ax.legend()
    return ax


def plot_residuals(dataset: Any, ax: Any = None, method: str = "diff", **kwargs: Any) -> Any:
    """Plot residuals of ON counts and their prediction.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff`
        Data set with models.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    method : {"diff", "diff/model", "diff/sqrt(model)"}
        See `SpectrumDatasetOnOff.residuals`.
    **kwargs
        To `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    residuals = dataset.residuals(method).data
    ax = new_axes(ax)
    centre, width = _bars(dataset)
    npred = dataset.npred().data
    with np.errstate(invalid="ignore", divide="ignore"):
        divide = {"diff": np.ones_like(npred), "diff/model": npred, "diff/sqrt(model)": np.sqrt(npred)}[method]
        error = dataset.counts_error() / divide
    good = np.isfinite(residuals) & np.isfinite(error)
    ax.errorbar(
        centre[good],
        residuals[good],
        yerr=error[good],
        xerr=width[:, good],
        **({"fmt": ".", "color": "black"} | kwargs),
    )
    _grey_outside(ax, dataset)
    ax.axhline(0, color="black", linewidth=0.5)
    ax.set_xscale("log")
    ax.set_xlabel("Energy [TeV]")
    ax.set_ylabel(RESIDUAL_LABELS[method])
    inside = np.abs(residuals) + np.where(np.isfinite(error), error, 0)
    inside = inside[good & dataset.mask.data]
    if len(inside):
        ax.set_ylim(-1.2 * inside.max(), 1.2 * inside.max())
    return ax


def peek(dataset: Any, figsize: tuple[float, float] = (16, 4)) -> Any:
    """Plot counts, exposure and energy dispersion.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff`
        Data set.
    figsize : tuple of float
        Size of the figure in inches.

    Returns
    -------
    array of `matplotlib.axes.Axes`, shape (3,)
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=figsize)
    edges, true = dataset.counts.geom.axis.edges_tev, dataset.exposure.geom.axis.edges_tev
    axes[0].stairs(dataset.counts.data, edges, label="counts")
    axes[0].stairs(dataset.background.data, edges, label="background")
    _grey_outside(axes[0], dataset)
    axes[0].set(xscale="log", xlabel="Energy [TeV]", ylabel="Counts", title=f"{dataset.name}; grey: not in the fit")
    axes[0].legend(loc="upper left")
    axes[1].stairs(dataset.exposure.data, true)
    axes[1].set(xscale="log", yscale="log", xlabel="True energy [TeV]", ylabel="Exposure [cm$^2$ s]", title="Exposure")
    mesh = axes[2].pcolormesh(true, edges, dataset.edisp.pdf_matrix.T, cmap="viridis")
    axes[2].set(
        xscale="log",
        yscale="log",
        xlabel="True energy [TeV]",
        ylabel="Energy [TeV]",
        title="Energy dispersion",
    )
    figure.colorbar(mesh, ax=axes[2], label="Probability")
    figure.tight_layout()
    return axes
