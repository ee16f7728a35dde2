"""From the chunks of a scan to its result."""

from typing import Any

import numpy as np

from gammajax.provenance import Provenance
from gammajax.scan.axes import Grid, grids_of
from gammajax.scan.result import ScanResult
from gammajax.solve import Status

__all__ = ["Values", "results"]

NATIVE = "newton, batched"


class Values:
    """Arrays over all nodes of a scan, filled chunk by chunk: nan, and a status that says so, where nothing was done.

    Parameters
    ----------
    spec, info : dict
        Of the `Task`.
    """

    def __init__(self, spec: dict[str, Any], info: dict[str, Any]) -> None:
        self.spec, self.info = spec, info
        self.size = int(spec["chunk_size"])
        self.n = sum(g.size for g in grids_of(spec))
        self.stat = np.full(self.n, np.nan)
        self.edm = np.full(self.n, np.nan)
        self.status = np.full(self.n, Status.NOT_DONE.value)
        self.nuisance = np.full((len(info["stored"]), self.n), np.nan)
        self.failures: dict[int, str] = {}
        self._done: set[int] = set()

    def has(self, number: int) -> bool:
        """Whether a chunk was filled in."""
        return number in self._done

    def commit(self, number: int, arrays: dict[str, np.ndarray]) -> bool:
        """Fill in a chunk."""
        at = self._nodes(number)
        self.stat[at], self.status[at] = arrays["stat"], arrays["status"]
        if "edm" in arrays:
            self.edm[at], self.nuisance[:, at] = arrays["edm"], arrays["nuisance"]
        self._done.add(number)
        return True

    def fail(self, number: int, error: str, attempts: int = 1) -> None:
        """Mark a chunk as failed."""
        self.status[self._nodes(number)] = Status.FAILED.value
        self.failures[number] = error

    def hint(self) -> str:
        """How to go on."""
        return "Nothing was stored; give store='folder' to be able to go on after an interruption."

    def _nodes(self, number: int) -> slice:
        return slice(number * self.size, min((number + 1) * self.size, self.n))


def results(values: Values, provenance: Provenance | None) -> list[ScanResult]:
    """One result for each grid."""
    out, begin = [], 0
    for grid in grids_of(values.spec):
        out.append(_result(values, grid, begin, provenance))
        begin += grid.size
    return out


def _result(values: Values, grid: Grid, begin: int, provenance: Provenance | None) -> ScanResult:
    spec, info, here = values.spec, values.info, slice(begin, begin + grid.size)

    def shaped(a: np.ndarray) -> np.ndarray:
        return a[here].reshape(grid.shape)

    refits = spec["kind"] == "profile"
    if refits:
        nuisance = {n: shaped(a) for n, a in zip(info["stored"], values.nuisance, strict=True) if n not in grid.names}
    else:
        # what is held needs no room
        nuisance = {n: np.broadcast_to(info["best"][n], grid.shape) for n in spec["free"] if n not in grid.names}
    return ScanResult(
        kind=spec["kind"],
        names=grid.names,
        axes=grid.axes,
        units=tuple(info["units"][n] for n in grid.names),
        stat=shaped(values.stat),
        status=shaped(values.status),
        edm=shaped(values.edm),
        nuisance=nuisance,
        best=tuple(info["best"][n] for n in grid.names),
        stat_best=info["stat_best"],
        optimizer=NATIVE if refits else None,
        options=dict(info["options"]),
        starts=spec["starts"],
        provenance=provenance,
        failures=_failures(values, begin, here.stop),
    )


def _failures(values: Values, begin: int, end: int) -> tuple[str, ...]:
    """Sentences about the failed chunks among the nodes begin:end."""
    found = sorted(values.failures.items())
    spans = [(n, text, max(n * values.size, begin), min((n + 1) * values.size, end)) for n, text in found]
    return tuple(f"chunk {n} (nodes {a - begin} to {b - begin - 1}): {text}" for n, text, a, b in spans if a < b)
