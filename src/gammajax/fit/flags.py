"""The verdict of a fit, from exact derivatives at the point where the optimiser stopped."""

from dataclasses import dataclass, field

import numpy as np

from gammajax.parameters import covariance_from_hessian

__all__ = ["FitFlags", "Verdict", "judge"]

# a larger expected distance is no minimum; MINUIT's own goal at tol = 0.1 is 2e-4
EDM_MINIMUM = 1e-3
# above this the covariance says where it was taken
EDM_NOTE = 1e-6


@dataclass(frozen=True)
class FitFlags:
    """How a fit ended; one flag per way to end.

    Attributes
    ----------
    converged : bool
        The expected distance to the minimum is small and the Hessian positive definite.
    at_limit : tuple of str
        Parameters on a limit that the statistic still pushes against; their side in `sides`.
    near_limit : tuple of str
        Parameters closer than one error to a limit.
    call_limit : bool
        The optimiser ran out of its calls or steps.
    hessian_not_positive_definite : bool
        No minimum in the free parameters; `direction` tells along which the statistic does not rise.
    non_finite : bool
        Statistic, gradient or Hessian are not finite.
    unidentified : tuple of str
        Parameters without any effect on the statistic.
    away_from_minimum : bool
        The covariance was taken noticeably away from the minimum (EDM above 1e-6).
    direction : dict of str to float
        Where the Hessian is not positive definite: parts of each parameter in the direction along which the
        statistic does not rise.
    sides : dict of str to str
        Of the parameters at or near a limit: "lower" or "upper".
    """

    converged: bool
    at_limit: tuple[str, ...] = ()
    near_limit: tuple[str, ...] = ()
    call_limit: bool = False
    hessian_not_positive_definite: bool = False
    non_finite: bool = False
    unidentified: tuple[str, ...] = ()
    away_from_minimum: bool = False
    direction: dict[str, float] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """Sentences for a person, none when all is well."""
        out = []
        for name in self.at_limit:
            out.append(
                f"{name} is on its {self.sides[name]} limit: its error is not defined there (0 in the covariance), the "
                "others are for it held fixed; use fit.confidence for a one-sided interval."
            )
        out += [f"{name} is closer than one error to its {self.sides[name]} limit." for name in self.near_limit]
        if self.call_limit:
            out.append("The optimiser reached its limit of calls or steps.")
        if self.non_finite:
            out.append("The statistic or its derivatives are not finite at the end.")
        if self.hessian_not_positive_definite:
            along = ", ".join(f"{k} ({v:+.2f})" for k, v in self.direction.items())
            out.append(f"The Hessian is not positive definite: the statistic does not rise along {along}.")
        out += [f"{name} has no effect on the statistic; its error is nan." for name in self.unidentified]
        if self.away_from_minimum:
            out.append("The covariance was taken away from the minimum, see the EDM; use tighter options.")
        return out


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
    """
    n = len(names)
    undefined = np.full((n, n), np.nan)
    if not (np.isfinite(stat) and np.all(np.isfinite(gradient)) and np.all(np.isfinite(hessian))):
        return Verdict(FitFlags(False, call_limit=call_limit, non_finite=True), np.nan, undefined)
    diagonal = np.diag(hessian)
    sigma = np.sqrt(2 / np.where(diagonal > 0, diagonal, np.inf))
    sides, at_limit, moving = {}, [], np.ones(n, dtype=bool)
    for i in range(n):
        side = _pushed_side(x[i], lower[i], upper[i], gradient[i], diagonal[i], sigma[i])
        if side:
            sides[names[i]], moving[i] = side, False
            at_limit.append(names[i])
    dead = moving & (diagonal == 0) & (gradient == 0) & ~np.any(hessian != 0, axis=1)
    keep = np.flatnonzero(moving & ~dead)
    block = hessian[np.ix_(keep, keep)]
    covariance = covariance_from_hessian(block)
    near, full, direction = [], np.zeros((n, n)), {}
    if covariance is None:
        edm = np.nan
        full = undefined
        direction = _flat_direction(block, [names[i] for i in keep])
    else:
        edm = float(0.25 * gradient[keep] @ covariance @ gradient[keep])
        full[np.ix_(keep, keep)] = covariance
        full[dead, dead] = np.nan
        for i in map(int, keep):
            error = np.sqrt(full[i, i])
            for side, distance in (("lower", x[i] - lower[i]), ("upper", upper[i] - x[i])):
                if distance < error:
                    sides[names[i]] = side
                    near.append(names[i])
    return Verdict(
        FitFlags(
            converged=covariance is not None and edm <= EDM_MINIMUM and not np.any(dead),
            at_limit=tuple(at_limit),
            near_limit=tuple(dict.fromkeys(near)),
            call_limit=call_limit,
            hessian_not_positive_definite=covariance is None,
            unidentified=tuple(names[i] for i in np.flatnonzero(dead)),
            away_from_minimum=covariance is not None and edm > EDM_NOTE,
            direction=direction,
            sides=sides,
        ),
        edm,
        full,
    )


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


def _flat_direction(hessian: np.ndarray, names: list[str]) -> dict[str, float]:
    """Main components of the direction in which the curvature is smallest, in units of each parameter's own scale."""
    scale = 1 / np.sqrt(np.where(np.diag(hessian) > 0, np.diag(hessian), 1.0))
    _, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    vector = vectors[:, 0]
    order = np.argsort(-np.abs(vector))
    return {names[i]: float(vector[i]) for i in order if abs(vector[i]) > 0.1}
