"""gammapy's data sets of flux points as ours, with any of their statistics."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import FluxPointsDataset
from gammajax.errors import DataError

__all__ = ["flat", "points_dataset"]

# what gammapy interpolates scans by if nothing is said
SCAN = {"interp_scale": "sqrt", "extrapolate": True}


def points_dataset(d: Any) -> FluxPointsDataset:
    """A data set of flux points, with its statistic and its masks.

    Parameters
    ----------
    d : `gammapy.datasets.FluxPointsDataset`
        Of one region.

    Raises
    ------
    DataError
        If scans are interpolated in another way than gammapy's default, or points have no errors.
    """
    if d.stat_type == "profile" and any(d.stat_kwargs.get(k, v) != v for k, v in SCAN.items()):
        raise DataError(
            f"{d.name!r} has stat_kwargs={d.stat_kwargs}; scans are interpolated by their roots and extrapolated here: {SCAN}."
        )
    new = _in_bins(d) if d.data.sed_type_init in ("flux", "eflux") else _at_energies(d)
    new.stat_type = d.stat_type
    new.mask_safe = new.mask_safe & np.asarray(d.mask_safe).ravel()
    if d.mask_fit is not None:
        new.mask_fit = np.asarray(d.mask_fit).ravel().astype(bool)
    return new


def _in_bins(d: Any) -> FluxPointsDataset:
    """With the bins, whose fluxes are compared with integrals unless gammapy's ways are asked for."""
    sed = d.data.sed_type_init
    # gammapy divides by 0 on its way to the energy flux of an index of 2
    with np.errstate(divide="ignore", invalid="ignore"):
        table = d.data.to_table(sed)
        if d.data.has_stat_profiles:
            # what the strengths of the scans are relative to, which no column of its tables tells
            table[f"ref_{sed}"] = np.ravel(getattr(d.data, f"{sed}_ref"))
    return FluxPointsDataset.from_table(table, name=d.name)


def _at_energies(d: Any) -> FluxPointsDataset:
    points = d.data
    given = {n: _quantity(points, n) for n in ("dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul")}
    arguments = {n: values for n, values in given.items() if values is not None}
    if points.has_stat_profiles:
        scan = points.stat_scan
        arguments["dnde_ref"] = u.Quantity(np.ravel(points.dnde_ref))
        arguments["norm_scan"] = np.asarray(scan.geom.axes["norm"].center, dtype=float)
        arguments["stat_scan"] = np.reshape(scan.data, (len(points.energy_ref), -1)) - flat(points.stat)[:, None]
    if d.stat_type == "profile" and not {"dnde_err", "dnde_errn"} & set(arguments):
        # scans need none
        arguments["dnde_err"] = np.nan * arguments["dnde"]
    limits = flat(points.is_ul).astype(bool)
    return FluxPointsDataset(points.energy_ref, is_ul=limits, stat_type=d.stat_type, name=d.name, **arguments)


def _quantity(points: Any, name: str) -> u.Quantity | None:
    """A column, or None where there is none."""
    try:
        found = getattr(points, name)
    except AttributeError:
        return None
    return u.Quantity(flat(found), found.unit)


def flat(m: Any) -> np.ndarray:
    """Data of a map of one region, as one number for each energy."""
    if m.data.shape[1:] != (1, 1):
        raise DataError(f"got a map of shape {m.data.shape}, expected one region, (n, 1, 1).")
    return np.asarray(m.data, dtype=float)[:, 0, 0]
