"""Opening FITS files: what is missing, damaged, hostile or no FITS is refused before anything of it is used."""

import errno
import hashlib
import io
import os
import re
import stat
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError, GammajaxError, MissingFileError

__all__ = ["expand", "open_fits"]

# a table that declares more rows than this is damaged or hostile, not a spectrum
MAX_ROWS = 10_000_000
# what a compressed file may unpack to; the largest responses in use have a tenth of it
MAX_UNPACKED = 256_000_000
BLOCK = 2880
# a header of 36 000 cards is none
MAX_HEADER = 1000 * BLOCK
END = b"END" + b" " * 77
# other ways to compress, by their first bytes; astropy would unpack them without a bound
PACKED = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip", b"\x1f\x9d": "compress"}

# lines of astropy's report that say nothing by themselves
HEADINGS = re.compile(r"Verification reported|(HDU|Card) \d+:|Note: astropy")


def expand(path: str | Path) -> Path:
    """Expand environment variables and ~ in a path; refuses a variable that is not set."""
    text = os.path.expandvars(os.path.expanduser(str(path)))
    if "$" in text and not os.path.exists(text):
        raise MissingFileError(
            f"{path}: the environment variable in the path is not set; set it, or give the full path."
        )
    return Path(text)


@contextmanager
def open_fits(path: Path, what: str, checksum: bool = True) -> Iterator[Any]:
    """Open a FITS file, gzip included.

    Sizes that headers declare are compared with the file, and the sums CHECKSUM and DATASUM with its bytes, before anything is
    read. What astropy would mend in a header is said in a warning.

    Parameters
    ----------
    path : path
        The file.
    what : str
        What it is meant to be, for error texts.
    checksum : bool
        Whether to refuse a file that does not match its sums, where it has some.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileFormatError
        If it is no complete, undamaged FITS file.
    """
    where = f"{what} file {path.name}"
    with _opened(path, what) as file:
        stream, size = _unpacked(file, where)
        hdus = _parsed(stream, size, where)
        with hdus:
            try:
                _check(hdus, stream, size, checksum, where)
                yield hdus
            except (GammajaxError, Warning, MemoryError):
                # a warning that the program turns into an error is no damage
                raise
            except Exception as error:
                # damaged headers make astropy raise whatever it happens to meet first
                raise FileFormatError(
                    f"{where}: cannot be read ({type(error).__name__}: {error}); the file is damaged."
                ) from error


def _check(hdus: Any, stream: Any, size: int, checksum: bool, where: str) -> None:
    _check_complete(hdus[-1], size, where)
    if checksum:
        _check_number(hdus, where)
    for hdu in hdus:
        _check_rows(hdu, where)
        if checksum:
            _check_sums(hdu, stream, where)
    if checksum:
        _check_hash(hdus, stream, where)
    _say_what_is_mended(hdus, where)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Any]:
    """The file itself: whatever its name points to later, the bytes are those of one file."""
    if not path.exists():
        if path.is_symlink():
            raise MissingFileError(f"{what} file {path} is a link that leads nowhere: its target is gone, or it loops.")
        raise MissingFileError(f"{what} file {path} does not exist; check the path and the name.")
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise FileFormatError(f"{what} file {path} is a directory, expected a FITS file.")
    if not stat.S_ISREG(kind):
        raise FileFormatError(f"{what} file {path} is no regular file (a pipe or a device), expected a FITS file.")
    try:
        file = open(path, "rb")
    except OSError as error:
        raise FileFormatError(f"{what} file {path} cannot be opened ({error.strerror}).") from None
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            raise FileFormatError(f"{what} file {path.name} is empty (0 bytes), expected a FITS file.")
        yield file


def _unpacked(file: Any, where: str) -> tuple[Any, int]:
    """Stream of plain FITS and its size; gzip is told by its first bytes, whatever the name says."""
    head = file.read(6)
    file.seek(0)
    for magic, name in PACKED.items():
        if head.startswith(magic):
            raise FileFormatError(f"{where}: compressed with {name}, expected FITS or FITS compressed with gzip.")
    if not head.startswith(b"\x1f\x8b"):
        return file, os.fstat(file.fileno()).st_size
    data = _gunzip(file, where)
    return io.BytesIO(data), len(data)


