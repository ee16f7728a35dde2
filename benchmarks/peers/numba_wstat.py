"""The problem as an expert would write it by hand: a compiled W statistic of a log-parabola, minimised by iminuit node by node.

The same bins, response and quadrature nodes as gammajax has; see `numba_kernels` for what is compiled. MINUIT calls the compiled
function without Python, takes differences (measured: faster here than a compiled gradient), starts each node where the last
one ended, and is used in amplitudes of 1e-11 and with alpha between 1 and 3, as in the tutorial.
"""

import math
import multiprocessing
from itertools import combinations
from typing import Any

import numpy as np
from iminuit import Minuit

from benchmarks.peers.numba_kernels import AMPLITUDE, Arrays, compile_kernels

__all__ = ["Arrays", "NumbaPeer", "TwoCores", "all_pairs", "arrays_of"]

PARAMETERS = ("amplitude", "alpha", "beta")
UNIT = dict(zip(PARAMETERS, (AMPLITUDE, 1.0, 1.0), strict=True))
LIMITS = {"alpha": (1.0, 3.0)}
# MIGRAD stops at an EDM of 2e-6 in the statistic: more and it ends further than 1e-5 from the minimum
TOL = 1e-3


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


def all_pairs() -> list[tuple[str, str]]:
    """Pairs of the three parameters."""
    return list(combinations(PARAMETERS, 2))


class NumbaPeer:
    """The steps of the benchmark on one core.

    Parameters
    ----------
    arrays : `Arrays`
        Data.
    best, error : dict of str to float
        Best fit and errors, in the units of gammajax.
    """

    def __init__(self, arrays: Arrays, best: dict[str, float], error: dict[str, float]) -> None:
        self.arrays, self.best, self.error = arrays, best, error
        self.kernels = compile_kernels(arrays)

    def minuit(self, held: tuple[str, ...] = ()) -> Minuit:
        """A Minuit at the best fit."""
        m = Minuit(self.kernels.objective, [self.best[n] / UNIT[n] for n in PARAMETERS], name=PARAMETERS)
        m.errordef, m.strategy, m.tol = 1, 0, TOL
        for name in PARAMETERS:
            m.errors[name] = self.error[name] / UNIT[name]
            m.limits[name], m.fixed[name] = LIMITS.get(name), name in held
        return m

    def frozen(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Surface with the amplitude held, shape (n_index, n_beta)."""
        out = np.empty((len(index), len(beta)))
        self.kernels.frozen(self.best["amplitude"], index, beta, out)
        return out

    def surface(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Re-optimised surface, shape (n_index, n_beta)."""
        m, out = self.minuit(("alpha", "beta")), np.empty((len(index), len(beta)))
        for i, a in enumerate(index):
            m.values["alpha"] = a
            for j, b in enumerate(beta):
                m.values["beta"] = b
                out[i, j] = m.migrad().fval
        return out

    def profile(self, name: str, values: np.ndarray) -> np.ndarray:
        """Re-optimised profile of one parameter."""
        m, out = self.minuit((name,)), np.empty(len(values))
        for k, value in enumerate(values):
            m.values[name] = value / UNIT[name]
            out[k] = m.migrad().fval
        return out

    def profiles(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Re-optimised profiles, one row per parameter."""
        return np.array([self.profile(name, v) for name, v in values.items()])

    def contours(self, pairs: list[tuple[str, str]], sigma: tuple[float, ...], numpoints: int) -> list[np.ndarray]:
        """MNCONTOUR of all pairs at all levels."""
        m, out = self.minuit().migrad(), []
        for s in sigma:
            for pair in pairs:
                points = m.mncontour(*pair, cl=-math.expm1(-0.5 * s**2), size=numpoints)
                out.append(np.asarray(points)[:numpoints] * [UNIT[n] for n in pair])
        return out


def _serve(pipe: Any, *arguments: Any) -> None:
    """Answer the calls that come through a pipe, until None comes."""
    peer = NumbaPeer(*arguments)
    while (call := pipe.recv()) is not None:
        pipe.send([getattr(peer, name)(*arguments) for name, *arguments in call])


class TwoCores:
    """The same on two cores: threads where numba runs alone; otherwise half of the work in a second process that is kept.

    Parameters
    ----------
    peer : `NumbaPeer`
        The one on one core.
    """

    def __init__(self, peer: NumbaPeer) -> None:
        self.peer = peer
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, peer.arrays, peer.best, peer.error), daemon=True)
        self.process.start()

    def _both(self, here: list[tuple], there: list[tuple]) -> tuple[list, list]:
        self.pipe.send(there)
        mine = [getattr(self.peer, name)(*arguments) for name, *arguments in here]
        return mine, self.pipe.recv()

    def frozen(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Surface with the amplitude held."""
        out = np.empty((len(index), len(beta)))
        self.peer.kernels.frozen_parallel(self.peer.best["amplitude"], index, beta, out)
        return out

    def surface(self, index: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """Re-optimised surface."""
        half = len(index) // 2
        mine, theirs = self._both([("surface", index[:half], beta)], [("surface", index[half:], beta)])
        return np.concatenate(mine + theirs)

    def profiles(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Re-optimised profiles, each cut in two."""
        cut = {n: (v[: len(v) // 2], v[len(v) // 2 :]) for n, v in values.items()}
        mine, theirs = self._both(
            [("profile", n, v[0]) for n, v in cut.items()], [("profile", n, v[1]) for n, v in cut.items()]
        )
        return np.array([np.concatenate(parts) for parts in zip(mine, theirs, strict=True)])

    def contours(self, pairs: list[tuple[str, str]], sigma: tuple[float, ...], numpoints: int) -> list[np.ndarray]:
        """MNCONTOUR of all pairs at all levels, every other one there."""
        jobs = [("contours", [pair], (s,), numpoints) for s in sigma for pair in pairs]
        mine, theirs = self._both(jobs[::2], jobs[1::2])
        out: list[Any] = [None] * len(jobs)
        out[::2], out[1::2] = [c[0] for c in mine], [c[0] for c in theirs]
        return out

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()
