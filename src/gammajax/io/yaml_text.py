"""YAML text: safe loading within bounds, and writing as gammapy does."""

import hashlib
import re
import warnings
from pathlib import Path
from typing import Any

from gammajax.errors import FileFormatError, MissingFileError
from gammajax.io.yaml_plain import load_plain
from gammajax.provenance import versions

__all__ = ["MAX_BYTES", "checksum_of", "dump", "load", "read_text", "with_checksum"]

# a model file has kilobytes; what is larger is none, or hostile
MAX_BYTES = 20_000_000
# how gammapy writes; its checksum is taken of the text in this style
STYLE: dict[str, Any] = {"sort_keys": False, "indent": 4, "width": 80, "default_flow_style": False}


def read_text(path: Path, what: str, most: int = MAX_BYTES) -> str:
    """Text of a file; refuses one that is missing, no regular file, too large or no text.

    Parameters
    ----------
    path : path
        The file.
    what : str
        What it is meant to be, for error texts.
    most : int
        Bytes that it may have.

    Raises
    ------
    MissingFileError, FileFormatError
        Naming the file.
    """
    if not path.exists():
        if path.is_symlink():
            raise MissingFileError(f"{what} file {path} is a link that leads nowhere: its target is gone, or it loops.")
        raise MissingFileError(f"{what} file {path} does not exist; check the path and the name.")
    if path.is_dir():
        raise FileFormatError(f"{what} file {path} is a directory, expected a text file.")
    if not path.is_file():
        # reading from a pipe would wait for whoever writes into it
        raise FileFormatError(f"{what} file {path} is no regular file (a pipe or a device), expected a text file.")
    size = path.stat().st_size
    if size > most:
        raise FileFormatError(f"{what} file {path.name} has {size} bytes, expected at most {most}.")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileFormatError(f"{what} file {path} cannot be opened ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{what} file {path.name}: not a text file ({error}).") from None


def load(text: str, where: str, checksum: bool | None = None) -> dict[str, Any]:
    """Load a YAML mapping of plain values.

    Parameters
    ----------
    text : str
        The document.
    where : str
        Name of the file, for error texts.
    checksum : bool, optional
        A checksum in the document is compared, and a warning says where it does not fit; True warns also where it is missing,
        False does not compare.

    Raises
    ------
    FileFormatError
        For text that is no YAML, tags of Python objects, keys that are there twice, and documents that blow up, naming the place.
    """
    import yaml

    if len(text) > MAX_BYTES:
        raise FileFormatError(f"{where}: has {len(text)} characters, expected at most {MAX_BYTES}.")
    try:
        data = load_plain(text, where)
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        raise FileFormatError(f"{where}: not YAML of plain values ({words}).") from None
    except (ValueError, OverflowError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{where}: a value cannot be read ({error}).") from None
    if not isinstance(data, dict):
        raise FileFormatError(f"{where}: holds {type(data).__name__}, expected a mapping of keys to values.")
    _warn_of_newer(data.get("metadata"), where)
    stated = data.pop("checksum", None)
    if checksum is False or (stated is None and not checksum):
        return data
    if stated != checksum_of(yaml.safe_dump(data, **STYLE)):
        words = (
            "does not fit; the file was changed after it was written: remove the line if that was meant"
            if stated
            else "is missing; nothing was verified"
        )
        warnings.warn(f"{where}: the checksum {words}.", stacklevel=3)
    return data


def _warn_of_newer(metadata: Any, where: str) -> None:
    """Say that a file is of a later version than the program."""
    creator = str(metadata.get("creator")).split() if isinstance(metadata, dict) else []
    if len(creator) != 2 or creator[0].lower() != "gammajax":
        return
    own, their = (re.findall(r"^\d+|(?<=\.)\d+", v)[:3] for v in (dict(versions())["gammajax"], creator[1][:40]))
    if [int(v) for v in their] > [int(v) for v in own]:
        warnings.warn(
            f"{where}: was written by gammajax {creator[1][:40]}, this is {dict(versions())['gammajax']}; what is new in it is "
            "refused, what has another meaning there cannot be known.",
            stacklevel=4,
        )


def dump(data: dict[str, Any]) -> str:
    """Text of plain values; every float reads back to the last bit."""
    import yaml

    class Dumper(yaml.SafeDumper):
        # linked values are written out at each place
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(data, Dumper=Dumper, allow_unicode=True, **STYLE)


def with_checksum(text: str) -> str:
    """Append the checksum that gammapy verifies."""
    import yaml

    # gammapy takes it of text without letters beyond ASCII
    plain = text if text.isascii() else yaml.safe_dump(yaml.safe_load(text), **STYLE)
    return f"{text}checksum: {checksum_of(plain)}\n"


def checksum_of(text: str) -> str:
    """MD5 of a text."""
    return hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()
