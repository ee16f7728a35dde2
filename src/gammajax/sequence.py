"""Ordered collections of things with names, which can be added to and taken from like a list."""

from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np

from gammajax.elsewhere import Pointing
from gammajax.errors import InputError

__all__ = ["NamedSequence"]


class NamedSequence(Pointing):
    """Base of collections whose members have unique names: a member is asked for by its number, its name or itself.

    A subclass holds its members in the list `_members`, and its constructor refuses what does not belong there; what is added later goes
    through the same constructor.
    """

    def __init__(self, members: Any = ()) -> None:
        self._members: list[Any] = list(members)

    # what a member is called in messages
    _what = "member"

    def _replace(self, members: list[Any]) -> None:
        """Take other members, as far as the constructor does."""
        self._members = type(self)(members)._members

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members)

    def __contains__(self, value: Any) -> bool:
        return any(m is value or (isinstance(value, str) and m.name == value) for m in self._members)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._members[self.index(key)]
        if isinstance(key, slice):
            return self._part(self._members[key])
        if isinstance(key, list | tuple | np.ndarray):
            chosen = np.arange(len(self))[np.asarray(key, dtype=None if len(key) else int)]
            return self._part([self._members[k] for k in chosen])
        return self._members[key]

    def _part(self, members: list[Any]) -> Self:
        """A collection of some of the members."""
        return type(self)(members)

    def __setitem__(self, key: int | str, value: Any) -> None:
        members = list(self._members)
        members[self.index(key) if isinstance(key, str) else key] = value
        self._replace(members)

    def __delitem__(self, key: int | str) -> None:
        self.pop(key)

    def __add__(self, other: Any) -> Self:
        more = other if isinstance(other, Iterable) and not isinstance(other, str) else [other]
        new = type(self)([*self._members])
        new.extend(more)
        return new

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return [m.name for m in self._members]

    def index(self, key: Any) -> int:
        """Number of a member.

        Parameters
        ----------
        key : str or member
            Its name, or itself.

        Raises
        ------
        InputError
            If it is not there, listing the names.
        """
        for k, m in enumerate(self._members):
            if m is key or (isinstance(key, str) and m.name == key):
                return k
        named = f"named {key!r}" if isinstance(key, str) else f"{key!r} here"
        raise InputError(f"no {self._what} {named}; the names are: {', '.join(self.names) or 'none'}.")

    def append(self, value: Any) -> None:
        """Add a member at the end.

        Parameters
        ----------
        value : member
            One with a name that is not there yet.
        """
        self._replace([*self._members, value])

    def extend(self, values: Iterable[Any]) -> None:
        """Add several members at the end.

        Parameters
        ----------
        values : iterable of members
            With names that are not there yet.
        """
        self._replace([*self._members, *values])

    def insert(self, index: int, value: Any) -> None:
        """Add a member before another.

        Parameters
        ----------
        index : int
            Number that it will have.
        value : member
            One with a name that is not there yet.
        """
        members = list(self._members)
        members.insert(index, value)
        self._replace(members)

    def pop(self, key: Any = -1) -> Any:
        """Take a member out, and return it.

        Parameters
        ----------
        key : int, str or member
            Its number, its name or itself; the last one if not given.
        """
        members = list(self._members)
        try:
            found = members.pop(int(key) if isinstance(key, int | np.integer) else self.index(key))
        except IndexError:
            raise InputError(f"no {self._what} number {key}; there are {len(members)}.") from None
        self._replace(members)
        return found

    def remove(self, value: Any) -> None:
        """Take a member out.

        Parameters
        ----------
        value : str or member
            Its name, or itself.
        """
        self.pop(self.index(value))

    def count(self, value: Any) -> int:
        """How often a member is there: 1 or 0.

        Parameters
        ----------
        value : str or member
            Its name, or itself.
        """
        return int(value in self)

    def reverse(self) -> None:
        """Turn the order round."""
        self._replace(self._members[::-1])

    def clear(self) -> None:
        """Take all members out."""
        self._replace([])
