"""The inner step for amplitudes and norms: predictions are linear in them, so re-fitting them folds nothing again."""

from typing import Any

import jax
import jax.numpy as jnp

from gammajax.elementary import total
from gammajax.solve.linear import cholesky_solve

__all__ = ["settle"]

MAX_INNER = 8
# Newton squares the distance: after a step that expected this much, less than 1e-11 is left
INNER_EDM = 1e-5


def settle(
    likelihood: Any, folded: Any, start: jax.Array, free: jax.Array, lower: jax.Array, upper: jax.Array
) -> jax.Array:
    r"""Minimise over the linear parameters alone, :math:`\mu = \mu_0 + \sum_l a_l G_l`; the statistic is convex in them.

    Parameters
    ----------
    likelihood : object
        With ``bin_slopes(mu)``: statistic and two derivatives per bin.
    folded : object
        With ``base``, shape (n_bins,), and ``linear``, shape (L, n_bins).
    start : array, shape (L,)
        Where to begin.
    free : array of bool, shape (L,)
        Which of them may move.
    lower, upper : array, shape (L,)
        Limits.

    Returns
    -------
    array, shape (L,)
        The minimum, or `start` where the attempt left the domain or raised the statistic: the step after it decides.
    """
    if len(start) == 1:
        return _settle_one(likelihood, folded, start[0], free[0], lower[0], upper[0])[None]
    return _settle_many(likelihood, folded, start, free, lower, upper)


def _settle_one(likelihood: Any, folded: Any, start: Any, free: Any, lower: Any, upper: Any) -> jax.Array:
    """One strength: Newton in a bracket, and the multiplicative step of Richardson and Lucy where Newton goes too far down."""
    shape = folded.linear[0]
    everything = total(shape)

    def advance(state: tuple) -> tuple:
        a, low, high, begin, kept, n, _ = state
        _, w1, w2 = likelihood.bin_slopes(folded.base + a * shape)
        gradient, curvature = total(shape * w1), total(shape * shape * w2)
        begin = jnp.where(n == 0, gradient, begin)
        # with the slope it began with still ahead, a convex function is lower here than at the start
        kept = jnp.where(gradient * begin > 0, a, kept)
        low, high = jnp.where(gradient < 0, a, low), jnp.where(gradient > 0, a, high)
        unit = jnp.where(curvature > 0, 1 / jnp.sqrt(jnp.where(curvature > 0, curvature, 1.0)), 1.0)
        step = gradient * unit * unit
        reach = jnp.maximum(2 * jnp.abs(a), 3 * unit)
        multiplied = a * gradient / jnp.where(everything > 0, 2 * everything, 1.0)
        far = (a > 0) & (step > 0.7 * a) & (everything > 0) & (multiplied < a)
        new = a - jnp.where(far, multiplied, jnp.clip(step, -reach, reach))
        middle = 0.5 * (low + high)
        new = jnp.where((new <= low) | (new >= high), jnp.where(jnp.isfinite(middle), middle, new), new)
        new = jnp.clip(new, lower, upper)
        held = ((a <= lower) & (gradient > 0)) | ((a >= upper) & (gradient < 0))
        # a slope of no size moves nothing, whatever the bracket says
        done = held | ((0.5 * gradient * step < INNER_EDM) & ~far)
        new = jnp.where(held | (gradient == 0) | ~jnp.isfinite(new), a, new)
        return new, low, high, begin, kept, n + 1, done

    zero = jnp.zeros_like(start)
    first = (start, zero - jnp.inf, zero + jnp.inf, zero, start, 0, ~free)
    a, *_, kept, _, done = jax.lax.while_loop(lambda s: ~s[-1] & (s[-2] < MAX_INNER), advance, first)
    return jnp.where(free, jnp.where(done, a, kept), start)


def _settle_many(
    likelihood: Any, folded: Any, start: jax.Array, free: jax.Array, lower: jax.Array, upper: jax.Array
) -> jax.Array:
    """Several strengths: Newton, kept only if the statistic is not higher than at the start."""
    linear = folded.linear

    def slopes(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        w, w1, w2 = likelihood.bin_slopes(folded.base + a @ linear)
        return total(w), linear @ w1, (linear * w2) @ linear.T

    def advance(state: tuple) -> tuple:
        a, n, _ = state
        _, gradient, hessian = slopes(a)
        moving = free & ~((a <= lower) & (gradient > 0)) & ~((a >= upper) & (gradient < 0))
        diagonal = jnp.diagonal(hessian)
        unit = jnp.where(moving & (diagonal > 0), 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 1.0)
        eye = jnp.eye(len(a), dtype=a.dtype)
        matrix = jnp.where(moving[:, None] & moving[None, :], hessian * unit[:, None] * unit[None, :], eye)
        right = jnp.where(moving & (diagonal > 0), gradient * unit, 0.0)
        x, _ = cholesky_solve(matrix + 1e-12 * eye, right)
        # from above the minimum Newton can overshoot to where nothing is predicted
        reach = jnp.maximum(0.7 * jnp.abs(a), 3 * unit)
        new = jnp.clip(a - jnp.clip(x * unit, -reach, reach), lower, upper)
        new = jnp.where(free & jnp.isfinite(new), new, a)
        return new, n + 1, 0.5 * jnp.dot(right, x) < INNER_EDM

    a, *_ = jax.lax.while_loop(lambda s: ~s[2] & (s[1] < MAX_INNER), advance, (start, 0, jnp.asarray(False)))
    return jnp.where(slopes(a)[0] <= slopes(start)[0], a, start)
