"""Flux points with their errors and limits."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes, unit_text, y_unit

__all__ = ["plot_flux_points"]

LABELS = {
    "dnde": "dN/dE [TeV$^{-1}$ s$^{-1}$ cm$^{-2}$]",
    "e2dnde": "E$^2$ dN/dE [TeV s$^{-1}$ cm$^{-2}$]",
    "flux": "Flux [s$^{-1}$ cm$^{-2}$]",
    "eflux": "Energy flux [TeV s$^{-1}$ cm$^{-2}$]",
    "norm": "Norm",
}
# those of the plots of models, so that both can share axes
UNITS = {"dnde": "TeV-1 s-1 cm-2", "e2dnde": "TeV s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2", "norm": ""}
NAMES = {"dnde": "dN/dE", "e2dnde": "E$^2$ dN/dE", "flux": "Flux", "eflux": "Energy flux", "norm": "Norm"}


def column(points: Any, sed_type: str, suffix: str = "") -> np.ndarray:
    """A column in the unit of the plots, such as that of "dnde" and "_err"."""
    if sed_type == "norm":
        return getattr(points, f"norm{suffix}")
    return points.quantity(f"{sed_type}{suffix}").to_value(UNITS[sed_type])


def own_unit(ax: Any, sed_type: str, energy_power: float = 0) -> tuple[float, str]:
    """Factor to the unit of the axis of fluxes, times a power of the energy, and its label; refuses another SED type."""
    if sed_type not in UNITS:
        raise InputError(f"plot: unknown sed_type {sed_type!r}, expected one of {', '.join(UNITS)}.")
    default = u.Unit(UNITS[sed_type]) * u.TeV**energy_power
    factor, unit = y_unit(ax, default)
    if energy_power == 0 and unit == default:
        return 1.0, LABELS[sed_type]
    power = f"E$^{{{energy_power:g}}}$ " if energy_power else ""
    return factor, f"{power}{NAMES[sed_type]}{unit_text(unit)}"


def long_names(style: dict[str, Any]) -> dict[str, Any]:
    """Settings of a line by their long names: matplotlib refuses ``ls`` beside a default for ``linestyle``."""
    known = {"c": "color", "ls": "linestyle", "lw": "linewidth", "ms": "markersize"}
    found = {known.get(name, name): value for name, value in style.items()}
    # a format holds marker and line in one word
    if "fmt" in found:
        form = found.pop("fmt")
        found = ({"marker": "none"} if form == "none" else {"marker": form}) | found
    return found


def plot_flux_points(
    points: Any,
    ax: Any = None,
    sed_type: str = "e2dnde",
    sqrt_ts_threshold_ul: float | None = None,
    energy_power: float = 0,
    **kwargs: Any,
) -> Any:
    """Plot flux points; below a threshold in significance the upper limit is shown, if there is one.

    Parameters
    ----------
    points : `gammajax.FluxPoints`
        The points.
    ax : `matplotlib.axes.Axes`, optional
        Axes; new ones if not given.
    sed_type : {"e2dnde", "dnde", "flux", "eflux", "norm"}
        What is shown.
    sqrt_ts_threshold_ul : float, optional
        Points of less significance are shown as limits; those of `is_ul`, a significance below 2 or what a table marks, if not given.
    energy_power : float
        Power of the energy (TeV, at the logarithmic centres) that it is multiplied with.
    **kwargs
        To `matplotlib.axes.Axes.errorbar`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    edges = points.energy_edges
    centre = points.energy_ref.value
    ax = new_axes(ax)
    factor, text = own_unit(ax, sed_type, energy_power)
    value, error, below, above, limit = (
        factor * column(points, sed_type, s) * centre**energy_power for s in ("", "_err", "_errn", "_errp", "_ul")
    )
    both = np.stack([below, above])
    weak = points.is_ul if sqrt_ts_threshold_ul is None else ~(points.sqrt_ts >= sqrt_ts_threshold_ul)
    as_limit = np.isfinite(limit) & weak
    shown = ~as_limit & np.isfinite(value)
    # a side that was not found is nan, or below 0 in some files
    both = np.where(both >= 0, both, error)
    width = np.stack([centre - edges[:-1], edges[1:] - centre])
    if points.energies is not None:
        width *= 0
    style = {"marker": "o", "linestyle": "none", "color": "black", "markersize": 4} | long_names(kwargs)
    ax.errorbar(centre[shown], value[shown], yerr=both[:, shown], xerr=width[:, shown], **style)
    if as_limit.any():
        style.pop("label", None)
        arrows = 0.4 * np.abs(limit[as_limit])
        ax.errorbar(
            centre[as_limit],
            limit[as_limit],
            yerr=arrows,
            xerr=width[:, as_limit],
            uplims=True,
            **(style | {"marker": "none"}),
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("Energy [TeV]")
    ax.set_ylabel(text)
    return ax
