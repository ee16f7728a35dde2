"""Scans beside gammapy and beside numba with iminuit: ``python -m benchmarks.scans``."""

import argparse
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.__main__ import PACKAGES, RESULTS, WARM, machine
from benchmarks.problem import BEST, ERROR, PROFILE, SURFACE, require_data

# seconds of gammapy and of numba with iminuit on one core, over those of gammajax
PROMISED = {
    "20 x 20 surface, re-optimised": (10_000, 15),
    "20 x 20 surface, frozen": (2_000, 1),
    "300 x 300 surface, frozen": (5_000, 2),
    "3 profiles x 17, re-optimised": (2_000, 5),
    "6 contours x 10": (3_000, 2),
    "1000 x 1000 surface, re-optimised": (10_000, 15),
}
# a fast call is repeated in one visit until this many seconds are over
VISIT = 0.15
SIDES = ("gammapy", "sherpa", "numba", "numba, two cores", "gammajax")


def fine(n: int) -> dict[str, np.ndarray]:
    """Axes of n nodes over the range of the small surface."""
    return {name: np.linspace(v[0], v[-1], n) for name, v in SURFACE.items()}


def visit(call: Callable[[], Any]) -> list[float]:
    """Seconds of some calls in a row."""
    seconds: list[float] = []
    while not seconds or sum(seconds) < VISIT:
        begin = perf_counter()
        call()
        seconds.append(perf_counter() - begin)
    return seconds


def steps(numba: Any, two: Any, side: Any) -> dict[str, tuple]:
    """For each row: calls of numba on one core and on two, of gammajax, and what the peers' times are multiplied by."""
    from benchmarks.peers.numba_wstat import all_pairs

    small, large = (SURFACE["alpha"], SURFACE["beta"]), tuple(fine(300).values())

    def contours(peer: Any) -> Callable[[], Any]:
        return lambda: peer.contours(all_pairs(), (1, 2), 10)

    return {
        "20 x 20 surface, re-optimised": (
            lambda: numba.surface(*small), lambda: two.surface(*small), lambda: side.surface(True), 1,
        ),
        "20 x 20 surface, frozen": (
            lambda: numba.frozen(*small), lambda: two.frozen(*small), lambda: side.surface(False), 1,
        ),
        "300 x 300 surface, frozen": (
            lambda: numba.frozen(*large), lambda: two.frozen(*large), lambda: side.grid(300, False), 1,
        ),
        "3 profiles x 17, re-optimised": (
            lambda: numba.profiles(PROFILE), lambda: two.profiles(PROFILE), side.all_profiles, 1,
        ),
        "6 contours x 10": (contours(numba), contours(two), side.all_contours, 1),
        # the peers by the same 400 nodes, 2500 times
        "1000 x 1000 surface, re-optimised": (
            lambda: numba.surface(*small), lambda: two.surface(*small), lambda: side.grid(1000, True), 2500,
        ),
    }  # fmt: skip


def time_gammapy(side: Any) -> dict[str, float]:
    """Seconds of gammapy: each step once, after a fit, as in any analysis, and a first frozen surface, not counted.

    On models that never were fitted gammapy scans four times faster: their covariance is not there to be carried along.
    """

    def once(call: Callable[[], Any]) -> float:
        side.at_best()
        begin = perf_counter()
        call()
        return perf_counter() - begin

    side.at_start()
    side.fit("minuit")
    side.at_best()
    side.surface(False)
    frozen = median(once(lambda: side.surface(False)) for _ in range(3))
    refitted = once(lambda: side.surface(True))
    return {
        "20 x 20 surface, re-optimised": refitted,
        "20 x 20 surface, frozen": frozen,
        "300 x 300 surface, frozen": frozen * 225,
        "3 profiles x 17, re-optimised": once(lambda: side.profiles(True)),
        "6 contours x 10": once(side.contours),
        "1000 x 1000 surface, re-optimised": refitted * 2500,
    }


