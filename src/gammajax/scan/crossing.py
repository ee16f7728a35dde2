"""Where the re-optimised TS reaches a level along rays from the best fit: what intervals and contours are made of."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gammajax.scan.refit import Refit
from gammajax.solve import BatchResult, fitted

__all__ = ["Crossings", "Rays", "find_crossings", "ts_along", "whitened"]

# how close to the level a crossing is, in TS
TS_TOLERANCE = 1e-6
ROUNDS = 60
# a ray that is followed this many times further than expected has no crossing
FAR = 1e3
# where between the best fit and a crossing the TS is looked at: it must not reach the level earlier
INSIDE = (1 / 3, 2 / 3)


class Rays(NamedTuple):
    """Rays from the best fit.

    Attributes
    ----------
    held : array of bool, shape (n, P)
        Parameters that the ray moves; all other free ones are re-fitted.
    direction : array, shape (n, P)
        Steps in internal units, 0 where not held; made so that TS is about t^2 at a distance of t steps.
    level : array, shape (n,)
        TS that is looked for.
    """

    held: np.ndarray
    direction: np.ndarray
    level: np.ndarray


@dataclass(frozen=True)
class Crossings:
    """What was found, one entry per ray.

    Attributes
    ----------
    t : array, shape (n,)
        Distance in steps; nan where there is no crossing.
    ts : array, shape (n,)
        Re-optimised TS there.
    theta : array, shape (n, P)
        All parameters there, internal units.
    reason : list of str
        Why there is no crossing; empty where there is one.
    rounds : int
        Batches that were needed.
    lowest : tuple of float and array
        The lowest TS met anywhere, and the parameters there: below 0 the best fit was none.
    """

    t: np.ndarray
    ts: np.ndarray
    theta: np.ndarray
    reason: list[str]
    rounds: int
    lowest: tuple[float, np.ndarray]


def whitened(covariance: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Matrix L with L L^T the covariance of some parameters, shape (k, k); diagonal from `fallback` where it is none."""
    unit = np.sqrt(np.abs(np.diag(covariance)))
    if np.all(np.isfinite(covariance)) and np.all(unit > 0):
        try:
            return unit[:, None] * np.linalg.cholesky(covariance / np.outer(unit, unit))
        except np.linalg.LinAlgError:
            pass
    return np.diag(fallback)


def _nuisance_slope(hessian: np.ndarray, rays: Rays, free: np.ndarray) -> np.ndarray:
    """Change of the re-fitted parameters per step, shape (n, P), from Hessians of shape (n, P, P)."""
    n, n_par = free.shape
    both = free[:, :, None] & free[:, None, :]
    diagonal = np.einsum("nii->ni", hessian)
    unit = np.where(free & (diagonal > 0), 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 1.0)
    matrix = np.where(both, hessian * unit[:, :, None] * unit[:, None, :], np.eye(n_par))
    # a direction without curvature is not predicted; the re-fit decides
    matrix = matrix + 1e-9 * np.eye(n_par)
    right = -np.where(free, np.einsum("nij,nj->ni", hessian, rays.direction) * unit, 0.0)
    out = np.zeros((n, n_par))
    good = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    try:
        out[good] = np.linalg.solve(matrix[good], right[good][:, :, None])[:, :, 0] * unit[good]
    except np.linalg.LinAlgError:
        return np.zeros((n, n_par))
    return np.where(free & np.isfinite(out), out, 0.0)


def _room(refit: Refit, rays: Rays) -> np.ndarray:
    """Steps to the nearest limit of a moved parameter, shape (n,)."""
    best, lower, upper = refit.best, refit.likelihood.lower, refit.likelihood.upper
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(rays.direction > 0, (upper - best) / rays.direction, np.inf)
        down = np.where(rays.direction < 0, (lower - best) / rays.direction, np.inf)
    return np.maximum(np.min(np.minimum(up, down), axis=1), 0.0)


