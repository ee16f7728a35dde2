"""How one minimisation ended."""

from enum import IntEnum
from functools import reduce

import numpy as np

__all__ = ["Status", "fitted"]


class Status(IntEnum):
    """Verdict of one fit or one node of a scan.

    Examples
    --------
    >>> Status(1).meaning
    'converged with a parameter on its limit'
    """

    CONVERGED = 0
    AT_LIMIT = 1
    ITERATION_LIMIT = 2
    NOT_POSITIVE_DEFINITE = 3
    NON_FINITE = 4
    EVALUATED = 5
    OUTSIDE_LIMITS = 6
    AT_CORNER = 7
    SINGULAR = 8
    UNIDENTIFIED = 9
    RUNAWAY = 10
    NOT_CONVERGED = 11
    NOT_DONE = 12
    FAILED = 13

    @property
    def meaning(self) -> str:
        """The verdict in words."""
        return _MEANING[self]

    @property
    def usable(self) -> bool:
        """Whether the statistic of the node is what the scan promises."""
        return self in (Status.CONVERGED, Status.AT_LIMIT, Status.AT_CORNER, Status.EVALUATED)

    @property
    def fitted(self) -> bool:
        """Whether a minimisation ended at a minimum."""
        return self in (Status.CONVERGED, Status.AT_LIMIT, Status.AT_CORNER)


_MEANING = {
    Status.CONVERGED: "converged",
    Status.AT_LIMIT: "converged with a parameter on its limit",
    Status.ITERATION_LIMIT: "iteration limit reached before the minimum",
    Status.NOT_POSITIVE_DEFINITE: "the Hessian is not positive definite, this is not a minimum",
    Status.NON_FINITE: "the statistic or its derivatives are not finite",
    Status.EVALUATED: "evaluated, nothing was fitted",
    Status.AT_CORNER: "converged with a strength at 0, where the slope of the statistic jumps (bins without counts)",
    Status.OUTSIDE_LIMITS: "the node is outside the limits of a scanned parameter",
    Status.SINGULAR: "some parameters are perfectly correlated, only a combination of them is known",
    Status.UNIDENTIFIED: "a parameter has no effect on the statistic",
    Status.RUNAWAY: "the statistic still falls as a parameter grows without limit",
    Status.NOT_CONVERGED: "the optimiser stopped away from a minimum",
    Status.NOT_DONE: "not computed yet, the value is nan; run the scan on",
    Status.FAILED: "the computation of its chunk failed, the value is nan; the scan lists the error",
}


_FITTED = np.array([s.fitted for s in Status])
MANY = 10_000


def fitted(status: np.ndarray) -> np.ndarray:
    """Which lanes ended at a minimum, by their `Status`; same shape."""
    status = np.asarray(status)
    if status.dtype == np.int8 and status.size > MANY:
        # taken from a table they would be made wide numbers first
        return reduce(np.logical_or, [status == s.value for s in Status if s.fitted])
    return _FITTED[status.astype(int, copy=False)]
