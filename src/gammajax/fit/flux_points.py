"""Flux points and light curves: the strengths of a source in energy bins, and in time bins."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gammajax.arguments import gammapy_arguments
from gammajax.datasets import GTI
from gammajax.errors import InputError
from gammajax.fit.flux_columns import PER_DATASET, UNITS, FluxColumns
from gammajax.fit.flux_table import SERIES, points_table, time_series
from gammajax.hooks import hook, lock_arrays
from gammajax.provenance import Provenance
from gammajax.solve import Status

__all__ = ["UNITS", "FluxPoints"]

# points of less significance are shown as limits, as in gammapy
SQRT_TS_UL = 2.0
# s: a number of days in double precision, of this century
SAME_TIME = 1e-4


@gammapy_arguments
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
    counts, npred, npred_excess : array, shape (K, D)
        Measured counts, predicted counts and predicted counts of the source, at the best strength, of each of D data sets; light curves
        have shape (T, K, D), and nan for data sets that are not in the time bin. Their sums are ``np.nansum(points.counts, axis=-1)``.
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
    dataset_names : tuple of str, optional
        Names of the D data sets; not known of a file of gammapy's.
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
    dataset_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in PER_DATASET:
            values = np.asarray(getattr(self, name))
            # one number for each bin is that of one data set
            if values.ndim == np.ndim(self.norm):
                object.__setattr__(self, name, values[..., None])
        if self.status is None:
            known = np.where(self.success, Status.CONVERGED, Status.NOT_CONVERGED)
            object.__setattr__(self, "status", known.astype(int))
        if self.norm_sensitivity is None:
            object.__setattr__(self, "norm_sensitivity", np.full(np.shape(self.norm), np.nan))
        lock_arrays(self)

    @property
    def is_ul(self) -> np.ndarray:
        """Which are shown as upper limits, shape (K,): those that a table marks, or else a significance below 2 or no minimum.

        Nothing outside of the fit is, where not even the TS is known. Without a TS it is, as in gammapy, whatever has a limit, and without
        limits what has no strength.
        """
        if self.marked is not None:
            return self.marked
        if self.has_ul and self.has_any_ts:
            return self.sqrt_ts < SQRT_TS_UL
        return np.isfinite(self.norm_ul) if self.has_ul else np.isnan(self.norm)

    @property
    def sqrt_ts(self) -> np.ndarray:
        """Signed square root of the TS, shape (K,)."""
        root = np.sqrt(np.maximum(self.ts, 0.0))
        # a strength that is not known is none above 0; 0 has no sign
        return np.where(self.norm > 0, root, -root) + 0.0

    def to_table(self, sed_type: str | None = "dnde", format: str | None = None, formatted: bool = False) -> Any:
        """Return an astropy QTable by the columns of gammapy: one row per energy bin, or per time bin of a light curve.

        Parameters
        ----------
        sed_type : {"likelihood", "norm", "dnde", "e2dnde", "flux", "eflux"}, optional
            What the points are given in; "likelihood" holds everything, and None is what they were made or read in.
        format : {"gadf-sed", "lightcurve", "binned-time-series"}, optional
            gammapy's names of the layouts. Points have time bins or not, so that there is nothing to choose but "binned-time-series" for a
            light curve of one energy bin: astropy's `~astropy.timeseries.BinnedTimeSeries`, which does not tell the energies.
        formatted : bool
            Show few digits.
        """
        self._check_format(format, (SERIES,))
        make = time_series if format == SERIES else points_table
        return make(self, self.sed_type_init if sed_type is None else sed_type, formatted)

    def _check_format(self, format: str | None, others: tuple[str, ...] = ()) -> None:
        own, what = ("gadf-sed", "flux points") if self.gti is None else ("lightcurve", "a light curve")
        if format not in (None, own, *others):
            raise InputError(f"got format={format!r}, but these are {what}: leave it out, or format={own!r}.")

    def write(
        self,
        filename: Any,
        sed_type: str | None = None,
        format: str | None = None,
        overwrite: bool = False,
        checksum: bool = True,
    ) -> None:
        """Write a table that gammapy reads too; see `gammajax.io.flux_points.write_points`.

        Parameters
        ----------
        filename : str or path
            .fits or .ecsv, which gammapy reads, or .yaml.
        sed_type : {"likelihood", "dnde", "e2dnde", "flux", "eflux"}, optional
            What the points are given in; "likelihood", which holds everything, if not given, and without energy bins what they were read
            from.
        format : {"gadf-sed", "lightcurve", "binned-time-series"}, optional
            As in `to_table`. Nobody reads flux points from a "binned-time-series", which has no energies; astropy does read the table.
        overwrite : bool
            Whether an existing file is replaced.
        checksum : bool
            Whether FITS has CHECKSUM and DATASUM in each HDU, and ECSV a hash of its text.
        """
        self._check_format(format, (SERIES,))
        own = "likelihood" if self.energies is None else self.sed_type_init
        hook("write points")(self, filename, own if sed_type is None else sed_type, overwrite, checksum, format)

    @classmethod
    def read(
        cls,
        filename: Any,
        sed_type: str | None = None,
        format: str | None = None,
        reference_model: Any = None,
        checksum: bool = True,
        table_format: str | None = None,
        **kwargs: Any,
    ) -> "FluxPoints":
        """Read a table of gammapy's or of ours; see `gammajax.io.flux_points.read_points`.

        Parameters
        ----------
        filename : str or path
            FITS or ECSV; variables of the environment are put in.
        sed_type : {"likelihood", "norm", "dnde", "e2dnde", "flux", "eflux"}, optional
            The columns to be read; those that are there if not given.
        format : {"gadf-sed", "lightcurve"}, optional
            What is expected there; refused if it is the other.
        reference_model : `SpectralModel` or `SkyModel`, optional
            What the strengths are relative to where the table holds fluxes; a power law of index 2 if not given.
        checksum : bool
            Whether to refuse a file that does not match its checksums, where it has some.
        table_format : str, optional
            Of a table that is neither FITS nor ECSV by its name: "ascii.ecsv" if not given, or another text format of astropy.
        **kwargs
            To `~astropy.table.Table.read`, for text.
        """
        found = hook("read points")(filename, reference_model, sed_type, checksum, table_format, **kwargs)
        found._check_format(format)
        return found

    @classmethod
    def from_table(
        cls,
        table: Any,
        sed_type: str | None = None,
        format: str | None = None,
        reference_model: Any = None,
        gti: Any = None,
    ) -> "FluxPoints":
        """From a table of gammapy's columns, as `to_table` makes them.

        Parameters
        ----------
        table : `~astropy.table.Table`
            One row per energy bin, or per time bin of a light curve.
        sed_type, format, reference_model
            As in `read`.
        gti : `GTI`, optional
            The time bins of a light curve, exactly; those in the table are rounded to microseconds. Refused for points without time bins.
        """
        found = hook("points from table")(table, "table", reference_model, sed_type)
        found._check_format(format)
        return found if gti is None else found._timed(gti)

    def _timed(self, gti: GTI) -> "FluxPoints":
        """The same with the exact time bins."""
        if self.gti is None:
            raise InputError("from_table: got gti, but flux points without time bins depend on no times; leave it out.")
        new = gti if isinstance(gti, GTI) else GTI.create(gti.time_start, gti.time_stop, gti.time_ref)
        if len(new) != len(self.gti) or not all(
            np.allclose((getattr(new, n) - getattr(self.gti, n)).to_value("s"), 0, atol=SAME_TIME) for n in ("time_start", "time_stop")
        ):  # fmt: skip
            raise InputError(f"from_table: got gti with {new}, but the time bins of the table are {self.gti}.")
        return replace(self, gti=new)

    def plot(
        self,
        ax: Any = None,
        sed_type: str | None = None,
        energy_power: float = 0,
        time_format: str | None = None,
        axis_name: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Plot the points, limits as arrows below a TS of 4; see `gammajax.plotting.plot_flux_points` and `plot_light_curve`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        sed_type : {"e2dnde", "dnde", "flux", "eflux", "norm"}
            What is drawn; e2dnde over the energy if not given, and flux over the time.
        energy_power : float
            Power of the energy (TeV) that it is multiplied with.
        time_format : {"mjd", "iso"}, optional
            Of a light curve: days, if not given, or dates.
        axis_name : {"energy", "time"}, optional
            The time for light curves and else the energy; there is nothing to choose. The spectrum of one time bin is
            ``points.slice_by_idx({"time": 0})``.
        **kwargs
            To the function that draws.
        """
        from gammajax.plotting import plot_flux_points, plot_light_curve

        self._check_axis(axis_name, "plot")
        kwargs["energy_power"] = energy_power
        if self.gti is None:
            if time_format is not None:
                raise InputError("plot: got time_format, but these points are drawn over the energy; leave it out.")
            return plot_flux_points(self, ax, "e2dnde" if sed_type is None else sed_type, **kwargs)
        kwargs["time_format"] = "mjd" if time_format is None else time_format
        return plot_light_curve(self, ax, "flux" if sed_type is None else sed_type, **kwargs)

    def _check_axis(self, axis_name: str | None, what: str) -> None:
        own = "energy" if self.gti is None else "time"
        if axis_name not in (None, own):
            raise InputError(
                f"{what}: got axis_name={axis_name!r}, but these points are drawn over the {own}; for the spectrum of one time bin "
                'take points.slice_by_idx({"time": 0}).'
            )

    def plot_ts_profiles(
        self,
        ax: Any = None,
        sed_type: str | None = None,
        add_cbar: bool = True,
        axis_name: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Plot the scanned statistic as an image; see `gammajax.plotting.plot_ts_profiles`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        sed_type : {"e2dnde", "dnde", "flux", "eflux", "norm"}
            What the other axis is; e2dnde over the energy if not given, and flux over the time.
        add_cbar : bool
            Whether to draw a colour bar.
        axis_name : {"energy", "time"}, optional
            As in `plot`.
        **kwargs
            To the function that draws.
        """
        from gammajax.plotting import plot_ts_profiles

        self._check_axis(axis_name, "plot_ts_profiles")
        default = "e2dnde" if self.gti is None else "flux"
        return plot_ts_profiles(self, ax, default if sed_type is None else sed_type, add_cbar, **kwargs)

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
