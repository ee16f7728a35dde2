"""Several starts of one fit, in one batch: which minima there are, and which start led to the lowest."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.judge import judge
from gammajax.fit.problem import Problem, derivatives
from gammajax.hooks import lock_arrays
from gammajax.progress import track
from gammajax.scan import Refit
from gammajax.solve import BatchResult, Status, fitted, minimize_batch

__all__ = ["StartsResult", "best_start"]

# ends closer than this, in the statistic and in the distance that the curvature measures, are one minimum
SAME = 0.01
# how far starts are spread, as a factor, where a parameter has a size of its own
FACTOR = 10.0
# up to so many starts on a CPU compiling the batched program takes longer than all of them one by one, 100 ms or less
SERIAL = 64


@dataclass(frozen=True)
class StartsResult:
    """What several starts of a fit came to; start 0 is that of the models.

    Attributes
    ----------
    names, units : tuple of str
        The F free parameters.
    start, end : array, shape (n, F)
        Where each began and ended.
    stat : array, shape (n,)
        Statistic at the ends.
    status : array of int, shape (n,)
        `gammajax.Status` of the ends.
    minimum : array of int, shape (n,)
        Which of the distinct minima each came to, the lowest first; -1 where it came to none.
    won : int
        The start from whose end the fit went on.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    start: np.ndarray = field(repr=False)
    end: np.ndarray = field(repr=False)
    stat: np.ndarray
    status: np.ndarray
    minimum: np.ndarray
    won: int

    def __post_init__(self) -> None:
        lock_arrays(self)

    def __len__(self) -> int:
        return len(self.stat)

    @property
    def n_minima(self) -> int:
        """How many distinct minima were found."""
        return int(self.minimum.max(initial=-1)) + 1

    @property
    def minima(self) -> tuple[float, ...]:
        """Statistic of each distinct minimum, the lowest first."""
        return tuple(float(self.stat[self.minimum == m].min()) for m in range(self.n_minima))

    def to_table(self) -> Any:
        """Return an astropy Table, one row per distinct minimum: statistic, how many starts came to it, parameters."""
        from astropy.table import Table

        lanes = [np.flatnonzero(self.minimum == m) for m in range(self.n_minima)]
        first = [int(lane[np.argmin(self.stat[lane])]) for lane in lanes]
        table = Table()
        table["stat"], table["starts"] = self.stat[first], [len(lane) for lane in lanes]
        for k, (name, unit) in enumerate(zip(self.names, self.units, strict=True)):
            table[name] = self.end[first, k]
            table[name].unit = unit or None
        return table

    def __str__(self) -> str:
        found = ", ".join(f"{s:.4f} (from {np.sum(self.minimum == m)})" for m, s in enumerate(self.minima))
        lost = int(np.sum(self.minimum < 0))
        return (
            f"{len(self)} starts, {self.n_minima} {'minimum' if self.n_minima == 1 else 'minima'}: {found or 'none'}"
            + (f"; {lost} came to none" if lost else "")
            + f"; start {self.won} led to the result"
        )


def _spread(likelihood: Any, refit: Refit, n: int) -> np.ndarray:
    """Starts (n, P): the present values, then a low-discrepancy sequence in the free parameters.

    Over the limits where there are two; over a factor of ten to both sides for what is positive and has a size, an energy or a
    strength; otherwise over ten errors. In the logarithm where all of the range is positive.
    """
    start, free = likelihood.start, likelihood.free
    out = np.tile(start, (n, 1))
    for j in range(1, n):
        out[j] = np.where(free, refit.offset(j), start)
    sized = (start > 0) & (refit.strength | np.array([u not in ("", "1") for u in likelihood.units]))
    both = np.isfinite(likelihood.lower) & np.isfinite(likelihood.upper)
    for i in map(int, np.flatnonzero(free & sized & ~both)):
        share = refit.fraction(n, i)
        values = start[i] * FACTOR ** (2 * share[1:] - 1)
        out[1:, i] = np.clip(values, likelihood.lower[i], likelihood.upper[i])
    return out


