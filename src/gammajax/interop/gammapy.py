"""gammapy objects in and out: fit and scan gammapy's data sets here, results on gammapy's models.

`from_gammapy` makes our data sets and models from gammapy's as they are in memory, `fit` fits them and writes values, errors and
covariance back, `confidence`, `stat_profile`, `stat_surface` and `stat_contour` scan them in one batch each, and `register` adds
a backend ``"gammajax"`` to gammapy's own ``Fit``.
"""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import GTI, Datasets, SpectrumDataset, SpectrumDatasetOnOff
from gammajax.errors import DataError, InputError
from gammajax.fit import Fit, FitResult
from gammajax.interop.gammapy_models import Converted, convert_models
from gammajax.interop.gammapy_points import flat, points_dataset

__all__ = ["confidence", "fit", "from_gammapy", "register", "stat_contour", "stat_profile", "stat_surface"]


def from_gammapy(datasets: Any, *, compatibility: str | None = None) -> Datasets:
    """Our data sets with our models, from gammapy's spectra in memory.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`, data set or list
        SpectrumDatasetOnOff, SpectrumDataset and FluxPointsDataset, each with any of its statistics.
    compatibility : {None, "gammapy"}
        None for exact bin integrals, "gammapy" for gammapy's own scheme, in which the prior of a parameter that several models
        share counts once for each of them.

    Raises
    ------
    DataError
        For a data set of another type or with a PSF, naming it.
    ModelError
        For a model that is not known here.
    """
    return _convert(datasets, compatibility)[0]


def _convert(datasets: Any, compatibility: str | None) -> tuple[Datasets, Converted]:
    members = list(datasets) if isinstance(datasets, list | tuple) or hasattr(datasets, "stack_reduce") else [datasets]
    if not members:
        raise DataError("from_gammapy: there are no data sets.")
    from gammapy.datasets import Datasets as Theirs

    # a list of gammapy's own holds the penalties
    models = (datasets if isinstance(datasets, Theirs) else Theirs(members)).models
    converted = convert_models(models, like_gammapy=compatibility == "gammapy")
    ours = Datasets([_dataset(d, models) for d in members])
    for d in ours:
        d.compatibility = compatibility
        d.models = converted.models
    return ours, converted


def _dataset(d: Any, models: Any) -> Any:
    kind = type(d).__name__
    if kind == "FluxPointsDataset":
        return points_dataset(d)
    if kind not in ("SpectrumDatasetOnOff", "SpectrumDataset"):
        raise DataError(
            f"{d.name!r} is a {kind}; SpectrumDatasetOnOff, SpectrumDataset and FluxPointsDataset are taken here."
        )
    if d.counts is None or d.exposure is None:
        raise DataError(f"{d.name!r} has no {'counts' if d.counts is None else 'exposure'}; nothing can be fitted.")
    if d.psf is not None and any(m.spatial_model is not None for m in models if hasattr(m, "spatial_model")):
        raise DataError(
            f"{d.name!r} has a PSF and its model a position, so that gammapy folds with the containment; correct the exposure "
            "for it, or remove the PSF or the spatial model."
        )
    axis, true = d.counts.geom.axes["energy"], d.exposure.geom.axes["energy_true"]
    common = {
        "exposure": u.Quantity(flat(d.exposure), d.exposure.unit),
        "edisp": _dispersion(d, axis, true),
        "energy_edges": axis.edges,
        "energy_true_edges": true.edges,
        "mask_safe": None if d.mask_safe is None else flat(d.mask_safe).astype(bool),
        "name": d.name,
    }
    # gammapy has intervals without any time where none were read
    if d.gti is not None and d.gti.time_sum.to_value("s") > 0:
        common["gti"] = GTI.create(d.gti.time_start, d.gti.time_stop, d.gti.time_ref)
    livetime = d.exposure.meta.get("livetime") if d.exposure.meta else None
    if livetime is not None:
        common["livetime"] = u.Quantity(livetime)
    if kind == "SpectrumDatasetOnOff":
        if d.counts_off is None:
            raise DataError(f"{d.name!r} has no OFF counts; make a SpectrumDataset with a known background of it.")
        new: Any = SpectrumDatasetOnOff.from_arrays(
            flat(d.counts), flat(d.counts_off), acceptance=flat(d.acceptance), acceptance_off=flat(d.acceptance_off),
            **common,
        )  # fmt: skip
    else:
        background = 0.0 if d.background is None else flat(d.background)
        new = SpectrumDataset.from_arrays(flat(d.counts), background, **common)
    if d.mask_fit is not None:
        new.mask_fit = flat(d.mask_fit).astype(bool)
    return new


def _dispersion(d: Any, axis: Any, true: Any) -> np.ndarray | None:
    if d.edisp is None:
        return None
    kernel = d.edisp if hasattr(d.edisp, "pdf_matrix") else d.edisp.get_edisp_kernel(energy_axis=axis)
    return np.asarray(kernel.pdf_matrix, dtype=float)


