"""Flux points and light curves: the strengths of a source in energy bins, and in time bins."""

from dataclasses import dataclass, field
from math import erf
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import GTI
from gammajax.errors import InputError
from gammajax.fit.flux_columns import UNITS, FluxColumns
from gammajax.hooks import hook, lock_arrays
from gammajax.provenance import Provenance
from gammajax.solve import Status
from gammajax.units import parsed

__all__ = ["UNITS", "FluxPoints", "points_table"]

SED_TYPES = ("likelihood", "norm", "dnde", "e2dnde", "flux", "eflux")
# points of less significance are shown as limits, as in gammapy
SQRT_TS_UL = 2.0
FORMATS = {("dnde", "e2dnde", "flux", "eflux", "ref"): ".3e", ("e_", "sqrt_ts", "norm", "ts", "stat", "npred"): ".3f"}


@dataclass(frozen=True)
class FluxPoints(FluxColumns):
    """Strengths of a source in K energy bins, relative to its model; by gammapy's names, nan where not asked for or not defined.

    A light curve has T time bins, `gti` tells which; each of the arrays of shape (K,) and (K, L) then has them first: (T, K).

    Attributes
    ----------
    energy_edges : array, shape (K + 1,)
        Edges, TeV, on edges of the reconstructed axis.
    reference : dict of str to array, shape (K,)
        Of the model: dnde and e2dnde at the logarithmic centres, flux and eflux of the bins; TeV, s, cm.
    norm, norm_err, norm_errn, norm_errp, norm_ul : array, shape (K,)
        Best strength, its error from the curvature, errors on both sides and upper limit from the statistic itself.
    ts, stat, stat_null : array, shape (K,)
        Statistic with the source, without it, and their difference.
    counts, npred, npred_excess : array, shape (K,)
        Measured counts, predicted counts and predicted counts of the source, at the best strength.
    norm_scan, stat_scan : array, shape (L,) and (K, L)
        Statistic on a grid of strengths.
    success : array of bool, shape (K,)
        Whether there is a minimum; without one, as in a bin without counts, the limit is counted from a strength of 0.
    n_sigma, n_sigma_ul : float
        Of the errors on both sides and of the limit: a rise of the statistic by their square.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    gti : `GTI`, optional
        The time bins of a light curve, T of them.
    status : array of int, shape (K,), optional
        How each bin ended, by its `Status`: also whether something else that was re-fitted is on a limit. By `success` alone if not given.
    norm_sensitivity : array, shape (K,), optional
        Strength at which data as predicted would have a significance of `n_sigma_sensitivity`; nan if not given.
    n_sigma_sensitivity : float
        See there.
    energies : array, shape (K,), optional
        Of points that were published at energies, without bins: TeV. The edges then lie half-way between them in the logarithm, as gammapy
        has it (around a single one a tenth of a decade), and there are no fluxes of bins.
    sed_type_init : {"likelihood", "dnde", "e2dnde", "flux", "eflux"}
        What the points were given in; a `FluxPointsDataset` of them compares that with its models.
    marked : array of bool, shape (K,), optional
        Which are upper limits by the table that they were read from.
    """

    energy_edges: np.ndarray
    reference: dict[str, np.ndarray] = field(repr=False)
    norm: np.ndarray
    norm_err: np.ndarray
    norm_errn: np.ndarray
    norm_errp: np.ndarray
    norm_ul: np.ndarray
    ts: np.ndarray
    stat: np.ndarray
    stat_null: np.ndarray
    counts: np.ndarray
    npred: np.ndarray
    npred_excess: np.ndarray
    norm_scan: np.ndarray
    stat_scan: np.ndarray
    success: np.ndarray
    n_sigma: float
    n_sigma_ul: float
    provenance: Provenance | None = field(default=None, repr=False)
    gti: GTI | None = None
    status: np.ndarray | None = None
    norm_sensitivity: np.ndarray | None = None
    n_sigma_sensitivity: float = 5.0
    energies: np.ndarray | None = None
    sed_type_init: str = "likelihood"
    marked: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.status is None:
            known = np.where(self.success, Status.CONVERGED, Status.NOT_CONVERGED)
            object.__setattr__(self, "status", known.astype(int))
        if self.norm_sensitivity is None:
            object.__setattr__(self, "norm_sensitivity", np.full(np.shape(self.norm), np.nan))
        lock_arrays(self)

    @property
    def is_ul(self) -> np.ndarray:
        """Which are shown as upper limits, shape (K,): those that a table marks, or else a significance below 2 or no minimum.

        Without a TS it is, as in gammapy, whatever has a limit, and without limits what has no flux.
        """
        if self.marked is not None:
            return self.marked
        if np.isfinite(self.ts).any() or not np.isfinite(self.norm).any():
            return ~(self.sqrt_ts >= SQRT_TS_UL)
        return np.isfinite(self.norm_ul) if self.has_ul else np.isnan(self.norm)

    @property
    def sqrt_ts(self) -> np.ndarray:
        """Signed square root of the TS, shape (K,)."""
        return np.sign(self.norm) * np.sqrt(np.maximum(self.ts, 0.0))

    def to_table(self, sed_type: str = "dnde", formatted: bool = False, format: str | None = None) -> Any:
        """Return an astropy QTable by the columns of gammapy: one row per energy bin, or per time bin of a light curve.

        Parameters
        ----------
        sed_type : {"likelihood", "norm", "dnde", "e2dnde", "flux", "eflux"}
            What the points are given in; "likelihood" holds everything.
        formatted : bool
            Show few digits.
        format : {"gadf-sed", "lightcurve"}, optional
            gammapy's names of the two layouts; there is nothing to choose, for points have time bins or not.
        """
        self._check_format(format)
        return points_table(self, sed_type, formatted)

    def _check_format(self, format: str | None) -> None:
        own, what = ("gadf-sed", "flux points") if self.gti is None else ("lightcurve", "a light curve")
        if format not in (None, own):
            raise InputError(f"got format={format!r}, but these are {what}: leave it out, or format={own!r}.")

    def write(self, path: Any, overwrite: bool = False, sed_type: str | None = None, format: str | None = None) -> None:
        """Write a table that gammapy reads too; see `gammajax.io.flux_points.write_points`.

        Parameters
        ----------
        path : str or path
            .fits or .ecsv, which gammapy reads, or .yaml.
        overwrite : bool
            Whether an existing file is replaced.
        sed_type : {"likelihood", "dnde", "e2dnde", "flux", "eflux"}, optional
            What the points are given in; "likelihood", which holds everything, if not given, and without energy bins what they were read
            from.
        format : {"gadf-sed", "lightcurve"}, optional
            As in `to_table`.
        """
        self._check_format(format)
        own = "likelihood" if self.energies is None else self.sed_type_init
        hook("write points")(self, path, own if sed_type is None else sed_type, overwrite)

    @classmethod
    def read(
        cls, path: Any, sed_type: str | None = None, format: str | None = None, reference_model: Any = None
    ) -> "FluxPoints":
        """Read a table of gammapy's or of ours; see `gammajax.io.flux_points.read_points`.

        Parameters
        ----------
        path : str or path
            FITS or ECSV; variables of the environment are put in.
        sed_type : {"likelihood", "norm", "dnde", "e2dnde", "flux", "eflux"}, optional
            The columns to be read; those that are there if not given.
        format : {"gadf-sed", "lightcurve"}, optional
            What is expected there; refused if it is the other.
        reference_model : `SpectralModel` or `SkyModel`, optional
            What the strengths are relative to where the table holds fluxes; a power law of index 2 if not given.
        """
        found = hook("read points")(path, reference_model, sed_type)
        found._check_format(format)
        return found

    @classmethod
    def from_table(
        cls, table: Any, sed_type: str | None = None, format: str | None = None, reference_model: Any = None
    ) -> "FluxPoints":
        """From a table of gammapy's columns, as `to_table` makes them.

        Parameters
        ----------
        table : `~astropy.table.Table`
            One row per energy bin, or per time bin of a light curve.
        sed_type, format, reference_model
            As in `read`.
        """
        found = hook("points from table")(table, "table", reference_model, sed_type)
        found._check_format(format)
        return found

    def plot(self, ax: Any = None, sed_type: str | None = None, axis_name: str | None = None, **kwargs: Any) -> Any:
        """Plot the points, limits as arrows below a TS of 4; see `gammajax.plotting.plot_flux_points` and `plot_light_curve`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        sed_type : {"e2dnde", "dnde", "flux", "eflux", "norm"}
            What is drawn; e2dnde over the energy if not given, and flux over the time.
        axis_name : {"energy", "time"}, optional
            The time for light curves and else the energy; there is nothing to choose. The spectrum of one time bin is
            ``points.slice_by_idx({"time": 0})``.
        **kwargs
            To the function that draws.
        """
        from gammajax.plotting import plot_flux_points, plot_light_curve

        own = "energy" if self.gti is None else "time"
        if axis_name not in (None, own):
            raise InputError(
                f"plot: got axis_name={axis_name!r}, but these points are drawn over the {own}; for the spectrum of one time bin "
                'take points.slice_by_idx({"time": 0}).'
            )
        if self.gti is not None:
            return plot_light_curve(self, ax, "flux" if sed_type is None else sed_type, **kwargs)
        return plot_flux_points(self, ax, "e2dnde" if sed_type is None else sed_type, **kwargs)

    def plot_ts_profiles(self, ax: Any = None, sed_type: str | None = None, **kwargs: Any) -> Any:
        """Plot the scanned statistic as an image; see `gammajax.plotting.plot_ts_profiles`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        sed_type : {"e2dnde", "dnde", "flux", "eflux", "norm"}
            What the other axis is; e2dnde over the energy if not given, and flux over the time.
        **kwargs
            To the function that draws.
        """
        from gammajax.plotting import plot_ts_profiles

        default = "e2dnde" if self.gti is None else "flux"
        return plot_ts_profiles(self, ax, default if sed_type is None else sed_type, **kwargs)

    def __repr__(self) -> str:
        times = "" if self.gti is None else f"{len(self.gti)} time bins, "
        if self.energies is not None:
            return f"FluxPoints({times}{len(self.energies)} points at energies from {self.energies[0]:.3g} to {self.energies[-1]:.3g} TeV)"
        bins = f"{len(self.energy_edges) - 1} energy bins from {self.energy_edges[0]:.3g} to {self.energy_edges[-1]:.3g} TeV"
        return f"FluxPoints({times}{bins})"

    def __str__(self) -> str:
        return "\n".join(self.to_table("norm", formatted=True).pformat(max_lines=-1, max_width=-1))

    def _repr_html_(self) -> str:
        return self.to_table(formatted=True)._repr_html_()