def ts_along(
    refit: Refit, rays: Rays, t: np.ndarray, stat_best: float, base: np.ndarray, slope: np.ndarray, from_t: np.ndarray
) -> tuple[np.ndarray, BatchResult]:
    """Re-optimised TS at a distance t on each ray, nuisance parameters predicted from `base` at `from_t`."""
    like = refit.likelihood
    free = like.free & ~rays.held
    on_ray = refit.best + t[:, None] * rays.direction
    starts = np.where(free, np.clip(base + (t - from_t)[:, None] * slope, like.lower, like.upper), on_ray)
    out = refit.run(starts, np.where(free, refit.best, on_ray), free, derivatives=True)
    good = fitted(out.status)
    return np.where(good, out.stat - stat_best, np.nan), out


def find_crossings(refit: Refit, rays: Rays, stat_best: float, inside: tuple[float, ...] = INSIDE) -> Crossings:
    r"""Find the first t > 0 with TS(t) = level on every ray, all rays in one batch per round.

    Newton's method on :math:`\sqrt{TS}`, which is nearly linear, with the slope of the envelope theorem,
    :math:`dTS/dt = \sum_\psi d_\psi\, \partial stat / \partial \psi`; bracketed, so that it falls back to bisection. A crossing is
    accepted within 1e-6 of its level, from a re-fit that converged, and only if TS stays below the level at some points
    on the way.

    Parameters
    ----------
    refit : `Refit`
        Around the best fit.
    rays : `Rays`
        Directions and levels.
    stat_best : float
        Statistic of the best fit.
    inside : tuple of float
        Where TS has to be below the level, as fractions of the way; none if the caller looks.
    """
    return _Search(refit, rays, stat_best, inside).run()


