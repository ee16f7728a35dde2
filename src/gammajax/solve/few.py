"""A few lanes without a program of their own: Newton's method on the host, with the program that the fit has compiled.

Compiling the batched programs takes a second or two, a point of the compiled fit a tenth of a millisecond. Until so many points were
asked for that compiling would have been cheaper, they are computed one by one; a lane that needs more than plain Newton
steps is left to the batched program.
"""

from typing import Any

import jax
import numpy as np

from gammajax.solve.point import derivatives_at, is_compiled
from gammajax.solve.status import Status

__all__ = ["MAX_STEPS", "evaluate_few", "minimize_few", "worthwhile"]

# points computed one by one before a program is compiled for more: about half of what its compilation takes the time of, measured
POINTS = {"evaluate": 2000, "minimize": 8000}
# of a re-fit, on average
PER_LANE = 4
MAX_STEPS = 8

_spent: dict[tuple, int] = {}


def worthwhile(likelihood: Any, device: Any, program: str, lanes: int) -> bool:
    """Whether to compute one by one, and if so, notes that it is done.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    device : jax.Device or None
        A device that was asked for: then the batched program runs there.
    program : {"evaluate", "minimize"}
        The program that would be compiled.
    lanes : int
        How many there are.
    """
    points = lanes * (PER_LANE if program == "minimize" else 1)
    if device is not None or points > POINTS[program] or not is_compiled(likelihood):
        return False
    if jax.local_devices()[0].platform != "cpu":
        return False
    key = likelihood.prepared.get(program)
    if key is None:
        key = program, likelihood.structure, tuple(a.shape for a in jax.tree.leaves(likelihood.compact()))
        likelihood.prepared[program] = key
    if _spent.get(key, 0) + points > POINTS[program]:
        # from now on there is a program for it
        _spent[key] = POINTS[program]
        return False
    _spent[key] = _spent.get(key, 0) + points
    return True


def evaluate_few(likelihood: Any, points: np.ndarray) -> np.ndarray:
    """Statistic at points (n, P), shape (n,)."""
    return derivatives_at(likelihood, points)[0]


def minimize_few(
    likelihood: Any,
    starts: np.ndarray,
    free: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    tol: float,
) -> tuple[np.ndarray, ...]:
    """Minimise from starts (n, P) over the parameters `free` (n, P), by `MAX_STEPS` undamped Newton steps within the limits.

    Returns
    -------
    stat, theta, edm, iterations, status, gradient, hessian : arrays over n lanes
        The status is `Status.ITERATION_LIMIT` where a step did not lower the statistic or the Hessian was not positive definite.
    """
    n, n_par = starts.shape
    theta, trial = starts.copy(), np.where(free, np.clip(starts, lower, upper), starts)
    stat, edm, iterations = np.full(n, np.inf), np.full(n, np.nan), np.zeros(n, dtype=int)
    gradient, hessian = np.zeros((n, n_par)), np.zeros((n, n_par, n_par))
    status = np.full(n, Status.ITERATION_LIMIT.value)
    going = np.arange(n)
    for _ in range(MAX_STEPS):
        new, g, h = derivatives_at(likelihood, trial[going])
        iterations[going] += 1
        finite = np.isfinite(new) & np.isfinite(g).all(axis=1) & np.isfinite(h).all(axis=(1, 2))
        # the same point a second time can differ in the last bits
        better = finite & (new <= stat[going] + 1e-12 * (1 + np.abs(new)))
        going, new, g, h = going[better], new[better], g[better], h[better]
        x = trial[going]
        stat[going], theta[going], gradient[going], hessian[going] = new, x, g, h
        held = free[going] & (((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)))
        moving = free[going] & ~held
        step, expected, positive = _steps(g, h, moving)
        arrived = positive & (expected < tol)
        done = going[arrived]
        edm[done] = expected[arrived]
        status[done] = np.where(held[arrived].any(axis=1), Status.AT_LIMIT.value, Status.CONVERGED.value)
        on = positive & ~arrived
        trial[going[on]] = np.where(moving[on], np.clip(x[on] + step[on], lower, upper), x[on])
        going = going[on]
        if len(going) == 0:
            break
    return stat, theta, edm, iterations, status, gradient, hessian


def _steps(gradient: np.ndarray, hessian: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Newton steps (n, P), expected decreases (n,) and whether the Hessian of the moving parameters is positive definite (n,)."""
    diagonal = np.einsum("nii->ni", hessian)
    unit = np.where(moving & (diagonal > 0), 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 1.0)
    both = moving[:, :, None] & moving[:, None, :]
    matrix = np.where(both, hessian * unit[:, :, None] * unit[:, None, :], np.eye(moving.shape[1]))
    right = np.where(moving, gradient * unit, 0.0)
    # as a Cholesky factorisation would find it, and with none of its pivots lost in rounding
    positive = np.linalg.eigvalsh(matrix)[:, 0] > 1e-13
    matrix[~positive] = np.eye(moving.shape[1])
    solution = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
    return -solution * unit, 0.5 * np.sum(right * solution, axis=1), positive
