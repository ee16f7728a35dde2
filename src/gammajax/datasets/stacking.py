"""Stacking of spectra."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.gti import GTI
from gammajax.datasets.known import SpectrumDataset
from gammajax.datasets.spectrum import SpectrumDatasetOnOff
from gammajax.errors import DataError

__all__ = ["stack"]


def _check_axes(datasets: Sequence[Any]) -> None:
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


def _times(datasets: Sequence[Any]) -> GTI | None:
    """All good times; None where those of one are not known."""
    known = [d.gti for d in datasets if d.gti is not None]
    return GTI.from_stack(known).union() if len(known) == len(datasets) else None


def _sum(terms: Any) -> np.ndarray:
    return np.sum(np.stack(list(terms)), axis=0)


def stack(datasets: Sequence[Any], name: str | None = None) -> Any:
    r"""Add up spectra of one class on the same axes, by gammapy's rules.

    Counts, background, OFF counts and acceptance are summed inside each `mask_safe`. The OFF acceptance keeps the background:
    :math:`\alpha = \sum_i \alpha_i n_{off,i} / \sum_i n_{off,i}`, and in bins without OFF counts the mean of this over
    all bins. A known background is that with the present background model. The dispersion is weighted with the exposure. A bin is
    in the fit if it is in one of them.

    Parameters
    ----------
    datasets : sequence of `SpectrumDatasetOnOff` or of `SpectrumDataset`
        At least one.
    name : str, optional
        Name of the result.

    Raises
    ------
    DataError
        If there is nothing to stack, the classes or the axes differ.
    """
    if not datasets:
        raise DataError("stack_reduce: there are no data sets to stack.")
    kind = type(datasets[0])
    for d in datasets:
        if kind not in (SpectrumDatasetOnOff, SpectrumDataset) or type(d) is not kind:
            raise DataError(
                f"cannot stack {d!r}: only SpectrumDatasetOnOff with such, or SpectrumDataset with such, can be stacked; fit them "
                "jointly instead."
            )
    _check_axes(datasets)
    masks = [d.mask_safe.data for d in datasets]
    used = [m.any() for m in masks]
    exposure = _sum(d.exposure.data * ok for d, ok in zip(datasets, used, strict=True))
    weighted = _sum(d.exposure.data[:, None] * d.edisp.pdf_matrix * m for d, m in zip(datasets, masks, strict=True))
    first = datasets[0]
    common = {
        "axis": first.counts.geom.axis,
        "axis_true": first.exposure.geom.axis,
        "n_on": _safe_sum(datasets, masks, "counts"),
        "exposure": exposure,
        "edisp": weighted / np.where(exposure > 0, exposure, 1.0)[:, None],
        "mask_safe": np.any(masks, axis=0),
        "livetime": sum(float(d.livetime.value) for d, ok in zip(datasets, used, strict=True) if ok),
        "ontime": sum(float(d.ontime.to_value(u.s)) for d in datasets),
        "name": name or "stacked",
        "meta": {"stacked": [d.name for d in datasets]},
        "gti": _times(datasets),
    }
    if kind is SpectrumDataset:
        kinds = {d.stat_type for d in datasets}
        if len(kinds) > 1:
            raise DataError(
                f"cannot stack data sets with the statistics {', '.join(sorted(kinds))}; set one stat_type."
            )
        background = _sum(d.npred_background().data * m for d, m in zip(datasets, masks, strict=True))
        new: Any = SpectrumDataset(background=background, stat_type=kinds.pop(), **common)
    else:
        new = SpectrumDatasetOnOff(**_off_measurement(datasets, masks), **common)
    # where one has no fit range, all of its bins are in the fit
    if all(d.mask_fit is not None for d in datasets):
        new.mask_fit = np.any([d.mask_fit.data for d in datasets], axis=0)
    return new


def _safe_sum(datasets: Sequence[Any], masks: list[np.ndarray], what: str) -> np.ndarray:
    return _sum(getattr(d, what).data * m for d, m in zip(datasets, masks, strict=True))


def _off_measurement(datasets: Sequence[SpectrumDatasetOnOff], masks: list[np.ndarray]) -> dict[str, np.ndarray]:
    n_off, background, acceptance = (
        _safe_sum(datasets, masks, what) for what in ("counts_off", "background", "acceptance")
    )
    mean_alpha = (
        float(background.sum()) / float(n_off.sum())
        if n_off.sum() > 0
        else float(_sum(d.alpha.data for d in datasets).mean()) / len(datasets)
    )
    alpha = np.where(n_off > 0, background / np.where(n_off > 0, n_off, 1.0), mean_alpha)
    return {
        "n_off": n_off,
        "acceptance": acceptance,
        "acceptance_off": np.where(alpha > 0, acceptance / np.where(alpha > 0, alpha, 1.0), 0.0),
    }
