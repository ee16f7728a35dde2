"""What spectra of counts share: axes, response, masks and predictions."""

from copy import copy
from typing import Any, ClassVar

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.datasets.axes import EDispKernel, EnergyAxis, EnergyGeom, EnergyMap
from gammajax.datasets.base import Dataset
from gammajax.datasets.checks import check_array, check_counts
from gammajax.datasets.describe import info_dict, summary
from gammajax.datasets.gti import GTI
from gammajax.datasets.plots import CountsPlots
from gammajax.datasets.registry import evaluator
from gammajax.datasets.regroup import Regrouping
from gammajax.datasets.stacking import stack
from gammajax.errors import DataError, InputError
from gammajax.models import Models
from gammajax.response import check_dispersion, diagonal_dispersion
from gammajax.units import to_unit

__all__ = ["CountsSpectrum", "check_gti", "check_spectrum", "empty_arrays"]

# parsed once: reading a unit from text takes longer than evaluating a likelihood
EXPOSURE_UNIT = u.Unit("cm2 s")
RESIDUAL_METHODS = ("diff", "diff/model", "diff/sqrt(model)")


def check_spectrum(
    name: str,
    *,
    n_on: Any,
    exposure: Any,
    edisp: Any,
    energy_edges: Any,
    energy_true_edges: Any,
    mask_safe: Any,
    livetime: Any,
    ontime: Any,
    meta: Any,
    gti: Any = None,
) -> dict[str, Any]:
    """Axes, counts, response, mask and times, checked; the arguments that the classes have in common."""
    intervals = check_gti(gti, name)
    if ontime is None and intervals is not None:
        ontime = intervals.time_sum
    axis, axis_true = EnergyAxis(energy_edges, "energy"), EnergyAxis(energy_true_edges, "energy_true")
    n = axis.nbin
    on = check_counts(n_on, n, f"{name}: n_on")
    area_time = check_array(to_unit(exposure, "cm2 s", f"{name}: exposure"), axis_true.nbin, f"{name}: exposure")
    if np.any(area_time < 0):
        i = int(np.argmax(area_time < 0))
        raise DataError(f"{name}: exposure[{i}] is {area_time[i]:g} cm2 s, expected at least 0.")
    if edisp is None:
        matrix = diagonal_dispersion(axis_true.edges_tev, axis.edges_tev)
    else:
        matrix = np.array(edisp, dtype=float)
        check_dispersion(matrix, axis_true.nbin, n, name)
    safe = np.ones(n, dtype=bool) if mask_safe is None else np.array(mask_safe, dtype=bool)
    if safe.shape != (n,):
        raise DataError(f"{name}: mask_safe has shape {safe.shape}, expected ({n},).")
    return {
        "axis": axis,
        "axis_true": axis_true,
        "n_on": on,
        "exposure": area_time,
        "edisp": matrix,
        "mask_safe": safe,
        "livetime": np.nan if livetime is None else float(to_unit(livetime, "s", f"{name}: livetime")),
        "ontime": np.nan if ontime is None else float(to_unit(ontime, "s", f"{name}: ontime")),
        "name": name,
        "meta": dict(meta or {}),
        "gti": intervals,
    }


def check_gti(gti: Any, name: str) -> GTI | None:
    """Good time intervals, or None; refuses anything else, and intervals without any time."""
    if gti is None:
        return None
    if not isinstance(gti, GTI):
        raise InputError(f"{name}: gti got {gti!r}, expected a GTI; make one with GTI.create(start, stop).")
    if not gti.time_sum > 0 * u.s:
        raise DataError(f"{name}: the good time intervals add up to 0 s; a measurement takes time.")
    return gti


