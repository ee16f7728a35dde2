"""Estimators of flux points: the strength of a source in energy and time bins, all bins in one batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import Datasets
from gammajax.errors import DataError, FitError, InputError
from gammajax.fit.estimator import Estimator
from gammajax.fit.flux_bins import Bins
from gammajax.fit.flux_points import UNITS, FluxPoints
from gammajax.fit.resolve import as_datasets
from gammajax.models import SkyModel
from gammajax.provenance import provenance
from gammajax.units import energy_values, parsed

__all__ = ["FluxPointsEstimator"]


class FluxPointsEstimator(Estimator):
    """Estimates the strength of one source in energy bins; its shape stays as it is, and all other models unless `reoptimize`.

    Parameters
    ----------
    energy_edges : `~astropy.units.Quantity`, shape (K + 1,)
        Edges; each is moved to the nearest edge of the reconstructed axis.
    source : str or int
        Name or number of the source.
    n_sigma, n_sigma_ul : float
        Of the errors on both sides and of the upper limit: the statistic rises by their square.
    selection_optional : "all", or list of {"errn-errp", "ul", "scan"}
        What is computed beside the strength, its error and the TS.
    norm_scan : array, shape (L,), optional
        Strengths of the scan; 11 from 0.2 to 5 in equal ratios, as in gammapy, if not given.
    reoptimize : bool
        Re-fit the free parameters of all other models in each bin, with their priors, at every strength: errors, limits, TS and scans
        are those of the profile, and `stat` holds the priors. What the source shares with other models stays as it is, and so does
        what has no effect in a bin. Parameters that the channels of a bin do not tell apart give `success` false there: use wider
        bins, freeze one or set a prior.

    Examples
    --------
    >>> estimator = FluxPointsEstimator([1, 3, 10] * u.TeV, source="crab", selection_optional="all")
    >>> estimator.n_sigma_ul
    2.0
    """

    energy_edges: np.ndarray
    source: str | int
    norm_scan: np.ndarray
    reoptimize: bool

    def __init__(
        self,
        energy_edges: u.Quantity,
        source: str | int = 0,
        *,
        n_sigma: float = 1,
        n_sigma_ul: float = 2,
        selection_optional: str | Sequence[str] | None = None,
        norm_scan: Any = None,
        reoptimize: bool = False,
    ) -> None:
        self.energy_edges = np.atleast_1d(energy_values(energy_edges, "energy_edges"))
        if len(self.energy_edges) < 2 or np.any(np.diff(self.energy_edges) <= 0):
            raise InputError(f"energy_edges: got {energy_edges}, expected at least two increasing energies.")
        self._set(selection_optional, n_sigma, n_sigma_ul)
        self.source, self.reoptimize = source, bool(reoptimize)
        self.norm_scan = np.geomspace(0.2, 5, 11) if norm_scan is None else np.array(norm_scan, dtype=float)

    def run(self, datasets: Any) -> FluxPoints:
        """Estimate the points from spectra with models.

        Parameters
        ----------
        datasets : `Datasets`, data set or list
            Spectra of counts; the bins of all are joined.

        Raises
        ------
        DataError
            If a data set has no energies or no bin of the fit in some energy bin.
        FitError
            If the source is in none of the models.
        """
        joined = as_datasets(datasets, None)
        source = self._source(joined.models)
        edges = _snapped(self.energy_edges, joined)
        bins = Bins([(d, 0) for d in joined], source, edges, 1, joined.models if self.reoptimize else None)
        if np.any(bins.inside == 0):
            k = int(np.argmax(bins.inside == 0))
            raise DataError(
                f"no bin of the fit lies between {edges[k]:.4g} and {edges[k + 1]:.4g} TeV; choose energy_edges inside of the "
                "fit range, on edges of the reconstructed axis."
            )
        return FluxPoints(
            edges, _reference(source, edges), **self._solve(bins), provenance=self._provenance(bins, source)
        )

    def _provenance(self, bins: Bins, source: SkyModel) -> Any:
        return provenance(
            bins.arrays, source=source.name, selection_optional=list(self.selection),
            n_sigma=self.n_sigma, n_sigma_ul=self.n_sigma_ul, reoptimize=self.reoptimize,
            energy_edges=self.energy_edges.tolist(), norm_scan=self.norm_scan.tolist(), **self._settings(),
        )  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        """What else the result depends on."""
        return {}

    def _source(self, models: Any) -> SkyModel:
        if not any(isinstance(m, SkyModel) for m in models):
            raise FitError("flux points need a source; set dataset.models first.")
        source = models[self.source]
        if not isinstance(source, SkyModel):
            raise FitError(f"flux points are of a SkyModel; {source.name!r} is a {type(source).__name__}.")
        return source

    def _solve(self, bins: Bins) -> dict[str, Any]:
        """All strengths at once; the fields of `FluxPoints` by name, each with one entry per bin."""
        grid = self.norm_scan if "scan" in self.selection else np.zeros(0)
        levels = np.array([self.n_sigma**2, self.n_sigma**2, self.n_sigma_ul**2])
        asked = np.array(["errn-errp" in self.selection] * 2 + ["ul" in self.selection])
        found = bins.solve(grid, levels[asked], np.array([1.0, -1.0, 1.0])[asked])
        success, best = found["success"], found["best"]
        crossing = np.full((bins.n, 3), np.nan)
        crossing[:, asked] = found["crossing"]
        errp, errn = (np.where(success, np.abs(crossing[:, k] - best), np.nan) for k in (0, 1))
        same = {k: found[k] for k in ("stat", "counts", "npred", "npred_excess", "success", "status")}
        return same | {
            "norm": np.where(success, found["norm"], np.nan), "norm_err": found["error"], "norm_errn": errn, "norm_errp": errp,
            "norm_ul": crossing[:, 2], "ts": found["null"] - found["stat"], "stat_null": found["null"], "norm_scan": grid,
            "stat_scan": found["scan"], "n_sigma": self.n_sigma, "n_sigma_ul": self.n_sigma_ul,
        }  # fmt: skip


def _snapped(wanted: np.ndarray, datasets: Datasets) -> np.ndarray:
    first = datasets[0]
    if not hasattr(first, "counts"):
        raise DataError(f"{first.name!r} is a {type(first).__name__}; flux points are made from spectra of counts.")
    axis = first.counts.geom.axis.edges_tev
    edges = axis[np.argmin(np.abs(np.log(wanted[:, None] / axis)), axis=1)]
    if len(np.unique(edges)) < len(edges):
        raise DataError(
            f"energy_edges {wanted} TeV are closer than the bins of {first.name!r}; on its axis they become {edges} TeV."
        )
    return edges


def _reference(source: SkyModel, edges: np.ndarray) -> dict[str, np.ndarray]:
    model, lo, hi = source.spectral_model, edges[:-1], edges[1:]
    centre = np.sqrt(lo * hi)
    dnde = model(u.Quantity(centre, u.TeV)).to_value(parsed(UNITS["dnde"]))
    low, high = u.Quantity(lo, u.TeV), u.Quantity(hi, u.TeV)
    return {
        "dnde": dnde,
        "e2dnde": centre**2 * dnde,
        "flux": model.integral(low, high).to_value(parsed(UNITS["flux"])),
        "eflux": model.energy_flux(low, high).to_value(parsed(UNITS["eflux"])),
    }
