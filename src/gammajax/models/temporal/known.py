"""All temporal models in one place: who asks for one by name finds all."""

from gammajax.hooks import register_hook
from gammajax.models.temporal.base import TEMPORAL_MODELS, temporal_model_class
from gammajax.models.temporal.light_curve import LightCurveTemplateTemporalModel
from gammajax.models.temporal.models import (
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    GaussianTemporalModel,
    GeneralizedGaussianTemporalModel,
    LinearTemporalModel,
    PowerLawTemporalModel,
    SineTemporalModel,
)
from gammajax.models.temporal.phase_curve import TemplatePhaseCurveTemporalModel

__all__ = [
    "TEMPORAL_MODELS",
    "ConstantTemporalModel",
    "ExpDecayTemporalModel",
    "GaussianTemporalModel",
    "GeneralizedGaussianTemporalModel",
    "LightCurveTemplateTemporalModel",
    "LinearTemporalModel",
    "PowerLawTemporalModel",
    "SineTemporalModel",
    "TemplatePhaseCurveTemporalModel",
    "temporal_model_class",
]

register_hook("temporal models", lambda: TEMPORAL_MODELS)
