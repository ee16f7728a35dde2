"""Contours of two parameters, along rays from the best fit, or from a surface where rays do not do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.fit.confidence import branch, check_best, free_covariance, intervals
from gammajax.hooks import StoredResult, lock_arrays
from gammajax.provenance import Provenance
from gammajax.scan import Refit, level_lines, profile_grid
from gammajax.scan.crossing import Crossings, Rays, find_crossings, ts_along, whitened
from gammajax.solve import fitted
from gammajax.units import unit_text

__all__ = ["ContourResult", "check_numpoints", "contours", "joint_probability", "sigma_of_cl", "verdict"]

# largest difference of the re-optimised TS from sigma^2 at a point of the contour
TS_TOLERANCE = 1e-3
# where on the way to a crossing, and beyond it, the TS is looked at: it must be below the level there, and above it here
INSIDE, OUTSIDE = 0.5, 1.5
# so near to these places it counts
ABOUT = 0.25
# nodes along each axis of the surface that takes over
SURFACE = 49


def joint_probability(sigma: float) -> float:
    """Probability that both true values are inside a contour of TS = sigma^2: 1 - exp(-sigma^2 / 2).

    Examples
    --------
    >>> [round(joint_probability(s), 4) for s in (1, 2)]
    [0.3935, 0.8647]
    """
    return float(-np.expm1(-0.5 * sigma**2))


@dataclass(frozen=True, repr=False)
class ContourResult(Mapping, StoredResult):
    """Points on which the re-optimised TS of two parameters is sigma^2.

    Readable like gammapy's dictionary: by parameter name or unique name, and ``success``.

    Attributes
    ----------
    names, units : tuple of str
        Unique names and units of x and y.
    x, y : array, shape (numpoints,)
        The points, in order around the best fit; not closed.
    sigma : float
        Level.
    ts : array, shape (numpoints,)
        TS of each point, all other free parameters re-fitted.
    success : bool
        Whether every point is within 1e-3 of sigma^2, from re-fits that converged, and the points go around the best fit.
    message : str
        What went wrong, if anything, and how it was traced if not along rays.
    method : {"rays", "surface", "mncontour"}
        How it was traced.
    pieces : list of array, shape (n, 2)
        All lines at the level where it was traced from a surface, closed ones end where they begin; empty otherwise.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, a hash of the data, and the time.
    starts : int
        Starts of every re-fit; with 1 they follow the branch of minima that the best fit is on.
    """

    names: tuple[str, str]
    units: tuple[str, str]
    x: np.ndarray
    y: np.ndarray
    sigma: float
    ts: np.ndarray
    success: bool
    message: str
    method: str = "rays"
    pieces: list[np.ndarray] = field(default_factory=list)
    provenance: Provenance | None = None
    starts: int = 1

    def __post_init__(self) -> None:
        lock_arrays(self)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the line; see `gammajax.plotting.plot_contour`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_contour`.
        """
        from gammajax.plotting import plot_contour

        return plot_contour(self, ax, **kwargs)

    @property
    def joint_probability(self) -> float:
        """1 - exp(-sigma^2/2)."""
        return joint_probability(self.sigma)

    def __getitem__(self, key: str) -> Any:
        if key == "success":
            return self.success
        for name, values in zip(self.names, (self.x, self.y), strict=True):
            if key in (name, name.rsplit(".", 1)[-1]):
                return values
        raise KeyError(f"{key!r}: the keys are {', '.join(self)} and the short names of the parameters.")

    def __iter__(self) -> Iterator[str]:
        return iter([*self.names, "success"])

    def __len__(self) -> int:
        return 3

    def __str__(self) -> str:
        return (
            f"Contour of {self.names[0]} and {self.names[1]}: {len(self.x)} points at TS = {self.sigma**2:g} "
            f"({self.sigma:g} sigma of one parameter; the joint probability of both is 1 - exp(-{self.sigma:g}^2/2) = "
            f"{100 * self.joint_probability:.1f} %); {self.message}; {branch(self.starts)}"
        )

    __repr__ = __str__


def sigma_of_cl(cl: float) -> float:
    """Sigma with TS = sigma^2 at which both true values are inside with probability `cl`: sqrt(-2 ln(1 - cl)).

    Examples
    --------
    >>> round(sigma_of_cl(0.6827), 4)
    1.5152
    """
    if not (np.isfinite(cl) and 0 < cl < 1):
        raise InputError(f"stat_contour: got cl={cl!r}, expected a joint confidence level between 0 and 1.")
    return float(np.sqrt(-2 * np.log1p(-cl)))


def check_numpoints(numpoints: Any) -> int:
    """Number of points; refuses what is no polygon."""
    if int(numpoints) != numpoints or numpoints < 4:
        raise InputError(f"stat_contour: got numpoints={numpoints!r}, expected a whole number of at least 4.")
    return int(numpoints)