def points_table(points: FluxPoints, sed_type: str, formatted: bool = False) -> Any:
    """Table of flux points; see `FluxPoints.to_table`."""
    from astropy.table import QTable

    if sed_type not in SED_TYPES:
        raise InputError(f"to_table: got sed_type={sed_type!r}, expected one of {', '.join(SED_TYPES)}.")
    p = points
    if p.energies is not None and sed_type in ("likelihood", "flux", "eflux"):
        raise InputError(
            f"to_table: the points are at energies, without bins, so that there is no {sed_type}; take sed_type='dnde', 'e2dnde' or 'norm'."
        )
    meta = {"SED_TYPE": sed_type, "UL_CONF": round(erf(p.n_sigma_ul / 2**0.5), 7), "N_SIGMA": p.n_sigma}
    # the level has seven digits; a keyword of FITS has eight letters
    meta["NSIGMAUL"] = p.n_sigma_ul
    suffixes = ["", "_err", "_errn", "_errp", "_ul"]
    if np.isfinite(p.quantity("dnde_sensitivity").value).any():
        suffixes.append("_sensitivity")
        meta["NSIGMASN"] = p.n_sigma_sensitivity
    table = QTable(meta=meta | ({} if p.gti is None else _time_header(p.gti)))
    if p.gti is not None:
        table["time_min"], table["time_max"] = p.gti.time_start.mjd, p.gti.time_stop.mjd

    def spread(values: Any) -> np.ndarray:
        """Values of the energy bins, for each of the time bins."""
        return np.broadcast_to(values, p.norm.shape).copy()

    energies = {"e_ref": p.energy_ref.value}
    if p.energies is None:
        energies |= {"e_min": p.energy_edges[:-1], "e_max": p.energy_edges[1:]}
    for name, e in energies.items():
        table[name] = u.Quantity(spread(e), "TeV")
    if sed_type == "likelihood":
        for name, unit in UNITS.items():
            table[f"ref_{name}"] = u.Quantity(spread(p.reference[name]), parsed(unit))
    for suffix in suffixes:
        if sed_type in ("likelihood", "norm"):
            table[f"norm{suffix}"] = getattr(p, f"norm{suffix}")
        else:
            table[f"{sed_type}{suffix}"] = p.quantity(f"{sed_type}{suffix}")
    for name in ("ts", "sqrt_ts", "stat", "stat_null", "npred", "npred_excess", "counts", "success"):
        table[name] = getattr(p, name)
    table["status"] = p.status
    if np.isfinite(p.norm_ul).any():
        table["is_ul"] = p.is_ul
    if len(p.norm_scan):
        if sed_type in UNITS:
            # what the strengths of the scan are relative to, which no other column tells
            table[f"ref_{sed_type}"] = u.Quantity(spread(p.reference[sed_type]), parsed(UNITS[sed_type]))
        table["stat_scan"] = p.stat_scan
        table["norm_scan"] = np.broadcast_to(p.norm_scan, p.stat_scan.shape).copy()
    if formatted:
        for column in table.colnames:
            for begins, form in FORMATS.items():
                if column.startswith(begins) and column != "status":
                    table[column].info.format = form
    return table


def _time_header(gti: GTI) -> dict[str, Any]:
    return {"MJDREFI": 0, "MJDREFF": 0.0, "TIMESYS": gti.time_ref.scale, "TIMEUNIT": "d"}
