"""What is static about derivatives: which parameters, which of them linear, and what each term contributes."""

from dataclasses import dataclass
from functools import lru_cache

from gammajax.likelihood.structure import Structure, Term

__all__ = ["Plan", "constants", "make_plan"]


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
    candidates = {t.index[k] for t, k in first.items() if k is not None}
    # a parameter that is a strength here and shapes something there (a link) is not linear

    def chosen(t: Term) -> int | None:
        k = first[t]
        return None if k is None else t.index[k]

    linear = {i for i in candidates if all(t.index.count(i) == 1 and chosen(t) == i for t in terms if i in t.index)}
    # the inner step minimises the statistic of the data alone: a parameter with a prior is not for it
    linear -= structure.penalised
    # nor are statistics that it could fall down from
    if any(s.clip or s.stat.concave for s in structure.datasets):
        linear = set()
    strength = tuple(tuple(first[t] if chosen(t) in linear else None for t in s.terms) for s in structure.datasets)
    slopes = tuple(
        tuple(
            tuple(k for k, i in enumerate(t.index) if i in active and k != k0)
            for t, k0 in zip(s.terms, chosen, strict=True)
        )
        for s, chosen in zip(structure.datasets, strength, strict=True)
    )
    return Plan(active, tuple(i for i in active if i in linear), strength, slopes)


@lru_cache(maxsize=256)
def constants(structure: Structure) -> tuple[int, ...]:
    """Positions of parameters that hardly anybody fits, in every model they belong to."""
    constant: set[int] = set()
    other: set[int] = set()
    for t in (t for s in structure.datasets for t in s.terms):
        for name, i in zip(t.names, t.index, strict=True):
            (constant if name in t.constants else other).add(i)
    return tuple(sorted(constant - other))
