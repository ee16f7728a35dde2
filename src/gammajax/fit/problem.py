"""One likelihood made ready for an optimiser: free parameters only, scaled, with exact derivatives."""

from typing import Any

import numpy as np

from gammajax.compiling import compiled
from gammajax.direct import direct
from gammajax.errors import FitError
from gammajax.fit.backends.base import Objective
from gammajax.fit.precision import Precision
from gammajax.likelihood import Likelihood
from gammajax.parameters import onto_limits
from gammajax.solve import derivatives, scores
from gammajax.units import double_precision

__all__ = ["Problem", "derivatives"]


_per_bin = compiled(lambda likelihood, theta: (likelihood.stat_array(theta), likelihood.npred(theta)))
_residuals = compiled(lambda likelihood, theta: likelihood.residuals(theta))


class Problem:
    """Binds a likelihood to the vector of its free parameters in units of their scale.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    fixed : dict of int to float, optional
        Positions in theta that are held at a value (internal units), as the scanned parameters of a node are.
    start : array, shape (P,), optional
        Start instead of the likelihood's own.
    scale : array, shape (n,), optional
        Scale of the free parameters instead of the likelihood's own.
    """

    def __init__(
        self, likelihood: Likelihood, fixed: dict[int, float] | None = None, start: Any = None, scale: Any = None
    ) -> None:
        self.likelihood = likelihood
        self.base = np.array(likelihood.start if start is None else start, dtype=float)
        free = likelihood.free.copy()
        for i, value in (fixed or {}).items():
            self.base[i] = value
            free[i] = False
        self.index = np.flatnonzero(free)
        self.scale = likelihood.scale[self.index] if scale is None else np.asarray(scale, dtype=float)
        self._at: tuple[bytes, tuple] | None = None
        if scale is None:
            self._scale_zeros()

    def _scale_zeros(self) -> None:
        """A start of 0 tells no scale: the curvature there does."""
        zero = np.flatnonzero((self.base[self.index] == 0) & (self.scale == 1.0))
        if len(zero) == 0:
            return
        diagonal = np.diag(derivatives(self.likelihood, self.base)[2])[self.index[zero]]
        good = np.isfinite(diagonal) & (diagonal > 0)
        size = np.sqrt(2 / np.where(good, diagonal, 2.0))
        # near enough to order one it stays what it is
        self.scale = self.scale.copy()
        self.scale[zero] = np.where(np.abs(np.log10(size)) > 3, 10.0 ** np.floor(np.log10(size)), 1.0)

    def theta(self, x: np.ndarray) -> np.ndarray:
        """Full vector (P,) for scaled free parameters x (n,)."""
        theta, like, i = self.base.copy(), self.likelihood, self.index
        theta[i] = onto_limits(np.asarray(x, dtype=float) * self.scale, like.lower[i], like.upper[i])
        return theta

    @property
    def start(self) -> np.ndarray:
        """Scaled start, shape (n,)."""
        return self.base[self.index] / self.scale

    def _derivatives(self, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        key = np.asarray(x, dtype=float).tobytes()
        if self._at is None or self._at[0] != key:
            self._at = key, scores(self.likelihood, self.theta(x), fits=True)
        return self._at[1]

    def stat(self, x: np.ndarray) -> float:
        """Statistic."""
        return self._derivatives(x)[0]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Gradient in the scaled free parameters, shape (n,)."""
        return self._derivatives(x)[1][self.index] * self.scale

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Exact Hessian in the scaled free parameters, shape (n, n)."""
        return self._block(self._derivatives(x)[2])

    def safe_hessian(self, x: np.ndarray) -> np.ndarray:
        """Its part without the second derivatives of the prediction, shape (n, n); never negative."""
        return self._block(self._derivatives(x)[3])

    def _block(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[np.ix_(self.index, self.index)] * np.outer(self.scale, self.scale)

    def predicted(self, x: np.ndarray) -> np.ndarray:
        """What should have been measured in each bin, masked ones included."""
        with double_precision():
            return np.asarray(_per_bin(direct(self.likelihood), self.theta(x))[1])

    def residuals(self, x: np.ndarray) -> np.ndarray:
        """sign(n_on - mu_on) sqrt(stat) of each bin in the fit: their squares add up to the statistic."""
        with double_precision():
            residuals = np.asarray(_residuals(direct(self.likelihood), self.theta(x)))
        return residuals[np.concatenate([np.asarray(d.mask) for d in self.likelihood.data])]

    def objective(self, store_trace: bool = False) -> Objective:
        """What a backend is given.

        Raises
        ------
        FitError
            If the statistic is not finite at the start, naming bins and values.
        """
        if not np.isfinite(self.stat(self.start)):
            raise FitError(self.non_finite_start())
        like, i = self.likelihood, self.index
        diagonal = np.diag(self.hessian(self.start))
        step = np.where(diagonal > 0, np.sqrt(2 / np.where(diagonal > 0, diagonal, 1.0)), 0.1)
        precision = Precision(like, len(i))
        return Objective(
            names=tuple(like.names[k] for k in i),
            start=self.start,
            lower=like.lower[i] / self.scale,
            upper=like.upper[i] / self.scale,
            step=np.clip(step, 1e-6, 1.0),
            fun=self.stat,
            grad=self.gradient,
            hess=self.hessian,
            residuals=self.residuals,
            safe_hess=self.safe_hessian if precision.chi2 else None,
            noise=precision.noise,
            unit=precision.unit,
            trace=[] if store_trace else None,
        )

    def non_finite_bins(self, x: np.ndarray) -> tuple[str, ...]:
        """For each data set whose statistic is not finite at x: its name, its first five such bins and what is predicted there."""
        like = self.likelihood
        where: list[str] = []
        if not sum(like.n_bins):
            return ()
        with double_precision():
            per_bin, predicted = (np.asarray(a) for a in _per_bin(direct(like), self.theta(x)))
        at = 0
        for name, n in zip(like.dataset_names, like.n_bins, strict=True):
            bad = np.flatnonzero(~np.isfinite(per_bin[at : at + n]))
            if len(bad):
                shown = ", ".join(f"{b} (predicted {predicted[at + b]:.3g})" for b in bad[:5])
                where.append(f"{name!r} bins {shown}" + (f" and {len(bad) - 5} more" if len(bad) > 5 else ""))
            at += n
        return tuple(where)

    def non_finite_start(self) -> str:
        """Why no fit can begin here: bins and values."""
        like = self.likelihood
        where = self.non_finite_bins(self.start)
        values = ", ".join(
            f"{n} = {v:.4g} {u}".rstrip() for n, v, u in zip(like.names, self.base, like.units, strict=True)
        )
        return (
            f"the statistic is {self.stat(self.start)} at the start, in {'; '.join(where) or 'the sum'}. The parameters are "
            f"{values}. Start from values at which the model predicts positive counts in every bin with data."
        )
