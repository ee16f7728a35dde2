"""Absorption of gamma rays by the extragalactic background light (EBL)."""

import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from astropy import units as u

from gammajax.errors import DataError, InputError, MissingFileError
from gammajax.models.base import Declared, SpectralModel
from gammajax.models.form import SpectralForm
from gammajax.models.functions import absorption
from gammajax.models.table import FrozenArray
from gammajax.models.tables import checked_energies, existing_file, read_xspec_table

__all__ = ["EBL_DATA_BUILTIN", "EBLAbsorptionNormSpectralModel"]

EBL_DATA_BUILTIN = {
    "dominguez": "$GAMMAPY_DATA/ebl/ebl_dominguez11.fits.gz",
    "finke": "$GAMMAPY_DATA/ebl/frd_abs.fits.gz",
    "franceschini": "$GAMMAPY_DATA/ebl/ebl_franceschini.fits.gz",
    "franceschini17": "$GAMMAPY_DATA/ebl/ebl_franceschini_2017.fits.gz",
    "saldana-lopez21": "$GAMMAPY_DATA/ebl/ebl_saldana-lopez_2021.fits.gz",
}


# what a transmission of 1 may be above it, in single precision and after a table was interpolated
ROUNDING = 1e-6


def check_transmission(energy: np.ndarray, redshifts: np.ndarray, values: np.ndarray, where: str) -> None:
    """Refuse what is no transmission, naming redshift (row) and energy (column).

    Parameters
    ----------
    energy : array, shape (n,)
        TeV.
    redshifts : array, shape (k,)
        Increasing.
    values : array, shape (k, n)
        Transmission.
    where : str
        Beginning of the message.
    """
    bad = np.argwhere(~((values >= 0) & (values <= 1 + ROUNDING)))
    if len(bad):
        i, j = bad[0]
        raise DataError(
            f"{where}: row {i} (redshift {redshifts[i]:.6g}), column {j} ({energy[j]:.6g} TeV): the transmission is "
            f"{values[i, j]:g}, expected 0 to 1; {len(bad)} values are affected. A table of optical depths is given as exp(-tau)."
        )


@dataclass(frozen=True)
class _Absorption:
    """`absorption` with its table."""

    nodes: FrozenArray
    redshifts: FrozenArray
    log_values: FrozenArray

    def __call__(self, energy: jax.Array, redshift: jax.Array, alpha_norm: jax.Array) -> jax.Array:
        tables = self.nodes.data, self.redshifts.data, self.log_values.data
        return absorption(energy, redshift, alpha_norm, *tables)


@lru_cache(maxsize=32)
def _form(function: _Absorption) -> SpectralForm:
    return SpectralForm(
        function,
        ("redshift", "alpha_norm"),
        constants=("redshift", "alpha_norm"),
        # where 1e-12 is left the tables are about as steep as this
        log_slope=80.0,
        nodes=tuple(np.exp(function.nodes.data).tolist()),
        power_between=True,
        defaults=(0.1, 1.0),
    )


