"""From a table by the columns of GADF to flux points."""

import json
import warnings
from math import erf
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import GTI
from gammajax.errors import FileFormatError, GammajaxError, InputError
from gammajax.fit import FluxPoints
from gammajax.fit.flux_columns import UNITS
from gammajax.io.points_counts import counts_of, names_of
from gammajax.io.results_code import decode
from gammajax.models import PowerLawSpectralModel, SpectralModel
from gammajax.provenance import Provenance
from gammajax.solve import Status
from gammajax.units import parsed

__all__ = ["points_from_table", "same_reference"]

SUFFIXES = ("", "_err", "_errn", "_errp", "_ul", "_sensitivity")
# gammapy's edges have passed through logarithms
GRID_TOLERANCE = 1e-6


# digits in which people write the parameters of a model
SAME_MODEL = 1e-3


def points_from_table(table: Any, where: str, reference_model: Any = None, sed_type: str | None = None) -> FluxPoints:
    """Flux points from a table of one row per energy bin, or per time bin of a light curve.

    Parameters
    ----------
    table : `~astropy.table.Table`
        By the columns of gammapy.
    where : str
        Name of the file, for messages.
    reference_model : `gammajax.SpectralModel` or `gammajax.SkyModel`, optional
        What the strengths are relative to where the table holds fluxes.
    sed_type : str, optional
        The columns to be read; those that are there if not given.

    Raises
    ------
    FileFormatError
        Naming what is missing.
    """
    try:
        return same_reference(_points(table, where, reference_model, sed_type), reference_model, where)
    except GammajaxError:
        raise
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise FileFormatError(f"{where}: no table of flux points ({error}); the file is damaged.") from error


def _points(table: Any, where: str, model: Any, sed_type: str | None) -> FluxPoints:
    meta = {k.upper(): v for k, v in table.meta.items()}
    if "time_bin_start" in table.colnames:
        raise FileFormatError(
            f"{where}: a time series (format 'binned-time-series') does not tell the energies of its fluxes; write the light curve with "
            "format='lightcurve'. astropy.timeseries.BinnedTimeSeries reads the table."
        )
    gti = _gti(table, meta, where) if "time_min" in table.colnames else None
    sed = _sed_type(table, meta, where, sed_type)
    energies, edges, shape = _energies(table, sed, gti, where)
    reference, norms = _norms(table, (energies, edges), shape, gti, where, model, sed)

    def plain(name: str) -> np.ndarray:
        return _column(table, name, "", where) if name in table.colnames else np.full(shape, np.nan)

    norm, stat, ts = norms["norm"], plain("stat"), plain("ts")
    if "ts" not in table.colnames and "sqrt_ts" in table.colnames:
        ts = plain("sqrt_ts") ** 2
    names = names_of(meta, where)
    counts, npred, excess = counts_of(table, names, shape, where)
    grid, scan = np.zeros(0), np.zeros((*shape, 0))
    if "stat_scan" in table.colnames and "norm_scan" in table.colnames and _has_reference(table, sed, model, where):
        scan, every = (_column(table, c, "", where) for c in ("stat_scan", "norm_scan"))
        grid = every.reshape(-1, every.shape[-1])[0]
        if not np.allclose(every, grid, rtol=1e-9, equal_nan=True):
            raise FileFormatError(f"{where}: column norm_scan differs from row to row; expected one grid of strengths.")
    success = np.asarray(table["success"]).astype(bool) if "success" in table.colnames else np.isfinite(norm)
    status = np.asarray(table["status"]).astype(int) if "status" in table.colnames else None
    if status is not None and not np.isin(status, list(Status)).all():
        raise FileFormatError(
            f"{where}: column status holds {status.max()}, expected whole numbers from 0 to {max(Status)}."
        )
    return FluxPoints(
        edges, reference, norm, norms["norm_err"], norms["norm_errn"], norms["norm_errp"], norms["norm_ul"], ts, stat,
        plain("stat_null") if "stat_null" in table.colnames else stat + ts, counts, npred, excess, grid, scan, success.reshape(shape), float(meta.get("N_SIGMA", 1.0)), _sigmas(meta, where), _provenance(meta, where), gti, status,
        norms["norm_sensitivity"], float(meta.get("NSIGMASN", 5.0)), energies, "likelihood" if sed == "norm" else sed,
        _marked(table, shape, where), names,
    )  # fmt: skip


def _has_reference(table: Any, sed: str, model: Any, where: str) -> bool:
    """Whether it is known what the strengths of a scan are relative to; says so where they are left out."""
    if sed == "norm" or model is not None or f"ref_{sed}" in table.colnames:
        return True
    warnings.warn(
        f"{where}: the strengths norm_scan are relative to a model that the table does not tell, since it has no column ref_{sed}; stat_scan "
        "is left out. Give reference_model=, or write the points with sed_type='likelihood'.",
        stacklevel=4,
    )
    return False


