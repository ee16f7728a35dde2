"""Tests of nested hypotheses: whether a fit needs these parameters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.fit.problem import derivatives
from gammajax.fit.resolve import as_likelihood, parameter_index
from gammajax.fit.result import FitResult
from gammajax.hooks import StoredResult
from gammajax.provenance import Provenance

__all__ = ["NestedTest", "nested_test"]


@dataclass(frozen=True)
class NestedTest(StoredResult):
    r"""Likelihood-ratio test of a null hypothesis that fixes some parameters.

    Attributes
    ----------
    ts : float
        Test statistic, the statistic of the null minus that of the full model.
    dof : int
        Number of parameters that the null fixes.
    n_on_limit : int
        How many of them it fixes on one of their limits.
    p_value : float
        Probability of so large a TS under the null, where it is known: Wilks' :math:`\chi^2`, or with one parameter on its limit
        half of it (Chernoff 1954, Ann. Math. Stat. 25, 573); nan where neither holds.
    notes : tuple of str
        What to know of the p-value.
    fit, fit_null : `FitResult`
        Both fits.
    """

    ts: float
    dof: int
    n_on_limit: int
    p_value: float
    notes: tuple[str, ...]
    fit: FitResult = field(repr=False)
    fit_null: FitResult = field(repr=False)

    @property
    def provenance(self) -> Provenance | None:
        """Versions, hash of the data, time and settings: those of the full fit."""
        return self.fit.provenance

    @property
    def success(self) -> bool:
        """Whether both fits converged."""
        return self.fit.success and self.fit_null.success

    @property
    def sigma(self) -> float:
        r"""The p-value as standard deviations of a Gaussian, so that one parameter has :math:`\sqrt{TS}`; nan where there is no p-value.

        Two-sided, :math:`p = 2 (1 - \Phi(\sigma))`, as in gammapy; where the null is on a limit the parameter goes one way only and so does
        the Gaussian, :math:`p = 1 - \Phi(\sigma)`.
        """
        if np.isnan(self.p_value):
            return float("nan")
        if self.dof == 1:
            return float(np.sqrt(max(self.ts, 0.0)))
        from scipy.special import gammaln, ndtri_exp

        if self.p_value > 0:
            log_p = np.log(self.p_value) - (0.0 if self.n_on_limit else np.log(2))
        else:
            # less than any number: the first term of the incomplete gamma function; half of it in a mixture as well
            half = 0.5 * self.dof
            log_p = (half - 1) * np.log(0.5 * self.ts) - 0.5 * self.ts - gammaln(half) - np.log(2)
        return max(float(-ndtri_exp(log_p)), 0.0)

    def __str__(self) -> str:
        lines = [
            f"TS = {self.ts:.4f} for {self.dof} parameter{'s' if self.dof > 1 else ''}",
            f"p-value = {self.p_value:.4g} ({self.sigma:.2f} sigma, {'one' if self.n_on_limit else 'two'}-sided)",
            *(f"note: {n}" for n in self.notes),
        ]
        return "\n".join(
            lines if self.success else [*lines, "note: one of the fits did not converge; read fit and fit_null."]
        )


def nested_test(run: Callable[[], FitResult], datasets: Any, null: dict) -> NestedTest:
    """Fit with and without the parameters of the null; the models are left at the best fit of the full model.

    Parameters
    ----------
    run : callable
        Fits, and writes on the models.
    datasets : `Datasets` or `Likelihood`
        The data.
    null : dict
        Parameter (object or name) to its value under the null, in its unit or a quantity.
    """
    if not isinstance(null, dict) or not null:
        raise InputError(f"ts: got null={null!r}, expected a dictionary such as {{'beta': 0}}.")
    likelihood = as_likelihood(datasets)
    chosen = []
    for key, value in null.items():
        position, live, name = parameter_index(likelihood, key)
        if live.frozen:
            raise FitError(
                f"ts: {name} is frozen, so that the full model does not vary it; free it with .frozen = False."
            )
        number = live._number(value, "null")
        # those of parameters that follow it count as well
        low, high, inside = likelihood.lower[position], likelihood.upper[position], number * live.factor
        if not low <= inside <= high:
            raise InputError(
                f"ts: {name} = {number:g} under the null is outside its limits [{low / live.factor:g}, {high / live.factor:g}]."
            )
        chosen.append((live, name, number, inside in (low, high)))
    full = run()
    with _restored(likelihood):
        for live, _, number, _ in chosen:
            live.value, live.frozen = number, True
        idle = _without_effect(datasets)
        for live, _ in idle:
            live.frozen = True
        fit_null = run()
    ts = fit_null.total_stat - full.total_stat
    on_limit = sum(at for *_, at in chosen)
    p_value, notes = _probability(ts, len(chosen), on_limit, [n for _, n in idle])
    return NestedTest(ts, len(chosen), on_limit, p_value, tuple(notes), full, fit_null)


def _probability(ts: float, dof: int, on_limit: int, idle: list[str]) -> tuple[float, list[str]]:
    from scipy.stats import chi2

    notes = []
    if ts < -1e-6:
        notes.append(
            "TS is negative: the full fit ended in a worse minimum than the null; fit with other start values."
        )
    if idle:
        notes.append(
            f"under the null {', '.join(idle)} has no effect, so that TS does not follow a chi2 (Davies 1987); simulate."
        )
        return float("nan"), notes
    if on_limit == 0:
        return float(chi2.sf(max(ts, 0.0), dof)), notes
    if on_limit == 1:
        notes.append(
            "the null is on a limit: half of the chi2 with one degree of freedom less, half of that with all (Chernoff)."
        )
        below = chi2.sf(max(ts, 0.0), dof - 1) if dof > 1 else float(ts <= 0)
        return float(0.5 * below + 0.5 * chi2.sf(max(ts, 0.0), dof)), notes
    notes.append(
        f"the null is on the limits of {on_limit} parameters, for which no general distribution is known; simulate."
    )
    return float("nan"), notes


@contextmanager
def _restored(likelihood: Any) -> Iterator[None]:
    """Put values, errors, frozen flags and covariance back at the end."""
    unique = list(likelihood.parameters.unique_parameters)
    before = [(p.value, p.error, p.frozen) for p in unique]
    covariance = likelihood.models.covariance.data
    try:
        yield
    finally:
        for p, (value, error, frozen) in zip(unique, before, strict=True):
            p.value, p.error, p.frozen = value, error, frozen
        likelihood.models.set_covariance(covariance)


def _without_effect(datasets: Any) -> list[tuple[Any, str]]:
    """Free parameters that the statistic does not depend on here, such as the index of a source without amplitude."""
    likelihood = as_likelihood(datasets)
    _, gradient, hessian = derivatives(likelihood, likelihood.start)
    curvature = np.diag(hessian) * likelihood.scale**2
    idle = likelihood.free & (gradient == 0) & (np.abs(curvature) <= 1e-14 * np.max(np.abs(curvature), initial=0.0))
    unique = list(likelihood.parameters.unique_parameters)
    return [(unique[i], likelihood.names[i]) for i in np.flatnonzero(idle)]
