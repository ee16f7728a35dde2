"""One parameter with everything that is asked of it: errors, limit, significance and profile."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.fit import Fit
from gammajax.fit.resolve import as_datasets, as_likelihood, parameter_index

__all__ = ["ParameterEstimator"]

OPTIONAL = ("errn-errp", "ul", "scan")


class ParameterEstimator:
    """Estimates one parameter, all other free parameters re-fitted.

    Parameters
    ----------
    n_sigma, n_sigma_ul : float
        Of the errors on both sides and of the upper limit: the re-optimised statistic rises by their square.
    null_value : float
        Value under the null hypothesis of the TS, in the unit of the parameter.
    selection_optional : "all", or list of {"errn-errp", "ul", "scan"}
        What is computed beside the value, its error and the TS.
    backend : str
        Optimiser, as in `Fit`.

    Examples
    --------
    >>> ParameterEstimator(selection_optional="all").selection
    ('errn-errp', 'ul', 'scan')
    """

    def __init__(
        self,
        *,
        n_sigma: float = 1,
        n_sigma_ul: float = 2,
        null_value: float = 0.0,
        selection_optional: str | Sequence[str] | None = None,
        backend: str = "newton",
    ) -> None:
        chosen = OPTIONAL if selection_optional == "all" else tuple(selection_optional or ())
        for name in chosen:
            if name not in OPTIONAL:
                raise InputError(f"selection_optional: unknown {name!r}; known are: {', '.join(OPTIONAL)}, or 'all'.")
        if not (n_sigma > 0 and n_sigma_ul > 0):
            raise InputError(f"n_sigma={n_sigma} and n_sigma_ul={n_sigma_ul}: expected numbers above 0.")
        self.n_sigma, self.n_sigma_ul, self.null_value = float(n_sigma), float(n_sigma_ul), float(null_value)
        self.selection, self.backend = chosen, backend

    def run(self, datasets: Any, parameter: Any) -> dict[str, Any]:
        """Fit, and estimate the parameter.

        Parameters
        ----------
        datasets : `Datasets`, data set or list
            With models; they are left at the best fit.
        parameter : `Parameter` or str
            The parameter.

        Returns
        -------
        dict
            By gammapy's keys, for a parameter "alpha": alpha, alpha_err, stat, stat_null, ts, success, and as asked for alpha_errp and
            alpha_errn, alpha_ul, alpha_scan and stat_scan; numbers in the unit of the parameter, nan where one is not defined.

        Raises
        ------
        InputError
            For an unknown parameter, or a null value outside of its limits.
        FitError
            If the parameter is frozen.
        """
        joined = as_datasets(datasets, None)
        _, live, unique = parameter_index(as_likelihood(joined), parameter)
        name = live.name
        fit = Fit(joined, backend=self.backend)
        test = fit.ts({live: self.null_value})
        out: dict[str, Any] = {
            name: live.value,
            f"{name}_err": live.error,
            "stat": test.fit.total_stat,
            "stat_null": test.fit_null.total_stat,
            "ts": test.ts,
            "success": test.success,
        }
        if "errn-errp" in self.selection:
            found = fit.confidence(unique, sigma=self.n_sigma)
            out[f"{name}_errp"], out[f"{name}_errn"] = float(found["errp"]), float(found["errn"])
        if "ul" in self.selection:
            out[f"{name}_ul"] = live.value + float(fit.confidence(unique, sigma=self.n_sigma_ul)["errp"])
        if "scan" in self.selection:
            profile = fit.stat_profile(unique, reoptimize=True)
            out[f"{name}_scan"], out["stat_scan"] = np.array(profile[f"{unique}_scan"]), np.array(profile["stat_scan"])
        return out
