"""Covariance of parameters: not the Hessian, not the information, not the correlation."""

import math
from typing import Any

import numpy as np

from gammajax.elsewhere import Pointing
from gammajax.errors import InputError
from gammajax.parameters.collection import Parameters

__all__ = ["Covariance", "covariance_from_hessian", "set_errors"]


class Covariance(Pointing):
    r"""Covariance matrix of a set of parameters, in the units of the parameters.

    With the statistic on the -2 ln L scale, :math:`C = 2 H^{-1}` where :math:`H` is the exact Hessian of the
    statistic in the free parameters. Frozen parameters have rows of zeros.

    Parameters
    ----------
    parameters : `Parameters`
        The n parameters, linked ones repeated as in the models.
    data : array, shape (n, n)
        The matrix; zeros if not given.
    """

    def __init__(self, parameters: Parameters, data: Any = None) -> None:
        n = len(parameters)
        matrix = np.zeros((n, n)) if data is None else np.array(data, dtype=float)
        if matrix.shape != (n, n):
            raise InputError(f"covariance: got shape {matrix.shape}, expected ({n}, {n}) for {n} parameters.")
        matrix.setflags(write=False)
        self.parameters = parameters
        self._data = matrix

    @classmethod
    def of_errors(cls, parameters: Parameters, data: Any = None) -> "Covariance":
        r"""The matrix with the errors that the parameters have now: its correlations are kept, :math:`\rho_{ij}\sigma_i\sigma_j`.

        Without a matrix that of independent errors; parameters that are one have one error.

        Parameters
        ----------
        parameters : `Parameters`
            The n parameters.
        data : array, shape (n, n), optional
            The matrix that was set, by a fit or by hand.

        Examples
        --------
        >>> from gammajax.parameters import Parameter
        >>> index, norm = Parameter("index", 2.0, error=0.5), Parameter("norm", 1.0, error=0.1)
        >>> Covariance.of_errors(Parameters([index, norm])).data.round(9).tolist()
        [[0.25, 0.0], [0.0, 0.01]]
        >>> Covariance.of_errors(Parameters([index, norm]), [[0.0625, 0.01], [0.01, 0.01]]).data.round(9).tolist()
        [[0.25, 0.02], [0.02, 0.01]]
        """
        if data is None:
            return cls(parameters, _independent(parameters))
        kept = cls(parameters, data)
        errors, variances = [p.error for p in parameters], np.diag(kept.data).tolist()
        # in plain numbers, which is all that most ask for: a fit of a millisecond asks as well
        changed = np.array([not _is_error(e, v) for e, v in zip(errors, variances, strict=True)], dtype=bool)
        if not changed.any():
            return kept
        error, variance = np.array(errors), np.array(variances)
        with np.errstate(all="ignore"):
            ratio = error / np.sqrt(variance)
        # where there was no error, or none that is defined, there is no correlation either
        known = np.isfinite(ratio) & (variance > 0)
        scale = np.where(changed & known, ratio, 1.0)
        # steep links of large errors may leave the range of numbers: inf says so
        with np.errstate(all="ignore"):
            matrix = kept.data * np.outer(scale, scale)
            np.fill_diagonal(matrix, np.where(changed, error**2, variance))
        lost = changed & ~known
        if np.any(lost):
            independent = _independent(parameters)
            matrix[lost], matrix[:, lost] = independent[lost], independent[:, lost]
        return cls(parameters, matrix)

    @property
    def data(self) -> np.ndarray:
        """The matrix, shape (n, n), read-only."""
        return self._data

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (n, n)."""
        return self._data.shape

    @property
    def errors(self) -> np.ndarray:
        """Square roots of the diagonal, shape (n,)."""
        return np.sqrt(np.diag(self._data))

    @property
    def correlation(self) -> np.ndarray:
        """Correlation matrix, shape (n, n); nan in rows of parameters without error."""
        scale = self.errors
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._data / np.outer(scale, scale)

    @property
    def scipy_mvn(self) -> Any:
        """`scipy.stats.multivariate_normal` of values and covariance of all parameters, as gammapy has it.

        To scipy a direction whose variance is below some 1e-10 of the largest is none: an amplitude of 1e-12 has no part in the density
        beside an index of order one. Divide values and matrix by the errors where that matters.
        """
        from scipy.stats import multivariate_normal

        return multivariate_normal(self.parameters.value, self._data, allow_singular=True)

    def scaled(self, factor: float) -> "Covariance":
        """The same times a factor, such as chi2 per degree of freedom where only the ratios of the errors of the data are known.

        Parameters
        ----------
        factor : float
            Positive; errors grow with its square root.
        """
        if not (np.isfinite(factor) and factor > 0):
            raise InputError(
                f"covariance.scaled: got {factor!r}, expected a positive number, such as chi2 per degree of freedom."
            )
        return Covariance(self.parameters, self._data * float(factor))

    def get_subcovariance(self, parameters: Parameters) -> "Covariance":
        """Block of the given parameters.

        Parameters
        ----------
        parameters : `Parameters`
            Some of the parameters.
        """
        index = [self.parameters.index(p) for p in parameters]
        return Covariance(parameters, self._data[np.ix_(index, index)])

    def to_table(self) -> Any:
        """Return an astropy Table: a column of names, then one column per parameter."""
        from astropy.table import Table

        names = self.parameters.unique_names
        table = Table([names], names=["parameter"])
        for i, name in enumerate(names):
            table[name] = self._data[:, i]
        return table

    def plot_correlation(self, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the correlation matrix as an annotated heat map; see `gammajax.plotting.plot_correlation`.

        Parameters
        ----------
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_correlation`.
        """
        from gammajax.plotting import plot_correlation

        return plot_correlation(self, ax=ax, **kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self._data, dtype=dtype)

    def __str__(self) -> str:
        return str(self._data)

    def __repr__(self) -> str:
        return f"Covariance({', '.join(self.parameters.unique_names)})\n{self._data}"