def fit(datasets: Any, *, backend: str = "newton", compatibility: str | None = None, **optimize_opts: Any) -> FitResult:
    """Fit gammapy's data sets here; values, errors and covariance are written on gammapy's models.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`, data set or list
        SpectrumDatasetOnOff and SpectrumDataset, with models.
    backend : str
        Optimiser, as in `gammajax.Fit`.
    compatibility : {None, "gammapy"}
        None for exact bin integrals, "gammapy" for gammapy's own scheme.
    **optimize_opts
        Options of the optimiser.

    Returns
    -------
    `gammajax.FitResult`
    """
    ours, converted = _convert(datasets, compatibility)
    result = Fit(ours).run(backend=backend, optimize_opts=optimize_opts)
    _write_covariance(datasets, converted)
    converted.write_back()
    return result


def _write_covariance(datasets: Any, converted: Converted) -> None:
    """Set gammapy's covariances, of all models together and of each spectrum, which is where gammapy looks for it."""
    from gammapy.datasets import Datasets as Theirs

    theirs = datasets if hasattr(datasets, "stack_reduce") else Theirs(datasets)
    models = theirs.models
    # gammapy keeps the order of the models and of their parameters
    models.covariance = np.array(converted.models.covariance.data)
    for model, ours in zip(models, converted.models, strict=True):
        model.spectral_model.covariance = np.array(ours.spectral_model.covariance.data)
    # the collection keeps a covariance of its own, which it would put back on the models at the next look
    theirs.models = models


def _bound(datasets: Any, parameters: tuple, compatibility: str | None) -> tuple[Fit, list[Any]]:
    """A fit of our data sets, and our parameters for gammapy's, which come as objects or by name."""
    ours, converted = _convert(datasets, compatibility)
    made = {id(theirs): mine for theirs, mine in converted.pairs}
    return Fit(ours, backend="newton"), [made.get(id(p), getattr(p, "name", p)) for p in parameters]


def confidence(datasets: Any, parameter: Any, sigma: float = 1, *, compatibility: str | None = None) -> Any:
    """Asymmetric errors of a parameter of gammapy's data sets, which were fitted with `fit` before.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`, data set or list
        Data sets with models at their best fit.
    parameter : `gammapy.modeling.Parameter` or str
        The parameter, or its name.
    sigma : float
        Level; TS = sigma^2.
    compatibility : {None, "gammapy"}
        As in the fit: "gammapy" after ``Fit(backend="gammajax")``, None after `fit`.

    Returns
    -------
    `gammajax.ConfidenceResult`
        With gammapy's keys; `errn` and `errp` are in the unit of the parameter.
    """
    bound, (mine,) = _bound(datasets, (parameter,), compatibility)
    return bound.confidence(mine, sigma)


def stat_profile(datasets: Any, parameter: Any, reoptimize: bool = False, *, compatibility: str | None = None) -> Any:
    """Profile of the statistic over the `scan_values` of a parameter; all of them in one batch.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`, data set or list
        Data sets with models at their best fit.
    parameter : `gammapy.modeling.Parameter` or str
        The parameter, or its name.
    reoptimize : bool
        Whether all other free parameters are re-fitted at every value.
    compatibility : {None, "gammapy"}
        As in the fit: "gammapy" after ``Fit(backend="gammajax")``, None after `fit`.

    Returns
    -------
    `gammajax.ScanResult`
        With gammapy's keys.
    """
    bound, (mine,) = _bound(datasets, (parameter,), compatibility)
    return bound.stat_profile(mine, reoptimize=reoptimize)


def stat_surface(datasets: Any, x: Any, y: Any, reoptimize: bool = False, *, compatibility: str | None = None) -> Any:
    """Statistic over the `scan_values` of two parameters; all nodes in one batch.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`, data set or list
        Data sets with models at their best fit.
    x, y : `gammapy.modeling.Parameter` or str
        The parameters, or their names.
    reoptimize : bool
        Whether all other free parameters are re-fitted at every node.
    compatibility : {None, "gammapy"}
        As in the fit: "gammapy" after ``Fit(backend="gammajax")``, None after `fit`.

    Returns
    -------
    `gammajax.ScanResult`
        With gammapy's keys.
    """
    bound, mine = _bound(datasets, (x, y), compatibility)
    return bound.stat_surface(*mine, reoptimize=reoptimize)


def stat_contour(
    datasets: Any, x: Any, y: Any, numpoints: int = 10, sigma: float = 1, *, compatibility: str | None = None
) -> Any:
    """Contour of two parameters on which the re-optimised TS is sigma^2; all points in one batch.

    gammapy's own ``Fit.stat_contour`` asks MINUIT whatever its backend is; this does not.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`, data set or list
        Data sets with models at their best fit.
    x, y : `gammapy.modeling.Parameter` or str
        The parameters, or their names.
    numpoints : int
        Number of points.
    sigma : float
        Level, one number of standard deviations of one parameter.
    compatibility : {None, "gammapy"}
        As in the fit: "gammapy" after ``Fit(backend="gammajax")``, None after `fit`.

    Returns
    -------
    `gammajax.ContourResult`
        With gammapy's keys.
    """
    bound, mine = _bound(datasets, (x, y), compatibility)
    return bound.stat_contour(*mine, numpoints=numpoints, sigma=sigma)


