"""Simulated counts."""

from typing import Any

import numpy as np

from gammajax.datasets.axes import EnergyMap
from gammajax.datasets.checks import check_array
from gammajax.errors import InputError

__all__ = ["fake", "random_generator"]


def random_generator(random_state: Any) -> np.random.Generator:
    """Generator from a seed, or the one that came; refuses to draw a seed by itself."""
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer | np.random.Generator):
        raise InputError(f"fake: got random_state={random_state!r}, expected a seed (int) or a numpy.random.Generator.")
    return np.random.default_rng(random_state)


def fake(dataset: Any, random_state: int | np.random.Generator, npred_background: Any = None) -> None:
    """Replace the ON and OFF counts of a data set by a Poisson simulation of its models.

    Parameters
    ----------
    dataset : `gammajax.SpectrumDatasetOnOff`
        Changed in place; its models give the signal.
    random_state : int or `numpy.random.Generator`
        Seed or generator.
    npred_background : array or `EnergyMap`, shape (n_reco,), optional
        Background expected in the ON region; alpha n_off of the present counts if not given.

    Raises
    ------
    InputError
        If no generator or seed is given, or the models predict negative counts.
    """
    rng = random_generator(random_state)
    n = len(dataset.counts.data)
    if npred_background is None:
        background = dataset.background.data
    else:
        values = npred_background.data if isinstance(npred_background, EnergyMap) else npred_background
        background = check_array(values, n, f"{dataset.name}: npred_background")
    signal = dataset.npred_signal().data
    bad = np.flatnonzero(~np.isfinite(signal) | (signal < 0) | (background < 0))
    if len(bad):
        i = bad[0]
        raise InputError(
            f"fake: bin {i} of {dataset.name!r} predicts signal {signal[i]:g} and background {background[i]:g}, "
            "expected finite counts of at least 0; check the model values."
        )
    alpha = dataset.alpha.data
    off = np.where(alpha > 0, background / np.where(alpha > 0, alpha, 1.0), 0.0)
    n_on = rng.poisson(signal).astype(float) + rng.poisson(background)
    n_off = rng.poisson(off).astype(float)
    dataset.set_counts(n_on, n_off)
