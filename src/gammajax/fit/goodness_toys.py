"""Goodness of fit by simulations: all data sets of a fit drawn anew from the models, and fitted again together."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from gammajax.compiling import compiled
from gammajax.datasets.simulate import random_generator
from gammajax.direct import direct
from gammajax.errors import FitError, InputError
from gammajax.fit.backends.newton import minimize
from gammajax.fit.goodness import GoodnessOfFit, saturated
from gammajax.fit.problem import Problem
from gammajax.fit.resolve import as_likelihood
from gammajax.likelihood import DrawnCompact, Likelihood, drawn_numbers, penalty_stat
from gammajax.provenance import provenance
from gammajax.solve import fitted, minimize_batch
from gammajax.stats import wstat_mu_bkg
from gammajax.units import double_precision

__all__ = ["goodness_by_toys"]

# fits that have to end at a minimum
ENOUGH = 0.9
TOL, MAX_ITER = 1e-6, 200
# how far above its minimum the statistic of models at their best fit may be
FAR = 1.0
# numbers drawn at the same time: 64 MB
MOST = 1 << 23


def goodness_by_toys(datasets: Any, n_toys: int, random_state: Any, device: Any = None) -> GoodnessOfFit:
    """Goodness of fit from simulations; see `Fit.goodness_of_fit`."""
    if isinstance(n_toys, bool) or int(n_toys) != n_toys or n_toys < 1:
        raise InputError(f"goodness_of_fit: got n_toys={n_toys!r}, expected a whole number of at least 1.")
    likelihood, n_toys, rng = as_likelihood(datasets), int(n_toys), random_generator(random_state)
    _check(likelihood)
    with double_precision():
        signal = [
            np.asarray(mu)[np.asarray(d.mask)]
            for mu, d in zip(_signal(direct(likelihood), likelihood.start), likelihood.data, strict=True)
        ]
    measured = [{k: np.asarray(v)[np.asarray(d.mask)] for k, v in d.values.items()} for d in likelihood.data]
    draws = [
        _Draw(s.statistic, name, m, mu)
        for s, name, m, mu in zip(
            likelihood.structure.datasets, likelihood.dataset_names, measured, signal, strict=True
        )
    ]
    step = max(MOST // max(sum(v.size for m in measured for v in m.values()), 1), 1)
    found = []
    for begin in range(0, n_toys, step):
        arrays = [draw(min(step, n_toys - begin), rng) for draw in draws]
        if begin == 0:
            # the data themselves are the first lane: one program for all
            arrays = [
                {k: np.concatenate([m[k][None], v]) for k, v in a.items()}
                for m, a in zip(measured, arrays, strict=True)
            ]
        found.append(_deviances(likelihood, arrays, device))
    observed, *toys = np.concatenate(found)
    if not np.isfinite(observed):
        observed = _observed(likelihood, measured)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else type(random_state).__name__
    source = provenance(likelihood.data, n_toys=n_toys, random_state=seed)
    return replace(_counted(likelihood, float(observed), np.array(toys)), provenance=source)


def _observed(likelihood: Likelihood, measured: list[dict[str, np.ndarray]]) -> float:
    """The same of the data alone, by the optimiser of single fits, which has more patience.

    Raises
    ------
    FitError
        If it finds no minimum either, or one far below the models: then these are at no best fit, and simulations of them say nothing.
    """
    problem = Problem(likelihood)
    here = problem.stat(problem.start)
    out = minimize(problem.objective()) if np.isfinite(here) else None
    if out is None or not out.success:
        raise FitError(
            f"goodness_of_fit: the data themselves could not be fitted from the present values, where the statistic is {here:.8g}; set other "
            "values, fit with fit.run(backend='newton'), and read its flags first."
        )
    if here - out.fun > FAR:
        raise FitError(
            f"goodness_of_fit: the models are not at a best fit of the data, so that simulations of them say nothing: the statistic is {here:.8g}, "
            f"and {out.fun:.8g} at the minimum that backend 'newton' finds from there; read the flags of the last fit, and fit with "
            "fit.run(backend='newton') first."
        )
    return float(_relative(likelihood, np.array([out.fun]), problem.theta(out.x)[None], measured)[0])


def _check(likelihood: Any) -> None:
    """Refuse what cannot be drawn."""
    if not isinstance(likelihood, Likelihood):
        raise InputError(
            "goodness_of_fit: the statistic is a function of the parameters, whose data cannot be simulated; expected data sets."
        )
    for s, name in zip(likelihood.structure.datasets, likelihood.dataset_names, strict=True):
        if s.statistic not in ("wstat", "cash", "cstat", "chi2"):
            raise InputError(
                f"goodness_of_fit: {name!r} has the statistic {s.statistic!r}, from which nothing can be simulated: its errors or scanned "
                "likelihoods belong to the values that were measured. Expected wstat, cash, cstat or chi2."
            )
        if s.alpha is not None:
            raise InputError(
                f"goodness_of_fit: {name!r} has a factor on the background of its OFF counts, which simulations do not know; freeze and "
                "remove it, or use a SpectrumDataset with a background model."
            )
    if not likelihood.free.any():
        raise FitError("no free parameter: free at least one with parameter.frozen = False.")


# made once: a new function each time would compile each time
_signal = compiled(lambda likelihood, theta: likelihood.npred_signal(theta))
_background = compiled(wstat_mu_bkg)


class _Draw:
    """Realisations of one data set in the bins of the fit.

    Parameters
    ----------
    statistic, name : str
        Of the data set.
    values : dict of str to array, shape (n_fit,)
        What its statistic takes.
    signal : array, shape (n_fit,)
        What the models predict.
    """

    def __init__(self, statistic: str, name: str, values: dict[str, np.ndarray], signal: np.ndarray) -> None:
        self.statistic, self.values, self.mean, self.off = statistic, values, signal, np.zeros(len(signal))
        if statistic == "wstat":
            with double_precision():
                off = _background(values["n_on"], values["n_off"], values["alpha"], signal)
            self.off = np.maximum(np.asarray(off), 0.0)
            self.mean = signal + values["alpha"] * self.off
        elif statistic != "chi2":
            self.mean = signal + values["background"]
        bad = np.flatnonzero(~np.isfinite(self.mean) | ((self.mean < 0) & (statistic != "chi2")))
        if len(bad):
            raise InputError(
                f"goodness_of_fit: the models predict {self.mean[bad[0]]:g} in bin {bad[0]} of those of {name!r} in the fit, expected finite "
                "numbers, and counts of at least 0; fit them before, or check their values."
            )

    def __call__(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What the statistic takes of n realisations, arrays (n, n_fit)."""
        shape = (n, len(self.mean))
        out = {k: np.broadcast_to(v, shape) for k, v in self.values.items()}
        if self.statistic == "chi2":
            # a weight of 0 is no measurement
            weight = self.values["weight"]
            sigma = np.where(weight > 0, 1 / np.where(weight > 0, weight, 1.0), 0.0)
            return out | {"value": self.mean + sigma * rng.standard_normal(shape)}
        out["n_on"] = rng.poisson(self.mean, shape).astype(float)
        if self.statistic == "wstat":
            out["n_off"] = rng.poisson(self.off, shape).astype(float)
        return out


