r"""The generalised Gaussian pulse and its integral.

:math:`\int_a^b e^{-\frac12 u^{1/\eta}} du` is an incomplete gamma function, whose derivatives in :math:`\eta` no library has. With
:math:`u = e^{\eta y}` the integrand is :math:`\eta\,e^{\eta y - \frac12 e^y}`, smooth everywhere and of one width for all
:math:`\eta`: Gauss-Legendre in y. Derivatives in the ends are the pulse itself, exact also where an end is next to the peak.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["generalized_gaussian", "generalized_gaussian_integral"]

# e^{-e^y/2} is 1 below and 0 above, to rounding
LOWEST, HIGHEST = -37.0, 7.3
PANELS = 14


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """16 nodes of Gauss and Legendre in each of the panels, which share the interval from 0 to 1."""
    x, w = np.polynomial.legendre.leggauss(16)
    at = (np.arange(PANELS)[:, None] + 0.5 * (x + 1)) / PANELS
    return at.ravel(), np.tile(0.5 * w / PANELS, PANELS)


X, W = _nodes()


def _pulse(u: jax.Array, eta: jax.Array) -> jax.Array:
    """exp(-u^(1/eta)/2) for u >= 0; its slope at 0 is taken as 0, for it is another on each side of the peak."""
    inside = jnp.where(u > 0, u, 1.0)
    return jnp.where(u > 0, jnp.exp(-0.5 * jnp.exp(jnp.log(inside) / eta)), 1.0)


def generalized_gaussian(t: jax.Array, t_rise: jax.Array, t_decay: jax.Array, eta: jax.Array) -> jax.Array:
    r""":math:`\exp(-\frac12 (|t|/\tau)^{1/\eta})` with :math:`\tau` = `t_rise` before the reference time and `t_decay` after it, d."""
    return _pulse(jnp.abs(t) / jnp.where(t < 0, t_rise, t_decay), eta)


def _nodes_between(begin: jax.Array, width: jax.Array, eta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Nodes u and weights, one more axis, and the length of the part below them, where the pulse is 1."""
    end = begin + width
    top = jnp.minimum(jnp.log(jnp.where(end > 0, end, 1.0)) / eta, HIGHEST)
    # less than e^-40 of the integral is below, wherever the interval ends
    edge = jnp.exp(eta * jnp.maximum(LOWEST, jnp.minimum(top, jnp.log(2 * eta)) - 40 / eta))
    flat = jnp.where(begin < edge, jnp.minimum(end, edge) - begin, 0.0)
    first = jnp.maximum(begin, edge)
    left = jnp.maximum(jnp.where(begin < edge, end - edge, width), 0.0)
    bottom = jnp.log(first) / eta
    # the length from the width: a difference of two logarithms has lost its digits
    length = jnp.log1p(left / first) / eta
    length = jnp.where(bottom + length > HIGHEST, jnp.maximum(HIGHEST - bottom, 0.0), length)
    u = jnp.exp(eta * (jnp.minimum(bottom, HIGHEST)[..., None] + length[..., None] * X))
    return u, eta * length[..., None] * u * W, flat


@lru_cache(maxsize=8)
def _integral(order: int) -> Callable[..., jax.Array]:
    """Integral from `begin` >= 0 over a width, in units of the time constant, of a derivative of the pulse in eta."""

    def integrand(u: jax.Array, eta: jax.Array) -> jax.Array:
        function: Any = _pulse
        for _ in range(order):
            function = _slope(function)
        return function(u, eta)

    @jax.custom_jvp
    def integral(begin: jax.Array, width: jax.Array, eta: jax.Array) -> jax.Array:
        u, weight, flat = _nodes_between(begin, width, eta)
        return jnp.sum(integrand(u, eta) * weight, axis=-1) + (flat if order == 0 else 0.0)

    @integral.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple:
        (begin, width, eta), (d_begin, d_width, d_eta) = primals, tangents
        ends = integrand(begin + width, eta) * (d_begin + d_width) - integrand(begin, eta) * d_begin
        return integral(*primals), ends + _integral(order + 1)(*primals) * d_eta

    return integral


def _slope(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Derivative in the second argument."""
    return lambda u, eta: jax.jvp(lambda e: function(u, e), (eta,), (jnp.ones_like(eta),))[1]


def generalized_gaussian_integral(
    start: jax.Array, width: jax.Array, t_rise: jax.Array, t_decay: jax.Array, eta: jax.Array
) -> jax.Array:
    """Both sides of the pulse; an end on the peak belongs to the decay."""
    stop = start + width
    before = jnp.where(stop <= 0, width, jnp.where(start < 0, -start, 0.0))
    after = jnp.where(start >= 0, width, jnp.where(stop > 0, stop, 0.0))
    rise = t_rise * _integral(0)(jnp.where(stop <= 0, -stop, 0.0) / t_rise, before / t_rise, eta)
    return rise + t_decay * _integral(0)(jnp.where(start >= 0, start, 0.0) / t_decay, after / t_decay, eta)
