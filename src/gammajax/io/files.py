"""Writing files: old or new, never half."""

import os
import tempfile
from pathlib import Path

from gammajax.errors import InputError, WriteError
from gammajax.io.fits_file import expand

__all__ = ["refuse_existing", "target", "write_bytes"]


def target(path: str | Path, suffixes: tuple[str, ...], what: str) -> Path:
    """Path to write to, environment variables expanded; refuses another suffix or a folder that is not there."""
    full = expand(path)
    if not full.name.lower().endswith(suffixes):
        raise InputError(f"{what}: got the name {full.name!r}, expected one that ends in {', '.join(suffixes)}.")
    if not full.parent.is_dir():
        raise InputError(f"{what}: the folder {str(full.parent)!r} does not exist; make it first.")
    return full


def refuse_existing(paths: list[Path], overwrite: bool) -> None:
    """Refuse to write over files that are there.

    Raises
    ------
    InputError
        Naming them.
    """
    there = [p.name for p in paths if p.exists()]
    if there and not overwrite:
        raise InputError(f"write: {', '.join(there)} exists already; choose another name or write with overwrite=True.")


def write_bytes(files: dict[Path, bytes]) -> None:
    """Write all files beside their places, flush them, then rename in the given order: no reader sees half a file.

    Raises
    ------
    WriteError
        If the disk is full or the folder read-only. What was there before is whole.
    """
    waiting: list[tuple[Path, Path]] = []
    place = Path()
    try:
        for place, content in files.items():
            handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.stem}-", suffix=place.suffix)
            waiting.append((Path(temporary), place))
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
        for source, place in waiting:
            os.replace(source, place)
        for folder in {p.parent for p in files}:
            _sync_folder(folder)
    except OSError as error:
        raise WriteError(
            error.errno,
            f"write: {place.name} cannot be written to {str(place.parent)!r} ({error.strerror or error}); the old file is as it was",
        ) from error
    finally:
        for source, _ in waiting:
            source.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the names of a folder: after a loss of power the new ones are there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # some network file systems cannot
        pass
    finally:
        os.close(handle)
