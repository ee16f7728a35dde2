"""One parameter with everything that is asked of it: errors, limit, significance and profile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.asimov import parameter_sensitivity
from gammajax.fit.estimator import Estimator, refuse_elsewhere
from gammajax.fit.fit import Fit
from gammajax.fit.flags import FitFlags
from gammajax.fit.resolve import as_datasets, as_likelihood, parameter_index
from gammajax.hooks import StoredResult, lock_arrays
from gammajax.provenance import Provenance
from gammajax.solve import Status

__all__ = ["ParameterEstimate", "ParameterEstimator"]

ARGUMENTS = (
    "n_sigma", "n_sigma_ul", "n_sigma_sensitivity", "null_value", "selection_optional", "reoptimize", "backend", "fit",
)  # fmt: skip


@dataclass(frozen=True)
class ParameterEstimate(Mapping, StoredResult):
    """Everything about one parameter, all others re-fitted; numbers in its unit, nan where not asked for or not defined.

    Readable like gammapy's dictionary: for a parameter "alpha" the keys alpha, alpha_err, stat, stat_null, ts, success, counts, npred,
    datasets, and as asked for alpha_errp and alpha_errn, alpha_ul, alpha_scan and stat_scan, alpha_sensitivity.

    Attributes
    ----------
    parameter, unit : str
        Unique name and unit.
    value, error : float
        Best fit and standard deviation from the exact Hessian.
    errn, errp, ul : float
        Errors on both sides, both positive, and upper limit, from the re-fitted statistic.
    ts, stat, stat_null : float
        Statistic at the best fit, with the parameter at `null_value`, and their difference.
    scan, stat_scan : array, shape (L,)
        Values of a scan, and the re-fitted statistic there.
    datasets : tuple of str
        Names of the N data sets.
    counts, npred : array, shape (N,)
        Measured and predicted counts in the fit, at the best fit; nan for data sets without counts.
    n_sigma, n_sigma_ul, null_value : float
        What was asked for.
    selection : tuple of str
        What was asked for beside the value, its error and the TS.
    success : bool
        Whether both fits converged.
    flags : `FitFlags`
        How the fit ended, in detail; `status` is the one word.
    notes : tuple of str
        Why an error or a limit is nan, and what to know of the TS.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    sensitivity, n_sigma_sensitivity : float
        By how much the parameter would have to exceed `null_value` for that significance in data as predicted, and what was asked for.
    """

    parameter: str
    unit: str
    value: float
    error: float
    errn: float
    errp: float
    ul: float
    ts: float
    stat: float
    stat_null: float
    scan: np.ndarray = field(repr=False)
    stat_scan: np.ndarray = field(repr=False)
    datasets: tuple[str, ...]
    counts: np.ndarray
    npred: np.ndarray
    n_sigma: float
    n_sigma_ul: float
    null_value: float
    selection: tuple[str, ...]
    success: bool
    flags: FitFlags = field(repr=False)
    notes: tuple[str, ...] = ()
    provenance: Provenance | None = field(default=None, repr=False)
    sensitivity: float = np.nan
    n_sigma_sensitivity: float = 5.0

    def __post_init__(self) -> None:
        lock_arrays(self)

    @property
    def status(self) -> Status:
        """How the fit ended, in one word; `flags` has the details."""
        return self.flags.status

    @property
    def name(self) -> str:
        """Name of the parameter inside of its model, which gammapy's keys begin with."""
        return self.parameter.rpartition(".")[2]

    def to_dict(self) -> dict[str, Any]:
        """Dictionary by gammapy's keys, with what was asked for."""
        n = self.name
        out: dict[str, Any] = {
            n: self.value, f"{n}_err": self.error, "stat": self.stat, "stat_null": self.stat_null, "ts": self.ts,
            "success": self.success, "counts": self.counts, "npred": self.npred, "datasets": list(self.datasets),
        }  # fmt: skip
        if "errn-errp" in self.selection:
            out |= {f"{n}_errp": self.errp, f"{n}_errn": self.errn}
        if "ul" in self.selection:
            out[f"{n}_ul"] = self.ul
        if "scan" in self.selection:
            out |= {f"{n}_scan": self.scan, "stat_scan": self.stat_scan}
        if "sensitivity" in self.selection:
            out[f"{n}_sensitivity"] = self.sensitivity
        return out

    def to_table(self) -> Any:
        """Return an astropy Table of one row, by gammapy's names, with units; scans are columns of L values."""
        from astropy.table import Table

        table = Table({k: [v] for k, v in self.to_dict().items()})
        for column in {self.name, *(f"{self.name}_{k}" for k in ("err", "errn", "errp", "ul", "scan", "sensitivity"))}:
            if self.unit and column in table.colnames:
                table[column].unit = self.unit
        table["status"] = [self.status.name.lower()]
        return table

    def __getitem__(self, key: str) -> Any:
        found = self.to_dict()
        if key not in found:
            raise KeyError(f"{key!r}: the keys are {', '.join(found)}.")
        return found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())

    def __str__(self) -> str:
        lines = [f"{self.parameter} = {self.value:.6g} +- {self.error:.2g} {self.unit} ({self.status.meaning})"]
        lines.append(f"TS = {self.ts:.4f} against {self.null_value:g}")
        if "errn-errp" in self.selection:
            lines.append(f"errors -{self.errn:.4g} +{self.errp:.4g} at {self.n_sigma:g} sigma")
        if "ul" in self.selection:
            lines.append(f"upper limit {self.ul:.6g} at {self.n_sigma_ul:g} sigma")
        if "sensitivity" in self.selection:
            lines.append(
                f"detectable at {self.n_sigma_sensitivity:g} sigma: {self.sensitivity:.6g} above {self.null_value:g}"
            )
        return "\n".join([*lines, *(f"note: {n}" for n in self.notes)])


