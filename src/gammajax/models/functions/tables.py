"""Models given by tables as pure functions of arrays; energies in TeV.

Between the nodes of a table in logarithms a model is a power law, so that its integrals have a closed form.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gammajax.elementary import exp

__all__ = ["absorption", "interpolated", "piecewise_norm", "template"]


def interpolated(x: jax.Array, nodes: ArrayLike, values: ArrayLike, extrapolate: bool) -> jax.Array:
    """Linear interpolation, beyond the outer nodes continued or flat.

    Parameters
    ----------
    x : array
        Where, any shape.
    nodes, values : array, shape (n,)
        Increasing nodes, and the values there.
    extrapolate : bool
        Whether the outer lines go on beyond the table.
    """
    nodes, values = jnp.asarray(nodes), jnp.asarray(values)
    at = jnp.clip(jnp.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    left = nodes[at]
    weight = (x - left) / (nodes[at + 1] - left)
    if not extrapolate:
        weight = jnp.where(weight < 0, 0.0, jnp.where(weight > 1, 1.0, weight))
    return (1 - weight) * values[at] + weight * values[at + 1]


def template(energy: jax.Array, nodes: np.ndarray, values: np.ndarray, log: bool, extrapolate: bool) -> jax.Array:
    """A table of fluxes, interpolated over the logarithm of the energy.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    nodes : array, shape (n,)
        Logarithms of the energies.
    values : array, shape (n,)
        Fluxes, or their logarithms where `log`.
    log : bool
        Whether logarithms of fluxes are interpolated.
    extrapolate : bool
        Whether the table is continued beyond its ends; otherwise the flux is constant there.
    """
    if len(nodes) == 1:
        line = values[0] * jnp.ones_like(energy)
    else:
        line = interpolated(jnp.log(energy), nodes, values, extrapolate)
    return exp(line) if log else jnp.maximum(line, 0.0)


def piecewise_norm(energy: jax.Array, *norms: jax.Array, nodes: np.ndarray, log: bool) -> jax.Array:
    """Norms at fixed energies, interpolated in log-log or linearly, constant outside.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    *norms : scalar
        Values at the nodes, above 0 where `log`.
    nodes : array, shape (n,)
        The energies (TeV), or their logarithms where `log`.
    log : bool
        Whether logarithms are interpolated over logarithms.
    """
    values = jnp.stack([jnp.asarray(n) for n in norms])
    if not log:
        return interpolated(energy, nodes, values, extrapolate=False)
    tiny = np.finfo(values.dtype).tiny
    safe = jnp.log(jnp.where(values > tiny, values, tiny))
    return exp(interpolated(jnp.log(energy), nodes, safe, extrapolate=False))


def absorption(
    energy: jax.Array,
    redshift: jax.Array,
    alpha_norm: jax.Array,
    nodes: np.ndarray,
    redshifts: np.ndarray,
    log_values: np.ndarray,
) -> jax.Array:
    r"""Transmission :math:`e^{-\alpha \tau(z, E)}` from a table of :math:`-\tau`.

    The table is linear between redshifts and in the logarithm of the energy, and goes on linearly beyond its ends; what
    would be above 1 is 1. In the redshift it has kinks at the tabulated ones: the derivative there is the one to the right.

    Parameters
    ----------
    energy : array
        Energy, TeV, any shape.
    redshift : scalar
        z.
    alpha_norm : scalar
        :math:`\alpha`.
    nodes : array, shape (n,)
        Logarithms of the tabulated energies.
    redshifts : array, shape (k,)
        Tabulated redshifts, at least two.
    log_values : array, shape (k, n)
        :math:`-\tau`.
    """
    z, table = jnp.asarray(redshifts), jnp.asarray(log_values)
    at = jnp.clip(jnp.searchsorted(z, redshift, side="right") - 1, 0, len(redshifts) - 2)
    weight = (redshift - z[at]) / (z[at + 1] - z[at])
    row = (1 - weight) * table[at] + weight * table[at + 1]
    line = interpolated(jnp.log(energy), nodes, row, extrapolate=True)
    return exp(alpha_norm * jnp.where(line < 0, line, 0.0))
