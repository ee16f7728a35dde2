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
        refits = spec["kind"] == "profile"
        # written once: what was not done is filled in at the end
        self.stat, self.status = np.empty(self.n), np.empty(self.n, dtype=np.int8)
        self.edm = np.empty(self.n) if refits else np.broadcast_to(np.nan, self.n)
        self.nuisance = np.empty((len(info["stored"]) if refits else 0, self.n))
        self.failures: dict[int, str] = {}
        self._done: set[int] = set()

    def has(self, number: int) -> bool:
        """Whether a chunk was filled in."""
        return number in self._done

    def commit(self, number: int, arrays: dict[str, np.ndarray]) -> bool:
        """Fill in a chunk."""
        for name, here in self.room(number).items():
            if not np.may_share_memory(here, arrays[name]):
                here[...] = arrays[name]
        self._done.add(number)
        return True

    def room(self, number: int) -> dict[str, np.ndarray]:
        """The arrays of a chunk, to be filled."""
        at = self._nodes(number)
        out: dict[str, np.ndarray] = {"stat": self.stat[at], "status": self.status[at]}
        if self.spec["kind"] == "profile":
            out |= {"edm": self.edm[at], "nuisance": self.nuisance[:, at]}
        return out

    def finish(self) -> None:
        """Fill in what was not done."""
        for number in range(-(-self.n // self.size)):
            if number not in self._done:
                for name, here in self.room(number).items():
                    here[...] = Status.NOT_DONE.value if name == "status" else np.nan
        for number in self.failures:
            self.status[self._nodes(number)] = Status.FAILED.value

    def fail(self, number: int, error: str, attempts: int = 1) -> None:
        """Mark a chunk as failed."""
        self.failures[number] = error

    def hint(self) -> str:
        """How to go on."""
        return "Nothing was stored; give store='folder' to be able to go on after an interruption."

    def _nodes(self, number: int) -> slice:
        return slice(number * self.size, min((number + 1) * self.size, self.n))


def results(values: Values, provenance: Provenance | None) -> list[ScanResult]:
    """One result for each grid."""
    out, begin = [], 0
    values.finish()
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
