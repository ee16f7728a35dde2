"""One likelihood for many realisations of its data: each lane of a batch has measurements of its own, everything else is shared."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from gammajax.likelihood.compact import Compact

__all__ = ["DrawnCompact", "drawn_numbers"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DrawnCompact:
    """The compact form of a likelihood of any number of data sets; what their statistics take comes with each lane.

    Parameters
    ----------
    template : `Compact`
        Of the measured data.
    """

    template: Compact

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the positions `active` that every prediction is linear in."""
        return self.template.linear(active)

    def constants(self) -> tuple[int, ...]:
        """Positions of parameters that hardly anybody fits."""
        return self.template.constants()

    def of_lane(self, numbers: jax.Array) -> Compact:
        """The likelihood of one lane, from its numbers (see `drawn_numbers`)."""
        at, bins = 0, []
        for b in self.template.bins:
            n = b.values[0].shape[0]
            bins.append(replace(b, values=tuple(numbers[at + k * n : at + (k + 1) * n] for k in range(len(b.values)))))
            at += len(b.values) * n
        return replace(self.template, bins=tuple(bins))


def drawn_numbers(likelihood: Any, arrays: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Pack the data of all lanes into rows of numbers.

    Parameters
    ----------
    likelihood : `Likelihood`
        With a compact form.
    arrays : list of dict of str to array, shape (N, n_fit)
        For each data set what its statistic takes, in the bins of the fit.

    Returns
    -------
    array, shape (N, D)
    """
    compact, parts = likelihood.compact(), []
    for s, b, group in zip(compact.merged.datasets, compact.bins, compact.groups or _each(len(arrays)), strict=True):
        n = b.size // len(group)
        for name, fill in zip(s.stat.arrays, s.stat.harmless, strict=True):
            for v in (np.asarray(arrays[d][name], dtype=float) for d in group):
                parts.append(np.pad(v, ((0, 0), (0, n - v.shape[1])), constant_values=fill))
    return np.concatenate(parts, axis=1)


def _each(n: int) -> tuple[tuple[int, ...], ...]:
    return tuple((d,) for d in range(n))
