"""What the mathematics of a temporal model is, and its mean over good time intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["TemporalForm", "interval_integrals", "mean_over", "values_at"]


@dataclass(frozen=True)
class TemporalForm:
    """What the mathematics of a temporal model is: static, hashable, no values.

    Attributes
    ----------
    evaluate : callable
        ``evaluate(t, *parameters)``, a pure function of arrays: t in days since the reference time, the parameters without it.
    integral : callable
        ``integral(start, width, *parameters)``: over intervals of some width (d) that begin at `start` (d since the reference
        time), in d. A width of its own, for the difference of two late times has lost its digits.
    names : tuple of str
        Parameter names in the order of the class.
    reference : int, optional
        Which of them is the reference time.
    constants : tuple of str
        Parameters that hardly anybody fits.
    links : tuple of (float, float), optional
        Factor and offset through which each argument becomes a parameter, where some follow others.
    """

    evaluate: Callable[..., jax.Array]
    integral: Callable[..., jax.Array]
    names: tuple[str, ...] = ()
    reference: int | None = None
    constants: tuple[str, ...] = ()
    links: tuple[tuple[float, float], ...] = ()

    def split(self, parameters: Sequence) -> tuple[Any, list]:
        """The reference time, MJD, and the other parameters."""
        others = list(parameters)
        if self.links:
            others = [f * x + o for (f, o), x in zip(self.links, others, strict=True)]
        return (0.0 if self.reference is None else others.pop(self.reference)), others


def values_at(form: TemporalForm, day: jax.Array, rest: jax.Array, parameters: Sequence) -> jax.Array:
    """Values at times given in two parts (MJD), any shape."""
    reference, others = form.split(parameters)
    # the whole parts first: their difference is exact
    return form.evaluate((day - reference) + rest, *others)


def interval_integrals(form: TemporalForm, times: jax.Array, parameters: Sequence) -> tuple[jax.Array, jax.Array]:
    """Integrals over intervals, and their widths.

    Parameters
    ----------
    form : `TemporalForm`
        The model.
    times : array, shape (4, n)
        Whole part and rest of the starts, then of the stops; MJD in the scale of the model.
    parameters : sequence of scalars
        In the order of ``form.names``, internal units.

    Returns
    -------
    integrals, widths : array, shape (n,)
        d.
    """
    reference, others = form.split(parameters)
    width = (times[2] - times[0]) + (times[3] - times[1])
    return form.integral((times[0] - reference) + times[1], width, *others), width


def mean_over(form: TemporalForm, times: jax.Array, parameters: Sequence) -> jax.Array:
    r"""Mean over good time intervals, :math:`\sum_i \int_i N(t)\,dt / \sum_i \Delta t_i`: what a constant flux is multiplied with."""
    integrals, widths = interval_integrals(form, times, parameters)
    return jnp.sum(integrals) / jnp.sum(widths)
