"""The scans on an accelerator, beside the processor of the same machine: ``python -m benchmarks.accelerator``."""

import argparse
import json
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.__main__ import RESULTS, machine
from benchmarks.problem import BEST, ERROR, SURFACE, require_data

PACKAGES = ("jax", "jaxlib", "iminuit", "numpy", "numba")
# nodes along each of two axes; the processor alone would take too long for the last one
SIZES = (20, 50, 100, 150, 300, 1000, 3000, 10_000)
MOST_ON_CPU = 3000
# seconds for which a call is repeated, and times at most
VISIT, CALLS = 0.3, 20
SYSTEMS = (2, 3, 4, 6, 8, 10, 12)
LANES = 1 << 17


def timed(call: Callable[[], Any], calls: int = CALLS) -> tuple[float, float, Any]:
    """Seconds of the first call, median of some more, and what it returned."""
    begin = perf_counter()
    out = call()
    first, seconds = perf_counter() - begin, [np.inf]
    while sum(s for s in seconds if s < np.inf) < VISIT and len(seconds) <= calls:
        begin = perf_counter()
        out = call()
        seconds.append(perf_counter() - begin)
    return first, median(seconds[1:]), out


def grid(side: Any, names: tuple[str, str], n: int, reoptimize: bool, device: str) -> Any:
    """Surface of n x n nodes within 2.5 errors."""
    values = {k: np.linspace(BEST[k] - 2.5 * ERROR[k], BEST[k] + 2.5 * ERROR[k], n) for k in names}
    values |= {k: np.linspace(v[0], v[-1], n) for k, v in SURFACE.items() if k in names}
    return side.api.Fit().stat_grid(side.datasets, values, reoptimize=reoptimize, device=device)


def surfaces(side: Any, names: tuple[str, str], reoptimize: bool, kind: str, most: int) -> dict[str, Any]:
    """Seconds on both devices for all sizes, the first call too, the largest difference, and from where on the accelerator is faster."""
    rows: dict[str, Any] = {}
    for n in (s for s in SIZES if s <= most):
        first, seconds, ours = timed(lambda n=n: grid(side, names, n, reoptimize, kind))
        row = {kind: seconds, f"{kind}, first": first, "nodes per second": n * n / seconds}
        if n <= MOST_ON_CPU:
            _, row["cpu"], cpu = timed(lambda n=n: grid(side, names, n, reoptimize, "cpu"))
            row["ratio"] = row["cpu"] / seconds
            row["largest difference"] = float(np.nanmax(np.abs(cpu.stat - ours.stat)))
            row["verdicts that differ"] = int(np.sum(cpu.status != ours.status))
        rows[str(n * n)] = row
        print(
            names,
            "re-optimised" if reoptimize else "frozen",
            n * n,
            {k: float(f"{v:.3g}") for k, v in row.items()},
            flush=True,
        )
    faster = [int(k) for k, r in rows.items() if r.get("ratio", 2.0) > 1]
    slower = [int(k) for k, r in rows.items() if r.get("ratio", 2.0) <= 1]
    rows["crossover"] = min((k for k in faster if k > max(slower, default=0)), default=None)
    return rows


