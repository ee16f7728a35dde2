"""Derivatives of the flux of one model in its parameters, in as few traces and as few operations as there can be."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.likelihood.structure import Term
from gammajax.models.pieces import summed

__all__ = ["curvatures_of", "easy_slopes", "slopes_of"]

# parameters of one model by which it is differentiated at once; for fewer it costs more than it saves
MANY = 4


def _slope(f: Any, args: Sequence, k: int) -> jax.Array:
    """Derivative of f(args) in argument k, as a function of scalars: one tangent, no basis."""
    one = jnp.ones_like(args[k])
    return jax.jvp(lambda x: f([*args[:k], x, *args[k + 1 :]]), (args[k],), (one,))[1]


def slopes_of(form: Any, f: Any, args: Sequence, ks: Sequence[int]) -> dict[Any, jax.Array]:
    """Derivatives of f(args) in the arguments ks; f is the flux of a model of that form.

    Where there are many, all at once, which traces the function once more whatever their number. One by one, second derivatives of a smoothly
    broken power law take the compiler nine seconds instead of three. Sums are left: a parameter does nothing in the other terms.
    """
    if len(ks) < MANY or form.terms:
        return {k: _slope(f, args, k) for k in ks}
    function, values, tangents = _along(f, args, ks)
    found = jax.vmap(lambda v: jax.jvp(function, values, tangents(v))[1])(np.eye(len(ks)))
    return dict(zip(ks, found, strict=True))


def curvatures_of(form: Any, f: Any, args: Sequence, pairs: Sequence[tuple[int, int]]) -> dict[Any, jax.Array]:
    """Second derivatives of f(args) in pairs of arguments; see `slopes_of`."""
    ks = sorted({k for pair in pairs for k in pair})
    if len(pairs) < MANY * (MANY + 1) // 2 or form.terms:
        return {(k, q): _slope(lambda x, k=k: _slope(f, x, k), args, q) for k, q in pairs}
    function, values, tangents = _along(f, args, ks)

    def bend(first: Any, second: Any) -> Any:
        return jax.jvp(lambda *v: jax.jvp(function, v, tangents(first))[1], values, tangents(second))[1]

    basis = np.eye(len(ks))
    steps = (np.stack([basis[ks.index(pair[n])] for pair in pairs]) for n in (0, 1))
    return dict(zip(pairs, jax.vmap(bend)(*steps), strict=True))


def _along(f: Any, args: Sequence, places: Sequence[int]) -> tuple[Any, tuple, Any]:
    """The function f of some arguments alone, these, and a function that makes tangents of them from one number each."""
    ones = [jnp.ones_like(args[k]) for k in places]

    def function(*values: jax.Array) -> jax.Array:
        full = list(args)
        for k, v in zip(places, values, strict=True):
            full[k] = v
        return f(full)

    return function, tuple(args[k] for k in places), lambda v: tuple(v[n] * one for n, one in enumerate(ones))


def easy_slopes(term: Term, rule: Any, args: Sequence, slopes: Sequence[int]) -> dict[Any, jax.Array]:
    """Flux in the bins (None), and those of its derivatives that are the flux at the nodes times known functions of energy.

    By the place of one of the arguments `slopes`, or of two.
    """
    form = term.form
    wanted = [k for k in slopes if term.names[k] in form.log_linear]
    if form.log_slopes is None or not wanted or term.extras or getattr(rule, "mode", "") != "exact":
        return {}
    pairs = [(k, q) for k in wanted for q in wanted]

    def sums(args: list) -> list[jax.Array]:
        by_name = dict(zip(form.log_linear, form.log_slopes(rule.nodes, *args), strict=True))  # type: ignore[misc]
        u = {k: by_name[term.names[k]] for k in wanted}
        # computed once: the compiler would compute the exponentials anew for each of the sums
        values = jax.lax.optimization_barrier(form.evaluate(rule.nodes, *args) * rule.weights)
        first = [summed(values * u[k]) for k in wanted]
        return [summed(values), *first, *(summed(values * (u[k] * u[q])) for k, q in pairs)]

    own = [0 if jnp.ndim(a) > 0 else None for a in args]
    function = jax.vmap(sums, in_axes=(own,)) if 0 in own else sums
    return dict(zip([None, *wanted, *pairs], function(list(args)), strict=True))
