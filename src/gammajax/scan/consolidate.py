"""A stored scan in one FITS file, written chunk by chunk: images of all quantities, coordinates with units, verdicts."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gammajax.errors import FileFormatError, InputError, ScanError
from gammajax.scan.axes import Grid, grids_of
from gammajax.scan.fits_sums import RunningSum, with_sums
from gammajax.solve import Status

__all__ = ["write_fits"]

BLOCK = 2880
# extensions behind the images: AXES, STATUS_CODES, FAILED and MANIFEST
TABLES = 4


def write_fits(scan: Any, path: str | Path, overwrite: bool = False) -> Path:
    """Write a stored scan, finished or not, into one FITS file; at no time more than a chunk of it is in memory.

    For each grid there are the images STAT, TS, STATUS, of a re-fitted scan EDM, and one for each re-fitted parameter; the axes in the
    order of FITS, so that readers of arrays find them as in the result. The table AXES has name, unit and values of each axis,
    the table STATUS_CODES what the numbers in STATUS mean, FAILED the chunks that failed. Of several profiles the names carry
    the number of the grid. Nodes that are not done are nan.

    Parameters
    ----------
    scan : `gammajax.scan.StoredScan`
        The scan.
    path : path
        Name of the file, ending in .fits.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The file.
    """
    full = Path(os.path.expandvars(os.path.expanduser(str(path))))
    if full.suffix.lower() not in (".fits", ".fit"):
        raise InputError(f"consolidate: got the name {full.name!r}, expected one that ends in .fits.")
    if not full.parent.is_dir():
        raise InputError(f"consolidate: the folder {str(full.parent)!r} does not exist; make it first.")
    if full.exists() and not overwrite:
        raise InputError(f"consolidate: {full.name} exists already; choose another name or write with overwrite=True.")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=full.parent, prefix=f".{full.stem}-", suffix=".fits")
        with os.fdopen(handle, "wb") as stream:
            _write(scan, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, full)
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise ScanError(f"consolidate: cannot write {full} ({error}); the stored scan is as it was.") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return full


def _write(scan: Any, stream: BinaryIO) -> None:
    grids = grids_of(scan.spec)
    done, failed = set(scan.done), scan.failed
    images = sum(len(_images(scan, grid)) for grid in grids)
    stream.write(_primary(scan, done, failed, images + TABLES))
    begin = 0
    for k, grid in enumerate(grids):
        tag = "" if len(grids) == 1 else str(k + 1)
        for name, kind, unit, description in _images(scan, grid):
            header = _image_header(scan, grid, name, f"{name}{tag}", kind, unit, description)
            _image(stream, header, grid, kind, _values(scan, begin, begin + grid.size, name, done, failed))
        begin += grid.size
    stream.write(_tables(scan, grids, failed))


def _images(scan: Any, grid: Grid) -> list[tuple[str, str, str, str]]:
    """Name, FITS type, unit and description of each image of a grid."""
    out = [("STAT", ">f8", "", "statistic, -2 ln L"), ("TS", ">f8", "", "STAT minus that of the best fit")]
    if scan.spec["kind"] == "profile":
        out.append(("EDM", ">f8", "", "expected distance to the minimum"))
        units = scan.units
        out += [(f"REFIT_{n}", ">f8", units[n], f"re-fitted {n}") for n in scan.nuisances if n not in grid.names]
    return [*out, ("STATUS", ">i2", "", "see STATUS_CODES")]


def _values(scan: Any, begin: int, end: int, name: str, done: set[int], failed: dict[int, str]) -> Iterator[np.ndarray]:
    """Values of one image, chunk by chunk."""
    size = scan.chunk_size
    for number in range(begin // size, -(-end // size)):
        a, b = max(number * size, begin), min((number + 1) * size, end)
        if number not in done:
            code = Status.FAILED if number in failed else Status.NOT_DONE
            yield np.full(b - a, code.value if name == "STATUS" else np.nan)
            continue
        here = slice(a - number * size, b - number * size)
        if name.startswith("REFIT_"):
            yield scan.chunk(number, ("nuisance",))["nuisance"][scan.nuisances.index(name[6:]), here]
        else:
            column = "stat" if name == "TS" else name.lower()
            values = scan.chunk(number, (column,))[column][here]
            yield values - scan.stat_best if name == "TS" else values


def _image_header(scan: Any, grid: Grid, name: str, tag: str, kind: str, unit: str, description: str) -> Any:
    from astropy.io import fits

    header = fits.Header()
    header["XTENSION"] = "IMAGE"
    header["BITPIX"] = -64 if kind == ">f8" else 16
    header["NAXIS"] = len(grid.shape)
    for k, n in enumerate(reversed(grid.shape), start=1):
        header[f"NAXIS{k}"] = n
    header["PCOUNT"], header["GCOUNT"], header["EXTNAME"] = 0, 1, tag.upper()[:68]
    header["CONTENT"] = description
    if unit:
        header["BUNIT"] = unit
    for k, (axis, parameter) in enumerate(zip(reversed(grid.axes), reversed(grid.names), strict=True), start=1):
        header[f"CNAME{k}"] = parameter
        _coordinates(header, k, axis, scan.units[parameter])
    return header


def _coordinates(header: Any, k: int, axis: np.ndarray, unit: str) -> None:
    """Linear coordinates where the axis is linear; any axis stands in the table AXES."""
    step = float(axis[-1] - axis[0]) / max(len(axis) - 1, 1)
    if len(axis) > 1 and np.allclose(np.diff(axis), step, rtol=1e-9, atol=0.0):
        header[f"CTYPE{k}"], header[f"CRPIX{k}"] = "PARAM", 1.0
        header[f"CRVAL{k}"], header[f"CDELT{k}"] = float(axis[0]), step
        if unit:
            header[f"CUNIT{k}"] = unit


def _image(stream: BinaryIO, header: Any, grid: Grid, kind: str, values: Iterator[np.ndarray]) -> None:
    place, total, written = stream.tell(), RunningSum(), 0
    stream.write(with_sums(header))
    for part in values:
        data = np.asarray(part).astype(kind).tobytes()
        total.add(data)
        written += stream.write(data)
    assert written == grid.size * np.dtype(kind).itemsize
    stream.write(b"\0" * (-written % BLOCK))
    # now that the sum is known
    end = stream.tell()
    stream.seek(place)
    stream.write(with_sums(header, total.value()))
    stream.seek(end)


def _primary(scan: Any, done: set[int], failed: dict[int, str], extensions: int) -> bytes:
    from astropy.io import fits

    header = fits.Header()
    header["SIMPLE"], header["BITPIX"], header["NAXIS"], header["EXTEND"] = True, 8, 0, True
    header["NEXTEND"] = (extensions, "number of extensions")
    header["CREATOR"] = f"gammajax {scan.machine['versions'].get('gammajax', '')}"
    header["KIND"] = (scan.spec["kind"], "profile: re-fitted at every node")
    header["STATBEST"] = (scan.stat_best, "statistic of the best fit")
    header["NCHUNKS"], header["NDONE"], header["NFAILED"] = scan.n_chunks, len(done), len(failed)
    header["COMPLETE"] = len(done) == scan.n_chunks
    header["BEGUN"] = scan.created
    header["FINGERPR"] = (scan.fingerprint[:48], "of the scan")
    return with_sums(header)


def _tables(scan: Any, grids: tuple[Grid, ...], failed: dict[int, str]) -> bytes:
    import io

    from astropy.io import fits

    columns = [
        (g + 1, n, scan.units[n], a, scan.best[n])
        for g, grid in enumerate(grids)
        for n, a in zip(grid.names, grid.axes, strict=True)
    ]
    axes = fits.BinTableHDU.from_columns(
        [
            fits.Column("GRID", "J", array=[c[0] for c in columns]),
            fits.Column("NAME", "80A", array=[c[1] for c in columns]),
            fits.Column("UNIT", "40A", array=[c[2] for c in columns]),
            fits.Column("BEST", "D", array=[c[4] for c in columns]),
            fits.Column("VALUES", "PD()", array=np.array([c[3] for c in columns] + [None], dtype=object)[:-1]),
        ],
        name="AXES",
    )
    codes = fits.BinTableHDU.from_columns(
        [
            fits.Column("STATUS", "J", array=[s.value for s in Status]),
            fits.Column("NAME", "30A", array=[s.name for s in Status]),
            fits.Column("USABLE", "L", array=[s.usable for s in Status]),
            fits.Column("MEANING", "120A", array=[s.meaning for s in Status]),
        ],
        name="STATUS_CODES",
    )
    lost = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHUNK", "K", array=list(failed)),
            fits.Column("ERROR", "200A", array=[e.encode("ascii", "replace").decode()[:200] for e in failed.values()]),
        ],
        name="FAILED",
    )
    text = json.dumps({"spec": scan.spec, "machine": scan.machine, "created": scan.created}).encode()
    manifest = fits.ImageHDU(np.frombuffer(text, dtype=np.uint8), name="MANIFEST")
    memory = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), axes, codes, lost, manifest]).writeto(memory, checksum=True)
    # the empty first HDU has one block
    return memory.getvalue()[BLOCK:]
