"""The one place where models, response, stats and data meet: a pure function of (theta, data)."""

from gammajax.likelihood.core import Likelihood
from gammajax.likelihood.evaluate import register
from gammajax.likelihood.structure import ResponseData, SpectrumData

__all__ = ["Likelihood", "ResponseData", "SpectrumData"]

register()
