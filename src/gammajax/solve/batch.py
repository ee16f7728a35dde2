"""Many minimisations of one likelihood at once: damped Fisher scoring with a verdict per lane."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.solve.linear import cholesky_solve
from gammajax.solve.status import Status
from gammajax.units import double_precision

__all__ = ["BatchResult", "evaluate_batch", "minimize_batch"]

# One shape for everything small, so that profiles and surfaces share one program
SMALL, LARGE = 64, 2048
MAX_ITER = 80
TOL = 1e-10
# a lane that stopped further away than this did not converge
EDM_CONVERGED = 1e-7


class BatchResult(NamedTuple):
    """What comes back, one entry per lane.

    Attributes
    ----------
    stat : array, shape (n,)
        Statistic.
    theta : array, shape (n, P)
        Parameters, internal units.
    edm : array, shape (n,)
        Expected distance to the minimum, from the exact Hessian in the parameters that are free and not on a limit.
    iterations : array of int, shape (n,)
        Steps tried.
    status : array of int, shape (n,)
        `Status`.
    """

    stat: np.ndarray
    theta: np.ndarray
    edm: np.ndarray
    iterations: np.ndarray
    status: np.ndarray


class _State(NamedTuple):
    """The point that was accepted last, the point to try next, and how to go on."""

    theta: jax.Array
    stat: jax.Array
    gradient: jax.Array
    first: jax.Array
    second: jax.Array
    trial: jax.Array
    damping: jax.Array
    iterations: jax.Array
    done: jax.Array


def _moving(theta: Any, gradient: Any, free: Any, lower: Any, upper: Any) -> jax.Array:
    """Free parameters that are not held by a limit: those whose descent does not lead outside."""
    held = ((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0))
    return free & ~held


def _newton_step(gradient: Any, hessian: Any, moving: Any, damping: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Damped step, expected decrease and whether the system was positive definite; unit diagonal inside."""
    diagonal = jnp.diag(hessian)
    scale = jnp.where(moving & (diagonal > 0), 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 1.0)
    both = moving[:, None] & moving[None, :]
    eye = jnp.eye(len(gradient), dtype=gradient.dtype)
    matrix = jnp.where(both, hessian * scale[:, None] * scale[None, :], eye) + damping * eye
    right = jnp.where(moving, gradient * scale, 0.0)
    x, positive = cholesky_solve(matrix, right)
    step = -x * scale
    return step, 0.5 * jnp.dot(right, x), positive


def _lane(
    likelihood: Any,
    starts: jax.Array,
    free: jax.Array,
    lower: jax.Array,
    upper: jax.Array,
    scale: jax.Array,
    tol: Any,
    max_iter: Any,
) -> tuple:
    """Minimise from the better of several starts, shape (n_starts, P); everything in units of `scale`."""

    def scoring(t: jax.Array) -> tuple:
        stat, g, first, second = likelihood.scoring(t * scale)
        both = jnp.outer(scale, scale)
        return stat, g * scale, first * both, second * both

    tried = jax.vmap(lambda t: likelihood.stat(t * scale))(starts)
    best = starts[jnp.argmin(jnp.where(jnp.isnan(tried), jnp.inf, tried))]
    n = best.shape[0]
    zero = jnp.zeros((n, n), best.dtype)
    start = _State(
        best, jnp.asarray(jnp.inf, best.dtype), zero[0], zero, zero, best,
        jnp.asarray(1e-4, best.dtype), jnp.asarray(0), jnp.asarray(False),
    )  # fmt: skip

    def advance(s: _State) -> _State:
        new = scoring(s.trial)
        good = (new[0] <= s.stat) & _finite(*new)
        stat, g, first, second = (jnp.where(good, a, b) for a, b in zip(new, s[1:5], strict=True))
        theta = jnp.where(good, s.trial, s.theta)
        damping = jnp.where(good, s.damping * 0.1, jnp.maximum(s.damping * 10, 1e-3))
        damping = jnp.where(damping < 1e-12, 0.0, damping)
        moving = _moving(theta, g, free, lower, upper)
        step, edm, positive = _newton_step(g, first + second, moving, damping)
        # away from the minimum the exact Hessian can point uphill; its first part never does
        safe, _, usable = _newton_step(g, first, moving, damping)
        step = jnp.where(positive, step, safe)
        trial = jnp.where(free, jnp.clip(theta + step, lower, upper), theta)
        arrived = good & positive & (jnp.abs(edm) < tol)
        stuck = (damping > 1e12) | ~jnp.isfinite(stat)
        damping = jnp.where(positive | usable, damping, jnp.maximum(damping * 10, 1e-3))
        return _State(theta, stat, g, first, second, trial, damping, s.iterations + 1, arrived | stuck)

    s = jax.lax.while_loop(lambda s: ~s.done & (s.iterations < max_iter), advance, start)
    return s.stat, s.theta * scale, *_verdict(s, free, lower, upper)


