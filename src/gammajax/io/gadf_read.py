"""Reading spectra in gammapy's own format: one FITS file with a table for each map, by the names of GADF."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import DataError, FileFormatError, UnitError
from gammajax.io.energies import GRID_TOLERANCE, contiguous_edges
from gammajax.io.fits import Table, hdu_table, open_fits
from gammajax.io.gti import measured_times

__all__ = ["read_maps"]

ENERGY = "E_MIN,E_MAX"
TRUE = "ENERGY_TRUE_MIN,ENERGY_TRUE_MAX"


def read_maps(
    path: Path, name: str | None, checksum: bool = True, any_energy: bool = False
) -> tuple[dict[str, Any], bool]:
    """Arguments of ``from_arrays`` from a file, and whether there is an OFF measurement.

    Parameters
    ----------
    path : path
        The file.
    name : str, optional
        Name instead of the one in the file.
    checksum, any_energy : bool
        See `gammajax.io.gadf.read_gadf`.

    Raises
    ------
    FileFormatError, MissingFileError, DataError, UnitError
        Naming file, HDU, column, row and value.
    """
    with open_fits(path, "data set", checksum) as hdus:
        names = {h.name.upper() for h in hdus}
        if "PSF" in names:
            raise FileFormatError(
                f"data set file {path.name}, HDU PSF: gammajax folds no PSF; correct the exposure for the containment "
                "(containment_correction=True of gammapy's SpectrumDatasetMaker), and set dataset.psf = None before writing."
            )
        edges = _axes(hdus, path, "COUNTS", [ENERGY], any_energy)[0]
        true = _axes(hdus, path, "EXPOSURE", [TRUE], any_energy)[0]
        n, header = len(edges) - 1, hdus[0].header
        maps = {k: _values(hdus, path, k, n) for k in _in_energy(names)}
        ontime, gti = measured_times(hdus, path, "data set")
        onoff = bool(names & {"COUNTS_OFF", "ACCEPTANCE_OFF"})
        arguments = {
            "energy_edges": u.Quantity(edges, "TeV"), "energy_true_edges": u.Quantity(true, "TeV"),
            "exposure": u.Quantity(_values(hdus, path, "EXPOSURE", len(true) - 1, "cm2 s"), "cm2 s"),
            "edisp": _kernel(hdus, path, edges, true, any_energy) if "EDISP" in names else None,
            "mask_safe": maps.get("MASK_SAFE"), "livetime": _livetime(hdus, path), "ontime": u.Quantity(ontime, "s"), "gti": gti,
            "name": str(name if name is not None else header.get("NAME", path.stem)),
            "meta": {"filename": str(path)} | _kept(hdus, names),
        }  # fmt: skip
        arguments |= _off(maps, path) if onoff else _known(maps, header)
    return arguments | {"mask_fit": maps.get("MASK_FIT")}, onoff


def _in_energy(names: set[str]) -> list[str]:
    known = ("COUNTS", "COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF", "BACKGROUND", "MASK_SAFE", "MASK_FIT")
    return [k for k in known if k in names]


def _off(maps: dict[str, np.ndarray], path: Path) -> dict[str, Any]:
    missing = [k for k in ("COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF") if k not in maps]
    if missing:
        raise FileFormatError(
            f"data set file {path.name}: no extension {missing[0]}; an ON/OFF spectrum has COUNTS_OFF, ACCEPTANCE and ACCEPTANCE_OFF."
        )
    off = maps["ACCEPTANCE_OFF"]
    bad = np.flatnonzero(~np.isfinite(off))
    if len(bad):
        # gammapy divides by the background, which may be 0, and takes alpha = 0 there
        warnings.warn(
            f"{path.name}, HDU ACCEPTANCE_OFF, row {bad[0]}: value {off[bad[0]]}; {len(bad)} bins are taken to have no OFF "
            "acceptance, and no fit accepts them unless they are masked.",
            stacklevel=4,
        )
    return {
        "n_on": maps["COUNTS"], "n_off": maps["COUNTS_OFF"], "acceptance": maps["ACCEPTANCE"],
        "acceptance_off": np.where(np.isfinite(off), off, 0.0),
    }  # fmt: skip


def _known(maps: dict[str, np.ndarray], header: Any) -> dict[str, Any]:
    return {
        "counts": maps["COUNTS"],
        "background": maps.get("BACKGROUND", 0.0),
        "stat_type": str(header.get("STATTYPE", "cash")),
    }


def _table(hdus: Any, path: Path, name: str) -> Table:
    from astropy.io import fits

    if any(h.name.upper() == name and isinstance(h, fits.ImageHDU) for h in hdus):
        raise FileFormatError(
            f"data set file {path.name}, HDU {name}: an image of the sky; gammajax reads spectra: in gammapy make one with "
            "dataset.to_spectrum_dataset(region)."
        )
    return hdu_table(hdus, (name,), path, "data set")


def _axes(hdus: Any, path: Path, name: str, expected: list[str], any_energy: bool) -> list[np.ndarray]:
    """Edges (TeV) of the axes of a map, the first varying fastest; refuses other axes than the expected ones."""
    table = _table(hdus, path, f"{name}_BANDS")
    found = [str(v).strip() for k, v in table.header.items() if k.startswith("AXCOLS")]
    if found != expected:
        more = (
            " It is an EDispMap in the migration of the energy; in gammapy turn it into a kernel with dataset.edisp = "
            'dataset.edisp.to_edisp_kernel_map(dataset.counts.geom.axes["energy"]).'
            if any("MIGRA" in f for f in found)
            else ""
        )
        raise FileFormatError(f"{table.where}: the axes are {found}, expected {expected}.{more}")
    shape = []
    columns = []
    for text in expected:
        low, high = (table.quantity(c, "TeV") for c in text.split(","))
        shape.append(len(np.unique(low)))
        columns.append((low, high))
    if len(columns[0][0]) != np.prod(shape):
        raise FileFormatError(
            f"{table.where}: {len(columns[0][0])} rows, expected {' x '.join(map(str, shape))}, one for each bin."
        )
    edges = []
    for k, (low, high) in enumerate(columns):
        # the first axis varies fastest
        grid = [np.moveaxis(c.reshape(shape[::-1]), -1 - k, 0).reshape(shape[k], -1) for c in (low, high)]
        if any(np.any(g != g[:, :1]) for g in grid):
            raise FileFormatError(f"{table.where}: the bins of {expected[k]} are no regular grid; the file is damaged.")
        edges.append(contiguous_edges(grid[0][:, 0], grid[1][:, 0], table.where, any_energy))
    return edges


def _values(hdus: Any, path: Path, name: str, n: int, unit: str = "") -> np.ndarray:
    """Values of a map, shape (n,), in `unit`; masks are bool."""
    table = _table(hdus, path, name)
    data = table.raw("DATA")
    mask = name.startswith("MASK")
    if data.dtype.kind not in ("b" if mask else "iuf") or data.size != n:
        what = f"{n} flags" if mask else f"{n} numbers"
        raise FileFormatError(
            f"{table.where}, column DATA: shape {data.shape} and type {data.dtype}, expected {what}, one for each bin of one region."
        )
    if mask:
        return data.reshape(n)
    values = data.reshape(n).astype(np.float64)
    if name == "ACCEPTANCE_OFF":
        return values
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(
            f"{table.where}, column DATA, row {bad[0]}: value {values[bad[0]]}, expected finite numbers; {len(bad)} rows are affected."
        )
    return values * _factor(table, unit)


def _factor(table: Table, unit: str) -> float:
    """What the values are multiplied with to be in `unit`."""
    text = str(table.hdu.columns["DATA"].unit or "")
    if not unit:
        # gammapy keeps the unit of the OGIP file that its counts came from
        if text.strip() not in ("", "count", "counts", "ct"):
            raise UnitError(f"{table.where}, column DATA: unit {text!r}, expected none, or counts.")
        return 1.0
    own = table.unit("DATA")
    if not own.is_equivalent(unit):
        raise UnitError(f"{table.where}, column DATA: unit {text!r}, expected one convertible to {unit!r}.")
    return float(own.to(unit))


def _kernel(hdus: Any, path: Path, edges: np.ndarray, true: np.ndarray, any_energy: bool) -> np.ndarray:
    """Dispersion (n_true, n_reco) of a kernel map; its axes must be those of counts and exposure."""
    for own, other, what in zip(
        _axes(hdus, path, "EDISP", [ENERGY, TRUE], any_energy), (edges, true), ("COUNTS", "EXPOSURE"), strict=True
    ):
        if len(own) != len(other) or np.any(np.abs(own / other - 1) > GRID_TOLERANCE):
            raise DataError(
                f"data set file {path.name}, HDU EDISP_BANDS: {len(own) - 1} bins from {own[0]:g} to {own[-1]:g} TeV, expected "
                f"those of {what}_BANDS: {len(other) - 1} from {other[0]:g} to {other[-1]:g} TeV."
            )
    shape = len(true) - 1, len(edges) - 1
    return _values(hdus, path, "EDISP", shape[0] * shape[1]).reshape(shape)


def _livetime(hdus: Any, path: Path) -> u.Quantity | None:
    """Livetime that gammajax wrote into the header of EXPOSURE; gammapy's own files have none."""
    table = _table(hdus, path, "EXPOSURE")
    value = table.header.get("LIVETIME")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value <= 0:
        raise DataError(f"{table.where}: LIVETIME = {value!r}, expected a time above 0 in s.")
    return u.Quantity(float(value), "s")


def _kept(hdus: Any, names: set[str]) -> dict[str, Any]:
    """Tables that are written back as they came: regions by the name of their map, and the log of observations."""
    from astropy.table import Table as AstropyTable

    keep = sorted(n for n in names if n == "META_TABLE" or n.endswith("_REGION"))
    with warnings.catch_warnings():
        # a unit that astropy does not know is kept as text
        warnings.simplefilter("ignore")
        return {"tables": {n: AstropyTable.read(hdus[n]) for n in keep}} if keep else {}
