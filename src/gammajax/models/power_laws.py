"""Power laws and their relatives."""

from typing import Any

from astropy import units as u

from gammajax.models.base import DNDE, Declared, SpectralModel
from gammajax.models.form import SpectralForm
from gammajax.models.functions import (
    broken_power_law,
    broken_power_law_integral,
    broken_power_law_slope,
    constant,
    constant_integral,
    power_law,
    power_law_2,
    power_law_2_integral,
    power_law_2_slope,
    power_law_integral,
    power_law_slope,
)

__all__ = [
    "BrokenPowerLawSpectralModel",
    "ConstantSpectralModel",
    "PowerLaw2SpectralModel",
    "PowerLawNormSpectralModel",
    "PowerLawSpectralModel",
]


class PowerLawSpectralModel(SpectralModel):
    r"""Power law :math:`\phi(E) = A (E/E_0)^{-\Gamma}`.

    Parameters
    ----------
    index : float
        :math:`\Gamma`, default 2.
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.

    References
    ----------
    Fermi 1949, Phys. Rev. 75, 1169.

    Examples
    --------
    >>> from astropy import units as u
    >>> model = PowerLawSpectralModel(index=2, amplitude=1e-12 * u.Unit("cm-2 s-1 TeV-1"))
    >>> print(f"{model.integral(1 * u.TeV, 10 * u.TeV):.4g}")
    9e-13 1 / (s cm2)
    """

    tag = ("PowerLawSpectralModel", "pl")
    declared = (
        Declared("index", 2.0),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
    )
    form = SpectralForm(
        power_law,
        ("index", "amplitude", "reference"),
        integral=power_law_integral,
        linear=("amplitude",),
        separable=("index",),
        constants=("reference",),
        log_slope=10.0,
        local_slope=power_law_slope,
        usual_slope=10.0,
        power_between=True,
    )

    def inverse(self, value: u.Quantity, energy_min: Any = None, energy_max: Any = None) -> u.Quantity:
        """Energy at which the model has the value, at any energy; a limit changes nothing where there is one answer.

        Parameters
        ----------
        value : `~astropy.units.Quantity`
            Values, any shape.
        energy_min : `~astropy.units.Quantity`, optional
            Not needed here.
        energy_max : `~astropy.units.Quantity`, optional
            Not needed here.
        """
        ratio = (u.Quantity(value) / self.amplitude.quantity).to_value("")
        return self.reference.quantity * ratio ** (-1 / self.index.value)


class ConstantSpectralModel(SpectralModel):
    r"""Constant flux :math:`\phi(E) = k`.

    Parameters
    ----------
    const : `~astropy.units.Quantity`
        k, default 1e-12 cm-2 s-1 TeV-1.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.
    """

    tag = ("ConstantSpectralModel", "const")
    declared = (Declared("const", 1e-12, DNDE, linear=True),)
    form = SpectralForm(
        constant,
        ("const",),
        integral=constant_integral,
        linear=("const",),
        log_slope=1.0,
        power_between=True,
        gammapy_closed=False,
    )


class PowerLawNormSpectralModel(SpectralModel):
    r"""Power law without unit, a factor for another model: :math:`N (E/E_0)^{-t}`.

    Parameters
    ----------
    tilt : float
        t, default 0, frozen.
    norm : float
        N, default 1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.
    """

    tag = ("PowerLawNormSpectralModel", "pl-norm")
    dnde_unit = ""
    declared = (
        Declared("tilt", 0.0, frozen=True),
        Declared("norm", 1.0, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
    )
    form = SpectralForm(
        power_law,
        ("tilt", "norm", "reference"),
        integral=power_law_integral,
        linear=("norm",),
        separable=("tilt",),
        constants=("reference",),
        log_slope=10.0,
        local_slope=power_law_slope,
        usual_slope=10.0,
        power_between=True,
    )


class PowerLaw2SpectralModel(SpectralModel):
    r"""Power law with its integral as amplitude: :math:`F_0 E^{-\Gamma} / \int_{E_1}^{E_2} E^{-\Gamma} dE`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        :math:`F_0`, default 1e-12 cm-2 s-1.
    index : float
        :math:`\Gamma`, default 2; smooth through 1, where gammapy has 0/0.
    emin, emax : `~astropy.units.Quantity`
        :math:`E_1, E_2`, defaults 0.1 and 100 TeV, frozen.

    References
    ----------
    Abdo et al. 2010, ApJS 188, 405 (sources by their integral flux); Donath et al. 2023, A&A 678, A157: gammapy's model of that name.

    Examples
    --------
    >>> from astropy import units as u
    >>> print(f"{PowerLaw2SpectralModel().integral(0.1 * u.TeV, 100 * u.TeV):.4g}")
    1e-12 1 / (s cm2)
    """

    tag = ("PowerLaw2SpectralModel", "pl-2")
    declared = (
        Declared("amplitude", 1e-12, "cm-2 s-1", interp="log", linear=True),
        Declared("index", 2.0),
        Declared("emin", 0.1, "TeV", frozen=True),
        Declared("emax", 100.0, "TeV", frozen=True),
    )
    form = SpectralForm(
        power_law_2,
        ("amplitude", "index", "emin", "emax"),
        integral=power_law_2_integral,
        linear=("amplitude",),
        constants=("emin", "emax"),
        log_slope=10.0,
        local_slope=power_law_2_slope,
        usual_slope=10.0,
        power_between=True,
    )


class BrokenPowerLawSpectralModel(SpectralModel):
    r"""Broken power law: :math:`A (E/E_b)^{-\Gamma_1}` below the break energy, :math:`A (E/E_b)^{-\Gamma_2}` above.

    Parameters
    ----------
    index1, index2 : float
        :math:`\Gamma_1, \Gamma_2`, defaults 2.
    amplitude : `~astropy.units.Quantity`
        A, the flux at the break, default 1e-12 cm-2 s-1 TeV-1.
    ebreak : `~astropy.units.Quantity`
        :math:`E_b`, default 1 TeV. A bin integral and its first derivative in the break are continuous; the second
        derivative jumps where the break is on the edge of a bin.

    References
    ----------
    Abdo et al. 2010, ApJ 710, 1271.
    """

    tag = ("BrokenPowerLawSpectralModel", "bpl")
    declared = (
        Declared("index1", 2.0),
        Declared("index2", 2.0),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("ebreak", 1.0, "TeV"),
    )
    form = SpectralForm(
        broken_power_law,
        ("index1", "index2", "amplitude", "ebreak"),
        integral=broken_power_law_integral,
        linear=("amplitude",),
        log_slope=10.0,
        local_slope=broken_power_law_slope,
        usual_slope=10.0,
        breaks=lambda index1, index2, amplitude, ebreak: (ebreak,),
        power_between=True,
        gammapy_closed=False,
    )
