"""The table of the spectral models: a model joins by one row, with its formula in mpmath, and passes all tests of it.

A row is a model with values. The formula takes the energy in TeV and the parameters of the model in their order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import mpmath
import numpy as np
from astropy import units as u
from mpmath import mpf
from mpmath.calculus.quadrature import GaussLegendre

import gammajax.models as gm

DNDE = u.Unit("cm-2 s-1 TeV-1")
FLUX = u.Unit("cm-2 s-1")
TEV = u.TeV


@dataclass
class Row:
    """A model, how it is made in gammapy (None: not at all), its formula, and the energies where that has kinks.

    `build` takes a module of models, ours or gammapy's. `breaks` are numbers, or positions of parameters that are break
    energies. `closed` is the tolerance of gammapy's values where it computes differently.
    """

    build: Callable[[Any], Any]
    formula: Callable[..., Any]
    breaks: tuple = ()
    moving: tuple = ()
    gammapy: bool = True
    tolerance: float = 1e-12

    def make(self):
        return self.build(gm)

    @property
    def theta(self):
        return self.make()._theta()

    def cuts(self, lo, hi, theta):
        """Points that split the integral from lo to hi."""
        inside = [mpf(b) for b in self.breaks] + [theta[k] for k in self.moving]
        return [lo, *sorted(b for b in inside if lo < b < hi), hi]


@cache
def _nodes(degree, precision):
    return GaussLegendre(mpmath.mp).calc_nodes(degree, precision)


def integral(f, points, degree=5):
    """Integral of f between neighbouring points: 3 * 2^(degree - 1) nodes of Gauss and Legendre in each, in mpmath."""
    total = mpf(0)
    for a, b in pairwise(points):
        middle, half = (a + b) / 2, (b - a) / 2
        total += half * mpmath.fsum(w * f(middle + half * x) for x, w in _nodes(degree, mpmath.mp.prec))
    return total


def power(e, g, a, r):
    return a * (e / r) ** (-g)


def parabola(e, a, r, al, b):
    return a * (e / r) ** (-al - b * mpmath.log(e / r))


def cutoff(e, g, a, r, la, al):
    x = la * e
    return a * (e / r) ** (-g) * mpmath.exp(-mpmath.sign(x) * abs(x) ** al)


def broken(e, g1, g2, a, b):
    return a * (e / b) ** (-(g1 if e < b else g2))


def smooth_broken(e, g1, g2, a, b, r, beta):
    s = beta * mpmath.sign(g2 - g1)
    return a * (e / r) ** (-g1) * (1 + (e / b) ** ((g2 - g1) / s)) ** (-s)


def power_2(e, f, g, lo, hi):
    # beside 1 digits are lost
    with mpmath.extradps(30):
        whole = mpmath.log(hi / lo) if g == 1 else (hi ** (1 - g) - lo ** (1 - g)) / (1 - g)
    return f * e ** (-g) / whole


def super_3fgl(e, a, r, c, g1, g2):
    return a * (e / r) ** (-g1) * mpmath.exp((r / c) ** g2 - (e / c) ** g2)


def super_4fgl(e, a, r, x, g1, g2):
    mev = mpf(10) ** 6
    return a * (e / r) ** (-g1) * mpmath.exp(x * ((r * mev) ** g2 - (e * mev) ** g2))


def super_dr3(e, a, r, x, g1, g2):
    log = mpmath.log(e / r)
    s = g2 * log
    # the series where the quotient has lost the digits that are wanted, and at 0
    if abs(s) < mpf(10) ** -3:
        curve = mpmath.fsum(s**k / mpmath.factorial(k + 2) for k in range(14))
    else:
        curve = (mpmath.exp(s) - 1 - s) / s**2
    return a * mpmath.exp(-g1 * log - x * log**2 * curve)


def bell(e, n, m, s):
    return n / (s * mpmath.sqrt(2 * mpmath.pi)) * mpmath.exp(-((e - m) ** 2) / (2 * s**2))


def crab(e, n):
    x, y = mpmath.log10(e), mpf(0)
    for c in (-0.00449161, 0, 0.0473174, -0.179475, -0.53616, -10.2708):
        y = y * x + mpf(c)
    return n * mpf(0.6241509074460763) * mpf(10) ** y / e**2


def line(x, nodes, values, extrapolate=False):
    """Linear interpolation in mpmath."""
    k = max(0, min(len(nodes) - 2, sum(x >= n for n in nodes) - 1))
    w = (x - nodes[k]) / (nodes[k + 1] - nodes[k])
    if not extrapolate:
        w = max(mpf(0), min(mpf(1), w))
    return (1 - w) * values[k] + w * values[k + 1]


NODES = (0.3, 1.1, 2.4, 9.0)


def piecewise_log(e, *norms):
    return mpmath.exp(line(mpmath.log(e), [mpmath.log(mpf(n)) for n in NODES], [mpmath.log(n) for n in norms]))


def piecewise_lin(e, *norms):
    return line(e, [mpf(n) for n in NODES], norms)


TABLE_FLUX = (3e-11, 2e-12, 7e-13, 1e-15)


def table(e):
    logs = [mpmath.log(mpf(f)) for f in TABLE_FLUX]
    return mpmath.exp(line(mpmath.log(e), [mpmath.log(mpf(n)) for n in NODES], logs, extrapolate=True))


REDSHIFTS = (0.05, 0.1, 0.2)
EBL_ENERGIES = np.geomspace(0.05, 40, 23)
DEPTH = np.outer(REDSHIFTS, 2.5 * EBL_ENERGIES**0.9)


def ebl(e, z, al):
    k = max(0, min(21, sum(e >= x for x in EBL_ENERGIES) - 1))
    z_nodes, e_nodes = [mpf(q) for q in REDSHIFTS], [mpmath.log(mpf(x)) for x in EBL_ENERGIES[k : k + 2]]
    ends = [line(z, z_nodes, [mpf(-t) for t in DEPTH[:, j]], True) for j in (k, k + 1)]
    return mpmath.exp(al * min(mpf(0), line(mpmath.log(e), e_nodes, ends, True)))


def make_ebl(m, z=0.12, al=0.9):
    return m.EBLAbsorptionNormSpectralModel(
        energy=EBL_ENERGIES * TEV, param=np.array(REDSHIFTS), data=np.exp(-DEPTH), redshift=z, alpha_norm=al
    )


def make_pl(m, index=2.3):
    return m.PowerLawSpectralModel(index=index, amplitude=3e-12 * DNDE, reference=1.5 * TEV)


def make_lp(m):
    return m.LogParabolaSpectralModel(amplitude=3e-12 * DNDE, reference=2 * TEV, alpha=2.2, beta=0.2)


def make_bpl(m, ebreak=2.5, index2=3.1):
    return m.BrokenPowerLawSpectralModel(index1=1.6, index2=index2, amplitude=3e-12 * DNDE, ebreak=ebreak * TEV)


def make_sbpl(m, g1, g2, beta):
    return m.SmoothBrokenPowerLawSpectralModel(
        index1=g1, index2=g2, amplitude=3e-12 * DNDE, ebreak=2.5 * TEV, reference=1.5 * TEV, beta=beta
    )


def make_ecpl(m, index, lambda_, alpha):
    return m.ExpCutoffPowerLawSpectralModel(
        index=index, amplitude=3e-12 * DNDE, reference=1 * TEV, lambda_=lambda_ / TEV, alpha=alpha
    )


def make_secpl(m, g2):
    return m.SuperExpCutoffPowerLaw3FGLSpectralModel(
        amplitude=3e-12 * DNDE, reference=1.5 * TEV, ecut=3.3 * TEV, index_1=1.7, index_2=g2
    )


def around(ecut, width):
    """Where a sharp cut-off is to be split for a quadrature; `width` is its scale in ln E."""
    return tuple(ecut * np.exp(width * np.array([-20, -10, -5, -3, -2, -1, 0, 0.7, 1.3, 2, 2.5, 3, 3.4, 3.75, 4.3, 6])))


def make_dr3(m, g2, a=0.5):
    return m.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(
        amplitude=3e-12 * DNDE, reference=1.5 * TEV, expfactor=a, index_1=1.7, index_2=g2
    )


def make_gauss(m, mean, sigma):
    return m.GaussianSpectralModel(amplitude=3e-12 * FLUX, mean=mean * TEV, sigma=sigma * TEV)


def make_piecewise(m, interp):
    return m.PiecewiseNormSpectralModel(energy=NODES * TEV, norms=np.array([1.2, 0.8, 1.5, 0.6]), interp=interp)


def make_template(m):
    return m.TemplateSpectralModel(energy=NODES * TEV, values=TABLE_FLUX * DNDE)


def make_norm(m):
    return m.ExpCutoffPowerLawNormSpectralModel(index=0.3, norm=1.4, reference=1 * TEV, lambda_=0.2 / TEV, alpha=1.0)


def kink(energy, index, amplitude, ebreak):
    """A user's model: a power law that goes on at half its flux from an energy on, a jump."""
    return amplitude * energy**-index * jnp.where(energy < ebreak, 1.0, 0.5)


