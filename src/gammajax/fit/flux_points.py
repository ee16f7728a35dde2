"""Flux points: the strength of a source in each of some energy bins, all bins in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from gammajax.datasets import Datasets
from gammajax.errors import DataError, FitError, InputError
from gammajax.fit.resolve import as_datasets
from gammajax.hooks import lock_arrays
from gammajax.likelihood import STATISTICS
from gammajax.models import Models, SkyModel
from gammajax.provenance import Provenance, provenance
from gammajax.solve import norm_crossings, norm_minimum
from gammajax.units import double_precision, energy_values, parsed

__all__ = ["FluxPoints", "FluxPointsEstimator"]

OPTIONAL = ("errn-errp", "ul", "scan")
SED_TYPES = ("likelihood", "norm", "dnde", "e2dnde", "flux", "eflux")
UNITS = {"dnde": "TeV-1 s-1 cm-2", "e2dnde": "TeV s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2"}


@dataclass(frozen=True)
class FluxPoints:
    """Strengths of a source in K energy bins, relative to its model; by gammapy's names, nan where not asked for or not defined.

    Attributes
    ----------
    energy_edges : array, shape (K + 1,)
        Edges, TeV, on edges of the reconstructed axis.
    reference : dict of str to array, shape (K,)
        Of the model: dnde and e2dnde at the logarithmic centres, flux and eflux of the bins; TeV, s, cm.
    norm, norm_err, norm_errn, norm_errp, norm_ul : array, shape (K,)
        Best strength, its error from the curvature, errors on both sides and upper limit from the statistic itself.
    ts, stat, stat_null : array, shape (K,)
        Statistic with the source, without it, and their difference.
    counts, npred, npred_excess : array, shape (K,)
        Measured counts, predicted counts and predicted counts of the source, at the best strength.
    norm_scan, stat_scan : array, shape (L,) and (K, L)
        Statistic on a grid of strengths.
    success : array of bool, shape (K,)
        Whether there is a minimum; without one, as in a bin without counts, the limit is counted from a strength of 0.
    n_sigma, n_sigma_ul : float
        Of the errors on both sides and of the limit: a rise of the statistic by their square.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    """

    energy_edges: np.ndarray
    reference: dict[str, np.ndarray] = field(repr=False)
    norm: np.ndarray
    norm_err: np.ndarray
    norm_errn: np.ndarray
    norm_errp: np.ndarray
    norm_ul: np.ndarray
    ts: np.ndarray
    stat: np.ndarray
    stat_null: np.ndarray
    counts: np.ndarray
    npred: np.ndarray
    npred_excess: np.ndarray
    norm_scan: np.ndarray
    stat_scan: np.ndarray
    success: np.ndarray
    n_sigma: float
    n_sigma_ul: float
    provenance: Provenance | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        lock_arrays(self)

    @property
    def sqrt_ts(self) -> np.ndarray:
        """Signed square root of the TS, shape (K,)."""
        return np.sign(self.norm) * np.sqrt(np.maximum(self.ts, 0.0))

    def quantity(self, name: str) -> u.Quantity:
        """A column in flux units, such as ``"dnde"``, ``"e2dnde_err"`` or ``"flux_ul"``; shape (K,).

        Parameters
        ----------
        name : str
            One of dnde, e2dnde, flux and eflux, alone or with _err, _errn, _errp or _ul.
        """
        sed, _, suffix = name.partition("_")
        columns = {"": self.norm, **{k: getattr(self, f"norm_{k}") for k in ("err", "errn", "errp", "ul")}}
        if sed not in UNITS or suffix not in columns:
            raise InputError(
                f"flux points have no {name!r}; known are {', '.join(UNITS)}, with _err, _errn, _errp or _ul."
            )
        return u.Quantity(columns[suffix] * self.reference[sed], parsed(UNITS[sed]))

    def to_table(self, sed_type: str = "dnde") -> Any:
        """Return an astropy QTable with one row per energy bin.

        Parameters
        ----------
        sed_type : {"likelihood", "norm", "dnde", "e2dnde", "flux", "eflux"}
            What the points are given in; "likelihood" holds everything.
        """
        from astropy.table import QTable

        if sed_type not in SED_TYPES:
            raise InputError(f"to_table: got sed_type={sed_type!r}, expected one of {', '.join(SED_TYPES)}.")
        lo, hi = self.energy_edges[:-1], self.energy_edges[1:]
        table = QTable(meta={"SED_TYPE": sed_type, "n_sigma": self.n_sigma, "n_sigma_ul": self.n_sigma_ul})
        table["e_ref"], table["e_min"], table["e_max"] = (u.Quantity(e, "TeV") for e in (np.sqrt(lo * hi), lo, hi))
        if sed_type == "likelihood":
            for name, unit in UNITS.items():
                table[f"ref_{name}"] = u.Quantity(self.reference[name], parsed(unit))
        for suffix in ("", "_err", "_errn", "_errp", "_ul"):
            if sed_type in ("likelihood", "norm"):
                table[f"norm{suffix}"] = getattr(self, f"norm{suffix}")
            else:
                table[f"{sed_type}{suffix}"] = self.quantity(f"{sed_type}{suffix}")
        for name in ("ts", "sqrt_ts", "stat", "stat_null", "npred", "npred_excess", "counts", "success"):
            table[name] = getattr(self, name)
        if sed_type == "likelihood" and len(self.norm_scan):
            table["stat_scan"] = self.stat_scan
            table["norm_scan"] = np.broadcast_to(self.norm_scan, self.stat_scan.shape).copy()
        return table

    def plot(self, ax: Any = None, sed_type: str = "e2dnde", **kwargs: Any) -> Any:
        """Plot the points, limits as arrows below a TS of 4; see `gammajax.plotting.plot_flux_points`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        sed_type : {"e2dnde", "dnde", "flux", "eflux"}
            What is drawn.
        **kwargs
            To `gammajax.plotting.plot_flux_points`.
        """
        from gammajax.plotting import plot_flux_points

        return plot_flux_points(self, ax, sed_type, **kwargs)

    def __str__(self) -> str:
        return "\n".join(self.to_table("norm").pformat(max_lines=-1, max_width=-1))


class FluxPointsEstimator:
    """Estimates the strength of one source in energy bins; its shape and all other models stay as they are.

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
        Only False: re-fitting the other parameters in each bin is refused.

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
        if reoptimize:
            raise InputError(
                "reoptimize=True is not for flux points here; free the strengths with a PiecewiseNormSpectralModel."
            )
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
        models = joined.models
        if not any(isinstance(m, SkyModel) for m in models):
            raise FitError("flux points need a source; set dataset.models first.")
        source = models[self.source]
        if not isinstance(source, SkyModel):
            raise FitError(f"flux points are of a SkyModel; {source.name!r} is a {type(source).__name__}.")
        edges = _snapped(self.energy_edges, joined)
        parts = [_Part(d, source, edges) for d in joined]
        n_bins = len(edges) - 1
        inside = sum(np.bincount(p.segment[p.segment >= 0], minlength=n_bins) for p in parts)
        if np.any(inside == 0):
            k = int(np.argmax(inside == 0))
            raise DataError(
                f"no bin of the fit lies between {edges[k]:.4g} and {edges[k + 1]:.4g} TeV; choose energy_edges inside of the "
                "fit range, on edges of the reconstructed axis."
            )
        return self._solve(parts, edges, source, n_bins)

    def _solve(self, parts: list["_Part"], edges: np.ndarray, source: SkyModel, n: int) -> FluxPoints:
        kinds = tuple(p.kind for p in parts)
        arrays = tuple(p.arrays for p in parts)
        with double_precision():
            placed = jax.device_put(arrays)

            def curve(norm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
                """Statistic, slope and curvature at strengths (K, L)."""
                return tuple(np.asarray(a) for a in _curve(kinds, n, placed, norm))  # type: ignore[return-value]

            norm, success = norm_minimum(curve, np.ones(n))
            best = np.where(success, norm, 0.0)
            stat, _, curvature = (a[:, 0] for a in curve(best[:, None]))
            null = curve(np.zeros((n, 1)))[0][:, 0]
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
            grid = self.norm_scan if "scan" in self.selection else np.zeros(0)
            scan = curve(np.broadcast_to(grid, (n, len(grid))))[0] if len(grid) else np.zeros((n, 0))
        shown = np.where(success, norm, np.nan)
        counts, total, excess = _counts(parts, best, n)
        return FluxPoints(
            edges, _reference(source, edges), shown, error, errn, errp, limit, null - stat, stat, null, counts, total, excess,
            grid, scan, success, self.n_sigma, self.n_sigma_ul,
            provenance([p.arrays for p in parts], source=source.name, selection_optional=list(self.selection)),
        )  # fmt: skip


class _Part:
    """One data set: what its statistic takes, what source and others predict, and which energy bin each bin is in."""

    def __init__(self, d: Any, source: SkyModel, edges: np.ndarray) -> None:
        if d.response_arrays() is None or not hasattr(d, "counts"):
            raise DataError(f"{d.name!r} is a {type(d).__name__}; flux points are made from spectra of counts.")
        d.check_for_fit()
        everything = d.npred_signal().data
        shown = d.models
        try:
            # the source alone, by the same programs
            d.models = Models([source]) if source.shows_in(d.name) else None
            self.source = d.npred_signal().data
        finally:
            d.models = shown
        self.others = everything - self.source
        values = d.statistic_arrays()
        if d.stat_type != "wstat":
            values["background"] = d.npred_background().data
        centre = np.sqrt(d.counts.geom.axis.edges_tev[:-1] * d.counts.geom.axis.edges_tev[1:])
        segment = np.searchsorted(edges, centre, side="right") - 1
        self.segment = np.where(d.mask_array & (segment >= 0) & (segment < len(edges) - 1), segment, -1)
        inside = self.segment >= 0
        self.counts = d.counts.data
        self.background = d.npred_background
        self.kind = d.stat_type
        statistic = STATISTICS[self.kind]
        arrays = [np.where(inside, values[n], f) for n, f in zip(statistic.arrays, statistic.harmless, strict=True)]
        self.arrays = (*arrays, np.where(inside, self.source, 0.0), np.where(inside, self.others, 0.0), self.segment)

    def predicted(self, norm: np.ndarray) -> np.ndarray:
        """Counts expected, background included, for strengths (K,); shape (n_reco,)."""
        with double_precision():
            return np.asarray(_predicted(self.kind, self.arrays, norm))


@partial(jax.jit, static_argnums=(0, 1))
def _curve(kinds: tuple[str, ...], n: int, parts: tuple, norm: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    def one(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        out = [jnp.zeros(n)] * 3
        for kind, (*values, source, others, segment) in zip(kinds, parts, strict=True):
            mu = jnp.where(segment >= 0, x[segment], 0.0) * source + others
            w, w1, w2 = STATISTICS[kind].slopes(*values, mu)
            # bins outside of all energy bins are added to one more, which is dropped
            place = jnp.where(segment >= 0, segment, n)
            sums = [jax.ops.segment_sum(v, place, n + 1)[:n] for v in (w, w1 * source, w2 * source * source)]
            out = [a + b for a, b in zip(out, sums, strict=True)]
        return out[0], out[1], out[2]

    return jax.vmap(one, in_axes=1, out_axes=1)(norm)


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


def _counts(parts: list[_Part], norm: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts, total, excess = np.zeros(n), np.zeros(n), np.zeros(n)
    for p in parts:
        inside = p.segment >= 0
        at = p.segment[inside]
        counts += np.bincount(at, p.counts[inside], n)
        total += np.bincount(at, p.predicted(norm)[inside], n)
        excess += np.bincount(at, (norm[p.segment] * p.source)[inside], n)
    return counts, total, excess
