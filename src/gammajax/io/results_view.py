"""The table of a result file that any program can read; what gammajax itself reads back stands beside it."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit import (
    ConfidenceResult,
    ConfidenceTable,
    ContourResult,
    EachResult,
    FitResult,
    FluxPoints,
    GoodnessOfFit,
    NestedTest,
    ParameterEstimate,
    UpperLimit,
)
from gammajax.scan import ScanResult

__all__ = ["n_rows", "view"]


def n_rows(result: Any) -> int:
    """Rows that arrays of the result share with the table: nodes of a scan, points of a contour, many fits; otherwise 0."""
    if isinstance(result, ScanResult):
        return result.stat.size
    if isinstance(result, EachResult):
        return len(result)
    return len(result.x) if isinstance(result, ContourResult) else 0


def view(result: Any) -> Any:
    """Columns that stand for themselves, as an astropy Table with units."""
    from astropy.table import Column, Table

    if isinstance(result, ScanResult):
        mesh = np.meshgrid(*result.axes, indexing="ij")
        named = zip(result.names, result.units, mesh, strict=True)
        return Table({name: Column(values.ravel(), unit=unit or None) for name, unit, values in named})
    if isinstance(result, ContourResult):
        named = zip(result.names, result.units, (result.x, result.y), strict=True)
        return Table({name: Column(values, unit=unit or None) for name, unit, values in named})
    if isinstance(result, FitResult):
        table = result.models.to_parameters_table()
        for name in table.colnames:
            # all digits, not those of the screen
            table[name].info.format = None
        table.meta.clear()
        return table
    if isinstance(result, ConfidenceTable):
        return result.to_table()
    if isinstance(result, ConfidenceResult):
        return ConfidenceTable({result.parameter: [result]}, (result.sigma,)).to_table()
    if isinstance(result, UpperLimit):
        names: tuple[str, ...] = ("parameter", "cl", "value", "unit", "ts", "best", "success", "message")
        return Table([[getattr(result, n)] for n in names], names=names)
    if isinstance(result, EachResult):
        table = Table(result.to_table())
        # numbers that the result holds by these names itself
        table.remove_columns(["edm", "iterations", "stat"])
        table.rename_column("status", "verdict")
        return table
    if isinstance(result, FluxPoints):
        return Table(result.to_table("likelihood"))
    if isinstance(result, ParameterEstimate):
        table = result.to_table()
        table["datasets"] = [" ".join(result.datasets)]
        return table
    if isinstance(result, NestedTest):
        names = ("ts", "dof", "n_on_limit", "p_value", "sigma", "success")
        return Table([[getattr(result, n)] for n in names], names=names)
    if isinstance(result, GoodnessOfFit):
        names = ("stat", "dof", "p_value", "method", "reason", "n_toys")
        row = [np.nan if result.p_value is None and n == "p_value" else getattr(result, n) for n in names]
        return Table([[v] for v in row], names=names)
    raise InputError(f"write: got {type(result).__name__}, expected a result of a fit or a scan.")
