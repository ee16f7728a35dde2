"""What the mathematics of a spectral model is, and the forms of sums, products and multiples of models.

Forms of compounds are made once for each pair of forms, so that equal structure is the very same form and one program.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np

__all__ = [
    "SpectralForm",
    "affine_form",
    "difference_form",
    "loose_form",
    "product_form",
    "scaled_form",
    "sum_form",
    "weighted_form",
]


@dataclass(frozen=True)
class SpectralForm:
    r"""What the mathematics of a spectral model is: static, hashable, no values.

    Attributes
    ----------
    evaluate : callable
        ``evaluate(energy, *parameters)``, a pure function of arrays; energy in TeV.
    names : tuple of str
        Parameter names in the order of the arguments.
    integral : callable, optional
        Closed form ``integral(lo, hi, *parameters)``.
    linear : tuple of str
        Parameters that the model is proportional to, each by itself.
    separable : tuple of str
        Parameters that enter by a factor each: with the others held, the model is a product of one function of energy and x for
        each x of them. Grids of two of them need few evaluations.
    log_linear : tuple of str
        Parameters that the logarithm of the model is linear in, each pair of them by terms of their own.
    log_slopes : callable, optional
        ``log_slopes(energy, *parameters)``: for each of `log_linear` the derivative of the logarithm, which it does not
        depend on; first and second derivatives then need no differentiation.
    constants : tuple of str
        Parameters that hardly anybody fits, a reference energy for one: programs treat them as constants while frozen.
    log_slope : float, optional
        The steepest \|d ln dnde / d ln E\| that a bin integral without closed form is made for. None where nothing is known:
        the integrals are then checked once, with `defaults`.
    local_slope : callable, optional
        ``local_slope(log_energy, *parameters)``: d ln dnde / d ln E at ln(E/TeV), of those of its factors whose parameters may make it
        steeper than `log_slope` says; over a range of energies steepest at an end. It chooses nodes before anything is compiled, by numbers and NumPy arrays, and
        says beside `steepness` where nothing is left.
    usual_slope : float
        How much of `log_slope` is for those factors.
    log_fall : float
        How steeply it falls far beyond a cut-off, where next to nothing is left, above `log_slope`; 0 for a model without cut-off.
        Nodes that never move are then denser towards the lower edges of bins.
    steepness : callable, optional
        ``steepness(energy, *parameters)``: d ln dnde / d ln E of a cut-off alone. Pieces whose nodes move with the parameters then
        end where nothing is left.
    least_nodes : int
        Fewest Gauss-Legendre nodes of a piece, where something narrower than any bin is to be resolved between breaks.
    breaks : callable, optional
        ``breaks(*parameters)``: a tuple of energies (TeV, its length the same always) at which the model has a kink or jumps;
        bins are cut there. ``evaluate`` takes the upper side of a jump at the break itself.
    cuts : callable, optional
        ``cuts(*parameters)``: energies like `breaks` at which nothing happens, but between which a narrow line or a sharp
        cut-off is smooth enough for `least_nodes`.
    nodes : tuple of float
        Break energies that never move, TeV: the nodes of a table.
    loose : tuple of float
        Such energies where the bins move over them, instead of `nodes`.
    power_between : bool
        Whether the model is a power law between its breaks and nodes: its integrals then are closed forms.
    terms : tuple
        Of a sum: for each term its factor, its form, and the positions of its parameters. Each is integrated by itself.
    energy_power : int
        Power of the energy that the model was multiplied with, for energy fluxes.
    gammapy_closed : bool, optional
        Whether gammapy integrates this model by a closed form; if not given, whether there is one here.
    defaults : tuple of float
        Default values of the parameters, for the check where `log_slope` is None.
    name : str
        Name for messages.
    """

    evaluate: Callable[..., jax.Array]
    names: tuple[str, ...]
    integral: Callable[..., jax.Array] | None = None
    linear: tuple[str, ...] = ()
    separable: tuple[str, ...] = ()
    log_linear: tuple[str, ...] = ()
    log_slopes: Callable[..., tuple] | None = None
    constants: tuple[str, ...] = ()
    log_slope: float | None = None
    # nodes only: the same model with or without them
    local_slope: Callable[..., Any] | None = field(default=None, metadata={"digest": False})
    usual_slope: float = field(default=0.0, metadata={"digest": False})
    log_fall: float = 0.0
    steepness: Callable[..., Any] | None = None
    least_nodes: int = 0
    breaks: Callable[..., tuple] | None = None
    cuts: Callable[..., tuple] | None = None
    nodes: tuple[float, ...] = ()
    loose: tuple[float, ...] = ()
    power_between: bool = False
    terms: tuple[tuple[float, "SpectralForm", tuple[int, ...]], ...] = ()
    # what multiplies is in `evaluate`
    energy_power: int = field(default=0, metadata={"digest": False})
    gammapy_closed: bool | None = None
    defaults: tuple[float, ...] = ()
    name: str = ""


# what integrals are made for where nothing is known
UNKNOWN_SLOPE = 40.0


def _slope(form: SpectralForm) -> float:
    return UNKNOWN_SLOPE if form.log_slope is None else form.log_slope


def _fall(form: SpectralForm) -> float:
    return form.log_fall or _slope(form)


def _joined(first: SpectralForm, second: SpectralForm) -> dict[str, Any]:
    """What sums and products have in common: the parameters of both, by names that are unique."""
    prefixed = [tuple(f"model{k}_{n}" for n in f.names) for k, f in ((1, first), (2, second))]
    constants = [tuple(f"model{k}_{n}" for n in f.constants) for k, f in ((1, first), (2, second))]
    unknown = first.log_slope is None or second.log_slope is None
    return {
        "names": prefixed[0] + prefixed[1],
        "constants": constants[0] + constants[1],
        "nodes": tuple(sorted({*first.nodes, *second.nodes})),
        "breaks": _united(first.breaks, second.breaks, len(first.names)),
        "cuts": _united(first.cuts, second.cuts, len(first.names)),
        "log_slope": None if unknown else _slope(first) + _slope(second),
        "local_slope": _steepest(first.local_slope, second.local_slope, len(first.names)),
        "usual_slope": first.usual_slope + second.usual_slope,
        "log_fall": _fall(first) + _fall(second) if first.log_fall or second.log_fall else 0.0,
        "steepness": _steepest(first.steepness, second.steepness, len(first.names)),
        "least_nodes": max(first.least_nodes, second.least_nodes),
        "defaults": first.defaults + second.defaults,
        "gammapy_closed": False,
    }


def _united(first: Callable | None, second: Callable | None, n: int) -> Callable[..., tuple] | None:
    """Energies of both, as a function of all parameters, of which the first n are those of the first."""
    if first is None and second is None:
        return None

    def energies(*parameters: Any) -> tuple:
        ours = first(*parameters[:n]) if first else ()
        theirs = second(*parameters[n:]) if second else ()
        return (*ours, *theirs)

    return energies


def _steepest(first: Callable | None, second: Callable | None, n: int) -> Callable[..., Any] | None:
    """Steepness of a product, as a function of the energy and all parameters, of which the first n are those of the first."""
    if first is None and second is None:
        return None

    def steepness(energy: Any, *parameters: Any) -> Any:
        ours = first(energy, *parameters[:n]) if first else 0.0
        theirs = second(energy, *parameters[n:]) if second else 0.0
        return ours + theirs

    return steepness


def _terms(form: SpectralForm, shift: int = 0) -> tuple[tuple[float, SpectralForm, tuple[int, ...]], ...]:
    """The terms of a form, itself where it is no sum; positions moved by `shift`."""
    own = form.terms or ((1.0, form, tuple(range(len(form.names)))),)
    return tuple((factor, f, tuple(shift + i for i in index)) for factor, f, index in own)


@lru_cache(maxsize=256)
def _added(first: SpectralForm, second: SpectralForm, sign: float) -> SpectralForm:
    n = len(first.names)

    def evaluate(energy: jax.Array, *parameters: jax.Array) -> jax.Array:
        return first.evaluate(energy, *parameters[:n]) + sign * second.evaluate(energy, *parameters[n:])

    terms = _terms(first) + tuple((sign * factor, f, index) for factor, f, index in _terms(second, n))
    return SpectralForm(evaluate, terms=terms, name="sum of models", **_joined(first, second))


def sum_form(first: SpectralForm, second: SpectralForm) -> SpectralForm:
    """Form of the sum of two models; proportional to no parameter, integrated term by term."""
    return _added(first, second, 1.0)


def difference_form(first: SpectralForm, second: SpectralForm) -> SpectralForm:
    """Form of the difference of two models; proportional to no parameter, integrated term by term."""
    return _added(first, second, -1.0)


@lru_cache(maxsize=256)
def product_form(first: SpectralForm, second: SpectralForm) -> SpectralForm:
    """Form of the product of two models; a product with a sum is the sum of the products."""
    n = len(first.names)

    def evaluate(energy: jax.Array, *parameters: jax.Array) -> jax.Array:
        return first.evaluate(energy, *parameters[:n]) * second.evaluate(energy, *parameters[n:])

    terms: tuple = ()
    if first.terms or second.terms:
        terms = tuple((a * b, product_form(f, g), i + j) for a, f, i in _terms(first) for b, g, j in _terms(second, n))
    return SpectralForm(
        evaluate,
        linear=tuple(f"model1_{name}" for name in first.linear) + tuple(f"model2_{name}" for name in second.linear),
        separable=tuple(f"model1_{n}" for n in first.separable) + tuple(f"model2_{n}" for n in second.separable),
        power_between=first.power_between and second.power_between,
        terms=terms,
        name="product of models",
        **_joined(first, second),
    )


def _bound(function: Callable | None, theta: tuple[float, ...]) -> Callable | None:
    """`function(..., *theta)` as a function of a norm that does not move its breaks."""
    return None if function is None else lambda norm: function(*theta)


@lru_cache(maxsize=256)
def scaled_form(form: SpectralForm, theta: tuple[float, ...]) -> SpectralForm:
    """Form of a norm times a model whose parameters have the values `theta` (internal units)."""

    def evaluate(energy: jax.Array, norm: jax.Array) -> jax.Array:
        return norm * form.evaluate(energy, *theta)

    def integral(lo: jax.Array, hi: jax.Array, norm: jax.Array) -> jax.Array:
        assert form.integral is not None
        return norm * form.integral(lo, hi, *theta)

    def local_slope(log_energy: Any, norm: Any) -> Any:
        assert form.local_slope is not None
        # one for each norm, although it has no say
        return form.local_slope(log_energy, *theta) + np.zeros(np.shape(norm))

    def steepness(energy: jax.Array, norm: jax.Array) -> Any:
        assert form.steepness is not None
        return form.steepness(energy, *theta)

    return SpectralForm(
        evaluate,
        ("norm",),
        integral=None if form.integral is None else integral,
        linear=("norm",),
        log_slope=form.log_slope,
        local_slope=None if form.local_slope is None else local_slope,
        usual_slope=form.usual_slope,
        log_fall=form.log_fall,
        steepness=None if form.steepness is None else steepness,
        least_nodes=form.least_nodes,
        breaks=_bound(form.breaks, theta),
        cuts=_bound(form.cuts, theta),
        nodes=form.nodes,
        power_between=form.power_between,
        terms=tuple((a, scaled_form(f, tuple(theta[i] for i in index)), (0,)) for a, f, index in form.terms),
        gammapy_closed=form.gammapy_closed,
        defaults=(1.0,),
        name=form.name,
    )


@lru_cache(maxsize=256)
def affine_form(form: SpectralForm, links: tuple[tuple[float, float], ...]) -> SpectralForm:
    """Form of a model whose parameters are factor times argument plus offset.

    Parameters
    ----------
    form : `SpectralForm`
        The model.
    links : tuple of (float, float)
        Factor and offset of each parameter, internal units; (1, 0) for the argument itself.
    """

    def moved(function: Callable | None, n: int) -> Callable | None:
        """The function with its arguments, of which the first n are no parameters, put through the links."""
        if function is None:
            return None
        return lambda *args: function(*args[:n], *(f * x + o for (f, o), x in zip(links, args[n:], strict=True)))

    evaluate = moved(form.evaluate, 1)
    assert evaluate is not None
    return replace(
        form,
        evaluate=evaluate,
        integral=moved(form.integral, 2),
        steepness=moved(form.steepness, 1),
        local_slope=moved(form.local_slope, 1),
        breaks=moved(form.breaks, 0),
        cuts=moved(form.cuts, 0),
        # with an offset the model is not proportional any more
        linear=tuple(n for n, (_, o) in zip(form.names, links, strict=True) if n in form.linear and o == 0),
        # its slopes are by other arguments
        log_linear=(),
        log_slopes=None,
        terms=tuple((a, affine_form(f, tuple(links[i] for i in index)), index) for a, f, index in form.terms),
        defaults=tuple((x - o) / f for (f, o), x in zip(links, form.defaults, strict=False)),
    )


@lru_cache(maxsize=256)
def loose_form(form: SpectralForm) -> SpectralForm:
    """The same for bins that move over the nodes of its tables: they are cuts then, which are looked for in each evaluation."""
    terms = tuple((a, loose_form(f), index) for a, f, index in form.terms)
    own = form.cuts
    if form.breaks is None and own is None:
        return replace(form, nodes=(), loose=form.nodes, terms=terms)

    def cuts(*parameters: Any) -> tuple:
        return (*form.nodes, *(own(*parameters) if own else ()))

    return replace(form, nodes=(), cuts=cuts if form.nodes else own, terms=terms)


def _times_energy(form: SpectralForm, energy: jax.Array, *parameters: jax.Array) -> jax.Array:
    return energy * form.evaluate(energy, *parameters)


@lru_cache(maxsize=256)
def weighted_form(form: SpectralForm) -> SpectralForm:
    """The form times the energy, for energy fluxes."""
    slope = form.local_slope
    return replace(
        form,
        evaluate=partial(_times_energy, form),
        energy_power=form.energy_power + 1,
        integral=None,
        local_slope=None if slope is None else lambda x, *parameters: 1.0 + slope(x, *parameters),
        terms=tuple((a, weighted_form(f), index) for a, f, index in form.terms),
        gammapy_closed=False,
    )
