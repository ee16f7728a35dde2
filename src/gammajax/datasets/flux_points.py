"""Published flux points as data: differential fluxes at energies, with errors."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.base import Dataset
from gammajax.datasets.registry import evaluator
from gammajax.errors import DataError
from gammajax.hooks import hook
from gammajax.units import energy_values, parsed, to_unit

__all__ = ["FluxPointsDataset"]

DNDE = "TeV-1 s-1 cm-2"
# columns, in the order in which they are looked for
SEDS = ("dnde", "e2dnde", "norm")


class FluxPointsDataset(Dataset):
    r"""Differential fluxes at energies, :math:`\chi^2 = \sum_i ((\phi_i - \phi(E_i))/\sigma_i)^2`.

    Points without an error, such as upper limits, are kept but not fitted.

    Parameters
    ----------
    energy : `~astropy.units.Quantity`, shape (n,)
        Energies.
    dnde : `~astropy.units.Quantity`, shape (n,)
        Fluxes, cm-2 s-1 TeV-1.
    dnde_err : `~astropy.units.Quantity`, shape (n,), optional
        Standard deviations; or give `dnde_errn` and `dnde_errp`, whose mean is taken, as in gammapy.
    dnde_errn, dnde_errp : `~astropy.units.Quantity`, shape (n,), optional
        Errors below and above.
    is_ul : array of bool, shape (n,), optional
        Points that are upper limits and not fitted.
    models : `SkyModel` or list, optional
        The models.
    name : str
        Name.

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
    stat_type = "chi2"

    def __init__(
        self,
        energy: u.Quantity,
        dnde: u.Quantity,
        dnde_err: u.Quantity | None = None,
        *,
        dnde_errn: u.Quantity | None = None,
        dnde_errp: u.Quantity | None = None,
        is_ul: Any = None,
        models: Any = None,
        name: str = "flux-points",
    ) -> None:
        self.name = str(name)
        self._energy = np.atleast_1d(energy_values(energy, f"{name}: energy"))
        n = len(self._energy)
        if self._energy.ndim != 1 or not np.all(np.isfinite(self._energy) & (self._energy > 0)):
            raise DataError(
                f"{name}: energy has shape {self._energy.shape}, expected finite energies above 0, shape (n,)."
            )
        self._dnde = _column(dnde, n, f"{name}: dnde")
        if dnde_err is not None:
            self._error = _column(dnde_err, n, f"{name}: dnde_err")
        elif dnde_errn is not None and dnde_errp is not None:
            both = [_column(e, n, f"{name}: {w}") for e, w in ((dnde_errn, "dnde_errn"), (dnde_errp, "dnde_errp"))]
            self._error = 0.5 * (both[0] + both[1])
        else:
            raise DataError(f"{name}: chi2 needs errors; give dnde_err, or dnde_errn and dnde_errp.")
        limits = np.zeros(n, dtype=bool) if is_ul is None else np.array(is_ul, dtype=bool)
        if limits.shape != (n,):
            raise DataError(f"{name}: is_ul has shape {limits.shape}, expected ({n},).")
        known = np.isfinite(self._dnde) & np.isfinite(self._error) & ~limits
        bad = np.flatnonzero(known & (self._error <= 0))
        if len(bad):
            raise DataError(
                f"{name}: the error of point {bad[0]} is {self._error[bad[0]]:g} {DNDE}, expected a number above 0; mark "
                "upper limits with is_ul."
            )
        if not known.any():
            raise DataError(f"{name}: no point has a flux and an error; there is nothing to fit.")
        self.is_ul, self.mask_safe = limits, known
        self.mask_fit: Any = None
        if models is not None:
            self.models = models

    @classmethod
    def from_table(cls, table: Any, name: str = "flux-points", models: Any = None) -> "FluxPointsDataset":
        """From a table of the columns e_ref and dnde, e2dnde or norm (with ref_dnde), with _err, or _errn and _errp; GADF's names.

        Columns mask_safe and mask_fit, as gammapy writes them, are read too.

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
        """
        sed = next((s for s in SEDS if s in table.colnames), "")
        if not sed or "e_ref" not in table.colnames or (sed == "norm" and "ref_dnde" not in table.colnames):
            raise DataError(
                f"{name}: the columns are {', '.join(table.colnames)}; expected e_ref, and dnde, e2dnde or norm with errors."
            )

        def column(key: str) -> Any:
            if key not in table.colnames:
                return None
            c = table[key]
            values = np.ma.filled(np.ma.asarray(getattr(c, "value", c)).astype(float), np.nan)
            if c.unit is None and key.startswith("norm"):
                return u.Quantity(values)
            if c.unit is None:
                raise DataError(f"{name}: column {key!r} has no unit; expected one such as {DNDE!r}.")
            return u.Quantity(values, _without_photons(c.unit))

        energy = column("e_ref")
        factor = {"dnde": 1.0, "e2dnde": energy**2}.get(sed)
        factor = 1 / column("ref_dnde") if factor is None else factor
        given = {k: column(f"{sed}_{k}") for k in ("err", "errn", "errp")}
        errors = {f"dnde_{k}": v / factor for k, v in given.items() if v is not None}
        limits = np.ma.filled(np.ma.asarray(table["is_ul"]), False).astype(bool) if "is_ul" in table.colnames else None
        new = cls(energy, column(sed) / factor, **errors, is_ul=limits, name=name, models=models)
        safe, fit = (_mask(table, key, len(energy), name) for key in ("mask_safe", "mask_fit"))
        if safe is not None:
            new.mask_safe = new.mask_safe & safe
        if fit is not None and not np.array_equal(fit & new.mask_safe, new.mask_safe):
            # gammapy writes mask_safe where there is none
            new.mask_fit = fit
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

    def write(self, filename: str | Path, overwrite: bool = False) -> None:
        """Write the points, FITS or ECSV; reading them again gives the same numbers.

        Parameters
        ----------
        filename : str or path
            The file; variables of the environment are put in.
        overwrite : bool
            Whether to replace what is there.
        """
        hook("write flux points")(self, filename, overwrite=overwrite)

    @property
    def energy(self) -> u.Quantity:
        """Energies, TeV, shape (n,)."""
        return u.Quantity(self._energy, u.TeV)

    @property
    def dnde(self) -> u.Quantity:
        """Fluxes, shape (n,)."""
        return u.Quantity(self._dnde, parsed(DNDE))

    @property
    def dnde_err(self) -> u.Quantity:
        """Standard deviations, shape (n,)."""
        return u.Quantity(self._error, parsed(DNDE))

    @property
    def mask_array(self) -> np.ndarray:
        """Points in the fit, bool, shape (n,)."""
        if self.mask_fit is None:
            return self.mask_safe
        mask = np.asarray(self.mask_fit)
        if mask.shape != self.mask_safe.shape or mask.dtype != bool:
            raise DataError(
                f"{self.name}: mask_fit has shape {mask.shape} and type {mask.dtype}, expected {self.mask_safe.shape} of bool."
            )
        return self.mask_safe & mask

    def points(self) -> np.ndarray:
        """Energies at which models are evaluated, TeV."""
        return self._energy

    def statistic_arrays(self) -> dict[str, np.ndarray]:
        """Fluxes and 1/error, each of shape (n,); 0 for points without."""
        known = self.mask_safe
        return {
            "value": np.where(known, self._dnde, 0.0),
            "weight": np.where(known, 1 / np.where(known, self._error, 1.0), 0.0),
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
        new = FluxPointsDataset(
            self.energy, self.dnde, self.dnde_err, is_ul=self.is_ul, name=name or f"{self.name}-copy"
        )
        new.mask_safe = self.mask_safe.copy()
        new.mask_fit = None if self.mask_fit is None else np.array(self.mask_fit)
        return new

    def __repr__(self) -> str:
        return f"FluxPointsDataset({self.name!r}, {len(self._energy)} points, {int(self.mask_array.sum())} in the fit)"


def _mask(table: Any, key: str, n: int, name: str) -> np.ndarray | None:
    """A mask of a table, which has two more axes of length 1 where gammapy wrote it."""
    if key not in table.colnames:
        return None
    values = np.asarray(table[key])
    if values.dtype != bool or values.size != n:
        raise DataError(f"{name}: column {key!r} has shape {values.shape} and type {values.dtype}, expected {n} flags.")
    return values.reshape(n)


def _without_photons(unit: u.UnitBase) -> u.UnitBase:
    """Older tables count photons, newer ones leave them out."""
    powers = dict(zip(unit.bases, unit.powers, strict=True))
    return unit / u.photon ** powers[u.photon] if u.photon in powers else unit


def _column(values: Any, n: int, what: str) -> np.ndarray:
    array = np.atleast_1d(to_unit(values, parsed(DNDE), what))
    if array.shape != (n,):
        raise DataError(f"{what} has shape {array.shape}, expected ({n},), one for each energy.")
    return array
