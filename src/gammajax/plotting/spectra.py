"""Spectra and their error bands."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes, unit_text
from gammajax.units import energy_values

__all__ = ["plot_spectral_error", "plot_spectral_model"]

SED_TYPES = {"dnde": 0, "e2dnde": 2}


def _energies(energy_bounds: Any, energy_range: Any, n_points: int) -> u.Quantity:
    """Evenly spaced in the logarithm; `energy_range` is the older name of `energy_bounds`."""
    if (energy_bounds is None) == (energy_range is None):
        raise InputError("plot: give either energy_bounds or energy_range, a pair of energies such as [1, 10] * u.TeV.")
    bounds = energy_values(u.Quantity(energy_bounds if energy_bounds is not None else energy_range), "energy_bounds")
    if bounds.shape != (2,) or not 0 < bounds[0] < bounds[1]:
        raise InputError(f"plot: energy_bounds are {bounds} TeV, expected two positive energies in increasing order.")
    return u.Quantity(np.geomspace(bounds[0], bounds[1], n_points), "TeV")


def _power(sed_type: str, energy_power: float) -> float:
    if sed_type not in SED_TYPES:
        raise InputError(f"plot: unknown sed_type {sed_type!r}, expected one of {', '.join(SED_TYPES)}.")
    return energy_power + SED_TYPES[sed_type]


def _label(ax: Any, model: Any, unit: u.UnitBase, power: float) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("Energy [TeV]")
    factor = "" if power == 0 else f"E$^{{{power:g}}}$ "
    what = "Norm" if model.is_norm_spectral_model else "dN/dE"
    ax.set_ylabel(f"{factor}{what}{unit_text(unit)}")


def plot_spectral_model(
    model: Any,
    energy_bounds: Any = None,
    ax: Any = None,
    *,
    energy_range: Any = None,
    energy_power: float = 0,
    sed_type: str = "dnde",
    n_points: int = 100,
    **kwargs: Any,
) -> Any:
    """Plot a spectral model.

    Parameters
    ----------
    model : `gammajax.models.SpectralModel`
        The model.
    energy_bounds : `~astropy.units.Quantity`, shape (2,)
        Energies between which it is drawn.
    ax : `matplotlib.axes.Axes`, optional
        Axes; the current ones if not given.
    energy_range : `~astropy.units.Quantity`, shape (2,)
        Another name of `energy_bounds`; give one.
    energy_power : float
        Power of the energy (TeV) that the flux is multiplied with.
    sed_type : {"dnde", "e2dnde"}
        What is plotted.
    n_points : int
        Points.
    **kwargs
        To `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    energy, power = _energies(energy_bounds, energy_range, n_points), _power(sed_type, energy_power)
    ax = new_axes(ax)
    y = model(energy) * energy**power
    ax.plot(energy.value, y.value, **kwargs)
    _label(ax, model, y.unit, power)
    return ax


def plot_spectral_error(
    model: Any,
    energy_bounds: Any = None,
    ax: Any = None,
    *,
    energy_range: Any = None,
    energy_power: float = 0,
    sed_type: str = "dnde",
    n_points: int = 100,
    **kwargs: Any,
) -> Any:
    """Plot the one-sigma band of a spectral model, by exact propagation J C J^T.

    Parameters
    ----------
    model : `gammajax.models.SpectralModel`
        The model, after a fit.
    energy_bounds, ax, energy_range, energy_power, sed_type, n_points
        As in `plot_spectral_model`.
    **kwargs
        To `matplotlib.axes.Axes.fill_between`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    energy, power = _energies(energy_bounds, energy_range, n_points), _power(sed_type, energy_power)
    ax = new_axes(ax)
    value, error = model.evaluate_error(energy) * energy**power
    kwargs = {"facecolor": "black", "alpha": 0.2} | kwargs
    # a band that reaches zero has no lower edge on a logarithmic axis
    low = np.maximum(value - error, 1e-3 * value)
    ax.fill_between(energy.value, low.value, (value + error).value, **kwargs)
    _label(ax, model, value.unit, power)
    return ax
