"""The one place where models, response, stats and data meet: a pure function of (theta, data)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.datasets import Datasets, SpectrumDatasetOnOff
from gammajax.datasets.registry import register_evaluator
from gammajax.errors import DataError, ModelError
from gammajax.models import BinRule, SpectralForm, bin_rule, flux_per_bin
from gammajax.parameters import Parameters, ParameterTable, pack
from gammajax.response import fold
from gammajax.stats import wstat, wstat_mu_bkg, wstat_mu_sig_derivatives
from gammajax.units import double_precision, require_double

__all__ = ["Likelihood", "ResponseData", "SpectrumData"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ResponseData:
    """What turns the models of one data set into counts, as arrays.

    Attributes
    ----------
    exposure : array, shape (n_true,)
        cm2 s.
    edisp : array, shape (n_true, n_reco)
        Dispersion.
    rules : tuple of `BinRule`
        How the models are integrated over the true-energy bins.
    """

    exposure: Any
    edisp: Any
    rules: tuple[BinRule, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SpectrumData:
    """Arrays of one ON/OFF spectrum, as the compiled functions take them.

    Attributes
    ----------
    n_on, n_off, alpha : array, shape (n_reco,)
        Counts and ratio of acceptances; harmless numbers in masked bins.
    mask : array of bool, shape (n_reco,)
        Bins in the fit.
    response : `ResponseData`
        Exposure, dispersion and integration rules.
    """

    n_on: Any
    n_off: Any
    alpha: Any
    mask: Any
    response: ResponseData


@dataclass(frozen=True)
class Term:
    """One source in one data set: its form, where its parameters are in theta, and which rule integrates it."""

    form: SpectralForm
    index: tuple[int, ...]
    rule: int


@dataclass(frozen=True)
class DatasetStructure:
    """What is static about one data set: its sources, and whether negative predictions are clipped (gammapy)."""

    terms: tuple[Term, ...]
    clip: bool = False


class Labels:
    """Names and units: carried along, equal to any other, so that renaming compiles nothing."""

    def __init__(self, **names: tuple[str, ...]) -> None:
        self.names = names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labels)

    def __hash__(self) -> int:
        return 0


@jax.tree_util.register_pytree_node_class
class Likelihood:
    r"""Likelihood of a set of data sets and their models, -2 ln L, as pure functions of a flat vector.

    It is a pytree: the arrays are its leaves, the structure is static. ``jax.jit(lambda L, t: L.stat(t))`` compiles once
    for all likelihoods of one structure; a `stat` that is closed over instead captures its data.

    Parameters
    ----------
    datasets : `Datasets` or data set or list
        Data sets with their models set.

    Attributes
    ----------
    names : tuple of str
        Unique names of the P parameters, frozen ones included, linked ones once.
    units : tuple of str
        Their internal units, those of theta.
    start, lower, upper, scale : array, shape (P,)
        Values, limits and powers of ten with theta / scale of order one, in internal units.
    free : array of bool, shape (P,)
        Which parameters a fit varies.

    Raises
    ------
    ModelError
        If a data set has no model.
    DataError
        If no bin is left in the fit.
    """

    def __init__(self, datasets: Any) -> None:
        datasets = datasets if isinstance(datasets, Datasets) else Datasets(datasets)
        if len(datasets) == 0:
            raise DataError("Likelihood: there are no data sets; give at least one.")
        parameters, sources = _parameters(datasets)
        table = pack(parameters)
        position = {id(p): i for i, p in enumerate(parameters.unique_parameters)}
        built = [_build(d, sources[d.name], position) for d in datasets]
        if not any(d.mask.data.any() for d in datasets):
            raise DataError(
                f"no bins left in the fit of {', '.join(datasets.names)}: mask_safe and mask_fit have no bin in common; "
                "widen mask_fit, for instance with dataset.counts.geom.energy_mask(energy_min, energy_max)."
            )
        self.structure = tuple(s for _, s in built)
        units = tuple(str(p.internal_unit) for p in parameters.unique_parameters)
        self.labels = Labels(names=table.names, units=units, datasets=tuple(datasets.names))
        self.table: ParameterTable | None = table
        self.parameters: Parameters | None = parameters
        with double_precision():
            self.data = jax.device_put(tuple(d for d, _ in built))

    # -- pytree --------------------------------------------------------------------------------------------------

    def tree_flatten(self) -> tuple:
        """Arrays as leaves, structure as static part."""
        return (self.data,), (self.structure, self.labels)

    @classmethod
    def tree_unflatten(cls, static: tuple, children: tuple) -> "Likelihood":
        """Rebuild from leaves; such a copy computes, but holds no start vector."""
        new = object.__new__(cls)
        (new.data,) = children
        new.structure, new.labels = static
        new.table, new.parameters = None, None
        return new

    # -- names and start, beside the functions ---------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Unique names of the parameters."""
        return self.labels.names["names"]

    @property
    def units(self) -> tuple[str, ...]:
        """Internal units of the parameters."""
        return self.labels.names["units"]

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Names of the data sets, in the order of the bins."""
        return self.labels.names["datasets"]

    def _table(self) -> ParameterTable:
        if self.table is None:
            raise ModelError(
                "this Likelihood was rebuilt inside a transformation and holds no start vector; keep the original."
            )
        return self.table

    @property
    def start(self) -> np.ndarray:
        """Parameter values at construction, shape (P,), internal units."""
        return self._table().theta

    @property
    def lower(self) -> np.ndarray:
        """Lower limits, shape (P,), -inf where there is none."""
        return self._table().lower

    @property
    def upper(self) -> np.ndarray:
        """Upper limits, shape (P,), inf where there is none."""
        return self._table().upper

    @property
    def scale(self) -> np.ndarray:
        """Powers of ten of the order of the parameters, shape (P,)."""
        return self._table().scale

    @property
    def free(self) -> np.ndarray:
        """Which parameters a fit varies, shape (P,)."""
        return self._table().free

    @property
    def n_bins(self) -> tuple[int, ...]:
        """Number of reconstructed bins of each data set, masked ones included."""
        return tuple(d.n_on.shape[-1] for d in self.data)

    # -- pure functions --------------------------------------------------------------------------------------------

    def npred_signal(self, theta: Any) -> tuple[jax.Array, ...]:
        """Predicted source counts of each data set, a tuple of arrays of shape (n_reco,)."""
        require_double("Likelihood")
        return tuple(_signal(s, d.response, theta) for s, d in zip(self.structure, self.data, strict=True))

    def npred(self, theta: Any) -> jax.Array:
        """Predicted ON counts, signal and profiled background, all data sets joined; shape (sum of n_bins,)."""
        signals = self.npred_signal(theta)
        parts = [
            mu + d.alpha * wstat_mu_bkg(d.n_on, d.n_off, d.alpha, mu) for d, mu in zip(self.data, signals, strict=True)
        ]
        return jnp.concatenate(parts)

    def stat_array(self, theta: Any) -> jax.Array:
        """Statistic of each bin, 0 in masked bins, all data sets joined; shape (sum of n_bins,)."""
        parts = []
        for d, mu in zip(self.data, self.npred_signal(theta), strict=True):
            # masked bins get a harmless prediction as well: 0 x nan is nan
            value = wstat(d.n_on, d.n_off, d.alpha, jnp.where(d.mask, mu, 1.0))
            parts.append(jnp.where(d.mask, value, 0.0))
        return jnp.concatenate(parts)

    def stat(self, theta: Any) -> jax.Array:
        """Statistic -2 ln L summed over all bins in the fit; a scalar."""
        return jnp.sum(self.stat_array(theta))

    def scoring(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        r"""Statistic, gradient and the two parts of the Hessian, from one pass through the response.

        With J the derivative of the predicted signal, :math:`g = J^T W'` and
        :math:`H = J^T \mathrm{diag}(W'') J + \sum_k W'_k \nabla^2 \mu_k`. The first part is never negative and drives a
        step where the whole is not positive definite.

        Parameters
        ----------
        theta : array, shape (P,)
            Parameters, internal units.

        Returns
        -------
        stat, gradient, first, second : scalar, array (P,), array (P, P), array (P, P)
            The exact Hessian is ``first + second``.
        """
        theta = jnp.asarray(theta)
        mu, tangents = jax.vmap(lambda e: jax.jvp(self.npred_signal, (theta,), (e,)), out_axes=(None, 0))(
            jnp.eye(theta.shape[0], dtype=theta.dtype)
        )
        stat, gradient, first = (jnp.zeros(()) for _ in range(3))
        weights = []
        for d, m, t in zip(self.data, mu, tangents, strict=True):
            w, w1, w2 = wstat_mu_sig_derivatives(d.n_on, d.n_off, d.alpha, jnp.where(d.mask, m, 1.0))
            w, w1, w2 = (jnp.where(d.mask, x, 0.0) for x in (w, w1, w2))
            t = jnp.where(d.mask, t, 0.0)
            stat = stat + jnp.sum(w)
            gradient = gradient + t @ w1
            first = first + (t * w2) @ t.T
            weights.append(w1)
        return stat, gradient, first, jax.hessian(lambda x: self._weighted_signal(x, weights))(theta)

    def _weighted_signal(self, theta: jax.Array, weights: list[jax.Array]) -> jax.Array:
        """Sum over bins of weight times predicted signal; the weights are folded back once, not the curvature forward."""
        total = jnp.zeros(())
        for s, d, w in zip(self.structure, self.data, weights, strict=True):
            back = d.response.exposure * (d.response.edisp @ w)
            total = total + jnp.sum(_flux(s, d.response, theta) * back)
        return total

    def __repr__(self) -> str:
        return f"Likelihood(datasets={self.dataset_names}, parameters={self.names})"


def _flux(structure: DatasetStructure, response: ResponseData, theta: Any) -> jax.Array:
    flux = jnp.zeros_like(response.exposure)
    for term in structure.terms:
        flux = flux + flux_per_bin(term.form, response.rules[term.rule], [theta[i] for i in term.index])
    return flux


def _signal(structure: DatasetStructure, response: ResponseData, theta: Any) -> jax.Array:
    signal = fold(_flux(structure, response, theta), response.exposure, response.edisp)
    return jnp.maximum(signal, 0.0) if structure.clip else signal


def _parameters(datasets: Datasets) -> tuple[Parameters, dict[str, list]]:
    """All parameters in the order of the models, and the sources of each data set."""
    sources = {}
    for d in datasets:
        members = [m for m in (d.models or []) if m.shows_in(d.name)]
        if not members:
            raise ModelError(
                f"data set {d.name!r} has no model; set one: dataset.models = SkyModel(spectral_model=..., name=...)."
            )
        sources[d.name] = members
    return datasets.models.parameters, sources


def _response(
    dataset: SpectrumDatasetOnOff, sources: list, position: dict[int, int]
) -> tuple[ResponseData, DatasetStructure]:
    mode = dataset.compatibility or "exact"
    edges = dataset.exposure.geom.axis.edges_tev
    forms: list[SpectralForm] = []
    terms = []
    for source in sources:
        form = source.spectral_model.form
        if form not in forms:
            forms.append(form)
        index = tuple(position[id(p)] for p in source.spectral_model.parameters)
        terms.append(Term(form, index, forms.index(form)))
    rules = tuple(_rule(edges.tobytes(), form, mode) for form in forms)
    structure = DatasetStructure(tuple(terms), clip=dataset.compatibility == "gammapy")
    return ResponseData(dataset.exposure.data, dataset.edisp.pdf_matrix, rules), structure


def _build(
    dataset: SpectrumDatasetOnOff, sources: list, position: dict[int, int]
) -> tuple[SpectrumData, DatasetStructure]:
    response, structure = _response(dataset, sources, position)
    mask, alpha = dataset.mask.data, dataset.alpha.data
    bad = np.flatnonzero(mask & ~(alpha > 0))
    if len(bad):
        raise DataError(
            f"{dataset.name!r}: alpha is {alpha[bad[0]]:g} in bin {bad[0]}, which is in the fit; the W statistic needs an "
            "OFF acceptance above 0 in every bin of the fit: check BACKSCAL, or mask the bin."
        )
    if not np.any(dataset.exposure.data @ dataset.edisp.pdf_matrix * mask > 0) and mask.any():
        raise DataError(
            f"{dataset.name!r}: there is no exposure in the bins of the fit, so no model can predict counts there; "
            "check the effective area and the dispersion, or move the fit range."
        )
    data = SpectrumData(
        n_on=np.where(mask, dataset.counts.data, 0.0),
        n_off=np.where(mask, dataset.counts_off.data, 0.0),
        alpha=np.where(mask, alpha, 1.0),
        mask=mask,
        response=response,
    )
    return data, structure


@lru_cache(maxsize=128)
def _rule(edges: bytes, form: SpectralForm, mode: str) -> BinRule:
    return bin_rule(np.frombuffer(edges), form, mode)


# -- what a single data set asks for --------------------------------------------------------------------------------

_signal_program = jax.jit(_signal, static_argnums=0)
_background_program = jax.jit(wstat_mu_bkg)
_wstat_program = jax.jit(wstat)


def _npred_signal(dataset: SpectrumDatasetOnOff) -> np.ndarray:
    sources = [m for m in (dataset.models or []) if m.shows_in(dataset.name)]
    if dataset.models is None or not sources:
        return np.zeros(len(dataset.counts.data))
    parameters = dataset.models.parameters.unique_parameters
    theta = np.array([p.value * p.factor for p in parameters])
    response, structure = _response(dataset, sources, {id(p): i for i, p in enumerate(parameters)})
    with double_precision():
        return np.asarray(_signal_program(structure, response, theta))


def _npred_background(dataset: SpectrumDatasetOnOff) -> np.ndarray:
    alpha, signal = dataset.alpha.data, _npred_signal(dataset)
    safe = np.where(alpha > 0, alpha, 1.0)
    with double_precision():
        mu = np.asarray(_background_program(dataset.counts.data, dataset.counts_off.data, safe, signal))
    return np.where(alpha > 0, alpha * mu, 0.0)


def _stat_array(dataset: SpectrumDatasetOnOff) -> np.ndarray:
    alpha, mask = dataset.alpha.data, dataset.mask.data
    signal = np.where(mask, _npred_signal(dataset), 1.0)
    safe = np.where(alpha > 0, alpha, 1.0)
    with double_precision():
        stat = np.asarray(_wstat_program(dataset.counts.data, dataset.counts_off.data, safe, signal))
    return np.where(mask, stat, 0.0)


_offered: dict[str, Callable[..., Any]] = {
    "npred_signal": _npred_signal,
    "npred_background": _npred_background,
    "stat_array": _stat_array,
}
for _name, _function in _offered.items():
    register_evaluator(_name, _function)
