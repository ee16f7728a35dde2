"""Published fluxes of energy bins: what a model predicts for them, as sums of its exact integrals between many edges."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gammajax.errors import DataError

__all__ = ["PointBins"]

# of the mean energy in a bin, nodes in each: the integral of a smooth spectrum to its edges is known to 1e-9 with them
NODES, NODES_PER_DECADE = 8, 12
# edges that have passed through another unit are still the same
SAME_EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class PointBins:
    r"""Energy bins whose flux or energy flux was published.

    Fluxes are held as the mean :math:`\bar\phi = F / (E_2 - E_1)` of the differential flux, energy fluxes as
    :math:`\bar\phi = S / (E_1 E_2 \ln(E_2/E_1))`: both are :math:`\phi` at the logarithmic centre where :math:`\phi \propto E^{-2}`, and of
    every other spectrum the same mean is predicted: fluxes as exact as the integrals of the models, energy fluxes to 1e-9, and to 1e-4
    in a bin in which the model has a break.

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
        r"""Exposure (n_true,), matrix (n_true, n) and edges (n_true + 1,), TeV, with which a model is folded to the means.

        An energy flux follows from integrals of the flux alone: with :math:`\Phi(E) = \int_{E_1}^{E} \phi\,dE'`

        .. math:: \int_{E_1}^{E_2} E\,\phi\,dE = E_2\,\Phi(E_2) - \int_{E_1}^{E_2} \Phi\,dE,

        whose last integral is a Gauss-Legendre sum in the logarithm of E, with edges at its nodes.
        """
        nodes, weights, of = _nodes(self) if self.sed_type == "eflux" else (np.zeros(0), np.zeros(0), np.zeros(0, int))
        edges = np.unique(np.concatenate([self.low, self.high, nodes]))
        begin, end = edges[:-1, None], edges[1:, None]
        inside = (begin >= self.low) & (end <= self.high)
        if self.sed_type == "flux":
            matrix = inside / self.factor
        else:
            # a piece of the flux is in Phi at all nodes behind it
            behind = np.where(end <= nodes, weights, 0.0)
            later = np.stack([behind[:, of == b].sum(axis=1) for b in range(len(self.low))], axis=1)
            matrix = np.where(inside, self.high - later, 0.0) / self.factor
        return np.ones(len(edges) - 1), matrix, edges


def _nodes(bins: PointBins) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and weights (TeV) of an integral over E in each bin, and the number of the bin of each node."""
    nodes, weights, of = [], [], []
    for b, (lo, hi) in enumerate(zip(bins.low, bins.high, strict=True)):
        n = NODES + int(np.ceil(NODES_PER_DECADE * np.log10(hi / lo)))
        x, w = np.polynomial.legendre.leggauss(n)
        half = 0.5 * np.log(hi / lo)
        e = np.sqrt(lo * hi) * np.exp(half * x)
        nodes.append(e)
        weights.append(half * w * e)
        of.append(np.full(n, b))
    return np.concatenate(nodes), np.concatenate(weights), np.concatenate(of)
