"""The batched solver."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.solve.batch import BatchResult, Plan, evaluate_batch, minimize_batch, replace_lanes
    from gammajax.solve.devices import resolve_device
    from gammajax.solve.linear import cholesky_solve
    from gammajax.solve.norm import HOST, TRACED, Way, norm_crossings, norm_minimum
    from gammajax.solve.point import derivatives, derivatives_at, scores
    from gammajax.solve.status import Status, fitted

__all__ = [
    "HOST",
    "TRACED",
    "BatchResult",
    "Plan",
    "Status",
    "Way",
    "cholesky_solve",
    "derivatives",
    "derivatives_at",
    "evaluate_batch",
    "fitted",
    "minimize_batch",
    "norm_crossings",
    "norm_minimum",
    "replace_lanes",
    "resolve_device",
    "scores",
]

__getattr__, __dir__ = names_of(__name__)
