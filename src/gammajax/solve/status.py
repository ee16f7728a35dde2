"""How one minimisation ended."""

from enum import IntEnum

__all__ = ["Status"]


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

    @property
    def meaning(self) -> str:
        """The verdict in words."""
        return _MEANING[self]

    @property
    def usable(self) -> bool:
        """Whether the statistic of the node is what the scan promises."""
        return self in (Status.CONVERGED, Status.AT_LIMIT, Status.EVALUATED)


_MEANING = {
    Status.CONVERGED: "converged",
    Status.AT_LIMIT: "converged with a parameter on its limit",
    Status.ITERATION_LIMIT: "iteration limit reached before the minimum",
    Status.NOT_POSITIVE_DEFINITE: "the Hessian is not positive definite, this is not a minimum",
    Status.NON_FINITE: "the statistic or its derivatives are not finite",
    Status.EVALUATED: "evaluated, nothing was fitted",
    Status.OUTSIDE_LIMITS: "the node is outside the limits of a scanned parameter",
}
