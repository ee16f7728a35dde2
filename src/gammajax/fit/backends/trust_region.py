"""The step of a trust region: the minimum of a quadratic function inside a ball."""

import numpy as np

__all__ = ["region_step"]

BISECTIONS = 50


def region_step(gradient: np.ndarray, curvature: np.ndarray, radius: float) -> np.ndarray:
    r"""Step s of at most `radius` with the smallest :math:`g^T s + s^T H s / 2`.

    Solves :math:`(H + \lambda) s = -g` in the eigenvectors of H, with the smallest :math:`\lambda \ge 0` for which the
    step is inside and nothing curves downwards; More and Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983) 553.

    Parameters
    ----------
    gradient : array, shape (n,)
        g.
    curvature : array, shape (n, n)
        H, symmetric.
    radius : float
        Largest length.

    Examples
    --------
    >>> region_step(np.array([2.0, 4.0]), np.diag([2.0, 4.0]), 10.0).tolist()
    [-1.0, -1.0]
    >>> float(np.linalg.norm(region_step(np.array([2.0, 4.0]), np.diag([2.0, 4.0]), 0.5)).round(9))
    0.5
    """
    values, vectors = np.linalg.eigh(curvature)
    along = vectors.T @ gradient
    floor = 1e-14 * max(float(np.max(np.abs(values))), 1e-300)
    if values[0] > floor:
        step = -along / values
        if np.linalg.norm(step) <= radius:
            return vectors @ step
    low = max(0.0, -float(values[0]))
    high = low + float(np.linalg.norm(along)) / radius
    for _ in range(BISECTIONS):
        shift = 0.5 * (low + high)
        low, high = (shift, high) if np.linalg.norm(_shifted(along, values, shift)) > radius else (low, shift)
    step = _shifted(along, values, high)
    left = radius**2 - float(step @ step)
    if values[0] <= floor and left > 0.01 * radius**2:
        # a saddle: the gradient says nothing of the direction that curves downwards
        step[0] += np.copysign(np.sqrt(left), step[0])
    return vectors @ step


def _shifted(along: np.ndarray, values: np.ndarray, shift: float) -> np.ndarray:
    return -along / np.maximum(values + shift, 1e-300)