class ParameterEstimator(Estimator):
    """Estimates one parameter, all other free parameters re-fitted or held.

    Parameters
    ----------
    n_sigma, n_sigma_ul : float
        Of the errors on both sides and of the upper limit: the re-optimised statistic rises by their square.
    n_sigma_sensitivity : float
        Of the sensitivity: by how much the parameter must exceed the null value for data as predicted to have this significance, the others
        held at the best fit, as in gammapy. Values below the null value are not looked at.
    null_value : float
        Value under the null hypothesis of the TS, in the unit of the parameter.
    selection_optional : "all", or list of {"errn-errp", "ul", "scan", "sensitivity"}
        What is computed beside the value, its error and the TS.
    reoptimize : bool
        Whether all other free parameters are re-fitted; they keep their values otherwise.
    backend : str, optional
        Optimiser, as in `Fit`; "newton" if neither it nor a fit is given.
    fit : `Fit`, optional
        One whose backend and options are taken.
    **gammapy
        Further arguments of gammapy's estimators are refused with the reason, unless they ask for what is done anyway.

    Examples
    --------
    >>> ParameterEstimator(selection_optional="all").selection
    ('errn-errp', 'ul', 'scan', 'sensitivity')
    """

    null_value: float
    backend: str
    reoptimize: bool
    fit: Any

    def __init__(
        self,
        *,
        n_sigma: float = 1,
        n_sigma_ul: float = 2,
        n_sigma_sensitivity: float = 5,
        null_value: float = 0.0,
        selection_optional: str | Sequence[str] | None = None,
        reoptimize: bool = True,
        backend: str | None = None,
        fit: Fit | None = None,
        **gammapy: Any,
    ) -> None:
        refuse_elsewhere("ParameterEstimator", gammapy, ARGUMENTS)
        self._set(selection_optional, n_sigma, n_sigma_ul, n_sigma_sensitivity)
        self.null_value, self.reoptimize = float(null_value), bool(reoptimize)
        if fit is not None and not isinstance(fit, Fit):
            raise InputError(
                f"fit: got {type(fit).__name__}, expected a gammajax.Fit, whose backend and options are taken."
            )
        if fit is not None and backend is not None:
            raise InputError(
                f"ParameterEstimator: got backend={backend!r} and a fit with {fit.backend!r}; give one of them."
            )
        self.fit = fit
        self.backend = (backend or "newton") if fit is None else fit.backend

    def run(self, datasets: Any, parameter: Any) -> ParameterEstimate:
        """Fit, and estimate the parameter.

        Parameters
        ----------
        datasets : `Datasets`, data set or list
            With models; they are left at the best fit.
        parameter : `Parameter` or str
            The parameter.

        Returns
        -------
        `ParameterEstimate`
            A value that reads like gammapy's dictionary.

        Raises
        ------
        InputError
            For an unknown parameter, or a null value outside of its limits.
        FitError
            If the parameter is frozen.
        """
        joined = as_datasets(datasets, None)
        _, live, unique = parameter_index(as_likelihood(joined), parameter)
        if self.reoptimize:
            return self._estimate(joined, live, unique)
        # as in gammapy a parameter that is asked for by itself is free
        with joined.models.restore_status(restore_values=False):
            joined.models.freeze()
            live.frozen = False
            return self._estimate(joined, live, unique)

    def _fit(self, datasets: Any) -> Fit:
        if self.fit is None:
            return Fit(datasets, backend=self.backend)
        options = {"optimize_opts": self.fit.optimize_opts, "confidence_opts": self.fit.confidence_opts}
        return Fit(datasets, backend=self.fit.backend, **options)

    def _estimate(self, joined: Any, live: Any, unique: str) -> ParameterEstimate:
        fit = self._fit(joined)
        test = fit.ts({live: self.null_value})
        best, notes = live.value, list(test.notes)
        errn = errp = limit = np.nan
        if "errn-errp" in self.selection:
            found = fit.confidence(unique, sigma=self.n_sigma)
            errn, errp = float(found["errn"]), float(found["errp"])
            notes += [] if found.success else [f"errors: {found.message}"]
        if "ul" in self.selection:
            found = fit.confidence(unique, sigma=self.n_sigma_ul)
            limit = best + float(found["errp"])
            notes += [] if np.isfinite(limit) else [f"upper limit: {found.message}"]
        scan = stat_scan = np.zeros(0)
        if "scan" in self.selection:
            profile = fit.stat_profile(unique, reoptimize=True)
            scan, stat_scan = np.array(profile[f"{unique}_scan"]), np.array(profile["stat_scan"])
        reached = np.nan
        if "sensitivity" in self.selection:
            reached = parameter_sensitivity(list(joined), live, self.null_value, self.n_sigma_sensitivity)
            notes += [] if np.isfinite(reached) else ["sensitivity: no value within the limits has this significance."]
        counts, npred = np.array([_counts(d) for d in joined]).reshape(-1, 2).T
        result = test.fit
        source = result.provenance
        settings: dict[str, Any] = {
            "parameter": unique,
            "selection_optional": list(self.selection),
            "backend": fit.backend,
        }
        settings["reoptimize"] = self.reoptimize
        return ParameterEstimate(
            unique, live.unit.to_string(), best, live.error, errn, errp, limit, test.ts, result.total_stat,
            test.fit_null.total_stat, scan, stat_scan, tuple(joined.names), counts.copy(), npred.copy(), self.n_sigma, self.n_sigma_ul,
            self.null_value, self.selection, test.success, result.flags, tuple(notes),
            None if source is None else replace(source, settings=dict(source.settings) | settings), reached, self.n_sigma_sensitivity,
        )  # fmt: skip


def _counts(dataset: Any) -> tuple[float, float]:
    """Measured and predicted counts in the fit; nan where there are none."""
    if not hasattr(dataset, "npred") or not hasattr(dataset, "counts"):
        return np.nan, np.nan
    inside = dataset.mask_array
    return dataset.counts.data[inside].sum(), dataset.npred().data[inside].sum()
