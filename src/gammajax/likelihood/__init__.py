"""The one place where models, response, stats and data meet: a pure function of (theta, data)."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.likelihood.bound import Bound
    from gammajax.likelihood.core import Likelihood
    from gammajax.likelihood.drawn import DrawnCompact, drawn_numbers
    from gammajax.likelihood.each import EachCompact, OwnNumbers, compact_of, own_numbers
    from gammajax.likelihood.kept import likelihood_of
    from gammajax.likelihood.penalties import penalty_stat
    from gammajax.likelihood.stacked import parts_of, stacked_parts
    from gammajax.likelihood.statistics import STATISTICS
    from gammajax.likelihood.structure import BinData, ResponseData, Structure

__all__ = [
    "STATISTICS",
    "BinData",
    "Bound",
    "DrawnCompact",
    "EachCompact",
    "Likelihood",
    "OwnNumbers",
    "ResponseData",
    "Structure",
    "compact_of",
    "drawn_numbers",
    "likelihood_of",
    "own_numbers",
    "parts_of",
    "penalty_stat",
    "stacked_parts",
]

__getattr__, __dir__ = names_of(__name__)
