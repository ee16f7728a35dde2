"""Make the small simulated ON/OFF data set that gammajax carries in ``src/gammajax/data``.

Two runs of a made-up Cherenkov telescope pointed at a source with the spectrum of the Crab Nebula as published by
H.E.S.S. (Aharonian et al. 2006, A&A 457, 899, Table 6: power law with exponential cut-off, 3.76e-11 cm-2 s-1 TeV-1 at
1 TeV, index 2.39, cut-off at 14.3 TeV). No measured data enter. Run it from the root of the repository:

    python scripts/make_embedded_data.py
"""

from pathlib import Path

import numpy as np
from astropy import units as u

from gammajax import ExpCutoffPowerLawSpectralModel, SkyModel, SpectrumDatasetOnOff

SEED = 20061
FOLDER = Path(__file__).parents[1] / "src" / "gammajax" / "data"
RECO = np.geomspace(0.1, 100.0, 37)
TRUE = np.geomspace(0.05, 200.0, 49)


def effective_area(energy: np.ndarray, zenith_factor: float) -> np.ndarray:
    """Effective area in cm2: a steep rise above a threshold, then a slow one, as Cherenkov telescopes have it."""
    threshold = 0.35 * zenith_factor
    return 1.6e9 * zenith_factor / (1 + (threshold / energy) ** 3.5) * (1 + 0.15 * np.log10(1 + energy))


def dispersion(bias: float) -> np.ndarray:
    """Log-normal energy dispersion: 30 % wide at threshold, 15 % at high energies, with a small bias."""
    centre = np.sqrt(TRUE[:-1] * TRUE[1:])
    width = 0.15 + 0.15 / (1 + centre / 0.3)
    # integrated over each reconstructed bin, averaged over 9 points of each true bin
    points = np.exp(np.log(TRUE[:-1])[:, None] + (np.arange(9) + 0.5) / 9 * np.log(TRUE[1:] / TRUE[:-1])[:, None])
    z = (np.log(RECO) - np.log(points * (1 + bias))[..., None]) / width[:, None, None]
    cumulative = 0.5 * (1 + np.vectorize(_erf)(z / np.sqrt(2)))
    matrix = np.diff(cumulative, axis=-1).mean(axis=1)
    return np.where(matrix > 1e-6, matrix, 0.0)


def _erf(x: float) -> float:
    from math import erf

    return erf(x)


def simulate(
    name: str, livetime: float, zenith_factor: float, bias: float, n_off_regions: int, seed: int
) -> SpectrumDatasetOnOff:
    """One run: ON and OFF counts drawn from source and background."""
    area = effective_area(np.sqrt(TRUE[:-1] * TRUE[1:]), zenith_factor)
    # background of the ON region: a power law in reconstructed energy, about 12 counts in half an hour above 0.3 TeV
    shape = np.diff(-(RECO**-1.7)) / np.maximum(1, (0.3 / RECO[:-1]) ** 3)
    background = shape * 1.6 * livetime / 1800
    dataset = SpectrumDatasetOnOff.from_arrays(
        np.zeros(len(RECO) - 1),
        np.zeros(len(RECO) - 1),
        exposure=u.Quantity(area * livetime, "cm2 s"),
        edisp=dispersion(bias),
        energy_edges=u.Quantity(RECO, "TeV"),
        energy_true_edges=u.Quantity(TRUE, "TeV"),
        acceptance=1.0,
        acceptance_off=float(n_off_regions),
        mask_safe=RECO[:-1] >= 0.4 * zenith_factor,
        livetime=u.Quantity(livetime, "s"),
        ontime=u.Quantity(livetime / 0.94, "s"),
        name=name,
    )
    crab = ExpCutoffPowerLawSpectralModel(
        index=2.39,
        amplitude=u.Quantity(3.76e-11, "cm-2 s-1 TeV-1"),
        reference=1 * u.TeV,
        lambda_=1 / (14.3 * u.TeV),
    )
    dataset.models = SkyModel(spectral_model=crab, name="crab")
    dataset.fake(np.random.default_rng(seed), npred_background=background)
    return dataset


def main() -> None:
    """Simulate and write both runs."""
    FOLDER.mkdir(exist_ok=True)
    runs = [("sim-1", 1580.0, 1.0, 0.01, 12, SEED), ("sim-2", 1570.0, 1.1, -0.02, 12, SEED + 1)]
    for run in runs:
        dataset = simulate(*run)
        dataset.write(FOLDER / f"pha_{run[0]}.fits", overwrite=True)
        print(f"{run[0]}: {dataset.counts.data.sum():g} ON, {dataset.counts_off.data.sum():g} OFF counts")


if __name__ == "__main__":
    main()
