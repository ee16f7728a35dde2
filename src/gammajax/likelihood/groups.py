r"""Data sets of equal structure as one: run-wise spectra of an instrument compile, and mostly cost, what a single one does.

The statistic of a joint fit is a sum over bins, whichever data set they are of. Data sets with the same models, statistic,
axes and number of bins (a *group*) therefore are evaluated like one data set that has the bins of all of them, one after
the other:

- where all take the same parameters, the flux in the true-energy bins is the same, :math:`\mu = F (M_1 | M_2 | \ldots)`: it is evaluated
  once, and folded with one wide matrix, shape (n_true, members n_reco);
- where a strength (an amplitude or a norm) is each one's own, it multiplies that data set's counts;
- where anything else is, an index, an energy scale, the good time intervals of a variable source, flux and matrix have an axis of
  data sets, (members, n_true) and (members, n_true, n_reco), and `jax.vmap` evaluates them.

An argument that is each one's own has a tuple of positions in theta in `Term.index`, a gather instead of a number; derivatives in such
parameters are computed for all members at once and put where they belong. Bins in the fit may differ from member to member: they are
arrays, filled up to the longest with bins without effect, and true-energy bins are those that reach any of them.

The structure that a person, a stored scan and its fingerprint see stays that of the single data sets; `merged` is what programs
are made from.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from gammajax.direct import direct, shared
from gammajax.likelihood.bins import Bins, bins_in_fit, cut_bins, reached, rounded
from gammajax.likelihood.plan import make_plan
from gammajax.likelihood.structure import (
    MATRIX,
    BinData,
    DatasetStructure,
    Place,
    Points,
    ResponseData,
    Structure,
    Term,
    Timed,
)
from gammajax.units import double_precision

__all__ = ["Groups", "grouped", "has_own_flux", "joined", "merged", "order_of_bins", "side_by_side", "split"]

# the data sets of each group, by their numbers; () where each is by itself
Groups = tuple[tuple[int, ...], ...]

# what is on the device, by the first data set of a group, with the arrays it was made from: of it alone (1), and of the last group
_placed: WeakKeyDictionary = WeakKeyDictionary()


def grouped(structures: Sequence[DatasetStructure], kinds: Sequence[Hashable]) -> Groups:
    """Which data sets go together.

    Parameters
    ----------
    structures : sequence of `DatasetStructure`
        Of the data sets.
    kinds : sequence of hashable
        What else has to be equal: axes and numbers of bins.
    """
    found: dict[Hashable, list[int]] = {}
    for d, (s, kind) in enumerate(zip(structures, kinds, strict=True)):
        found.setdefault((_without_places(s), kind), []).append(d)
    return tuple(map(tuple, found.values())) if len(found) < len(structures) else ()


def _without_places(s: DatasetStructure) -> DatasetStructure:
    terms = tuple(replace(t, index=(0,) * len(t.index)) for t in s.terms)
    return replace(s, terms=terms, alpha=None if s.alpha is None else 0)


@lru_cache(maxsize=64)
def merged(structure: Structure, groups: Groups) -> Structure:
    """The structure whose data sets are the groups."""
    if not groups:
        return structure
    datasets = tuple(_merged([structure.datasets[d] for d in group]) for group in groups)
    return Structure(datasets, structure.penalties)


def _merged(members: list[DatasetStructure]) -> DatasetStructure:
    if len(members) == 1:
        return members[0]
    terms = tuple(map(_merged_term, zip(*(m.terms for m in members), strict=True)))
    first = members[0]
    return replace(first, terms=terms, alpha=None if first.alpha is None else _place([m.alpha for m in members]))


def _merged_term(terms: tuple[Term, ...]) -> Term:
    return replace(terms[0], index=tuple(map(_place, zip(*(t.index for t in terms), strict=True))))


def _place(positions: Sequence[Any]) -> Place:
    """One position where all have the same, otherwise one for each."""
    first, *others = positions
    return first if all(i == first for i in others) else (first, *others)


def joined(
    datasets: Sequence[Any], structure: Structure, data: Sequence[BinData], groups: Groups
) -> tuple[tuple[BinData, ...], tuple[Bins, ...]]:
    """Arrays of each group on the device, of all bins and of those in the fit; kept as long as the data stay the same.

    Parameters
    ----------
    datasets : sequence of `Dataset`
        The data sets.
    structure : `Structure`
        Of the data sets.
    data : sequence of `BinData`
        Their arrays, on the host.
    groups : `Groups`
        From `grouped`.
    """
    whole = merged(structure, groups)
    strengths = make_plan(whole, ()).strength
    bins, fit = [], []
    for s, chosen, group in zip(whole.datasets, strengths, groups or _each(len(data)), strict=True):
        members = [data[d] for d in group]
        own = has_own_flux(s, chosen, members)
        of_first = _placed.setdefault(datasets[group[0]], {})
        key, known = (s.statistic, own, len(members)), of_first.get(min(len(members), 2))
        if known is None or known[0] != key or any(a is not b for a, b in zip(known[1], members, strict=True)):
            with double_precision():
                placed = shared(_data_of(members, own)), direct(_bins_of(s, members, own))
            known = of_first[min(len(members), 2)] = (key, members, placed)
        bins.append(known[2][0])
        fit.append(known[2][1])
    return tuple(bins), tuple(fit)


def _each(n: int) -> Groups:
    return tuple((d,) for d in range(n))


def has_own_flux(structure: DatasetStructure, strengths: Sequence[int | None], members: list[BinData]) -> bool:
    """Whether the flux that goes through the matrix of a group has an axis of data sets; `strengths` are those of its `Plan`."""
    return any(_has_own_flux(t, k0) for t, k0 in zip(structure.terms, strengths, strict=True)) or _has_times(members)


def _has_own_flux(term: Term, strength: int | None) -> bool:
    """Whether the flux that goes through the matrix differs from member to member in more than a factor."""
    return term.fold == MATRIX and any(isinstance(i, tuple) and k != strength for k, i in enumerate(term.index))


def _has_times(members: list[BinData]) -> bool:
    return len(members) > 1 and any(isinstance(r, Timed) for r in members[0].response.rules)


def _data_of(members: list[BinData], own: bool) -> BinData:
    if len(members) == 1:
        return members[0]
    first = members[0]
    values = {k: np.concatenate([np.asarray(m.values[k]) for m in members]) for k in first.values}
    responses = [m.response for m in members]
    matrix = None
    if first.response.edisp is not None:
        matrix = _matrix([np.asarray(r.exposure)[:, None] * np.asarray(r.edisp) for r in responses], own)
    response = ResponseData(None, matrix, *_beside(responses))
    return BinData(values, np.concatenate([np.asarray(m.mask) for m in members]), response)


def _bins_of(structure: DatasetStructure, members: list[BinData], own: bool) -> Bins:
    if len(members) == 1:
        return bins_in_fit(structure, members[0])
    rows = np.unique(np.concatenate([reached(m) for m in members]))
    columns = max(rounded(int(np.asarray(m.mask).sum())) for m in members)
    return side_by_side([cut_bins(structure, m, rows, columns) for m in members], own)


def side_by_side(parts: Sequence[Bins], own: bool) -> Bins:
    """Bins of the data sets of a group, with the same bins of true energy, as one; `own` is `has_own_flux`."""
    if len(parts) == 1:
        return parts[0]
    values = tuple(np.concatenate(v) for v in zip(*(p.values for p in parts), strict=True))
    matrix = None if parts[0].matrix is None else _matrix([p.matrix for p in parts], own)
    return Bins(values, matrix, *_beside(parts))


def _matrix(matrices: list[np.ndarray], own: bool) -> np.ndarray:
    return np.stack(matrices) if own else np.concatenate(matrices, axis=1)


def _beside(parts: Sequence[Any]) -> tuple[tuple, tuple]:
    """Diagonals and rules of a group."""
    diagonals = tuple(np.concatenate(d) for d in zip(*(p.diagonals for p in parts), strict=True))
    return diagonals, tuple(map(_rule, zip(*(p.rules for p in parts), strict=True)))


def _rule(rules: tuple) -> Any:
    first = rules[0]
    if isinstance(first, Timed):
        return Timed(_rule(tuple(r.rule for r in rules)), np.stack([np.asarray(r.times) for r in rules]))
    # the bins of true energy are those of one axis
    return Points(np.concatenate([np.asarray(r.at) for r in rules])) if isinstance(first, Points) else first


def order_of_bins(groups: Groups, sizes: Sequence[int]) -> np.ndarray | None:
    """Where each bin, in the order of the data sets, is in the order of the groups; None if it is the same.

    Parameters
    ----------
    groups : `Groups`
        From `grouped`.
    sizes : sequence of int
        Bins of each data set of each group.
    """
    begins: dict[int, tuple[int, int]] = {}
    at = 0
    for group, n in zip(groups, sizes, strict=True):
        for d in group:
            begins[d] = at, n
            at += n
    order = np.concatenate([np.arange(b, b + n) for b, n in (begins[d] for d in range(len(begins)))])
    return None if np.array_equal(order, np.arange(at)) else order


def split(groups: Groups, parts: Sequence[Any]) -> tuple:
    """Arrays of the groups, shape (members n, ...), as those of the data sets, in their order.

    Parameters
    ----------
    groups : `Groups`
        From `grouped`.
    parts : sequence of array
        One for each group.
    """
    if not groups:
        return tuple(parts)
    found: dict[int, Any] = {}
    for group, values in zip(groups, parts, strict=True):
        n = len(values) // len(group)
        found |= {d: values[k * n : (k + 1) * n] for k, d in enumerate(group)}
    return tuple(found[d] for d in range(len(found)))
