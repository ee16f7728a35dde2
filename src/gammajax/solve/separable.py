"""The inner step for amplitudes and norms: predictions are linear in them, so re-fitting them folds nothing again."""

from typing import Any

import jax
import jax.numpy as jnp

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
    linear = folded.linear

    def slopes(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        w, w1, w2 = likelihood.bin_slopes(folded.base + a @ linear)
        return jnp.sum(w), linear @ w1, (linear * w2) @ linear.T

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
    if len(start) == 1:
        # one convex dimension: the steps above approach from one side
        return a
    return jnp.where(slopes(a)[0] <= slopes(start)[0], a, start)
