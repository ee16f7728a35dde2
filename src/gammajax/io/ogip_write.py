"""Writing OGIP spectra: four files, old or new, never half."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import DataError, InputError
from gammajax.io.fits import expand
from gammajax.io.gti import times_hdus

__all__ = ["partner_names", "write_files"]

HDUCLASS: dict[str, Any] = {
    "HDUCLASS": "OGIP",
    "HDUVERS": "1.2.1",
    "TELESCOP": "unknown",
    "INSTRUME": "unknown",
    "FILTER": "none",
}


def partner_names(path: Path) -> dict[str, Path]:
    """Names of the four files, as gammapy derives them: ``pha_obs1.fits`` to ``pha_obs1_bkg.fits`` and so on."""
    suffixes = "".join(path.suffixes)
    stem = path.name.removesuffix(suffixes)
    return {"pha": path} | {k: path.with_name(f"{stem}_{k}{suffixes}") for k in ("bkg", "arf", "rmf")}


def write_files(dataset: Any, filename: str | Path, overwrite: bool = False, unit: str = "TeV") -> None:
    """Write PHA, background, effective area and dispersion.

    Energies are written in TeV (or in `unit`) and numbers in double precision, and the exposure itself stands beside the effective
    area, so that reading gives the same numbers to the last bit. `mask_fit` and models are not stored.

    Raises
    ------
    InputError
        If a file is there and `overwrite` is not set, or the name does not end in .fits or .fits.gz.
    DataError
        If the data set has no livetime.
    """
    path = expand(filename)
    if not path.name.endswith((".fits", ".fits.gz")):
        raise InputError(f"write: got the name {path.name!r}, expected one that ends in .fits or .fits.gz.")
    livetime = float(dataset.livetime.value)
    if not livetime > 0:
        raise DataError(
            f"{dataset.name!r} has no livetime, which an OGIP file must hold (EXPOSURE); give livetime= to from_arrays."
        )
    names = partner_names(path)
    there = [p for p in names.values() if p.exists()]
    if there and not overwrite:
        raise InputError(
            f"write: {', '.join(p.name for p in there)} exists already; choose another name or write with overwrite=True."
        )
    built = {
        "pha": _pha(dataset, names, livetime, unit),
        "bkg": _bkg(dataset, livetime, unit),
        "arf": _arf(dataset, livetime, unit),
        "rmf": _rmf(dataset, unit),
    }
    _commit({names[k]: hdus for k, hdus in built.items()})


def _commit(files: dict[Path, Any]) -> None:
    """Write all files beside their places, flush them, then rename: no reader sees half a file."""
    waiting = []
    try:
        for path, hdus in files.items():
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
            os.close(handle)
            waiting.append((Path(temporary), path))
            hdus.writeto(temporary, overwrite=True, checksum=True)
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
        # the spectrum last: it names the others
        for source, target in sorted(waiting, key=lambda pair: pair[1] == next(iter(files))):
            os.replace(source, target)
    finally:
        for source, _ in waiting:
            source.unlink(missing_ok=True)


def _table(name: str, columns: list[tuple], header: dict) -> Any:
    from astropy.io import fits

    hdu = fits.BinTableHDU.from_columns(
        [fits.Column(name=n, format=f, array=a, unit=unit or None) for n, f, a, unit in columns], name=name
    )
    for key, value in header.items():
        hdu.header[key] = value
    return hdu


def _hdulist(*hdus: Any) -> Any:
    from astropy.io import fits

    return fits.HDUList([fits.PrimaryHDU(), *hdus])


def _spectrum(counts: np.ndarray, quality: np.ndarray, backscal: np.ndarray, header: dict) -> Any:
    n = len(counts)
    whole = bool(np.all(counts == np.round(counts)) and np.all(counts < 2**31))
    return _table(
        "SPECTRUM",
        [
            ("CHANNEL", "I", np.arange(n, dtype=np.int16), ""),
            ("COUNTS", "J" if whole else "D", counts, "count"),
            ("QUALITY", "I", quality.astype(np.int16), ""),
            ("BACKSCAL", "D", backscal, ""),
        ],
        HDUCLASS
        | {
            "HDUCLAS1": "SPECTRUM",
            "HDUCLAS3": "COUNT",
            "HDUCLAS4": "TYPE:1",
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


def _pha(dataset: Any, names: dict[str, Path], livetime: float, unit: str) -> Any:
    header = {"HDUCLAS2": "TOTAL", "EXPOSURE": livetime, "OBS_ID": dataset.name}
    header |= {"BACKFILE": names["bkg"].name, "ANCRFILE": names["arf"].name, "RESPFILE": names["rmf"].name}
    hdu = _spectrum(dataset.counts.data, ~dataset.mask_safe.data, dataset.acceptance.data, header)
    return _hdulist(hdu, _ebounds(dataset, unit), *times_hdus(dataset))


def _bkg(dataset: Any, livetime: float, unit: str) -> Any:
    header = {"HDUCLAS2": "BKG", "EXPOSURE": livetime, "OBS_ID": dataset.name}
    hdu = _spectrum(dataset.counts_off.data, ~dataset.mask_safe.data, dataset.acceptance_off.data, header)
    return _hdulist(hdu, _ebounds(dataset, unit))


def _true_energy(dataset: Any, unit: str) -> list[tuple]:
    edges = _energies(dataset.exposure.geom.axis, unit)
    return [("ENERG_LO", "D", edges[:-1], unit), ("ENERG_HI", "D", edges[1:], unit)]


def _arf(dataset: Any, livetime: float, unit: str) -> Any:
    exposure = dataset.exposure.data
    columns = [
        *_true_energy(dataset, unit),
        ("SPECRESP", "D", exposure / livetime, "cm2"),
        ("EXPOSURE", "D", exposure, "cm2 s"),
    ]
    return _hdulist(_table("SPECRESP", columns, HDUCLASS | {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "SPECRESP"}))


def _rmf(dataset: Any, unit: str) -> Any:
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
    return _hdulist(_table("MATRIX", columns, header | {"NUMELT": int(sum(map(len, values)))}), _ebounds(dataset, unit))


def _ragged(rows: list[np.ndarray]) -> np.ndarray:
    out = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row
    return out
