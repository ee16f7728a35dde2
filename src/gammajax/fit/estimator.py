"""What all estimators share: sigmas, what is computed beside the value, and how they show themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gammajax.closed import Closed
from gammajax.errors import InputError

__all__ = ["OPTIONAL", "Estimator", "refuse_elsewhere"]

OPTIONAL = ("errn-errp", "ul", "scan", "sensitivity")

# arguments of gammapy's estimators that have no counterpart: values that ask for nothing, and why there is none
_ELSEWHERE: dict[str, tuple[tuple[Any, ...], str]] = {
    "n_jobs": ((None, 1), "all bins are one batch in one process, which uses its threads by itself"),
    "parallel_backend": ((None,), "all bins are one batch in one process, there is nothing to hand out"),
    "allow_multiple_telescopes": ((True,), "data sets are joined whatever their telescopes are; choose them before"),
    "fit": ((None,), "the strengths are found by Newton's method to rounding, there is no optimiser to be chosen"),
}


def refuse_elsewhere(kind: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse arguments that an estimator does not have, those of gammapy's with the reason.

    Parameters
    ----------
    kind : str
        Of the estimator, for messages.
    given : mapping of str to object
        Arguments and their values.
    known : sequence of str
        Arguments that there are.

    Raises
    ------
    InputError
        Unless all of them ask for what is done anyway.
    """
    for name, value in given.items():
        if name not in _ELSEWHERE:
            raise InputError(f"{kind}: unknown argument {name!r}; the arguments are {', '.join(known)}.")
        nothing, why = _ELSEWHERE[name]
        if not any(value is v or (type(value) is type(v) and value == v) for v in nothing):
            raise InputError(f"{kind}: got {name}={value!r}, but {why}; leave it out.")


class Estimator(Closed):
    """Base of the estimators; settings may be changed until `run`."""

    n_sigma: float
    n_sigma_ul: float
    n_sigma_sensitivity: float
    selection: tuple[str, ...]

    def _set(self, selection_optional: Any, n_sigma: float, n_sigma_ul: float, n_sigma_sensitivity: float) -> None:
        self.selection_optional = selection_optional
        if not (n_sigma > 0 and n_sigma_ul > 0 and n_sigma_sensitivity > 0):
            raise InputError(
                f"n_sigma={n_sigma}, n_sigma_ul={n_sigma_ul} and n_sigma_sensitivity={n_sigma_sensitivity}: expected numbers above 0."
            )
        self.n_sigma, self.n_sigma_ul = float(n_sigma), float(n_sigma_ul)
        self.n_sigma_sensitivity = float(n_sigma_sensitivity)

    @property
    def selection_optional(self) -> tuple[str, ...]:
        """What is computed beside the value, its error and the TS; "all", or some of "errn-errp", "ul", "scan" and "sensitivity"."""
        return self.selection

    @selection_optional.setter
    def selection_optional(self, value: str | Sequence[str] | None) -> None:
        chosen = OPTIONAL if isinstance(value, str) and value == "all" else tuple(() if value is None else value)
        # gammapy takes it in a list too
        chosen = OPTIONAL if "all" in chosen else chosen
        for name in chosen:
            if name not in OPTIONAL:
                raise InputError(f"selection_optional: unknown {name!r}; known are: {', '.join(OPTIONAL)}, or 'all'.")
        self.selection = chosen

    @property
    def tag(self) -> str:
        """Name of its class."""
        return type(self).__name__

    @property
    def config_parameters(self) -> dict[str, Any]:
        """Settings by name."""
        return {name.strip("_"): value for name, value in vars(self).items()}

    def copy(self) -> Any:
        """Return a copy, whose settings are its own."""
        from copy import deepcopy

        return deepcopy(self)

    def __repr__(self) -> str:
        shown = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self.config_parameters.items()}
        return f"{type(self).__name__}({', '.join(f'{k}={_short(v)}' for k, v in shown.items())})"


def _short(value: Any) -> str:
    """Text of a setting; of many numbers the first digits."""
    return (
        f"[{', '.join(f'{v:.4g}' for v in value)}]"
        if isinstance(value, list) and value and isinstance(value[0], float)
        else repr(value)
    )
