"""An energy scale beside tables: bins that move over the nodes of a table are integrated exactly, derivatives included."""

from itertools import pairwise

import numpy as np
import pytest
from astropy import units as u

import gammajax.models as gm
from gammajax import (
    BrokenPowerLawSpectralModel,
    Datasets,
    Fit,
    GaussianPrior,
    Likelihood,
    LogParabolaSpectralModel,
    Models,
    PiecewiseNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
    TemplateSpectralModel,
)
from gammajax.fit.problem import derivatives
from gammajax.units import double_precision
from tests.models.table import make_ebl
from tests.problems import small

OFF = np.array([30.0, 20, 11, 6, 1, 1])
FLUX = u.Unit("cm-2 s-1 TeV-1")
NODES = np.geomspace(0.2, 40, 23) * u.TeV
TABLE = 3e-11 * NODES.value**-2.4 * (1 + 0.4 * np.sin(np.arange(23))) * FLUX


def power_law(**kwargs):
    return PowerLawSpectralModel(**({"index": 2.1, "amplitude": 4e-11 * FLUX} | kwargs))


def log_parabola():
    return LogParabolaSpectralModel(amplitude=4e-11 * FLUX, reference=1 * u.TeV, alpha=2.1, beta=0.15)


def broken():
    return BrokenPowerLawSpectralModel(index1=1.6, index2=2.7, amplitude=4e-11 * FLUX, ebreak=2 * u.TeV)


SPECTRA = {
    "template": lambda: TemplateSpectralModel(NODES, TABLE),
    "template, linear": lambda: TemplateSpectralModel(NODES, TABLE, {"values_scale": "lin"}),
    "power law, absorbed": lambda: power_law() * make_ebl(gm),
    "log-parabola, absorbed": lambda: log_parabola() * make_ebl(gm),
    "sum, absorbed": lambda: (power_law() + log_parabola()) * make_ebl(gm),
    "broken power law, absorbed": lambda: broken() * make_ebl(gm),
    "norms": lambda: power_law() * PiecewiseNormSpectralModel([0.7, 1.1, 1.3, 6] * u.TeV, [1, 1.3, 0.6, 1.1]),
}


def nodes_of(model):
    """Energies with a kink, that of the broken power law included."""
    breaks = [2.0] if model.form.breaks else []
    return np.array([*model.form.nodes, *breaks])


def quadrature(model, edges, scale):
    """Integral of phi(E / s) / s over the bins: 20-point Gauss-Legendre in ln E in quarters of the pieces between scaled nodes."""
    x, w = np.polynomial.legendre.leggauss(20)
    cuts = nodes_of(model) * scale
    ends = np.unique(np.concatenate([edges, cuts[(cuts > edges[0]) & (cuts < edges[-1])]]))
    ends = np.unique(np.concatenate([np.geomspace(a, b, 5) for a, b in pairwise(ends)]))
    half = 0.5 * np.diff(np.log(ends))[:, None]
    energy = np.sqrt(ends[:-1] * ends[1:])[:, None] * np.exp(half * x)
    pieces = np.sum(half * w * energy * model(energy / scale * u.TeV).to_value(FLUX) / scale, axis=1)
    return np.array([np.sum(pieces[(ends[:-1] >= a) & (ends[:-1] < b)]) for a, b in pairwise(edges)])


def dataset_of(model, scale):
    d = small()
    systematics = SystematicsModel("small", energy_scale=scale)
    d.models = Models([SkyModel(model, "s"), systematics])
    return d


@pytest.mark.parametrize("name", SPECTRA)
def test_counts_are_those_of_the_shifted_spectrum(name):
    model = SPECTRA[name]()
    for scale in (1.0, 0.83, 1.27):
        d = dataset_of(model, scale)
        exposure, edisp, edges = d.response_arrays()
        expected = (quadrature(model, edges, scale) * exposure) @ edisp
        np.testing.assert_allclose(d.npred_signal().data, expected, rtol=1e-9)
    # a scale of 1 that is frozen needs no moving bins, and says the same
    d.models[1].energy_scale.value = 1.0
    free = d.npred_signal().data
    d.models[1].energy_scale.frozen = True
    np.testing.assert_allclose(d.npred_signal().data, free, rtol=1e-12)


@pytest.mark.parametrize(
    "name", ["template", "power law, absorbed", pytest.param("sum, absorbed", marks=pytest.mark.slow)]
)
def test_derivatives_are_those_of_finite_differences(name):
    model = SPECTRA[name]()
    likelihood = Likelihood(dataset_of(model, 1.07))
    at = likelihood.names.index("small-sys.systematics.energy_scale")
    free = np.flatnonzero(likelihood.free)
    scale, start = likelihood.scale[free], np.array(likelihood.start)
    edges = np.asarray(likelihood.data[0].response.rules[0].lo)
    # no edge is so close to a node that a step goes over it: second derivatives jump there
    assert np.min(np.abs(np.log(edges[:, None] / 1.07 / nodes_of(model)))) > 1e-3
    _, gradient, hessian = derivatives(likelihood, start)
    step = 1e-4
    found, curvature = [], []
    with double_precision():
        for k, i in enumerate(free):
            pairs = []
            for sign in (1, -1):
                theta = start.copy()
                theta[i] += sign * step * scale[k]
                value, slope, _ = derivatives(likelihood, theta)
                pairs.append((value, slope[free] * scale))
            found.append((pairs[0][0] - pairs[1][0]) / (2 * step))
            curvature.append((pairs[0][1] - pairs[1][1]) / (2 * step))
    # truncation of a central difference with this step is 1e-8 of the third derivative
    size = np.abs(np.diag(curvature)).max()
    assert at in free
    np.testing.assert_allclose(gradient[free] * scale, found, rtol=1e-6, atol=1e-7 * size)
    both = np.outer(scale, scale)
    np.testing.assert_allclose(hessian[np.ix_(free, free)] * both, curvature, rtol=1e-6, atol=1e-6 * size)


@pytest.mark.slow
def test_an_absorbed_source_is_fitted_with_its_energy_scale():
    """Two instruments, one of them with a scale: the shift that the data were made with is found."""
    truth = power_law(amplitude=4e-10 * FLUX) * make_ebl(gm)
    data = []
    for name, scale in (("one", 1.0), ("two", 1.1)):
        d = small(name=name, n_off=OFF, n_on=np.zeros(6))
        d.models = Models([SkyModel(truth, "s"), SystematicsModel(name, energy_scale=scale)])
        # the expectation itself, of the background as well
        signal = d.npred_signal().data
        with pytest.warns(UserWarning, match="fractional counts"):
            data.append(small(name=name, n_off=OFF, n_on=signal + 0.1 * OFF))
    source = SkyModel(power_law(index=2.4, amplitude=2e-10 * FLUX) * make_ebl(gm), "s")
    systematics = SystematicsModel("two", energy_scale=1.0)
    systematics.energy_scale.prior = GaussianPrior(mu=1.1, sigma=0.1)
    datasets = Datasets(data)
    datasets.models = Models([source, systematics])
    result = Fit(datasets, backend="newton").run()
    assert result.success
    assert systematics.energy_scale.value == pytest.approx(1.1, rel=1e-6)
    assert result.parameters["index"].value == pytest.approx(2.1, rel=1e-6)
    assert 0 < systematics.energy_scale.error < 0.1