def empty_arrays(energy_axis: Any, energy_axis_true: Any, name: Any) -> dict[str, Any]:
    """Arguments of an empty spectrum: axes, no exposure, no dispersion, no safe bin, no time."""
    given = {"energy": energy_axis, "energy_true": energy_axis if energy_axis_true is None else energy_axis_true}
    edges = {}
    for key, axis in given.items():
        own = axis.axis if isinstance(axis, EnergyGeom) else axis
        edges[key] = own.edges if isinstance(own, EnergyAxis) else EnergyAxis(own, key).edges
    n, n_true = (len(e) - 1 for e in edges.values())
    return {
        "energy_edges": edges["energy"], "energy_true_edges": edges["energy_true"], "exposure": u.Quantity(np.zeros(n_true), "cm2 s"),
        "edisp": np.zeros((n_true, n)), "mask_safe": np.zeros(n, dtype=bool), "livetime": u.Quantity(0.0, "s"),
        "ontime": u.Quantity(0.0, "s"), "name": name,
    }  # fmt: skip


@gammapy_arguments
class CountsSpectrum(Regrouping, CountsPlots, Dataset):
    """Base of the spectra of counts. In all arrays the axis is energy: n_reco reconstructed and n_true true bins."""

    meta: dict[str, Any]
    _statistics: ClassVar[tuple[str, ...]] = ()
    _stat_type: str
    _instead = dict.fromkeys(
        ("counts", "counts_off", "acceptance", "acceptance_off", "exposure", "edisp", "background"),
        "change its numbers in place, dataset.counts.data[:] = ..., take set_counts, or make another data set with from_arrays",
    )

    def __init__(
        self,
        *,
        axis: EnergyAxis,
        axis_true: EnergyAxis,
        n_on: np.ndarray,
        exposure: np.ndarray,
        edisp: np.ndarray,
        mask_safe: np.ndarray,
        livetime: float,
        ontime: float,
        name: str,
        meta: dict,
        gti: GTI | None = None,
    ) -> None:
        self._geom, self._geom_true = EnergyGeom(axis), EnergyGeom(axis_true)
        self._n_on, self._exposure, self._edisp, self._mask_safe = n_on, exposure, edisp, mask_safe
        self._livetime, self._ontime = livetime, ontime
        self.name, self.meta = name, meta
        self._gti = gti
        self._mask_fit: np.ndarray | None = None

    # -- what a likelihood asks for ------------------------------------------------------------------------------

    def response_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Exposure (n_true,), dispersion (n_true, n_reco) and true-energy edges (n_true + 1,), TeV."""
        return self._exposure, self._edisp, self._geom_true.axis.edges_tev

    def points(self) -> np.ndarray:
        """Centres of the reconstructed bins, TeV, at which a background model is evaluated."""
        return self._geom.axis.center.to_value("TeV")

    @property
    def mask_array(self) -> np.ndarray:
        """Bins in the fit, bool, shape (n_reco,)."""
        return self._mask_safe if self._mask_fit is None else self._mask_safe & self._mask_fit

    def check_for_fit(self) -> None:
        """Refuse a data set without exposure in the bins of the fit."""
        mask = self.mask_array
        if mask.any() and not np.any(self._exposure @ self._edisp * mask > 0):
            raise DataError(
                f"{self.name!r}: there is no exposure in the bins of the fit, so no model can predict counts there; "
                "check the effective area and the dispersion, or move the fit range."
            )

    # -- arrays on their axes ------------------------------------------------------------------------------------

    def _map(self, data: Any) -> EnergyMap:
        return EnergyMap(self._geom, data)

    def _derived(self, data: np.ndarray) -> EnergyMap:
        """Values that follow from others: changing them in place would have no effect, so that they are read-only."""
        data.setflags(write=False)
        return self._map(data)

    @property
    def stat_type(self) -> str:
        """Statistic."""
        return self._stat_type

    @stat_type.setter
    def stat_type(self, value: str) -> None:
        if value not in self._statistics:
            raise InputError(
                f"{self.name}: stat_type got {value!r}, expected {' or '.join(map(repr, self._statistics))}; to_spectrum_dataset() of an "
                "ON/OFF spectrum makes one with a known background, for cash and cstat."
            )
        self._stat_type = value

    @property
    def counts(self) -> EnergyMap:
        """ON counts, shape (n_reco,)."""
        return self._map(self._n_on)

    @property
    def background(self) -> EnergyMap:
        """Background counts in the ON region, shape (n_reco,)."""
        raise NotImplementedError

    @property
    def excess(self) -> EnergyMap:
        """Counts above background, shape (n_reco,)."""
        return self._derived(self._n_on - self.background.data)

    @property
    def exposure(self) -> EnergyMap:
        """Effective area times livetime, cm2 s, shape (n_true,)."""
        return EnergyMap(self._geom_true, self._exposure, EXPOSURE_UNIT)

    @property
    def edisp(self) -> EDispKernel:
        """Energy dispersion, matrix of shape (n_true, n_reco)."""
        return EDispKernel(self._geom_true.axis, self._geom.axis, self._edisp)

    @property
    def livetime(self) -> u.Quantity:
        """Livetime; nan when not known."""
        return u.Quantity(self._livetime, "s")

    @property
    def ontime(self) -> u.Quantity:
        """Ontime; nan when not known."""
        return u.Quantity(self._ontime, "s")

    @property
    def gti(self) -> GTI | None:
        """Good time intervals, when it was measured; None when not known. Models that vary in time need them."""
        return self._gti

    @gti.setter
    def gti(self, gti: GTI | None) -> None:
        self._gti = check_gti(gti, self.name)

    # -- masks ---------------------------------------------------------------------------------------------------

    @property
    def mask_safe(self) -> EnergyMap:
        """Bins that are safe to use, shape (n_reco,); set None for all."""
        return self._map(self._mask_safe)

    @mask_safe.setter
    def mask_safe(self, mask: Any) -> None:
        n = self._geom.axis.nbin
        self._mask_safe = np.ones(n, dtype=bool) if mask is None else self._checked_mask(mask, "mask_safe")

    @property
    def mask_fit(self) -> EnergyMap | None:
        """Bins that the person wants in the fit; None means all."""
        return None if self._mask_fit is None else self._map(self._mask_fit)

    @mask_fit.setter
    def mask_fit(self, mask: Any) -> None:
        self._mask_fit = None if mask is None else self._checked_mask(mask, "mask_fit")

    def _checked_mask(self, mask: Any, what: str) -> np.ndarray:
        data = np.array(mask.data if isinstance(mask, EnergyMap) else mask)
        if data.shape != (self._geom.axis.nbin,) or data.dtype != bool:
            raise DataError(
                f"{self.name}: {what} has shape {data.shape} and type {data.dtype}, expected ({self._geom.axis.nbin},) "
                "of bool; use dataset.counts.geom.energy_mask(energy_min, energy_max)."
            )
        return data

    @property
    def mask(self) -> EnergyMap:
        """Bins in the fit: mask_safe and mask_fit, shape (n_reco,)."""
        return self._derived(np.array(self.mask_array))

    @property
    def energy_range(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of the bins in the fit; nan when there is none."""
        return self._range(self.mask_array)

    @property
    def energy_range_total(self) -> tuple[u.Quantity, u.Quantity]:
        """The same as `energy_range`, by gammapy's name for the widest of several regions."""
        return self.energy_range

    # -- what the models predict ---------------------------------------------------------------------------------

    def npred_signal(self, model_names: Any = None) -> EnergyMap:
        """Predicted source counts, shape (n_reco,).

        Parameters
        ----------
        model_names : str or list of str, optional
            Of these sources alone; of all if not given.
        """
        if model_names is None:
            return self._map(evaluator("npred_signal")(self))
        chosen = [model_names] if isinstance(model_names, str) else list(model_names)
        models = Models() if self.models is None else self.models
        for name in chosen:
            models.index(name)
        # backgrounds and factors of the instrument act as they do on all
        part = copy(self)
        part._models = Models([m for m in models if m.role != "signal" or m.name in chosen])
        return self._map(evaluator("npred_signal")(part))

    def npred_background(self) -> EnergyMap:
        """Background expected in the ON region, shape (n_reco,)."""
        return self._map(evaluator("npred_background")(self))

    def npred(self) -> EnergyMap:
        """Predicted ON counts, source and background, shape (n_reco,)."""
        return self._map(self.npred_signal().data + self.npred_background().data)

    def residuals(self, method: str = "diff") -> EnergyMap:
        """Residuals of ON counts and their prediction.

        Parameters
        ----------
        method : {"diff", "diff/model", "diff/sqrt(model)"}
            n_on - npred, divided by nothing, by npred or by its square root.
        """
        if method not in RESIDUAL_METHODS:
            raise InputError(f"residuals: unknown method {method!r}, expected one of {', '.join(RESIDUAL_METHODS)}.")
        npred = self.npred().data
        diff = self._n_on - npred
        with np.errstate(invalid="ignore", divide="ignore"):
            if method == "diff/model":
                diff = diff / npred
            elif method == "diff/sqrt(model)":
                diff = diff / np.sqrt(npred)
        return self._map(diff)

    def counts_error(self) -> np.ndarray:
        """Error of the excess from the counts alone, shape (n_reco,)."""
        return np.sqrt(self._n_on)

    def copy(self, name: str | None = None) -> Any:
        """Return a copy with its own arrays and masks and without models.

        Parameters
        ----------
        name : str, optional
            Name of the copy; ``"<name>-copy"`` if not given.
        """
        new = object.__new__(type(self))
        state = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self.__dict__.items()}
        new.__dict__.update(state | {"_models": None, "name": name or f"{self.name}-copy", "meta": dict(self.meta)})
        return new

    # -- sums ------------------------------------------------------------------------------------------------------

    def stack(self, other: Any, nan_to_num: bool = False) -> None:
        """Add another spectrum of the same class and axes to this one, in place; see `gammajax.datasets.stacking.stack`.

        Name, models and compatibility stay. Both are taken inside of their `mask_safe`, as in `Datasets.stack_reduce`; gammapy takes this
        one whole, so that counts outside of its safe range come in where the other one is safe.

        Parameters
        ----------
        other : data set
            What is added.
        nan_to_num : bool
            Take numbers that are not finite for 0; they are refused otherwise.

        Raises
        ------
        DataError
            If the classes or the axes differ, or if a background model of this one would act on the sum, of which it is a part.

        Examples
        --------
        >>> from gammajax import SpectrumDatasetOnOff
        >>> from gammajax.data import embedded_ogip_files
        >>> one, two = (SpectrumDatasetOnOff.read(path) for path in embedded_ogip_files())
        >>> total = one.to_masked(name="both")
        >>> total.stack(two)
        >>> inside = sum(d.counts.data[d.mask_safe.data].sum() for d in (one, two))
        >>> bool(total.counts.data.sum() == inside)
        True
        """
        self._refuse_twice()
        found = stack([self, other], self.name, nan_to_num)
        kept = {k: v for k, v in self.__dict__.items() if k in ("_models", "_compatibility")}
        self.__dict__.update(found.__dict__ | kept)

    def _refuse_twice(self) -> None:
        """Refuse a background model that has changed the background: it goes into a sum as predicted, and would change it again."""
        acting = [m.name for m in self.models or () if m.role == "background" and m.shows_in(self.name)]
        if (
            acting
            and self.stat_type != "wstat"
            and not np.allclose(self.npred_background().data, self.background.data, rtol=1e-12, atol=0, equal_nan=True)
        ):
            raise DataError(
                f"{self.name}: stack adds up what {acting[0]!r} predicts, which would then act on the sum once more; use "
                "Datasets.stack_reduce, or take it out of the models before."
            )

    def to_masked(self, name: str | None = None, nan_to_num: bool = False) -> Any:
        """Spectrum with nothing outside of `mask_safe`, without models: what the first of a sum is.

        Parameters
        ----------
        name : str, optional
            Name of the new one; ``"<name>-masked"`` if not given.
        nan_to_num : bool
            As in `stack`.
        """
        new = stack([self], name or f"{self.name}-masked", nan_to_num)
        new.meta, new._compatibility = dict(self.meta), self._compatibility
        return new

    # -- reports ---------------------------------------------------------------------------------------------

    def info_dict(self, in_safe_data_range: bool = True) -> dict[str, Any]:
        """Summary numbers by gammapy's names; see `gammajax.datasets.describe.info_dict`.

        Parameters
        ----------
        in_safe_data_range : bool
            Whether only bins that are safe to use count.
        """
        return info_dict(self, in_safe_data_range)

    def __str__(self) -> str:
        return summary(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self._geom.axis.nbin} bins, {self._n_on.sum():g} ON counts)"
