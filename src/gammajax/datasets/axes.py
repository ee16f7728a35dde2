"""Energy axes, and arrays that live on them."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.elsewhere import Pointing
from gammajax.errors import DataError, InputError
from gammajax.units import energy_values

__all__ = ["EDispKernel", "EnergyAxis", "EnergyGeom", "EnergyMap"]


@gammapy_arguments
class EnergyAxis(Pointing):
    """Contiguous energy bins.

    Parameters
    ----------
    edges : `~astropy.units.Quantity`, shape (n_bins + 1,)
        Increasing, positive edges.
    name : {"energy", "energy_true"}
        Reconstructed or true energy.

    Examples
    --------
    >>> from astropy import units as u
    >>> axis = EnergyAxis([1, 2, 4] * u.TeV)
    >>> axis.nbin, axis.name
    (2, 'energy')
    """

    def __init__(self, edges: u.Quantity, name: str = "energy") -> None:
        tev = np.atleast_1d(energy_values(edges, f"{name} edges"))
        if tev.ndim != 1 or len(tev) < 2:
            raise DataError(
                f"axis {name!r}: got {tev.size} edges of shape {tev.shape}, expected at least 2 in one dimension."
            )
        bad = np.flatnonzero(~np.isfinite(tev) | (tev <= 0))
        if len(bad):
            raise DataError(
                f"axis {name!r}: edge {bad[0]} is {tev[bad[0]]} TeV, expected finite and positive energies."
            )
        steps = np.flatnonzero(np.diff(tev) <= 0)
        if len(steps):
            i = steps[0]
            raise DataError(
                f"axis {name!r}: edges {i} and {i + 1} are {tev[i]:g} and {tev[i + 1]:g} TeV, expected increasing edges."
            )
        self.name = name
        self.edges_tev = tev
        self.edges_tev.setflags(write=False)
        self.unit = u.Quantity(edges).unit

    @classmethod
    def from_energy_bounds(
        cls,
        energy_min: Any,
        energy_max: Any,
        nbin: int,
        unit: Any = None,
        name: str = "energy",
        per_decade: bool = False,
    ) -> "EnergyAxis":
        """Bins of equal ratio between two energies.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity` or str
            The ends, such as ``"0.1 TeV"``.
        nbin : int
            Number of bins.
        unit : str or `~astropy.units.Unit`, optional
            Unit of the edges; that of `energy_max` if not given.
        name : {"energy", "energy_true"}
            Reconstructed or true energy.
        per_decade : bool
            Whether `nbin` is the number in a factor of 10; the ratio is then adapted to the ends.

        Examples
        --------
        >>> EnergyAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=24, per_decade=True)
        EnergyAxis('energy', 72 bins, 0.1 to 100 TeV)
        """
        given = {"energy_min": u.Quantity(energy_min), "energy_max": u.Quantity(energy_max)}
        unit = given["energy_max"].unit if unit is None else u.Unit(unit)
        ends = [float(energy_values(e, what)) for what, e in given.items()]
        if not 0 < ends[0] < ends[1] or nbin < 1:
            raise InputError(
                f"axis {name!r}: got {ends[0]:g} to {ends[1]:g} TeV in {nbin} bins, expected 0 < energy_min < energy_max, and one bin at least."
            )
        n = int(np.ceil(np.log10(ends[1] / ends[0]) * nbin - 1e-9)) if per_decade else int(nbin)
        return cls(u.Quantity(np.geomspace(ends[0], ends[1], n + 1), u.TeV).to(unit), name)

    @classmethod
    def from_energy_edges(cls, energy_edges: Any, unit: Any = None, name: str = "energy") -> "EnergyAxis":
        """Bins by their edges; the same as the constructor.

        Parameters
        ----------
        energy_edges : `~astropy.units.Quantity`, shape (n_bins + 1,)
            Increasing, positive edges.
        unit : str or `~astropy.units.Unit`, optional
            Their unit afterwards.
        name : {"energy", "energy_true"}
            Reconstructed or true energy.
        """
        edges = u.Quantity(energy_edges)
        energy_values(edges, f"{name} edges")
        return cls(edges if unit is None else edges.to(unit), name)

    @property
    def nbin(self) -> int:
        """Number of bins."""
        return len(self.edges_tev) - 1

    @property
    def edges(self) -> u.Quantity:
        """Edges, shape (n_bins + 1,)."""
        return u.Quantity(self.edges_tev, u.TeV).to(self.unit)

    @property
    def edges_min(self) -> u.Quantity:
        """Lower edges, shape (n_bins,)."""
        return self.edges[:-1]

    @property
    def edges_max(self) -> u.Quantity:
        """Upper edges, shape (n_bins,)."""
        return self.edges[1:]

    @property
    def center(self) -> u.Quantity:
        """Geometric centres, shape (n_bins,)."""
        return u.Quantity(np.sqrt(self.edges_tev[:-1] * self.edges_tev[1:]), u.TeV).to(self.unit)

    @property
    def bin_width(self) -> u.Quantity:
        """Widths, shape (n_bins,)."""
        return np.diff(self.edges)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, EnergyAxis)
            and self.nbin == other.nbin
            and np.allclose(self.edges_tev, other.edges_tev, rtol=1e-6, atol=0)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"EnergyAxis({self.name!r}, {self.nbin} bins, {self.edges_tev[0]:g} to {self.edges_tev[-1]:g} TeV)"


class _Axes(dict):
    """Axes by name or by number."""

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


@gammapy_arguments
class EnergyGeom(Pointing):
    """Geometry of an `EnergyMap`: one energy axis."""

    def __init__(self, axis: EnergyAxis) -> None:
        self.axis = axis

    @property
    def axes(self) -> _Axes:
        """The axes by name (``geom.axes["energy"]``) or number."""
        return _Axes({self.axis.name: self.axis})

    def energy_mask(self, energy_min: Any = None, energy_max: Any = None, round_to_edge: bool = False) -> "EnergyMap":
        """Mask of the bins that lie fully inside an energy range.

        Parameters
        ----------
        energy_min, energy_max : `~astropy.units.Quantity`, optional
            The range; open on a side that is not given.
        round_to_edge : bool
            Move the limits to the nearest edges first.

        Returns
        -------
        `EnergyMap`
            True inside, shape (n_bins,).

        Raises
        ------
        InputError
            If the range is empty or upside down.
        UnitError
            If a limit is not an energy.
        """
        edges = self.axis.edges_tev
        low = edges[0] if energy_min is None else float(energy_values(energy_min, "energy_min"))
        high = edges[-1] if energy_max is None else float(energy_values(energy_max, "energy_max"))
        if not low < high:
            raise InputError(f"energy range: got {low:g} to {high:g} TeV, expected energy_min < energy_max.")
        if round_to_edge:
            low, high = (edges[np.argmin(np.abs(np.log(edges / e)))] for e in (low, high))
        # limits typed with fewer digits than the edges have must still mean the edge
        low, high = low * (1 - 1e-9), high * (1 + 1e-9)
        mask = (edges[:-1] >= low) & (edges[1:] <= high)
        if not mask.any():
            raise InputError(
                f"energy range {low:g} to {high:g} TeV holds no whole bin of the axis "
                f"({edges[0]:g} to {edges[-1]:g} TeV, {self.axis.nbin} bins); widen the range."
            )
        return EnergyMap(self, mask)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EnergyGeom) and self.axis == other.axis

    __hash__ = None  # type: ignore[assignment]


@gammapy_arguments
class EnergyMap(Pointing):
    """An array with one value per energy bin, and its unit.

    Parameters
    ----------
    geom : `EnergyGeom`
        The axis.
    data : array, shape (n_bins,)
        Values in `unit`.
    unit : str or `~astropy.units.Unit`
        Unit.
    """

    def __init__(self, geom: EnergyGeom, data: Any, unit: Any = u.dimensionless_unscaled) -> None:
        data = np.asarray(data)
        if data.shape != (geom.axis.nbin,):
            raise DataError(f"map on axis {geom.axis.name!r}: got shape {data.shape}, expected ({geom.axis.nbin},).")
        self.geom, self.data, self.unit = geom, data, u.Unit(unit)

    @property
    def quantity(self) -> u.Quantity:
        """Values with their unit."""
        return u.Quantity(self.data, self.unit)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype)

    def copy(self) -> "EnergyMap":
        """The same with an array of its own."""
        return EnergyMap(self.geom, np.array(self.data), self.unit)

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot a point in each bin; see `gammajax.plotting.plot_energy_map`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_energy_map`.
        """
        from gammajax.plotting import plot_energy_map

        return plot_energy_map(self, ax, **kwargs)

    def plot_hist(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot steps; see `gammajax.plotting.plot_energy_map`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `matplotlib.axes.Axes.stairs`.
        """
        return self.plot(ax, steps=True, **kwargs)

    def _arithmetic(self, other: Any, op: Any) -> "EnergyMap":
        if isinstance(other, EnergyMap):
            if other.geom != self.geom:
                raise DataError(
                    f"maps on {self.geom.axis!r} and {other.geom.axis!r} cannot be combined: the bins differ."
                )
            other = other.quantity
        with np.errstate(divide="ignore", invalid="ignore"):
            found = u.Quantity(op(self.quantity, other))
        return EnergyMap(self.geom, found.value, found.unit)

    def __add__(self, other: Any) -> "EnergyMap":
        return self._arithmetic(other, np.add)

    def __sub__(self, other: Any) -> "EnergyMap":
        return self._arithmetic(other, np.subtract)

    def __mul__(self, other: Any) -> "EnergyMap":
        return self._arithmetic(other, np.multiply)

    def __truediv__(self, other: Any) -> "EnergyMap":
        return self._arithmetic(other, np.divide)

    def _binary(self, other: Any, op: Any) -> "EnergyMap":
        return EnergyMap(self.geom, op(self.data, other.data if isinstance(other, EnergyMap) else other), self.unit)

    def __and__(self, other: Any) -> "EnergyMap":
        return self._binary(other, np.logical_and)

    def __or__(self, other: Any) -> "EnergyMap":
        return self._binary(other, np.logical_or)

    def __invert__(self) -> "EnergyMap":
        return EnergyMap(self.geom, ~self.data)

    def __repr__(self) -> str:
        return f"EnergyMap({self.geom.axis!r}, unit={self.unit.to_string()!r})\n{self.data}"


@gammapy_arguments
class EDispKernel(Pointing):
    """Energy dispersion: probability of each reconstructed bin for each true bin.

    Parameters
    ----------
    axis_true, axis : `EnergyAxis`
        True and reconstructed energy.
    pdf_matrix : array, shape (n_true, n_reco)
        Rows add up to at most 1.
    """

    def __init__(self, axis_true: EnergyAxis, axis: EnergyAxis, pdf_matrix: np.ndarray) -> None:
        self.axes = _Axes({"energy_true": axis_true, "energy": axis})
        self.pdf_matrix = pdf_matrix

    def get_edisp_kernel(self) -> "EDispKernel":
        """The kernel itself: where gammapy has one for each position, here is one."""
        return self

    def plot_matrix(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot it as an image; see `gammajax.plotting.plot_matrix`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_matrix`.
        """
        from gammajax.plotting import plot_matrix

        return plot_matrix(self, ax, **kwargs)

    def __repr__(self) -> str:
        return f"EDispKernel(shape {self.pdf_matrix.shape})"
