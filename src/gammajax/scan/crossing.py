"""Where the re-optimised TS reaches a level along rays from the best fit: what intervals and contours are made of."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gammajax.scan.refit import Refit
from gammajax.scan.third import NEAR, bend
from gammajax.solve import BatchResult, Status, fitted

__all__ = ["Course", "Crossings", "Rays", "find_crossings", "ts_along", "whitened"]

# how close to the level a crossing is, in TS
TS_TOLERANCE = 1e-6
ROUNDS = 60
# a ray that is followed this many times further than expected has no crossing
FAR = 1e3
# where between the best fit and a crossing the TS is looked at: it must not reach the level earlier
INSIDE = (1 / 3, 2 / 3)
# what keeps a direction without curvature from being predicted far away
RIDGE = 1e-9


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
    course : `Course`
        The last point of each ray; where there is a crossing, the crossing.
    reason : list of str
        Why there is no crossing; empty where there is one.
    rounds : int
        Batches that were needed.
    lowest : tuple of float and array
        The lowest TS met anywhere, and the parameters there: below 0 the best fit was none.
    beside : tuple of two arrays, shape (2, n), or None
        Distances before and beyond the first guess, and the TS there; nan where a re-fit failed.
    """

    t: np.ndarray
    ts: np.ndarray
    course: "Course"
    reason: list[str]
    rounds: int
    lowest: tuple[float, np.ndarray]
    beside: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def theta(self) -> np.ndarray:
        """All parameters there, shape (n, P), internal units."""
        return self.course.theta


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
    diagonal = np.einsum("nii->ni", hessian)
    unit = np.where(free & (diagonal > 0), 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 1.0)
    if free.sum(axis=1).max(initial=0) <= 1:
        # one parameter follows: no system to solve
        square = unit * unit
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            alone = -np.einsum("nij,nj->ni", hessian, rays.direction) * square / (diagonal * square + RIDGE)
        return np.where(free & np.isfinite(alone), alone, 0.0)
    both = free[:, :, None] & free[:, None, :]
    matrix = np.where(both, hessian * unit[:, :, None] * unit[:, None, :], np.eye(n_par))
    # a direction without curvature is not predicted; the re-fit decides
    matrix = matrix + RIDGE * np.eye(n_par)
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


class Course(NamedTuple):
    """A point on each ray from which others are predicted: distance (n,), and there parameters, their change per step and its.

    The three arrays have shape (n, P).
    """

    t: np.ndarray
    theta: np.ndarray
    slope: np.ndarray
    bend: np.ndarray

    def take(self, which: np.ndarray) -> "Course":
        """Some of the rays."""
        return Course(*(a[which] for a in self))

    def predict(self, t: np.ndarray) -> np.ndarray:
        """Parameters at a distance t."""
        step = (t - self.t)[:, None]
        return self.theta + step * (self.slope + 0.5 * step * self.bend)


def ts_along(
    refit: Refit, rays: Rays, t: np.ndarray, stat_best: float, course: Course, derivatives: bool = True
) -> tuple[np.ndarray, BatchResult]:
    """Re-optimised TS at a distance t on each ray, nuisance parameters predicted from what is known of it."""
    like = refit.likelihood
    free = like.free & ~rays.held
    on_ray = refit.best + t[:, None] * rays.direction
    starts = np.where(free, np.clip(course.predict(t), like.lower, like.upper), on_ray)
    out = refit.run(starts, np.where(free, refit.best, on_ray), free, derivatives)
    good = fitted(out.status)
    return np.where(good, out.stat - stat_best, np.nan), out


def find_crossings(
    refit: Refit,
    rays: Rays,
    stat_best: float,
    inside: tuple[float, ...] = INSIDE,
    beside: tuple[float, float] | None = None,
) -> Crossings:
    r"""Find the first t > 0 with TS(t) = level on every ray, all rays in one batch per round.

    Halley's method on :math:`\sqrt{TS}`, which is nearly linear, with the slope of the envelope theorem,
    :math:`dTS/dt = \sum_\psi d_\psi\, \partial stat / \partial \psi`, and the curvature that the exact Hessian gives; bracketed, so that it falls back to bisection. A crossing is
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
    beside : pair of float, optional
        Where to look in the first batch as well, as fractions of the first guess, before and beyond it. The next guess then comes
        from three points, and the caller knows the TS there.
    """
    return _Search(refit, rays, stat_best, inside).run(beside)