def time_sherpa(peer: Any) -> dict[str, float]:
    """Seconds of sherpa's reg_proj and reg_unc; for more nodes in proportion."""
    small = SURFACE["alpha"], SURFACE["beta"]
    peer.surface(*small, False)
    refitted, frozen = (median(visit(lambda refit=refit: peer.surface(*small, refit))) for refit in (True, False))
    return {
        "20 x 20 surface, re-optimised": refitted,
        "20 x 20 surface, frozen": frozen,
        "300 x 300 surface, frozen": frozen * 225,
        "1000 x 1000 surface, re-optimised": refitted * 2500,
    }


def agreement(numba: Any, sherpa: Any, side: Any) -> dict[str, float]:
    """Largest differences of the statistic between the peers and gammajax."""
    from benchmarks.peers.numba_wstat import all_pairs

    small = SURFACE["alpha"], SURFACE["beta"]
    ours, theirs = side.all_profiles(), numba.profiles(PROFILE)
    # gammajax measures the TS of the points that MNCONTOUR found
    pair = all_pairs()[2]
    points = numba.contours([pair], (2,), 10)[0]
    ts = [
        side.api.Fit().stat_grid(side.datasets, {n: [v] for n, v in zip(pair, p, strict=True)}, reoptimize=True).ts
        for p in points
    ]
    return {
        "frozen": float(np.max(np.abs(numba.frozen(*small) - side.surface(False)))),
        "re-optimised": float(np.max(np.abs(numba.surface(*small) - side.surface(True)))),
        "profiles": float(max(np.max(np.abs(a.stat - b)) for a, b in zip(ours.values(), theirs, strict=True))),
        "contour": float(np.max(np.abs(np.array(ts) - 4))),
        "sherpa, frozen": float(np.max(np.abs(sherpa.surface(*small, False) - side.surface(False)))),
        "sherpa, re-optimised": float(np.max(np.abs(sherpa.surface(*small, True) - side.surface(True)))),
    }


ALLOWED = {
    "frozen": 1e-8, "re-optimised": 1e-5, "profiles": 1e-5, "contour": 1e-3, "sherpa, frozen": 1e-8, "sherpa, re-optimised": 1e-5,
}  # fmt: skip


def row(step: tuple, known: dict[str, float], repeats: int) -> dict[str, Any]:
    """Medians of numba on one core, on two, and of gammajax, taking turns; `known` are seconds of other peers."""
    one_core, two_cores, ours, factor = step
    calls = {"numba": one_core, "numba, two cores": two_cores, "gammajax": ours}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    begin = perf_counter()
    while perf_counter() - begin < WARM:
        ours()
    for _ in range(repeats if factor == 1 else 2):
        for name, call in calls.items():
            seconds[name] += visit(call)
    middle = {**known, **{name: median(s) * (1 if name == "gammajax" else factor) for name, s in seconds.items()}}
    ratio = {name: middle[name] / middle["gammajax"] for name in middle if name != "gammajax"}
    return {"median_s": middle, "ratio": ratio}


def line(label: str, found: dict[str, Any]) -> str:
    """A row of the table."""
    nan = float("nan")
    ratio = [found["ratio"].get(name, nan) for name in ("gammapy", "numba")]
    return (
        f"{label:34s}" + "".join(f"{found['median_s'].get(name, nan):18.5f}" for name in SIDES)
        + f"{ratio[0]:12.0f}{ratio[1]:8.2f}{found['promised'][0]:9d}{found['promised'][1]:5d}"
    )  # fmt: skip


