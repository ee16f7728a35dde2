"""Nodes and weights in ln E, as few as integrate exponentials to the tolerance."""

from functools import lru_cache

import numpy as np

from gammajax.errors import InputError

__all__ = ["FOLDS", "MOST", "TOLERANCE", "graded_for", "graded_legendre", "nodes_for", "reach"]

TOLERANCE = 1e-9
# e-folds of an integrand after which nothing is left of it: 2e-12
FOLDS = 27.0
# nodes of a bin
MOST = 64


@lru_cache(maxsize=256)
def nodes_for(half_width: float) -> int:
    """Fewest Gauss-Legendre nodes that integrate exp(a x) over [-1, 1] to `TOLERANCE`, a = `half_width`."""
    a = max(half_width, 1e-3)
    exact = 2 * np.sinh(a) / a
    for n in range(2, MOST + 1):
        x, w = np.polynomial.legendre.leggauss(n)
        if abs(np.sum(w * np.exp(a * x)) - exact) <= 0.3 * TOLERANCE * exact:
            return n
    raise InputError(
        f"the energy bins are too wide to integrate a steep spectrum over them (half width times slope {a:.3g}); "
        "use more true-energy bins per decade."
    )


@lru_cache(maxsize=64)
def reach(count: int) -> float:
    """Largest half width up to which so many nodes are as many as `nodes_for` asks for, rounded down; of at least 2 nodes."""
    a = np.arange(1, 6400) * 0.05
    x, w = np.polynomial.legendre.leggauss(count)
    # the larger end is 1
    found = np.exp(np.outer(a, x - 1)) @ w
    wrong = np.abs(found / (-np.expm1(-2 * a) / a) - 1) > 0.3 * TOLERANCE
    return float(a[np.argmax(wrong)] - 0.05) if wrong.any() else float(a[-1])


@lru_cache(maxsize=256)
def graded_for(rise: float, fall: float) -> tuple[int, float]:
    """Fewest nodes and their grade that integrate exp(-s v) over [0, 1] to `TOLERANCE`, -`rise` <= s <= `fall`."""
    s = np.concatenate([np.geomspace(0.01, fall, 80), -np.linspace(0.01, rise, 10)])
    largest = np.maximum(-s, 0.0)
    exact = -np.expm1(-np.abs(s)) / np.abs(s)
    for n in range(nodes_for(0.5 * rise), 129):
        for grade in np.arange(0.0, 5.0, 0.25).tolist():
            x, w = graded_legendre(n, grade)
            found = np.exp(-0.5 * np.outer(s, 1 + x) - largest[:, None]) @ (0.5 * w)
            if np.max(np.abs(found / exact - 1)) <= 0.3 * TOLERANCE:
                return n, grade
    raise InputError(
        f"the energy bins are too wide to integrate a sharp cut-off over them (width times slope {fall:.3g}); use more "
        "true-energy bins per decade."
    )


def graded_legendre(count: int, grade: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes and weights of Gauss and Legendre on [-1, 1] in y, :math:`v = (e^{gy} - 1)/(e^g - 1)`, 0 <= v, y <= 1; of v.

    They are denser towards -1 by :math:`(e^g - 1)/g`: there is what a steep fall leaves.
    """
    x, w = np.polynomial.legendre.leggauss(count)
    if grade == 0:
        return x, w
    power = np.exp(0.5 * grade * (1 + x)) / np.expm1(grade)
    return 2 * (power - 1 / np.expm1(grade)) - 1, grade * w * power
