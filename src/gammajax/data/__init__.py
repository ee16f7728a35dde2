"""A small simulated ON/OFF data set that travels with the package; `scripts/make_embedded_data.py` made it."""

from importlib.resources import files
from pathlib import Path

__all__ = ["embedded_ogip_files"]


def embedded_ogip_files() -> list[Path]:
    """Paths of the PHA files of the two simulated runs.

    Examples
    --------
    >>> [p.name for p in embedded_ogip_files()]
    ['pha_sim-1.fits', 'pha_sim-2.fits']
    """
    folder = Path(str(files("gammajax.data")))
    return [folder / f"pha_sim-{i}.fits" for i in (1, 2)]
