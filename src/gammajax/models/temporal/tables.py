"""Piecewise linear tables: light curves in time, and phase curves that repeat; integrals are exact, piece by piece."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "Pieces",
    "light_curve_pieces",
    "phase_integral",
    "phase_pieces",
    "phase_value",
    "piece_integral",
    "piece_value",
]

DAY = 86400.0


class Pieces(NamedTuple):
    """Straight pieces: piece k lies from edge k-1 to edge k, the first and the last go on for ever.

    Attributes
    ----------
    edges : array, shape (n,)
        Where pieces meet.
    anchor, value, slope : array, shape (n + 1,)
        A point of each piece, its value there, and its slope.
    whole : array, shape (n + 1,)
        Integral from the first edge to the anchor.
    second, third : array, shape (n + 1,)
        Integral of that integral, and of that, where they are needed.
    """

    edges: np.ndarray
    anchor: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    whole: np.ndarray
    second: np.ndarray
    third: np.ndarray


def light_curve_pieces(time: np.ndarray, norm: np.ndarray) -> Pieces:
    """The pieces of a light curve that is never below 0, and goes on beyond its ends as its last pieces do."""
    slopes = np.diff(norm) / np.diff(time)
    ends = ((time[0], norm[0], slopes[0], -1), (time[-1], norm[-1], slopes[-1], 1))
    cuts = [t - v / s for t, v, s, side in ends if s != 0 and (-v / s) * side > 0]
    inside = norm[:-1] * norm[1:] < 0
    cuts += list(time[:-1][inside] - norm[:-1][inside] / slopes[inside])
    edges = np.unique(np.concatenate([time, cuts]))
    middle = np.concatenate([[edges[0] - 1], 0.5 * (edges[1:] + edges[:-1]), [edges[-1] + 1]])
    k = np.clip(np.searchsorted(time, middle, side="right") - 1, 0, len(slopes) - 1)
    on = norm[k] + slopes[k] * (middle - time[k]) > 0
    anchor = np.concatenate([edges[:1], edges])
    value = np.where(on, norm[k] + slopes[k] * (anchor - time[k]), 0.0)
    slope = np.where(on, slopes[k], 0.0)
    width = np.diff(anchor)
    whole = np.concatenate([[0.0], np.cumsum(width * (value[:-1] + 0.5 * slope[:-1] * width))])
    return Pieces(edges, anchor, value, slope, whole, np.zeros_like(whole), np.zeros_like(whole))


def _at(pieces: Pieces, x: jax.Array) -> tuple[jax.Array, ...]:
    k = jnp.searchsorted(jnp.asarray(pieces.edges), x, side="right")
    return k, x - jnp.asarray(pieces.anchor)[k], jnp.asarray(pieces.value)[k], jnp.asarray(pieces.slope)[k]


def piece_value(pieces: Pieces, x: jax.Array) -> jax.Array:
    """Value at x; at an edge that of the piece above."""
    _, d, value, slope = _at(pieces, x)
    return value + slope * d


def piece_integral(pieces: Pieces, start: jax.Array, width: jax.Array) -> jax.Array:
    """Integral from `start` over a width."""
    stop = start + width
    (k0, d0, v0, s0), (k1, d1, v1, s1) = _at(pieces, start), _at(pieces, stop)
    whole = jnp.asarray(pieces.whole)
    within = width * (v0 + s0 * (d0 + 0.5 * width))
    across = (whole[k1] + d1 * (v1 + 0.5 * s1 * d1)) - (whole[k0] + d0 * (v0 + 0.5 * s0 * d0))
    return jnp.where(k0 == k1, within, across)


def phase_pieces(phase: np.ndarray, norm: np.ndarray) -> tuple[float, Pieces]:
    """Mean of a phase curve, and the pieces of the curve minus the mean.

    `whole`, `second` and `third` are its integral, that of the integral and so on, all of mean 0, so that they repeat as the curve does.
    """
    x, y = phase, norm
    slopes = np.diff(y) / np.diff(x)
    # a table that ends before 0 or 1 goes on straight
    if x[0] > 0:
        x, y, slopes = np.insert(x, 0, 0.0), np.insert(y, 0, y[0] - slopes[0] * x[0]), np.insert(slopes, 0, slopes[0])
    if x[-1] < 1:
        y, slopes = np.append(y, y[-1] + slopes[-1] * (1 - x[-1])), np.append(slopes, slopes[-1])
        x = np.append(x, 1.0)
    width = np.diff(x)
    mean = float(np.sum(0.5 * (y[1:] + y[:-1]) * width))
    value = y[:-1] - mean
    # Taylor coefficients of each piece, from the highest: slope, value, integral, ...
    taylor = [slopes, value]
    for _ in range(3):
        steps = _taylor(taylor, width, 1)
        level = np.concatenate([[0.0], np.cumsum(steps)])[:-1]
        level -= np.sum(_taylor([*taylor, level], width, 1))
        taylor.append(level)
    return mean, Pieces(x[1:-1], x[:-1], value, slopes, *taylor[2:])


def _taylor(coefficients: list, d: Any, integrate: int = 0) -> Any:
    """Sum of c_k d^k/k!, the coefficients from the highest to the lowest; integrated from 0 if asked for."""
    out = coefficients[0]
    order = len(coefficients) - 1 + integrate
    for k, c in enumerate(coefficients[1:]):
        out = c + out * d / (order - k)
    return out * d if integrate else out


def _phase(t: jax.Array, phi_ref: jax.Array, f0: jax.Array, f1: jax.Array, f2: jax.Array) -> tuple[jax.Array, ...]:
    """Phase between 0 and 1, frequency (s-1) and its derivative (s-2) at t (d)."""
    s = t * DAY
    turns = phi_ref + s * (f0 + s / 2 * (f1 + s / 3 * f2))
    return turns - jnp.floor(turns), f0 + s * (f1 + s / 2 * f2), f1 + s * f2


def phase_value(
    mean: float, pieces: Pieces, t: jax.Array, phi_ref: jax.Array, f0: jax.Array, f1: jax.Array, f2: jax.Array
) -> jax.Array:
    """Value of the phase curve at t (d), the frequency and its derivatives in s-1, s-2 and s-3."""
    return mean + piece_value(pieces, _phase(t, phi_ref, f0, f1, f2)[0])


def phase_integral(
    mean: float,
    pieces: Pieces,
    start: jax.Array,
    width: jax.Array,
    phi_ref: jax.Array,
    f0: jax.Array,
    f1: jax.Array,
    f2: jax.Array,
) -> jax.Array:
    r"""Integral over intervals, d, however many turns they hold.

    With p the curve minus its mean, P, Q and R its first three integrals of mean 0, and :math:`\nu` the frequency,
    :math:`\int p\,dt = [P/\nu + Q \dot\nu/\nu^3 + R (3 \dot\nu^2 - \nu \ddot\nu)/\nu^5]` by parts; what is left is of the order of
    :math:`(\dot\nu/\nu^2)^3`, the third power of the change of the frequency in one turn.
    """

    def end(t: jax.Array) -> jax.Array:
        phase, nu, rate = _phase(t, phi_ref, f0, f1, f2)
        k, d, value, slope = _at(pieces, phase)
        levels = [slope, value, *(jnp.asarray(a)[k] for a in (pieces.whole, pieces.second, pieces.third))]
        first, second, third = (_taylor(levels[: n + 1], d) for n in (2, 3, 4))
        drift = rate / (nu * nu)
        return (first + second * drift + third * (3 * drift * drift - f2 / nu**3)) / nu

    return mean * width + (end(start + width) - end(start)) / DAY
