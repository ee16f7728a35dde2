"""Scans to a store: overhead per chunk, memory and throughput of many nodes: ``python -m benchmarks.store``."""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.problem import SURFACE

RESULTS = Path(__file__).parent / "results"
# milliseconds per chunk, and fractions
PROMISED = {"serial": 5.0, "dask": 10.0, "throughput": 0.85, "memory": 1000.0}


def fit() -> Any:
    """The tutorial's data, fitted."""
    import gammajax
    from gammajax.tutorial.data import load, ogip_files

    paths, source = ogip_files()
    print(f"Data: {source}")
    made = gammajax.Fit([load(paths)], backend="newton")
    made.run()
    return made


def axes(nodes: int) -> dict[str, np.ndarray]:
    """A square grid of about so many nodes over the tutorial's surface."""
    n = round(nodes**0.5)
    return {name: np.linspace(v[0], v[-1], n) for name, v in SURFACE.items()}


def resident() -> float:
    """Memory of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


class Watch(threading.Thread):
    """Memory of this process, looked at ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[float] = []
        self.going = True

    def run(self) -> None:
        """Look until told to stop."""
        while self.going:
            self.seen.append(resident())
            time.sleep(0.1)


# seconds that this process has computed chunks
_computed = [0.0]


def install() -> None:
    """Have the time that this process computes chunks counted."""
    from gammajax.scan import engine

    real = engine.compute_chunk
    if hasattr(real, "counted"):
        return

    def counted(*arguments: Any) -> Any:
        begin = time.perf_counter()
        out = real(*arguments)
        _computed[0] += time.perf_counter() - begin
        return out

    counted.counted = True  # type: ignore[attr-defined]
    engine.compute_chunk = counted


def computed() -> float:
    """Seconds so far."""
    return _computed[0]


def overhead(made: Any, folder: Path, client: Any = None) -> dict[str, float]:
    """Milliseconds per chunk that a stored scan takes beside computing: (workers x wall time - time computed) / chunks.

    As in the measurements that the design was made from: a chunk is 400 nodes, much less than anybody would choose.
    """
    from gammajax.scan.store import resume, run_store

    chunks, size = 200, 400
    how = {"reoptimize": True, "chunk_size": size, "progress": False, "compute": False}
    name = "serial" if client is None else "dask"
    # as many nodes as take the program for large scans
    made.stat_grid(axes(50 * size), store=folder / f"{name} warm", **how)
    made.stat_grid(axes(chunks * size), store=folder / name, **how)
    each = (lambda f: [f()]) if client is None else (lambda f: list(client.run(f).values()))
    each(install)
    run_store(resume(folder / f"{name} warm"), executor=client, progress=False)
    store = resume(folder / name)
    before, begin = sum(each(computed)), time.perf_counter()
    run_store(store, executor=client, progress=False)
    wall = time.perf_counter() - begin
    seconds, n = sum(each(computed)) - before, store.task.n_chunks
    workers = 1 if client is None else len(client.nthreads())
    return {"chunks": n, "wall_s": wall, "compute_s": seconds, "overhead_ms": 1e3 * (workers * wall - seconds) / n}


def commit(folder: Path, nodes: int = 10_000) -> float:
    """Milliseconds that storing one chunk of so many nodes takes, median."""
    from gammajax.scan.folder import Folder

    target = Folder(folder / "commit")
    for part in ("chunks", "failed"):
        (target.path / part).mkdir(parents=True)
    arrays = {
        "stat": np.random.default_rng(1).normal(size=nodes), "edm": np.zeros(nodes),
        "status": np.zeros(nodes, np.int8), "nuisance": np.ones((1, nodes)),
    }  # fmt: skip
    seconds = []
    for k in range(100):
        begin = time.perf_counter()
        target.commit(k, "benchmark", arrays)
        seconds.append(time.perf_counter() - begin)
    return 1e3 * median(seconds)


