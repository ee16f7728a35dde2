"""Goodness of fit: how far the data are from the best model, and how probable that is where it is known."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.fit.flags import FitFlags
from gammajax.hooks import StoredResult
from gammajax.provenance import Provenance

__all__ = ["ENOUGH", "GoodnessOfFit", "goodness", "saturated"]

# expected counts in every bin, ON and OFF, from which on the statistic follows a chi2: its mean is then 2 % high and its variance 4 %
ENOUGH = 10.0
# measured counts below which a bin was not expected to have so many, to 0.3 %
FEW = 3.0


@dataclass(frozen=True)
class GoodnessOfFit(StoredResult):
    r"""Statistic of the data at the best fit, relative to a model that meets every bin, and its p-value where that is known.

    Attributes
    ----------
    stat : float
        :math:`\chi^2`, or -2 ln of the likelihood ratio to the saturated model; priors are left out. nan where there are no bins.
    dof : int or float
        Bins in the fit minus free parameters.
    p_value : float or None
        Probability of so large a value if the model is right; None where it is not known.
    method : {"chi2", "toys", "none"}
        How the p-value was calibrated.
    reason : str
        The same in words, or why there is none.
    n_toys : int
        Simulations that were fitted and converged.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, a hash of the data, and the settings of the simulations; without them that of the fit holds.
    """

    stat: float
    dof: float
    p_value: float | None
    method: str
    reason: str
    n_toys: int = 0
    provenance: Provenance | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        number = "none" if self.p_value is None else f"{self.p_value:.3g}"
        return f"statistic {self.stat:.2f} for {self.dof:g} degrees of freedom, p-value {number}: {self.reason}"


def saturated(statistic: str, values: dict[str, np.ndarray]) -> np.ndarray:
    """Statistic of each bin for a model that predicts what was measured: not 0 for Cash's only; last axis bins."""
    if statistic != "cash":
        return np.zeros(())
    n = np.asarray(values["n_on"])
    return 2 * (n - n * np.log(np.where(n > 0, n, 1.0)))


def _none(stat: float, dof: float, reason: str) -> GoodnessOfFit:
    return GoodnessOfFit(stat, dof, None, "none", reason)


def goodness(problem: Any, x: np.ndarray, stat: float, flags: FitFlags) -> GoodnessOfFit:
    """Goodness of the fit that ended at x.

    Parameters
    ----------
    problem : `gammajax.fit.problem.Problem`
        The function.
    x : array, shape (n,)
        Scaled free parameters.
    stat : float
        Statistic there, priors and penalties added.
    flags : `FitFlags`
        How it ended.
    """
    like = problem.likelihood
    if not like.n_bins_in_fit:
        return _none(float("nan"), float("nan"), "the statistic is a function without bins")
    dof = like.n_bins_in_fit - len(x)
    kinds = [s.statistic for s in like.structure.datasets]
    arrays = [{k: np.asarray(v)[np.asarray(d.mask)] for k, v in d.values.items()} for d in like.data]
    stat -= like.models.prior_stat_sum()
    stat -= sum(float(np.sum(saturated(k, v))) for k, v in zip(kinds, arrays, strict=True))
    if {"distrib", "profile"} & set(kinds):
        return _none(stat, dof, "flux points with limits or scanned likelihoods follow no chi2 distribution")
    reason = _why_not(problem, flags, dof) or _few_counts(problem, x, kinds, arrays)
    if reason:
        return _none(stat, dof, reason)
    # scipy.stats takes a second to import
    from scipy.special import chdtrc

    counts = "" if set(kinds) == {"chi2"} else f", at least {ENOUGH:g} counts expected in every bin"
    return GoodnessOfFit(
        stat,
        dof,
        float(chdtrc(dof, max(stat, 0.0))),
        "chi2",
        f"chi2 distribution with {dof} degrees of freedom{counts}",
    )


def _why_not(problem: Any, flags: FitFlags, dof: int) -> str:
    like = problem.likelihood
    if not flags.converged:
        return "the fit did not converge"
    if dof < 1:
        return "no degrees of freedom"
    if like.structure.penalties:
        return "priors add to what is known; simulate with fit.goodness_of_fit"
    if flags.at_limit or flags.at_corner:
        return "a parameter is held at a limit, so that the degrees of freedom are not a whole number; simulate with fit.goodness_of_fit"
    return ""


def _few_counts(problem: Any, x: np.ndarray, kinds: list[str], arrays: list[dict[str, np.ndarray]]) -> str:
    """Why the counts allow no chi2 distribution, or an empty string."""
    measured = [
        v[k] for kind, v in zip(kinds, arrays, strict=True) if kind != "chi2" for k in ("n_on", "n_off") if k in v
    ]
    if not measured:
        return ""
    counts = np.concatenate(measured)
    if np.any(counts != np.round(counts)):
        return "the counts are not whole numbers, which no Poisson distribution describes"
    least = counts.min()
    if FEW <= least < ENOUGH:
        # few were measured, enough may have been expected
        least = _least_expected(problem, x, kinds, arrays)
    if least < ENOUGH:
        return f"bins with few counts, below {ENOUGH:g}, follow no chi2 distribution; simulate with fit.goodness_of_fit"
    return ""


def _least_expected(problem: Any, x: np.ndarray, kinds: list[str], arrays: list[dict[str, np.ndarray]]) -> float:
    predicted, at, least = problem.predicted(x), 0, np.inf
    for kind, values, d in zip(kinds, arrays, problem.likelihood.data, strict=True):
        mask = np.asarray(d.mask)
        mu = predicted[at : at + len(mask)][mask]
        at += len(mask)
        if kind == "chi2":
            continue
        least = min(least, mu.min())
        if kind == "wstat":
            # stationary in the background: n_off / mu_off = 1 + alpha (1 - n_on / mu_on)
            ratio = 1 + values["alpha"] * (1 - values["n_on"] / np.where(mu > 0, mu, 1.0))
            least = min(least, np.min(values["n_off"] / np.where(ratio > 0, ratio, np.inf)))
    return float(least)
