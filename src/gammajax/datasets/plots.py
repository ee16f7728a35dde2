"""Plots of data sets, as methods."""

from typing import Any

__all__ = ["CountsPlots", "PointsPlots"]


class CountsPlots:
    """Plot methods of the spectra of counts; the functions are in `gammajax.plotting`."""

    def plot_fit(self, **kwargs: Any) -> Any:
        """Plot counts, prediction and residuals; see `gammajax.plotting.plot_fit`.

        Parameters
        ----------
        **kwargs
            To `gammajax.plotting.plot_fit`.
        """
        from gammajax.plotting import plot_fit

        return plot_fit(self, **kwargs)

    def plot_residuals(self, ax: Any = None, method: str = "diff", **kwargs: Any) -> Any:
        """Plot residuals; see `gammajax.plotting.plot_residuals`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        method : {"diff", "diff/model", "diff/sqrt(model)"}
            How they are counted.
        **kwargs
            To `gammajax.plotting.plot_residuals`.
        """
        from gammajax.plotting import plot_residuals

        return plot_residuals(self, ax=ax, method=method, **kwargs)

    def peek(self, **kwargs: Any) -> Any:
        """Plot counts, exposure and energy dispersion; see `gammajax.plotting.peek`.

        Parameters
        ----------
        **kwargs
            To `gammajax.plotting.peek`.
        """
        from gammajax.plotting import peek

        return peek(self, **kwargs)

    def plot_counts(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot ON counts and background; see `gammajax.plotting.plot_counts`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_counts`.
        """
        from gammajax.plotting import plot_counts

        return plot_counts(self, ax=ax, **kwargs)

    def plot_excess(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot excess counts and the predicted signal; see `gammajax.plotting.plot_excess`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_excess`.
        """
        from gammajax.plotting import plot_excess

        return plot_excess(self, ax=ax, **kwargs)

    def plot_masks(self, ax: Any = None, **kwargs: Any) -> Any:
        """Shade the bins of `mask_safe` and `mask_fit`; see `gammajax.plotting.plot_masks`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_masks`.
        """
        from gammajax.plotting import plot_masks

        return plot_masks(self, ax=ax, **kwargs)

    def plot_residuals_spectral(self, ax: Any = None, method: str = "diff", **kwargs: Any) -> Any:
        """Plot residuals; gammapy's name of `plot_residuals`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        method : {"diff", "diff/model", "diff/sqrt(model)"}
            How they are counted.
        **kwargs
            To `gammajax.plotting.plot_residuals`.
        """
        return self.plot_residuals(ax=ax, method=method, **kwargs)


class PointsPlots:
    """Plot methods of flux points; the functions are in `gammajax.plotting`."""

    def plot_fit(self, **kwargs: Any) -> Any:
        """Plot points, model and residuals; see `gammajax.plotting.plot_points_fit`.

        Parameters
        ----------
        **kwargs
            To `gammajax.plotting.plot_points_fit`.
        """
        from gammajax.plotting import plot_points_fit

        return plot_points_fit(self, **kwargs)

    def plot_spectrum(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot points and model; see `gammajax.plotting.plot_points_spectrum`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_points_spectrum`.
        """
        from gammajax.plotting import plot_points_spectrum

        return plot_points_spectrum(self, ax=ax, **kwargs)

    def plot_residuals(self, ax: Any = None, method: str = "diff", **kwargs: Any) -> Any:
        """Plot residuals; see `gammajax.plotting.plot_points_residuals`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        method : {"diff", "diff/model", "diff/error"}
            How they are counted.
        **kwargs
            To `gammajax.plotting.plot_points_residuals`.
        """
        from gammajax.plotting import plot_points_residuals

        return plot_points_residuals(self, ax=ax, method=method, **kwargs)
