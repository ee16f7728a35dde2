"""Many fits at once beside gammapy: ``python -m benchmarks.many``."""

import argparse
import json
import resource
import warnings
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from astropy import units as u

from benchmarks.__main__ import PACKAGES, RESULTS, machine
from benchmarks.problem import FILES, require_data

N = 10_000
REPEATS = 5
# what the project promises: seconds and bytes for N fits, gammapy's time over ours for flux points
PROMISED = {"seconds": 0.6, "bytes": 2e9, "flux points": 1000}


def best(call: Any, repeats: int = REPEATS) -> tuple[float, Any]:
    """Median of the seconds of some calls, and the last result; the first call compiles and does not count."""
    call()
    seconds = []
    for _ in range(repeats):
        begin = perf_counter()
        out = call()
        seconds.append(perf_counter() - begin)
    return median(seconds), out


def batch(own: bool) -> Any:
    """N spectra of 32 bins with a log-parabola of three free parameters, with the same response or each with its own."""
    from gammajax import Datasets, LogParabolaSpectralModel, SkyModel
    from gammajax.response import diagonal_dispersion

    edges, true = np.geomspace(0.5, 30, 33) * u.TeV, np.geomspace(0.3, 50, 41) * u.TeV
    background = np.geomspace(30, 0.3, 32)
    dispersion = diagonal_dispersion(true.value, edges.value)
    if own:
        dispersion = dispersion * np.random.default_rng(2).uniform(0.8, 1.0, (N, 1, 1))
    begin = perf_counter()
    many = Datasets.from_arrays(
        np.ones((N, 32)), np.broadcast_to(background * 10, (N, 32)), 0.1, exposure=np.full(40, 3e13) * u.Unit("cm2 s"),
        edisp=dispersion, energy_edges=edges, energy_true_edges=true,
    )  # fmt: skip
    many.models = SkyModel(
        LogParabolaSpectralModel(alpha=2.3, beta=0.1, reference=1 * u.TeV, amplitude=2e-11 * u.Unit("cm-2 s-1 TeV-1")),
        name="s",
    )
    many.fake(1, npred_background=background)
    return many, perf_counter() - begin


def fits() -> dict[str, Any]:
    """Seconds of N fits, with shared and with own responses; packing and simulating apart."""
    from gammajax import Fit

    out: dict[str, Any] = {}
    for name, own in (("shared response", False), ("own responses", True)):
        many, packing = batch(own)
        seconds, result = best(lambda many=many: Fit().run_each(many))
        one = Fit(many[7], backend="newton").run()
        difference = abs(one.total_stat - result.total_stat[7])
        if not result.success.all() or difference > 1e-7:
            raise SystemExit(f"{name}: {(~result.success).sum()} fits failed, statistic differs by {difference:.1e}")
        out[name] = {"seconds": seconds, "packing": packing, "steps": float(result.iterations.mean())}
    out["largest resident size, bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return out


def flux_points() -> dict[str, Any]:
    """Seconds of 8 flux points with everything, of gammapy and of gammajax, on the H.E.S.S. observations of the Crab Nebula."""
    from gammapy.datasets import Datasets as TheirDatasets
    from gammapy.datasets import SpectrumDatasetOnOff as Theirs
    from gammapy.estimators import FluxPointsEstimator as TheirEstimator
    from gammapy.modeling import models

    from gammajax import Datasets, FluxPointsEstimator, LogParabolaSpectralModel, SkyModel, SpectrumDatasetOnOff

    require_data()
    shape = {"amplitude": 3.8e-11 / u.cm**2 / u.s / u.TeV, "reference": 1 * u.TeV, "alpha": 2.196, "beta": 0.2265}
    ours = Datasets([Datasets([SpectrumDatasetOnOff.read(p) for p in FILES]).stack_reduce("HESS")])
    ours.models = SkyModel(LogParabolaSpectralModel(**shape), name="crab")
    theirs = TheirDatasets([TheirDatasets([Theirs.read(p) for p in FILES]).stack_reduce(name="HESS")])
    theirs.models = [models.SkyModel(models.LogParabolaSpectralModel(**shape), name="crab")]
    axis = ours[0].counts.geom.axis.edges_tev
    edges = axis[(axis > 0.66) & (axis < 30)][::4][:9] * u.TeV
    estimator = FluxPointsEstimator(edges, "crab", selection_optional="all")
    other = TheirEstimator(energy_edges=edges, source="crab", selection_optional="all")
    begin = perf_counter()
    expected = other.run(theirs)
    slow = perf_counter() - begin
    fast, found = best(lambda: estimator.run(ours), 20)
    pull = float(np.max(np.abs(found.norm - expected.norm.data.ravel()) / found.norm_err))
    if not pull < 0.05:
        raise SystemExit(f"the flux points differ by {pull:.2g} errors")
    return {"points": len(found.norm), "gammapy": slow, "gammajax": fast, "ratio": slow / fast, "largest pull": pull}


def main() -> None:
    """Time, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-gammapy", action="store_true", help="leave gammapy out")
    parser.add_argument("--no-store", action="store_true", help="do not write the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {"fits": N, "promised": PROMISED, **fits()}
    for name in ("shared response", "own responses"):
        row = results[name]
        print(
            f"{N} fits, {name}: {row['seconds']:.3f} s (promised {PROMISED['seconds']}), packing {row['packing']:.2f} s"
        )
    print(f"largest resident size {results['largest resident size, bytes'] / 1e9:.2f} GB (promised 2)")
    if not options.no_gammapy:
        row = results["flux points"] = flux_points()
        print(
            f"{row['points']} flux points with everything: gammapy {row['gammapy']:.2f} s, gammajax {1e3 * row['gammajax']:.2f} ms, "
            f"ratio {row['ratio']:.0f} (promised {PROMISED['flux points']}), largest pull {row['largest pull']:.1e}"
        )
    if not options.no_store:
        results["versions"] = {name: version(name) for name in PACKAGES}
        results["machine"] = machine()
        (RESULTS / "many-cpu.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
