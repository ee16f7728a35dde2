r"""Statistics of Poisson counts with a known expectation: Cash's statistic, without and with its constant.

Both are on the -2 ln L scale and return one value per bin. A negative expectation, or counts where none are
expected, is outside the domain: the value is +inf and the derivatives those of the linear part, finite.
"""

import jax
import jax.numpy as jnp

__all__ = ["cash", "cash_derivatives", "cstat", "cstat_derivatives"]


def _prepare(n_on: jax.Array, mu_on: jax.Array) -> tuple:
    """Broadcast floats, the argument that is safe in a logarithm, and which bins are outside the domain."""
    n_on, mu_on = jnp.broadcast_arrays(jnp.asarray(n_on) * 1.0, jnp.asarray(mu_on) * 1.0)
    inside = mu_on > 0
    safe = jnp.where(inside, mu_on, 1.0)
    outside = (mu_on < 0) | ((mu_on == 0) & (n_on > 0)) | jnp.isnan(mu_on)
    return n_on, mu_on, inside, safe, outside


def cash(n_on: jax.Array, mu_on: jax.Array) -> jax.Array:
    r"""Cash statistic :math:`C = 2 (\mu - n \ln \mu)` per bin; the term in n! is dropped, so C can be negative.

    Parameters
    ----------
    n_on : array
        Counts, any shape.
    mu_on : array
        Expected counts, same shape or broadcastable.

    Returns
    -------
    array
        Statistic per bin; +inf for mu < 0, and for mu = 0 where n > 0.

    References
    ----------
    Cash 1979, ApJ 228, 939, eq. 5.

    Examples
    --------
    >>> [round(float(c), 5) for c in cash([0, 2], [3.0, 1.0])]
    [6.0, 2.0]
    """
    n_on, mu_on, inside, safe, outside = _prepare(n_on, mu_on)
    value = 2 * mu_on - 2 * n_on * jnp.where(inside, jnp.log(safe), 0.0)
    return value + jnp.where(outside, jnp.inf, 0.0)


def cash_derivatives(n_on: jax.Array, mu_on: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`cash` with its first and second derivative in mu: :math:`2(1 - n/\mu)` and :math:`2n/\mu^2`."""
    value = cash(n_on, mu_on)
    n_on, mu_on, inside, safe, _ = _prepare(n_on, mu_on)
    ratio = jnp.where(inside, n_on / safe, 0.0)
    return value, 2 * (1 - ratio), 2 * ratio / safe


def cstat(n_on: jax.Array, mu_on: jax.Array) -> jax.Array:
    r"""Cash statistic with its constant, :math:`C = 2 [\mu - n + n (\ln n - \ln \mu)]` per bin; never negative.

    Parameters
    ----------
    n_on : array
        Counts, any shape.
    mu_on : array
        Expected counts, same shape or broadcastable.

    Returns
    -------
    array
        Statistic per bin, 0 at mu = n; +inf for mu < 0, and for mu = 0 where n > 0.

    References
    ----------
    Cash 1979, ApJ 228, 939; the constant is that of XSPEC and Sherpa.

    Examples
    --------
    >>> [round(float(c), 5) for c in cstat([0, 2], [3.0, 2.0])]
    [6.0, 0.0]
    """
    return cash(n_on, mu_on) - _constant(n_on)


def cstat_derivatives(n_on: jax.Array, mu_on: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`cstat` with its first and second derivative in mu, the same as those of `cash`."""
    value, first, second = cash_derivatives(n_on, mu_on)
    return value - _constant(n_on), first, second


def _constant(n_on: jax.Array) -> jax.Array:
    """2 (n - n ln n), 0 for n = 0."""
    n_on = jnp.asarray(n_on) * 1.0
    some = n_on > 0
    return 2 * n_on * (1 - jnp.where(some, jnp.log(jnp.where(some, n_on, 1.0)), 0.0))
