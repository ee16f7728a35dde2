"""`Fit`: minimise the statistic of data sets, and what comes after."""

from collections.abc import Callable
from functools import wraps
from itertools import combinations
from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.fit.backends import get as get_backend
from gammajax.fit.confidence import ConfidenceResult, ConfidenceTable, UpperLimit, check_sigma, intervals, upper_limit
from gammajax.fit.contour import ContourResult, check_numpoints, contours, sigma_of_cl
from gammajax.fit.flags import judge
from gammajax.fit.minos import minos, minos_contour
from gammajax.fit.problem import Problem, derivatives
from gammajax.fit.resolve import as_datasets, check_choice, check_free, is_datasets, parameter_index
from gammajax.fit.result import FitResult
from gammajax.fit.scans import profiles, surface
from gammajax.fit.trace import trace_table
from gammajax.likelihood import Likelihood
from gammajax.parameters import Covariance
from gammajax.scan import Refit, ScanResult
from gammajax.solve import resolve_device

__all__ = ["Fit"]

INTERVAL_BACKENDS = ("newton", "minuit")


def _either_form(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let data sets come first, as in gammapy 2, or not at all, in the bound form."""

    @wraps(method)
    def call(self: "Fit", *args: Any, datasets: Any = None, **kwargs: Any) -> Any:
        if args and is_datasets(args[0]):
            if datasets is not None:
                raise InputError(f"{method.__name__}: data sets were given twice.")
            datasets, args = args[0], args[1:]
        return method(self, *args, datasets=as_datasets(datasets, self.datasets), **kwargs)

    return call


class Fit:
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

    def _settings(self, backend: str | None, optimize_opts: dict | None) -> tuple[str, dict]:
        options = dict(self.optimize_opts if optimize_opts is None else optimize_opts)
        chosen = options.pop("backend", None)
        return backend or chosen or self.backend, options

    @_either_form
    def run(self, datasets: Any, backend: str | None = None, optimize_opts: dict | None = None) -> FitResult:
        """Minimise the statistic, and take errors and covariance from the exact Hessian at the end.

        Best-fit values, errors and covariance are written on the models of the data sets.

        Parameters
        ----------
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        backend : str, optional
            Optimiser, instead of that of the fit.
        optimize_opts : dict, optional
            Its options, instead of those of the fit.

        Returns
        -------
        `FitResult`
            Read ``success`` and ``flags`` before the numbers.

        Raises
        ------
        FitError
            If no parameter is free, or the statistic is not finite at the start.
        InputError
            For an unknown backend or option, or a start outside the limits.
        """
        name, options = self._settings(backend, optimize_opts)
        minimize = get_backend(name)
        likelihood = Likelihood(datasets)
        problem = Problem(likelihood)
        if len(problem.index) == 0:
            raise FitError(
                f"no free parameter: all of {', '.join(likelihood.names)} are frozen; free at least one with "
                "parameter.frozen = False."
            )
        objective = problem.objective(self.store_trace)
        out = minimize(objective, **options)
        theta = problem.theta(out.x)
        stat, gradient, hessian = derivatives(likelihood, theta)
        i, scale = problem.index, problem.scale
        verdict = judge(
            objective.names, np.asarray(out.x), objective.lower, objective.upper, stat, gradient[i] * scale,
            hessian[np.ix_(i, i)] * np.outer(scale, scale), out.call_limit,
        )  # fmt: skip
        _write_back(likelihood, datasets.models, theta, i, verdict.covariance * np.outer(scale, scale))
        return FitResult(
            backend=name,
            method=out.method,
            success=bool(out.success and verdict.flags.converged),
            message=out.message,
            total_stat=stat,
            edm=verdict.edm,
            flags=verdict.flags,
            nfev=objective.counts.fun,
            ngrad=objective.counts.grad,
            nhess=objective.counts.hess,
            n_bins=int(sum(np.asarray(d.mask).sum() for d in likelihood.data)),
            n_free=len(i),
            models=datasets.models.snapshot(),
            trace=trace_table(objective, problem, likelihood) if self.store_trace else None,
            raw=out.raw,
            options=dict(out.options),
        )

    optimize = run

    @_either_form
    def covariance(self, datasets: Any) -> Covariance:
        """Covariance from the exact Hessian at the present parameter values; written on the models."""
        likelihood = Likelihood(datasets)
        problem = Problem(likelihood)
        stat, gradient, hessian = derivatives(likelihood, likelihood.start)
        i, scale = problem.index, problem.scale
        verdict = judge(
            tuple(likelihood.names[k] for k in i), problem.start, likelihood.lower[i] / scale, likelihood.upper[i] / scale,
            stat, gradient[i] * scale, hessian[np.ix_(i, i)] * np.outer(scale, scale), False,
        )  # fmt: skip
        _write_back(likelihood, datasets.models, likelihood.start, i, verdict.covariance * np.outer(scale, scale))
        return datasets.models.covariance

    # -- intervals and contours ------------------------------------------------------------------------------------

    def _refit(self, likelihood: Likelihood, device: Any = None, **options: Any) -> tuple[Refit, float]:
        stat, _, hessian = derivatives(likelihood, likelihood.start)
        return Refit(likelihood, hessian, device=device, **options), stat

    @_either_form
    def confidence(
        self, parameter: Any = "all", sigma: Any = 1, *, backend: str | None = None, device: Any = None, datasets: Any
    ) -> ConfidenceResult | ConfidenceTable:
        """Asymmetric errors: where the re-optimised TS reaches sigma^2, on both sides.

        Parameters
        ----------
        parameter : `Parameter` or str or list
            A free parameter, by object, name or unique name; several; or ``"all"`` free ones.
        sigma : float or list
            Level or levels; TS = sigma^2.
        backend : {"newton", "minuit"}, optional
            Ours, all parameters, sides and levels in one batch; or MINOS of iminuit, for one parameter and level.
        device : jax.Device or str, optional
            Where to run: a device, ``"cpu"`` or ``"gpu"``.

        Returns
        -------
        `ConfidenceResult` or `ConfidenceTable`
            ``["errn"]`` and ``["errp"]`` in the unit of the parameter, nan with a reason where a side does not close. A table of
            such for several parameters or levels.
        """
        backend = backend or self.confidence_opts.get("backend", "newton")
        check_choice("confidence", "backend", backend, INTERVAL_BACKENDS)
        levels = check_sigma(sigma, "confidence")
        likelihood = Likelihood(datasets)
        one = not (isinstance(parameter, list | tuple) or (isinstance(parameter, str) and parameter == "all"))
        found = self._free_parameters(likelihood, parameter, "confidence")
        single = one and np.ndim(sigma) == 0
        if backend == "minuit":
            if device is not None:
                raise InputError("confidence: backend='minuit' runs where it is; leave device out.")
            if not single:
                raise InputError(
                    "confidence: backend='minuit' takes one parameter and one sigma; leave the backend out."
                )
            index, live, name = found[0]
            return minos(Problem(likelihood), index, name, live, levels[0], self.confidence_opts)
        refit, stat = self._refit(likelihood, resolve_device(device))
        table = intervals(refit, stat, found, levels)
        return table.results[found[0][2]][0] if single else table

    def _free_parameters(self, likelihood: Likelihood, parameter: Any, what: str) -> list:
        if isinstance(parameter, str) and parameter == "all":
            parameter = [n for n, f in zip(likelihood.names, likelihood.free, strict=True) if f]
        many = parameter if isinstance(parameter, list | tuple) else [parameter]
        found = [parameter_index(likelihood, p) for p in many]
        for _, live, name in found:
            check_free(live, name, what)
        if not found:
            raise InputError(f"{what}: there is no free parameter.")
        return found

    @_either_form
    def upper_limit(self, parameter: Any, cl: float = 0.95, *, device: Any = None, datasets: Any) -> UpperLimit:
        r"""One-sided upper limit: the value above the best fit at which the re-optimised TS is :math:`\Phi^{-1}(cl)^2`.

        TS is counted from the best fit within the limits of the parameter: 2.71 at 95 %. This is the asymptotic limit of
        the test statistic for upper limits of Cowan et al. 2011 (EPJC 71, 1554), eqs. 14 and 16 (with a lower limit on the
        parameter), where the best fit is at or above the limit.

        Parameters
        ----------
        parameter : `Parameter` or str
            A free parameter.
        cl : float
            Confidence level, above 0.5.
        device : jax.Device or str, optional
            Where to run.

        Returns
        -------
        `UpperLimit`
            ``value`` in the unit of the parameter, nan with a reason where TS does not reach the level.
        """
        likelihood = Likelihood(datasets)
        found = self._free_parameters(likelihood, [parameter], "upper_limit")
        refit, stat = self._refit(likelihood, resolve_device(device))
        return upper_limit(refit, stat, found[0], cl)

    @_either_form
    def stat_contour(
        self,
        x: Any,
        y: Any,
        numpoints: int = 10,
        sigma: float | None = None,
        *,
        cl: float | None = None,
        backend: str | None = None,
        device: Any = None,
        datasets: Any,
    ) -> ContourResult:
        """Contour of two parameters on which the re-optimised TS is sigma^2.

        Parameters
        ----------
        x, y : `Parameter` or str
            Two free parameters.
        numpoints : int
            Points on the contour, at least 4.
        sigma : float, optional
            Level, 1 by default; TS = sigma^2, which has a joint probability of 1 - exp(-sigma^2/2), 39.3 % for sigma = 1.
        cl : float, optional
            The joint probability instead of sigma.
        backend : {"newton", "minuit"}, optional
            Ours, all rays in one batch; or MNCONTOUR of iminuit.
        device : jax.Device or str, optional
            Where to run.

        Returns
        -------
        `ContourResult`
            ``result["alpha"]`` and ``result["beta"]``, in the units of the parameters.
        """
        sigma = self._contour_level(sigma, cl)
        backend = backend or self.confidence_opts.get("backend", "newton")
        if backend == "minuit":
            if device is not None:
                raise InputError("stat_contour: backend='minuit' runs where it is; leave device out.")
            likelihood = Likelihood(datasets)
            pair = self._pair(likelihood, x, y)
            return minos_contour(
                Problem(likelihood), list(pair), check_numpoints(numpoints), sigma, self.confidence_opts
            )
        return self.stat_contours([(x, y)], numpoints, [sigma], backend=backend, device=device, datasets=datasets)[0]

    minos_contour = stat_contour

    @_either_form
    def stat_contours(
        self,
        pairs: Any = "all",
        numpoints: int = 10,
        sigma: Any = (1, 2),
        *,
        backend: str | None = None,
        device: Any = None,
        datasets: Any,
    ) -> list[ContourResult]:
        """Contours of several pairs of parameters at several levels, all in one batch.

        Parameters
        ----------
        pairs : list of pairs, or "all"
            Pairs of free parameters; ``"all"`` for every pair.
        numpoints : int
            Points on each contour, at least 4.
        sigma : float or sequence of float
            Levels; TS = sigma^2.
        backend : {"newton"}, optional
            Ours.
        device : jax.Device or str, optional
            Where to run.

        Returns
        -------
        list of `ContourResult`
            Pair by pair, the levels of each in turn.
        """
        check_choice("stat_contour", "backend", backend or "newton", INTERVAL_BACKENDS)
        if backend == "minuit":
            raise InputError("stat_contours: backend='minuit' traces one contour at a time; call stat_contour.")
        levels, numpoints = check_sigma(sigma, "stat_contour"), check_numpoints(numpoints)
        likelihood = Likelihood(datasets)
        if isinstance(pairs, str):
            check_choice("stat_contours", "pairs", pairs, ("all",))
            names = [n for n, f in zip(likelihood.names, likelihood.free, strict=True) if f]
            pairs = list(combinations(names, 2))
        found = [self._pair(likelihood, x, y) for x, y in pairs]
        refit, stat = self._refit(likelihood, resolve_device(device))
        return contours(refit, stat, found, levels, numpoints)

    def _contour_level(self, sigma: float | None, cl: float | None) -> float:
        if sigma is not None and cl is not None:
            raise InputError(f"stat_contour: got sigma={sigma!r} and cl={cl!r}; give one of them.")
        return sigma_of_cl(cl) if cl is not None else check_sigma(1 if sigma is None else sigma, "stat_contour")[0]

    def _pair(self, likelihood: Likelihood, x: Any, y: Any) -> tuple:
        found = self._free_parameters(likelihood, [x, y], "stat_contour")
        if found[0][0] == found[1][0]:
            raise InputError(f"stat_contour: x and y are the same parameter {found[0][2]}; give two different ones.")
        return tuple(found)

    # -- scans -----------------------------------------------------------------------------------------------------

    @_either_form
    def stat_profile(
        self,
        parameter: Any,
        values: Any = None,
        bounds: Any = None,
        nvalues: int | None = None,
        reoptimize: bool = False,
        *,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> ScanResult:
        """Statistic as a function of one parameter.

        Parameters
        ----------
        parameter : `Parameter` or str
            The parameter.
        values : array, optional
            Its values, in its unit (or a quantity).
        bounds : float or pair, optional
            Instead of values: errors on both sides (2 by default), or limits.
        nvalues : int, optional
            Number of values with `bounds`, 11 by default. Without values, bounds and nvalues the settings of
            the parameter are used: ``scan_values``, ``scan_n_values``, ``scan_n_sigma``, ``scan_min``, ``scan_max``.
        reoptimize : bool
            Whether to re-fit all other free parameters at each value.
        backend : str, optional
            Re-fit node by node with this backend instead of all nodes in one batch.
        starts : int
            Starts per node: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run: a device, ``"cpu"`` or ``"gpu"``; by default large batches on an accelerator if there is one.
        **optimize_opts
            Options of the re-fit.

        Returns
        -------
        `ScanResult`
            Keys ``"<parameter>_scan"`` and ``"stat_scan"``.
        """
        return surface(
            self, datasets, [parameter], [values], bounds, nvalues, reoptimize, backend, optimize_opts, starts, device
        )

    @_either_form
    def stat_surface(
        self,
        x: Any,
        y: Any,
        x_values: Any = None,
        y_values: Any = None,
        reoptimize: bool = False,
        *,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> ScanResult:
        """Statistic as a function of two parameters.

        Parameters
        ----------
        x, y : `Parameter` or str
            The parameters.
        x_values, y_values : array, optional
            Their values, in their units; ``scan_values`` of the parameters if not given.
        reoptimize : bool
            Whether to re-fit all other free parameters at each node.
        backend : str, optional
            Re-fit node by node with this backend instead of all nodes in one batch.
        starts : int
            Starts per node: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run: a device, ``"cpu"`` or ``"gpu"``; by default large batches on an accelerator if there is one.
        **optimize_opts
            Options of the re-fit.

        Returns
        -------
        `ScanResult`
            ``"stat_scan"`` of shape (nx, ny), and a status for every node.
        """
        return surface(
            self, datasets, [x, y], [x_values, y_values], None, None, reoptimize, backend, optimize_opts, starts, device
        )

    @_either_form
    def stat_profiles(
        self,
        parameters: Any = "all",
        bounds: Any = None,
        nvalues: int | None = None,
        *,
        reoptimize: bool,
        starts: int = 1,
        device: Any = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> dict[str, ScanResult]:
        """Statistic as a function of each of several parameters, all nodes of all profiles in one batch.

        Parameters
        ----------
        parameters : list or "all"
            The parameters; ``"all"`` for every free one.
        bounds, nvalues : optional
            As in `stat_profile`, for all of them; otherwise the scan settings of each parameter.
        reoptimize : bool
            Whether to re-fit all other free parameters at each value; to be said.
        starts : int
            Starts per node: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run: a device, ``"cpu"`` or ``"gpu"``; by default large batches on an accelerator if there is one.
        **optimize_opts
            `tol` and `max_iter` of the re-fit.

        Returns
        -------
        dict of str to `ScanResult`
            By unique name.
        """
        return profiles(datasets, parameters, bounds, nvalues, reoptimize, starts, device, optimize_opts)

    @_either_form
    def stat_grid(
        self,
        values: dict[Any, Any],
        *,
        reoptimize: bool,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> ScanResult:
        """Statistic on a grid of any number of parameters.

        Parameters
        ----------
        values : dict
            For each parameter (object, name or unique name) its values, in its unit or as a quantity, shape (n_i,).
        reoptimize : bool
            Whether to re-fit all other free parameters at each node; to be said.
        backend : str, optional
            Re-fit node by node with this backend instead of all nodes in one batch.
        starts : int
            Starts per node: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run: a device, ``"cpu"`` or ``"gpu"``; by default large batches on an accelerator if there is one.
        **optimize_opts
            Options of the re-fit.

        Returns
        -------
        `ScanResult`
            ``"stat_scan"`` of shape (n_1, n_2, ...), and a status for every node.
        """
        if not isinstance(values, dict) or not values:
            raise InputError(
                f"stat_grid: got {type(values).__name__}, expected a dictionary of parameter to values, such as "
                "{'alpha': [2.1, 2.2], 'beta': [0.1, 0.2]}."
            )
        return surface(
            self,
            datasets,
            list(values),
            list(values.values()),
            None,
            None,
            reoptimize,
            backend,
            optimize_opts,
            starts,
            device,
        )


def _write_back(
    likelihood: Likelihood, models: Any, theta: np.ndarray, index: np.ndarray, covariance: np.ndarray
) -> None:
    """Write values, errors and covariance (free parameters, internal units) on the models."""
    parameters = likelihood.parameters
    assert parameters is not None
    unique = list(parameters.unique_parameters)
    factor = np.array([p.factor for p in unique])
    full = np.zeros((len(unique),) * 2)
    full[np.ix_(index, index)] = covariance
    full /= np.outer(factor, factor)
    for i, p in enumerate(unique):
        if i in index:
            p.value = theta[i] / factor[i]
        p.error = np.sqrt(full[i, i])
    where = {id(p): i for i, p in enumerate(unique)}
    spread = [where[id(p)] for p in parameters]
    models.set_covariance(full[np.ix_(spread, spread)])
