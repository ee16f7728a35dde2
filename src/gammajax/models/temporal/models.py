"""The temporal models that are formulas, by the names and defaults of gammapy."""

from gammajax.models.declared import Declared
from gammajax.models.temporal import functions as f
from gammajax.models.temporal.base import TemporalModel
from gammajax.models.temporal.form import TemporalForm
from gammajax.models.temporal.pulse import generalized_gaussian, generalized_gaussian_integral

__all__ = [
    "ConstantTemporalModel",
    "ExpDecayTemporalModel",
    "GaussianTemporalModel",
    "GeneralizedGaussianTemporalModel",
    "LinearTemporalModel",
    "PowerLawTemporalModel",
    "SineTemporalModel",
]

# 2000-01-01, MJD
T_REF = 51544.0


class ConstantTemporalModel(TemporalModel):
    """No variation: a factor of 1."""

    tag = ("ConstantTemporalModel", "const")
    form = TemporalForm(f.constant, f.constant_integral)


class LinearTemporalModel(TemporalModel):
    r"""Linear variation :math:`N(t) = \alpha + \beta (t - t_{ref})`.

    Parameters
    ----------
    alpha : float
        :math:`\alpha`, default 1.
    beta : `~astropy.units.Quantity`
        :math:`\beta`, default 0 d-1.
    t_ref : `~astropy.units.Quantity`
        Reference time, MJD, default 51544 d, frozen.
    """

    tag = ("LinearTemporalModel", "linear")
    declared = (
        Declared("alpha", 1.0),
        Declared("beta", 0.0, "d-1"),
        Declared("t_ref", T_REF, "d", frozen=True),
    )
    form = TemporalForm(f.linear, f.linear_integral, ("alpha", "beta", "t_ref"), reference=2, constants=("t_ref",))


class ExpDecayTemporalModel(TemporalModel):
    r"""Exponential decay :math:`N(t) = e^{-(t - t_{ref})/t_0}`, at all times.

    Parameters
    ----------
    t0 : `~astropy.units.Quantity`
        Time constant, default 1 d.
    t_ref : `~astropy.units.Quantity`
        Reference time, MJD, default 51544 d, frozen.

    Examples
    --------
    >>> from astropy import units as u
    >>> from astropy.time import Time
    >>> model = ExpDecayTemporalModel(t0=2 * u.d, t_ref=53000 * u.d)
    >>> begin = Time(53000, format="mjd", scale="utc")
    >>> print(f"{model.integral(begin, begin + 2 * u.d):.6f}")
    0.632121
    """

    tag = ("ExpDecayTemporalModel", "exp-decay")
    declared = (Declared("t0", 1.0, "d"), Declared("t_ref", T_REF, "d", frozen=True))
    form = TemporalForm(f.exp_decay, f.exp_decay_integral, ("t0", "t_ref"), reference=1, constants=("t_ref",))


class GaussianTemporalModel(TemporalModel):
    r"""Gaussian pulse :math:`N(t) = e^{-(t - t_{ref})^2/2\sigma^2}`.

    Parameters
    ----------
    t_ref : `~astropy.units.Quantity`
        Time of the peak, MJD, default 51544 d.
    sigma : `~astropy.units.Quantity`
        Width, default 1 d.
    """

    tag = ("GaussianTemporalModel", "gauss")
    declared = (Declared("t_ref", T_REF, "d"), Declared("sigma", 1.0, "d"))
    form = TemporalForm(f.gaussian, f.gaussian_width_integral, ("t_ref", "sigma"), reference=0)


class GeneralizedGaussianTemporalModel(TemporalModel):
    r"""Pulse :math:`N(t) = \exp(-\frac12 (|t - t_{ref}|/\tau)^{1/\eta})` with its own time constant on each side.

    Parameters
    ----------
    t_ref : `~astropy.units.Quantity`
        Time of the peak, MJD, default 51544 d.
    t_rise, t_decay : `~astropy.units.Quantity`
        :math:`\tau` before and after the peak, defaults 1 d.
    eta : float
        :math:`\eta`, default 0.5, a Gaussian; larger ones are more peaked. The mean over an interval and its first derivatives are
        continuous; the second one in `t_ref` jumps where an end of an interval is on the peak if :math:`\eta \ge 1`: the
        slope of the pulse at its very peak is taken as 0.
    """

    tag = ("GeneralizedGaussianTemporalModel", "gengauss")
    declared = (
        Declared("t_ref", T_REF, "d"),
        Declared("t_rise", 1.0, "d"),
        Declared("t_decay", 1.0, "d"),
        Declared("eta", 0.5),
    )
    form = TemporalForm(
        generalized_gaussian, generalized_gaussian_integral, ("t_ref", "t_rise", "t_decay", "eta"), reference=0
    )


class PowerLawTemporalModel(TemporalModel):
    r"""Power law :math:`N(t) = ((t - t_{ref})/t_0)^\alpha`; nan before the reference time, where it is not defined.

    Parameters
    ----------
    alpha : float
        :math:`\alpha`, default 1.
    t_ref : `~astropy.units.Quantity`
        Reference time, MJD, default 51544 d, frozen.
    t0 : `~astropy.units.Quantity`
        Time scale, default 1 d, frozen.
    """

    tag = ("PowerLawTemporalModel", "powerlaw")
    declared = (
        Declared("alpha", 1.0),
        Declared("t_ref", T_REF, "d", frozen=True),
        Declared("t0", 1.0, "d", frozen=True),
    )
    form = TemporalForm(
        f.power_law, f.power_law_integral, ("alpha", "t_ref", "t0"), reference=1, constants=("t_ref", "t0")
    )


class SineTemporalModel(TemporalModel):
    r"""Modulation :math:`N(t) = 1 + a \sin(\omega (t - t_{ref}))`.

    Parameters
    ----------
    amp : float
        a, default 1.
    omega : `~astropy.units.Quantity`
        :math:`\omega`, default 1 rad/d.
    t_ref : `~astropy.units.Quantity`
        Reference time, MJD, default 51544 d.
    """

    tag = ("SineTemporalModel", "sinus")
    declared = (Declared("amp", 1.0), Declared("omega", 1.0, "rad / d"), Declared("t_ref", T_REF, "d"))
    form = TemporalForm(f.sine, f.sine_integral, ("amp", "omega", "t_ref"), reference=2)
