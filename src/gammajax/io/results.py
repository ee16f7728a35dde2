"""Results in files: ECSV, FITS and YAML, with the same numbers when they are read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError, GammajaxError, InputError
from gammajax.fit import FluxPoints
from gammajax.hooks import register_hook
from gammajax.io.ecsv import from_text, to_text
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand, hdu_table, open_fits
from gammajax.io.fits_write import fits_bytes
from gammajax.io.results_code import RESULTS, decode, digest, encode
from gammajax.io.results_view import n_rows, view
from gammajax.io.yaml_nodes import did_you_mean
from gammajax.io.yaml_text import dump, load, read_text

__all__ = ["read_result", "write_result"]

FORMAT = "gammajax result"
VERSION = 1
SUFFIXES = (".ecsv", ".fits", ".yaml", ".yml")
# reading more from YAML takes minutes
MAX_YAML = 200_000
# bytes of a table as text: more than 10^7 nodes, which takes ten times as much memory to read
MAX_ECSV = 2_000_000_000


def write_result(result: Any, path: str | Path, overwrite: bool = False, checksum: bool = True) -> None:
    """Write a result; the end of the name says in which format.

    ``.ecsv`` and ``.fits`` hold a table for any program (parameters, nodes or points) and the whole result beside it,
    ``.yaml`` the result as a document. All numbers, flags, units and the provenance read back to the last bit. The object of
    the optimiser (``raw``, ``minuit``) is not stored.

    Parameters
    ----------
    result : object
        `FitResult`, `ScanResult`, `ContourResult`, `ConfidenceResult`, `ConfidenceTable`, `UpperLimit`, `EachResult`, `NestedTest`,
        `ParameterEstimate` or `FluxPoints`; the table of the last is that of gammapy's flux points.
    path : str or path
        Name that ends in .ecsv, .fits or .yaml; environment variables are expanded.
    overwrite : bool
        Replace a file that is there.
    checksum : bool
        Whether FITS and the text of ECSV have checksums. The document of the result always has its own.

    Raises
    ------
    InputError
        For another suffix, a file that is there, or more numbers than YAML is good for.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from gammajax import UpperLimit
    >>> limit = UpperLimit("crab.spectral.beta", 0.95, 0.1 + 0.2, "", 2.7055, 0.1, True, "crossed")
    >>> with TemporaryDirectory() as folder:
    ...     limit.write(Path(folder) / "limit.ecsv")
    ...     UpperLimit.read(Path(folder) / "limit.ecsv") == limit
    True
    """
    full = target(path, SUFFIXES, "write")
    refuse_existing([full], overwrite)
    make = {".ecsv": _ecsv, ".fits": _fits}.get(full.suffix.lower(), _yaml)
    write_bytes({full: make(result, checksum)})


def _document(result: Any, columns: dict[str, np.ndarray] | None = None) -> dict[str, Any]:
    rows = 0 if columns is None else n_rows(result)
    coded = encode(result, "", columns, rows)
    return {"format": FORMAT, "version": VERSION, "result": coded, "sha256": digest(coded, columns or {})}


def _yaml(result: Any, checksum: bool) -> bytes:
    if not checksum:
        raise InputError("write: got checksum=False, but a YAML document always has its checksum; leave it out.")
    if n_rows(result) > MAX_YAML:
        raise InputError(
            f"write: {n_rows(result)} nodes are too many for YAML, which holds at most {MAX_YAML}; write .fits or .ecsv."
        )
    return dump(_document(result)).encode()


def _table(result: Any) -> tuple[Any, dict[str, Any]]:
    columns: dict[str, np.ndarray] = {}
    document = _document(result, columns)
    table = view(result)
    for name, values in columns.items():
        table[name] = values
    return table, document


def _ecsv(result: Any, checksum: bool) -> bytes:
    table, document = _table(result)
    table.meta = dict(table.meta) | {"gammajax": document}
    return to_text(table, checksum).encode()


def _fits(result: Any, checksum: bool) -> bytes:
    from astropy.io import fits

    table, document = _table(result)
    text = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    hdu = fits.table_to_hdu(table)
    # the name by which gammapy finds flux points
    hdu.name = "FLUXPOINTS" if isinstance(result, FluxPoints) else "RESULT"
    return fits_bytes([hdu, fits.ImageHDU(text, name="DOCUMENT")], checksum)


def read_result(path: str | Path, expected: type | None = None, checksum: bool = True) -> Any:
    """Read a result that `write_result` made.

    Parameters
    ----------
    path : str or path
        The file; environment variables are expanded.
    expected : class, optional
        Refuse a result of another class.
    checksum : bool
        Whether checksums are compared.

    Returns
    -------
    object
        The result, a read-only value. What needs the live objects of the fit refuses.

    Raises
    ------
    MissingFileError, FileFormatError
        Naming the file; also for a file of a newer version.
    """
    full = expand(path)
    suffix, whole = full.suffix.lower(), True
    if suffix not in SUFFIXES:
        raise InputError(f"read: got the name {full.name!r}, expected one that ends in {', '.join(SUFFIXES)}.")
    if suffix == ".fits":
        document, table = _read_fits(full, checksum)
    elif suffix == ".ecsv":
        document, table, whole = _read_ecsv(full)
    else:
        document, table = load(read_text(full, "result"), full.name), None
    if (
        not isinstance(document, dict)
        or document.get("format") != FORMAT
        or not isinstance(document.get("result"), dict)
    ):
        raise FileFormatError(f"{full.name}: holds no result of gammajax (format: {FORMAT!r} is missing).")
    if document.get("version") != VERSION:
        raise FileFormatError(
            f"{full.name}: version {document.get('version')!r} of the format, expected {VERSION}; read it with the gammajax that wrote it."
        )
    kind = document["result"].get("is")
    if kind not in RESULTS:
        raise FileFormatError(
            f"{full.name}: holds {str(kind)[:60]!r}, expected one of {', '.join(RESULTS)}.{did_you_mean(kind, RESULTS)}"
        )
    if expected is not None and RESULTS[kind] is not expected:
        raise FileFormatError(f"{full.name}: holds a {kind}, expected a {expected.__name__}; use {kind}.read.")
    result = decode(document["result"], full.name, table)
    if not checksum:
        return result
    if document.get("sha256") != digest(document["result"], {} if table is None else table):
        raise FileFormatError(
            f"{full.name}: the numbers do not match their checksum (sha256); the file was changed after it was written."
        )
    if not whole:
        # the result is what was written, but not what the table shows to others
        raise FileFormatError(
            f"{full.name}: the table does not match its checksum (table_sha256 in its header); the file was changed after it was written. "
            "If that was meant, remove that line."
        )
    return result


def _read_ecsv(path: Path) -> tuple[Any, Any, bool]:
    # a large scan is a large file; its document is small
    text = read_text(path, "result", MAX_ECSV)
    try:
        table, whole = from_text(text, f"result file {path.name}")
    except GammajaxError:
        raise
    except Exception as error:
        raise FileFormatError(f"{path.name}: not an ECSV file that can be read ({error}).") from None
    return table.meta.get("gammajax"), table, whole is not False


def _read_fits(path: Path, checksum: bool) -> tuple[Any, Any]:
    with open_fits(path, "result", checksum) as hdus:
        if "DOCUMENT" not in [h.name for h in hdus]:
            raise FileFormatError(f"{path.name}: holds no result of gammajax (no extension DOCUMENT).")
        try:
            document = json.loads(np.asarray(hdus["DOCUMENT"].data, dtype=np.uint8).tobytes())
        except (ValueError, TypeError, RecursionError) as error:
            raise FileFormatError(f"{path.name}, HDU DOCUMENT: not JSON ({error}).") from None
        table = hdu_table(hdus, ("RESULT", "FLUXPOINTS"), path, "result")
        return document, {n: table.raw(n) for n in table.hdu.columns.names}


register_hook("write result", write_result)
register_hook("read result", read_result)
