r"""Statistics of Poisson counts with a known expectation: Cash's statistic, without and with its constant.

Both are on the -2 ln L scale and return one value per bin.

- mu = 0 with n = 0 is inside the domain: value 0, slope 2 (from above), second derivative 0.
- mu < 0, mu = 0 with n > 0, and mu = +inf are outside it: the value is +inf, the derivatives in mu are those
  of the linear part, 2 and 0. There is no floor on mu.
- Derivatives in n hold :math:`\ln \mu` and :math:`\ln n`, which diverge at 0: there the argument is floored
  at the smallest normal number, so they are large and finite, and a tangent of zero gives zero.
- A NaN comes out as NaN. Counts are taken to be non-negative; the data sets check that.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gammajax.stats.guards import floats, floored_log, inverse, largest_ratio, weighted_sum

__all__ = ["cash", "cash_derivatives", "cstat", "cstat_derivatives"]


def _outside(n_on: jax.Array, mu_on: jax.Array) -> jax.Array:
    return (mu_on < 0) | ((mu_on == 0) & (n_on > 0)) | (mu_on == jnp.inf)


@jax.custom_jvp
def _ratio(n_on: jax.Array, mu_on: jax.Array) -> jax.Array:
    """n/mu for the derivatives, bounded; 0 for mu <= 0."""
    empty = mu_on <= 0
    ratio = jnp.minimum(n_on / jnp.where(empty, 1.0, mu_on), largest_ratio(mu_on.dtype))
    return jnp.where(empty, 0.0, ratio)


def _ratio_jvp(primals: tuple, tangents: tuple) -> tuple:
    ratio = _ratio(*primals)
    per_mu = inverse(primals[1])
    return ratio, weighted_sum((per_mu, -per_mu * ratio), tangents)


@jax.custom_jvp
def _cash(n_on: jax.Array, mu_on: jax.Array) -> jax.Array:
    outside = _outside(n_on, mu_on)
    safe = jnp.where(outside | (mu_on == 0), 1.0, mu_on)
    return jnp.where(outside, jnp.inf, 2 * (mu_on - n_on * jnp.log(safe)))


def _cash_jvp(primals: tuple, tangents: tuple) -> tuple:
    by_mu = 2 * (1 - _ratio(*primals))
    return _cash(*primals), weighted_sum((-2 * floored_log(primals[1]), by_mu), tangents)


@jax.custom_jvp
def _cstat(n_on: jax.Array, mu_on: jax.Array) -> jax.Array:
    outside = _outside(n_on, mu_on)
    counted = (n_on > 0) & ~outside
    ratio = jnp.where(counted, n_on, 1.0) / jnp.where(counted, mu_on, 1.0)
    # never negative in truth; rounding could leave -1e-16, whose square root is NaN
    return jnp.where(outside, jnp.inf, 2 * jnp.maximum(mu_on - n_on + n_on * jnp.log(ratio), 0.0))


def _cstat_jvp(primals: tuple, tangents: tuple) -> tuple:
    n_on, mu_on = primals
    by_mu = 2 * (1 - _ratio(n_on, mu_on))
    by_n = 2 * (floored_log(n_on) - floored_log(mu_on))
    return _cstat(n_on, mu_on), weighted_sum((by_n, by_mu), tangents)


_ratio.defjvp(_ratio_jvp, symbolic_zeros=True)
_cash.defjvp(_cash_jvp, symbolic_zeros=True)
_cstat.defjvp(_cstat_jvp, symbolic_zeros=True)


def cash(n_on: ArrayLike, mu_on: ArrayLike) -> jax.Array:
    r"""Cash statistic per bin, :math:`C = 2 (\mu - n \ln \mu)`: the term in n! is dropped, C can be negative.

    Parameters
    ----------
    n_on : array_like
        Counts, any shape; integers are accepted.
    mu_on : array_like
        Expected counts, same shape or broadcastable.

    Returns
    -------
    jax.Array
        Statistic per bin; +inf for mu < 0, and for mu = 0 where n > 0.

    References
    ----------
    Cash 1979, ApJ 228, 939.

    Examples
    --------
    >>> [round(float(c), 5) for c in cash([0, 2], [3.0, 1.0])]
    [6.0, 2.0]
    """
    return _cash(*floats(n_on, mu_on))


def cstat(n_on: ArrayLike, mu_on: ArrayLike) -> jax.Array:
    r"""Cash statistic with its constant, :math:`2 [\mu - n + n (\ln n - \ln \mu)]` per bin; never negative.

    Parameters
    ----------
    n_on : array_like
        Counts, any shape; integers are accepted.
    mu_on : array_like
        Expected counts, same shape or broadcastable.

    Returns
    -------
    jax.Array
        Statistic per bin, 0 at mu = n; +inf for mu < 0, and for mu = 0 where n > 0.

    References
    ----------
    Cash 1979, ApJ 228, 939; the constant is that of XSPEC and Sherpa.

    Examples
    --------
    >>> [round(float(c), 5) for c in cstat([0, 2], [3.0, 2.0])]
    [6.0, 0.0]
    """
    return _cstat(*floats(n_on, mu_on))


def cash_derivatives(n_on: ArrayLike, mu_on: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`cash` with its first and second derivative in mu: :math:`2(1 - n/\mu)` and :math:`2n/\mu^2`.

    Parameters
    ----------
    n_on, mu_on : array_like
        As in `cash`.

    Returns
    -------
    value, first, second : jax.Array
        Per bin.

    Examples
    --------
    >>> [round(float(x), 5) for x in cash_derivatives(4, 2.0)]
    [-1.54518, -2.0, 2.0]
    """
    n_on, mu_on = floats(n_on, mu_on)
    return _cash(n_on, mu_on), *_mu_derivatives(n_on, mu_on)


def cstat_derivatives(n_on: ArrayLike, mu_on: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`cstat` with its first and second derivative in mu: :math:`2(1 - n/\mu)` and :math:`2n/\mu^2`.

    Parameters
    ----------
    n_on, mu_on : array_like
        As in `cstat`.

    Returns
    -------
    value, first, second : jax.Array
        Per bin.

    Examples
    --------
    >>> [round(float(x), 5) for x in cstat_derivatives(4, 4.0)]
    [0.0, 0.0, 0.5]
    """
    n_on, mu_on = floats(n_on, mu_on)
    return _cstat(n_on, mu_on), *_mu_derivatives(n_on, mu_on)


def _mu_derivatives(n_on: jax.Array, mu_on: jax.Array) -> tuple[jax.Array, jax.Array]:
    ratio = _ratio(n_on, mu_on)
    return 2 * (1 - ratio), 2 * ratio * inverse(mu_on)