def _sed_type(table: Any, meta: dict[str, Any], where: str, wanted: str | None) -> str:
    """The columns to be read: what is wanted, or else what the table says it is given in, or else the first that is there."""
    if wanted is None:
        stated = str(meta.get("SED_TYPE", "")).strip().lower()
        wanted = stated if stated in UNITS and stated in table.colnames else None
    there = [s for s in ("norm", *UNITS) if s in table.colnames]
    # strengths without all that they are relative to are of no use where there are fluxes
    whole = {"e_min", "ref_dnde", "ref_flux", "ref_eflux"} <= set(table.colnames)
    found = next((s for s in there if s != "norm" or whole), next(iter(there), None))
    if wanted is not None:
        asked = "norm" if wanted == "likelihood" else wanted
        found = asked if asked in ("norm", *UNITS) and asked in table.colnames else None
    if found is None:
        raise FileFormatError(
            f"{where}: the columns are {', '.join(table.colnames)}; expected {wanted or 'norm, dnde, e2dnde, flux or eflux'}."
        )
    return found


def _energies(
    table: Any, sed: str, gti: GTI | None, where: str
) -> tuple[np.ndarray | None, np.ndarray, tuple[int, ...]]:
    """Energies of points without bins, or None; edges; and the shape of a column."""
    missing = [c for c in ("e_min", "e_max") if c not in table.colnames]
    if not missing:
        lo, hi = (_column(table, c, "TeV", where) for c in ("e_min", "e_max"))
        shape = lo.shape
        lo, hi = (_equal_rows(a, gti, where) for a in (lo, hi))
        if len(lo) > 1 and not np.allclose(hi[:-1], lo[1:], rtol=GRID_TOLERANCE, atol=0):
            i = int(np.argmax(~np.isclose(hi[:-1], lo[1:], rtol=GRID_TOLERANCE, atol=0)))
            raise FileFormatError(
                f"{where}: energy bin {i} ends at {hi[i]:.6g} TeV and the next begins at {lo[i + 1]:.6g} TeV; expected bins without gaps. "
                "FluxPointsDataset.read takes them."
            )
        return None, np.append(lo, hi[-1]), shape
    if sed not in ("dnde", "e2dnde") or "e_ref" not in table.colnames:
        raise FileFormatError(
            f"{where}: column {missing[0]} is missing; {sed} belongs to energy bins. dnde and e2dnde may be given at energies e_ref."
        )
    every = _column(table, "e_ref", "TeV", where)
    energies = _equal_rows(every, gti, where)
    bad = np.flatnonzero(~(np.isfinite(energies) & (energies > 0)) | (np.diff(energies, prepend=0.0) <= 0))
    if len(bad):
        raise FileFormatError(
            f"{where}, column e_ref, row {bad[0]}: value {energies[bad[0]]:g} TeV, expected increasing energies above 0."
        )
    return energies, _edges_between(energies), every.shape


def _edges_between(energies: np.ndarray) -> np.ndarray:
    """Half-way between energies in the logarithm, and as far beyond the ends, as gammapy has it; around one a tenth of a decade."""
    x = np.log(energies)
    if len(x) == 1:
        x = x + np.log(10) * np.array([-0.05, 0.05])
    else:
        middle = 0.5 * (x[1:] + x[:-1])
        x = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    return np.exp(x)


def _marked(table: Any, shape: tuple[int, ...], where: str) -> np.ndarray | None:
    """Which are upper limits, if the table says so."""
    if "is_ul" not in table.colnames:
        return None
    values = np.ma.filled(np.ma.asarray(table["is_ul"]), False)
    if values.shape != shape or values.dtype.kind not in "biu":
        raise FileFormatError(
            f"{where}: column is_ul has shape {values.shape} and type {values.dtype}, expected flags."
        )
    return np.asarray(values).astype(bool)


def _sigmas(meta: dict[str, Any], where: str) -> float:
    """Of the upper limits: our own keyword, or the shortest number with the confidence level, which has seven digits; 2 without both."""
    own = meta.get("NSIGMAUL")
    if "UL_CONF" not in meta:
        return 2.0 if own is None else float(own)
    level = float(meta["UL_CONF"])
    # another program may have changed the level, and left our keyword
    if own is not None and _same_level(float(own), level):
        return float(own)
    if not 0 < level <= 1:
        raise FileFormatError(f"{where}: UL_CONF = {level:g}, expected a confidence level between 0 and 1.")
    from scipy.stats import norm

    exact = float(norm.isf(0.5 * (1 - level)))
    return next((r for r in (round(exact, digits) for digits in range(1, 8)) if _same_level(r, level)), exact)


def _same_level(sigmas: float, level: float) -> bool:
    return abs(erf(sigmas / 2**0.5) - level) < 1e-7


def _provenance(meta: dict[str, Any], where: str) -> Provenance | None:
    text = meta.get("PROVENAN")
    if text is None:
        return None
    found = decode(json.loads(text), where)
    if not isinstance(found, Provenance):
        raise FileFormatError(f"{where}: PROVENAN holds no provenance; remove the keyword.")
    return found


