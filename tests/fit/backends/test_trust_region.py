"""Steps of the trust region against a search over the ball, and the native solver where plain Newton steps end nowhere."""

import numpy as np
import pytest

from gammajax.fit import backends
from gammajax.fit.backends import Objective
from gammajax.fit.backends.trust_region import region_step


def lowest_in_ball(gradient, curvature, radius):
    """Value of the best of many points of the disc, the rim included."""
    angle, length = np.meshgrid(np.linspace(0, 2 * np.pi, 20001), np.linspace(0, 1, 51) * radius)
    s = np.stack([length * np.cos(angle), length * np.sin(angle)])
    return float(np.min(np.einsum("i,iab->ab", gradient, s) + 0.5 * np.einsum("iab,ij,jab->ab", s, curvature, s)))


CASES = {
    "inside": ([0.3, -0.2], [[2.0, 0.5], [0.5, 1.0]], 3.0),
    "on the rim": ([3.0, -2.0], [[2.0, 0.5], [0.5, 1.0]], 0.5),
    "one direction down": ([0.4, 0.1], [[2.0, 0.0], [0.0, -1.0]], 1.0),
    "saddle, no slope": ([0.0, 0.0], [[2.0, 0.0], [0.0, -1.0]], 1.0),
    "saddle, slope along the other": ([0.4, 0.0], [[2.0, 0.0], [0.0, -1.0]], 1.0),
    "no curvature": ([0.4, 0.3], [[0.0, 0.0], [0.0, 0.0]], 2.0),
    "downwards everywhere": ([0.4, 0.3], [[-1.0, 0.2], [0.2, -3.0]], 2.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_step_is_the_lowest_in_the_ball(case):
    gradient, curvature, radius = np.array(case[0]), np.array(case[1]), case[2]
    step = region_step(gradient, curvature, radius)
    assert np.linalg.norm(step) <= radius * (1 + 1e-9)
    value = gradient @ step + 0.5 * step @ curvature @ step
    # the search over points is itself off by the square of their distance
    assert value == pytest.approx(lowest_in_ball(gradient, curvature, radius), abs=2e-3 * max(1, abs(value)))


def sum_of_squares(residuals, jacobian, curvatures, start, rounding=1e-15):
    """Objective for residuals r(x) (m,) with J (m, n) and second derivatives (m, n, n)."""
    n = len(start)

    def hess(x):
        j = jacobian(x)
        return 2 * (j.T @ j + np.einsum("m,mij->ij", residuals(x), curvatures(x)))

    return Objective(
        names=tuple("abcd"[:n]),
        start=np.array(start, dtype=float),
        lower=np.full(n, -np.inf),
        upper=np.full(n, np.inf),
        step=np.full(n, 0.3),
        fun=lambda x: float(np.sum(residuals(x) ** 2)),
        grad=lambda x: 2 * jacobian(x).T @ residuals(x),
        hess=hess,
        safe_hess=lambda x: 2 * jacobian(x).T @ jacobian(x),
        noise=lambda f: 2 * np.sqrt(f) * rounding + rounding**2,
        unit=lambda f: float(np.clip(f, 1e3 * rounding**2, 1.0)),
    )


X = np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0])
SATURATION = 200 * (1 - np.exp(-0.5 * X)) + np.array([3.0, -4.0, 2.0, 5.0, -6.0, 1.0])


def saturating(start):
    """y = a (1 - exp(-b x)): from a small start steps lead to large b, where b has no effect any more."""

    def jacobian(p):
        e = np.exp(-p[1] * X)
        return np.stack([1 - e, p[0] * X * e], axis=1)

    def curvatures(p):
        e = np.exp(-p[1] * X)
        return np.array([[[0, x * k], [x * k, -p[0] * x * x * k]] for x, k in zip(X, e, strict=True)])

    return sum_of_squares(lambda p: p[0] * (1 - np.exp(-p[1] * X)) - SATURATION, jacobian, curvatures, start)


@pytest.mark.parametrize("start", [(1.0, 1.0), (100.0, 0.75), (5.0, 3.0), (1000.0, 0.01)])
def test_far_starts_of_a_sum_of_squares(start):
    from scipy.optimize import curve_fit

    o = saturating(start)
    # a trial far below 0 overflows, as it does in JAX without a warning
    with np.errstate(all="ignore"):
        out = backends.get("newton")(o)
    best, _ = curve_fit(lambda x, a, b: a * (1 - np.exp(-b * x)), X, SATURATION, [200, 0.5], xtol=1e-15, ftol=1e-15)
    assert out.success, out.message
    # scipy stops where differences of the sum end, at about 1e-8
    np.testing.assert_allclose(out.x, best, rtol=1e-6)
    assert o.counts.fun < 60


def test_residuals_of_zero_end_at_rounding():
    """Exact data: the value falls to 1e-30, and the parameters are exact although every decrease is far below 1e-10."""
    a = np.vander(np.linspace(0, 1, 8), 3)
    truth = np.array([1e-3, -2e-3, 5e-4])
    # as for data sets: four units in the last place of what is measured
    rounding = 4 * np.finfo(float).eps * np.linalg.norm(a @ truth**3)
    o = sum_of_squares(
        lambda p: a @ p**3 - a @ truth**3, lambda p: a * (3 * p**2), lambda p: np.einsum("mi,ij->mij", a, np.diag(6 * p)),
        [2e-3, -1e-3, 1e-3], rounding=rounding,
    )  # fmt: skip
    out = backends.get("newton")(o)
    assert out.success, out.message
    np.testing.assert_allclose(out.x, truth, rtol=1e-9)


def test_a_fit_that_ends_nowhere_is_no_success():
    """exp(-a): it falls for ever."""
    o = sum_of_squares(
        lambda p: np.exp(-p), lambda p: -np.exp(-p)[:, None], lambda p: np.exp(-p)[:, None, None], [0.0], rounding=1e-8
    )
    o.unit = lambda f: 1.0
    out = backends.get("newton")(o, max_iter=5)
    assert not out.success
    assert out.call_limit
