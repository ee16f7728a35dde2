"""Fits of many data sets of one structure, each by itself, in one batch."""

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.datasets import Dataset, Datasets, SpectrumBatch, SpectrumDatasetOnOff
from gammajax.direct import direct
from gammajax.errors import DataError, FitError, InputError
from gammajax.hooks import StoredResult, lock_arrays
from gammajax.likelihood import EachCompact, Likelihood, compact_of, own_numbers
from gammajax.provenance import Provenance, provenance
from gammajax.solve import Status, fitted, minimize_batch, resolve_device
from gammajax.units import double_precision

__all__ = ["EachResult", "run_each"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EachResult(StoredResult):
    """Results of N fits with P parameters, F of them free; one verdict each.

    Attributes
    ----------
    names, units : tuple of str
        Unique names of the parameters and their units, those of the models.
    free : array of bool, shape (P,)
        Which were fitted.
    value, error : array, shape (N, P)
        Best fit and standard deviation; the error is 0 for frozen parameters and nan where it is not defined.
    covariance : array, shape (N, P, P)
        From the exact Hessian.
    total_stat : array, shape (N,)
        Statistic, -2 ln L, at the best fit.
    edm : array, shape (N,)
        Expected distance to the minimum.
    iterations : array of int, shape (N,)
        Steps.
    status : array of int, shape (N,)
        `Status` of each.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    free: np.ndarray = field(repr=False)
    value: np.ndarray = field(repr=False)
    error: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)
    total_stat: np.ndarray = field(repr=False)
    edm: np.ndarray = field(repr=False)
    iterations: np.ndarray = field(repr=False)
    status: np.ndarray = field(repr=False)
    provenance: Provenance | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        lock_arrays(self)

    @property
    def success(self) -> np.ndarray:
        """Which converged, on a limit or not; shape (N,)."""
        return fitted(self.status)

    def __len__(self) -> int:
        return len(self.status)

    def to_table(self) -> Any:
        """Return an astropy Table with one row per data set: value and error of the free parameters, statistic and verdict."""
        from astropy.table import QTable
        from astropy.units import Quantity

        table = QTable()
        for i in np.flatnonzero(self.free):
            table[self.names[i]] = Quantity(self.value[:, i], self.units[i])
            table[f"{self.names[i]}_err"] = Quantity(self.error[:, i], self.units[i])
        table["stat"], table["edm"], table["iterations"] = self.total_stat, self.edm, self.iterations
        table["status"] = [Status(s).name.lower() for s in self.status]
        return table

    def __str__(self) -> str:
        counts = {s.name.lower(): int(np.sum(self.status == s)) for s in Status if np.any(self.status == s)}
        shown = ", ".join(f"{n} {name}" for name, n in counts.items())
        return f"{len(self)} fits of {', '.join(n for n, f in zip(self.names, self.free, strict=True) if f)}: {shown}"


class _Each:
    """What the solver is given: the likelihood of the first, in the form whose data come with the lanes."""

    def __init__(self, likelihood: Likelihood, compact: EachCompact) -> None:
        self.structure, self.labels, self._each = likelihood.structure, likelihood.labels, compact

    def compact(self) -> EachCompact:
        """The form of the batch."""
        return self._each


def as_batch(datasets: Any) -> tuple[SpectrumBatch, np.ndarray | None, np.ndarray | None]:
    """The batch of some data sets, masks (N, n_reco) where they differ, and start values (N, P) where they do.

    Raises
    ------
    DataError
        If they are not of one structure.
    """
    if isinstance(datasets, SpectrumBatch):
        return datasets, None, None
    members = list(datasets if isinstance(datasets, Datasets | list | tuple) else [datasets])
    if not members:
        raise DataError("run_each: there are no data sets; give at least one.")
    for d in members:
        if not isinstance(d, Dataset):
            raise InputError(f"run_each: got {d!r}, expected data sets such as SpectrumDatasetOnOff.")
    first = members[0]
    for d in members:
        if type(d) is not type(first) or not hasattr(d, "counts") or d.stat_type != first.stat_type:
            raise DataError(f"run_each: {first.name!r} and {d.name!r} are of different kinds; fit each kind by itself.")
        if d.counts.geom.axis != first.counts.geom.axis or d.exposure.geom.axis != first.exposure.geom.axis:
            raise DataError(
                f"run_each: the axes of {first.name!r} and {d.name!r} differ; fit those with the same axes together."
            )
    arrays = {k: np.stack([d.statistic_arrays()[k] for d in members]) for k in first.statistic_arrays()}
    if isinstance(first, SpectrumDatasetOnOff):
        for d in members:
            d.check_for_fit()
    exposure, edisp = (np.stack([d.response_arrays()[k] for d in members]) for k in (0, 1))
    masks = np.stack([d.mask_array for d in members])
    template = first.copy(name=first.name)
    template.models, template.compatibility, template._mask_fit = first.models, first.compatibility, None
    template._mask_safe = masks.any(axis=0)
    batch = SpectrumBatch(
        template, arrays,
        None if (exposure == exposure[0]).all() else exposure,
        None if (edisp == edisp[0]).all() else edisp,
    )  # fmt: skip
    return batch, None if (masks == masks[0]).all() else masks, _starts(members)


def _starts(members: list) -> np.ndarray | None:
    """Start values (N, P), internal units, where the members have models of their own of one structure."""
    first = members[0].models
    if first is None:
        return None
    shared = all(d.models is first for d in members)
    kinds, settings = _kinds(members[0]), None if shared else _settings(first)
    for d in members[1:]:
        if d.models is None or _kinds(d) != kinds:
            raise DataError(
                f"run_each: {d.name!r} has other kinds of models than {members[0].name!r}; fit those with the same models "
                "together, each with models of its own where they are for single data sets."
            )
        if settings is not None:
            _refuse_other(d, members[0], settings)
    if shared:
        return None
    return np.array([[p.value * p.factor for p in d.models.parameters.unique_parameters] for d in members])


def _kinds(dataset: Any) -> list[tuple[Any, ...]]:
    """What is static about each model: its class, its function or its factors, and whether it shows in the data set."""
    return [
        (type(m), m.acting if m.role == "systematics" else m.form, m.shows_in(dataset.name))
        for m in dataset.models or ()
    ]


def _settings(models: Any) -> dict[str, Any]:
    """What one fit of a batch has in common with the others: all but the values of the parameters."""
    parameters = models.parameters
    unique = parameters.unique_parameters
    places, _ = parameters.from_unique()
    follows = [None if (link := p.follows) is None else link.numbers(p.unit, link.parent.unit) for p in parameters]
    position = {id(p): i for i, p in enumerate(parameters)}
    penalties = [
        ([position.get(id(p)) for p in q.parameters], q.mean.tolist(), q.precision.tolist(), q.weight)
        for q in models.penalties
    ]
    return {
        "links": (places.tolist(), follows),
        "frozen parameters": [p.frozen for p in unique],
        "limits": [[float(v) * p.factor for v in p.bounds] for p in unique],
        "priors": [None if p.prior is None else p.prior.in_unit(p.internal_unit) for p in parameters],
        "penalties": penalties,
    }


def _refuse_other(dataset: Any, first: Any, settings: dict[str, Any]) -> None:
    for what, found in _settings(dataset.models).items():
        if found != settings[what]:
            raise DataError(
                f"run_each: {dataset.name!r} has other {what} than {first.name!r}, and one batch has those of its first data set; set "
                "them alike, or fit those that are alike together."
            )


def run_each(datasets: Any, tol: float, max_iter: int, device: Any) -> EachResult:
    """Fit each data set by itself; see `Fit.run_each`."""
    batch, masks, starts = as_batch(datasets)
    likelihood = Likelihood(batch.template)
    if not likelihood.free.any():
        raise FitError("no free parameter: free at least one with parameter.frozen = False.")
    if any(t.temporal is not None for t in likelihood.structure.datasets[0].terms):
        raise DataError(
            "run_each: sources that vary in time are not for batches, whose members have no times of their own; fit such data "
            "sets together with fit.run, or one by one."
        )
    (structure,) = likelihood.structure.datasets
    if structure.alpha is not None and structure.clip:
        raise DataError(
            "run_each: factors on the background are not for batches in gammapy's compatibility mode; set compatibility = None, or fit such data "
            "sets one by one with fit.run."
        )
    if any(t.fold >= 0 for t in structure.terms):
        raise DataError("run_each: background models are not for batches; fit such data sets one by one with fit.run.")
    n, scale, free = len(batch), likelihood.scale, likelihood.free
    start = np.broadcast_to(likelihood.start, (n, len(free))) if starts is None else starts
    start = np.ascontiguousarray(start)
    likelihood = likelihood.covering(start)
    while True:
        compact, own = _packed(batch, likelihood, masks)
        out = minimize_batch(
            _Each(likelihood, compact), start, free, likelihood.lower, likelihood.upper, scale, tol=tol, max_iter=max_iter,
            derivatives=True, device=resolve_device(device), own=own,
        )  # fmt: skip
        steeper = likelihood.covering(out.theta[fitted(out.status)])
        if steeper is likelihood:
            break
        # spectra are steeper where some ended than bin integrals are made for: all of them with more nodes
        likelihood = steeper
    assert out.hessian is not None
    assert out.gradient is not None
    covariance, error = _covariances(out, free, likelihood)
    table = likelihood._table()
    parameters = likelihood.parameters
    assert parameters is not None
    units = tuple(p.unit.to_string() for p in parameters.unique_parameters)
    f = table.factor
    result = EachResult(
        likelihood.names, units, free.copy(), out.theta / f, error / f, covariance / np.outer(f, f), out.stat, out.edm,
        out.iterations, out.status, _provenance(batch, masks, tol, max_iter),
    )  # fmt: skip
    log.info("%s", result)
    return result


def _provenance(batch: SpectrumBatch, masks: np.ndarray | None, tol: float, max_iter: int) -> Provenance:
    """Of all data sets of a batch; what they share is hashed once."""
    exposure, edisp, edges = batch.template.response_arrays()
    data = {
        "counts": dict(batch.arrays),
        "mask": batch.template.mask_array if masks is None else masks,
        "exposure": exposure if batch.exposure is None else batch.exposure,
        "edisp": edisp if batch.edisp is None else _folded(batch.edisp),
        "edges": edges,
    }
    return provenance([data], tol=tol, max_iter=max_iter)


def _folded(arrays: np.ndarray) -> np.ndarray:
    """One whole number for each member, sums with odd weights modulo 2^64: SHA-256 of own responses takes longer than the fits.

    No change of a single value keeps its number, and of many values no more than one in 2^64 does.
    """
    values = np.ascontiguousarray(arrays, dtype=np.float64).reshape(len(arrays), -1).view(np.uint64)
    weights = np.random.default_rng(20).integers(0, 2**63, values.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    return np.einsum("nk,k->n", values, weights)


def _packed(batch: SpectrumBatch, likelihood: Likelihood, masks: np.ndarray | None) -> tuple[EachCompact, Any]:
    """The form of the batch, and the numbers of each lane."""
    (data,) = likelihood.data
    mask = np.asarray(data.mask)
    fit = np.flatnonzero(mask)
    exposure, edisp, _ = batch.template.response_arrays()
    statistic = likelihood.structure.datasets[0].stat
    values = [batch.arrays[name] for name in statistic.arrays]
    weight = exposure if batch.exposure is None else batch.exposure.max(axis=0)
    used = np.flatnonzero(_reaching(edisp if batch.edisp is None else batch.edisp, mask) & (weight != 0))
    template = _template(
        likelihood, batch, used, fit, edisp if batch.exposure is not None else exposure[:, None] * edisp
    )
    size = template.bins[0].matrix.shape
    numbers, names = own_numbers(
        values, fit=fit, used=used, size=size, harmless=statistic.harmless, mask=masks,
        exposure=exposure if batch.exposure is None and batch.edisp is not None else batch.exposure, edisp=batch.edisp,
    )  # fmt: skip
    return EachCompact(template, names), numbers


def _reaching(edisp: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """True-energy bins that reach bins in the fit, of any data set where dispersions differ; shape (n_true,)."""
    first = edisp if edisp.ndim == 2 else edisp[0]
    out = np.any(first[:, mask] != 0, axis=1)
    if edisp.ndim == 3:
        # most are known from the first, and are not looked for in all
        rest = np.flatnonzero(~out)
        out[rest] = [np.any((edisp[:, k] != 0) & mask) for k in rest]
    return out


def _template(
    likelihood: Likelihood, batch: SpectrumBatch, used: np.ndarray, fit: np.ndarray, matrix: np.ndarray
) -> Any:
    """Compact form of the template, with the true-energy bins `used` and its own matrix."""
    with double_precision():
        return direct(compact_of(likelihood, used, fit, matrix))


def _covariances(out: Any, free: np.ndarray, likelihood: Likelihood) -> tuple[np.ndarray, np.ndarray]:
    """Covariances (N, P, P) and errors (N, P), internal units, from the Hessians of the parameters not on a limit."""
    n, n_par = out.theta.shape
    at = np.flatnonzero(free)
    scale = likelihood.scale[at]
    hessian = out.hessian[:, at[:, None], at] * np.outer(scale, scale)
    x, gradient = out.theta[:, at], out.gradient[:, at]
    held = ((x <= likelihood.lower[at]) & (gradient > 0)) | ((x >= likelihood.upper[at]) & (gradient < 0))
    good = fitted(out.status)
    moving = ~held
    both = moving[:, :, None] & moving[:, None, :]
    eye = np.eye(len(at))
    usable = good & np.isfinite(hessian).all(axis=(1, 2))
    matrix = np.where(usable[:, None, None], np.where(both, hessian, eye), eye)
    diagonal = np.sqrt(np.maximum(np.einsum("nii->ni", matrix), 1e-300))
    unit = matrix / (diagonal[:, :, None] * diagonal[:, None, :])
    positive = np.linalg.eigvalsh(unit)[:, 0] > 1e-13
    unit[~positive] = eye
    # the statistic is -2 ln L
    inverse = 2 * np.linalg.inv(unit) / (diagonal[:, :, None] * diagonal[:, None, :])
    inverse = np.where(both, inverse, 0.0) * np.outer(scale, scale)
    inverse[~(usable & positive)] = np.nan
    covariance = np.zeros((n, n_par, n_par))
    covariance[:, at[:, None], at] = inverse
    return covariance, np.sqrt(np.einsum("nii->ni", covariance))
