"""Flux points with all other free parameters re-fitted in each bin: profiles of all strengths, by the batched solver."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from astropy import units as u

from gammajax.compiling import compiled
from gammajax.datasets import Datasets
from gammajax.direct import direct
from gammajax.fit.flux_members import Member, counted
from gammajax.fit.flux_profiles import Profiles
from gammajax.likelihood import Likelihood, parts_of, stacked_parts
from gammajax.models import Models, PowerLawNormSpectralModel, SkyModel
from gammajax.parameters import Parameter
from gammajax.solve import Status

__all__ = ["Refits", "belonging"]


class Refits:
    """The data of all energy and time bins, with models of their own: the source has a free strength, the others what is free in them.

    Bins whose likelihoods have one structure are the lanes of one batch: those of one time bin, and of all that have the same kind of
    data and models.

    Parameters
    ----------
    members : list of `Member`
        The data sets.
    segments : list of array of int, shape (n_reco,)
        For each of them the bin, 0 to n - 1, that a channel is in; -1 for none.
    shape : (int, int)
        Numbers n of bins and D of data sets whose counts are kept apart.
    models : `Models`
        Models of all; not changed.
    source : str
        Name of the source.
    """

    def __init__(
        self,
        members: Sequence[Member],
        segments: Sequence[np.ndarray],
        shape: tuple[int, int],
        models: Models,
        source: str,
    ) -> None:
        self.n, self._shape = shape[0], shape
        self._rows: list[_Row] = []
        for row in dict.fromkeys(m.row for m in members):
            own = [(m, s) for m, s in zip(members, segments, strict=True) if m.row == row and np.any(s >= 0)]
            if own:
                self._rows.append(_Row([m for m, _ in own], [s for _, s in own], models, source))
        starts = {j: r.start for r in self._rows for j in r.bins}
        self._take_step(max((r.likelihood.step for r in self._rows), default=0), starts)

    def _take_step(self, step: int, starts: dict[int, np.ndarray]) -> None:
        """Begin with the nodes of a step, from the parameters of each bin."""
        self._step = step
        groups: dict[tuple, list[tuple[_Row, int]]] = {}
        for r in self._rows:
            r.take_step(step)
            for k in range(len(r.bins)):
                groups.setdefault(r.kind(k), []).append((r, k))
        self._profiles = []
        for group in groups.values():
            where = np.array([r.bins[k] for r, k in group])
            compact = stacked_parts([r.forms[k] for r, k in group])
            self._profiles.append((where, Profiles(compact, group[0][0].limits, np.array([starts[j] for j in where]))))

    def steeper(self, norm: np.ndarray) -> bool:
        """Whether spectra at strengths between those of each bin, (n, L), asked for more nodes: then nothing is known any more, and all is to be done again.

        It begins where the fits have ended.
        """
        if not any(r.likelihood.has_steps for r in self._rows):
            return False
        ends: dict[int, np.ndarray] = {}
        tried: dict[int, np.ndarray] = {}
        for where, profiles in self._profiles:
            ends |= dict(zip(where.tolist(), profiles.ends(), strict=True))
            tried |= dict(zip(where.tolist(), profiles.tried(norm[where]), strict=True))
        step = max(int(np.max(r.steps(tried[j]), initial=0)) for r in self._rows for j in r.bins)
        if step <= self._step:
            return False
        self._take_step(step, ends)
        return True

    def start(self) -> np.ndarray:
        """Strengths (n,) where strength and all others fit best together; 1 where that fit did not end at a minimum."""
        out = np.ones(self.n)
        for where, profiles in self._profiles:
            out[where] = profiles.best()
        return out

    def curve(self, norm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Statistic with the others re-fitted, its slope and its curvature, at strengths (n, L); see `Profiles.curve`."""
        out = np.empty((3, *norm.shape))
        for where, profiles in self._profiles:
            out[:, where] = profiles.curve(norm[where])
        return out[0], out[1], out[2]

    def status(self, norm: np.ndarray) -> np.ndarray:
        """How the re-fits of the others at strengths (n,) ended, by their `Status`."""
        out = np.full(self.n, Status.NOT_CONVERGED.value)
        for where, profiles in self._profiles:
            out[where] = profiles.status(norm[where])
        return out

    def members(self, norm: np.ndarray) -> Iterator[tuple[int, list[tuple[Any, np.ndarray]], SkyModel]]:
        """Number of each bin, its data sets with the bin of each channel, and the source at strength 1; models where they fit best."""
        varied = self._varied(norm)
        for r in self._rows:
            for j in r.bins:
                for p, value in zip([r.likelihood.unique[i] for i in r.varied], varied[j], strict=True):
                    p.value = value / p.factor
                r.source.spectral_model.model1.norm.value = 1.0
                yield j, list(zip(r.datasets, r.segments, strict=True)), r.source

    def _varied(self, norm: np.ndarray) -> dict[int, np.ndarray]:
        """The parameters that vary, by the number of the bin, where they fit best at strengths (n,)."""
        found: dict[int, np.ndarray] = {}
        for where, profiles in self._profiles:
            found |= dict(zip(where.tolist(), profiles.theta(norm[where]), strict=True))
        return found

    def counts(self, norm: np.ndarray) -> np.ndarray:
        """Measured counts, predicted counts and those of the source, shape (3, n, D), at strengths (n,), the others where they fit best."""
        varied = self._varied(norm)
        out = np.zeros((3, *self._shape))
        for r in self._rows:
            at = np.tile(r.likelihood.start, (len(r.bins), 1))
            at[:, r.varied] = [varied[j] for j in r.bins]
            predicted, excess = (np.asarray(a) for a in _expected(direct(r.likelihood), at, r.varied[0]))
            segment = np.concatenate(r.segments)
            for k, j in enumerate(r.bins):
                inside = segment == j
                values = r.measured[inside], predicted[k, inside], excess[k, inside]
                out[:, j] = counted(values, np.zeros(inside.sum(), dtype=int), r.columns[inside], (1, self._shape[1]))[
                    :, 0
                ]
        return out


