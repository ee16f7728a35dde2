"""The one place where models, response, stats and data meet: a pure function of (theta, data)."""

from gammajax.likelihood.bound import Bound
from gammajax.likelihood.core import Likelihood
from gammajax.likelihood.evaluate import register
from gammajax.likelihood.structure import BinData, ResponseData, Structure

__all__ = ["BinData", "Bound", "Likelihood", "ResponseData", "Structure"]

register()
