r"""Power laws with exponential cut-offs as pure functions of arrays; energies in TeV, fluxes per cm2, s and TeV."""

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import exp
from gammajax.models.functions.special import exprel2

__all__ = [
    "exp_cutoff_power_law",
    "exp_cutoff_power_law_3fgl",
    "super_exp_cutoff_3fgl",
    "super_exp_cutoff_4fgl",
    "super_exp_cutoff_4fgl_dr3",
]

LN_MEV = np.log(1e6)


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
    # x in front: for alpha = 1 the second derivative is then exactly 0, not a difference of two numbers of size 1/x
    power = x * exp((alpha - 1) * jnp.log(safe))
    # at x = 0 only alpha = 1 has a finite slope that is not zero; x itself carries it
    return jnp.where(zero, jnp.where(alpha == 1, x, 0.0 * x), power)


def exp_cutoff_power_law_3fgl(
    energy: jax.Array, index: jax.Array, amplitude: jax.Array, reference: jax.Array, ecut: jax.Array
) -> jax.Array:
    r"""Power law with cut-off as in the 3FGL catalogue: :math:`A (E/E_0)^{-\Gamma} \exp((E_0 - E)/E_c)`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    index : scalar
        :math:`\Gamma`, dimensionless.
    amplitude : scalar
        A, the flux at the reference, cm-2 s-1 TeV-1.
    reference, ecut : scalar
        :math:`E_0, E_c`, TeV.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    return amplitude * exp(-index * (jnp.log(energy) - jnp.log(reference)) + (reference - energy) / ecut)


def super_exp_cutoff_3fgl(
    energy: jax.Array,
    amplitude: jax.Array,
    reference: jax.Array,
    ecut: jax.Array,
    index_1: jax.Array,
    index_2: jax.Array,
) -> jax.Array:
    r"""Super-exponential cut-off of 3FGL: :math:`A (E/E_0)^{-\Gamma_1} \exp((E_0/E_c)^{\Gamma_2} - (E/E_c)^{\Gamma_2})`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude : scalar
        A, the flux at the reference, cm-2 s-1 TeV-1.
    reference, ecut : scalar
        :math:`E_0` and :math:`E_c > 0`, TeV.
    index_1, index_2 : scalar
        :math:`\Gamma_1, \Gamma_2`, dimensionless.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    e, r, c = jnp.log(energy), jnp.log(reference), jnp.log(ecut)
    return amplitude * exp(-index_1 * (e - r) + exp(index_2 * (r - c)) - exp(index_2 * (e - c)))


def super_exp_cutoff_4fgl(
    energy: jax.Array,
    amplitude: jax.Array,
    reference: jax.Array,
    expfactor: jax.Array,
    index_1: jax.Array,
    index_2: jax.Array,
) -> jax.Array:
    r"""Super-exponential cut-off of 4FGL: :math:`A (E/E_0)^{-\Gamma_1} \exp(a (E_0^{\Gamma_2} - E^{\Gamma_2}))`.

    Abdollahi et al. (2020), ApJS 247, 33, equation 4; the energies in the exponent are in MeV.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude : scalar
        A, the flux at the reference, cm-2 s-1 TeV-1.
    reference : scalar
        :math:`E_0`, TeV.
    expfactor : scalar
        a, in MeV to the power :math:`-\Gamma_2`.
    index_1, index_2 : scalar
        :math:`\Gamma_1, \Gamma_2`, dimensionless.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    e, r = jnp.log(energy), jnp.log(reference)
    cut = expfactor * (exp(index_2 * (r + LN_MEV)) - exp(index_2 * (e + LN_MEV)))
    return amplitude * exp(-index_1 * (e - r) + cut)


def super_exp_cutoff_4fgl_dr3(
    energy: jax.Array,
    amplitude: jax.Array,
    reference: jax.Array,
    expfactor: jax.Array,
    index_1: jax.Array,
    index_2: jax.Array,
) -> jax.Array:
    r"""Super-exponential cut-off of 4FGL-DR3, :math:`A x^{-\Gamma_1 + a/\Gamma_2} \exp(a (1 - x^{\Gamma_2})/\Gamma_2^2)`.

    Here :math:`x = E/E_0`; Abdollahi et al. (2022), ApJS 260, 53, equations 2 and 3. With :math:`s = \Gamma_2 \ln x` the
    exponent is :math:`-\Gamma_1 \ln x - a \ln^2 x\, (e^s - 1 - s)/s^2`, which has no 0/0 at :math:`\Gamma_2 = 0`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude : scalar
        A, the flux at the reference, cm-2 s-1 TeV-1.
    reference : scalar
        :math:`E_0`, TeV.
    expfactor : scalar
        a, the curvature at the reference, dimensionless.
    index_1, index_2 : scalar
        :math:`\Gamma_1`, the local index at the reference, and :math:`\Gamma_2`.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    x = jnp.log(energy) - jnp.log(reference)
    return amplitude * exp(-(index_1 + expfactor * x * exprel2(index_2 * x)) * x)
