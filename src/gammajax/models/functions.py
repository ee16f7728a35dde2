r"""Spectral models as pure functions of arrays; energies in TeV, fluxes per cm2, s and TeV.

Each function takes the energy first and then scalars in the order in which its class declares them. Logarithms of the energy
and of the reference are taken apart: in a batch of parameters the energies are the same for all, and so are their logarithms.
"""

import jax
import jax.numpy as jnp

from gammajax.elementary import exp

__all__ = [
    "exp_cutoff_power_law",
    "log_parabola",
    "power_law",
    "power_law_integral",
]


def power_law(energy: jax.Array, index: jax.Array, amplitude: jax.Array, reference: jax.Array) -> jax.Array:
    r"""Power law :math:`A (E/E_0)^{-\Gamma}`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    index : scalar
        :math:`\Gamma`, dimensionless.
    amplitude : scalar
        A, cm-2 s-1 TeV-1.
    reference : scalar
        :math:`E_0`, TeV.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    return amplitude * exp(-index * (jnp.log(energy) - jnp.log(reference)))


def power_law_integral(
    lo: jax.Array, hi: jax.Array, index: jax.Array, amplitude: jax.Array, reference: jax.Array
) -> jax.Array:
    r"""Integral of a power law over bins, smooth through :math:`\Gamma = 1`.

    With :math:`h = \ln(E_2/E_1)` and :math:`t = (1 - \Gamma) h` it is
    :math:`A E_1 (E_1/E_0)^{-\Gamma} h\, (e^t - 1)/t`.

    Parameters
    ----------
    lo, hi : array
        Bin edges, TeV, same shape.
    index, amplitude, reference : scalar
        As in `power_law`.

    Returns
    -------
    array
        Flux in each bin, cm-2 s-1, shape of `lo`.
    """
    h = jnp.log(hi / lo)
    return amplitude * lo * exp(-index * (jnp.log(lo) - jnp.log(reference))) * h * _exprel((1 - index) * h)


@jax.custom_jvp
def _exprel(t: jax.Array) -> jax.Array:
    """(e^t - 1)/t, with all derivatives right at t = 0."""
    small = jnp.abs(t) < 1e-5
    # the argument is guarded as well as the result: 0/0 in the branch not taken would poison the gradient
    safe = jnp.where(small, 1.0, t)
    return jnp.where(small, 1 + t / 2 + t * t / 6, jnp.expm1(safe) / safe)


@_exprel.defjvp
def _exprel_jvp(primals: tuple, tangents: tuple) -> tuple:
    (t,), (dt,) = primals, tangents
    return _exprel(t), _exprel_slope(t) * dt


def _exprel_slope(t: jax.Array) -> jax.Array:
    """Slope of `_exprel`: (e^t (t - 1) + 1)/t^2; the series takes over where the quotient cancels."""
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


def exp_cutoff_power_law(
    energy: jax.Array,
    index: jax.Array,
    amplitude: jax.Array,
    reference: jax.Array,
    lambda_: jax.Array,
    alpha: jax.Array,
) -> jax.Array:
    r"""Power law with exponential cut-off :math:`A (E/E_0)^{-\Gamma} \exp(-(\lambda E)^\alpha)`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    index : scalar
        :math:`\Gamma`, dimensionless.
    amplitude : scalar
        A, cm-2 s-1 TeV-1.
    reference : scalar
        :math:`E_0`, TeV.
    lambda_ : scalar
        :math:`\lambda`, 1/TeV. Below 0 the function is continued as an odd one, :math:`-|\lambda E|^\alpha`,
        so that the slope at 0 stays what it is for alpha = 1; gammapy gives nan there for a broken alpha.
    alpha : scalar
        Exponent of the cut-off, dimensionless.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    x = lambda_ * energy
    return amplitude * exp(-index * (jnp.log(energy) - jnp.log(reference)) - _odd_power(x, alpha))


def _odd_power(x: jax.Array, alpha: jax.Array) -> jax.Array:
    """sign(x) |x|^alpha, with the right slope at x = 0 for alpha = 1 and no nan for any alpha > 0."""
    zero = x == 0
    safe = jnp.where(zero, 1.0, jnp.abs(x))
    power = jnp.sign(x) * exp(alpha * jnp.log(safe))
    # at x = 0 only alpha = 1 has a finite slope that is not zero; x itself carries it
    return jnp.where(zero, jnp.where(alpha == 1, x, 0.0 * x), power)
