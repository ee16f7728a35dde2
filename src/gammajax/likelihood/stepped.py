"""Likelihoods whose bin integrals have as many nodes as the steepness of their spectra asks for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from gammajax.direct import direct, shared
from gammajax.likelihood.bound import Bound
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.groups import Groups, merged
from gammajax.likelihood.steep import Steep, steep_terms, steeper, steps_at
from gammajax.likelihood.structure import BinData
from gammajax.units import double_precision

__all__ = ["Stepped"]


class Stepped(Bound):
    """The part of a likelihood that chooses nodes; see `gammajax.models.steep`.

    Nodes are chosen by values of the parameters before anything is computed. Who moves the parameters asks `covering`: a scan for the ends of
    its axes before it begins, a fit or a re-fit for the place where it ended.
    """

    groups: Groups
    joined: tuple[BinData, ...]
    _steep: tuple[Steep, ...] = ()
    # arrays, and what was prepared for them, by step; those of step 0 always
    _steps: dict[int, dict[str, Any]]

    def _choose_step(self, data: Sequence[BinData]) -> None:
        """Take the nodes that the start asks for; `data` are arrays on the host, of one data set of each group."""
        whole = merged(self.structure, self.groups).datasets
        self._steep = steep_terms(whole, [d.response.rules for d in data])
        self._steps = {}
        self._take_step(self._step_at_start())

    def steps(self, theta: np.ndarray) -> np.ndarray:
        """The `step` that bin integrals exact to 1e-9 ask for at some points, shape (n,).

        Bins count that hold more than 1e-25 of the flux of a source: those with less change no statistic.

        Parameters
        ----------
        theta : array, shape (n, P)
            Parameters, internal units.
        """
        return steps_at(self._steep, np.asarray(theta, dtype=float))

    @property
    def has_steps(self) -> bool:
        """Whether there are models whose nodes depend on the values of their parameters."""
        return bool(self._steep)

    def covering(self, theta: np.ndarray) -> Self:
        """The same with nodes that keep bin integrals exact to 1e-9 also at other parameters; itself where they do.

        Parameters
        ----------
        theta : array, shape (P,) or (n, P)
            Parameters, internal units.
        """
        return self.at_step(int(np.max(self.steps(np.atleast_2d(theta)), initial=self.step)))

    def at_step(self, step: int) -> Self:
        """The same with the nodes of a step.

        Parameters
        ----------
        step : int
            Nodes are made for slopes :math:`2^k` times as steep as usual.
        """
        if step == self.step:
            return self
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._take_step(step)
        return new

    def _step_at_start(self) -> int:
        return int(self.steps(self.start[None])[0]) if self._steep else 0

    def _take_step(self, step: int) -> None:
        """Put the arrays with the nodes of a step in place; those of each step are made once."""
        names = ("data", "joined", "_compact", "prepared")
        self._steps.setdefault(self.step, {n: self.__dict__[n] for n in names})
        if step not in self._steps:
            self._steps[step] = self._made_steeper(step)
        self.__dict__.update(self._steps[step])
        self.step = step

    def _made_steeper(self, step: int) -> dict[str, Any]:
        """Arrays of a step, from those of step 0."""
        usual, whole = self._steps[0], merged(self.structure, self.groups).datasets

        def finer(structures: Any, data: tuple[BinData, ...]) -> tuple[BinData, ...]:
            rules = [steeper(s, d.response.rules, step) for s, d in zip(structures, data, strict=True)]
            return tuple(replace(d, response=replace(d.response, rules=r)) for d, r in zip(data, rules, strict=True))

        with double_precision():
            joined = shared(finer(whole, usual["joined"]))
            compact = usual["_compact"]
            if isinstance(compact, Compact):
                compact = direct(compact.at_step(step))
        data = finer(self.structure.datasets, usual["data"]) if self.groups else joined
        return {"data": data, "joined": joined, "_compact": compact, "prepared": {}}

    def renewed(self, models: Any = None) -> Self:
        """The same functions, started from the present values of the parameters, with the nodes that those ask for.

        Parameters
        ----------
        models : `Models`, optional
            The same sources, where they were collected anew.
        """
        new = super().renewed(models)
        return new.at_step(new._step_at_start())

    def __getstate__(self) -> dict:
        """Without what was prepared: compiled programs stay in their process."""
        steps = {n: arrays | {"prepared": {}} for n, arrays in self._steps.items()}
        return super().__getstate__() | {"_steps": steps}
