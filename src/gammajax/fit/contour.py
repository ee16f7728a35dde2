"""Contours of two parameters: MNCONTOUR."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.fit.minos import minuit_at_minimum
from gammajax.fit.problem import Problem, derivatives
from gammajax.scan import Refit

__all__ = ["ContourResult", "joint_probability", "minos_contour"]

# largest difference of the re-optimised TS from sigma^2 at a point of the contour
TS_TOLERANCE = 1e-3


def joint_probability(sigma: float) -> float:
    """Probability that both true values are inside a contour of TS = sigma^2: 1 - exp(-sigma^2 / 2).

    Examples
    --------
    >>> [round(joint_probability(s), 4) for s in (1, 2)]
    [0.3935, 0.8647]
    """
    return float(-np.expm1(-0.5 * sigma**2))


@dataclass(frozen=True, repr=False)
class ContourResult(Mapping):
    """Points on which the re-optimised TS of two parameters is sigma^2.

    Readable like gammapy's dictionary: by parameter name or unique name, and ``success``.

    Attributes
    ----------
    names, units : tuple of str
        Unique names and units of x and y.
    x, y : array, shape (numpoints,)
        The points, in order around the best fit; not closed.
    sigma : float
        Level.
    ts : array, shape (numpoints,)
        TS of each point, all other free parameters re-fitted.
    success : bool
        Whether every point is within 1e-3 of sigma^2.
    message : str
        What went wrong, if anything.
    """

    names: tuple[str, str]
    units: tuple[str, str]
    x: np.ndarray
    y: np.ndarray
    sigma: float
    ts: np.ndarray
    success: bool
    message: str

    @property
    def joint_probability(self) -> float:
        """1 - exp(-sigma^2/2)."""
        return joint_probability(self.sigma)

    def __getitem__(self, key: str) -> Any:
        if key == "success":
            return self.success
        for name, values in zip(self.names, (self.x, self.y), strict=True):
            if key in (name, name.rsplit(".", 1)[-1]):
                return values
        raise KeyError(f"{key!r}: the keys are {', '.join(self)} and the short names of the parameters.")

    def __iter__(self) -> Iterator[str]:
        return iter([*self.names, "success"])

    def __len__(self) -> int:
        return 3

    def __str__(self) -> str:
        return (
            f"Contour of {self.names[0]} and {self.names[1]}: {len(self.x)} points at TS = {self.sigma**2:g} "
            f"({self.sigma:g} sigma of one parameter; the joint probability of both is 1 - exp(-{self.sigma:g}^2/2) = "
            f"{100 * self.joint_probability:.1f} %); {self.message}"
        )

    __repr__ = __str__


def minos_contour(problem: Problem, found: list, numpoints: int, sigma: float, options: dict) -> ContourResult:
    """Trace a contour with MNCONTOUR, and measure the TS of every point by a re-fit.

    Parameters
    ----------
    problem : `Problem`
        At the best fit.
    found : list
        For x and y: position in theta, parameter, unique name.
    numpoints : int
        Points.
    sigma : float
        Level; TS = sigma^2.
    options : dict
        See `minuit_at_minimum`.
    """
    if not (np.isfinite(sigma) and 0 < sigma <= 8):
        raise InputError(f"stat_contour: got sigma={sigma!r}, expected a number above 0 and at most 8.")
    if numpoints < 4:
        raise InputError(f"stat_contour: got numpoints={numpoints}, expected at least 4.")
    names = tuple(problem.likelihood.names[i] for i in problem.index)
    minuit = minuit_at_minimum(problem, names, options)
    try:
        points = minuit.mncontour(found[0][2], found[1][2], cl=joint_probability(sigma), size=numpoints)
    except RuntimeError as error:
        raise FitError(
            f"MNCONTOUR found no contour of {found[0][2]} and {found[1][2]} at TS = {sigma**2:g} ({error}); it may leave the "
            "limits: widen them, or scan the surface with stat_surface(..., reoptimize=True)."
        ) from None
    # iminuit closes the polygon; gammapy does not
    points = np.asarray(points)[:numpoints]
    scale = np.array([problem.likelihood.scale[f[0]] for f in found])
    ts = _measured_ts(problem, [f[0] for f in found], points * scale, minuit)
    good = np.abs(ts - sigma**2) <= TS_TOLERANCE
    values = points * scale / np.array([f[1].factor for f in found])
    message = "every point within 1e-3 of the level" if good.all() else (
        f"{int((~good).sum())} of {len(ts)} points are off the level, TS from {ts.min():.4g} to {ts.max():.4g}"
    )  # fmt: skip
    return ContourResult(
        names=(found[0][2], found[1][2]),
        units=(found[0][1].unit.to_string(), found[1][1].unit.to_string()),
        x=values[:, 0],
        y=values[:, 1],
        sigma=float(sigma),
        ts=ts,
        success=bool(good.all()),
        message=message,
    )


def _measured_ts(problem: Problem, index: list[int], points: np.ndarray, minuit: Any) -> np.ndarray:
    """Re-optimised TS of points (n, 2) in internal units, all in one batch."""
    best = problem.theta(np.asarray(minuit.values))
    hessian = derivatives(problem.likelihood, best)[2]
    return Refit(problem.likelihood, hessian).points([(index, points)]).stat - minuit.fval
