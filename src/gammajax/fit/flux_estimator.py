"""Estimators of flux points: the strength of a source in energy and time bins, all bins in one batch."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from gammajax.datasets import Datasets
from gammajax.errors import DataError, FitError, InputError
from gammajax.fit.flux_points import UNITS, FluxPoints
from gammajax.fit.flux_refits import Refits, belonging
from gammajax.fit.resolve import as_datasets
from gammajax.likelihood import STATISTICS
from gammajax.models import Models, SkyModel
from gammajax.provenance import provenance
from gammajax.solve import Status, fitted, norm_crossings, norm_minimum
from gammajax.solve.norm import Curve
from gammajax.units import double_precision, energy_values, parsed

__all__ = ["FluxPointsEstimator"]

OPTIONAL = ("errn-errp", "ul", "scan")


class FluxPointsEstimator:
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
        chosen = OPTIONAL if selection_optional == "all" else tuple(selection_optional or ())
        for name in chosen:
            if name not in OPTIONAL:
                raise InputError(f"selection_optional: unknown {name!r}; known are: {', '.join(OPTIONAL)}, or 'all'.")
        self.reoptimize = bool(reoptimize)
        if not (n_sigma > 0 and n_sigma_ul > 0):
            raise InputError(f"n_sigma={n_sigma} and n_sigma_ul={n_sigma_ul}: expected numbers above 0.")
        self.source, self.selection, self.n_sigma, self.n_sigma_ul = source, chosen, float(n_sigma), float(n_sigma_ul)
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
        bins = _Bins([(d, 0) for d in joined], source, edges, 1, joined.models if self.reoptimize else None)
        if np.any(bins.inside == 0):
            k = int(np.argmax(bins.inside == 0))
            raise DataError(
                f"no bin of the fit lies between {edges[k]:.4g} and {edges[k + 1]:.4g} TeV; choose energy_edges inside of the "
                "fit range, on edges of the reconstructed axis."
            )
        return FluxPoints(
            edges, _reference(source, edges), **self._solve(bins), provenance=self._provenance(bins, source)
        )

    def _provenance(self, bins: "_Bins", source: SkyModel) -> Any:
        return provenance(
            [p.arrays for p in bins.parts], source=source.name, selection_optional=list(self.selection),
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

    def _solve(self, bins: "_Bins") -> dict[str, Any]:
        """All strengths at once; the fields of `FluxPoints` by name, each with one entry per bin."""
        n = bins.n
        with double_precision():
            curve = bins.curve()
            norm, success = norm_minimum(curve, bins.start())
            best = np.where(success, norm, 0.0)
            grid = self.norm_scan if "scan" in self.selection else np.zeros(0)
            # at the minimum, without the source, and along the scan: one call, for each wakes other threads
            stats, _, curvatures = curve(np.column_stack([best, np.zeros(n), np.broadcast_to(grid, (n, len(grid)))]))
            stat, null, scan, curvature = stats[:, 0], stats[:, 1], stats[:, 2:], curvatures[:, 0]
            nan = np.full(n, np.nan)
            error = np.where(success, np.sqrt(2 / np.where(curvature > 0, curvature, np.nan)), np.nan)
            errn = errp = limit = nan
            levels = np.array([self.n_sigma**2, self.n_sigma**2, self.n_sigma_ul**2])
            asked = np.array(["errn-errp" in self.selection] * 2 + ["ul" in self.selection])
            if asked.any():
                sides = np.array([1, -1, 1])
                crossing = np.full((n, 3), np.nan)
                crossing[:, asked] = norm_crossings(curve, best, stat, error, levels[asked], sides[asked])
                errp, errn = (np.where(success, np.abs(crossing[:, k] - best), np.nan) for k in (0, 1))
                limit = crossing[:, 2]
            counts, total, excess = bins.counts(best)
            status = bins.status(best, success, stat, curvature)
        return {
            "norm": np.where(success, norm, np.nan), "norm_err": error, "norm_errn": errn, "norm_errp": errp, "norm_ul": limit,
            "ts": null - stat, "stat": stat, "stat_null": null, "counts": counts, "npred": total, "npred_excess": excess,
            "norm_scan": grid, "stat_scan": scan, "success": success, "status": status, "n_sigma": self.n_sigma, "n_sigma_ul": self.n_sigma_ul,
        }  # fmt: skip


class _Bins:
    """All channels of all data sets, and which energy and time bin each is in: `n` bins that hold some, `place` in all of them."""

    def __init__(
        self,
        members: list[tuple[Any, int]],
        source: SkyModel,
        edges: np.ndarray,
        n_times: int,
        refit: Models | None = None,
    ) -> None:
        k = len(edges) - 1
        self.parts = [_Part(d, source, edges, row * k) for d, row in members]
        segments = [p.segment[p.segment >= 0] for p in self.parts]
        self.inside = np.bincount(np.concatenate([*segments, np.zeros(0, dtype=int)]), minlength=n_times * k)
        self.place = np.flatnonzero(self.inside)
        self.n = len(self.place)
        number = np.full(n_times * k + 1, -1)
        number[self.place] = np.arange(self.n)
        for p in self.parts:
            p.segment = number[p.segment]
        # one array for all data sets of one statistic: one program, however many there are, and one transfer
        self.kinds = tuple(dict.fromkeys(p.kind for p in self.parts))
        self.arrays = tuple(
            np.hstack([np.stack(p.arrays, dtype=float) for p in self.parts if p.kind == kind]) for kind in self.kinds
        )
        self.refitted = (
            None
            if refit is None or self.n == 0
            else Refits(members, [p.segment for p in self.parts], self.n, refit, source.name)
        )

    def start(self) -> np.ndarray:
        """Strengths (n,) to begin with."""
        return np.ones(self.n) if self.refitted is None else self.refitted.start()

    def curve(self) -> Curve:
        """Statistic, slope and curvature of all bins at strengths (n, L)."""
        if self.refitted is not None:
            return self.refitted.curve
        placed = jax.device_put(self.arrays)
        return lambda norm: tuple(np.asarray(_curve(self.kinds, self.n, placed, norm)))

    def status(self, best: np.ndarray, success: np.ndarray, stat: np.ndarray, curvature: np.ndarray) -> np.ndarray:
        """How each bin (n,) ended, by its `Status`."""
        failed = np.where(curvature > 0, Status.NOT_CONVERGED, Status.NOT_POSITIVE_DEFINITE)
        failed = np.where(np.isfinite(stat), failed, Status.NON_FINITE)
        refits = np.full(self.n, Status.CONVERGED.value) if self.refitted is None else self.refitted.status(best)
        # where the others could not be fitted, that is why
        return np.where(success | ~fitted(refits), refits, failed)

    def counts(self, norm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Measured counts, predicted counts and those of the source in each bin, at strengths (n,)."""
        if self.refitted is not None:
            return self.refitted.counts(norm)
        counts, total, excess = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        for p in self.parts:
            inside = p.segment >= 0
            at = p.segment[inside]
            counts += np.bincount(at, p.counts[inside], self.n)
            total += np.bincount(at, p.predicted(norm)[inside], self.n)
            excess += np.bincount(at, (norm[p.segment] * p.source)[inside], self.n)
        return counts, total, excess


