"""Fits: optimiser backends, exact covariance, intervals, contours, and results that tell how it went."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.fit.confidence import ConfidenceResult, ConfidenceTable, UpperLimit
    from gammajax.fit.contour import ContourResult, joint_probability
    from gammajax.fit.each import EachResult
    from gammajax.fit.fit import Fit
    from gammajax.fit.flags import FitFlags
    from gammajax.fit.flux_estimator import FluxPointsEstimator
    from gammajax.fit.flux_points import FluxPoints
    from gammajax.fit.goodness import GoodnessOfFit
    from gammajax.fit.light_curve import LightCurveEstimator
    from gammajax.fit.nested import NestedTest
    from gammajax.fit.parameter_estimator import ParameterEstimate, ParameterEstimator
    from gammajax.fit.result import FitResult
    from gammajax.fit.starts import StartsResult

__all__ = [
    "ConfidenceResult",
    "ConfidenceTable",
    "ContourResult",
    "EachResult",
    "Fit",
    "FitFlags",
    "FitResult",
    "FluxPoints",
    "FluxPointsEstimator",
    "GoodnessOfFit",
    "LightCurveEstimator",
    "NestedTest",
    "ParameterEstimate",
    "ParameterEstimator",
    "StartsResult",
    "UpperLimit",
    "joint_probability",
]

__getattr__, __dir__ = names_of(__name__)
