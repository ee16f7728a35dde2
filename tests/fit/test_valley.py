"""Statistics that fall for ever along straight and bent valleys, and others that end in a minimum far away: which is which is proven."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax import Fit, Likelihood, Parameter, Status
from gammajax.fit import valley
from tests.problems import cut_off


def bent(rest):
    """A valley on which y is exp(-3 x), so that it ends with the numbers: `rest` is what is left at its bottom."""
    return lambda t: 50 * (jnp.log(jnp.maximum(t[1], 1e-320)) + 3 * t[0]) ** 2 + rest(t[0])


def power(x):
    """Falls everywhere, on the right like 5/x."""
    return 5 / (1 + jnp.logaddexp(0.0, x))


# what is left falls for ever, with the side of each parameter that grows
ENDLESS = {
    "bent, like an exponential": (bent(lambda x: jnp.exp(-0.3 * x)), (1.0, 1.0), {"x": "upper"}),
    "bent, like a power": (bent(power), (1.0, 1.0), {"x": "upper"}),
    # y = exp(x): both grow
    "bent, with a strength": (
        lambda t: 50 * (jnp.log(jnp.maximum(t[1], 1e-320)) - t[0]) ** 2 + power(t[0]),
        (1.0, 1.0),
        {"x": "upper", "y": "upper"},
    ),
    "straight, downwards": (lambda t: 50 * (t[1] - 2) ** 2 + power(-t[0]), (-1.0, 1.0), {"x": "lower"}),
    "oblique": (lambda t: 50 * (t[1] - 2 * t[0]) ** 2 + power(t[0]), (1.0, 1.0), {"x": "upper", "y": "upper"}),
}
# there is a minimum, of this value, here in x
ENDS = {
    "bent, a minimum further out": (bent(lambda x: power(x) + 1e-3 * x), (1.0, 1.0), np.sqrt(5e3) - 1),
    "bent, flat at first": (bent(lambda x: 1e-6 * (x - 40) ** 4), (1.0, 1.0), 40.0),
    "straight, a minimum at 1e5": (
        lambda t: 50 * (t[1] - 2) ** 2 + power(t[0]) + 5e-10 * t[0],
        (1.0, 1.0),
        1e5,
    ),
    "a bend of Rosenbrock's": (lambda t: (1e3 - t[0]) ** 2 + 1e-4 * (t[1] - t[0] ** 2) ** 2, (1.0, 1.0), 1e3),
}
FUNCTIONS = [row[0] for row in (*ENDLESS.values(), *ENDS.values())]
BACKENDS = {
    "newton": ("newton", {}),
    "minuit": ("minuit", {}),
    "scipy": ("scipy", {}),
    # stopped on the way
    "newton, few steps": ("newton", {"max_iter": 6}),
    "minuit, few calls": ("minuit", {"migrad_opts": {"ncall": 10}}),
    "scipy, few steps": ("scipy", {"options": {"maxiter": 8}}),
}


def switched(theta, data):
    return jax.lax.switch(data, FUNCTIONS, theta)


def fitted(name, row):
    function, start, _ = {**ENDLESS, **ENDS}[name]
    parameters = [Parameter(n, v) for n, v in zip("xy", start, strict=True)]
    backend, options = BACKENDS[row]
    likelihood = Likelihood.from_function(switched, parameters, jnp.asarray(FUNCTIONS.index(function)))
    return Fit(likelihood, backend=backend, optimize_opts=dict(options)).run()


@pytest.mark.parametrize(
    ("name", "row"),
    # with calls enough an oblique valley is followed to where its slope is rounding, which proves nothing
    [(name, row) for name in ENDLESS for row in BACKENDS if name != "oblique" or "few" in row],
)
def test_a_valley_without_end_is_a_run_away_and_nothing_else(name, row):
    result = fitted(name, row)
    sides = ENDLESS[name][2]
    assert result.status == Status.RUNAWAY, str(result)
    assert set(result.flags.runaway) == set(sides)
    assert {n: result.flags.sides[n] for n in result.flags.runaway} == sides
    assert not result.flags.call_limit
    assert not result.flags.stopped
    assert "limit of calls" not in str(result)
    for p in result.parameters:
        assert np.isnan(p.error) == (p.name in sides)
    # the end is far out, as far as there are numbers: exp(-3 x) of 1e-150
    assert abs(result.parameters["x"].value) > 100 or result.total_stat < 1e-3


@pytest.mark.parametrize("row", BACKENDS)
@pytest.mark.parametrize("name", ENDS)
def test_nothing_runs_away_where_there_is_a_minimum(name, row):
    result = fitted(name, row)
    assert not result.flags.runaway, str(result)
    if row == "newton" and "bent" not in name:
        # along these a thousand steps do not lead to the end
        assert result.success, str(result)
        assert result.parameters["x"].value == pytest.approx(ENDS[name][2], rel=1e-4)


@pytest.mark.parametrize("row", BACKENDS)
def test_a_cut_off_from_far_away_is_no_run_away(row):
    """The power law with exponential cut-off, from decades off, with few calls and with many."""
    backend, options = BACKENDS[row]
    result = Fit(cut_off(), backend=backend, optimize_opts=dict(options)).run()
    assert not result.flags.runaway, str(result)
    assert result.success == ("few" not in row)


def test_the_end_is_found_early():
    """A hundred and sixty steps of the thousand that there are, both attempts together."""
    result = fitted("bent, like a power", "newton")
    assert result.nfev <= 170
    assert result.message == "the function falls for ever"


def test_curvatures_without_an_inverse_end_a_valley(monkeypatch):
    """Scaled to order one they overflow; the search for a way down gave up with an error of LAPACK."""
    hessian = np.array([[1.0, 0.5, 0.0], [0.5, 1e-310, 1.0], [0.0, 1.0, 1e-310]])
    problem = SimpleNamespace(gradient=lambda x: np.full(3, 1e-3), hessian=lambda x: hessian)
    objective = SimpleNamespace(lower=np.full(3, -np.inf), upper=np.full(3, np.inf))
    monkeypatch.setattr(valley, "_descent", lambda problem, objective, x, held, steps: (x, 1.0, True))
    # as around every fit
    with np.errstate(over="ignore"):
        assert valley._place(problem, objective, np.ones(3), 0) is None
