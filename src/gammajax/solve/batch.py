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
    theta: jax.Array
    stat: jax.Array
    gradient: jax.Array
    hessian: jax.Array
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

    def scoring(t: jax.Array, second_order: bool = False) -> tuple:
        stat, g, h = likelihood.scoring(t * scale, second_order=second_order)
        return stat, g * scale, h * jnp.outer(scale, scale)

    def finite(stat: Any, g: Any, h: Any) -> jax.Array:
        return jnp.isfinite(stat) & jnp.all(jnp.isfinite(g)) & jnp.all(jnp.isfinite(h))

    first = jax.vmap(lambda t: likelihood.stat(t * scale))(starts)
    best = starts[jnp.argmin(jnp.where(jnp.isnan(first), jnp.inf, first))]
    stat, g, h = scoring(best)
    bad = ~finite(stat, g, h)
    state = _State(best, stat, g, h, jnp.asarray(1e-4, stat.dtype), jnp.asarray(0), bad)

    def advance(s: _State) -> _State:
        moving = _moving(s.theta, s.gradient, free, lower, upper)
        step, edm, positive = _newton_step(s.gradient, s.hessian, moving, s.damping)
        arrived = positive & (jnp.abs(edm) < tol)
        trial = jnp.clip(s.theta + step, lower, upper)
        trial = jnp.where(free, trial, s.theta)
        stat, g, h = scoring(trial)
        good = positive & finite(stat, g, h) & (stat <= s.stat) & ~arrived

        def keep(new: Any, old: Any) -> Any:
            return jnp.where(good, new, old)

        damping = jnp.where(good, s.damping * 0.1, jnp.maximum(s.damping * 10, 1e-3))
        damping = jnp.where(damping < 1e-12, 0.0, damping)
        stuck = ~good & (damping > 1e12)
        return _State(
            keep(trial, s.theta), keep(stat, s.stat), keep(g, s.gradient), keep(h, s.hessian),
            damping, s.iterations + 1, s.done | arrived | stuck,
        )  # fmt: skip

    s = jax.lax.while_loop(lambda s: ~s.done & (s.iterations < max_iter), advance, state)
    # the verdict comes from the exact Hessian, not from what drove the steps
    stat, g, h = scoring(s.theta, second_order=True)
    moving = _moving(s.theta, g, free, lower, upper)
    _, edm, positive = _newton_step(g, h, moving, 0.0)
    held = jnp.any(free & ~moving)
    status = jnp.where(
        ~finite(stat, g, h),
        Status.NON_FINITE.value,
        jnp.where(
            ~positive,
            Status.NOT_POSITIVE_DEFINITE.value,
            jnp.where(
                jnp.abs(edm) > 1e-7,
                Status.ITERATION_LIMIT.value,
                jnp.where(held, Status.AT_LIMIT.value, Status.CONVERGED.value),
            ),
        ),
    )
    return stat, s.theta * scale, edm, s.iterations, status


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
