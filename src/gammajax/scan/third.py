"""How re-fitted parameters bend away from the straight line, from third derivatives at the best fit."""

from typing import Any

import numpy as np

from gammajax.solve import derivatives_at

__all__ = ["bend", "third_derivatives"]

# more free parameters than this, and taking the derivatives costs more than the steps that they save
MOST = 6
# step of the differences, in errors: the error of the third derivatives is of its second power, and they only predict starts
STEP = 0.1
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


def bend(
    hessian: np.ndarray, third: np.ndarray, nuisance: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    r"""Second derivative of the re-fitted parameters along steps, :math:`-H_{\nu\nu}^{-1} T_\nu(v, v)`.

    Parameters
    ----------
    hessian, third : array, shape (P, P) and (P, P, P)
        Derivatives at the best fit.
    nuisance : array of int, shape (N,)
        Positions of the re-fitted parameters.
    step : array, shape (n, P)
        Steps v along the straight line that the re-fitted parameters follow to first order.

    Returns
    -------
    bend : array, shape (n, N)
        The change is the step plus half of it.
    near : array of bool, shape (n,)
        Where that is of use; None where the Hessian allows no prediction.
    """
    block = hessian[np.ix_(nuisance, nuisance)]
    diagonal = np.diagonal(block)
    if len(nuisance) == 0 or np.any(diagonal <= 0) or not np.isfinite(hessian).all():
        return None
    unit = 1 / np.sqrt(diagonal)
    matrix = block * unit[:, None] * unit
    try:
        np.linalg.cholesky(matrix)
        solved = np.linalg.solve(matrix, third[nuisance].reshape(len(nuisance), -1) * unit[:, None]) * unit[:, None]
    except np.linalg.LinAlgError:
        return None
    n_par = step.shape[1]
    # element by element, as the first order: the row of one node is the same in every batch
    pairs = (step[:, :, None] * step[:, None, :]).reshape(len(step), n_par * n_par)
    out = np.stack([-np.sum(pairs * row, axis=1) for row in solved], axis=1)
    rise = 0.5 * np.sum(pairs * hessian.ravel(), axis=1)
    return np.where(np.isfinite(out), out, 0.0), rise < NEAR
