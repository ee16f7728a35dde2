"""What a fit says of its end: one flag per way to end, and the sentences for a person."""

from dataclasses import dataclass, field

from gammajax.solve import Status

__all__ = ["FitFlags"]


@dataclass(frozen=True)
class FitFlags:
    """How a fit ended; one flag per way to end, `status` for the one that decides.

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
        Statistic, gradient or Hessian are not finite; where, in `bad_bins` and `bad_parameters`.
    unidentified : tuple of str
        Parameters without any effect on the statistic.
    away_from_minimum : bool
        The covariance was taken noticeably away from the minimum (EDM above 1e-6).
    direction : dict of str to float
        Along which the statistic does not rise, in units of each parameter's own error.
    sides : dict of str to str
        "lower" or "upper", of parameters at or near a limit, or running away.
    singular : bool
        Parameters are perfectly correlated: only combinations of those in `direction` are known.
    runaway : tuple of str
        Parameters with which the statistic falls, or does not rise any more, however far they go.
    at_corner : tuple of str
        Strengths at 0 where the slope of the statistic jumps (bins without counts).
    kinked : tuple of str
        Parameters that move a kink of the model, whose curvature was taken over steps of one error instead of at a point.
    not_parabolic : bool
        One error away the statistic is not what the curvature promises: errors from the covariance are no intervals.
    lower_nearby : float
        By how much a lower statistic was found from the end, where the expected distance promised none.
    lower_elsewhere : float
        By how much the minimum is lower to which backend "newton" comes from the same start; looked for with chi2 only.
    stopped : bool
        The optimiser itself says that it failed, and the distance to the minimum is above 1e-6.
    bad_bins, bad_parameters : tuple of str
        Where the statistic is not finite, and which derivatives.
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
    singular: bool = False
    runaway: tuple[str, ...] = ()
    at_corner: tuple[str, ...] = ()
    kinked: tuple[str, ...] = ()
    not_parabolic: bool = False
    lower_nearby: float = 0.0
    lower_elsewhere: float = 0.0
    stopped: bool = False
    bad_bins: tuple[str, ...] = ()
    bad_parameters: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The verdict: the first that applies, the gravest first."""
        first = (
            (self.non_finite, Status.NON_FINITE),
            (bool(self.runaway), Status.RUNAWAY),
            (bool(self.unidentified), Status.UNIDENTIFIED),
            (self.singular, Status.SINGULAR),
            (self.converged and bool(self.at_corner), Status.AT_CORNER),
            (self.converged and bool(self.at_limit), Status.AT_LIMIT),
            (self.converged, Status.CONVERGED),
            (self.call_limit, Status.ITERATION_LIMIT),
            (self.hessian_not_positive_definite, Status.NOT_POSITIVE_DEFINITE),
        )
        return next((status for applies, status in first if applies), Status.NOT_CONVERGED)

    def notes(self) -> list[str]:
        """Sentences for a person, none when all is well."""
        out = [
            f"{name} is on its {self.sides[name]} limit: its error is not defined there (0 in the covariance), the "
            "others are for it held fixed; use fit.confidence for a one-sided interval."
            for name in self.at_limit
        ]
        out += [f"{name} is closer than one error to its {self.sides[name]} limit." for name in self.near_limit]
        out += self._reasons()
        along = ", ".join(f"{k} ({v:+.2f})" for k, v in self.direction.items())
        if self.singular:
            out.append(f"Perfectly correlated: the statistic does not change along {along}; freeze one of them.")
        elif self.hessian_not_positive_definite and along:
            out.append(f"The Hessian is not positive definite: the statistic does not rise along {along}.")
        out += [f"{name} has no effect on the statistic; its error is nan." for name in self.unidentified]
        if self.away_from_minimum and self.converged:
            out.append("The covariance was taken away from the minimum, see the EDM; use tighter options.")
        elif self.away_from_minimum and self.status in (
            Status.NOT_CONVERGED,
            Status.ITERATION_LIMIT,
            Status.UNIDENTIFIED,
        ):
            out.append("The end is still away from the minimum, see the EDM; use tighter options or backend 'newton'.")
        out += [
            f"{name} moves a kink of the model: its curvature is the mean over one error to both sides, since that at the best "
            "fit holds only up to the next edge of a bin; use fit.confidence."
            for name in self.kinked
        ]
        if self.not_parabolic:
            out.append("One error from the best fit the statistic is no parabola: use fit.confidence for intervals.")
        return out

    def _reasons(self) -> list[str]:
        """What kept the fit from a minimum."""
        out = []
        if self.call_limit:
            out.append("The optimiser reached its limit of calls or steps.")
        if self.stopped and not self.call_limit:
            out.append("The optimiser stopped before the minimum, see its message and the EDM.")
        if self.non_finite:
            out.append("The statistic or its derivatives are not finite at the end.")
            out += [f"Not finite: {where}." for where in self.bad_bins]
            if self.bad_parameters:
                out.append(f"Derivatives that are not finite: {', '.join(self.bad_parameters)}.")
        out += [
            f"{name} runs away: the statistic does not rise any more as it {'grows' if self.sides[name] == 'upper' else 'falls'}, "
            "however far; set a limit, freeze it, or use a model without it."
            for name in self.runaway
        ]
        out += [
            f"{name} is 0, where the slope of the statistic jumps (bins without counts): its error is not defined there (0 "
            "in the covariance); use fit.confidence for an interval or an upper limit."
            for name in self.at_corner
        ]
        if self.lower_elsewhere:
            out.append(
                f"From the same start backend 'newton' comes to a minimum that is lower by {self.lower_elsewhere:.3g}; use it, or "
                "try several with fit.run(starts=20)."
            )
        if self.lower_nearby:
            out.append(
                f"From the end a statistic lower by {self.lower_nearby:.3g} was found, which the EDM did not promise: this is "
                "no minimum; start from other values or use backend 'newton'."
            )
        return out
