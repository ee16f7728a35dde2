"""What a person may say when an OGIP spectrum is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """Options of `gammajax.io.ogip.read_ogip`, which has their meaning.

    Attributes
    ----------
    name : str or None
        Name instead of OBS_ID.
    allow_outside, grouping, checksum, any_energy : bool
        See there.
    bkg, arf, rmf : str, path or None
        Files instead of those that the header names; ``rmf="diagonal"`` is a perfect measurement.
    units : mapping of str to str
        Units of columns that state none.
    """

    name: str | None = None
    allow_outside: bool = False
    grouping: bool = True
    checksum: bool = True
    any_energy: bool = False
    bkg: str | Path | None = None
    arf: str | Path | None = None
    rmf: str | Path | None = None
    units: Mapping[str, str] = field(default_factory=dict)
