"""An ordered collection of data sets: what a joint fit takes."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.closed import foreign_hint
from gammajax.datasets.base import Dataset
from gammajax.datasets.batch import SpectrumBatch
from gammajax.datasets.chosen import ChosenDatasets
from gammajax.datasets.stacking import running_stacks, stack
from gammajax.errors import DataError, InputError
from gammajax.hooks import hook
from gammajax.models import Models
from gammajax.parameters import Parameters
from gammajax.progress import track
from gammajax.units import energy_values

__all__ = ["Datasets"]


@gammapy_arguments
class Datasets(ChosenDatasets):
    """An ordered collection of data sets with unique names.

    Parameters
    ----------
    datasets : data set or iterable of them
        The members.
    """

    _what = "data set"

    def __init__(self, datasets: Any = ()) -> None:
        if isinstance(datasets, Dataset):
            datasets = [datasets]
        if not isinstance(datasets, Iterable) or isinstance(datasets, str):
            raise DataError(f"Datasets: got {datasets!r}, expected a data set or a list of them.")
        members = list(datasets)
        for d in members:
            if not isinstance(d, Dataset):
                raise DataError(
                    f"Datasets: got {d!r}, expected data sets such as SpectrumDatasetOnOff.{foreign_hint(d)}"
                )
        names = [d.name for d in members]
        for name, n in Counter(names).items():
            if n > 1:
                raise DataError(
                    f"two data sets are named {name!r}; give each a name of its own, for instance with read(..., name=...)."
                )
        self._members = members

    @classmethod
    def from_arrays(
        cls, n_on: Any, n_off: Any = None, alpha: Any = None, *, background: Any = None, exposure: Any, edisp: Any = None,
        energy_edges: Any, energy_true_edges: Any, mask_safe: Any = None, name: str = "batch",
    ) -> SpectrumBatch:  # fmt: skip
        """Build many spectra on the same axes at once, for ``fit.run_each``.

        Parameters
        ----------
        n_on : array, shape (N, n_reco)
            Counts in the ON region.
        n_off : array, shape (N, n_reco), optional
            Counts in the OFF region, with `alpha`: then the statistic is wstat.
        alpha : float or array, shape (n_reco,) or (N, n_reco), optional
            Ratio of ON to OFF acceptance.
        background : float or array, shape (n_reco,) or (N, n_reco), optional
            Known background instead of an OFF measurement: then the statistic is cash.
        exposure : `~astropy.units.Quantity`, shape (n_true,) or (N, n_true)
            Effective area times livetime, cm2 s; of all, or of each.
        edisp : array, shape (n_true, n_reco) or (N, n_true, n_reco), optional
            Energy dispersion, of all or of each; a perfect measurement if not given.
        energy_edges, energy_true_edges : `~astropy.units.Quantity`, shapes (n_reco + 1,), (n_true + 1,)
            Bin edges.
        mask_safe : array of bool, shape (n_reco,), optional
            Bins that are safe to use.
        name : str
            Name; its members are ``"<name>-0"`` and so on.

        Returns
        -------
        `SpectrumBatch`
            Arrays, not N objects.

        Raises
        ------
        DataError
            For values that no fit can use, naming spectrum, bin and value.
        """
        return SpectrumBatch.from_arrays(
            n_on, n_off, alpha, background=background, exposure=exposure, edisp=edisp, energy_edges=energy_edges,
            energy_true_edges=energy_true_edges, mask_safe=mask_safe, name=name,
        )  # fmt: skip

    @property
    def models(self) -> Models:
        """The sources of all data sets, each once. Set a `SkyModel`, a list or `Models` to use it in all of them."""
        sets = [d.models for d in self if d.models is not None]
        if sets and all(m is sets[0] for m in sets):
            return sets[0]
        seen: dict[int, Any] = {id(model): model for models in sets for model in models}
        penalties = {id(p): p for models in sets for p in models.penalties}
        return Models(seen.values(), penalties.values())

    @models.setter
    def models(self, models: Any) -> None:
        shared = models if models is None or isinstance(models, Models) else Models(models)
        for d in self:
            d.models = shared

    @property
    def parameters(self) -> Parameters:
        """Parameters of all models."""
        return self.models.parameters

    @classmethod
    def read(
        cls,
        filename: str | Path,
        filename_models: str | Path | None = None,
        *,
        checksum: bool = True,
        allow_outside: bool = False,
    ) -> "Datasets":
        """Read a list of data sets, and their models; see `gammajax.io.read_datasets`.

        Parameters
        ----------
        filename : str or path
            The list.
        filename_models : str or path, optional
            The file of their models.
        checksum : bool
            Whether to compare with the checksums in the files that have one, and warn where one does not
            fit.
        allow_outside : bool
            Whether to accept files outside the folder of the list.
        """
        return hook("read datasets")(filename, filename_models, checksum=checksum, allow_outside=allow_outside)

    def write(
        self,
        filename: str | Path,
        filename_models: str | Path | None = None,
        overwrite: bool = False,
        write_covariance: bool = True,
        checksum: bool = True,
        format: str = "gadf",
    ) -> None:
        """Write all data sets beside a list of them, and their models; see `gammajax.io.write_datasets`.

        Parameters
        ----------
        filename : str or path
            The list; the data sets are written beside it.
        filename_models : str or path, optional
            The file of their models.
        overwrite : bool
            Whether to replace what is there.
        write_covariance : bool
            Whether to write the covariance of the models beside.
        checksum : bool
            Whether to append gammapy's checksum.
        format : {"gadf", "ogip", "ogip-standard"}
            Of spectra with an OFF measurement: gammapy's own format, or one of the two forms of OGIP.
        """
        hook("write datasets")(self, filename, filename_models, overwrite, write_covariance, checksum, format)

    def stat_sum(self, constants: bool | None = None) -> float:
        """Statistic summed over all data sets, priors and penalties added: what a fit minimises.

        Parameters
        ----------
        constants : bool, optional
            Of priors and penalties, as in `Models.prior_stat_sum`: True for all, False for none.
        """
        return self.stat_sum_likelihood() + self.models.prior_stat_sum(constants)

    def stat_sum_likelihood(self) -> float:
        """Statistic summed over all data sets, without priors and penalties."""
        return sum(d.stat_sum() for d in self)

    def stack_reduce(self, name: str | None = None, nan_to_num: bool = False) -> Any:
        """Add the data sets up into one; see `gammajax.datasets.stacking.stack`.

        Parameters
        ----------
        name : str, optional
            Name of the sum.
        nan_to_num : bool
            Take numbers that are not finite for 0, as gammapy does; they are refused otherwise.
        """
        return stack(list(self), name, nan_to_num)

    def info_table(self, cumulative: bool = False) -> Any:
        """Return an astropy Table, one row of `info_dict` per data set.

        Parameters
        ----------
        cumulative : bool
            Row k is that of the first k data sets stacked, without models.

        Raises
        ------
        DataError
            If the data sets are not of one class, so that their rows do not fit together, or of one that has no summary or no sum.
        """
        from astropy.table import QTable

        kinds = {type(d).__name__ for d in self}
        if len(kinds) > 1:
            raise DataError(
                f"info_table: the data sets are {', '.join(sorted(kinds))}, expected one class; take a part of them."
            )
        for d in self:
            if not hasattr(d, "info_dict") or (cumulative and not hasattr(d, "counts")):
                what = "no spectra of counts to be stacked" if hasattr(d, "info_dict") else "no summary"
                raise DataError(f"info_table: {d.name!r} is a {type(d).__name__}, which has {what}.")
        sets = running_stacks(self._members) if cumulative else self._members
        return QTable(rows=[d.info_dict() for d in track(sets, len(self), "info_table", "data set")])

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None) -> "Datasets":
        """The bins of an energy range in all data sets, which keep their names; those without a bin there are left out.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`, optional
            The range; its limits move to the nearest edges.
        """
        found = []
        low, high = (
            np.nan if e is None else float(energy_values(u.Quantity(e), "energy")) for e in (energy_min, energy_max)
        )
        if low >= high:
            raise InputError(f"slice_by_energy: got {low:g} to {high:g} TeV, expected energy_min < energy_max.")
        for d in self:
            if not hasattr(d, "slice_by_energy"):
                raise DataError(f"slice_by_energy: {d.name!r} is a {type(d).__name__}, which has no energy bins.")
            try:
                found.append(d.slice_by_energy(energy_min, energy_max, d.name))
            except InputError:
                continue
        return Datasets(found)

    @property
    def energy_ranges(self) -> tuple[Any, Any]:
        """Lowest and highest energies of the axes, or of the points, one of each for every data set."""
        found = []
        for d in self:
            e = d.counts.geom.axis.edges if hasattr(d, "counts") else getattr(d, "energy", None)
            if not isinstance(e, u.Quantity):
                raise DataError(f"energy_ranges: {d.name!r} is a {type(d).__name__}, which has no energies.")
            found.append((e.min(), e.max()))
        return u.Quantity([e[0] for e in found]), u.Quantity([e[1] for e in found])

    def copy(self) -> "Datasets":
        """Copies of all data sets by the same names, with the same models."""
        new = Datasets([d.copy(d.name) for d in self])
        for one, other in zip(new, self, strict=True):
            one.models = other.models
        return new

    def __str__(self) -> str:
        return "\n\n".join(str(d) for d in self)

    def __repr__(self) -> str:
        return f"Datasets({', '.join(self.names)})"
