"""Values, integrals and error bands of one spectral model, each one compiled program."""

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.models.integrate import BinRule, SpectralForm, bin_rule, flux_per_bin
from gammajax.units import double_precision

__all__ = ["band", "integral_band", "integrate_range", "values"]


@partial(jax.jit, static_argnums=0)
def _values(form: SpectralForm, energy: jax.Array, theta: jax.Array) -> jax.Array:
    return form.evaluate(energy, *theta)


@partial(jax.jit, static_argnums=0)
def _band(form: SpectralForm, energy: jax.Array, theta: jax.Array, covariance: jax.Array) -> tuple:
    value, jacobian = form.evaluate(energy, *theta), jax.jacfwd(lambda t: form.evaluate(energy, *t))(theta)
    return value, _error(jacobian, covariance)


def _error(jacobian: jax.Array, covariance: jax.Array) -> jax.Array:
    """Square root of J C J^T, summed in scaled units: 1e-12 beside 1 would lose digits otherwise."""
    scale = jnp.sqrt(jnp.diag(covariance))
    safe = jnp.where(scale > 0, scale, 1.0)
    scaled = jacobian * safe
    variance = jnp.einsum("...i,ij,...j->...", scaled, covariance / jnp.outer(safe, safe), scaled)
    return jnp.sqrt(jnp.maximum(variance, 0.0))


@partial(jax.jit, static_argnums=0)
def _integral(form: SpectralForm, rule: BinRule, theta: jax.Array) -> jax.Array:
    return jnp.sum(flux_per_bin(form, rule, tuple(theta)))


@partial(jax.jit, static_argnums=0)
def _integral_band(form: SpectralForm, rule: BinRule, theta: jax.Array, covariance: jax.Array) -> tuple:
    def total(t: jax.Array) -> jax.Array:
        return jnp.sum(flux_per_bin(form, rule, tuple(t)))

    return total(theta), _error(jax.jacfwd(total)(theta), covariance)


def values(form: SpectralForm, energy: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Differential flux at energies (TeV, any shape), cm-2 s-1 TeV-1."""
    with double_precision():
        return np.asarray(_values(form, energy, theta))


def band(form: SpectralForm, energy: np.ndarray, theta: np.ndarray, covariance: np.ndarray) -> tuple[Any, Any]:
    """Differential flux and its propagated error at energies (TeV, shape (n,))."""
    with double_precision():
        value, error = _band(form, energy, theta, covariance)
        return np.asarray(value), np.asarray(error)


@lru_cache(maxsize=32)
def _weighted_form(form: SpectralForm) -> SpectralForm:
    """The form times the energy, for energy fluxes; it has no closed form."""

    def evaluate(energy: jax.Array, *parameters: jax.Array) -> jax.Array:
        return energy * form.evaluate(energy, *parameters)

    return SpectralForm(evaluate, form.names, None, form.linear, form.constants, form.log_slope)


def _range(form: SpectralForm, lo: float, hi: float, power: int) -> tuple[SpectralForm, BinRule]:
    form = _weighted_form(form) if power else form
    panels = 1 if form.integral is not None else max(8, int(np.ceil(10 * np.log10(hi / lo))))
    return form, bin_rule(np.geomspace(lo, hi, panels + 1), form)


def integrate_range(form: SpectralForm, lo: float, hi: float, theta: np.ndarray, power: int) -> float:
    """Integral of E^power dnde from `lo` to `hi` (TeV); power 0 or 1."""
    form, rule = _range(form, lo, hi, power)
    with double_precision():
        return float(_integral(form, rule, theta))


def integral_band(
    form: SpectralForm, lo: float, hi: float, theta: np.ndarray, covariance: np.ndarray, power: int
) -> tuple[float, float]:
    """Integral of E^power dnde from `lo` to `hi` (TeV) and its propagated error."""
    form, rule = _range(form, lo, hi, power)
    with double_precision():
        value, error = _integral_band(form, rule, theta, covariance)
        return float(value), float(error)
