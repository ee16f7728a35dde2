"""The trace of a fit as a table."""

from typing import Any

import numpy as np

from gammajax.fit.backends.base import Objective
from gammajax.fit.problem import Problem
from gammajax.likelihood import Likelihood

__all__ = ["trace_table"]


def trace_table(objective: Objective, problem: Problem, likelihood: Likelihood) -> Any:
    """Return an astropy Table with one row per evaluation: statistic and each free parameter in its own unit."""
    from astropy.table import Table

    entries = objective.trace or []
    names = [likelihood.names[i] for i in problem.index]
    factor = likelihood.table.factor[problem.index] if likelihood.table is not None else 1.0
    values = np.array([x for _, x in entries]).reshape(len(entries), len(names)) * problem.scale / factor
    table = Table()
    table["total_stat"] = np.array([stat for stat, _ in entries], dtype=float)
    for k, name in enumerate(names):
        table[name] = values[:, k]
    return table
