"""Writing OGIP spectra: four files, old or new, never half."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import DataError
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits_write import fits_bytes
from gammajax.io.gti import times_hdus
from gammajax.io.ogip_set import partner_names, set_key

__all__ = ["ogip_files", "write_files"]

HDUCLASS: dict[str, Any] = {
    "HDUCLASS": "OGIP",
    "HDUVERS": "1.2.1",
    "TELESCOP": "unknown",
    "INSTRUME": "unknown",
    "FILTER": "none",
}


def write_files(dataset: Any, filename: str | Path, overwrite: bool = False, unit: str = "TeV") -> None:
    """Write PHA, background, effective area and dispersion, with checksums.

    Energies are written in TeV (or in `unit`) and numbers in double precision, and the exposure itself stands beside the effective
    area, so that reading gives the same numbers to the last bit. `mask_fit` and models are not stored.

    Raises
    ------
    InputError
        If a file is there and `overwrite` is not set, or the name does not end in .fits or .fits.gz.
    DataError
        If the data set has no livetime.
    WriteError
        If the disk is full or the folder read-only; the old files are whole.
    """
    path = target(filename, (".fits", ".fits.gz"), "write")
    files = ogip_files(dataset, path, unit)
    refuse_existing(list(partner_names(path).values()), overwrite)
    write_bytes(files)


def ogip_files(dataset: Any, path: Path, unit: str = "TeV") -> dict[Path, bytes]:
    """Names and contents of the four files, the spectrum, which names the others, last."""
    livetime = float(dataset.livetime.value)
    if not livetime > 0:
        raise DataError(
            f"{dataset.name!r} has no livetime, which an OGIP file must hold (EXPOSURE); give livetime= to from_arrays."
        )
    names = partner_names(path)
    built = {
        "bkg": _bkg(dataset, livetime, unit),
        "arf": _arf(dataset, livetime, unit),
        "rmf": _rmf(dataset, unit),
        "pha": _pha(dataset, names, livetime, unit),
    }
    key = set_key([fits_bytes(hdus, checksum=False) for hdus in built.values()])
    for hdus in built.values():
        # a writer that is stopped between two renames leaves files of two sets, which a reader must see
        hdus[0].header["GJSET"] = (key, "the four files of one write have the same")
    made = {names[k]: fits_bytes(hdus) for k, hdus in built.items()}
    return {p: gzip.compress(b, mtime=0) for p, b in made.items()} if path.suffix == ".gz" else made


def _table(name: str, columns: list[tuple], header: dict) -> Any:
    from astropy.io import fits

    hdu = fits.BinTableHDU.from_columns(
        [fits.Column(name=n, format=f, array=a, unit=unit or None) for n, f, a, unit in columns], name=name
    )
    for key, value in header.items():
        hdu.header[key] = value
    return hdu


def _spectrum(counts: np.ndarray, quality: np.ndarray, backscal: np.ndarray, header: dict, unit: str) -> Any:
    n = len(counts)
    whole = bool(np.all(counts == np.round(counts)) and np.all(counts < 2**31))
    return _table(
        "SPECTRUM",
        [
            ("CHANNEL", "I", np.arange(n, dtype=np.int16), ""),
            # gammapy cannot stack counts with a unit
            ("COUNTS", "J" if whole else "D", counts, "" if unit == "TeV" else "count"),
            ("QUALITY", "I", quality.astype(np.int16), ""),
            ("BACKSCAL", "D", backscal, ""),
        ],
        HDUCLASS
        | {
            "HDUCLAS1": "SPECTRUM",
            "HDUCLAS3": "COUNT",
            # OGIP/92-007 has Roman numbers, gammapy writes Arabic ones
            "HDUCLAS4": "TYPE:1" if unit == "TeV" else "TYPE:I",
            "CHANTYPE": "PHA",
            "DETCHANS": n,
        }
        | {
            "TLMIN1": 0,
            "TLMAX1": n - 1,
            "POISSERR": True,
            "SYS_ERR": 0,
            "GROUPING": 0,
            "AREASCAL": 1,
            "CORRSCAL": 0,
        }
        | header,
    )


def _energies(axis: Any, unit: str) -> np.ndarray:
    return axis.edges_tev if unit == "TeV" else axis.edges.to_value(unit)


def _ebounds(dataset: Any, unit: str) -> Any:
    edges = _energies(dataset.counts.geom.axis, unit)
    n = len(edges) - 1
    return _table(
        "EBOUNDS",
        [
            ("CHANNEL", "I", np.arange(n, dtype=np.int16), ""),
            ("E_MIN", "D", edges[:-1], unit),
            ("E_MAX", "D", edges[1:], unit),
        ],
        HDUCLASS | {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "EBOUNDS", "CHANTYPE": "PHA", "DETCHANS": n},
    )


def _pha(dataset: Any, names: dict[str, Path], livetime: float, unit: str) -> list[Any]:
    header = {"HDUCLAS2": "TOTAL", "EXPOSURE": livetime, "OBS_ID": dataset.name}
    header |= {"BACKFILE": names["bkg"].name, "ANCRFILE": names["arf"].name, "RESPFILE": names["rmf"].name}
    hdu = _spectrum(dataset.counts.data, ~dataset.mask_safe.data, dataset.acceptance.data, header, unit)
    return [hdu, _ebounds(dataset, unit), *times_hdus(dataset)]


def _bkg(dataset: Any, livetime: float, unit: str) -> list[Any]:
    header = {"HDUCLAS2": "BKG", "EXPOSURE": livetime, "OBS_ID": dataset.name}
    hdu = _spectrum(dataset.counts_off.data, ~dataset.mask_safe.data, dataset.acceptance_off.data, header, unit)
    return [hdu, _ebounds(dataset, unit)]


def _true_energy(dataset: Any, unit: str) -> list[tuple]:
    edges = _energies(dataset.exposure.geom.axis, unit)
    return [("ENERG_LO", "D", edges[:-1], unit), ("ENERG_HI", "D", edges[1:], unit)]


def _arf(dataset: Any, livetime: float, unit: str) -> list[Any]:
    exposure = dataset.exposure.data
    columns = [
        *_true_energy(dataset, unit),
        ("SPECRESP", "D", exposure / livetime, "cm2"),
        ("EXPOSURE", "D", exposure, "cm2 s"),
    ]
    return [_table("SPECRESP", columns, HDUCLASS | {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "SPECRESP"})]


def _rmf(dataset: Any, unit: str) -> list[Any]:
    matrix = dataset.edisp.pdf_matrix
    first, length, groups, values = [], [], [], []
    for row in matrix:
        filled = np.flatnonzero(row)
        # one group from the first to the last filled channel: zeros inside are kept, the row is exact
        span = (filled[0], filled[-1] + 1) if len(filled) else (0, 0)
        groups.append(1 if len(filled) else 0)
        first.append(np.array([span[0]], dtype=np.int16)[: groups[-1]])
        length.append(np.array([span[1] - span[0]], dtype=np.int16)[: groups[-1]])
        values.append(row[span[0] : span[1]])
    n = matrix.shape[1]
    columns = [
        *_true_energy(dataset, unit),
        ("N_GRP", "I", np.array(groups, dtype=np.int16), ""),
        ("F_CHAN", "PI()", _ragged(first), ""),
        ("N_CHAN", "PI()", _ragged(length), ""),
        ("MATRIX", "PD()", _ragged(values), ""),
    ]
    header = HDUCLASS | {
        "HDUCLAS1": "RESPONSE",
        "HDUCLAS2": "RSP_MATRIX",
        "HDUCLAS3": "REDIST",
        "CHANTYPE": "PHA",
    }
    header |= {"DETCHANS": n, "TLMIN4": 0, "TLMAX4": n - 1, "NUMGRP": int(np.sum(groups)), "LO_THRES": 0.0}
    return [_table("MATRIX", columns, header | {"NUMELT": int(sum(map(len, values)))}), _ebounds(dataset, unit)]


def _ragged(rows: list[np.ndarray]) -> np.ndarray:
    out = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row
    return out
