"""One table of backends, one of problems: a new backend joins by one row."""

import numpy as np
import pytest

from gammajax.errors import InputError
from gammajax.fit import backends
from gammajax.fit.backends import Objective

INF = np.inf


def quadratic(x):
    a = np.array([[2.0, 0.6], [0.6, 1.0]])
    d = x - np.array([1.0, -0.5])
    return float(d @ a @ d), 2 * a @ d, 2 * a


def rosenbrock(x):
    a, b = x
    value = 100 * (b - a * a) ** 2 + (1 - a) ** 2
    gradient = np.array([-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)])
    hessian = np.array([[1200 * a * a - 400 * b + 2, -400 * a], [-400 * a, 200.0]])
    return float(value), gradient, hessian


ENERGY = np.geomspace(1, 10, 12)
COUNTS = np.round(40 * ENERGY**-1.3)


def power_law_counts(x):
    """-2 ln L of Poisson counts for norm * E^-index; +inf for a negative norm."""
    norm, index = x
    if norm <= 0:
        return INF, np.full(2, np.nan), np.full((2, 2), np.nan)
    log_e = np.log(ENERGY)
    mu = 40 * norm * ENERGY**-index
    gradient = 2 * np.array([np.sum(mu - COUNTS) / norm, np.sum((COUNTS - mu) * log_e)])
    cross = -np.sum(mu * log_e) / norm
    hessian = 2 * np.array([[np.sum(COUNTS) / norm**2, cross], [cross, np.sum(mu * log_e**2)]])
    return float(2 * np.sum(mu - COUNTS * np.log(mu))), gradient, hessian


def saddle(x):
    """Zero gradient at the start, minima at +-1 in the second parameter."""
    a, b = x
    value = a * a + 0.25 * b**4 - 0.5 * b * b
    return float(value), np.array([2 * a, b**3 - b]), np.array([[2.0, 0.0], [0.0, 3 * b * b - 1]])


# function, start, lower, upper, minimum
PROBLEMS = {
    "quadratic": (quadratic, [3.0, 2.0], [-INF, -INF], [INF, INF], [1.0, -0.5]),
    "limit": (quadratic, [0.2, 0.0], [-1.0, -INF], [0.5, INF], [0.5, -0.2]),
    "rosenbrock": (rosenbrock, [-1.2, 1.0], [-INF, -INF], [INF, INF], [1.0, 1.0]),
    "counts": (power_law_counts, [3.0, 0.2], [-INF, -INF], [INF, INF], None),
}

# backend, options, tolerance of the value above the minimum, problems that it is not meant for
BACKENDS = {
    "newton": ("newton", {}, 1e-9, ()),
    "minuit": ("minuit", {"tol": 1e-6}, 1e-7, ("limit",)),
    "scipy Nelder-Mead": ("scipy", {"options": {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 2000}}, 1e-8, ()),
    "scipy L-BFGS-B": ("scipy", {"method": "L-BFGS-B", "options": {"ftol": 1e-15, "gtol": 1e-8}}, 1e-8, ()),
    "scipy TNC": (
        "scipy",
        {"method": "TNC", "options": {"maxfun": 2000, "gtol": 1e-9, "ftol": 1e-15}},
        1e-6,
        ("counts",),
    ),
    "scipy trust-constr": (
        "scipy",
        {"method": "trust-constr", "options": {"gtol": 1e-9, "maxiter": 3000}},
        1e-6,
        ("counts", "limit"),
    ),
    # no limits: these refuse the problem that has some
    "scipy BFGS": ("scipy", {"method": "BFGS", "options": {"gtol": 1e-7}}, 1e-8, ("limit",)),
    "scipy Newton-CG": ("scipy", {"method": "Newton-CG", "options": {"xtol": 1e-10}}, 1e-8, ("limit", "counts")),
    "scipy trust-exact": ("scipy", {"method": "trust-exact", "options": {"gtol": 1e-7}}, 1e-8, ("limit", "counts")),
    "optax lbfgs": ("optax", {"tol": 1e-10}, 1e-8, ()),
    # first-order descent crawls along the valley
    "optax adam": ("optax", {"method": "adam", "tol": 1e-9, "max_steps": 4000}, 1e-6, ("rosenbrock", "counts")),
    "optax nadam": ("optax", {"method": "nadam", "tol": 1e-9, "max_steps": 4000}, 1e-6, ("rosenbrock", "counts")),
    "sherpa simplex": ("sherpa", {"ftol": 1e-12}, 1e-6, ()),
    "sherpa moncar": ("sherpa", {"method": "moncar", "ftol": 1e-10}, 1e-5, ("limit",)),
}


