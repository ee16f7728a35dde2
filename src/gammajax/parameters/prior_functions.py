r"""Priors as pure functions: -2 ln p(x), a scalar, with first and second derivatives safe everywhere.

Each takes x and its numbers, and whether to keep the constants that make p a normalised density. Without them a prior is 0 at its
maximum, and the statistic with it can be compared with one without. Outside of its range a prior is +inf, its slopes are 0.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

__all__ = ["gaussian", "gaussian_penalty", "generalized_gaussian", "log_normal", "log_uniform", "uniform"]

LN_2PI = 1.8378770664093453


def gaussian(x: jax.Array, mu: jax.Array, sigma: jax.Array, *, constants: bool = True) -> jax.Array:
    r"""Gaussian, :math:`((x - \mu)/\sigma)^2 + 2 \ln \sigma + \ln 2\pi`."""
    pull = (x - mu) / sigma
    return pull * pull + (2 * jnp.log(sigma) + LN_2PI if constants else 0.0)


def uniform(x: jax.Array, low: jax.Array, high: jax.Array, *, constants: bool = True) -> jax.Array:
    r"""Uniform, :math:`2 \ln(b - a)` inside [a, b]."""
    inside = (x >= low) & (x <= high)
    return jnp.where(inside, 2 * jnp.log(high - low) if constants else 0.0, jnp.inf)


def log_uniform(x: jax.Array, low: jax.Array, high: jax.Array, *, constants: bool = True) -> jax.Array:
    r"""Uniform in the logarithm, :math:`2 \ln x + 2 \ln \ln(b/a)` inside [a, b]; without constants 0 at a."""
    inside = (x >= low) & (x <= high)
    safe = jnp.where(inside, x, low)
    constant = 2 * jnp.log(jnp.log(high / low)) if constants else -2 * jnp.log(low)
    return jnp.where(inside, 2 * jnp.log(safe) + constant, jnp.inf)


def generalized_gaussian(
    x: jax.Array, mu: jax.Array, sigma: jax.Array, eta: jax.Array, *, constants: bool = True
) -> jax.Array:
    r"""Generalised Gaussian, :math:`2 |z|^\beta - 2 \ln(\beta / (2 s \Gamma(1/\beta)))`, z = (x - mu)/s.

    :math:`\beta = 1/\eta` and :math:`s = \sqrt 2 \sigma`: a Gaussian for eta = 0.5. For eta > 0.5 there is a kink at mu, where the
    derivatives are taken as 0.
    """
    beta, scale = 1 / eta, sigma * 2**0.5
    z = (x - mu) / scale
    zero = z == 0
    power = jnp.where(zero, 0.0, jnp.exp(beta * jnp.log(jnp.where(zero, 1.0, jnp.abs(z)))))
    # the curvature at mu itself would be lost in the guard
    value = 2 * jnp.where(beta == 2, z * z, power)
    return value - (2 * (jnp.log(beta / (2 * scale)) - gammaln(1 / beta)) if constants else 0.0)


def log_normal(x: jax.Array, mu: jax.Array, sigma: jax.Array, *, constants: bool = True) -> jax.Array:
    r"""Log-normal, :math:`(\ln(x/\mu)/\sigma)^2 + 2 \ln(x \sigma \sqrt{2\pi})`, x > 0; without constants 0 at its maximum."""
    positive = x > 0
    safe = jnp.where(positive, x, mu)
    pull = jnp.log(safe / mu) / sigma
    # the mode is at mu exp(-sigma^2), where the rest is 2 ln mu - sigma^2
    constant = 2 * jnp.log(sigma) + LN_2PI if constants else -2 * jnp.log(mu) + sigma * sigma
    return jnp.where(positive, pull * pull + 2 * jnp.log(safe) + constant, jnp.inf)


def gaussian_penalty(x: jax.Array, mean: jax.Array, precision: jax.Array) -> jax.Array:
    r"""Quadratic form :math:`(x - \mu)^T P (x - \mu)` of several parameters."""
    d = x - mean
    return d @ precision @ d
