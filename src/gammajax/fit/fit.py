"""`Fit`: minimise the statistic of data sets, and what comes after."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.forms import either_form
from gammajax.fit.interval_calls import INTERVAL_BACKENDS, IntervalCalls
from gammajax.fit.judge import judge
from gammajax.fit.problem import Problem, derivatives
from gammajax.fit.resolve import as_datasets, as_likelihood, check_choice
from gammajax.fit.result import FitResult
from gammajax.fit.runner import run_fit, write_back
from gammajax.fit.scan_calls import ScanCalls
from gammajax.parameters import Covariance
from gammajax.solve import resolve_device

# loaded with the first that is asked for
if TYPE_CHECKING:
    from gammajax.fit.each import EachResult
    from gammajax.fit.goodness import GoodnessOfFit
    from gammajax.fit.nested import NestedTest

__all__ = ["Fit"]


class Fit(IntervalCalls, ScanCalls):
    """Maximum-likelihood fit of data sets.

    Two forms: bound, ``Fit([dataset])`` then ``fit.run(backend=...)``; and gammapy 2's, ``Fit(backend=...)`` then
    ``fit.run(datasets)``.

    Parameters
    ----------
    datasets : `Datasets`, data set or list, optional
        Data sets of the bound form.
    backend : {"minuit", "newton", "scipy", "sherpa", "optax"}
        Optimiser. Every one gets exact derivatives where it takes them, and ends with the covariance from the exact
        Hessian.
    optimize_opts : dict, optional
        Options of the optimiser; may hold ``"backend"``.
    covariance_opts : dict, optional
        Only ``{"backend": "exact"}``: there is one covariance, that of the exact Hessian.
    confidence_opts : dict, optional
        ``{"backend": "newton"}``, the default, or ``{"backend": "minuit"}`` with ``tol`` and ``strategy`` of MIGRAD.
    store_trace : bool
        Keep every evaluation in ``result.trace``.
    """

    def __init__(
        self,
        datasets: Any = None,
        backend: str = "minuit",
        optimize_opts: dict | None = None,
        covariance_opts: dict | None = None,
        confidence_opts: dict | None = None,
        store_trace: bool = False,
    ) -> None:
        if isinstance(datasets, str):
            # gammapy 2 takes the backend first
            datasets, backend = None, datasets
        self.datasets = None if datasets is None else as_datasets(datasets, None)
        self.backend = backend
        self.optimize_opts = dict(optimize_opts or {})
        self.confidence_opts = dict(confidence_opts or {})
        self.store_trace = bool(store_trace)
        get_backend(self.optimize_opts.get("backend", backend))
        if (covariance_opts or {}).get("backend", "exact") != "exact" or set(covariance_opts or {}) - {"backend"}:
            raise InputError(
                f"covariance_opts: got {covariance_opts!r}; the covariance always comes from the exact Hessian, leave "
                "covariance_opts out."
            )
        chosen = self.confidence_opts.get("backend", "newton")
        check_choice("confidence_opts", "backend", chosen, INTERVAL_BACKENDS)
        if chosen != "minuit" and set(self.confidence_opts) - {"backend"}:
            raise InputError(
                f"confidence_opts: got {confidence_opts!r}; options are those of MIGRAD and need 'backend': 'minuit'."
            )

    # -- optimisation ----------------------------------------------------------------------------------------------

    @either_form
    def run(
        self,
        datasets: Any,
        backend: str | None = None,
        optimize_opts: dict | None = None,
        *,
        starts: int = 1,
        device: Any = None,
    ) -> FitResult:
        """Minimise the statistic, and take errors and covariance from the exact Hessian at the end.

        Where the optimiser stops close to a minimum, Newton steps take it there; its message says so where that gained more than
        1e-6. Best-fit values, errors and covariance are written on the models of the data sets. A fit that ends badly is a result
        as well: its `status` and `flags` say how.

        Parameters
        ----------
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        backend : str, optional
            Optimiser, instead of that of the fit.
        optimize_opts : dict, optional
            Its options, instead of those of the fit.
        starts : int
            With more than one, the fit is tried from so many starts, the present values first, in one batch where there are many,
            and goes on from the lowest end; ``result.starts`` tells which minima there are.
        device : jax.Device or str, optional
            Where that batch runs.

        Returns
        -------
        `FitResult`
            Read ``success``, or ``status``, before the numbers.

        Raises
        ------
        InputError
            For an unknown backend or option, or a start that is not finite or outside the limits.
        """
        name, options = self._settings(backend, optimize_opts)
        if starts == 1 and device is not None:
            raise InputError(
                "fit.run: device is for the batch of several starts; give starts as well, or leave it out."
            )
        return run_fit(datasets, name, options, self.store_trace, starts, resolve_device(device))

    optimize = run

    @either_form
    def covariance(self, optimize_result: FitResult | None = None, *, datasets: Any) -> Covariance:
        """Covariance from the exact Hessian at the present parameter values; written on the models.

        Parameters
        ----------
        optimize_result : `FitResult`, optional
            A fit of these data sets, as in gammapy. Refused where the parameters have changed since.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        """
        likelihood = as_likelihood(datasets)
        if optimize_result is not None:
            found, now = optimize_result.parameters.value, datasets.models.parameters.value
            if found.shape != now.shape or not np.allclose(found, now, rtol=1e-12, atol=0):
                raise InputError(
                    "covariance: the parameters are not those of optimize_result any more; leave it out for the covariance at the "
                    "present values."
                )
        problem = Problem(likelihood)
        stat, gradient, hessian = derivatives(likelihood, likelihood.start)
        i, scale = problem.index, problem.scale
        verdict = judge(
            tuple(likelihood.names[k] for k in i), problem.start, likelihood.lower[i] / scale, likelihood.upper[i] / scale,
            stat, gradient[i] * scale, hessian[np.ix_(i, i)] * np.outer(scale, scale), False,
        )  # fmt: skip
        write_back(likelihood, datasets.models, likelihood.start, i, verdict.covariance * np.outer(scale, scale))
        return datasets.models.covariance

    @either_form
    def goodness_of_fit(
        self, n_toys: int = 1000, *, random_state: Any, datasets: Any, device: Any = None
    ) -> "GoodnessOfFit":
        """Goodness of fit of the present models, calibrated by simulations that are each fitted again, all in one batch.

        Nothing is written on the models. All data sets are simulated from the models as they are, so fit them before: counts by Poisson,
        OFF counts from the background that belongs to that fit, values with Gaussian errors by those. Each realisation is fitted
        again, all data sets together. Priors and penalties are left out of the statistic, and in it in each fit.

        Parameters
        ----------
        n_toys : int
            How many.
        random_state : int or `numpy.random.Generator`
            Seed or generator.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        device : jax.Device or str, optional
            Where to run.

        Returns
        -------
        `GoodnessOfFit`
            With the share of simulations whose statistic is at least that of the data.

        Raises
        ------
        InputError
            For data that cannot be simulated: a function of the parameters, flux points with limits or scanned likelihoods, a factor on
            OFF counts.
        FitError
            If the data, or a tenth of the simulations, could not be fitted.
        """
        from gammajax.fit.goodness_toys import goodness_by_toys

        return goodness_by_toys(datasets, n_toys, random_state, resolve_device(device))

    @either_form
    def gauss_newton_covariance(self, datasets: Any) -> Covariance:
        r"""Covariance without the second derivatives of the model, at the present parameter values; for chi2.

        With J the derivatives of the residuals (measured - predicted) / error, it is :math:`(J^T J)^{-1}`, and that of
        curve fitting programs. `covariance` is that of the exact Hessian; the two are equal where the model is linear or meets
        the data. Nothing is written on the models. Where only the ratios of the errors are known, multiply by chi2 per degree of
        freedom: ``covariance.scaled(result.total_stat / result.dof)``.

        Parameters
        ----------
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.

        Raises
        ------
        InputError
            For statistics that are no sum of squares.
        """
        from gammajax.fit.gauss_newton import gauss_newton_covariance

        return gauss_newton_covariance(as_likelihood(datasets))

    def run_each(self, datasets: Any, *, tol: float = 1e-9, max_iter: int = 200, device: Any = None) -> "EachResult":
        """Fit each of many data sets by itself, all in one batch.

        Parameters
        ----------
        datasets : `SpectrumBatch`, `Datasets` or list
            Spectra on the same axes with the same kinds of models, factors on the background of ON/OFF spectra among them; links, limits,
            frozen flags, priors and penalties have to be alike. The start values are the present ones; nothing is written on the models.
        tol : float
            Stop at this expected distance to the minimum, in units of the statistic.
        max_iter : int
            Steps tried at most.
        device : jax.Device or str, optional
            Where to run; by default large batches on an accelerator if there is one.

        Returns
        -------
        `EachResult`
            Values, errors, covariances and a verdict for each, as arrays.

        Raises
        ------
        DataError
            If they are not of one structure.
        """
        from gammajax.fit.each import run_each

        return run_each(datasets, tol, max_iter, device)

    @either_form
    def ts(self, null: dict, *, datasets: Any) -> "NestedTest":
        r"""Test statistic of a null hypothesis that fixes some free parameters, :math:`TS = S(null) - S(best)`.

        Parameters
        ----------
        null : dict
            Parameter (object or name) to its value under the null: ``{"beta": 0}``.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.

        Returns
        -------
        `NestedTest`
            TS, p-value where it is known, and both fits. The models are left at the best fit of the full model.

        Raises
        ------
        FitError
            If a parameter of the null is frozen in the full model.
        InputError
            For a value outside the limits of its parameter.
        """
        from gammajax.fit.nested import nested_test

        return nested_test(lambda: self.run(datasets), datasets, null)
