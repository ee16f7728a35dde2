"""Spectra with a known background: arrays, axes, masks and a statistic."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.datasets.axes import EnergyMap
from gammajax.datasets.checks import check_array, check_counts, warn_of_fractions
from gammajax.datasets.counts import CountsSpectrum, check_spectrum, empty_arrays
from gammajax.datasets.gti import GTI
from gammajax.datasets.registry import evaluator, file_format, read_file
from gammajax.datasets.simulate import random_generator
from gammajax.errors import DataError, InputError

__all__ = ["SpectrumDataset"]

STATISTICS = ("cash", "cstat")


@gammapy_arguments
class SpectrumDataset(CountsSpectrum):
    """Counts with a known background and the response; fitted with Cash's statistic.

    Make one with `from_arrays` or `read`. The background is taken as it is, or scaled by a `FoVBackgroundModel` among the models.
    """

    tag = "SpectrumDataset"
    _statistics = STATISTICS
    _counted = ("_n_on", "_background")

    def __init__(self, *, background: np.ndarray, stat_type: str = "cash", **common: Any) -> None:
        super().__init__(**common)
        self._background = background
        self.stat_type = stat_type

    @classmethod
    def from_arrays(
        cls,
        counts: Any,
        background: Any = 0.0,
        *,
        exposure: u.Quantity,
        edisp: Any = None,
        energy_edges: u.Quantity,
        energy_true_edges: u.Quantity,
        mask_safe: Any = None,
        livetime: u.Quantity | None = None,
        ontime: u.Quantity | None = None,
        gti: GTI | None = None,
        name: str | None = None,
        meta: dict | None = None,
        stat_type: str = "cash",
    ) -> "SpectrumDataset":
        """Build a data set from plain arrays.

        Parameters
        ----------
        counts : array, shape (n_reco,)
            Measured counts.
        background : float or array, shape (n_reco,)
            Expected background counts, known without error.
        exposure : `~astropy.units.Quantity`, shape (n_true,)
            Effective area times livetime, cm2 s.
        edisp : array, shape (n_true, n_reco), optional
            Energy dispersion; a perfect measurement if not given.
        energy_edges, energy_true_edges : `~astropy.units.Quantity`, shapes (n_reco + 1,), (n_true + 1,)
            Bin edges.
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
        stat_type : {"cash", "cstat"}
            "cstat" is "cash" with its constant: 0 where the prediction is what was measured.

        Raises
        ------
        DataError
            For counts, background, exposure or dispersion that no fit can use, naming the bin and its value.
        UnitError
            For an exposure or energies with a missing or wrong unit.

        Examples
        --------
        >>> edges = np.geomspace(1, 10, 4) * u.TeV
        >>> d = SpectrumDataset.from_arrays(
        ...     [9, 4, 1], [1.0, 0.5, 0.2], exposure=np.full(3, 1e13) * u.Unit("cm2 s"),
        ...     energy_edges=edges, energy_true_edges=edges,
        ... )
        >>> d.excess.data.tolist()
        [8.0, 3.5, 0.8]
        """
        name = "dataset" if name is None else str(name)
        if stat_type not in STATISTICS:
            raise InputError(f"{name}: stat_type got {stat_type!r}, expected one of {', '.join(STATISTICS)}.")
        common = check_spectrum(
            name, n_on=counts, exposure=exposure, edisp=edisp, energy_edges=energy_edges,
            energy_true_edges=energy_true_edges, mask_safe=mask_safe, livetime=livetime, ontime=ontime, meta=meta,
            gti=gti,
        )  # fmt: skip
        known = check_array(background, common["axis"].nbin, f"{name}: background")
        if np.any(known < 0):
            i = int(np.argmax(known < 0))
            raise DataError(f"{name}: background[{i}] is {known[i]:g}, expected at least 0.")
        warn_of_fractions(name, counts=common["n_on"])
        return cls(background=known, stat_type=stat_type, **common)

    @classmethod
    def create(cls, geom: Any, energy_axis_true: Any = None, name: str | None = None) -> "SpectrumDataset":
        """An empty spectrum without background and exposure, in which no bin is safe: what others are stacked into.

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
        return cls.from_arrays(np.zeros(len(arrays["mask_safe"])), **arrays)

    @classmethod
    def read(cls, filename: str | Path, format: str | None = None, **kwargs: Any) -> "SpectrumDataset":
        """Read a data set from a file of gammapy's own format; environment variables in the path are expanded.

        Parameters
        ----------
        filename : str or path
            The file.
        format : {"gadf"}, optional
            File format; found from the extensions of the file if not given.
        **kwargs
            See `gammajax.io.gadf.read_gadf`.
        """
        return read_file(cls, filename, format, **kwargs)

    def write(self, filename: str | Path, format: str = "gadf", overwrite: bool = False) -> None:
        """Write the data set; reading it again gives the same numbers to the last bit.

        Parameters
        ----------
        filename : str or path
            The file.
        format : {"gadf"}
            gammapy's own format; OGIP has no place for a known background.
        overwrite : bool
            Replace a file that is there.
        """
        if format != "gadf":
            raise InputError(
                f"write: format={format!r} has no place for a known background; {self.name!r} can be written with 'gadf'."
            )
        file_format(format).write(self, filename, overwrite=overwrite)

    def statistic_arrays(self) -> dict[str, np.ndarray]:
        """Counts and known background, each of shape (n_reco,)."""
        return {"n_on": self._n_on, "background": self._background}

    def background_array(self) -> np.ndarray:
        """The known background, shape (n_reco,)."""
        return self._background

    @property
    def background(self) -> EnergyMap:
        """Known background counts, before any background model, shape (n_reco,)."""
        return self._map(self._background)

    def fake(self, random_state: int | np.random.Generator) -> None:
        """Replace the counts by a Poisson simulation of models and background.

        Parameters
        ----------
        random_state : int or `numpy.random.Generator`
            Seed or generator.

        Raises
        ------
        InputError
            If no generator or seed is given, or the models predict negative counts.
        """
        rng = random_generator(random_state)
        npred = evaluator("npred_signal")(self) + evaluator("npred_background")(self)
        bad = np.flatnonzero(~np.isfinite(npred) | (npred < 0))
        if len(bad):
            raise InputError(
                f"fake: bin {bad[0]} of {self.name!r} predicts {npred[bad[0]]:g} counts, expected finite counts of at "
                "least 0; check the model values."
            )
        self._n_on = rng.poisson(npred).astype(float)

    def set_counts(self, counts: Any) -> None:
        """Replace the counts, shape (n_reco,); checked as in `from_arrays`.

        Parameters
        ----------
        counts : array, shape (n_reco,)
            Counts.
        """
        n_on = check_counts(counts, self._geom.axis.nbin, f"{self.name}: counts")
        warn_of_fractions(self.name, counts=n_on)
        self._n_on = n_on
