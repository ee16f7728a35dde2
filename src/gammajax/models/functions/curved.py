r"""Log-parabolas, a Gaussian and the log-polynomial of the Crab as pure functions of arrays; energies in TeV."""

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import exp
from gammajax.models.functions.special import log_cosh

__all__ = [
    "gaussian",
    "gaussian_integral",
    "log_parabola",
    "log_parabola_2",
    "log_parabola_slopes",
    "meyer_crab",
    "smooth_broken_power_law",
    "smooth_broken_power_law_cuts",
]

# Gauss-Legendre on [-1, 1]: exact to rounding for exp(-(c + d x)^2) with |c d| <= 1 and d <= 1/2
X, W = np.polynomial.legendre.leggauss(14)
ROOT_TWO, ROOT_PI = np.sqrt(2), np.sqrt(np.pi)
# log10 of E^2 dnde in erg cm-2 s-1 as a polynomial of log10(E/TeV): Meyer et al. 2010, A&A 523, A2, appendix D
MEYER = (-0.00449161, 0.0, 0.0473174, -0.179475, -0.53616, -10.2708)
# (E/Eb)^(d/b) is e^z: multiples z of b/d between which the break is resolved, with the poles of the function at i pi in mind
BEND = (-36.0, -18.0, -8.0, -3.0, 0.0, 3.0, 8.0, 18.0, 36.0)
ERG = 0.6241509074460763


def log_parabola(
    energy: jax.Array, amplitude: jax.Array, reference: jax.Array, alpha: jax.Array, beta: jax.Array
) -> jax.Array:
    r"""Log-parabola :math:`A (E/E_0)^{-\alpha - \beta \ln(E/E_0)}` (natural logarithm).

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude : scalar
        A, cm-2 s-1 TeV-1.
    reference : scalar
        :math:`E_0`, TeV.
    alpha, beta : scalar
        Index and curvature at :math:`E_0`, dimensionless.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    x = jnp.log(energy) - jnp.log(reference)
    return amplitude * exp(-(alpha + beta * x) * x)


def log_parabola_slopes(
    energy: jax.Array, amplitude: jax.Array, reference: jax.Array, alpha: jax.Array, beta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    r"""Derivatives of the logarithm of `log_parabola` by alpha and beta, :math:`-x` and :math:`-x^2`, :math:`x = \ln(E/E_0)`."""
    x = jnp.log(energy) - jnp.log(reference)
    return -x, -x * x


def log_parabola_2(
    energy: jax.Array, amplitude: jax.Array, reference: jax.Array, alpha: jax.Array, beta: jax.Array, escale: jax.Array
) -> jax.Array:
    r"""Log-parabola :math:`A (E/E_0)^{-\alpha - \beta \ln(E/E_s)}` whose curvature has a scale of its own.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude, reference, alpha, beta : scalar
        As in `log_parabola`.
    escale : scalar
        :math:`E_s`, TeV.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    e = jnp.log(energy)
    return amplitude * exp(-(alpha + beta * (e - jnp.log(escale))) * (e - jnp.log(reference)))


def smooth_broken_power_law(
    energy: jax.Array,
    index1: jax.Array,
    index2: jax.Array,
    amplitude: jax.Array,
    ebreak: jax.Array,
    reference: jax.Array,
    beta: jax.Array,
) -> jax.Array:
    r"""Smoothly broken power law :math:`A (E/E_0)^{-\Gamma_1} [1 + (E/E_b)^{(\Gamma_2 - \Gamma_1)/b}]^{-b}`.

    With b the `beta` times the sign of :math:`\Gamma_2 - \Gamma_1`. It is computed as the power law of the mean index times
    :math:`[2 \cosh(d/(2 \beta) \ln(E/E_b))]^{\mp\beta}`, :math:`d = \Gamma_2 - \Gamma_1`, which has no 0/0. At d = 0
    the function jumps, from :math:`2^{\beta}` to :math:`2^{-\beta}` times the power law, by its definition; at d = 0 itself it
    is the power law, and its derivatives are the mean of those on both sides.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    index1, index2 : scalar
        :math:`\Gamma_1, \Gamma_2`: indices far below and far above the break.
    amplitude : scalar
        A, cm-2 s-1 TeV-1.
    ebreak, reference : scalar
        :math:`E_b, E_0`, TeV.
    beta : scalar
        :math:`\beta > 0`, smoothness.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    e = jnp.log(energy)
    d = index2 - index1
    x = d * (e - jnp.log(ebreak))
    smooth = jnp.sign(d) * beta * log_cosh(0.5 * x / beta)
    return amplitude * exp(-index1 * (e - jnp.log(reference)) - 0.5 * x - smooth)


def smooth_broken_power_law_cuts(
    index1: jax.Array, index2: jax.Array, amplitude: jax.Array, ebreak: jax.Array, reference: jax.Array, beta: jax.Array
) -> tuple:
    """Energies (TeV) between which `smooth_broken_power_law` is smooth, however sharp it is."""
    width = beta / jnp.maximum(jnp.abs(index2 - index1), 1e-3)
    at = (jnp.clip(jnp.log(ebreak) + z * width, -600.0, 600.0) for z in BEND)
    return tuple(jax.lax.stop_gradient(exp(x)) for x in at)


def gaussian(energy: jax.Array, amplitude: jax.Array, mean: jax.Array, sigma: jax.Array) -> jax.Array:
    r"""Normal distribution :math:`N_0/(\sqrt{2\pi}\sigma) \exp(-(E - \bar E)^2 / 2\sigma^2)`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude : scalar
        :math:`N_0`, integral over all energies, cm-2 s-1.
    mean, sigma : scalar
        :math:`\bar E, \sigma`, TeV.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    t = (energy - mean) / sigma
    return amplitude / (sigma * np.sqrt(2 * np.pi)) * exp(-0.5 * t * t)


def gaussian_integral(
    lo: jax.Array, hi: jax.Array, amplitude: jax.Array, mean: jax.Array, sigma: jax.Array
) -> jax.Array:
    """Integral of `gaussian` over bins from `lo` to `hi` (TeV), full relative accuracy far out in the tails; cm-2 s-1."""
    a, b = (lo - mean) / (ROOT_TWO * sigma), (hi - mean) / (ROOT_TWO * sigma)
    middle, half = 0.5 * (a + b), 0.5 * (b - a)
    # a difference of two numbers that are nearly equal has lost its digits: narrow bins are summed up, and wide ones in a
    # tail take the difference on the side where both are small
    narrow = (jnp.abs(middle * half) < 1.0) & (jnp.abs(half) < 0.5)
    c, d = jnp.where(narrow, middle, 0.0), jnp.where(narrow, half, 0.0)
    near = sum(w * exp(-((c + d * x) ** 2)) for x, w in zip(X, W, strict=True)) * d * (2 / ROOT_PI)
    sign = jnp.where(middle < 0, -1.0, 1.0)
    first, last = jnp.where(narrow, 0.0, sign * a), jnp.where(narrow, 1.0, sign * b)
    apart = sign * (jax.scipy.special.erfc(first) - jax.scipy.special.erfc(last))
    return 0.5 * amplitude * jnp.where(narrow, near, apart)


def meyer_crab(energy: jax.Array, norm: jax.Array) -> jax.Array:
    """Crab nebula of Meyer et al. (2010), a polynomial of degree 5 in log-log; `energy` in TeV, cm-2 s-1 TeV-1."""
    x = jnp.log(energy) / np.log(10)
    y = jnp.zeros_like(x)
    for c in MEYER:
        y = y * x + c
    return norm * ERG * exp(np.log(10) * (y - 2 * x))
