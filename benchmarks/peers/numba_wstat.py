"""A hand-written W-statistic of a log-parabola, compiled with numba, minimised by iminuit node by node.

The same bins, response and quadrature nodes as gammajax has. A plain version: vectorised exponentials, a compiled callback for
iminuit and folding in blocks make it 2 to 5 times faster (measured, not yet part of the benchmark).
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from multiprocessing import get_context
from typing import Any, NamedTuple

import numba
import numpy as np
from iminuit import Minuit

__all__ = ["Arrays", "NumbaPeer", "TwoCores", "arrays_of"]

PARAMETERS = ("amplitude", "alpha", "beta")
# amplitudes are handed to MINUIT in this unit
AMPLITUDE = 1e-11


class Arrays(NamedTuple):
    """Bins in the fit and the true-energy bins that reach them.

    Attributes
    ----------
    log_energy, weight : array, shape (n_nodes, n_true)
        Quadrature nodes, ln(E / 1 TeV), and weights.
    matrix : array, shape (n_true, n_reco)
        Exposure times dispersion.
    n_on, n_off, alpha : array, shape (n_reco,)
        Counts and ratio of acceptances.
    """

    log_energy: np.ndarray
    weight: np.ndarray
    matrix: np.ndarray
    n_on: np.ndarray
    n_off: np.ndarray
    alpha: np.ndarray


def arrays_of(dataset: Any) -> Arrays:
    """Arrays of a gammajax data set with a log-parabola."""
    from gammajax.models import LogParabolaSpectralModel
    from gammajax.models.integrate import bin_rule

    mask = dataset.mask.data
    matrix = (dataset.exposure.data[:, None] * dataset.edisp.pdf_matrix)[:, mask]
    used = np.any(matrix > 0, axis=1)
    rule = bin_rule(dataset.exposure.geom.axis.edges_tev, LogParabolaSpectralModel.form)
    own = [np.log(rule.nodes)[:, used], rule.weights[:, used], matrix[used]]
    own += [a.data[mask].astype(float) for a in (dataset.counts, dataset.counts_off, dataset.alpha)]
    return Arrays(*(np.ascontiguousarray(a) for a in own))


@numba.njit(nogil=True, fastmath=True)
def _bin(n_on, n_off, alpha, mu):  # type: ignore[no-untyped-def]
    """W and its slope in one bin; for mu above 0, where the peer is used."""
    c = alpha * (n_on + n_off) - (1 + alpha) * mu
    d = np.sqrt(c * c + 4 * alpha * (1 + alpha) * n_off * mu)
    mu_b = 2 * n_off * mu / (d - c) if c < 0 else (c + d) / (2 * alpha * (1 + alpha))
    mu_on = mu + alpha * mu_b
    value = mu_on + mu_b - n_on - n_off
    if n_on > 0:
        value += n_on * np.log(n_on / mu_on)
    if n_off > 0:
        value += n_off * np.log(n_off / mu_b)
    return 2 * value, 2 * (1 - n_on / mu_on)


@numba.njit(nogil=True, fastmath=True)
def _stat(log_energy, weight, matrix, n_on, n_off, alpha, amplitude, index, beta):  # type: ignore[no-untyped-def]
    n_nodes, n_true = log_energy.shape
    n_reco = matrix.shape[1]
    mu = np.zeros(n_reco)
    for i in range(n_true):
        flux = 0.0
        for k in range(n_nodes):
            x = log_energy[k, i]
            flux += weight[k, i] * np.exp(-(index + beta * x) * x)
        flux *= amplitude
        for j in range(n_reco):
            mu[j] += flux * matrix[i, j]
    total = 0.0
    for j in range(n_reco):
        total += _bin(n_on[j], n_off[j], alpha[j], mu[j])[0]
    return total


@numba.njit(nogil=True, fastmath=True)
def _gradient(log_energy, weight, matrix, n_on, n_off, alpha, amplitude, index, beta):  # type: ignore[no-untyped-def]
    n_nodes, n_true = log_energy.shape
    n_reco = matrix.shape[1]
    mu = np.zeros(n_reco)
    flux = np.zeros((3, n_true))
    for i in range(n_true):
        for k in range(n_nodes):
            x = log_energy[k, i]
            value = weight[k, i] * np.exp(-(index + beta * x) * x)
            flux[0, i] += value
            flux[1, i] -= value * x
            flux[2, i] -= value * x * x
        for j in range(n_reco):
            mu[j] += amplitude * flux[0, i] * matrix[i, j]
    slope = np.empty(n_reco)
    for j in range(n_reco):
        slope[j] = _bin(n_on[j], n_off[j], alpha[j], mu[j])[1]
    out = np.zeros(3)
    for i in range(n_true):
        back = 0.0
        for j in range(n_reco):
            back += matrix[i, j] * slope[j]
        out[0] += flux[0, i] * back
        out[1] += amplitude * flux[1, i] * back
        out[2] += amplitude * flux[2, i] * back
    return out


@numba.njit(nogil=True)
def _frozen(log_energy, weight, matrix, n_on, n_off, alpha, amplitude, index, beta):  # type: ignore[no-untyped-def]
    out = np.empty(len(index))
    for n in range(len(index)):
        out[n] = _stat(log_energy, weight, matrix, n_on, n_off, alpha, amplitude, index[n], beta[n])
    return out


@numba.njit(nogil=True, parallel=True)
def _frozen_parallel(log_energy, weight, matrix, n_on, n_off, alpha, amplitude, index, beta):  # type: ignore[no-untyped-def]
    out = np.empty(len(index))
    for n in numba.prange(len(index)):
        out[n] = _stat(log_energy, weight, matrix, n_on, n_off, alpha, amplitude, index[n], beta[n])
    return out


class NumbaPeer:
    """The steps of the benchmark on one core.

    Parameters
    ----------
    arrays : `Arrays`
        Data.
    best, error : dict of str to float
        Best fit and errors, in the units of gammajax.
    gradient : bool
        Hand the exact gradient to MINUIT, or let it take differences.
    """

    def __init__(self, arrays: Arrays, best: dict[str, float], error: dict[str, float], gradient: bool = True) -> None:
        self.arrays, self.best, self.error = arrays, best, error
        unit = np.array([AMPLITUDE, 1.0, 1.0])

        def function(x: np.ndarray) -> float:
            return _stat(*arrays, x[0] * AMPLITUDE, x[1], x[2])

        def slopes(x: np.ndarray) -> np.ndarray:
            return _gradient(*arrays, x[0] * AMPLITUDE, x[1], x[2]) * unit

        self.unit = dict(zip(PARAMETERS, unit, strict=True))
        self.start = np.array([best[n] / self.unit[n] for n in PARAMETERS])
        self.step = [error[n] / self.unit[n] for n in PARAMETERS]
        self._minuit = partial(Minuit, function, name=PARAMETERS, grad=slopes if gradient else None)

    def minuit(self) -> Minuit:
        """A Minuit at the best fit."""
        m = self._minuit(self.start)
        m.errordef, m.strategy, m.errors = 1, 0, self.step
        m.tol = 0.01
        return m

    def stat(self, values: dict[str, float]) -> float:
        """Statistic."""
        return float(_stat(*self.arrays, *(values[n] for n in PARAMETERS)))

    def frozen(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Surface with the amplitude held, shape (n_index, n_beta)."""
        x, y = np.meshgrid(index, beta, indexing="ij")
        return _frozen(*self.arrays, self.best["amplitude"], x.ravel(), y.ravel()).reshape(x.shape)

    def nodes(self, names: tuple[str, ...], values: np.ndarray) -> np.ndarray:
        """Re-fitted statistic of points of some parameters, shape (n,); each starts where the last one ended."""
        m = self.minuit()
        for name in names:
            m.fixed[name] = True
        out = np.empty(len(values))
        for n, point in enumerate(values):
            for name, value in zip(names, point, strict=True):
                m.values[name] = value / self.unit[name]
            m.migrad()
            out[n] = m.fval
        return out

    def surface(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Re-optimised surface, shape (n_index, n_beta)."""
        x, y = np.meshgrid(index, beta, indexing="ij")
        return self.nodes(("alpha", "beta"), np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)

    def profiles(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Re-optimised profiles, one row per parameter."""
        return np.array([self.nodes((name,), v[:, None]) for name, v in values.items()])

    def contours(self, pairs: list[tuple[str, str]], sigma: tuple[float, ...], numpoints: int) -> list[np.ndarray]:
        """MNCONTOUR of all pairs at all levels."""
        return [_contour(self, pair, s, numpoints) for s in sigma for pair in pairs]


def _contour(peer: NumbaPeer, pair: tuple[str, str], sigma: float, numpoints: int) -> np.ndarray:
    m = peer.minuit()
    m.migrad()
    points = m.mncontour(*pair, cl=-np.expm1(-0.5 * sigma**2), size=numpoints)
    return np.asarray(points)[:numpoints] * np.array([peer.unit[n] for n in pair])


_peer: NumbaPeer | None = None


def _begin(arrays: Arrays, best: dict[str, float], error: dict[str, float], gradient: bool) -> None:
    global _peer
    _peer = NumbaPeer(arrays, best, error, gradient)
    _peer.surface(np.array([best["alpha"]]), np.array([best["beta"]]))


def _run(method: str, *arguments: Any) -> Any:
    assert _peer is not None
    return _contour(_peer, *arguments) if method == "contour" else getattr(_peer, method)(*arguments)


class TwoCores:
    """The same on two cores: threads where numba runs alone, two processes where iminuit drives it.

    Parameters
    ----------
    peer : `NumbaPeer`
        The one on one core.
    """

    def __init__(self, peer: NumbaPeer, gradient: bool = True) -> None:
        self.peer = peer
        self.pool = ProcessPoolExecutor(
            2,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(peer.arrays, peer.best, peer.error, gradient),
        )

    def frozen(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Surface with the amplitude held."""
        x, y = np.meshgrid(index, beta, indexing="ij")
        out = _frozen_parallel(*self.peer.arrays, self.peer.best["amplitude"], x.ravel(), y.ravel())
        return out.reshape(x.shape)

    def surface(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Re-optimised surface."""
        parts = [self.pool.submit(_run, "surface", half, beta) for half in np.array_split(index, 2)]
        return np.concatenate([p.result() for p in parts])

    def profiles(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Re-optimised profiles."""
        parts = [self.pool.submit(_run, "nodes", (n,), v[:, None]) for n, v in values.items()]
        return np.array([p.result() for p in parts])

    def contours(self, pairs: list[tuple[str, str]], sigma: tuple[float, ...], numpoints: int) -> list[np.ndarray]:
        """MNCONTOUR of all pairs at all levels."""
        parts = [self.pool.submit(_run, "contour", pair, s, numpoints) for s in sigma for pair in pairs]
        return [p.result() for p in parts]

    def close(self) -> None:
        """End the processes."""
        self.pool.shutdown()


def all_pairs() -> list[tuple[str, str]]:
    """Pairs of the three parameters."""
    return list(combinations(PARAMETERS, 2))
