"""What a likelihood is made of: arrays, and what is static about them; and how they predict counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.likelihood.statistics import STATISTICS, Statistic
from gammajax.models import BinRule, SpectralForm, TemporalForm, flux_per_bin, mean_over
from gammajax.response import fold

__all__ = [
    "BinData",
    "DatasetStructure",
    "Labels",
    "Place",
    "Points",
    "ResponseData",
    "Structure",
    "Term",
    "Timed",
    "per_bin",
    "positions",
    "shape",
    "shapes",
    "signal",
    "taken",
]

# the place of the response matrix among what a term is folded with; diagonals are counted from 0
MATRIX = -1
# factor and offset of a parameter that follows no other
DIRECT = (1.0, 0.0)
# where an argument of a model is in theta: one place, or in a group of data sets one for each where they differ, see `groups`
Place = int | tuple[int, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Points:
    """Where a model is evaluated, not integrated.

    Attributes
    ----------
    at : array, shape (n_points,) or (n_points, n_variables)
        Energies (TeV), or whatever the model is a function of.
    """

    at: Any

    def take(self, indices: Any) -> "Points":
        """Those points, in that order."""
        return Points(self.at[indices])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Timed:
    """How a model that varies in time is integrated.

    Attributes
    ----------
    rule : `BinRule` or `Points`
        Over the energy.
    times : array, shape (4, n)
        Good time intervals in the model's time scale; see `GTI.mjd`. Of a group of data sets (members, 4, n).
    """

    rule: Any
    times: Any

    def take(self, indices: Any) -> "Timed":
        """The same for those bins or points, in that order."""
        return Timed(self.rule.take(indices), self.times)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ResponseData:
    """What turns the models of one data set into what is measured, as arrays.

    Attributes
    ----------
    exposure : array, shape (n_true,), or None
        cm2 s; None where no model is folded, and in a group of data sets.
    edisp : array, shape (n_true, n_reco), or None
        Dispersion; in a group of data sets times the exposure, see `groups`.
    diagonals : tuple of array, shape (n_reco,)
        Factors, bin by bin, of the models that are evaluated at points: a background, or 1.
    rules : tuple of `BinRule`, `Points` or `Timed`
        How the models are integrated over the true-energy bins, or where they are evaluated.
    """

    exposure: Any
    edisp: Any
    diagonals: tuple[Any, ...]
    rules: tuple[BinRule | Points | Timed, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BinData:
    """Arrays of one data set, as the compiled functions take them.

    Attributes
    ----------
    values : dict of str to array, shape (n_reco,)
        What its statistic takes; harmless numbers in masked bins.
    mask : array of bool, shape (n_reco,)
        Bins in the fit.
    response : `ResponseData`
        Exposure, dispersion, diagonals and rules.
    """

    values: dict[str, Any]
    mask: Any
    response: ResponseData


@dataclass(frozen=True)
class Term:
    """One source in one data set.

    Attributes
    ----------
    form : `SpectralForm`
        Its mathematics.
    index : tuple of `Place`
        Where its parameters are in theta, those of `extras` last.
    rule : int
        Which rule integrates it.
    fold : int
        -1 for the response matrix, otherwise the number of the diagonal.
    extras : tuple of {"effective_area", "energy_scale"}
        Systematics of the data set that act on it.
    temporal : `TemporalForm`, optional
        Its variation in time; its parameters are between those of `form` and those of `extras`.
    links : tuple of (float, float)
        Factor and offset between theta and each of `extras`.
    """

    form: SpectralForm
    index: tuple[Place, ...]
    rule: int
    fold: int = MATRIX
    extras: tuple[str, ...] = ()
    temporal: TemporalForm | None = None
    links: tuple[tuple[float, float], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arguments."""
        temporal = () if self.temporal is None else tuple(f"temporal_{n}" for n in self.temporal.names)
        return self.form.names + temporal + self.extras

    @property
    def constants(self) -> tuple[str, ...]:
        """Those of them that hardly anybody fits."""
        temporal = () if self.temporal is None else tuple(f"temporal_{n}" for n in self.temporal.constants)
        return self.form.constants + temporal


