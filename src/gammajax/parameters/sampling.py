"""Sets of parameters drawn from their covariance."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.parameters.collection import Parameters
from gammajax.parameters.covariance import Covariance

__all__ = ["SampledParameters"]


class SampledParameters:
    """Base of what has parameters with a covariance."""

    @property
    def parameters(self) -> Parameters:
        """The parameters."""
        raise NotImplementedError

    @property
    def covariance(self) -> Covariance:
        """Their covariance."""
        raise NotImplementedError

    def sample_parameters_from_covariance(
        self, n_samples: int = 1000, random_state: Any = 42, free_only: bool = True
    ) -> np.ndarray:
        """Sets of parameters drawn from the normal distribution of values and covariance; limits are not looked at.

        Parameters
        ----------
        n_samples : int
            How many.
        random_state : int or `numpy.random.Generator`
            Seed or generator; 42 by default, as in gammapy.
        free_only : bool
            Whether only free parameters are in the sets.

        Returns
        -------
        array, shape (n_samples, n_parameters)
            In the units of the parameters.

        Raises
        ------
        InputError
            If an error is not finite, or the matrix is no covariance.
        """
        covariance = self.covariance
        chosen = [i for i, p in enumerate(self.parameters) if not (free_only and p.frozen)]
        matrix = covariance.data[np.ix_(chosen, chosen)]
        names = [n for i, n in enumerate(covariance.parameters.unique_names) if i in chosen]
        bad = [n for n, row in zip(names, matrix, strict=True) if not np.isfinite(row).all()]
        if bad:
            raise InputError(
                f"sample_parameters_from_covariance: {', '.join(bad)} has no finite error; freeze it, or fit again."
            )
        # of the correlation: amplitudes of 1e-12 stand beside indices
        scale = np.sqrt(np.maximum(np.diag(matrix), 0.0))
        unit = np.where(scale > 0, scale, 1.0)
        values, vectors = np.linalg.eigh(matrix / np.outer(unit, unit))
        if len(values) and values[0] < -1e-8 * len(values):
            raise InputError("sample_parameters_from_covariance: the covariance is not positive, fit again.")
        normal = np.random.default_rng(random_state).standard_normal((int(n_samples), len(chosen)))
        centre = np.array([self.parameters[i].value for i in chosen])
        return centre + (normal * np.sqrt(np.maximum(values, 0.0))) @ vectors.T * scale
