"""Fits: optimiser backends, exact covariance, intervals, contours, and results that tell how it went."""

from gammajax.fit.confidence import ConfidenceResult
from gammajax.fit.contour import ContourResult, joint_probability
from gammajax.fit.fit import Fit
from gammajax.fit.flags import FitFlags
from gammajax.fit.result import FitResult

__all__ = ["ConfidenceResult", "ContourResult", "Fit", "FitFlags", "FitResult", "joint_probability"]
