"""Stacking of spectra."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.gti import GTI
from gammajax.errors import DataError

__all__ = ["stack"]

# what can be added up, by name: these classes have a method that does
KINDS = ("SpectrumDatasetOnOff", "SpectrumDataset")


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


def _inside(values: np.ndarray, mask: Any, nan_to_num: bool, what: str) -> np.ndarray:
    """Values inside of a mask and 0 outside, whatever is there; refuses what is not finite inside, or takes it for 0."""
    kept = np.where(mask, values, 0.0)
    bad = np.argwhere(~np.isfinite(kept))
    if len(bad) and not nan_to_num:
        raise DataError(
            f"{what} is {kept[tuple(bad[0])]} in bin {', '.join(map(str, bad[0]))}, expected finite numbers; mask the bin, or take it for 0 with "
            "nan_to_num=True."
        )
    return np.where(np.isfinite(kept), kept, 0.0)


def stack(datasets: Sequence[Any], name: str | None = None, nan_to_num: bool = False) -> Any:
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
    nan_to_num : bool
        Take numbers that are not finite for 0, as gammapy does; they are refused otherwise.

    Raises
    ------
    DataError
        If there is nothing to stack, the classes or the axes differ, or for numbers that are not finite, naming them.
    """
    if not datasets:
        raise DataError("stack_reduce: there are no data sets to stack.")
    kind = type(datasets[0])
    for d in datasets:
        if kind.__name__ not in KINDS or type(d) is not kind:
            raise DataError(
                f"cannot stack {d!r}: only SpectrumDatasetOnOff with such, or SpectrumDataset with such, can be stacked; fit them "
                "jointly instead."
            )
    _check_axes(datasets)
    masks = [d.mask_safe.data for d in datasets]
    used = [m.any() for m in masks]
    exposures = [
        _inside(d.exposure.data, ok, nan_to_num, f"{d.name}: exposure") for d, ok in zip(datasets, used, strict=True)
    ]
    exposure = _sum(exposures)
    weighted = _sum(
        e[:, None] * _inside(d.edisp.pdf_matrix, m, nan_to_num, f"{d.name}: edisp")
        for d, e, m in zip(datasets, exposures, masks, strict=True)
    )
    first = datasets[0]
    common = {
        "axis": first.counts.geom.axis,
        "axis_true": first.exposure.geom.axis,
        "n_on": _safe_sum(datasets, masks, "counts", nan_to_num),
        "exposure": exposure,
        "edisp": weighted / np.where(exposure > 0, exposure, 1.0)[:, None],
        "mask_safe": np.any(masks, axis=0),
        "livetime": sum(float(d.livetime.value) for d, ok in zip(datasets, used, strict=True) if ok),
        "ontime": sum(float(d.ontime.to_value(u.s)) for d in datasets),
        "name": name or "stacked",
        "meta": {"stacked": [d.name for d in datasets]},
        "gti": _times(datasets),
    }
    if kind.__name__ == "SpectrumDataset":
        kinds = {d.stat_type for d in datasets}
        if len(kinds) > 1:
            raise DataError(
                f"cannot stack data sets with the statistics {', '.join(sorted(kinds))}; set one stat_type."
            )
        background = _sum(
            _inside(d.npred_background().data, m, nan_to_num, f"{d.name}: background")
            for d, m in zip(datasets, masks, strict=True)
        )
        new: Any = kind(background=background, stat_type=kinds.pop(), **common)
    else:
        new = kind(**_off_measurement(datasets, masks, nan_to_num), **common)
    # where one has no fit range, all of its bins are in the fit; one without a safe bin has none
    ranges = [d.mask_fit for d, ok in zip(datasets, used, strict=True) if ok]
    if ranges and all(r is not None for r in ranges):
        new.mask_fit = np.any([r.data for r in ranges], axis=0)
    return new


def _safe_sum(datasets: Sequence[Any], masks: list[np.ndarray], what: str, nan_to_num: bool) -> np.ndarray:
    pairs = zip(datasets, masks, strict=True)
    return _sum(_inside(getattr(d, what).data, m, nan_to_num, f"{d.name}: {what}") for d, m in pairs)


def _off_measurement(datasets: Sequence[Any], masks: list[np.ndarray], nan_to_num: bool) -> dict[str, np.ndarray]:
    n_off, background, acceptance = (
        _safe_sum(datasets, masks, what, nan_to_num) for what in ("counts_off", "background", "acceptance")
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
