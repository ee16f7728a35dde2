"""A likelihood that is any function of the parameters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.direct import shared
from gammajax.errors import ModelError
from gammajax.likelihood.bound import Bound
from gammajax.likelihood.exact import Exact
from gammajax.likelihood.penalties import penalties_of, penalty_stat
from gammajax.likelihood.structure import Structure
from gammajax.models import FunctionModel, Models, as_parameters
from gammajax.models.checked import called
from gammajax.parameters import place_of
from gammajax.units import double_precision, require_double

__all__ = ["FunctionLikelihood"]


@jax.tree_util.register_pytree_node_class
class FunctionLikelihood(Bound):
    """Made by `Likelihood.from_function`."""

    def __init__(self, function: Callable[..., Any], parameters: Any, data: Any = None) -> None:
        if not callable(function):
            raise ModelError(f"Likelihood.from_function: got {function!r}, expected a function of theta.")
        made = as_parameters(parameters, "Likelihood.from_function")
        names = list(parameters) if isinstance(parameters, dict) else [p.name for p in made]
        named = dict(zip(names, made, strict=True))
        models = Models([FunctionModel(lambda x, *p: x, named, name="")])
        self._bind(models.parameters, models, ("function",))
        penalties, numbers = penalties_of(models.parameters, models)
        # two functions are two structures; the function is called in the units that the person gave
        self.structure = Structure((function, data is not None), penalties)  # type: ignore[arg-type]
        position = {id(p): i for i, p in enumerate(self.unique)}
        index, factor, offset = map(np.array, zip(*(place_of(p, position) for p in made), strict=True))
        # without links no element is picked: that is slow in batches
        direct = len(self.unique) == len(made) and not np.any(offset)
        places = (factor, None, None) if direct else (factor, index, offset)
        with double_precision():
            # copies: a device on the host can share the memory of an array
            self.data, self.numbers = shared((jax.tree.map(np.array, (places, data)), numbers))
        self._compact = None
        self._check(function)

    def _check(self, function: Callable[..., Any]) -> None:
        with double_precision():
            what = f"Likelihood.from_function: {getattr(function, '__name__', function)!r}"
            out = called(
                lambda: jax.eval_shape(self.stat, np.asarray(self.start)),
                f"{what} for theta of shape ({len(self.start)},)",
            )
        if not np.issubdtype(out.dtype, np.floating):
            raise ModelError(
                f"{what} returned numbers of type {out.dtype}, expected a real statistic in double precision."
            )
        if out.shape != ():
            raise ModelError(
                f"Likelihood.from_function: the function returned shape {out.shape}, expected a scalar, the statistic summed "
                "over the data."
            )

    @property
    def n_bins(self) -> tuple[int, ...]:
        """Number of bins of each data set: it has none that anybody knows of."""
        return (0,)

    @property
    def n_bins_in_fit(self) -> int:
        """Number of bins in the fit: none that anybody knows of."""
        return 0

    def _refuse(self, what: str) -> Any:
        raise ModelError(
            f"{what}: this likelihood is one function of the parameters, without bins; use an XYDataset for data in bins."
        )

    def npred_signal(self, theta: Any) -> Any:
        """Refuse: there are no bins."""
        return self._refuse("npred_signal")

    def npred(self, theta: Any) -> Any:
        """Refuse: there are no bins."""
        return self._refuse("npred")

    def residuals(self, theta: Any) -> Any:
        """Refuse: there are no bins."""
        return self._refuse("residuals")

    def stat_array(self, theta: Any) -> jax.Array:
        """The function's value, shape (1,)."""
        require_double("Likelihood")
        self._check_theta(theta)
        function, with_data = self.structure.datasets
        (factor, index, offset), data = self.data
        theta = jnp.asarray(theta)
        own = theta / factor if index is None else theta[index] / factor + offset
        value = function(own, data) if with_data else function(own)  # type: ignore[operator]
        return jnp.asarray(value)[None] if jnp.ndim(value) == 0 else jnp.asarray(value)

    def stat(self, theta: Any) -> jax.Array:
        """The function's value, priors and penalties added; a scalar."""
        value = self.stat_array(theta)
        if value.shape != (1,):
            return value
        return value[0] + penalty_stat(self.structure.penalties, self.numbers, theta)

    def compact(self) -> Exact:
        """The same statistic as the batched solver takes it."""
        if self._compact is None:
            self._compact = Exact(jax.tree.unflatten(*jax.tree.flatten(self)[::-1]))
        return self._compact

    def scoring(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Value, gradient (P,) and the two parts of the Hessian (P, P)."""
        theta = jnp.asarray(theta)
        return Exact(self).scores(list(theta), (), tuple(range(theta.shape[0])))
