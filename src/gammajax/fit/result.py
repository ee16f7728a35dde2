"""The result of a fit: a value that tells how it went."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gammajax.arguments import gammapy_arguments
from gammajax.fit.flags import FitFlags
from gammajax.fit.goodness import GoodnessOfFit
from gammajax.hooks import StoredResult
from gammajax.models import Models
from gammajax.parameters import Parameters
from gammajax.provenance import Provenance
from gammajax.solve import Status

if TYPE_CHECKING:
    from gammajax.fit.starts import StartsResult

__all__ = ["FitResult"]


class CovarianceResult(NamedTuple):
    """The covariance of a fit by gammapy's names.

    Attributes
    ----------
    success : bool
        Whether there is one.
    matrix : array, shape (n, n), or None
        Of all parameters, in their units.
    message : str
        Where it comes from.
    backend : str
        Always "exact": derivatives of the statistic itself.
    """

    success: bool
    matrix: np.ndarray | None
    message: str
    backend: str


@gammapy_arguments
@dataclass(frozen=True, repr=False)
class FitResult(StoredResult):
    """What a fit found, and how it ended. Nothing in it changes later.

    Attributes
    ----------
    backend, method : str
        Optimiser.
    success : bool
        Whether the fit ended at a minimum, on a limit or not: statistic, EDM and Hessian say so, and the optimiser agrees or the EDM
        is below 1e-6. `status` and `flags` tell the rest.
    message : str
        The optimiser's own words; where derivatives say otherwise, that too.
    total_stat : float
        Statistic, -2 ln L, at the best fit.
    edm : float
        Expected distance to the minimum in units of the statistic, from exact derivatives.
    flags : `FitFlags`
        One flag per way to end.
    nfev, ngrad, nhess : int
        Evaluations of statistic, gradient and Hessian that the optimiser asked for.
    n_bins, n_free : int
        Bins in the fit and free parameters.
    models : `Models`
        Read-only copy of the models with values, errors and covariance of this fit.
    trace : `~astropy.table.Table` or None
        One row per evaluation: statistic and each free parameter; with ``store_trace=True``.
    raw : object
        What the optimiser returned (``Minuit``, ``OptimizeResult`` ...); not there in a result that was read from a file.
    options : dict
        Options of the optimiser that were used.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, a hash of the data, and the time.
    goodness : `GoodnessOfFit` or None
        Statistic relative to a perfect model, degrees of freedom, and a p-value where it is known.
    starts : `StartsResult` or None
        What several starts came to; with ``starts=...``.
    data_notes : tuple of str
        What to know of the data and the models, however the fit ended.
    """

    backend: str
    method: str
    success: bool
    message: str
    total_stat: float
    edm: float
    flags: FitFlags
    nfev: int
    ngrad: int
    nhess: int
    n_bins: int
    n_free: int
    models: Models
    trace: Any = None
    raw: Any = None
    options: dict = field(default_factory=dict)
    provenance: Provenance | None = None
    goodness: GoodnessOfFit | None = None
    starts: "StartsResult | None" = None
    data_notes: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        # the optimiser's own object holds functions, which neither a copy nor another process can have
        ours = type(self.raw).__module__.startswith("gammajax.")
        return self.__dict__ | {"raw": self.raw if ours else None}

    @property
    def status(self) -> Status:
        """How the fit ended, in one word; `flags` has the details."""
        return self.flags.status

    @property
    def notes(self) -> list[str]:
        """Sentences for a person: how it ended, what the starts found, what to know of the data."""
        out = self.flags.notes()
        if self.starts is not None:
            out.append(f"{self.starts}.")
        return [*out, *self.data_notes]

    @property
    def parameters(self) -> Parameters:
        """Read-only parameters of the best fit."""
        return self.models.parameters

    @property
    def covariance(self) -> Any:
        """Covariance of all parameters."""
        return self.models.covariance

    def stat_sum(self, constants: bool | None = None) -> float:
        """Statistic at the best fit, with or without the constants of priors and penalties.

        Parameters
        ----------
        constants : bool, optional
            True for the whole densities, False for no constant; `total_stat` if not given, see `Models.prior_stat_sum`.
        """
        if constants is None or not np.isfinite(self.total_stat):
            return self.total_stat
        return self.total_stat + self.models.prior_stat_sum(constants) - self.models.prior_stat_sum()

    @property
    def optimize_result(self) -> "FitResult":
        """The result itself, by the name that gammapy has for this part of it."""
        return self

    @property
    def covariance_result(self) -> CovarianceResult:
        """Covariance by gammapy's names: `success`, `matrix`, `message` and `backend`."""
        success = self._covariance_from() != "none"
        matrix = self.covariance.data if success else None
        return CovarianceResult(success, matrix, f"{self._covariance_from()}.", "exact")

    @property
    def minuit(self) -> Any:
        """The ``iminuit.Minuit`` object of a minuit fit, otherwise None."""
        return self.raw if self.backend == "minuit" else None

    @property
    def dof(self) -> float:
        """Degrees of freedom: bins in the fit minus free parameters; nan where the statistic is a function without bins."""
        return self.n_bins - self.n_free if self.n_bins else float("nan")

    def _rows(self) -> list[tuple[str, str]]:
        at_limit = [f"{n} ({self.flags.sides[n]})" for n in self.flags.at_limit]
        return [
            ("backend", self.backend),
            ("method", self.method),
            ("success", str(self.success)),
            ("status", f"{self.status.name}: {self.status.meaning}"),
            ("message", self.message),
            ("nfev", str(self.nfev)),
            ("gradient evaluations", str(self.ngrad)),
            ("Hessian evaluations", str(self.nhess)),
            ("total stat", f"{self.total_stat:.6f}" if abs(self.total_stat) < 1e15 else f"{self.total_stat:.6g}"),
            (
                "bins, free parameters",
                f"{self.n_bins}, {self.n_free} (dof {self.dof})" if self.n_bins else f"none, {self.n_free}",
            ),
            ("EDM", f"{self.edm:.2e}"),
            ("covariance", self._covariance_from()),
            ("converged", str(self.flags.converged)),
            ("at limit", ", ".join(at_limit) or "none"),
            ("goodness of fit", "none" if self.goodness is None else str(self.goodness)),
        ]

    def _covariance_from(self) -> str:
        if np.isnan(self.edm) or self.flags.singular:
            return "none"
        return "exact Hessian" + (", mean over one error across kinks" if self.flags.kinked else "")

    def __str__(self) -> str:
        lines = ["FitResult", "---------", ""]
        lines += [f"  {label:<22}: {value}" for label, value in self._rows()]
        notes = self.notes
        if notes:
            lines += ["", "  Notes"] + [f"  - {n}" for n in notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"<FitResult: {self.backend}, success={self.success}, total_stat={self.total_stat:.6f}, edm={self.edm:.1e}>"
        )

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in self._rows())
        notes = "".join(f"<li>{escape(n)}</li>" for n in self.notes)
        return f"<table>{rows}</table><ul>{notes}</ul>{self.models._repr_html_()}"
