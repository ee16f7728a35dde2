"""Estimators of flux points: the strength of a source in energy and time bins, all bins in one batch."""

import logging
from collections.abc import Sequence
from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import Datasets
from gammajax.errors import DataError, FitError, InputError
from gammajax.fit.estimator import Estimator, refuse_elsewhere
from gammajax.fit.flux_bins import Bins
from gammajax.fit.flux_members import Member
from gammajax.fit.flux_points import UNITS, FluxPoints
from gammajax.fit.flux_spread import spread
from gammajax.fit.resolve import as_datasets
from gammajax.fit.strength import as_norm, check_scan
from gammajax.models import SkyModel
from gammajax.parameters import Parameter
from gammajax.provenance import provenance
from gammajax.units import energy_values, parsed

__all__ = ["FluxPointsEstimator"]

log = logging.getLogger(__name__)
# edges that have passed through another unit are still the same
INSIDE = 1 + 1e-9


class FluxPointsEstimator(Estimator):
    """Estimates the strength of one source in energy bins; its shape stays as it is, and all other models unless `reoptimize`.

    Parameters
    ----------
    energy_edges : `~astropy.units.Quantity`, shape (K + 1,)
        Edges; each is moved to the nearest edge of the reconstructed axis. From 1 to 10 TeV if not given, as in gammapy.
    source : str or int
        Name or number of the source.
    n_sigma, n_sigma_ul : float
        Of the errors on both sides and of the upper limit: the statistic rises by their square.
    n_sigma_sensitivity : float
        Of the sensitivity: the strength at which data as predicted would have this significance.
    selection_optional : "all", or list of {"errn-errp", "ul", "scan", "sensitivity"}
        What is computed beside the strength, its error and the TS.
    norm : `Parameter` or dict, optional
        The strength, with limits and the scan: a parameter named "norm", or arguments of one such as ``{"min": 0}``. Without limits, and
        scanned at 11 values from 0.2 to 5 in equal ratios, as in gammapy, if not given. A strength on a limit has the status AT_LIMIT,
        and what lies outside of the limits is nan. The minimum does not depend on its value.
    norm_scan : array, shape (L,), optional
        Strengths of the scan, in the place of those of `norm`.
    reoptimize : bool
        Re-fit the free parameters of all other models in each bin, with their priors, at every strength: errors, limits, TS and scans
        are those of the profile, and `stat` holds the priors. What the source shares with other models stays as it is, and so does
        what has no effect in a bin. Parameters that the channels of a bin do not tell apart give `success` false there: use wider
        bins, freeze one or set a prior.
    sum_over_energy_groups : bool
        Add the channels of each energy bin up to one, data set by data set, before it is fitted; see `SpectrumDataset.to_image`.
    **gammapy
        Further arguments of gammapy's estimator (n_jobs, parallel_backend, fit, allow_multiple_telescopes) are refused with the reason,
        unless they ask for what is done anyway.

    Examples
    --------
    >>> estimator = FluxPointsEstimator([1, 3, 10] * u.TeV, source="crab", selection_optional="all", norm={"min": 0})
    >>> estimator.n_sigma_ul, estimator.norm.min
    (2.0, 0.0)
    """

    energy_edges: np.ndarray
    source: str | int
    reoptimize: bool
    sum_over_energy_groups: bool

    def __init__(
        self,
        energy_edges: Any = None,
        source: str | int = 0,
        *,
        n_sigma: float = 1,
        n_sigma_ul: float = 2,
        n_sigma_sensitivity: float = 5,
        selection_optional: str | Sequence[str] | None = None,
        norm: Any = None,
        norm_scan: Any = None,
        reoptimize: bool = False,
        sum_over_energy_groups: bool = False,
        **gammapy: Any,
    ) -> None:
        refuse_elsewhere(type(self).__name__, gammapy, self._known())
        wanted = [1, 10] * u.TeV if energy_edges is None else energy_edges
        self.energy_edges = np.atleast_1d(energy_values(wanted, "energy_edges"))
        if len(self.energy_edges) < 2 or np.any(np.diff(self.energy_edges) <= 0):
            raise InputError(f"energy_edges: got {energy_edges}, expected at least two increasing energies.")
        self._set(selection_optional, n_sigma, n_sigma_ul, n_sigma_sensitivity)
        self.source, self.reoptimize = source, bool(reoptimize)
        self.sum_over_energy_groups = bool(sum_over_energy_groups)
        self.norm = norm
        if norm_scan is not None:
            self.norm_scan = norm_scan

    @classmethod
    def _known(cls) -> list[str]:
        """Names of the arguments."""
        every = [p for base in cls.__mro__ if (own := vars(base).get("__init__")) for p in _arguments(own)]
        return list(dict.fromkeys(p for p in every if p != "gammapy"))

    @property
    def norm(self) -> Parameter:
        """The strength as a parameter: its limits and its scan; set a `Parameter`, a dictionary or None."""
        return self._norm

    @norm.setter
    def norm(self, norm: Any) -> None:
        self._norm = as_norm(norm)

    @property
    def norm_scan(self) -> np.ndarray:
        """Strengths of the scan, shape (L,)."""
        return self._norm.scan_values

    @norm_scan.setter
    def norm_scan(self, values: Any) -> None:
        new = np.array(values, dtype=float)
        check_scan(new)
        self._norm.scan_values = new

    def run(self, datasets: Any) -> FluxPoints:
        """Estimate the points from spectra with models.

        Parameters
        ----------
        datasets : `Datasets`, data set or list
            Spectra of counts; the bins of all are joined.

        Returns
        -------
        `FluxPoints`
            nan, with a warning in the log, in energy bins without a bin of the fit, as in gammapy.

        Raises
        ------
        DataError
            If a data set has no energies, or no bin of the fit lies in any of the energy bins.
        FitError
            If the source is in none of the models.
        """
        joined = as_datasets(datasets, None)
        source = self._source(joined.models)
        edges = _snapped(self.energy_edges, joined)
        members = self._members(joined, 0, edges, joined.names)
        bins = Bins(members, source, edges, 1, len(joined), joined.models if self.reoptimize else None)
        _refuse_nothing(bins, edges)
        for (low, high), inside in zip(pairwise(edges), bins.inside, strict=True):
            if inside == 0:
                log.warning(
                    "flux points: no bin of the fit lies between %.4g and %.4g TeV, they are nan there", low, high
                )
        found = spread(self._solve(bins), bins.place, bins.belongs, (len(edges) - 1,))
        return FluxPoints(
            edges, _reference(source, edges), **found, provenance=self._provenance(bins, source), dataset_names=tuple(joined.names)
        )  # fmt: skip

    def _provenance(self, bins: Bins, source: SkyModel) -> Any:
        return provenance(
            bins.arrays, source=source.name, selection_optional=list(self.selection),
            n_sigma=self.n_sigma, n_sigma_ul=self.n_sigma_ul, n_sigma_sensitivity=self.n_sigma_sensitivity, reoptimize=self.reoptimize,
            energy_edges=self.energy_edges.tolist(), norm_scan=self.norm_scan.tolist(), norm_min=_limit(self.norm.min), norm_max=_limit(self.norm.max),
            sum_over_energy_groups=self.sum_over_energy_groups, **self._settings(),
        )  # fmt: skip

    def _settings(self) -> dict[str, Any]:
        """What else the result depends on."""
        return {}

    def _members(self, datasets: Any, row: int, edges: np.ndarray, names: Sequence[str]) -> list[Member]:
        """Data sets with the number of their time bin and their place among `names`; of each the energy bins added up, if that is asked for."""
        column = {name: k for k, name in enumerate(names)} if len(names) > 1 else {}
        if not self.sum_over_energy_groups:
            return [Member(d, row, column.get(d.name, 0)) for d in datasets]
        if self.reoptimize:
            raise InputError(
                "sum_over_energy_groups: not together with reoptimize, which needs all channels of the other models."
            )
        found = []
        for d in datasets:
            axis = d.counts.geom.axis.edges_tev
            for low, high in pairwise(edges):
                # from edge to edge of its own axis, if it has any there
                if (
                    low < axis[-1]
                    and high > axis[0]
                    and np.any((axis[:-1] * INSIDE >= low) & (axis[1:] <= high * INSIDE))
                ):
                    image = d.slice_by_energy(low * u.TeV, high * u.TeV, d.name).to_image(d.name)
                    image.models = d.models
                    found.append(Member(image, row, column.get(d.name, 0)))
        return found

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
        limits = np.where(np.isnan([self.norm.min, self.norm.max]), [-np.inf, np.inf], [self.norm.min, self.norm.max])
        found = bins.solve(grid, levels[asked], np.array([1.0, -1.0, 1.0])[asked], limits)
        reached = np.full(bins.n, np.nan)
        if "sensitivity" in self.selection:
            reached = bins.sensitivity(found["best"], self.n_sigma_sensitivity**2)
            reached = np.where((reached >= limits[0]) & (reached <= limits[1]), reached, np.nan)
        success, best = found["success"], found["best"]
        crossing = np.full((bins.n, 3), np.nan)
        crossing[:, asked] = found["crossing"]
        errp, errn = (np.where(success, np.abs(crossing[:, k] - best), np.nan) for k in (0, 1))
        same = {k: found[k] for k in ("stat", "counts", "npred", "npred_excess", "success", "status")}
        return same | {
            "norm": np.where(success, found["norm"], np.nan), "norm_err": found["error"], "norm_errn": errn, "norm_errp": errp,
            "norm_ul": crossing[:, 2], "ts": found["null"] - found["stat"], "stat_null": found["null"], "norm_scan": grid,
            "stat_scan": found["scan"], "n_sigma": self.n_sigma, "n_sigma_ul": self.n_sigma_ul,
            "norm_sensitivity": reached, "n_sigma_sensitivity": self.n_sigma_sensitivity,
        }  # fmt: skip


def _limit(value: float) -> float | None:
    return None if np.isnan(value) else value


def _arguments(function: Any) -> list[str]:
    return [
        n
        for n, p in signature(function).parameters.items()
        if n != "self" and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def _refuse_nothing(bins: Bins, edges: np.ndarray) -> None:
    if bins.n == 0:
        raise DataError(
            f"no bin of the fit lies between {edges[0]:.4g} and {edges[-1]:.4g} TeV; choose energy_edges inside of the fit range."
        )


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
