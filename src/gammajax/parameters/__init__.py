"""Parameters: what a person edits, and the flat vector that everything below works on."""

from gammajax.parameters.collection import Parameters, find_parameter
from gammajax.parameters.covariance import Covariance, covariance_from_hessian
from gammajax.parameters.packing import ParameterTable, pack
from gammajax.parameters.parameter import Parameter, spaced_values
from gammajax.parameters.priors import (
    PRIORS,
    GaussianPrior,
    GaussianPriorPenalty,
    GeneralizedGaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Prior,
    UniformPrior,
)

__all__ = [
    "PRIORS",
    "Covariance",
    "GaussianPrior",
    "GaussianPriorPenalty",
    "GeneralizedGaussianPrior",
    "LogNormalPrior",
    "LogUniformPrior",
    "Parameter",
    "ParameterTable",
    "Parameters",
    "Prior",
    "UniformPrior",
    "covariance_from_hessian",
    "find_parameter",
    "pack",
    "spaced_values",
]
