"""Writing files: old or new, never half."""

import os
import tempfile
from pathlib import Path

from gammajax.errors import InputError
from gammajax.io.fits import expand

__all__ = ["refuse_existing", "target", "write_bytes"]


def target(path: str | Path, suffixes: tuple[str, ...], what: str) -> Path:
    """Path to write to, environment variables expanded; refuses another suffix or a folder that is not there."""
    full = expand(path)
    if full.suffix.lower() not in suffixes:
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
    """Write all files beside their places, flush them, then rename in the given order: no reader sees half a file."""
    waiting = []
    try:
        for path, content in files.items():
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
            waiting.append((Path(temporary), path))
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
        for source, place in waiting:
            os.replace(source, place)
    finally:
        for source, _ in waiting:
            source.unlink(missing_ok=True)
