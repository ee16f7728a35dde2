"""Scans of the statistic: grids, and what they return."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.scan.grid import GridScan, check_axis, frozen_grid, outside_limits, profile_grid, profile_grids
    from gammajax.scan.lines import level_lines
    from gammajax.scan.progress import Progress
    from gammajax.scan.refit import Refit
    from gammajax.scan.result import ScanResult
    from gammajax.scan.stored import StoredScan
    from gammajax.scan.stored import open_scan as open
    from gammajax.scan.surface import SurfaceScan, fast_surface

__all__ = [
    "GridScan",
    "Progress",
    "Refit",
    "ScanResult",
    "StoredScan",
    "SurfaceScan",
    "check_axis",
    "fast_surface",
    "frozen_grid",
    "level_lines",
    "open",
    "outside_limits",
    "profile_grid",
    "profile_grids",
]

__getattr__, __dir__ = names_of(__name__)
