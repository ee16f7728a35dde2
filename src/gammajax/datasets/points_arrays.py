"""Fluxes at energies as they are given, turned into arrays that a statistic can take, or refused."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import DataError
from gammajax.units import energy_values, parsed, to_unit

__all__ = ["DNDE", "checked_points", "scanned_pieces"]

DNDE = "TeV-1 s-1 cm-2"


def checked_points(
    name: str,
    energy: Any,
    fluxes: dict[str, u.Quantity | None],
    is_ul: Any,
    norm_scan: Any,
    stat_scan: Any,
) -> dict[str, Any]:
    """Attributes of a `FluxPointsDataset`, by their names.

    Parameters
    ----------
    name : str
        Of the data set, for messages.
    energy : `~astropy.units.Quantity`, shape (n,)
        Energies.
    fluxes : dict of str to (`~astropy.units.Quantity`, shape (n,), or None)
        By the arguments of the data set: dnde, dnde_err, dnde_errn, dnde_errp, dnde_ul and dnde_ref.
    is_ul : array of bool, shape (n,), optional
        Points that are upper limits.
    norm_scan, stat_scan : array, shape (L,) and (n, L), optional
        Scanned statistic.

    Raises
    ------
    DataError
        For what no fit can use, naming the point.
    """
    energies = np.atleast_1d(energy_values(energy, f"{name}: energy"))
    n = len(energies)
    if energies.ndim != 1 or not np.all(np.isfinite(energies) & (energies > 0)):
        raise DataError(f"{name}: energy has shape {energies.shape}, expected finite energies above 0, shape (n,).")
    given = {k: None if v is None else _column(v, n, f"{name}: {k}") for k, v in fluxes.items()}
    dnde, error = given["dnde"], _error(given, name)
    assert dnde is not None
    endless = np.flatnonzero(np.isinf(dnde))
    if len(endless):
        # nan is a point that was not measured, infinity is damage
        raise DataError(
            f"{name}: the flux of point {endless[0]} is {dnde[endless[0]]}, expected a finite number, or nan where there is none."
        )
    limits = np.zeros(n, dtype=bool) if is_ul is None else np.array(is_ul, dtype=bool)
    if limits.shape != (n,):
        raise DataError(f"{name}: is_ul has shape {limits.shape}, expected ({n},).")
    known = np.isfinite(dnde) & np.isfinite(error) & ~limits
    bad = np.flatnonzero(known & (error <= 0))
    if len(bad):
        raise DataError(
            f"{name}: the error of point {bad[0]} is {error[bad[0]]:g} {DNDE}, expected a number above 0; mark "
            "upper limits with is_ul."
        )
    below, above, limit, reference = (
        np.full(n, np.nan) if given[k] is None else given[k] for k in ("dnde_errn", "dnde_errp", "dnde_ul", "dnde_ref")
    )
    return {
        "_energy": energies,
        "_dnde": dnde,
        "_error": error,
        "_errn": below,
        "_errp": above,
        "_limit": limit,
        "_reference": reference,
        "_is_ul": limits,
        "_known": known,
        "_safe": np.ones(n, dtype=bool),
        "_profile": None if stat_scan is None else scanned_pieces(norm_scan, stat_scan, n, name),
        # as they came, for files
        "_scan": None if stat_scan is None else (np.array(norm_scan, float), np.array(stat_scan, float)),
    }


def _error(given: dict[str, np.ndarray | None], name: str) -> np.ndarray:
    """Standard deviations, or the mean of the errors below and above."""
    error, below, above = (given[k] for k in ("dnde_err", "dnde_errn", "dnde_errp"))
    if error is not None:
        return error
    if below is not None and above is not None:
        return 0.5 * (below + above)
    raise DataError(f"{name}: chi2 needs errors; give dnde_err, or dnde_errn and dnde_errp.")


def _column(values: Any, n: int, what: str) -> np.ndarray:
    array = np.atleast_1d(to_unit(values, parsed(DNDE), what))
    if array.shape != (n,):
        raise DataError(f"{what} has shape {array.shape}, expected ({n},), one for each energy.")
    return array


def scanned_pieces(norm: Any, stat: Any, n: int, name: str) -> dict[str, np.ndarray]:
    """The quadratic splines through the scans of n points, as gammapy has them: edges, left ends and coefficients of their pieces."""
    from scipy.interpolate import make_interp_spline

    x, y = np.array(norm, dtype=float), np.array(stat, dtype=float)
    if x.ndim != 1 or len(x) < 3 or y.shape != (n, len(x)) or not np.all(np.diff(x) > 0):
        raise DataError(
            f"{name}: norm_scan has shape {x.shape} and stat_scan {y.shape}, expected (L,) increasing with L of at least 3, and "
            f"({n}, L)."
        )
    spline = make_interp_spline(x, np.where(np.isfinite(y), y, 0.0).T, k=2)
    # the knots at the ends are there three times
    ends = spline.t[2:-2]
    begin, middle = ends[:-1], 0.5 * (ends[1:] + ends[:-1])
    c0, c1, c2 = spline(begin).T, spline(begin, 1).T, 0.5 * spline(middle, 2).T
    bad = ~np.isfinite(y).all(axis=1)
    c0 = np.where(bad[:, None], np.nan, c0)
    left = np.broadcast_to(begin, c0.shape).copy()
    return {"edges": left[:, 1:], "left": left, "c2": c2, "c1": c1, "c0": c0}
