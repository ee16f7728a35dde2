"""All temporal models in one place: who asks for one by name finds all."""

from gammajax.hooks import register_hook
from gammajax.models.temporal import light_curve, models, phase_curve  # noqa: F401 - each joins when it is imported
from gammajax.models.temporal.base import TEMPORAL_MODELS

__all__ = ["TEMPORAL_MODELS"]

register_hook("temporal models", lambda: TEMPORAL_MODELS)
