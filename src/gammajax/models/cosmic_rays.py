"""Spectra of cosmic rays at Earth, a background of gamma-ray telescopes."""

import math

from astropy import units as u

from gammajax.errors import InputError
from gammajax.models.base import DNDE, SpectralModel
from gammajax.models.curved import LogParabolaSpectralModel
from gammajax.models.power_laws import PowerLawSpectralModel

__all__ = ["create_cosmic_ray_spectral_model"]

# dnde at 1 TeV in m-2 s-1 TeV-1 sr-1, and index
POWER_LAWS = {
    "proton": (0.096, 2.70),
    "N": (0.0719, 2.64),
    "Si": (0.0284, 2.66),
    "Fe": (0.0134, 2.63),
    "electron": (6.85e-5, 3.21),
}
# of the electrons' peak: all of it in m-2 s-1 sr-1, its energy in TeV, its width in ln E
PEAK = (3.19e-3, 0.107, 0.776)


def create_cosmic_ray_spectral_model(particle: str = "proton") -> SpectralModel:
    r"""Make a spectrum of cosmic rays at Earth, from the whole sky.

    Of nuclei a power law. Of electrons the sum of one and of a peak that is normal in :math:`\ln E`,
    :math:`\frac{L}{E w \sqrt{2\pi}} e^{-(\ln(E/E_p)/w)^2/2}`, here as the log-parabola that it is, with reference :math:`E_p`,
    :math:`A = L / (E_p w \sqrt{2\pi})`, :math:`\alpha = 1` and :math:`\beta = 1/(2w^2)`.

    Parameters
    ----------
    particle : {"proton", "N", "Si", "Fe", "electron"}
        The particle. Values and names are those of gammapy.

    Returns
    -------
    `SpectralModel`
        dnde over :math:`4\pi` sr, cm-2 s-1 TeV-1; a region of solid angle :math:`\Omega` gets :math:`\Omega/4\pi` of it.

    Raises
    ------
    InputError
        Listing the particles.

    References
    ----------
    Bernlöhr et al. 2013, APh 43, 171, table 3.

    Examples
    --------
    >>> from astropy import units as u
    >>> print(f"{create_cosmic_ray_spectral_model('proton')(1 * u.TeV):.4g}")
    0.0001206 1 / (TeV s cm2)
    """
    if particle not in POWER_LAWS:
        raise InputError(f"cosmic-ray spectrum: got particle {particle!r}, expected one of {', '.join(POWER_LAWS)}.")
    sky, unit = 4 * math.pi, u.Unit(DNDE)
    amplitude, index = POWER_LAWS[particle]
    # m-2 are 1e-4 cm-2
    law = PowerLawSpectralModel(index=index, amplitude=amplitude * 1e-4 * sky * unit, reference=1 * u.TeV)
    if particle != "electron":
        return law
    everything, energy, width = PEAK
    return law + LogParabolaSpectralModel(
        amplitude=everything * 1e-4 * sky / (energy * width * math.sqrt(2 * math.pi)) * unit,
        reference=energy * u.TeV,
        alpha=1.0,
        beta=0.5 / width**2,
    )
