"""What a single data set asks for: its predictions and its statistic, with the present values of its models."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gammajax.datasets import SpectrumDatasetOnOff
from gammajax.datasets.registry import register_evaluator
from gammajax.likelihood.build import response_data
from gammajax.likelihood.structure import signal
from gammajax.stats import wstat, wstat_mu_bkg
from gammajax.units import double_precision

__all__ = ["register"]

_signal_program = jax.jit(signal, static_argnums=0)
_background_program = jax.jit(wstat_mu_bkg)
_wstat_program = jax.jit(wstat)


def _npred_signal(dataset: SpectrumDatasetOnOff) -> np.ndarray:
    sources = [m for m in (dataset.models or []) if m.shows_in(dataset.name)]
    if dataset.models is None or not sources:
        return np.zeros(len(dataset.counts.data))
    parameters = dataset.models.parameters.unique_parameters
    theta = np.array([p.value * p.factor for p in parameters])
    response, structure = response_data(dataset, sources, {id(p): i for i, p in enumerate(parameters)})
    with double_precision():
        return np.asarray(_signal_program(structure, response, theta))


def _npred_background(dataset: SpectrumDatasetOnOff) -> np.ndarray:
    alpha, mu_sig = dataset.alpha.data, _npred_signal(dataset)
    safe = np.where(alpha > 0, alpha, 1.0)
    with double_precision():
        mu = np.asarray(_background_program(dataset.counts.data, dataset.counts_off.data, safe, mu_sig))
    return np.where(alpha > 0, alpha * mu, 0.0)


def _stat_array(dataset: SpectrumDatasetOnOff) -> np.ndarray:
    alpha, mask = dataset.alpha.data, dataset.mask.data
    mu_sig = np.where(mask, _npred_signal(dataset), 1.0)
    safe = np.where(alpha > 0, alpha, 1.0)
    with double_precision():
        stat = np.asarray(_wstat_program(dataset.counts.data, dataset.counts_off.data, safe, mu_sig))
    return np.where(mask, stat, 0.0)


_offered: dict[str, Callable[..., Any]] = {
    "npred_signal": _npred_signal,
    "npred_background": _npred_background,
    "stat_array": _stat_array,
}


def register() -> None:
    """Let the methods of the data sets find these functions."""
    for name, function in _offered.items():
        register_evaluator(name, function)
