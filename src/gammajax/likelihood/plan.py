"""What is static about derivatives: which parameters, which of them linear, and what each term contributes."""

from dataclasses import dataclass
from functools import lru_cache

from gammajax.likelihood.structure import Structure, Term, positions

__all__ = ["Plan", "acting_on", "constants", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """Which parameters are differentiated, and how.

    Attributes
    ----------
    active : tuple of int
        Positions in theta that are differentiated.
    linear : tuple of int
        Those of them that predictions are linear in.
    strength : tuple of tuple of (int or None)
        For each data set and term: which of its parameters is its strength.
    slopes : tuple of tuple of tuple of int
        For each data set and term: which of its parameters are differentiated, its strength aside.
    """

    active: tuple[int, ...]
    linear: tuple[int, ...]
    strength: tuple[tuple[int | None, ...], ...]
    slopes: tuple[tuple[tuple[int, ...], ...], ...]


@lru_cache(maxsize=256)
def make_plan(structure: Structure, active: tuple[int, ...]) -> Plan:
    """Plan for the derivatives in the positions `active`."""
    terms = [t for s in structure.datasets for t in s.terms]
    first = {t: next((k for k, n in enumerate(t.form.names) if n in t.form.linear), None) for t in terms}
    linear = _linear(structure, terms, first)

    def strength_of(t: Term) -> int | None:
        k = first[t]
        return k if k is not None and linear.issuperset(positions(t.index[k])) else None

    strength = tuple(tuple(strength_of(t) for t in s.terms) for s in structure.datasets)
    wanted = frozenset(active)
    slopes = tuple(
        tuple(
            tuple(k for k, i in enumerate(t.index) if k != k0 and not wanted.isdisjoint(positions(i)))
            for t, k0 in zip(s.terms, chosen, strict=True)
        )
        for s, chosen in zip(structure.datasets, strength, strict=True)
    )
    return Plan(active, tuple(i for i in active if i in linear), strength, slopes)


def _linear(structure: Structure, terms: list[Term], first: dict[Term, int | None]) -> set[int]:
    """Positions that every prediction is linear in."""
    # a statistic that it could fall down from allows none
    if any(s.clip or s.stat.concave for s in structure.datasets):
        return set()
    strengths = {i for t, k in first.items() if k is not None for i in positions(t.index[k])}
    # the inner step minimises the statistic of the data alone: a parameter with a prior is not for it
    strengths -= structure.penalised
    # nor is one that is a strength here and shapes something there (a link), or multiplies alpha
    strengths.difference_update(*(positions(s.alpha) for s in structure.datasets if s.alpha is not None))
    for t in terms:
        strengths -= {i for k, place in enumerate(t.index) if k != first[t] for i in positions(place)}
    # in a group either all data sets have such a strength, or none
    while mixed := {
        i
        for t, k in first.items()
        if k is not None and not strengths.issuperset(positions(t.index[k]))
        for i in strengths.intersection(positions(t.index[k]))
    }:
        strengths -= mixed
    return strengths


@lru_cache(maxsize=256)
def constants(structure: Structure) -> tuple[int, ...]:
    """Positions of parameters that hardly anybody fits, in every model they belong to."""
    constant: set[int] = set()
    other: set[int] = set()
    for t in (t for s in structure.datasets for t in s.terms):
        for name, place in zip(t.names, t.index, strict=True):
            (constant if name in t.constants else other).update(positions(place))
    return tuple(sorted(constant - other))


@lru_cache(maxsize=256)
def acting_on(structure: Structure) -> frozenset[int]:
    """Positions of all parameters that the statistic depends on."""
    places = [place for s in structure.datasets for t in s.terms for place in t.index]
    places += [s.alpha for s in structure.datasets if s.alpha is not None]
    return structure.penalised.union(*map(positions, places))
