r"""exp and ln for the inner loops: the compiler's own on a CPU are scalar code or half as fast.

Both are the classic range reductions. :math:`e^x = 2^k e^r` with :math:`|r| \le \ln 2 / 2`, and with
:math:`x = 2^k (1 + f)`, :math:`s = f / (2 + f)`, :math:`\ln x = k \ln 2 + 2 s + s^3 R(s^2)`. The polynomials interpolate in the
nodes of Chebyshev (``tests/recipes/elementary.py``); the results are within 2 units in the last place. Anything but double precision
is left to JAX.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

__all__ = ["exp", "log", "total"]

LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
# (e^r - 1 - r) / r^2, from the constant upwards
EXP = (
    0.5, 0.16666666666666669, 0.041666666666624164, 0.008333333333330065, 0.0013888888917196719, 0.00019841269863040545,
    2.4801521322368692e-05, 2.7557268480310024e-06, 2.7620075879983367e-07, 2.5100375832561234e-08,
)  # fmt: skip
# R
LOG = (
    0.666666666666667, 0.39999999999899505, 0.28571428625975487, 0.2222221113479508, 0.18182889125261723,
    0.15331721600556042, 0.14616449685043406,
)  # fmt: skip
# adding it leaves a whole number in the last bits of the sum
ROUND = 1.5 * 2.0**52
# beyond them e^x is nearly no normal number and taken as 0, or infinite
LOWEST, HIGHEST = -707.0, 709.782712893384
TINY = np.finfo(np.float64).tiny
# bits of the square root of 1/2, where the exponent that is split off changes
ROOT_HALF = int(np.sqrt(0.5).view(np.int64))


@jax.custom_jvp
def _exp(x: jax.Array) -> jax.Array:
    # the last factor 2 comes separately: 2^1024 is not a number
    inside = jnp.minimum(jnp.maximum(x, LOWEST), HIGHEST)
    # rounded by an operation of its own: a compiler may take x + ROUND - ROUND for x (XLA of jaxlib 0.10 does)
    whole = jnp.round(inside * (1 / np.log(2)))
    r = (inside - whole * LN2_HIGH) - whole * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    # in pairs, so that few products wait for one another
    c = [EXP[k + 1] * r + EXP[k] for k in range(0, 10, 2)]
    series = (c[4] * r4 + (c[3] * r2 + c[2])) * r4 + (c[1] * r2 + c[0])
    bits = jax.lax.bitcast_convert_type(whole + ROUND, jnp.int64)
    power = jax.lax.bitcast_convert_type((bits + 1022) << 52, x.dtype)
    value = (1 + (r + r2 * series)) * power * 2
    return jnp.where(x > HIGHEST, jnp.inf, jnp.where(x < LOWEST, 0.0, value))


@jax.custom_jvp
def _log(x: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(x, jnp.int64)
    k = (bits - ROOT_HALF) >> 52
    f = jax.lax.bitcast_convert_type(bits - (k << 52), x.dtype) - 1.0
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    c = [LOG[n + 1] * z + LOG[n] for n in (0, 2, 4)]
    series = z * ((LOG[6] * z2 + c[2]) * (z2 * z2) + (c[1] * z2 + c[0]))
    h = 0.5 * f * f
    whole = k.astype(x.dtype)
    value = whole * LN2_HIGH + (f - (h - (s * (h + series) + whole * LN2_LOW)))
    # compiled programs take subnormal numbers for zeros
    value = jnp.where(x >= TINY, value, jnp.where(x >= 0, -jnp.inf, jnp.nan))
    return jnp.where(x == jnp.inf, jnp.inf, value)


@_exp.defjvp
def _exp_jvp(primals: tuple, tangents: tuple) -> tuple:
    out = _exp(*primals)
    return out, out * tangents[0]


@_log.defjvp
def _log_jvp(primals: tuple, tangents: tuple) -> tuple:
    return _log(*primals), tangents[0] / primals[0]


def exp(x: ArrayLike) -> jax.Array:
    """Exponential, :math:`e^x`; results below 1e-307 are 0.

    Parameters
    ----------
    x : array_like
        Dimensionless, any shape.

    Returns
    -------
    jax.Array
        Same shape.

    Examples
    --------
    >>> float(exp(0.0))
    1.0
    """
    x = jnp.asarray(x)
    return _exp(x) if x.dtype == np.float64 else jnp.exp(x)


def log(x: ArrayLike) -> jax.Array:
    """Natural logarithm; -inf at 0 and at subnormal numbers, NaN below.

    Parameters
    ----------
    x : array_like
        Dimensionless, any shape.

    Returns
    -------
    jax.Array
        Same shape.

    Examples
    --------
    >>> float(log(1.0))
    0.0
    """
    x = jnp.asarray(x)
    return _log(x) if x.dtype == np.float64 else jnp.log(x)


def total(values: jax.Array) -> jax.Array:
    """Sum, in columns of vectors: a compiler must not reorder a sum, and by itself adds one number after the other.

    Parameters
    ----------
    values : array, shape (n,)
        What is summed.

    Returns
    -------
    scalar
        The sum.

    Examples
    --------
    >>> float(total(jnp.arange(40.0)))
    780.0
    """
    n = values.shape[0]
    if n <= 8:
        return jnp.sum(values)
    width = 8 * -(-n // 128)
    whole = n - n % width
    columns = sum(values[k : k + width] for k in range(width, whole, width)) + values[:width]
    return total(columns) + jnp.sum(values[whole:]) if n % width else total(columns)
