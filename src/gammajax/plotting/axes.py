"""Axes to draw on."""

from typing import Any

__all__ = ["new_axes", "unit_text", "y_unit"]


def new_axes(ax: Any) -> Any:
    """The axes given, or the current ones."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def unit_text(unit: Any) -> str:
    """Unit in brackets for a label, empty where there is none."""
    from astropy import units as u

    text = u.Unit(unit).to_string("latex_inline") if str(unit) else ""
    return f" [{text}]" if text else ""


def y_unit(ax: Any, unit: Any) -> tuple[float, Any]:
    """Factor to, and unit of, the y axis: the one that a person has set, ``ax.yaxis.set_units(u.Unit("erg cm-2 s-1"))``, where it suits."""
    from astropy import units as u

    own, unit = ax.yaxis.get_units(), u.Unit(unit)
    if isinstance(own, u.UnitBase) and own.is_equivalent(unit):
        return float(unit.to(own)), own
    return 1.0, unit
