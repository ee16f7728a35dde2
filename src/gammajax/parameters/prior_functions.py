r"""Priors as pure functions: -2 ln of a probability density, one value per x.

Each takes x first, then the values in the order in which its class declares them, and `constants`: without them everything
that does not depend on x is left out, so that the Gaussian is :math:`((x-\mu)/\sigma)^2`. Outside the support the value is
+inf and the derivatives are 0.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from gammajax.elementary import exp

__all__ = [
    "gaussian",
    "gaussian_penalty",
    "generalized_gaussian",
    "log_normal",
    "log_uniform",
    "samples_kde",
    "uniform",
]

LN_2PI = math.log(2 * math.pi)


def gaussian(x: jax.Array, mu: jax.Array, sigma: jax.Array, constants: bool = True) -> jax.Array:
    r"""Normal distribution, :math:`((x-\mu)/\sigma)^2 + 2\ln\sigma + \ln 2\pi`."""
    value = ((x - mu) / sigma) ** 2
    return value + 2 * jnp.log(sigma) + LN_2PI if constants else value


def uniform(x: jax.Array, low: jax.Array, high: jax.Array, constants: bool = True) -> jax.Array:
    r"""Uniform distribution, :math:`2\ln(b-a)` in [a, b] and +inf outside."""
    inside = (x >= low) & (x <= high)
    return jnp.where(inside, 2 * jnp.log(high - low) if constants else 0.0, jnp.inf)


def log_uniform(x: jax.Array, low: jax.Array, high: jax.Array, constants: bool = True) -> jax.Array:
    r"""Uniform in ln x, :math:`2\ln x + 2\ln\ln(b/a)` in [a, b] and +inf outside."""
    inside = (x >= low) & (x <= high)
    # the argument is guarded as well as the result: ln of a negative x would poison the gradient
    value = 2 * jnp.log(jnp.where(inside, x, low))
    return jnp.where(inside, value + 2 * jnp.log(jnp.log(high / low)) if constants else value, jnp.inf)


def log_normal(x: jax.Array, mu: jax.Array, sigma: jax.Array, constants: bool = True) -> jax.Array:
    r"""Normal in ln x around :math:`\ln\mu`, :math:`(\ln(x/\mu)/\sigma)^2 + 2\ln x + 2\ln\sigma + \ln 2\pi`; +inf for x <= 0."""
    inside = x > 0
    log_x = jnp.log(jnp.where(inside, x, mu))
    value = ((log_x - jnp.log(mu)) / sigma) ** 2 + 2 * log_x
    return jnp.where(inside, value + 2 * jnp.log(sigma) + LN_2PI if constants else value, jnp.inf)


def generalized_gaussian(
    x: jax.Array, mu: jax.Array, sigma: jax.Array, eta: jax.Array, constants: bool = True
) -> jax.Array:
    r"""Generalised normal distribution, :math:`2|z|^{1/\eta} + 2\ln(2\sqrt2\,\sigma\,\eta\,\Gamma(\eta))`.

    With :math:`z = (x-\mu)/(\sqrt2\sigma)`; a Gaussian for :math:`\eta = 1/2`, a Laplace distribution for 1. At z = 0 the first
    derivative is 0; the second is the true one, infinite for :math:`1/2 < \eta < 1`, and 0 on the kink at :math:`\eta = 1`.
    """
    value = 2 * _power((x - mu) / (math.sqrt(2) * sigma), 1 / eta)
    scale = 2 * (math.log(2 * math.sqrt(2)) + jnp.log(sigma) + jnp.log(eta) + gammaln(eta))
    return value + scale if constants else value


@partial(jax.jit, static_argnames="constants")
def samples_kde(
    x: jax.Array, samples: jax.Array, log_weights: jax.Array, bandwidth: jax.Array, constants: bool = True
) -> jax.Array:
    r"""Mean of Gaussians around samples, :math:`-2\ln\sum_i w_i e^{-((x-s_i)/h)^2/2} + 2\ln h + \ln 2\pi`.

    Samples and :math:`\ln w_i`, the weights adding up to 1, have shape (n,). With :math:`z = (x-r)/h` and :math:`d_i = (s_i-r)/h`
    for any point r the first term is :math:`z^2 - 2\ln\sum_i w_i e^{d_i (z - d_i/2)}`. Here r is the sample that adds most, so that
    no sum is 0, and derivatives far outside all samples are no differences of large numbers.
    """
    x = jnp.asarray(x)[..., None]
    # the sample that adds most, found from the nearest end: squares of a far x hide it
    end = jnp.clip(x, jnp.min(samples), jnp.max(samples))
    d = (samples - end) / bandwidth
    most = jnp.argmax(log_weights + d * ((x - end) / bandwidth - d / 2), axis=-1)[..., None]
    z, d = (x - samples[most]) / bandwidth, (samples - samples[most]) / bandwidth
    log_sum = jnp.log(jnp.sum(exp(log_weights - log_weights[most] + d * (z - d / 2)), axis=-1))
    value = z[..., 0] ** 2 - 2 * (log_sum + log_weights[most[..., 0]])
    return value + 2 * jnp.log(bandwidth) + LN_2PI if constants else value


def gaussian_penalty(x: jax.Array, mean: jax.Array, precision: jax.Array) -> jax.Array:
    r"""Quadratic form :math:`(x-\mu)^T C^{-1} (x-\mu)` of n parameters; precision is the inverse covariance, shape (n, n)."""
    delta = x - mean
    return delta @ precision @ delta


@jax.custom_jvp
def _power(z: jax.Array, p: jax.Array) -> jax.Array:
    """|z|^p, with derivatives of every order that are right at z = 0."""
    return jnp.abs(z) ** p


@_power.defjvp
def _power_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, p), (dz, dp) = primals, tangents
    value = _power(z, p)
    return value, p * _signed_power(z, p - 1) * dz + value * _log_size(z) * dp


@jax.custom_jvp
def _signed_power(z: jax.Array, q: jax.Array) -> jax.Array:
    """sign(z) |z|^q, 0 at z = 0."""
    return jnp.where(z == 0, 0.0, jnp.sign(z) * jnp.abs(jnp.where(z == 0, 1.0, z)) ** q)


@_signed_power.defjvp
def _signed_power_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, q), (dz, dq) = primals, tangents
    value = _signed_power(z, q)
    # a kink (q = 0) has no curvature beside it: 0 x inf is nan
    kink = q == 0
    slope = jnp.where(kink, 0.0, q * _power(z, jnp.where(kink, 1.0, q - 1)))
    return value, slope * dz + value * _log_size(z) * dq


def _log_size(z: jax.Array) -> jax.Array:
    """Ln |z|, 0 at z = 0 where it is multiplied with 0."""
    return jnp.log(jnp.abs(jnp.where(z == 0, 1.0, z)))
