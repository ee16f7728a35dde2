"""What follows from the columns of flux points, by gammapy's names."""

from dataclasses import replace
from typing import Any, Self

import numpy as np

from gammajax.elsewhere import Pointing
from gammajax.errors import InputError

__all__ = ["FluxDerived", "limit_of_scan"]

_COLUMNS = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "norm_sensitivity", "ts", "stat", "stat_null", "counts", "npred", "npred_excess")  # fmt: skip


class FluxDerived(Pointing):
    """Numbers that follow from strengths, counts and scans."""

    norm: np.ndarray
    norm_err: np.ndarray
    norm_errn: np.ndarray
    norm_errp: np.ndarray
    norm_ul: np.ndarray
    norm_scan: np.ndarray
    stat: np.ndarray
    stat_scan: np.ndarray
    ts: np.ndarray
    npred: np.ndarray
    npred_excess: np.ndarray
    success: np.ndarray
    energies: np.ndarray | None

    def copy(self) -> Self:
        """The same: flux points are values, nothing in them changes."""
        return replace(self)  # type: ignore[type-var]

    @property
    def available_quantities(self) -> list[str]:
        """Names of the columns that hold a number."""
        found = [n for n in _COLUMNS if np.isfinite(getattr(self, n)).any()]
        return [*found, *(["stat_scan"] if self.stat_scan.shape[-1] else []), "success"]

    @property
    def has_any_ts(self) -> bool:
        """Whether there is a TS."""
        return bool(np.isfinite(self.ts).any())

    @property
    def has_success(self) -> bool:
        """Always: each bin has its verdict."""
        return True

    @property
    def is_convertible_to_flux_sed_type(self) -> bool:
        """Whether there are energy bins, and with them fluxes and energy fluxes."""
        return self.energies is None

    @property
    def ts_scan(self) -> np.ndarray:
        """Rise of the statistic along the scan above its value at the best strength, shape (K, L)."""
        return self.stat_scan - self.stat[..., None]

    @property
    def npred_background(self) -> np.ndarray:
        """Predicted counts of everything but the source, shape (K, D)."""
        return self.npred - self.npred_excess

    @property
    def npred_excess_ref(self) -> np.ndarray:
        """Predicted counts of the source at strength 1, shape (K, D); nan at a strength of 0."""
        norm = np.broadcast_to(self.norm[..., None], self.npred_excess.shape)
        return np.divide(self.npred_excess, norm, out=np.full(norm.shape, np.nan), where=np.nan_to_num(norm) != 0)

    @property
    def npred_excess_err(self) -> np.ndarray:
        """Error of the predicted counts of the source, shape (K, D)."""
        return self.npred_excess_ref * self.norm_err[..., None]

    @property
    def npred_excess_errn(self) -> np.ndarray:
        """Error below, shape (K, D)."""
        return self.npred_excess_ref * self.norm_errn[..., None]

    @property
    def npred_excess_errp(self) -> np.ndarray:
        """Error above, shape (K, D)."""
        return self.npred_excess_ref * self.norm_errp[..., None]

    @property
    def npred_excess_ul(self) -> np.ndarray:
        """Upper limit of the counts of the source, shape (K, D)."""
        return self.npred_excess_ref * self.norm_ul[..., None]

    def recompute_ul(self, n_sigma_ul: float = 2) -> Self:
        """Upper limits of another significance from the scans: as good as those are fine; nan where a scan ends before.

        Between the values of a scan its quadratic spline is taken, as by gammapy.

        Parameters
        ----------
        n_sigma_ul : float
            The statistic rises by its square above its minimum.

        Returns
        -------
        `FluxPoints`
            New ones with these limits.

        Raises
        ------
        InputError
            Without scans.
        """
        if len(self.norm_scan) < 3:
            raise InputError(
                f"recompute_ul: needs scans of at least 3 strengths, got {len(self.norm_scan)}; estimate with selection_optional=['scan']."
            )
        if not n_sigma_ul > 0:
            raise InputError(f"recompute_ul: got n_sigma_ul={n_sigma_ul}, expected a number above 0.")
        rows = self.stat_scan.reshape(-1, len(self.norm_scan))
        found = np.array([limit_of_scan(self.norm_scan, row, n_sigma_ul**2) for row in rows])
        new: Any = {"norm_ul": found.reshape(self.norm.shape), "n_sigma_ul": float(n_sigma_ul)}
        return replace(self, **new)  # type: ignore[type-var]


def limit_of_scan(norm: np.ndarray, stat: np.ndarray, level: float) -> float:
    """Where the quadratic spline through a scan has risen by a level above its minimum, beyond that; nan where it has not.

    Parameters
    ----------
    norm, stat : array, shape (L,)
        Strengths, increasing, and the statistic; what is not finite is left out.
    level : float
        The rise.
    """
    from scipy.interpolate import PPoly, make_interp_spline

    known = np.isfinite(norm) & np.isfinite(stat)
    x, y = norm[known], stat[known]
    if len(x) < 3:
        return np.nan
    spline = make_interp_spline(x, y, k=2)
    pieces = PPoly.from_spline(spline)
    turns = pieces.derivative().roots(extrapolate=False)
    candidates = np.concatenate([x[[0, -1]], turns[np.isfinite(turns) & (turns > x[0]) & (turns < x[-1])]])
    best = candidates[np.argmin(spline(candidates))]
    reached = pieces.solve(float(spline(best)) + level, extrapolate=False)
    beyond = reached[np.isfinite(reached) & (reached > best)]
    return float(beyond.min()) if len(beyond) else np.nan
