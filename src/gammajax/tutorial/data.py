"""The spectra of the tutorial: H.E.S.S. Crab runs where they are, otherwise the embedded simulation."""

import os
from pathlib import Path

from astropy import units as u

from gammajax.data import embedded_ogip_files
from gammajax.datasets import Datasets, SpectrumDatasetOnOff
from gammajax.models import LogParabolaSpectralModel, SkyModel

__all__ = ["crab_model", "load", "ogip_files"]

HESS = "joint-crab/spectra/hess/pha_obs{}.fits"
RUNS = (23523, 23526)
ENERGY_RANGE = (0.66 * u.TeV, 30 * u.TeV)


def ogip_files() -> tuple[list[Path], str]:
    """Paths of the two spectra, and a sentence that says which they are."""
    root = os.environ.get("GAMMAPY_DATA")
    if root:
        found = [Path(root).expanduser() / HESS.format(run) for run in RUNS]
        if all(p.exists() for p in found):
            return found, "H.E.S.S. observations 23523 and 23526 of the Crab Nebula, from $GAMMAPY_DATA"
        reason = "GAMMAPY_DATA is set, but holds no joint-crab/spectra/hess"
    else:
        reason = "GAMMAPY_DATA is not set"
    return embedded_ogip_files(), f"the embedded SIMULATED data set ({reason})"


def crab_model() -> SkyModel:
    """Log-parabola with the tutorial's start values and limits."""
    spectrum = LogParabolaSpectralModel(
        amplitude=1e-11 / u.cm**2 / u.s / u.TeV, reference=1 * u.TeV, alpha=2.3, beta=0.2
    )
    spectrum.alpha.max = 3
    spectrum.alpha.min = 1
    return SkyModel(spectral_model=spectrum, name="crab")


def load(paths: list[Path]) -> SpectrumDatasetOnOff:
    """Read and stack the spectra, set the model and the fit range."""
    dataset = Datasets([SpectrumDatasetOnOff.read(p) for p in paths]).stack_reduce(name="HESS")
    dataset.models = crab_model()
    dataset.mask_fit = dataset.counts.geom.energy_mask(*ENERGY_RANGE)
    return dataset
