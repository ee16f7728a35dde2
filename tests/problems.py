"""Problems that many tests share: the tutorial's data, real and embedded."""

import numpy as np
from astropy import units as u
from astropy.time import Time

from gammajax import (
    Datasets,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDatasetOnOff,
)
from gammajax.data import embedded_ogip_files

# log-parabola of the Crab Nebula, and the beginning of the H.E.S.S. runs on it
CRAB = {
    "amplitude": 3.8e-11 / u.cm**2 / u.s / u.TeV, "reference": 1 * u.TeV, "alpha": 2.196, "beta": 0.2265,
}  # fmt: skip
BEGIN = Time(53343.92, format="mjd", scale="tt")

# exact bin integrals, Newton to |g| < 1e-12 in float64 with an independent program (20-point Gauss-Legendre in ln E)
REFERENCE = {
    "stat": 30.349530124351,
    "amplitude": (3.812067947e-11, 3.54891365e-12),
    "alpha": (2.1957068088, 0.263890497),
    "beta": (0.22651365068, 0.140340437),
}
MINOS = {
    "amplitude": (3.478597e-12, 3.622102e-12),
    "alpha": (0.273556307, 0.255733618),
    "beta": (0.132166937, 0.150292860),
}


def crab_model():
    """Log-parabola with the start values and limits of the tutorial."""
    spectrum = LogParabolaSpectralModel(
        amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    )
    spectrum.alpha.max = 3
    spectrum.alpha.min = 1
    return SkyModel(spectral_model=spectrum, name="crab")


def stacked(paths):
    """Stack spectra, with model and fit range of the tutorial."""
    dataset = Datasets([SpectrumDatasetOnOff.read(p) for p in paths]).stack_reduce(name="HESS")
    dataset.models = crab_model()
    dataset.mask_fit = dataset.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    return dataset


def embedded():
    """The embedded simulated runs, stacked."""
    return stacked(embedded_ogip_files())


def small(**changes):
    """Six reconstructed and eight true bins from plain arrays, with counts that are easy to check by hand."""
    arguments = {
        "n_on": [12, 9, 7, 4, 1, 0],
        "n_off": [30, 20, 11, 6, 0, 1],
        "alpha": 0.1,
        "exposure": np.geomspace(1e12, 2e13, 8) * u.Unit("cm2 s"),
        "edisp": np.clip(np.eye(8, 6, -1) * 0.6 + np.eye(8, 6) * 0.2 + np.eye(8, 6, -2) * 0.2, 0, 1),
        "energy_edges": np.geomspace(0.5, 20, 7) * u.TeV,
        "energy_true_edges": np.geomspace(0.3, 30, 9) * u.TeV,
        "livetime": 1000 * u.s,
        "name": "small",
    }
    return SpectrumDatasetOnOff.from_arrays(**(arguments | changes))


def joint(folder):
    """H.E.S.S., MAGIC and Fermi data of the Crab Nebula as separate data sets, one log-parabola; from gammapy's data."""
    datasets = []
    ranges = {"hess": (0.66, 30), "magic": (0.08, 30), "fermi": (0.03, 2)}
    for name, (low, high) in ranges.items():
        runs = [SpectrumDatasetOnOff.read(p) for p in sorted((folder / name).glob("pha_obs*.fits"))]
        d = Datasets(runs).stack_reduce(name=name)
        d.mask_fit = d.counts.geom.energy_mask(low * u.TeV, high * u.TeV)
        datasets.append(d)
    datasets = Datasets(datasets)
    datasets.models = crab_model()
    return datasets


def cut_off():
    """The embedded data with an exponential cut-off power law far from its minimum."""
    d = embedded()
    spectrum = ExpCutoffPowerLawSpectralModel(
        index=3.5, amplitude=1e-13 / u.cm**2 / u.s / u.TeV, lambda_=1 / u.TeV, reference=1 * u.TeV
    )
    d.models = SkyModel(spectrum, name="crab")
    return d


def many_parameters():
    """Three data sets with a log-parabola each, nine free parameters, held together by one more spectrum they share."""
    datasets = []
    for k, d in enumerate(SpectrumDatasetOnOff.read(p) for p in [*embedded_ogip_files(), embedded_ogip_files()[0]]):
        d = d.copy(name=f"run-{k}")
        d.mask_fit = d.counts.geom.energy_mask((0.6 + 0.1 * k) * u.TeV, 30 * u.TeV)
        datasets.append(d)
    models = []
    for k, d in enumerate(datasets):
        spectrum = LogParabolaSpectralModel(
            amplitude=(2 + k) * 1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.2 + 0.1 * k, beta=0.1
        )
        models.append(SkyModel(spectrum, name=f"source-{k}", datasets_names=[d.name]))
    datasets = Datasets(datasets)
    datasets.models = models
    return datasets


def at_limit():
    """The embedded data with an upper limit on the curvature below its best fit."""
    d = embedded()
    d.models[0].spectral_model.beta.max = 0.05
    d.models[0].spectral_model.beta.value = 0.0
    return d


def two_minima():
    """Two power laws in one spectrum: which of them is the steep one is a choice, so a profile has two branches."""
    d = embedded()
    hard = PowerLawSpectralModel(index=1.8, amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV)
    soft = PowerLawSpectralModel(index=3.0, amplitude=3e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV)
    for spectrum in (hard, soft):
        spectrum.amplitude.min = 0
        spectrum.index.min, spectrum.index.max = 0.5, 6
    truth = [SkyModel(hard, name="hard"), SkyModel(soft, name="soft")]
    d.models = truth
    d.fake(7)
    return d
