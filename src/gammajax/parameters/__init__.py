"""Parameters: what a person edits, and the flat vector that everything below works on."""

from gammajax.parameters.collection import Parameters, find_parameter
from gammajax.parameters.covariance import Covariance, covariance_from_hessian, set_errors
from gammajax.parameters.joint_covariance import JointCovariance, joint_covariance, keep_joint
from gammajax.parameters.packing import ParameterTable, onto_limits, pack, place_of
from gammajax.parameters.parameter import Parameter, spaced_values
from gammajax.parameters.penalties import GaussianPenalty, PriorStructure, pack_priors, prior_stat
from gammajax.parameters.priors import (
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogNormalPrior,
    LogUniformPrior,
    Prior,
    UniformPrior,
    prior_classes,
)
from gammajax.parameters.sample_priors import SamplesKDEPrior
from gammajax.parameters.sampling import SampledParameters

__all__ = [
    "Covariance",
    "GaussianPenalty",
    "GaussianPrior",
    "GeneralizedGaussianPrior",
    "JointCovariance",
    "LogNormalPrior",
    "LogUniformPrior",
    "Parameter",
    "ParameterTable",
    "Parameters",
    "Prior",
    "PriorStructure",
    "SampledParameters",
    "SamplesKDEPrior",
    "UniformPrior",
    "covariance_from_hessian",
    "find_parameter",
    "joint_covariance",
    "keep_joint",
    "onto_limits",
    "pack",
    "pack_priors",
    "place_of",
    "prior_classes",
    "prior_stat",
    "set_errors",
    "spaced_values",
]
