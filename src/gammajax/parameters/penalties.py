"""Penalties on several parameters at once, and how priors and penalties reach a likelihood."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.errors import InputError
from gammajax.parameters.collection import Parameters
from gammajax.parameters.packing import place_of
from gammajax.parameters.parameter import Parameter
from gammajax.parameters.prior_functions import gaussian_penalty

__all__ = ["GaussianPenalty", "PriorStructure", "pack_priors", "prior_stat"]


class GaussianPenalty:
    r"""Multivariate normal prior without its constants, :math:`\lambda\,(x-\mu)^T C^{-1} (x-\mu)`, on the -2 ln L scale.

    A value that never changes; it holds the parameters themselves.

    Parameters
    ----------
    parameters : iterable of `Parameter`
        The n parameters; all numbers are in their units.
    mean : float or array, shape (n,)
        :math:`\mu`, zeros by default.
    covariance : array, shape (n, n)
        C, the unit matrix by default.
    weight : float
        :math:`\lambda`, gammapy's ``lambda_``.

    Raises
    ------
    InputError
        If the shapes do not fit, or C is not symmetric and positive definite.

    Examples
    --------
    >>> pars = [Parameter("a", 1.0), Parameter("b", 3.0)]
    >>> GaussianPenalty.from_diagonal(pars, sigma=[1, 2], mean=[0, 1]).stat()
    2.0
    """

    def __init__(self, parameters: Iterable[Parameter], mean: Any = None, covariance: Any = None, weight: float = 1.0):
        pars = list(parameters)
        matrix = np.eye(len(pars)) if covariance is None else _positive(covariance, len(pars), "covariance")
        self._fill(pars, mean, np.linalg.inv(matrix), weight)

    def _fill(self, parameters: list[Parameter], mean: Any, precision: np.ndarray, weight: float) -> None:
        n = len(parameters)
        if not parameters or not all(isinstance(p, Parameter) for p in parameters):
            raise InputError(f"GaussianPenalty: got parameters {parameters!r}, expected at least one Parameter.")
        centre = np.zeros(n) if mean is None else np.array(mean, dtype=float)
        if centre.shape not in ((), (n,)) or not np.all(np.isfinite(centre)):
            raise InputError(f"GaussianPenalty: got mean of shape {centre.shape}, expected {n} finite numbers, or one.")
        if not (np.isfinite(weight) and weight > 0):
            raise InputError(f"GaussianPenalty: got weight={weight!r}, expected a finite number above 0.")
        centre = np.broadcast_to(centre, (n,)).copy()
        centre.setflags(write=False)
        precision.setflags(write=False)
        self.parameters, self.mean, self.precision, self.weight = tuple(parameters), centre, precision, float(weight)

    @classmethod
    def from_precision(
        cls, parameters: Iterable[Parameter], precision: Any, mean: Any = None, weight: float = 1.0
    ) -> "GaussianPenalty":
        """From the inverse covariance, shape (n, n), which is kept to the last bit.

        Parameters
        ----------
        parameters : list of `Parameter`
            Parameters, n of them.
        precision : array, shape (n, n)
            Inverse covariance.
        mean : array, shape (n,), optional
            Their expected values, 0 if not given.
        weight : float
            Factor of the penalty.
        """
        new, pars = object.__new__(cls), list(parameters)
        new._fill(pars, mean, _positive(precision, len(pars), "precision"), weight)
        return new

    @classmethod
    def from_diagonal(
        cls, parameters: Iterable[Parameter], sigma: Any, mean: Any = None, weight: float = 1.0
    ) -> "GaussianPenalty":
        """From independent standard deviations, one number or shape (n,).

        Parameters
        ----------
        parameters : list of `Parameter`
            Parameters, n of them.
        sigma : float or array, shape (n,)
            Standard deviations.
        mean : array, shape (n,), optional
            Their expected values, 0 if not given.
        weight : float
            Factor of the penalty.
        """
        pars = list(parameters)
        with np.errstate(divide="ignore"):
            inverse = 1 / np.broadcast_to(np.asarray(sigma, dtype=float), (len(pars),)) ** 2
        return cls.from_precision(pars, np.diag(inverse), mean, weight)

    @classmethod
    def l2(cls, parameters: Iterable[Parameter], mean: Any = None, weight: float = 1.0) -> "GaussianPenalty":
        r"""Ridge, :math:`\lambda \sum_i (x_i-\mu_i)^2`.

        Parameters
        ----------
        parameters : list of `Parameter`
            Parameters, n of them.
        mean : array, shape (n,), optional
            Their expected values, 0 if not given.
        weight : float
            Factor of the penalty.
        """
        return cls.from_diagonal(parameters, 1.0, mean, weight)

    @classmethod
    def smoothness(cls, parameters: Iterable[Parameter], mean: Any = None, weight: float = 1.0) -> "GaussianPenalty":
        r"""Differences of neighbours, :math:`\lambda\,(d_1^2 + \sum_i (d_i-d_{i-1})^2 + d_n^2)` with :math:`d = x-\mu`.

        Parameters
        ----------
        parameters : list of `Parameter`
            Parameters, n of them.
        mean : array, shape (n,), optional
            Their expected values, 0 if not given.
        weight : float
            Factor of the penalty.
        """
        pars = list(parameters)
        n = len(pars)
        return cls.from_precision(pars, 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1), mean, weight)

    @property
    def covariance(self) -> np.ndarray:
        """C, shape (n, n)."""
        return np.linalg.inv(self.precision)

    def stat(self, x: Any = None, constants: bool = False) -> float:
        """The penalty at values x, shape (n,), in the units of the parameters; at the present ones if not given.

        Parameters
        ----------
        x : array, shape (n,), optional
            Values.
        constants : bool
            Add what does not depend on x, ln det(2 pi C) times `weight`; a likelihood goes without it, as gammapy does.
        """
        x = np.array([p.value for p in self.parameters]) if x is None else np.asarray(x, dtype=float)
        delta = x - self.mean
        rest = len(delta) * np.log(2 * np.pi) - np.linalg.slogdet(self.precision)[1] if constants else 0.0
        return float(self.weight * (delta @ self.precision @ delta + rest))

    def replace_parameters(self, made: dict[int, Parameter]) -> "GaussianPenalty":
        """Return the same penalty on other parameter objects, by the identity of the present ones.

        Parameters
        ----------
        made : dict
            New parameters by the `id` of the present ones.
        """
        pars = [made.get(id(p), p) for p in self.parameters]
        return GaussianPenalty.from_precision(pars, self.precision, self.mean, self.weight)

    def __repr__(self) -> str:
        return f"GaussianPenalty({', '.join(p.name for p in self.parameters)}, weight={self.weight:g})"


def _positive(matrix: Any, n: int, what: str) -> np.ndarray:
    """A matrix as float64, refused unless it is symmetric and positive definite, shape (n, n)."""
    out = np.array(matrix, dtype=float)
    if out.shape != (n, n):
        raise InputError(f"GaussianPenalty: got {what} of shape {out.shape}, expected ({n}, {n}) for {n} parameters.")
    # of the correlation: parameters of 1e-12 stand beside some of order one
    scale = np.sqrt(np.where(np.diag(out) > 0, np.diag(out), 1.0))
    if not np.all(np.isfinite(out)) or np.any(np.abs(out - out.T) > 1e-10 * np.outer(scale, scale)):
        raise InputError(f"GaussianPenalty: the {what} is not symmetric and finite.")
    if n and np.linalg.eigvalsh(out / np.outer(scale, scale))[0] <= 0:
        raise InputError(f"GaussianPenalty: the {what} is not positive definite.")
    return out


@dataclass(frozen=True)
class PriorStructure:
    """What is static of all priors and penalties: their functions and the positions in theta; hashable, no values."""

    priors: tuple[tuple[Callable[..., jax.Array], int], ...]
    penalties: tuple[tuple[int, ...], ...]


def pack_priors(
    parameters: Parameters, penalties: Iterable[GaussianPenalty] = ()
) -> tuple[PriorStructure, tuple[tuple[np.ndarray, ...], ...]]:
    """Priors of the unique parameters, and penalties, as static structure and arrays.

    Returns
    -------
    structure : `PriorStructure`
        Functions and positions in theta.
    arrays : tuple
        One (values, weight, factor, offset) for each prior: the parameter in its unit, in which the values are, is theta / factor +
        offset, where a linked one has that of its link. Then one (mean, precision, weight, factors, offsets) for each penalty.
        Arguments of `prior_stat`: other numbers compile nothing.
    """
    unique = list(parameters.unique_parameters)
    position = {id(p): i for i, p in enumerate(unique)}
    known = {id(p) for p in [*unique, *parameters]}
    priors: list[tuple[Callable[..., jax.Array], int]] = []
    arrays: list[tuple[np.ndarray, ...]] = []
    for p in [*unique, *parameters.followers]:
        if p.prior is not None:
            prior = p.prior.in_unit(p.unit)
            i, factor, offset = place_of(p, position)
            priors.append((type(prior).function, i))
            arrays.append((prior.values, np.array(prior.weight), np.array(factor), np.array(offset)))
    places = []
    for penalty in penalties:
        for p in penalty.parameters:
            if id(p) not in known:
                raise InputError(f"{penalty!r}: parameter {p.name!r} is in no model of the fit; drop the penalty.")
        index, factors, offsets = zip(*(place_of(p, position) for p in penalty.parameters), strict=True)
        places.append(index)
        arrays.append((penalty.mean, penalty.precision, np.array(penalty.weight), np.array(factors), np.array(offsets)))
    return PriorStructure(tuple(priors), tuple(places)), tuple(arrays)


def prior_stat(structure: PriorStructure, arrays: tuple, theta: jax.Array, constants: bool = True) -> jax.Array:
    """All priors and penalties added up, -2 ln; a pure function of theta (P,) in internal units and of the arrays."""
    total = jnp.zeros(())
    n = len(structure.priors)
    for (function, i), (values, weight, factor, offset) in zip(structure.priors, arrays[:n], strict=True):
        total = total + weight * function(theta[i] / factor + offset, *values, constants=constants)
    for index, (mean, precision, weight, factors, offsets) in zip(structure.penalties, arrays[n:], strict=True):
        total = total + weight * gaussian_penalty(theta[jnp.array(index)] / factors + offsets, mean, precision)
    return total
