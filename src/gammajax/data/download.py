"""Fetching gammapy's public data sets: checked, atomic, and what is there is not fetched again."""

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from gammajax.errors import DownloadError, InputError
from gammajax.progress import Bytes

__all__ = ["BASE_URL", "GROUPS", "download", "registry", "select"]

# HEAD is whatever branch the repository has as its first
BASE_URL = "https://raw.githubusercontent.com/gammapy/gammapy-data/HEAD/"
# what a person asks for -> beginnings of paths
GROUPS = {
    "crab": ("joint-crab/spectra/",),
    "ebl": ("ebl/",),
    "flux-points": ("hawc/", "tests/spectrum/flux_points/", "estimators/LICENCE", "estimators/crab_hess_fp/"),
    "light-curves": ("estimators/LICENCE", "estimators/pks2155_hess_lc/"),
}


def registry() -> dict[str, str]:
    """Paths of the files that gammajax uses, and their SHA-256.

    Examples
    --------
    >>> len(registry()["joint-crab/spectra/hess/pha_obs23523.fits"])
    64
    """
    text = files("gammajax.data").joinpath("gammapy_data.txt").read_text(encoding="utf-8")
    return dict(line.split() for line in text.splitlines() if line and not line.startswith("#"))


def select(names: Iterable[str] = ()) -> list[str]:
    """Paths for names of groups or of files; all without names.

    Raises
    ------
    InputError
        For a name that is neither, listing the groups.

    Examples
    --------
    >>> select(["ebl"])[:2]
    ['ebl/README.md', 'ebl/ebl_dominguez11.fits.gz']
    """
    known = registry()
    names = list(names)
    if not names:
        return list(known)
    wanted: set[str] = set()
    for name in names:
        starts = GROUPS.get(name, (name,))
        hits = [p for p in known if (p == name or (name in GROUPS and p.startswith(starts)))]
        if not hits and name not in GROUPS:
            raise InputError(
                f"download: got {name!r}, expected one of the groups {', '.join(GROUPS)}, or a path as download --list shows it."
            )
        wanted.update(hits)
    return [p for p in known if p in wanted]


def download(
    names: Iterable[str] = (),
    folder: str | Path | None = None,
    base_url: str | None = None,
    overwrite: bool = False,
    timeout: float = 60.0,
    progress: Any = None,
) -> dict[str, str]:
    """Fetch data sets of gammapy into a folder.

    A file that is there with the right checksum is left alone, so that a download that was cut off goes on with what is missing. A
    file is written beside its place, checked, and renamed: no half file is ever there. A file that takes longer than a second shows a bar.

    Parameters
    ----------
    names : iterable of str
        Groups (crab, ebl, flux-points, light-curves) or paths; all if there are none.
    folder : str or path, optional
        Where to; ``$GAMMAPY_DATA`` if not given.
    base_url : str, optional
        Where from, a URL to which the path is appended; ``$GAMMAJAX_DATA_URL`` if not given, and without that the public
        repository of gammapy's data.
    overwrite : bool
        Replace files that are there with another checksum, instead of refusing.
    timeout : float
        Seconds to wait for the server.
    progress : callable, optional
        Called with each path before it is looked at.

    Returns
    -------
    dict of str to str
        For each path "fetched" or "there".

    Raises
    ------
    InputError
        If there is no folder, or a name is not known.
    DownloadError
        Naming the file: the server does not answer or does not have it, or its checksum is wrong.
    """
    paths, place = select(names), _folder(folder)
    url = base_url or os.environ.get("GAMMAJAX_DATA_URL") or BASE_URL
    known = registry()
    done = {}
    for path in paths:
        if progress is not None:
            progress(path)
        done[path] = _one(path, known[path], place, url.rstrip("/") + "/", overwrite, timeout)
    return done


def _folder(folder: str | Path | None) -> Path:
    text = folder or os.environ.get("GAMMAPY_DATA")
    if not text:
        raise InputError("download: there is no folder to put the files in; set GAMMAPY_DATA, or give one.")
    place = Path(text).expanduser()
    if place.exists() and not place.is_dir():
        raise InputError(f"download: {place} is no folder; give another.")
    return place


def _one(path: str, sha256: str, place: Path, url: str, overwrite: bool, timeout: float) -> str:
    file = place / path
    if file.exists():
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found == sha256:
            return "there"
        if not overwrite:
            raise DownloadError(
                f"{file} is there with another checksum: expected SHA-256 {sha256}, got {found}; it may be of another version: move "
                "it away, or download with overwrite (--overwrite)."
            )
    _fetch(path, sha256, place, url, timeout)
    return "fetched"


def _fetch(path: str, sha256: str, place: Path, url: str, timeout: float) -> None:
    import pooch

    bar = Bytes(path)
    downloader = (
        pooch.HTTPDownloader(timeout=timeout, progressbar=bar) if url.startswith(("http://", "https://")) else None
    )
    store = pooch.create(path=place, base_url=url, registry={path: sha256})
    with _quiet(), bar:
        try:
            store.fetch(path, downloader=downloader)
        except ValueError as error:
            # pooch says what it expected and what it got
            raise DownloadError(f"{path} from {url}: {error}") from error
        except OSError as error:
            raise DownloadError(
                f"{path} from {url}: cannot be fetched ({type(error).__name__}: {error}); check the connection and the address, or give "
                "another with base_url (--base-url, GAMMAJAX_DATA_URL)."
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that pooch prints for each file."""
    import pooch

    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
