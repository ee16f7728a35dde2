"""Spectra with an OFF measurement: arrays, axes, masks and a statistic."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.closed import foreign_hint
from gammajax.datasets.axes import EnergyMap
from gammajax.datasets.checks import check_array, check_counts, check_positive, warn_of_fractions
from gammajax.datasets.counts import CountsSpectrum, check_spectrum, empty_arrays
from gammajax.datasets.gti import GTI
from gammajax.datasets.known import SpectrumDataset
from gammajax.datasets.registry import file_format, read_file
from gammajax.datasets.regroup import sums
from gammajax.datasets.simulate import fake
from gammajax.errors import DataError, InputError

__all__ = ["SpectrumDatasetOnOff"]


@gammapy_arguments
class SpectrumDatasetOnOff(CountsSpectrum):
    """Counts in an ON and an OFF region, with the response; fitted with the W statistic.

    Make one with `from_arrays` or `read`. In all arrays the axis is energy: n_reco reconstructed and n_true true bins.
    `models`, `mask_fit` and `compatibility` may be set at any time.
    """

    _stat_type = "wstat"
    _statistics = ("wstat",)
    tag = "SpectrumDatasetOnOff"
    _counted = ("_n_on", "_n_off", "_acceptance")
    _further = ("_acceptance_off",)

    def __init__(self, *, n_off: np.ndarray, acceptance: np.ndarray, acceptance_off: np.ndarray, **common: Any) -> None:
        super().__init__(**common)
        self._n_off, self._acceptance, self._acceptance_off = n_off, acceptance, acceptance_off

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
        gti: GTI | None = None,
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
            Times, s; the ontime is that of `gti` if not given.
        gti : `GTI`, optional
            When it was measured.
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
        common = check_spectrum(
            name, n_on=n_on, exposure=exposure, edisp=edisp, energy_edges=energy_edges,
            energy_true_edges=energy_true_edges, mask_safe=mask_safe, livetime=livetime, ontime=ontime, meta=meta,
            gti=gti,
        )  # fmt: skip
        n = common["axis"].nbin
        off = check_counts(n_off, n, f"{name}: n_off")
        warn_of_fractions(name, n_on=common["n_on"], n_off=off)
        acc = check_array(acceptance, n, f"{name}: acceptance")
        if (alpha is None) == (acceptance_off is None):
            raise InputError(f"{name}: give either alpha or acceptance_off, not both and not neither.")
        if acceptance_off is None:
            acc_off = acc / check_positive(alpha, n, f"{name}: alpha")
        else:
            acc_off = check_array(acceptance_off, n, f"{name}: acceptance_off")
        for what, values in (("acceptance", acc), ("acceptance_off", acc_off)):
            if np.any(values < 0):
                i = int(np.argmax(values < 0))
                raise DataError(f"{name}: {what}[{i}] is {values[i]:g}, expected at least 0.")
        return cls(n_off=off, acceptance=acc, acceptance_off=acc_off, **common)

    @classmethod
    def create(cls, geom: Any, energy_axis_true: Any = None, name: str | None = None) -> "SpectrumDatasetOnOff":
        """An empty spectrum without exposure, in which no bin is safe: what others are stacked into.

        Parameters
        ----------
        geom : `EnergyAxis`, `EnergyGeom` or `~astropy.units.Quantity`
            Reconstructed energy: the axis, or its edges.
        energy_axis_true : `EnergyAxis` or `~astropy.units.Quantity`, optional
            True energy; the same if not given.
        name : str, optional
            Name.
        """
        arrays = empty_arrays(geom, energy_axis_true, name)
        zero = np.zeros(len(arrays["mask_safe"]))
        return cls.from_arrays(zero, zero, acceptance=0.0, acceptance_off=0.0, **arrays)

    @classmethod
    def from_spectrum_dataset(
        cls,
        dataset: SpectrumDataset,
        acceptance: Any,
        acceptance_off: Any,
        counts_off: Any = None,
        name: str | None = None,
    ) -> "SpectrumDatasetOnOff":
        """From a spectrum with a known background, which becomes the OFF counts: background / alpha, whole or not.

        Models, masks, times and response are taken over.

        Parameters
        ----------
        dataset : `SpectrumDataset`
            Counts, response and background, the present background model included.
        acceptance, acceptance_off : float or array, shape (n_reco,)
            Relative acceptances of the two regions; alpha is their ratio.
        counts_off : array or `EnergyMap`, shape (n_reco,), optional
            OFF counts in the place of the background.
        name : str, optional
            Name; ``"<name>-onoff"`` if not given.

        Examples
        --------
        >>> known = SpectrumDataset.create([1, 10] * u.TeV)
        >>> known.background.data[:] = 2
        >>> SpectrumDatasetOnOff.from_spectrum_dataset(known, acceptance=1, acceptance_off=5).counts_off.data
        array([10.])
        """
        if not isinstance(dataset, SpectrumDataset):
            raise InputError(
                f"from_spectrum_dataset: got {dataset!r}, expected a SpectrumDataset.{foreign_hint(dataset)}"
            )
        new = object.__new__(cls)
        copied = dataset.copy(name or f"{dataset.name}-onoff")
        new.__dict__.update({k: v for k, v in copied.__dict__.items() if k not in ("_background", "_stat_type")})
        n, what = len(dataset.counts.data), f"{new.name}: "
        on, off = (
            np.array(check_positive(a, n, what + k), dtype=float)
            for k, a in (("acceptance", acceptance), ("acceptance_off", acceptance_off))
        )
        counted = dataset.npred_background().data * off / on if counts_off is None else counts_off
        values = counted.data if isinstance(counted, EnergyMap) else counted
        new._acceptance, new._acceptance_off = on, off
        new._n_off = check_counts(values, n, what + "counts_off")
        new.models = dataset.models
        return new

    # -- files ---------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, filename: str | Path, format: str | None = None, **kwargs: Any) -> "SpectrumDatasetOnOff":
        """Read a data set from file; environment variables in the path are expanded.

        Parameters
        ----------
        filename : str or path
            A PHA file, whose header names background, effective area and dispersion, or a file of gammapy's own format.
        format : {"ogip", "gadf"}, optional
            File format; found from the extensions of the file if not given.
        **kwargs
            ``name`` of the data set; for PHA files also ``bkg``, ``arf`` and ``rmf``, files in the place of those that the header names,
            ``checksum=False``, ``grouping=False``, ``units={"SPECRESP": "cm2"}`` and others: see `gammajax.io.ogip.read_ogip` and
            `gammajax.io.gadf.read_gadf`.
        """
        return read_file(cls, filename, format, **kwargs)

    from_ogip_files = read

    def write(self, filename: str | Path, format: str = "ogip", overwrite: bool = False) -> None:
        """Write the data set; reading it again gives the same numbers to the last bit.

        Parameters
        ----------
        filename : str or path
            The PHA file with "ogip", the one file with "gadf".
        format : {"ogip", "ogip-standard", "gadf"}
            OGIP as gammapy writes it, with energies in keV as XSPEC and sherpa expect them, or gammapy's own format.
        overwrite : bool
            Replace files that are there.
        """
        file_format(format).write(self, filename, overwrite=overwrite)

    # -- what a likelihood asks for ------------------------------------------------------------------------------

    def statistic_arrays(self) -> dict[str, np.ndarray]:
        """ON and OFF counts and alpha, each of shape (n_reco,)."""
        return {"n_on": self._n_on, "n_off": self._n_off, "alpha": self._ratio()}

    def check_for_fit(self) -> None:
        """Refuse a data set in which a bin of the fit has no OFF acceptance, or none has exposure."""
        alpha = self.alpha.data
        bad = np.flatnonzero(self.mask_array & ~(alpha > 0))
        if len(bad):
            raise DataError(
                f"{self.name!r}: alpha is {alpha[bad[0]]:g} in bin {bad[0]}, which is in the fit; the W statistic needs an "
                "OFF acceptance above 0 in every bin of the fit: check BACKSCAL, or mask the bin."
            )
        super().check_for_fit()

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
        return self._derived(self._ratio())

    def _ratio(self) -> np.ndarray:
        off = self._acceptance_off
        return np.divide(self._acceptance, off, out=np.zeros(off.shape), where=off > 0)

    @property
    def background(self) -> EnergyMap:
        """Background counts in the ON region estimated from OFF, alpha n_off, shape (n_reco,)."""
        return self._derived(self.alpha.data * self._n_off)

    def npred_background(self) -> EnergyMap:
        """Background in the ON region, alpha mu_bkg, profiled for the predicted signal, shape (n_reco,)."""
        return super().npred_background()

    def npred_off(self) -> EnergyMap:
        """OFF counts expected, mu_bkg, profiled for the predicted signal, shape (n_reco,); nan without OFF acceptance."""
        alpha = self.alpha.data
        expected = np.full(len(alpha), np.nan)
        np.divide(self.npred_background().data, alpha, out=expected, where=alpha > 0)
        return self._derived(expected)

    def _resample_further(self, new: Any, at: np.ndarray) -> None:
        safe = self._mask_safe
        background = sums(self.background.data * safe, at)
        kept = new._n_off > 0
        alpha = np.where(kept & (background > 0), background, 1.0) / np.where(kept, new._n_off, 1.0)
        new._acceptance_off = np.where(
            kept & (background > 0), new._acceptance / alpha, sums(self._acceptance_off * safe, at)
        )

    def to_spectrum_dataset(self, name: str | None = None) -> SpectrumDataset:
        """Take alpha n_off as a known background, as gammapy does; without models.

        Parameters
        ----------
        name : str, optional
            Name of the new one.
        """
        copied = self.copy(name or f"{self.name}-known")
        own = ("_n_off", "_acceptance", "_acceptance_off")
        new = object.__new__(SpectrumDataset)
        new.__dict__.update({k: v for k, v in copied.__dict__.items() if k not in own})
        new._background, new.stat_type = self.background.data.copy(), "cash"
        return new

    def counts_error(self) -> np.ndarray:
        """Square root of n_on + alpha^2 n_off, shape (n_reco,)."""
        return np.sqrt(self._n_on + self.alpha.data**2 * self._n_off)

    def fake(self, random_state: int | np.random.Generator, npred_background: Any = None) -> None:
        """Replace the counts by a simulation of the present models; see `gammajax.datasets.simulate.fake`.

        Parameters
        ----------
        random_state : int or `numpy.random.Generator`
            Seed or generator.
        npred_background : array, shape (n_reco,), optional
            Background expected in the ON region; that of the present OFF counts if not given.
        """
        fake(self, random_state, npred_background)

    def set_counts(self, n_on: Any, n_off: Any) -> None:
        """Replace the counts, shape (n_reco,) each; checked as in `from_arrays`.

        Parameters
        ----------
        n_on : array, shape (n_reco,)
            Counts in the ON region.
        n_off : array, shape (n_reco,)
            Counts in the OFF region.
        """
        n = self._geom.axis.nbin
        on = check_counts(n_on, n, f"{self.name}: n_on")
        off = check_counts(n_off, n, f"{self.name}: n_off")
        warn_of_fractions(self.name, n_on=on, n_off=off)
        self._n_on, self._n_off = on, off
