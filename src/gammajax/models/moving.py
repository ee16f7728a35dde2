"""Integrals of a table over bins that move over its nodes, as those of an instrument whose energy scale is fitted do."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from gammajax.models.form import SpectralForm
from gammajax.models.pieces import gauss, power_law_between, shortened, split

__all__ = ["over_nodes"]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def over_nodes(form: SpectralForm, count: int, edges: jax.Array, parameters: tuple) -> jax.Array:
    r"""Integral of a model that is continuous, and smooth between fixed energies, over bins that may be anywhere.

    A bin with nodes inside is what lies before the first of them, what lies behind the last, and the whole intervals between
    two nodes. Its derivative in an edge is the model there, :math:`\partial_b \int_a^b \phi\,dE = \phi(b)`, which is said to JAX, so that
    programs stay small.

    Parameters
    ----------
    form : `SpectralForm`
        The model; its nodes are `form.loose`.
    count : int
        Gauss-Legendre nodes of a piece, where it is no power law between the nodes.
    edges : array, shape (2, n_bins)
        Lower and upper edges, TeV.
    parameters : tuple of scalars
        Internal units.

    Returns
    -------
    array, shape (n_bins,)
    """
    lo, hi = edges
    nodes, n = jnp.asarray(np.array(form.loose)), len(form.loose)
    k = jnp.sum(nodes[:, None] <= lo, axis=0)
    m = jnp.sum(nodes[:, None] < hi, axis=0)
    cut = m > k
    at, to = jnp.minimum(k, n - 1), jnp.maximum(m - 1, 0)
    # first parts, last parts and whole intervals in one go
    a = jnp.concatenate([lo, jnp.where(cut, nodes[to], hi), nodes[:-1]])
    b = jnp.concatenate([jnp.where(cut, nodes[at], hi), hi, nodes[1:]])
    strength, shape = split(form, parameters)
    if form.power_between:
        values = form.evaluate(jnp.concatenate([lo, hi, nodes]), *shape) * jnp.concatenate([lo, hi, nodes])
        first, last, own = jnp.split(values, [len(lo), 2 * len(lo)])
        fa = jnp.concatenate([first, jnp.where(cut, own[to], last), own[:-1]])
        fb = jnp.concatenate([jnp.where(cut, own[at], last), last, own[1:]])
        parts = power_law_between(a, b, fa, fb)
    else:
        ends = shortened(form, shape, a, b)
        parts = gauss(lambda energy: energy * form.evaluate(energy, *shape), *ends, count)
    first, last, whole = jnp.split(parts, [len(lo), 2 * len(lo)])
    j = np.arange(n - 1)[:, None]
    between = jnp.sum(jnp.where((k <= j) & (j + 1 < m), whole[:, None], 0.0), axis=0)
    return strength * (first + last + between)


def _slope(form: SpectralForm, count: int, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    edges, parameters = primals
    moved, changed = tangents
    found = over_nodes(form, count, edges, parameters)
    slope = jnp.zeros_like(found)
    still = [isinstance(t, SymbolicZero) for t in changed]
    if not all(still):
        # those that do not change get no tangent
        free = [p for p, s in zip(parameters, still, strict=True) if not s]

        def integral(*values: Any) -> jax.Array:
            new = iter(values)
            own = tuple(p if s else next(new) for p, s in zip(parameters, still, strict=True))
            return over_nodes.fun(form, count, edges, own)

        slope = jax.jvp(integral, free, [t for t, s in zip(changed, still, strict=True) if not s])[1]
    if not isinstance(moved, SymbolicZero):
        ends = form.evaluate(edges, *parameters) * moved
        slope = slope + ends[1] - ends[0]
    return found, slope


over_nodes.defjvp(_slope, symbolic_zeros=True)
