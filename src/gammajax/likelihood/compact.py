r"""The likelihood as the solver wants it: bins in the fit only, everything that costs done once, then cheap algebra.

A prediction is :math:`\mu = \sum_t a_t S_t(\theta)`, with one term per source, a strength :math:`a_t` that enters linearly (an
amplitude or a norm) and a shape :math:`S_t`. `Compact.fold` evaluates and folds the shapes and their slopes, which is what
costs; for new strengths `Compact.scores` needs neither an exponential nor a folding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.elementary import total
from gammajax.likelihood.structure import DatasetStructure, SpectrumData, Term
from gammajax.models import BinRule, flux_per_bin
from gammajax.stats import wstat, wstat_mu_sig_derivatives

__all__ = ["Bins", "Compact", "Folded", "bins_in_fit", "masked_bins"]

# numbers of bins are rounded up to a multiple of this, so that moving the fit range a little compiles nothing
ROUND = 16


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bins:
    """Arrays of one ON/OFF spectrum with its response in one matrix.

    Attributes
    ----------
    n_on, n_off, alpha : array, shape (n_reco,)
        Counts and ratio of acceptances; 0, 0, 1 in bins that do not count.
    matrix : array, shape (n_true, n_reco)
        Exposure (cm2 s) times dispersion; 0 in bins that do not count.
    rules : tuple of `BinRule`
        How the models are integrated over the true-energy bins.
    """

    n_on: Any
    n_off: Any
    alpha: Any
    matrix: Any
    rules: tuple[BinRule, ...]


class Folded(NamedTuple):
    """Shapes and slopes of all terms as counts, and the energies' side of the second derivatives.

    Attributes
    ----------
    theta : list of scalars
        All parameters.
    rows : list of array, shape (n_rows, n_reco)
        For each data set: for each term its shape, then its slopes, for strength 1.
    base : array, shape (n_bins,)
        Prediction of the terms whose strength is not in `linear`.
    linear : array, shape (L, n_bins)
        Prediction per unit of the linear parameters.
    """

    theta: list
    rows: list
    base: jax.Array
    linear: jax.Array


@dataclass(frozen=True)
class Plan:
    """What is static about derivatives: which parameters, which of them linear, and what each term contributes.

    Attributes
    ----------
    active : tuple of int
        Positions in theta that are differentiated.
    linear : tuple of int
        Those of them that predictions are proportional to.
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
def _plan(structure: tuple[DatasetStructure, ...], active: tuple[int, ...]) -> Plan:
    terms = [t for s in structure for t in s.terms]
    first = {t: next((k for k, n in enumerate(t.form.names) if n in t.form.linear), None) for t in terms}
    candidates = {t.index[k] for t, k in first.items() if k is not None}
    # a parameter that is a strength here and shapes something there (a link) is not linear

    def chosen(t: Term) -> int | None:
        k = first[t]
        return None if k is None else t.index[k]

    linear = {i for i in candidates if all(t.index.count(i) == 1 and chosen(t) == i for t in terms if i in t.index)}
    if any(s.clip for s in structure):
        linear = set()
    strength = tuple(tuple(first[t] if chosen(t) in linear else None for t in s.terms) for s in structure)
    slopes = tuple(
        tuple(
            tuple(k for k, i in enumerate(t.index) if i in active and k != k0)
            for t, k0 in zip(s.terms, chosen, strict=True)
        )
        for s, chosen in zip(structure, strength, strict=True)
    )
    return Plan(active, tuple(i for i in active if i in linear), strength, slopes)


@lru_cache(maxsize=256)
def _constants(structure: tuple[DatasetStructure, ...]) -> tuple[int, ...]:
    constant: set[int] = set()
    other: set[int] = set()
    for t in (t for s in structure for t in s.terms):
        for name, i in zip(t.form.names, t.index, strict=True):
            (constant if name in t.form.constants else other).add(i)
    return tuple(sorted(constant - other))


