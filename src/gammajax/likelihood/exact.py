"""A statistic for the solver that knows nothing of its inside: derivatives by differentiating the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["Exact"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Exact:
    """What the solver asks of a likelihood, by automatic differentiation of its statistic; no parameter is treated as linear.

    Parameters
    ----------
    likelihood : object
        With ``stat(theta)``; a pytree.
    """

    likelihood: Any

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """None."""
        return ()

    def constants(self) -> tuple[int, ...]:
        """None."""
        return ()

    def stat(self, theta: Sequence) -> jax.Array:
        """Statistic -2 ln L; `theta` is a sequence of P scalars."""
        return self.likelihood.stat(jnp.stack([jnp.asarray(t) for t in theta]))

    def fold(self, theta: Sequence, active: tuple[int, ...]) -> list:
        """Nothing is computed beforehand."""
        return list(theta)

    def scores(self, folded: Sequence, strengths: Sequence | None, active: tuple[int, ...]) -> tuple:
        """Statistic, gradient (A,) and the two parts of the Hessian (A, A); the first is never negative.

        The first part is diagonal: the sums of the magnitudes in each row, taken where the diagonal is 1, so that it does not depend on
        units and is at least as large as the whole.
        """
        theta = [jnp.asarray(t) for t in folded]

        def stat(x: jax.Array) -> jax.Array:
            columns = list(theta)
            for k, i in enumerate(active):
                columns[i] = x[k]
            return self.likelihood.stat(jnp.stack(columns))

        x = jnp.stack([theta[i] for i in active]) if active else jnp.zeros(0)
        value, gradient = jax.value_and_grad(stat)(x)
        hessian = jax.jacfwd(jax.grad(stat))(x)
        diagonal = jnp.abs(jnp.diagonal(hessian))
        unit = jnp.where(diagonal > 0, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 1.0)
        first = jnp.diag((jnp.abs(hessian) @ unit) / unit)
        return value, gradient, first, hessian - first