def set_errors(parameters: Parameters, matrix: np.ndarray) -> None:
    """Set the errors of parameters to those of a covariance; one that is linked by a formula has that of its parent.

    Parameters
    ----------
    parameters : `Parameters`
        The n parameters.
    matrix : array, shape (n, n)
        Their covariance, in their units.
    """
    for p, variance in zip(parameters, np.diag(matrix).tolist(), strict=True):
        # the square of a small error may be 0, that of a large one inf: such an error stays
        if p.follows is None and not (p.error * p.error == variance or _same(p.error, _root(variance))):
            p.error = _root(variance)


def _root(variance: float) -> float:
    return math.sqrt(variance) if variance >= 0 else math.nan


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _is_error(error: float, variance: float) -> bool:
    """Whether an error is that of a variance, but for rounding."""
    root = _root(variance)
    return _same(error, root) or error * error == variance or abs(error - root) <= 1e-12 * abs(root) < math.inf


def _independent(parameters: Parameters) -> np.ndarray:
    """Covariance of the errors alone, of parameters that are one or linked too."""
    n = len(parameters)
    error = np.array([p.error for p in parameters.unique_parameters])
    if not np.any(error != 0):
        return np.zeros((n, n))
    places, slopes = parameters.from_unique()
    sigma = slopes * error[places]
    with np.errstate(over="ignore"):
        return np.where(places[:, None] == places, np.outer(sigma, sigma), 0.0)


def covariance_from_hessian(hessian: np.ndarray) -> np.ndarray | None:
    r"""Covariance :math:`2 H^{-1}` of a statistic on the -2 ln L scale, or None when H is not positive definite.

    Parameters
    ----------
    hessian : array, shape (n, n)
        Second derivatives of the statistic.

    Examples
    --------
    >>> covariance_from_hessian(np.diag([2.0, 8.0])).tolist()
    [[1.0, 0.0], [0.0, 0.25]]
    """
    hessian = np.asarray(hessian, dtype=float)
    if hessian.size == 0:
        return np.zeros((0, 0))
    diagonal = np.diag(hessian)
    if not np.all(np.isfinite(hessian)) or np.any(diagonal <= 0):
        return None
    # unit diagonal first: amplitudes of 1e-12 next to indices of order one lose all digits otherwise
    scale = 1 / np.sqrt(diagonal)
    scaled = hessian * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(scaled)
    # the Hessian itself is known to about 1e-14; a smaller eigenvalue is a degeneracy, not a curvature
    if values[0] <= 1e-13 * values[-1]:
        return None
    inverse = (vectors / values) @ vectors.T
    return (inverse + inverse.T) * np.outer(scale, scale)
