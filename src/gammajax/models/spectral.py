"""All spectral models in one place: who asks for one by name finds all."""

from gammajax.hooks import register_hook
from gammajax.models.absorption import EBL_DATA_BUILTIN, EBLAbsorptionNormSpectralModel
from gammajax.models.base import Declared, SpectralModel
from gammajax.models.compound import CompoundSpectralModel, ScaleSpectralModel
from gammajax.models.cosmic_rays import create_cosmic_ray_spectral_model
from gammajax.models.crab import MeyerCrabSpectralModel, create_crab_spectral_model
from gammajax.models.curved import (
    GaussianSpectralModel,
    LogParabola2SpectralModel,
    LogParabolaNormSpectralModel,
    LogParabolaSpectralModel,
    SmoothBrokenPowerLawSpectralModel,
)
from gammajax.models.cutoffs import (
    ExpCutoffPowerLaw3FGLSpectralModel,
    ExpCutoffPowerLawNormSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    SuperExpCutoffPowerLaw4FGLDR3SpectralModel,
    SuperExpCutoffPowerLaw4FGLSpectralModel,
)
from gammajax.models.define import define_spectral_model
from gammajax.models.power_laws import (
    BrokenPowerLawSpectralModel,
    ConstantSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
)
from gammajax.models.registry import SPECTRAL_MODELS, spectral_model_class
from gammajax.models.tables import PiecewiseNormSpectralModel, TemplateSpectralModel

__all__ = [
    "EBL_DATA_BUILTIN",
    "SPECTRAL_MODELS",
    "BrokenPowerLawSpectralModel",
    "CompoundSpectralModel",
    "ConstantSpectralModel",
    "Declared",
    "EBLAbsorptionNormSpectralModel",
    "ExpCutoffPowerLaw3FGLSpectralModel",
    "ExpCutoffPowerLawNormSpectralModel",
    "ExpCutoffPowerLawSpectralModel",
    "GaussianSpectralModel",
    "LogParabola2SpectralModel",
    "LogParabolaNormSpectralModel",
    "LogParabolaSpectralModel",
    "MeyerCrabSpectralModel",
    "PiecewiseNormSpectralModel",
    "PowerLaw2SpectralModel",
    "PowerLawNormSpectralModel",
    "PowerLawSpectralModel",
    "ScaleSpectralModel",
    "SmoothBrokenPowerLawSpectralModel",
    "SpectralModel",
    "SuperExpCutoffPowerLaw3FGLSpectralModel",
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel",
    "SuperExpCutoffPowerLaw4FGLSpectralModel",
    "TemplateSpectralModel",
    "create_cosmic_ray_spectral_model",
    "create_crab_spectral_model",
    "define_spectral_model",
    "spectral_model_class",
]

register_hook("spectral models", lambda: SPECTRAL_MODELS)
