"""One minimisation of a batch: damped Newton with exact derivatives, limits by projection, and a verdict."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.solve.linear import cholesky_solve
from gammajax.solve.separable import settle
from gammajax.solve.status import Status

__all__ = ["Settings", "minimize_lane"]

# a step that was refused although less than this was expected of it failed to rounding; further away nothing has converged. Where
# a parameter runs away, the statistic still falls by many times the EDM: it has to be small
EDM_ROUNDING = 1e-8
STUCK = 1e10


class Settings(NamedTuple):
    """What all lanes of a call share: limits and scale of the A active parameters, and when to stop."""

    lower: jax.Array
    upper: jax.Array
    scale: jax.Array
    tol: Any
    max_iter: Any
    damping: Any


class _State(NamedTuple):
    """The point that was accepted last, the point to try next, and how to go on; in units of the scale."""

    x: jax.Array
    stat: jax.Array
    gradient: jax.Array
    first: jax.Array
    second: jax.Array
    trial: jax.Array
    damping: jax.Array
    iterations: jax.Array
    done: jax.Array


def _moving(x: Any, gradient: Any, free: Any, settings: Settings) -> jax.Array:
    """Free parameters that are not held by a limit: those whose descent does not lead outside."""
    held = ((x <= settings.lower) & (gradient > 0)) | ((x >= settings.upper) & (gradient < 0))
    return free & ~held


def _newton_step(gradient: Any, hessian: Any, moving: Any, damping: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Damped step, expected decrease and whether the system was positive definite; unit diagonal inside."""
    diagonal = jnp.diagonal(hessian)
    scale = jnp.where(moving & (diagonal > 0), 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 1.0)
    both = moving[:, None] & moving[None, :]
    eye = jnp.eye(len(gradient), dtype=gradient.dtype)
    matrix = jnp.where(both, hessian * scale[:, None] * scale[None, :], eye) + damping * eye
    right = jnp.where(moving, gradient * scale, 0.0)
    x, positive = cholesky_solve(matrix, right)
    return -x * scale, 0.5 * jnp.dot(right, x), positive


def _evaluator(
    likelihood: Any, full: Callable, active: tuple[int, ...], free: Any, settings: Settings, shapes: bool
) -> Callable:
    """Statistic and derivatives at x, the linear parameters re-fitted on the way; all in units of the scale."""
    linear = likelihood.linear(active)
    # where only strengths vary the slopes of the shapes are never computed
    slopes = active if shapes or not linear else linear
    return partial(_evaluate, likelihood, full, active, linear, slopes, free, settings)


def _evaluate(
    likelihood: Any,
    full: Callable,
    active: tuple,
    linear: tuple,
    slopes: tuple,
    free: Any,
    settings: Settings,
    x: jax.Array,
) -> tuple:
    """As `_evaluator` says, with derivatives in the positions `slopes` and zeros for the other active ones."""
    at = np.array([active.index(i) for i in linear], dtype=int)
    folded = likelihood.fold(full(x), slopes)
    strengths: list = []
    if linear:
        unit = settings.scale[at]
        found = settle(
            likelihood.at(folded.theta),
            folded,
            x[at] * unit,
            free[at],
            settings.lower[at] * unit,
            settings.upper[at] * unit,
        )
        strengths = list(found)
        columns = list(x)
        for n, k in enumerate(at):
            columns[k] = jnp.where(free[k], strengths[n] / settings.scale[k], x[k])
        x = jnp.stack(columns)
    stat, gradient, first, second = likelihood.scores(folded, strengths, slopes)
    if slopes != active:
        # entry 0 of what is taken from is a zero
        place = np.array([1 + slopes.index(i) if i in slopes else 0 for i in active])
        gradient = jnp.pad(gradient, (1, 0))[place]
        first, second = (jnp.pad(h, ((1, 0), (1, 0)))[place[:, None], place[None, :]] for h in (first, second))
    both = settings.scale[:, None] * settings.scale[None, :]
    return x, stat, gradient * settings.scale, first * both, second * both


