"""Parts of likelihoods, stacked: the lanes of one batch each take their own, and vary only some of the parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from gammajax.direct import direct
from gammajax.likelihood.bins import Bins, filled, rounded
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.exact import Exact
from gammajax.likelihood.groups import Groups, has_own_flux, merged, side_by_side
from gammajax.likelihood.plan import make_plan
from gammajax.likelihood.structure import BinData, DatasetStructure, Points, ResponseData, Structure
from gammajax.units import double_precision

__all__ = ["PartCompact", "StackedCompact", "parts_of", "stacked_parts"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PartCompact:
    """Compact form of a likelihood as a function of some of its parameters; the others stay as they are.

    Parameters
    ----------
    whole : `Compact` or `Exact`
        Of all P parameters.
    base : array, shape (P,)
        Values of those that stay.
    varied : tuple of int
        Positions of the V that are left; the solver counts those.
    """

    whole: Any
    base: Any
    varied: tuple[int, ...] = field(metadata={"static": True})

    def _at(self, active: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.varied[k] for k in active)

    def _full(self, theta: Sequence) -> list:
        values = [self.base[i] for i in range(self.base.shape[-1])]
        for i, v in zip(self.varied, theta, strict=True):
            values[i] = v
        return values

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the positions `active` that every prediction is linear in."""
        return tuple(self.varied.index(i) for i in self.whole.linear(self._at(active)))

    def constants(self) -> tuple[int, ...]:
        """None: those that hardly anybody fits are not among the varied."""
        return ()

    def stat(self, theta: Sequence) -> jax.Array:
        """Statistic -2 ln L; `theta` is a sequence of V scalars."""
        return self.whole.stat(self._full(theta))

    def fold(self, theta: Sequence, active: tuple[int, ...]) -> Any:
        """What costs, done once; see `Compact.fold`."""
        return self.whole.fold(self._full(theta), self._at(active))

    def scores(self, folded: Any, strengths: Sequence, active: tuple[int, ...]) -> tuple:
        """Statistic and derivatives; see `Compact.scores`."""
        return self.whole.scores(folded, strengths, self._at(active))

    def at(self, theta: Sequence) -> Any:
        """What gives the slopes of the bins at `theta`, which are all P parameters; see `Compact.at`."""
        return self.whole.at(theta)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StackedCompact:
    """Several likelihoods in one; a lane brings the number of its own.

    Parameters
    ----------
    members : `PartCompact`
        Every array has the likelihoods as its first axis.
    """

    members: PartCompact

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the positions `active` that every prediction is linear in."""
        return self.members.linear(active)

    def constants(self) -> tuple[int, ...]:
        """None."""
        return ()

    def of_lane(self, numbers: jax.Array) -> PartCompact:
        """The likelihood of a lane that brings one number, which one it is."""
        which = numbers[0].astype(int)
        return jax.tree.map(lambda a: a[which], self.members)


def stacked_parts(members: Sequence[PartCompact]) -> StackedCompact:
    """One from several of equal structure and shapes, on the device."""
    with double_precision():
        return StackedCompact(direct(jax.tree.map(lambda *a: np.stack(a), *members)))


def parts_of(likelihood: Any, masks: Sequence[Sequence[np.ndarray]], varied: Sequence[int]) -> list[PartCompact]:
    """Likelihoods of some bins each, as functions of the parameters at the positions `varied`; all of the same shapes.

    Parameters
    ----------
    likelihood : `Likelihood`
        Of all bins.
    masks : sequence of (sequence of array, shape (n_reco,))
        For each part, its bins of each data set.
    varied : sequence of int
        Positions.
    """
    data = jax.tree.map(np.asarray, likelihood.data)
    structure = likelihood.structure
    # by differentiating the whole each data set is by itself: the true-energy bins that reach a part differ
    groups = () if likelihood._exact else likelihood.groups
    together = groups or tuple((d,) for d in range(len(data)))
    reached = [[_union([_reached(data[d], row[d]) for d in group]) for group in together] for row in masks]
    size = (
        rounded(max(len(r) for row in reached for r in row)),
        rounded(max(int(m.sum()) for row in masks for m in row)),
    )
    out = []
    for row, of_groups in zip(masks, reached, strict=True):
        cut = {
            d: _cut(structure.datasets[d], data[d], row[d], used, size)
            for group, used in zip(together, of_groups, strict=True)
            for d in group
        }
        if likelihood._exact:
            static = structure, likelihood.labels, ()
            members = tuple(cut[d] for d in range(len(data)))
            whole: Any = Exact(type(likelihood).tree_unflatten(static, (members, likelihood.numbers)))
        else:
            whole = Compact(structure, _of_groups(structure, groups, together, cut), likelihood.numbers, groups)
        out.append(PartCompact(whole, likelihood.start, tuple(int(i) for i in varied)))
    return out


def _union(indices: Sequence[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(indices))


def _of_groups(structure: Structure, groups: Groups, together: Groups, cut: dict[int, BinData]) -> tuple[Bins, ...]:
    """Bins of each group of data sets."""
    whole = merged(structure, groups)
    bins = []
    for s, strengths, group in zip(whole.datasets, make_plan(whole, ()).strength, together, strict=True):
        members = [cut[d] for d in group]
        bins.append(side_by_side([_bins(s, m) for m in members], has_own_flux(s, strengths, members)))
    return tuple(bins)


def _reached(data: BinData, mask: np.ndarray) -> np.ndarray:
    """True-energy bins that reach the bins in a mask."""
    if data.response.edisp is None:
        return np.zeros(0, dtype=int)
    small = data.response.exposure[:, None] * data.response.edisp[:, mask]
    return np.flatnonzero(np.any(small != 0, axis=1))


def _cut(
    structure: DatasetStructure, data: BinData, mask: np.ndarray, reached: np.ndarray, size: tuple[int, int]
) -> BinData:
    """Only some of the bins, and the true-energy bins that reach them, filled up to a size with bins without effect."""
    rows, columns = size
    inside, statistic, response = np.flatnonzero(mask), structure.stat, data.response
    used, points = filled(reached, rows), filled(inside, columns)

    def padded(values: np.ndarray, fill: float) -> np.ndarray:
        return np.concatenate([values[inside], np.full((columns - len(inside), *values.shape[1:]), fill)])

    exposure = edisp = None
    if response.edisp is not None:
        exposure, edisp = np.zeros(rows), np.zeros((rows, columns))
        exposure[: len(reached)] = response.exposure[reached]
        edisp[: len(reached), : len(inside)] = response.edisp[np.ix_(reached, inside)]
    rules = tuple(r.take(points if isinstance(getattr(r, "rule", r), Points) else used) for r in response.rules)
    values = {n: padded(data.values[n], f) for n, f in zip(statistic.arrays, statistic.harmless, strict=True)}
    diagonals = tuple(padded(d, 0.0) for d in response.diagonals)
    return replace(
        data,
        values=values,
        mask=np.arange(columns) < len(inside),
        response=ResponseData(exposure, edisp, diagonals, rules),
    )


def _bins(structure: DatasetStructure, data: BinData) -> Bins:
    """The same with the response in one matrix."""
    response, matrix = data.response, None
    if response.edisp is not None:
        matrix = response.exposure[:, None] * response.edisp
    return Bins(tuple(data.values[n] for n in structure.stat.arrays), matrix, response.diagonals, response.rules)
