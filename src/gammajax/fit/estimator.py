"""What all estimators share: sigmas, what is computed beside the value, and how they show themselves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammajax.closed import Closed
from gammajax.errors import InputError

__all__ = ["OPTIONAL", "Estimator"]

OPTIONAL = ("errn-errp", "ul", "scan")


class Estimator(Closed):
    """Base of the estimators; settings may be changed until `run`."""

    n_sigma: float
    n_sigma_ul: float
    selection: tuple[str, ...]

    def _set(self, selection_optional: Any, n_sigma: float, n_sigma_ul: float) -> None:
        self.selection_optional = selection_optional
        if not (n_sigma > 0 and n_sigma_ul > 0):
            raise InputError(f"n_sigma={n_sigma} and n_sigma_ul={n_sigma_ul}: expected numbers above 0.")
        self.n_sigma, self.n_sigma_ul = float(n_sigma), float(n_sigma_ul)

    @property
    def selection_optional(self) -> tuple[str, ...]:
        """What is computed beside the value, its error and the TS; "all", or some of "errn-errp", "ul" and "scan"."""
        return self.selection

    @selection_optional.setter
    def selection_optional(self, value: str | Sequence[str] | None) -> None:
        chosen = OPTIONAL if isinstance(value, str) and value == "all" else tuple(() if value is None else value)
        for name in chosen:
            if name not in OPTIONAL:
                raise InputError(f"selection_optional: unknown {name!r}; known are: {', '.join(OPTIONAL)}, or 'all'.")
        self.selection = chosen

    def __repr__(self) -> str:
        shown = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}
        return f"{type(self).__name__}({', '.join(f'{k}={_short(v)}' for k, v in shown.items())})"


def _short(value: Any) -> str:
    """Text of a setting; of many numbers the first digits."""
    return (
        f"[{', '.join(f'{v:.4g}' for v in value)}]"
        if isinstance(value, list) and value and isinstance(value[0], float)
        else repr(value)
    )
