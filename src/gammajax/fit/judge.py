"""The verdict of a fit, from exact derivatives at the point where the optimiser stopped."""

from dataclasses import dataclass

import numpy as np

from gammajax.fit.flags import FitFlags
from gammajax.parameters import covariance_from_hessian

__all__ = ["EDM_MINIMUM", "EDM_NOTE", "Verdict", "judge", "known_part", "weakest_direction"]

# a larger expected distance is no minimum; MINUIT's own goal at tol = 0.1 is 2e-4
EDM_MINIMUM = 1e-3
# above this the covariance says where it was taken, and an optimiser that says it failed is believed
EDM_NOTE = 1e-6
# of the largest curvature, in units of the parameters' own: what is left of a direction along which nothing changes
NOTHING = 1e-10


@dataclass(frozen=True)
class Verdict:
    """Flags, EDM and covariance (in the n free scaled parameters, nan where undefined) of one end point."""

    flags: FitFlags
    edm: float
    covariance: np.ndarray


def judge(
    names: tuple[str, ...],
    x: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    stat: float,
    gradient: np.ndarray,
    hessian: np.ndarray,
    call_limit: bool,
    success: bool = True,
    corners: tuple[int, ...] = (),
    unit: float = 1.0,
    without: tuple[int, ...] = (),
    noise: float = 0.0,
) -> Verdict:
    """Judge an end point by its exact derivatives.

    Parameters
    ----------
    names : tuple of str, length n
        Free parameters.
    x, lower, upper, gradient : array, shape (n,)
        End point, limits and gradient, scaled.
    stat : float
        Statistic.
    hessian : array, shape (n, n)
        Exact Hessian, scaled.
    call_limit : bool
        Whether the optimiser ran out of calls.
    success : bool
        Whether the optimiser is content. It is overruled where it is not and the EDM is below 1e-6, as on a limit, where MIGRAD
        cannot be; never where it is content and the derivatives are not.
    corners : tuple of int
        Parameters at a corner of the statistic, held there like on a limit.
    unit : float
        What counts as one unit of the statistic, see `gammajax.fit.precision.Precision`.
    without : tuple of int
        Parameters that were found to have no effect, whatever is left of their derivatives: the verdict is that of the other ones.
        Where these are perfectly correlated, those that are not among them have errors all the same.
    noise : float
        How much of the statistic may be rounding: an EDM below it is none.
    """
    n = len(names)
    undefined = np.full((n, n), np.nan)
    finite = np.isfinite(gradient) & np.isfinite(hessian).all(axis=1)
    if not (np.isfinite(stat) and finite.all()):
        bad = tuple(m for m, f in zip(names, finite, strict=True) if not f)
        return Verdict(FitFlags(False, call_limit=call_limit, non_finite=True, bad_parameters=bad), np.nan, undefined)
    diagonal = np.diag(hessian)
    pushed = _pushed(names, x, lower, upper, gradient, diagonal, corners)
    moving = np.array([m not in pushed for m in names])
    moving[list(corners)] = False
    dead = moving & (diagonal == 0) & (gradient == 0) & ~np.any(hessian != 0, axis=1)
    dead[list(without)] = True
    keep = np.flatnonzero(moving & ~dead)
    block = hessian[np.ix_(keep, keep)]
    covariance = covariance_from_hessian(block)
    near, full, direction, edm = {}, undefined, {}, np.nan
    positive = covariance is not None
    if not positive:
        direction = weakest_direction(block, [names[i] for i in keep])[1]
        covariance = known_part(block) if without else None
    if covariance is not None:
        known = np.isfinite(np.diag(covariance))
        held = np.where(known, gradient[keep], 0.0)
        edm = float(0.25 * held @ np.nan_to_num(covariance) @ held)
        full = np.zeros((n, n))
        full[np.ix_(keep, keep)] = covariance
        full[dead, dead] = np.nan
        near = _within_an_error(names, x, lower, upper, full, keep)
    minimum = positive and edm <= EDM_MINIMUM * unit and not np.any(dead)
    stopped = not success and not edm <= EDM_NOTE * unit
    flags = FitFlags(
        converged=minimum and not stopped,
        at_limit=tuple(pushed),
        near_limit=tuple(near),
        call_limit=call_limit,
        hessian_not_positive_definite=not positive,
        unidentified=tuple(names[i] for i in np.flatnonzero(dead)),
        away_from_minimum=covariance is not None and edm > max(EDM_NOTE * unit, noise),
        direction=direction,
        sides=pushed | near,
        at_corner=tuple(names[i] for i in corners),
        stopped=stopped,
    )
    return Verdict(flags, edm, full)