def programs(side: Any, kind: str, calls: int = CALLS) -> dict[str, Any]:
    """The program for surfaces alone, without transfers: nodes per second, and what the compiler says that it computes and moves."""
    import jax

    from gammajax.likelihood import likelihood_of
    from gammajax.scan.blocks import Blocks, middle_of
    from gammajax.solve.surface import layout_of
    from gammajax.units import double_precision

    like, found = likelihood_of(side.datasets), {}
    at = {n.rsplit(".", 1)[-1]: i for i, n in enumerate(like.names)}
    for label, refitted in (("re-optimised", at["amplitude"]), ("frozen", None)):
        blocks = Blocks.of(like.compact(), (at["alpha"], at["beta"]), refitted)
        layout, device = layout_of(kind, True, (10_000, 10_000)), jax.devices(kind)[0]
        axes = [np.linspace(v[0], v[-1], n) for v, n in zip(SURFACE.values(), layout.capacity, strict=True)]
        tiles = [n // t for n, t in zip(layout.capacity, layout.tile, strict=True)]
        common = np.concatenate([like.start, middle_of(axes), tiles, (-np.inf, np.inf), [1e-9], *axes])
        program, leaves = blocks._program(layout), blocks._on(device)
        with double_precision():
            _, seconds, out = timed(lambda p=program, a=leaves, c=common: jax.block_until_ready(p(a, c)), calls)
            _, fetch, _ = timed(lambda o=out: [np.array(a) for a in jax.tree.map(lambda a: a + 0, o) if a is not None])
            cost = program.compiled.lower(leaves, common).compile().cost_analysis()
        nodes = int(np.prod(layout.capacity))
        found[label] = {
            "nodes": nodes, "seconds": seconds, "nodes per second": nodes / seconds, "seconds to fetch": fetch,
            "flop, inner loops once": float(cost.get("flops", np.nan)), "bytes, inner loops once": float(cost.get("bytes accessed", np.nan)),
        }  # fmt: skip
        print(label, found[label], flush=True)
    return found


def limits(kind: str) -> dict[str, float]:
    """What the device can do in double precision: a matrix product, a copy, exponentials."""
    import jax
    import jax.numpy as jnp

    from gammajax.elementary import exp
    from gammajax.units import double_precision

    device, rng = jax.devices(kind)[0], np.random.default_rng(0)
    with double_precision():
        square, long = (jax.device_put(rng.random(s), device) for s in ((8192, 8192), 1 << 27))
        out = {}
        for label, function, array, work in (
            ("matrix product, flop per second", lambda a: a @ a, square, 2 * 8192**3),
            ("copy, bytes per second", lambda a: a + 1, long, 2 * 8 * (1 << 27)),
            ("exponentials per second, JAX's", jnp.exp, long, 1 << 27),
            ("exponentials per second, ours", exp, long, 1 << 27),
        ):
            compiled = jax.jit(function)
            out[label] = work / timed(lambda f=compiled, a=array: jax.block_until_ready(f(a)))[1]
    return out


def systems(kind: str) -> dict[str, Any]:
    """Nanoseconds per system of linear equations: written out, and by the library's batched Cholesky."""
    import jax

    from gammajax.solve.linear import _library, _written_out
    from gammajax.units import double_precision

    device, rng, rows = jax.devices(kind)[0], np.random.default_rng(0), {}
    with double_precision():
        for n in SYSTEMS:
            root = rng.normal(size=(LANES, n, n))
            matrix = jax.device_put(root @ root.transpose(0, 2, 1) + n * np.eye(n), device)
            vector = jax.device_put(rng.normal(size=(LANES, n)), device)
            row = {}
            for label, solve in (("written out", _written_out), ("library", _library)):
                compiled = jax.jit(jax.vmap(solve))
                first, seconds, _ = timed(lambda f=compiled, m=matrix, v=vector: jax.block_until_ready(f(m, v)))
                row |= {label: seconds / LANES * 1e9, f"{label}, seconds of the first call": first}
            rows[str(n)] = row
            print("systems", n, row, flush=True)
    return rows


def peer(side: Any) -> dict[str, float]:
    """Seconds per node of numba with iminuit on one core, from the 20 x 20 surface."""
    from benchmarks.peers.numba_wstat import NumbaPeer, arrays_of

    numba, axes = NumbaPeer(arrays_of(side.datasets[0]), BEST, ERROR), (SURFACE["alpha"], SURFACE["beta"])
    return {
        "re-optimised": timed(lambda: numba.surface(*axes))[1] / 400,
        "frozen": timed(lambda: numba.frozen(*axes))[1] / 400,
    }


def main() -> None:
    """Parse the command line, run, print and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description="Scans on an accelerator.")
    parser.add_argument("--device", default="gpu", help="kind of device, as JAX calls it")
    parser.add_argument("--program", action="store_true", help="only the program for surfaces, for a profiler")
    parser.add_argument("--name", default="accelerator-gpu", help="name of the file in benchmarks/results")
    arguments = parser.parse_args()
    require_data()
    import jax

    import gammajax
    from benchmarks.gammajax_side import GammajaxSide

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    side, kind = GammajaxSide(), arguments.device
    side.read()
    side.at_best()
    if arguments.program:
        programs(side, kind, calls=1)
        return
    versions = {"gammajax": gammajax.__version__, **{name: version(name) for name in PACKAGES}}
    words = f"one {jax.devices(kind)[0].device_kind}, {machine()}"
    print(f"{words}; " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    found: dict[str, Any] = {"numba and iminuit, seconds per node": peer(side)}
    for reoptimize in (True, False):
        label = "re-optimised" if reoptimize else "frozen"
        found[f"alpha, beta, {label}"] = surfaces(side, ("alpha", "beta"), reoptimize, kind, SIZES[-1])
    # a shape is re-fitted: the general solver
    found["amplitude, alpha, re-optimised"] = surfaces(side, ("amplitude", "alpha"), True, kind, 1000)
    found |= {"program for surfaces": programs(side, kind), "limits": limits(kind), "systems": systems(kind)}
    path = RESULTS / f"{arguments.name}.json"
    path.write_text(json.dumps({"machine": words, "versions": versions, **found}, indent=1) + "\n")
    print(f"\nWrote {path.relative_to(RESULTS.parent.parent)}.")


if __name__ == "__main__":
    main()
