"""Models: parameters to flux in each true-energy bin."""

from gammajax.models.integrate import BinRule, SpectralForm, bin_rule, flux_per_bin
from gammajax.models.sky import Models, SkyModel
from gammajax.models.spectral import (
    Declared,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SpectralModel,
)

__all__ = [
    "BinRule",
    "Declared",
    "ExpCutoffPowerLawSpectralModel",
    "LogParabolaSpectralModel",
    "Models",
    "PowerLawSpectralModel",
    "SkyModel",
    "SpectralForm",
    "SpectralModel",
    "bin_rule",
    "flux_per_bin",
]
