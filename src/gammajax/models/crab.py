"""Published spectra of the Crab nebula."""

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.models.base import Declared, SpectralModel
from gammajax.models.curved import LogParabolaSpectralModel
from gammajax.models.cutoffs import ExpCutoffPowerLawSpectralModel
from gammajax.models.form import SpectralForm
from gammajax.models.functions import meyer_crab
from gammajax.models.power_laws import PowerLawSpectralModel

__all__ = ["MeyerCrabSpectralModel", "create_crab_spectral_model"]

REFERENCES = ("meyer", "hegra", "hess_pl", "hess_ecpl", "magic_lp", "magic_ecpl")


class MeyerCrabSpectralModel(SpectralModel):
    r"""Crab nebula as a polynomial, :math:`\log_{10}(E^2 \phi(E)) = \log_{10} N + \sum_{k=0}^5 c_k (\log_{10} E)^k`.

    With E in TeV and :math:`E^2 \phi` in erg cm-2 s-1; the coefficients of the paper, -10.2708 for k = 0.

    Parameters
    ----------
    norm : float
        N, default 1, frozen.

    References
    ----------
    Meyer, Horns and Zechlin 2010, A&A 523, A2, appendix D.
    """

    tag = ("MeyerCrabSpectralModel",)
    declared = (Declared("norm", 1.0, frozen=True, linear=True),)
    form = SpectralForm(meyer_crab, ("norm",), linear=("norm",), log_slope=20.0)


def create_crab_spectral_model(reference: str = "meyer") -> SpectralModel:
    """Make a published spectrum of the Crab nebula.

    Parameters
    ----------
    reference : {"meyer", "hegra", "hess_pl", "hess_ecpl", "magic_lp", "magic_ecpl"}
        Meyer et al. 2010, A&A 523, A2; Aharonian et al. 2000, ApJ 539, 317 (HEGRA); Aharonian et al. 2006, A&A 457, 899
        (H.E.S.S.); Aleksic et al. 2015, JHEAp 5, 30 (MAGIC).

    Raises
    ------
    InputError
        Listing the references.

    Examples
    --------
    >>> from astropy import units as u
    >>> print(f"{create_crab_spectral_model('hess_ecpl')(1 * u.TeV):.4g}")
    3.506e-11 1 / (TeV s cm2)
    """
    unit, tev = u.Unit("cm-2 s-1 TeV-1"), u.TeV
    if reference == "meyer":
        return MeyerCrabSpectralModel()
    if reference == "hegra":
        return PowerLawSpectralModel(index=2.62, amplitude=2.83e-11 * unit, reference=1 * tev)
    if reference == "hess_pl":
        return PowerLawSpectralModel(index=2.63, amplitude=3.45e-11 * unit, reference=1 * tev)
    if reference == "hess_ecpl":
        return ExpCutoffPowerLawSpectralModel(
            index=2.39, amplitude=3.76e-11 * unit, reference=1 * tev, lambda_=1 / (14.3 * tev)
        )
    if reference == "magic_lp":
        return LogParabolaSpectralModel(
            amplitude=3.23e-11 * unit, reference=1 * tev, alpha=2.47, beta=0.24 / np.log(10)
        )
    if reference == "magic_ecpl":
        return ExpCutoffPowerLawSpectralModel(
            index=2.21, amplitude=3.80e-11 * unit, reference=1 * tev, lambda_=1 / (6.0 * tev)
        )
    raise InputError(f"Crab spectrum: got reference {reference!r}, expected one of {', '.join(REFERENCES)}.")
