r"""Power laws as pure functions of arrays; energies in TeV, fluxes per cm2, s and TeV.

Each function takes the energy first and then scalars in the order in which its class declares them. Logarithms of the energy
and of the reference are taken apart: in a batch of parameters the energies are the same for all, and so are their logarithms.
"""

import jax
import jax.numpy as jnp

from gammajax.elementary import exp
from gammajax.models.functions.special import exprel

__all__ = [
    "broken_power_law",
    "broken_power_law_integral",
    "constant",
    "constant_integral",
    "power_law",
    "power_law_2",
    "power_law_2_integral",
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
    return amplitude * lo * exp(-index * (jnp.log(lo) - jnp.log(reference))) * h * exprel((1 - index) * h)


def constant(energy: jax.Array, const: jax.Array) -> jax.Array:
    """The same flux `const` (cm-2 s-1 TeV-1) at every `energy` (TeV, any shape)."""
    return const * jnp.ones_like(energy)


def constant_integral(lo: jax.Array, hi: jax.Array, const: jax.Array) -> jax.Array:
    """Integral of a constant flux over bins from `lo` to `hi` (TeV); cm-2 s-1."""
    return const * (hi - lo)


def power_law_2(
    energy: jax.Array, amplitude: jax.Array, index: jax.Array, emin: jax.Array, emax: jax.Array
) -> jax.Array:
    r"""Power law whose amplitude is its integral: :math:`F_0 E^{-\Gamma} / \int_{E_1}^{E_2} E^{-\Gamma} dE`.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    amplitude : scalar
        :math:`F_0`, integral from `emin` to `emax`, cm-2 s-1.
    index : scalar
        :math:`\Gamma`, dimensionless; smooth through 1.
    emin, emax : scalar
        :math:`E_1, E_2`, TeV.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    return power_law(energy, index, amplitude, emin) / power_law_integral(emin, emax, index, jnp.ones_like(index), emin)


def power_law_2_integral(
    lo: jax.Array, hi: jax.Array, amplitude: jax.Array, index: jax.Array, emin: jax.Array, emax: jax.Array
) -> jax.Array:
    """Integral of `power_law_2` over bins from `lo` to `hi` (TeV); cm-2 s-1."""
    whole = power_law_integral(emin, emax, index, jnp.ones_like(index), emin)
    return power_law_integral(lo, hi, index, amplitude, emin) / whole


def broken_power_law(
    energy: jax.Array, index1: jax.Array, index2: jax.Array, amplitude: jax.Array, ebreak: jax.Array
) -> jax.Array:
    r"""Two power laws :math:`A (E/E_b)^{-\Gamma_1}` below the break and :math:`A (E/E_b)^{-\Gamma_2}` from it on.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    index1, index2 : scalar
        :math:`\Gamma_1, \Gamma_2`, dimensionless.
    amplitude : scalar
        A, the flux at the break, cm-2 s-1 TeV-1.
    ebreak : scalar
        :math:`E_b`, TeV.

    Returns
    -------
    array
        dnde, cm-2 s-1 TeV-1, shape of `energy`.
    """
    return power_law(energy, jnp.where(energy < ebreak, index1, index2), amplitude, ebreak)


def broken_power_law_integral(
    lo: jax.Array, hi: jax.Array, index1: jax.Array, index2: jax.Array, amplitude: jax.Array, ebreak: jax.Array
) -> jax.Array:
    """Integral of `broken_power_law` over bins from `lo` to `hi` (TeV), cut at the break; cm-2 s-1."""
    after, before = ebreak < lo, ebreak >= hi
    # the part that a bin does not have is an empty one at the break: elsewhere (E/Eb)^-index may overflow, and inf x 0 is nan
    below = power_law_integral(jnp.where(after, ebreak, lo), jnp.where(before, hi, ebreak), index1, amplitude, ebreak)
    above = power_law_integral(jnp.where(after, lo, ebreak), jnp.where(before, ebreak, hi), index2, amplitude, ebreak)
    # nor has it derivatives, of which rounding would leave some
    return jnp.where(after, 0.0, below) + jnp.where(before, 0.0, above)
