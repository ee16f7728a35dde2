"""Prior from samples of a parameter, such as those of another measurement's posterior."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError
from gammajax.parameters import prior_functions as functions
from gammajax.parameters.priors import Prior
from gammajax.units import to_unit

__all__ = ["SamplesKDEPrior"]

# values of x times samples that are held at once
BLOCK = 2**22


class SamplesKDEPrior(Prior):
    r"""Gaussian kernel density estimate of samples, :math:`-2\ln\sum_i w_i N(x; s_i, h)`, as scipy's ``gaussian_kde`` has it.

    The bandwidth is Scott's, :math:`h = \sigma\,n_{eff}^{-1/5}`, of the weighted :math:`\sigma^2 = \sum w_i (s_i-m)^2 / (1 - \sum w_i^2)`
    with :math:`\sum w_i = 1` and :math:`n_{eff} = 1/\sum w_i^2`. Far outside the samples the prior is that of a Gaussian of
    standard deviation h around the outermost one.

    Parameters
    ----------
    samples : array or `~astropy.units.Quantity`, shape (n,)
        Values of one parameter, at least two different ones. Numbers are in the unit of the parameter.
    weights : array, shape (n,), optional
        How much each sample counts, 0 or more; the same for all if not given. Only ratios matter.
    weight : float
        Factor of the prior, default 1.

    Attributes
    ----------
    samples, weights : array, shape (n,)
        As given, read-only.
    mean, std, bandwidth : float
        m, :math:`\sigma` and h, in `unit`.

    Raises
    ------
    InputError
        For samples and weights that are not as said here.

    References
    ----------
    Scott 1992, Multivariate Density Estimation.

    Examples
    --------
    >>> prior = SamplesKDEPrior([2.1, 2.3, 2.4, 2.6], weights=[1, 2, 2, 1])
    >>> prior
    SamplesKDEPrior(4 samples, mean=2.35, std=0.176505)
    >>> round(prior.stat(2.35), 6)
    -1.389419
    """

    function = staticmethod(functions.samples_kde)

    samples: np.ndarray
    weights: np.ndarray
    mean: float
    std: float
    bandwidth: float

    def __init__(self, samples: Any, weights: Any = None, weight: float = 1.0) -> None:
        what = type(self).__name__
        numbers, unit = _vector(samples, f"{what}.samples")
        if weights is None:
            factors = np.ones(len(numbers))
        else:
            factors, given = _vector(weights, f"{what}.weights")
            factors = (
                factors if given is None else to_unit(factors * given, u.dimensionless_unscaled, f"{what}.weights")
            )
            if len(factors) != len(numbers):
                raise InputError(
                    f"{what}: got {len(factors)} weights for {len(numbers)} samples, expected one for each."
                )
            if np.any(factors < 0):
                k = int(np.argmax(factors < 0))
                raise InputError(f"{what}.weights: got {factors[k]:g} at position {k}, expected numbers of 0 and more.")
        self._fill(numbers, factors, float(weight), unit)

    def _fill(self, samples: np.ndarray, weights: np.ndarray, weight: float, unit: u.UnitBase | None) -> None:
        self._set((), weight, unit)
        used = samples[weights > 0]
        if len(used) == 0 or np.all(used == used[0]):
            got = (
                f"{len(used)} of {len(samples)} with a weight above 0"
                if len(used) < 2
                else f"{used[0]:g} in all {len(used)}"
            )
            raise InputError(
                f"{type(self).__name__}.samples: got {got}, expected at least two different values; for a known value with an error "
                "take a GaussianPrior."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std, n_eff = _moments(used, _shares(weights))
        bandwidth = std * n_eff**-0.2
        if not (np.isfinite(bandwidth) and bandwidth > 0):
            raise InputError(
                f"{type(self).__name__}.samples: got values from {used.min():g} to {used.max():g}, whose standard deviation is beyond "
                "the range of numbers; change the unit."
            )
        for array in (samples, weights):
            array.setflags(write=False)
        self.__dict__.update(samples=samples, weights=weights, mean=mean, std=std, bandwidth=bandwidth)

    @property
    def values(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples with a weight above 0, ln of their weights that add up to 1, both of shape (n,), and the bandwidth."""
        return self.samples[self.weights > 0], np.log(_shares(self.weights)), np.array(self.bandwidth)

    def _times(self, factor: float, unit: u.UnitBase) -> "SamplesKDEPrior":
        if self.unit is not None and self.unit == unit:
            return self
        new = object.__new__(type(self))
        new._fill(self.samples * factor, self.weights, self.weight, unit)
        return new

    def stat(self, x: Any, constants: bool = True) -> Any:
        """-2 ln of the density times `weight`, at numbers in `unit` or at a quantity; shape of `x`.

        Parameters
        ----------
        x : float, array or `~astropy.units.Quantity`
            Values of the parameter.
        constants : bool
            Keep what does not depend on x, as gammapy does.
        """
        pieces = -(-np.size(x) * len(self.samples) // BLOCK)
        if pieces < 2 or np.ndim(x) == 0:
            return super().stat(x, constants)
        x = x if isinstance(x, u.Quantity) else np.asarray(x, dtype=float)
        parts = [super(SamplesKDEPrior, self).stat(part, constants) for part in np.array_split(x.ravel(), pieces)]
        return np.concatenate(parts).reshape(x.shape)

    __call__ = stat

    def _key(self) -> tuple:
        return type(self), self.samples.tobytes(), self.weights.tobytes(), self.weight

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SamplesKDEPrior) and self._key() == other._key() and self.unit == other.unit

    def __hash__(self) -> int:
        return hash(self._key())

    def __setstate__(self, state: dict[str, Any]) -> None:
        # arrays come out of a pickle, and of a deep copy, as ones that can be changed
        self.__dict__.update(state)
        for array in (self.samples, self.weights):
            array.setflags(write=False)

    def __repr__(self) -> str:
        weight = "" if self.weight == 1 else f", weight={self.weight:g}"
        return f"{type(self).__name__}({len(self.samples)} samples, mean={self.mean:g}, std={self.std:g}{weight})"


