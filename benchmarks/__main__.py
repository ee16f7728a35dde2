"""Run the benchmarks: ``python -m benchmarks``."""

import argparse
import json
import logging
import os
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.cold import SIDES, fresh_process
from benchmarks.problem import ERROR, PAIRS, SCANNED, require_data

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("gammapy", "gammajax", "jax", "jaxlib", "iminuit", "numpy", "scipy", "astropy")
# gammapy / gammajax that the project promises
PROMISED = {"fit, minuit": 60, "fit, newton": 60, "surface, re-optimised": 300, "cold tutorial": 8}
# of the time that gammapy takes for importing, reading, fitting and printing: 0.9, and 0.7 with a warm cache
PROMISED |= {"cold fit": 1 / 0.9, "cold fit, warm cache": 1 / 0.7}
# a fast call is repeated in one visit until this many seconds are over, at most so many times
VISIT, VISIT_CALLS = 0.1, 5
WARM = 3.0


def machine() -> str:
    """The processor in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {name}, {platform.system()}, Python {platform.python_version()}"


def visit(prepare: Callable[[], None], call: Callable[[], Any], once: bool) -> tuple[list[float], Any]:
    """Seconds of some calls in a row, and what the last one returned."""
    seconds: list[float] = []
    out = None
    while not seconds or (not once and sum(seconds) < VISIT and len(seconds) < VISIT_CALLS):
        prepare()
        start = perf_counter()
        out = call()
        seconds.append(perf_counter() - start)
    return seconds, out


def compare(label: str, gammapy: np.ndarray, gammajax: np.ndarray) -> dict[str, Any]:
    """Largest difference of two results, beside what is allowed.

    Statistics may differ by 1e-3, fitted values, errors and contours by 1e-2 of an error: gammapy's inputs are float32,
    its optimiser has a tolerance, and its errors come from MIGRAD's estimate of the covariance.
    """
    scale = np.array([ERROR[name] for name in SCANNED])
    if label == "fit, scipy":
        # the tutorial's loose options end anywhere near the minimum, and gammapy gives no errors there
        pieces = {"stat": (abs(gammapy[0] - gammajax[0]), 5e-3)}
    elif label.startswith("fit"):
        pieces = {
            "stat": (abs(gammapy[0] - gammajax[0]), 1e-3),
            "values and errors, in errors": (np.max(np.abs(gammapy[1:] - gammajax[1:]) / np.tile(scale, 2)), 1e-2),
        }
    elif label == "contours":
        widths = np.array([[ERROR[x]] * 2 + [ERROR[y]] * 2 for _ in (1, 2) for x, y in PAIRS])
        pieces = {"extent, in errors": (np.max(np.abs(gammapy - gammajax) / widths), 1e-2)}
    else:
        pieces = {"stat": (np.max(np.abs(gammapy - gammajax)), 1e-3)}
    return {
        what: {"difference": float(difference), "allowed": allowed, "agree": bool(difference <= allowed)}
        for what, (difference, allowed) in pieces.items()
    }


def warm(sides: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Time the warm steps, the two sides by turns.

    Parameters
    ----------
    sides : dict of str to `Side`
        Both libraries, data read.
    repeats : int
        Visits to each side; gammapy's re-optimised scans are timed once.
    """
    # what gammapy does, and by row of the table what gammajax does beside it
    fits = {f"fit, {backend}": lambda s, b=backend: s.fit(b) for backend in ("minuit", "newton")}
    steps: list = [("start", fits["fit, minuit"], fits)]
    for what in ("profiles", "surface"):
        for kind, reoptimize in (("frozen", False), ("re-optimised", True)):

            def scan(side: Any, what: str = what, reoptimize: bool = reoptimize) -> np.ndarray:
                return getattr(side, what)(reoptimize=reoptimize)

            steps.append(("best", scan, {f"{what}, {kind}": scan}))
    out = {}
    for state, theirs, ours in steps:
        out |= warm_step(sides, state, theirs, ours, repeats)
    return out


