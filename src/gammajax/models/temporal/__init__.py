"""Temporal models: a factor on a spectrum that varies with time."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.models.temporal.base import TemporalModel
    from gammajax.models.temporal.form import TemporalForm, interval_integrals, mean_over, values_at
    from gammajax.models.temporal.known import (
        TEMPORAL_MODELS,
        ConstantTemporalModel,
        ExpDecayTemporalModel,
        GaussianTemporalModel,
        GeneralizedGaussianTemporalModel,
        LightCurveTemplateTemporalModel,
        LinearTemporalModel,
        PowerLawTemporalModel,
        SineTemporalModel,
        TemplatePhaseCurveTemporalModel,
        temporal_model_class,
    )

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
