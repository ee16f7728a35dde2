"""Scans of the statistic: grids, and what they return."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.scan.names import *  # noqa: F403

__getattr__, __dir__ = names_of("gammajax.scan", "gammajax.scan.names")
