"""The columns of a table of flux points, by GADF's names, as the arguments of a data set."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.points_arrays import DNDE
from gammajax.errors import DataError

__all__ = ["mask_of", "points_of"]

# columns, in the order in which they are looked for
SEDS = ("dnde", "e2dnde", "norm")


def points_of(table: Any, name: str) -> dict[str, Any]:
    """Arguments of a `FluxPointsDataset`.

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
    sed = next((s for s in SEDS if s in table.colnames), "")
    if not sed or "e_ref" not in table.colnames or (sed == "norm" and "ref_dnde" not in table.colnames):
        raise DataError(
            f"{name}: the columns are {', '.join(table.colnames)}; expected e_ref, and dnde, e2dnde or norm with errors."
        )

    def column(key: str) -> Any:
        if key not in table.colnames:
            return None
        c = table[key]
        values = np.ma.filled(np.ma.asarray(getattr(c, "value", c)).astype(float), np.nan)
        if c.unit is None and key.startswith(("norm", "stat")):
            return u.Quantity(values)
        if c.unit is None:
            raise DataError(f"{name}: column {key!r} has no unit; expected one such as {DNDE!r}.")
        return u.Quantity(values, _without_photons(c.unit))

    energy = column("e_ref")
    factor = {"dnde": 1.0, "e2dnde": energy**2}.get(sed)
    factor = 1 / column("ref_dnde") if factor is None else factor
    given = {k: column(f"{sed}_{k}") for k in ("err", "errn", "errp")}
    errors = {f"dnde_{k}": v / factor for k, v in given.items() if v is not None}
    limits = np.ma.filled(np.ma.asarray(table["is_ul"]), False).astype(bool) if "is_ul" in table.colnames else None
    fluxes = {"energy": energy, "dnde": column(sed) / factor, "is_ul": limits}
    return fluxes | errors | _likelihood_columns(column, sed, factor)


def _likelihood_columns(column: Any, sed: str, factor: Any) -> dict[str, Any]:
    """Limits, reference fluxes and scans of a table, as far as it has them."""
    found = {}
    limits = column(f"{sed}_ul")
    if limits is not None:
        found["dnde_ul"] = limits / factor
    reference, scan, norm = column("ref_dnde"), column("stat_scan"), column("norm_scan")
    if reference is not None:
        found["dnde_ref"] = reference
    if scan is not None and norm is not None and reference is not None:
        lowest = column("stat")
        rise = scan.value - (0.0 if lowest is None else lowest.value[:, None])
        found |= {"norm_scan": norm.value.reshape(-1, norm.shape[-1])[0], "stat_scan": np.abs(rise)}
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
