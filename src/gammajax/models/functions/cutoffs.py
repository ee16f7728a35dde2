r"""Power laws with exponential cut-offs as pure functions of arrays; energies in TeV, fluxes per cm2, s and TeV."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import exp
from gammajax.models.functions.special import exponent_limit, exprel2

__all__ = [
    "exp_cutoff_power_law",
    "exp_cutoff_power_law_3fgl",
    "super_exp_cutoff_3fgl",
    "super_exp_cutoff_3fgl_cuts",
    "super_exp_cutoff_4fgl",
    "super_exp_cutoff_4fgl_cuts",
    "super_exp_cutoff_4fgl_dr3",
    "super_exp_cutoff_4fgl_dr3_cuts",
]

LN_MEV = np.log(1e6)
# ln u between which e^-u is resolved however sharp the cut-off: from 1 - 2e-9 by 98 % and 7 % to 5e-19
CUTS = (-20.0, -4.0, 1.0, 3.75)


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
    power = x * exp(jnp.minimum((alpha - 1) * jnp.log(safe), exponent_limit(1.0)))
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
    return amplitude * exp(-index_1 * (e - r) + _difference(1.0, index_2 * (r - c), index_2 * (e - c)))


def _difference(factor: jax.Array | float, p: jax.Array, q: jax.Array) -> jax.Array:
    """Difference a (e^p - e^q), held where an exponential of it is 0 or infinite anyway."""
    most = exponent_limit(jnp.asarray(factor))
    inside = factor * (exp(jnp.minimum(p, most)) - exp(jnp.minimum(q, most)))
    return jnp.where((p > most) & (q > most), factor * jnp.sign(p - q) * exp(most), inside)


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
    cut = _difference(expfactor, index_2 * (r + LN_MEV), index_2 * (e + LN_MEV))
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
    # the cut-off is e^s a/Gamma_2^2
    s = jnp.minimum(index_2 * x, exponent_limit(expfactor / jnp.maximum(index_2 * index_2, 1.0)))
    return amplitude * exp(-(index_1 + expfactor * x * exprel2(s)) * x)


def super_exp_cutoff_3fgl_cuts(
    amplitude: jax.Array, reference: jax.Array, ecut: jax.Array, index_1: jax.Array, index_2: jax.Array
) -> tuple:
    """Energies (TeV) between which `super_exp_cutoff_3fgl` is smooth."""
    return _cuts(lambda g: jnp.log(ecut), index_2)


def super_exp_cutoff_4fgl_cuts(
    amplitude: jax.Array, reference: jax.Array, expfactor: jax.Array, index_1: jax.Array, index_2: jax.Array
) -> tuple:
    """Energies (TeV) between which `super_exp_cutoff_4fgl` is smooth."""
    return _cuts(lambda g: -_log_size(expfactor) / g - LN_MEV, index_2)


def super_exp_cutoff_4fgl_dr3_cuts(
    amplitude: jax.Array, reference: jax.Array, expfactor: jax.Array, index_1: jax.Array, index_2: jax.Array
) -> tuple:
    """Energies (TeV) between which `super_exp_cutoff_4fgl_dr3` is smooth."""
    return _cuts(lambda g: jnp.log(reference) + (2 * jnp.log(jnp.abs(g)) - _log_size(expfactor)) / g, index_2)


def _log_size(x: jax.Array) -> jax.Array:
    return jnp.log(jnp.maximum(jnp.abs(x), 1e-300))


def _cuts(log_ecut: Callable[[jax.Array], jax.Array], index: jax.Array) -> tuple:
    """Energies at which u = (E/Ec)^index has the values of `CUTS`; nothing depends on them but where nodes lie."""
    g = jnp.where(jnp.abs(index) < 1e-3, 1e-3, index)
    return tuple(jax.lax.stop_gradient(exp(jnp.clip(log_ecut(g) + s / g, -600.0, 600.0))) for s in CUTS)
