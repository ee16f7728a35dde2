"""The problem, with gammajax."""

from types import MappingProxyType, SimpleNamespace

import numpy as np

from benchmarks.problem import SURFACE, Side

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
