"""Whether the nodes of a likelihood do for some parameters, and the same arrays with more nodes; see `gammajax.models.steep`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.likelihood.structure import DatasetStructure, Place, Points, Timed, positions
from gammajax.models import BinRule
from gammajax.models.steep import Reach, reaches, steeper_rule

__all__ = ["Steep", "steep_terms", "steeper", "steps_at"]

# e-folds: bins that hold less than 1e-25 of the flux of a source, less than 1e-15 of its counts, change no statistic
FOLDS = 57.5
# in ln E: a fitted energy scale moves the axis by less
SCALE = 0.25


@dataclass(frozen=True)
class Steep:
    """What the rule of a term reaches, and where the arguments of its model are in theta."""

    reach: Reach
    places: tuple[Place, ...]

    def steps(self, theta: np.ndarray) -> np.ndarray:
        """Steps needed at points (n, P), shape (n,)."""
        values = [theta[:, list(positions(place))] for place in self.places]
        return np.max(self.reach.steps(values), axis=1)


def steep_terms(
    datasets: Sequence[DatasetStructure], rules: Sequence[Sequence[Any]], folds: float = FOLDS
) -> tuple[Steep, ...]:
    """All terms of some data sets that can be steeper than their nodes are made for; `folds` as in `Reach`."""
    found = []
    for structure, of_dataset in zip(datasets, rules, strict=True):
        for term in structure.terms:
            rule = _bare(of_dataset[term.rule])
            if isinstance(rule, Points):
                continue
            margin = SCALE if "energy_scale" in term.extras else 0.0
            found += [Steep(r, term.index[: len(term.form.names)]) for r in reaches(term.form, rule, margin, folds)]
    return tuple(dict.fromkeys(found))


def steps_at(terms: Sequence[Steep], theta: np.ndarray) -> np.ndarray:
    """Steps needed at points (n, P), shape (n,)."""
    return np.max([t.steps(theta) for t in terms], axis=0, initial=0) if terms else np.zeros(len(theta), dtype=int)


def steeper(structure: DatasetStructure, rules: Sequence[Any], step: int) -> tuple:
    """Rules of a data set for a step, from any others of it."""
    forms = {t.rule: t.form for t in structure.terms}

    def one(n: int, rule: Any) -> Any:
        bare = _bare(rule)
        if isinstance(bare, Points):
            return rule
        new = steeper_rule(forms[n], bare, step)
        return Timed(new, rule.times) if isinstance(rule, Timed) else new

    return tuple(one(n, rule) for n, rule in enumerate(rules))


def _bare(rule: BinRule | Points | Timed) -> Any:
    return rule.rule if isinstance(rule, Timed) else rule
