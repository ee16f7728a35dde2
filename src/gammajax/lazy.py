"""Names of a package that are loaded when the first of them is used: what needs none of them does not wait for JAX."""

import importlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

__all__ = ["names_of"]

# names of gammapy that are elsewhere or otherwise here
MOVED = {
    "MapAxis": "gammajax.EnergyAxis",
    "EDispKernelMap": "gammajax.datasets.EDispKernel",
    "RegionNDMap": "gammajax.datasets.EnergyMap",
    "FluxMaps": "gammajax.FluxPoints",
    "SPECTRAL_MODEL_REGISTRY": "gammajax.spectral_model_class(tag)",
    "TEMPORAL_MODEL_REGISTRY": "gammajax.temporal_model_class(tag)",
    "select_nested_models": "gammajax.Fit.ts",
    "TestStatisticNested": "gammajax.Fit.ts",
    "integrate_spectrum": "model.integral(energy_min, energy_max)",
} | {name: f"gammajax.stats.{name}" for name in ("cash", "cstat", "wstat")}
MOVED |= {name: f"gammajax.plotting.{name}" for name in ("plot_contour_line", "plot_contour")}


def names_of(package: str, source: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose public names are those of a module.

    Parameters
    ----------
    package : str
        Its name.
    source : str
        The module, which has them in its ``__all__``.
    """

    def get(name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            # what Python itself asks for: nothing is loaded for that
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own = importlib.import_module(source), vars(sys.modules[package])
        public = getattr(module, "__all__", ())
        if name == "__all__":
            return list(public)
        if name in public:
            own[name] = getattr(module, name)
        if name not in own:
            hint = MOVED.get(name) or next(iter(get_close_matches(name, public, 1, 0.7)), "")
            where = f"; you may mean {hint if '.' in hint else f'{package}.{hint}'}" if hint else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{where}")
        # a public name, or a package that came with them
        return own[name]

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *get("__all__")})

    return get, names