def verdict(ts: np.ndarray, level: float) -> tuple[bool, str]:
    """Whether every point is on the level, and the words for it."""
    good = np.abs(ts - level) <= TS_TOLERANCE
    if good.all():
        return True, "every point within 1e-3 of the level"
    return (
        False,
        f"{int((~good).sum())} of {len(ts)} points are off the level, TS from {np.nanmin(ts):.4g} to {np.nanmax(ts):.4g}",
    )


def contours(
    refit: Refit, stat_best: float, pairs: list[tuple[tuple, tuple]], sigma: Sequence[float], numpoints: int,
    source: Provenance | None = None,
) -> list[ContourResult]:  # fmt: skip
    """Contours of all pairs at all levels in one batch.

    Rays at equal angles in coordinates in which the covariance is a circle. Where a ray leaves the limits, finds no crossing,
    or TS falls below the level again beyond it (the region is not star-shaped), the contour is traced from a surface
    instead, its vertices brought to the level by Newton's method.

    Parameters
    ----------
    refit : `Refit`
        Around the best fit.
    stat_best : float
        Statistic there.
    pairs : list
        For x and y each: position in theta, parameter, unique name.
    sigma : sequence of float
        Levels; TS = sigma^2.
    numpoints : int
        Points of each contour.
    source : `Provenance`, optional
        For the results.

    Returns
    -------
    list of `ContourResult`
        Pair by pair, levels within.
    """
    covariance = {p[0][0] + 1j * p[1][0]: free_covariance(refit, [p[0][0], p[1][0]]) for p in pairs}
    angle = 2 * np.pi * np.arange(numpoints) / numpoints
    circle = np.stack([np.cos(angle), np.sin(angle)])
    n_par = len(refit.best)
    held, direction, level = [], [], []
    for x, y in pairs:
        index = [x[0], y[0]]
        root = whitened(covariance[x[0] + 1j * y[0]][np.ix_(index, index)], refit.scale[index])
        for s in sigma:
            one = np.zeros((numpoints, n_par))
            one[:, index] = (root @ circle).T
            direction.append(one)
            mask = np.zeros(n_par, dtype=bool)
            mask[index] = True
            held.append(np.broadcast_to(mask, one.shape))
            level.append(np.full(numpoints, float(s) ** 2))
    rays = Rays(np.concatenate(held), np.concatenate(direction), np.concatenate(level))
    out = find_crossings(refit, rays, stat_best, inside=(), beside=(INSIDE, OUTSIDE))
    check_best(out, "stat_contour")
    bent = _not_star_shaped(refit, rays, out, stat_best)
    results = []
    for k, ((x, y), s) in enumerate((p, s) for p in pairs for s in sigma):
        part = slice(k * numpoints, (k + 1) * numpoints)
        reasons = [r for r in out.reason[part] if r]
        if not reasons and np.any(bent[part]):
            reasons = ["the region is not star-shaped: a ray crosses the level more than once"]
        if reasons:
            results.append(_from_surface(refit, stat_best, (x, y), float(s), numpoints, reasons[0]))
            continue
        points = out.theta[part][:, [x[0], y[0]]]
        results.append(_result((x, y), float(s), points, out.ts[part], "rays", "", []))
    return [replace(c, starts=refit.starts, provenance=source) for c in results]


def _not_star_shaped(refit: Refit, rays: Rays, found: Crossings, stat_best: float) -> np.ndarray:
    """Rays on which TS is above the level on the way, or below it again beyond the crossing, shape (n,)."""
    use = np.isfinite(found.t)
    bent = np.zeros(len(found.t), dtype=bool)
    if found.beside is not None:
        # the first batch has looked there already, where its guess was about right
        t, ts = found.beside
        with np.errstate(invalid="ignore"):
            place = (np.abs(t[0] / found.t - INSIDE) < ABOUT) & (np.abs(t[1] / found.t - OUTSIDE) < ABOUT)
            use &= ~(place & (ts[0] <= rays.level + TS_TOLERANCE) & (ts[1] >= rays.level))
    use = np.flatnonzero(use)
    if len(use) == 0:
        return bent
    lanes, beyond = np.tile(use, 2), np.repeat([False, True], len(use))
    part = Rays(*(a[lanes] for a in rays))
    t = np.where(beyond, OUTSIDE, INSIDE) * found.t[lanes]
    at = refit.best + t[:, None] * part.direction
    like = refit.likelihood
    allowed = np.all((at >= like.lower) & (at <= like.upper) | ~part.held, axis=1)
    ts, _ = ts_along(refit, part, t, stat_best, found.course.take(lanes), derivatives=False)
    wrong = np.where(beyond, ts < part.level, ts > part.level + TS_TOLERANCE)
    np.logical_or.at(bent, lanes, allowed & np.isfinite(ts) & wrong)
    return bent


