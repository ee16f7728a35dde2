"""gammajax: maximum-likelihood fits of gamma-ray data with models and likelihoods that are pure JAX functions."""

from gammajax import errors, io, stats
from gammajax.cache import enable_compilation_cache
from gammajax.datasets import Datasets, EnergyAxis, SpectrumDataset, SpectrumDatasetOnOff, XYDataset
from gammajax.fit import ConfidenceResult, ConfidenceTable, ContourResult, Fit, FitFlags, FitResult, UpperLimit
from gammajax.likelihood import Likelihood
from gammajax.models import (
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    FunctionModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
)
from gammajax.parameters import Covariance, Parameter, Parameters
from gammajax.scan import ScanResult
from gammajax.solve import Status

__version__ = "0.1.0"

__all__ = [
    "ConfidenceResult",
    "ConfidenceTable",
    "ContourResult",
    "Covariance",
    "Datasets",
    "EnergyAxis",
    "ExpCutoffPowerLawSpectralModel",
    "Fit",
    "FitFlags",
    "FitResult",
    "FoVBackgroundModel",
    "FunctionModel",
    "Likelihood",
    "LogParabolaSpectralModel",
    "Models",
    "Parameter",
    "Parameters",
    "PowerLawSpectralModel",
    "ScanResult",
    "SkyModel",
    "SpectrumDataset",
    "SpectrumDatasetOnOff",
    "Status",
    "SystematicsModel",
    "UpperLimit",
    "XYDataset",
    "enable_compilation_cache",
    "errors",
    "io",
    "stats",
]