def best_start(likelihood: Any, starts: Any, device: Any = None) -> tuple[np.ndarray, StartsResult]:
    """Minimise from several starts in one batch; returns the end that is lowest, shape (P,), and what all of them came to.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    starts : int
        How many, the present values included.
    device : jax.Device, optional
        Where to run.

    Raises
    ------
    InputError
        For a number that is none.
    """
    if isinstance(starts, bool) or int(starts) != starts or starts < 1:
        raise InputError(f"fit.run: got starts={starts!r}, expected a whole number of at least 1.")
    _, _, hessian = derivatives(likelihood, likelihood.start)
    refit = Refit(likelihood, hessian, int(starts), device)
    begin = _spread(likelihood, refit, int(starts))
    serial = device is None and len(begin) <= SERIAL
    out = _one_by_one(likelihood, begin) if serial else _batch(likelihood, begin, device)
    free = np.flatnonzero(likelihood.free)
    good = fitted(out.status)
    stat = np.where(np.isfinite(out.stat), out.stat, np.inf)
    assert out.hessian is not None
    minimum = _distinct(stat, out.theta[:, free], out.hessian[:, free[:, None], free], good)
    # an end that is no minimum and yet lower says more of the statistic than a minimum above it
    won = int(np.argmin(stat))
    lowest = np.where(good, stat, np.inf)
    if lowest.min() <= stat[won] + SAME:
        won = int(np.argmin(lowest))
    table = likelihood._table()
    unit = [likelihood.parameters.unique_parameters[int(i)].unit.to_string() for i in free]
    f = table.factor[free]
    found = StartsResult(
        tuple(likelihood.names[i] for i in free), tuple(unit), begin[:, free] / f, out.theta[:, free] / f, out.stat.copy(),
        np.asarray(out.status).astype(int), minimum, won,
    )  # fmt: skip
    return (out.theta[won] if np.isfinite(stat[won]) else likelihood.start), found


def _batch(likelihood: Any, begin: np.ndarray, device: Any) -> BatchResult:
    return minimize_batch(
        likelihood, begin, likelihood.free, likelihood.lower, likelihood.upper, likelihood.scale, derivatives=True, device=device
    )  # fmt: skip


def _one_by_one(likelihood: Any, begin: np.ndarray) -> BatchResult:
    """The same from one start after the other, with the program that the fit needs anyway."""
    n, n_par = begin.shape
    stat, edm, theta, status = np.full(n, np.inf), np.full(n, np.nan), begin.copy(), np.zeros(n, dtype=int)
    gradient, hessian = np.zeros((n, n_par)), np.zeros((n, n_par, n_par))
    for k in track(range(n), n, "fits from several starts", "start"):
        problem = Problem(likelihood, start=begin[k])
        if not np.isfinite(problem.stat(problem.start)):
            status[k] = Status.NON_FINITE
            continue
        objective = problem.objective()
        out = get_backend("newton")(objective)
        theta[k] = problem.theta(out.x)
        stat[k], gradient[k], hessian[k] = derivatives(likelihood, theta[k])
        verdict = judge(
            objective.names, out.x, objective.lower, objective.upper, stat[k], problem.gradient(out.x), problem.hessian(out.x),
            out.call_limit, out.success,
        )  # fmt: skip
        edm[k], status[k] = verdict.edm, verdict.flags.status
    return BatchResult(stat, theta, edm, np.zeros(n, dtype=int), status, gradient, hessian)


def _distinct(stat: np.ndarray, x: np.ndarray, hessian: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Number of the minimum that each lane is in, (n,), the lowest first; -1 where it is in none."""
    out = np.full(len(stat), -1)
    found: list[int] = []
    for k in np.argsort(stat):
        if not good[k]:
            continue
        for number, first in enumerate(found):
            by = x[k] - x[first]
            if stat[k] - stat[first] < SAME and abs(0.5 * by @ hessian[first] @ by) < SAME:
                out[k] = number
                break
        else:
            out[k] = len(found)
            found.append(int(k))
    return out
