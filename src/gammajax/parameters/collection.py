"""An ordered collection of parameters."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import numpy as np

from gammajax.arguments import gammapy_arguments
from gammajax.elsewhere import Pointing
from gammajax.errors import InputError
from gammajax.parameters.parameter import Parameter

__all__ = ["Parameters", "find_parameter"]

COLUMNS = ("name", "value", "unit", "error", "min", "max", "frozen", "link", "prior")


@gammapy_arguments
class Parameters(Pointing):
    """An ordered collection of `Parameter` objects; linked ones appear once for each model that holds them.

    Parameters
    ----------
    parameters : iterable of `Parameter`
        The members, in order.
    unique_names : iterable of str, optional
        Full names such as ``"crab.spectral.alpha"``, one per member; plain names where not given.

    Examples
    --------
    >>> pars = Parameters([Parameter("index", 2.0), Parameter("norm", 1.0, frozen=True)])
    >>> pars["index"].value, pars.free_parameters.names
    (2.0, ['index'])
    """

    def __init__(self, parameters: Iterable[Parameter] = (), unique_names: Iterable[str] | None = None) -> None:
        self._parameters = list(parameters)
        names = [p.unique_name or p.name for p in self._parameters] if unique_names is None else list(unique_names)
        self._unique_names = names

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Parameters(self._parameters[key], self._unique_names[key])
        return self._parameters[self.index(key)]

    def __add__(self, other: "Parameters") -> "Parameters":
        return Parameters([*self, *other], [*self.unique_names, *other.unique_names])

    def index(self, key: Any) -> int:
        """Position of a parameter given as object, snapshot, name, unique name or number.

        Parameters
        ----------
        key : `Parameter`, str or int
            Which one.
        """
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            if -len(self) <= key < len(self):
                return int(key) % len(self)
            raise InputError(f"parameter number {key}: there are only {len(self)} parameters.")
        return find_parameter(key, self._parameters, self._unique_names)

    def copy(self) -> "Parameters":
        """Independent, editable copies, which follow no other parameters; one that stands at several places stays one."""
        made: dict[int, Parameter] = {}
        return Parameters([made.setdefault(id(p), p.copy()) for p in self], self._unique_names)

    def count(self, parameter: Parameter) -> int:
        """At how many places a parameter stands.

        Parameters
        ----------
        parameter : `Parameter`
            Which.
        """
        return sum(p is parameter for p in self)

    @property
    def types(self) -> list[str]:
        """What each belongs to, "spectral", "temporal" or "systematics": the middle of its unique name; empty where that has none."""
        parts = [name.rsplit(".", 2) for name in self._unique_names]
        return [part[1] if len(part) == 3 else "" for part in parts]

    @property
    def names(self) -> list[str]:
        """Names, not necessarily unique."""
        return [p.name for p in self]

    @property
    def unique_names(self) -> list[str]:
        """Full names, ``"<model>.<type>.<parameter>"`` where the model is known."""
        return list(self._unique_names)

    @property
    def value(self) -> np.ndarray:
        """Values, shape (n,), each in the unit of its parameter, read-only; set all of them at once, or one by ``pars["index"].value``."""
        return _read_only([p.value for p in self])

    @value.setter
    def value(self, values: Any) -> None:
        for p, v in zip(self, values, strict=True):
            p.value = v

    def _select(self, keep: list[bool]) -> "Parameters":
        pairs = [(p, n) for p, n, k in zip(self, self._unique_names, keep, strict=True) if k]
        return Parameters([p for p, _ in pairs], [n for _, n in pairs])

    @property
    def free_parameters(self) -> "Parameters":
        """Those that are not frozen."""
        return self._select([not p.frozen for p in self])

    @property
    def unique_parameters(self) -> "Parameters":
        """Each parameter that moves by itself once, at its first place: instead of those linked by a formula, their parents."""
        first: dict[int, tuple[Parameter, str]] = {}
        for p, name in zip(self, self._unique_names, strict=True):
            if p.follows is None:
                first.setdefault(id(p), (p, name))
        # a parent may be in none of the models at hand
        for p in self:
            if (root := p.follows) is not None:
                parent = root.parent
                first.setdefault(id(parent), (parent, parent.unique_name or parent.name))
        return Parameters([p for p, _ in first.values()], [n for _, n in first.values()])

    def from_unique(self) -> tuple[np.ndarray, np.ndarray]:
        """For each parameter the place of the unique one that it is or follows, and its derivative in that, each in its unit."""
        where = {id(p): i for i, p in enumerate(self.unique_parameters)}
        index, factor = [], []
        for p in self:
            root = p.follows
            parent = p if root is None else root.parent
            index.append(where[id(parent)])
            factor.append(1.0 if root is None else root.numbers(p.unit, parent.unit)[0])
        return np.array(index, dtype=int), np.array(factor)

    @property
    def free_unique_parameters(self) -> "Parameters":
        """Those that a fit varies."""
        return self.unique_parameters.free_parameters

    @property
    def followers(self) -> "Parameters":
        """Those linked by a formula, each once."""
        first: dict[int, tuple[Parameter, str]] = {}
        for p, name in zip(self, self._unique_names, strict=True):
            if p.follows is not None:
                first.setdefault(id(p), (p, name))
        return Parameters([p for p, _ in first.values()], [n for _, n in first.values()])

    def prior_stat_sum(self, constants: bool = True) -> float:
        """-2 ln of all priors at the present values, each parameter once.

        Parameters
        ----------
        constants : bool
            Keep what does not depend on the values, as a fit does.
        """
        return sum(p.prior_stat_sum(constants) for p in [*self.unique_parameters, *self.followers])

    def freeze_all(self) -> None:
        """Freeze every parameter; a linked one follows its parent."""
        for p in self:
            if p.follows is None:
                p.frozen = True

    def unfreeze_all(self) -> None:
        """Free every parameter; a linked one follows its parent."""
        for p in self:
            if p.follows is None:
                p.frozen = False

    @property
    def min(self) -> np.ndarray:
        """Lower limits, shape (n,), each in the unit of its parameter, read-only; nan where there is none."""
        return _read_only([p.min for p in self])

    @min.setter
    def min(self, values: Any) -> None:
        for p, v in zip(self, values, strict=True):
            p.min = v

    @property
    def max(self) -> np.ndarray:
        """Upper limits, shape (n,), each in the unit of its parameter, read-only; nan where there is none."""
        return _read_only([p.max for p in self])

    @max.setter
    def max(self, values: Any) -> None:
        for p, v in zip(self, values, strict=True):
            p.max = v

    @property
    def prior(self) -> list[Any]:
        """Priors, None where there is none."""
        return [p.prior for p in self]

    def select(self, name: Any = None, type: str | None = None, frozen: bool | None = None) -> "Parameters":
        """Those that fit all that is given.

        Parameters
        ----------
        name : str or list of str, optional
            Names.
        type : {"spectral", "temporal", "systematics"}, optional
            What they belong to: the middle of their unique names.
        frozen : bool, optional
            Whether they are frozen.
        """
        names = [name] if isinstance(name, str) else name
        keep = [
            (names is None or p.name in names)
            and (type is None or f".{type}." in unique)
            and (frozen is None or p.frozen == frozen)
            for p, unique in zip(self, self._unique_names, strict=True)
        ]
        return self._select(keep)

    @contextmanager
    def restore_status(self, restore_values: bool = True) -> Iterator[None]:
        """Context in which parameters may be frozen and changed; at its end they are as they were.

        Parameters
        ----------
        restore_values : bool
            Whether values and errors are put back too, and not only which are frozen.

        Examples
        --------
        >>> pars = Parameters([Parameter("index", 2.0)])
        >>> with pars.restore_status():
        ...     pars["index"].value, pars["index"].frozen = 3.0, True
        >>> pars["index"].value, pars["index"].frozen
        (2.0, False)
        """
        kept = [(p, p.frozen, p.value, p.error) for p in self if p.follows is None]
        try:
            yield
        finally:
            for p, frozen, value, error in kept:
                p.frozen = frozen
                if restore_values:
                    p.value, p.error = value, error

    def to_table(self) -> Any:
        """Return an astropy Table with one row per parameter."""
        from astropy.table import Table

        first: dict[int, str] = {}
        rows = []
        for p, unique in zip(self, self._unique_names, strict=True):
            link = first.setdefault(id(p), unique)
            link = "" if link == unique else link
            if (root := p.follows) is not None:
                names = {id(q): n for q, n in zip(self, self._unique_names, strict=True)}
                link = root.text(p.unit, names.get(id(root.parent)))
            rows.append((p.name, p.value, p.unit.to_string("fits"), p.error, p.min, p.max, p.frozen, link, _kind(p)))
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in COLUMNS]
        types = (str, float, str, float, float, float, bool, str, str)
        table = Table([np.array(c, dtype=t) for c, t in zip(columns, types, strict=True)], names=COLUMNS)
        for name in ("value", "error"):
            table[name].info.format = ".4e"
        for name in ("min", "max"):
            table[name].info.format = ".3e"
        return table

    def __repr__(self) -> str:
        return f"Parameters({', '.join(self._unique_names)})"

    def __str__(self) -> str:
        return "\n".join(self.to_table().pformat(max_lines=-1, max_width=-1))

    def _repr_html_(self) -> str:
        return self.to_table()._repr_html_()


def _read_only(values: list[float]) -> np.ndarray:
    """A new array: changing it would have no effect on the parameters, so that it refuses to be changed."""
    array = np.array(values, dtype=float)
    array.setflags(write=False)
    return array


def _kind(parameter: Parameter) -> str:
    """Name of the class of the prior, as gammapy shows it; empty without a prior."""
    return "" if parameter.prior is None else type(parameter.prior).__name__


def find_parameter(key: Any, parameters: list[Parameter], unique_names: list[str]) -> int:
    """Position of `key` (object, snapshot, name or unique name); refuses unknown and ambiguous names.

    Raises
    ------
    InputError
        Listing the known names.
    """
    if isinstance(key, Parameter):
        for i, p in enumerate(parameters):
            if p is key:
                return i
        key = key.unique_name or key.name
    if isinstance(key, str):
        if key in unique_names:
            return unique_names.index(key)
        hits = [i for i, p in enumerate(parameters) if p.name == key]
        if len({id(parameters[i]) for i in hits}) == 1:
            return hits[0]
        if hits:
            which = ", ".join(unique_names[i] for i in hits)
            raise InputError(
                f"parameter name {key!r} is ambiguous here: it stands for {which}; give one of these names."
            )
    near = get_close_matches(str(key), [*unique_names, *(p.name for p in parameters)], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"unknown parameter {key!r}; known are: {', '.join(unique_names) or 'none'}.{hint}")
