r"""How steep cut-offs are, :math:`d \ln \phi / d \ln E` of the cut-off alone, as pure functions of arrays; energies in TeV."""

from typing import Any

import jax
import jax.numpy as jnp

from gammajax.elementary import exp
from gammajax.models.functions.cutoffs import LN_MEV
from gammajax.models.functions.special import exprel

__all__ = [
    "exp_cutoff_3fgl_steepness",
    "exp_cutoff_steepness",
    "gaussian_steepness",
    "super_exp_cutoff_3fgl_steepness",
    "super_exp_cutoff_4fgl_dr3_steepness",
    "super_exp_cutoff_4fgl_steepness",
]

# more than any model has where it has numbers
MOST = 690.0


def _power(x: Any) -> jax.Array:
    return exp(jnp.minimum(x, MOST))


def exp_cutoff_steepness(
    energy: jax.Array, index: Any, amplitude: Any, reference: Any, lambda_: Any, alpha: Any
) -> Any:
    """Of `exp_cutoff_power_law`; shape of `energy`."""
    x = jnp.log(energy) + jnp.log(jnp.maximum(jnp.abs(lambda_), 1e-300))
    return -jnp.sign(lambda_) * alpha * _power(alpha * x)


def exp_cutoff_3fgl_steepness(energy: jax.Array, index: Any, amplitude: Any, reference: Any, ecut: Any) -> Any:
    """Of `exp_cutoff_power_law_3fgl`; shape of `energy`."""
    return -energy / ecut


def super_exp_cutoff_3fgl_steepness(
    energy: jax.Array, amplitude: Any, reference: Any, ecut: Any, index_1: Any, index_2: Any
) -> Any:
    """Of `super_exp_cutoff_3fgl`; shape of `energy`."""
    return -index_2 * _power(index_2 * (jnp.log(energy) - jnp.log(ecut)))


def super_exp_cutoff_4fgl_steepness(
    energy: jax.Array, amplitude: Any, reference: Any, expfactor: Any, index_1: Any, index_2: Any
) -> Any:
    """Of `super_exp_cutoff_4fgl`; shape of `energy`."""
    return -expfactor * index_2 * _power(index_2 * (jnp.log(energy) + LN_MEV))


def super_exp_cutoff_4fgl_dr3_steepness(
    energy: jax.Array, amplitude: Any, reference: Any, expfactor: Any, index_1: Any, index_2: Any
) -> Any:
    """Of `super_exp_cutoff_4fgl_dr3`; shape of `energy`."""
    x = jnp.log(energy) - jnp.log(reference)
    return -expfactor * x * exprel(jnp.minimum(index_2 * x, MOST))


def gaussian_steepness(energy: jax.Array, amplitude: Any, mean: Any, sigma: Any) -> Any:
    """Of `gaussian`; shape of `energy`."""
    return -energy * (energy - mean) / (sigma * sigma)
