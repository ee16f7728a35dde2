"""What the statistics of flux points take: which points each of them can use, and their arrays."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.points_arrays import DNDE
from gammajax.datasets.points_bins import PointBins
from gammajax.errors import DataError, InputError
from gammajax.units import parsed

__all__ = ["PointsStatistic", "read_only"]

STATISTICS = ("chi2", "distrib", "profile")


class PointsStatistic:
    """Base of a data set of flux points: its columns, those of `checked_points`, its statistic and its masks."""

    name: str
    mask_fit: Any
    _stat_type: str
    _energy: np.ndarray
    _dnde: np.ndarray
    _error: np.ndarray
    _errn: np.ndarray
    _errp: np.ndarray
    _limit: np.ndarray
    _reference: np.ndarray
    _is_ul: np.ndarray
    _known: np.ndarray
    _safe: np.ndarray
    _profile: dict[str, np.ndarray] | None
    _scan: tuple[np.ndarray, np.ndarray] | None
    _bins: PointBins | None
    compatibility: str | None

    @property
    def sed_type(self) -> str:
        """What the points are: "dnde" at energies, or "flux" or "eflux" in bins, whose models are integrated."""
        return "dnde" if self._bins is None else self._bins.sed_type

    def response_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """What integrates the models over the bins of fluxes and energy fluxes; None for points at energies.

        See `PointBins.response`; with `compatibility` "gammapy" all points are at energies.
        """
        return None if self._bins is None or self.compatibility == "gammapy" else self._bins.response

    @property
    def energy_power(self) -> int:
        """1 for energy fluxes of bins, whose models are integrated with the energy; otherwise 0."""
        return int(self.sed_type == "eflux" and self.response_arrays() is not None)

    @property
    def energy(self) -> u.Quantity:
        """Energies, TeV, shape (n,), read-only; the logarithmic centres of bins."""
        return read_only(u.Quantity(self._energy, u.TeV))

    @property
    def dnde(self) -> u.Quantity:
        """Fluxes, shape (n,), read-only; of the bins of a flux or an energy flux its mean."""
        return read_only(u.Quantity(self._dnde, parsed(DNDE)))

    @property
    def dnde_err(self) -> u.Quantity:
        """Standard deviations, shape (n,), read-only."""
        return read_only(u.Quantity(self._error, parsed(DNDE)))

    @property
    def is_ul(self) -> np.ndarray:
        """Which points are upper limits, bool, shape (n,), read-only; `mask_safe` and `mask_fit` leave points out."""
        return read_only(self._is_ul.copy())

    @property
    def stat_type(self) -> str:
        """Statistic: "chi2", "distrib" or "profile"."""
        return self._stat_type

    @stat_type.setter
    def stat_type(self, value: str) -> None:
        if value not in STATISTICS:
            raise InputError(f"{self.name}: stat_type got {value!r}, expected one of {', '.join(STATISTICS)}.")
        if value == "profile" and (self._profile is None or not np.any(np.isfinite(self._reference))):
            raise DataError(
                f"{self.name}: profile needs the scanned statistic; give norm_scan, stat_scan and dnde_ref."
            )
        if not self._usable(value).any():
            raise DataError(
                f"{self.name}: no point has a flux and an error, or what {value} needs; there is nothing to fit."
            )
        self._stat_type = value

    def _usable(self, statistic: str) -> np.ndarray:
        """Points that have what a statistic needs."""
        if statistic == "chi2":
            return self._known
        if statistic == "distrib":
            return self._known | (self._is_ul & np.isfinite(self._limit) & (self._limit > 0))
        assert self._profile is not None
        return np.isfinite(self._profile["c0"]).all(axis=1) & (self._reference > 0)

    @property
    def mask_safe(self) -> np.ndarray:
        """Points that the statistic can use, bool, shape (n,); setting it leaves some out."""
        return read_only(self._usable(self._stat_type) & self._safe)

    @mask_safe.setter
    def mask_safe(self, mask: Any) -> None:
        self._safe = self._flags(mask, "mask_safe")

    def _flags(self, mask: Any, what: str) -> np.ndarray:
        """A mask of one flag for each point, which gammapy has with two more axes."""
        flags = np.asarray(mask)
        if flags.dtype != bool or flags.size != len(self._energy):
            raise DataError(
                f"{self.name}: {what} has shape {flags.shape} and type {flags.dtype}, expected {len(self._energy)} of bool."
            )
        return flags.reshape(-1).copy()

    @property
    def available_stat_type(self) -> list[str]:
        """What `stat_type` may be."""
        return list(STATISTICS)

    @property
    def mask_valid(self) -> np.ndarray:
        """Points that have what the statistic needs, whatever is masked, bool, shape (n,), read-only."""
        return read_only(self._usable(self._stat_type).copy())

    @property
    def mask(self) -> np.ndarray:
        """Points in the fit, bool, shape (n,), read-only: `mask_safe` and `mask_fit`."""
        return read_only(np.array(self.mask_array))

    @property
    def mask_array(self) -> np.ndarray:
        """Points in the fit, bool, shape (n,)."""
        if self.mask_fit is None:
            return self.mask_safe
        mask = np.asarray(self.mask_fit)
        if mask.shape != self.mask_safe.shape or mask.dtype != bool:
            raise DataError(
                f"{self.name}: mask_fit has shape {mask.shape} and type {mask.dtype}, expected {self.mask_safe.shape} of bool."
            )
        return self.mask_safe & mask

    def points(self) -> np.ndarray:
        """Energies at which models are evaluated, TeV."""
        return self._energy

    def statistic_arrays(self) -> dict[str, np.ndarray]:
        """Fluxes and 1/error, each of shape (n,); 0 for points without."""
        used, known = self.mask_safe, self._known & self._safe
        if self._stat_type == "profile":
            assert self._profile is not None
            spline = {k: np.where(used[:, None], v, 0.0) for k, v in self._profile.items()}
            flux = np.where(used & np.isfinite(self._dnde), self._dnde, 0.0)
            return {"value": flux, "reference": np.where(used, self._reference, 1.0), **spline}
        value = np.where(known, self._dnde, 0.0)
        if self._stat_type == "chi2":
            return {"value": value, "weight": _weight(self._error, known)}
        below, above = (_weight(np.where(e > 0, e, self._error), known) for e in (self._errn, self._errp))
        limit = np.where(used & ~known, self._limit, 0.0)
        return {"value": value, "below": below, "above": above, "limit": limit}

    @property
    def energy_range(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of the points in the fit, TeV; nan when there is none."""
        e = self._energy[self.mask_array]
        low, high = (e.min(), e.max()) if len(e) else (np.nan, np.nan)
        return u.Quantity(low, "TeV"), u.Quantity(high, "TeV")


def _weight(error: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known, 1 / np.where(known, error, 1.0), 0.0)


def read_only(array: Any) -> Any:
    """A copy that refuses changes, which would have no effect on the data set."""
    array.setflags(write=False)
    return array
