"""Profiles and surfaces as the person asks for them."""

import logging
import math
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends import check_options
from gammajax.fit.backends import get as get_backend
from gammajax.fit.chunked import Chunked, in_chunks
from gammajax.fit.judge import judge
from gammajax.fit.problem import Problem, derivatives
from gammajax.fit.resolve import as_likelihood, check_acts, parameter_index
from gammajax.likelihood import Likelihood
from gammajax.parameters import Parameter
from gammajax.progress import track
from gammajax.provenance import Provenance, provenance
from gammajax.scan import (
    GridScan,
    Refit,
    ScanResult,
    SurfaceScan,
    check_axis,
    fast_surface,
    frozen_grid,
    outside_limits,
    profile_grid,
    profile_grids,
)
from gammajax.scan.grid import covering_axes, grid_points
from gammajax.scan.memory import check_memory
from gammajax.scan.task import Grid
from gammajax.solve import Status, fitted, resolve_device
from gammajax.units import to_unit, unit_text

__all__ = ["profiles", "surface"]

log = logging.getLogger(__name__)

NATIVE = "newton, batched"


def _axis(parameter: Parameter, name: str, values: Any, bounds: Any, nvalues: int | None) -> np.ndarray:
    """Values of one axis in the unit of the parameter."""
    if values is not None:
        if hasattr(values, "unit"):
            values = to_unit(values, parameter.unit, f"values of {name}")
    elif bounds is not None or nvalues is not None:
        values = parameter.scan_grid(2 if bounds is None else bounds, 11 if nvalues is None else nvalues)
    else:
        values = parameter.scan_values
    return check_axis(values, name)


def surface(
    fit: Any,
    datasets: Any,
    parameters: list,
    values: list,
    bounds: Any,
    nvalues: int | None,
    reoptimize: bool,
    backend: str | None,
    options: dict,
    starts: int = 1,
    device: Any = None,
    how: Chunked | None = None,
) -> Any:
    """Scan a grid of some parameters; see `Fit.stat_profile`, `Fit.stat_surface` and `Fit.stat_grid`."""
    likelihood = as_likelihood(datasets)
    found = [parameter_index(likelihood, p) for p in parameters]
    index, names = [f[0] for f in found], [f[2] for f in found]
    for n, name in enumerate(names):
        check_acts(likelihood, found[n][1], name, "scan")
        if index[n] in index[:n]:
            raise InputError(f"scan: {name} is given twice; give different parameters.")
    axes = [_axis(live, name, v, bounds, nvalues) for (_, live, name), v in zip(found, values, strict=True)]
    internal = [a * live.factor for a, (_, live, _) in zip(axes, found, strict=True)]
    likelihood = covering_axes(likelihood, [(index, internal)])
    device, nodes = resolve_device(device), math.prod(len(a) for a in axes)
    if how is not None and how.wanted(nodes if backend is None else 0):
        if backend is not None and reoptimize:
            raise InputError(
                f"scan: backend={backend!r} fits node by node; store, executor and progress need backend=None."
            )
        if not reoptimize:
            _check_frozen(fit, backend, options, starts)
        out = in_chunks(
            likelihood, [Grid(tuple(names), tuple(index), tuple(axes))], how, refit=reoptimize, starts=starts,
            options=options if reoptimize else {}, device=device, what="scan",
        )  # fmt: skip
        return out[0] if isinstance(out, list) else out
    check_memory(nodes, int(likelihood.free.sum()), len(likelihood.names), "scan")
    if not reoptimize:
        _check_frozen(fit, backend, options, starts)
        grid, best = _frozen(likelihood, index, internal, device)
        optimizer = None
    elif backend is None:
        best, _, hessian = derivatives(likelihood, likelihood.start)
        refit = Refit.around(likelihood, hessian, starts, device, **options)
        grid = fast_surface(likelihood, index, internal, refit, device) or profile_grid(refit, index, internal)
        optimizer = NATIVE
    else:
        if starts != 1 or device is not None:
            raise InputError(f"scan: backend={backend!r} fits node by node; starts and device need backend=None.")
        best = derivatives(likelihood, likelihood.start)[0]
        grid, optimizer = _node_by_node(likelihood, index, internal, backend, options), f"{backend}, node by node"
    if log.isEnabledFor(logging.INFO):
        log.info("scan of %s: %d nodes, %d without a fit", ", ".join(names), nodes, int(np.sum(~fitted(grid.status))))
    source = provenance(likelihood.data)
    return _result(
        likelihood, found, axes, grid, best, reoptimize, optimizer, options if reoptimize else {}, starts, source
    )


def _check_frozen(fit: Any, backend: str | None, options: dict, starts: int) -> None:
    # nothing is optimised, but an option that no optimiser knows is a mistake all the same
    check_options(backend or fit.optimize_opts.get("backend", fit.backend), options)
    if starts != 1:
        raise InputError(f"scan: starts={starts!r} needs reoptimize=True; nothing starts where nothing is fitted.")


def _frozen(likelihood: Likelihood, index: list[int], axes: list, device: Any) -> tuple[GridScan | SurfaceScan, float]:
    """Nothing re-fitted, and the statistic of the values themselves: by the program of the fit, as in all other scans."""
    best = derivatives(likelihood, likelihood.start)[0]
    return fast_surface(likelihood, index, axes, None, device) or frozen_grid(likelihood, index, axes, device)[0], best


