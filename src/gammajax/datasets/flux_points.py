"""Published flux points as data: differential fluxes at energies, with errors."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.datasets.base import Dataset
from gammajax.datasets.plots import PointsPlots
from gammajax.datasets.points_arrays import DNDE, checked_points
from gammajax.datasets.points_columns import mask_of, points_of
from gammajax.datasets.points_statistic import PointsStatistic
from gammajax.datasets.registry import evaluator
from gammajax.datasets.simulate import fake_flux
from gammajax.errors import DataError, InputError
from gammajax.hooks import hook
from gammajax.units import parsed

__all__ = ["FluxPointsDataset"]


@gammapy_arguments
class FluxPointsDataset(PointsPlots, PointsStatistic, Dataset):
    r"""Differential fluxes at energies, :math:`\chi^2 = \sum_i ((\phi_i - \phi(E_i))/\sigma_i)^2` or another statistic.

    With "chi2" points without an error, such as upper limits, are kept but not fitted. "distrib" takes asymmetric errors and upper
    limits, "profile" the scanned statistic of each point; their formulas are those of gammapy, see `gammajax.stats.distrib` and
    `gammajax.stats.likelihood_profile`. `stat_type` may be changed at any time.

    Fluxes and energy fluxes of bins, in tables (`from_table`, `read`), are compared with the integrals of the model over the bins. They are
    held as means of the differential flux, :math:`F / (E_2 - E_1)` and :math:`S / (E_1 E_2 \ln(E_2/E_1))`, which is what gammapy makes of
    them too: a model of index 2. gammapy then compares them with other models at the centre of the bin, which for a power law is off
    by about :math:`\Gamma (\Gamma - 2) \ln^2(E_2/E_1) / 24` of a flux: 4 % for index 3 and four bins per decade.
    ``compatibility = "gammapy"`` does the same.

    Parameters
    ----------
    energy : `~astropy.units.Quantity`, shape (n,)
        Energies; or a `FluxPoints`, which holds all that follows.
    dnde : `~astropy.units.Quantity`, shape (n,)
        Fluxes, cm-2 s-1 TeV-1.
    dnde_err : `~astropy.units.Quantity`, shape (n,), optional
        Standard deviations; or give `dnde_errn` and `dnde_errp`, whose mean is taken, as in gammapy.
    dnde_errn, dnde_errp : `~astropy.units.Quantity`, shape (n,), optional
        Errors below and above.
    is_ul : array of bool, shape (n,), optional
        Points that are upper limits, which "chi2" does not fit.
    dnde_ul : `~astropy.units.Quantity`, shape (n,), optional
        Upper limits, for "distrib".
    dnde_ref : `~astropy.units.Quantity`, shape (n,), optional
        Fluxes of strength 1, for "profile".
    norm_scan, stat_scan : array, shape (L,) and (n, L), optional
        Statistic of each point above its minimum on a grid of strengths, for "profile"; at least 3 of them.
    stat_type : {"chi2", "distrib", "profile"}
        Statistic.
    models : `SkyModel` or list, optional
        The models.
    name : str
        Name.
    data : `FluxPoints`, optional
        In the place of all arrays, ``FluxPointsDataset(data=points, models=model)``.
    mask_fit, mask_safe : array of bool, shape (n,), optional
        Points in the fit, and points that are safe to use.

    Raises
    ------
    DataError
        For fluxes or errors that no fit can use, naming the point.

    Examples
    --------
    >>> from gammajax import Fit, PowerLawSpectralModel
    >>> energy = [1, 3, 10] * u.TeV
    >>> dnde = [3.1e-11, 1.9e-12, 1.1e-13] * u.Unit("cm-2 s-1 TeV-1")
    >>> points = FluxPointsDataset(energy, dnde, 0.1 * dnde, models=PowerLawSpectralModel())
    >>> result = Fit(points, backend="newton").run()
    >>> print(f"{result.parameters['index'].value:.3f} +- {result.parameters['index'].error:.3f}")
    2.448 +- 0.065
    """

    tag = "FluxPointsDataset"

    def __init__(
        self,
        energy: Any = None,
        dnde: u.Quantity | None = None,
        dnde_err: u.Quantity | None = None,
        *,
        dnde_errn: u.Quantity | None = None,
        dnde_errp: u.Quantity | None = None,
        is_ul: Any = None,
        dnde_ul: u.Quantity | None = None,
        dnde_ref: u.Quantity | None = None,
        norm_scan: Any = None,
        stat_scan: Any = None,
        stat_type: str = "chi2",
        models: Any = None,
        name: str = "flux-points",
        data: Any = None,
        mask_fit: Any = None,
        mask_safe: Any = None,
    ) -> None:
        points = energy if data is None else data
        if hasattr(points, "to_table"):
            if dnde is not None or (data is not None and energy is not None):
                raise InputError(f"{name}: flux points hold energies and fluxes; give one or the other.")
            self.__dict__.update(_of_points(points, name).__dict__)
            self.stat_type = stat_type
            self.models = models
            self._set_masks(mask_fit, mask_safe)
            return
        if energy is None or dnde is None:
            raise DataError(f"{name}: energy and dnde are missing; give them, or data=FluxPoints.")
        self._estimated: Any = None
        self._bins = None
        self.name = str(name)
        fluxes = {
            "dnde": dnde, "dnde_err": dnde_err, "dnde_errn": dnde_errn, "dnde_errp": dnde_errp, "dnde_ul": dnde_ul, "dnde_ref": dnde_ref,
        }  # fmt: skip
        self.__dict__.update(checked_points(self.name, energy, fluxes, is_ul, norm_scan, stat_scan))
        self.stat_type = stat_type
        self.mask_fit = None
        self._set_masks(mask_fit, mask_safe)
        if models is not None:
            self.models = models

    def _set_masks(self, mask_fit: Any, mask_safe: Any) -> None:
        """Masks of the constructor, of one flag for each point."""
        if mask_fit is not None:
            self.mask_fit = self._flags(mask_fit, "mask_fit")
        if mask_safe is not None:
            self.mask_safe = mask_safe

    @classmethod
    def from_table(cls, table: Any, name: str = "flux-points", models: Any = None) -> "FluxPointsDataset":
        """From a table by GADF's names: e_ref and dnde, e2dnde or norm (with ref_dnde); or e_min, e_max and flux or eflux; with _err, or _errn and _errp.

        Columns mask_safe and mask_fit, as gammapy writes them, are read too. Fluxes and energy fluxes are compared with integrals of the
        models over their bins, which may leave gaps.

        Parameters
        ----------
        table : `~astropy.table.Table`
            One row per point.
        name : str
            Name.
        models : `SkyModel` or list, optional
            The models.

        Raises
        ------
        DataError
            If a column is missing, naming it.

        Examples
        --------
        >>> from astropy.table import QTable
        >>> from gammajax import PowerLawSpectralModel
        >>> table = QTable({"e_min": [1, 2] * u.TeV, "e_max": [2, 4] * u.TeV})
        >>> table["flux"] = [5e-13, 2.5e-13] * u.Unit("cm-2 s-1")
        >>> table["flux_err"] = 0.1 * table["flux"]
        >>> points = FluxPointsDataset.from_table(table, models=PowerLawSpectralModel(index=2, amplitude="1e-12 cm-2 s-1 TeV-1"))
        >>> points.sed_type, round(points.stat_sum(), 9)
        ('flux', 0.0)
        """
        arguments, bins = points_of(table, name)
        new = cls(**arguments, name=name, models=models)
        new._bins = bins
        safe, fit = (mask_of(table, key, len(new._energy), name) for key in ("mask_safe", "mask_fit"))
        if safe is not None:
            new.mask_safe = safe
        base = new.mask_safe if safe is None else safe
        if fit is not None and not np.array_equal(fit & base, base):
            # gammapy writes mask_safe where there is none
            new.mask_fit = fit
        new._estimated = table
        return new

    @classmethod
    def read(cls, filename: str | Path, name: str | None = None, models: Any = None) -> "FluxPointsDataset":
        """Read a table of flux points, FITS or ECSV; see `from_table` for its columns.

        Parameters
        ----------
        filename : str or path
            The file; variables of the environment are put in.
        name : str, optional
            Its name; a new one if not given.
        models : `Models` or a member, optional
            Its models.
        """
        table = hook("read flux points")(filename)
        return cls.from_table(table, Path(filename).stem if name is None else name, models)

    def write(self, filename: str | Path, overwrite: bool = False, checksum: bool = True) -> None:
        """Write the points, FITS or ECSV; reading them again gives the same numbers.

        Parameters
        ----------
        filename : str or path
            The file; variables of the environment are put in.
        overwrite : bool
            Whether to replace what is there.
        checksum : bool
            Whether FITS has CHECKSUM and DATASUM, and ECSV a hash of its text.
        """
        hook("write flux points")(self, filename, overwrite=overwrite, checksum=checksum)

    @property
    def data(self) -> Any:
        """The `FluxPoints` that it was made or read from.

        Raises
        ------
        DataError
            If it was made from arrays, or `fake` has replaced the fluxes.
        """
        if self._estimated is None:
            raise DataError(
                f"{self.name}: there are no flux points that it was made from; its arrays are .energy, .dnde, .dnde_err and .is_ul."
            )
        if not hasattr(self._estimated, "energy_edges"):
            self._estimated = hook("points from table")(self._estimated, self.name)
        return self._estimated

    def fake(self, random_state: int | np.random.Generator) -> None:
        """Replace the fluxes by a draw from the present models with the errors of the points; see `gammajax.datasets.simulate.fake_flux`.

        The errors stay what they are, and so do upper limits and points without an error: "chi2" does not fit them.

        Parameters
        ----------
        random_state : int or `numpy.random.Generator`
            Seed or generator.

        Raises
        ------
        InputError
            For scanned likelihoods ("profile"), upper limits in the fit ("distrib"), without models, or without a seed.

        Examples
        --------
        >>> from gammajax import PowerLawSpectralModel
        >>> dnde = [3.1e-11, 1.9e-12] * u.Unit("cm-2 s-1 TeV-1")
        >>> points = FluxPointsDataset([1, 3] * u.TeV, dnde, 0.1 * dnde, models=PowerLawSpectralModel())
        >>> points.fake(0)
        >>> pull = (points.dnde - points.flux_pred()) / points.dnde_err
        >>> print(pull.value.round(3))
        [ 0.126 -0.132]
        """
        self._dnde, self._estimated = fake_flux(self, random_state), None

    def info_dict(self) -> dict[str, Any]:
        """Summary by gammapy's names; only what points have, so no counts; `stat_sum` is nan without models."""
        mask = self.mask_array
        return {
            "name": self.name,
            "n_bins": len(mask),
            "n_fit_bins": int(mask.sum()),
            "stat_type": self.stat_type,
            "stat_sum": self.stat_sum() if self.models and mask.any() else np.nan,
        }

    def flux_pred(self) -> u.Quantity:
        """Predicted fluxes of all models, shape (n,)."""
        return u.Quantity(evaluator("npred_signal")(self), parsed(DNDE))

    def residuals(self, method: str = "diff") -> np.ndarray:
        """Residuals: "diff" in cm-2 s-1 TeV-1, "diff/model", or "diff/error"; shape (n,).

        Parameters
        ----------
        method : {"diff", "diff/model", "diff/error"}
            How they are counted.
        """
        predicted = self.flux_pred().to_value(parsed(DNDE))
        divide = {"diff": 1.0, "diff/model": predicted, "diff/error": self._error}
        if method not in divide:
            raise DataError(f"residuals: unknown method {method!r}, expected one of {', '.join(divide)}.")
        return (self._dnde - predicted) / divide[method]

    def copy(self, name: str | None = None) -> "FluxPointsDataset":
        """Return a copy with its own arrays and without models.

        Parameters
        ----------
        name : str, optional
            Name of the copy; ``"<name>-copy"`` if not given.
        """
        new = object.__new__(type(self))
        new.__dict__.update({k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self.__dict__.items()})
        new.__dict__.update(_models=None, name=name or f"{self.name}-copy")
        new.mask_fit = None if self.mask_fit is None else np.array(self.mask_fit)
        return new

    def __repr__(self) -> str:
        return f"FluxPointsDataset({self.name!r}, {len(self._energy)} points, {int(self.mask_array.sum())} in the fit)"


def _of_points(points: Any, name: str) -> FluxPointsDataset:
    """Data set of estimated flux points."""
    if getattr(points, "gti", None) is not None:
        raise DataError(
            f"{name}: a light curve is no spectrum; take that of one time bin, points.slice_by_idx({{'time': 0}})."
        )
    new = FluxPointsDataset.from_table(points.to_table(points.sed_type_init), name=name)
    new._estimated = points
    return new
