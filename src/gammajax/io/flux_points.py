"""Tables of flux points, FITS and ECSV, by the column names of GADF."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.fit import FluxPoints
from gammajax.fit.flux_points import UNITS
from gammajax.fit.flux_table import SERIES
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand, open_fits
from gammajax.io.fits_write import fits_bytes
from gammajax.io.gti import gti_hdu
from gammajax.io.points_table import points_from_table, same_reference
from gammajax.io.results import read_result, write_result
from gammajax.io.results_code import encode
from gammajax.io.tables import read_table, table_bytes
from gammajax.units import parsed

__all__ = ["flux_points_bytes", "read_flux_points", "read_points", "write_flux_points", "write_points"]

FORMATS = {".fits": "fits", ".ecsv": "ecsv"}
UNIT = {"dnde": "TeV-1 s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2"}


def read_flux_points(
    filename: str | Path, checksum: bool = True, table_format: str | None = None, **options: Any
) -> Any:
    """Read a table of flux points.

    Parameters
    ----------
    filename : str or path
        FITS or ECSV; variables of the environment are put in.
    checksum, table_format, **options
        As in `gammajax.io.tables.read_table`.

    Returns
    -------
    `~astropy.table.Table`

    Raises
    ------
    MissingFileError, FileFormatError
        If it is not there, or is no such table.
    """
    return read_table(filename, "flux points", checksum, table_format, **options)


def write_flux_points(dataset: Any, filename: str | Path, overwrite: bool = False, checksum: bool = True) -> None:
    """Write flux points with the columns e_ref, dnde, dnde_err, is_ul, mask_fit and mask_safe, and dnde_errn, dnde_errp and dnde_ul.

    Fluxes and energy fluxes of bins are written as such, with e_min and e_max.

    Scanned likelihoods are written by gammapy's columns norm, norm_err, ..., ref_dnde, stat, norm_scan and stat_scan beside them.

    Parameters
    ----------
    dataset : `gammajax.FluxPointsDataset`
        The points.
    filename : str or path
        .fits or .ecsv.
    overwrite : bool
        Whether an existing file is replaced.
    checksum : bool
        Whether the file has checksums.
    """
    path = target(filename, tuple(FORMATS), "flux points")
    refuse_existing([path], overwrite)
    write_bytes({path: flux_points_bytes(dataset, FORMATS[path.suffix.lower()], checksum)})


def flux_points_bytes(dataset: Any, kind: str, checksum: bool = True) -> bytes:
    """The table of a `FluxPointsDataset` as a whole file, "fits" or "ecsv"."""
    from astropy.table import QTable

    table = QTable(meta={"SED_TYPE": dataset.sed_type})
    table["e_ref"] = dataset.energy
    sed, bins = dataset.sed_type, dataset._bins
    if bins is not None:
        table["e_min"], table["e_max"] = bins.low * u.TeV, bins.high * u.TeV
    factor = 1.0 if bins is None else bins.factor
    columns = {
        "": dataset._dnde, "_err": dataset._error, "_errn": dataset._errn, "_errp": dataset._errp, "_ul": dataset._limit,
    }  # fmt: skip
    for suffix, values in columns.items():
        if suffix in ("", "_err") or np.isfinite(values).any():
            table[f"{sed}{suffix}"] = u.Quantity(values * factor, parsed(UNIT[sed]))
    if dataset._scan is not None:
        _add_scans(table, dataset)
    table["is_ul"] = dataset.is_ul
    # gammapy has a mask for each bin of a map of one region
    mask_fit = dataset.mask_safe if dataset.mask_fit is None else np.asarray(dataset.mask_fit)
    table["mask_fit"], table["mask_safe"] = (m[:, None, None] for m in (mask_fit, dataset.mask_safe))
    return table_bytes(table, kind, checksum=checksum)


def _add_scans(table: Any, dataset: Any) -> None:
    """Scans of the statistic over strengths, and all else in strengths too: for gammapy both belong together.

    In bins the fluxes stay, with those of strength 1 beside them: strengths would be compared with models at the centres.
    """
    norm, stat = dataset._scan
    table["stat"] = np.zeros(len(stat))
    table["norm_scan"], table["stat_scan"] = np.broadcast_to(norm, stat.shape).copy(), stat
    if dataset._bins is not None:
        unit = table[dataset.sed_type].unit
        table[f"ref_{dataset.sed_type}"] = dataset._reference * dataset._bins.factor * unit
        return
    table.meta["SED_TYPE"] = "likelihood"
    table["ref_dnde"] = dataset._reference * dataset.dnde.unit
    for name in [n for n in table.colnames if n.startswith("dnde")]:
        table[name.replace("dnde", "norm")] = (table[name] / table["ref_dnde"]).to_value("")


def write_points(
    points: FluxPoints,
    filename: str | Path,
    sed_type: str = "likelihood",
    overwrite: bool = False,
    checksum: bool = True,
    format: str | None = None,
) -> None:
    """Write flux points or a light curve by the columns of GADF, which gammapy reads.

    Parameters
    ----------
    points : `gammajax.FluxPoints`
        The points.
    filename : str or path
        .fits, with an extension FLUXPOINTS and for a light curve GTI, or .ecsv. "likelihood" without time bins is written with all that
        is known of the result beside the table; as .yaml, which gammapy does not read, a light curve too; see `gammajax.io.write_result`.
    sed_type : {"likelihood", "dnde", "e2dnde", "flux", "eflux"}
        What the points are given in; only "likelihood" holds everything.
    overwrite : bool
        Whether an existing file is replaced.
    checksum : bool
        Whether the file has checksums; a YAML document always has its own.
    format : str, optional
        As in `FluxPoints.to_table`.

    Raises
    ------
    InputError
        If the file is there and `overwrite` is not set, or for another `sed_type`.
    """
    from astropy.io import fits
    from astropy.table import Table

    as_document = points.gti is None or Path(filename).suffix.lower() in (".yaml", ".yml")
    if as_document and sed_type == "likelihood" and format != SERIES:
        write_result(points, filename, overwrite, checksum)
        return
    path = target(filename, tuple(FORMATS), "flux points")
    if sed_type not in ("likelihood", *UNITS):
        raise InputError(f"write: got sed_type={sed_type!r}, expected one of likelihood, {', '.join(UNITS)}.")
    refuse_existing([path], overwrite)
    # columns with units, not quantities, which gammapy does not look for
    table = Table(points.to_table(sed_type, format))
    if points.provenance is not None:
        table.meta["PROVENAN"] = json.dumps(encode(points.provenance, "provenance"))
    if path.suffix.lower() == ".ecsv":
        write_bytes({path: table_bytes(table, "ecsv", checksum=checksum)})
        return
    hdus = [fits.table_to_hdu(table)]
    hdus[0].name = "FLUXPOINTS"
    if points.gti is not None:
        hdus.append(gti_hdu(points.gti))
    write_bytes({path: fits_bytes(hdus, checksum)})


def read_points(
    filename: str | Path,
    reference_model: Any = None,
    sed_type: str | None = None,
    checksum: bool = True,
    table_format: str | None = None,
    **options: Any,
) -> FluxPoints:
    """Read flux points or a light curve of gammapy's or of ours.

    Tables in flux units have no reference model: the points are then relative to a power law of index 2, as in gammapy.

    Parameters
    ----------
    filename : str or path
        FITS or ECSV; variables of the environment are put in.
    reference_model : `gammajax.SpectralModel` or `gammajax.SkyModel`, optional
        What they are relative to instead. Of a table of strengths it has to be what the table says.
    sed_type : {"likelihood", "norm", "dnde", "e2dnde", "flux", "eflux"}, optional
        The columns to be read; those that are there if not given.
    checksum, table_format, **options
        As in `gammajax.io.tables.read_table`.

    Raises
    ------
    MissingFileError, FileFormatError
        If it is not there, or is no such table, naming what is missing.
    """
    path = expand(filename)
    document = path.suffix == ".fits" and path.is_file() and _has_document(path, checksum)
    if document or path.suffix.lower() in (".yaml", ".yml"):
        return _stored(path, reference_model, sed_type, checksum)
    table = read_flux_points(filename, checksum, table_format, **options)
    if "gammajax" in table.meta:
        return _stored(path, reference_model, sed_type, checksum)
    return points_from_table(table, Path(filename).name, reference_model, sed_type)


def _stored(path: Path, reference_model: Any, sed_type: str | None, checksum: bool) -> FluxPoints:
    """A result with all that is known of it, which is in strengths."""
    if sed_type not in (None, "likelihood", "norm"):
        raise InputError(
            f"{path.name}: got sed_type={sed_type!r}, but the file holds strengths; leave it out, fluxes follow from them."
        )
    return same_reference(read_result(path, FluxPoints, checksum), reference_model, path.name)


def _has_document(path: Path, checksum: bool) -> bool:
    with open_fits(path, "flux points", checksum) as hdus:
        return "DOCUMENT" in [h.name for h in hdus]


register_hook("read flux points", read_flux_points)
register_hook("write points", write_points)
register_hook("read points", read_points)
register_hook("points from table", points_from_table)
register_hook("write flux points", write_flux_points)
