"""What a scan returns: values, and a verdict for every node."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.solve import Status

__all__ = ["ScanResult"]


@dataclass(frozen=True, repr=False)
class ScanResult(Mapping):
    """Statistic on a profile (one parameter) or a surface (two).

    It can be read like gammapy's dictionary: ``result["stat_scan"]``, ``result["alpha_scan"]`` and
    ``result["crab.spectral.alpha_scan"]``.

    Attributes
    ----------
    kind : {"frozen", "profile"}
        Whether the other parameters were held or re-fitted at every node.
    names : tuple of str
        Unique names of the scanned parameters.
    axes : tuple of array
        Their values, in the units `units`.
    units : tuple of str
        Units of the scanned parameters.
    stat : array, shape (nx,) or (nx, ny)
        Statistic, -2 ln L.
    status : array of int, same shape
        `gammajax.solve.Status` of each node.
    edm : array, same shape
        Expected distance to the minimum in the re-fitted parameters; nan in a frozen scan.
    nuisance : dict of str to array
        Values of the other free parameters at each node, in their own units.
    best : tuple of float
        Values of the scanned parameters in the fit that the scan started from.
    stat_best : float
        Statistic there.
    optimizer : str or None
        What re-fitted the nodes; None in a frozen scan.
    options : dict
        Its options.
    """

    kind: str
    names: tuple[str, ...]
    axes: tuple[np.ndarray, ...]
    units: tuple[str, ...]
    stat: np.ndarray
    status: np.ndarray
    edm: np.ndarray
    nuisance: dict[str, np.ndarray]
    best: tuple[float, ...]
    stat_best: float
    optimizer: str | None = None
    options: dict = field(default_factory=dict)

    # -- as a dictionary -------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> np.ndarray:
        if key == "stat_scan":
            return self.stat
        for name, values in zip(self.names, self.axes, strict=True):
            if key in (f"{name}_scan", f"{name.rsplit('.', 1)[-1]}_scan"):
                return values
        raise KeyError(f"{key!r}: a scan has the keys {', '.join(self)} and the short ones, such as 'alpha_scan'.")

    def __iter__(self) -> Iterator[str]:
        return iter([*(f"{n}_scan" for n in self.names), "stat_scan"])

    def __len__(self) -> int:
        return len(self.names) + 1

    # -- views -----------------------------------------------------------------------------------------------------

    @property
    def ts(self) -> np.ndarray:
        """TS = stat - stat of the best fit, shape of `stat`; negative where a node lies below the best fit."""
        return self.stat - self.stat_best

    @property
    def sqrt_ts(self) -> np.ndarray:
        """Square root of TS: Gaussian sigma for one parameter; nan where TS is negative (see `notes`)."""
        ts = np.where(np.abs(self.ts) < 1e-9 * max(1.0, abs(self.stat_best)), 0.0, self.ts)
        return np.sqrt(np.where(ts >= 0, ts, np.nan))

    @property
    def ok(self) -> np.ndarray:
        """Nodes whose statistic is what the scan promises, shape of `stat`."""
        good = [s.value for s in Status if s.usable]
        return np.isin(self.status, good)

    def notes(self) -> list[str]:
        """Sentences about nodes that need a word; none when all is well."""
        out = []
        for status in Status:
            if not status.usable and (n := int(np.sum(self.status == status))):
                out.append(f"{n} of {self.stat.size} nodes: {status.meaning}.")
        below = self.ts < -1e-6 * max(1.0, abs(self.stat_best))
        if np.any(below & np.isfinite(self.stat)):
            at = np.unravel_index(np.nanargmin(np.where(below, self.stat, np.inf)), self.stat.shape)
            where = ", ".join(f"{n} = {a[i]:.6g}" for n, a, i in zip(self.names, self.axes, at, strict=True))
            out.append(
                f"{int(below.sum())} nodes lie below the best fit (TS down to {np.nanmin(self.ts):.3g} at {where}): the fit "
                "had not converged; fit again from there. Their Gaussian sigma is nan."
            )
        return out

    def to_table(self) -> Any:
        """Return an astropy Table, one row per node."""
        from astropy.table import Column, Table

        mesh = np.meshgrid(*self.axes, indexing="ij")
        table = Table()
        for name, unit, values in zip(self.names, self.units, mesh, strict=True):
            table[name] = Column(values.ravel(), unit=unit or None)
        table["stat"] = self.stat.ravel()
        table["ts"] = self.ts.ravel()
        for name, values in self.nuisance.items():
            table[f"refit {name}" if self.kind == "profile" else f"held {name}"] = values.ravel()
        table["edm"] = self.edm.ravel()
        table["status"] = [Status(s).name for s in self.status.ravel()]
        table.meta.update(kind=self.kind, optimizer=self.optimizer or "none", stat_best=self.stat_best)
        return table

    def contour_lines(self, sigma: tuple[float, ...] = (1, 2)) -> tuple[dict[float, list[np.ndarray]], list[str]]:
        """Lines of sqrt(TS) = sigma on a surface, and sentences about lines cut by the edge of the grid.

        Parameters
        ----------
        sigma : tuple of float
            Levels; TS = sigma^2.

        Returns
        -------
        lines : dict of float to list of array, shape (n, 2)
            Vertices in the units of the axes.
        notes : list of str
            One sentence per level that leaves the grid.
        """
        if len(self.names) != 2:
            raise InputError(f"contour lines need a surface of two parameters, this scan has {len(self.names)}.")
        from gammajax.scan.lines import level_lines

        lines, notes = {}, []
        for s in sigma:
            lines[s], cut = level_lines(self.axes[0], self.axes[1], self.sqrt_ts, s)
            if cut:
                notes.append(f"the {s:g} sigma contour is cut by the edge of the grid; widen the scan.")
            elif not lines[s]:
                notes.append(f"the {s:g} sigma contour lies outside the grid or between its nodes.")
        return lines, notes

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the scan: a curve, or a picture with 1 and 2 sigma contours; see `gammajax.plotting.plot_scan`."""
        from gammajax.plotting import plot_scan

        return plot_scan(self, ax=ax, **kwargs)

    def __str__(self) -> str:
        what = "every other free parameter re-fitted at each node" if self.kind == "profile" else "nothing re-fitted"
        shape = " x ".join(str(n) for n in self.stat.shape)
        lines = ["ScanResult", "----------", ""]
        lines += [
            f"  parameters : {', '.join(self.names)}",
            f"  kind       : {self.kind} ({what})",
            f"  optimizer  : {self.optimizer or 'none ran'}",
            f"  nodes      : {shape}, {int(self.ok.sum())} good",
            f"  stat       : {np.nanmin(self.stat):.6f} to {np.nanmax(self.stat):.6f}, best fit {self.stat_best:.6f}",
        ]
        lines += [f"  note       : {n}" for n in self.notes()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<ScanResult: {self.kind} scan of {', '.join(self.names)}, shape {self.stat.shape}>"
