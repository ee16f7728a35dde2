"""Log-parabolas, the smoothly broken power law and the Gaussian."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.models.base import DNDE, Declared, SpectralModel
from gammajax.models.form import SpectralForm
from gammajax.models.functions import (
    gaussian,
    gaussian_integral,
    gaussian_steepness,
    log_parabola,
    log_parabola_2,
    log_parabola_2_slope,
    log_parabola_slope,
    log_parabola_slopes,
    smooth_broken_power_law,
    smooth_broken_power_law_cuts,
    smooth_broken_power_law_slope,
)

__all__ = [
    "GaussianSpectralModel",
    "LogParabola2SpectralModel",
    "LogParabolaNormSpectralModel",
    "LogParabolaSpectralModel",
    "SmoothBrokenPowerLawSpectralModel",
]


# multiples of sigma between which a Gaussian is resolved
CUTS = (-10.0, -7.5, -5.0, -2.5, 0.0, 2.5, 5.0, 7.5, 10.0)


class LogParabolaSpectralModel(SpectralModel):
    r"""Log-parabola :math:`\phi(E) = A (E/E_0)^{-\alpha - \beta \ln(E/E_0)}`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 10 TeV, frozen.
    alpha, beta : float
        Index and curvature, defaults 2 and 1.

    References
    ----------
    Massaro et al. 2004, A&A 413, 489.

    Examples
    --------
    >>> from astropy import units as u
    >>> model = LogParabolaSpectralModel(
    ...     amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    ... )
    >>> print(f"{model(2 * u.TeV):.4g}")
    1.845e-12 1 / (TeV s cm2)
    """

    tag = ("LogParabolaSpectralModel", "lp")
    declared = (
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 10.0, "TeV", frozen=True),
        Declared("alpha", 2.0),
        Declared("beta", 1.0),
    )
    form = SpectralForm(
        log_parabola,
        ("amplitude", "reference", "alpha", "beta"),
        linear=("amplitude",),
        separable=("alpha", "beta"),
        log_linear=("alpha", "beta"),
        log_slopes=log_parabola_slopes,
        constants=("reference",),
        log_slope=20.0,
        local_slope=log_parabola_slope,
        usual_slope=20.0,
    )

    @classmethod
    def from_log10(cls, *, beta: float, **kwargs: Any) -> "LogParabolaSpectralModel":
        """Make the model with a curvature `beta` that goes with the decimal logarithm; other parameters as usual.

        Parameters
        ----------
        beta : float
            Curvature that goes with the decimal logarithm.
        **kwargs
            The other parameters.
        """
        return cls(beta=beta / np.log(10), **kwargs)

    @property
    def e_peak(self) -> u.Quantity:
        r"""Energy of the peak of :math:`E^2 \phi`: :math:`E_0 \exp((2-\alpha)/2\beta)`; nan where there is none."""
        if self.beta.value <= 0:
            return u.Quantity(np.nan, self.reference.unit)
        return self.reference.quantity * np.exp((2 - self.alpha.value) / (2 * self.beta.value))


class LogParabola2SpectralModel(SpectralModel):
    r"""Log-parabola :math:`A (E/E_0)^{-\alpha - \beta \ln(E/E_s)}`, its curvature with an energy of its own.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 10 TeV, frozen.
    alpha, beta : float
        Defaults 2 and 1.
    escale : `~astropy.units.Quantity`
        :math:`E_s`, default 1 TeV, frozen.

    References
    ----------
    Massaro et al. 2004, A&A 413, 489.
    """

    tag = ("LogParabola2SpectralModel", "lp2")
    declared = (
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 10.0, "TeV", frozen=True),
        Declared("alpha", 2.0),
        Declared("beta", 1.0),
        Declared("escale", 1.0, "TeV", frozen=True),
    )
    form = SpectralForm(
        log_parabola_2,
        ("amplitude", "reference", "alpha", "beta", "escale"),
        linear=("amplitude",),
        separable=("alpha", "beta"),
        constants=("reference", "escale"),
        log_slope=20.0,
        local_slope=log_parabola_2_slope,
        usual_slope=20.0,
    )

    @classmethod
    def from_log10(cls, *, beta: float, **kwargs: Any) -> "LogParabola2SpectralModel":
        """Make the model with a curvature `beta` that goes with the decimal logarithm; other parameters as usual.

        Parameters
        ----------
        beta : float
            Curvature that goes with the decimal logarithm.
        **kwargs
            The other parameters.
        """
        return cls(beta=beta / np.log(10), **kwargs)

    @property
    def e_peak(self) -> u.Quantity:
        r"""Energy of the peak of :math:`E^2 \phi`: :math:`\sqrt{E_0 E_s} \exp((2-\alpha)/2\beta)`; nan where there is none.

        gammapy 2.1 gives :math:`E_s \exp((2-\alpha)/2\beta)`, which is not where the slope is -2 unless both are equal.
        """
        if self.beta.value <= 0:
            return u.Quantity(np.nan, self.reference.unit)
        middle = np.sqrt(self.reference.quantity * self.escale.quantity).to(self.reference.unit)
        return middle * np.exp((2 - self.alpha.value) / (2 * self.beta.value))


class LogParabolaNormSpectralModel(SpectralModel):
    r"""Log-parabola without unit, a factor for another model: :math:`N (E/E_0)^{-\alpha - \beta \ln(E/E_0)}`.

    Parameters
    ----------
    norm : float
        N, default 1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 10 TeV, frozen.
    alpha, beta : float
        Defaults 0.

    References
    ----------
    Massaro et al. 2004, A&A 413, 489.
    """

    tag = ("LogParabolaNormSpectralModel", "lp-norm")
    dnde_unit = ""
    declared = (
        Declared("norm", 1.0, interp="log", linear=True),
        Declared("reference", 10.0, "TeV", frozen=True),
        Declared("alpha", 0.0),
        Declared("beta", 0.0),
    )
    form = SpectralForm(
        log_parabola,
        ("norm", "reference", "alpha", "beta"),
        linear=("norm",),
        separable=("alpha", "beta"),
        log_linear=("alpha", "beta"),
        log_slopes=log_parabola_slopes,
        constants=("reference",),
        log_slope=20.0,
        local_slope=log_parabola_slope,
        usual_slope=20.0,
    )

    @classmethod
    def from_log10(cls, *, beta: float, **kwargs: Any) -> "LogParabolaNormSpectralModel":
        """Make the model with a curvature `beta` that goes with the decimal logarithm; other parameters as usual.

        Parameters
        ----------
        beta : float
            Curvature that goes with the decimal logarithm.
        **kwargs
            The other parameters.
        """
        return cls(beta=beta / np.log(10), **kwargs)


class SmoothBrokenPowerLawSpectralModel(SpectralModel):
    r"""Smoothly broken power law :math:`A (E/E_0)^{-\Gamma_1} [1 + (E/E_b)^{(\Gamma_2-\Gamma_1)/b}]^{-b}`.

    Where :math:`b = \beta\, \mathrm{sign}(\Gamma_2 - \Gamma_1)`. By this definition the flux jumps by :math:`4^\beta` where
    the indices cross; a fit that starts at equal indices (the defaults) should not expect to cross that.

    Parameters
    ----------
    index1, index2 : float
        :math:`\Gamma_1, \Gamma_2`, defaults 2.
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    ebreak : `~astropy.units.Quantity`
        :math:`E_b`, default 1 TeV.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    beta : float
        :math:`\beta > 0`, smoothness, default 1, frozen.

    References
    ----------
    Ackermann et al. 2013, Science 339, 807.
    """

    tag = ("SmoothBrokenPowerLawSpectralModel", "sbpl")
    declared = (
        Declared("index1", 2.0),
        Declared("index2", 2.0),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("ebreak", 1.0, "TeV"),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("beta", 1.0, frozen=True),
    )
    form = SpectralForm(
        smooth_broken_power_law,
        ("index1", "index2", "amplitude", "ebreak", "reference", "beta"),
        linear=("amplitude",),
        constants=("reference", "beta"),
        log_slope=80.0,
        local_slope=smooth_broken_power_law_slope,
        usual_slope=80.0,
        least_nodes=14,
        cuts=smooth_broken_power_law_cuts,
    )


class GaussianSpectralModel(SpectralModel):
    r"""Gaussian line :math:`N_0/(\sqrt{2\pi}\sigma) \exp(-(E - \bar E)^2/2\sigma^2)`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        :math:`N_0`, default 1e-12 cm-2 s-1.
    mean, sigma : `~astropy.units.Quantity`
        :math:`\bar E, \sigma`, defaults 1 and 2 TeV.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.
    """

    tag = ("GaussianSpectralModel", "gauss")
    declared = (
        Declared("amplitude", 1e-12, "cm-2 s-1", interp="log", linear=True),
        Declared("mean", 1.0, "TeV"),
        Declared("sigma", 2.0, "TeV"),
    )
    # the cuts serve products and energy fluxes, which have no closed form: between them the line is resolved, however narrow
    form = SpectralForm(
        gaussian,
        ("amplitude", "mean", "sigma"),
        integral=gaussian_integral,
        linear=("amplitude",),
        log_slope=60.0,
        least_nodes=16,
        cuts=lambda amplitude, mean, sigma: tuple(mean + k * sigma for k in CUTS),
        steepness=gaussian_steepness,
    )
