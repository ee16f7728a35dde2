"""How re-fitted parameters bend away from the straight line, from third derivatives at the best fit."""

from typing import Any

import numpy as np

from gammajax.solve import derivatives_at

__all__ = ["bend", "third_derivatives"]

# more free parameters than this, and taking the derivatives costs more than the steps that they save
MOST = 6
# step of the differences, in errors: the error of the third derivatives is of its second power, and they only predict starts
STEP = 0.02
# rise of TS by the Hessian up to which the second order is an improvement
NEAR = 25.0


def third_derivatives(likelihood: Any, scale: np.ndarray) -> np.ndarray | None:
    """Third derivatives of the statistic at the start of a likelihood, from central differences of exact Hessians.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function, its start at the best fit.
    scale : array, shape (P,)
        Errors.

    Returns
    -------
    array, shape (P, P, P), or None
        0 for parameters that are not free; None where there are too many free parameters or the function ends close by.
    """
    best, free = likelihood.start, np.flatnonzero(likelihood.free)
    if not 0 < len(free) <= MOST:
        return None
    points = np.tile(best, (2 * len(free), 1))
    for k, i in enumerate(free):
        points[2 * k, i] -= STEP * scale[i]
        points[2 * k + 1, i] += STEP * scale[i]
    if np.any(points < likelihood.lower) or np.any(points > likelihood.upper):
        return None
    hessian = derivatives_at(likelihood, points)[2]
    out = np.zeros((len(best),) * 3)
    for k, i in enumerate(free):
        out[i] = (hessian[2 * k + 1] - hessian[2 * k]) / (2 * STEP * scale[i])
    return out if np.isfinite(out).all() else None


def bend(hessian: np.ndarray, third: np.ndarray, nuisance: np.ndarray) -> np.ndarray | None:
    r"""How re-fitted parameters bend: :math:`B = -H_{\nu\nu}^{-1} T_\nu`, their second derivative along v is :math:`B(v, v)`.

    Parameters
    ----------
    hessian, third : array, shape (P, P) and (P, P, P)
        Derivatives at the best fit.
    nuisance : array of int, shape (N,)
        Positions of the re-fitted parameters.

    Returns
    -------
    array, shape (N, P, P), or None
        v are steps of all parameters along the straight line that the re-fitted ones follow to first order. None where the Hessian
        allows no prediction.
    """
    return _solved(hessian, nuisance, third[nuisance])


def _solved(hessian: np.ndarray, nuisance: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    block = hessian[np.ix_(nuisance, nuisance)]
    diagonal = np.diagonal(block)
    if len(nuisance) == 0 or not np.all(diagonal > 0) or not np.isfinite(block).all():
        return None
    unit = 1 / np.sqrt(diagonal)
    matrix = block * unit[:, None] * unit
    try:
        np.linalg.cholesky(matrix)
        out = np.linalg.solve(matrix, right.reshape(len(nuisance), -1) * unit[:, None]) * unit[:, None]
    except np.linalg.LinAlgError:
        return None
    return -out.reshape(right.shape) if np.isfinite(out).all() else None


class Prediction:
    """Where re-fitted parameters go as some others move away from the best fit, to second order; to third order if one moves.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function, its start at the best fit.
    hessian, third : array, shape (P, P) and (P, P, P)
        Derivatives there.
    held : list of int
        k positions of those that move.
    nuisance : array of int, shape (N,)
        Positions of the re-fitted ones.
    slope : array, shape (N, k)
        First order.
    """

    def __init__(
        self, likelihood: Any, hessian: np.ndarray, third: np.ndarray, held: list[int], nuisance: np.ndarray, slope: np.ndarray
    ) -> None:  # fmt: skip
        k = len(held)
        line = np.zeros((len(hessian), k))
        line[held, np.arange(k)] = 1.0
        line[nuisance] = slope
        self.slope, self.rise = slope, line.T @ hessian @ line
        known = bend(hessian, third, nuisance)
        self.second = None if known is None else np.einsum("iab,aj,bk->ijk", known, line, line)
        self.third: np.ndarray | None = None
        if k == 1 and self.second is not None:
            self.third = self._third(likelihood, hessian, third, nuisance, line[:, 0])

    def _third(
        self, likelihood: Any, hessian: np.ndarray, third: np.ndarray, nuisance: np.ndarray, line: np.ndarray
    ) -> np.ndarray | None:
        """Third derivatives, shape (N,), from the second difference of the Hessian along the line."""
        assert self.second is not None
        if not self.rise[0, 0] > 0:
            return None
        step = STEP * np.sqrt(2 / self.rise[0, 0])
        points = likelihood.start + np.outer([-step, step], line)
        if np.any(points < likelihood.lower) or np.any(points > likelihood.upper):
            return None
        both = derivatives_at(likelihood, points)[2]
        fourth = (both[0] + both[1] - 2 * hessian) / step**2
        bent = np.zeros_like(line)
        bent[nuisance] = self.second[:, 0, 0]
        return _solved(hessian, nuisance, ((fourth + 3 * (third @ bent)) @ line)[nuisance])

    def more(self, offset: np.ndarray, first: np.ndarray, unit: np.ndarray, logarithmic: np.ndarray) -> Any:
        """What the higher orders add to the changes of the re-fitted parameters, (n, N), for offsets (n, k) of those that move.

        `first` are their changes to first order, shape (n, N), in `unit` each, shape (N,). Where `logarithmic`, shape (N,), both are
        changes of the logarithm of a parameter that is `unit` at the best fit.
        """
        if self.second is None:
            return 0.0
        held = range(offset.shape[1])
        # term by term, as the first order: a node is the same in every batch
        both = {(i, j): (offset[:, i] * offset[:, j])[:, None] for i in held for j in held}
        rise = sum(both[i, j] * self.rise[i, j] for i in held for j in held)
        second = sum(both[i, j] * (0.5 * self.second[:, i, j]) for i in held for j in held) / unit
        inside = np.where(logarithmic, first, 0.0)
        more = second - 0.5 * inside**2
        if self.third is not None:
            third = (offset[:, 0] ** 3)[:, None] * (self.third / 6) / unit
            more = more + (third - inside * second + inside**3 / 3)
        return np.where(rise < 2 * NEAR, more, 0.0)
