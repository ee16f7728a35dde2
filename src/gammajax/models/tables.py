"""Models given by tables of energies and values."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from astropy import units as u

from gammajax.errors import FileFormatError, InputError, MissingFileError
from gammajax.hooks import hook
from gammajax.models.base import DNDE, Declared, SpectralModel
from gammajax.models.form import SpectralForm
from gammajax.models.functions import piecewise_norm, template
from gammajax.models.table import FrozenArray
from gammajax.parameters import Parameter
from gammajax.units import energy_values

__all__ = ["PiecewiseNormSpectralModel", "TemplateSpectralModel", "checked_energies", "existing_file"]

TINY = float(np.finfo(float).tiny)


def checked_energies(energy: Any, at_least: int, what: str) -> np.ndarray:
    """Energies of a table in TeV; refuses those that are not positive and increasing."""
    e = np.atleast_1d(energy_values(energy, f"{what}: energy"))
    if e.ndim != 1 or len(e) < at_least or not np.all(e > 0) or not np.all(np.diff(e) > 0):
        raise InputError(
            f"{what}: got energies {np.array2string(e, threshold=6)} TeV, expected at least {at_least} positive ones in "
            "increasing order; sort the table."
        )
    return e


def existing_file(filename: Any, what: str) -> Path:
    """Path with the variables of the environment put in; refuses what is not there."""
    import os

    path = Path(os.path.expandvars(str(filename))).expanduser()
    if not path.is_file():
        raise MissingFileError(
            f"{what}: there is no file {str(path)!r}; check the path, and that its variables are set."
        )
    return path


@dataclass(frozen=True)
class _Piecewise:
    """`piecewise_norm` with its nodes."""

    nodes: FrozenArray
    log: bool

    def __call__(self, energy: jax.Array, *norms: jax.Array) -> jax.Array:
        return piecewise_norm(energy, *norms, nodes=self.nodes.data, log=self.log)


@lru_cache(maxsize=64)
def _piecewise_form(energies: tuple[float, ...], interp: str) -> SpectralForm:
    log = interp == "log"
    nodes = FrozenArray(np.log(energies) if log else energies)
    names = tuple(f"norm_{k}" for k in range(len(energies)))
    # linear over linear: at most as steep as E itself where the norms are positive
    return SpectralForm(
        _Piecewise(nodes, log), names, nodes=energies, power_between=log, log_slope=10.0, defaults=(1.0,) * len(names)
    )


class PiecewiseNormSpectralModel(SpectralModel):
    r"""Factors at fixed energies, interpolated between them and constant outside.

    Between :math:`E_k` and :math:`E_{k+1}` it is :math:`N_k^{1-w} N_{k+1}^w` with :math:`w = \ln(E/E_k)/\ln(E_{k+1}/E_k)`, or
    :math:`(1-w) N_k + w N_{k+1}` with :math:`w = (E-E_k)/(E_{k+1}-E_k)`.

    Parameters
    ----------
    energy : `~astropy.units.Quantity`, shape (n,)
        At least two energies, increasing.
    norms : array or list of `Parameter`, shape (n,), optional
        Factors at the energies, default 1; parameters ``norm_0``, ``norm_1`` and so on.
    interp : {"log", "lin"}
        Logarithms over logarithms (norms above 0 then), or linear. A change of it or of the energies compiles anew.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.

    Examples
    --------
    >>> from astropy import units as u
    >>> model = PiecewiseNormSpectralModel([1, 10] * u.TeV, norms=[1, 4])
    >>> print(f"{model(10**0.5 * u.TeV):.4g}")
    2
    """

    tag = ("PiecewiseNormSpectralModel", "piecewise-norm")
    dnde_unit = ""

    def __init__(self, energy: Any, norms: Any = None, interp: str = "log") -> None:
        e = checked_energies(energy, 2, "PiecewiseNormSpectralModel")
        norms = np.ones(len(e)) if norms is None else norms
        if len(norms) != len(e):
            raise InputError(
                f"PiecewiseNormSpectralModel: got {len(norms)} norms for {len(e)} energies; give one for each."
            )
        if interp not in ("log", "lin"):
            raise InputError(f"PiecewiseNormSpectralModel: got interp={interp!r}, expected 'log' or 'lin'.")
        self._energies, self._interp = tuple(e.tolist()), interp
        self.energy = u.Quantity(energy)
        super().__init__(**{f"norm_{k}": n if isinstance(n, Parameter) else float(n) for k, n in enumerate(norms)})

    @property
    def declared(self) -> Any:
        """One norm for each energy."""
        return tuple(Declared(f"norm_{k}", 1.0) for k in range(len(self.__dict__.get("_energies", ()))))

    @property
    def form(self) -> Any:
        """Functions, equal for equal energies and interpolation."""
        return _piecewise_form(self._energies, self._interp)

    @property
    def interp(self) -> str:
        """How norms are interpolated."""
        return self._interp

    @property
    def norms(self) -> u.Quantity:
        """Values of the norms, shape (n,)."""
        return u.Quantity([p.value for p in self.parameters])


@dataclass(frozen=True)
class _Template:
    """`template` with its table."""

    nodes: FrozenArray
    values: FrozenArray
    log: bool
    extrapolate: bool

    def __call__(self, energy: jax.Array) -> jax.Array:
        return template(energy, self.nodes.data, self.values.data, self.log, self.extrapolate)


class TemplateSpectralModel(SpectralModel):
    r"""A table of fluxes (or factors, where the values have no unit), interpolated over the logarithm of the energy.

    Between two energies it is :math:`\phi_k^{1-w} \phi_{k+1}^w` with :math:`w = \ln(E/E_k)/\ln(E_{k+1}/E_k)`, or
    :math:`(1-w) \phi_k + w \phi_{k+1}` with ``values_scale="lin"``. It has no parameters: multiply it by a norm model to fit it.

    Parameters
    ----------
    energy : `~astropy.units.Quantity`, shape (n,)
        Energies, increasing.
    values : `~astropy.units.Quantity`, shape (n,)
        Fluxes; below 0 they count as 0.
    interp_kwargs : dict, optional
        ``values_scale``: "log" (the default) or "lin"; ``extrapolate``: whether the table goes on beyond its ends by its
        last slopes (the default) or is constant there.
    meta : dict, optional
        Kept as it is.

    References
    ----------
    Arnaud, OGIP memo 92-009, for the files of `read_xspec_model`.

    Examples
    --------
    >>> from astropy import units as u
    >>> model = TemplateSpectralModel([1, 10] * u.TeV, [1e-11, 1e-13] * u.Unit("cm-2 s-1 TeV-1"))
    >>> print(f"{model.integral(1 * u.TeV, 10 * u.TeV):.4g}")
    9e-12 1 / (s cm2)
    """

    tag = ("TemplateSpectralModel", "template")

    def __init__(self, energy: Any, values: Any, interp_kwargs: dict | None = None, meta: dict | None = None) -> None:
        options = {"values_scale": "log", "extrapolate": True} | (interp_kwargs or {})
        if set(options) - {"values_scale", "extrapolate"} or options["values_scale"] not in ("log", "lin"):
            raise InputError(
                f"TemplateSpectralModel: got interp_kwargs={interp_kwargs!r}, expected values_scale ('log' or 'lin') and "
                "extrapolate (True or False)."
            )
        e, v = checked_energies(energy, 1, "TemplateSpectralModel"), u.Quantity(values)
        norm = v.unit.is_equivalent(u.dimensionless_unscaled)
        self.dnde_unit = "" if norm else DNDE
        if not v.unit.is_equivalent(u.Unit(self.dnde_unit)) or v.shape != e.shape or not np.all(np.isfinite(v.value)):
            raise InputError(
                f"TemplateSpectralModel: got values of unit {v.unit.to_string()!r} and shape {v.shape}, expected {len(e)} "
                "finite fluxes such as cm-2 s-1 TeV-1, or factors without unit."
            )
        self.energy, self.values, self.meta = u.Quantity(energy), v, dict(meta or {})
        self.interp_kwargs = options
        y, log = v.to_value(self.dnde_unit), options["values_scale"] == "log"
        line = np.log(np.maximum(y, TINY)) if log else np.maximum(y, 0.0)
        function = _Template(FrozenArray(np.log(e)), FrozenArray(line), log, bool(options["extrapolate"]))
        self._form = SpectralForm(function, (), nodes=tuple(e.tolist()), power_between=log, log_slope=10.0, defaults=())
        super().__init__()

    @property
    def form(self) -> Any:
        """Functions, equal for equal tables."""
        return self._form

    def __repr__(self) -> str:
        e = self.energy
        return f"TemplateSpectralModel({len(e)} values from {e[0]:.4g} to {e[-1]:.4g})"

    def __str__(self) -> str:
        return f"{self!r}\n"

    @property
    def _dnde_unit(self) -> u.UnitBase:
        return self.values.unit

    @classmethod
    def read_xspec_model(cls, filename: Any, param: float, **kwargs: Any) -> "TemplateSpectralModel":
        """Read the spectrum of a table model of XSPEC whose parameter is closest to `param`.

        Parameters
        ----------
        filename : str or path
            FITS file with the tables PARAMETERS, ENERGIES (keV where no unit is given) and SPECTRA.
        param : float
            Value of its first parameter.
        **kwargs
            To the class; the values are interpolated linearly if nothing is given.

        Raises
        ------
        MissingFileError, FileFormatError
            If the file is not there, or is none of these.
        InputError
            If `param` is out of the range of the file.
        """
        energy, parameters, spectra = read_xspec_table(filename)
        if not parameters.min() <= param <= parameters.max():
            raise InputError(
                f"{filename}: got param={param:g}, expected a value from {parameters.min():g} to {parameters.max():g}."
            )
        kwargs.setdefault("interp_kwargs", {"values_scale": "lin"})
        return cls(energy, spectra[int(np.argmin(np.abs(parameters - param)))], **kwargs)


def read_xspec_table(filename: Any) -> tuple[u.Quantity, np.ndarray, np.ndarray]:
    """Energies (geometric means, shape (n,)), parameters (k,) and spectra (k, n) of a table model with one parameter."""
    path = existing_file(filename, "table model")
    with hook("open fits")(path, "table model") as file:
        try:
            energies, spectra = file["ENERGIES"], file["SPECTRA"].data
            unit = energies.columns["ENERG_LO"].unit or "keV"
            edges = [np.array(energies.data[c], dtype=float) for c in ("ENERG_LO", "ENERG_HI")]
            parameters = np.array(spectra["PARAMVAL"], dtype=float).reshape(len(spectra))
            values = np.array(spectra["INTPSPEC"])
            if values.shape != (len(parameters), len(edges[0])) or values.dtype.kind not in "iuf":
                raise ValueError(f"INTPSPEC has the shape {values.shape} and type {values.dtype}")
            energy = u.Quantity(np.sqrt(edges[0] * edges[1]), unit)
            energy.to("TeV")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise FileFormatError(
                f"{path}: not a table model of XSPEC with one parameter ({error}); expected the tables ENERGIES with ENERG_LO "
                "and ENERG_HI, and SPECTRA with PARAMVAL and INTPSPEC."
            ) from None
    # files hold some parameter values twice
    parameters, first = np.unique(parameters, return_index=True)
    return energy, parameters, values[first]
