"""The compiled program for grids of two parameters with at most one strength re-fitted at each node."""

from functools import lru_cache, partial, reduce
from math import ceil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import total
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.factors import counts_of_tile, tables_of
from gammajax.solve.programs import Program, sizes
from gammajax.solve.separable import settle
from gammajax.solve.status import Status

__all__ = ["TILE", "Layout", "cut", "filled", "layout_of", "surface_program"]

# nodes of a tile along x and y on a CPU: temporaries stay in the cache, and few nodes of a small surface are computed in vain
TILE = (4, 10)
# most nodes along y of a call on an accelerator, which computes all nodes of it at once; up to so many such calls are cut in as many
# pieces each, so that one is fetched while the next one runs
WIDEST, QUARTER = 1024, 4


class Layout(NamedTuple):
    """How a grid is cut: nodes of a tile, which are computed together, and most nodes of one call, along x and y."""

    tile: tuple[int, int]
    capacity: tuple[int, int]


class _Refitted(NamedTuple):
    """Predictions of one node as `settle` takes them."""

    base: jax.Array
    linear: jax.Array


def _along(values: jax.Array, n: Any, block: int, function: Any) -> tuple[jax.Array, jax.Array]:
    """`function` of the first n blocks of values, one row each, and the largest magnitude over the rows."""
    if block == len(values):
        new = jax.vmap(function)(values)
        return new, jnp.max(jnp.abs(new), axis=0)
    one = jax.eval_shape(function, values[0])
    zero = jnp.zeros(one.shape, one.dtype)

    def rows(part: jax.Array) -> tuple[jax.Array, jax.Array]:
        new = jax.vmap(function)(part)
        return new, reduce(jnp.maximum, [jnp.abs(new[i]) for i in range(block)])

    def body(k: jax.Array, state: tuple) -> tuple:
        out, highest = state
        part = jax.lax.dynamic_slice_in_dim(values, k * block, block)
        # what stands in a branch the compiler leaves whole, see `programs`
        new, high = jax.lax.cond(k >= 0, rows, lambda v: (jnp.zeros((block, *one.shape), one.dtype), zero), part)
        return jax.lax.dynamic_update_slice_in_dim(out, new, k * block, 0), jnp.maximum(highest, high)

    return jax.lax.fori_loop(0, n, body, (jnp.zeros((len(values), *one.shape), one.dtype), zero))


@lru_cache(maxsize=64)
def surface_program(tree: Any, parts: tuple, pair: tuple[int, int], refitted: int | None, layout: Layout) -> Program:
    """Program of ``(leaves, common)`` for the statistic on a grid, with what was re-fitted, its EDM and its status.

    Parameters
    ----------
    tree : PyTreeDef
        Structure of a `Compact`, of which the program takes the leaves.
    parts : tuple
        From `gammajax.likelihood.factors.parts_of`.
    pair : (int, int)
        Positions of x and y in theta.
    refitted : int or None
        Position of the strength that is re-fitted.
    layout : `Layout`
        Most nodes along x and y, multiples of those of a tile.

    Returns
    -------
    `Program`
        It takes besides one array of shape (P + 7 + sum of capacity,): parameters, x and y in the middle of the grid, tiles that
        count along x and y, limits of the strength, `tol`; then the values of x and y, filled up with the last one. It returns
        an array of shape (1 or 4, *capacity): the statistic; with a strength re-fitted also that, the EDM and the status. Where all nodes of
        a call are computed at once, as on an accelerator that sends them through a narrow channel, the status comes apart, int8, shape
        `capacity`; otherwise None does. The numbers are nan where products of factors could leave the range of numbers: such a grid is
        computed node by node.
    """
    static = {"tree": tree, "parts": parts, "pair": pair, "refitted": refitted, "layout": layout}
    return Program(partial(_surface, **static), ())


