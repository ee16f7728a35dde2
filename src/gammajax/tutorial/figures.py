"""Figures of the tutorial that combine several plots."""

from typing import Any

from astropy import units as u

__all__ = ["contours", "of", "profiles", "spectrum"]


def of(axes: Any) -> Any:
    """Figure of some axes."""
    while not hasattr(axes, "figure"):
        axes = axes[0]
    return axes.figure


def spectrum(model: Any) -> Any:
    """Spectrum times E^2 with its error band."""
    ax = model.plot(energy_bounds=[1, 10] * u.TeV, energy_power=2)
    model.plot_error(energy_bounds=[1, 10] * u.TeV, energy_power=2, ax=ax)
    return ax.figure


def profiles(scans: list) -> Any:
    """One panel per parameter, frozen and re-optimised."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(s.names for s in scans))
    figure, axes = plt.subplots(1, len(names), figsize=(5 * len(names), 4), squeeze=False)
    for scan in scans:
        ax = axes[0][names.index(scan.names)]
        scan.plot(ax=ax, label="others held" if scan.kind == "frozen" else "others re-fitted")
        ax.legend()
    figure.tight_layout()
    return figure


def contours(results: list) -> Any:
    """One panel per pair of parameters, one line per level."""
    import matplotlib.pyplot as plt

    from gammajax.plotting import plot_contour_line

    pairs = list(dict.fromkeys(c.names for c in results))
    figure, axes = plt.subplots(1, len(pairs), figsize=(5 * len(pairs), 4), squeeze=False, layout="constrained")
    for contour in results:
        ax = axes[0][pairs.index(contour.names)]
        label = f"{contour.sigma:g} sigma ({100 * contour.joint_probability:.1f} % joint)"
        plot_contour_line(ax, contour.x, contour.y, label=label, color=f"C{int(contour.sigma) - 1}")
        ax.set_xlabel(f"{contour.names[0].rsplit('.', 1)[-1]} {contour.units[0]}")
        ax.set_ylabel(f"{contour.names[1].rsplit('.', 1)[-1]} {contour.units[1]}")
    # the lines are the same in all panels: above them the legend is in the way of none
    figure.legend(*axes[0][0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=len(results))
    return figure