def _result(
    pair: tuple, sigma: float, points: np.ndarray, ts: np.ndarray, method: str, note: str, pieces: list
) -> ContourResult:
    x, y = pair
    factor = np.array([x[1].factor, y[1].factor])
    success, message = verdict(ts, sigma**2)
    return ContourResult(
        names=(x[2], y[2]), units=(unit_text(x[1].unit), unit_text(y[1].unit)), x=points[:, 0] / factor[0],
        y=points[:, 1] / factor[1], sigma=sigma, ts=ts, success=success and method != "open",
        message=f"{note}; {message}" if note else message, method="surface" if method == "open" else method,
        pieces=[p / factor for p in pieces],
    )  # fmt: skip


def _from_surface(
    refit: Refit, stat_best: float, pair: tuple, sigma: float, numpoints: int, reason: str
) -> ContourResult:
    """Trace the level on a re-optimised surface, and bring the vertices to the level."""
    index = [p[0] for p in pair]
    axes = _ranges(refit, stat_best, pair, sigma)
    grid = profile_grid(refit, index, axes)
    good = fitted(grid.status)
    lines, _ = level_lines(axes[0], axes[1], np.where(good, grid.stat - stat_best, np.nan), sigma**2)
    if not lines:
        raise FitError(
            f"stat_contour: no contour of {pair[0][2]} and {pair[1][2]} at TS = {sigma**2:g} within the limits ({reason}); "
            "look at the surface: stat_surface(..., reoptimize=True)."
        )
    line = max(lines, key=lambda v: (_surrounds(v, refit.best[index]), len(v)))
    closed = bool(np.array_equal(line[0], line[-1]))
    vertices = line[:-1] if closed else line
    take = np.unique(
        np.round(np.linspace(0, len(vertices) - (0 if closed else 1), numpoints, endpoint=not closed)).astype(int)
    )
    points, ts = _to_level(refit, stat_best, index, vertices[take], sigma**2)
    note = f"traced from a {SURFACE} x {SURFACE} surface ({reason})"
    if not closed:
        note += "; it is open, cut by the limits"
    if len(lines) > 1:
        note += f"; {len(lines)} separate lines, see pieces"
    return _result(pair, sigma, points, ts, "surface" if closed else "open", note, lines)


def _surrounds(line: np.ndarray, point: np.ndarray) -> bool:
    """Whether a closed line winds around a point."""
    if not np.array_equal(line[0], line[-1]):
        return False
    size = np.ptp(line, axis=0)
    angle = np.unwrap(np.arctan2(*((line - point) / np.where(size > 0, size, 1.0)).T[::-1]))
    return bool(abs(angle[-1] - angle[0]) > np.pi)


def _ranges(refit: Refit, stat_best: float, pair: tuple, sigma: float) -> list[np.ndarray]:
    """Axes that hold the contour: the profile of each parameter crosses the same level at its extremes."""
    table = intervals(refit, stat_best, list(pair), [sigma])
    axes = []
    for index, live, name in pair:
        one, best = table.results[name][0], refit.best[index]
        low, high = refit.likelihood.lower[index], refit.likelihood.upper[index]
        size = 4 * sigma * refit.scale[index]
        down = one.errn * live.factor if np.isfinite(one.errn) else size
        up = one.errp * live.factor if np.isfinite(one.errp) else size
        begin, end = best - 1.2 * down, best + 1.2 * up
        axes.append(np.linspace(max(begin, low), min(end, high), SURFACE))
    return axes


def _to_level(
    refit: Refit, stat_best: float, index: list[int], points: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Move points along the gradient of the re-optimised TS until they are on the level."""
    low, high = refit.likelihood.lower[index], refit.likelihood.upper[index]
    unit = refit.scale[index]
    points = points.copy()
    ts = np.full(len(points), np.nan)
    for _ in range(8):
        out = refit.points([(index, points)], derivatives=True)
        assert out.gradient is not None
        ts = np.where(fitted(out.status), out.stat - stat_best, np.nan)
        if np.all(np.abs(ts - level) < 0.1 * TS_TOLERANCE):
            break
        slope = out.gradient[:, index] * unit
        steepness = np.sum(slope**2, axis=1)
        step = ((level - ts) / np.where(steepness > 0, steepness, np.inf))[:, None] * slope
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step = step * np.minimum(1.0, 0.5 / np.maximum(length, 1e-300))
        points = np.clip(np.where(np.isfinite(step), points + step * unit, points), low, high)
    return points, ts
