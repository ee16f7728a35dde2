"""What the native solver finds from the same start, where it costs next to nothing."""

from dataclasses import replace

from gammajax.fit.backends import get as get_backend
from gammajax.fit.judge import EDM_MINIMUM
from gammajax.fit.problem import Problem
from gammajax.fit.verdict import Settled

__all__ = ["second_opinion"]


def second_opinion(problem: Problem, end: Settled) -> Settled:
    """The same end, without success where the native solver comes from the same start to a lower minimum.

    For sums of squares only: their Gauss-Newton steps go a short way, while an optimiser that knows nothing of the squares may jump
    into a neighbouring minimum, as MIGRAD does for sums of waves.

    Parameters
    ----------
    problem : `Problem`
        The function.
    end : `Settled`
        Where another optimiser ended.
    """
    objective = problem.objective()
    if objective.safe_hess is None or not end.verdict.flags.converged:
        return end
    out = get_backend("newton")(objective)
    drop = end.stat - out.fun
    if not out.success or not drop > EDM_MINIMUM * objective.unit(end.stat) + objective.noise(end.stat):
        return end
    flags = replace(end.verdict.flags, converged=False, lower_elsewhere=float(drop))
    return replace(end, verdict=replace(end.verdict, flags=flags))
