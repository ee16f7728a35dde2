"""Checked access to a loaded document: what is wrong is named by file and place."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError

__all__ = ["Node", "did_you_mean"]


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Sentence with the nearest known name, empty if none is near."""
    near = get_close_matches(str(name)[:100], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _shown_keys(keys: Iterable[Any]) -> list[str]:
    """At most ten keys for an error text, those with control characters quoted."""
    names = [str(k) if str(k).isprintable() and len(str(k)) <= 60 else _cut(k) for k in keys]
    return names if len(names) <= 10 else [*names[:10], "..."]


@dataclass(frozen=True)
class Node:
    """A value of a document and its place, such as ``models.yaml, components[0].spectral.type``."""

    value: Any
    where: str

    def shown(self) -> str:
        """The value for an error text, cut to a line."""
        if isinstance(self.value, dict | list):
            return f"a {'mapping' if isinstance(self.value, dict) else 'list'} of {len(self.value)}"
        return _cut(self.value)

    def _refuse(self, expected: str) -> FileFormatError:
        return FileFormatError(f"{self.where}: got {self.shown()}, expected {expected}.")

    def _at(self, key: str) -> str:
        # the top of a document is the file itself
        return f"{self.where}.{key}" if ", " in self.where else f"{self.where}, {key}"

    def mapping(self, known: Iterable[str]) -> "Node":
        """The node itself, which must be a mapping without unknown keys."""
        if not isinstance(self.value, dict):
            raise self._refuse("a mapping of keys to values")
        names = list(known)
        for key in self.value:
            if key not in names:
                raise FileFormatError(
                    f"{self.where}: unknown key {key[:60]!r}; known are: {', '.join(names)}.{did_you_mean(key, names)}"
                )
        return self

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def __getitem__(self, key: str) -> "Node":
        if not isinstance(self.value, dict):
            raise self._refuse("a mapping of keys to values")
        if key not in self.value:
            raise FileFormatError(
                f"{self.where}: key {key!r} is missing; the keys are: {', '.join(_shown_keys(self.value)) or 'none'}."
            )
        return Node(self.value[key], self._at(key))

    def elements(self) -> list["Node"]:
        """The members of a list."""
        if not isinstance(self.value, list):
            raise self._refuse("a list")
        return [Node(v, f"{self.where}[{i}]") for i, v in enumerate(self.value)]

    def text(self) -> str:
        """Text."""
        if not isinstance(self.value, str):
            raise self._refuse("text")
        return self.value

    def flag(self) -> bool:
        """True or false; text such as "False" is refused, for it is true in Python."""
        if not isinstance(self.value, bool):
            raise self._refuse("true or false without quotes")
        return self.value

    def number(self, finite: bool = False) -> float:
        """A number; text that is one, such as 1e-12, which YAML does not take for a number, is read as it is meant."""
        value = self.value
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise self._refuse("a number") from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refuse("a number")
        if finite and not np.isfinite(value):
            raise self._refuse("a finite number")
        return float(value)

    def whole(self) -> int:
        """A whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self._refuse("a whole number")
        return self.value
