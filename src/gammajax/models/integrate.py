"""Integrals of a spectral model over energy bins.

Exact mode: the closed form where the model has one, otherwise Gauss-Legendre in ln E with the fewest nodes that keep
the relative error of every bin below 1e-9. Compatibility mode: gammapy's piecewise power law, for side-by-side checks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.errors import InputError

__all__ = ["BinRule", "SpectralForm", "bin_rule", "flux_per_bin", "node_count"]

TOLERANCE = 1e-9
MODES = ("exact", "gammapy")


@dataclass(frozen=True)
class SpectralForm:
    r"""What the mathematics of a spectral model is: static, hashable, no values.

    Attributes
    ----------
    evaluate : callable
        ``evaluate(energy, *parameters)``, a pure function of arrays; energy in TeV.
    names : tuple of str
        Parameter names in the order of the arguments.
    integral : callable, optional
        Closed form ``integral(lo, hi, *parameters)``.
    linear : tuple of str
        Parameters that the model is proportional to.
    constants : tuple of str
        Parameters that hardly anybody fits, a reference energy for one: programs treat them as constants while frozen.
    log_slope : float
        The steepest \|d ln dnde / d ln E\| that a bin integral without closed form is made for.
    """

    evaluate: Callable[..., jax.Array]
    names: tuple[str, ...]
    integral: Callable[..., jax.Array] | None = None
    linear: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    log_slope: float = 40.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BinRule:
    """Bins and the nodes at which a model is evaluated to integrate over them.

    Attributes
    ----------
    lo, hi : array, shape (n_bins,)
        Edges, TeV.
    nodes, weights : array, shape (n_nodes, n_bins)
        Energies (TeV) and weights (TeV), bins last: sums over nodes then run along whole vectors. In the gammapy mode the
        weights are not used.
    mode : str
        "closed", "exact" or "gammapy".
    """

    lo: Any
    hi: Any
    nodes: Any
    weights: Any
    mode: str = field(default="exact", metadata={"static": True})

    def take(self, indices: np.ndarray) -> "BinRule":
        """The rule for some of the bins, in that order; indices may repeat."""
        return BinRule(self.lo[indices], self.hi[indices], self.nodes[:, indices], self.weights[:, indices], self.mode)


@lru_cache(maxsize=256)
def _nodes_for(half_width: float) -> int:
    """Fewest Gauss-Legendre nodes that integrate exp(a x) over [-1, 1] to `TOLERANCE`, a = `half_width`."""
    a = max(half_width, 1e-3)
    exact = 2 * np.sinh(a) / a
    for n in range(2, 65):
        x, w = np.polynomial.legendre.leggauss(n)
        if abs(np.sum(w * np.exp(a * x)) - exact) <= 0.3 * TOLERANCE * exact:
            return n
    raise InputError(
        f"the energy bins are too wide to integrate a steep spectrum over them (half width times slope {a:.3g}); "
        "use more true-energy bins per decade."
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
    width = float(np.max(np.diff(np.log(edges))))
    # rounded so that two axes that differ in the last bits share their node count, and so their programs
    return _nodes_for(round(0.5 * width * log_slope, 6))


def bin_rule(edges: np.ndarray, form: SpectralForm, mode: str = "exact") -> BinRule:
    """Nodes and weights for integrating `form` over the bins of an axis.

    Parameters
    ----------
    edges : array, shape (n_bins + 1,)
        Bin edges, TeV.
    form : `SpectralForm`
        The model.
    mode : {"exact", "gammapy"}
        Exact integrals, or gammapy's scheme.
    """
    edges = np.asarray(edges, dtype=float)
    lo, hi = edges[:-1], edges[1:]
    if mode not in MODES:
        raise InputError(f"integration mode: got {mode!r}, expected one of {MODES}.")
    if form.integral is not None:
        none = np.zeros((0, len(lo)))
        return BinRule(lo, hi, none, none, mode="closed")
    if mode == "gammapy":
        # gammapy: 100 points per decade of the widest bin, rounded down, at least two
        n = int(max(np.max(100 * np.log10(hi / lo)), 2))
        nodes = np.exp(np.log(lo) + np.linspace(0, 1, n)[:, None] * np.log(hi / lo))
        return BinRule(lo, hi, nodes, np.zeros((0, len(lo))), mode="gammapy")
    x, w = np.polynomial.legendre.leggauss(node_count(edges, form.log_slope))
    half = 0.5 * np.log(hi / lo)
    nodes = np.exp(0.5 * np.log(lo * hi) + half * x[:, None])
    return BinRule(lo, hi, nodes, half * w[:, None] * nodes, mode="exact")


def flux_per_bin(form: SpectralForm, rule: BinRule, parameters: Sequence[jax.Array]) -> jax.Array:
    """Integral of a model over each bin.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    rule : `BinRule`
        From `bin_rule`.
    parameters : sequence of scalars
        In the order of ``form.names``, internal units.

    Returns
    -------
    array, shape (n_bins,)
        Flux, cm-2 s-1.
    """
    if rule.mode == "closed":
        assert form.integral is not None
        return form.integral(rule.lo, rule.hi, *parameters)
    values = form.evaluate(rule.nodes, *parameters)
    if rule.mode == "gammapy":
        return _over_nodes(_trapz_loglog(values, rule.nodes))
    return _over_nodes(values * rule.weights)


def _over_nodes(values: jax.Array) -> jax.Array:
    """Sum over the first axis, written out: compiled for a CPU, a reduction runs over single numbers, not over vectors."""
    return sum(values[1:], start=values[0])


def _trapz_loglog(y: jax.Array, x: jax.Array) -> jax.Array:
    """Integral between neighbouring points of the power law through both; first axis shortened by one."""
    y1, y2, x1, x2 = y[:-1], y[1:], x[:-1], x[1:]
    h = jnp.log(x2 / x1)
    tiny = jnp.finfo(y.dtype).tiny
    positive = (y1 > tiny) & (y2 > tiny)
    ratio = jnp.where(positive, y2, 1.0) / jnp.where(positive, y1, 1.0)
    b = -jnp.log(ratio) / h
    # gammapy switches to the logarithm within 1e-10 of slope 1
    pole = jnp.abs(b - 1) <= 1e-10
    safe = jnp.where(pole, 0.0, b)
    power = y1 * x1 * jnp.expm1((1 - safe) * h) / (1 - safe)
    return jnp.where(positive, jnp.where(pole, x1 * y1 * h, power), 0.0)
