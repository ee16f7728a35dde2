"""What counts as one unit of a statistic, and how much of its value is rounding."""

from typing import Any

import numpy as np

__all__ = ["Precision", "is_chi2"]

# rounding of the prediction of a point, relative to its size
ROUNDING = 4 * float(np.finfo(float).eps)


def is_chi2(likelihood: Any) -> bool:
    """Whether every data set is fitted with chi2, so that the statistic is a sum of squares."""
    return all(getattr(d, "statistic", "") == "chi2" for d in likelihood.structure.datasets)


class Precision:
    r"""Unit and rounding of a likelihood's statistic.

    The unit is 1, the scale of -2 ln L. Where the errors of a chi2 were given far too large, for instance all 1 because nobody knows them,
    it is :math:`\chi^2` per degree of freedom: the same errors as they turn out to be. It is never smaller than what rounding allows. With
    priors or penalties it is 1: they are on that scale, and beside their constants, which may be negative, the sum of squares is not seen.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    n_free : int
        Number of free parameters.
    """

    def __init__(self, likelihood: Any, n_free: int) -> None:
        self.chi2 = is_chi2(likelihood)
        self._rounding, self._dof, self._beside = 0.0, 1, 0.0
        self._alone = True
        if self.chi2:
            pulls = [
                np.asarray(d.values["value"])[mask] * np.asarray(d.values["weight"])[mask]
                for d in likelihood.data
                for mask in [np.asarray(d.mask)]
            ]
            self._rounding = ROUNDING * float(np.linalg.norm(np.concatenate(pulls)))
            self._dof = max(likelihood.n_bins_in_fit - n_free, 1)
            parameters = likelihood.models.parameters
            self._alone = not likelihood.models.penalties and all(p.prior is None for p in parameters)
            self._beside = 0.0 if self._alone else abs(likelihood.models.prior_stat_sum())

    def unit(self, stat: float) -> float:
        """What counts as one unit of the statistic at this value."""
        if not self.chi2 or not self._alone or not np.isfinite(stat):
            return 1.0
        return float(np.clip(stat / self._dof, 1e3 * self._rounding**2, 1.0))

    def noise(self, stat: float) -> float:
        """How much of this value may be rounding."""
        if not self.chi2:
            return 1e-13 * max(abs(stat), 1.0)
        # the squares of residuals that are wrong by their rounding; at most, where priors are added
        squares = max(stat, 0.0) if self._alone else abs(stat) + self._beside
        return 2 * float(np.sqrt(squares)) * self._rounding + self._rounding**2 + 1e-15 * squares