def _vector(given: Any, what: str) -> tuple[np.ndarray, u.UnitBase | None]:
    """A new array of finite numbers, shape (n,), float64, and the unit it came with."""
    if isinstance(given, list | tuple) and any(isinstance(v, u.Quantity) for v in given):
        try:
            given = u.Quantity(given)
        except (TypeError, ValueError):
            raise InputError(f"{what}: got quantities of different dimensions, expected those of one unit.") from None
    unit = getattr(given, "unit", None)
    masked = np.asarray(getattr(given, "mask", False)) if isinstance(given, np.ndarray) else np.array(False)
    if masked.any():
        raise InputError(
            f"{what}: got a masked value at position {int(np.argmax(masked))}, expected finite numbers; take samples[~samples.mask]."
        )
    try:
        array = np.asarray(given)
    except ValueError:
        raise InputError(f"{what}: got rows of different lengths, expected numbers in one dimension.") from None
    if array.dtype.kind not in "fiu":
        raise InputError(f"{what}: got values of type {array.dtype}, expected numbers in one dimension.")
    if array.ndim != 1:
        raise InputError(
            f"{what}: got an array of shape {array.shape}, expected one dimension: samples of one parameter at a time."
        )
    # -0.0 becomes 0.0: equal samples have equal bytes
    array = array.astype(float) + 0.0
    if not np.all(np.isfinite(array)):
        k = int(np.argmin(np.isfinite(array)))
        raise InputError(f"{what}: got {array[k]:g} at position {k}, expected finite numbers.")
    return array, None if unit is None else u.Unit(unit)


def _shares(weights: np.ndarray) -> np.ndarray:
    """Weights above 0, which add up to 1."""
    scaled = weights[weights > 0] / weights.max()
    return scaled / scaled.sum()


def _moments(samples: np.ndarray, shares: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard deviation and effective number of samples, with the shares that each has."""
    reference = samples[np.argmax(shares)]
    scale = np.abs(samples - reference).max()
    away = (samples - reference) / scale
    mean = np.sum(shares * away)
    # 1 - sum w^2 without a difference of nearly equal numbers where one sample has nearly all the weight
    most = np.argmax(shares)
    others = 1 - shares
    others[most] = np.delete(shares, most).sum()
    std = np.sqrt(np.sum(shares * (away - mean) ** 2) / np.sum(shares * others))
    return float(reference + scale * mean), float(scale * std), float(1 / np.sum(shares**2))
