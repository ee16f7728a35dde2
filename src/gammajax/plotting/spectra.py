"""Spectra and their error bands."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.plotting.axes import new_axes, unit_text, y_unit
from gammajax.units import energy_values, parsed

__all__ = ["plot_spectral_error", "plot_spectral_model"]

SED_TYPES = ("dnde", "e2dnde", "flux", "eflux", "norm")
# spread of a level curve, relative: some roundings
FLAT = 1e-13
NAMES = {"flux": "Flux", "eflux": "Energy flux", "norm": "Norm"}


def _edges(energy_bounds: Any, energy_range: Any, n: int) -> u.Quantity:
    """Evenly spaced in the logarithm; `energy_range` is the older name of `energy_bounds`."""
    if (energy_bounds is None) == (energy_range is None):
        raise InputError("plot: give either energy_bounds or energy_range, a pair of energies such as [1, 10] * u.TeV.")
    bounds = energy_values(u.Quantity(energy_bounds if energy_bounds is not None else energy_range), "energy_bounds")
    if bounds.shape != (2,) or not 0 < bounds[0] < bounds[1]:
        raise InputError(f"plot: energy_bounds are {bounds} TeV, expected two positive energies in increasing order.")
    return u.Quantity(np.geomspace(bounds[0], bounds[1], n), "TeV")


def _checked(model: Any, sed_type: str, reference: Any) -> str:
    """The SED type; as in gammapy that of a model without unit is always "norm"."""
    if sed_type not in SED_TYPES:
        raise InputError(f"plot: unknown sed_type {sed_type!r}, expected one of {', '.join(SED_TYPES)}.")
    if model.is_norm_spectral_model:
        if reference is not None:
            raise InputError("plot: reference is for a model of a flux; this one is a norm already.")
        return "norm"
    if (sed_type == "norm") != (reference is not None):
        raise InputError(
            "plot: sed_type='norm' of a flux is relative to another one; give reference=, a spectral model."
            if sed_type == "norm"
            else f"plot: reference belongs to sed_type='norm', got {sed_type!r}."
        )
    return sed_type


def _curve(
    model: Any, sed_type: str, reference: Any, bounds: tuple[Any, Any], n: int, power: float, error: bool
) -> tuple[np.ndarray, u.Quantity]:
    """Energies (n,), and values (n,) there, or values and errors (2, n)."""
    if sed_type in ("flux", "eflux"):
        edges = _edges(*bounds, n + 1)
        energy = np.sqrt(edges[:-1] * edges[1:])
        kind = {"flux": "integral", "eflux": "energy_flux"}[sed_type] + ("_error" if error else "")
        values = getattr(model, kind)(edges[:-1], edges[1:])
    else:
        energy = _edges(*bounds, n)
        values = model.evaluate_error(energy) if error else model(energy)
        # all in the unit of flux points, so that curves of models with amplitudes per MeV and per TeV can share axes
        values = values.to(parsed(model.dnde_unit))
        if sed_type == "e2dnde":
            values = values * energy**2
        if reference is not None:
            values = (values / reference(energy)).to("")
    return energy.value, values * energy**power


def _label(ax: Any, sed_type: str, unit: u.UnitBase, power: float) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("Energy [TeV]")
    power += 2 if sed_type == "e2dnde" else 0
    factor = "" if power == 0 else f"E$^{{{power:g}}}$ "
    ax.set_ylabel(f"{factor}{NAMES.get(sed_type, 'dN/dE')}{unit_text(unit)}")


def plot_spectral_model(
    model: Any,
    energy_bounds: Any = None,
    ax: Any = None,
    *,
    energy_range: Any = None,
    energy_power: float = 0,
    sed_type: str = "dnde",
    reference: Any = None,
    n_points: int = 100,
    **kwargs: Any,
) -> Any:
    """Plot a spectral model, in TeV, cm and s unless the axes have a unit, ``ax.yaxis.set_units(u.Unit("erg cm-2 s-1"))``.

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
    sed_type : {"dnde", "e2dnde", "flux", "eflux", "norm"}
        What is plotted. "flux" and "eflux" are those of `n_points` bins between the bounds, drawn at their logarithmic centres. A model
        without unit is always a "norm".
    reference : `gammajax.models.SpectralModel`, optional
        For "norm" of a flux: what it is divided by.
    n_points : int
        Points.
    **kwargs
        To `matplotlib.axes.Axes.plot`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    sed_type = _checked(model, sed_type, reference)
    x, y = _curve(model, sed_type, reference, (energy_bounds, energy_range), n_points, energy_power, False)
    ax = new_axes(ax)
    factor, unit = y_unit(ax, y.unit)
    ax.plot(x, _level(factor * y.value), **kwargs)
    _label(ax, sed_type, unit, energy_power)
    return ax


def _level(values: np.ndarray) -> np.ndarray:
    """A curve that is level but for rounding, exactly so: matplotlib cannot scale an axis to rounding errors, and warns."""
    low, high = np.min(values), np.max(values)
    return np.full_like(values, high) if high - low < FLAT * abs(high) else values


def plot_spectral_error(
    model: Any,
    energy_bounds: Any = None,
    ax: Any = None,
    *,
    energy_range: Any = None,
    energy_power: float = 0,
    sed_type: str = "dnde",
    reference: Any = None,
    n_points: int = 100,
    **kwargs: Any,
) -> Any:
    """Plot the one-sigma band of a spectral model, by exact propagation J C J^T.

    Parameters
    ----------
    model : `gammajax.models.SpectralModel`
        The model, after a fit.
    energy_bounds, ax, energy_range, energy_power, sed_type, reference, n_points
        As in `plot_spectral_model`.
    **kwargs
        To `matplotlib.axes.Axes.fill_between`.

    Returns
    -------
    `matplotlib.axes.Axes`
    """
    sed_type = _checked(model, sed_type, reference)
    x, (value, error) = _curve(model, sed_type, reference, (energy_bounds, energy_range), n_points, energy_power, True)
    ax = new_axes(ax)
    kwargs = {"facecolor": "black", "alpha": 0.2} | kwargs
    # a band that reaches zero has no lower edge on a logarithmic axis
    low = np.maximum(value - error, 1e-3 * value)
    factor, unit = y_unit(ax, value.unit)
    ax.fill_between(x, factor * low.value, factor * (value + error).value, **kwargs)
    _label(ax, sed_type, unit, energy_power)
    return ax