class _Row:
    """One time bin: its likelihood over all channels, and those of its energy bins.

    Attributes
    ----------
    bins : list of int
        Their numbers.
    varied : list of int
        Positions of the parameters that vary; the strength is the first.
    forms : list of `PartCompact`
        The likelihood of each, as a function of those.
    limits : tuple of array, shape (V,)
        Their lower and upper limits and their scales.
    start : array, shape (V,)
        Their start.
    """

    def __init__(self, of_row: list[Member], segments: list[np.ndarray], models: Models, source: str) -> None:
        datasets = [m.dataset for m in of_row]
        own = _with_strength(belonging(models, {d.name for d in datasets}), source)
        members = []
        for d, segment in zip(datasets, segments, strict=True):
            new = d.copy(name=d.name)
            new.mask_fit, new.models = segment >= 0, own
            members.append(new)
        self.datasets, self.source = members, own[source]
        self.likelihood, self.segments = Likelihood(Datasets(members)), segments
        self.measured = np.concatenate([d.counts.data for d in datasets])
        self.columns = np.concatenate([np.full(len(m.dataset.counts.data), m.column) for m in of_row])
        strength = own[source].spectral_model.model1.norm
        like = self.likelihood
        norm = next(i for i, p in enumerate(like.unique) if p is strength)
        self.varied = [norm, *(int(i) for i in np.flatnonzero(like.free) if i != norm)]
        self.limits = like.lower[self.varied], like.upper[self.varied], like.scale[self.varied]
        self.start = like.start[self.varied]
        self.bins = [int(j) for j in np.unique(np.concatenate(segments)) if j >= 0]
        self.forms: list[Any] = []

    def take_step(self, step: int) -> None:
        """Take the nodes of a step."""
        self.likelihood = self.likelihood.at_step(step)
        masks = [[s == j for s in self.segments] for j in self.bins]
        self.forms = parts_of(self.likelihood, masks, self.varied)

    def steps(self, varied: np.ndarray) -> np.ndarray:
        """Steps that the parameters that vary, (m, V), ask for."""
        theta = np.tile(self.likelihood.start, (len(varied), 1))
        theta[:, self.varied] = varied
        return np.asarray(self.likelihood.steps(theta))

    def kind(self, k: int) -> tuple:
        """What bins of one batch have in common."""
        leaves, structure = jax.tree.flatten(self.forms[k])
        return structure, tuple(np.shape(a) for a in leaves), *(a.tobytes() for a in self.limits)


@compiled
def _expected(likelihood: Likelihood, theta: jax.Array, norm: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Predicted counts, and those of the source, in all channels at points (k, P)."""

    def one(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        signal, without = (jax.numpy.concatenate(likelihood.npred_signal(x)) for x in (at, at.at[norm].set(0.0)))
        return likelihood.npred(at), signal - without

    return jax.vmap(one)(theta)


def belonging(models: Models, names: set[str]) -> Models:
    """Models that show in some data sets, and those that share a link or a penalty with them, in their order."""
    kept = [m for m in models if any(m.shows_in(n) for n in names)]
    while True:
        held = {id(p) for m in kept for p in m.parameters}
        tied = {id(p.follows.parent) for m in kept for p in m.parameters if p.follows is not None}
        for penalty in models.penalties:
            ids = {id(p) for p in penalty.parameters}
            tied |= ids if ids & held else set()
        more = [m for m in models if m not in kept and any(id(p) in tied - held for p in m.parameters)]
        if not more:
            break
        kept += more
    inside = {id(m) for m in kept}
    penalties = [q for q in models.penalties if {id(p) for p in q.parameters} & held]
    return Models([m for m in models if id(m) in inside], penalties)


def _with_strength(models: Models, source: str) -> Models:
    """Copies of all models; the source held as it is, times a free norm."""
    shape = {id(p) for p in models[source].parameters}
    made: dict[int, Parameter] = {}
    pars = models.parameters
    for p in sorted(pars, key=lambda p: p.follows is not None):
        if id(p) in made:
            continue
        new = made[id(p)] = p.copy()
        if id(p) in shape:
            # its prior would be a constant
            new.prior, new.frozen = None, True
        elif (root := p.follows) is not None:
            factor, offset = root.numbers(p.unit, root.parent.unit)
            # what is followed may be in none of the models
            parent = made.setdefault(id(root.parent), root.parent.copy())
            new.link(parent, u.Quantity(factor, p.unit / parent.unit), u.Quantity(offset, p.unit))
    members = []
    for m in models:
        own = m.with_parameters([made[id(p)] for p in m.parameters])
        if m.name == source:
            strong = PowerLawNormSpectralModel() * own.spectral_model
            own = SkyModel(strong, m.name, m.datasets_names, own.temporal_model)
        members.append(own)
    return Models(members, [penalty.replace_parameters(made) for penalty in models.penalties])
