r"""Derivatives of the predictions of all bins, where some parameters belong to a few of the bins only.

A parameter that each data set of a group has of its own (see `groups`) has slopes in the bins of that data set and zeros in
all others. With one such parameter per data set a dense Jacobian is nearly empty, and its products grow with the cube of the number
of data sets; here the slopes of all members stand in one row, and the products with it are sums over the bins of each member.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import total
from gammajax.likelihood.structure import Place, positions

__all__ = ["Entries", "Jacobian", "Own", "embedded", "embedded_matrix", "of_members", "summed_for", "sums_of_members"]


def sums_of_members(values: jax.Array, members: int) -> jax.Array:
    """Sum over the bins of each data set of a group, shape (..., members n) to (..., members)."""
    n, width = values.shape[-1] // members, 8
    each = values.reshape(*values.shape[:-1], members, n)
    whole = n - n % width
    if whole <= width:
        return jnp.sum(each, axis=-1)
    # in columns of vectors, as `total` does
    columns = sum(each[..., k : k + width] for k in range(width, whole, width)) + each[..., :width]
    rest = jnp.sum(each[..., whole:], axis=-1) if n % width else 0.0
    return jnp.sum(columns, axis=-1) + rest


def summed_for(pair: tuple[Place, Place], values: jax.Array) -> jax.Array:
    """Sum over all bins, or over those of each member where one of the places is its own."""
    members = next((len(i) for i in pair if isinstance(i, tuple)), None)
    return total(values.reshape(-1)) if members is None else sums_of_members(values.reshape(-1), members)


def of_members(chosen: Sequence[int], place: tuple[int, ...], row: jax.Array) -> jax.Array:
    """Rows of the positions `chosen`, shape (C, n_bins): what of `row` is in the bins of the members that have them."""
    mine = np.array([[i == p for p in place] for i in chosen], dtype=bool).reshape(len(chosen), len(place), 1)
    return jnp.where(mine, row.reshape(len(place), -1), 0.0).reshape(len(chosen), row.shape[-1])


class Own(NamedTuple):
    """Slopes in an argument that each member of a group has of its own.

    Attributes
    ----------
    bins : slice
        The bins of the group.
    place : tuple of int
        Where the argument is in theta, for each member.
    row : array, shape (n,)
        Slopes in those bins, each in its own member's argument.
    """

    bins: slice
    place: tuple[int, ...]
    row: jax.Array


class Jacobian(NamedTuple):
    """Derivatives of the predictions in the A active parameters.

    Attributes
    ----------
    active : tuple of int
        Positions in theta.
    shared : tuple of int
        Those of them that have a row.
    rows : array, shape (S, n_bins)
        Slopes in those.
    own : list of `Own`
        Slopes in all others.
    """

    active: tuple[int, ...]
    shared: tuple[int, ...]
    rows: jax.Array
    own: list[Own]

    def gradient(self, weight: jax.Array) -> jax.Array:
        """Sum over bins of a weight times the slopes, shape (A,)."""
        out = embedded(self.rows @ weight, self.shared, self.active)
        for o in self.own:
            mine = np.array([[float(i == p) for p in o.place] for i in self.active]).reshape(-1, len(o.place))
            out = out + mine @ sums_of_members(o.row * weight[o.bins], len(o.place))
        return out

    def product(self, weight: jax.Array) -> jax.Array:
        """Sum over bins of a weight times the products of the slopes, shape (A, A)."""
        weighted = self.rows * weight
        out = weighted @ self.rows.T
        out = embedded_matrix(out, self.shared, self.active)
        if not self.own:
            return out
        entries = Entries(self.active)
        for k, o in enumerate(self.own):
            n = len(o.place)
            for i, value in zip(self.shared, sums_of_members(weighted[:, o.bins] * o.row, n), strict=True):
                entries.add(i, o.place, value)
            for other in self.own[: k + 1]:
                if other.bins == o.bins:
                    value = sums_of_members(other.row * o.row * weight[o.bins], n)
                    entries.add(other.place, o.place, value, distinct=other is not o)
        return out + entries.matrix(weight)


def embedded(values: jax.Array, some: tuple[int, ...], active: tuple[int, ...]) -> jax.Array:
    """Values of some parameters, first axis, as those of all active ones, with zeros for the others."""
    if some == active:
        return values
    at = {i: k for k, i in enumerate(some, start=1)}
    padded = jnp.concatenate([jnp.zeros_like(values, shape=(1, *values.shape[1:])), values])
    return padded[np.array([at.get(i, 0) for i in active], dtype=int)]


def embedded_matrix(values: jax.Array, some: tuple[int, ...], active: tuple[int, ...]) -> jax.Array:
    """The same of a symmetric matrix."""
    return embedded(embedded(values, some, active).T, some, active)


class Entries:
    """Sums that are entries of a symmetric matrix over the active parameters, put there by one gather.

    Parameters
    ----------
    active : tuple of int
        Positions in theta, A of them.
    """

    def __init__(self, active: tuple[int, ...]) -> None:
        self.n, self.at = len(active), {i: k for k, i in enumerate(active)}
        self.single: dict[tuple[int, int], Any] = {}
        self.several: list[tuple[list[tuple[int, int]], jax.Array]] = []

    def add(self, i: Place, j: Place, value: jax.Array, distinct: bool = True) -> None:
        """Add to the entries (i, j) and (j, i): a scalar, or (members,) where a place is each one's own.

        Two `distinct` arguments that are one and the same parameter (a link) count twice.
        """
        if not isinstance(i, tuple) and not isinstance(j, tuple):
            key = self._key(i, j)
            value = 2 * value if distinct and i == j else value
            self.single[key] = self.single[key] + value if key in self.single else value
            return
        n = len(i if isinstance(i, tuple) else positions(j))
        pairs = list(zip(*(p if isinstance(p, tuple) else (p,) * n for p in (i, j)), strict=True))
        keys = [self._key(a, b) for a, b in pairs if a in self.at and b in self.at]
        weights = np.zeros((len(dict.fromkeys(keys)), n))
        number = {key: k for k, key in enumerate(dict.fromkeys(keys))}
        for m, (a, b) in enumerate(pairs):
            if a in self.at and b in self.at:
                weights[number[self._key(a, b)], m] = 2.0 if distinct and a == b else 1.0
        if number:
            same = weights.shape == (n, n) and np.array_equal(weights, np.eye(n))
            self.several.append((list(number), value if same else jnp.asarray(weights) @ value))

    def _key(self, i: int, j: int) -> tuple[int, int]:
        a, b = self.at[i], self.at[j]
        return (a, b) if a <= b else (b, a)

    def matrix(self, like: jax.Array) -> jax.Array:
        """The matrix, shape (A, A), of the type of an array."""
        keys = list(self.single)
        layers = [np.zeros((self.n, self.n), dtype=int)]
        for number, key in enumerate((*keys, *(k for ks, _ in self.several for k in ks)), start=1):
            free = next((w for w in layers if w[key] == 0), None)
            if free is None:
                layers.append(free := np.zeros((self.n, self.n), dtype=int))
            free[key] = free[key[::-1]] = number
        values = jnp.stack([jnp.zeros_like(like, shape=()), *(self.single[k] for k in keys)])
        if self.several:
            values = jnp.concatenate([values, *(v for _, v in self.several)])
        return sum((values[w] for w in layers[1:]), start=values[layers[0]])