class EBLAbsorptionNormSpectralModel(SpectralModel):
    r"""Transmission through the EBL, :math:`e^{-\alpha \tau(z, E)}`, a factor for another model.

    The table is interpolated linearly in the redshift and in the logarithms of energy and transmission, as in gammapy, and
    goes on beyond its ends. Between two of its energies the transmission is a power law, so that times a power law its bin
    integrals are exact. In the redshift it is linear between tabulated values: the derivative at such a value is the one to
    the right, and second derivatives know nothing of the kinks.

    Parameters
    ----------
    energy : `~astropy.units.Quantity`, shape (n,)
        Tabulated energies.
    param : array, shape (k,)
        Tabulated redshifts.
    data : array, shape (k, n)
        Transmission, from 0 to 1.
    redshift : float
        z, default 0.1, frozen. Outside of the table its last slopes go on, which is said in a warning.
    alpha_norm : float
        :math:`\alpha`, default 1, frozen.

    Raises
    ------
    InputError
        For a table of other shapes, or one that holds anything but transmissions, naming row and column.

    References
    ----------
    The tables of `read_builtin`: Dominguez et al. 2011, MNRAS 410, 2556; Finke et al. 2010, ApJ 712, 238; Franceschini
    et al. 2008, A&A 487, 837; Franceschini and Rodighiero 2017, A&A 603, A34; Saldana-Lopez et al. 2021, MNRAS 507, 5144.
    """

    tag = ("EBLAbsorptionNormSpectralModel", "ebl-norm")
    dnde_unit = ""
    declared = (Declared("redshift", 0.1, frozen=True), Declared("alpha_norm", 1.0, frozen=True))

    def __init__(self, energy: Any, param: Any, data: Any, redshift: Any = 0.1, alpha_norm: Any = 1.0) -> None:
        e = checked_energies(energy, 2, "EBLAbsorptionNormSpectralModel")
        values = np.asarray(u.Quantity(data).to_value(""))
        z = np.asarray(u.Quantity(param).to_value(""), dtype=float)
        if z.ndim != 1 or len(z) < 2 or not np.all(np.diff(z) > 0) or values.shape != (len(z), len(e)):
            raise InputError(
                f"EBLAbsorptionNormSpectralModel: got {z.shape} redshifts and data of shape {values.shape}, expected at "
                f"least two increasing redshifts and data of shape (redshifts, {len(e)})."
            )
        check_transmission(e, z, values, "EBLAbsorptionNormSpectralModel")
        # a table in single precision ends where its numbers end
        tiny = np.finfo(values.dtype if values.dtype.kind == "f" else float).tiny
        logarithms = np.log(np.maximum(values.astype(float), tiny))
        self._function = _Absorption(FrozenArray(np.log(e)), FrozenArray(z), FrozenArray(logarithms))
        self.energy, self.param, self.data = u.Quantity(energy), z, values
        self.filename: Path | None = None
        self._said = np.nan
        super().__init__(redshift=redshift, alpha_norm=alpha_norm)
        self._say_outside()

    @property
    def form(self) -> Any:
        """Functions, equal for equal tables."""
        # whoever evaluates or fits comes by here, with the redshift of now
        self._say_outside()
        return _form(self._function)

    def _say_outside(self) -> None:
        """Warn of a redshift outside of the table, once for each."""
        z, first, last = self.redshift.value, self.param[0], self.param[-1]
        # tables in single precision end a little beside the number that was meant
        if first * (1 - ROUNDING) <= z <= last * (1 + ROUNDING) or z == self._said:
            return
        self._said = z
        warnings.warn(
            f"EBLAbsorptionNormSpectralModel: the redshift is {z:g}, its table goes from {first:.6g} to {last:.6g}; outside of it "
            "the last slopes go on.",
            stacklevel=3,
        )

    @classmethod
    def read(cls, filename: Any, redshift: Any = 0.1, alpha_norm: Any = 1.0) -> "EBLAbsorptionNormSpectralModel":
        """Read a table model of XSPEC.

        Parameters
        ----------
        filename : str or path
            FITS file with the tables ENERGIES (keV) and SPECTRA; variables of the environment are put in.
        redshift, alpha_norm : float
            Values of the parameters.

        Raises
        ------
        MissingFileError, FileFormatError
            If the file is not there, is damaged, or is none of these.
        DataError
            If it holds anything but transmissions, naming row and column.
        """
        energy, redshifts, values = read_xspec_table(filename)
        check_transmission(energy.to_value("TeV"), redshifts, values, f"EBL table {Path(filename).name}")
        model = cls(energy, redshifts, values, redshift, alpha_norm)
        model.filename = existing_file(filename, "EBL table")
        return model

    @classmethod
    def read_builtin(
        cls, reference: str = "dominguez", redshift: Any = 0.1, alpha_norm: Any = 1.0
    ) -> "EBLAbsorptionNormSpectralModel":
        """Read one of the tables that come with gammapy's data.

        Parameters
        ----------
        reference : {"dominguez", "finke", "franceschini", "franceschini17", "saldana-lopez21"}
            Dominguez et al. 2011, MNRAS 410, 2556; Finke et al. 2010, ApJ 712, 238; Franceschini et al. 2008, A&A 487, 837;
            Franceschini and Rodighiero 2017, A&A 603, A34; Saldana-Lopez et al. 2021, MNRAS 507, 5144.
        redshift, alpha_norm : float
            Values of the parameters.

        Raises
        ------
        InputError
            If there is no table of that name.
        MissingFileError
            If the environment variable GAMMAPY_DATA does not lead to the file.
        """
        if reference not in EBL_DATA_BUILTIN:
            raise InputError(f"EBL table: got {reference!r}, expected one of {', '.join(EBL_DATA_BUILTIN)}.")
        filename = EBL_DATA_BUILTIN[reference]
        if not Path(os.path.expandvars(filename)).is_file():
            raise MissingFileError(
                f"EBL table {reference!r}: there is no file {filename}. Set the environment variable "
                "GAMMAPY_DATA to a folder and run `gammajax download ebl`, or take it from "
                "https://github.com/gammapy/gammapy-data (folder ebl), or read a file of your own with EBLAbsorptionNormSpectralModel.read(filename)."
            )
        return cls.read(filename, redshift, alpha_norm)
