"""Points at which some parameters are held and all other free ones re-fitted: where each lane begins, and the batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.solve import BatchResult, fitted, minimize_batch

__all__ = ["OPTIONS", "Refit", "linear_prediction"]

OPTIONS = ("tol", "max_iter")
# how far additional starts are spread where a parameter has no limits, in errors
SPREAD = 10.0
# largest predicted change of a strength, in its logarithm
MOST = 5.0


def linear_prediction(
    points: np.ndarray, best: np.ndarray, hessian: np.ndarray, index: Sequence[int], free: np.ndarray
) -> np.ndarray:
    r"""Nuisance parameters predicted from the best fit, :math:`\hat\nu - H_{\nu\nu}^{-1} H_{\nu\psi} (\psi - \hat\psi)`.

    Parameters
    ----------
    points : array, shape (n, P)
        Nodes with the other parameters at the best fit.
    best : array, shape (P,)
        Best fit.
    hessian : array, shape (P, P)
        Exact Hessian there.
    index : sequence of int
        Scanned parameters.
    free : array of bool, shape (P,)
        Nuisance parameters.

    Returns
    -------
    array, shape (n, P)
        The nodes with predicted nuisance parameters; unchanged where the Hessian allows no prediction.
    """
    held, nuisance = list(index), np.flatnonzero(free)
    block, cross = hessian[np.ix_(nuisance, nuisance)], hessian[np.ix_(nuisance, held)]
    diagonal = np.diag(block)
    if len(nuisance) == 0 or np.any(diagonal <= 0) or not np.all(np.isfinite(hessian)):
        return points
    scale = 1 / np.sqrt(diagonal)
    matrix, right = block * np.outer(scale, scale), cross * scale[:, None]
    try:
        np.linalg.cholesky(matrix)
        slope = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        # no minimum, or directions without effect: the smallest step that fits
        slope, *_ = np.linalg.lstsq(matrix, right, rcond=1e-12)
    predicted = points.copy()
    predicted[:, nuisance] -= (points[:, held] - best[held]) @ (slope * scale[:, None]).T
    return predicted


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
        if int(starts) != starts or starts < 1:
            raise InputError(f"re-optimised scan: got starts={starts!r}, expected a whole number of at least 1.")
        self.likelihood, self.hessian, self.best = likelihood, hessian, likelihood.start
        self.starts, self.device, self.options = int(starts), device, options
        n_par = len(self.best)
        self.strength = np.zeros(n_par, dtype=bool)
        self.strength[list(likelihood.compact().linear(tuple(range(n_par))))] = True
        diagonal = np.diag(hessian)
        good = (diagonal > 0) & np.isfinite(diagonal)
        # errors where the curvature gives them, otherwise the scale of the parameter
        self.scale = np.where(good, np.sqrt(2 / np.where(good, diagonal, 1.0)), likelihood.scale)

    def lanes(self, index: Sequence[int], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted starts (n, P), second starts (n, P) and free parameters (P,) for points of some parameters (n, k)."""
        held = list(index)
        free = self.likelihood.free.copy()
        free[held] = False
        points = np.tile(self.best, (len(values), 1))
        points[:, held] = values
        predicted = linear_prediction(points, self.best, self.hessian, held, free)
        if predicted is not points:
            nuisance = np.flatnonzero(free)
            low, high = self.likelihood.lower[nuisance], self.likelihood.upper[nuisance]
            # a strength is predicted in its logarithm, the same to first order: far away the straight line crosses zero
            at = nuisance[self.strength[nuisance] & (self.best[nuisance] != 0)]
            change = (predicted[:, at] - self.best[at]) / self.best[at]
            predicted[:, at] = self.best[at] * np.exp(np.clip(change, -MOST, MOST))
            predicted[:, nuisance] = np.clip(predicted[:, nuisance], low, high)
        return predicted, points, free

    def run(self, starts: np.ndarray, again: np.ndarray, free: np.ndarray, derivatives: bool = False) -> BatchResult:
        """Minimise from given starts; see `gammajax.solve.minimize_batch`."""
        like = self.likelihood
        return minimize_batch(
            like, starts, free, like.lower, like.upper, self.scale, again=again, derivatives=derivatives,
            device=self.device, **self.options,
        )  # fmt: skip

    def points(self, groups: Sequence[tuple[Sequence[int], np.ndarray]], derivatives: bool = False) -> BatchResult:
        """Re-fit points of several sets of parameters in one batch; the lanes come back in the order of the groups."""
        made = [self.lanes(index, values) for index, values in groups]
        if len(made) == 1:
            starts, again, free = made[0]
        else:
            starts, again = (np.concatenate([m[k] for m in made]) for k in (0, 1))
            free = np.concatenate([np.broadcast_to(m[2], m[0].shape) for m in made])
        if self.starts == 1:
            return self.run(starts, again, free, derivatives)
        return self._several(starts, again, np.broadcast_to(free, starts.shape), derivatives)

    def _several(self, starts: np.ndarray, again: np.ndarray, free: np.ndarray, derivatives: bool) -> BatchResult:
        """Every point from several starts, as further lanes; of those that ended well the lowest counts."""
        n, k = len(starts), self.starts
        more = [np.where(free, self._offset(j), starts) for j in range(1, k)]
        out = self.run(np.concatenate([starts, *more]), np.tile(again, (k, 1)), np.tile(free, (k, 1)), derivatives)
        stat = out.stat.reshape(k, n)
        status = out.status.reshape(k, n)
        good = fitted(status)
        rank = np.where(good, stat, np.inf)
        # where no start ended well the first one tells what is wrong
        pick = np.argmin(rank, axis=0) * n + np.arange(n)
        return out.take(pick)

    def _offset(self, number: int) -> np.ndarray:
        """Additional start, shape (P,): a low-discrepancy sequence over the limits, or 10 errors where there are none."""
        like = self.likelihood
        golden = np.array([_radical_inverse(number, prime) for prime in _primes(len(self.best))])
        bounded = np.isfinite(like.lower) & np.isfinite(like.upper)
        low = np.where(bounded, like.lower, np.maximum(self.best - SPREAD * self.scale, like.lower))
        high = np.where(bounded, like.upper, np.minimum(self.best + SPREAD * self.scale, like.upper))
        return low + golden * (high - low)


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
