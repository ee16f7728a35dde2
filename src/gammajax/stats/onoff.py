r"""The W statistic: Poisson counts in an ON and an OFF region, the background profiled out bin by bin.

Symbols: :math:`\mu_b` is the expected number of OFF counts, :math:`\alpha \mu_b` the background in the ON
region, :math:`\mu_{on} = \mu_{sig} + \alpha \mu_b`. Everything is written in the two ratios
:math:`r = n_{on}/\mu_{on}` and :math:`q = n_{off}/\mu_b`, with limits where their parts vanish. They solve

.. math::

    \alpha \mu_{sig} r^2 - E r + (1+\alpha) n_{on} = 0, \qquad
    \mu_{sig} q^2 + C q - \alpha (1+\alpha) n_{off} = 0,

with :math:`C, E = \alpha (n_{on} + n_{off}) \mp (1+\alpha) \mu_{sig}` and one discriminant,
:math:`D^2 = C^2 + 4 \alpha (1+\alpha) n_{off} \mu_{sig} = E^2 - 4 \alpha (1+\alpha) n_{on} \mu_{sig}`.
The background is stationary, :math:`q = 1 + \alpha (1 - r)`, hence
:math:`W = 2 [\mu_{sig} (1 - r) + n_{on} \ln r + n_{off} \ln q]`.

First derivatives are those of the envelope theorem, second ones those of the implicit function theorem: in
mu_sig, :math:`W' = 2 (1 - r)` and :math:`W'' = 2 r q / D`. All are exact, for every input. The corners:

- D = 0: n_off = 0 at mu_sig = alpha n_on/(1+alpha), where W leaves a straight line; n_on = 0 at
  mu_sig = -alpha n_off/(1+alpha), below which the profiled mu_on is 0 and W, finite, turns; no counts at
  mu_sig = 0, where W' jumps from -2/alpha to 2. The value given is the limit from above: W'' is
  2 n_on/mu_sig^2, 0 and 0. Second derivatives that diverge there (some of those in a count) are given as 0.
- n_on = 0 or n_off = 0: dW/dn is 2 ln 0 unless the ratio has a limit. The argument is floored at the smallest
  normal number, so it is large and finite, and a tangent of zero gives zero; its derivative is given as 0.
- alpha = 0: no background in the ON region, mu_b = n_off. With mu_sig < 0, or mu_sig = 0 and n_on > 0, it is
  outside the domain: W = +inf, the derivatives in mu_sig those of the linear part, 2 and 0.
- abs(mu_sig) above 1e151 (1e16 in single precision), where D would overflow: W = +inf, derivatives finite.
- A NaN comes out as NaN. Counts and alpha are taken to be non-negative; the data sets check that.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gammajax.stats.guards import floats, floored_log, inverse, largest_ratio, weighted_sum

__all__ = ["wstat", "wstat_mu_bkg", "wstat_mu_sig_derivatives"]


def _discriminant(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
    """C, E and D; D from terms that are not negative, for either sign of mu_sig."""
    on, off, signal = alpha * n_on, alpha * n_off, (1 + alpha) * mu_sig
    c, e = on + off - signal, on + off + signal
    positive = mu_sig > 0
    base = jnp.where(positive, c, e)
    cross = jnp.where(positive, off, on) * abs(signal)
    # without the cross term the root is taken by hand: exact, no underflow, and no 0/0 in its derivative
    mixed = cross > 0
    d = jnp.where(mixed, jnp.sqrt(jnp.where(mixed, base * base + 4 * cross, 1.0)), abs(base))
    return c, e, d


def _bounded(mu_sig: jax.Array) -> jax.Array:
    limit = largest_ratio(mu_sig.dtype)
    return jnp.clip(mu_sig, -limit, limit)


def _roots(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
    """r, q, mu_b, mu_on and D, each from the form of its root that adds numbers of one sign."""
    mu_sig = _bounded(mu_sig)
    c, e, d = _discriminant(n_on, n_off, alpha, mu_sig)
    # C < 0 implies mu_sig > 0, E < 0 implies mu_sig < 0
    top, bottom = jnp.where(c < 0, 2 * mu_sig, c + d), jnp.where(c < 0, d - c, 2 * alpha * (1 + alpha))
    q = jnp.where(c < 0, 1.0, n_off) * bottom / jnp.where(top == 0, 1.0, top)
    mu_b = jnp.where(c < 0, n_off, 1.0) * top / jnp.where(bottom == 0, 1.0, bottom)
    mu_b = jnp.where(bottom == 0, n_off, mu_b)
    top_on, bottom_on = jnp.where(e < 0, -2 * alpha * mu_sig, e + d), jnp.where(e < 0, d - e, 2 * (1 + alpha))
    r = jnp.where(e < 0, 1.0, n_on) * bottom_on / jnp.where(top_on == 0, 1.0, top_on)
    mu_on = jnp.where(e < 0, n_on, 1.0) * top_on / bottom_on
    return jnp.where(top_on == 0, 0.0, r), jnp.where(top == 0, 1 + alpha, q), mu_b, mu_on, d


@jax.custom_jvp
def _ratios(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
    """r, q and mu_b."""
    return _roots(n_on, n_off, alpha, mu_sig)[:3]


def _ratios_jvp(primals: tuple, tangents: tuple) -> tuple:
    _, _, alpha, mu_sig = primals
    r, q, mu_b = _ratios(*primals)
    *_, mu_on, d = _roots(*primals)
    r = jnp.minimum(r, largest_ratio(r.dtype))
    per_d = inverse(d)
    q_per_d = _q_per_d(q, d, mu_sig)
    on_per_d = jnp.where(d > 0, mu_on * per_d, jnp.where(mu_sig > 0, 0.0, 1 / (1 + alpha)))
    r_per_d, b_per_d = r * per_d, alpha * mu_b * per_d
    dr = weighted_sum((q_per_d, -alpha * r_per_d, -mu_b * r_per_d, -r * q_per_d), tangents)
    dq = weighted_sum((-alpha, 1 - r), (dr, tangents[2]))
    by_alpha = -mu_b * (on_per_d - mu_sig * r_per_d)
    db = weighted_sum((b_per_d, on_per_d, by_alpha, -r * b_per_d), tangents)
    return _ratios(*primals), (dr, dq, db)


def _q_per_d(q: jax.Array, d: jax.Array, mu_sig: jax.Array) -> jax.Array:
    """q/D; at D = 0 its limit from above."""
    return jnp.where(d > 0, q * inverse(d), inverse(mu_sig))


def _value(counts: tuple, alpha: jax.Array, mu_sig: jax.Array, ratios: tuple) -> jax.Array:
    (n_on, n_off), (r, q) = counts, ratios
    outside = (alpha <= 0) & ((mu_sig < 0) | ((mu_sig == 0) & (n_on > 0)))
    outside = outside | (abs(mu_sig) > largest_ratio(mu_sig.dtype))
    log_r = jnp.log(jnp.where((n_on > 0) & ~outside, r, 1.0))
    log_q = jnp.log(jnp.where((n_off > 0) & ~outside, q, 1.0))
    # never negative in truth; rounding could leave -1e-16, whose square root is NaN
    return jnp.where(outside, jnp.inf, 2 * jnp.maximum(mu_sig * (1 - r) + n_on * log_r + n_off * log_q, 0.0))


@jax.custom_jvp
def _wstat(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> jax.Array:
    r, q, _ = _ratios(n_on, n_off, alpha, mu_sig)
    return _value((n_on, n_off), alpha, mu_sig, (r, q))


def _wstat_jvp(primals: tuple, tangents: tuple) -> tuple:
    n_on, n_off, alpha, mu_sig = primals
    r, q, mu_b = _ratios(*primals)
    by_sig = 2 * (1 - jnp.minimum(r, largest_ratio(r.dtype)))
    partial = (2 * floored_log(r), 2 * floored_log(q), mu_b * by_sig, by_sig)
    return _value((n_on, n_off), alpha, mu_sig, (r, q)), weighted_sum(partial, tangents)


_ratios.defjvp(_ratios_jvp, symbolic_zeros=True)
_wstat.defjvp(_wstat_jvp, symbolic_zeros=True)


def wstat_mu_bkg(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike) -> jax.Array:
    r"""Profile out the background: expected OFF counts :math:`\mu_b` of greatest likelihood for a signal.

    :math:`\mu_b = (C + D) / (2 \alpha (1 + \alpha))`, or :math:`2 n_{off} \mu_{sig} / (D - C)` where C < 0,
    with :math:`C = \alpha (n_{on} + n_{off}) - (1 + \alpha) \mu_{sig}` and
    :math:`D^2 = C^2 + 4 \alpha (1 + \alpha) n_{off} \mu_{sig}`.

    Parameters
    ----------
    n_on, n_off : array_like
        Counts in the ON and OFF regions, any shape; integers are accepted.
    alpha : array_like
        Ratio of ON to OFF acceptance; with 0, the limit n_off.
    mu_sig : array_like
        Expected signal counts in the ON region; negative values are allowed.

    Returns
    -------
    jax.Array
        Expected OFF counts per bin; the background in the ON region is alpha times that.

    References
    ----------
    Wachter, Leach & Kellogg 1979, ApJ 230, 274.

    Examples
    --------
    >>> round(float(wstat_mu_bkg(10, 20, 0.5, 0.0)), 5)
    20.0
    """
    return _ratios(*floats(n_on, n_off, alpha, mu_sig))[2]


def wstat(n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike) -> jax.Array:
    r"""W statistic per bin: -2 ln of the likelihood ratio to the saturated model, 0 for perfect agreement.

    .. math::

        W = 2 [\mu_{on} - n_{on} + n_{on} \ln(n_{on}/\mu_{on})
               + \mu_b - n_{off} + n_{off} \ln(n_{off}/\mu_b)],

    with :math:`\mu_b` from `wstat_mu_bkg` and :math:`\mu_{on} = \mu_{sig} + \alpha \mu_b`.

    Parameters
    ----------
    n_on, n_off : array_like
        Counts in the ON and OFF regions, any shape; integers are accepted.
    alpha : array_like
        Ratio of ON to OFF acceptance.
    mu_sig : array_like
        Expected signal counts in the ON region; negative values are allowed where alpha > 0.

    Returns
    -------
    jax.Array
        Statistic per bin; +inf for alpha = 0 with mu_sig < 0, or with mu_sig = 0 where n_on > 0.

    References
    ----------
    Wachter, Leach & Kellogg 1979, ApJ 230, 274; the constant is that of XSPEC, Sherpa and gammapy.

    Examples
    --------
    >>> [round(float(w), 5) for w in wstat([10, 0], [20, 4], 0.5, [0.0, 3.0])]
    [0.0, 9.24372]
    """
    return _wstat(*floats(n_on, n_off, alpha, mu_sig))


def wstat_mu_sig_derivatives(
    n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`wstat` with its first and second derivative in the signal.

    :math:`W' = 2 (1 - n_{on}/\mu_{on})` and :math:`W'' = 2 n_{on} n_{off} / (\mu_{on} \mu_b D)`, which equals
    :math:`2 n_{on}/\mu_{on}^2\, (1 + \alpha\, d\mu_b/d\mu_{sig})`, with D of `wstat_mu_bkg`.

    Parameters
    ----------
    n_on, n_off, alpha, mu_sig : array_like
        As in `wstat`.

    Returns
    -------
    value, first, second : jax.Array
        Per bin; the second derivative is never negative. Where it jumps it is the limit from above.

    Examples
    --------
    >>> [round(float(x), 5) for x in wstat_mu_sig_derivatives(10, 0, 1.0, 5.0)]
    [3.86294, -2.0, 0.8]
    """
    n_on, n_off, alpha, mu_sig = floats(n_on, n_off, alpha, mu_sig)
    r, q, _, _, d = _roots(n_on, n_off, alpha, mu_sig)
    value = _value((n_on, n_off), alpha, mu_sig, (r, q))
    r = jnp.minimum(r, largest_ratio(r.dtype))
    return value, 2 * (1 - r), 2 * r * _q_per_d(q, d, mu_sig)
