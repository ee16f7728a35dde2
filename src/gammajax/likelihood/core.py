"""The likelihood: a pure function of (theta, data)."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.datasets import Datasets
from gammajax.direct import direct
from gammajax.errors import DataError
from gammajax.likelihood.bins import bins_in_fit, masked_bins
from gammajax.likelihood.bound import Bound
from gammajax.likelihood.build import dataset_data, parameters_and_sources
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.exact import Exact
from gammajax.likelihood.function import FunctionLikelihood
from gammajax.likelihood.penalties import penalties_of, penalty_stat
from gammajax.likelihood.structure import BinData, DatasetStructure, Structure, signal
from gammajax.units import double_precision, require_double

__all__ = ["Likelihood"]


@jax.tree_util.register_pytree_node_class
class Likelihood(Bound):
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
        position = {id(p): i for i, p in enumerate(parameters.unique_parameters)}
        built = [dataset_data(d, sources[d.name], position) for d in datasets]
        if not any(d.mask_array.any() for d in datasets):
            raise DataError(
                f"no bins left in the fit of {', '.join(datasets.names)}: mask_safe and mask_fit have no bin in common; "
                "widen mask_fit, for instance with dataset.counts.geom.energy_mask(energy_min, energy_max)."
            )
        if idle := [d.name for d in datasets if not d.mask_array.any()]:
            warnings.warn(
                f"no bins left in the fit of {', '.join(idle)}, which takes no part: mask_safe and mask_fit have no bin in common.",
                stacklevel=3,
            )
        self._bind(parameters, datasets.models, tuple(datasets.names))
        penalties, numbers = penalties_of(parameters, datasets.models)
        self.structure = Structure(tuple(s for *_, s in built), penalties)
        self.data: Any = tuple(d for d, *_ in built)
        self.numbers = numbers
        self._compact: Any = None
        if not self._exact:
            self._compact = Compact(self.structure, tuple(b for _, b, _ in built), numbers)

    @classmethod
    def from_function(cls, function: Callable[..., Any], parameters: Any, data: Any = None) -> FunctionLikelihood:
        """Likelihood of any statistic that is a JAX function of the parameters.

        Parameters
        ----------
        function : callable
            ``function(theta)`` or, with `data`, ``function(theta, data)``: the statistic -2 ln L, a scalar; theta has shape (P,),
            in the order and the units of `parameters`. Written with `jax.numpy`, twice differentiable.
        parameters : mapping or list of `Parameter`
            Start values by name, or parameters with limits, units and priors.
        data : pytree of arrays, optional
            Passed as an argument: other data of the same shapes then compile nothing.

        Returns
        -------
        `FunctionLikelihood`
            For ``Fit(likelihood)``: every backend, covariance, scans, intervals and contours.

        Examples
        --------
        >>> import jax.numpy as jnp
        >>> from gammajax import Fit
        >>> def rosenbrock(theta):
        ...     x, y = theta
        ...     return (1 - x) ** 2 + 100 * (y - x * x) ** 2
        >>> likelihood = Likelihood.from_function(rosenbrock, {"x": -1.0, "y": 2.0})
        >>> result = Fit(likelihood, backend="newton").run()
        >>> [round(p.value, 6) for p in result.parameters]
        [1.0, 1.0]
        """
        return FunctionLikelihood(function, parameters, data)

    @property
    def _exact(self) -> bool:
        """Whether something varies but the prediction: then derivatives come from differentiating the whole."""
        return any(s.alpha is not None for s in self.structure.datasets)

    @property
    def n_bins(self) -> tuple[int, ...]:
        """Number of reconstructed bins of each data set, masked ones included."""
        return tuple(d.mask.shape[-1] for d in self.data)

    # -- pure functions --------------------------------------------------------------------------------------------

    def npred_signal(self, theta: Any) -> tuple[jax.Array, ...]:
        """What the models predict of each data set beside a known or profiled background, arrays of shape (n_reco,).

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        require_double("Likelihood")
        self._check_theta(theta)
        return tuple(signal(s, d.response, theta) for s, d in zip(self.structure.datasets, self.data, strict=True))

    def npred(self, theta: Any) -> jax.Array:
        """What should have been measured, background included, all data sets joined; shape (sum of n_bins,).

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        parts = [
            s.stat.predicted(*_arrays(s, d, theta), mu)
            for s, d, mu in zip(self.structure.datasets, self.data, self.npred_signal(theta), strict=True)
        ]
        return jnp.concatenate(parts)

    def stat_array(self, theta: Any) -> jax.Array:
        """Statistic of each bin, 0 in masked bins, all data sets joined; shape (sum of n_bins,).

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        parts = []
        for s, d, mu in zip(self.structure.datasets, self.data, self.npred_signal(theta), strict=True):
            # masked bins get a harmless prediction as well: 0 x nan is nan
            value = s.stat.value(*_arrays(s, d, theta), jnp.where(d.mask, mu, 0.0))
            parts.append(jnp.where(d.mask, value, 0.0))
        return jnp.concatenate(parts)

    def stat(self, theta: Any) -> jax.Array:
        """Statistic -2 ln L summed over all bins in the fit, priors and penalties added; a scalar.

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        return jnp.sum(self.stat_array(theta)) + penalty_stat(self.structure.penalties, self.numbers, theta)

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
        self._check_theta(theta)
        theta = jnp.asarray(theta)
        everything = tuple(range(theta.shape[0]))
        if self._exact:
            return Exact(self).scores(list(theta), (), everything)
        bins = tuple(masked_bins(s, d) for s, d in zip(self.structure.datasets, self.data, strict=True))
        compact = Compact(self.structure, bins, self.numbers)
        folded = compact.fold(list(theta), everything)
        return compact.scores(folded, [theta[i] for i in compact.linear(everything)], everything)

    def compact(self) -> Any:
        """The same statistic as the batched solver takes it, over the bins in the fit only; made once, on the host."""
        if self._compact is None:
            with double_precision():
                if self._exact:
                    self._compact = Exact(direct(jax.tree.unflatten(*jax.tree.flatten(self)[::-1])))
                else:
                    pairs = zip(self.structure.datasets, self.data, strict=True)
                    bins = tuple(bins_in_fit(s, d) for s, d in pairs)
                    self._compact = direct(Compact(self.structure, bins, self.numbers))
        return self._compact

    @property
    def n_bins_in_fit(self) -> int:
        """Number of bins in the fit."""
        return int(sum(np.asarray(d.mask).sum() for d in self.data))

    def residuals(self, theta: Any) -> jax.Array:
        """sign(measured - predicted) sqrt(stat) of each bin, 0 in masked ones: their squares add up to the statistic of the data.

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        stat, predicted = self.stat_array(theta), self.npred(theta)
        measured = jnp.concatenate(
            [d.values[s.stat.measured] for s, d in zip(self.structure.datasets, self.data, strict=True)]
        )
        return jnp.sign(measured - predicted) * jnp.sqrt(jnp.maximum(stat, 0.0))


def _arrays(structure: DatasetStructure, data: BinData, theta: Any) -> list:
    """Arguments of the statistic of one data set, a factor on alpha included."""
    arrays = [data.values[name] for name in structure.stat.arrays]
    if structure.alpha is not None:
        arrays[structure.stat.arrays.index("alpha")] = data.values["alpha"] * structure.alpha_factor(theta)
    return arrays
