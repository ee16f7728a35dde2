"""What every data set has: a name, models, a mask, a statistic."""

from typing import Any, ClassVar

import numpy as np

from gammajax.closed import Closed
from gammajax.datasets.registry import evaluator
from gammajax.errors import InputError
from gammajax.models import Models

__all__ = ["Dataset"]


class Dataset(Closed):
    """Base of the data sets.

    A member gives `statistic_arrays` and either `response_arrays` or `points`; a likelihood asks for nothing else.
    """

    tag: ClassVar[str] = ""
    stat_type: str
    name: str
    _models: Models | None = None
    _compatibility: str | None = None
    # good time intervals: what models that vary in time need
    gti: Any = None

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"

    # -- what a likelihood asks for --------------------------------------------------------------------------------

    def statistic_arrays(self) -> dict[str, np.ndarray]:
        """The arrays that the statistic takes, by name, each of shape (n_bins,)."""
        raise NotImplementedError

    def response_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Exposure (n_true,), dispersion (n_true, n_bins) and true-energy edges (n_true + 1,), TeV; or None."""
        return None

    @property
    def energy_power(self) -> int:
        """Power of the energy (TeV) that models are multiplied with before they are integrated: 1 where energy fluxes were measured."""
        return 0

    def points(self) -> np.ndarray:
        """Where models are evaluated that are not folded: energies (TeV) or x, shape (n_bins,) or (n_bins, k)."""
        raise NotImplementedError

    def background_array(self) -> np.ndarray | None:
        """A known background that a background model scales, shape (n_bins,); or None."""
        return None

    def check_for_fit(self) -> None:
        """Refuse what no fit can use, naming bin and value."""

    @property
    def mask_array(self) -> np.ndarray:
        """Bins in the fit, bool, shape (n_bins,)."""
        raise NotImplementedError

    @property
    def fractional_counts(self) -> bool:
        """Whether counts are not whole: Asimov or weighted data, whose errors are not those of a Poisson measurement."""
        arrays = self.statistic_arrays()
        return any(np.any(arrays[k] != np.round(arrays[k])) for k in ("n_on", "n_off") if k in arrays)

    # -- models and what they predict ------------------------------------------------------------------------------

    @property
    def models(self) -> Models | None:
        """The sources; set a `SkyModel`, a list or `Models`."""
        return self._models

    @models.setter
    def models(self, models: Any) -> None:
        self._models = None if models is None else models if isinstance(models, Models) else Models(models)

    @property
    def compatibility(self) -> str | None:
        """None for exact bin integrals, "gammapy" for gammapy's integration scheme and clipping."""
        return self._compatibility

    @compatibility.setter
    def compatibility(self, value: str | None) -> None:
        if value not in (None, "gammapy"):
            raise InputError(f"{self.name}: compatibility got {value!r}, expected None or 'gammapy'.")
        self._compatibility = value

    def stat_array(self) -> np.ndarray:
        """Statistic of each bin, -2 ln L, shape (n_bins,); 0 in masked bins."""
        return evaluator("stat_array")(self)

    def stat_sum(self) -> float:
        """Statistic summed over the bins of the fit, without priors."""
        return float(np.sum(self.stat_array()))
