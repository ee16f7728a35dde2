"""Flux points as people ask for them: columns in flux units by name, parts of them, one after the other."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
from astropy import units as u

from gammajax.datasets import GTI, EnergyAxis
from gammajax.errors import InputError
from gammajax.fit.flux_derived import FluxDerived
from gammajax.units import energy_values, parsed

__all__ = ["PER_DATASET", "UNITS", "FluxColumns"]

UNITS = {"dnde": "TeV-1 s-1 cm-2", "e2dnde": "TeV s-1 cm-2", "flux": "s-1 cm-2", "eflux": "TeV s-1 cm-2"}
WORDS = {
    "dnde": "Differential flux at the logarithmic centres",
    "e2dnde": "Energy squared times the differential flux at the logarithmic centres",
    "flux": "Flux in the bins",
    "eflux": "Energy flux in the bins",
}
SUFFIXES = {
    "": "", "_err": ", error", "_errn": ", error below", "_errp": ", error above", "_ul": ", upper limit",
    "_sensitivity": ", detectable",
}  # fmt: skip
# what has one entry per bin, and what has none
PER_BIN = (
    "norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "norm_sensitivity", "ts", "stat", "stat_null", "success", "status",
)  # fmt: skip
# what has one for each data set too
PER_DATASET = ("counts", "npred", "npred_excess")
# the same, where there are any
OPTIONAL = ("marked",)


class FluxColumns(FluxDerived):
    """Columns and parts of flux points; what there is beside the strengths themselves."""

    energy_edges: np.ndarray
    reference: dict[str, np.ndarray]
    norm: np.ndarray
    norm_ul: np.ndarray
    stat_scan: np.ndarray
    gti: GTI | None
    energies: np.ndarray | None

    def quantity(self, name: str) -> u.Quantity:
        """A column in flux units, such as ``"dnde"``, ``"e2dnde_err"`` or ``"flux_ul"``; shape (K,).

        Each is an attribute too: ``points.e2dnde_err``.

        Parameters
        ----------
        name : str
            One of dnde, e2dnde, flux and eflux, alone or with _err, _errn, _errp, _ul, _sensitivity, or with _ref for those of the model.
        """
        sed, _, suffix = name.partition("_")
        if sed not in UNITS or f"_{suffix}" not in (*SUFFIXES, "_", "_ref"):
            raise InputError(
                f"flux points have no {name!r}; known are {', '.join(UNITS)}, with _err, _errn, _errp, _ul, _sensitivity or _ref."
            )
        if self.energies is not None and sed in ("flux", "eflux"):
            raise InputError(
                f"{name}: the points are at energies, without bins, so that no flux of a bin is known; take dnde or e2dnde."
            )
        strength = {"": "norm"}.get(suffix, f"norm_{suffix}")
        factor = 1.0 if suffix == "ref" else getattr(self, strength)
        return u.Quantity(factor * self.reference[sed], parsed(UNITS[sed]))

    @property
    def energy_axis(self) -> EnergyAxis:
        """The energy bins."""
        return EnergyAxis(u.Quantity(self.energy_edges, "TeV"))

    @property
    def energy_ref(self) -> u.Quantity:
        """Energies of the points, or logarithmic centres of their bins, TeV, shape (K,)."""
        return self.energy_axis.center if self.energies is None else u.Quantity(self.energies, "TeV")

    @property
    def energy_min(self) -> u.Quantity:
        """Lower edges of the energy bins, TeV, shape (K,)."""
        return self.energy_axis.edges_min

    @property
    def energy_max(self) -> u.Quantity:
        """Upper edges of the energy bins, TeV, shape (K,)."""
        return self.energy_axis.edges_max

    @property
    def has_ul(self) -> bool:
        """Whether there are upper limits."""
        return bool(np.isfinite(self.norm_ul).any())

    @property
    def has_stat_profiles(self) -> bool:
        """Whether there are scans of the statistic."""
        return self.stat_scan.shape[-1] > 0

    def slice_by_idx(self, slices: dict[str, Any]) -> Self:
        """Some of the bins, which follow one another.

        Parameters
        ----------
        slices : dict
            ``{"energy": slice(0, 3)}``, and for a light curve ``{"time": slice(2, None)}``; ``{"time": 2}`` is the spectrum of one
            time bin.

        Raises
        ------
        InputError
            For another axis, no bin, or a slice with steps.
        """
        axes = {"energy": len(self.energy_edges) - 1} | ({} if self.gti is None else {"time": len(self.gti)})
        for name in slices:
            if name not in axes:
                raise InputError(f"slice_by_idx: there is no axis {name!r}; the axes are {', '.join(axes)}.")
        time = slices.get("time", slice(None))
        drop = isinstance(time, int | np.integer)
        chosen = {n: _numbers(slices.get(n, slice(None)), axes[n], n) for n in axes}
        at: Any = chosen["energy"]
        new: dict[str, Any] = {}
        if self.gti is not None:
            at = (chosen["time"][0] if drop else slice(chosen["time"][0], chosen["time"][-1] + 1), at)
            new["gti"] = None if drop else _part_of(self.gti, chosen["time"])
        arrays = {
            n: getattr(self, n)[at]
            for n in (*PER_BIN, *PER_DATASET, *OPTIONAL, "stat_scan")
            if getattr(self, n) is not None
        }
        if self.energies is not None:
            new["energies"] = self.energies[chosen["energy"]]
        edges = self.energy_edges[chosen["energy"][0] : chosen["energy"][-1] + 2]
        reference = {k: v[chosen["energy"]] for k, v in self.reference.items()}
        return replace(self, energy_edges=edges, reference=reference, **arrays, **new)  # type: ignore[type-var]

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None) -> Self:
        """The energy bins that lie in a range.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`, optional
            The range; open on a side that is not given. A bin belongs to it if its logarithmic centre does.
        """
        low, high = (
            default if e is None else float(energy_values(u.Quantity(e), "energy"))
            for e, default in ((energy_min, 0.0), (energy_max, np.inf))
        )
        inside = np.flatnonzero((self.energy_ref.value >= low) & (self.energy_ref.value <= high))
        if not len(inside):
            raise InputError(
                f"slice_by_energy: no bin has its centre in {low:g} to {high:g} TeV; the bins go from {self.energy_edges[0]:g} to "
                f"{self.energy_edges[-1]:g} TeV."
            )
        return self.slice_by_idx({"energy": slice(int(inside[0]), int(inside[-1]) + 1)})

    def slice_by_time(self, time_min: Any, time_max: Any) -> Self:
        """The time bins of a light curve that lie in a range.

        Parameters
        ----------
        time_min, time_max : `~astropy.time.Time`
            The range, into which the whole of a bin falls.
        """
        if self.gti is None:
            raise InputError("slice_by_time: these flux points have no time bins.")
        inside = np.flatnonzero((self.gti.time_start >= time_min) & (self.gti.time_stop <= time_max))
        if not len(inside):
            raise InputError(f"slice_by_time: no time bin lies in {time_min} to {time_max}; {self.gti}.")
        if not np.array_equal(inside, np.arange(inside[0], inside[-1] + 1)):
            raise InputError("slice_by_time: the time bins in the range do not follow one another; take slice_by_idx.")
        return self.slice_by_idx({"time": slice(int(inside[0]), int(inside[-1]) + 1)})

    def iter_by_axis(self, axis_name: str) -> Iterator[Self]:
        """One bin after the other.

        Parameters
        ----------
        axis_name : {"energy", "time"}
            Of which axis.
        """
        n = len(self.norm) if axis_name == "time" and self.gti is not None else len(self.energy_edges) - 1
        for k in range(n):
            yield self.slice_by_idx({axis_name: slice(k, k + 1)})


def _numbers(key: Any, n: int, name: str) -> np.ndarray:
    """Numbers of the bins of a slice, one after the other."""
    number = isinstance(key, int | np.integer) and not isinstance(key, bool) and -n <= key < n
    found = np.atleast_1d(np.arange(n)[key]) if number or isinstance(key, slice) else np.zeros(0, dtype=int)
    if not len(found) or np.any(np.diff(found) != 1):
        raise InputError(
            f"slice_by_idx: {name!r} got {key!r} of {n} bins, expected a slice or a number of bins that follow one another."
        )
    return found


def _part_of(gti: GTI, chosen: np.ndarray) -> GTI:
    return GTI.create(gti.met_start[chosen], gti.met_stop[chosen], gti.time_ref)


def _column(name: str, words: str) -> property:
    def column(self: FluxColumns) -> u.Quantity:
        return self.quantity(name)

    column.__name__ = name
    column.__doc__ = f"{words}, {UNITS[name.partition('_')[0]]}, shape (K,) or (T, K)."
    return property(column)


# attributes, so that they are found by completion: points.dnde, points.e2dnde_err, points.flux_ref ...
for _sed in UNITS:
    for _suffix, _words in (SUFFIXES | {"_ref": ", of the model"}).items():
        setattr(FluxColumns, f"{_sed}{_suffix}", _column(f"{_sed}{_suffix}", WORDS[_sed] + _words))
