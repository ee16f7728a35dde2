"""Profiles of one strength in many likelihoods of one structure: everything else re-fitted at every strength, all in one batch."""

from typing import Any

import numpy as np

from gammajax.solve import BatchResult, Status, fitted, minimize_batch

__all__ = ["Profiles"]

# profiles are compared to 1e-10 of their rise
TOL = 1e-12
# of the curvature with the others held, below which none is left with them re-fitted; and an EDM
FLAT = 1e-12
# strengths at which the others cannot be fitted, then the bin is given up: where they cannot be told apart nothing else ends
MOST_FAILURES = 40


class Profiles:
    """Profiles of J likelihoods, which differ in their arrays only, in the first of their V parameters.

    Parameters
    ----------
    compact : `StackedCompact`
        The J of them.
    limits : tuple of array, shape (V,)
        Lower limits, upper limits and scales.
    start : array, shape (J, V)
        Start of each.
    """

    def __init__(self, compact: Any, limits: tuple[np.ndarray, np.ndarray, np.ndarray], start: np.ndarray) -> None:
        self._compact, self._limits = compact, limits
        self._start = start.copy()
        self._free = np.ones(start.shape, dtype=bool)
        self._free[:, 0] = False
        n = len(start)
        self._points = [_Points() for _ in range(n)]
        # a background of another night, a source that is not seen here: what has no effect stays as it is
        every = np.arange(n)
        out = self._minimize(every, self._start, self._start, self._free, 1)
        assert out.hessian is not None
        assert out.gradient is not None
        self._free &= np.any(out.hessian != 0, axis=2) | (out.gradient != 0)
        together = self._free.copy()
        together[:, 0] = True
        self._best = self._minimize(every, self._start, self._start, together)
        good = fitted(self._best.status)
        self._again = self._start.copy()
        self._start[good] = self._best.theta[good]

    def compact(self) -> Any:
        """The form of the batch, for the solver."""
        return self._compact

    def best(self) -> np.ndarray:
        """Strengths (J,) of the fit of everything together; 1 where that did not end at a minimum."""
        return np.where(fitted(self._best.status), self._best.theta[:, 0], 1.0)

    def curve(self, norm: np.ndarray) -> np.ndarray:
        r"""Statistic, slope and curvature, shape (3, J, L), at strengths (J, L), the others re-fitted.

        By the envelope theorem :math:`f' = g_\psi - H_{\psi\nu} H_{\nu\nu}^{-1} g_\nu` and
        :math:`f'' = H_{\psi\psi} - H_{\psi\nu} H_{\nu\nu}^{-1} H_{\nu\psi}`, of the parameters that are not on a limit; nan where the
        others could not be fitted; slope and curvature are nan too where the profile is flat.
        """
        self._compute(norm)
        return np.array([[p.values(x) for x in row] for p, row in zip(self._points, norm, strict=True)]).transpose(
            2, 0, 1
        )

    def status(self, norm: np.ndarray) -> np.ndarray:
        """How the fits at strengths (J,) ended."""
        self._compute(norm[:, None])
        return np.array([p.status(x) for p, x in zip(self._points, norm, strict=True)])

    def theta(self, norm: np.ndarray) -> np.ndarray:
        """All parameters (J, V) at strengths (J,), the others where they fit best; their start where that is not known."""
        self._compute(norm[:, None])
        out = self._start.copy()
        out[:, 0] = norm
        for j, (p, x) in enumerate(zip(self._points, norm, strict=True)):
            out[j] = p.theta(x, out[j])
        return out

    def ends(self) -> np.ndarray:
        """All parameters (J, V) of the fit of everything together; the start where that did not end at a minimum."""
        return self._start.copy()

    def tried(self, norm: np.ndarray) -> list[np.ndarray]:
        """All parameters, of each of J an array (m, V), of the fits at strengths between the lowest and the highest of (J, L)."""
        every = [p.between(x[np.isfinite(x)]) for p, x in zip(self._points, norm, strict=True)]
        return [np.vstack([[start], *found]) for start, found in zip(self._start, every, strict=True)]

    def _compute(self, norm: np.ndarray) -> None:
        """Re-fit at all strengths (J, L) that are new, in one batch."""
        lanes = [
            (j, float(x))
            for j, (p, row) in enumerate(zip(self._points, norm, strict=True))
            for x in np.unique(row[np.isfinite(row)])
            if p.failures < MOST_FAILURES and not p.known(x)
        ]
        if not lanes:
            return
        which, x = (np.array(a) for a in zip(*lanes, strict=True))
        starts = np.array([self._points[j].predicted(v, self._start[j]) for j, v in lanes])
        starts = np.clip(starts, self._limits[0], self._limits[1])
        again = self._again[which]
        starts[:, 0] = again[:, 0] = x
        out = self._minimize(which, starts, again, self._free[which])
        profile, slopes = self._profiles(out, self._free[which])
        for k, (j, v) in enumerate(lanes):
            self._points[j].add(v, profile[k], int(out.status[k]), out.theta[k], slopes[k])

    def _minimize(
        self, which: np.ndarray, starts: np.ndarray, again: np.ndarray, free: np.ndarray, max_iter: int = 200
    ) -> BatchResult:
        lower, upper, scale = self._limits
        return minimize_batch(
            self, starts, free, lower, upper, scale, tol=TOL, max_iter=max_iter, again=again, derivatives=True,
            own=which[:, None].astype(float),
        )  # fmt: skip

    def _profiles(self, out: BatchResult, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Statistic, slope and curvature (n, 3), to first order at the very minimum of the others, and how the others move (n, V)."""
        lower, upper, scale = self._limits
        assert out.hessian is not None
        assert out.gradient is not None
        good = fitted(out.status)
        held = ((out.theta <= lower) & (out.gradient > 0)) | ((out.theta >= upper) & (out.gradient < 0))
        moving = free & ~held & good[:, None]
        g, h = out.gradient * scale, out.hessian * np.outer(scale, scale)
        cross = np.where(moving, h[:, 0], 0.0)
        both = moving[:, :, None] & moving[:, None, :]
        matrix = np.where(both, h, np.eye(len(scale)))
        diagonal = np.sqrt(np.abs(np.einsum("nii->ni", matrix)))
        matrix = matrix / (diagonal[:, :, None] * diagonal[:, None, :])
        right = np.stack([np.where(moving, g, 0.0), cross], axis=2) / diagonal[:, :, None]
        solved = np.linalg.solve(matrix, right) / diagonal[:, :, None]
        slope = g[:, 0] - np.sum(cross * solved[:, :, 0], axis=1)
        curvature = h[:, 0, 0] - np.sum(cross * solved[:, :, 1], axis=1)
        # where strength and others cannot be told apart the profile is flat: nothing but rounding is left of its derivatives
        own = h[:, 0, 0]
        flat = (own > 0) & (curvature < FLAT * own) & (0.5 * slope * slope < FLAT * own)
        slope, curvature = (np.where(flat, np.nan, a) for a in (slope, curvature))
        unit = scale[0]
        values = np.stack([out.stat, slope / unit, curvature / unit**2], axis=1)
        values[~good] = np.nan
        # outside of the domain of the statistic is known, not missing
        values[~good & (out.stat == np.inf), 0] = np.inf
        return values, -solved[:, :, 1] * scale / unit


class _Points:
    """What is known of one profile."""

    def __init__(self) -> None:
        self._at: dict[float, tuple[np.ndarray, int, np.ndarray, np.ndarray]] = {}
        self._fitted: list[float] = []
        self.failures = 0

    def known(self, x: float) -> bool:
        return float(x) in self._at

    def add(self, x: float, values: np.ndarray, status: int, theta: np.ndarray, slope: np.ndarray) -> None:
        self._at[x] = values, status, theta, slope
        if Status(status).fitted:
            self._fitted.append(x)
        elif values[0] != np.inf:
            # outside of the domain, where a bin without counts is led, is known
            self.failures += 1

    def values(self, x: float) -> np.ndarray:
        return self._at[float(x)][0] if self.known(x) else np.full(3, np.nan)

    def status(self, x: float) -> int:
        return self._at[float(x)][1] if self.known(x) else Status.NOT_CONVERGED.value

    def predicted(self, x: float, start: np.ndarray) -> np.ndarray:
        """Where the others should fit best: from the nearest strength that is known, to first order."""
        if not self._fitted:
            return start.copy()
        near = min(self._fitted, key=lambda v: abs(v - x))
        _, _, theta, slope = self._at[near]
        return theta + slope * (x - near)

    def between(self, norm: np.ndarray) -> list[np.ndarray]:
        """Parameters (1, V) of the fits at strengths between the lowest and the highest of some."""
        low, high = np.min(norm, initial=np.inf), np.max(norm, initial=-np.inf)
        return [self._at[x][2][None] for x in self._fitted if low <= x <= high]

    def theta(self, x: float, default: np.ndarray) -> np.ndarray:
        found = self._at.get(float(x))
        return found[2] if found is not None and Status(found[1]).fitted else default
