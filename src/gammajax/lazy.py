"""Names of a package that are loaded when the first of them is used: what needs none of them does not wait for JAX."""

import ast
import importlib
import importlib.util
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
    "FluxEstimator": "gammajax.FluxPointsEstimator",
    "SensitivityEstimator": "gammajax.FluxPointsEstimator(selection_optional=['sensitivity'])",
    "ParameterSensitivityEstimator": "gammajax.ParameterEstimator(selection_optional=['sensitivity'])",
    "integrate_spectrum": "model.integral(energy_min, energy_max)",
} | {name: f"gammajax.stats.{name}" for name in ("cash", "cstat", "wstat")}
MOVED |= {name: f"gammajax.plotting.{name}" for name in ("plot_contour_line", "plot_contour")}


def names_of(package: str, source: str | None = None) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose public names are loaded one by one, when each is used first.

    Parameters
    ----------
    package : str
        Its name.
    source : str, optional
        The module whose import statements say where each name is, the package itself by default: there they stand under
        ``if TYPE_CHECKING``, for type checkers and for people. They are read, not run.
    """
    homes: dict[str, tuple[str, str]] = {}

    def get(name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            # what Python itself asks for: nothing is loaded for that
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        own = vars(sys.modules[package])
        if not homes:
            homes.update(_homes(package, source or package))
        if name == "__all__":
            return sorted(homes)
        if name in homes:
            module, there = homes[name]
            found = importlib.import_module(module)
            own[name] = getattr(found, there) if there else found
        elif importlib.util.find_spec(f"{package}.{name}"):
            own[name] = importlib.import_module(f"{package}.{name}")
        else:
            hint = MOVED.get(name) or next(iter(get_close_matches(name, homes, 1, 0.7)), "")
            where = f"; you may mean {hint if '.' in hint else f'{package}.{hint}'}" if hint else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{where}")
        return own[name]

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *get("__all__")})

    return get, names


def _homes(package: str, source: str) -> dict[str, tuple[str, str]]:
    """Module and name there of every name that a module imports from this library; no name for what is itself a module."""
    spec = importlib.util.find_spec(source)
    text = spec.loader.get_source(source) if spec and spec.loader else None  # type: ignore[attr-defined]
    if text is None:
        raise ImportError(f"the source of {source} is not there; gammajax needs it to know where its names are.")
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = node.module == package
                home = (f"{package}.{alias.name}", "") if whole else (node.module, alias.name)
                found[alias.asname or alias.name] = home
    return {
        name: home
        for name, home in found.items()
        if home[0].startswith(package.split(".")[0] + ".") and name != "names_of"
    }