USERS = gm.define_spectral_model(
    kink,
    name="UsersKinkSpectralModel",
    parameters={"index": (2.0, ""), "amplitude": (1e-12, "cm-2 s-1 TeV-1"), "ebreak": (2.5, "TeV")},
    linear=["amplitude"],
    breaks=["ebreak"],
    tag="users-kink",
)


TABLE = {
    "const": Row(lambda m: m.ConstantSpectralModel(const=2e-12 * DNDE), lambda e, k: k + 0 * e),
    "pl": Row(make_pl, power),
    "pl, index 1": Row(lambda m: make_pl(m, 1.0), power),
    "pl, index beside 1": Row(lambda m: make_pl(m, 1 + 3e-9), power),
    "pl-norm": Row(lambda m: m.PowerLawNormSpectralModel(tilt=0.4, norm=1.3, reference=2 * TEV), power),
    "pl-2": Row(
        lambda m: m.PowerLaw2SpectralModel(amplitude=3e-12 * FLUX, index=2.3, emin=0.5 * TEV, emax=40 * TEV), power_2
    ),
    "pl-2, index 1": Row(
        lambda m: m.PowerLaw2SpectralModel(amplitude=3e-12 * FLUX, index=1.0, emin=0.5 * TEV, emax=40 * TEV),
        power_2,
        gammapy=False,
    ),
    "bpl": Row(make_bpl, broken, moving=(3,)),
    "bpl, indices 1": Row(
        lambda m: m.BrokenPowerLawSpectralModel(index1=1, index2=1 + 1e-7, amplitude=3e-12 * DNDE, ebreak=2.5 * TEV),
        broken,
        moving=(3,),
        # its piecewise power law cancels beside 1
        gammapy=False,
    ),
    "bpl, a step": Row(lambda m: make_bpl(m, index2=300.0), broken, moving=(3,), gammapy=False),
    "bpl, no kink": Row(lambda m: make_bpl(m, index2=1.6), broken, moving=(3,)),
    "bpl, break at 0.1 TeV": Row(lambda m: make_bpl(m, ebreak=0.1), broken, moving=(3,)),
    # all of it above: nothing of the empty part below may be left in its derivatives
    "bpl, break at 1 MeV": Row(lambda m: make_bpl(m, ebreak=1e-6), broken, moving=(3,)),
    "sbpl": Row(lambda m: make_sbpl(m, 1.5, 3.0, 0.7), smooth_broken),
    "sbpl, hardening": Row(lambda m: make_sbpl(m, 3.0, 1.8, 1.0), smooth_broken),
    "sbpl, sharp": Row(lambda m: make_sbpl(m, 1.5, 3.0, 0.2), smooth_broken),
    # gammapy's powers overflow
    "sbpl, sharper than a bin": Row(
        lambda m: make_sbpl(m, 1.5, 3.0, 3e-3), smooth_broken, breaks=around(2.5, 0.01), gammapy=False
    ),
    "ecpl": Row(lambda m: make_ecpl(m, 1.5, 0.1, 1.0), cutoff),
    "ecpl, sharp": Row(lambda m: make_ecpl(m, 2.0, 1.0, 1.3), cutoff),
    "ecpl, alpha 3": Row(lambda m: make_ecpl(m, 2.0, 0.4, 3.0), cutoff),
    "ecpl, rising": Row(lambda m: make_ecpl(m, 2.5, -0.05, 1.0), cutoff),
    "ecpl-norm": Row(make_norm, cutoff),
    "ecpl-3fgl": Row(
        lambda m: m.ExpCutoffPowerLaw3FGLSpectralModel(
            index=1.7, amplitude=3e-12 * DNDE, reference=1.5 * TEV, ecut=6 * TEV
        ),
        lambda e, g, a, r, c: power(e, g, a, r) * mpmath.exp((r - e) / c),
    ),
    "secpl-3fgl": Row(
        lambda m: m.SuperExpCutoffPowerLaw3FGLSpectralModel(
            amplitude=3e-12 * DNDE, reference=1.5 * TEV, ecut=9 * TEV, index_1=1.7, index_2=1.6
        ),
        super_3fgl,
    ),
    "secpl-3fgl, sharp": Row(lambda m: make_secpl(m, 30.0), super_3fgl, breaks=around(3.3, 1 / 30)),
    "secpl-3fgl, a step": Row(lambda m: make_secpl(m, 2000.0), super_3fgl, breaks=around(3.3, 1 / 2000), gammapy=False),
    "secpl-4fgl": Row(
        lambda m: m.SuperExpCutoffPowerLaw4FGLSpectralModel(
            amplitude=3e-12 * DNDE, reference=1.5 * TEV, expfactor=3e-5, index_1=1.7, index_2=0.7
        ),
        super_4fgl,
        # numbers of 1e4 are subtracted in the exponent
        tolerance=1e-11,
    ),
    "secpl-4fgl, sharp": Row(
        lambda m: m.SuperExpCutoffPowerLaw4FGLSpectralModel(
            amplitude=3e-12 * DNDE, reference=1.5 * TEV, expfactor=1e-52, index_1=1.7, index_2=8.0
        ),
        super_4fgl,
        breaks=around(10**0.5, 1 / 8),
        gammapy=False,
    ),
    "secpl-4fgl-dr3": Row(lambda m: make_dr3(m, 0.7), super_dr3),
    # gammapy has 0 for 1e-236, where its exponent is a difference of large numbers
    "secpl-4fgl-dr3, sharp": Row(
        lambda m: make_dr3(m, 20.0), super_dr3, breaks=around(2.1, 1 / 20), gammapy=False
    ),
    "secpl-4fgl-dr3, index_2 0": Row(lambda m: make_dr3(m, 0.0), super_dr3, gammapy=False),
    # gammapy's series near the reference ends after three terms
    "secpl-4fgl-dr3, index_2 small": Row(lambda m: make_dr3(m, 3e-3), super_dr3, tolerance=1e-7),
    "secpl-4fgl-dr3, index_2 negative": Row(lambda m: make_dr3(m, -0.4), super_dr3),
    "lp": Row(make_lp, parabola),
    "lp, defaults": Row(lambda m: m.LogParabolaSpectralModel(), parabola),
    "lp2": Row(
        lambda m: m.LogParabola2SpectralModel(
            amplitude=3e-12 * DNDE, reference=2 * TEV, alpha=2.2, beta=0.2, escale=0.8 * TEV
        ),
        lambda e, a, r, al, b, s: a * (e / r) ** (-al - b * mpmath.log(e / s)),
    ),
    "lp-norm": Row(
        lambda m: m.LogParabolaNormSpectralModel(norm=1.2, reference=2 * TEV, alpha=0.2, beta=0.1), parabola
    ),
    "gauss": Row(lambda m: make_gauss(m, 2.2, 1.5), bell),
    "gauss, narrow": Row(lambda m: make_gauss(m, 2.5, 0.1), bell, breaks=(2, 2.5, 3)),
    "gauss, tail": Row(lambda m: make_gauss(m, -6.0, 1.3), bell),
    "meyer": Row(lambda m: m.MeyerCrabSpectralModel(), crab),
    "piecewise-norm": Row(lambda m: make_piecewise(m, "log"), piecewise_log, breaks=NODES),
    "piecewise-norm, lin": Row(lambda m: make_piecewise(m, "lin"), piecewise_lin, breaks=NODES),
    "template": Row(make_template, table, breaks=NODES),
    "ebl": Row(make_ebl, ebl, breaks=tuple(EBL_ENERGIES)),
    "pl * ebl": Row(
        lambda m: make_pl(m) * make_ebl(m),
        lambda e, *t: power(e, *t[:3]) * ebl(e, *t[3:]),
        breaks=tuple(EBL_ENERGIES),
    ),
    "pl + lp": Row(lambda m: make_pl(m) + make_lp(m), lambda e, *t: power(e, *t[:3]) + parabola(e, *t[3:])),
    "pl - bpl": Row(
        lambda m: make_pl(m, 1.9) - make_bpl(m), lambda e, *t: power(e, *t[:3]) - broken(e, *t[3:]), moving=(6,)
    ),
    "bpl * ecpl-norm": Row(
        lambda m: make_bpl(m) * make_norm(m), lambda e, *t: broken(e, *t[:4]) * cutoff(e, *t[4:]), moving=(3,)
    ),
    "bpl * piecewise-norm": Row(
        lambda m: make_bpl(m) * make_piecewise(m, "log"),
        lambda e, *t: broken(e, *t[:4]) * piecewise_log(e, *t[4:]),
        breaks=NODES,
        moving=(3,),
    ),
    "gauss * pl-norm": Row(
        lambda m: make_gauss(m, 2.5, 0.1) * m.PowerLawNormSpectralModel(tilt=0.4),
        lambda e, *t: bell(e, *t[:3]) * power(e, *t[3:]),
        breaks=(2, 2.5, 3),
    ),
    "(pl + lp) * ebl": Row(
        lambda m: (make_pl(m) + make_lp(m)) * make_ebl(m),
        lambda e, *t: (power(e, *t[:3]) + parabola(e, *t[3:7])) * ebl(e, *t[7:]),
        breaks=tuple(EBL_ENERGIES),
    ),
    "scale": Row(lambda m: m.ScaleSpectralModel(make_lp(m), norm=1.7), lambda e, n: n * parabola(
        e, mpf(3e-12), mpf(2), mpf(2.2), mpf(0.2))
    ),
    "user's, with a jump": Row(
        lambda m: USERS(index=2.2, amplitude=3e-12 * DNDE, ebreak=2.5 * TEV),
        lambda e, g, a, b: a * e ** (-g) * (1 if e < b else mpf(0.5)),
        moving=(2,),
        gammapy=False,
    ),
}  # fmt: skip
