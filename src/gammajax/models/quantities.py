"""Values, integrals, indices and error bands of one spectral model, each one compiled program."""

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.compiling import compiled
from gammajax.models.form import SpectralForm, weighted_form
from gammajax.models.integrate import flux_per_bin
from gammajax.models.rules import BinRule, range_rule
from gammajax.models.steep import Reach, reaches, steeper_rule
from gammajax.units import double_precision

__all__ = [
    "band",
    "index_band",
    "indices",
    "integral_band",
    "integrate_range",
    "pivot_error",
    "relative_variance",
    "values",
]


@partial(compiled, static_argnums=0)
def _values(form: SpectralForm, energy: jax.Array, theta: jax.Array) -> jax.Array:
    return form.evaluate(energy, *theta)


@partial(compiled, static_argnums=0)
def _band(form: SpectralForm, energy: jax.Array, theta: jax.Array, covariance: jax.Array) -> tuple:
    value, jacobian = form.evaluate(energy, *theta), jax.jacfwd(lambda t: form.evaluate(energy, *t))(theta)
    return value, _error(jacobian, covariance)


def _variance(jacobian: jax.Array, covariance: jax.Array) -> jax.Array:
    """J C J^T, summed in scaled units: 1e-12 beside 1 would lose digits otherwise."""
    scale = jnp.sqrt(jnp.diag(covariance))
    safe = jnp.where(scale > 0, scale, 1.0)
    scaled = jacobian * safe
    return jnp.einsum("...i,ij,...j->...", scaled, covariance / jnp.outer(safe, safe), scaled)


def _error(jacobian: jax.Array, covariance: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.maximum(_variance(jacobian, covariance), 0.0))


@partial(compiled, static_argnums=0)
def _integral(form: SpectralForm, rule: BinRule, theta: jax.Array) -> jax.Array:
    return flux_per_bin(form, rule, tuple(theta))