def objective(name, **changes):
    function, start, lower, upper, _ = PROBLEMS[name]
    return Objective(
        **{
            "names": ("a", "b"),
            "start": np.array(start),
            "lower": np.array(lower),
            "upper": np.array(upper),
            "step": np.full(2, 0.3),
            "fun": lambda x: function(x)[0],
            "grad": lambda x: function(x)[1],
            "hess": lambda x: function(x)[2],
        }
        | changes
    )


def lowest(name):
    function, *_, minimum = PROBLEMS[name]
    if minimum is not None:
        return function(np.array(minimum))[0]
    from scipy.optimize import minimize

    return minimize(lambda x: function(np.array([np.exp(x[0]), x[1]]))[0], [0, 1], tol=1e-14).fun


def get(row):
    backend, options, tolerance, excluded = BACKENDS[row]
    if backend == "sherpa":
        pytest.importorskip("sherpa")
    return backends.get(backend), dict(options), tolerance, excluded


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("row", BACKENDS)
def test_minimum_is_found(row, problem):
    minimize, options, tolerance, excluded = get(row)
    if problem in excluded:
        pytest.skip(f"{row} is not meant for {problem}")
    o = objective(problem, trace=[])
    out = minimize(o, **options)
    assert out.success, out.message
    assert out.fun == pytest.approx(lowest(problem), abs=tolerance)
    assert np.all((out.x >= o.lower) & (out.x <= o.upper))
    assert o.counts.fun == len(o.trace) > 0
    assert min(v for v, _ in o.trace) <= out.fun + 1e-9
    assert len(out.message) > 5


def test_minuit_on_a_limit_comes_to_the_minimum_but_does_not_call_it_valid():
    """MIGRAD's internal sine has no slope at a limit, and its own EDM stays large; the value is right."""
    out = backends.get("minuit")(objective("limit"), tol=1e-6)
    assert out.fun == pytest.approx(lowest("limit"), abs=1e-7)
    assert not out.success
    assert "estimated distance to the minimum is too large" in out.message


def test_newton_leaves_a_saddle():
    function = saddle
    o = objective("quadratic", start=np.array([0.0, 0.0]), fun=lambda x: function(x)[0], grad=lambda x: function(x)[1], hess=lambda x: function(x)[2])  # fmt: skip
    out = backends.get("newton")(o)
    assert out.success
    assert out.fun == pytest.approx(-0.25, abs=1e-9)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown backend 'nlopt'; known are: minuit, newton, optax, scipy, sherpa"):
        backends.get("nlopt")
    for name, option in (("newton", "maxiter"), ("minuit", "tolerance"), ("scipy", "ftol"), ("optax", "steps")):
        with pytest.raises(InputError, match=f"backend '{name}': unknown option '{option}'; known are:"):
            backends.get(name)(objective("quadratic"), **{option: 1})


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("minuit", {"strategy": 5}, "strategy=5, expected 0, 1 or 2"),
        ("minuit", {"migrad_opts": {"calls": 3}}, "migrad_opts: unknown option 'calls'"),
        ("scipy", {"method": "simplex"}, "unknown method 'simplex'; known are: bfgs"),
        ("scipy", {"method": "L-BFGS-B", "options": {"fatol": 1}}, "Unknown solver options: fatol"),
        ("optax", {"method": "chain"}, "unknown method 'chain'"),
        ("optax", {"method": "adam", "method_opts": {"beta": 1}}, "beta"),
    ],
)
def test_wrong_options_are_refused(name, options, text):
    with pytest.raises(InputError, match=text):
        backends.get(name)(objective("quadratic"), **options)


def test_methods_without_limits_refuse_them():
    with pytest.raises(InputError, match=r"method 'BFGS' knows no limits, and a has some; .*use one of cobyla, cobyqa"):
        backends.get("scipy")(objective("limit"), method="BFGS")


