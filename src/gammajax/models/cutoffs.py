"""Power laws with exponential cut-offs."""

import numpy as np
from astropy import units as u

from gammajax.models.base import DNDE, Declared, SpectralModel
from gammajax.models.form import SpectralForm
from gammajax.models.functions import (
    exp_cutoff_3fgl_steepness,
    exp_cutoff_power_law,
    exp_cutoff_power_law_3fgl,
    exp_cutoff_steepness,
    power_law_slope,
    super_exp_cutoff_3fgl,
    super_exp_cutoff_3fgl_cuts,
    super_exp_cutoff_3fgl_steepness,
    super_exp_cutoff_4fgl,
    super_exp_cutoff_4fgl_cuts,
    super_exp_cutoff_4fgl_dr3,
    super_exp_cutoff_4fgl_dr3_cuts,
    super_exp_cutoff_4fgl_dr3_steepness,
    super_exp_cutoff_4fgl_steepness,
    super_exp_cutoff_slope,
)

__all__ = [
    "ExpCutoffPowerLaw3FGLSpectralModel",
    "ExpCutoffPowerLawNormSpectralModel",
    "ExpCutoffPowerLawSpectralModel",
    "SuperExpCutoffPowerLaw3FGLSpectralModel",
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel",
    "SuperExpCutoffPowerLaw4FGLSpectralModel",
]

# what the exponent of a cut-off is where its flux has no numbers any more, and then its slope too
EMPTY = 640.0


class ExpCutoffPowerLawSpectralModel(SpectralModel):
    r"""Power law with exponential cut-off :math:`\phi(E) = A (E/E_0)^{-\Gamma} \exp(-(\lambda E)^\alpha)`.

    Parameters
    ----------
    index : float
        :math:`\Gamma`, default 1.5.
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    lambda_ : `~astropy.units.Quantity`
        :math:`\lambda`, default 0.1 TeV-1.
    alpha : float
        Exponent of the cut-off, default 1, frozen. The bin integrals are exact to 1e-9 up to 3; for a sharper cut-off take
        `SuperExpCutoffPowerLaw3FGLSpectralModel`.

    References
    ----------
    Aharonian et al. 2006, A&A 457, 899 (the Crab Nebula).

    Examples
    --------
    >>> from astropy import units as u
    >>> print(f"{ExpCutoffPowerLawSpectralModel()(10 * u.TeV):.4g}")
    1.163e-14 1 / (TeV s cm2)
    """

    tag = ("ExpCutoffPowerLawSpectralModel", "ecpl")
    declared = (
        Declared("index", 1.5),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("lambda_", 0.1, "TeV-1"),
        Declared("alpha", 1.0, frozen=True),
    )
    form = SpectralForm(
        exp_cutoff_power_law,
        ("index", "amplitude", "reference", "lambda_", "alpha"),
        linear=("amplitude",),
        separable=("index", "lambda_"),
        constants=("reference", "alpha"),
        log_slope=60.0,
        local_slope=power_law_slope,
        usual_slope=20.0,
        log_fall=3 * EMPTY,
        steepness=exp_cutoff_steepness,
    )

    @property
    def e_peak(self) -> u.Quantity:
        r"""Energy of the peak of :math:`E^2 \phi`, :math:`((2-\Gamma)/\alpha)^{1/\alpha}/\lambda`; nan where there is none."""
        index, lambda_, alpha = self.index.value, self.lambda_.quantity, self.alpha.value
        if index >= 2 or lambda_ <= 0 or alpha <= 0:
            return u.Quantity(np.nan, self.reference.unit)
        return (((2 - index) / alpha) ** (1 / alpha) / lambda_).to(self.reference.unit)


