"""One fit from beginning to end: start, optimiser, verdict, result."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from gammajax.fit.backends import check_options
from gammajax.fit.backends import get as get_backend
from gammajax.fit.flags import FitFlags
from gammajax.fit.goodness import goodness
from gammajax.fit.judge import Verdict
from gammajax.fit.polish import polished
from gammajax.fit.problem import Problem
from gammajax.fit.resolve import as_likelihood
from gammajax.fit.result import FitResult
from gammajax.fit.second_opinion import second_opinion
from gammajax.fit.sides import better_side
from gammajax.fit.trace import trace_table
from gammajax.fit.valley import Descents
from gammajax.fit.verdict import Settled, settle
from gammajax.likelihood import Likelihood
from gammajax.parameters import Covariance, Parameters, onto_limits
from gammajax.progress import Evaluations
from gammajax.provenance import provenance

__all__ = ["covariance_of", "run_fit", "write_back"]

log = logging.getLogger(__name__)
# share of bins without OFF counts from which on a result says so
NO_OFF = 0.5


def run_fit(
    datasets: Any, name: str, options: dict, store_trace: bool = False, starts: int = 1, device: Any = None
) -> FitResult:
    """Fit, and write values, errors and covariance on the models; see `Fit.run`."""
    get_backend(name)
    likelihood = as_likelihood(datasets)
    begin, found = (None, None)
    if starts != 1 and likelihood.free.any():
        from gammajax.fit.starts import best_start

        begin, found = best_start(likelihood, starts, device)
    problem, notes = Problem(likelihood, start=begin), _data_notes(likelihood)
    if begin is None and len(problem.index):
        begin, said = better_side(problem)
        if begin is not None:
            problem, notes = Problem(likelihood, start=begin), (*notes, said)
    common: dict[str, Any] = {
        "backend": name,
        "n_bins": likelihood.n_bins_in_fit,
        "n_free": len(problem.index),
        "starts": found,
        "data_notes": notes,
        "provenance": provenance(likelihood.data),
    }
    if len(problem.index) == 0 or not np.isfinite(problem.stat(problem.start)):
        check_options(name, options)
        return _evaluated(datasets, problem, common)
    problem, objective, out, end = _minimised(problem, name, options, store_trace)
    _write(datasets, problem, end)
    flags = end.verdict.flags
    log.log(
        logging.INFO if flags.status.fitted else logging.WARNING,
        "fit of %s with %s: stat = %.8g, %d evaluations, %s", ", ".join(likelihood.dataset_names), name, end.stat,
        objective.counts.fun, flags.status.name.lower(),
    )  # fmt: skip
    return FitResult(
        method=out.method,
        success=flags.status.fitted,
        message=_said(out, flags.status.fitted),
        total_stat=end.stat,
        edm=end.verdict.edm,
        flags=flags,
        nfev=objective.counts.fun,
        ngrad=objective.counts.grad,
        nhess=objective.counts.hess,
        models=datasets.models.snapshot(),
        trace=trace_table(objective, problem, problem.likelihood) if store_trace else None,
        raw=out.raw,
        options=dict(out.options),
        goodness=replace(goodness(problem, end.x, end.stat, flags), provenance=common["provenance"]),
        **common,
    )


def _minimised(problem: Problem, name: str, options: dict, store_trace: bool) -> tuple:
    """Minimise, and once more from the end where spectra are steeper there than bin integrals are made for.

    Returns
    -------
    problem, objective, out, end : `Problem`, `Objective`, backend's result, `Settled`
        Of the last run; evaluations of all are counted and traced.
    """
    minimize, earlier = get_backend(name), None
    while True:
        objective = problem.objective(store_trace)
        if earlier is not None:
            objective.counts, objective.trace = earlier.counts, earlier.trace
        ways = Descents(problem, objective)
        objective.endless = ways.endless
        # a parameter on its way to infinity overflows there, and the verdict says so
        with np.errstate(over="ignore", invalid="ignore"), Evaluations(f"fit with {name}") as bar:
            objective.watch = bar.seen
            out = polished(objective, minimize(objective, **options))
            end = settle(problem, objective, out, ways)
            if name != "newton":
                end = second_opinion(problem, end)
        theta = problem.theta(end.x)
        steeper = problem.likelihood.covering(theta)
        if steeper is problem.likelihood or not end.verdict.flags.status.fitted:
            return problem, objective, out, end
        again = Problem(steeper, start=theta, scale=problem.scale)
        if not np.isfinite(again.stat(again.start)):
            flags = replace(end.verdict.flags, converged=False, non_finite=True, bad_bins=again.non_finite_bins(end.x))
            return problem, objective, out, replace(end, verdict=replace(end.verdict, flags=flags))
        problem, earlier = again, objective


def _said(out: Any, fitted: bool) -> str:
    """The optimiser's own words, and where the verdict is another one, that it is."""
    if bool(out.success) == fitted:
        return str(out.message)
    verdict = (
        "the fit ended at a minimum all the same"
        if fitted
        else "the fit did not end at a well-defined minimum, see its status"
    )
    return f"{str(out.message).rstrip('.')}; judged by exact derivatives {verdict}."


