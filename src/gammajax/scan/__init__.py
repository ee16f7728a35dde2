"""Scans of the statistic: grids, and what they return."""

from gammajax.scan.grid import GridScan, check_axis, frozen_grid, outside_limits, profile_grid, profile_grids
from gammajax.scan.lines import level_lines
from gammajax.scan.refit import Refit
from gammajax.scan.result import ScanResult

__all__ = [
    "GridScan",
    "Refit",
    "ScanResult",
    "check_axis",
    "frozen_grid",
    "level_lines",
    "outside_limits",
    "profile_grid",
    "profile_grids",
]