class ExpCutoffPowerLawNormSpectralModel(SpectralModel):
    r"""Power law with cut-off without unit, a factor: :math:`N (E/E_0)^{-\Gamma} \exp(-(\lambda E)^\alpha)`.

    Parameters
    ----------
    index : float
        :math:`\Gamma`, default 0.
    norm : float
        N, default 1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    lambda_ : `~astropy.units.Quantity`
        :math:`\lambda`, default 0.1 TeV-1.
    alpha : float
        Exponent of the cut-off, default 1, frozen. The bin integrals are exact to 1e-9 up to 3.

    References
    ----------
    Donath et al. 2023, A&A 678, A157: gammapy's model of that name.
    """

    tag = ("ExpCutoffPowerLawNormSpectralModel", "ecpl-norm")
    dnde_unit = ""
    declared = (
        Declared("index", 0.0),
        Declared("norm", 1.0, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("lambda_", 0.1, "TeV-1"),
        Declared("alpha", 1.0, frozen=True),
    )
    form = SpectralForm(
        exp_cutoff_power_law,
        ("index", "norm", "reference", "lambda_", "alpha"),
        linear=("norm",),
        separable=("index", "lambda_"),
        constants=("reference", "alpha"),
        log_slope=60.0,
        local_slope=power_law_slope,
        usual_slope=20.0,
        log_fall=3 * EMPTY,
        steepness=exp_cutoff_steepness,
    )


class ExpCutoffPowerLaw3FGLSpectralModel(SpectralModel):
    r"""Power law with cut-off as in the 3FGL catalogue: :math:`A (E/E_0)^{-\Gamma} \exp((E_0 - E)/E_c)`.

    Parameters
    ----------
    index : float
        :math:`\Gamma`, default 1.5.
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    ecut : `~astropy.units.Quantity`
        :math:`E_c`, default 10 TeV.

    References
    ----------
    Acero et al. 2015, ApJS 218, 23 (3FGL).
    """

    tag = ("ExpCutoffPowerLaw3FGLSpectralModel", "ecpl-3fgl")
    declared = (
        Declared("index", 1.5),
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("ecut", 10.0, "TeV"),
    )
    form = SpectralForm(
        exp_cutoff_power_law_3fgl,
        ("index", "amplitude", "reference", "ecut"),
        linear=("amplitude",),
        separable=("index", "ecut"),
        constants=("reference",),
        log_slope=40.0,
        local_slope=power_law_slope,
        usual_slope=20.0,
        log_fall=EMPTY,
        steepness=exp_cutoff_3fgl_steepness,
    )


class SuperExpCutoffPowerLaw3FGLSpectralModel(SpectralModel):
    r"""Super-exponential cut-off of 3FGL: :math:`A (E/E_0)^{-\Gamma_1} \exp((E_0/E_c)^{\Gamma_2} - (E/E_c)^{\Gamma_2})`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    ecut : `~astropy.units.Quantity`
        :math:`E_c`, default 10 TeV, above 0.
    index_1, index_2 : float
        :math:`\Gamma_1, \Gamma_2`, defaults 1.5 and 2.

    References
    ----------
    Acero et al. 2015, ApJS 218, 23 (3FGL).
    """

    tag = ("SuperExpCutoffPowerLaw3FGLSpectralModel", "secpl-3fgl")
    declared = (
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("ecut", 10.0, "TeV"),
        Declared("index_1", 1.5),
        Declared("index_2", 2.0),
    )
    form = SpectralForm(
        super_exp_cutoff_3fgl,
        ("amplitude", "reference", "ecut", "index_1", "index_2"),
        linear=("amplitude",),
        separable=("index_1", "ecut"),
        constants=("reference",),
        log_slope=60.0,
        local_slope=super_exp_cutoff_slope,
        usual_slope=20.0,
        least_nodes=14,
        cuts=super_exp_cutoff_3fgl_cuts,
        steepness=super_exp_cutoff_3fgl_steepness,
    )


class SuperExpCutoffPowerLaw4FGLSpectralModel(SpectralModel):
    r"""Super-exponential cut-off of 4FGL: :math:`A (E/E_0)^{-\Gamma_1} \exp(a (E_0^{\Gamma_2} - E^{\Gamma_2}))`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    expfactor : float
        a, default 1e-14, in MeV to the power :math:`-\Gamma_2`.
    index_1, index_2 : float
        :math:`\Gamma_1, \Gamma_2`, defaults 1.5 and 2.

    References
    ----------
    Abdollahi et al. 2020, ApJS 247, 33 (4FGL).
    """

    tag = ("SuperExpCutoffPowerLaw4FGLSpectralModel", "secpl-4fgl")
    declared = (
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("expfactor", 1e-14),
        Declared("index_1", 1.5),
        Declared("index_2", 2.0),
    )
    form = SpectralForm(
        super_exp_cutoff_4fgl,
        ("amplitude", "reference", "expfactor", "index_1", "index_2"),
        linear=("amplitude",),
        separable=("index_1", "expfactor"),
        constants=("reference",),
        log_slope=60.0,
        local_slope=super_exp_cutoff_slope,
        usual_slope=20.0,
        least_nodes=14,
        cuts=super_exp_cutoff_4fgl_cuts,
        steepness=super_exp_cutoff_4fgl_steepness,
    )


class SuperExpCutoffPowerLaw4FGLDR3SpectralModel(SpectralModel):
    r"""Super-exponential cut-off of 4FGL-DR3: :math:`A x^{-\Gamma_1 + a/\Gamma_2} \exp(a (1 - x^{\Gamma_2})/\Gamma_2^2)`, :math:`x = E/E_0`.

    Parameters
    ----------
    amplitude : `~astropy.units.Quantity`
        A, default 1e-12 cm-2 s-1 TeV-1.
    reference : `~astropy.units.Quantity`
        :math:`E_0`, default 1 TeV, frozen.
    expfactor : float
        a, the curvature at the reference, default 0.01.
    index_1, index_2 : float
        :math:`\Gamma_1, \Gamma_2`, defaults 1.5 and 2.
        The function is smooth through :math:`\Gamma_2 = 0`.

    References
    ----------
    Abdollahi et al. 2022, ApJS 260, 53 (4FGL-DR3).
    """

    tag = ("SuperExpCutoffPowerLaw4FGLDR3SpectralModel", "secpl-4fgl-dr3")
    declared = (
        Declared("amplitude", 1e-12, DNDE, interp="log", linear=True),
        Declared("reference", 1.0, "TeV", frozen=True),
        Declared("expfactor", 1e-2),
        Declared("index_1", 1.5),
        Declared("index_2", 2.0),
    )
    form = SpectralForm(
        super_exp_cutoff_4fgl_dr3,
        ("amplitude", "reference", "expfactor", "index_1", "index_2"),
        linear=("amplitude",),
        separable=("index_1", "expfactor"),
        constants=("reference",),
        log_slope=60.0,
        local_slope=super_exp_cutoff_slope,
        usual_slope=20.0,
        least_nodes=14,
        cuts=super_exp_cutoff_4fgl_dr3_cuts,
        steepness=super_exp_cutoff_4fgl_dr3_steepness,
    )

    @property
    def e_peak(self) -> u.Quantity:
        r"""Energy of the peak of :math:`E^2 \phi`, :math:`E_0 [1 + (2-\Gamma_1) \Gamma_2/a]^{1/\Gamma_2}`; nan where there is none.

        Smith et al. (2023), ApJ 958, 191, equation 21; at :math:`\Gamma_2 = 0` its limit.
        """
        a, g1, g2 = self.expfactor.value, self.index_1.value, self.index_2.value
        # beyond the logarithm's argument 0 the slope never passes -2
        if a <= 0 or 1 + (2 - g1) * g2 / a <= 0:
            return u.Quantity(np.nan, self.reference.unit)
        x = (2 - g1) / a if g2 == 0 else np.log1p((2 - g1) * g2 / a) / g2
        return self.reference.quantity * np.exp(x)