def limits(side: Any) -> dict[str, Any]:
    """What is compared with the limits of the machine, on these cores."""
    from benchmarks.floor import exponentials_and_product

    side.at_best()
    out: dict[str, Any] = {}
    for label, call in (
        ("frozen 300 x 300", lambda: side.grid(300, False)),
        ("re-optimised 300 x 300", lambda: side.grid(300, True)),
        ("exponentials and product, 300 x 300", exponentials_and_product(side, 300)),
    ):
        call()
        out[label] = median(visit(call) + visit(call))
    out["re-optimised over frozen"] = out["re-optimised 300 x 300"] / out["frozen 300 x 300"]
    out["frozen over exponentials and product"] = out["frozen 300 x 300"] / out["exponentials and product, 300 x 300"]
    out["microseconds per node"] = {}
    for n in (100, 316, 1000):
        side.grid(n, True)
        out["microseconds per node"][n * n] = median(visit(lambda n=n: side.grid(n, True))) / n**2 * 1e6
    return out


def memory() -> dict[str, float]:
    """Largest resident size of a fresh process before and after a surface of 10^6 re-optimised nodes, MB."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.scans", "--memory"],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def print_memory() -> None:
    """Run the large surface here, and print the sizes."""
    from benchmarks.gammajax_side import GammajaxSide

    side = GammajaxSide()
    side.read()
    side.at_best()
    side.grid(20, True)
    before = largest()
    good = int(side.grid(1000, True).ok.sum())
    print(json.dumps({"before": before, "after": largest(), "good nodes": good}))


def largest() -> float:
    """Largest resident size of this program so far, MB; that of `getrusage` would be inherited from the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Parse the command line, run, print the table and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scans", description="Scans beside the strongest peers.")
    parser.add_argument("--repeats", type=int, default=5, help="visits to each side")
    parser.add_argument(
        "--no-gammapy", action="store_true", help="leave gammapy out (it takes minutes); nothing is written"
    )
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--name", default="scans-cpu", help="name of the file in benchmarks/results")
    arguments = parser.parse_args()
    require_data()
    if arguments.memory:
        print_memory()
        return
    from benchmarks.gammajax_side import GammajaxSide
    from benchmarks.gammapy_side import GammapySide
    from benchmarks.peers.numba_wstat import NumbaPeer, TwoCores, arrays_of
    from benchmarks.peers.sherpa_regions import SherpaPeer

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    versions = {name: version(name) for name in (*PACKAGES, "sherpa", "numba")}
    print(f"{machine()}; " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    side = GammajaxSide()
    side.read()
    side.at_best()
    numba = NumbaPeer(arrays_of(side.datasets[0]), BEST, ERROR)
    sherpa = SherpaPeer(numba.arrays, BEST)
    differences = agreement(numba, sherpa, side)
    wrong = {k: v for k, v in differences.items() if not v <= ALLOWED[k]}
    if wrong:
        raise SystemExit(f"benchmarks: the sides disagree by more than allowed, nothing is timed: {wrong}.")
    of_sherpa = time_sherpa(sherpa)
    gammapy: dict[str, float] = {}
    if not arguments.no_gammapy:
        other = GammapySide()
        other.read()
        gammapy = time_gammapy(other)
    two = TwoCores(numba)
    print(f"{'':34s}" + "".join(f"{name + '/s':>18s}" for name in SIDES) + f"{'ratios':>20s}{'promised':>14s}")
    rows = {}
    for label, step in steps(numba, two, side).items():
        known = {name: peer[label] for name, peer in (("gammapy", gammapy), ("sherpa", of_sherpa)) if label in peer}
        rows[label] = row(step, known, arguments.repeats)
        rows[label]["promised"] = PROMISED[label]
        print(line(label, rows[label]), flush=True)
    two.close()
    found = {"rows": rows, "limits": limits(side), "memory_MB": memory(), "differences": differences}
    print(json.dumps({k: v for k, v in found.items() if k != "rows"}, indent=1))
    if not arguments.no_gammapy:
        path = RESULTS / f"{arguments.name}.json"
        path.write_text(json.dumps({"machine": machine(), "versions": versions, **found}, indent=1) + "\n")
        print(f"\nWrote {path.relative_to(RESULTS.parent.parent)}.")


if __name__ == "__main__":
    main()
