"""Integrals of a model over bins that are cut where it has breaks."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import exp
from gammajax.models.form import SpectralForm
from gammajax.models.functions.special import exprel, safe_log
from gammajax.models.nodes import FOLDS

__all__ = ["between_breaks", "gauss", "power_law_between", "power_law_pieces", "shortened", "split", "summed"]

# relative distance that a node keeps from a break: more than the rounding of a node, less than any result can show
GUARD = 16 * np.finfo(float).eps
# up to so many cuts are written out; the nodes of a table are not
FEW = 8


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
    strength, shape = split(form, parameters)
    values = edges * form.evaluate(edges, *shape)
    return strength * summed(power_law_between(edges[:-1], edges[1:], values[:-1], values[1:]))


def split(form: SpectralForm, parameters: Sequence[jax.Array]) -> tuple[Any, list]:
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


def power_law_between(a: jax.Array, b: jax.Array, fa: jax.Array, fb: jax.Array) -> jax.Array:
    """Integral of the power law whose E dnde is `fa` at a and `fb` at b; 0 where it vanishes at an end."""
    first = jnp.abs(fa) >= jnp.abs(fb)
    large, small = jnp.where(first, fa, fb), jnp.where(first, fb, fa)
    usable = jnp.abs(small) > float(jnp.finfo(jnp.result_type(fa)).tiny)
    small, large = jnp.where(usable, small, 1.0), jnp.where(usable, large, 1.0)
    change = safe_log(small) - safe_log(large)
    return jnp.where(usable, large, 0.0) * jnp.log(b / a) * exprel(change)


def between_breaks(form: SpectralForm, edges: Any, count: int, parameters: Sequence[jax.Array]) -> jax.Array:
    """Integral over pieces that are cut again at the breaks of the model, which move with its parameters.

    A piece with cuts inside is what lies before the first of them, what lies behind the last, and the whole intervals from one
    cut to the next, which are the same for all pieces: however many breaks there are, a piece is evaluated twice.

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
    strength, shape = split(form, parameters)
    lo, hi = edges[:-1], edges[1:]
    cuts = jnp.sort(_energies(form, parameters))
    # far away it must not be evaluated: there may be no number for it
    cuts = jnp.clip(cuts, jnp.min(lo), jnp.max(hi))
    n = len(cuts)
    # cuts k to m - 1 are inside; one on the lower edge is, so that moving a break on an edge moves one of the two bins
    k, m = _below(cuts, lo), _below(cuts, hi)
    cut = m > k
    first = jnp.where(cut, cuts[jnp.minimum(k, n - 1)], hi)
    last = jnp.where(cut, cuts[jnp.maximum(m - 1, 0)], hi)
    ends = jnp.stack([lo, last]), jnp.stack([first, hi])
    parts = jnp.sum(_piece(form, shape, cuts, count, *ends, jnp.stack([k, m])), axis=0)
    if n > 1:
        whole = _piece(form, shape, cuts, count, cuts[:-1], cuts[1:], np.arange(1, n))
        parts = parts + _between(whole, k, m)
    return strength * summed(parts)


def _energies(form: SpectralForm, parameters: Sequence[jax.Array]) -> jax.Array:
    """All breaks and cuts, those that never move in one array; shape (n,)."""
    found = [e for f in (form.breaks, form.cuts) if f is not None for e in f(*parameters)]
    fixed = np.array([e for e in found if isinstance(e, float)])
    moving = [jnp.asarray(e) for e in found if not isinstance(e, float)]
    return jnp.concatenate([jnp.stack(moving), fixed]) if moving else jnp.asarray(fixed)


def _below(cuts: jax.Array, edges: jax.Array) -> jax.Array:
    """Number of cuts below each edge."""
    if len(cuts) <= FEW:
        return sum((c < edges).astype(int) for c in cuts)  # type: ignore[return-value]
    return jnp.sum(cuts.reshape(-1, *[1] * edges.ndim) < edges, axis=0)


