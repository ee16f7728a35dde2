"""The likelihood: a pure function of (theta, data)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.datasets import Datasets
from gammajax.errors import DataError, ModelError
from gammajax.likelihood.build import parameters_and_sources, spectrum_data
from gammajax.likelihood.compact import Compact, bins_in_fit, masked_bins
from gammajax.likelihood.structure import Labels, signal
from gammajax.parameters import Parameters, ParameterTable, pack
from gammajax.stats import wstat, wstat_mu_bkg
from gammajax.units import double_precision, require_double

__all__ = ["Likelihood"]


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
        parameters, sources = parameters_and_sources(datasets)
        table = pack(parameters)
        position = {id(p): i for i, p in enumerate(parameters.unique_parameters)}
        built = [spectrum_data(d, sources[d.name], position) for d in datasets]
        if not any(d.mask.data.any() for d in datasets):
            raise DataError(
                f"no bins left in the fit of {', '.join(datasets.names)}: mask_safe and mask_fit have no bin in common; "
                "widen mask_fit, for instance with dataset.counts.geom.energy_mask(energy_min, energy_max)."
            )
        self.structure = tuple(s for *_, s in built)
        units = tuple(str(p.internal_unit) for p in parameters.unique_parameters)
        self.labels = Labels(names=table.names, units=units, datasets=tuple(datasets.names))
        self._compact: Compact | None = Compact(self.structure, tuple(b for _, b, _ in built))
        self.table: ParameterTable | None = table
        self.parameters: Parameters | None = parameters
        self.data = tuple(d for d, *_ in built)

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
        new.table, new.parameters, new._compact = None, None, None
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
        return tuple(signal(s, d.response, theta) for s, d in zip(self.structure, self.data, strict=True))

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
        everything = tuple(range(theta.shape[0]))
        compact = Compact(self.structure, tuple(masked_bins(d) for d in self.data))
        folded = compact.fold(list(theta), everything)
        return compact.scores(folded, [theta[i] for i in compact.linear(everything)], everything)

    def compact(self) -> Compact:
        """The same statistic over the bins in the fit only, as the batched solver takes it; made once, on the host."""
        if self._compact is None:
            with double_precision():
                self._compact = jax.device_put(Compact(self.structure, tuple(bins_in_fit(d) for d in self.data)))
        return self._compact

    def __repr__(self) -> str:
        return f"Likelihood(datasets={self.dataset_names}, parameters={self.names})"
