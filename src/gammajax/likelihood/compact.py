r"""The likelihood as the solver wants it: bins in the fit only, everything that costs done once, then cheap algebra.

A prediction is :math:`\mu = \sum_t a_t S_t(\theta)`, with one term per source, a strength :math:`a_t` that enters linearly (an
amplitude or a norm) and a shape :math:`S_t`. `Compact.fold` evaluates and folds the shapes and their slopes, which is what
costs; for new strengths `Compact.scores` needs neither an exponential nor a folding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import total
from gammajax.likelihood.alpha import alpha_slopes, remainder, scaled, with_alpha
from gammajax.likelihood.bins import Bins
from gammajax.likelihood.groups import Groups, merged
from gammajax.likelihood.jacobian import Entries, Jacobian, Own, of_members, summed_for
from gammajax.likelihood.penalties import penalty_derivatives, penalty_stat
from gammajax.likelihood.plan import Plan, constants, make_plan
from gammajax.likelihood.slopes import curvatures_of, easy_slopes, slopes_of
from gammajax.likelihood.steep import Steep, steep_terms, steeper
from gammajax.likelihood.structure import MATRIX, Place, Structure, Term, per_bin, positions, shapes, taken

__all__ = ["Compact", "Folded"]


class Folded(NamedTuple):
    """Shapes and slopes of all terms as counts, and the energies' side of the second derivatives.

    Attributes
    ----------
    theta : array, shape (P,), or list of scalars
        All parameters.
    rows : list of array, shape (n_rows, n_reco)
        For each data set: for each term its shape, then its slopes, for strength 1.
    base : array, shape (n_bins,)
        Prediction of the terms whose strength is not in `linear`.
    linear : array, shape (L, n_bins)
        Prediction per unit of the linear parameters.
    bent : list of list of dict
        For each data set and term second derivatives of the flux in the true-energy bins, by the places of two parameters, as far
        as they were easy.
    """

    theta: Any
    rows: list
    base: jax.Array
    linear: jax.Array
    bent: list


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Compact:
    """Likelihood over the bins in the fit, for the solver; a pytree.

    Parameters
    ----------
    structure : `Structure`
        Static part.
    bins : tuple of `Bins`
        Arrays of each data set, or of each group of them.
    numbers : tuple of tuple of array
        Those of the penalties.
    groups : `Groups`
        Which data sets are evaluated as one, see `gammajax.likelihood.groups`.
    """

    structure: Structure = field(metadata={"static": True})
    bins: tuple[Bins, ...] = ()
    numbers: tuple[tuple, ...] = ()
    groups: Groups = field(default=(), metadata={"static": True})

    @property
    def merged(self) -> Structure:
        """The structure of the groups: what belongs to `bins`."""
        return merged(self.structure, self.groups)

    @property
    def steep(self) -> tuple[Steep, ...]:
        """The terms that can be steeper than their nodes are made for; not traced."""
        return steep_terms(self.merged.datasets, [b.rules for b in self.bins])

    def at_step(self, step: int) -> "Compact":
        """The same with the nodes of a step, see `gammajax.models.steep`; not traced, step 1 or more."""
        both = zip(self.merged.datasets, self.bins, strict=True)
        return replace(self, bins=tuple(replace(b, rules=steeper(s, b.rules, step)) for s, b in both))

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the positions `active` that every prediction is linear in."""
        return make_plan(self.merged, active).linear

    def constants(self) -> tuple[int, ...]:
        """Positions of parameters that hardly anybody fits, in every model they belong to."""
        return constants(self.merged)

    def _runs(self) -> list[tuple[Any, list[jax.Array], bool, slice]]:
        """Neighbouring data sets with the same statistic: its functions, their arrays joined, whether to clip, their bins."""
        runs, begin = [], 0
        both = list(zip(self.merged.datasets, self.bins, strict=True))

        def kind(pair: tuple) -> tuple:
            # scans of different lengths stay apart
            return pair[0].statistic, pair[0].clip, tuple(v.shape[1:] for v in pair[1].values)

        for (_, clip, _), group in groupby(both, key=kind):
            members = list(group)
            arrays = [jnp.concatenate(parts) for parts in zip(*(b.values for _, b in members), strict=True)]
            n = arrays[0].shape[-1]
            runs.append((members[0][0].stat, arrays, clip, slice(begin, begin + n)))
            begin += n
        return runs

    def bin_slopes(self, mu: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Statistic of each bin and its first and second derivative in the prediction, all shape (n_bins,)."""
        parts = []
        for statistic, arrays, clip, where in self._runs():
            here = mu[where]
            if not clip:
                parts.append(statistic.slopes(*arrays, here))
                continue
            # gammapy's mode cuts negative predictions
            lowest = statistic.lowest(*arrays)
            slope = jnp.where(here < lowest, 0.0, 1.0)
            w, w1, w2 = statistic.slopes(*arrays, jnp.maximum(here, lowest))
            parts.append((w, w1 * slope, w2 * slope))
        return parts[0] if len(parts) == 1 else tuple(jnp.concatenate(p) for p in zip(*parts, strict=True))  # type: ignore[return-value]

    def at(self, theta: Sequence) -> "Compact":
        """The same with the factors on alpha at `theta` in the arrays of the statistics; for `bin_slopes` and `stat_of_counts`."""
        if not self._has_alpha:
            return self
        bins = tuple(scaled(s, b, theta) for s, b in zip(self.merged.datasets, self.bins, strict=True))
        return replace(self, bins=bins)

    @property
    def _has_alpha(self) -> bool:
        return any(s.alpha is not None for s in self.merged.datasets)

    def stat(self, theta: Sequence) -> jax.Array:
        """Statistic -2 ln L; `theta` is a sequence of P scalars, internal units."""
        predicted = []
        plan = make_plan(self.merged, ())
        for s, b, strength in zip(self.merged.datasets, self.bins, plan.strength, strict=True):
            mu = b.zero
            for t, k0 in zip(s.terms, strength, strict=True):
                # the strength multiplies counts: inside the sum over nodes it would cost half the evaluation again
                f, args = self._shape(t, b, theta, k0)
                mu = mu + self.strength(t, k0, theta, b) * b.onto(t.fold, f(args))
            predicted.append(mu)
        data = self.at(theta).stat_of_counts(jnp.concatenate(predicted))
        if not self.structure.penalties:
            return data
        return data + penalty_stat(self.structure.penalties, self.numbers, theta)

    def stat_of_counts(self, mu: jax.Array) -> jax.Array:
        """Statistic of the data for a prediction, shape (n_bins,)."""
        values = []
        for statistic, arrays, clip, where in self._runs():
            here = jnp.maximum(mu[where], statistic.lowest(*arrays)) if clip else mu[where]
            values.append(statistic.value(*arrays, here))
        return total(values[0] if len(values) == 1 else jnp.concatenate(values))

    def fold(self, theta: Any, active: tuple[int, ...]) -> Folded:
        """Evaluate and fold all shapes and slopes; one product per data set.

        Parameters
        ----------
        theta : array, shape (P,), or sequence of P scalars
            Parameters, internal units. What each data set has of its own is taken from an array at once; from scalars it is put together,
            which with fifty data sets takes the compiler a second.
        active : tuple of int
            Positions that will be differentiated.
        """
        plan = make_plan(self.merged, active)
        rows, base, linear, bent = [], [], [], []
        for s, b, strength, slopes in zip(self.merged.datasets, self.bins, plan.strength, plan.slopes, strict=True):
            flux, where, known = [], [], []
            for t, k0, ks in zip(s.terms, strength, slopes, strict=True):
                f, args = self._shape(t, b, theta, k0)
                easy = easy_slopes(t, b.rules[t.rule], args, ks)
                value = easy[None] if None in easy else f(args)
                first = easy | slopes_of(t.form, f, args, [k for k in ks if k not in easy])
                flux += [value, *(first[k] for k in ks)]
                known.append(easy)
                where += [t.fold] * (1 + len(ks))
            bent.append(known)
            folded = _onto(b, flux, where)
            rows.append(folded)
            fixed, per = b.zero, {i: b.zero for i in plan.linear}
            own: list = []
            for at, t, k0 in zip(_offsets(slopes), s.terms, strength, strict=True):
                place: Place | None = None if k0 is None else t.index[k0]
                if isinstance(place, tuple):
                    own.append(of_members(plan.linear, place, folded[at]))
                    # those that are not differentiated stay
                    held = [0.0 if i in per else 1.0 for i in place]
                    if any(held):
                        fixed = fixed + per_bin(taken(theta, place) * np.array(held), b.size) * folded[at]
                elif place in per:
                    per[place] = per[place] + folded[at]
                else:
                    fixed = fixed + self.strength(t, k0, theta, b) * folded[at]
            base.append(fixed)
            shared = jnp.stack(list(per.values())) if per else jnp.zeros((0, b.size))
            linear.append(sum(own, start=shared))
        return Folded(theta, rows, jnp.concatenate(base), jnp.concatenate(linear, axis=1), bent)

    def _shape(self, term: Term, bins: Bins, theta: Sequence, k0: int | None) -> tuple[Any, list]:
        """Flux of a term as a function of its arguments, and the arguments; strength 1."""
        args = [jnp.asarray(taken(theta, i)) for i in term.index]
        if k0 is not None:
            args[k0] = jnp.ones_like(bins.values[0], shape=())
        return partial(shapes, term, bins.rules[term.rule]), args

    def strength(self, term: Term, k0: int | None, theta: Sequence, bins: Bins) -> Any:
        """What multiplies the counts of a term, a scalar or one for each bin."""
        return 1.0 if k0 is None else per_bin(taken(theta, term.index[k0]), bins.size)

    def scores(self, folded: Folded, strengths: Sequence | None, active: tuple[int, ...]) -> tuple:
        r"""Statistic, gradient and the two parts of the Hessian for given strengths.

        With J the derivative of the prediction, :math:`g = J^T W'` and
        :math:`H = J^T \mathrm{diag}(W'') J + \sum_k W'_k \nabla^2 \mu_k`.

        Parameters
        ----------
        folded : `Folded`
            From `fold`, with the same `active`.
        strengths : sequence of L scalars or None
            Values of the linear parameters, in the order of `linear(active)`; None for those that were folded.
        active : tuple of int
            Positions that are differentiated, A of them.

        Returns
        -------
        stat, gradient, first, second : scalar, array (A,), array (A, A), array (A, A)
            The exact Hessian is ``first + second``; the first part is never negative.
        """
        plan = make_plan(self.merged, active)
        theta = folded.theta
        if strengths is not None:
            value = dict(zip(plan.linear, strengths, strict=True))
            theta = [value.get(i, v) for i, v in enumerate(theta)]
        mu, jacobian = self._jacobian(folded, theta, plan)
        w, w1, w2 = self.at(theta).bin_slopes(mu)
        second = self._second(folded, theta, plan, w1)
        if self._has_alpha:
            factors = alpha_slopes(self.merged.datasets, self.bins, theta, mu, w2)
            second = second + remainder(jacobian, factors)
            jacobian = with_alpha(jacobian, factors)
        stat, gradient = total(w), jacobian.gradient(w1)
        if any(s.stat.concave for s in self.merged.datasets):
            # what curves downwards drives no step
            second = second + jacobian.product(jnp.minimum(w2, 0.0))
            w2 = jnp.maximum(w2, 0.0)
        first = jacobian.product(w2)
        if self.structure.penalties:
            value, slope, curvature = penalty_derivatives(self.structure.penalties, self.numbers, theta, active)
            stat, gradient = stat + value, gradient + slope
            # a prior that is not Gaussian can curve downwards: what drives safe steps gets only the diagonal of its part that does not
            safe = jnp.diag(jnp.maximum(jnp.diagonal(curvature), 0.0))
            first, second = first + safe, second + (curvature - safe)
        return stat, gradient, first, second

    def _jacobian(self, folded: Folded, theta: Sequence, plan: Plan) -> tuple[jax.Array, Jacobian]:
        shared = _shared(self.merged, plan.active)
        signal, columns, own = [], [], []
        begin = 0
        for s, b, rows, strength, slopes in zip(
            self.merged.datasets, self.bins, folded.rows, plan.strength, plan.slopes, strict=True
        ):
            mu, per = b.zero, dict.fromkeys(shared, b.zero)
            mine: dict[tuple[int, ...], Any] = {}
            for at, t, k0, ks in zip(_offsets(slopes), s.terms, strength, slopes, strict=True):
                a = self.strength(t, k0, theta, b)
                mu = mu + a * rows[at]
                found = [] if k0 is None else [(t.index[k0], rows[at])]
                found += [(t.index[k], a * rows[at + n]) for n, k in enumerate(ks, start=1)]
                for place, row in found:
                    if isinstance(place, tuple):
                        mine[place] = mine[place] + row if place in mine else row
                    elif place in per:
                        per[place] = per[place] + row
            where = slice(begin, begin + b.size)
            begin += b.size
            own += [Own(where, place, row) for place, row in mine.items() if not set(place).isdisjoint(plan.active)]
            signal.append(mu)
            columns.append(list(per.values()))
        joined = [jnp.concatenate(parts) for parts in zip(*columns, strict=True)]
        mu = jnp.concatenate(signal)
        dense = jnp.stack(joined) if joined else jnp.zeros((0, mu.shape[-1]))
        return mu, Jacobian(plan.active, shared, dense, own)

    def _second(self, folded: Folded, theta: Sequence, plan: Plan, w1: jax.Array) -> jax.Array:
        """Sum over bins of W' times the second derivatives of the prediction: W' is folded back, not the curvature forward."""
        entries = Entries(plan.active)
        begin = 0
        for s, b, rows, bent, strength, slopes in zip(
            self.merged.datasets, self.bins, folded.rows, folded.bent, plan.strength, plan.slopes, strict=True
        ):
            weight = w1[begin : begin + b.size]
            begin += b.size
            # each kind of folding is undone once
            back = {fold: b.back(fold, weight) for fold in sorted({t.fold for t in s.terms})}
            for at, t, k0, ks, known in zip(_offsets(slopes), s.terms, strength, slopes, bent, strict=True):
                f, args = self._shape(t, b, theta, k0)
                a: Any = 1.0 if k0 is None else taken(theta, t.index[k0])
                undone = back[t.fold]
                if jnp.ndim(a) > 0:
                    # each data set's own
                    undone, a = b.back(t.fold, weight * per_bin(a, b.size)), 1.0
                pairs = [(k, q) for m, k in enumerate(ks) for q in ks[: m + 1]]
                curvature = known | curvatures_of(t.form, f, args, [both for both in pairs if both not in known])
                for m, k in enumerate(ks):
                    if k0 is not None and not entries.at.keys().isdisjoint(positions(t.index[k0])):
                        pair = t.index[k0], t.index[k]
                        entries.add(*pair, summed_for(pair, rows[at + 1 + m] * weight))
                    for q in ks[: m + 1]:
                        pair = t.index[k], t.index[q]
                        entries.add(*pair, a * summed_for(pair, curvature[k, q] * undone), distinct=q != k)
        return entries.matrix(w1)


def _shared(structure: Structure, active: tuple[int, ...]) -> tuple[int, ...]:
    """Which active parameters have a row of slopes over all bins: those that are not some data set's own."""
    places = {i for s in structure.datasets for t in s.terms for i in t.index}
    places |= {s.alpha for s in structure.datasets if s.alpha is not None}
    return tuple(i for i in active if i in places) if any(isinstance(i, tuple) for i in places) else active


def _onto(bins: Bins, values: list[jax.Array], where: list[int]) -> jax.Array:
    """Fold each of the values as it must be, those with the response matrix in one product; shape (n, n_reco)."""
    through = [v for v, fold in zip(values, where, strict=True) if fold == MATRIX]
    counts: Any = ()
    if through:
        flux = jnp.stack(jnp.broadcast_arrays(*through), axis=-2)
        counts = flux @ bins.matrix if bins.matrix.ndim == 2 else bins.onto_each(flux)
    if len(through) == len(values):
        return counts
    folded = iter(counts)
    rows = [next(folded) if fold == MATRIX else bins.onto(fold, v) for v, fold in zip(values, where, strict=True)]
    return jnp.stack(jnp.broadcast_arrays(*rows))


def _offsets(slopes: tuple[tuple[int, ...], ...]) -> list[int]:
    """Row at which each term begins."""
    return [sum(1 + len(ks) for ks in slopes[:n]) for n in range(len(slopes))]
