"""Parts and sums of the bins of a spectrum: slices, coarser axes, one bin."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.axes import EnergyAxis, EnergyGeom
from gammajax.errors import InputError
from gammajax.units import energy_values

__all__ = ["Regrouping", "groups_of", "sums"]

# edges typed with fewer digits than the axis has must still mean the edge
EDGE_TOLERANCE = 1e-6


class Regrouping:
    """What a spectrum of counts has: new spectra of some of its bins, or of sums of them. They come without models."""

    name: str
    _geom: EnergyGeom
    _geom_true: EnergyGeom
    _mask_safe: np.ndarray
    _mask_fit: np.ndarray | None
    _edisp: np.ndarray
    _exposure: np.ndarray
    # arrays of shape (n_reco,): those that are counts and add up; and further ones
    _counted: tuple[str, ...] = ("_n_on",)
    _further: tuple[str, ...] = ()

    def copy(self, name: str | None = None) -> Any:
        """Return a copy with its own arrays and without models.

        Parameters
        ----------
        name : str, optional
            Name of the copy; ``"<name>-copy"`` if not given.
        """
        raise NotImplementedError

    def slice_by_idx(self, slices: dict[str, slice], name: str | None = None) -> Any:
        """Spectrum of some of the bins.

        Parameters
        ----------
        slices : dict of str to slice
            ``{"energy": slice(2, 9)}``, and ``"energy_true"`` likewise: without those bins the models predict less.
        name : str, optional
            Name of the new one.

        Returns
        -------
        data set
            Of the same class, without models.

        Raises
        ------
        InputError
            For another axis, a step other than 1, or a slice without bins.

        Examples
        --------
        >>> from gammajax import SpectrumDatasetOnOff
        >>> from gammajax.data import embedded_ogip_files
        >>> dataset = SpectrumDatasetOnOff.read(embedded_ogip_files()[0])
        >>> dataset.slice_by_idx({"energy": slice(10, 14)}).counts.geom.axis.nbin
        4
        """
        axes = {"energy": self._geom.axis, "energy_true": self._geom_true.axis}
        parts = {}
        for key, part in slices.items():
            if key not in axes:
                raise InputError(f"slice_by_idx: unknown axis {key!r}; the axes are: {', '.join(axes)}.")
            if not isinstance(part, slice) or part.step not in (None, 1):
                raise InputError(
                    f"slice_by_idx: {key} got {part!r}, expected a slice with step 1, such as slice(2, 9)."
                )
            start, stop, _ = part.indices(axes[key].nbin)
            if stop <= start:
                raise InputError(f"slice_by_idx: {part!r} holds no bin of {key}, which has {axes[key].nbin}.")
            parts[key] = slice(start, stop)
        new = self.copy(name or f"{self.name}-slice")
        if "energy" in parts:
            part = parts["energy"]
            for key in (*self._counted, *self._further, "_mask_safe", "_mask_fit"):
                if (array := getattr(self, key)) is not None:
                    setattr(new, key, array[part].copy())
            new._edisp = new._edisp[:, part].copy()
            new._geom = _part(self._geom.axis, part)
        if "energy_true" in parts:
            part = parts["energy_true"]
            new._exposure, new._edisp = new._exposure[part].copy(), new._edisp[part].copy()
            new._geom_true = _part(self._geom_true.axis, part)
        return new

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None, name: str | None = None) -> Any:
        """Spectrum of the bins of an energy range, whose limits move to the nearest edges.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`, optional
            The range; open on a side that is not given.
        name : str, optional
            Name of the new one.

        Raises
        ------
        InputError
            If no bin lies there.
        """
        edges = self._geom.axis.edges_tev
        limits = [
            edges[k] if e is None else float(energy_values(u.Quantity(e), what))
            for k, e, what in ((0, energy_min, "energy_min"), (-1, energy_max, "energy_max"))
        ]
        # nearest in the logarithm, bin by bin, as gammapy does it
        start, stop = (round(float(np.interp(np.log(e), np.log(edges), np.arange(len(edges))))) for e in limits)
        if stop <= start:
            raise InputError(
                f"slice_by_energy: {self.name!r} has no bin between {limits[0]:g} and {limits[1]:g} TeV; its {len(edges) - 1} bins "
                f"go from {edges[0]:g} to {edges[-1]:g} TeV."
            )
        return self.slice_by_idx({"energy": slice(start, stop)}, name or f"{self.name}-slice")

    def resample_energy_axis(self, energy_axis: Any, name: str | None = None, nearest: bool = False) -> Any:
        r"""Spectrum on a coarser axis of reconstructed energy, by gammapy's rules.

        Counts, background and acceptance are summed over the safe bins, and so is the dispersion. A new bin is safe, or in the fit, if
        one of its parts is. The OFF acceptance keeps the background: :math:`\alpha = \sum \alpha_i n_{off,i} / \sum n_{off,i}`; in
        bins without OFF counts, where gammapy has none, it is the sum of the OFF acceptances.

        Parameters
        ----------
        energy_axis : `EnergyAxis` or `~astropy.units.Quantity`
            New axis, or its edges, which must be edges of the present axis.
        name : str, optional
            Name of the new one.
        nearest : bool
            Move the edges to the nearest of the present axis, in the logarithm, as gammapy does without asking; those that fall together
            are one.

        Returns
        -------
        data set
            Of the same class, without models.

        Raises
        ------
        InputError
            For an edge that the present axis does not have, naming the nearest.
        """
        axis = energy_axis if isinstance(energy_axis, EnergyAxis) else EnergyAxis(energy_axis)
        if nearest:
            axis = self._nearest(axis)
        at = groups_of(self._geom.axis, axis, f"resample_energy_axis: {self.name!r}")
        new = self.copy(name or f"{self.name}-resampled")
        safe = self._mask_safe
        for key in self._counted:
            setattr(new, key, sums(getattr(self, key) * safe, at))
        new._mask_safe = sums(safe, at) > 0
        if self._mask_fit is not None:
            new._mask_fit = sums(self._mask_fit, at) > 0
        new._edisp = sums(self._edisp * safe, at)
        # the edges of the old axis, to the last bit
        new._geom = EnergyGeom(_with_edges(self._geom.axis, self._geom.axis.edges_tev[at]))
        self._resample_further(new, at)
        return new

    def _nearest(self, axis: EnergyAxis) -> EnergyAxis:
        """The nearest edges of the present axis."""
        own = self._geom.axis.edges_tev
        # bin by bin in the logarithm, halves to the even one, as gammapy has it
        at = np.unique(np.round(np.interp(np.log(axis.edges_tev), np.log(own), np.arange(len(own)))).astype(int))
        if len(at) < 2:
            raise InputError(
                f"resample_energy_axis: {self.name!r} has no bin from {axis.edges_tev[0]:g} to {axis.edges_tev[-1]:g} TeV; its bins go from "
                f"{own[0]:g} to {own[-1]:g} TeV."
            )
        return EnergyAxis(u.Quantity(own[at], u.TeV), axis.name)

    def _resample_further(self, new: Any, at: np.ndarray) -> None:
        """Set what does not simply add up."""

    def to_image(self, name: str | None = None) -> Any:
        """Spectrum of one bin, the sum of all; see `resample_energy_axis`.

        Parameters
        ----------
        name : str, optional
            Name of the new one.
        """
        edges = u.Quantity(self._geom.axis.edges_tev[[0, -1]], u.TeV)
        return self.resample_energy_axis(edges, name or f"{self.name}-image")

    # -- ranges ----------------------------------------------------------------------------------------------------

    def _range(self, mask: np.ndarray | None) -> tuple[u.Quantity, u.Quantity]:
        axis = self._geom.axis
        mask = np.ones(axis.nbin, dtype=bool) if mask is None else mask
        if not mask.any():
            return u.Quantity(np.nan, "TeV"), u.Quantity(np.nan, "TeV")
        return axis.edges_min[mask][0], axis.edges_max[mask][-1]

    @property
    def energy_range_safe(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of `mask_safe`; nan when there is none."""
        return self._range(self._mask_safe)

    @property
    def energy_range_fit(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of `mask_fit`, of the axis without one; nan when no bin is in it."""
        return self._range(self._mask_fit)


def groups_of(old: EnergyAxis, new: EnergyAxis, what: str) -> np.ndarray:
    """Places of the edges of a new axis among those of an old one, shape (n_new + 1,).

    Raises
    ------
    InputError
        For an edge that is none of the old ones, naming the nearest.
    """
    distance = np.abs(new.edges_tev[:, None] / old.edges_tev - 1)
    at = np.argmin(distance, axis=1)
    bad = np.flatnonzero(distance[np.arange(len(at)), at] > EDGE_TOLERANCE)
    if len(bad):
        i = bad[0]
        raise InputError(
            f"{what}: {new.edges_tev[i]:g} TeV is no edge of the present axis, the nearest is {old.edges_tev[at[i]]:g} TeV; bins can "
            "be joined, not cut: nearest=True moves the edges."
        )
    return at


def sums(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Sums over the last axis between the places `at`."""
    return np.add.reduceat(values[..., : at[-1]].astype(float), at[:-1], axis=-1)


def _with_edges(axis: EnergyAxis, edges: np.ndarray) -> EnergyAxis:
    new = EnergyAxis(u.Quantity(edges, u.TeV), axis.name)
    new.unit = axis.unit
    return new


def _part(axis: EnergyAxis, part: slice) -> EnergyGeom:
    return EnergyGeom(_with_edges(axis, axis.edges_tev[part.start : part.stop + 1]))