def warm_step(
    sides: dict[str, Any],
    state: str,
    theirs: Callable[[Any], Any],
    ours: dict[str, Callable[[Any], Any]],
    repeats: int,
) -> dict[str, Any]:
    """Time one step of gammapy by turns with one or more of gammajax; a row for each of these."""
    slow = any(label.endswith("re-optimised") for label in ours)
    gammapy, gammajax = sides["gammapy"], sides["gammajax"]

    def at(side: Any, call: Callable[[Any], Any], once: bool) -> tuple[list[float], Any]:
        return visit(side.at_start if state == "start" else side.at_best, lambda: call(side), once)

    # a first call of each is not counted: it compiles, or fills caches
    if not slow:
        at(gammapy, theirs, once=True)
    for call in ours.values():
        # small scans are computed point by point until compiling for them pays
        begin = perf_counter()
        while perf_counter() - begin < WARM:
            at(gammajax, call, once=True)
    seconds: dict[str, list[float]] = {label: [] for label in ours}
    exact, seconds_gammapy, expected = {}, [], None
    for turn in range(repeats):
        if not (slow and turn):
            some, expected = at(gammapy, theirs, once=True)
            seconds_gammapy += some
        for label, call in ours.items():
            some, exact[label] = at(gammajax, call, once=False)
            seconds[label] += some
    rows = {}
    for label, call in ours.items():
        # timed with exact bin integrals; compared with gammapy's scheme, so that all but the scheme is compared
        gammajax.integrate_as_gammapy(True)
        _, same_scheme = at(gammajax, call, once=True)
        gammajax.integrate_as_gammapy(False)
        rows[label] = entry(label, {"gammapy": seconds_gammapy, "gammajax": seconds[label]})
        rows[label]["difference_exact_integrals"] = compare(label, expected, exact[label])
        rows[label]["agreement"] = compare(label, expected, same_scheme)
        show(label, rows[label])
    return rows


