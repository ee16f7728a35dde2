"""The least that a frozen scan has to do: its exponentials and its matrix product, in a program of their own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.problem import SURFACE

__all__ = ["exponentials_and_product"]

INNER, CAPACITY = 32, 8192


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

    from gammajax.elementary import exp
    from gammajax.models.integrate import flux_per_bin
    from gammajax.models.spectral import LogParabolaSpectralModel
    from gammajax.solve.programs import OPTIONS, in_parallel

    compact = side.api.Likelihood(side.datasets).compact()
    rule, matrix = compact.bins[0].rules[0], compact.bins[0].matrix

    def log_parabola(energy: Any, alpha: Any, beta: Any) -> Any:
        x = jnp.log(energy)
        return exp(-(alpha + beta * x) * x)

    form = replace(LogParabolaSpectralModel.form, evaluate=log_parabola, names=("alpha", "beta"))

    def program(rule: Any, matrix: Any, points: Any) -> Any:
        def one(point: Any) -> Any:
            return jnp.sum(flux_per_bin(form, rule, [point[0], point[1]]) @ matrix)

        def block(part: Any) -> Any:
            # as in the solver: what stands in a branch is not cut in pieces by the compiler
            return jax.lax.cond(part[0, 0] < jnp.inf, jax.vmap(one), lambda p: p[:, 0], part)

        return jax.lax.map(block, points.reshape(-1, INNER, 2))

    compiled = jax.jit(program, compiler_options=OPTIONS)

    mesh = np.meshgrid(*(np.linspace(v[0], v[-1], n) for v in SURFACE.values()), indexing="ij")
    points = np.stack([m.ravel() for m in mesh], axis=1)

    def piece(begin: int, end: int) -> Any:
        part = np.zeros((CAPACITY, 2))
        part[: end - begin] = points[begin:end]
        return np.asarray(compiled(rule, matrix, part))

    def call() -> Any:
        return [out for *_, out in in_parallel(piece, len(points), CAPACITY, INNER, "cpu", ("floor", n))]

    return call
