"""The least that a frozen scan has to do: its exponentials and its matrix product, in a program of their own."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.problem import SURFACE

__all__ = ["exponentials_and_product"]

INNER = 256


def exponentials_and_product(side: Any, n: int) -> Callable[[], Any]:
    """A call that does only that for n x n nodes of the log-parabola, with the same nodes, on the same threads.

    Parameters
    ----------
    side : `benchmarks.gammajax_side.GammajaxSide`
        Data read.
    n : int
        Nodes along each axis.
    """
    import jax
    import jax.numpy as jnp

    from gammajax.solve.programs import in_parallel

    compact = side.api.Likelihood(side.datasets).compact()
    rule, matrix = compact.bins[0].rules[0], compact.bins[0].matrix

    @jax.jit
    def program(nodes: Any, weights: Any, matrix: Any, points: Any) -> Any:
        x = jnp.log(nodes)

        def one(point: Any) -> Any:
            flux = jnp.sum(jnp.exp(-(point[0] + point[1] * x) * x) * weights, axis=0)
            return jnp.sum(flux @ matrix)

        return jax.lax.map(one, points, batch_size=INNER)

    mesh = np.meshgrid(*(np.linspace(v[0], v[-1], n) for v in SURFACE.values()), indexing="ij")
    points = np.stack([m.ravel() for m in mesh], axis=1)
    capacity = 1024

    def piece(begin: int, end: int) -> Any:
        part = np.zeros((capacity, 2))
        part[: end - begin] = points[begin:end]
        return np.asarray(program(rule.nodes, rule.weights, matrix, part))

    def call() -> Any:
        return [out for *_, out in in_parallel(piece, len(points), capacity, INNER, "cpu", ("floor", n))]

    return call