def many(nodes: int, folder: str | None) -> dict[str, float]:
    """One scan of many nodes, to a store or in memory: seconds, and memory on the way."""
    from gammajax.scan.store import resume, run_store

    made = fit()
    grid = axes(nodes)
    # compiled before the clock runs
    made.stat_grid(axes(20_000), reoptimize=True, progress=False, chunk_size=20_000)
    made.stat_grid(axes(20_000), reoptimize=True, progress=False)
    watch = Watch()
    watch.start()
    before = resident()
    begin = time.perf_counter()
    if folder is None:
        made.stat_grid(grid, reoptimize=True, progress=False)
    else:
        made.stat_grid(grid, reoptimize=True, store=folder, progress=False, compute=False)
        begin = time.perf_counter()
        run_store(resume(folder), progress=False)
    seconds = time.perf_counter() - begin
    watch.going = False
    watch.join()
    n = int(np.prod([len(a) for a in grid.values()]))
    half = watch.seen[len(watch.seen) // 2 :]
    return {
        "nodes": n, "seconds": seconds, "rate": n / seconds, "before_MB": before, "peak_MB": max(watch.seen),
        "second_half_growth_MB": max(half) - half[0],
    }  # fmt: skip


def in_process(*arguments: str) -> dict[str, float]:
    """Run a part of this module in a process of its own."""
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.store", *arguments], capture_output=True, text=True, check=False
    )
    if out.returncode:
        raise SystemExit(f"benchmarks.store {' '.join(arguments)}:\n{out.stderr}")
    return json.loads(out.stdout.splitlines()[-1])


def verdict(value: float, limit: float, most: bool = True) -> str:
    """Whether a number is as promised."""
    return "met" if (value <= limit if most else value >= limit) else "NOT MET"


def main() -> None:
    """Parse the command line, run, print and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description="Scans to a store.")
    parser.add_argument("--nodes", type=int, default=10_000_000, help="nodes of the large scan")
    parser.add_argument("--no-dask", action="store_true", help="leave the workers of Dask away")
    parser.add_argument("--name", help="write benchmarks/results/NAME.json")
    parser.add_argument("--many", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.many:
        folder = None if arguments.many == "memory" else arguments.many
        print(json.dumps(many(arguments.nodes, folder)))
        return
    rows: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    }
    with TemporaryDirectory() as place:
        folder, made = Path(place), fit()
        rows["commit_ms"] = commit(folder)
        print(f"storing a chunk of 10 000 nodes: {rows['commit_ms']:.2f} ms")
        rows["serial"] = overhead(made, folder)
        ms = rows["serial"]["overhead_ms"]
        print(
            f"overhead per chunk, serial: {ms:.2f} ms, promised {PROMISED['serial']:g}: {verdict(ms, PROMISED['serial'])}"
        )
        if not arguments.no_dask:
            # by its name: what is sent from __main__ would count in copies of its own
            from benchmarks import store as this
            from gammajax.scan.dask import local_client

            with local_client(2) as client:
                rows["dask"] = this.overhead(made, folder, client)
            ms = rows["dask"]["overhead_ms"]
            print(
                f"overhead per chunk, Dask: {ms:.2f} ms, promised {PROMISED['dask']:g}: {verdict(ms, PROMISED['dask'])}"
            )
        n = str(arguments.nodes)
        rows["memory"] = in_process("--nodes", n, "--many", "memory")
        rows["store"] = in_process("--nodes", n, "--many", str(folder / "many"))
        ratio = rows["store"]["rate"] / rows["memory"]["rate"]
        for name in ("memory", "store"):
            r = rows[name]
            print(
                f"{r['nodes']:.3g} nodes, {'in memory' if name == 'memory' else 'to a store'}: {r['seconds']:.1f} s, "
                f"{r['rate']:.4g} nodes/s, {r['before_MB']:.0f} to {r['peak_MB']:.0f} MB, "
                f"{r['second_half_growth_MB']:+.0f} MB in the second half"
            )
        print(f"throughput of the store: {ratio:.3f}, promised {PROMISED['throughput']}: {verdict(ratio, 0.85, False)}")
        peak = rows["store"]["peak_MB"]
        print(f"memory: {peak:.0f} MB, promised {PROMISED['memory']:g}: {verdict(peak, PROMISED['memory'])}")
    if arguments.name:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{arguments.name}.json"
        path.write_text(json.dumps(rows, indent=1) + "\n")
        print(f"Wrote {path.relative_to(RESULTS.parent.parent)}.")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