def minimize_lane(
    likelihood: Any,
    full: Callable,
    active: tuple[int, ...],
    start: jax.Array,
    again: jax.Array,
    free: jax.Array,
    settings: Settings,
    shapes: bool = True,
) -> tuple:
    """Minimise from one start.

    Parameters
    ----------
    likelihood : object
        With ``linear``, ``fold``, ``scores`` and ``at``, as `gammajax.likelihood.Compact` has them.
    full : callable
        From the active parameters in units of the scale, shape (A,), to all P.
    active : tuple of int
        Positions of the active parameters.
    start, again : array, shape (A,)
        Where to begin, and where if the statistic is not finite there.
    free : array of bool, shape (A,)
        Which of the active parameters vary in this lane.
    settings : `Settings`
        What all lanes share.
    shapes : bool
        Whether anything varies but strengths; if not, the derivatives are 0 in the other parameters.

    Returns
    -------
    stat, x, edm, iterations, status, gradient, hessian
        At the end; `gradient` and `hessian` over the active parameters, in units of the scale.
    """
    evaluate = _evaluator(likelihood, full, active, free, settings, shapes)
    n = len(active)
    zero = jnp.zeros((n, n), start.dtype)
    first_state = _State(
        start, jnp.asarray(jnp.inf, start.dtype), zero[0], zero, zero, start,
        jnp.asarray(settings.damping, start.dtype), jnp.asarray(0), jnp.asarray(False),
    )  # fmt: skip

    def advance(s: _State) -> _State:
        x, *new = evaluate(s.trial)
        # the same point a second time can differ in the last bits
        noise = jnp.where(jnp.isfinite(s.stat), 1e-12 * (1 + jnp.abs(s.stat)), 0.0)
        good = (new[0] <= s.stat + noise) & _finite(*new)
        stat, g, first, second = (jnp.where(good, a, b) for a, b in zip(new, s[1:5], strict=True))
        x = jnp.where(good, x, s.x)
        damping = jnp.where(good, s.damping * 0.1, jnp.maximum(s.damping * 10, 1e-3))
        damping = jnp.where(damping < 1e-12, 0.0, damping)
        moving = _moving(x, g, free, settings)
        step, edm, positive = _newton_step(g, first + second, moving, damping)
        # away from the minimum the exact Hessian can point uphill; its first part never does
        safe, _, usable = _newton_step(g, first, moving, damping)
        trial = jnp.where(free, jnp.clip(x + jnp.where(positive, step, safe), settings.lower, settings.upper), x)
        nothing = ~jnp.isfinite(stat)
        trial = jnp.where(nothing, again, trial)
        arrived = positive & ~nothing & (edm < jnp.where(good, settings.tol, EDM_ROUNDING))
        stuck = (damping > STUCK) | (nothing & (s.iterations > 0))
        damping = jnp.where(positive | usable, damping, jnp.maximum(damping * 10, 1e-3))
        return _State(x, stat, g, first, second, trial, damping, s.iterations + 1, arrived | stuck)

    s = jax.lax.while_loop(lambda s: ~s.done & (s.iterations < settings.max_iter), advance, first_state)
    hessian = s.first + s.second
    edm, status = _verdict(s, hessian, free, settings)
    return s.stat, s.x, edm, s.iterations, status, s.gradient, hessian


def _finite(*values: jax.Array) -> jax.Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(v)) for v in values]))


def _verdict(s: _State, hessian: jax.Array, free: jax.Array, settings: Settings) -> tuple[jax.Array, jax.Array]:
    """EDM and status, from the exact Hessian at the accepted point."""
    moving = _moving(s.x, s.gradient, free, settings)
    _, edm, positive = _newton_step(s.gradient, hessian, moving, 0.0)
    held = jnp.any(free & ~moving)
    status = jnp.where(held, Status.AT_LIMIT.value, Status.CONVERGED.value)
    status = jnp.where(jnp.abs(edm) > jnp.maximum(EDM_ROUNDING, settings.tol), Status.ITERATION_LIMIT.value, status)
    status = jnp.where(positive, status, Status.NOT_POSITIVE_DEFINITE.value)
    return edm, jnp.where(jnp.isfinite(s.stat), status, Status.NON_FINITE.value)