def _finite(*values: jax.Array) -> jax.Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(v)) for v in values]))


def _verdict(s: _State, free: jax.Array, lower: jax.Array, upper: jax.Array) -> tuple:
    """EDM, iterations and status, from the exact Hessian at the accepted point."""
    moving = _moving(s.theta, s.gradient, free, lower, upper)
    _, edm, positive = _newton_step(s.gradient, s.first + s.second, moving, 0.0)
    held = jnp.any(free & ~moving)
    status = jnp.where(held, Status.AT_LIMIT.value, Status.CONVERGED.value)
    status = jnp.where(jnp.abs(edm) > EDM_CONVERGED, Status.ITERATION_LIMIT.value, status)
    status = jnp.where(positive, status, Status.NOT_POSITIVE_DEFINITE.value)
    return edm, s.iterations, jnp.where(jnp.isfinite(s.stat), status, Status.NON_FINITE.value)


@jax.jit
def _minimize(
    likelihood: Any, starts: Any, free: Any, lower: Any, upper: Any, scale: Any, tol: Any, max_iter: Any
) -> tuple:
    return jax.vmap(lambda t: _lane(likelihood, t, free, lower, upper, scale, tol, max_iter))(starts)


@jax.jit
def _evaluate(likelihood: Any, theta: Any) -> Any:
    return jax.vmap(likelihood.stat)(theta)


def _chunks(n: int) -> tuple[int, range]:
    size = SMALL if n <= 16 * SMALL else LARGE
    return size, range(0, n, size)


def _padded(array: np.ndarray, at: int, size: int) -> np.ndarray:
    part = array[at : at + size]
    return np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]) if len(part) < size else part


def evaluate_batch(likelihood: Any, theta: np.ndarray) -> np.ndarray:
    """Statistic at many points, nothing fitted.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    theta : array, shape (n, P)
        Points, internal units.

    Returns
    -------
    array, shape (n,)
        Statistic.
    """
    size, starts = _chunks(len(theta))
    with double_precision():
        parts = [np.asarray(_evaluate(likelihood, _padded(theta, at, size))) for at in starts]
    return np.concatenate(parts)[: len(theta)]


def minimize_batch(
    likelihood: Any,
    starts: np.ndarray,
    free: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    scale: np.ndarray,
    tol: float = TOL,
    max_iter: int = MAX_ITER,
) -> BatchResult:
    """Minimise the statistic from many starts at once.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    starts : array, shape (n, n_starts, P)
        For each lane some starts, of which the best is taken; parameters that are not free keep its values.
    free : array of bool, shape (P,)
        Which parameters are varied.
    lower, upper : array, shape (P,)
        Limits.
    scale : array, shape (P,)
        Typical size of the parameters.
    tol : float
        Stop at this expected distance to the minimum, in units of the statistic.
    max_iter : int
        Steps tried at most.
    """
    size, chunks = _chunks(len(starts))
    limits = np.where(free, lower, -np.inf) / scale, np.where(free, upper, np.inf) / scale
    parts = []
    with double_precision():
        for at in chunks:
            out = _minimize(likelihood, _padded(starts / scale, at, size), free, *limits, scale, tol, max_iter)
            parts.append([np.asarray(x) for x in out])
    return BatchResult(*(np.concatenate(x)[: len(starts)] for x in zip(*parts, strict=True)))
