"""The result of a fit: a value that tells how it went."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.fit.flags import FitFlags
from gammajax.hooks import StoredResult
from gammajax.models import Models
from gammajax.parameters import Parameters
from gammajax.provenance import Provenance

__all__ = ["FitResult"]


@dataclass(frozen=True, repr=False)
class FitResult(StoredResult):
    """What a fit found, and how it ended. Nothing in it changes later.

    Attributes
    ----------
    backend, method : str
        Optimiser.
    success : bool
        The optimiser says so, and statistic, EDM and Hessian agree (`flags`).
    message : str
        The optimiser's own words.
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

    @property
    def parameters(self) -> Parameters:
        """Read-only parameters of the best fit."""
        return self.models.parameters

    @property
    def covariance(self) -> Any:
        """Covariance of all parameters."""
        return self.models.covariance

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
            ("message", self.message),
            ("nfev", str(self.nfev)),
            ("gradient evaluations", str(self.ngrad)),
            ("Hessian evaluations", str(self.nhess)),
            ("total stat", f"{self.total_stat:.6f}"),
            (
                "bins, free parameters",
                f"{self.n_bins}, {self.n_free} (dof {self.dof})" if self.n_bins else f"none, {self.n_free}",
            ),
            ("EDM", f"{self.edm:.2e}"),
            ("covariance", "exact Hessian" if not np.isnan(self.edm) else "none"),
            ("converged", str(self.flags.converged)),
            ("at limit", ", ".join(at_limit) or "none"),
        ]

    def __str__(self) -> str:
        lines = ["FitResult", "---------", ""]
        lines += [f"  {label:<22}: {value}" for label, value in self._rows()]
        notes = self.flags.notes()
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
        notes = "".join(f"<li>{escape(n)}</li>" for n in self.flags.notes())
        return f"<table>{rows}</table><ul>{notes}</ul>{self.models._repr_html_()}"