def profiles(
    datasets: Any, parameters: Any, bounds: Any, nvalues: int | None, reoptimize: bool, starts: int, device: Any,
    options: dict, how: Chunked | None = None,
) -> Any:  # fmt: skip
    """Profiles of several parameters, all nodes in one batch; see `Fit.stat_profiles`."""
    likelihood = as_likelihood(datasets)
    if isinstance(parameters, str) and parameters == "all":
        parameters = [n for n, f in zip(likelihood.names, likelihood.free, strict=True) if f]
    found = [parameter_index(likelihood, p) for p in parameters]
    if not found:
        raise InputError("stat_profiles: there is no free parameter to scan.")
    for _, live, name in found:
        check_acts(likelihood, live, name, "stat_profiles")
    axes = [_axis(live, name, None, bounds, nvalues) for _, live, name in found]
    device = resolve_device(device)
    scans = [([i], [a * live.factor]) for (i, live, _), a in zip(found, axes, strict=True)]
    likelihood = covering_axes(likelihood, scans)
    if not reoptimize and (starts != 1 or options):
        raise InputError("stat_profiles: starts and options of the re-fit need reoptimize=True.")
    if how is not None and how.wanted(sum(len(a) for a in axes)):
        lines = [Grid((name,), (i,), (a,)) for (i, _, name), a in zip(found, axes, strict=True)]
        out = in_chunks(
            likelihood,
            lines,
            how,
            refit=reoptimize,
            starts=starts,
            options=options,
            device=device,
            what="stat_profiles",
        )
        return {r.names[0]: r for r in out} if isinstance(out, list) else out
    grids: list[tuple[GridScan | SurfaceScan, float]]
    if reoptimize:
        best, _, hessian = derivatives(likelihood, likelihood.start)
        grids = [(g, best) for g in profile_grids(Refit.around(likelihood, hessian, starts, device, **options), scans)]
    else:
        grids = [_frozen(likelihood, i, a, device) for i, a in scans]
    source, optimizer = provenance(likelihood.data), NATIVE if reoptimize else None
    return {
        f[2]: _result(likelihood, [f], [a], *g, reoptimize, optimizer, options, starts, source)
        for f, a, g in zip(found, axes, grids, strict=True)
    }


def _result(
    likelihood: Likelihood,
    found: list,
    axes: list,
    grid: GridScan | SurfaceScan,
    stat_best: float,
    reoptimize: bool,
    optimizer: str | None,
    options: dict,
    starts: int,
    source: Provenance,
) -> ScanResult:
    table = likelihood.table
    assert table is not None
    scanned = {f[0] for f in found}
    others = [int(i) for i in np.flatnonzero(likelihood.free) if i not in scanned]
    return ScanResult(
        kind="profile" if reoptimize else "frozen",
        names=tuple(f[2] for f in found),
        axes=tuple(axes),
        units=tuple(unit_text(f[1].unit) for f in found),
        stat=grid.stat,
        status=grid.status,
        edm=grid.edm,
        nuisance={likelihood.names[i]: grid.parameter(i) / table.factor[i] for i in others},
        best=tuple(float(f[1].value) for f in found),
        stat_best=stat_best,
        optimizer=optimizer,
        options=dict(options),
        starts=starts,
        provenance=source,
    )


def _node_by_node(likelihood: Likelihood, index: list[int], axes: list, backend: str, options: dict) -> GridScan:
    """Re-fit every node on its own with a backend; every node starts at the best fit."""
    minimize = get_backend(backend)
    check_options(backend, options)
    points, shape = grid_points(likelihood.start, index, axes)
    outside = outside_limits(likelihood, points, index)
    stat, edm, status = (
        np.full(len(points), np.nan),
        np.full(len(points), np.nan),
        np.zeros(len(points), dtype=int),
    )
    for k in track(range(len(points)), len(points), f"scan with {backend}", "node"):
        problem = Problem(likelihood, dict(zip(index, points[k, index], strict=True)))
        stat[k], x, edm[k], status[k] = _node(problem, minimize, options)
        points[k] = problem.theta(x)
        if outside[k] and Status(status[k]).usable:
            status[k] = Status.OUTSIDE_LIMITS
    steeper = likelihood.covering(points[fitted(status)])
    if steeper is not likelihood:
        return _node_by_node(steeper, index, axes, backend, options)
    return GridScan(stat.reshape(shape), points.reshape(*shape, -1), edm.reshape(shape), status.reshape(shape))


def _node(problem: Problem, minimize: Any, options: dict) -> tuple[float, np.ndarray, float, int]:
    start = problem.start
    if not np.isfinite(problem.stat(start)):
        return problem.stat(start), start, np.nan, Status.NON_FINITE
    if len(start) == 0:
        return problem.stat(start), start, 0.0, Status.CONVERGED
    objective = problem.objective()
    out = minimize(objective, **options)
    x = np.asarray(out.x)
    stat, gradient, hessian = problem.stat(x), problem.gradient(x), problem.hessian(x)
    verdict = judge(
        objective.names, x, objective.lower, objective.upper, stat, gradient, hessian, out.call_limit, out.success
    )
    return stat, x, verdict.edm, verdict.flags.status
