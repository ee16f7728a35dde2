"""What a scan returns: values, and a verdict for every node."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.hooks import StoredResult, lock_arrays
from gammajax.provenance import Provenance
from gammajax.solve import Status

__all__ = ["ScanResult"]


@dataclass(frozen=True, repr=False)
class ScanResult(Mapping, StoredResult):
    """Statistic on a profile (one parameter), a surface (two) or a grid of any number of parameters.

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
    stat : array, shape (nx,), (nx, ny), ...
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
    starts : int
        Starts per node; with 1 every node follows the branch of minima that the best fit is on.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, a hash of the data, and the time.
    failures : tuple of str
        Of a scan in chunks: which chunks failed for good, and with which error. Their nodes are nan.
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
    starts: int = 1
    provenance: Provenance | None = None
    failures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lock_arrays(self)

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
    def sigma_1dof(self) -> np.ndarray:
        """Gaussian sigma of TS as a chi-square of 1 degree of freedom: sqrt(TS), for one parameter by itself."""
        return self.sqrt_ts

    @property
    def sigma_2dof(self) -> np.ndarray:
        """Gaussian sigma of TS as a chi-square of 2 degrees of freedom, for two parameters jointly.

        The two-sided sigma with the same probability, exp(-TS/2): TS = 2.30, 6.18, 11.83 for 1, 2, 3 sigma.
        """
        from scipy.special import ndtri_exp

        root = self.sqrt_ts
        # one tail has half the probability; its logarithm keeps large TS apart
        sigma = -ndtri_exp(-0.5 * root**2 - np.log(2))
        return np.where(np.isnan(root), np.nan, np.where(root == 0, 0.0, sigma))

    @property
    def minimum(self) -> tuple[float, dict[str, float]]:
        """Lowest statistic among the good nodes, and all scanned and re-fitted parameters there, in their units."""
        stat = np.where(self.ok & np.isfinite(self.stat), self.stat, np.inf)
        at = np.unravel_index(int(np.argmin(stat)), stat.shape)
        where = {n: float(a[i]) for n, a, i in zip(self.names, self.axes, at, strict=True)}
        where.update({n: float(v[at]) for n, v in self.nuisance.items()})
        return float(stat[at]), where

    @property
    def better_start(self) -> dict[str, float] | None:
        """Parameter values of the lowest node if it lies below the best fit, a start for the next fit; None otherwise.

        Set them with ``for name, value in scan.better_start.items(): models.parameters[name].value = value``.
        """
        lowest, where = self.minimum
        return where if lowest < self.stat_best - self._below else None

    @property
    def _below(self) -> float:
        return 1e-6 * max(1.0, abs(self.stat_best))

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
        out += list(self.failures)
        below = self.ok & (self.ts < -self._below)
        start = self.better_start
        if start is not None:
            where = ", ".join(f"{n} = {v:.6g}" for n, v in start.items())
            out.append(
                f"{int(below.sum())} nodes lie below the best fit, TS down to {np.min(self.ts[below]):.3g}: the fit had not "
                f"converged to the lowest minimum. A better start, offered as .better_start: {where}. The Gaussian sigma of "
                "these nodes is nan."
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

    def to_xarray(self) -> Any:
        """Return an xarray Dataset with the axes as coordinates; xarray is an optional dependency."""
        try:
            import xarray
        except ImportError:
            raise InputError("to_xarray: xarray is not installed; install it, or use to_table().") from None
        dims = [n.replace(".", "_") for n in self.names]
        coords = {
            d: (d, a, {"units": u, "long_name": n})
            for d, a, u, n in zip(dims, self.axes, self.units, self.names, strict=True)
        }
        data = {
            "stat": (dims, self.stat),
            "ts": (dims, self.ts),
            "edm": (dims, self.edm),
            "status": (dims, self.status),
        }
        data["status"] = (*data["status"], {"meaning": "; ".join(f"{s.value}: {s.meaning}" for s in Status)})  # type: ignore[assignment]
        prefix = "refit" if self.kind == "profile" else "held"
        data |= {f"{prefix}_{n.replace('.', '_')}": (dims, v) for n, v in self.nuisance.items()}
        attrs = {
            "kind": self.kind,
            "optimizer": self.optimizer or "none",
            "stat_best": self.stat_best,
            "starts": self.starts,
        }
        return xarray.Dataset(data, coords=coords, attrs=attrs)

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
        """Plot the scan: a curve, or a picture with 1 and 2 sigma contours; see `gammajax.plotting.plot_scan`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_scan`.
        """
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
            f"  stat       : {self._range()}, best fit {self.stat_best:.6f}",
        ]
        if self.kind == "profile":
            branch = "follows the branch of the best fit" if self.starts == 1 else f"best of {self.starts} per node"
            lines.append(f"  starts     : {branch}")
        lines += [f"  note       : {n}" for n in self.notes()]
        return "\n".join(lines)

    def _range(self) -> str:
        known = self.stat[~np.isnan(self.stat)]
        return f"{known.min():.6f} to {known.max():.6f}" if known.size else "nan at every node"

    def __repr__(self) -> str:
        return f"<ScanResult: {self.kind} scan of {', '.join(self.names)}, shape {self.stat.shape}>"
