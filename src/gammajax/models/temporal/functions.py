r"""Temporal models as pure functions of arrays: t in days since the reference time, then scalars.

Each model has a second function, its integral over intervals that begin at `start` and have some `width`, both in days.
"""

from math import factorial

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.models.functions.special import exprel

__all__ = [
    "constant",
    "constant_integral",
    "exp_decay",
    "exp_decay_integral",
    "gaussian",
    "gaussian_width_integral",
    "linear",
    "linear_integral",
    "power_law",
    "power_law_integral",
    "sinc",
    "sine",
    "sine_integral",
]


def constant(t: jax.Array) -> jax.Array:
    """1 at all times."""
    return jnp.ones_like(t)


def constant_integral(start: jax.Array, width: jax.Array) -> jax.Array:
    """The widths themselves."""
    return width


def linear(t: jax.Array, alpha: jax.Array, beta: jax.Array) -> jax.Array:
    r""":math:`\alpha + \beta t`, `beta` in d-1."""
    return alpha + beta * t


def linear_integral(start: jax.Array, width: jax.Array, alpha: jax.Array, beta: jax.Array) -> jax.Array:
    """The value in the middle times the width."""
    return width * (alpha + beta * (start + 0.5 * width))


def exp_decay(t: jax.Array, t0: jax.Array) -> jax.Array:
    r""":math:`e^{-t/t_0}`, `t0` in d."""
    return jnp.exp(-t / t0)


def exp_decay_integral(start: jax.Array, width: jax.Array, t0: jax.Array) -> jax.Array:
    r""":math:`w\,e^{-t/t_0} (e^x - 1)/x` with :math:`x = -w/t_0`: short intervals lose no digits."""
    return width * jnp.exp(-start / t0) * exprel(-width / t0)


def gaussian(t: jax.Array, sigma: jax.Array) -> jax.Array:
    r""":math:`e^{-t^2/2\sigma^2}`, `sigma` in d."""
    return jnp.exp(-0.5 * (t / sigma) ** 2)


# nodes of Gauss and Legendre between -1 and 1
X, W = np.polynomial.legendre.leggauss(16)


@jax.custom_jvp
def _bell(begin: jax.Array, width: jax.Array) -> jax.Array:
    """Integral of exp(-u^2/2) from `begin` over a width; full relative accuracy in the tails."""
    half = 0.5 * width
    middle = begin + half
    # a difference of two numbers that are nearly equal has lost its digits: short intervals are summed up, and long ones in a
    # tail take the difference on the side where both are small
    short = (jnp.abs(middle * half) < 4.0) & (half < 1.0)
    h = jnp.where(short, half, 0.0)[..., None]
    near = jnp.sum(W * jnp.exp(-0.5 * (jnp.where(short, middle, 0.0)[..., None] + h * X) ** 2), axis=-1) * h[..., 0]
    sign = jnp.where(middle < 0, -1.0, 1.0)
    ends = jnp.stack([sign * begin, sign * (begin + width)]) / np.sqrt(2)
    tails = jax.scipy.special.erfc(jnp.where(short, jnp.zeros_like(ends), ends))
    return jnp.where(short, near, np.sqrt(np.pi / 2) * sign * (tails[0] - tails[1]))


@_bell.defjvp
def _bell_jvp(primals: tuple, tangents: tuple) -> tuple:
    # the slope in an end is the curve there: derivatives cost one exponential each
    (begin, width), (d_begin, d_width) = primals, tangents
    first, last = gaussian(begin, 1.0), gaussian(begin + width, 1.0)  # type: ignore[arg-type]
    return _bell(begin, width), last * (d_begin + d_width) - first * d_begin


def gaussian_width_integral(start: jax.Array, width: jax.Array, sigma: jax.Array) -> jax.Array:
    """The error function between the ends, full relative accuracy in the tails."""
    return sigma * _bell(start / sigma, width / sigma)


def power_law(t: jax.Array, alpha: jax.Array, t0: jax.Array) -> jax.Array:
    r""":math:`(t/t_0)^\alpha`, `t0` in d; nan before the reference time."""
    x = t / t0
    # a power of 0 whose derivative is wanted: the logarithm is guarded
    inside = jnp.where(x > 0, x, 1.0)
    at_zero = jnp.where(alpha > 0, 0.0, jnp.where(alpha < 0, jnp.inf, 1.0))
    return jnp.where(x > 0, jnp.exp(alpha * jnp.log(inside)), jnp.where(x == 0, at_zero, jnp.nan))


def power_law_integral(start: jax.Array, width: jax.Array, alpha: jax.Array, t0: jax.Array) -> jax.Array:
    r"""With :math:`p = \alpha + 1` and :math:`h = \ln(1 + w/t)`: :math:`t\,(t/t_0)^\alpha\,h\,(e^{ph} - 1)/(ph)`, smooth through p = 0.

    From t = 0 it is :math:`t_0 (w/t_0)^p/p`, infinite for :math:`p \le 0`; before the reference time nan.
    """
    p = alpha + 1
    after = start / t0 > 0
    t = jnp.where(after, start, t0)
    h = jnp.log1p(width / t)
    later = t * jnp.exp(alpha * jnp.log(t / t0)) * h * exprel(p * h)
    positive = jnp.where(p > 0, p, 1.0)
    begin = jnp.where(p > 0, t0 * jnp.exp(positive * jnp.log(jnp.where(after, 1.0, width / t0))) / positive, jnp.inf)
    return jnp.where(after, later, jnp.where(start == 0, begin, jnp.nan))


def sinc(x: jax.Array) -> jax.Array:
    """sin(x)/x with all derivatives right at x = 0."""
    small = jnp.abs(x) < 1.0
    safe = jnp.where(small, 2.0, x)
    z = jnp.where(small, x, 0.0) ** 2
    series = jnp.zeros_like(z)
    # ten terms and their second derivatives are exact to rounding below 1
    for k in reversed(range(10)):
        series = series * z + (-1) ** k / factorial(2 * k + 1)
    return jnp.where(small, series, jnp.sin(safe) / safe)


def sine(t: jax.Array, amp: jax.Array, omega: jax.Array) -> jax.Array:
    r""":math:`1 + a \sin \omega t`, `omega` in rad/d."""
    return 1 + amp * jnp.sin(omega * t)


def sine_integral(start: jax.Array, width: jax.Array, amp: jax.Array, omega: jax.Array) -> jax.Array:
    r""":math:`w\,(1 + a \sin(\omega(t + w/2))\,\mathrm{sinc}(\omega w/2))`: short intervals and slow waves lose no digits."""
    return width * (1 + amp * jnp.sin(omega * (start + 0.5 * width)) * sinc(0.5 * omega * width))
