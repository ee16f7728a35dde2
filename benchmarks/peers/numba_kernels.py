"""The compiled part of the hand-written peer: the statistic of a log-parabola on one data set, for frozen scans and for MINUIT.

What makes it fast: exponentials and logarithms as vector code, folding in blocks of eight true-energy bins, data compiled in as
constants, and for MINUIT a C function that keeps the folded spectrum of the last alpha and beta: where only the amplitude
moves, 32 multiplications and a W statistic are left.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numba import carray, cfunc, njit, prange, types

from benchmarks.peers.vector_math import exp, from_address, log

__all__ = ["AMPLITUDE", "Arrays", "compile_kernels"]

# amplitudes are handed to MINUIT in this unit
AMPLITUDE = 1e-11
ROWS = 8
# sums may be reordered, limits and NaN stay what they are
SUMS = {"reassoc", "contract", "nsz", "arcp"}


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


def _folding(a: Arrays) -> tuple[Any, int]:
    """``fold(index, beta, work)`` leaves the counts for amplitude 1 at the end of `work`; and the size of `work`."""
    fill = -a.matrix.shape[0] % ROWS
    n_nodes, n_true, n_reco = len(a.log_energy), a.matrix.shape[0] + fill, a.matrix.shape[1]
    x = np.pad(a.log_energy, ((0, 0), (0, fill)), mode="edge").ravel()
    log_weight = np.log(np.pad(a.weight, ((0, 0), (0, fill)), mode="edge")).ravel()
    m = np.pad(a.matrix, ((0, fill), (0, 0)))
    n = n_nodes * n_true

    # reordering would undo the rounding inside exp
    @njit(fastmath={"contract"}, error_model="numpy", nogil=True)
    def evaluate(index, beta, flux):  # type: ignore[no-untyped-def]
        for i in range(n):
            flux[i] = exp(log_weight[i] - (index + beta * x[i]) * x[i])

    @njit(fastmath=SUMS, error_model="numpy", nogil=True)
    def fold(index, beta, work):  # type: ignore[no-untyped-def]
        flux, bins, shape = work[:n], work[n : n + n_true], work[n + n_true :]
        evaluate(index, beta, flux)
        for b in range(n_true):
            bins[b] = flux[b]
        for k in range(1, n_nodes):
            for b in range(n_true):
                bins[b] += flux[k * n_true + b]
        for j in range(n_reco):
            shape[j] = 0.0
        for b in range(0, n_true, ROWS):
            f0, f1, f2, f3 = bins[b], bins[b + 1], bins[b + 2], bins[b + 3]
            f4, f5, f6, f7 = bins[b + 4], bins[b + 5], bins[b + 6], bins[b + 7]
            for j in range(n_reco):
                low = (f0 * m[b, j] + f1 * m[b + 1, j]) + (f2 * m[b + 2, j] + f3 * m[b + 3, j])
                high = (f4 * m[b + 4, j] + f5 * m[b + 5, j]) + (f6 * m[b + 6, j] + f7 * m[b + 7, j])
                shape[j] += low + high

    return fold, n + n_true + n_reco


def _statistic(a: Arrays) -> Any:
    """``wstat(amplitude, shape)``, for any sign of the amplitude."""
    n_on, n_off, ratio = a.n_on, a.n_off, a.alpha
    n_reco = len(n_on)
    on, off, one = ratio * n_on, ratio * n_off, 1 + ratio
    both, per_on, per_off = on + off, 1 / (2 * one), 1 / (2 * ratio * one)
    counts = np.concatenate([n_on, n_off])
    counts = counts[counts > 0]
    constant = float(2 * np.sum(counts * np.log(counts) - counts))

    @njit(fastmath=SUMS, error_model="numpy", nogil=True)
    def wstat(amplitude, shape):  # type: ignore[no-untyped-def]
        total = 0.0
        for j in range(n_reco):
            mu = amplitude * shape[j]
            signal = one[j] * mu
            c, e = both[j] - signal, both[j] + signal
            root = c if mu > 0 else e
            d = np.sqrt(root * root + 4 * (off[j] if mu > 0 else on[j]) * abs(signal))
            # of the two forms of each root the one without cancellation
            mu_on = (e + d) * per_on[j] if e >= 0 else -2 * ratio[j] * mu * n_on[j] / (d - e)
            mu_off = (c + d) * per_off[j] if c >= 0 else 2 * mu * n_off[j] / (d - c)
            log_on, log_off = log(mu_on if n_on[j] > 0 else 1.0), log(mu_off if n_off[j] > 0 else 1.0)
            total += mu_on + mu_off - n_on[j] * log_on - n_off[j] * log_off
        return 2 * total + constant

    return wstat


def compile_kernels(arrays: Arrays) -> SimpleNamespace:
    """Compile for one data set.

    Returns
    -------
    frozen, frozen_parallel : callable
        ``(amplitude, indices, betas, out)`` fills a surface, on one core or on all.
    objective : cfunc
        The statistic as iminuit calls C: of amplitude / 1e-11, index and beta.
    kept : array
        What `objective` remembers: alpha, beta, and the work space of the last folding.
    """
    fold, size = _folding(arrays)
    wstat, n_reco = _statistic(arrays), arrays.matrix.shape[1]

    @njit(nogil=True)
    def frozen(amplitude, indices, betas, out):  # type: ignore[no-untyped-def]
        work = np.empty(size)
        for i in range(len(indices)):
            for j in range(len(betas)):
                fold(indices[i], betas[j], work)
                out[i, j] = wstat(amplitude, work[size - n_reco :])

    @njit(nogil=True, parallel=True)
    def frozen_parallel(amplitude, indices, betas, out):  # type: ignore[no-untyped-def]
        for i in prange(len(indices)):
            frozen(amplitude, indices[i : i + 1], betas, out[i : i + 1])

    kept = np.full(2 + size, np.nan)
    address, length = kept.ctypes.data, len(kept)

    @cfunc(types.float64(types.uint32, types.CPointer(types.float64)), error_model="numpy")
    def objective(_, values):  # type: ignore[no-untyped-def]
        memory, v = carray(from_address(address), (length,)), carray(values, (3,))
        if not (memory[0] == v[1] and memory[1] == v[2]):
            fold(v[1], v[2], memory[2:])
            memory[0], memory[1] = v[1], v[2]
        return wstat(AMPLITUDE * v[0], memory[length - n_reco :])

    return SimpleNamespace(frozen=frozen, frozen_parallel=frozen_parallel, objective=objective, kept=kept)