def _of_statistic(function: Any, options: dict) -> tuple[Datasets, Converted]:
    """Our data sets for those whose statistic gammapy's Fit hands to a backend."""
    theirs = getattr(function, "__self__", None)
    if theirs is None or not hasattr(theirs, "stack_reduce"):
        raise InputError("the gammajax backend takes the data sets from gammapy's Fit; it got another statistic.")
    return _convert(theirs, None if options.pop("exact", False) else "gammapy")


def _positions(parameters: Any, converted: Converted, ours: Datasets) -> list[int]:
    """Where gammapy's free unique parameters are among our unique ones."""
    place = {id(p): i for i, p in enumerate(ours.parameters.unique_parameters)}
    by_theirs = {id(theirs): p for theirs, p in converted.pairs}
    return [place[id(by_theirs[id(p)])] for p in parameters.unique_parameters.free_parameters]


def _slope(parameter: Any) -> float:
    """Derivative of the value in gammapy's factor, which the optimiser sees."""
    kind = getattr(parameter, "scale_transform", "lin")
    return parameter.scale * {"lin": 1.0, "log": parameter.value, "sqrt": 2 * abs(parameter.value) ** 0.5}[kind]


def _optimize(parameters: Any, function: Any, store_trace: bool = False, **options: Any) -> tuple:
    ours, converted = _of_statistic(function, options)
    backend = options.pop("method", "newton")
    result = Fit(ours, store_trace=store_trace).run(backend=backend, optimize_opts=options)
    values = np.array([p.value for p in ours.parameters.unique_parameters])[_positions(parameters, converted, ours)]
    free = parameters.unique_parameters.free_parameters
    factors = [p.transform(v) for p, v in zip(free, values, strict=True)]
    info = {
        "success": result.success,
        "nfev": result.nfev,
        "message": result.message,
        "trace": _trace(result, len(free)),
    }
    return np.array(factors), info, None


def _trace(result: FitResult, n_free: int) -> list[dict[str, float]]:
    """Rows as gammapy's backends return them; gammapy gives the columns their names."""
    if result.trace is None:
        return []
    names = ["total_stat", *(f"par_{k:03d}" for k in range(n_free))]
    return [dict(zip(names, (float(v) for v in row), strict=True)) for row in result.trace]


def _covariance(parameters: Any, function: Any, **options: Any) -> tuple:
    ours, converted = _of_statistic(function, options)
    fitted = Fit(ours)
    covariance = fitted.covariance()
    unique = list(ours.parameters.unique_parameters)
    position = {id(p): i for i, p in enumerate(ours.parameters)}
    where = [position[id(unique[k])] for k in _positions(parameters, converted, ours)]
    scale = np.array([_slope(p) for p in parameters.unique_parameters.free_parameters])
    matrix = covariance.data[np.ix_(where, where)] / np.outer(scale, scale)
    good = bool(np.all(np.isfinite(matrix)) and np.all(np.diag(matrix) > 0))
    message = "exact Hessian." if good else "the Hessian is not positive definite, or a parameter is on its limit."
    return matrix, {"success": good, "message": message}


def _confidence(
    parameters: Any, parameter: Any, function: Any, sigma: float, reoptimize: bool = True, **options: Any
) -> dict:
    ours, converted = _of_statistic(function, options)
    mine = dict((id(t), p) for t, p in converted.pairs)[id(parameter)]
    if not reoptimize:
        # copies: gammapy's own parameters stay free
        for other in ours.parameters.unique_parameters:
            other.frozen = other is not mine
    fitted = Fit(ours)
    # intervals are those of the minimum: gammapy's fit may have stopped beside it
    run = fitted.run(backend="newton")
    out = fitted.confidence(mine, sigma=sigma)
    return {
        "success": bool(out["success"]),
        "message": str(out["message"]),
        "errp": out["errp"] / parameter.scale,
        "errn": out["errn"] / parameter.scale,
        "nfev": run.nfev,
    }


def register() -> None:
    """Add the backend ``"gammajax"`` to gammapy's ``Fit``: ``Fit(backend="gammajax")`` then uses exact derivatives.

    Optimisation, covariance and confidence intervals of spectra; ``optimize_opts={"method": "minuit"}`` chooses another of our
    optimisers, ``{"exact": True}`` exact bin integrals instead of gammapy's own. Values, errors and covariance are on
    gammapy's models as with any backend.
    """
    from gammapy.modeling.fit import registry

    for task, function in (("optimize", _optimize), ("covariance", _covariance), ("confidence", _confidence)):
        registry.register[task]["gammajax"] = function
