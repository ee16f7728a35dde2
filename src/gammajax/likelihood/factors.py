r"""Predictions on a grid of two parameters, put together from what depends on one of them alone.

Where a spectrum is a product, :math:`\phi(E; x, y) = \phi(E; x, y_0)\, \phi(E; x_0, y) / \phi(E; x_0, y_0)`, as a log-parabola
is in its index and its curvature, a grid of n x m nodes needs n + m evaluations of the model instead of n m. Where a term
depends on one of the two, or on none, it is folded once for each value, or once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gammajax.likelihood.compact import Compact
from gammajax.likelihood.plan import make_plan
from gammajax.likelihood.structure import MATRIX, DatasetStructure, Term, taken
from gammajax.models.pieces import summed

__all__ = ["Part", "Tables", "counts_of_tile", "parts_of", "tables_of"]

# what multiplies the shape of a term: the value along an axis, the strength that is re-fitted, or a number
X, Y, REFITTED, NUMBER = range(4)
# factors below this, parted at a point above its inverse: where one of them is lost below the smallest number, the product was
# less than 1e-107 per cm2 and s, less than 1e-80 counts
LARGEST = 1e200


class Part(NamedTuple):
    """What is static about one term on a grid of the parameters x and y.

    Attributes
    ----------
    by_x, by_y : bool
        Whether its shape depends on x, on y.
    strength : int
        `X`, `Y`, `REFITTED` or `NUMBER`.
    place : int or None
        Which of its parameters is its strength.
    """

    by_x: bool
    by_y: bool
    strength: int
    place: int | None


class Tables(NamedTuple):
    """For each term what depends on x, and what depends on y; None where nothing does.

    Attributes
    ----------
    left, right : list of array, shape (n, 1 or n_reco) or (n, n_nodes, n_true), or None
        Counts for strength 1; of a term that depends on both, factors of the flux.
    usable : bool scalar
        Whether no factor is so large or so small that a product could be lost.
    """

    left: list
    right: list
    usable: jax.Array


def parts_of(compact: Any, x: int, y: int, refitted: int | None) -> tuple[tuple[Part, ...], ...] | None:
    """For each data set and term what it is on a grid of the parameters at x and y; None where there is no short cut.

    Parameters
    ----------
    compact : `Compact`
        The likelihood.
    x, y : int
        Positions in theta.
    refitted : int or None
        Position of the one parameter that is re-fitted: a strength; None if nothing is.
    """
    if not isinstance(compact, Compact) or compact.structure.penalties:
        return None
    structure = compact.merged
    if any(s.alpha is not None for s in structure.datasets):
        return None
    plan = make_plan(structure, ())
    if refitted is not None and refitted not in make_plan(structure, (refitted,)).linear:
        return None
    out = []
    for s, b, strengths in zip(structure.datasets, compact.bins, plan.strength, strict=True):
        if _scans_own(s, strengths, (x, y, refitted)):
            return None
        parts = [_part(t, b.rules[t.rule], k0, x, y, refitted) for t, k0 in zip(s.terms, strengths, strict=True)]
        if s.clip or None in parts:
            return None
        out.append(tuple(p for p in parts if p is not None))
    return tuple(out)


def _scans_own(structure: DatasetStructure, strengths: Sequence[int | None], scanned: Sequence[int | None]) -> bool:
    """Whether a parameter that is scanned or re-fitted is that of some data sets of a group, or shapes a flux that is."""
    own = {i for t in structure.terms for p in t.index if isinstance(p, tuple) for i in p}
    flux = any(
        isinstance(p, tuple) and k != k0 and t.fold == MATRIX
        for t, k0 in zip(structure.terms, strengths, strict=True)
        for k, p in enumerate(t.index)
    )
    return not own.isdisjoint(scanned) or (flux and any(p in scanned for t in structure.terms for p in t.index))


def _part(term: Term, rule: Any, place: int | None, x: int, y: int, refitted: int | None) -> Part | None:
    scanned: dict[Any, int] = {x: X, y: Y, refitted: REFITTED}
    source = NUMBER if place is None else scanned.get(term.index[place], NUMBER)
    shaped = [name for k, name in enumerate(term.names) if term.index[k] in (x, y) and k != place]
    here = [term.index[k] for k in range(len(term.index)) if k != place]
    by_x, by_y = x in here, y in here
    if by_x and by_y:
        separable = len(shaped) == 2 and set(shaped) <= set(term.form.separable)
        if not separable or term.extras or getattr(rule, "mode", "") != "exact":
            return None
    return Part(by_x, by_y, source, place)


def tables_of(
    compact: Compact, parts: tuple, pair: tuple[int, int], theta: list, middle: list, along: tuple[Callable, Callable]
) -> Tables:
    """Evaluate all terms along both axes.

    Parameters
    ----------
    compact : `Compact`
        The likelihood.
    parts : tuple of tuple of `Part`
        From `parts_of`.
    pair : (int, int)
        Positions of x and y.
    theta : list of P scalars
        The other parameters.
    middle : list of two scalars
        x and y at which the factors are parted.
    along : pair of callable
        ``along[k](function)``: an array of function(value) over the values of axis k, and the largest magnitude over them.
    """
    left: list = []
    right: list = []
    usable = jnp.asarray(True)
    for s, b, of_dataset in zip(compact.merged.datasets, compact.bins, parts, strict=True):
        for term, part in zip(s.terms, of_dataset, strict=True):

            def shape(x: Any, y: Any, term: Term = term, part: Part = part, b: Any = b) -> Any:
                f, args = compact._shape(term, b, [*_with(theta, pair, (x, y))], part.place)
                return f(args)

            if part.by_x and part.by_y:
                rule = b.rules[term.rule]

                def density(x: Any, y: Any, term: Term = term, part: Part = part, rule: Any = rule) -> Any:
                    full = _with(theta, pair, (x, y))
                    args = [jnp.ones_like(x) if k == part.place else taken(full, i) for k, i in enumerate(term.index)]
                    return term.form.evaluate(rule.nodes, *args)

                central = density(*middle)
                there = central > 1 / LARGEST
                inverse = jnp.where(there, 1 / jnp.where(there, central, 1.0), jnp.nan)
                first, high = along[0](lambda v, f=density, rule=rule: f(v, middle[1]) * rule.weights)
                second, higher = along[1](lambda v, f=density, i=inverse: f(middle[0], v) * i)
                usable = usable & jnp.all(there & (high < LARGEST) & (higher < LARGEST))
            else:
                fold = term.fold
                zero, one = theta[pair[0]], theta[pair[1]]
                first = along[0](lambda v, f=shape, b=b, k=fold, o=one: b.onto(k, f(v, o)))[0] if part.by_x else None
                second = along[1](lambda v, f=shape, b=b, k=fold, z=zero: b.onto(k, f(z, v)))[0] if part.by_y else None
                if first is None and second is None:
                    second = b.onto(fold, shape(zero, one))[None]
            left.append(first)
            right.append(second)
    return Tables(left, right, usable)


def _with(theta: list, pair: tuple[int, int], values: tuple) -> list:
    out = list(theta)
    for i, v in zip(pair, values, strict=True):
        out[i] = v
    return out


def counts_of_tile(
    compact: Compact, parts: tuple, theta: list, tables: Tables, xs: jax.Array, ys: jax.Array, rows: Any, columns: Any
) -> tuple[jax.Array, jax.Array]:
    """Predictions of the nodes of a tile: what is fixed, and per unit of the strength that is re-fitted.

    Parameters
    ----------
    compact, parts, theta, tables
        As in `tables_of`.
    xs, ys : array, shape (I,), (J,)
        The values of the tile.
    rows, columns : callable
        Take those of the tile from an array along x, along y.

    Returns
    -------
    fixed, linear : array, shape (I J, n_bins)
        Counts.
    """
    fixed, linear = [], []
    at = 0
    shape = (len(xs), len(ys))
    for s, b, of_dataset in zip(compact.merged.datasets, compact.bins, parts, strict=True):
        base = per = jnp.zeros((*shape, b.values[0].shape[-1]), xs.dtype)
        for term, part in zip(s.terms, of_dataset, strict=True):
            first, second = tables.left[at], tables.right[at]
            at += 1
            if part.by_x and part.by_y:
                f, g = rows(first), columns(second)
                flux = summed([f[:, None, q] * g[None, :, q] for q in range(f.shape[1])])
                counts = (flux.reshape(-1, flux.shape[-1]) @ b.matrix).reshape(*shape, -1)
            elif part.by_x:
                counts = rows(first)[:, None]
            else:
                counts = (columns(second) if part.by_y else second)[None]
            if part.strength == REFITTED:
                per = per + counts
            elif part.strength == NUMBER:
                base = base + compact.strength(term, part.place, theta, b) * counts
            else:
                base = base + (xs[:, None, None] if part.strength == X else ys[None, :, None]) * counts
        fixed.append(base)
        linear.append(per)
    joined = (jnp.concatenate(parts, axis=-1) for parts in (fixed, linear))
    first, second = (a.reshape(shape[0] * shape[1], -1) for a in joined)
    return first, second