class _Search:
    """State of all rays: a bracket each, and the last point from which the next is predicted."""

    def __init__(self, refit: Refit, rays: Rays, stat_best: float, inside: tuple[float, ...]) -> None:
        self.inside = inside
        self.refit, self.rays, self.stat_best = refit, rays, stat_best
        n = len(rays.level)
        self.room = _room(refit, rays)
        self.low, self.high = np.zeros(n), np.full(n, np.inf)
        # whether the upper end of the bracket is a TS above the level, or a re-fit that failed
        self.failed = np.zeros(n, dtype=bool)
        self.t = np.minimum(np.sqrt(rays.level), self.room)
        self.ts = np.full(n, np.nan)
        self.theta = np.tile(refit.best, (n, 1))
        self.from_t = np.zeros(n)
        free = refit.likelihood.free & ~rays.held
        self.slope = _nuisance_slope(np.broadcast_to(refit.hessian, (n, *refit.hessian.shape)), rays, free)
        self.reason = [""] * n
        self.done = self.room <= 0
        for i in np.flatnonzero(self.done):
            self.reason[i] = "the best fit is on that limit"
        self.lowest = (0.0, refit.best)
        self.rounds = 0

    def run(self) -> Crossings:
        checked = np.full(len(self.done), not self.inside)
        for _ in range(ROUNDS):
            if np.all(self.done):
                todo = np.flatnonzero(~checked & self._found())
                if len(todo) == 0:
                    break
                checked[todo] = True
                # a ray that reached the level earlier is bracketed there and goes on
                checked[self._look_inside(todo)] = False
                continue
            self._round(np.flatnonzero(~self.done))
        for i in np.flatnonzero(~self.done):
            self.reason[i] = f"no crossing of TS = {self.rays.level[i]:g} was found in {ROUNDS} rounds"
        found = self._found()
        return Crossings(
            np.where(found, self.t, np.nan), self.ts, self.theta, self.reason, self.rounds, self.lowest
        )  # fmt: skip

    def _found(self) -> np.ndarray:
        return self.done & np.array([not r for r in self.reason])

    def _part(self, which: np.ndarray) -> Rays:
        return Rays(*(a[which] for a in self.rays))

    def _evaluate(self, which: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, BatchResult]:
        ts, out = ts_along(
            self.refit, self._part(which), t, self.stat_best, self.theta[which], self.slope[which], self.from_t[which]
        )
        self.rounds += 1
        if np.any(ts < self.lowest[0]):
            k = int(np.nanargmin(ts))
            self.lowest = (float(ts[k]), out.theta[k].copy())
        return ts, out

    def _round(self, which: np.ndarray) -> None:
        t, level = self.t[which], self.rays.level[which]
        ts, out = self._evaluate(which, t)
        assert out.gradient is not None
        assert out.hessian is not None
        good = np.isfinite(ts)
        keep = which[good]
        self.theta[keep], self.from_t[keep], self.ts[which] = out.theta[good], t[good], ts
        free = self.refit.likelihood.free & ~self.rays.held[keep]
        self.slope[keep] = _nuisance_slope(out.hessian[good], self._part(keep), free)
        arrived = good & (np.abs(ts - level) <= TS_TOLERANCE * np.maximum(level, 1.0) ** 0.5)
        below = good & (ts < level)
        self.low[which] = np.where(below, t, self.low[which])
        self.high[which] = np.where(below, self.high[which], t)
        self.failed[which] = np.where(below, self.failed[which], ~good)
        self.done[which[arrived]] = True
        slope = np.sum(out.gradient * self.rays.direction[which], axis=1)
        self._next(which, ts, slope, arrived)

    def _next(self, which: np.ndarray, ts: np.ndarray, slope: np.ndarray, arrived: np.ndarray) -> None:
        """Next distance of each ray, or the reason why there is none."""
        t, level, low, high = self.t[which], self.rays.level[which], self.low[which], self.high[which]
        root = np.sqrt(np.where(ts > 0, ts, np.nan))
        with np.errstate(divide="ignore", invalid="ignore"):
            new = t + (np.sqrt(level) - root) * 2 * root / np.where(slope > 0, slope, np.nan)
        closed = np.isfinite(high)
        middle = np.where(closed, 0.5 * (low + high), 2 * np.maximum(t, 1e-3))
        new = np.where(np.isfinite(new) & (new > low) & (new < high), new, middle)
        # no further than three times at once, and never beyond the limits
        new = np.minimum(np.minimum(new, 3 * np.maximum(t, 1e-3)), self.room[which])
        for k, i in enumerate(which):
            if arrived[k]:
                continue
            name = f"TS = {level[k]:g}"
            if low[k] >= self.room[i]:
                self._give_up(i, f"the limit of the parameter comes first, at TS = {ts[k]:.4g} of {level[k]:g}")
            elif low[k] > FAR * np.sqrt(level[k]):
                self._give_up(
                    i, f"TS stays below {level[k]:g} to {FAR:g} times the expected distance; it does not close"
                )
            elif closed[k] and high[k] - low[k] <= 1e-13 * high[k]:
                why = "re-fits beyond it fail" if self.failed[i] else "it jumps over the level"
                self._give_up(i, f"no crossing of {name}: {why}")
            else:
                self.t[i] = new[k]

    def _give_up(self, i: int, reason: str) -> None:
        self.reason[i], self.done[i] = reason, True

    def _look_inside(self, which: np.ndarray) -> np.ndarray:
        """Rays whose TS reaches the level before the crossing that was found; bracketed anew, and to be done again."""
        n = len(which)
        lanes = np.tile(which, len(self.inside))
        at = np.repeat(self.inside, n) * np.tile(self.t[which], len(self.inside))
        ts, _ = self._evaluate(lanes, at)
        early = []
        for k, i in enumerate(which):
            mine = range(k, len(lanes), n)
            over = [j for j in mine if np.isfinite(ts[j]) and ts[j] > self.rays.level[i] + 1e-3]
            if over:
                self.low[i], self.high[i] = 0.0, at[over[0]]
                self.t[i], self.done[i] = 0.5 * at[over[0]], False
                early.append(i)
        return np.array(early, dtype=int)
