"""A stored scan as it is at this moment: how much is done, and the values so far. Any machine can look, also while it runs.

How far it is needs no JAX; what the values need is imported where they are read.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gammajax.errors import FileFormatError, InputError
from gammajax.provenance import Provenance
from gammajax.scan.axes import grids_of
from gammajax.scan.folder import Folder
from gammajax.scan.identity import fingerprint

if TYPE_CHECKING:
    from gammajax.scan.result import ScanResult

__all__ = ["StoredScan", "open_scan"]


def open_scan(folder: str | Path) -> "StoredScan":
    """Open the folder of a stored scan, at any time and without the objects that began it.

    Parameters
    ----------
    folder : path
        What was given as ``store=``.

    Returns
    -------
    `StoredScan`
        The state of the scan and the values so far; nothing in the folder is changed.

    Raises
    ------
    MissingFileError, FileFormatError
        If there is no scan, or its manifest is damaged.
    """
    return StoredScan(folder)


class StoredScan:
    """A stored scan; see `gammajax.scan.open`.

    Attributes
    ----------
    path : Path
        The folder.
    spec : dict
        What makes it this scan: grids, parameters, tolerances, digests of data and model, partition into chunks.
    created : str
        When it was begun, ISO 8601, UTC.
    machine : dict
        Versions, devices and processor of the process that began it.
    fingerprint : str
        SHA-256 of `spec`.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Folder(folder)
        self._manifest = self._folder.manifest()
        self.path = self._folder.path
        try:
            self.spec, self._info = self._manifest["spec"], self._manifest["info"]
            self.created, self.machine = self._manifest["created"], self._manifest["provenance"]
            self._grids = grids_of(self.spec)
            if self.chunk_size < 1 or not self._grids:
                raise ValueError(f"chunks of {self.chunk_size} nodes, {len(self._grids)} grids")
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{self.path}/manifest.json: {error!r}; the file is damaged.") from None
        self.fingerprint = fingerprint(self.spec)

    # -- how far it is -----------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Unique names of the scanned parameters."""
        return tuple(dict.fromkeys(n for g in self._grids for n in g.names))

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each axis; of several profiles their number of nodes."""
        return self._grids[0].shape if len(self._grids) == 1 else (self.n_nodes,)

    @property
    def n_nodes(self) -> int:
        """All nodes."""
        return sum(g.size for g in self._grids)

    @property
    def chunk_size(self) -> int:
        """Nodes of a chunk."""
        return int(self.spec["chunk_size"])

    @property
    def n_chunks(self) -> int:
        """All chunks."""
        return -(-self.n_nodes // self.chunk_size)

    @property
    def done(self) -> list[int]:
        """Numbers of the chunks that are done at this moment."""
        return [n for n in self._folder.done() if n < self.n_chunks]

    @property
    def failed(self) -> dict[int, str]:
        """Chunks that failed for good, and their errors; a new run tries them again."""
        return self._folder.failures()

    @property
    def left(self) -> list[int]:
        """Numbers of the chunks that are neither done nor failed."""
        other = set(self.done) | set(self.failed)
        return [n for n in range(self.n_chunks) if n not in other]

    @property
    def complete(self) -> bool:
        """Whether every chunk is done."""
        return len(self.done) == self.n_chunks

    @property
    def rebuildable(self) -> bool:
        """Whether ``gammajax scan run`` can compute it from the folder alone."""
        return self._manifest.get("structure") is not None

    # -- the values so far -------------------------------------------------------------------------------------------

    def chunk(self, number: int, columns: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
        """Arrays of one chunk that is done: "stat", "status", and of a re-fitted scan "edm" and "nuisance", shape (k, n)."""
        return self._folder.read(number, self.fingerprint, columns)

    @property
    def units(self) -> dict[str, str]:
        """Units of all parameters."""
        return dict(self._info["units"])

    @property
    def best(self) -> dict[str, float]:
        """Values of all parameters in the fit that the scan started from, in their units."""
        return dict(self._info["best"])

    @property
    def stat_best(self) -> float:
        """Statistic of that fit."""
        return float(self._info["stat_best"])

    @property
    def nuisances(self) -> tuple[str, ...]:
        """Names of the rows of "nuisance" in a chunk."""
        return tuple(self._info["stored"])

    def results(self) -> dict[str, "ScanResult"]:
        """A result for every grid, by the names of its parameters joined by ", "; see `result`."""
        from gammajax.scan.assemble import Values, results

        self._check_memory()
        values = Values(self.spec, self._info)
        for number in self.done:
            try:
                values.commit(number, self.chunk(number))
            except FileFormatError as error:
                values.fail(number, f"{error}; run the scan on, it is then computed again")
            except (KeyError, ValueError) as error:
                # arrays that are missing, or of another shape
                values.fail(
                    number, f"{self._folder.chunk_path(number)}: damaged ({error}); remove it and run the scan on"
                )
        for number, text in self.failed.items():
            values.fail(number, text)
        found = results(values, self._provenance())
        return {", ".join(r.names): r for r in found}

    def result(self) -> "ScanResult":
        """The values so far: nodes that are not done are nan, with the status NOT_DONE; those of failed chunks FAILED.

        Raises
        ------
        InputError
            If it holds several profiles, or its arrays do not fit into memory.
        """
        if len(self._grids) > 1:
            raise InputError(
                f"scan folder {self.path}: holds profiles of {len(self._grids)} parameters; use .results(), a dictionary."
            )
        return next(iter(self.results().values()))

    def to_table(self) -> Any:
        """Return the values so far as an astropy Table, one row per node."""
        return self.result().to_table()

    def to_xarray(self) -> Any:
        """Return the values so far as an xarray Dataset."""
        return self.result().to_xarray()

    def consolidate(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write everything into one FITS file, chunk by chunk; see `gammajax.scan.consolidate.write_fits`."""
        from gammajax.scan.consolidate import write_fits

        return write_fits(self, path, overwrite)

    @property
    def fits_in_memory(self) -> bool:
        """Whether the arrays of the result take less than half of the free memory."""
        from gammajax.scan.memory import available, result_bytes

        room = available()
        return room is None or result_bytes(self.n_nodes, len(self.nuisances)) < room // 2

    def _check_memory(self) -> None:
        if not self.fits_in_memory:
            from gammajax.scan.memory import result_bytes

            need = result_bytes(self.n_nodes, len(self.nuisances))
            raise InputError(
                f"scan folder {self.path}: the result of {self.n_nodes} nodes takes {need / 1e9:.4g} GB, too much for the memory of this "
                "machine; read it chunk by chunk with .chunk(number), or write it to a file with .consolidate(path)."
            )

    def _provenance(self) -> Provenance:
        return Provenance(
            tuple(self.machine["versions"].items()), self.spec["data"], self.created, {"store": self.path.name}
        )

    def notes(self) -> list[str]:
        """Sentences about what is missing; none when all is done."""
        failed, left = self.failed, len(self.left)
        out = [f"{left} of {self.n_chunks} chunks are not done yet."] if left else []
        return out + [f"chunk {n} failed: {error}" for n, error in failed.items()]

    def __str__(self) -> str:
        kind = "re-fitted" if self.spec["kind"] == "profile" else "frozen"
        shape = " x ".join(str(n) for n in self.shape)
        lines = ["StoredScan", "----------", ""]
        lines += [
            f"  folder     : {self.path}",
            f"  parameters : {', '.join(self.names)}",
            f"  nodes      : {shape}, {kind}",
            f"  chunks     : {len(self.done)} of {self.n_chunks} done, {len(self.failed)} failed, {len(self.left)} left",
            f"  begun      : {self.created}",
        ]
        return "\n".join(lines + [f"  note       : {n}" for n in self.notes()])

    def __repr__(self) -> str:
        return f"<StoredScan: {self.path}, {len(self.done)} of {self.n_chunks} chunks done>"
