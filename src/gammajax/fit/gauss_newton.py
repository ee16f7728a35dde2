"""The covariance of curve fitting: without the second derivatives of the model."""

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.judge import judge
from gammajax.fit.precision import is_chi2
from gammajax.fit.problem import Problem
from gammajax.fit.runner import covariance_of
from gammajax.likelihood import Likelihood
from gammajax.parameters import Covariance

__all__ = ["gauss_newton_covariance"]


def gauss_newton_covariance(likelihood: Likelihood) -> Covariance:
    """Covariance (J^T J)^-1 at the start of the likelihood; see `Fit.gauss_newton_covariance`."""
    if not is_chi2(likelihood):
        kinds = sorted({getattr(d, "statistic", "a function") for d in likelihood.structure.datasets})
        raise InputError(
            f"gauss_newton_covariance: got data sets with {', '.join(kinds)}, expected chi2 for all, a sum of squares; use "
            "fit.covariance(), from the exact Hessian."
        )
    problem = Problem(likelihood)
    x, i, scale = problem.start, problem.index, problem.scale
    verdict = judge(
        tuple(likelihood.names[k] for k in i), x, likelihood.lower[i] / scale, likelihood.upper[i] / scale, problem.stat(x),
        problem.gradient(x), problem.safe_hessian(x), False,
    )  # fmt: skip
    return covariance_of(likelihood, i, verdict.covariance * np.outer(scale, scale))
