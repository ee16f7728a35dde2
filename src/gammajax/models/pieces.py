"""Integrals of a model over bins that are cut where it has breaks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
    parts = [_power_law_between(edges[k], edges[k + 1], values[k], values[k + 1]) for k in range(edges.shape[0] - 1)]
    return strength * summed(parts)


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
    cuts = jnp.sort(jnp.stack([jnp.asarray(b) for b in form.breaks(*parameters)]))
    low = [jnp.zeros_like(cuts[0]), *(c * (1 + GUARD) for c in cuts)]
    high = [*(c * (1 - GUARD) for c in cuts), jnp.full_like(cuts[0], jnp.inf)]
    strength, shape = _split(form, parameters)
    parts = []
    for a, b in pairwise(edges):
        points = [a, *(clip(c, a, b) for c in cuts), b]
        for k in range(len(points) - 1):
            parts.append(_piece(form, points[k], points[k + 1], low[k], high[k], count, shape))
    return strength * summed(parts)


def _piece(form: SpectralForm, a: Any, b: Any, low: Any, high: Any, count: int, shape: list) -> jax.Array:
    """Integral from `a` to `b`, the model on its branch between the breaks `low` and `high`."""

    def density(energy: jax.Array) -> jax.Array:
        # an empty piece beside a break still has slopes: its nodes must not fall on the other side by rounding
        inside = jnp.minimum(jnp.maximum(energy, low), high)
        return energy * form.evaluate(energy + jax.lax.stop_gradient(inside - energy), *shape)

    if form.power_between:
        return _power_law_between(a, b, density(a), density(b))
    x, w = np.polynomial.legendre.leggauss(count)
    middle, half = 0.5 * (jnp.log(a) + jnp.log(b)), 0.5 * (jnp.log(b) - jnp.log(a))
    nodes = jnp.exp(middle + half * x[:, None])
    return half * summed(density(nodes) * w[:, None])
