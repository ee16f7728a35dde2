"""YAML of plain values only: bounded in depth and size, no key twice, nothing but text, numbers, lists and mappings."""

from functools import lru_cache
from typing import Any

from gammajax.errors import FileFormatError

__all__ = ["check_size", "load_plain"]

# values of a document with every alias written out
MAX_VALUES = 2_000_000
# a sum of models nests two levels for each member
MAX_DEPTH = 200
PLAIN = {f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null", "map", "seq")}


def load_plain(text: str, where: str) -> Any:
    """Load a document in bounded time.

    Parameters
    ----------
    text : str
        The document.
    where : str
        Name of the file, for error texts.

    Raises
    ------
    FileFormatError
        For more values or levels than the caps, tags of objects, and keys that are no text or there twice; names the place.
    yaml.YAMLError
        For text that is no YAML.
    """
    loader_class = _loader()
    _check_bounds(text, where, loader_class)
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node, where, "", {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def check_size(text: str, where: str) -> None:
    """Refuse a document of any tags, which another program is to load, that is too deep or too large with its aliases written out.

    Parameters
    ----------
    text : str
        The document.
    where : str
        Name of the file, for error texts.

    Raises
    ------
    FileFormatError
        Naming the file.
    yaml.YAMLError
        For text that is no YAML.
    """
    loader_class = _loader()
    _check_bounds(text, where, loader_class)
    loader = loader_class(text)
    try:
        _count(loader.get_single_node(), where, {})
    finally:
        loader.dispose()


def _count(node: Any, where: str, known: dict[int, int]) -> int:
    """Number of values below a node with every alias written out."""
    if node is None:
        return 0
    if id(node) in known:
        if known[id(node)] == 0:
            raise FileFormatError(f"{where}: a value holds itself by an alias.")
        return known[id(node)]
    known[id(node)] = 0
    members = node.value if isinstance(node.value, list) else []
    total = 1 + sum(_count(m, where, known) for pair in members for m in (pair if isinstance(pair, tuple) else (pair,)))
    if total > MAX_VALUES:
        line = node.start_mark.line + 1
        raise FileFormatError(f"{where}: more than {MAX_VALUES} values once its aliases are written out (line {line}).")
    known[id(node)] = total
    return total


def _check_bounds(text: str, where: str, loader_class: Any) -> None:
    """Count levels and values in the stream of events, which needs no recursion and no memory."""
    import yaml

    depth = values = 0
    for event in yaml.parse(text, Loader=loader_class):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent):
            values += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            line = event.start_mark.line + 1
            if depth > MAX_DEPTH:
                raise FileFormatError(
                    f"{where}: nested too deeply in line {line}, expected at most {MAX_DEPTH} levels."
                )
            if values > MAX_VALUES:
                raise FileFormatError(f"{where}: more than {MAX_VALUES} values up to line {line}.")


def _check_nodes(node: Any, where: str, place: str, known: dict[int, int]) -> int:
    """Number of values below a node with every alias written out; refuses what is not plain."""
    import yaml

    if id(node) in known:
        if known[id(node)] == 0:
            raise FileFormatError(f"{_at(where, place)}: a value holds itself by an alias.")
        return known[id(node)]
    line = node.start_mark.line + 1
    if node.tag not in PLAIN:
        raise FileFormatError(
            f"{_at(where, place)}: not YAML of plain values: tag {node.tag[:60]!r} in line {line}, expected text, numbers, lists and mappings."
        )
    known[id(node)] = 0
    total = 1
    if isinstance(node, yaml.SequenceNode):
        for i, member in enumerate(node.value):
            total += _check_nodes(member, where, f"{place}[{i}]", known)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = _key(key, where, place)
            # gammapy writes its metadata twice beside a fit result; nothing is read from it
            if name in seen and name != "metadata":
                raise FileFormatError(
                    f"{_at(where, place)}: key {name[:60]!r} is there twice, again in line {key.start_mark.line + 1}."
                )
            seen.add(name)
            total += 1 + _check_nodes(value, where, f"{place}.{name[:60]}" if place else name[:60], known)
    if total > MAX_VALUES:
        raise FileFormatError(
            f"{_at(where, place)}: more than {MAX_VALUES} values once its aliases are written out (line {line})."
        )
    known[id(node)] = total
    return total


def _key(node: Any, where: str, place: str) -> str:
    if node.tag != "tag:yaml.org,2002:str":
        raise FileFormatError(
            f"{_at(where, place)}: not YAML of plain values: key {str(node.value)[:40]!r} in line {node.start_mark.line + 1} is no text."
        )
    return str(node.value)


def _at(where: str, place: str) -> str:
    # what stands in a document is data: no line breaks or control characters of it in our texts
    shown = place if place.isprintable() else repr(place)
    return f"{where}, {shown}" if place else where


@lru_cache(maxsize=1)
def _loader() -> Any:
    """The safe loader of PyYAML, in C where that is there; a date in the metadata stays text."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.yaml_implicit_resolvers = {
        k: [(tag, pattern) for tag, pattern in v if tag != "tag:yaml.org,2002:timestamp"]
        for k, v in Loader.yaml_implicit_resolvers.items()
    }
    return Loader
