"""YAML text: safe loading within bounds, and writing as gammapy does."""

import hashlib
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

from gammajax.errors import FileFormatError, MissingFileError

__all__ = ["dump", "load", "read_text", "with_checksum"]

# a model file has kilobytes; what is larger is none, or hostile
MAX_BYTES = 20_000_000
# values of a document with every alias written out
MAX_VALUES = 2_000_000
# how gammapy writes; its checksum is taken of the text in this style
STYLE: dict[str, Any] = {"sort_keys": False, "indent": 4, "width": 80, "default_flow_style": False}


def read_text(path: Path, what: str) -> str:
    """Text of a file; refuses one that is missing, too large or no text.

    Raises
    ------
    MissingFileError, FileFormatError
        Naming the file.
    """
    if not path.exists():
        raise MissingFileError(f"{what} file {path} does not exist; check the path and the name.")
    if path.is_dir():
        raise FileFormatError(f"{what} file {path} is a directory, expected a text file.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileFormatError(f"{what} file {path.name} has {size} bytes, expected at most {MAX_BYTES}.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{what} file {path.name}: not a text file ({error}).") from None


def load(text: str, where: str, checksum: bool = False) -> dict[str, Any]:
    """Load a YAML mapping of plain values.

    Parameters
    ----------
    text : str
        The document.
    where : str
        Name of the file, for error texts.
    checksum : bool
        Compare with the checksum in the document, and warn where it is missing or does not fit.

    Raises
    ------
    FileFormatError
        For text that is no YAML, tags of Python objects, keys that are there twice, and documents that blow up.
    """
    import yaml

    if len(text) > MAX_BYTES:
        raise FileFormatError(f"{where}: has {len(text)} characters, expected at most {MAX_BYTES}.")
    try:
        data = yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        raise FileFormatError(f"{where}: not YAML of plain values ({words}).") from None
    except RecursionError:
        raise FileFormatError(f"{where}: nested too deeply, expected a document of a few levels.") from None
    except (ValueError, OverflowError) as error:
        raise FileFormatError(f"{where}: a value cannot be read ({error}).") from None
    if not isinstance(data, dict):
        raise FileFormatError(f"{where}: holds {type(data).__name__}, expected a mapping of keys to values.")
    if _size(data, {}, where) > MAX_VALUES:
        raise FileFormatError(f"{where}: more than {MAX_VALUES} values once its aliases are written out.")
    stated = data.pop("checksum", None)
    if checksum and stated != _md5(yaml.safe_dump(data, **STYLE)):
        words = (
            "does not fit; the file was changed after it was written" if stated else "is missing; nothing was verified"
        )
        warnings.warn(f"{where}: the checksum {words}.", stacklevel=3)
    return data


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
    return f"{text}checksum: {_md5(text)}\n"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()


def _size(value: Any, known: dict[int, int], where: str) -> int:
    """Number of values with every alias written out; refuses a document that holds itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in known:
        if known[id(value)] == 0:
            raise FileFormatError(f"{where}: a value holds itself by an alias.")
        return known[id(value)]
    known[id(value)] = 0
    parts = value.values() if isinstance(value, dict) else value
    known[id(value)] = 1 + sum(_size(v, known, where) for v in parts)
    return known[id(value)]


@lru_cache(maxsize=1)
def _loader() -> Any:
    """The safe loader of PyYAML, which in addition refuses a key that is there twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            seen = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {str(key)[:40]!r} is no text", key_node.start_mark
                    )
                # gammapy writes its metadata twice beside a fit result; nothing is read from it
                if key in seen and key != "metadata":
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} is there twice", key_node.start_mark
                    )
                seen.add(key)
            return super().construct_mapping(node, deep)

    # a date in the metadata stays text
    Loader.yaml_implicit_resolvers = {
        k: [(tag, pattern) for tag, pattern in v if tag != "tag:yaml.org,2002:timestamp"]
        for k, v in Loader.yaml_implicit_resolvers.items()
    }
    return Loader
