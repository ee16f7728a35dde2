r"""Factors on alpha, the ratio of acceptances of ON/OFF spectra: what they add to the derivatives of the statistic.

A factor changes no prediction but an array of the statistic, :math:`\alpha = \alpha_0 f(\theta)`. With :math:`A = \partial\alpha/\partial\theta`
and the profiled background :math:`\mu_b` the slope is :math:`\partial W/\partial\theta = W' (\partial\mu/\partial\theta + \mu_b A)`: for the gradient, and for
the part of the Hessian that is never negative, :math:`\mu_b A` is one more slope of the prediction. What is left of the exact Hessian is
:math:`(W_{\alpha\mu} - \mu_b W'')\,A\,\partial\mu/\partial\theta` and :math:`(W_{\alpha\alpha} - \mu_b^2 W'')\,A^2`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gammajax.likelihood.bins import Bins
from gammajax.likelihood.jacobian import Entries, Jacobian, Own, summed_for
from gammajax.likelihood.structure import DatasetStructure, Place, per_bin, positions
from gammajax.stats import wstat_alpha_derivatives

__all__ = ["AlphaSlopes", "alpha_slopes", "remainder", "scaled", "with_alpha"]


class AlphaSlopes(NamedTuple):
    r"""What a factor on alpha does in the bins of a data set, or of a group of them.

    Attributes
    ----------
    bins : slice
        Which bins of all.
    place : `Place`
        Where the factor is in theta.
    row : array, shape (n,)
        :math:`\mu_b A`.
    mixed, bent : array, shape (n,)
        :math:`(W_{\alpha\mu} - \mu_b W'') A` and :math:`(W_{\alpha\alpha} - \mu_b^2 W'') A^2`.
    """

    bins: slice
    place: Place
    row: jax.Array
    mixed: jax.Array
    bent: jax.Array


def scaled(structure: DatasetStructure, bins: Bins, theta: Any) -> Bins:
    """The bins with alpha times its factor at `theta`; those without one as they are."""
    if structure.alpha is None:
        return bins
    k = structure.stat.arrays.index("alpha")
    values = list(bins.values)
    values[k] = values[k] * per_bin(structure.alpha_factor(theta), bins.size)
    return replace(bins, values=tuple(values))


def alpha_slopes(
    structures: Sequence[DatasetStructure], bins: Sequence[Bins], theta: Any, mu: jax.Array, curvature: jax.Array
) -> list[AlphaSlopes]:
    """Of all data sets that have a factor on alpha.

    Parameters
    ----------
    structures, bins : sequence
        Of the data sets or groups; the bins without the factor.
    theta : array, shape (P,), or sequence of P scalars
        Parameters, internal units.
    mu, curvature : array, shape (n_bins,)
        Prediction and second derivative of the statistic in it.
    """
    out, begin = [], 0
    for s, b in zip(structures, bins, strict=True):
        where = slice(begin, begin + b.size)
        begin += b.size
        if s.alpha is None:
            continue
        by_theta = s.alpha_link[0] * b.values[s.stat.arrays.index("alpha")]
        n_on, n_off, alpha = scaled(s, b, theta).values
        background, mixed, bent = wstat_alpha_derivatives(n_on, n_off, alpha, mu[where])
        row = background * by_theta
        mixed = (mixed - background * curvature[where]) * by_theta
        bent = bent * by_theta * by_theta - row * row * curvature[where]
        out.append(AlphaSlopes(where, s.alpha, row, mixed, bent))
    return out


def with_alpha(jacobian: Jacobian, slopes: Sequence[AlphaSlopes]) -> Jacobian:
    """The slopes of the predictions with those that alpha has beside them."""
    rows, own = jacobian.rows, list(jacobian.own)
    for a in slopes:
        if isinstance(a.place, tuple):
            own.append(Own(a.bins, a.place, a.row))
        elif a.place in jacobian.shared:
            mine = jnp.pad(a.row, (a.bins.start, rows.shape[1] - a.bins.stop))
            rows = jnp.stack([r + mine if i == a.place else r for i, r in zip(jacobian.shared, rows, strict=True)])
    return jacobian._replace(rows=rows, own=own)


def remainder(jacobian: Jacobian, slopes: Sequence[AlphaSlopes]) -> jax.Array:
    """What of the exact Hessian the products of `with_alpha` do not hold, shape (A, A).

    Parameters
    ----------
    jacobian : `Jacobian`
        Slopes of the predictions alone.
    slopes : sequence of `AlphaSlopes`
        Of the factors.
    """
    entries = Entries(jacobian.active)
    for a in slopes:
        if entries.at.keys().isdisjoint(positions(a.place)):
            continue
        found: list[tuple[Place, jax.Array]] = list(zip(jacobian.shared, jacobian.rows[:, a.bins], strict=True))
        found += [(o.place, o.row) for o in jacobian.own if o.bins == a.bins]
        for place, row in found:
            pair = place, a.place
            entries.add(*pair, summed_for(pair, row * a.mixed))
        entries.add(a.place, a.place, summed_for((a.place, a.place), a.bent), distinct=False)
    return entries.matrix(jacobian.rows if not slopes else slopes[0].row)
