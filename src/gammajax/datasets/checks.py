"""Checks of arrays at the boundary: name, shape, first bad bin and its value."""

import warnings
from typing import Any

import numpy as np

from gammajax.errors import DataError

__all__ = ["check_array", "check_counts", "check_positive", "warn_of_fractions"]


def check_array(values: Any, n: int, what: str) -> np.ndarray:
    """Finite float64 array of shape (n,); a scalar is spread."""
    array = np.array(values, dtype=float)
    if array.ndim == 0:
        array = np.full(n, float(array))
    if array.shape != (n,):
        raise DataError(f"{what} has shape {array.shape}, expected ({n},), one value per energy bin; check the axes.")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise DataError(f"{what}[{bad[0]}] is {array[bad[0]]}, expected finite values; {len(bad)} bins are affected.")
    return array


def check_counts(values: Any, n: int, what: str) -> np.ndarray:
    """Counts: finite and not negative; fractional ones are accepted, see `warn_of_fractions`."""
    array = check_array(values, n, what)
    bad = np.flatnonzero(array < 0)
    if len(bad):
        raise DataError(
            f"{what}[{bad[0]}] is {array[bad[0]]:g}, expected counts of at least 0; {len(bad)} bins are affected."
        )
    return array


def warn_of_fractions(name: str, **counts: np.ndarray) -> None:
    """Say once for a data set that counts are fractional: they are Asimov or weighted data."""
    found = {what: int(np.sum(values != np.round(values))) for what, values in counts.items()}
    parts = [f"{n} bins of {what}" for what, n in found.items() if n]
    if parts:
        warnings.warn(
            f"{name}: {' and '.join(parts)} hold fractional counts; they are used as they are (Asimov or weighted data), "
            "errors then are not those of a Poisson measurement.",
            stacklevel=3,
        )


def check_positive(values: Any, n: int, what: str) -> np.ndarray:
    """Finite and positive values."""
    array = check_array(values, n, what)
    bad = np.flatnonzero(array <= 0)
    if len(bad):
        raise DataError(f"{what}[{bad[0]}] is {array[bad[0]]:g}, expected values above 0.")
    return array
