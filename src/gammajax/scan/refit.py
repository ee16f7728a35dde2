"""Points at which some parameters are held and all other free ones re-fitted: where each lane begins, and the batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.scan.third import Prediction, third_derivatives
from gammajax.solve import BatchResult, Plan, fitted, minimize_batch, replace_lanes

__all__ = ["OPTIONS", "Refit", "linear_prediction"]

OPTIONS = ("tol", "max_iter")
# how far additional starts are spread where a parameter has no limits, in errors
SPREAD = 10.0
# largest predicted change of a strength, in its logarithm
MOST = 5.0


def linear_prediction(hessian: np.ndarray, index: Sequence[int], free: np.ndarray) -> np.ndarray | None:
    r"""How re-fitted parameters follow the scanned ones, :math:`d\hat\nu/d\psi = -H_{\nu\nu}^{-1} H_{\nu\psi}`.

    Parameters
    ----------
    hessian : array, shape (P, P)
        Exact Hessian at the best fit.
    index : sequence of int
        k scanned parameters.
    free : array of bool, shape (P,)
        Nuisance parameters, N of them.

    Returns
    -------
    array, shape (N, k), or None
        None where the Hessian allows no prediction.
    """
    nuisance = np.flatnonzero(free)
    rows = hessian[nuisance]
    block, cross = rows[:, nuisance], rows[:, list(index)]
    diagonal = np.diagonal(block)
    if len(nuisance) == 0 or np.any(diagonal <= 0) or not np.isfinite(rows).all():
        return None
    scale = 1 / np.sqrt(diagonal)
    matrix, right = block * scale[:, None] * scale, cross * scale[:, None]
    try:
        np.linalg.cholesky(matrix)
        slope = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        # no minimum, or directions without effect: the smallest step that fits
        slope, *_ = np.linalg.lstsq(matrix, right, rcond=1e-12)
    return -slope * scale[:, None]


class Refit:
    """Re-fits around one best fit, in batches of any points of any parameters.

    Every lane begins at the linear prediction from the best fit, never at a neighbour: the order of the nodes changes nothing.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function, its start at the best fit.
    hessian : array, shape (P, P)
        Exact Hessian there.
    starts : int
        Starts per point; with more than one the best end counts.
    device : jax.Device, optional
        Where to run.
    **options
        `tol` and `max_iter` of `gammajax.solve.minimize_batch`.

    Raises
    ------
    InputError
        For an unknown option.
    """

    def __init__(
        self, likelihood: Any, hessian: np.ndarray, starts: int = 1, device: Any = None, **options: Any
    ) -> None:
        for name in options:
            if name not in OPTIONS:
                raise InputError(f"re-optimised scan: unknown option {name!r}; known are: {', '.join(OPTIONS)}.")
        if not isinstance(starts, int | np.integer) or isinstance(starts, bool) or starts < 1:
            raise InputError(f"re-optimised scan: got starts={starts!r}, expected a whole number of at least 1.")
        self.likelihood, self.hessian, self.best = likelihood, hessian, likelihood.start
        self.starts, self.device, self.options = int(starts), device, options
        # set by whoever needs one and the same program for all batches
        self.plan: Plan | None = None
        n_par = len(self.best)
        self.strength = np.zeros(n_par, dtype=bool)
        self.strength[list(likelihood.compact().linear(tuple(range(n_par))))] = True
        # third derivatives at the best fit, where starts are predicted to second order
        self.third: np.ndarray | None = None
        # predictions by the parameters that are held, and covariances by those that are not
        self._slopes: dict[tuple, np.ndarray | None] = {}
        self._bends: dict[tuple, Prediction] = {}
        # second derivatives of the re-fitted parameters at the best fit, by which these are
        self.curves: dict[bytes, np.ndarray | None] = {}
        self.covariances: dict[bytes, np.ndarray] = {}
        diagonal = np.diag(hessian)
        good = (diagonal > 0) & np.isfinite(diagonal)
        # errors where the curvature gives them, otherwise the scale of the parameter
        self.scale = np.where(good, np.sqrt(2 / np.where(good, diagonal, 1.0)), likelihood.scale)

    @classmethod
    def around(
        cls, likelihood: Any, hessian: np.ndarray, starts: int = 1, device: Any = None, **options: Any
    ) -> "Refit":
        """The same as the class called, or the one of the last call if that was for the very same likelihood and Hessian."""
        known = likelihood.prepared.get("refit")
        settings = (starts, device, options)
        if known is not None and known[0] is hessian and known[1] == settings and known[2].likelihood is likelihood:
            return known[2]
        new = cls(likelihood, hessian, starts, device, **options)
        new.third = third_derivatives(likelihood, new.scale)
        likelihood.prepared["refit"] = hessian, settings, new
        return new

    def lanes(self, groups: Sequence[tuple[Sequence[int], np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted starts, second starts and free parameters, all (n, P), for points of several sets of parameters.

        A group is the positions of k parameters and their values, shape (n_group, k).
        """
        # one grid is the same to the last bit in memory and from a store, which knows no third derivatives
        higher = self.third is not None and len(groups) > 1
        made = [self._group(list(index), np.asarray(values), higher) for index, values in groups]
        if len(made) == 1:
            return made[0]
        starts, again, free = (np.concatenate(parts) for parts in zip(*made, strict=True))
        return starts, again, free

    def _group(self, held: list[int], values: np.ndarray, higher: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        like, n = self.likelihood, len(values)
        free = like.free.copy()
        free[held] = False
        points = np.empty((n, len(self.best)))
        points[:] = self.best
        points[:, held] = values
        if (key := tuple(held)) not in self._slopes:
            self._slopes[key] = linear_prediction(self.hessian, held, free)
        slope = self._slopes[key]
        if slope is None:
            return points, points, np.broadcast_to(free, points.shape)
        predicted = points.copy()
        offset = values - self.best[held]
        nuisance = np.flatnonzero(free)
        if higher and self.third is not None and key not in self._bends:
            self._bends[key] = Prediction(like, self.hessian, self.third, held, nuisance, slope)
        bends = self._bends[key] if higher else None
        best = self.best[nuisance]
        # summed term by term: a matrix product may round a row differently in a batch of another size
        change = sum(offset[:, j, None] * slope[:, j] for j in range(len(held)))
        # strengths in the logarithm, the same to first order: far away the straight line crosses zero
        logarithmic = self.strength[nuisance] & (best != 0)
        unit = np.where(logarithmic, best, 1.0)
        change = change / unit
        if bends is not None:
            change = change + bends.more(offset, change, unit, logarithmic)
        value = np.where(logarithmic, best * np.exp(np.minimum(np.maximum(change, -MOST), MOST)), best + change)
        predicted[:, nuisance] = np.minimum(np.maximum(value, like.lower[nuisance]), like.upper[nuisance])
        return predicted, points, np.broadcast_to(free, points.shape)

    def run(self, starts: np.ndarray, again: np.ndarray, free: np.ndarray, derivatives: bool = False) -> BatchResult:
        """Minimise from given starts, and from as many more as are asked for; see `gammajax.solve.minimize_batch`."""
        if self.starts == 1:
            return self._once(starts, again, free, derivatives)
        return self._several(starts, again, free, derivatives)

    def _once(self, starts: np.ndarray, again: np.ndarray, free: np.ndarray, derivatives: bool) -> BatchResult:
        out = self._at_step(self.likelihood, starts, again, free, derivatives)
        step = self.likelihood.step
        needed = np.where(fitted(out.status), self.likelihood.steps(out.theta), step)
        while np.any(needed > step):
            # spectra are steeper where these lanes ended than bin integrals are made for: on from there with more nodes, which
            # each lane decides for itself
            step = int(np.min(needed[needed > step]))
            lanes = np.flatnonzero(needed == step)
            ends, these = out.theta[lanes], np.broadcast_to(free, out.theta.shape)[lanes]
            more = self._at_step(self.likelihood.at_step(step), ends, ends, these, derivatives)
            replace_lanes(out, lanes, more)
            needed[lanes] = np.where(fitted(more.status), self.likelihood.steps(more.theta), step)
        return out

    def _at_step(
        self, like: Any, starts: np.ndarray, again: np.ndarray, free: np.ndarray, derivatives: bool
    ) -> BatchResult:
        return minimize_batch(
            like, starts, free, like.lower, like.upper, self.scale, again=again, derivatives=derivatives,
            device=self.device, plan=self.plan, **self.options,
        )  # fmt: skip

    def points(self, groups: Sequence[tuple[Sequence[int], np.ndarray]], derivatives: bool = False) -> BatchResult:
        """Re-fit points of several sets of parameters in one batch; the lanes come back in the order of the groups."""
        starts, again, free = self.lanes(groups)
        return self.run(starts, again, free, derivatives)

    def _several(self, starts: np.ndarray, again: np.ndarray, free: np.ndarray, derivatives: bool) -> BatchResult:
        """Every point from several starts, as further lanes; of those that ended well the lowest counts."""
        n, k = len(starts), self.starts
        more = [np.where(free, self.offset(j), starts) for j in range(1, k)]
        out = self._once(np.concatenate([starts, *more]), np.tile(again, (k, 1)), np.tile(free, (k, 1)), derivatives)
        stat = out.stat.reshape(k, n)
        status = out.status.reshape(k, n)
        good = fitted(status)
        rank = np.where(good, stat, np.inf)
        # where no start ended well the first one tells what is wrong
        pick = np.argmin(rank, axis=0) * n + np.arange(n)
        return out.take(pick)

    def offset(self, number: int) -> np.ndarray:
        """Additional start, shape (P,): a low-discrepancy sequence over the limits, or 10 errors where there are none."""
        like = self.likelihood
        golden = np.array([_radical_inverse(number, prime) for prime in _primes(len(self.best))])
        bounded = np.isfinite(like.lower) & np.isfinite(like.upper)
        low = np.where(bounded, like.lower, np.maximum(self.best - SPREAD * self.scale, like.lower))
        high = np.where(bounded, like.upper, np.minimum(self.best + SPREAD * self.scale, like.upper))
        return low + golden * (high - low)

    def fraction(self, n: int, i: int) -> np.ndarray:
        """Where in its range the first n starts have parameter i, shape (n,), from 0 to 1."""
        return np.array([_radical_inverse(j, _primes(len(self.best))[i]) for j in range(n)])


def _radical_inverse(n: int, base: int) -> float:
    """Halton's sequence in one dimension."""
    value, weight = 0.0, 1.0 / base
    while n:
        n, digit = divmod(n, base)
        value += digit * weight
        weight /= base
    return value


def _primes(n: int) -> list[int]:
    found: list[int] = []
    k = 2
    while len(found) < n:
        if all(k % p for p in found):
            found.append(k)
        k += 1
    return found
