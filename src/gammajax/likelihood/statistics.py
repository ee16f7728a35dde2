"""The statistics a data set can be fitted with: which arrays each takes, and its value and slopes per bin.

A new statistic joins by one row of `STATISTICS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.stats import (
    cash,
    cash_derivatives,
    cstat,
    cstat_derivatives,
    distrib,
    distrib_derivatives,
    likelihood_profile,
    likelihood_profile_derivatives,
    wstat,
    wstat_mu_bkg,
    wstat_mu_sig_derivatives,
)

__all__ = ["STATISTICS", "Statistic", "spread_mask"]


@dataclass(frozen=True)
class Statistic:
    """One statistic: functions of its arrays and of what the models predict, all of shape (n_bins,).

    Attributes
    ----------
    arrays : tuple of str
        Names of the arrays, in the order of the arguments.
    harmless : tuple of float
        What they are in a bin that is not in the fit: with a prediction of 0 its statistic and its derivatives are 0 there.
    measured : str
        The array that a prediction is compared with.
    value : callable
        ``value(*arrays, mu)``: statistic per bin, -2 ln L.
    slopes : callable
        ``slopes(*arrays, mu)``: the same, and its first and second derivative in mu.
    predicted : callable
        ``predicted(*arrays, mu)``: what the measured array should be.
    lowest : callable
        ``lowest(*arrays)``: the smallest mu that gammapy lets through.
    concave : bool
        Whether its second derivative can be negative.
    """

    arrays: tuple[str, ...]
    harmless: tuple[float, ...]
    measured: str
    value: Callable[..., jax.Array]
    slopes: Callable[..., tuple[jax.Array, jax.Array, jax.Array]]
    predicted: Callable[..., jax.Array]
    lowest: Callable[..., Any]
    concave: bool = False


def spread_mask(mask: Any, values: Any) -> Any:
    """A mask of bins, shape (n,), for an array of them that may have further axes."""
    return mask.reshape(mask.shape + (1,) * (np.ndim(values) - mask.ndim))


def _wstat_predicted(n_on: Any, n_off: Any, alpha: Any, mu: Any) -> jax.Array:
    return mu + alpha * wstat_mu_bkg(n_on, n_off, alpha, mu)


def _known_background(value: Callable, slopes: Callable) -> Statistic:
    """A statistic of counts with a known background."""
    return Statistic(
        ("n_on", "background"),
        (0.0, 0.0),
        "n_on",
        lambda n_on, background, mu: value(n_on, background + mu),
        lambda n_on, background, mu: slopes(n_on, background + mu),
        lambda n_on, background, mu: background + mu,
        lambda n_on, background: -background,
    )


def _chi2_slopes(value: Any, weight: Any, mu: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    pull = (mu - value) * weight
    return pull * pull, 2 * pull * weight, 2 * weight * weight


STATISTICS: dict[str, Statistic] = {
    "wstat": Statistic(
        ("n_on", "n_off", "alpha"),
        (0.0, 0.0, 1.0),
        "n_on",
        wstat,
        wstat_mu_sig_derivatives,
        _wstat_predicted,
        lambda n_on, n_off, alpha: jnp.zeros_like(alpha),
    ),
    "cash": _known_background(cash, cash_derivatives),
    "cstat": _known_background(cstat, cstat_derivatives),
    # the weight is 1 / error
    "chi2": Statistic(
        ("value", "weight"),
        (0.0, 0.0),
        "value",
        lambda value, weight, mu: _chi2_slopes(value, weight, mu)[0],
        _chi2_slopes,
        lambda value, weight, mu: mu,
        lambda value, weight: jnp.full_like(value, -jnp.inf),
    ),
    # weights below and above are 1 / error
    "distrib": Statistic(
        ("value", "below", "above", "limit"),
        (0.0, 0.0, 0.0, 0.0),
        "value",
        distrib,
        distrib_derivatives,
        lambda *arrays: arrays[-1],
        lambda value, *_: jnp.full_like(value, -jnp.inf),
        concave=True,
    ),
    "profile": Statistic(
        ("value", "reference", "edges", "left", "c2", "c1", "c0"),
        (0.0, 1.0, np.inf, 0.0, 0.0, 0.0, 0.0),
        "value",
        likelihood_profile,
        likelihood_profile_derivatives,
        lambda *arrays: arrays[-1],
        lambda value, *_: jnp.full_like(value, -jnp.inf),
        concave=True,
    ),
}
