"""A scan on disk: a manifest, and one file for each finished chunk, which is there whole or not at all."""

import errno
import io
import json
import os
import socket
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError, InputError, MissingFileError, ScanError
from gammajax.provenance import now

__all__ = ["Folder"]

FORMAT = "gammajax scan"
VERSION = 1
MANIFEST, CHUNKS, FAILED, ASIDE = "manifest.json", "chunks", "failed", "aside"
TEMPORARY = ".tmp-"
# what stands in the manifest beside the document that describes the scan
HEAD = ("format", "version", "created", "arrays", "arrays_sha256", "sha256")
# a temporary file of another host is left alone for this long, seconds
STALE = 86_400.0
# what a file system says that has no hard links
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class Folder:
    """The files of one scan.

    Parameters
    ----------
    path : path
        The folder; environment variables and ~ are expanded.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(os.path.expandvars(os.path.expanduser(str(path))))
        self._written = 0

    # -- the manifest ------------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether a scan is stored there."""
        return (self.path / MANIFEST).is_file()

    def create(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a new scan; of two that begin at the same time the first one counts.

        Raises
        ------
        InputError
            If the folder holds something else.
        ScanError
            If it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(error, "make the folder") from error
        own = (CHUNKS, FAILED, ASIDE)
        other = [
            p.name for p in self.path.iterdir() if p.name not in own and not p.name.startswith(("likelihood-", "."))
        ]
        if other and not self.exists():
            raise InputError(
                f"store={str(self.path)!r}: the folder holds other files ({', '.join(sorted(other)[:3])}) and no scan; give an empty or "
                "a new one."
            )
        content = _npz(arrays)
        name = f"likelihood-{_sha(content)[:16]}.npz"
        for part in own:
            self._do(partial(os.makedirs, self.path / part, exist_ok=True), "make the folder")
        self.place(Path(name), content, "the arrays of the likelihood")
        head = {"format": FORMAT, "version": VERSION, "created": now(), "arrays": name, "arrays_sha256": _sha(content)}
        head["sha256"] = _document_sha(document)
        self.place(Path(MANIFEST), json.dumps(head | document, indent=1).encode(), "the manifest")

    def manifest(self) -> dict[str, Any]:
        """The manifest as plain values.

        Raises
        ------
        MissingFileError, FileFormatError
            If there is none, or it is none of this version.
        """
        path = self.path / MANIFEST
        if not path.is_file():
            what = "holds no scan (no manifest.json)" if self.path.is_dir() else "does not exist"
            raise MissingFileError(f"scan folder {self.path} {what}; a scan makes it, stat_grid(..., store=...).")
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"{path}: not JSON ({error}); the file is damaged.") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise FileFormatError(f"{path}: holds no scan of gammajax (format: {FORMAT!r} is missing).")
        if document.get("version") != VERSION:
            raise FileFormatError(
                f"{path}: version {document.get('version')!r} of the format, expected {VERSION}; read it with the gammajax that wrote it."
            )
        stated = document.pop("sha256", None)
        if stated is not None and stated != _document_sha({k: v for k, v in document.items() if k not in HEAD}):
            raise FileFormatError(f"{path}: does not match its SHA-256; the file is damaged, or was changed by hand.")
        return document

    def arrays(self, manifest: dict[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of the likelihood.

        Raises
        ------
        FileFormatError
            If the file is missing or does not match its digest in the manifest.
        """
        name = str(manifest["arrays"])
        path = self.path / Path(name).name
        content = path.read_bytes() if path.is_file() else b""
        if _sha(content) != manifest["arrays_sha256"]:
            raise FileFormatError(f"{path}: missing or damaged, it does not match its SHA-256 in {MANIFEST}.")
        return _load(content)

    # -- chunks --------------------------------------------------------------------------------------------------------

    def chunk_path(self, number: int) -> Path:
        """Where a chunk is, or will be."""
        return self.path / CHUNKS / f"chunk-{number:07d}.npz"

    def done(self) -> list[int]:
        """Numbers of the chunks that are there, in order."""
        return _numbers(self.path / CHUNKS, ".npz")

    def has(self, number: int) -> bool:
        """Whether a chunk is there."""
        return self.chunk_path(number).exists()

    def commit(self, number: int, fingerprint: str, arrays: dict[str, np.ndarray]) -> bool:
        """Store a chunk; False where another process was first.

        Raises
        ------
        ScanError
            If it cannot be written; no part of it is left.
        """
        everything = arrays | {"chunk": np.array(number), "fingerprint": np.array(fingerprint)}
        name = self.chunk_path(number).relative_to(self.path)
        # straight into the file: a chunk can be large
        first = self.place(name, partial(_save, arrays=everything), f"chunk {number}")
        with suppress(OSError):
            (self.path / FAILED / f"chunk-{number:07d}.json").unlink()
        return first

    def read(self, number: int, fingerprint: str, columns: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
        """Arrays of a chunk, checked by their checksums.

        Raises
        ------
        FileFormatError
            If it is damaged, or one of another scan.
        """
        path = self.chunk_path(number)
        if path.exists() and not path.is_file():
            # reading from a pipe would wait for ever
            raise FileFormatError(f"{path}: damaged (it is no regular file).")
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                if int(file["chunk"]) != number or str(file["fingerprint"]) != fingerprint:
                    raise FileFormatError(f"{path}: chunk {int(file['chunk'])} of another scan.")
                return {
                    name: file[name] for name in columns or [n for n in file.files if n not in ("chunk", "fingerprint")]
                }
        except FileNotFoundError:
            raise MissingFileError(f"{path} does not exist.") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"{path}: damaged ({error}).") from None

    def set_aside(self, number: int) -> Path:
        """Move a damaged chunk out of the way, and return where it is now."""
        place = self.path / ASIDE / f"chunk-{number:07d}-{time.time_ns()}.npz"
        self._do(lambda: os.replace(self.chunk_path(number), place), f"set aside chunk {number}")
        return place

    # -- chunks that failed ----------------------------------------------------------------------------------------------

    def fail(self, number: int, error: str, attempts: int) -> None:
        """Note that a chunk failed for good."""
        text = json.dumps({"chunk": number, "error": error, "attempts": attempts, "time": now()})
        path = Path(FAILED) / f"chunk-{number:07d}.json"
        with suppress(OSError):
            (self.path / path).unlink()
        self.place(path, text.encode(), f"the error of chunk {number}")

    def failures(self) -> dict[int, str]:
        """Chunks that failed and were not done since: their errors."""
        out = {}
        for number in _numbers(self.path / FAILED, ".json"):
            if not self.has(number):
                with suppress(OSError, ValueError, KeyError):
                    path = self.path / FAILED / f"chunk-{number:07d}.json"
                    out[number] = str(json.loads(path.read_bytes())["error"])
        return out

    # -- writing ---------------------------------------------------------------------------------------------------------

    def place(self, name: Path, content: bytes | Callable[[Any], Any], what: str) -> bool:
        """Write a file under its name, whole or not at all; False where one is there already.

        `content` is what it holds, or a function that writes it into a stream.
        """
        self._written += 1
        temporary = self.path / f"{TEMPORARY}{socket.gethostname()}-{os.getpid()}-{self._written}"
        try:
            with open(temporary, "xb") as stream:
                stream.write(content) if isinstance(content, bytes) else content(stream)
                stream.flush()
                os.fsync(stream.fileno())
            first = _link(temporary, self.path / name)
            _sync((self.path / name).parent)
        except OSError as error:
            raise self._error(error, f"write {what}") from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return first

    def sweep(self) -> int:
        """Remove temporary files of processes that are gone, and return how many."""
        swept, host = 0, socket.gethostname()
        for path in self.path.glob(f"{TEMPORARY}*"):
            where, _, rest = path.name[len(TEMPORARY) :].rpartition("-")[0].rpartition("-")
            with suppress(OSError, ValueError):
                here = where == host
                gone = not _alive(int(rest)) if here else time.time() - path.stat().st_mtime > STALE
                if gone:
                    path.unlink()
                    swept += 1
        return swept

    def check_writable(self) -> None:
        """Refuse a folder in which nothing can be written, before anything is computed.

        Raises
        ------
        ScanError
            Saying why.
        """
        path = self.path / f"{TEMPORARY}{socket.gethostname()}-{os.getpid()}-0"
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise self._error(error, "write") from error
        with suppress(OSError):
            path.unlink()

    def _do(self, action: Callable[[], Any], what: str) -> None:
        try:
            action()
        except OSError as error:
            raise self._error(error, what) from error

    def _error(self, error: OSError, what: str) -> ScanError:
        there = len(self.done())
        kept = f" {there} chunks are stored and stay readable." if there else ""
        if error.errno in FULL:
            why = f"there is no space left ({error.strerror}).{kept} Free some, then make the same call again: it goes on from there."
        elif error.errno in FORBIDDEN:
            why = f"writing is not permitted ({error.strerror}).{kept} Give a folder that you may write to."
        else:
            why = f"{error}.{kept} Make the same call again when that is mended."
        made = ScanError(f"scan folder {self.path}: cannot {what}, {why}")
        made.errno = error.errno
        return made


def _link(temporary: Path, place: Path) -> bool:
    """Give a finished file its name; the first one counts. Where there are no hard links, the last of several equal ones."""
    try:
        os.link(temporary, place)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if place.exists():
            return False
        os.replace(temporary, place)
    return True


def _sync(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _numbers(folder: Path, suffix: str) -> list[int]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = (
        n.removeprefix("chunk-").removesuffix(suffix) for n in names if n.startswith("chunk-") and n.endswith(suffix)
    )
    return sorted(int(n) for n in found if n.isdigit())


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    _save(stream, arrays)
    return stream.getvalue()


def _save(stream: Any, arrays: dict[str, np.ndarray]) -> None:
    np.savez(stream, **arrays)  # type: ignore[arg-type]


def _load(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _document_sha(document: dict[str, Any]) -> str:
    return _sha(json.dumps(document, sort_keys=True).encode())


def _sha(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
