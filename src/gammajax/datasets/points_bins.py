"""Published fluxes of energy bins: what a model predicts for them, as sums of its exact integrals between their edges."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gammajax.errors import DataError

__all__ = ["PointBins"]

# edges that have passed through another unit are still the same
SAME_EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class PointBins:
    r"""Energy bins whose flux or energy flux was published.

    Fluxes are held as the mean :math:`\bar\phi = F / (E_2 - E_1)` of the differential flux, energy fluxes as
    :math:`\bar\phi = S / (E_1 E_2 \ln(E_2/E_1))`: both are :math:`\phi` at the logarithmic centre where :math:`\phi \propto E^{-2}`, and of
    every other spectrum the same mean is predicted, as exact as the integrals of the models.

    Parameters
    ----------
    sed_type : {"flux", "eflux"}
        What was published.
    low, high : array, shape (n,)
        Edges, TeV; bins may overlap or leave gaps.
    """

    sed_type: str
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def checked(cls, sed_type: str, low: np.ndarray, high: np.ndarray, name: str) -> "PointBins":
        """Bins of a table, edges that are equal but for rounding made equal.

        Parameters
        ----------
        sed_type, low, high
            As in the constructor.
        name : str
            Of the data set, for messages.

        Raises
        ------
        DataError
            For what is no bin, naming it.
        """
        bad = np.flatnonzero(~(np.isfinite(high) & (low > 0) & (high > low)))
        if len(bad):
            i = bad[0]
            raise DataError(
                f"{name}: the energy bin of point {i} goes from {low[i]:g} to {high[i]:g} TeV, expected 0 < e_min < e_max."
            )
        nearest = high[np.argmin(np.abs(np.log(low[:, None] / high)), axis=1)]
        return cls(sed_type, np.where(np.isclose(low, nearest, rtol=SAME_EDGE, atol=0), nearest, low), high)

    @property
    def centre(self) -> np.ndarray:
        """Logarithmic centres, TeV, shape (n,)."""
        return np.sqrt(self.low * self.high)

    @property
    def factor(self) -> np.ndarray:
        """What a mean is multiplied with to be a flux (TeV) or an energy flux (TeV2), shape (n,)."""
        if self.sed_type == "flux":
            return self.high - self.low
        return self.low * self.high * np.log(self.high / self.low)

    @cached_property
    def response(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Exposure (n_true,), matrix (n_true, n) and edges (n_true + 1,), TeV, with which a model is folded to the means.

        The same for both: for energy fluxes it is the model times the energy that is integrated between the edges.
        """
        edges = np.unique(np.concatenate([self.low, self.high]))
        inside = (edges[:-1, None] >= self.low) & (edges[1:, None] <= self.high)
        return np.ones(len(edges) - 1), inside / self.factor, edges