def entry(label: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, their ratio, and all the times they come from."""
    middle = {name: median(seconds[name]) for name in SIDES}
    return {
        "median_s": middle,
        "ratio": middle["gammapy"] / middle["gammajax"],
        "promised": PROMISED.get(label),
        "seconds": seconds,
    }


def cold(runs: int) -> dict[str, Any]:
    """Time the cold process, the two sides by turns."""
    label = "cold tutorial"
    done: dict[str, list[dict]] = {name: [] for name in SIDES}
    for _ in range(runs):
        for name in SIDES:
            done[name].append(fresh_process(name))
    out = entry(label, {name: [d["wall"] for d in done[name]] for name in SIDES})
    out["steps_s"] = {
        name: {step: median(d["seconds"][step] for d in done[name]) for step in done[name][0]["seconds"]}
        for name in SIDES
    }
    out["compiled_s"] = {
        step: {kind: median(d["compiled"][step][kind] for d in done["gammajax"]) for kind in kinds}
        for step, kinds in done["gammajax"][0]["compiled"].items()
    }
    # the frozen scans start from each side's own fit, so they are compared in the warm part only
    pairs = {
        step: [np.array(done[name][0]["numbers"][step]) for name in SIDES] for step in done["gammapy"][0]["numbers"]
    }
    out["agreement"] = {
        f"{step}: {what}": piece
        for step in ("fit, scipy", "fit, minuit", "contours")
        for what, piece in compare(step, *pairs[step]).items()
    }
    show(label, out)
    return out


def cold_fit(runs: int) -> dict[str, Any]:
    """Time processes that only import, read, fit and print, without and with a warm compilation cache."""
    with TemporaryDirectory() as folder:
        folder = str(Path(folder) / "cache")
        fresh_process("gammajax", "fit", folder)
        done: dict[str, list[dict]] = {name: [] for name in (*SIDES, "cached")}
        for _ in range(runs):
            for name in SIDES:
                done[name].append(fresh_process(name, "fit"))
            done["cached"].append(fresh_process("gammajax", "fit", folder))
    rows = {}
    for label, ours in (("cold fit", "gammajax"), ("cold fit, warm cache", "cached")):
        pair = {"gammapy": done["gammapy"], "gammajax": done[ours]}
        rows[label] = entry(label, {name: [d["wall"] for d in some] for name, some in pair.items()})
        rows[label]["agreement"] = compare(
            "fit, minuit", *(np.array(some[0]["numbers"]["fit, minuit"]) for some in pair.values())
        )
        show(label, rows[label])
    return rows


def show(label: str, row: dict[str, Any]) -> None:
    """Print one line of the table, and where the two sides disagree."""
    promised = "" if row["promised"] is None else f"{row['promised']:g}"
    middle = row["median_s"]
    verdict = "" if row["promised"] is None else ("met" if row["ratio"] >= row["promised"] else "NOT MET")
    agree = all(piece["agree"] for piece in row["agreement"].values())
    print(
        f"{label:24s} {middle['gammapy']:11.4f} {middle['gammajax']:12.5f} {row['ratio']:9.1f} {promised:>9s} "
        f"{verdict:8s} {'agree' if agree else 'DISAGREE'}",
        flush=True,
    )
    for what, piece in row["agreement"].items():
        if not piece["agree"]:
            print(f"    {what} differs by {piece['difference']:.3g}, allowed {piece['allowed']:.3g}")


def show_cold(row: dict[str, Any]) -> None:
    """Print the steps of the cold process."""
    print(
        f"\n{'cold process, by step':24s} {'gammapy/s':>11s} {'gammajax/s':>12s} {'trace':>8s} {'lower':>8s} {'compile':>8s}"
    )
    for step, seconds in row["steps_s"]["gammapy"].items():
        made = row["compiled_s"].get(step, {"trace": 0.0, "lower": 0.0, "compile": 0.0})
        print(
            f"{step:24s} {seconds:11.3f} {row['steps_s']['gammajax'][step]:12.3f} "
            f"{made['trace']:8.3f} {made['lower']:8.3f} {made['compile']:8.3f}"
        )


def main() -> None:
    """Parse the command line, run, print the table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="gammajax beside gammapy.")
    parser.add_argument("--repeats", type=int, default=7, help="warm visits to each side")
    parser.add_argument("--cold-runs", type=int, default=3, help="cold processes of each side")
    parser.add_argument("--only", choices=("warm", "cold"), help="one part; nothing is written")
    parser.add_argument("--name", default="tutorial-cpu", help="name of the file in benchmarks/results")
    arguments = parser.parse_args()
    if min(arguments.repeats, arguments.cold_runs) < 1:
        parser.error("--repeats and --cold-runs: expected at least 1.")
    require_data()
    try:
        versions = {name: version(name) for name in PACKAGES}
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"benchmarks: {error}; install the extra of the benchmarks: pip install -e '.[oracle]'."
        ) from None

    from benchmarks.gammajax_side import GammajaxSide
    from benchmarks.gammapy_side import GammapySide

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(f"{machine()}; " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    print(f"{'':24s} {'gammapy/s':>11s} {'gammajax/s':>12s} {'ratio':>9s} {'promised':>9s}")
    rows: dict[str, Any] = {}
    if arguments.only != "cold":
        sides: dict[str, Any] = {"gammapy": GammapySide(), "gammajax": GammajaxSide()}
        for side in sides.values():
            side.read()
        rows |= warm(sides, arguments.repeats)
    if arguments.only != "warm":
        rows["cold tutorial"] = cold(arguments.cold_runs)
        rows |= cold_fit(arguments.cold_runs)
        show_cold(rows["cold tutorial"])
    if arguments.only is None:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{arguments.name}.json"
        path.write_text(json.dumps({"machine": machine(), "versions": versions, "rows": rows}, indent=1) + "\n")
        print(f"\nWrote {path.relative_to(RESULTS.parent.parent)}.")
    if not all(piece["agree"] for row in rows.values() for piece in row["agreement"].values()):
        raise SystemExit("benchmarks: the two libraries disagree, see above; the ratios mean nothing.")


if __name__ == "__main__":
    main()
