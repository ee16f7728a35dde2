"""The problem both sides solve: the two H.E.S.S. runs of the fitting tutorial, and the steps that are timed."""

import os
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["PAIRS", "SCANNED", "Side", "require_data"]

FILES = tuple(f"$GAMMAPY_DATA/joint-crab/spectra/hess/pha_obs{run}.fits" for run in (23523, 23526))
SCANNED = ("amplitude", "alpha", "beta")
PAIRS = tuple(combinations(("alpha", "beta", "amplitude"), 2))

# start of every fit, and the state every warm scan starts from: the same numbers on both sides
START = {"amplitude": 1e-11, "alpha": 2.3, "beta": 0.2}
BEST = {"amplitude": 3.812067947e-11, "alpha": 2.1957068088, "beta": 0.22651365068}
ERROR = {"amplitude": 3.54891365e-12, "alpha": 0.263890497, "beta": 0.140340437}

# options of the tutorial
OPTIONS: dict[str, dict] = {
    "minuit": {"tol": 0.001, "strategy": 1},
    "newton": {},
    "scipy": {"method": "L-BFGS-B", "options": {"ftol": 1e-4, "gtol": 1e-5}},
}

PROFILE = {name: BEST[name] + np.linspace(-2, 2, 17) * ERROR[name] for name in SCANNED}
SURFACE = {name: BEST[name] + np.linspace(-2.5, 2.5, 20) * ERROR[name] for name in ("alpha", "beta")}


def require_data() -> None:
    """Leave with a sentence if the H.E.S.S. files are not there."""
    if not os.environ.get("GAMMAPY_DATA"):
        raise SystemExit(
            "benchmarks: GAMMAPY_DATA is not set. It names the folder of gammapy's data, which `gammapy download datasets` "
            "fetches; the benchmarks read joint-crab/spectra/hess there."
        )
    missing = [p for p in FILES if not Path(os.path.expandvars(p)).exists()]
    if missing:
        raise SystemExit(f"benchmarks: GAMMAPY_DATA is set, but these files are missing: {', '.join(missing)}.")


class Side:
    """One library, used through its public calls; those of gammapy 2, which gammajax has too.

    A subclass imports its library in ``load`` and says how a scan is given its values.

    Attributes
    ----------
    name : str
        "gammapy" or "gammajax".
    datasets : list
        The stacked data set, after `read`.
    """

    name = ""
    api: Any

    def __init__(self) -> None:
        self.datasets: list = []
        self.load()

    def load(self) -> None:
        """Import the library, and keep what is used of it in ``self.api``."""
        raise NotImplementedError

    # -- the steps -----------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Read and stack both runs, set the log-parabola, its limits and the fit range."""
        from astropy import units as u

        api = self.api
        runs = api.Datasets([api.SpectrumDatasetOnOff.read(os.path.expandvars(p)) for p in FILES])
        dataset = runs.stack_reduce(name="HESS")
        spectrum = api.LogParabolaSpectralModel(
            amplitude=START["amplitude"] / u.cm**2 / u.s / u.TeV,
            reference=1 * u.TeV,
            alpha=START["alpha"],
            beta=START["beta"],
        )
        spectrum.alpha.max = 3
        spectrum.alpha.min = 1
        dataset.models = api.SkyModel(spectral_model=spectrum, name="crab")
        dataset.mask_fit = dataset.counts.geom.energy_mask(0.66 * u.TeV, 30 * u.TeV)
        self.datasets = self.wrap(dataset)

    def wrap(self, dataset: Any) -> Any:
        """Collection that holds one data set."""
        return self.api.Datasets([dataset])

    def parameter(self, name: str) -> Any:
        """Parameter of the model, by its short name."""
        return getattr(self.datasets[0].models["crab"].spectral_model, name)

    def set_state(self, values: dict[str, float], errors: dict[str, float] | None = None) -> None:
        """Set values and errors of the free parameters."""
        for name in SCANNED:
            parameter = self.parameter(name)
            parameter.value = values[name]
            parameter.error = 0.0 if errors is None else errors[name]

    def at_start(self) -> None:
        """Go to the start values of the tutorial."""
        self.set_state(START)

    def at_best(self) -> None:
        """Go to the best fit, the same numbers on both sides."""
        self.set_state(BEST, ERROR)

    def fit(self, backend: str = "minuit") -> np.ndarray:
        """Fit from the present values.

        Returns
        -------
        array, shape (7,)
            Statistic, values and errors of the free parameters.
        """
        result = self.api.Fit(backend=backend, optimize_opts=OPTIONS[backend]).run(self.datasets)
        found = [self.parameter(name) for name in SCANNED]
        return np.array([result.total_stat, *(p.value for p in found), *(p.error for p in found)], dtype=float)

    def profiles(self, reoptimize: bool = False) -> np.ndarray:
        """Three profiles of 17 points.

        Returns
        -------
        array, shape (3, 17)
            Statistic.
        """
        return np.array([self.profile(name, PROFILE[name], reoptimize) for name in SCANNED])

    def surface(self, reoptimize: bool = False) -> np.ndarray:
        """Surface of alpha and beta.

        Returns
        -------
        array, shape (20, 20)
            Statistic.
        """
        raise NotImplementedError

    def profile(self, name: str, values: np.ndarray, reoptimize: bool) -> np.ndarray:
        """One profile; the statistic at each of the values."""
        raise NotImplementedError

    def contours(self) -> np.ndarray:
        """Six contours of 10 points: three pairs, sigma 1 and 2.

        Returns
        -------
        array, shape (6, 4)
            Smallest and largest x and y of each. MNCONTOUR puts points there, so these do not depend on how the points
            between are spaced.
        """
        fit = self.api.Fit(backend="minuit", optimize_opts=OPTIONS["minuit"])
        out = []
        for sigma in (1, 2):
            for x, y in PAIRS:
                result = fit.stat_contour(
                    self.datasets, self.parameter(x), self.parameter(y), numpoints=10, sigma=sigma
                )
                px, py = self.contour_points(result, x, y)
                out.append([px.min(), px.max(), py.min(), py.max()])
        return np.array(out)

    def contour_points(self, result: Any, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
        """Points of a contour, x and y."""
        return np.asarray(result[x]), np.asarray(result[y])