def _slope(f: Any, args: Sequence, k: int) -> jax.Array:
    """Derivative of f(args) in argument k, as a function of scalars: one tangent, no basis."""
    one = jnp.ones_like(args[k])
    return jax.jvp(lambda x: f([*args[:k], x, *args[k + 1 :]]), (args[k],), (one,))[1]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Compact:
    """Likelihood over the bins in the fit, for the solver; a pytree.

    Parameters
    ----------
    structure : tuple of `DatasetStructure`
        Static part.
    bins : tuple of `Bins`
        Arrays of each data set.
    """

    structure: tuple[DatasetStructure, ...] = field(metadata={"static": True})
    bins: tuple[Bins, ...] = ()

    def linear(self, active: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the positions `active` that every prediction is linear in."""
        return _plan(self.structure, active).linear

    def constants(self) -> tuple[int, ...]:
        """Positions of parameters that hardly anybody fits, in every model they belong to."""
        return _constants(self.structure)

    def _joined(self, name: str) -> jax.Array:
        return jnp.concatenate([getattr(b, name) for b in self.bins])

    def _gate(self, mu: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Prediction as the statistic sees it, and its slope: gammapy's mode cuts negative ones."""
        clip = np.concatenate(
            [np.full(b.n_on.shape[-1], s.clip) for s, b in zip(self.structure, self.bins, strict=True)]
        )
        if not clip.any():
            return mu, jnp.ones(())
        return jnp.where(clip, jnp.maximum(mu, 0.0), mu), jnp.where(clip & (mu < 0), 0.0, 1.0)

    def bin_slopes(self, mu: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Statistic of each bin and its first and second derivative in the signal, all shape (n_bins,)."""
        seen, slope = self._gate(mu)
        w, w1, w2 = wstat_mu_sig_derivatives(self._joined("n_on"), self._joined("n_off"), self._joined("alpha"), seen)
        return w, w1 * slope, w2 * slope

    def stat(self, theta: Sequence) -> jax.Array:
        """Statistic -2 ln L; `theta` is a sequence of P scalars, internal units."""
        parts = []
        plan = _plan(self.structure, ())
        for s, b, strength in zip(self.structure, self.bins, plan.strength, strict=True):
            mu = jnp.zeros_like(b.alpha)
            for t, k0 in zip(s.terms, strength, strict=True):
                # the strength multiplies counts: inside the sum over nodes it would cost half the evaluation again
                f, args = self._shape(t, b, theta, k0)
                mu = mu + self._strength(t, k0, theta) * (f(args) @ b.matrix)
            parts.append(mu)
        mu, _ = self._gate(jnp.concatenate(parts))
        return total(wstat(self._joined("n_on"), self._joined("n_off"), self._joined("alpha"), mu))

    def fold(self, theta: Sequence, active: tuple[int, ...]) -> Folded:
        """Evaluate and fold all shapes and slopes; one product per data set.

        Parameters
        ----------
        theta : sequence of P scalars
            Parameters, internal units.
        active : tuple of int
            Positions that will be differentiated.
        """
        plan = _plan(self.structure, active)
        rows, base, linear = [], [], []
        for s, b, strength, slopes in zip(self.structure, self.bins, plan.strength, plan.slopes, strict=True):
            flux = []
            for t, k0, ks in zip(s.terms, strength, slopes, strict=True):
                f, args = self._shape(t, b, theta, k0)
                flux += [f(args)] + [_slope(f, args, k) for k in ks]
            folded = jnp.stack(jnp.broadcast_arrays(*flux)) @ b.matrix
            rows.append(folded)
            fixed, per = jnp.zeros_like(b.alpha), {i: jnp.zeros_like(b.alpha) for i in plan.linear}
            for at, t, k0 in zip(_offsets(slopes), s.terms, strength, strict=True):
                if k0 is not None and t.index[k0] in per:
                    per[t.index[k0]] = per[t.index[k0]] + folded[at]
                else:
                    fixed = fixed + (1.0 if k0 is None else theta[t.index[k0]]) * folded[at]
            base.append(fixed)
            linear.append([per[i] for i in plan.linear])
        joined = [jnp.concatenate(parts) for parts in zip(*linear, strict=True)]
        stacked = jnp.stack(joined) if joined else jnp.zeros((0, sum(b.alpha.shape[-1] for b in self.bins)))
        return Folded(list(theta), rows, jnp.concatenate(base), stacked)

    def _shape(self, term: Any, bins: Bins, theta: Sequence, k0: int | None) -> tuple[Any, list]:
        """Flux of a term as a function of its arguments, and the arguments; strength 1."""
        args = [jnp.asarray(theta[i]) for i in term.index]
        if k0 is not None:
            args[k0] = jnp.ones_like(bins.alpha, shape=())
        return partial(flux_per_bin, term.form, bins.rules[term.rule]), args

    def scores(self, folded: Folded, strengths: Sequence, active: tuple[int, ...]) -> tuple:
        r"""Statistic, gradient and the two parts of the Hessian for given strengths.

        With J the derivative of the prediction, :math:`g = J^T W'` and
        :math:`H = J^T \mathrm{diag}(W'') J + \sum_k W'_k \nabla^2 \mu_k`.

        Parameters
        ----------
        folded : `Folded`
            From `fold`, with the same `active`.
        strengths : sequence of L scalars
            Values of the linear parameters, in the order of `linear(active)`.
        active : tuple of int
            Positions that are differentiated, A of them.

        Returns
        -------
        stat, gradient, first, second : scalar, array (A,), array (A, A), array (A, A)
            The exact Hessian is ``first + second``; the first part is never negative.
        """
        plan = _plan(self.structure, active)
        value = dict(zip(plan.linear, strengths, strict=True))
        theta = [value.get(i, v) for i, v in enumerate(folded.theta)]
        mu, jacobian = self._jacobian(folded, theta, plan)
        w, w1, w2 = self.bin_slopes(mu)
        gradient = jacobian @ w1
        first = (jacobian * w2) @ jacobian.T
        return total(w), gradient, first, self._second(folded, theta, plan, w1)

    def _strength(self, term: Any, k0: int | None, theta: Sequence) -> Any:
        return 1.0 if k0 is None else theta[term.index[k0]]

    def _jacobian(self, folded: Folded, theta: Sequence, plan: Plan) -> tuple[jax.Array, jax.Array]:
        signal, columns = [], []
        for s, b, rows, strength, slopes in zip(
            self.structure, self.bins, folded.rows, plan.strength, plan.slopes, strict=True
        ):
            mu, per = jnp.zeros_like(b.alpha), dict.fromkeys(plan.active, jnp.zeros_like(b.alpha))
            for at, t, k0, ks in zip(_offsets(slopes), s.terms, strength, slopes, strict=True):
                a = self._strength(t, k0, theta)
                mu = mu + a * rows[at]
                if k0 is not None and t.index[k0] in per:
                    per[t.index[k0]] = per[t.index[k0]] + rows[at]
                for n, k in enumerate(ks, start=1):
                    per[t.index[k]] = per[t.index[k]] + a * rows[at + n]
            signal.append(mu)
            columns.append([per[i] for i in plan.active])
        joined = [jnp.concatenate(parts) for parts in zip(*columns, strict=True)]
        mu = jnp.concatenate(signal)
        return mu, jnp.stack(joined) if joined else jnp.zeros((0, mu.shape[-1]))

    def _second(self, folded: Folded, theta: Sequence, plan: Plan, w1: jax.Array) -> jax.Array:
        """Sum over bins of W' times the second derivatives of the prediction: W' is folded back, not the curvature forward."""
        n = len(plan.active)
        place = {i: k for k, i in enumerate(plan.active)}
        entry: dict[tuple[int, int], Any] = {}

        def add(i: int, j: int, value: jax.Array) -> None:
            key = (min(place[i], place[j]), max(place[i], place[j]))
            entry[key] = entry[key] + value if key in entry else value

        begin = 0
        for s, b, rows, strength, slopes in zip(
            self.structure, self.bins, folded.rows, plan.strength, plan.slopes, strict=True
        ):
            weight = w1[begin : begin + b.alpha.shape[-1]]
            begin += b.alpha.shape[-1]
            back = b.matrix @ weight
            for at, t, k0, ks in zip(_offsets(slopes), s.terms, strength, slopes, strict=True):
                a = self._strength(t, k0, theta)
                f, args = self._shape(t, b, theta, k0)
                for m, k in enumerate(ks):
                    if k0 is not None and t.index[k0] in place:
                        add(t.index[k0], t.index[k], total(rows[at + 1 + m] * weight))
                    for q in ks[: m + 1]:
                        mixed = _slope(lambda x, k=k, f=f: _slope(f, x, k), args, q)
                        value = a * total(mixed * back)
                        # an argument pair that is one and the same parameter (a link) counts twice
                        add(t.index[k], t.index[q], 2 * value if q != k and t.index[k] == t.index[q] else value)
        keys = list(entry)
        where = np.zeros((n, n), dtype=int)
        for number, (i, j) in enumerate(keys, start=1):
            where[i, j] = where[j, i] = number
        values = jnp.stack([jnp.zeros_like(w1, shape=()), *(entry[k] for k in keys)])
        return values[where]


def _offsets(slopes: tuple[tuple[int, ...], ...]) -> list[int]:
    """Row at which each term begins."""
    return [sum(1 + len(ks) for ks in slopes[:n]) for n in range(len(slopes))]


def masked_bins(data: SpectrumData) -> Bins:
    """All bins of a data set, those outside the fit without effect; traceable."""
    mask, response = data.mask, data.response
    matrix = jnp.where(mask, jnp.asarray(response.exposure)[:, None] * response.edisp, 0.0)
    n_on, n_off = jnp.where(mask, data.n_on, 0.0), jnp.where(mask, data.n_off, 0.0)
    return Bins(n_on, n_off, jnp.where(mask, data.alpha, 1.0), matrix, response.rules)


def bins_in_fit(data: SpectrumData) -> Bins:
    """Only the bins in the fit, and the true-energy bins that reach them; sizes rounded up with bins without effect.

    Parameters
    ----------
    data : `SpectrumData`
        Arrays, not traced.
    """
    mask = np.asarray(data.mask)
    matrix = (np.asarray(data.response.exposure)[:, None] * np.asarray(data.response.edisp))[:, mask]
    used = np.flatnonzero(np.any(matrix != 0, axis=1))
    rows, columns = _rounded(len(used)), _rounded(int(mask.sum()))
    full = np.zeros((rows, columns))
    full[: len(used), : matrix.shape[1]] = matrix[used]
    # bins that only fill up repeat one that is used: no energy there can be harmful
    filled = np.concatenate([used, np.repeat(used[-1:] if len(used) else [0], rows - len(used))]).astype(int)

    def padded(values: Any, fill: float) -> np.ndarray:
        return np.concatenate([np.asarray(values)[mask], np.full(columns - int(mask.sum()), fill)])

    rules = tuple(r.take(filled) for r in data.response.rules)
    return Bins(padded(data.n_on, 0.0), padded(data.n_off, 0.0), padded(data.alpha, 1.0), full, rules)


def _rounded(n: int) -> int:
    return max(ROUND, -(-n // ROUND) * ROUND)
