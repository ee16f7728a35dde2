"""The statistics in 60-digit arithmetic, and their derivatives as central differences: no formula of gammajax.

The background of the W statistic is the root of the slope of its likelihood, found by bisection-like bracketing in
`background_by_search`. `background` is the textbook root, whose cancellation does no harm with 60 digits; it is
there for speed, and a test compares the two.
"""

from collections.abc import Callable, Sequence

import mpmath as mp

mp.mp.dps = 60
STEP = mp.mpf(10) ** -16


def _count_term(n, mu):
    """Half the deviance of n counts where mu are expected."""
    if n == 0:
        return mu
    return mp.inf if mu <= 0 else mu - n + n * mp.log(n / mu)


def cash(n_on, mu_on):
    n, mu = mp.mpf(n_on), mp.mpf(mu_on)
    if n == 0:
        return 2 * mu
    return 2 * (mu - n * mp.log(mu))


def cstat(n_on, mu_on):
    return 2 * _count_term(mp.mpf(n_on), mp.mpf(mu_on))


def background_by_search(n_on, n_off, alpha, mu_sig):
    """Root in mu_b of (1 + alpha) - alpha n_on/mu_on - n_off/mu_b, which grows with mu_b, or the end of its domain."""
    n_on, n_off, alpha, mu_sig = map(mp.mpf, (n_on, n_off, alpha, mu_sig))

    def slope(b):
        return 1 + alpha - alpha * n_on / (mu_sig + alpha * b) - (n_off / b if n_off else 0)

    low = max(mp.mpf(0), -mu_sig / alpha)
    inside = low + (n_on + n_off + abs(mu_sig) + 1) * mp.mpf(10) ** -50
    high = low + n_on + n_off + 1
    if slope(inside) >= 0:
        return low
    return mp.findroot(slope, (inside, high), solver="anderson", tol=mp.mpf(10) ** -70, maxsteps=2000)


def background(n_on, n_off, alpha, mu_sig):
    """The root of the quadratic equation for mu_b."""
    n_on, n_off, alpha, mu_sig = map(mp.mpf, (n_on, n_off, alpha, mu_sig))
    if alpha == 0:
        return n_off
    c = alpha * (n_on + n_off) - (1 + alpha) * mu_sig
    d = mp.sqrt(c**2 + 4 * alpha * (1 + alpha) * n_off * mu_sig)
    return (c + d) / (2 * alpha * (1 + alpha))


def wstat(n_on, n_off, alpha, mu_sig):
    b = background(n_on, n_off, alpha, mu_sig)
    mu_on = mp.mpf(mu_sig) + mp.mpf(alpha) * b
    return 2 * (_count_term(mp.mpf(n_on), mu_on) + _count_term(mp.mpf(n_off), b))


def derivative(function: Callable, x: Sequence, *axes: int):
    """Central difference of `function` at x, once along every axis in `axes`."""
    if not axes:
        return function(*x)
    first, *rest = axes
    step = STEP * max(1, abs(x[first]))
    up, down = ([mp.mpf(v) + sign * step * (i == first) for i, v in enumerate(x)] for sign in (1, -1))
    return (derivative(function, up, *rest) - derivative(function, down, *rest)) / (2 * step)
