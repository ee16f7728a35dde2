"""The spectral models by class name and tag; a class joins when it is defined."""

from difflib import get_close_matches

from gammajax.errors import InputError, ModelError
from gammajax.hooks import hook

__all__ = ["SPECTRAL_MODELS", "register", "spectral_model_class"]

SPECTRAL_MODELS: dict[str, type] = {}


def register(cls: type, tags: tuple[str, ...]) -> None:
    """Add a class by its name and its tags; a user's class may be defined anew, a class of the library not.

    Raises
    ------
    ModelError
        If a name belongs to another model of the library, or a tag to another model.
    """
    if not cls.__module__.startswith("gammajax.models"):
        _load()
    for name in dict.fromkeys((cls.__name__, *tags)):
        other = SPECTRAL_MODELS.get(name)
        own = other is not None and other.__module__.startswith("gammajax.models")
        if other is not None and (own or other.__name__ != cls.__name__):
            raise ModelError(
                f"spectral model {cls.__name__!r}: the name {name!r} belongs to {other.__name__} already; choose another."
            )
    for name in (cls.__name__, *tags):
        SPECTRAL_MODELS[name] = cls


def spectral_model_class(name: str) -> type:
    """Class of a spectral model by its name or tag.

    Parameters
    ----------
    name : str
        Such as ``"PowerLawSpectralModel"`` or ``"pl"``.

    Raises
    ------
    InputError
        Listing the nearest names.

    Examples
    --------
    >>> spectral_model_class("pl").__name__
    'PowerLawSpectralModel'
    """
    if name not in SPECTRAL_MODELS:
        _load()
    if name in SPECTRAL_MODELS:
        return SPECTRAL_MODELS[name]
    lower = {known.lower(): known for known in SPECTRAL_MODELS}
    near = [lower[n] for n in get_close_matches(str(name).lower(), lower, n=3)]
    listed = f"did you mean {', '.join(near)}?" if near else f"known are: {', '.join(sorted(SPECTRAL_MODELS))}."
    raise InputError(f"unknown spectral model {name!r}; {listed}")


def _load() -> None:
    """Those of the library join when they are imported."""
    hook("spectral models")
