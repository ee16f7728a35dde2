"""Tables of flux points, FITS and ECSV, by the column names of GADF."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError, InputError, MissingFileError
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand

__all__ = ["flux_points_bytes", "read_flux_points", "write_flux_points"]

FORMATS = {".fits": "fits", ".ecsv": "ascii.ecsv"}


def _format(path: Path) -> str:
    if path.suffix not in FORMATS:
        raise InputError(f"{path.name}: the suffix is {path.suffix!r}, expected .fits or .ecsv.")
    return FORMATS[path.suffix]


def read_flux_points(filename: str | Path) -> Any:
    """Read a table of flux points.

    Parameters
    ----------
    filename : str or path
        FITS or ECSV; variables of the environment are put in.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    MissingFileError, FileFormatError
        If it is not there, or is no such table.
    """
    import warnings

    from astropy.table import Table

    path = expand(filename)
    if not path.is_file():
        raise MissingFileError(
            f"{path}: there is no such file; check the path, or set the variables of the environment in it."
        )
    with warnings.catch_warnings():
        # units of older files are understood, and said to be old
        warnings.simplefilter("ignore")
        try:
            return Table.read(path, format=_format(path))
        except InputError:
            raise
        except Exception as error:
            raise FileFormatError(
                f"{path.name}: no table of flux points ({error}); the file is damaged or of another kind."
            ) from error


def write_flux_points(dataset: Any, filename: str | Path, overwrite: bool = False) -> None:
    """Write flux points with the columns e_ref, dnde, dnde_err, is_ul, mask_fit and mask_safe.

    Parameters
    ----------
    dataset : `gammajax.FluxPointsDataset`
        The points.
    filename : str or path
        .fits or .ecsv.
    overwrite : bool
        Whether an existing file is replaced.
    """
    path = target(filename, tuple(FORMATS), "flux points")
    refuse_existing([path], overwrite)
    write_bytes({path: flux_points_bytes(dataset, _format(path))})


def flux_points_bytes(dataset: Any, kind: str) -> bytes:
    """The table of a `FluxPointsDataset` as a whole file, "fits" or "ascii.ecsv"."""
    from astropy.table import QTable

    table = QTable(meta={"SED_TYPE": "dnde"})
    table["e_ref"], table["dnde"], table["dnde_err"] = dataset.energy, dataset.dnde, dataset.dnde_err
    table["is_ul"] = dataset.is_ul
    # gammapy has a mask for each bin of a map of one region
    mask_fit = dataset.mask_safe if dataset.mask_fit is None else np.asarray(dataset.mask_fit)
    table["mask_fit"], table["mask_safe"] = (m[:, None, None] for m in (mask_fit, dataset.mask_safe))
    made: Any = io.BytesIO() if kind == "fits" else io.StringIO()
    table.write(made, format=kind)
    content = made.getvalue()
    return content if isinstance(content, bytes) else content.encode()


register_hook("read flux points", read_flux_points)
register_hook("write flux points", write_flux_points)
