"""The calls of `Fit` that ask for profiles, surfaces and grids."""

from typing import Any

from gammajax.errors import InputError
from gammajax.fit.forms import Settings, either_form
from gammajax.fit.scans import profiles, surface
from gammajax.scan import ScanResult

__all__ = ["ScanCalls"]


class ScanCalls(Settings):
    """The statistic over grids of some parameters, the others held or re-fitted."""

    @either_form
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
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
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

    @either_form
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
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
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

    @either_form
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
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        **optimize_opts
            `tol` and `max_iter` of the re-fit.

        Returns
        -------
        dict of str to `ScanResult`
            By unique name.
        """
        return profiles(datasets, parameters, bounds, nvalues, reoptimize, starts, device, optimize_opts)

    @either_form
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
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
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
