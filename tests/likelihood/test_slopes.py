"""Derivatives of a flux taken at once, one by one, and by JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.likelihood import slopes
from gammajax.likelihood.slopes import curvatures_of, slopes_of
from gammajax.models import PowerLawSpectralModel, SmoothBrokenPowerLawSpectralModel
from gammajax.units import double_precision

ENERGY = np.geomspace(0.1, 100, 7)
AT = (1.7, 2.8, 3e-11, 2.0, 1.0, 0.6)
PLACES = [0, 1, 3, 4, 5]
PAIRS = [(k, q) for m, k in enumerate(PLACES) for q in PLACES[: m + 1]]
FORM = SmoothBrokenPowerLawSpectralModel().form


def flux(args):
    return FORM.evaluate(ENERGY, *args)


@pytest.fixture(scope="module")
def exact():
    with double_precision():
        args = [jnp.asarray(a) for a in AT]
        return args, jax.jacfwd(flux)(args), jax.jacfwd(jax.jacfwd(flux))(args)


@pytest.mark.parametrize("many", [2, 99], ids=["at once", "one by one"])
def test_derivatives_are_those_of_jax(exact, many, monkeypatch):
    monkeypatch.setattr(slopes, "MANY", many)
    args, first, second = exact
    with double_precision():
        found, bent = slopes_of(FORM, flux, args, PLACES), curvatures_of(FORM, flux, args, PAIRS)
    assert (list(found), list(bent)) == (PLACES, PAIRS)
    # the same chain rule, added up in another order
    for k in PLACES:
        np.testing.assert_allclose(found[k], first[k], rtol=1e-12, atol=1e-12 * np.max(np.abs(first[k])))
    for k, q in PAIRS:
        np.testing.assert_allclose(bent[k, q], second[k][q], rtol=1e-11, atol=1e-12 * np.max(np.abs(second[k][q])))


def test_many_parameters_are_traced_together(exact):
    """What the compiler is given grows with the number of parameters, not with its square."""
    args, *_ = exact

    def equations(many, monkeypatch=pytest.MonkeyPatch):
        with monkeypatch.context() as patch, double_precision():
            patch.setattr(slopes, "MANY", many)
            return str(jax.make_jaxpr(lambda a: curvatures_of(FORM, flux, a, PAIRS))(args)).count("\n")

    assert equations(4) < 0.25 * equations(99)


def test_terms_of_a_sum_are_left_apart(exact, monkeypatch):
    """A parameter of one term does nothing in the others: no zeros are carried along."""
    monkeypatch.setattr(slopes, "MANY", 1)
    form = (PowerLawSpectralModel() + PowerLawSpectralModel()).form
    with double_precision():
        args = [jnp.asarray(a) for a in (2.0, 1e-12, 1.0, 3.0, 2e-12, 1.0)]
        jaxpr = jax.make_jaxpr(lambda a: slopes_of(form, lambda b: form.evaluate(ENERGY, *b), a, [0, 3]))(args)
    # nothing has a further axis for the parameters
    assert "[2,7]" not in str(jaxpr)
