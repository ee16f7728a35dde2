r"""The W statistic: Poisson counts in an ON and an OFF region, the background profiled out bin by bin.

Symbols: :math:`\mu_b` is the expected number of OFF counts, :math:`\alpha \mu_b` the background in the ON region,
:math:`\mu_{on} = \mu_{sig} + \alpha \mu_b`.

Derivatives come from the envelope theorem, for every input, and are exact and free of 0/0. The corners:

- n_off = 0: W is linear in mu_sig up to :math:`\alpha n_{on} / (1 + \alpha)` and its second derivative jumps there; at
  the corner itself the value from above is given (the curvature of a bin without background).
- n_on = 0 or n_off = 0: dW/dn is minus infinity in truth; n and its expectation are floored at the smallest normal
  number, so that it is large and finite and a tangent of zero gives zero.
- alpha = 0 and mu_sig < 0: outside the domain, W = +inf.
"""

import jax
import jax.numpy as jnp

__all__ = ["wstat", "wstat_mu_bkg", "wstat_mu_sig_derivatives"]


def _root(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Profiled background mu_b and D, the slope of its quadratic equation there."""
    c = alpha * (n_on + n_off) - (1 + alpha) * mu_sig
    a = alpha * (1 + alpha)
    # for a negative signal the plain discriminant cancels; this form is a sum of terms that do not
    shift = alpha * n_off + (1 + alpha) * mu_sig
    below = shift * shift + alpha * n_on * (alpha * (n_on + 2 * n_off) - 2 * (1 + alpha) * mu_sig)
    square = jnp.where(mu_sig < 0, below, c * c + 4 * a * n_off * mu_sig)
    d = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    # the branch with the difference of near equals is not taken
    plus = c >= 0
    top = jnp.where(plus, c + d, 2 * n_off * mu_sig)
    bottom = jnp.where(plus, 2 * a, d - c)
    mu_b = jnp.where(bottom > 0, top / jnp.where(bottom > 0, bottom, 1.0), 0.0)
    # alpha = 0: the ON region holds no background, OFF stands alone
    return jnp.where(alpha > 0, jnp.maximum(mu_b, 0.0), n_off), d


@jax.custom_jvp
def _mu_bkg(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> jax.Array:
    return _root(n_on, n_off, alpha, mu_sig)[0]


@_mu_bkg.defjvp
def _mu_bkg_jvp(primals: tuple, tangents: tuple) -> tuple:
    n_on, n_off, alpha, mu_sig = primals
    d_on, d_off, d_alpha, d_sig = tangents
    b = _mu_bkg(*primals)
    _, d = _root(*primals)
    # implicit function theorem on a(a+1) b^2 - C b - n_off mu = 0; D is the derivative of its left side in b
    safe = jnp.where(d > 0, d, 1.0)
    by_sig = jnp.where(d > 0, (n_off - (1 + alpha) * b) / safe, 0.0)
    by_on = jnp.where(d > 0, alpha * b / safe, 0.0)
    by_off = jnp.where(d > 0, (alpha * b + mu_sig) / safe, 1 / (1 + alpha))
    by_alpha = jnp.where(d > 0, ((n_on + n_off - mu_sig) * b - (1 + 2 * alpha) * b * b) / safe, 0.0)
    return b, by_on * d_on + by_off * d_off + by_alpha * d_alpha + by_sig * d_sig


def wstat_mu_bkg(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> jax.Array:
    r"""Expected OFF counts :math:`\mu_b` that maximise the likelihood for a given signal.

    :math:`\mu_b = (C + D) / (2 \alpha (1 + \alpha))` with :math:`C = \alpha (n_{on} + n_{off}) - (1 + \alpha) \mu_{sig}`
    and :math:`D^2 = C^2 + 4 \alpha (1 + \alpha) n_{off} \mu_{sig}`.

    Parameters
    ----------
    n_on, n_off : array
        Counts in the ON and OFF regions, any shape.
    alpha : array
        Ratio of ON to OFF acceptance.
    mu_sig : array
        Expected signal counts in the ON region.

    Returns
    -------
    array
        Expected OFF counts; the background in the ON region is alpha times that.

    Examples
    --------
    >>> round(float(wstat_mu_bkg(10.0, 20.0, 0.5, 0.0)), 5)
    20.0
    """
    return _mu_bkg(*_floats(n_on, n_off, alpha, mu_sig))


def _floats(*inputs: jax.Array) -> list[jax.Array]:
    return jnp.broadcast_arrays(*(jnp.asarray(x) * 1.0 for x in inputs))


@jax.custom_jvp
def _wstat(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> jax.Array:
    b = _mu_bkg(n_on, n_off, alpha, mu_sig)
    mu_on = mu_sig + alpha * b
    # with n_on = 0 rounding can leave mu_on a little below 0, where the truth is 0
    outside = (alpha <= 0) & ((mu_sig < 0) | ((mu_sig == 0) & (n_on > 0)))
    value = 2 * (_deviance(n_on, mu_on) + _deviance(n_off, b))
    return value + jnp.where(outside | jnp.isnan(mu_sig), jnp.inf, 0.0)


def _deviance(n: jax.Array, mu: jax.Array) -> jax.Array:
    """mu - n + n ln(n/mu), 0 for n = mu = 0."""
    usable = (n > 0) & (mu > 0)
    ratio = jnp.where(usable, n, 1.0) / jnp.where(usable, mu, 1.0)
    return mu - n + jnp.where(usable, n * jnp.log(ratio), 0.0)


@_wstat.defjvp
def _wstat_jvp(primals: tuple, tangents: tuple) -> tuple:
    n_on, n_off, alpha, mu_sig = primals
    d_on, d_off, d_alpha, d_sig = tangents
    b = _mu_bkg(*primals)
    mu_on = mu_sig + alpha * b
    slope = 2 * (1 - _ratio(n_on, mu_on))
    tangent = slope * d_sig + b * slope * d_alpha + _log_ratio(n_on, mu_on) * d_on + _log_ratio(n_off, b) * d_off
    return _wstat(*primals), tangent


def _ratio(n: jax.Array, mu: jax.Array) -> jax.Array:
    """n/mu, 0 where n = 0 and where mu is outside the domain."""
    usable = (n > 0) & (mu > 0)
    return jnp.where(usable, n, 0.0) / jnp.where(usable, mu, 1.0)


def _log_ratio(n: jax.Array, mu: jax.Array) -> jax.Array:
    """2 ln(n/mu) with both floored at the smallest normal number."""
    tiny = jnp.finfo(mu.dtype).tiny
    return 2 * (jnp.log(jnp.maximum(n, tiny)) - jnp.log(jnp.maximum(mu, tiny)))


def wstat(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> jax.Array:
    r"""W statistic per bin.

    :math:`W = 2 [\mu_{on} - n_{on} + n_{on} \ln(n_{on}/\mu_{on}) + \mu_b - n_{off} + n_{off} \ln(n_{off}/\mu_b)]`, with
    :math:`\mu_b` from `wstat_mu_bkg`: -2 ln of the likelihood ratio to the saturated model, 0 for perfect agreement.

    Parameters
    ----------
    n_on, n_off : array
        Counts in the ON and OFF regions, any shape.
    alpha : array
        Ratio of ON to OFF acceptance.
    mu_sig : array
        Expected signal counts in the ON region; negative values are allowed.

    Returns
    -------
    array
        Statistic per bin.

    References
    ----------
    Wachter, Leach & Kellogg 1979, ApJ 230, 274, with the constant of XSPEC and Sherpa.

    Examples
    --------
    >>> round(float(wstat(10.0, 20.0, 0.5, 0.0)), 5)
    0.0
    """
    return _wstat(*_floats(n_on, n_off, alpha, mu_sig))


def wstat_mu_sig_derivatives(
    n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`wstat` with its first and second derivative in the signal.

    :math:`W' = 2 (1 - n_{on}/\mu_{on})` and :math:`W'' = 2 n_{on}/\mu_{on}^2\, (1 + \alpha\, d\mu_b/d\mu_{sig})`.

    Parameters
    ----------
    n_on, n_off, alpha, mu_sig : array
        As in `wstat`.

    Returns
    -------
    value, first, second : array
        Per bin.
    """
    n_on, n_off, alpha, mu_sig = _floats(n_on, n_off, alpha, mu_sig)
    b, d = _root(n_on, n_off, alpha, mu_sig)
    mu_on = mu_sig + alpha * b
    ratio = _ratio(n_on, mu_on)
    slope = jnp.where(d > 0, (n_off - (1 + alpha) * b) / jnp.where(d > 0, d, 1.0), 0.0)
    curvature = 2 * ratio / jnp.where(mu_on > 0, mu_on, 1.0) * jnp.maximum(1 + alpha * slope, 0.0)
    return _wstat(n_on, n_off, alpha, mu_sig), 2 * (1 - ratio), curvature
