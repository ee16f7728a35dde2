"""The calls of `Fit` that ask for intervals, limits and contours."""

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.forms import Settings, either_form
from gammajax.fit.problem import Problem, derivatives
from gammajax.fit.resolve import as_likelihood, check_choice, check_free, parameter_index
from gammajax.likelihood import Likelihood
from gammajax.provenance import provenance
from gammajax.solve import resolve_device

# loaded with the first interval that is asked for
if TYPE_CHECKING:
    from gammajax.fit.confidence import ConfidenceResult, ConfidenceTable, UpperLimit
    from gammajax.fit.contour import ContourResult
    from gammajax.scan import Refit

__all__ = ["INTERVAL_BACKENDS", "IntervalCalls"]

INTERVAL_BACKENDS = ("newton", "minuit")


class IntervalCalls(Settings):
    """Asymmetric errors, upper limits and contours: where the re-optimised TS reaches a level."""

    def _refit(self, likelihood: Likelihood, starts: int, device: Any = None) -> "tuple[Refit, float]":
        from gammajax.scan import Refit

        stat, _, hessian = derivatives(likelihood, likelihood.start)
        return Refit.around(likelihood, hessian, starts, resolve_device(device)), stat

    @either_form
    def confidence(
        self,
        parameter: Any = "all",
        sigma: Any = 1,
        *,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        reoptimize: bool = True,
        datasets: Any,
    ) -> "ConfidenceResult | ConfidenceTable":
        """Asymmetric errors: where the re-optimised TS reaches sigma^2, on both sides.

        Parameters
        ----------
        parameter : `Parameter` or str or list
            A free parameter, by object, name or unique name; several; or ``"all"`` free ones.
        sigma : float or list
            Level or levels; TS = sigma^2.
        backend : {"newton", "minuit"}, optional
            Ours, all parameters, sides and levels in one batch; or MINOS of iminuit, for one parameter and level.
        starts : int
            Starts of every re-fit: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run: a device, ``"cpu"`` or ``"gpu"``.
        reoptimize : bool
            Always True: without it the errors would leave out what the parameters share. Freeze the other parameters to have that.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.

        Returns
        -------
        `ConfidenceResult` or `ConfidenceTable`
            ``["errn"]`` and ``["errp"]`` in the unit of the parameter, nan with a reason where a side does not close. A table of
            such for several parameters or levels.
        """
        if not reoptimize:
            raise InputError(
                "confidence: got reoptimize=False, but errors on both sides are those of the profile; freeze the other parameters first, "
                "for instance inside `with models.restore_status():`."
            )
        backend = backend or self.confidence_opts.get("backend", "newton")
        check_choice("confidence", "backend", backend, INTERVAL_BACKENDS)
        from gammajax.fit.confidence import check_sigma, intervals

        levels = check_sigma(sigma, "confidence")
        likelihood = as_likelihood(datasets)
        one = not (isinstance(parameter, list | tuple) or (isinstance(parameter, str) and parameter == "all"))
        found = self._free_parameters(likelihood, parameter, "confidence")
        single = one and np.ndim(sigma) == 0
        if backend == "minuit":
            if device is not None or starts != 1:
                raise InputError(
                    "confidence: backend='minuit' runs where it is, from one start; leave device and starts out."
                )
            if not single:
                raise InputError(
                    "confidence: backend='minuit' takes one parameter and one sigma; leave the backend out."
                )
            from gammajax.fit.minos import minos

            index, live, name = found[0]
            interval = minos(Problem(likelihood), index, name, live, levels[0], self.confidence_opts)
            return replace(interval, provenance=provenance(likelihood.data, **self.confidence_opts))
        refit, stat = self._refit(likelihood, starts, device)
        table, source = intervals(refit, stat, found, levels), provenance(likelihood.data)
        results = {n: [replace(r, provenance=source) for r in rs] for n, rs in table.results.items()}
        return results[found[0][2]][0] if single else replace(table, results=results, provenance=source)

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

    @either_form
    def upper_limit(
        self, parameter: Any, cl: float = 0.95, *, starts: int = 1, device: Any = None, datasets: Any
    ) -> "UpperLimit":
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
        starts : int
            Starts of every re-fit: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.

        Returns
        -------
        `UpperLimit`
            ``value`` in the unit of the parameter, nan with a reason where TS does not reach the level.
        """
        from gammajax.fit.confidence import upper_limit

        likelihood = as_likelihood(datasets)
        found = self._free_parameters(likelihood, [parameter], "upper_limit")
        refit, stat = self._refit(likelihood, starts, device)
        return replace(upper_limit(refit, stat, found[0], cl), provenance=provenance(likelihood.data))

    @either_form
    def stat_contour(
        self,
        x: Any,
        y: Any,
        numpoints: int = 10,
        sigma: float | None = None,
        *,
        cl: float | None = None,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        datasets: Any,
    ) -> "ContourResult":
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
        starts : int
            Starts of every re-fit: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.

        Returns
        -------
        `ContourResult`
            ``result["alpha"]`` and ``result["beta"]``, in the units of the parameters.
        """
        sigma = self._contour_level(sigma, cl)
        backend = backend or self.confidence_opts.get("backend", "newton")
        if backend == "minuit":
            if device is not None or starts != 1:
                raise InputError(
                    "stat_contour: backend='minuit' runs where it is, from one start; leave device and starts out."
                )
            from gammajax.fit.contour import check_numpoints
            from gammajax.fit.minos import minos_contour

            likelihood = as_likelihood(datasets)
            pair = self._pair(likelihood, x, y)
            contour = minos_contour(
                Problem(likelihood), list(pair), check_numpoints(numpoints), sigma, self.confidence_opts
            )
            return replace(contour, provenance=provenance(likelihood.data, **self.confidence_opts))
        return self.stat_contours(
            [(x, y)], numpoints, [sigma], backend=backend, starts=starts, device=device, datasets=datasets
        )[0]

    minos_contour = stat_contour

    @either_form
    def stat_contours(
        self,
        pairs: Any = "all",
        numpoints: int = 10,
        sigma: Any = (1, 2),
        *,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        datasets: Any,
    ) -> "list[ContourResult]":
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
        starts : int
            Starts of every re-fit: with more than one, also minima on other branches than that of the best fit are found.
        device : jax.Device or str, optional
            Where to run.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.

        Returns
        -------
        list of `ContourResult`
            Pair by pair, the levels of each in turn.
        """
        from gammajax.fit.confidence import check_sigma
        from gammajax.fit.contour import check_numpoints, contours

        check_choice("stat_contour", "backend", backend or "newton", INTERVAL_BACKENDS)
        if backend == "minuit":
            raise InputError("stat_contours: backend='minuit' traces one contour at a time; call stat_contour.")
        levels, numpoints = check_sigma(sigma, "stat_contour"), check_numpoints(numpoints)
        likelihood = as_likelihood(datasets)
        if isinstance(pairs, str):
            check_choice("stat_contours", "pairs", pairs, ("all",))
            names = [n for n, f in zip(likelihood.names, likelihood.free, strict=True) if f]
            pairs = list(combinations(names, 2))
        found = [self._pair(likelihood, x, y) for x, y in pairs]
        refit, stat = self._refit(likelihood, starts, device)
        source = provenance(likelihood.data)
        return contours(refit, stat, found, levels, numpoints, source)

    def _contour_level(self, sigma: float | None, cl: float | None) -> float:
        if sigma is not None and cl is not None:
            raise InputError(f"stat_contour: got sigma={sigma!r} and cl={cl!r}; give one of them.")
        from gammajax.fit.confidence import check_sigma
        from gammajax.fit.contour import sigma_of_cl

        return sigma_of_cl(cl) if cl is not None else check_sigma(1 if sigma is None else sigma, "stat_contour")[0]

    def _pair(self, likelihood: Likelihood, x: Any, y: Any) -> tuple:
        found = self._free_parameters(likelihood, [x, y], "stat_contour")
        if found[0][0] == found[1][0]:
            raise InputError(f"stat_contour: x and y are the same parameter {found[0][2]}; give two different ones.")
        return tuple(found)