def _surface(
    leaves: tuple,
    common: jax.Array,
    *,
    tree: Any,
    parts: tuple,
    pair: tuple[int, int],
    refitted: int | None,
    layout: Layout,
) -> tuple[jax.Array, jax.Array | None]:
    compact: Compact = jax.tree.unflatten(tree, leaves)
    shape, capacity = layout
    n_par = len(common) - 7 - sum(capacity)
    theta = [common[i] for i in range(n_par)]
    middle = [common[n_par], common[n_par + 1]]
    tiles = common[n_par + 2 : n_par + 4].astype(int)
    lower, upper, tol = common[n_par + 4], common[n_par + 5], common[n_par + 6]
    axes = jnp.split(common[n_par + 7 :], [capacity[0]])
    along = tuple(partial(_along, a, n, t) for a, n, t in zip(axes, tiles, shape, strict=True))
    tables = tables_of(compact, parts, pair, theta, middle, along)  # type: ignore[arg-type]
    node = _held(compact) if refitted is None else _fitted(compact, theta, refitted, lower, upper, tol)
    width = 1 if refitted is None else 4

    def tile(x: jax.Array, y: jax.Array) -> jax.Array:
        def cut(k: int, begin: Any) -> Any:
            return lambda a: jax.lax.dynamic_slice_in_dim(a, begin, shape[k])

        rows, columns = cut(0, x), cut(1, y)
        counts = counts_of_tile(compact, parts, theta, tables, rows(axes[0]), columns(axes[1]), rows, columns)
        return jax.vmap(node)(*counts).reshape(*shape, width)

    def body(k: jax.Array, out: jax.Array) -> jax.Array:
        x, y = (k // tiles[1]) * shape[0], (k % tiles[1]) * shape[1]
        new = jax.lax.cond(k >= 0, tile, lambda x, y: jnp.zeros((*shape, width), common.dtype), x, y)
        return jax.lax.dynamic_update_slice(out, new, (x, y, jnp.zeros_like(x)))

    if shape == capacity:
        first = jnp.zeros((), int)
        out = tile(first, first)
    else:
        out = jax.lax.fori_loop(0, tiles[0] * tiles[1], body, jnp.zeros((*capacity, width), common.dtype))
    columns = jnp.where(tables.usable, jnp.moveaxis(out, 2, 0), jnp.nan)
    apart = refitted is not None and shape == capacity
    return (columns[:3], out[..., 3].astype(jnp.int8)) if apart else (columns, None)


def _held(compact: Compact) -> Any:
    """Statistic of one node."""

    def node(fixed: jax.Array, linear: jax.Array) -> jax.Array:
        return compact.stat_of_counts(fixed)[None]

    return node


def _fitted(compact: Compact, theta: list, refitted: int, lower: Any, upper: Any, tol: Any) -> Any:
    """Minimum over the strength at one node; the statistic is convex in it, so that there is one."""
    best = theta[refitted]
    at_best = compact.fold(theta, (refitted,))
    shape, rest = at_best.linear[0], at_best.base
    _, w1, w2 = compact.bin_slopes(rest + best * shape)
    # the strength follows the shape such that its slope stays zero to first order; as a ratio, it follows far away as well
    weight, back = w1 + best * shape * w2, shape * w2
    constant = total(weight * shape) + total(back * rest)
    one = jnp.asarray([True])

    def node(fixed: jax.Array, linear: jax.Array) -> jax.Array:
        start = best * (constant - total(back * fixed)) / total(weight * linear)
        start = jnp.clip(jnp.where((start * best > 0) & jnp.isfinite(start), start, best), lower, upper)
        a = settle(compact, _Refitted(fixed, linear[None]), start[None], one, lower[None], upper[None])[0]
        w, w1, w2 = compact.bin_slopes(fixed + a * linear)
        gradient, curvature = total(linear * w1), total(linear * linear * w2)
        held = ((a <= lower) & (gradient > 0)) | ((a >= upper) & (gradient < 0))
        edm = jnp.where(held, 0.0, 0.5 * gradient * gradient / jnp.where(curvature > 0, curvature, jnp.nan))
        done = jnp.where(held, Status.AT_LIMIT.value, Status.CONVERGED.value)
        status = jnp.where(edm < tol, done, Status.ITERATION_LIMIT.value)
        return jnp.stack([total(w), a, edm, status.astype(edm.dtype)])

    return node


def layout_of(platform: str, large: bool, shape: tuple[int, int]) -> Layout:
    """How a grid of some shape is cut on a kind of device; `large` for the program for large grids of a CPU."""
    if platform == "cpu":
        return Layout(TILE, (128, 120) if large else (32, 40))
    # powers of two: few programs serve all grids
    columns = min(1 << (shape[1] - 1).bit_length(), WIDEST)
    nodes = sizes(platform).surface
    if shape[0] * shape[1] < QUARTER * nodes:
        nodes //= QUARTER
    whole = (max(nodes // columns, 1), columns)
    return Layout(whole, whole)


def cut(shape: tuple[int, int], layout: Layout, parallel: int) -> list[tuple[slice, slice]]:
    """Blocks of a grid that fit into one call each, and at least as many as there are to work on them."""
    tile, capacity = layout
    if tile == capacity:
        # what is not asked for is computed in vain: as few calls as there can be, all alike
        rows, columns = (ceil(n / ceil(n / c)) for n, c in zip(shape, capacity, strict=True))
    else:
        n_x, n_y = (ceil(n / c) for n, c in zip(shape, capacity, strict=True))
        if n_x * n_y % parallel:
            n_x = min(ceil(n_x / parallel) * parallel, ceil(shape[0] / tile[0]))
        # whole tiles: the last block is the smaller one
        rows, columns = (ceil(ceil(n / k) / t) * t for n, k, t in zip(shape, (n_x, n_y), tile, strict=True))
    return [
        (slice(i, min(i + rows, shape[0])), slice(j, min(j + columns, shape[1])))
        for i in range(0, shape[0], rows)
        for j in range(0, shape[1], columns)
    ]


def filled(values: np.ndarray, n: int) -> np.ndarray:
    """Values filled up to n with the last one."""
    return np.concatenate([values, np.full(n - len(values), values[-1])])
