"""Measurements y at x, with errors or as counts, fitted with any function: the door for other fields."""

from typing import Any

import numpy as np

from gammajax.datasets.base import Dataset
from gammajax.datasets.checks import check_array, check_counts, check_positive, warn_of_fractions
from gammajax.datasets.simulate import fake_values, predicted_values
from gammajax.errors import DataError, InputError
from gammajax.models import FunctionModel, Models

__all__ = ["XYDataset"]

STATISTICS = ("chi2", "cash", "cstat")


class XYDataset(Dataset):
    r"""Values y measured at x, and the function that should describe them.

    The statistic is :math:`\chi^2 = \sum_i ((y_i - f(x_i))/\sigma_i)^2`, or for counts Cash's with the prediction f(x).

    Parameters
    ----------
    x : array, shape (n,) or (n, k)
        Where it was measured.
    y : array, shape (n,)
        What was measured.
    error : float or array, shape (n,), optional
        Standard deviations; with "chi2" only, and needed there.
    model : `FunctionModel`, optional
        The function.
    stat_type : {"chi2", "cash", "cstat"}
        Statistic.
    mask_fit : array of bool, shape (n,), optional
        Points in the fit; all if not given.
    name : str
        Name.

    Raises
    ------
    DataError
        For values that no fit can use, naming the point.
    InputError
        For errors without chi2, or chi2 without errors.

    Examples
    --------
    >>> from gammajax import Fit
    >>> model = FunctionModel(lambda x, slope, offset: slope * x + offset, {"slope": 1.0, "offset": 0.0})
    >>> data = XYDataset([0.0, 1.0, 2.0, 3.0], [1.1, 2.9, 5.2, 6.8], 0.2, model=model)
    >>> result = Fit(data, backend="newton").run()
    >>> [f"{p.value:.3f} +- {p.error:.3f}" for p in result.parameters]
    ['1.940 +- 0.089', '1.090 +- 0.167']
    """

    tag = "XYDataset"
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None

    def __init__(
        self,
        x: Any,
        y: Any,
        error: Any = None,
        *,
        model: Any = None,
        stat_type: str = "chi2",
        mask_fit: Any = None,
        name: str = "data",
    ) -> None:
        if stat_type not in STATISTICS:
            raise InputError(f"{name}: stat_type got {stat_type!r}, expected one of {', '.join(STATISTICS)}.")
        if (error is None) == (stat_type == "chi2"):
            raise InputError(
                f"{name}: chi2 needs the errors of y; give error=..., a number or one for each point."
                if error is None
                else f"{name}: {stat_type} is for counts, whose errors follow from the model; leave error out."
            )
        self.name, self.stat_type = str(name), stat_type
        self.x = np.array(x, dtype=float)
        n = len(self.x) if self.x.ndim else 0
        if self.x.ndim not in (1, 2) or not np.all(np.isfinite(self.x)):
            raise DataError(f"{name}: x has shape {self.x.shape}, expected finite values of shape (n,) or (n, k).")
        what = f"{name}: y"
        self.y = check_array(y, n, what) if stat_type == "chi2" else check_counts(y, n, what)
        if stat_type != "chi2":
            warn_of_fractions(name, y=self.y)
        self.error = None if error is None else check_positive(error, n, f"{name}: error")
        self.mask_fit = mask_fit
        if model is not None:
            self.models = model

    @property
    def models(self) -> Models | None:
        """The function; set a `FunctionModel`."""
        return self._models

    @models.setter
    def models(self, models: Any) -> None:
        chosen = None if models is None else models if isinstance(models, Models) else Models(models)
        if chosen is not None:
            mine = [m for m in chosen if m.shows_in(self.name)]
            wrong = [m for m in mine if not isinstance(m, FunctionModel)]
            if wrong:
                raise DataError(f"{self.name}: got {wrong[0]!r}, expected a FunctionModel, a function of x.")
        self._models = chosen

    @property
    def mask_fit(self) -> np.ndarray:
        """Points in the fit, bool, shape (n,); may be set, None for all."""
        return self._mask

    @mask_fit.setter
    def mask_fit(self, mask: Any) -> None:
        n = len(self.y)
        new = np.ones(n, dtype=bool) if mask is None else np.array(mask)
        if new.shape != (n,) or new.dtype != bool:
            raise DataError(
                f"{self.name}: mask_fit has shape {new.shape} and type {new.dtype}, expected ({n},) of bool."
            )
        self._mask = new

    @property
    def mask_array(self) -> np.ndarray:
        """Points in the fit, bool, shape (n,)."""
        return self._mask

    def points(self) -> np.ndarray:
        """The x, shape (n,) or (n, k)."""
        return self.x

    def statistic_arrays(self) -> dict[str, np.ndarray]:
        """What the statistic takes, each of shape (n,)."""
        if self.error is not None:
            return {"value": self.y, "weight": 1 / self.error}
        return {"n_on": self.y, "background": np.zeros_like(self.y)}

    def fake(self, random_state: int | np.random.Generator) -> None:
        """Replace y by a draw from the present function: Gaussian with the errors of y, or Poisson for counts.

        Parameters
        ----------
        random_state : int or `numpy.random.Generator`
            Seed or generator.

        Raises
        ------
        InputError
            Without a function, without a seed, or if the function is not finite or predicts negative counts.
        """
        self.y = fake_values(self, random_state)

    def prediction(self, x: Any = None) -> np.ndarray:
        """Values of the function.

        Parameters
        ----------
        x : array, optional
            Where; at the points of the data if not given.
        """
        if x is None:
            return predicted_values(self)
        at = np.array(x, dtype=float)
        other = XYDataset(at, np.zeros(len(at)), 1.0, name=self.name)
        other.models = self.models
        return predicted_values(other)

    def plot_fit(self, **kwargs: Any) -> Any:
        """Plot points, function and residuals; see `gammajax.plotting.plot_xy_fit`.

        Parameters
        ----------
        **kwargs
            To `gammajax.plotting.plot_xy_fit`.
        """
        from gammajax.plotting import plot_xy_fit

        return plot_xy_fit(self, **kwargs)

    def copy(self, name: str | None = None) -> "XYDataset":
        """Return a copy with its own arrays and without models.

        Parameters
        ----------
        name : str, optional
            Name of the copy; ``"<name>-copy"`` if not given.
        """
        return XYDataset(
            self.x, self.y, self.error, stat_type=self.stat_type, mask_fit=self._mask, name=name or f"{self.name}-copy"
        )

    def __repr__(self) -> str:
        return f"XYDataset({self.name!r}, {len(self.y)} points, {self.stat_type})"
