"""What is added to the statistic of the data: priors of single parameters and penalties on several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.likelihood.structure import taken
from gammajax.parameters import pack_priors
from gammajax.parameters.prior_functions import gaussian_penalty

__all__ = ["Penalty", "penalties_of", "penalty_derivatives", "penalty_stat"]


@dataclass(frozen=True)
class Penalty:
    """What is static about a prior or penalty.

    Attributes
    ----------
    function : callable
        ``function(x, *numbers)``: -2 ln of the prior, a scalar; x has shape (k,).
    index : tuple of int
        Positions in theta of its k parameters.
    """

    function: Callable[..., jax.Array]
    index: tuple[int, ...]


def _one(penalty: Penalty, numbers: tuple, x: jax.Array) -> jax.Array:
    factor, offset, *own = numbers
    # the numbers of a prior are in the units of its parameters; a linked one follows by the offset
    return penalty.function(x / factor + offset, *own)


def penalty_stat(penalties: Sequence[Penalty], numbers: Sequence[tuple], theta: Sequence) -> jax.Array | float:
    """Sum of all priors and penalties, -2 ln; a scalar.

    Parameters
    ----------
    penalties : sequence of `Penalty`
        Static part.
    numbers : sequence of tuple of array
        For each: internal units per unit of its parameters, shape (k,), offsets of those that are linked, then what its function takes.
    theta : sequence of P scalars
        Parameters, internal units.
    """
    total: Any = 0.0
    for p, own, x in _alike(penalties, numbers, theta):
        total = total + (_one(p[0], own, x) if len(p) == 1 else jnp.sum(jax.vmap(partial(_one, p[0]))(own, x)))
    return total


def _alike(penalties: Sequence[Penalty], numbers: Sequence[tuple], theta: Sequence) -> list[tuple]:
    """Penalties of the same function with numbers of the same shapes, those, and the parameters.

    Several are put on a first axis: a prior for each of fifty data sets is one prior to the compiler.
    """
    found: dict[tuple, list[int]] = {}
    for k, (p, own) in enumerate(zip(penalties, numbers, strict=True)):
        found.setdefault((p.function, len(p.index), tuple(map(jnp.shape, own))), []).append(k)
    out = []
    for which in found.values():
        members, own = [penalties[k] for k in which], numbers[which[0]]
        x = taken(theta, tuple(i for p in members for i in p.index))
        if len(which) > 1:
            own = tuple(map(jnp.stack, zip(*(numbers[k] for k in which), strict=True)))
            x = x.reshape(len(which), -1)
        out.append((members, own, x))
    return out


def penalty_derivatives(
    penalties: Sequence[Penalty], numbers: Sequence[tuple], theta: Sequence, active: tuple[int, ...]
) -> tuple[Any, Any, Any]:
    """The same with gradient (A,) and Hessian (A, A) in the positions `active`."""
    n = len(active)
    place = {i: k for k, i in enumerate(active)}
    value, gradient, hessian = jnp.zeros(()), jnp.zeros(n), jnp.zeros((n, n))
    for members, own, x in _alike(penalties, numbers, theta):
        several = len(members) > 1
        of_one, index = partial(_one, members[0]), [i for p in members for i in p.index]

        def each(function: Callable, several: bool = several) -> Callable:
            return jax.vmap(function) if several else function

        value = value + jnp.sum(each(of_one)(own, x))
        if place.keys().isdisjoint(index):
            continue
        slope, curvature = each(jax.grad(of_one, 1))(own, x), each(jax.hessian(of_one, 1))(own, x)
        # constant matrices instead of scattered writes: those are slow in batches
        spread = np.array([[float(i == j) for j in index] for i in active])
        gradient = gradient + spread @ slope.reshape(-1)
        bent = spread @ curvature if not several else _by_block(spread, curvature)
        hessian = hessian + bent @ spread.T
    return value, gradient, hessian


def _by_block(spread: np.ndarray, blocks: jax.Array) -> jax.Array:
    """Product of a matrix (A, m k) with m blocks (k, k) along a diagonal."""
    m, k, _ = blocks.shape
    return jnp.einsum("amk,mkl->aml", spread.reshape(-1, m, k), blocks).reshape(-1, m * k)


def penalties_of(parameters: Any, models: Any) -> tuple[tuple[Penalty, ...], tuple[tuple, ...]]:
    """Priors of the parameters and penalties of the models: what is static about them, and their numbers.

    Parameters
    ----------
    parameters : `Parameters`
        All parameters.
    models : `Models`
        May carry penalties.
    """
    structure, arrays = pack_priors(parameters, getattr(models, "penalties", ()))
    penalties, numbers = [], []
    for (function, i), (values, weight, factor, offset) in zip(structure.priors, arrays, strict=False):
        penalties.append(Penalty(_of_one(function), (i,)))
        numbers.append((np.atleast_1d(factor), np.atleast_1d(offset), *values, weight))
    for index, (mean, precision, weight, factors, offsets) in zip(
        structure.penalties, arrays[len(structure.priors) :], strict=True
    ):
        penalties.append(Penalty(gaussian_penalty, index))
        numbers.append((factors, offsets, mean, weight * precision))
    return tuple(penalties), tuple(numbers)


@lru_cache(maxsize=64)
def _of_one(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """A prior's function of x with shape (1,), its numbers and its weight: one object per kind, so one program."""

    def stat(x: jax.Array, *numbers: jax.Array) -> jax.Array:
        *own, weight = numbers
        return weight * function(x[0], *own, constants=True)

    return stat
