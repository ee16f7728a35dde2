"""Small symmetric systems, one per lane of a batch."""

import jax
import jax.numpy as jnp

__all__ = ["cholesky_solve"]

# LAPACK called once per lane costs 10 to 70 times the arithmetic below this size
WRITTEN_OUT = 8


def cholesky_solve(matrix: jax.Array, vector: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Solve A x = b for a symmetric matrix by Cholesky's method.

    Parameters
    ----------
    matrix : array, shape (n, n)
        A.
    vector : array, shape (n,)
        b.

    Returns
    -------
    x : array, shape (n,)
        The solution; meaningless where A is not positive definite.
    positive : bool scalar
        Whether A is positive definite.
    """
    n = matrix.shape[-1]
    return _written_out(matrix, vector) if n <= WRITTEN_OUT else _library(matrix, vector)


def _library(matrix: jax.Array, vector: jax.Array) -> tuple[jax.Array, jax.Array]:
    factor = jnp.linalg.cholesky(matrix)
    positive = jnp.all(jnp.isfinite(factor))
    factor = jnp.where(positive, factor, jnp.eye(matrix.shape[-1], dtype=matrix.dtype))
    x = jax.scipy.linalg.cho_solve((factor, True), vector)
    return x, positive


def _written_out(matrix: jax.Array, vector: jax.Array) -> tuple[jax.Array, jax.Array]:
    n = matrix.shape[-1]
    low: list[list[jax.Array]] = [[jnp.zeros(())] * n for _ in range(n)]
    positive = jnp.asarray(True)
    for j in range(n):
        pivot = matrix[j, j]
        for k in range(j):
            pivot = pivot - low[j][k] ** 2
        positive = positive & (pivot > 0)
        root = jnp.sqrt(jnp.where(pivot > 0, pivot, 1.0))
        low[j][j] = root
        for i in range(j + 1, n):
            entry = matrix[i, j]
            for k in range(j):
                entry = entry - low[i][k] * low[j][k]
            low[i][j] = entry / root
    y: list[jax.Array] = []
    for i in range(n):
        entry = vector[i]
        for k in range(i):
            entry = entry - low[i][k] * y[k]
        y.append(entry / low[i][i])
    x: list[jax.Array] = [jnp.zeros(())] * n
    for i in reversed(range(n)):
        entry = y[i]
        for k in range(i + 1, n):
            entry = entry - low[k][i] * x[k]
        x[i] = entry / low[i][i]
    return jnp.stack(x) if n else vector, positive
