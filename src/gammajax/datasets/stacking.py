"""Stacking of ON/OFF spectra."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.gti import GTI
from gammajax.datasets.spectrum import SpectrumDatasetOnOff
from gammajax.errors import DataError

__all__ = ["stack"]


def _check_axes(datasets: Sequence[SpectrumDatasetOnOff]) -> None:
    first = datasets[0]
    for d in datasets[1:]:
        for which, a, b in (
            ("energy", first.counts.geom.axis, d.counts.geom.axis),
            ("energy_true", first.exposure.geom.axis, d.exposure.geom.axis),
        ):
            if a != b:
                raise DataError(
                    f"cannot stack {first.name!r} and {d.name!r}: their {which} axes differ ({a!r} against {b!r}); "
                    "fit them jointly instead: Datasets([...])."
                )


def _times(datasets: Sequence[SpectrumDatasetOnOff]) -> GTI | None:
    """All good times; None where those of one are not known."""
    known = [d.gti for d in datasets if d.gti is not None]
    return GTI.from_stack(known).union() if len(known) == len(datasets) else None


def _sum(terms: Any) -> np.ndarray:
    return np.sum(np.stack(list(terms)), axis=0)


def stack(datasets: Sequence[SpectrumDatasetOnOff], name: str | None = None) -> SpectrumDatasetOnOff:
    r"""Add up ON/OFF spectra on the same axes, by gammapy's rules.

    Counts, OFF counts and acceptance are summed inside each `mask_safe`. The OFF acceptance keeps the background:
    :math:`\alpha = \sum_i \alpha_i n_{off,i} / \sum_i n_{off,i}`, and in bins without OFF counts the mean of this over
    all bins. The dispersion is weighted with the exposure.

    Parameters
    ----------
    datasets : sequence of `SpectrumDatasetOnOff`
        At least one.
    name : str, optional
        Name of the result.

    Raises
    ------
    DataError
        If there is nothing to stack or the axes differ.
    """
    if not datasets:
        raise DataError("stack_reduce: there are no data sets to stack.")
    for d in datasets:
        if not isinstance(d, SpectrumDatasetOnOff):
            raise DataError(f"cannot stack {d!r}: only SpectrumDatasetOnOff can be stacked; fit them jointly instead.")
    _check_axes(datasets)
    masks = [d.mask_safe.data for d in datasets]
    n_on = _sum(d.counts.data * m for d, m in zip(datasets, masks, strict=True))
    n_off = _sum(d.counts_off.data * m for d, m in zip(datasets, masks, strict=True))
    background = _sum(d.background.data * m for d, m in zip(datasets, masks, strict=True))
    acceptance = _sum(d.acceptance.data * m for d, m in zip(datasets, masks, strict=True))
    mean_alpha = (
        float(background.sum()) / float(n_off.sum())
        if n_off.sum() > 0
        else float(_sum(d.alpha.data for d in datasets).mean()) / len(datasets)
    )
    alpha = np.where(n_off > 0, background / np.where(n_off > 0, n_off, 1.0), mean_alpha)
    used = [m.any() for m in masks]
    exposure = _sum(d.exposure.data * ok for d, ok in zip(datasets, used, strict=True))
    weighted = _sum(d.exposure.data[:, None] * d.edisp.pdf_matrix * m for d, m in zip(datasets, masks, strict=True))
    edisp = weighted / np.where(exposure > 0, exposure, 1.0)[:, None]
    first = datasets[0]
    livetime = sum(float(d.livetime.value) for d, ok in zip(datasets, used, strict=True) if ok)
    return SpectrumDatasetOnOff(
        axis=first.counts.geom.axis,
        axis_true=first.exposure.geom.axis,
        n_on=n_on,
        n_off=n_off,
        acceptance=acceptance,
        acceptance_off=np.where(alpha > 0, acceptance / np.where(alpha > 0, alpha, 1.0), 0.0),
        exposure=exposure,
        edisp=edisp,
        mask_safe=np.any(masks, axis=0),
        livetime=livetime,
        ontime=sum(float(d.ontime.to_value(u.s)) for d in datasets),
        name=name or "stacked",
        meta={"stacked": [d.name for d in datasets]},
        gti=_times(datasets),
    )
