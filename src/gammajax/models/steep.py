r"""Spectra steeper than usual: whether the nodes of a rule still do for some values of the parameters, and rules with more of them.

A bin integral by n Gauss-Legendre nodes in ln E is exact to 1e-9 up to some steepness of the integrand, and each node costs. Rules are made for the
slopes that spectra have, `SpectralForm.usual_slope`; for values with which a model is steeper somewhere on the axis there are steps: step k is made
for :math:`2^k` times the usual slope, so that few different programs serve all values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from gammajax.models.form import SpectralForm
from gammajax.models.nodes import MOST, reach
from gammajax.models.rules import BinRule, count_of_pieces, nodes_of, range_rule, slope_of, widest

__all__ = ["Reach", "reaches", "steeper_rule"]

# energies of an axis at which it is looked for what counts
POINTS = 33


@dataclass(frozen=True)
class Reach:
    """Up to which local slopes the rules of one model on one axis are exact.

    Attributes
    ----------
    form : `SpectralForm`
        The model, or a term of it.
    index : tuple of int
        Which of the parameters are its own.
    ends : (float, float)
        Of the axis, ln(E/TeV).
    width : float
        Of the widest bin, in ln E.
    first : float
        Steepest slope for step 0.
    last : int
        The last step: a bin over which the integrand changes by more than :math:`e^{600}` is refined no further.
    folds : float
        Bins do not count that hold less than :math:`e^{-folds}` of what others hold.
    """

    form: SpectralForm
    index: tuple[int, ...]
    ends: tuple[float, float]
    width: float
    first: float
    last: int
    folds: float = np.inf

    def steps(self, parameters: Sequence[Any]) -> np.ndarray:
        """Steps needed for values of the parameters, internal units, numbers or arrays that broadcast; 0 where they are no numbers."""
        own = [np.asarray(parameters[i], dtype=float) for i in self.index]
        slope, (low, high) = self.form.local_slope, self.ends
        assert slope is not None
        with np.errstate(all="ignore"):
            # integrated is E dnde in ln E; what bends within a bin counts like a slope
            first, last, bent = slope(low, *own), slope(high, *own), slope(low + self.width, *own)
            bent = np.abs(bent - first)
            steepest = np.asarray(np.maximum(np.maximum(np.abs(1 + first), np.abs(1 + last)), bent))
            steep = steepest > self.first
            if not steep.any():
                return np.zeros(steep.shape, dtype=int)
            if np.isfinite(self.folds):
                some = [np.broadcast_to(p, steep.shape)[steep] for p in own]
                steepest[steep] = np.maximum(self._where_it_counts(some), np.broadcast_to(bent, steep.shape)[steep])
                steep = steepest > self.first
            found = np.ceil(np.log2(steepest / self.form.usual_slope))
        return np.where(steep, np.clip(np.where(steep, found, 0.0), 1, self.last), 0).astype(int)

    def _where_it_counts(self, own: Sequence[np.ndarray]) -> np.ndarray:
        """Steepest slope of E dnde where bins count, for parameters (n,)."""
        slope, at = self.form.local_slope, np.linspace(*self.ends, POINTS)
        assert slope is not None
        every = 1 + np.stack([slope(x, *own) for x in at])
        parts = 0.5 * (every[1:] + every[:-1]) * np.diff(at)[:, None]
        log = np.concatenate([np.zeros_like(every[:1]), np.cumsum(parts, axis=0)])
        inside = log > np.max(log, axis=0) - self.folds
        # one point more on both sides
        count = inside.copy()
        count[1:] |= inside[:-1]
        count[:-1] |= inside[1:]
        return np.asarray(np.max(np.abs(np.where(count, every, 0.0)), axis=0))


def reaches(form: SpectralForm, rule: BinRule, margin: float = 0.0, folds: float = np.inf) -> tuple[Reach, ...]:
    """What the rules of a model reach, for those of its terms that can be steeper.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    rule : `BinRule`
        Its rule of step 0.
    margin : float
        In ln E, by which the axis may move.
    folds : float
        See `Reach`; only where the slopes of all factors of the model are known.
    """
    if rule.mode == "sum":
        terms = zip(form.terms, rule.parts, strict=True)
        found = [(r, index) for (_, f, index), part in terms for r in reaches(f, part, margin, folds)]
        return tuple(replace(r, index=tuple(index[i] for i in r.index)) for r, index in found)
    if form.local_slope is None or not _counted(form, rule):
        return ()
    return _reaches(form, rule.mode, np.asarray(rule.lo).tobytes(), np.asarray(rule.hi).tobytes(), margin, folds)


@lru_cache(maxsize=256)
def _reaches(
    form: SpectralForm, mode: str, lower: bytes, upper: bytes, margin: float, folds: float
) -> tuple[Reach, ...]:
    lo, hi = np.frombuffer(lower), np.frombuffer(upper)
    width, count = widest(lo, hi), nodes_of(lo, hi, form)[0] if mode == "exact" else count_of_pieces(lo, hi, form)
    # the nodes beside a cut-off are of another kind
    slack = 0.0 if form.log_fall else 2 * reach(count) / width - _others(form)
    last = int(np.ceil(np.log2(max(_most(form, width) / form.usual_slope, 2.0))))
    ends = float(np.log(np.min(lo))) - margin, float(np.log(np.max(hi))) + margin
    own = tuple(range(len(form.names)))
    known = folds if _others(form) == 0 else np.inf
    return (Reach(form, own, ends, width, max(form.usual_slope, slack), last, known),)


def _counted(form: SpectralForm, rule: BinRule) -> bool:
    """Whether there are nodes whose number matters."""
    return rule.mode in ("exact", "breaks", "loose") and not (form.power_between and rule.mode != "exact")


def _others(form: SpectralForm) -> float:
    """What of the steepest slope is for factors whose slopes are known."""
    return slope_of(form) - form.usual_slope


def _most(form: SpectralForm, width: float) -> float:
    """Steepest slope that any number of nodes is made for."""
    return max(2 * reach(MOST) / width - _others(form), 2 * form.usual_slope)


def steeper_rule(form: SpectralForm, rule: BinRule, step: int) -> BinRule:
    """A rule over the same bins for a step, 0 for the usual one.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    rule : `BinRule`
        A rule of it.
    step : int
        From `Reach.steps`.
    """
    if rule.mode == "sum":
        terms = zip(form.terms, rule.parts, strict=True)
        return replace(rule, parts=tuple(steeper_rule(f, part, step) for (_, f, _), part in terms))
    if step == 0 or form.local_slope is None or not _counted(form, rule):
        return rule
    lo, hi = np.asarray(rule.lo), np.asarray(rule.hi)
    return range_rule(lo, hi, _steeper(form, step, round(widest(lo, hi), 6)))


@lru_cache(maxsize=64)
def _steeper(form: SpectralForm, step: int, width: float) -> SpectralForm:
    slope = _others(form) + min(form.usual_slope * 2.0**step, _most(form, width))
    return replace(form, log_slope=slope, log_fall=max(form.log_fall, slope) if form.log_fall else 0.0)
