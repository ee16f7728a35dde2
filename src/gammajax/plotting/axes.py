"""Axes to draw on."""

from typing import Any

__all__ = ["new_axes", "unit_text"]


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
