"""Tables as ECSV text with a checksum of the whole text in it, so that a changed digit is noticed."""

import hashlib
import io
from contextlib import suppress
from itertools import takewhile
from typing import Any

from gammajax.io.yaml_plain import check_size

__all__ = ["KEY", "from_text", "to_text"]

# where the checksum is among the metadata of the table
KEY = "table_sha256"
# what stands for the checksum while it is taken: as long, so that lines are folded alike
PLACE = "x" * 64


def to_text(table: Any, checksum: bool = True) -> str:
    """The table as ECSV, its metadata with the SHA-256 of all other characters.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Not changed.
    checksum : bool
        Whether to write the hash.
    """
    own = table.copy(copy_data=False)
    own.meta = dict(table.meta) | ({KEY: PLACE} if checksum else {})
    stream = io.StringIO()
    own.write(stream, format="ascii.ecsv")
    text = stream.getvalue()
    return text.replace(PLACE, _digest(text))


def from_text(text: str, where: str) -> tuple[Any, bool | None]:
    """A table without its checksum, and whether that fits; None where there is none.

    Parameters
    ----------
    text : str
        What `to_text` made, or ECSV of others.
    where : str
        Name of the file, for error texts.

    Raises
    ------
    FileFormatError
        For a header that is a bomb of aliases.
    Exception
        Whatever astropy raises for damaged text.
    """
    import yaml
    from astropy.table import Table

    lines = text.splitlines()
    # behind the first line, which names the format
    header = "\n".join(line[2:] for line in takewhile(lambda one: one.startswith("#"), lines[1:]))
    with suppress(yaml.YAMLError):
        # astropy says what is no YAML
        check_size(header, where)
    table = Table.read(lines, format="ascii.ecsv")
    stated = table.meta.pop(KEY, None)
    if not isinstance(stated, str) or len(stated) != len(PLACE):
        return table, None if stated is None else False
    return table, _digest(text.replace(stated, PLACE)) == stated


def _digest(text: str) -> str:
    return hashlib.sha256("\n".join(text.splitlines()).encode()).hexdigest()
