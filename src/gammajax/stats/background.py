r"""The background of the W statistic, profiled out: its roots, and their derivatives at every corner.

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

By the implicit function theorem, with F the first equation, :math:`\partial F / \partial r = -D` and
:math:`dr = [q\, dn_{on} - \alpha r\, dn_{off} - \mu_b r\, d\alpha - r q\, d\mu_{sig}] / D`; the rest follows from
:math:`q = 1 + \alpha (1 - r)`. What is given where D = 0 stands in `gammajax.stats.onoff`.
"""

import jax
import jax.numpy as jnp

from gammajax.stats.guards import floored_log, inverse, largest_ratio, weighted_sum

__all__ = ["log_ratios", "over_d", "ratios", "roots"]


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


def roots(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
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


def over_d(q: jax.Array, mu_on: jax.Array, d: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
    """1/D, q/D and mu_on/D; at D = 0 the limits from above of the last two where they are finite, else 0."""
    per_d, regular, signal = inverse(d), d > 0, mu_sig > 0
    q_per_d = jnp.where(regular, q * per_d, inverse(mu_sig))
    return per_d, q_per_d, jnp.where(regular, mu_on * per_d, jnp.where(signal, 0.0, 1 / (1 + alpha)))


@jax.custom_jvp
def ratios(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
    """r, bounded for the derivatives, q and mu_b."""
    r, q, mu_b, _, _ = roots(n_on, n_off, alpha, mu_sig)
    return jnp.minimum(r, largest_ratio(r.dtype)), q, mu_b


def _ratios_jvp(primals: tuple, tangents: tuple) -> tuple:
    *_, alpha, mu_sig = primals
    r, q, mu_b = ratios(*primals)
    *_, mu_on, d = roots(*primals)
    per_d, q_per_d, on_per_d = over_d(q, mu_on, d, alpha, mu_sig)
    r_per_d, b_per_d = r * per_d, alpha * mu_b * per_d
    dr = weighted_sum((q_per_d, -alpha * r_per_d, -mu_b * r_per_d, -r * q_per_d), tangents)
    dq = weighted_sum((-alpha, 1 - r), (dr, tangents[2]))
    by_alpha = -mu_b * (on_per_d - _bounded(mu_sig) * r_per_d)
    db = weighted_sum((b_per_d, on_per_d, by_alpha, -r * b_per_d), tangents)
    return ratios(*primals), (dr, dq, db)


@jax.custom_jvp
def log_ratios(n_on: jax.Array, n_off: jax.Array, alpha: jax.Array, mu_sig: jax.Array) -> tuple:
    """Logarithms of r and q, floored."""
    r, q, _ = ratios(n_on, n_off, alpha, mu_sig)
    return floored_log(r), floored_log(q)


def _log_ratios_jvp(primals: tuple, tangents: tuple) -> tuple:
    # not dr/r: its limit at r = 0 is finite, but in the counts themselves
    *_, alpha, mu_sig = primals
    r, q, mu_b = ratios(*primals)
    *_, mu_on, d = roots(*primals)
    per_d, q_per_d, on_per_d = over_d(q, mu_on, d, alpha, mu_sig)
    across = -alpha * per_d
    by_r = weighted_sum((q_per_d * inverse(r), across, -mu_b * per_d, -q_per_d), tangents)
    on_off = on_per_d - _bounded(mu_sig) * r * per_d
    by_q = weighted_sum((across, alpha**2 * r * per_d * inverse(q), on_off, alpha * r * per_d), tangents)
    return log_ratios(*primals), (by_r, by_q)


ratios.defjvp(_ratios_jvp, symbolic_zeros=True)
log_ratios.defjvp(_log_ratios_jvp, symbolic_zeros=True)
