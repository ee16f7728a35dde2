"""The value of a parameter that could be detected: the TS of data as the models predict them, others held."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.parameters import Parameter
from gammajax.progress import Bar

__all__ = ["asimov_ts", "parameter_sensitivity"]

DOUBLINGS = 60
RTOL = 1e-9


def asimov_ts(datasets: Sequence[Any], parameter: Parameter, null_value: float) -> Callable[[float], float]:
    r"""TS between two values of a parameter, in data that are what the models predict at the first of them.

    The counts are the predicted ones, whole or not, OFF counts those that were measured; all other parameters are held (Cowan et al.
    2011, Eur. Phys. J. C 71, 1554).

    Parameters
    ----------
    datasets : sequence of data set
        Spectra of counts, with models.
    parameter : `Parameter`
        A parameter of the models; its value is changed by each call.
    null_value : float
        Its value under the null hypothesis.

    Returns
    -------
    callable
        ``ts(value)``.
    """
    for d in datasets:
        if not hasattr(d, "set_counts"):
            raise InputError(
                f"sensitivity: {d.name!r} is a {type(d).__name__}; it is known for spectra of counts alone."
            )

    def ts(value: float) -> float:
        parameter.value = value
        predicted = [_asimov(d) for d in datasets]
        best = sum(d.stat_sum() for d in predicted)
        parameter.value = null_value
        return float(sum(d.stat_sum() for d in predicted) - best)

    return ts


def _asimov(dataset: Any) -> Any:
    new = dataset.copy(dataset.name)
    new._n_on = np.array(dataset.npred().data)
    new.models = dataset.models
    return new


def parameter_sensitivity(datasets: Sequence[Any], parameter: Parameter, null_value: float, n_sigma: float) -> float:
    """By how much a parameter must exceed its null value for a significance in Asimov data; nan where nothing in its limits has it.

    Parameters
    ----------
    datasets, parameter, null_value
        As in `asimov_ts`; the parameter keeps its value.
    n_sigma : float
        The significance, the square root of the TS.
    """
    kept = parameter.value
    asimov = asimov_ts(datasets, parameter, null_value)
    step = parameter.error if np.isfinite(parameter.error) and parameter.error > 0 else abs(kept - null_value) or 1.0
    with Bar(None, f"sensitivity to {parameter.name}", "evaluation") as bar:

        def above(value: float) -> float:
            found = asimov(value) - n_sigma**2
            bar.update()
            return found

        try:
            return _root(above, null_value, n_sigma * step, np.inf if np.isnan(parameter.max) else parameter.max)
        finally:
            parameter.value = kept


def _root(above: Callable[[float], float], null_value: float, step: float, top: float) -> float:
    """How far beyond the null value a function is 0; nan where it is not up to the top, or jumps there."""
    from scipy.optimize import brentq

    low = null_value
    for k in range(DOUBLINGS):
        high = min(null_value + step * 2.0**k, top)
        reached = above(high)
        if np.isnan(reached) or (high == top and reached < 0):
            return np.nan
        if reached >= 0:
            break
        low = high
    else:
        return np.nan
    while not np.isfinite(reached) and high - low > RTOL * abs(high):
        # beyond some value the null hypothesis is impossible
        middle = 0.5 * (low + high)
        reached = above(middle)
        low, high = (low, middle) if reached >= 0 else (middle, high)
        reached = above(high)
    if not np.isfinite(reached):
        return np.nan
    rtol = max(RTOL, 4 * np.finfo(float).eps)
    return float(brentq(above, low, high, xtol=RTOL * abs(high - null_value), rtol=rtol)) - null_value