@dataclass(frozen=True)
class DatasetStructure:
    """What is static about one data set.

    Attributes
    ----------
    terms : tuple of `Term`
        Its sources.
    clip : bool
        Whether negative predictions are cut off (gammapy).
    statistic : str
        Which of `STATISTICS`.
    alpha : `Place`, optional
        Position in theta of a factor on alpha.
    alpha_link : (float, float)
        Factor and offset between theta and that.
    """

    terms: tuple[Term, ...]
    clip: bool = False
    statistic: str = "wstat"
    alpha: Place | None = None
    alpha_link: tuple[float, float] = DIRECT

    def alpha_factor(self, theta: Any) -> Any:
        """The factor on alpha, 1 where there is none; one for each data set of a group where they differ."""
        return 1.0 if self.alpha is None else linked(taken(theta, self.alpha), self.alpha_link)

    @property
    def stat(self) -> Statistic:
        """The statistic's functions."""
        return STATISTICS[self.statistic]


@dataclass(frozen=True)
class Structure:
    """What is static about a likelihood: its data sets, and the functions that are added to their statistic.

    Attributes
    ----------
    datasets : tuple of `DatasetStructure`
        In the order of the data.
    penalties : tuple of (callable, tuple of int)
        Priors and penalties: a function of some parameters and its own numbers, and the positions of those parameters.
    """

    datasets: tuple[DatasetStructure, ...]
    penalties: tuple[Any, ...] = field(default=())

    def __hash__(self) -> int:
        # taken once: programs are looked up by it in every call, and it goes through all models
        found = self.__dict__.get("_hash")
        if found is None:
            found = hash((self.datasets, self.penalties))
            object.__setattr__(self, "_hash", found)
        return found

    def __getstate__(self) -> dict:
        """Without the hash, which is another one in another process."""
        return {"datasets": self.datasets, "penalties": self.penalties}

    @property
    def penalised(self) -> frozenset[int]:
        """Positions of all parameters with a prior or a penalty."""
        return frozenset(i for p in self.penalties for i in p.index)


class Labels:
    """Names and units: carried along, equal to any others of as many parameters, so that renaming compiles nothing."""

    def __init__(self, **names: tuple[str, ...]) -> None:
        self.names = names

    def __eq__(self, other: object) -> bool:
        # a program is kept with the labels it was first made for, which are asked how many there are
        return isinstance(other, Labels) and self._n == other._n

    def __hash__(self) -> int:
        return self._n

    @property
    def _n(self) -> int:
        return len(self.names.get("names", ()))


def linked(value: Any, link: tuple[float, float]) -> Any:
    """The value of a parameter by its link."""
    return value if link == DIRECT else link[0] * value + link[1]


def positions(place: Place) -> tuple[int, ...]:
    """All positions of an argument."""
    return place if isinstance(place, tuple) else (place,)


def taken(theta: Any, place: Place) -> Any:
    """An argument, a scalar; shape (members,) where each data set of a group has its own."""
    if not isinstance(place, tuple):
        return theta[place]
    if isinstance(theta, Sequence):
        return jnp.stack([jnp.asarray(theta[i]) for i in place])
    return theta[np.array(place)]


