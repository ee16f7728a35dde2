"""What the statistics share: inputs of one shape and dtype, sums of tangents, and guarded 1/x and ln x."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

__all__ = ["floats", "floored_log", "inverse", "largest_ratio", "weighted_sum"]


def floats(*inputs: ArrayLike) -> list[jax.Array]:
    """Arrays of one shape and one floating dtype; integers and booleans become floating."""
    arrays = [jnp.asarray(x) for x in inputs]
    dtype = jnp.result_type(*arrays, float)
    return list(jnp.broadcast_arrays(*(x.astype(dtype) for x in arrays)))


def weighted_sum(coefficients: Sequence[jax.Array], tangents: Sequence) -> jax.Array:
    """Sum of coefficient times tangent, without the inputs that are not being differentiated."""
    # nothing is traced for an input that does not vary: that keeps the compiled program small
    terms = [c * t for c, t in zip(coefficients, tangents, strict=True) if not isinstance(t, SymbolicZero)]
    return sum(terms[1:], start=terms[0]) if terms else jnp.zeros_like(coefficients[0])


def largest_ratio(dtype: jnp.dtype) -> jax.Array:
    """Bound on n/mu and 1/mu in derivatives: the product of two is still a number, and 0 times it is 0."""
    return jnp.sqrt(jnp.finfo(dtype).max).astype(dtype) * 1e-3


def inverse(x: jax.Array) -> jax.Array:
    """1/x bounded by `largest_ratio`, 0 for x <= 0."""
    positive = x > 0
    return jnp.where(positive, jnp.minimum(1 / jnp.where(positive, x, 1.0), largest_ratio(x.dtype)), 0.0)


def floored_log(x: jax.Array) -> jax.Array:
    """Logarithm of x, or of the smallest normal number: finite, so that a tangent of zero gives zero."""
    return jnp.log(jnp.maximum(x, jnp.finfo(x.dtype).tiny))