def _along(rays: Rays, out: BatchResult, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of the TS along the curve of re-fits, shape (n,)."""
    assert out.gradient is not None
    assert out.hessian is not None
    # along the curve it is free of what is left of the gradient in the re-fitted parameters; on a limit they do not follow it
    follow = np.where((out.status == Status.CONVERGED.value)[:, None], slope, 0.0)
    first = np.sum(out.gradient * (rays.direction + follow), axis=1)
    return first, np.einsum("ni,nij,nj->n", rays.direction, out.hessian, rays.direction + slope)


def _between(t: np.ndarray, ts: np.ndarray, first: np.ndarray, second: np.ndarray, level: np.ndarray) -> np.ndarray:
    r"""Distance at which :math:`\sqrt{TS}` is that of the level, from three points and two derivatives there, all (3, n).

    The polynomial of eighth degree for the distance as a function of the root; nan where the points do not rise around the level.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root, aim = np.sqrt(ts), np.sqrt(level)
        rise = first / (2 * root)
        # of the inverse function
        slope, bent = 1 / rise, (rise * rise - 0.5 * second) / (root * rise**3)
        known = (t, slope, 0.5 * bent)
        column, out, product = [t[i // 3] for i in range(9)], t[0], np.ones_like(aim)
        for order in range(1, 9):
            column = [
                known[order][i // 3] if i // 3 == (i + order) // 3
                else (column[i + 1] - column[i]) / (root[(i + order) // 3] - root[i // 3])
                for i in range(9 - order)
            ]  # fmt: skip
            product = product * (aim - root[(order - 1) // 3])
            out = out + column[0] * product
    good = (first > 0).all(axis=0) & (root[0] < root[1]) & (root[1] < root[2]) & (root[0] < aim) & (aim < root[2])
    return np.where(good & (out > t[0]) & (out < t[2]), out, np.nan)


def _halley(ts: np.ndarray, first: np.ndarray, second: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Step to the level by the root of TS and its two derivatives; Newton's where the curvature leads astray, nan uphill."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root = np.sqrt(np.where(ts > 0, ts, np.nan))
        slope = np.where(first > 0, first, np.nan) / (2 * root)
        missing = np.sqrt(level) - root
        # second derivative of the root, by its slope
        bend = second / (2 * root * slope) - slope / root
        factor = 1 + 0.5 * missing / slope * bend
        return missing / slope / np.where((factor > 0.5) & (factor < 2), factor, 1.0)


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
        free = refit.likelihood.free & ~rays.held
        slope = _nuisance_slope(np.broadcast_to(refit.hessian, (n, *refit.hessian.shape)), rays, free)
        self.course = Course(np.zeros(n), np.tile(refit.best, (n, 1)), slope, self._first_bend(slope, free))
        self.reason = [""] * n
        self.done = self.room <= 0
        for i in np.flatnonzero(self.done):
            self.reason[i] = "the best fit is on that limit"
        self.lowest = (0.0, refit.best)
        self.rounds = 0

    def _first_bend(self, slope: np.ndarray, free: np.ndarray) -> np.ndarray:
        """How the re-fitted parameters bend at the best fit, per step squared, shape (n, P)."""
        out = np.zeros_like(slope)
        third = self.refit.third
        if third is None:
            return out
        lines, curves = self.rays.direction + slope, self.refit.curves
        # at most MOST parameters are free: each set of them is a number
        number = free @ (1 << np.arange(free.shape[1]))
        for one in np.unique(number):
            rows = np.flatnonzero(number == one)
            nuisance = np.flatnonzero(free[rows[0]])
            if (key := nuisance.tobytes()) not in curves:
                curves[key] = bend(self.refit.hessian, third, nuisance)
            if (known := curves[key]) is not None:
                line = lines[rows]
                out[rows[:, None], nuisance] = np.einsum("iab,na,nb->ni", known, line, line)
        out[self.rays.level > NEAR] = 0.0
        return out

    def run(self, beside: tuple[float, float] | None = None) -> Crossings:
        checked = np.full(len(self.done), not self.inside)
        around = None
        if beside is not None and not np.all(self.done):
            around = self._first_round(np.flatnonzero(~self.done), beside)
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
            np.where(found, self.t, np.nan), self.ts, self.course, self.reason, self.rounds, self.lowest, around
        )  # fmt: skip

    def _found(self) -> np.ndarray:
        return self.done & np.array([not r for r in self.reason])

    def _part(self, which: np.ndarray) -> Rays:
        return Rays(*(a[which] for a in self.rays))

    def _evaluate(self, which: np.ndarray, t: np.ndarray, derivatives: bool) -> tuple[np.ndarray, BatchResult]:
        ts, out = ts_along(self.refit, self._part(which), t, self.stat_best, self.course.take(which), derivatives)
        self.rounds += 1
        if np.any(ts < self.lowest[0]):
            k = int(np.nanargmin(ts))
            self.lowest = (float(ts[k]), out.theta[k].copy())
        return ts, out

    def _first_round(self, which: np.ndarray, beside: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """The first guess and points before and beyond it, in one batch; the distances beside it and TS there, (2, n) each."""
        n = len(which)
        guess, room = self.t[which], self.room[which]
        t = np.stack([beside[0] * guess, guess, np.minimum(beside[1] * guess, room)])
        ts, out = self._evaluate(np.tile(which, 3), t.ravel(), True)
        assert out.hessian is not None
        rays = self._part(np.tile(which, 3))
        slope = _nuisance_slope(out.hessian, rays, self.refit.likelihood.free & ~rays.held)
        ts, first, second = (a.reshape(3, n) for a in (ts, *_along(rays, out, slope)))
        middle = slice(n, 2 * n)
        self._judge(
            which, out.take(middle), ts[1], slope[middle], _between(t, ts, first, second, self.rays.level[which])
        )
        good = np.isfinite(ts).all(axis=0) & (t[2] > t[1])
        apart = (slope[2 * n :] - slope[:n])[good] / (t[2] - t[0])[good][:, None]
        self.course.bend[which[good]] = apart
        around = np.full((2, 2, len(self.t)), np.nan)
        around[0][:, which], around[1][:, which] = t[::2], ts[::2]
        return around[0], around[1]

    def _round(self, which: np.ndarray) -> None:
        ts, out = self._evaluate(which, self.t[which], True)
        assert out.hessian is not None
        rays = self._part(which)
        slope = _nuisance_slope(out.hessian, rays, self.refit.likelihood.free & ~rays.held)
        self._judge(which, out, ts, slope, None)

    def _judge(
        self, which: np.ndarray, out: BatchResult, ts: np.ndarray, slope: np.ndarray, guess: np.ndarray | None
    ) -> None:
        """Take in what was found at the present distances, and go on from there, to `guess` where that is a number."""
        t, level, rays = self.t[which], self.rays.level[which], self._part(which)
        good = np.isfinite(ts)
        self._remember(which, t, out.theta, slope, good)
        self.ts[which] = ts
        arrived = good & (np.abs(ts - level) <= TS_TOLERANCE * np.maximum(level, 1.0) ** 0.5)
        below = good & (ts < level)
        self.low[which] = np.where(below, t, self.low[which])
        self.high[which] = np.where(below, self.high[which], t)
        self.failed[which] = np.where(below, self.failed[which], ~good)
        self.done[which[arrived]] = True
        if np.all(arrived):
            return
        first, second = _along(rays, out, slope)
        new = t + _halley(ts, first, second, level)
        self._next(which, new if guess is None else np.where(np.isfinite(guess), guess, new), ts, arrived)

    def _remember(
        self, which: np.ndarray, t: np.ndarray, theta: np.ndarray, slope: np.ndarray, good: np.ndarray
    ) -> None:
        """Predict from the new points, where they are good; how the slope changes is known from the last one."""
        keep = which[good]
        old = self.course.take(keep)
        apart = (t[good] - old.t)[:, None]
        self.course.bend[keep] = (slope[good] - old.slope) / np.where(apart == 0, np.inf, apart)
        self.course.t[keep], self.course.theta[keep], self.course.slope[keep] = t[good], theta[good], slope[good]

    def _next(self, which: np.ndarray, new: np.ndarray, ts: np.ndarray, arrived: np.ndarray) -> None:
        """Next distance of each ray, `new` where the bracket allows it, or the reason why there is none."""
        t, level, low, high = self.t[which], self.rays.level[which], self.low[which], self.high[which]
        closed = np.isfinite(high)
        middle = np.where(closed, 0.5 * (low + high), 2 * np.maximum(t, 1e-3))
        new = np.where(np.isfinite(new) & (new > low) & (new < high), new, middle)
        # no further than three times at once, and never beyond the limits
        new = np.minimum(np.minimum(new, 3 * np.maximum(t, 1e-3)), self.room[which])
        tight = closed & (high - low <= 1e-13 * np.where(closed, high, 0.0))
        stops = (low >= self.room[which]) | (low > FAR * np.sqrt(level)) | tight
        onward = ~arrived & ~stops
        self.t[which[onward]] = new[onward]
        for k in np.flatnonzero(~arrived & stops):
            i = which[k]
            name = f"TS = {level[k]:g}"
            if low[k] >= self.room[i]:
                self._give_up(i, f"the limit of the parameter comes first, at TS = {ts[k]:.4g} of {level[k]:g}")
            elif low[k] > FAR * np.sqrt(level[k]):
                self._give_up(
                    i, f"TS stays below {level[k]:g} to {FAR:g} times the expected distance; it does not close"
                )
            else:
                why = "re-fits beyond it fail" if self.failed[i] else "it jumps over the level"
                self._give_up(i, f"no crossing of {name}: {why}")

    def _give_up(self, i: int, reason: str) -> None:
        self.reason[i], self.done[i] = reason, True

    def _look_inside(self, which: np.ndarray) -> np.ndarray:
        """Rays whose TS reaches the level before the crossing that was found; bracketed anew, and to be done again."""
        n = len(which)
        lanes = np.tile(which, len(self.inside))
        at = np.repeat(self.inside, n) * np.tile(self.t[which], len(self.inside))
        ts, _ = self._evaluate(lanes, at, False)
        early = []
        for k, i in enumerate(which):
            mine = range(k, len(lanes), n)
            over = [j for j in mine if np.isfinite(ts[j]) and ts[j] > self.rays.level[i] + 1e-3]
            if over:
                self.low[i], self.high[i] = 0.0, at[over[0]]
                self.t[i], self.done[i] = 0.5 * at[over[0]], False
                early.append(i)
        return np.array(early, dtype=int)
