"""Published flux points as data: differential fluxes at energies, with errors."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.base import Dataset
from gammajax.datasets.plots import PointsPlots
from gammajax.datasets.registry import evaluator
from gammajax.datasets.simulate import fake_flux
from gammajax.errors import DataError, InputError
from gammajax.hooks import hook
from gammajax.units import energy_values, parsed, to_unit

__all__ = ["FluxPointsDataset"]

DNDE = "TeV-1 s-1 cm-2"
# columns, in the order in which they are looked for
SEDS = ("dnde", "e2dnde", "norm")
STATISTICS = ("chi2", "distrib", "profile")


class FluxPointsDataset(PointsPlots, Dataset):
    r"""Differential fluxes at energies, :math:`\chi^2 = \sum_i ((\phi_i - \phi(E_i))/\sigma_i)^2` or another statistic.

    With "chi2" points without an error, such as upper limits, are kept but not fitted. "distrib" takes asymmetric errors and upper
    limits, "profile" the scanned statistic of each point; their formulas are those of gammapy, see `gammajax.stats.distrib` and
    `gammajax.stats.likelihood_profile`. `stat_type` may be changed at any time.

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
    mask_fit: Any

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
    ) -> None:
        points = energy if data is None else data
        if hasattr(points, "to_table"):
            if dnde is not None or (data is not None and energy is not None):
                raise InputError(f"{name}: flux points hold energies and fluxes; give one or the other.")
            self.__dict__.update(_of_points(points, name).__dict__)
            self.stat_type = stat_type
            self.models = models
            return
        if energy is None or dnde is None:
            raise DataError(f"{name}: energy and dnde are missing; give them, or data=FluxPoints.")
        self._estimated: Any = None
        self.name = str(name)
        self._energy = np.atleast_1d(energy_values(energy, f"{name}: energy"))
        n = len(self._energy)
        if self._energy.ndim != 1 or not np.all(np.isfinite(self._energy) & (self._energy > 0)):
            raise DataError(
                f"{name}: energy has shape {self._energy.shape}, expected finite energies above 0, shape (n,)."
            )
        self._dnde = _column(dnde, n, f"{name}: dnde")
        nothing = np.full(n, np.nan)
        self._errn, self._errp, self._limit, self._reference = (
            nothing if v is None else _column(v, n, f"{name}: {w}")
            for v, w in (
                (dnde_errn, "dnde_errn"),
                (dnde_errp, "dnde_errp"),
                (dnde_ul, "dnde_ul"),
                (dnde_ref, "dnde_ref"),
            )
        )
        self._profile = None if stat_scan is None else scanned_pieces(norm_scan, stat_scan, n, name)
        # as they came, for files
        self._scan = None if stat_scan is None else (np.array(norm_scan, float), np.array(stat_scan, float))
        if dnde_err is not None:
            self._error = _column(dnde_err, n, f"{name}: dnde_err")
        elif dnde_errn is not None and dnde_errp is not None:
            self._error = 0.5 * (self._errn + self._errp)
        else:
            raise DataError(f"{name}: chi2 needs errors; give dnde_err, or dnde_errn and dnde_errp.")
        endless = np.flatnonzero(np.isinf(self._dnde))
        if len(endless):
            # nan is a point that was not measured, infinity is damage
            raise DataError(
                f"{name}: the flux of point {endless[0]} is {self._dnde[endless[0]]}, expected a finite number, or nan where there is none."
            )
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
        self._is_ul, self._known, self._safe = limits, known, np.ones(n, dtype=bool)
        self.stat_type = stat_type
        self.mask_fit = None
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
            if c.unit is None and key.startswith(("norm", "stat")):
                return u.Quantity(values)
            if c.unit is None:
                raise DataError(f"{name}: column {key!r} has no unit; expected one such as {DNDE!r}.")
            return u.Quantity(values, _without_photons(c.unit))

        energy = column("e_ref")
        factor = {"dnde": 1.0, "e2dnde": energy**2}.get(sed)
        factor = 1 / column("ref_dnde") if factor is None else factor
        given = {k: column(f"{sed}_{k}") for k in ("err", "errn", "errp")}
        errors = {f"dnde_{k}": v / factor for k, v in given.items() if v is not None}
        errors |= _likelihood_columns(column, sed, factor)
        limits = np.ma.filled(np.ma.asarray(table["is_ul"]), False).astype(bool) if "is_ul" in table.colnames else None
        new = cls(energy, column(sed) / factor, **errors, is_ul=limits, name=name, models=models)
        safe, fit = (_mask(table, key, len(energy), name) for key in ("mask_safe", "mask_fit"))
        if safe is not None:
            new.mask_safe = safe
        base = new.mask_safe if safe is None else safe
        if fit is not None and not np.array_equal(fit & base, base):
            # gammapy writes mask_safe where there is none
            new.mask_fit = fit
        if {"e_min", "e_max"} <= set(table.colnames):
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
    def data(self) -> Any:
        """The `FluxPoints` that it was made or read from, with their energy bins.

        Raises
        ------
        DataError
            If it was made from energies alone, or `fake` has replaced the fluxes.
        """
        if self._estimated is None:
            raise DataError(
                f"{self.name}: there are no flux points with energy bins here; its arrays are .energy, .dnde, .dnde_err and .is_ul."
            )
        if not hasattr(self._estimated, "energy_edges"):
            self._estimated = hook("points from table")(self._estimated, self.name)
        return self._estimated

    @property
    def energy(self) -> u.Quantity:
        """Energies, TeV, shape (n,), read-only."""
        return _read_only(u.Quantity(self._energy, u.TeV))

    @property
    def dnde(self) -> u.Quantity:
        """Fluxes, shape (n,), read-only."""
        return _read_only(u.Quantity(self._dnde, parsed(DNDE)))

    @property
    def dnde_err(self) -> u.Quantity:
        """Standard deviations, shape (n,), read-only."""
        return _read_only(u.Quantity(self._error, parsed(DNDE)))

    @property
    def is_ul(self) -> np.ndarray:
        """Which points are upper limits, bool, shape (n,), read-only; `mask_safe` and `mask_fit` leave points out."""
        return _read_only(self._is_ul.copy())

    @property
    def stat_type(self) -> str:
        """Statistic: "chi2", "distrib" or "profile"."""
        return self._stat_type

    @stat_type.setter
    def stat_type(self, value: str) -> None:
        if value not in STATISTICS:
            raise InputError(f"{self.name}: stat_type got {value!r}, expected one of {', '.join(STATISTICS)}.")
        if value == "profile" and (self._profile is None or not np.any(np.isfinite(self._reference))):
            raise DataError(
                f"{self.name}: profile needs the scanned statistic; give norm_scan, stat_scan and dnde_ref."
            )
        if not self._usable(value).any():
            raise DataError(
                f"{self.name}: no point has a flux and an error, or what {value} needs; there is nothing to fit."
            )
        self._stat_type = value

    def _usable(self, statistic: str) -> np.ndarray:
        """Points that have what a statistic needs."""
        if statistic == "chi2":
            return self._known
        if statistic == "distrib":
            return self._known | (self.is_ul & np.isfinite(self._limit) & (self._limit > 0))
        assert self._profile is not None
        return np.isfinite(self._profile["c0"]).all(axis=1) & (self._reference > 0)

    @property
    def mask_safe(self) -> np.ndarray:
        """Points that the statistic can use, bool, shape (n,); setting it leaves some out."""
        return _read_only(self._usable(self._stat_type) & self._safe)

    @mask_safe.setter
    def mask_safe(self, mask: Any) -> None:
        self._safe = np.array(mask, dtype=bool)

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
        used, known = self.mask_safe, self._known & self._safe
        if self._stat_type == "profile":
            assert self._profile is not None
            spline = {k: np.where(used[:, None], v, 0.0) for k, v in self._profile.items()}
            flux = np.where(used & np.isfinite(self._dnde), self._dnde, 0.0)
            return {"value": flux, "reference": np.where(used, self._reference, 1.0), **spline}
        value = np.where(known, self._dnde, 0.0)
        if self._stat_type == "chi2":
            return {"value": value, "weight": _weight(self._error, known)}
        below, above = (_weight(np.where(e > 0, e, self._error), known) for e in (self._errn, self._errp))
        limit = np.where(used & ~known, self._limit, 0.0)
        return {"value": value, "below": below, "above": above, "limit": limit}

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

    @property
    def energy_range(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of the points in the fit, TeV; nan when there is none."""
        e = self._energy[self.mask_array]
        low, high = (e.min(), e.max()) if len(e) else (np.nan, np.nan)
        return u.Quantity(low, "TeV"), u.Quantity(high, "TeV")

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


def _weight(error: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.where(known, 1 / np.where(known, error, 1.0), 0.0)


def _likelihood_columns(column: Any, sed: str, factor: Any) -> dict[str, Any]:
    """Limits, reference fluxes and scans of a table, as far as it has them."""
    found = {}
    limits = column(f"{sed}_ul")
    if limits is not None:
        found["dnde_ul"] = limits / factor
    reference, scan, norm = column("ref_dnde"), column("stat_scan"), column("norm_scan")
    if reference is not None:
        found["dnde_ref"] = reference
    if scan is not None and norm is not None and reference is not None:
        lowest = column("stat")
        rise = scan.value - (0.0 if lowest is None else lowest.value[:, None])
        found |= {"norm_scan": norm.value.reshape(-1, norm.shape[-1])[0], "stat_scan": np.abs(rise)}
    return found


def scanned_pieces(norm: Any, stat: Any, n: int, name: str) -> dict[str, np.ndarray]:
    """The quadratic splines through the scans of n points, as gammapy has them: edges, left ends and coefficients of their pieces."""
    from scipy.interpolate import make_interp_spline

    x, y = np.array(norm, dtype=float), np.array(stat, dtype=float)
    if x.ndim != 1 or len(x) < 3 or y.shape != (n, len(x)) or not np.all(np.diff(x) > 0):
        raise DataError(
            f"{name}: norm_scan has shape {x.shape} and stat_scan {y.shape}, expected (L,) increasing with L of at least 3, and "
            f"({n}, L)."
        )
    spline = make_interp_spline(x, np.where(np.isfinite(y), y, 0.0).T, k=2)
    # the knots at the ends are there three times
    ends = spline.t[2:-2]
    begin, middle = ends[:-1], 0.5 * (ends[1:] + ends[:-1])
    c0, c1, c2 = spline(begin).T, spline(begin, 1).T, 0.5 * spline(middle, 2).T
    bad = ~np.isfinite(y).all(axis=1)
    c0 = np.where(bad[:, None], np.nan, c0)
    left = np.broadcast_to(begin, c0.shape).copy()
    return {"edges": left[:, 1:], "left": left, "c2": c2, "c1": c1, "c0": c0}


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


def _of_points(points: Any, name: str) -> FluxPointsDataset:
    """Data set of estimated flux points."""
    if getattr(points, "gti", None) is not None:
        raise DataError(
            f"{name}: a light curve is no spectrum; take that of one time bin, points.slice_by_idx({{'time': 0}})."
        )
    new = FluxPointsDataset.from_table(points.to_table("likelihood"), name=name)
    new._estimated = points
    return new


def _read_only(array: Any) -> Any:
    """A copy that refuses changes, which would have no effect on the data set."""
    array.setflags(write=False)
    return array
