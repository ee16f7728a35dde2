"""How a model is integrated over energy bins: the nodes and weights of each bin."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from gammajax.errors import InputError
from gammajax.models.form import UNKNOWN_SLOPE, SpectralForm
from gammajax.models.nodes import FOLDS, graded_for, graded_legendre, nodes_for

__all__ = ["BinRule", "count_of_pieces", "node_count", "nodes_of", "range_rule", "refined", "slope_of", "widest"]

MODES = ("exact", "gammapy")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BinRule:
    """Bins and the nodes at which a model is evaluated to integrate over them.

    Attributes
    ----------
    lo, hi : array, shape (n_bins,)
        Edges, TeV.
    nodes, weights : array, shape (n_nodes, n_bins)
        Energies (TeV) and weights (TeV), bins last: sums over nodes then run along whole vectors. In the modes "power" and
        "breaks" the nodes are the edges of the pieces that each bin is cut into, and like in the gammapy mode the weights
        are not used.
    parts : tuple of `BinRule`
        One rule for each term of a sum.
    mode : str
        "closed", "exact", "power" (a power law in each piece), "breaks" (pieces that move with the parameters), "loose" (bins that
        move over the nodes of a table), "sum" or "gammapy".
    count : int
        Gauss-Legendre nodes of a piece in the modes "breaks" and "loose".
    """

    lo: Any
    hi: Any
    nodes: Any
    weights: Any
    parts: tuple["BinRule", ...] = ()
    mode: str = field(default="exact", metadata={"static": True})
    count: int = field(default=0, metadata={"static": True})

    def take(self, indices: Any) -> "BinRule":
        """Return the rule for some of the bins; `indices` may repeat."""
        return replace(
            self,
            lo=self.lo[indices],
            hi=self.hi[indices],
            nodes=self.nodes[:, indices],
            weights=self.weights[:, indices],
            parts=tuple(p.take(indices) for p in self.parts),
        )


def node_count(edges: np.ndarray, log_slope: float) -> int:
    """Gauss-Legendre nodes in ln E that each bin needs for a relative error below 1e-9.

    Parameters
    ----------
    edges : array, shape (n_bins + 1,)
        Bin edges, TeV.
    log_slope : float
        Steepest logarithmic slope of the integrand.

    Examples
    --------
    >>> node_count(np.geomspace(0.1, 100, 61), 40.0)
    7
    """
    return _count(edges[:-1], edges[1:], log_slope)


def widest(lo: np.ndarray, hi: np.ndarray) -> float:
    """Width in ln E of the widest bin."""
    return float(np.max(np.log(hi) - np.log(lo)))


def _count(lo: np.ndarray, hi: np.ndarray, log_slope: float) -> int:
    # rounded so that two axes that differ in the last bits share their node count, and so their programs
    return nodes_for(round(0.5 * widest(lo, hi) * log_slope, 6))


def count_of_pieces(lo: np.ndarray, hi: np.ndarray, form: SpectralForm) -> int:
    """Gauss-Legendre nodes of pieces that end where nothing is left, see `gammajax.models.pieces`."""
    tail = 0 if form.steepness is None else nodes_for(0.5 * FOLDS)
    return max(form.least_nodes, _count(lo, hi, slope_of(form)), tail)


def range_rule(lo: np.ndarray, hi: np.ndarray, form: SpectralForm, mode: str = "exact") -> BinRule:
    """Nodes and weights for integrating `form` over ranges that need not touch.

    Parameters
    ----------
    lo, hi : array, shape (n_bins,)
        Lower and upper ends, TeV.
    form : `SpectralForm`
        The model.
    mode : {"exact", "gammapy"}
        Exact integrals, or gammapy's scheme.
    """
    if mode not in MODES:
        raise InputError(f"integration mode: got {mode!r}, expected one of {MODES}.")
    none = np.zeros((0, len(lo)))
    closed = form.integral is not None
    if closed and (mode == "exact" or form.gammapy_closed is not False):
        return BinRule(lo, hi, none, none, mode="closed")
    if mode == "gammapy":
        # gammapy: 100 points per decade of the widest bin, rounded down, at least two
        n = int(max(np.max(100 * np.log10(hi / lo)), 2))
        nodes = np.exp(np.log(lo) + np.linspace(0, 1, n)[:, None] * np.log(hi / lo))
        return BinRule(lo, hi, nodes, none, mode="gammapy")
    if form.terms:
        parts = tuple(range_rule(lo, hi, f, mode) for _, f, _ in form.terms)
        return BinRule(lo, hi, none, none, parts=parts, mode="sum")
    points = _pieces(lo, hi, form.nodes)
    if form.loose:
        count = 0 if form.power_between else count_of_pieces(lo, hi, form)
        return BinRule(lo, hi, points, none, mode="loose", count=count)
    pieced = form.breaks is not None or form.cuts is not None
    if form.power_between and not pieced:
        return BinRule(lo, hi, points, none, mode="power")
    if pieced:
        return BinRule(lo, hi, points, none, mode="breaks", count=count_of_pieces(lo, hi, form))
    return _gauss_legendre(lo, hi, points, *nodes_of(lo, hi, form))


def nodes_of(lo: np.ndarray, hi: np.ndarray, form: SpectralForm) -> tuple[int, float]:
    """Number of nodes that never move, and their grade."""
    count, grade, width = _count(lo, hi, slope_of(form)), 0.0, widest(lo, hi)
    if form.log_fall:
        count, grade = graded_for(round(width * slope_of(form), 6), round(width * form.log_fall, 6))
    return max(form.least_nodes, count), grade


def slope_of(form: SpectralForm) -> float:
    """Steepest slope that the nodes of a model are made for."""
    return UNKNOWN_SLOPE if form.log_slope is None else form.log_slope


def _pieces(lo: np.ndarray, hi: np.ndarray, nodes: tuple[float, ...]) -> np.ndarray:
    """Edges of the pieces of each bin, shape (n_pieces + 1, n_bins); bins with fewer pieces end in empty ones."""
    at = np.array(nodes)
    inside = [at[(at > a) & (at < b)] for a, b in zip(lo, hi, strict=True)]
    most = max((len(i) for i in inside), default=0)
    padded = [np.concatenate([[a], i, np.full(most + 1 - len(i), b)]) for a, b, i in zip(lo, hi, inside, strict=True)]
    return np.array(padded).T.reshape(most + 2, len(lo))


def _gauss_legendre(lo: np.ndarray, hi: np.ndarray, points: np.ndarray, count: int, grade: float) -> BinRule:
    x, w = graded_legendre(count, grade)
    nodes, weights = [], []
    for a, b in pairwise(points):
        half = 0.5 * np.log(b / a)
        at = np.exp(0.5 * np.log(a * b) + half * x[:, None])
        nodes.append(at)
        weights.append(half * w[:, None] * at)
    return BinRule(lo, hi, np.concatenate(nodes), np.concatenate(weights), mode="exact")


def refined(form: SpectralForm, rule: BinRule) -> BinRule:
    """Return the rule of the exact mode with twice the Gauss-Legendre nodes."""
    if rule.mode == "sum":
        terms = zip(form.terms, rule.parts, strict=True)
        return replace(rule, parts=tuple(refined(f, r) for (_, f, _), r in terms))
    if rule.mode in ("breaks", "loose"):
        return replace(rule, count=2 * rule.count)
    if rule.mode == "exact":
        count, grade = nodes_of(rule.lo, rule.hi, form)
        return _gauss_legendre(rule.lo, rule.hi, _pieces(rule.lo, rule.hi, form.nodes), 2 * count, grade)
    return rule