class _Drawn:
    """What the solver is given: the likelihood in the form whose measurements come with the lanes."""

    def __init__(self, likelihood: Likelihood) -> None:
        self.structure, self.labels, self._compact = likelihood.structure, likelihood.labels, likelihood.compact()

    def compact(self) -> DrawnCompact:
        """The form of the batch."""
        return DrawnCompact(self._compact)


def _deviances(likelihood: Likelihood, arrays: list[dict[str, np.ndarray]], device: Any) -> np.ndarray:
    """Statistic of each realisation at its own best fit, relative to a perfect model and without penalties, shape (N,).

    It is nan where the fit did not end at a minimum.
    """
    own = drawn_numbers(likelihood, arrays)
    start = np.tile(likelihood.start, (len(own), 1))
    out = minimize_batch(
        _Drawn(likelihood), start, likelihood.free, likelihood.lower, likelihood.upper, likelihood.scale, tol=TOL,
        max_iter=MAX_ITER, device=device, own=own,
    )  # fmt: skip
    steeper = likelihood.covering(out.theta[fitted(out.status)])
    if steeper is not likelihood:
        return _deviances(steeper, arrays, device)
    return np.where(fitted(out.status), _relative(likelihood, out.stat, out.theta, arrays), np.nan)


def _relative(likelihood: Likelihood, stat: np.ndarray, theta: np.ndarray, arrays: list[dict[str, np.ndarray]]) -> Any:
    """Statistic (N,) at points (N, P) without penalties, relative to a model that meets every bin of arrays (N, n_fit) or (n_fit,)."""
    stat = stat - _penalties(likelihood, theta)
    for s, values in zip(likelihood.structure.datasets, arrays, strict=True):
        stat = stat - np.sum(np.broadcast_to(saturated(s.statistic, values), values[s.stat.measured].shape), axis=-1)
    return stat


def _penalties(likelihood: Likelihood, theta: np.ndarray) -> Any:
    penalties = likelihood.structure.penalties
    if not penalties:
        return 0.0
    with double_precision():
        return np.asarray(jax.vmap(lambda t: penalty_stat(penalties, likelihood.numbers, t))(theta))


def _counted(likelihood: Likelihood, observed: float, toys: np.ndarray) -> GoodnessOfFit:
    good = np.isfinite(toys)
    if good.sum() < ENOUGH * len(toys):
        raise FitError(
            f"goodness_of_fit: only {good.sum()} of {len(toys)} simulations could be fitted; set limits or freeze parameters that the "
            "data do not determine."
        )
    larger, n = int(np.sum(toys[good] >= observed)), int(good.sum())
    lost = f"; {len(toys) - n} could not be fitted" if n < len(toys) else ""
    # an estimate that is never 0: the data are one more draw under the hypothesis
    return GoodnessOfFit(
        observed, likelihood.n_bins_in_fit - int(likelihood.free.sum()), (larger + 1) / (n + 1), "toys",
        f"{larger} of {n} simulations of the best fit, each fitted again, have at least this statistic{lost}", n,
    )  # fmt: skip
