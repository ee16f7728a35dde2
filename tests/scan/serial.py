"""A serial reference for re-optimised scans: scipy's L-BFGS-B node by node, which shares no line with our solver."""

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from gammajax.fit.problem import derivatives


def reference(likelihood, index, values, starts=1, seed=0, spread=3.0):
    """Lowest statistic of each node, shape (n,), from the best fit and from random starts around it.

    The minimisation runs in the errors of the parameters, restarted until nothing is gained any more.
    """
    hessian = derivatives(likelihood, likelihood.start)[2]
    free = likelihood.free.copy()
    free[list(index)] = False
    move = np.flatnonzero(free)
    diagonal = np.abs(np.diag(hessian)[move])
    # where nothing is predicted any more there is no curvature
    flat = diagonal < 1e-200
    unit = np.where(flat, likelihood.scale[move], np.sqrt(2 / np.where(flat, 1.0, diagonal)))
    rng = np.random.default_rng(seed)
    low, high = likelihood.lower[move] / unit, likelihood.upper[move] / unit
    out = np.empty(len(values))
    for n, value in enumerate(values):
        theta = likelihood.start.copy()
        theta[list(index)] = value

        def function(x, theta=theta):
            theta[move] = x * unit
            stat, gradient, _ = derivatives(likelihood, theta)
            if not np.isfinite(stat):
                return 1e10, np.zeros(len(x))
            return stat, gradient[move] * unit

        begin = likelihood.start[move] / unit
        if len(move) == 0:
            out[n] = function(begin)[0]
            continue
        tries = [begin] + [begin + rng.normal(size=len(move)) * spread for _ in range(starts - 1)]
        out[n] = min(_lowest(function, np.clip(t, low, high), low, high) for t in tries)
        if len(move) == 1:
            # Brent's method needs no slope: where it jumps, as at a strength of 0, this is the better reference
            for width in (30.0, 1e-3, 1e-7):
                range_ = (max(-width, low[0]), min(width, high[0]))
                if range_[0] >= range_[1]:
                    continue
                found = minimize_scalar(lambda x: function(np.array([x]))[0], bounds=range_, options={"xatol": 1e-13})
                out[n] = min(out[n], found.fun, function(np.zeros(1))[0] if range_[0] <= 0 <= range_[1] else np.inf)
    return out


def _lowest(function, x, low, high):
    last = np.inf
    for _ in range(20):
        found = minimize(
            function, x, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)),
            options={"ftol": 0, "gtol": 1e-9, "maxcor": 30, "maxiter": 2000},
        )  # fmt: skip
        if last - found.fun < 1e-9:
            return found.fun
        last, x = found.fun, found.x
    return last
