"""The problem, with gammapy."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.problem import OPTIONS, SURFACE, Side

__all__ = ["GammapySide"]


class GammapySide(Side):
    """gammapy 2.1; the values of a scan are attributes of the parameter."""

    name = "gammapy"

    def load(self) -> None:
        """Import gammapy."""
        from gammapy.datasets import Datasets, SpectrumDatasetOnOff
        from gammapy.modeling import Fit
        from gammapy.modeling.models import LogParabolaSpectralModel, SkyModel

        self.api = SimpleNamespace(
            Datasets=Datasets,
            SpectrumDatasetOnOff=SpectrumDatasetOnOff,
            Fit=Fit,
            LogParabolaSpectralModel=LogParabolaSpectralModel,
            SkyModel=SkyModel,
        )

    def _fit(self) -> Any:
        return self.api.Fit(backend="minuit", optimize_opts=OPTIONS["minuit"])

    def profile(self, name: str, values: np.ndarray, reoptimize: bool) -> np.ndarray:
        """One profile; the statistic at each of the values."""
        parameter = self.parameter(name)
        parameter.scan_values = values
        return np.asarray(self._fit().stat_profile(self.datasets, parameter, reoptimize=reoptimize)["stat_scan"])

    def surface(self, reoptimize: bool = False) -> np.ndarray:
        """Surface of alpha and beta, shape (20, 20)."""
        alpha, beta = self.parameter("alpha"), self.parameter("beta")
        alpha.scan_values, beta.scan_values = SURFACE["alpha"], SURFACE["beta"]
        return np.asarray(self._fit().stat_surface(self.datasets, alpha, beta, reoptimize=reoptimize)["stat_scan"])

    def contour_points(self, result: Any, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
        """Points of a contour; gammapy's keys are unique names."""
        by_name = {key.rsplit(".", 1)[-1]: value for key, value in result.items()}
        return np.asarray(by_name[x]), np.asarray(by_name[y])
