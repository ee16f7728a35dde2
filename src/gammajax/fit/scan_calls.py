"""The calls of `Fit` that ask for profiles, surfaces and grids."""

from typing import Any

from gammajax.compiling import silent
from gammajax.errors import InputError
from gammajax.fit.forms import Settings, either_form

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
        store: Any = None,
        executor: Any = None,
        progress: Any = None,
        chunk_size: int | None = None,
        compute: bool = True,
        chunk_timeout: float | None = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> Any:
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
        store, executor, progress, chunk_size, compute, chunk_timeout
            For large scans; see `stat_grid`.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        **optimize_opts
            Options of the re-fit.

        Returns
        -------
        `ScanResult`
            Keys ``"<parameter>_scan"`` and ``"stat_scan"``.
        """
        return _surface(
            self, datasets, [parameter], [values], bounds, nvalues, reoptimize, backend, optimize_opts, starts, device,
            (store, executor, progress, chunk_size, compute, chunk_timeout),
        )  # fmt: skip

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
        store: Any = None,
        executor: Any = None,
        progress: Any = None,
        chunk_size: int | None = None,
        compute: bool = True,
        chunk_timeout: float | None = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> Any:
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
        store, executor, progress, chunk_size, compute, chunk_timeout
            For large scans; see `stat_grid`.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        **optimize_opts
            Options of the re-fit.

        Returns
        -------
        `ScanResult`
            ``"stat_scan"`` of shape (nx, ny), and a status for every node.
        """
        return _surface(
            self, datasets, [x, y], [x_values, y_values], None, None, reoptimize, backend, optimize_opts, starts, device,
            (store, executor, progress, chunk_size, compute, chunk_timeout),
        )  # fmt: skip

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
        store: Any = None,
        executor: Any = None,
        progress: Any = None,
        chunk_size: int | None = None,
        compute: bool = True,
        chunk_timeout: float | None = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> Any:
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
        store, executor, progress, chunk_size, compute, chunk_timeout
            For large scans; see `stat_grid`.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        **optimize_opts
            `tol` and `max_iter` of the re-fit.

        Returns
        -------
        dict of str to `ScanResult`
            By unique name.
        """
        from gammajax.fit.chunked import Chunked
        from gammajax.fit.scans import profiles

        how = Chunked(store, executor, progress, chunk_size, compute, chunk_timeout)
        with silent(how.quiet):
            return profiles(datasets, parameters, bounds, nvalues, reoptimize, starts, device, optimize_opts, how)

    @either_form
    def stat_grid(
        self,
        values: dict[Any, Any],
        *,
        reoptimize: bool,
        backend: str | None = None,
        starts: int = 1,
        device: Any = None,
        store: Any = None,
        executor: Any = None,
        progress: Any = None,
        chunk_size: int | None = None,
        compute: bool = True,
        chunk_timeout: float | None = None,
        datasets: Any,
        **optimize_opts: Any,
    ) -> Any:
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
        store : path, optional
            Folder in which every finished chunk of the scan is kept. The same call with the same folder goes on where it stopped;
            another scan's folder is refused. `gammajax.scan.open` reads it at any time.
        executor : object with ``submit``, optional
            Computes the chunks: a `concurrent.futures` pool of processes, or ``client.get_executor(pure=False)`` of Dask. By
            default this process computes them, on all of its devices.
        progress : bool or callable, optional
            A bar in terminals and notebooks and a line now and then in logs; by default where a scan goes in chunks, which scans with
            `store`, with `executor` and from a million nodes on do. Or a function that is given a `gammajax.scan.Progress`.
        chunk_size : int, optional
            Nodes of a chunk; by default as many as take about 10 s, measured once when the scan begins.
        compute : bool
            False to begin the stored scan and compute nothing: ``gammajax scan run folder`` does, on as many machines as you like.
        chunk_timeout : float, optional
            With `executor`: seconds after which a chunk that does not come back is handed out again; the first copy that comes counts,
            and after three times it has failed. The clock of a chunk starts when a later one overtakes it, or when nothing comes back. By
            default twenty times what chunks take, waiting included, at least 300 s, once one has come back; ``float("inf")`` for never.
        datasets : `Datasets`, data set or list, optional
            Data sets, if the fit is not bound to some.
        **optimize_opts
            Options of the re-fit.

        Returns
        -------
        `ScanResult`, or `gammajax.scan.StoredScan`
            ``"stat_scan"`` of shape (n_1, n_2, ...), and a status for every node. A stored scan comes back as such where nothing was
            computed, or where its arrays take more than half of the free memory.
        """
        if not isinstance(values, dict) or not values:
            raise InputError(
                f"stat_grid: got {type(values).__name__}, expected a dictionary of parameter to values, such as "
                "{'alpha': [2.1, 2.2], 'beta': [0.1, 0.2]}."
            )
        return _surface(
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
            (store, executor, progress, chunk_size, compute, chunk_timeout),
        )


def _surface(*arguments: Any) -> Any:
    """What computes scans is loaded with the first of them."""
    from gammajax.fit.chunked import Chunked
    from gammajax.fit.scans import surface

    *others, chunks = arguments
    call: Any = surface
    how = Chunked(*chunks)
    with silent(how.quiet):
        return call(*others, how)
