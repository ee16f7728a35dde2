"""Light curves: the strength of a source in time bins, and in energy bins, all of them in one batch."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import GTI, Datasets
from gammajax.datasets.stacking import stack
from gammajax.errors import DataError, InputError
from gammajax.fit.flux_bins import Bins
from gammajax.fit.flux_estimator import FluxPointsEstimator, _reference, _refuse_nothing, _snapped
from gammajax.fit.flux_points import FluxPoints
from gammajax.fit.flux_spread import spread
from gammajax.fit.resolve import as_datasets
from gammajax.models import SkyModel
from gammajax.units import to_unit

__all__ = ["LightCurveEstimator"]

log = logging.getLogger(__name__)
# bins times data sets: 240 MB for the three columns
MOST_COUNTS = 10_000_000


class LightCurveEstimator(FluxPointsEstimator):
    """Estimates the strength of one source in time and energy bins; its shape stays as it is, and all other models unless `reoptimize`.

    A data set belongs to a time bin if all of its good times lie in it, as in gammapy.

    Parameters
    ----------
    energy_edges : `~astropy.units.Quantity`, shape (K + 1,)
        Edges; each is moved to the nearest edge of the reconstructed axis. From 1 to 10 TeV if not given, as in gammapy.
    source : str or int
        Name or number of the source.
    time_intervals : list of pairs of `~astropy.time.Time`, optional
        Time bins; one for each data set, from its first to its last good time, if not given.
    atol : str or `~astropy.units.Quantity`
        By how much good times may reach out of a time bin.
    stack_over_time_interval : bool
        Add the data sets of a time bin up, instead of joining them.
    **kwargs
        All further arguments of `FluxPointsEstimator`.

    Examples
    --------
    >>> estimator = LightCurveEstimator([1, 10] * u.TeV, source="crab", selection_optional=["ul"])
    >>> estimator.atol
    <Quantity 1.e-06 s>
    """

    time_intervals: Sequence[Any] | None
    atol: u.Quantity
    stack_over_time_interval: bool

    def __init__(
        self,
        energy_edges: Any = None,
        source: str | int = 0,
        *,
        time_intervals: Sequence[Any] | None = None,
        atol: Any = "1e-6 s",
        stack_over_time_interval: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(energy_edges, source, **kwargs)
        self.time_intervals = time_intervals
        self.atol = u.Quantity(to_unit(u.Quantity(atol), "s", "atol"), "s")
        self.stack_over_time_interval = stack_over_time_interval

    def run(self, datasets: Any) -> FluxPoints:
        """Estimate the light curve.

        Parameters
        ----------
        datasets : `Datasets`, data set or list
            Spectra of counts with models and good times.

        Returns
        -------
        `FluxPoints`
            With T time bins, those that hold data: arrays of shape (T, K); nan in bins without a channel in the fit. Counts, of shape
            (T, K, D), are nan for data sets that are not in the time bin, as in gammapy; above 10^7 numbers they are sums, D = 1, with a
            warning in the log.

        Raises
        ------
        DataError
            If it is not known when a data set was measured, time bins overlap, or none holds data.
        FitError
            If the source is in none of the models.
        """
        joined = as_datasets(datasets, None)
        source = self._source(joined.models)
        for d in joined:
            if getattr(d, "gti", None) is None:
                raise DataError(
                    f"light curve: it is not known when {d.name!r} was measured; set dataset.gti = GTI.create(start, stop)."
                )
        gti, groups = self._time_bins(joined)
        if self.stack_over_time_interval:
            groups = [_stacked(g, joined, row) for row, g in enumerate(groups)]
        edges = _snapped(self.energy_edges, joined)
        names = self._names(joined, len(groups) * (len(edges) - 1))
        members = [m for row, g in enumerate(groups) for m in self._members(g, row, edges, names)]
        bins = Bins(members, source, edges, len(groups), len(names), joined.models if self.reoptimize else None)
        _refuse_nothing(bins, edges)
        found = spread(self._solve(bins), bins.place, bins.belongs, (len(groups), len(edges) - 1))
        return FluxPoints(
            edges, _reference(source, edges), **found, provenance=self._provenance(bins, source), gti=gti, dataset_names=names
        )  # fmt: skip

    def _names(self, datasets: Datasets, n_bins: int) -> tuple[str, ...]:
        """Names of the data sets whose counts are kept apart."""
        if self.stack_over_time_interval:
            return ("stacked",)
        if n_bins * len(datasets) > MOST_COUNTS:
            log.warning(
                "light curve: counts of %d data sets in %d bins would take gigabytes; counts, npred and npred_excess are their sums",
                len(datasets), n_bins,
            )  # fmt: skip
            return ("sum",)
        return tuple(datasets.names)

    def _settings(self) -> dict[str, Any]:
        return {"atol": self.atol.to_string(), "stack_over_time_interval": self.stack_over_time_interval}

    def _time_bins(self, datasets: Datasets) -> tuple[GTI, list[list[Any]]]:
        """Time bins that hold data, in order, and the data sets of each."""
        first = datasets[0].gti.time_ref
        spans = [
            ((d.gti.time_start.min() - first).to_value("s"), (d.gti.time_stop.max() - first).to_value("s"))
            for d in datasets
        ]
        if self.time_intervals is None:
            wanted = GTI([a for a, _ in spans], [b for _, b in spans], first)
        else:
            wanted = GTI.from_time_intervals(self.time_intervals, first)
        order = np.argsort(wanted.met_start.value, kind="stable")
        wanted = GTI(wanted.met_start.value[order], wanted.met_stop.value[order], first)
        start, stop, atol = wanted.met_start.value, wanted.met_stop.value, self.atol.value
        overlap = np.flatnonzero(stop[:-1] > start[1:] + atol)
        if len(overlap):
            raise DataError(
                f"light curve: the time bins {overlap[0]} and {overlap[0] + 1} overlap; give time_intervals that do not."
            )
        groups = [
            [d for d, (a, b) in zip(datasets, spans, strict=True) if a >= low - atol and b <= high + atol]
            for low, high in zip(start, stop, strict=True)
        ]
        filled = [row for row, g in enumerate(groups) if g]
        if not filled:
            raise DataError(
                "light curve: no data set lies within one of the time bins; its good times must all lie in one of time_intervals."
            )
        return GTI(start[filled], stop[filled], first), [groups[row] for row in filled]


def _stacked(group: list[Any], datasets: Datasets, row: int) -> list[Any]:
    restricted = [m.name for m in datasets.models if not isinstance(m, SkyModel) or m.datasets_names is not None]
    if restricted:
        raise InputError(
            f"stack_over_time_interval: the model {restricted[0]!r} belongs to single data sets; join them instead, without "
            "stacking."
        )
    if len(group) == 1:
        return group
    new = stack(group, f"stacked-{row}")
    masks = [d.mask_fit for d in group if d.mask_fit is not None]
    if len(masks) == len(group) and all(np.array_equal(m.data, masks[0].data) for m in masks):
        new.mask_fit = masks[0]
    elif masks:
        raise InputError(
            "stack_over_time_interval: the data sets of a time bin have different mask_fit; set the same in all."
        )
    new.models, new.compatibility = datasets.models, group[0].compatibility
    return [new]
