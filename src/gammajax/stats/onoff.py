r"""The W statistic: Poisson counts in an ON and an OFF region, the background profiled out bin by bin.

Symbols: :math:`\mu_b` is the expected number of OFF counts, :math:`\alpha \mu_b` the background in the ON
region, :math:`\mu_{on} = \mu_{sig} + \alpha \mu_b`, :math:`r = n_{on}/\mu_{on}` and :math:`q = n_{off}/\mu_b`. The
background is stationary, :math:`q = 1 + \alpha (1 - r)`, hence
:math:`W = 2 [\mu_{sig} (1 - r) + n_{on} \ln r + n_{off} \ln q]`, which is what is computed.

First derivatives are those of the envelope theorem, second ones those of the implicit function theorem: in
mu_sig, :math:`W' = 2 (1 - r)` and :math:`W'' = 2 r q / D`. All are exact, for every input. The corners:

- D = 0: n_off = 0 at mu_sig = alpha n_on/(1+alpha), where W leaves a straight line; n_on = 0 at
  mu_sig = -alpha n_off/(1+alpha), below which the profiled mu_on is 0 and W, finite, turns; no counts at
  mu_sig = 0, where W' jumps from -2/alpha to 2. The value given is the limit from above: W'' is
  2 n_on/mu_sig^2, 0 and 0. Second derivatives that diverge there (some of those in a count) are given as 0.
- n_on = 0 or n_off = 0: dW/dn is 2 ln 0 unless the ratio has a limit. The argument is floored at the smallest
  normal number, so it is large and finite, and a tangent of zero gives zero; d2W/dn^2, infinite, is given as 0.
- alpha = 0: no background in the ON region, mu_b = n_off. With mu_sig < 0, or mu_sig = 0 and n_on > 0, it is
  outside the domain: W = +inf, the derivatives in mu_sig those of the linear part, 2 and 0.
- abs(mu_sig) above 1e151 (1e16 in single precision), where D would overflow: W = +inf, derivatives finite.
- A NaN comes out as NaN. Counts and alpha are taken to be non-negative; the data sets check that.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gammajax.elementary import log
from gammajax.stats.background import log_ratios, over_d, ratios, roots
from gammajax.stats.guards import floats, largest_ratio, weighted_sum

__all__ = ["wstat", "wstat_alpha_derivatives", "wstat_mu_bkg", "wstat_mu_sig_derivatives"]


@jax.custom_jvp
def _wstat(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> jax.Array:
    r, q, *_ = roots(n_on, n_off, alpha, mu_sig)
    return _value((n_on, n_off), alpha, mu_sig, (r, q))


def _wstat_jvp(primals: tuple, tangents: tuple) -> tuple:
    r, _, mu_b = ratios(*primals)
    log_r, log_q = log_ratios(*primals)
    by_sig = 2 * (1 - r)
    return _wstat(*primals), weighted_sum((2 * log_r, 2 * log_q, mu_b * by_sig, by_sig), tangents)


def _value(counts: tuple, alpha: jax.Array, mu_sig: jax.Array, r_q: tuple) -> jax.Array:
    (n_on, n_off), (r, q) = counts, r_q
    outside = (alpha <= 0) & ((mu_sig < 0) | ((mu_sig == 0) & (n_on > 0)))
    outside = outside | (abs(mu_sig) > largest_ratio(mu_sig.dtype))
    log_r = log(jnp.where((n_on > 0) & ~outside, r, 1.0))
    log_q = log(jnp.where((n_off > 0) & ~outside, q, 1.0))
    # never negative in truth; rounding could leave -1e-16, whose square root is NaN
    return jnp.where(outside, jnp.inf, 2 * jnp.maximum(mu_sig * (1 - r) + n_on * log_r + n_off * log_q, 0.0))


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
    return ratios(*floats(n_on, n_off, alpha, mu_sig))[2]


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
    r, q, _, mu_on, d = roots(n_on, n_off, alpha, mu_sig)
    value = _value((n_on, n_off), alpha, mu_sig, (r, q))
    r = jnp.minimum(r, largest_ratio(r.dtype))
    return value, 2 * (1 - r), 2 * r * over_d(q, mu_on, d, alpha, mu_sig)[1]


def wstat_alpha_derivatives(
    n_on: ArrayLike, n_off: ArrayLike, alpha: ArrayLike, mu_sig: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""Derivatives of `wstat` that alpha takes part in.

    The first is :math:`W_\alpha = \mu_b W'`, so that :math:`\mu_b` is returned for it. The second ones are
    :math:`W_{\alpha\mu} = 2 \mu_b r / D` and :math:`W_{\alpha\alpha} = 2 (1 - r)\, d\mu_b/d\alpha + \mu_b W_{\alpha\mu}`, with
    :math:`d\mu_b/d\alpha = -\mu_b (\mu_{on} - \mu_{sig} r) / D`.

    Parameters
    ----------
    n_on, n_off, alpha, mu_sig : array_like
        As in `wstat`.

    Returns
    -------
    mu_bkg, mixed, second : jax.Array
        Per bin: :math:`\mu_b`, :math:`W_{\alpha\mu}`, :math:`W_{\alpha\alpha}`. Where they diverge (D = 0) the second derivatives are
        given as in `wstat`.

    Examples
    --------
    >>> [round(float(x), 3) for x in wstat_alpha_derivatives(10, 20, 0.5, 0.0)]
    [20.0, 2.667, 53.333]
    """
    n_on, n_off, alpha, mu_sig = floats(n_on, n_off, alpha, mu_sig)
    one = jnp.ones_like(alpha)
    (r, _, mu_b), (r_slope, _, b_slope) = jax.jvp(lambda a: ratios(n_on, n_off, a, mu_sig), (alpha,), (one,))
    mixed = -2 * r_slope
    return mu_b, mixed, 2 * (1 - r) * b_slope + mu_b * mixed
