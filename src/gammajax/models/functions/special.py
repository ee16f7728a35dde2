"""Quotients that are smooth through 0/0, and what keeps exponentials from overflowing."""

from math import factorial

import jax
import jax.numpy as jnp

from gammajax.elementary import exp

__all__ = ["exponent_limit", "exprel", "exprel2", "log_cosh", "safe_log"]


def exponent_limit(factor: jax.Array | float) -> jax.Array:
    r"""Largest s that a cut-off :math:`e^{-a e^s}` needs to know of: the flux is 0 long before.

    Beyond, :math:`e^s` and its squares in the second derivatives overflow, and inf x 0 is nan.

    Parameters
    ----------
    factor : scalar
        a.
    """
    size = jnp.maximum(jnp.abs(factor), 1e-300)
    return jax.lax.stop_gradient(jnp.minimum(12.0 - jnp.log(size), 700.0))


@jax.custom_jvp
def exprel(t: jax.Array) -> jax.Array:
    """(e^t - 1)/t, with all derivatives right at t = 0."""
    small = jnp.abs(t) < 1e-5
    # the argument is guarded as well as the result: 0/0 in the branch not taken would poison the gradient
    safe = jnp.where(small, 1.0, t)
    return jnp.where(small, 1 + t / 2 + t * t / 6, jnp.expm1(safe) / safe)


@exprel.defjvp
def _exprel_jvp(primals: tuple, tangents: tuple) -> tuple:
    (t,), (dt,) = primals, tangents
    return exprel(t), _exprel_slope(t) * dt


def _exprel_slope(t: jax.Array) -> jax.Array:
    """Slope of `exprel`: (e^t (t - 1) + 1)/t^2; the series takes over where the quotient cancels."""
    small = jnp.abs(t) < 0.5
    safe = jnp.where(small, 1.0, t)
    inner = jnp.where(small, t, 0.0)
    series = jnp.zeros_like(inner)
    # sum over k of (k+1) t^k / (k+2)!; 14 terms are exact to 1e-17 below 0.5
    coefficients = []
    factorial = 1.0
    for k in range(14):
        factorial *= k + 2
        coefficients.append((k + 1) / factorial)
    for c in reversed(coefficients):
        series = series * inner + c
    return jnp.where(small, series, (exp(safe) * (safe - 1) + 1) / (safe * safe))


def exprel2(s: jax.Array) -> jax.Array:
    """(e^s - 1 - s)/s^2 with all derivatives right at s = 0."""
    small = jnp.abs(s) < 1.0
    safe = jnp.where(small, 2.0, s)
    inner = jnp.where(small, s, 0.0)
    series = jnp.zeros_like(inner)
    # sum over k of s^k / (k+2)!; 18 terms and their second derivatives are exact to rounding below 1
    for k in reversed(range(19)):
        series = series * inner + 1 / factorial(k + 2)
    return jnp.where(small, series, (jnp.expm1(safe) - safe) / (safe * safe))


def log_cosh(t: jax.Array) -> jax.Array:
    """ln(2 cosh t) without overflow, smooth at t = 0."""
    return jnp.logaddexp(t, -t)


def safe_log(y: jax.Array) -> jax.Array:
    """Logarithm of |y| whose second derivatives neither vanish nor overflow: they divide by the square of 1, not of y."""
    size = jax.lax.stop_gradient(jnp.abs(y))
    # not log(y / size), whose slope the compiler turns into dy size / (size y): 0/0 where y is below 1e-154
    return jnp.log1p((jnp.abs(y) - size) / size) + jnp.log(size)
