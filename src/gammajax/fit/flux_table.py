"""Tables of flux points and light curves, by the columns of gammapy."""

import json
from math import erf
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.fit.flux_columns import UNITS
from gammajax.units import parsed

__all__ = ["SERIES", "points_table", "time_series"]

SED_TYPES = ("likelihood", "norm", "dnde", "e2dnde", "flux", "eflux")
# gammapy's name of the layout
SERIES = "binned-time-series"
COUNTED = ("ts", "sqrt_ts", "stat", "stat_null", "npred", "npred_excess", "counts", "success", "status")
FORMATS = {("dnde", "e2dnde", "flux", "eflux", "ref"): ".3e", ("e_", "sqrt_ts", "norm", "ts", "stat", "npred"): ".3f"}


def points_table(points: Any, sed_type: str, formatted: bool = False) -> Any:
    """Table of flux points; see `FluxPoints.to_table`."""
    from astropy.table import QTable

    p = points
    _check_sed(p, sed_type)
    table = QTable(meta=_meta(p, sed_type))
    if p.gti is not None:
        table["time_min"], table["time_max"] = p.gti.time_start.mjd, p.gti.time_stop.mjd
        table.meta |= {"MJDREFI": 0, "MJDREFF": 0.0, "TIMESYS": p.gti.time_ref.scale, "TIMEUNIT": "d"}
    energies = {"e_ref": p.energy_ref.value}
    if p.energies is None:
        energies |= {"e_min": p.energy_edges[:-1], "e_max": p.energy_edges[1:]}
    for name, e in energies.items():
        table[name] = u.Quantity(_spread(p, e), "TeV")
    if sed_type == "likelihood":
        for name, unit in UNITS.items():
            table[f"ref_{name}"] = u.Quantity(_spread(p, p.reference[name]), parsed(unit))
    for name, values in _columns(p, sed_type).items():
        table[name] = values
    if len(p.norm_scan):
        if sed_type in UNITS:
            # what the strengths of the scan are relative to, which no other column tells
            table[f"ref_{sed_type}"] = u.Quantity(_spread(p, p.reference[sed_type]), parsed(UNITS[sed_type]))
        table["stat_scan"] = p.stat_scan
        table["norm_scan"] = np.broadcast_to(p.norm_scan, p.stat_scan.shape).copy()
    return _shown(table) if formatted else table


def time_series(points: Any, sed_type: str, formatted: bool = False) -> Any:
    """A light curve of one energy bin as astropy's `BinnedTimeSeries`, by the columns of gammapy; see `FluxPoints.to_table`.

    Raises
    ------
    InputError
        For points without time bins or with several energy bins, which such a table has no place for.
    """
    from astropy.timeseries import BinnedTimeSeries

    p = points
    _check_sed(p, sed_type)
    if p.gti is None or p.norm.shape[1] != 1:
        what = "these are points without time bins" if p.gti is None else f"this light curve has {p.norm.shape[1]}"
        raise InputError(
            f"format={SERIES!r} is for light curves of one energy bin, and {what}; take one bin, "
            'points.slice_by_idx({"energy": slice(0, 1)}), or format=None.'
        )
    columns = {name: values[:, 0] for name, values in _columns(p, sed_type).items()}
    if len(p.norm_scan):
        columns["stat_scan"] = p.stat_scan[:, 0]
        columns["norm_scan"] = np.broadcast_to(p.norm_scan, columns["stat_scan"].shape).copy()
    start = p.gti.time_start
    size = (p.gti.time_stop - start).to("s")
    table = BinnedTimeSeries(time_bin_start=start, time_bin_size=size, data=columns, meta=_meta(p, sed_type))
    return _shown(table) if formatted else table


def _check_sed(p: Any, sed_type: str) -> None:
    if sed_type not in SED_TYPES:
        raise InputError(f"to_table: got sed_type={sed_type!r}, expected one of {', '.join(SED_TYPES)}.")
    if p.energies is not None and sed_type in ("likelihood", "flux", "eflux"):
        raise InputError(
            f"to_table: the points are at energies, without bins, so that there is no {sed_type}; take sed_type='dnde', 'e2dnde' or 'norm'."
        )


def _meta(p: Any, sed_type: str) -> dict[str, Any]:
    meta = {"SED_TYPE": sed_type, "UL_CONF": round(erf(p.n_sigma_ul / 2**0.5), 7), "N_SIGMA": p.n_sigma}
    # the level has seven digits; a keyword of FITS has eight letters
    meta["NSIGMAUL"] = p.n_sigma_ul
    if _has_sensitivity(p):
        meta["NSIGMASN"] = p.n_sigma_sensitivity
    if p.dataset_names is not None:
        # gammapy sorts names in a column and leaves the counts in their order
        meta["DATASETS"] = json.dumps(list(p.dataset_names))
    return meta


def _has_sensitivity(p: Any) -> bool:
    return bool(np.isfinite(p.norm_sensitivity).any())


def _columns(p: Any, sed_type: str) -> dict[str, Any]:
    """What there is of each bin, shape (K,) or (T, K), counts with one axis more."""
    found = {}
    for suffix in ["", "_err", "_errn", "_errp", "_ul", *(["_sensitivity"] if _has_sensitivity(p) else [])]:
        name = f"{'norm' if sed_type == 'likelihood' else sed_type}{suffix}"
        found[name] = getattr(p, name)
    found |= {name: getattr(p, name) for name in COUNTED}
    if np.isfinite(p.norm_ul).any():
        found["is_ul"] = p.is_ul
    return found


def _spread(p: Any, values: Any) -> np.ndarray:
    """Values of the energy bins, for each of the time bins."""
    return np.broadcast_to(values, p.norm.shape).copy()


def _shown(table: Any) -> Any:
    """The table with few digits."""
    for column in table.colnames:
        for begins, form in FORMATS.items():
            if column.startswith(begins) and column != "status":
                table[column].info.format = form
    return table
