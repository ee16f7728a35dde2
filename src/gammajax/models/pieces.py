"""Integrals of a model over bins that are cut where it has breaks."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import exp
from gammajax.models.form import SpectralForm
from gammajax.models.functions.special import clip, exprel

__all__ = ["between_breaks", "power_law_pieces", "summed"]

# relative distance that a node keeps from a break: more than the rounding of a node, less than any result can show
GUARD = 16 * np.finfo(float).eps


def summed(values: Any) -> jax.Array:
    """Sum over the first axis, written out: compiled for a CPU, a reduction runs over single numbers, not over vectors."""
    return sum(values[1:], start=values[0])


def power_law_pieces(form: SpectralForm, edges: Any, parameters: Sequence[jax.Array]) -> jax.Array:
    """Integral over pieces in each of which the model is a power law, from its values at their edges.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    edges : array, shape (n_pieces + 1, n_bins)
        Edges of the pieces, TeV.
    parameters : sequence of scalars
        Internal units.
    """
    strength, shape = _split(form, parameters)
    values = edges * form.evaluate(edges, *shape)
    return strength * summed(_power_law_between(edges[:-1], edges[1:], values[:-1], values[1:]))


def _split(form: SpectralForm, parameters: Sequence[jax.Array]) -> tuple[Any, list]:
    """Product of the parameters that the model is proportional to, and the parameters with 1 for them.

    The logarithm of a ratio of fluxes has no slope in a strength of 0.
    """
    strength: Any = 1.0
    shape = []
    for name, p in zip(form.names, parameters, strict=True):
        linear = name in form.linear
        strength = strength * p if linear else strength
        shape.append(jnp.ones_like(p) if linear else p)
    return strength, shape


def _power_law_between(a: jax.Array, b: jax.Array, fa: jax.Array, fb: jax.Array) -> jax.Array:
    """Integral of the power law whose E dnde is `fa` at a and `fb` at b; 0 where it vanishes at an end."""
    usable = (fa != 0) & (fb != 0)
    ratio = jnp.where(usable, fb, 1.0) / jnp.where(usable, fa, 1.0)
    return jnp.where(usable, fa, 0.0) * jnp.log(b / a) * exprel(jnp.log(ratio))


def between_breaks(form: SpectralForm, edges: Any, count: int, parameters: Sequence[jax.Array]) -> jax.Array:
    """Integral over pieces that are cut again at the breaks of the model, which move with its parameters.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    edges : array, shape (n_pieces + 1, n_bins)
        Edges of the pieces that never move, TeV.
    count : int
        Gauss-Legendre nodes of a piece.
    parameters : sequence of scalars
        Internal units.
    """
    assert form.breaks is not None
    cuts = jnp.sort(jnp.stack([jnp.asarray(b) for b in form.breaks(*parameters)]))[:, None, None]
    strength, shape = _split(form, parameters)
    # one array over all pieces, shape (n_breaks + 1, n_pieces, n_bins): the program is as small as that of one piece
    lo, hi = edges[None, :-1], edges[None, 1:]
    points = jnp.concatenate([lo, clip(cuts, lo, hi), hi])
    low = jnp.concatenate([jnp.full_like(cuts[:1], -jnp.inf), cuts * (1 + GUARD)])
    high = jnp.concatenate([cuts * (1 - GUARD), jnp.full_like(cuts[:1], jnp.inf)])

    def density(energy: jax.Array) -> jax.Array:
        # an empty piece beside a break still has slopes: its nodes must not fall on the other side by rounding
        inside = jnp.minimum(jnp.maximum(energy, low), high)
        return energy * form.evaluate(energy + jax.lax.stop_gradient(inside - energy), *shape)

    a, b = points[:-1], points[1:]
    if form.power_between:
        parts = _power_law_between(a, b, density(a), density(b))
    else:
        x, w = (v.reshape(-1, 1, 1, 1) for v in np.polynomial.legendre.leggauss(count))
        middle, half = 0.5 * (jnp.log(a) + jnp.log(b)), 0.5 * (jnp.log(b) - jnp.log(a))
        parts = half * summed(density(exp(middle + half * x)) * w)
    return strength * summed(parts.reshape(-1, parts.shape[-1]))
