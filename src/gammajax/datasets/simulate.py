"""Simulated counts."""

from typing import Any

import numpy as np

from gammajax.datasets.axes import EnergyMap
from gammajax.datasets.checks import check_array
from gammajax.datasets.registry import evaluator
from gammajax.errors import InputError

__all__ = ["fake", "fake_flux", "fake_values", "predicted_values", "random_generator"]


def random_generator(random_state: Any) -> np.random.Generator:
    """Generator from a seed, or the one that came; refuses to draw a seed by itself."""
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer | np.random.Generator):
        got = repr(random_state) if np.ndim(getattr(random_state, "data", 0)) == 0 else type(random_state).__name__
        raise InputError(
            f"fake: got random_state={got}, expected a seed (int) or a numpy.random.Generator; a background goes by its name, "
            "fake(seed, npred_background=...)."
        )
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


def fake_flux(dataset: Any, random_state: int | np.random.Generator) -> np.ndarray:
    r"""Fluxes drawn from the models of flux points with the errors of the points, which is what their statistic says of them.

    "chi2": a Gaussian about the prediction. "distrib": two halves of Gaussians that meet at the prediction :math:`\mu`; a flux below it has
    the upper error, since :math:`\mu` then lies above the point, and that side the probability
    :math:`\sigma_+/(\sigma_+ + \sigma_-)`.

    Parameters
    ----------
    dataset : `gammajax.FluxPointsDataset`
        Not changed.
    random_state : int or `numpy.random.Generator`
        Seed or generator.

    Returns
    -------
    array, shape (n,)
        Fluxes, TeV-1 s-1 cm-2; upper limits and points without an error keep theirs.
    """
    rng, name, statistic = random_generator(random_state), dataset.name, dataset.stat_type
    known = dataset._known
    if statistic == "profile":
        raise InputError(
            f"fake: {name!r} has scanned likelihoods, which belong to the values that were measured and define no other draw; set "
            "stat_type to 'chi2' or 'distrib', which draw with the errors."
        )
    limits = np.flatnonzero(dataset.mask_array & ~known)
    if len(limits):
        raise InputError(
            f"fake: point {limits[0]} of {name!r} is an upper limit in the fit, which defines no draw; leave it out with mask_fit, or set "
            "stat_type = 'chi2', which does not fit limits."
        )
    predicted = _predicted(dataset, known)
    arrays = dataset._error, dataset._errn, dataset._errp
    error, below, above = (np.where(known & np.isfinite(a) & (a > 0), a, dataset._error) for a in arrays)
    pull = rng.standard_normal(len(known))
    if statistic == "distrib":
        under = rng.uniform(size=len(known)) * (below + above) < above
        drawn = predicted + np.where(under, -np.abs(pull) * above, np.abs(pull) * below)
    else:
        drawn = predicted + pull * error
    return np.where(known, drawn, dataset._dnde)


def fake_values(dataset: Any, random_state: int | np.random.Generator) -> np.ndarray:
    """Values drawn from the function of an `XYDataset`: Gaussian with its errors, Poisson for counts; shape (n,).

    Parameters
    ----------
    dataset : `gammajax.XYDataset`
        Not changed.
    random_state : int or `numpy.random.Generator`
        Seed or generator.
    """
    rng = random_generator(random_state)
    predicted = _predicted(dataset, np.ones(len(dataset.y), dtype=bool))
    if dataset.error is not None:
        return predicted + dataset.error * rng.standard_normal(len(predicted))
    bad = np.flatnonzero(predicted < 0)
    if len(bad):
        raise InputError(
            f"fake: point {bad[0]} of {dataset.name!r} predicts {predicted[bad[0]]:g} counts, expected at least 0; check the model values."
        )
    return rng.poisson(predicted).astype(float)


def predicted_values(dataset: Any) -> np.ndarray:
    """Prediction of a data set of points; shape (n,)."""
    if not dataset.models:
        raise InputError(f"{dataset.name!r} has no models that predict anything; set dataset.models first.")
    return np.asarray(evaluator("npred_signal")(dataset))


def _predicted(dataset: Any, used: np.ndarray) -> np.ndarray:
    if not dataset.models:
        raise InputError(f"fake: {dataset.name!r} has no models to draw from; set dataset.models first.")
    predicted = np.asarray(evaluator("npred_signal")(dataset))
    bad = np.flatnonzero(used & ~np.isfinite(predicted))
    if len(bad):
        raise InputError(
            f"fake: the model of {dataset.name!r} is {predicted[bad[0]]} at point {bad[0]}, expected a finite number; check its values."
        )
    return predicted
