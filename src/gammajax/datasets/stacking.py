"""Stacking of spectra."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.gti import GTI
from gammajax.errors import DataError

__all__ = ["running_stacks", "stack"]

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
    _check(datasets)
    total = _Total(datasets[0], nan_to_num)
    for d in datasets:
        total.add(d)
    return total.dataset(name or "stacked", _times(datasets))


def running_stacks(datasets: Sequence[Any]) -> Iterator[Any]:
    """Stacks of the first one, the first two, and so on to all, each from the sums of the one before; without times.

    Parameters
    ----------
    datasets : sequence of `SpectrumDatasetOnOff` or of `SpectrumDataset`
        At least one.

    Raises
    ------
    DataError
        As `stack`.
    """
    _check(datasets)
    total = _Total(datasets[0], False)
    for d in datasets:
        total.add(d)
        yield total.dataset("stacked", None)


def _check(datasets: Sequence[Any]) -> None:
    """Refuse what cannot be added up."""
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
    kinds = {d.stat_type for d in datasets}
    if len(kinds) > 1:
        raise DataError(f"cannot stack data sets with the statistics {', '.join(sorted(kinds))}; set one stat_type.")


class _Total:
    """Sums over spectra that are added one after the other, and the spectrum that they make.

    Parameters
    ----------
    first : `SpectrumDatasetOnOff` or `SpectrumDataset`
        One of them: the axes and the class.
    nan_to_num : bool
        Take numbers that are not finite for 0.
    """

    def __init__(self, first: Any, nan_to_num: bool) -> None:
        self.first, self.nan_to_num = first, nan_to_num
        self.sums: dict[str, Any] = {}
        self.names: list[str] = []
        self.safe = np.zeros(first.counts.data.shape, dtype=bool)
        # bins in a fit range; where one has none, all of its bins are in the fit; one without a safe bin has none
        self.fitted, self.ranges, self.unlimited = self.safe.copy(), 0, 0

    def add(self, dataset: Any) -> None:
        """Add one more."""
        mask = dataset.mask_safe.data
        used = bool(mask.any())
        exposure = self._inside(dataset, "exposure", dataset.exposure.data, used)
        self._sum("exposure", exposure)
        self._sum("weighted", exposure[:, None] * self._inside(dataset, "edisp", dataset.edisp.pdf_matrix, mask))
        self._sum("n_on", self._inside(dataset, "counts", dataset.counts.data, mask))
        self._sum("livetime", float(dataset.livetime.value) if used else 0.0)
        self._sum("ontime", float(dataset.ontime.to_value(u.s)))
        if hasattr(dataset, "counts_off"):
            for what in ("counts_off", "background", "acceptance"):
                self._sum(what, self._inside(dataset, what, getattr(dataset, what).data, mask))
            self._sum("alpha", dataset.alpha.data)
        else:
            self._sum("background", self._inside(dataset, "background", dataset.npred_background().data, mask))
        self.safe = self.safe | mask
        if used and dataset.mask_fit is None:
            self.unlimited += 1
        elif used:
            self.ranges, self.fitted = self.ranges + 1, self.fitted | dataset.mask_fit.data
        self.names.append(dataset.name)

    def _sum(self, name: str, values: Any) -> None:
        self.sums[name] = self.sums[name] + values if name in self.sums else values

    def _inside(self, dataset: Any, what: str, values: np.ndarray, mask: Any) -> np.ndarray:
        return _inside(values, mask, self.nan_to_num, f"{dataset.name}: {what}")

    def dataset(self, name: str, gti: GTI | None) -> Any:
        """The sum of all so far."""
        first, sums = self.first, self.sums
        exposure = sums["exposure"]
        own = (
            self._off_measurement()
            if hasattr(first, "counts_off")
            else {"background": sums["background"], "stat_type": first.stat_type}
        )
        new = type(first)(
            axis=first.counts.geom.axis, axis_true=first.exposure.geom.axis, n_on=sums["n_on"], exposure=exposure,
            edisp=sums["weighted"] / np.where(exposure > 0, exposure, 1.0)[:, None], mask_safe=self.safe,
            livetime=sums["livetime"], ontime=sums["ontime"], name=name, meta={"stacked": list(self.names)}, gti=gti, **own,
        )  # fmt: skip
        if self.ranges and not self.unlimited:
            new.mask_fit = self.fitted
        return new

    def _off_measurement(self) -> dict[str, np.ndarray]:
        n_off, background, acceptance = (self.sums[what] for what in ("counts_off", "background", "acceptance"))
        mean_alpha = (
            float(background.sum()) / float(n_off.sum())
            if n_off.sum() > 0
            else float(self.sums["alpha"].mean()) / len(self.names)
        )
        alpha = np.where(n_off > 0, background / np.where(n_off > 0, n_off, 1.0), mean_alpha)
        return {
            "n_off": n_off,
            "acceptance": acceptance,
            "acceptance_off": np.where(alpha > 0, acceptance / np.where(alpha > 0, alpha, 1.0), 0.0),
        }
