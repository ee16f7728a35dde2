"""The steps of the tutorial."""

from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.fit import Fit, FitResult
from gammajax.io.tables import write_table
from gammajax.tutorial.data import load, ogip_files

__all__ = ["run"]

BACKENDS = {
    "newton": {},
    "minuit": {"tol": 0.001, "strategy": 1},
    "scipy": {"method": "L-BFGS-B", "options": {"ftol": 1e-4, "gtol": 1e-05}},
    "optax": {"method": "lbfgs"},
    "sherpa": {"method": "simplex", "ftol": 1e-3, "maxfev": 10000},
}
PAIRS = list(combinations(["alpha", "beta", "amplitude"], 2))


class Report:
    """Prints what is done, and writes figures and tables to a folder."""

    def __init__(self, folder: Path, plots: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.plots, self.start = folder, plots, perf_counter()
        self.figures = self.tables = 0

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"[{perf_counter() - self.start:6.2f} s] {text}", flush=True)

    def table(self, name: str, table: Any) -> None:
        """Write an ECSV table."""
        write_table(table, self.folder / f"{name}.ecsv", overwrite=True)
        self.tables += 1

    def figure(self, name: str, draw: Any) -> None:
        """Draw with ``draw()``, which returns a figure, and write it as PNG."""
        if not self.plots:
            return
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure = draw()
        figure.savefig(self.folder / f"{name}.png", dpi=110, bbox_inches="tight")
        plt.close(figure)
        self.figures += 1


def run(output: str | Path, plots: bool = True) -> dict[str, FitResult]:
    """Run the whole analysis.

    Parameters
    ----------
    output : str or path
        Folder for PNG figures and ECSV tables; made if it is not there.
    plots : bool
        Whether to draw.

    Returns
    -------
    dict of str to `FitResult`
        The fit of each backend.
    """
    from gammajax.tutorial import figures

    report = Report(Path(output), plots)
    paths, which = ogip_files()
    report.say(f"Reading {which}.")
    dataset = load(paths)
    assert dataset.models is not None
    print(dataset)
    report.figure("01_peek", lambda: figures.of(dataset.peek()))
    results = _fit_all(dataset, report)
    best = results["minuit"]
    # scans start from the tightest fit; the tutorial's loose ones are kept for comparison
    fit = Fit([dataset], backend="newton")
    fit.run()
    report.figure("02_fit", lambda: figures.of(dataset.plot_fit()))
    print(best.parameters)
    report.table("parameters", best.models.to_parameters_table())
    report.table("covariance", best.covariance.to_table())
    spectrum = dataset.models["crab"].spectral_model
    print(f"alpha = {spectrum.alpha.value:.4f} +- {spectrum.alpha.error:.4f}")
    report.figure("03_correlation", lambda: figures.of(best.covariance.plot_correlation()))
    report.figure("04_spectrum", lambda: figures.spectrum(spectrum))
    _profiles(fit, dataset, report, figures)
    _contours(fit, report, figures)
    _surfaces(fit, report, figures)
    report.say(f"Wrote {report.figures} figures and {report.tables} tables to {report.folder}.")
    return results


def _fit_all(dataset: Any, report: Report) -> dict[str, FitResult]:
    from gammajax.parameters import Parameters

    spectrum = dataset.models["crab"].spectral_model
    pars: Parameters = spectrum.parameters
    start = pars.value
    results = {}
    for backend, options in BACKENDS.items():
        pars.value = start
        try:
            result = Fit([dataset], store_trace=True).run(backend=backend, optimize_opts=options)
        except InputError as error:
            if backend != "sherpa":
                raise
            report.say(f"Skipped: {error}")
            continue
        report.say(f"Fitted with {backend}, {result.method}.")
        print(result)
        report.table(f"trace_{backend}", result.trace)
        results[backend] = result
    return results


def _profiles(fit: Fit, dataset: Any, report: Report, figures: Any) -> None:
    profiles = []
    for parameter in dataset.models.parameters.free_parameters:
        parameter.scan_n_values = 17
        for reoptimize in (False, True):
            scan = fit.stat_profile(parameter, reoptimize=reoptimize)
            report.table(f"profile_{parameter.name}_{scan.kind}", scan.to_table())
            profiles.append(scan)
    report.say("Computed three profiles of 17 points, frozen and re-optimised.")
    for parameter in dataset.models.parameters.free_parameters:
        print(f"  {fit.confidence(parameter)}")
    report.figure("05_profiles", lambda: figures.profiles(profiles))


def _contours(fit: Fit, report: Report, figures: Any) -> None:
    from astropy.table import Table

    contours = []
    for sigma in (1, 2):
        for x, y in PAIRS:
            contour = fit.stat_contour(x, y, numpoints=10, sigma=sigma)
            contours.append(contour)
            print(f"  {contour}")
            table = Table(
                {
                    x: u.Quantity(contour.x, contour.units[0]),
                    y: u.Quantity(contour.y, contour.units[1]),
                    "ts": contour.ts,
                }
            )
            report.table(f"contour_{x}_{y}_{sigma}sigma", table)
    report.say("Traced six contours of 10 points, and measured the re-optimised TS of each point.")
    report.figure("06_contours", lambda: figures.contours(contours))


def _surfaces(fit: Fit, report: Report, figures: Any) -> None:
    assert fit.datasets is not None
    found = fit.datasets.parameters
    alpha, beta = found["alpha"], found["beta"]
    axes = [np.linspace(p.value - 2.5 * p.error, p.value + 2.5 * p.error, 20) for p in (alpha, beta)]
    for reoptimize in (False, True):
        scan = fit.stat_surface(alpha, beta, *axes, reoptimize=reoptimize)
        print(scan)
        report.table(f"surface_alpha_beta_{scan.kind}", scan.to_table())
        report.figure(f"07_surface_{scan.kind}", lambda s=scan: figures.of(s.plot()))
    report.say("Computed the 20 x 20 surface of alpha and beta, frozen and re-optimised.")
