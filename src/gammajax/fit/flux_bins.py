"""Channels of spectra, sorted into energy and time bins, and how the statistic of each bin depends on the strength of a source."""

from copy import copy
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.compiling import compiled
from gammajax.errors import DataError
from gammajax.fit.flux_members import Member, counted, placed
from gammajax.fit.flux_refits import Refits, belonging
from gammajax.fit.sensitivity import norm_sensitivity
from gammajax.likelihood import STATISTICS
from gammajax.models import Models, SkyModel
from gammajax.solve import Status, fitted
from gammajax.solve.norm import HOST, TRACED, Curve, Way, norm_crossings, norm_minimum
from gammajax.units import double_precision

__all__ = ["Bins"]

# one number for each bin, as they come out of a program
SINGLE = ("norm", "success", "limited", "best", "stat", "null", "curvature", "error")
TOTALS = ("counts", "npred", "npred_excess")


class Bins:
    """All channels of all data sets, and which energy and time bin each is in: `n` bins that hold some, `place` in all of them."""

    def __init__(
        self,
        members: list[Member],
        source: SkyModel,
        edges: np.ndarray,
        n_times: int,
        n_datasets: int,
        refit: Models | None = None,
    ) -> None:
        k = len(edges) - 1
        self.parts = [_Part(m.dataset, source, edges, m.row * k, m.column) for m in members]
        segments = [p.segment[p.segment >= 0] for p in self.parts]
        self.inside = np.bincount(np.concatenate([*segments, np.zeros(0, dtype=int)]), minlength=n_times * k)
        self.place = np.flatnonzero(self.inside)
        self.n = len(self.place)
        number = np.full(n_times * k + 1, -1)
        number[self.place] = np.arange(self.n)
        for p in self.parts:
            p.segment = number[p.segment]
        # (all bins, D): a data set that is in a time bin may have no channel in the fit there
        self.belongs = np.repeat(placed(members, n_times, n_datasets), k, axis=0)
        # one array for all data sets of one statistic: one program, however many there are, and one transfer
        self.kinds = tuple(dict.fromkeys(p.kind for p in self.parts))
        self.arrays = tuple(_sorted([p for p in self.parts if p.kind == kind], self.n) for kind in self.kinds)
        self.refitted = (
            None
            if refit is None or self.n == 0
            else Refits(members, [p.segment for p in self.parts], (self.n, n_datasets), refit, source.name)
        )

    def solve(
        self, grid: np.ndarray, levels: np.ndarray, sides: np.ndarray, limits: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Strengths (n,) with statistic, its scan (n, L), where it rises by levels (C,) on their sides, (n, C), and counts (n, D).

        The strengths keep within limits (2,), which may be infinite.
        """
        with double_precision():
            if self.refitted is not None:
                while True:
                    found = _estimates(self.refitted.curve, self.refitted.start(), grid, levels, sides, limits, HOST)
                    # spectra are steeper where the others ended than bin integrals are made for: all with more nodes
                    if not self.refitted.steeper(_strengths(found, grid)):
                        break
                totals = self.refitted.counts(found["best"])
            else:
                found, totals = self._in_one_program(grid, levels, sides, limits)
            found |= dict(zip(TOTALS, np.where(self.belongs[self.place], totals, np.nan), strict=True))
            found["success"], found["limited"] = found["success"] == 1, found["limited"] == 1
            found["status"] = self._status(found)
        return found

    def sensitivity(self, best: np.ndarray, level: float) -> np.ndarray:
        """Strengths (n,) at which data as predicted would have a TS of `level`; the others where they fit best at strengths `best` (n,)."""
        kinds, arrays = (self.kinds, self.arrays) if self.refitted is None else self._refitted_arrays(best)
        with double_precision():
            return np.asarray(norm_sensitivity(kinds, arrays, level))

    def _refitted_arrays(self, best: np.ndarray) -> tuple[tuple, tuple]:
        """The arrays with the other models where they fit best in each bin."""
        assert self.refitted is not None
        parts = []
        for j, members, source in self.refitted.members(best):
            for d, segment in members:
                part = _Part(d, source, np.array([0.0, np.inf]), 0, 0)
                part.segment = np.where(segment == j, j, -1)
                parts.append(part)
        return self.kinds, tuple(_sorted([p for p in parts if p.kind == kind], self.n) for kind in self.kinds)

    def _in_one_program(
        self, grid: np.ndarray, levels: np.ndarray, sides: np.ndarray, limits: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        packed = np.asarray(_solved(self.kinds, self.arrays, grid, levels, sides, limits))
        ends = np.cumsum([1] * len(SINGLE) + [len(grid), len(levels)] + [a.shape[2] for a in self.arrays])
        *parts, _ = np.split(packed, ends, axis=1)
        single, (scan, crossing), predicted = parts[: len(SINGLE)], parts[len(SINGLE) :][:2], parts[len(SINGLE) + 2 :]
        found = {name: a[:, 0] for name, a in zip(SINGLE, single, strict=True)}
        return found | {"scan": scan, "crossing": crossing}, self._totals(found["best"], predicted)

    def _totals(self, norm: np.ndarray, predicted: list[np.ndarray]) -> np.ndarray:
        """Measured counts, predicted counts and those of the source, shape (3, n, D), at strengths (n,)."""
        shape = self.n, self.belongs.shape[1]
        out = np.zeros((3, *shape))
        for kind, array, mu in zip(self.kinds, self.arrays, predicted, strict=True):
            number, within, column = _places([p for p in self.parts if p.kind == kind])
            values = array[0, number, within], mu[number, within], norm[number] * array[-2, number, within]
            out += counted(values, number, column, shape)
        return out

    def _status(self, found: dict[str, np.ndarray]) -> np.ndarray:
        """How each bin (n,) ended, by its `Status`."""
        failed = np.where(found["curvature"] > 0, Status.NOT_CONVERGED, Status.NOT_POSITIVE_DEFINITE)
        failed = np.where(np.isfinite(found["stat"]), failed, Status.NON_FINITE)
        refits = (
            np.full(self.n, Status.CONVERGED.value) if self.refitted is None else self.refitted.status(found["best"])
        )
        # where the others could not be fitted, that is why
        found_at = np.where(found["success"] | ~fitted(refits), refits, failed)
        return np.where(found["limited"] & fitted(found_at), Status.AT_LIMIT, found_at)


class _Part:
    """One data set: what its statistic takes, what source and others predict, and which energy bin each bin is in."""

    def __init__(self, d: Any, source: SkyModel, edges: np.ndarray, first: int, column: int) -> None:
        if d.response_arrays() is None or not hasattr(d, "counts"):
            raise DataError(f"{d.name!r} is a {type(d).__name__}; flux points are made from spectra of counts.")
        d.check_for_fit()
        shown = d.models
        # the data as they are with models of its own: another thread may look at the data set meanwhile
        d = copy(d)
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
        self.others = everything - self.source
        values = dict(d.statistic_arrays())
        if d.stat_type == "wstat":
            for m in instrument:
                values["alpha"] = values["alpha"] * m.background.value
        else:
            values["background"] = background
        centre = np.sqrt(d.counts.geom.axis.edges_tev[:-1] * d.counts.geom.axis.edges_tev[1:])
        segment = np.searchsorted(edges, centre, side="right") - 1
        self.segment = np.where(d.mask_array & (segment >= 0) & (segment < len(edges) - 1), segment + first, -1)
        self.column, self.kind = column, d.stat_type
        self.values = np.stack(
            [*(values[n] for n in STATISTICS[self.kind].arrays), self.source, self.others], dtype=float
        )


def _places(parts: list[_Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each channel in a bin the bin, its place within the bin, and its data set; bin after bin."""
    number, order = _ordered(parts)
    column = np.concatenate([np.full(len(p.segment), p.column) for p in parts])
    return number, np.arange(len(number)) - np.searchsorted(number, number), column[order]


def _ordered(parts: list[_Part]) -> tuple[np.ndarray, np.ndarray]:
    """Bins of the channels that are in one, in their order, and which channels these are."""
    number = np.concatenate([p.segment for p in parts])
    order = np.argsort(number, kind="stable")
    order = order[number[order] >= 0]
    return number[order], order


def _sorted(parts: list[_Part], n: int) -> np.ndarray:
    """What the statistic takes, what source and others predict, by bin: shape (A, n, m), each bin filled up with harmless channels."""
    number, order = _ordered(parts)
    within = np.arange(len(number)) - np.searchsorted(number, number)
    harmless = [*STATISTICS[parts[0].kind].harmless, 0.0, 0.0]
    out = np.empty((len(harmless), n, int(np.max(within, initial=0)) + 1))
    out[:] = np.reshape(harmless, (-1, 1, 1))
    out[:, number, within] = np.hstack([p.values for p in parts])[:, order]
    return out


def _estimates(curve: Curve, start: Any, grid: Any, levels: Any, sides: Any, limits: Any, way: Way) -> dict[str, Any]:
    """Minimum, statistic there, without the source and along the scan, error from the curvature, and crossings."""
    xp, n = way.xp, len(start)
    norm, inner = norm_minimum(curve, start, way)
    low, high = limits[0], limits[1]
    nothing = xp.zeros(n)
    # the statistic is convex: if its minimum lies outside, or if it has none, the limit is tried
    tried = xp.clip(xp.where(inner, norm, xp.where(xp.isfinite(low), low, 0.0)), low, high)
    default = xp.clip(nothing, low, high)
    scanned = xp.broadcast_to(grid, (n, len(grid)))
    stats, slopes, curvatures = curve(
        xp.concatenate([tried[:, None], default[:, None], nothing[:, None], scanned], axis=1)
    )
    rising, falling = (tried == low) & (slopes[:, 0] > 0), (tried == high) & (slopes[:, 0] < 0)
    limited = xp.isfinite(stats[:, 0]) & (rising | falling)
    success = limited | (inner & (norm >= low) & (norm <= high))
    best = xp.where(success, tried, default)
    stat, curvature = (xp.where(success, a[:, 0], a[:, 1]) for a in (stats, curvatures))
    error = xp.where(success, xp.sqrt(2 / xp.where(curvature > 0, curvature, xp.nan)), xp.nan)
    crossing = norm_crossings(curve, best, stat, error, levels, sides, way)
    crossing = xp.where((crossing >= low) & (crossing <= high), crossing, xp.nan)
    return {
        "norm": tried, "success": success, "limited": limited, "best": best, "stat": stat, "null": stats[:, 2],
        "curvature": curvature, "error": error, "scan": stats[:, 3:], "crossing": crossing,
    }  # fmt: skip


def _strengths(found: dict[str, np.ndarray], grid: np.ndarray) -> np.ndarray:
    """All strengths of bins (n, L) for which there is a number."""
    best = found["best"][:, None]
    return np.hstack([best, 0 * best, found["crossing"], np.broadcast_to(grid, (len(best), len(grid)))])


@partial(compiled, static_argnums=0)
def _solved(
    kinds: tuple[str, ...], parts: tuple, grid: jax.Array, levels: jax.Array, sides: jax.Array, limits: jax.Array
) -> Any:
    """All of `_estimates`, and predicted counts, with the other models held: one call, for each wakes other threads; one array."""
    start = jnp.ones(parts[0].shape[1])
    found = _estimates(partial(_curve, kinds, parts), start, grid, levels, sides, limits, TRACED)
    single = [found[name][:, None].astype(float) for name in SINGLE]
    return jnp.concatenate(
        [*single, found["scan"], found["crossing"], *_predicted(kinds, parts, found["best"])], axis=1
    )


def _curve(kinds: tuple[str, ...], parts: tuple, norm: jax.Array) -> tuple:
    """Statistic, slope and curvature of all bins at strengths (n, L)."""
    out = [jnp.zeros(norm.shape)] * 3
    for kind, part in zip(kinds, parts, strict=True):
        *values, source, others = part[:, :, None, :]
        w, w1, w2 = STATISTICS[kind].slopes(*values, norm[:, :, None] * source + others)
        out = [a + jnp.sum(v, axis=2) for a, v in zip(out, (w, w1 * source, w2 * source * source), strict=True)]
    return tuple(out)


def _predicted(kinds: tuple[str, ...], parts: tuple, norm: jax.Array) -> list[jax.Array]:
    """Predicted counts of all channels, of each statistic (n, m), at strengths (n,)."""
    return [
        STATISTICS[kind].predicted(*values, norm[:, None] * source + others)
        for kind, (*values, source, others) in zip(kinds, parts, strict=True)
    ]