def _between(whole: jax.Array, k: jax.Array, m: jax.Array) -> jax.Array:
    """Sum of the whole intervals, shape (n - 1,), between the cuts k and m - 1."""
    n = len(whole)
    if n < FEW:
        return sum(jnp.where((k <= j) & (j + 1 < m), whole[j], 0.0) for j in range(n))  # type: ignore[return-value]
    j = np.arange(n).reshape(-1, *[1] * k.ndim)
    return jnp.sum(jnp.where((k <= j) & (j + 1 < m), whole.reshape(j.shape), 0.0), axis=0)


def _piece(form: SpectralForm, shape: list, cuts: Any, count: int, a: Any, b: Any, region: Any) -> jax.Array:
    """Integral from `a` to `b`, in the region before the cut of the same number; any shape."""
    n = len(cuts)
    low = jnp.where(region > 0, cuts[jnp.maximum(region - 1, 0)] * (1 + GUARD), -jnp.inf)
    high = jnp.where(region < n, cuts[jnp.minimum(region, n - 1)] * (1 - GUARD), jnp.inf)

    def density(energy: jax.Array) -> jax.Array:
        # an empty piece beside a break still has slopes: its nodes must not fall on the other side by rounding
        inside = jnp.minimum(jnp.maximum(energy, low), high)
        return energy * form.evaluate(energy + jax.lax.stop_gradient(inside - energy), *shape)

    if form.power_between:
        return power_law_between(a, b, density(a), density(b))
    return gauss(density, *shortened(form, shape, a, b), count)


def gauss(density: Callable[[jax.Array], jax.Array], a: Any, b: Any, count: int) -> jax.Array:
    """Integral of E dnde in ln E from `a` to `b` (TeV, any shape) by Gauss and Legendre.

    Parameters
    ----------
    density : callable
        E dnde, of energies (TeV) of any shape.
    a, b : array
        Ends, TeV, any shape.
    count : int
        Nodes.
    """
    x, w = (v.reshape(-1, *[1] * jnp.ndim(a)) for v in np.polynomial.legendre.leggauss(count))
    middle, half = 0.5 * (jnp.log(a) + jnp.log(b)), 0.5 * (jnp.log(b) - jnp.log(a))
    return half * summed(density(exp(middle + half * x)) * w)


def shortened(form: SpectralForm, shape: list, a: Any, b: Any) -> tuple[Any, Any]:
    """Ends between which all is that is left of a piece: `FOLDS` e-folds by its steepness at the larger end.

    What the rest of the model rises by on the way down, as E^60 does beside a cut-off, is no fall.

    Parameters
    ----------
    form : `SpectralForm`
        The model; nothing is changed where it has no cut-off.
    shape : list of scalar
        Parameters.
    a, b : array
        Ends, TeV, any shape.
    """
    if form.steepness is None:
        return a, b
    # as nothing is left there, nothing depends on where an end was moved to
    lo, hi, still = jax.lax.stop_gradient((a, b, shape))
    first, last = (form.steepness(e, *still) for e in (lo, hi))
    down, up = -first, last
    if form.local_slope is not None:
        # of E dnde
        others = [1.0 + form.local_slope(jnp.log(e), *still) for e in (lo, hi)]
        down = down - jnp.maximum(jnp.maximum(*others), 0.0)
        up = up + jnp.minimum(jnp.minimum(*others), 0.0)
    width = jnp.log(hi) - jnp.log(lo)
    late, early = down * width > FOLDS, up * width > FOLDS
    end = lo * exp(FOLDS / jnp.where(late, down, jnp.inf))
    begin = hi * exp(-FOLDS / jnp.where(early, up, jnp.inf))
    # both at once, a narrow peak, is a matter of cuts
    return jnp.where(early & ~late, begin, a), jnp.where(late & ~early, end, b)
