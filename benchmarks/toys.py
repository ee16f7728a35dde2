"""Simulated realisations of the H.E.S.S. runs, all fitted again: pulls and coverage. ``python -m benchmarks.toys`` writes docs/toys.md."""

import argparse
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u

from benchmarks.problem import FILES, require_data

PAGE = Path(__file__).resolve().parents[1] / "docs" / "toys.md"
N = 2000
SEED = 42
SIGMAS = (1, 2, 3)
# deviation of a share from what is expected, in its binomial errors, that is still chance
CHANCE = 3.0


class Share(NamedTuple):
    """How many realisations had the truth inside."""

    what: str
    dimensions: int
    sigma: int
    found: float
    expected: float
    deviation: float


class Toys(NamedTuple):
    """Realisations of one model: their fits, the truth, and the shares."""

    names: list[str]
    result: Any
    pull: np.ndarray
    shares: list[Share]


def observed(model: str) -> Any:
    """H.E.S.S. observations 23523 and 23526, stacked, from 0.66 to 30 TeV, fitted with a model without limits."""
    from gammajax import (
        Datasets,
        Fit,
        LogParabolaSpectralModel,
        PowerLawSpectralModel,
        SkyModel,
        SpectrumDatasetOnOff,
    )

    flux = 3e-11 * u.Unit("cm-2 s-1 TeV-1")
    spectra = {
        "power law": lambda: PowerLawSpectralModel(index=2.5, amplitude=flux, reference=1 * u.TeV),
        "log-parabola": lambda: LogParabolaSpectralModel(alpha=2.3, beta=0.2, amplitude=flux, reference=1 * u.TeV),
    }
    dataset = Datasets([SpectrumDatasetOnOff.read(p) for p in FILES]).stack_reduce("HESS")
    dataset.models = SkyModel(spectra[model](), name="crab")
    dataset.mask_fit = dataset.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
    if not Fit(dataset, backend="newton").run().success:
        raise SystemExit(f"the fit of the {model} failed")
    return dataset


def expected_share(dimensions: int, sigma: int) -> float:
    """Probability of TS <= sigma^2 with so many parameters: 1 - exp(-sigma^2 / 2) for two."""
    from scipy.stats import chi2

    return float(chi2.cdf(sigma**2, dimensions))


def share(what: str, dimensions: int, sigma: int, inside: np.ndarray) -> Share:
    """A share with its deviation in binomial errors."""
    expected = expected_share(dimensions, sigma)
    error = np.sqrt(expected * (1 - expected) / len(inside))
    found = float(np.mean(inside))
    return Share(what, dimensions, sigma, found, expected, (found - expected) / error)


def stat_at_truth(dataset: Any, many: Any) -> np.ndarray:
    """Statistic of each realisation at the models it was drawn from, shape (N,)."""
    from gammajax.stats import wstat
    from gammajax.units import double_precision

    mask = dataset.mask_array
    with double_precision():
        on, off, alpha = (many.arrays[k][:, mask] for k in ("n_on", "n_off", "alpha"))
        return np.asarray(wstat(on, off, alpha, dataset.npred_signal().data[mask])).sum(axis=1)


def run(dataset: Any, n: int = N, seed: int = SEED) -> Toys:
    """Simulate, fit, and compare with the truth: one parameter at a time, all pairs, and all together.

    The TS of some parameters is the statistic with those at the truth and all others fitted, minus that of the best fit.
    """
    from gammajax import Fit, SpectrumBatch

    many = SpectrumBatch.simulate(dataset, n, seed)
    result = Fit().run_each(many)
    at = np.flatnonzero(result.free)
    live = [p for p in dataset.models.parameters if not p.frozen]
    names = [p.name for p in live]
    truth = np.array([p.value for p in live])
    pull = (result.value[:, at] - truth) / result.error[:, at]
    shares = [share(f"pull of {name}", 1, s, np.abs(pull[:, k]) <= s) for k, name in enumerate(names) for s in SIGMAS]
    for count in range(1, len(live) + 1):
        for chosen in combinations(live, count):
            if count == len(live):
                null = stat_at_truth(dataset, many)
            else:
                null = _fitted_with(many, chosen)
            what = "TS of " + ", ".join(p.name for p in chosen)
            shares += [share(what, count, s, null - result.total_stat <= s * s) for s in SIGMAS]
    return Toys(names, result, pull, shares)