def _gti(table: Any, meta: dict[str, Any], where: str) -> GTI:
    from astropy.time import Time

    scale = str(meta.get("TIMESYS", "utc")).strip().lower()
    if scale not in Time.SCALES:
        raise FileFormatError(f"{where}: TIMESYS = {scale!r}, expected one of {', '.join(Time.SCALES)}.")
    first = Time(float(meta.get("MJDREFI", 0.0)), float(meta.get("MJDREFF", 0.0)), format="mjd", scale=scale)
    unit = u.Unit(str(meta.get("TIMEUNIT", "d")))
    start, stop = (first + u.Quantity(np.asarray(table[c], dtype=float), unit) for c in ("time_min", "time_max"))
    return GTI.create(start, stop)


def _column(table: Any, name: str, unit: str, where: str) -> np.ndarray:
    column = table[name]
    values = np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(float), np.nan)
    if not unit:
        return np.asarray(values)
    if column.unit is None:
        raise FileFormatError(f"{where}: column {name!r} has no unit; expected one such as {unit!r}.")
    own = column.unit
    powers = dict(zip(own.bases, own.powers, strict=True))
    # older tables count photons
    own = own / u.photon ** powers[u.photon] if u.photon in powers else own
    if not own.is_equivalent(parsed(unit)):
        raise FileFormatError(f"{where}: column {name!r} has the unit {str(own)!r}, expected one such as {unit!r}.")
    return np.asarray(u.Quantity(values, own).to_value(parsed(unit)))


def _equal_rows(values: np.ndarray, gti: GTI | None, where: str) -> np.ndarray:
    """The row that all time bins have in common."""
    if gti is None:
        return values
    if values.ndim != 2 or not np.allclose(values, values[0], rtol=1e-9, equal_nan=True):
        raise FileFormatError(f"{where}: the energy bins differ from time to time; expected the same in every row.")
    return values[0]


def _norms(
    table: Any,
    grid: tuple[np.ndarray | None, np.ndarray],
    shape: tuple[int, ...],
    gti: GTI | None,
    where: str,
    model: Any,
    sed: str,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reference fluxes of the energy bins, and strengths relative to them."""
    if sed == "norm":
        edges = grid[1]
        centre = np.sqrt(edges[:-1] * edges[1:])
        names = [f"ref_{s}" for s in ("dnde", "flux", "eflux")]
        missing = [n for n in names if n not in table.colnames]
        if missing:
            raise FileFormatError(f"{where}: column {missing[0]} is missing; strengths alone are no fluxes.")
        columns = [_column(table, n, UNITS[n[4:]], where) for n in names]
        dnde, flux, eflux = (_equal_rows(c, gti, where) for c in columns)
        reference = {"dnde": dnde, "e2dnde": centre**2 * dnde, "flux": flux, "eflux": eflux}
        factor: Any = 1.0
    else:
        reference = _reference(PowerLawSpectralModel() if model is None else model, *grid)
        if model is None and f"ref_{sed}" in table.colnames:
            # the strengths are what they were; in other units by the shape of the model
            own = _equal_rows(_column(table, f"ref_{sed}", UNITS[sed], where), gti, where)
            reference = {name: values * (own / reference[sed]) for name, values in reference.items()}
        factor = reference[sed]
    unit = "" if sed == "norm" else UNITS[sed]
    norms = {
        f"norm{s}": _column(table, f"{sed}{s}", unit, where) / factor
        if f"{sed}{s}" in table.colnames
        else np.full(shape, np.nan)
        for s in SUFFIXES
    }
    return reference, norms


def _reference(model: Any, energies: np.ndarray | None, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Fluxes of a model in the energy bins; at energies without bins nan for those that belong to bins."""
    spectrum = getattr(model, "spectral_model", model)
    if not isinstance(spectrum, SpectralModel):
        raise InputError(f"reference_model: got {model!r}, expected a spectral model or a SkyModel.")
    at = np.sqrt(edges[:-1] * edges[1:]) if energies is None else energies
    dnde = spectrum(u.Quantity(at, "TeV")).to_value(parsed(UNITS["dnde"]))
    found = {"dnde": dnde, "e2dnde": at**2 * dnde, "flux": np.full(len(at), np.nan), "eflux": np.full(len(at), np.nan)}
    if energies is None:
        low, high = u.Quantity(edges[:-1], "TeV"), u.Quantity(edges[1:], "TeV")
        found["flux"] = spectrum.integral(low, high).to_value(parsed(UNITS["flux"]))
        found["eflux"] = spectrum.energy_flux(low, high).to_value(parsed(UNITS["eflux"]))
    return found


def same_reference(points: FluxPoints, model: Any, where: str) -> FluxPoints:
    """The points as they are; refuses a model that is not the one that their strengths are relative to."""
    if model is not None:
        own, given = points.reference["dnde"], _reference(model, points.energies, points.energy_edges)["dnde"]
        known = np.isfinite(own)
        if not np.allclose(own[known], given[known], rtol=SAME_MODEL, atol=0):
            i = int(np.argmax(np.abs(given / own - 1)[known]))
            raise InputError(
                f"{where}: its strengths are relative to a model with {own[known][i]:.3g} {UNITS['dnde']} in one bin, the given "
                f"reference_model has {given[known][i]:.3g}; leave it out."
            )
    return points
