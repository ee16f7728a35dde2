"""The columns of a table of flux points, by GADF's names, as the arguments of a data set."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.points_arrays import DNDE
from gammajax.datasets.points_bins import PointBins
from gammajax.errors import DataError
from gammajax.units import energy_values

__all__ = ["mask_of", "points_of"]

# columns, in the order in which they are looked for
SEDS = ("dnde", "e2dnde", "norm", "flux", "eflux")
BINNED = ("flux", "eflux")


def points_of(table: Any, name: str) -> tuple[dict[str, Any], PointBins | None]:
    """Arguments of a `FluxPointsDataset`, and the energy bins of fluxes and energy fluxes.

    Parameters
    ----------
    table : `~astropy.table.Table`
        One row per point.
    name : str
        Of the data set, for messages.

    Raises
    ------
    DataError
        If a column is missing, naming it.
    """
    sed = _sed_of(table)
    needed = {"norm": ("e_ref", "ref_dnde")}.get(sed, ("e_min", "e_max") if sed in BINNED else ("e_ref",))
    if not sed or not set(needed) <= set(table.colnames):
        raise DataError(
            f"{name}: the columns are {', '.join(table.colnames)}; expected e_ref, and dnde, e2dnde or norm with errors; or e_min, e_max, "
            "and flux or eflux with errors."
        )

    def column(key: str) -> Any:
        if key not in table.colnames:
            return None
        c = table[key]
        values = np.ma.filled(np.ma.asarray(getattr(c, "value", c)).astype(float), np.nan)
        if c.unit is None and key.startswith(("norm", "stat")):
            return u.Quantity(values)
        if c.unit is None:
            expected = {"e": "TeV", "f": "cm-2 s-1"}.get(key.removeprefix("ref_")[0], DNDE)
            expected = "TeV cm-2 s-1" if "eflux" in key or "e2dnde" in key else expected
            raise DataError(f"{name}: column {key!r} has no unit; expected one such as {expected!r}.")
        return u.Quantity(values, _without_photons(c.unit))

    bins = None
    if sed in BINNED:
        low, high = (energy_values(column(k), f"{name}: {k}") for k in ("e_min", "e_max"))
        bins = PointBins.checked(sed, low, high, name)
        # gammapy goes by the bins too, whatever e_ref says
        energy = u.Quantity(bins.centre, "TeV")
        factor = u.Quantity(bins.factor, "TeV" if sed == "flux" else "TeV2")
    else:
        energy = column("e_ref")
        factor = {"dnde": 1.0, "e2dnde": energy**2}.get(sed)
        factor = 1 / column("ref_dnde") if factor is None else factor
    given = {k: column(f"{sed}_{k}") for k in ("err", "errn", "errp")}
    errors = {f"dnde_{k}": v / factor for k, v in given.items() if v is not None}
    limits = np.ma.filled(np.ma.asarray(table["is_ul"]), False).astype(bool) if "is_ul" in table.colnames else None
    fluxes = {"energy": energy, "dnde": column(sed) / factor, "is_ul": limits}
    return fluxes | errors | _likelihood_columns(column, sed, factor, name), bins


def _sed_of(table: Any) -> str:
    """What the points are given in: what the table says, if it is there, or the first that is; empty for none."""
    stated = str(table.meta.get("SED_TYPE", "")).strip().lower()
    if stated in ("dnde", "e2dnde", *BINNED) and stated in table.colnames:
        return stated
    return next((s for s in SEDS if s in table.colnames), "")


def _likelihood_columns(column: Any, sed: str, factor: Any, name: str) -> dict[str, Any]:
    """Limits, reference fluxes and scans of a table, as far as it has them."""
    found = {}
    limits = column(f"{sed}_ul")
    if limits is not None:
        found["dnde_ul"] = limits / factor
    reference, scan, norm = column("ref_dnde"), column("stat_scan"), column("norm_scan")
    if sed in ("e2dnde", *BINNED) and (own := column(f"ref_{sed}")) is not None:
        reference = own / factor
    elif sed in BINNED:
        # strengths relative to a flux at an energy are none of a bin
        reference = None
    if reference is not None:
        found["dnde_ref"] = reference
    if scan is not None and norm is not None and reference is not None:
        lowest = column("stat")
        rise = scan.value - (0.0 if lowest is None else lowest.value[:, None])
        grid = norm.value.reshape(-1, norm.shape[-1])
        if not np.allclose(grid, grid[0], rtol=1e-9, equal_nan=True):
            raise DataError(f"{name}: column norm_scan differs from row to row; expected one grid of strengths.")
        found |= {"norm_scan": grid[0], "stat_scan": rise}
    return found


def mask_of(table: Any, key: str, n: int, name: str) -> np.ndarray | None:
    """A mask of a table, which has two more axes of length 1 where gammapy wrote it; None where there is none."""
    if key not in table.colnames:
        return None
    values = np.asarray(table[key])
    if values.dtype != bool or values.size != n:
        raise DataError(f"{name}: column {key!r} has shape {values.shape} and type {values.dtype}, expected {n} flags.")
    return values.reshape(n)


def _without_photons(unit: u.UnitBase) -> u.UnitBase:
    """Older tables count photons, newer ones leave them out."""
    powers = dict(zip(unit.bases, unit.powers, strict=True))
    return unit / u.photon ** powers[u.photon] if u.photon in powers else unit