def known_part(hessian: np.ndarray) -> np.ndarray | None:
    """Covariance where some parameters are perfectly correlated: nan for those, that of the other ones beside; None where there is none.

    Parameters
    ----------
    hessian : array, shape (n, n)
        Second derivatives of the statistic, never negative but singular.
    """
    diagonal = np.diag(hessian)
    if len(hessian) == 0 or np.any(diagonal <= 0):
        return None
    scale = 1 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    null = values <= NOTHING * values[-1]
    if np.any(values < -NOTHING * values[-1]):
        return None
    # along what is not known a parameter that is known does not move
    known = np.sum(vectors[:, null] ** 2, axis=1) < NOTHING
    some = vectors[:, ~null]
    covariance = 2 * (some / values[~null]) @ some.T * np.outer(scale, scale)
    return np.where(known[:, None] & known, covariance, np.nan) if np.any(known) else None


def _pushed(
    names: tuple[str, ...], x: np.ndarray, lower: np.ndarray, upper: np.ndarray, gradient: np.ndarray,
    diagonal: np.ndarray, corners: tuple[int, ...],
) -> dict[str, str]:  # fmt: skip
    """Parameters on a limit that the statistic pushes them against, with its side."""
    sigma = np.sqrt(2 / np.where(diagonal > 0, diagonal, np.inf))
    sides = {
        m: _pushed_side(x[i], lower[i], upper[i], gradient[i], diagonal[i], sigma[i])
        for i, m in enumerate(names)
        if i not in corners
    }
    return {m: side for m, side in sides.items() if side}


def _within_an_error(
    names: tuple[str, ...],
    x: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    covariance: np.ndarray,
    keep: np.ndarray,
) -> dict[str, str]:
    """Parameters that are less than an error away from a limit, with its side; the upper one where both are."""
    error = np.sqrt(np.diag(covariance))
    found = {}
    for i in map(int, keep):
        for side, distance in (("lower", x[i] - lower[i]), ("upper", upper[i] - x[i])):
            if distance < error[i]:
                found[names[i]] = side
    return found


def _pushed_side(x: float, lower: float, upper: float, gradient: float, curvature: float, sigma: float) -> str:
    """Side of the limit that the statistic pushes x against, or an empty string.

    On the limit, or within a hundredth of an error of it with a Newton step that leads outside: optimisers with
    an internal transformation only come close.
    """
    near = 0.01 * sigma if np.isfinite(sigma) else 0.0
    # without curvature the step is as long as one likes
    step = -gradient / curvature if curvature > 0 else -np.copysign(np.inf, gradient)
    if gradient > 0 and (x <= lower or (x - lower < near and x + step < lower)):
        return "lower"
    if gradient < 0 and (x >= upper or (upper - x < near and x + step > upper)):
        return "upper"
    return ""


def weakest_direction(hessian: np.ndarray, names: list[str]) -> tuple[float, dict[str, float]]:
    """Smallest curvature, and the main components of its direction, both in units of each parameter's own curvature."""
    scale = 1 / np.sqrt(np.where(np.diag(hessian) > 0, np.diag(hessian), 1.0))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    vector = vectors[:, 0]
    order = np.argsort(-np.abs(vector))
    return float(values[0]), {names[i]: float(vector[i]) for i in order if abs(vector[i]) > 0.1}
