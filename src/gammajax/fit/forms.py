"""Both forms of the calls of `Fit`, and what all of them need."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from gammajax.closed import Closed, foreign_hint
from gammajax.errors import InputError
from gammajax.fit.resolve import as_datasets, is_datasets

__all__ = ["Settings", "either_form"]


def either_form(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let data sets come first, as in gammapy 2, or not at all, in the bound form."""

    @wraps(method)
    def call(self: "Settings", *args: Any, datasets: Any = None, **kwargs: Any) -> Any:
        if args and is_datasets(args[0]):
            if datasets is not None:
                raise InputError(f"{method.__name__}: data sets were given twice.")
            datasets, args = args[0], args[1:]
        elif args and (hint := foreign_hint(args[0])):
            raise InputError(f"{method.__name__}: expected data sets of gammajax.{hint}")
        return method(self, *args, datasets=as_datasets(datasets, self.datasets), **kwargs)

    return call


class Settings(Closed):
    """What the person set on a `Fit`."""

    _notes_allowed = True

    datasets: Any
    backend: str
    optimize_opts: dict
    confidence_opts: dict
    store_trace: bool

    def _settings(self, backend: str | None, optimize_opts: dict | None) -> tuple[str, dict]:
        options = dict(self.optimize_opts if optimize_opts is None else optimize_opts)
        chosen = options.pop("backend", None)
        return backend or chosen or self.backend, options
