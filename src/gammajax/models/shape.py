"""Where a spectrum has a property: the pivot energy, and the energies at which it has a value."""

from collections.abc import Callable

import numpy as np

from gammajax.models.form import SpectralForm
from gammajax.models.quantities import relative_variance

__all__ = ["pivot", "roots"]


def pivot(form: SpectralForm, theta: np.ndarray, covariance: np.ndarray, bounds: tuple[float, float]) -> float:
    """Energy (TeV) at which the relative error of the flux is least, nan where there is no minimum inside.

    The minimum on a grid is refined to a root of the exact slope.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    theta, covariance : array, shape (n,), (n, n)
        Parameters and their covariance, internal units.
    bounds : tuple of float
        Energies to look between, TeV.
    """
    from scipy.optimize import brentq

    x = np.linspace(float(np.log(bounds[0])), float(np.log(bounds[1])), 257)
    variance, _ = relative_variance(form, x, theta, covariance)
    at = int(np.argmin(np.where(np.isfinite(variance), variance, np.inf)))
    if at in (0, len(x) - 1) or not np.ptp(variance[np.isfinite(variance)]) > 1e-10 * np.abs(variance[at]):
        return np.nan

    def slope(x: float) -> float:
        return float(relative_variance(form, np.array([x]), theta, covariance)[1][0])

    left, right = x[at - 1], x[at + 1]
    # beside a break the slope may jump without a root
    if not slope(left) < 0 < slope(right):
        return float(np.exp(x[at]))
    return float(np.exp(brentq(slope, left, right, xtol=1e-13)))


def roots(f: Callable[[np.ndarray], np.ndarray], lo: float, hi: float) -> np.ndarray:
    """All roots of `f` between two energies that a grid of 100 points in ln E tells apart; (nan,) if there is none.

    Parameters
    ----------
    f : callable
        Function of an array of energies, TeV.
    lo, hi : float
        Ends, TeV.
    """
    from scipy.optimize import brentq

    x = np.linspace(np.log(lo), np.log(hi), 100)
    y = f(np.exp(x))
    found = [float(x[k]) for k in np.flatnonzero(y == 0)]
    for k in np.flatnonzero(y[:-1] * y[1:] < 0).tolist():
        found.append(brentq(lambda t: float(f(np.exp(np.array([t])))[0]), x[k], x[k + 1], xtol=1e-14))
    return np.exp(sorted(found)) if found else np.array([np.nan])
