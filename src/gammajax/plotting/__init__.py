"""Plots; matplotlib is imported when a plot is asked for."""

from gammajax.plotting.contours import plot_contour, plot_contour_line
from gammajax.plotting.correlation import plot_correlation
from gammajax.plotting.datasets import peek, plot_counts, plot_excess, plot_fit, plot_masks, plot_residuals
from gammajax.plotting.flux_points import plot_flux_points
from gammajax.plotting.light_curves import plot_light_curve
from gammajax.plotting.maps import plot_energy_map, plot_matrix
from gammajax.plotting.points_fit import plot_points_fit, plot_points_residuals, plot_points_spectrum
from gammajax.plotting.scans import plot_scan
from gammajax.plotting.spectra import plot_spectral_error, plot_spectral_model
from gammajax.plotting.temporal import plot_temporal
from gammajax.plotting.ts_profiles import plot_ts_profiles
from gammajax.plotting.xy import plot_xy_fit

__all__ = [
    "peek",
    "plot_contour",
    "plot_contour_line",
    "plot_correlation",
    "plot_counts",
    "plot_energy_map",
    "plot_excess",
    "plot_fit",
    "plot_flux_points",
    "plot_light_curve",
    "plot_masks",
    "plot_matrix",
    "plot_points_fit",
    "plot_points_residuals",
    "plot_points_spectrum",
    "plot_residuals",
    "plot_scan",
    "plot_spectral_error",
    "plot_spectral_model",
    "plot_temporal",
    "plot_ts_profiles",
    "plot_xy_fit",
]
