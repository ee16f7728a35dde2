"""The table of the temporal models: a model joins by one row, with its formula in mpmath, and passes all tests of it.

A row is a model with values. The formula takes the time since the reference time in days and the other parameters in their order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
from astropy import units as u
from astropy.table import Table
from astropy.time import Time
from mpmath import mpf

import gammajax.models as ours
from tests.models.table import integral

# times in utc; no leap second between them and the reference times
BEGIN = Time(53343.25, format="mjd", scale="utc")
# intervals, d after BEGIN: one of 100 s, one over the reference time of most rows, one that begins and one that ends at a corner
INTERVALS = np.array([[-2.5, -2.5 + 100 / 86400], [-0.4, 0.9], [1.0, 1.75], [2.25, 3.0]])
REF = 53343.25


@dataclass
class Row:
    """A model, its formula, the times where that has kinks, and whether gammapy's integral is right.

    `build` takes a module of models, ours or gammapy's. `cuts(lo, hi, *parameters)` are kinks between two times. `primitive` is the
    integral of the formula, where that is quicker than summing it; `degree` is that of the sums, `some` the intervals.
    """

    build: Callable[[Any], Any]
    formula: Callable[..., Any]
    cuts: Callable[..., list] = lambda lo, hi, *p: []
    integral_in_gammapy: bool = True
    primitive: Any = None
    degree: int = 4
    some: tuple = (0, 1, 2, 3)
    # a value of gammapy's is a float of a time of 53343 d: 1e-11 d, times the slope
    tolerance: float = 1e-9

    def make(self):
        return self.build(ours)

    @property
    def times(self):
        """Starts and stops, d after BEGIN."""
        return INTERVALS[list(self.some)]

    def since_reference(self):
        """The same since the reference time of the model, in double precision, exact."""
        form, theta = self.make().form, self.make()._theta()
        return self.times + (0.0 if form.reference is None else REF - theta[form.reference])

    def exact(self, reference, others, primitive=True):
        """Integrals over the intervals, d, in mpmath; `reference` in d after that of the model."""
        out = []
        for lo, hi in self.since_reference():
            a, b = mpf(lo) - reference, mpf(hi) - reference
            if self.primitive is not None and primitive:
                out.append(self.primitive(b, *others) - self.primitive(a, *others))
                continue
            points = [a, *sorted(c for c in self.cuts(a, b, *others) if a < c < b), b]
            out.append(integral(lambda t: self.formula(t, *others), points, self.degree))
        return out


def named(name, **kwargs):
    """A model of the same class and parameters in either package."""
    return lambda m: getattr(m, name)(**kwargs)


def days(value):
    return value * u.d


TIME, NORM = [-4.0, -1.0, 0.5, 1.0, 4.0], [0.5, 2.0, 1.5, 0.25, 1.0]
PHASE, PULSE = [0.05, 0.2, 0.4, 0.7, 0.9], [1.5, 3.0, 1.0, 0.1, 0.6]
TIMING = {"phi_ref": 0.3, "f0": 1e-4 / u.s, "f1": -3e-15 / u.s**2, "f2": 3e-23 / u.s**3}


def light_curve(m):
    if m is ours:
        return m.LightCurveTemplateTemporalModel(days(np.array(TIME)), NORM, t_ref=days(REF - 0.25))
    table = Table(
        {"TIME": np.array(TIME) * u.d, "NORM": NORM}, meta={"MJDREFI": 53343, "MJDREFF": 0.0, "TIMESYS": "utc"}
    )
    return m.LightCurveTemplateTemporalModel.from_table(table)


def phase_curve(m, **changes):
    kwargs = {"t_ref": days(REF - 0.5)} | TIMING | changes
    if m is ours:
        return m.TemplatePhaseCurveTemporalModel(PHASE, PULSE, **kwargs)
    return m.TemplatePhaseCurveTemporalModel(Table({"PHASE": PHASE, "NORM": PULSE}), filename="pulse.fits", **kwargs)


def straight(t, x, y):
    """Straight lines through points, and beyond the ends."""
    k = min(max(int(np.searchsorted(x, float(t), side="right")) - 1, 0), len(x) - 2)
    return mpf(y[k]) + (mpf(y[k + 1]) - mpf(y[k])) / (mpf(x[k + 1]) - mpf(x[k])) * (t - mpf(x[k]))


def light_curve_cuts(lo, hi):
    # the last pieces reach 0 here; the nodes themselves
    return [mpf(t) for t in (*TIME, -5.0)]


def turns(t, phi_ref, f0, f1, f2):
    s = t * 86400
    return phi_ref + s * (f0 + s / 2 * (f1 + s / 3 * f2))


def pulse_mean():
    ends = pairwise([0.0, *PHASE[1:-1], 1.0])
    return sum((b - a) * straight(mpf(a + b) / 2, PHASE, PULSE) for a, b in ends)


def phase_formula(t, *timing):
    phase = turns(t, *timing)
    return straight(phase - mpmath.floor(phase), PHASE, PULSE) / pulse_mean()


def phase_cuts(lo, hi, *timing):
    """Times at which the phase is on a node of the table."""
    first, last = turns(lo, *timing), turns(hi, *timing)
    whole = range(int(mpmath.floor(first)), int(mpmath.floor(last)) + 1)
    wanted = [n + mpf(x) for n in whole for x in (0.0, *PHASE[1:-1])]
    found = []
    for w in (w for w in wanted if first < w < last):
        t = lo + (w - first) / (last - first) * (hi - lo)
        # nearly straight: each step of Newton's more than doubles the digits
        for _ in range(4):
            s = t * 86400
            t -= (turns(t, *timing) - w) / (86400 * (timing[1] + s * (timing[2] + s / 2 * timing[3])))
        found.append(t)
    return found


def pulse(t, t_rise, t_decay, eta):
    return mpmath.exp(-((abs(t) / (t_rise if t < 0 else t_decay)) ** (1 / eta)) / 2)


def pulse_primitive(t, t_rise, t_decay, eta):
    tau = t_rise if t < 0 else t_decay
    gamma = mpmath.gammainc(eta, 0, (abs(t) / tau) ** (1 / eta) / 2)
    return mpmath.sign(t) * tau * eta * 2**eta * gamma


def pulse_cuts(lo, hi, t_rise, t_decay, eta):
    # 0 is the peak, which may be a point; flat pulses end within a short time
    parts = (1e-24, 1e-16, 1e-12, 1e-8, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.8, 0.9, 1.0, 1.05, 1.1, 1.15, 1.2, 1.4)
    return [mpf(0), *(s * tau * f for s, tau in ((-1, t_rise), (1, t_decay)) for f in parts)]


def sharp(eta):
    return named(
        "GeneralizedGaussianTemporalModel", t_ref=days(REF + 0.25), t_rise=days(0.7), t_decay=days(1.6), eta=eta
    )


def power(alpha):
    return Row(
        named("PowerLawTemporalModel", alpha=alpha, t_ref=days(REF - 4), t0=days(2.0)),
        lambda t, a, t0: (t / t0) ** a,
    )


TABLE = {
    "constant": Row(named("ConstantTemporalModel"), lambda t: mpf(1)),
    "linear": Row(
        named("LinearTemporalModel", alpha=1.2, beta=0.03 / u.d, t_ref=days(REF - 1.5)), lambda t, a, b: a + b * t
    ),
    "decay": Row(named("ExpDecayTemporalModel", t0=days(1.7), t_ref=days(REF - 1)), lambda t, t0: mpmath.exp(-t / t0)),
    # gammapy takes differences of nearly equal numbers, here and far out
    "decay, slow": Row(
        named("ExpDecayTemporalModel", t0=days(1e7), t_ref=days(REF - 1)),
        lambda t, t0: mpmath.exp(-t / t0),
        integral_in_gammapy=False,
    ),
    "gauss": Row(
        named("GaussianTemporalModel", t_ref=days(REF + 0.25), sigma=days(0.8)),
        lambda t, s: mpmath.exp(-((t / s) ** 2) / 2),
    ),
    "gauss, far out": Row(
        named("GaussianTemporalModel", t_ref=days(REF + 0.25), sigma=days(0.15)),
        lambda t, s: mpmath.exp(-((t / s) ** 2) / 2),
        lambda lo, hi, s: [s * k for k in (-4, -2, -1, 0, 1, 2, 4, 7, 10)],
        integral_in_gammapy=False,
    ),
    # gammapy sums over 100 points with the ends counted in full
    "pulse": Row(sharp(0.8), pulse, pulse_cuts, integral_in_gammapy=False, primitive=pulse_primitive),
    "pulse, flat": Row(sharp(0.05), pulse, pulse_cuts, integral_in_gammapy=False, primitive=pulse_primitive),
    "pulse, peaked": Row(sharp(2.2), pulse, pulse_cuts, integral_in_gammapy=False, primitive=pulse_primitive),
    "power": power(-1.3),
    "power, -1": power(-1.0),
    "power, rising": power(2.0),
    # gammapy has sines for cosines
    "sine": Row(
        named("SineTemporalModel", amp=0.5, omega=3 * u.rad / u.d, t_ref=days(REF - 0.1)),
        lambda t, a, w: 1 + a * mpmath.sin(w * t),
        integral_in_gammapy=False,
    ),
    "sine, slow": Row(
        named("SineTemporalModel", amp=0.5, omega=1e-7 * u.rad / u.d, t_ref=days(REF - 0.1)),
        lambda t, a, w: 1 + a * mpmath.sin(w * t),
        integral_in_gammapy=False,
    ),
    "light curve": Row(
        light_curve,
        lambda t: max(straight(t, TIME, NORM), mpf(0)),
        light_curve_cuts,
        integral_in_gammapy=False,
        degree=1,
    ),
    # gammapy takes the frequency at the beginning for that of the whole interval
    "phase": Row(
        phase_curve, phase_formula, phase_cuts, integral_in_gammapy=False, degree=2, some=(0, 2), tolerance=1e-8
    ),
    "phase, steady": Row(
        lambda m: phase_curve(m, f1=0 / u.s**2, f2=0 / u.s**3),
        phase_formula,
        phase_cuts,
        tolerance=1e-7,
        degree=1,
        some=(0, 2),
    ),
}
