"""The likelihood: a pure function of (theta, data)."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.datasets import Datasets
from gammajax.direct import direct
from gammajax.errors import DataError, InputError
from gammajax.likelihood.bins import masked_bins
from gammajax.likelihood.build import dataset_data, parameters_and_sources
from gammajax.likelihood.compact import Compact
from gammajax.likelihood.exact import Exact
from gammajax.likelihood.function import FunctionLikelihood
from gammajax.likelihood.groups import grouped, joined, merged, order_of_bins, split
from gammajax.likelihood.jacobian import embedded, embedded_matrix
from gammajax.likelihood.penalties import penalties_of, penalty_stat
from gammajax.likelihood.plan import acting_on
from gammajax.likelihood.stepped import Stepped
from gammajax.likelihood.structure import BinData, DatasetStructure, Structure, per_bin, signal
from gammajax.units import double_precision, require_double

__all__ = ["Likelihood"]


@jax.tree_util.register_pytree_node_class
class Likelihood(Stepped):
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
    idle : tuple of int
        Positions of the factors of a `SystematicsModel` that were frozen at 1. The likelihood is made without them: derivatives by them
        are 0, and a theta that moves them is refused (under a transformation of JAX the statistic is nan).
    step : int
        0 where bin integrals have the nodes for usual slopes, more where `start` needs more of them. They are chosen by values, which
        the pure functions do not know: a theta with which a model is far steeper than it is at `start` asks for ``covering(theta)``.

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
        left_out = [p for m in self.models or () if m.role == "systematics" for p in m.left_out]
        self.idle = tuple(i for i, p in enumerate(self.unique) if any(p is q for q in left_out))
        penalties, numbers = penalties_of(parameters, datasets.models)
        hosts, structures, kinds = zip(*built, strict=True)
        self.structure = Structure(structures, penalties)
        self.groups = grouped(structures, kinds)
        self.joined, bins = joined(datasets, self.structure, hosts, self.groups)
        # those of a group are on the device together, beside the other ones
        self.data: Any = hosts if self.groups else self.joined
        self.numbers = numbers
        self._compact: Any = None
        if not self._exact:
            self._compact = Compact(self.structure, bins, numbers, self.groups)
        self._choose_step([hosts[group[0]] for group in self.groups] or hosts)

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

    # -- pytree --------------------------------------------------------------------------------------------------

    def tree_flatten(self) -> tuple:
        """Arrays of the groups as leaves, structure as static part."""
        return (self.joined, self.numbers), (self.structure, self.labels, self.groups)

    @classmethod
    def tree_unflatten(cls, static: tuple, children: tuple) -> "Likelihood":
        """Rebuild from leaves; such a copy computes, but holds no start vector."""
        structure, labels, groups = static
        new = super().tree_unflatten((structure, labels), children)
        new.joined, new.groups = new.data, groups
        return new

    @property
    def _parts(self) -> list[tuple[DatasetStructure, BinData]]:
        """Structure and arrays of each group of data sets, or of each data set where there are none."""
        return list(zip(merged(self.structure, self.groups).datasets, self.joined, strict=True))

    @property
    def _exact(self) -> bool:
        """Whether derivatives come from differentiating the whole: gammapy's cut of negative predictions beside a factor on alpha."""
        return any(s.alpha is not None and s.clip for s in self.structure.datasets)

    @property
    def n_bins(self) -> tuple[int, ...]:
        """Number of reconstructed bins of each data set, masked ones included."""
        return tuple(m.shape[-1] for m in split(self.groups, [d.mask for d in self.joined]))

    def _in_order(self, parts: list[jax.Array]) -> jax.Array:
        """Values of the bins of the groups, joined in the order of the data sets."""
        values = jnp.concatenate(parts)
        if not self.groups:
            return values
        sizes = [len(p) // len(g) for p, g in zip(parts, self.groups, strict=True)]
        order = order_of_bins(self.groups, sizes)
        return values if order is None else values[order]

    def _check(self, theta: Any) -> None:
        require_double("Likelihood")
        self._check_theta(theta)
        if self.idle and not isinstance(found := jnp.asarray(theta), jax.core.Tracer):
            moved = [self.names[i] for i in self.idle if found[i] != 1.0]
            if moved:
                raise InputError(
                    f"Likelihood: theta moves {', '.join(moved)}, frozen at 1 when the likelihood was made, which does without it; set "
                    ".frozen = False first, then make the likelihood."
                )

    # -- pure functions --------------------------------------------------------------------------------------------

    def npred_signal(self, theta: Any) -> tuple[jax.Array, ...]:
        """What the models predict of each data set beside a known or profiled background, arrays of shape (n_reco,).

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        self._check(theta)
        return split(self.groups, [signal(s, d.response, theta) for s, d in self._parts])

    def npred(self, theta: Any) -> jax.Array:
        """What should have been measured, background included, all data sets joined; shape (sum of n_bins,).

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        self._check(theta)
        parts = [s.stat.predicted(*_arrays(s, d, theta), signal(s, d.response, theta)) for s, d in self._parts]
        return self._in_order(parts)

    def _stat_arrays(self, theta: Any) -> list[jax.Array]:
        """Statistic of each bin of each group, 0 in masked bins."""
        self._check(theta)
        parts = []
        for s, d in self._parts:
            # masked bins get a harmless prediction as well: 0 x nan is nan
            mu = jnp.where(d.mask, signal(s, d.response, theta), 0.0)
            parts.append(jnp.where(d.mask, s.stat.value(*_arrays(s, d, theta), mu), 0.0))
        for i in self.idle:
            # where theta is traced nobody can be told: no number is better than that of another theta
            parts[0] = jnp.where(theta[i] == 1.0, parts[0], jnp.nan)
        return parts

    def stat_array(self, theta: Any) -> jax.Array:
        """Statistic of each bin, 0 in masked bins, all data sets joined; shape (sum of n_bins,).

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        return self._in_order(self._stat_arrays(theta))

    def stat(self, theta: Any) -> jax.Array:
        """Statistic -2 ln L summed over all bins in the fit, priors and penalties added; a scalar.

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        data = jnp.sum(jnp.concatenate(self._stat_arrays(theta)))
        return data + penalty_stat(self.structure.penalties, self.numbers, theta)

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
            # each parameter costs an evaluation, and instruments bring many that act on nothing
            acting = tuple(i for i in everything if i in acting_on(self.structure))
            stat, gradient, *parts = Exact(self).scores(list(theta), (), acting)
            first, second = (embedded_matrix(h, acting, everything) for h in parts)
            return stat, embedded(gradient, acting, everything), first, second
        bins = tuple(masked_bins(s, d) for s, d in self._parts)
        compact = Compact(self.structure, bins, self.numbers, self.groups)
        return compact.scores(compact.fold(theta, everything), None, everything)

    def compact(self) -> Any:
        """The same statistic as the batched solver takes it, over the bins in the fit only; made once, on the host."""
        if self._compact is None:
            with double_precision():
                self._compact = Exact(direct(jax.tree.unflatten(*jax.tree.flatten(self)[::-1])))
        return self._compact

    @property
    def n_bins_in_fit(self) -> int:
        """Number of bins in the fit."""
        return int(sum(np.asarray(d.mask).sum() for d in self.joined))

    def residuals(self, theta: Any) -> jax.Array:
        """sign(measured - predicted) sqrt(stat) of each bin, 0 in masked ones: their squares add up to the statistic of the data.

        Parameters
        ----------
        theta : array, shape (n,)
            All unique parameters, internal units.
        """
        stat, predicted = self.stat_array(theta), self.npred(theta)
        measured = self._in_order([d.values[s.stat.measured] for s, d in self._parts])
        return jnp.sign(measured - predicted) * jnp.sqrt(jnp.maximum(stat, 0.0))


def _arrays(structure: DatasetStructure, data: BinData, theta: Any) -> list:
    """Arguments of the statistic of one data set, a factor on alpha included."""
    arrays = [data.values[name] for name in structure.stat.arrays]
    if structure.alpha is not None:
        alpha = data.values["alpha"]
        factor = per_bin(structure.alpha_factor(theta), alpha.shape[-1])
        arrays[structure.stat.arrays.index("alpha")] = alpha * factor
    return arrays