def _gunzip(file: Any, where: str) -> bytes:
    """Unpack all members of a gzip file, up to the cap."""
    out = bytearray()
    rest = b""
    while chunk := rest or file.read(1 << 20):
        rest = b""
        unpack = zlib.decompressobj(31)
        while chunk and not unpack.eof:
            try:
                out += unpack.decompress(chunk, MAX_UNPACKED + 1 - len(out))
            except zlib.error as error:
                raise FileFormatError(f"{where}: damaged gzip data ({error}).") from None
            if len(out) > MAX_UNPACKED:
                raise FileFormatError(
                    f"{where}: unpacks to more than {MAX_UNPACKED} bytes; unpack it with gunzip if it is what you want."
                )
            chunk = unpack.unconsumed_tail or (b"" if unpack.eof else file.read(1 << 20))
        if not unpack.eof:
            raise FileFormatError(f"{where}: truncated, the gzip data end before their end mark.")
        # zeros behind the last member are padding
        rest = unpack.unused_data.lstrip(b"\0")
    return bytes(out)


def _parsed(stream: Any, size: int, where: str) -> Any:
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            # a truncated file is refused below, with its numbers
            warnings.simplefilter("ignore")
            _check_header(stream, 0, size, where)
            hdus = fits.open(stream, memmap=False, lazy_load_hdus=True, checksum=False)
            _read_all(hdus, stream, size, where)
            # nothing is left to be read: from here on astropy looks no further
            len(hdus)
            return hdus
    except GammajaxError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EINVAL, errno.EOVERFLOW):
            raise FileFormatError(f"{where}: declares more data than any file can hold; it is damaged.") from error
        raise FileFormatError(f"{where}: not a FITS file that can be read ({error}).") from error


def _read_all(hdus: Any, stream: Any, size: int, where: str) -> None:
    """Let astropy read one header after the other; it would look for the end of one that has none in gigabytes of anything."""
    last, n = hdus[0], 1
    while (end := _end(last)) < size:
        stream.seek(end)
        if stream.read(8) != b"XTENSION":
            raise _cut_in_header(last, size, where)
        _check_header(stream, end, size, where)
        try:
            last, n = hdus[n], n + 1
        except IndexError:
            break


def _check_header(stream: Any, begin: int, size: int, where: str) -> None:
    """Refuse a header that does not end."""
    stream.seek(begin)
    head = stream.read(MAX_HEADER)
    stream.seek(begin)
    if size - begin > MAX_HEADER and not any(head.startswith(END, k) for k in range(0, MAX_HEADER, 80)):
        raise FileFormatError(
            f"{where}: the header that begins at byte {begin} does not end within {MAX_HEADER} bytes; it is no FITS file, or damaged."
        )


def _name(hdu: Any) -> str:
    return hdu.name or "PRIMARY"


def _check_rows(hdu: Any, where: str) -> None:
    rows = hdu.header.get("NAXIS2", 0)
    if hdu.header.get("XTENSION", "").strip() == "BINTABLE" and rows > MAX_ROWS:
        raise FileFormatError(f"{where}, HDU {_name(hdu)}: declares {rows} rows, expected at most {MAX_ROWS}.")


def _check_complete(last: Any, size: int, where: str) -> None:
    """Refuse a file that ends inside the data of its last HDU, or inside the header of one more."""
    end = last.fileinfo()["datLoc"] + _data_size(last)
    if end > size:
        raise FileFormatError(f"{where}, HDU {_name(last)}: truncated at byte {size} of {end}.")
    # blocks have 2880 bytes; the padding of the last one may be left away, but nothing may follow it
    if size > _end(last):
        raise _cut_in_header(last, size, where)


