"""The four files of one OGIP spectrum: their names, and that they belong together."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gammajax.errors import FileFormatError, InputError
from gammajax.io.fits import Table, expand, require_key

__all__ = ["check_same_set", "partner", "partner_names", "set_key", "unchanged"]


def partner_names(path: Path) -> dict[str, Path]:
    """Names of the four files, as gammapy derives them: ``pha_obs1.fits`` to ``pha_obs1_bkg.fits`` and so on."""
    suffixes = "".join(path.suffixes)
    stem = path.name.removesuffix(suffixes)
    return {"pha": path} | {k: path.with_name(f"{stem}_{k}{suffixes}") for k in ("bkg", "arf", "rmf")}


def partner(table: Table, key: str, directory: Path, allow_outside: bool, why: str) -> Path:
    """Path of a file that a header names; refuses one outside the directory of the PHA file.

    Raises
    ------
    FileFormatError
        If the header does not name it.
    InputError
        If it is outside, links followed.
    """
    name = str(require_key(table, key, why)).strip()
    path = directory / expand(name)
    if not allow_outside and directory.resolve() not in path.resolve().parents:
        raise InputError(
            f"{table.where}: {key} = {name!r} points outside the directory of the file; move the file there, or read with "
            "allow_outside=True if you trust it."
        )
    return path


def set_key(contents: list[bytes]) -> str:
    """What names a set of files that are written together: a hash of all that is in them."""
    return hashlib.sha256(b"".join(contents)).hexdigest()[:16]


def check_same_set(pha: Path, own: str, others: dict[Path, str]) -> None:
    """Refuse files of different writes that stand side by side, as a writer leaves them that was stopped between two of them.

    Files under names of their own are combined on purpose.

    Raises
    ------
    FileFormatError
        Naming the file that is of another set.
    """
    beside = {p.resolve() for p in partner_names(pha).values()}
    for path, stated in others.items():
        if own and stated and stated != own and path.resolve() in beside:
            raise FileFormatError(
                f"{path.name} was not written together with {pha.name} (GJSET = {stated!r} and {own!r}); write the data set again, or "
                "read with checksum=False if they are meant to be combined."
            )


@contextmanager
def unchanged() -> Iterator[Callable[[Path], Path]]:
    """Refuse files that were replaced while they were read: wrap each path in the function that is yielded.

    Raises
    ------
    FileFormatError
        Naming the file.
    """
    seen: dict[Path, tuple[int, int, int]] = {}

    def state(path: Path) -> tuple[int, int, int]:
        s = path.stat()
        return s.st_ino, s.st_size, s.st_mtime_ns

    def watch(path: Path) -> Path:
        if path.is_file():
            seen.setdefault(path, state(path))
        return path

    yield watch
    for path, before in seen.items():
        if not path.is_file() or state(path) != before:
            raise FileFormatError(f"{path.name}: was replaced while the data set was read; read it again.")