@partial(compiled, static_argnums=(0, 2))
def _integral_band(
    form: SpectralForm, rule: BinRule, panels: int, theta: jax.Array, covariance: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def total(t: jax.Array) -> jax.Array:
        return jnp.sum(flux_per_bin(form, rule, tuple(t)).reshape(-1, panels), axis=-1)

    return total(theta), _error(jax.jacfwd(total)(theta), covariance)


def _index(form: SpectralForm, energy: jax.Array, theta: jax.Array) -> jax.Array:
    value, slope = jax.jvp(lambda e: form.evaluate(e, *theta), (energy,), (energy,))
    return -slope / value


_indices = compiled(_index, static_argnums=0)


@partial(compiled, static_argnums=0)
def _index_band(form: SpectralForm, energy: jax.Array, theta: jax.Array, covariance: jax.Array) -> tuple:
    return _index(form, energy, theta), _error(jax.jacfwd(lambda t: _index(form, energy, t))(theta), covariance)


@partial(compiled, static_argnums=0)
def _relative_variance(form: SpectralForm, x: jax.Array, theta: jax.Array, covariance: jax.Array) -> tuple:
    def one(x: jax.Array) -> jax.Array:
        value = form.evaluate(jnp.exp(x), *theta)
        jacobian = jax.jacfwd(lambda t: form.evaluate(jnp.exp(x), *t))(theta)
        return _variance(jacobian / value, covariance)

    return jax.vmap(jax.value_and_grad(one))(x)


@partial(compiled, static_argnums=0)
def _pivot_error(form: SpectralForm, x: jax.Array, theta: jax.Array, covariance: jax.Array) -> tuple:
    def variance(x: jax.Array, theta: jax.Array) -> jax.Array:
        jacobian = jax.jacfwd(lambda t: form.evaluate(jnp.exp(x), *t))(theta)
        return _variance(jacobian / form.evaluate(jnp.exp(x), *theta), covariance)

    slope = jax.grad(variance)
    curvature = jax.grad(slope)(x, theta)
    error = jnp.exp(x) * _error(jax.jacfwd(slope, 1)(x, theta) / curvature, covariance)
    return error, slope(x, theta) / curvature, curvature


def pivot_error(form: SpectralForm, energy: float, theta: np.ndarray, covariance: np.ndarray) -> float:
    """Propagated error of the energy (TeV) at which the relative error of the flux is least; nan where its slope has no root there."""
    with double_precision():
        error, away, curvature = (float(v) for v in _pivot_error(form, np.log(energy), theta, covariance))
    # beside a break the least value is no root, and nothing follows from the derivatives
    return error if curvature > 0 and abs(away) < 1e-6 else np.nan


def values(form: SpectralForm, energy: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Differential flux at energies (TeV, any shape), internal unit."""
    with double_precision():
        return np.asarray(_values(form, energy, theta))


def band(form: SpectralForm, energy: np.ndarray, theta: np.ndarray, covariance: np.ndarray) -> tuple[Any, Any]:
    """Differential flux and its propagated error at energies (TeV, any shape)."""
    with double_precision():
        value, error = _band(form, energy, theta, covariance)
        return np.asarray(value), np.asarray(error)


def indices(form: SpectralForm, energy: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Local spectral index -d ln dnde / d ln E at energies (TeV, any shape)."""
    with double_precision():
        return np.asarray(_indices(form, np.asarray(energy, dtype=float), theta))


def index_band(form: SpectralForm, energy: np.ndarray, theta: np.ndarray, covariance: np.ndarray) -> tuple[Any, Any]:
    """Local spectral index and its propagated error at energies (TeV, any shape)."""
    with double_precision():
        value, error = _index_band(form, np.asarray(energy, dtype=float), theta, covariance)
        return np.asarray(value), np.asarray(error)


def relative_variance(
    form: SpectralForm, log_energy: np.ndarray, theta: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Square of the relative error of the flux at energies exp(x) TeV, and its slope in x; shape (n,) each."""
    with double_precision():
        value, slope = _relative_variance(form, np.asarray(log_energy, dtype=float), theta, covariance)
        return np.asarray(value), np.asarray(slope)


def _range(
    form: SpectralForm, lo: np.ndarray, hi: np.ndarray, theta: np.ndarray, power: int
) -> tuple[SpectralForm, BinRule, int]:
    """The form times E^power, a rule for all ranges that does for the parameters, and into how many panels it cuts each."""
    form = weighted_form(form) if power else form
    low, high = np.broadcast_arrays(np.asarray(lo, dtype=float), np.asarray(hi, dtype=float))
    key = form, low.tobytes(), high.tobytes()
    rule, panels, reached = _range_rule(*key, 0)
    step = max((int(r.steps(list(theta))) for r in reached), default=0)
    return (form, *_range_rule(*key, step)[:2]) if step else (form, rule, panels)


@lru_cache(maxsize=128)
def _range_rule(form: SpectralForm, lo: bytes, hi: bytes, step: int) -> tuple[BinRule, int, tuple[Reach, ...]]:
    low, high = np.frombuffer(lo), np.frombuffer(hi)
    widest = float(np.max(np.log10(high / low)))
    panels = 1 if form.integral is not None else max(8, int(np.ceil(10 * widest)))
    edges = np.geomspace(low, high, panels + 1, axis=-1)
    rule = range_rule(edges[..., :-1].ravel(), edges[..., 1:].ravel(), form)
    return steeper_rule(form, rule, step), panels, reaches(form, rule)


def integrate_range(form: SpectralForm, lo: np.ndarray, hi: np.ndarray, theta: np.ndarray, power: int) -> np.ndarray:
    """Integrals of E^power dnde from `lo` to `hi` (TeV, any shape); power 0 or 1."""
    return integral_band(form, lo, hi, theta, np.zeros((0, 0)), power)[0]


def integral_band(
    form: SpectralForm, lo: np.ndarray, hi: np.ndarray, theta: np.ndarray, covariance: np.ndarray, power: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of E^power dnde from `lo` to `hi` (TeV, any shape) and their propagated errors."""
    form, rule, panels = _range(form, lo, hi, theta, power)
    with double_precision():
        if not covariance.size:
            value = np.asarray(_integral(form, rule, theta)).reshape(-1, panels).sum(axis=-1)
            return value.reshape(lo.shape), np.zeros_like(lo)
        value, error = _integral_band(form, rule, panels, theta, covariance)
        return np.asarray(value).reshape(lo.shape), np.asarray(error).reshape(lo.shape)