def test_sherpa_options_and_residuals():
    pytest.importorskip("sherpa")
    minimize = backends.get("sherpa")
    with pytest.raises(InputError, match="unknown method 'newton'; known are: simplex, levmar, moncar, gridsearch"):
        minimize(objective("quadratic"), method="newton")
    with pytest.raises(InputError, match="method 'simplex': unknown option 'tol'; known are: "):
        minimize(objective("quadratic"), tol=1)
    with pytest.raises(InputError, match="method 'levmar': cash has bins below 0; use 'simplex'"):
        minimize(objective("quadratic", residuals_refused="cash has bins below 0"), method="levmar")
    # Rosenbrock is a sum of squares; levmar must be fed with them, not with the sum
    o = objective("rosenbrock", residuals=lambda x: np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]))
    out = minimize(o, method="levmar", ftol=1e-14)
    assert out.fun == pytest.approx(0, abs=1e-10)
    assert o.counts.residuals > 0
    out = minimize(objective("limit"), method="gridsearch", num=20, polish="simplex")
    assert out.fun == pytest.approx(lowest("limit"), abs=1e-5)


def test_missing_sherpa_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sherpa", None)
    with pytest.raises(
        InputError, match=r"sherpa is not installed; install the extra, pip install 'gammajax\[sherpa\]'"
    ):
        backends.get("sherpa")(objective("quadratic"))


def test_limits_of_calls_are_told():
    for name, options in (
        ("newton", {"max_iter": 1}),
        ("scipy", {"method": "L-BFGS-B", "options": {"maxiter": 1}}),
        ("optax", {"max_steps": 1}),
    ):
        out = backends.get(name)(objective("rosenbrock"), **options)
        assert not out.success
        assert out.call_limit, name


def cliff(x):
    """A minimum of 0 at (1, 1), and across a jump a slope that falls for ever, to 0 as slowly as it can."""
    a, b = x
    value = 50 * (a - 1) ** 2 + (b - a) ** 2 if a < 3 else 10 / (1 + np.log(a - 2)) + b * b
    return float(value), None, np.array([[102.0, -2.0], [-2.0, 2.0]])


def ravine():
    """A quadratic function of 8 parameters, oblique, with widths from 1 to 100; function and start."""
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    hessian = 2 * axes @ np.diag(np.geomspace(1, 1e4, 8)) @ axes.T

    def function(x):
        return float(0.5 * (x - 1) @ hessian @ (x - 1)), hessian @ (x - 1), hessian

    return function, np.full(8, 3.0), np.sqrt(2 / np.diag(hessian))


def of_function(function, start, step, **changes):
    return objective(
        "quadratic",
        names=tuple("abcdefgh"[: len(start)]),
        start=np.array(start),
        lower=np.full(len(start), -INF),
        upper=np.full(len(start), INF),
        step=np.array(step),
        fun=lambda x: function(x)[0],
        grad=lambda x: function(x)[1],
        hess=lambda x: function(x)[2],
        **changes,
    )


@pytest.mark.parametrize(("problem", "calls"), [((cliff, [2.0, 1.0], [1.0, 0.5]), 800), (ravine(), 4 * 1600)])
def test_nelder_mead_goes_on_where_its_calls_are_spent(problem, calls):
    """Once more with a smaller simplex, that does not lie across a jump, then along the axes of the ravine it is in."""
    from scipy.optimize import minimize

    o = of_function(*problem)
    simplex = np.vstack([o.start, o.start + 2 * np.diag(o.step)])
    alone = minimize(o.fun, o.start, method="Nelder-Mead", options={"initial_simplex": simplex})
    assert not alone.success
    out = backends.get("scipy")(o)
    assert out.success, out.message
    assert out.fun < 1e-6 < alone.fun
    assert o.counts.fun <= calls


def test_nelder_mead_keeps_to_limits_that_were_set():
    function, start, step = ravine()
    for options in ({"maxiter": 30}, {"maxfev": 60}, {"initial_simplex": np.vstack([start, start + np.diag(step)])}):
        o = of_function(function, start, step)
        out = backends.get("scipy")(o, options=options)
        assert out.call_limit
        assert o.counts.fun <= (1600 if "initial_simplex" in options else 80)


def test_nelder_mead_does_not_go_on_where_there_is_no_end():
    o = of_function(cliff, [2.0, 1.0], [1.0, 0.5], endless=lambda x: x[0] > 1e6)
    out = backends.get("scipy")(o)
    assert out.call_limit
    assert out.x[0] > 1e6
    assert o.counts.fun == 400


def test_options_are_checked_without_running():
    backends.check_options("minuit", {"tol": 1})
    with pytest.raises(InputError, match="unknown option 'tl'.*Did you mean 'tol'"):
        backends.check_options("minuit", {"tl": 1})
