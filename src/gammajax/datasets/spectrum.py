"""Spectra with an OFF measurement: arrays, axes, masks and a statistic."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.axes import EDispKernel, EnergyAxis, EnergyGeom, EnergyMap
from gammajax.datasets.checks import check_array, check_counts, check_positive
from gammajax.datasets.describe import info_dict, summary
from gammajax.datasets.registry import evaluator, file_format
from gammajax.datasets.simulate import fake
from gammajax.errors import DataError, InputError
from gammajax.models import Models
from gammajax.response import check_dispersion, diagonal_dispersion
from gammajax.units import to_unit

__all__ = ["SpectrumDatasetOnOff"]

# parsed once: reading a unit from text takes longer than evaluating a likelihood
EXPOSURE_UNIT = u.Unit("cm2 s")
RESIDUAL_METHODS = ("diff", "diff/model", "diff/sqrt(model)")


class SpectrumDatasetOnOff:
    """Counts in an ON and an OFF region, with the response; fitted with the W statistic.

    Make one with `from_arrays` or `read`. In all arrays the axis is energy: n_reco reconstructed and n_true true bins.
    `models`, `mask_fit` and `compatibility` may be set at any time.
    """

    stat_type = "wstat"
    tag = "SpectrumDatasetOnOff"

    def __init__(
        self,
        *,
        axis: EnergyAxis,
        axis_true: EnergyAxis,
        n_on: np.ndarray,
        n_off: np.ndarray,
        acceptance: np.ndarray,
        acceptance_off: np.ndarray,
        exposure: np.ndarray,
        edisp: np.ndarray,
        mask_safe: np.ndarray,
        livetime: float,
        ontime: float,
        name: str,
        meta: dict,
    ) -> None:
        self._geom, self._geom_true = EnergyGeom(axis), EnergyGeom(axis_true)
        self._n_on, self._n_off = n_on, n_off
        self._acceptance, self._acceptance_off = acceptance, acceptance_off
        self._exposure, self._edisp, self._mask_safe = exposure, edisp, mask_safe
        self._livetime, self._ontime = livetime, ontime
        self.name, self.meta = name, meta
        self._models: Models | None = None
        self._mask_fit: np.ndarray | None = None
        self._compatibility: str | None = None

    @classmethod
    def from_arrays(
        cls,
        n_on: Any,
        n_off: Any,
        alpha: Any = None,
        *,
        exposure: u.Quantity,
        edisp: Any = None,
        energy_edges: u.Quantity,
        energy_true_edges: u.Quantity,
        acceptance: Any = 1.0,
        acceptance_off: Any = None,
        mask_safe: Any = None,
        livetime: u.Quantity | None = None,
        ontime: u.Quantity | None = None,
        name: str | None = None,
        meta: dict | None = None,
    ) -> "SpectrumDatasetOnOff":
        """Build a data set from plain arrays.

        Parameters
        ----------
        n_on, n_off : array, shape (n_reco,)
            Counts in the ON and OFF regions.
        alpha : float or array, shape (n_reco,), optional
            Ratio of ON to OFF acceptance; either this or `acceptance_off`.
        exposure : `~astropy.units.Quantity`, shape (n_true,)
            Effective area times livetime, cm2 s.
        edisp : array, shape (n_true, n_reco), optional
            Energy dispersion; a perfect measurement if not given.
        energy_edges, energy_true_edges : `~astropy.units.Quantity`, shapes (n_reco + 1,), (n_true + 1,)
            Bin edges.
        acceptance, acceptance_off : float or array, shape (n_reco,)
            Relative acceptances of the two regions.
        mask_safe : array of bool, shape (n_reco,), optional
            Bins that are safe to use; all if not given.
        livetime, ontime : `~astropy.units.Quantity`, optional
            Times, s.
        name : str, optional
            Name.
        meta : dict, optional
            Anything to carry along.

        Raises
        ------
        DataError
            For counts, acceptances, exposure or dispersion that no fit can use, naming the bin and its value.
        UnitError
            For an exposure or energies with a missing or wrong unit.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> edges = np.geomspace(1, 10, 4) * u.TeV
        >>> d = SpectrumDatasetOnOff.from_arrays(
        ...     [9, 4, 1], [10, 5, 2], 0.1, exposure=np.full(3, 1e13) * u.Unit("cm2 s"),
        ...     energy_edges=edges, energy_true_edges=edges,
        ... )
        >>> d.excess.data.tolist()
        [8.0, 3.5, 0.8]
        """
        name = "dataset" if name is None else str(name)
        axis, axis_true = EnergyAxis(energy_edges, "energy"), EnergyAxis(energy_true_edges, "energy_true")
        n = axis.nbin
        on, off = check_counts(n_on, n, f"{name}: n_on"), check_counts(n_off, n, f"{name}: n_off")
        acc = check_array(acceptance, n, f"{name}: acceptance")
        if (alpha is None) == (acceptance_off is None):
            raise InputError(f"{name}: give either alpha or acceptance_off, not both and not neither.")
        if acceptance_off is None:
            ratio = check_positive(alpha, n, f"{name}: alpha")
            acc_off = acc / ratio
        else:
            acc_off = check_array(acceptance_off, n, f"{name}: acceptance_off")
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
        return cls(
            axis=axis,
            axis_true=axis_true,
            n_on=on,
            n_off=off,
            acceptance=acc,
            acceptance_off=acc_off,
            exposure=area_time,
            edisp=matrix,
            mask_safe=safe,
            livetime=np.nan if livetime is None else float(to_unit(livetime, "s", f"{name}: livetime")),
            ontime=np.nan if ontime is None else float(to_unit(ontime, "s", f"{name}: ontime")),
            name=name,
            meta=dict(meta or {}),
        )

    # -- files ---------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, filename: str | Path, format: str = "ogip", **kwargs: Any) -> "SpectrumDatasetOnOff":
        """Read a data set from file; environment variables in the path are expanded.

        Parameters
        ----------
        filename : str or path
            The PHA file; its header names background, effective area and dispersion.
        format : {"ogip"}
            File format.
        **kwargs
            See `gammajax.io.ogip.read_ogip`.
        """
        return file_format(format).read(filename, **kwargs)

    from_ogip_files = read

    def write(self, filename: str | Path, format: str = "ogip", overwrite: bool = False) -> None:
        """Write the data set; reading it again gives the same numbers to the last bit."""
        file_format(format).write(self, filename, overwrite=overwrite)

    # -- arrays on their axes ------------------------------------------------------------------------------------

    def _map(self, data: Any) -> EnergyMap:
        return EnergyMap(self._geom, data)

    @property
    def counts(self) -> EnergyMap:
        """ON counts, shape (n_reco,)."""
        return self._map(self._n_on)

    @property
    def counts_off(self) -> EnergyMap:
        """OFF counts, shape (n_reco,)."""
        return self._map(self._n_off)

    @property
    def acceptance(self) -> EnergyMap:
        """Relative acceptance of the ON region, shape (n_reco,)."""
        return self._map(self._acceptance)

    @property
    def acceptance_off(self) -> EnergyMap:
        """Relative acceptance of the OFF region, shape (n_reco,)."""
        return self._map(self._acceptance_off)

    @property
    def alpha(self) -> EnergyMap:
        """Ratio of the acceptances ON / OFF, shape (n_reco,); 0 where there is no OFF acceptance."""
        off = self._acceptance_off
        return self._map(np.where(off > 0, self._acceptance / np.where(off > 0, off, 1.0), 0.0))

    @property
    def background(self) -> EnergyMap:
        """Background counts in the ON region estimated from OFF, alpha n_off, shape (n_reco,)."""
        return self._map(self.alpha.data * self._n_off)

    @property
    def excess(self) -> EnergyMap:
        """Counts above background, n_on - alpha n_off, shape (n_reco,)."""
        return self._map(self._n_on - self.background.data)

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

    # -- masks ---------------------------------------------------------------------------------------------------

    @property
    def mask_safe(self) -> EnergyMap:
        """Bins that are safe to use, shape (n_reco,)."""
        return self._map(self._mask_safe)

    @property
    def mask_fit(self) -> EnergyMap | None:
        """Bins that the person wants in the fit; None means all."""
        return None if self._mask_fit is None else self._map(self._mask_fit)

    @mask_fit.setter
    def mask_fit(self, mask: Any) -> None:
        if mask is None:
            self._mask_fit = None
            return
        data = np.array(mask.data if isinstance(mask, EnergyMap) else mask)
        if data.shape != (self._geom.axis.nbin,) or data.dtype != bool:
            raise DataError(
                f"{self.name}: mask_fit has shape {data.shape} and type {data.dtype}, expected ({self._geom.axis.nbin},) "
                "of bool; use dataset.counts.geom.energy_mask(energy_min, energy_max)."
            )
        self._mask_fit = data

    @property
    def mask(self) -> EnergyMap:
        """Bins in the fit: mask_safe and mask_fit, shape (n_reco,)."""
        return self._map(self._mask_safe if self._mask_fit is None else self._mask_safe & self._mask_fit)

    @property
    def energy_range(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of the bins in the fit; nan when there is none."""
        mask, axis = self.mask.data, self._geom.axis
        if not mask.any():
            return u.Quantity(np.nan, "TeV"), u.Quantity(np.nan, "TeV")
        return axis.edges_min[mask][0], axis.edges_max[mask][-1]

    # -- models and what they predict ----------------------------------------------------------------------------

    @property
    def models(self) -> Models | None:
        """The sources; set a `SkyModel`, a list or `Models`."""
        return self._models

    @models.setter
    def models(self, models: Any) -> None:
        self._models = None if models is None else models if isinstance(models, Models) else Models(models)

    @property
    def compatibility(self) -> str | None:
        """None for exact bin integrals, "gammapy" for gammapy's integration scheme and clipping."""
        return self._compatibility

    @compatibility.setter
    def compatibility(self, value: str | None) -> None:
        if value not in (None, "gammapy"):
            raise InputError(f"{self.name}: compatibility got {value!r}, expected None or 'gammapy'.")
        self._compatibility = value

    def npred_signal(self) -> EnergyMap:
        """Predicted source counts, shape (n_reco,)."""
        return self._map(evaluator("npred_signal")(self))

    def npred_background(self) -> EnergyMap:
        """Background in the ON region, alpha mu_bkg, profiled for the predicted signal, shape (n_reco,)."""
        return self._map(evaluator("npred_background")(self))

    def npred(self) -> EnergyMap:
        """Predicted ON counts, source and background, shape (n_reco,)."""
        return self._map(self.npred_signal().data + self.npred_background().data)

    def stat_array(self) -> np.ndarray:
        """Statistic of each bin, -2 ln L, shape (n_reco,); 0 in masked bins."""
        return evaluator("stat_array")(self)

    def stat_sum(self) -> float:
        """Statistic summed over the bins of the fit."""
        return float(np.sum(self.stat_array()))

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

    def fake(self, random_state: int | np.random.Generator, npred_background: Any = None) -> None:
        """Replace the counts by a simulation of the present models; see `gammajax.datasets.simulate.fake`."""
        fake(self, random_state, npred_background)

    def set_counts(self, n_on: Any, n_off: Any) -> None:
        """Replace the counts, shape (n_reco,) each; checked as in `from_arrays`."""
        n = self._geom.axis.nbin
        on = check_counts(n_on, n, f"{self.name}: n_on")
        self._n_on, self._n_off = on, check_counts(n_off, n, f"{self.name}: n_off")

    def copy(self, name: str | None = None) -> "SpectrumDatasetOnOff":
        """Return a copy with its own arrays and masks and without models."""
        new = object.__new__(type(self))
        state = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self.__dict__.items()}
        new.__dict__.update(state | {"_models": None, "name": name or f"{self.name}-copy", "meta": dict(self.meta)})
        return new

    # -- reports and plots ---------------------------------------------------------------------------------------

    def info_dict(self, in_safe_data_range: bool = True) -> dict[str, Any]:
        """Summary numbers by gammapy's names; see `gammajax.datasets.describe.info_dict`."""
        return info_dict(self, in_safe_data_range)

    def plot_fit(self, **kwargs: Any) -> Any:
        """Plot counts, prediction and residuals; see `gammajax.plotting.plot_fit`."""
        from gammajax.plotting import plot_fit

        return plot_fit(self, **kwargs)

    def plot_residuals(self, ax: Any = None, method: str = "diff", **kwargs: Any) -> Any:
        """Plot residuals; see `gammajax.plotting.plot_residuals`."""
        from gammajax.plotting import plot_residuals

        return plot_residuals(self, ax=ax, method=method, **kwargs)

    def peek(self, **kwargs: Any) -> Any:
        """Plot counts, exposure and energy dispersion; see `gammajax.plotting.peek`."""
        from gammajax.plotting import peek

        return peek(self, **kwargs)

    def __str__(self) -> str:
        return summary(self)

    def __repr__(self) -> str:
        return f"SpectrumDatasetOnOff({self.name!r}, {self._geom.axis.nbin} bins, {self._n_on.sum():g} ON counts)"
