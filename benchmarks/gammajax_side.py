"""The problem, with gammajax."""

from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.problem import PAIRS, PROFILE, SCANNED, SURFACE, Side

__all__ = ["CompileClock", "GammajaxSide"]


class GammajaxSide(Side):
    """gammajax; the values of a scan are arguments, re-fits are one batch."""

    name = "gammajax"

    def load(self) -> None:
        """Import gammajax."""
        import gammajax

        self.api = SimpleNamespace(**{name: getattr(gammajax, name) for name in gammajax.__all__})

    def integrate_as_gammapy(self, on: bool) -> None:
        """Use gammapy's scheme for the bin integrals of curved spectra instead of exact ones."""
        self.datasets[0].compatibility = "gammapy" if on else None

    def profile(self, name: str, values: np.ndarray, reoptimize: bool) -> np.ndarray:
        """One profile; the statistic at each of the values."""
        fit = self.api.Fit()
        scan = fit.stat_profile(self.datasets, self.parameter(name), values=values, reoptimize=reoptimize)
        return np.asarray(scan["stat_scan"])

    def surface(self, reoptimize: bool = False) -> np.ndarray:
        """Surface of alpha and beta, shape (20, 20)."""
        scan = self.api.Fit().stat_surface(
            self.datasets,
            self.parameter("alpha"),
            self.parameter("beta"),
            SURFACE["alpha"],
            SURFACE["beta"],
            reoptimize=reoptimize,
        )
        return np.asarray(scan["stat_scan"])

    def all_contours(self) -> list:
        """Six contours of 10 points, in one call."""
        return self.api.Fit().stat_contours(self.datasets, [*PAIRS], numpoints=10, sigma=(1, 2))

    def contours(self) -> np.ndarray:
        """Extents of the six contours, shape (6, 4); those of the two parameters' intervals at the same level."""
        self.all_contours()
        table = self.api.Fit().confidence(self.datasets, list(SCANNED), sigma=[1, 2])
        out = []
        for sigma in (1, 2):
            for pair in PAIRS:
                found = [table[name, sigma] for name in pair]
                out.append([v for r in found for v in (r.value - r.errn, r.value + r.errp)])
        return np.array(out)

    def all_profiles(self) -> dict:
        """Three re-optimised profiles of 17 points, in one call."""
        for name in SCANNED:
            self.parameter(name).scan_values = PROFILE[name]
        return self.api.Fit().stat_profiles(self.datasets, list(SCANNED), reoptimize=True)

    def grid(self, n: int, reoptimize: bool) -> Any:
        """Surface of alpha and beta of n x n nodes over the range of the small one."""
        values = {name: np.linspace(v[0], v[-1], n) for name, v in SURFACE.items()}
        return self.api.Fit().stat_grid(self.datasets, values, reoptimize=reoptimize)


class CompileClock:
    """Seconds that JAX says it spent on tracing, lowering and compiling, since the last `take`.

    Tracing is counted where one jitted function calls another in both, so it is an upper limit.
    """

    EVENTS = MappingProxyType(
        {
            "/jax/core/compile/jaxpr_trace_duration": "trace",
            "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
            "/jax/core/compile/backend_compile_duration": "compile",
        }
    )

    def __init__(self) -> None:
        import jax

        self._seconds = self._zero()
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _zero(self) -> dict[str, float]:
        return {"trace": 0.0, "lower": 0.0, "compile": 0.0, "programs": 0}

    def _listen(self, event: str, duration: float, **_: object) -> None:
        kind = self.EVENTS.get(event)
        if kind is not None:
            self._seconds[kind] += duration
            self._seconds["programs"] += kind == "compile"

    def take(self) -> dict[str, float]:
        """Seconds by kind, and the number of programs compiled."""
        out, self._seconds = self._seconds, self._zero()
        return out