class _Part:
    """One data set: what its statistic takes, what source and others predict, and which energy bin each bin is in."""

    def __init__(self, d: Any, source: SkyModel, edges: np.ndarray, first: int) -> None:
        if d.response_arrays() is None or not hasattr(d, "counts"):
            raise DataError(f"{d.name!r} is a {type(d).__name__}; flux points are made from spectra of counts.")
        d.check_for_fit()
        shown = d.models
        try:
            # without those of other nights, among which its parameters would be at other places: one program for all nights
            d.models = belonging(shown, {d.name})
            everything = d.npred_signal().data
            background = None if d.stat_type == "wstat" else d.npred_background().data
            # the source alone, by the same programs, through the same instrument
            instrument = [m for m in shown if m.role == "systematics" and m.shows_in(d.name)]
            if [m for m in d.models if m.role == "signal" and m.shows_in(d.name)] == [source]:
                self.source = everything
            else:
                d.models = Models([source, *instrument], penalties=()) if source.shows_in(d.name) else None
                self.source = d.npred_signal().data
        finally:
            d.models = shown
        self.others = everything - self.source
        values = d.statistic_arrays()
        values = dict(values)
        if d.stat_type == "wstat":
            for m in instrument:
                values["alpha"] = values["alpha"] * m.background.value
        else:
            values["background"] = background
        centre = np.sqrt(d.counts.geom.axis.edges_tev[:-1] * d.counts.geom.axis.edges_tev[1:])
        segment = np.searchsorted(edges, centre, side="right") - 1
        self.segment = np.where(d.mask_array & (segment >= 0) & (segment < len(edges) - 1), segment + first, -1)
        inside = self.segment >= 0
        self.counts = d.counts.data
        self.kind = d.stat_type
        statistic = STATISTICS[self.kind]
        arrays = [np.where(inside, values[n], f) for n, f in zip(statistic.arrays, statistic.harmless, strict=True)]
        self._arrays = (*arrays, np.where(inside, self.source, 0.0), np.where(inside, self.others, 0.0))

    @property
    def arrays(self) -> tuple:
        """What the statistic takes, what source and others predict, and the bin of each channel."""
        return (*self._arrays, self.segment)

    def predicted(self, norm: np.ndarray) -> np.ndarray:
        """Counts expected, background included, for strengths (K,); shape (n_reco,)."""
        with double_precision():
            return np.asarray(_predicted(self.kind, self.arrays, norm))


@partial(jax.jit, static_argnums=(0, 1))
def _curve(kinds: tuple[str, ...], n: int, parts: tuple, norm: jax.Array) -> jax.Array:
    """Statistic, slope and curvature in one array, for each array costs a transfer."""

    def one(x: jax.Array) -> jax.Array:
        out = [jnp.zeros(n)] * 3
        for kind, (*values, source, others, number) in zip(kinds, parts, strict=True):
            segment = number.astype(int)
            mu = jnp.where(segment >= 0, x[segment], 0.0) * source + others
            w, w1, w2 = STATISTICS[kind].slopes(*values, mu)
            # bins outside of all energy bins are added to one more, which is dropped
            place = jnp.where(segment >= 0, segment, n)
            sums = [jax.ops.segment_sum(v, place, n + 1)[:n] for v in (w, w1 * source, w2 * source * source)]
            out = [a + b for a, b in zip(out, sums, strict=True)]
        return jnp.stack(out)

    return jax.vmap(one, in_axes=1, out_axes=2)(norm)


@partial(jax.jit, static_argnums=0)
def _predicted(kind: str, arrays: tuple, norm: jax.Array) -> jax.Array:
    *values, source, others, segment = arrays
    return STATISTICS[kind].predicted(*values, jnp.where(segment >= 0, norm[segment], 0.0) * source + others)


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