def _end(hdu: Any) -> int:
    """Where the blocks of an HDU end."""
    return -(-(hdu.fileinfo()["datLoc"] + _data_size(hdu)) // BLOCK) * BLOCK


def _cut_in_header(last: Any, size: int, where: str) -> FileFormatError:
    return FileFormatError(
        f"{where}: truncated at byte {size}, in the header that begins behind HDU {_name(last)} at byte {_end(last)}."
    )


def _check_number(hdus: Any, where: str) -> None:
    """Refuse a file that has lost extensions; a cut between two of them leaves a file that is FITS, and says something else."""
    stated = hdus[0].header.get("NEXTEND")
    if isinstance(stated, int) and stated > len(hdus) - 1:
        raise FileFormatError(
            f"{where}: holds {len(hdus) - 1} of {stated} extensions (NEXTEND); it is truncated, or some were removed: correct NEXTEND if "
            "that was meant."
        )


def _data_size(hdu: Any) -> int:
    h = hdu.header
    if h.get("NAXIS", 0) == 0:
        return 0
    n = abs(h["BITPIX"]) // 8
    for i in range(h["NAXIS"]):
        n *= h[f"NAXIS{i + 1}"]
    return n + abs(h["BITPIX"]) // 8 * h.get("PCOUNT", 0)


def _check_sums(hdu: Any, stream: Any, where: str) -> None:
    """Refuse an HDU that does not match its sums; taken of the bytes of the file, not of what was parsed."""
    place = hdu.fileinfo()
    where = f"{where}, HDU {_name(hdu)}"
    stated, whole = (str(hdu.header.get(k, "")).strip() for k in ("DATASUM", "CHECKSUM"))
    begin, end = place["datLoc"], place["datLoc"] + place["datSpan"]
    if stated and (not stated.isdigit() or int(stated) != _sum(stream, begin, end)):
        raise FileFormatError(f"{where}: the data do not match their DATASUM; the file is damaged.")
    if whole and _sum(stream, place["hdrLoc"], end) not in (0, 0xFFFFFFFF):
        raise FileFormatError(
            f"{where}: the header does not match its CHECKSUM; the file is damaged, or was changed by a program that left the old "
            "sum behind: write it with astropy's writeto(..., checksum=True), or read a spectrum with checksum=False."
        )
    if stated and not whole:
        warnings.warn(f"{where}: has a DATASUM but no CHECKSUM; nothing protects its header.", stacklevel=2)


def _check_hash(hdus: Any, stream: Any, where: str) -> None:
    """Say that extensions are not those which gammajax wrote: on purpose, or by damage that cancels in the sums."""
    stated = hdus[0].header.get("SHA256")
    if stated is None or len(hdus) < 2:
        return
    stream.seek(hdus[1].fileinfo()["hdrLoc"])
    total = hashlib.sha256()
    while chunk := stream.read(1 << 24):
        total.update(chunk)
    if total.hexdigest() != stated:
        warnings.warn(
            f"{where}: was changed after gammajax wrote it, or is damaged in a way that its sums do not show (SHA256 in the first header); "
            "remove the keyword if it was changed on purpose.",
            stacklevel=2,
        )


def _sum(stream: Any, begin: int, end: int) -> int:
    """Sum of 32-bit words with the carry added below (Seaman, Pence and Rots 2002)."""
    stream.seek(begin)
    total, left = 0, end - begin
    while left > 0 and (chunk := stream.read(min(left, 1 << 24))):
        left -= len(chunk)
        words = np.frombuffer(chunk + b"\0" * (-len(chunk) % 4), dtype=">u4")
        total += int(words.sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _say_what_is_mended(hdus: Any, where: str) -> None:
    """Let astropy mend what it can, such as keywords in lower case, and say it once for the file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hdus.verify("fix+warn")
    lines = [" ".join(str(w.message).split()) for w in caught]
    said = [s for s in lines if s and not HEADINGS.match(s)]
    if said:
        more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
        warnings.warn(f"{where}: not quite FITS: {said[0].rstrip('.')}{more}.", stacklevel=2)
