"""Integrals of a spectral model over energy bins.

Exact mode: the closed form where the model has one, otherwise Gauss-Legendre in ln E with the fewest nodes that keep
the relative error of every bin below 1e-9, in pieces between the breaks of the model. Compatibility mode: gammapy's
piecewise power law, for side-by-side checks.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.compiling import compiled
from gammajax.models.form import SpectralForm
from gammajax.models.functions.special import exprel, safe_log
from gammajax.models.moving import over_nodes
from gammajax.models.nodes import TOLERANCE
from gammajax.models.pieces import between_breaks, power_law_pieces, summed
from gammajax.models.rules import BinRule, node_count, range_rule, refined
from gammajax.models.steep import reaches, steeper_rule
from gammajax.units import double_precision

__all__ = ["BinRule", "SmoothnessWarning", "SpectralForm", "bin_rule", "flux_per_bin", "node_count"]


class SmoothnessWarning(UserWarning):
    """A model that says nothing of its breaks, and whose integrals over the bins are not exact."""


def bin_rule(
    edges: np.ndarray, form: SpectralForm, mode: str = "exact", parameters: Sequence[Any] | None = None
) -> BinRule:
    """Nodes and weights for integrating `form` over the bins of an axis.

    Parameters
    ----------
    edges : array, shape (n_bins + 1,)
        Bin edges, TeV.
    form : `SpectralForm`
        The model.
    mode : {"exact", "gammapy"}
        Exact integrals, or gammapy's scheme.
    parameters : sequence of float or array, optional
        Values that it will be used with, internal units. Without them nodes are those for usual slopes: cut-offs and breaks aside a
        local index between -19 and 21, between -9 and 11 for a power law in a product.

    Warns
    -----
    SmoothnessWarning
        Where nothing is known of the model and twice the nodes give other integrals.
    """
    edges = np.asarray(edges, dtype=float)
    rule = range_rule(edges[:-1], edges[1:], form, mode)
    if mode == "exact":
        parts = zip((f for _, f, _ in form.terms), rule.parts, strict=True) if form.terms else [(form, rule)]
        for f, r in parts:
            if f.log_slope is None:
                _warn_where_not_smooth(f, r)
        if parameters is not None:
            step = max((int(np.max(r.steps(parameters))) for r in reaches(form, rule)), default=0)
            rule = steeper_rule(form, rule, step)
    return rule


def _warn_where_not_smooth(form: SpectralForm, rule: BinRule) -> None:
    """Compare with twice the nodes at the default values, in bins above 1e-12 of the whole."""
    with double_precision():
        theta = [jnp.asarray(v) for v in form.defaults]
        found, better = (np.asarray(_compiled(form, r, theta)) for r in (rule, refined(form, rule)))
    error = np.abs(found - better) / np.maximum(np.abs(better), 1e-12 * np.sum(np.abs(better)) + 1e-300)
    worst = int(np.argmax(error))
    if error[worst] > 10 * TOLERANCE:
        warnings.warn(
            f"{form.name}: the integral over the bin from {rule.lo[worst]:.4g} to {rule.hi[worst]:.4g} TeV is wrong by about "
            f"{error[worst]:.1g}, for the model is not smooth there; declare its break energies with breaks=..., a steeper "
            "log_slope, or use narrower true-energy bins.",
            SmoothnessWarning,
            stacklevel=3,
        )


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
    if rule.mode == "sum":
        terms = zip(form.terms, rule.parts, strict=True)
        return summed([a * flux_per_bin(f, r, [parameters[i] for i in index]) for (a, f, index), r in terms])
    if rule.mode == "power":
        return power_law_pieces(form, rule.nodes, parameters)
    if rule.mode == "loose":
        return over_nodes(form, rule.count, rule.nodes, tuple(parameters))
    if rule.mode == "breaks":
        return between_breaks(form, rule.nodes, rule.count, parameters)
    values = form.evaluate(rule.nodes, *parameters)
    if rule.mode == "gammapy":
        return summed(_trapz_loglog(values, rule.nodes))
    return summed(values * rule.weights)


def _trapz_loglog(y: jax.Array, x: jax.Array) -> jax.Array:
    """Integral between neighbouring points of the power law through both; first axis shortened by one."""
    y1, y2, x1, x2 = y[:-1], y[1:], x[:-1], x[1:]
    h = jnp.log(x2 / x1)
    tiny = jnp.finfo(y.dtype).tiny
    # where a difference of models changes its sign gammapy gives any number, and this nothing
    same = ((y1 > tiny) & (y2 > tiny)) | ((y1 < -tiny) & (y2 < -tiny))
    b = (safe_log(jnp.where(same, y1, 1.0)) - safe_log(jnp.where(same, y2, 1.0))) / h
    return jnp.where(same, x1 * y1 * h * exprel((1 - b) * h), 0.0)


_compiled = compiled(flux_per_bin, static_argnums=0)
