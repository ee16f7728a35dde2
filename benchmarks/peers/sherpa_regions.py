"""reg_proj and reg_unc of sherpa on the same problem: its W statistic and its loops, with the model as one compiled numpy fold."""

import logging
from typing import Any

import numpy as np

from benchmarks.peers.numba_kernels import AMPLITUDE, Arrays

__all__ = ["SherpaPeer"]

NAMES = ("amplitude", "alpha", "beta")
LIMITS = {"amplitude": (0.0, 100.0), "alpha": (1.0, 3.0), "beta": (-10.0, 10.0)}


class SherpaPeer:
    """Surfaces of alpha and beta.

    Parameters
    ----------
    arrays : `Arrays`
        Data.
    best : dict of str to float
        Best fit, in the units of gammajax.
    """

    def __init__(self, arrays: Arrays, best: dict[str, float]) -> None:
        from sherpa.astro.data import DataPHA
        from sherpa.fit import Fit
        from sherpa.models import ArithmeticModel, Parameter
        from sherpa.optmethods import LevMar
        from sherpa.stats import WStat

        logging.getLogger("sherpa").setLevel(logging.ERROR)

        class Counts(ArithmeticModel):  # type: ignore[misc]
            """Counts of a log-parabola in every bin."""

            def __init__(self) -> None:
                for name in NAMES:
                    low, high = LIMITS[name]
                    setattr(self, name, Parameter("counts", name, 1.0, low, high))
                super().__init__("counts", tuple(getattr(self, n) for n in NAMES))

            def calc(self, p: Any, *_: Any, **__: Any) -> np.ndarray:
                x = arrays.log_energy
                flux = np.sum(arrays.weight * np.exp(-(p[1] + p[2] * x) * x), axis=0)
                return p[0] * AMPLITUDE * (flux @ arrays.matrix)

        n = len(arrays.n_on)
        channel = np.arange(1, n + 1)
        on = DataPHA("on", channel, arrays.n_on, exposure=1.0, backscal=arrays.alpha)
        on.set_background(DataPHA("off", channel, arrays.n_off, exposure=1.0, backscal=np.ones(n)))
        on.units = "channel"
        self.model, self.best = Counts(), best
        self.fit = Fit(on, self.model, stat=WStat(), method=LevMar())
        self.reset()

    def reset(self) -> None:
        """Back to the best fit."""
        for name in NAMES:
            value = self.best[name] / (AMPLITUDE if name == "amplitude" else 1.0)
            getattr(self.model, name).val = value

    def stat(self) -> float:
        """Statistic at the best fit."""
        self.reset()
        return float(self.fit.calc_stat())

    def surface(self, index: np.ndarray, beta: np.ndarray, refit: bool) -> np.ndarray:
        """Statistic on a grid, with the amplitude re-fitted (``reg_proj``) or held (``reg_unc``), shape (n_index, n_beta)."""
        from sherpa.plot import RegionProjection, RegionUncertainty

        self.reset()
        region = RegionProjection() if refit else RegionUncertainty()
        # sherpa wants processes of its own only when asked: one core
        region.prepare(min=(index[0], beta[0]), max=(index[-1], beta[-1]), nloop=(len(index), len(beta)), numcores=1)
        region.calc(self.fit, self.model.alpha, self.model.beta)
        return np.asarray(region.y).reshape(len(beta), len(index)).T