def _fitted_with(many: Any, held: Any) -> np.ndarray:
    """Statistic of each realisation with some parameters held where they are."""
    from gammajax import Fit

    for p in held:
        p.frozen = True
    try:
        result = Fit().run_each(many)
    finally:
        for p in held:
            p.frozen = False
    if not result.success.all():
        raise SystemExit(f"with {', '.join(p.name for p in held)} held: {result}")
    return result.total_stat


def at_limit(dataset: Any, n: int = N, seed: int = SEED) -> tuple[Any, Any]:
    """Fits of the same realisations of a log-parabola without limits, and with beta >= 0."""
    from gammajax import Fit, SpectrumBatch

    many = SpectrumBatch.simulate(dataset, n, seed)
    free = Fit().run_each(many)
    beta = next(p for p in many.models.parameters if p.name == "beta")
    beta.min = 0.0
    try:
        return free, Fit().run_each(many)
    finally:
        beta.min = np.nan


def page() -> str:
    """The page for the documentation."""
    lines = [
        "# Simulations fitted again",
        "",
        f"{N} realisations of H.E.S.S. observations 23523 and 23526 of the Crab Nebula, stacked, 32 bins from 0.66 to 30 TeV in the",
        "fit, about 234 counts above the background. They are drawn from the best fit of each model (seed",
        f"{SEED}), and each is fitted by `fit.run_each` in one batch. Written by `python -m benchmarks.toys`; `tests/fit/test_toys.py`",
        "(slow) holds all shares to three binomial errors.",
        "",
        "- *pull*: (best fit - truth) / error of the exact Hessian; the share within 1, 2 and 3.",
        "- *TS*: the statistic with these parameters at the truth and all others fitted again, minus that of the best fit; the share with",
        "  TS of at most 1, 4 and 9. The chi2 of as many degrees of freedom says how large it should be: 1 - exp(-N^2 / 2) for two.",
        "- *dev.*: deviation from that in binomial errors.",
        "",
    ]
    for model in ("power law", "log-parabola"):
        dataset = observed(model)
        toys = run(dataset)
        lines += [f"## {model.capitalize()}, no limits", "", f"Ends: {toys.result}.", ""]
        lines += ["| parameter | mean of the pulls | standard deviation |", "|---|---|---|"]
        for k, name in enumerate(toys.names):
            lines.append(f"| {name} | {toys.pull[:, k].mean():+.3f} | {toys.pull[:, k].std():.3f} |")
        lines += ["", "| | 1 sigma | dev. | 2 sigma | dev. | 3 sigma | dev. |", "|---|---|---|---|---|---|---|"]
        for what in dict.fromkeys(s.what for s in toys.shares):
            row = [s for s in toys.shares if s.what == what]
            lines.append(f"| {what} | " + " | ".join(f"{s.found:.4f} | {s.deviation:+.1f}" for s in row) + " |")
        lines += ["| expected, one parameter | " + _expected(1) + " |", "| expected, two | " + _expected(2) + " |"]
        lines += (["| expected, three | " + _expected(3) + " |"] if len(toys.names) > 2 else []) + [""]
    free, limited = at_limit(dataset)
    below = free.value[:, free.names.index("crab.spectral.beta")] < 0
    lines += [
        "## Log-parabola with beta >= 0",
        "",
        f"Ends: {limited}.",
        f"Without the limit {int(below.sum())} of the same realisations have their minimum at beta < 0; those and no others end on the",
        "limit.",
        "",
    ]
    return "\n".join(lines)


def _expected(dimensions: int) -> str:
    return " | ".join(f"{expected_share(dimensions, s):.4f} |" for s in SIGMAS)


def main() -> None:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-store", action="store_true", help="print the page instead of writing it")
    options = parser.parse_args()
    require_data()
    text = page()
    if options.no_store:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
