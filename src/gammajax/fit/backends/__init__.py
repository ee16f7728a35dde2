"""Optimiser backends, one file each, by name."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from gammajax.errors import InputError
from gammajax.fit.backends.base import BackendResult, Counts, Objective, check_names

__all__ = ["BACKENDS", "BackendResult", "Counts", "Objective", "check_options", "get"]

# the module of each backend; imported when it is asked for, with the library it stands on
BACKENDS = {
    "minuit": "gammajax.fit.backends.minuit",
    "newton": "gammajax.fit.backends.newton",
    "optax": "gammajax.fit.backends.optax_descent",
    "scipy": "gammajax.fit.backends.scipy_minimize",
    "sherpa": "gammajax.fit.backends.sherpa_opt",
}


def _module(name: str) -> Any:
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}; known are: {', '.join(BACKENDS)}.")
    return import_module(BACKENDS[name])


def get(name: str) -> Callable[..., BackendResult]:
    """Return ``minimize(objective, **options)`` of a backend.

    Raises
    ------
    InputError
        For an unknown name, with the list of known ones.
    """
    return _module(name).minimize


def check_options(name: str, options: dict) -> None:
    """Refuse options that the backend does not know, without running it."""
    module = _module(name)
    known = module.known_options(options) if hasattr(module, "known_options") else module.OPTIONS
    check_names(options, known, f"backend {name!r}")
