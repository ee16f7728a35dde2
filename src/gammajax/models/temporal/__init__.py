"""Temporal models: a factor on a spectrum that varies with time."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.models.temporal.base import TemporalModel, temporal_model_class
    from gammajax.models.temporal.form import TemporalForm, interval_integrals, mean_over, values_at
    from gammajax.models.temporal.known import TEMPORAL_MODELS
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
    "TemporalForm",
    "TemporalModel",
    "interval_integrals",
    "mean_over",
    "temporal_model_class",
    "values_at",
]

__getattr__, __dir__ = names_of(__name__)