def per_bin(value: Any, n_bins: int) -> Any:
    """What each data set of a group has of its own, shape (members,), for each of their bins; a scalar as it is."""
    members = jnp.shape(value)
    if not members:
        return value
    return jnp.broadcast_to(value[:, None], (*members, n_bins // members[0])).reshape(n_bins)


def shape(term: Term, rule: BinRule | Points | Timed, args: Sequence) -> jax.Array:
    r"""What one source is before it is folded: flux in each true-energy bin, cm-2 s-1, or values at points.

    Systematics: with an energy scale s the measured spectrum is :math:`\tilde\phi(E) = \phi(E/s)/s`, so that the integral
    over a bin is that between the edges divided by s. A source that varies in time is multiplied with the mean of its temporal
    model over the good time intervals.
    """
    n = len(term.form.names)
    m = n + (0 if term.temporal is None else len(term.temporal.names))
    parameters = args[:n]
    extras = {n: linked(x, link) for n, x, link in zip(term.extras, args[m:], term.links, strict=True)}
    factor = extras.get("effective_area")
    if isinstance(rule, Timed):
        assert term.temporal is not None
        mean = mean_over(term.temporal, rule.times, args[n:m])
        factor = mean if factor is None else factor * mean
        inner: BinRule | Points = rule.rule
    else:
        inner = rule
    if "energy_scale" in extras:
        scale = extras["energy_scale"]
        # edges, nodes and weights are all energies
        inner = jax.tree.map(lambda a: a / scale, inner)
        # the energy that an energy flux is weighted with is the measured one
        power = term.form.energy_power - (1 if isinstance(inner, Points) else 0)
        if power:
            factor = (1.0 if factor is None else factor) * scale**power
    values = (
        term.form.evaluate(inner.at, *parameters)
        if isinstance(inner, Points)
        else flux_per_bin(term.form, inner, parameters)
    )
    return values if factor is None else factor * values


def shapes(term: Term, rule: BinRule | Points | Timed, args: Sequence) -> jax.Array:
    """The same in a group of data sets: flux, shape (members, n_true) where an argument or the times are each one's own."""
    own = [jnp.ndim(a) > 0 for a in args]
    times = rule.times if isinstance(rule, Timed) and jnp.ndim(rule.times) == 3 else None
    if times is None and not any(own):
        return shape(term, rule, args)
    members = len(next(a for a, o in zip(args, own, strict=True) if o)) if times is None else times.shape[0]
    inner: Any = rule.rule if isinstance(rule, Timed) else rule
    axes: Any = None
    if points := isinstance(inner, Points):
        # each has its own points; the bins of true energy are the same
        inner, axes = Points(inner.at.reshape(members, -1, *inner.at.shape[1:])), 0
    n = inner.at.shape[1] if points else inner.lo.shape[0]
    if isinstance(rule, Timed):
        inner, axes = Timed(inner, rule.times), Timed(axes, None if times is None else 0)

    def one(rule: Any, args: list) -> jax.Array:
        return jnp.broadcast_to(shape(term, rule, args), (n,))

    values = jax.vmap(one, in_axes=(axes, [0 if o else None for o in own]))(inner, list(args))
    return values.reshape(-1) if points else values


def signal(structure: DatasetStructure, response: ResponseData, theta: Any, only: Any = None) -> jax.Array:
    """Prediction of all sources in each reconstructed bin, shape (n_reco,).

    Parameters
    ----------
    structure : `DatasetStructure`
        Static part.
    response : `ResponseData`
        Arrays.
    theta : array, shape (P,)
        Parameters, internal units.
    only : {"matrix", "diagonal"}, optional
        Only the sources folded in this way: those of the sky, or those of the background.
    """
    flux, parts = None, []
    for term in structure.terms:
        args = [taken(theta, i) for i in term.index]
        rule = response.rules[term.rule]
        if term.fold != MATRIX:
            if only != "matrix":
                parts.append(shapes(term, rule, args) * response.diagonals[term.fold])
        elif only != "diagonal":
            if response.edisp.ndim == 2 and any(jnp.ndim(a) > 0 for a in args):
                # the one argument that differs multiplies counts as well as flux
                k0 = next(k for k, n in enumerate(term.form.names) if n in term.form.linear)
                strength, args[k0] = args[k0], jnp.ones(())
                counts = folded(shapes(term, rule, args), response)
                parts.append(per_bin(strength, counts.shape[-1]) * counts)
                continue
            values = shapes(term, rule, args)
            flux = values if flux is None else flux + values
    if flux is not None:
        parts.insert(0, folded(flux, response))
    if not parts:
        return jnp.zeros(_n_reco(response))
    total = sum(parts[1:], start=parts[0])
    return jnp.maximum(total, 0.0) if structure.clip and only != "diagonal" else total


def folded(flux: jax.Array, response: ResponseData) -> jax.Array:
    """Counts from flux, shape ([members,] n_true), all bins in one row."""
    if response.exposure is not None:
        return fold(flux, response.exposure, response.edisp)
    if response.edisp.ndim == 2:
        return flux @ response.edisp
    members, n_true, _ = response.edisp.shape
    return jnp.matmul(jnp.broadcast_to(flux, (members, n_true))[:, None], response.edisp).reshape(-1)


def _n_reco(response: ResponseData) -> int:
    if response.edisp is None:
        return response.diagonals[0].shape[0]
    return int(np.prod(response.edisp.shape) // response.edisp.shape[-2])
