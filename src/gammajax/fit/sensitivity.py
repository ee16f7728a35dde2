"""Strengths that could be detected: the TS of data as the models predict them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from gammajax.compiling import compiled
from gammajax.likelihood import STATISTICS
from gammajax.solve.norm import TRACED, norm_crossings

__all__ = ["norm_sensitivity"]


@partial(compiled, static_argnums=0)
def norm_sensitivity(kinds: tuple[str, ...], parts: tuple, level: Any) -> jax.Array:
    r"""Strengths (n,) at which the TS of the Asimov data set has a value.

    The Asimov data set of a strength :math:`\nu` has the counts :math:`\hat n = \nu s + o + b` that are predicted, whole or not, with the
    OFF counts that were measured; for wstat b is the background that fits the measured counts best. Then

    .. math:: \mathrm{TS}(\nu) = W(\hat n(\nu) \mid 0) - W(\hat n(\nu) \mid \nu)

    is about what half of all measurements exceed [1]_. gammapy takes the same, to 1 %.

    Parameters
    ----------
    kinds : tuple of str
        Names of statistics.
    parts : tuple of array, shape (A, n, m)
        For each of them what it takes, and what the source at strength 1 and the others predict, in m channels of n bins.
    level : float
        The TS.

    Returns
    -------
    array, shape (n,)
        nan where no strength has this TS, as without exposure; and where every strength has an infinite one, as without any background.

    References
    ----------
    .. [1] Cowan et al. 2011, Eur. Phys. J. C 71, 1554.
    """
    n = parts[0].shape[1]

    def ts(norm: jax.Array) -> jax.Array:
        out = jnp.zeros(norm.shape)
        for kind, part in zip(kinds, parts, strict=True):
            _, *values, source, others = part[:, :, None, :]
            excess = norm[:, :, None] * source
            asimov = STATISTICS[kind].predicted(part[0][:, None, :], *values, excess + others)
            null, best = (STATISTICS[kind].value(asimov, *values, others + x) for x in (0.0, excess))
            out = out + jnp.sum(null - best, axis=2)
        return out

    def curve(norm: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        value, slope = jax.jvp(ts, (norm,), (jnp.ones(norm.shape),))
        return value, slope, jnp.zeros(norm.shape)

    # a first guess; the crossing is bracketed from there
    begin, typical = jnp.zeros(n), jnp.ones(n)
    return norm_crossings(curve, begin, begin, typical, jnp.array([1.0]) * level, jnp.ones(1), TRACED)[:, 0]