def _evaluated(datasets: Any, problem: Problem, common: dict[str, Any]) -> FitResult:
    """A result without an optimiser: nothing is free, or the statistic is not finite where it should begin."""
    x, n = problem.start, len(problem.start)
    stat = problem.stat(x)
    finite = bool(np.isfinite(stat))
    bad: tuple[str, ...] = ()
    if not finite:
        derivatives = np.isfinite(problem.gradient(x)) & np.isfinite(problem.hessian(x)).all(axis=1)
        names = [problem.likelihood.names[i] for i in problem.index]
        bad = tuple(m for m, good in zip(names, derivatives, strict=True) if not good)
    flags = FitFlags(
        finite, non_finite=not finite, bad_bins=() if finite else problem.non_finite_bins(x), bad_parameters=bad
    )
    end = Settled(x, stat, Verdict(flags, 0.0 if finite else np.nan, np.full((n, n), np.nan)))
    _write(datasets, problem, end)
    return FitResult(
        method="evaluated",
        success=finite,
        message="no free parameter: evaluated" if finite else problem.non_finite_start(),
        total_stat=stat,
        edm=end.verdict.edm,
        flags=flags,
        nfev=1,
        ngrad=0,
        nhess=0,
        models=datasets.models.snapshot(),
        goodness=replace(goodness(problem, x, stat, flags), provenance=common["provenance"]),
        **common,
    )


def _data_notes(likelihood: Any) -> tuple[str, ...]:
    """What to know of data and models whatever the end."""
    out = []
    for name, structure, data in zip(
        likelihood.dataset_names, likelihood.structure.datasets, likelihood.data, strict=False
    ):
        out += _fractional(name, data)
        if getattr(structure, "statistic", "") != "wstat":
            continue
        off = np.asarray(data.values["n_off"])[np.asarray(data.mask)]
        empty = int(np.sum(off == 0))
        if empty > NO_OFF * len(off):
            out.append(
                f"{name}: {empty} of {len(off)} bins in the fit have no OFF counts, where the W statistic tends to take the "
                "background as 0; use wider bins or a model of the background."
            )
    for p, unique in zip(likelihood.parameters.unique_parameters, likelihood.names, strict=True):
        if p.frozen and p.prior is not None:
            out.append(f"{unique} is frozen and has a prior: it adds a constant to the statistic.")
    return tuple(out)


def _fractional(name: str, data: Any) -> list[str]:
    values = getattr(data, "values", None)
    if not isinstance(values, dict):
        return []
    counts = [np.asarray(values[k]) for k in ("n_on", "n_off") if k in values]
    if not any(np.any(c != np.round(c)) for c in counts):
        return []
    return [
        f"{name}: the counts are fractional (Asimov or weighted data): errors are not those of a Poisson measurement."
    ]


def _write(datasets: Any, problem: Problem, end: Settled) -> None:
    covariance = end.verdict.covariance * np.outer(problem.scale, problem.scale)
    write_back(problem.likelihood, datasets.models, problem.theta(end.x), problem.index, covariance)


def write_back(
    likelihood: Likelihood, models: Any, theta: np.ndarray, index: np.ndarray, covariance: np.ndarray
) -> None:
    """Write values, errors and covariance (free parameters, internal units) on the models."""
    parameters = likelihood.parameters
    assert parameters is not None
    full = _in_own_units(parameters, index, covariance)
    for i, p in enumerate(parameters.unique_parameters):
        if i in index:
            # beyond its limit by a rounding it could be no start
            p.value = float(onto_limits(theta[i] / p.factor, *p.bounds))
        p.error = np.sqrt(full[i, i])
    models.set_covariance(_of_all(parameters, full))


def covariance_of(likelihood: Likelihood, index: np.ndarray, covariance: np.ndarray) -> Covariance:
    """Covariance of all parameters from that of the free ones (internal units); nothing is written on the models."""
    parameters = likelihood.parameters
    assert parameters is not None
    return Covariance(parameters, _of_all(parameters, _in_own_units(parameters, index, covariance)))


def _in_own_units(parameters: Parameters, index: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    factor = np.array([p.factor for p in parameters.unique_parameters])
    full = np.zeros((len(factor),) * 2)
    full[np.ix_(index, index)] = covariance
    return full / np.outer(factor, factor)


def _of_all(parameters: Parameters, full: np.ndarray) -> np.ndarray:
    """Linked parameters repeated as in the models."""
    places, slopes = parameters.from_unique()
    return full[np.ix_(places, places)] * np.outer(slopes, slopes)
