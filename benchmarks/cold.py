"""The tutorial's steps in a fresh process: ``python -m benchmarks.cold gammapy tutorial`` (or ``gammajax``; or only its ``fit``).

A third word names a folder for gammajax's compilation cache.

Prints one line of JSON: seconds of each step, what JAX compiled in it, and the numbers that came out.
"""

from time import perf_counter

BEGIN = perf_counter()

import json  # noqa: E402 - the clock starts before everything else
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

__all__ = ["SIDES", "fresh_process", "main"]

SIDES = ("gammapy", "gammajax")


def fresh_process(side: str, part: str = "tutorial", cache: str | None = None) -> dict[str, Any]:
    """Run the steps in a new interpreter, without a JAX compilation cache if none is given.

    Parameters
    ----------
    side : {"gammapy", "gammajax"}
        Library.
    part : {"tutorial", "fit"}
        All steps, or import, read, fit and print.
    cache : str, optional
        Folder of the compilation cache.

    Returns
    -------
    dict
        What the process printed, and ``"wall"``, seconds from its start to its end.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION_CACHE", "JAX_PERSISTENT"))}
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.cold", side, part, *([cache] if cache else [])],
        cwd=Path(__file__).parent.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    wall = perf_counter() - start
    if done.returncode:
        raise SystemExit(f"benchmarks: the cold process of {side} failed:\n{done.stderr}")
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": wall}


def main(name: str, part: str, cache: str | None = None) -> None:
    """Run the steps here, and print the line of JSON."""
    clock = None
    if name == "gammapy":
        from benchmarks.gammapy_side import GammapySide

        side: Any = GammapySide()
    elif name == "gammajax":
        from benchmarks.gammajax_side import CompileClock, GammajaxSide

        side = GammajaxSide()
        if cache is not None:
            side.api.enable_compilation_cache(cache)
        clock = CompileClock()
    else:
        raise SystemExit(f"benchmarks.cold: got {name!r}, expected one of {', '.join(SIDES)}.")
    seconds = {"import": perf_counter() - BEGIN}
    compiled: dict[str, Any] = {}
    numbers: dict[str, Any] = {}

    def step(label: str, call: Any) -> None:
        start = perf_counter()
        out = call()
        seconds[label] = perf_counter() - start
        if clock is not None:
            compiled[label] = clock.take()
        if out is not None:
            numbers[label] = out.tolist()

    step("read and stack", side.read)
    if part == "fit":
        step("fit, minuit", lambda: side.fit("minuit"))
        print(side.datasets.models.parameters.to_table() if name == "gammapy" else side.datasets.parameters.to_table())
        print(json.dumps({"seconds": seconds, "compiled": compiled, "numbers": numbers}))
        return
    step("fit, scipy", lambda: side.fit("scipy"))
    side.at_start()
    # last, so that the scans start from the tighter of the two
    step("fit, minuit", lambda: side.fit("minuit"))
    step("frozen profiles", side.profiles)
    step("contours", side.contours)
    step("frozen surface", side.surface)
    print(json.dumps({"seconds": seconds, "compiled": compiled, "numbers": numbers}))


if __name__ == "__main__":
    main(*(sys.argv[1:] if 3 <= len(sys.argv) <= 4 else ("nothing", "")))
