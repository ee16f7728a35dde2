"""Models: parameters to flux in each true-energy bin."""

from gammajax.models.function import FunctionModel, as_parameters
from gammajax.models.integrate import BinRule, SpectralForm, bin_rule, flux_per_bin
from gammajax.models.sky import FoVBackgroundModel, Models, SkyModel
from gammajax.models.source import Source
from gammajax.models.spectral import (
    Declared,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SpectralModel,
)
from gammajax.models.systematics import SystematicsModel

__all__ = [
    "BinRule",
    "Declared",
    "ExpCutoffPowerLawSpectralModel",
    "FoVBackgroundModel",
    "FunctionModel",
    "LogParabolaSpectralModel",
    "Models",
    "PowerLawSpectralModel",
    "SkyModel",
    "Source",
    "SpectralForm",
    "SpectralModel",
    "SystematicsModel",
    "as_parameters",
    "bin_rule",
    "flux_per_bin",
]
