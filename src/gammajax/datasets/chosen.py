"""What a collection of data sets has in common, and parts of it in time."""

from typing import Any, Self

import numpy as np
from astropy import units as u

from gammajax.datasets.gti import GTI
from gammajax.errors import DataError
from gammajax.sequence import NamedSequence
from gammajax.units import to_unit

__all__ = ["ChosenDatasets"]

# edges that have passed through another unit are still the same
EDGE = 1e-6


class ChosenDatasets(NamedSequence):
    """What `Datasets` says of its members, by gammapy's names."""

    @property
    def gti(self) -> GTI | None:
        """One interval for each data set that has good times, from its first start to its last stop; None where none has."""
        found = [(d.gti.time_start[0], d.gti.time_stop[-1]) for d in self if d.gti is not None and len(d.gti)]
        return GTI.from_time_intervals(found) if found else None

    @property
    def is_all_same_type(self) -> bool:
        """Whether all are of one class."""
        return len({type(d) for d in self}) == 1

    @property
    def is_all_same_shape(self) -> bool:
        """Whether all have as many bins."""
        return len({np.shape(d.mask_array) for d in self}) == 1

    @property
    def is_all_same_energy_shape(self) -> bool:
        """The same as `is_all_same_shape`: there is no axis but that of the energy."""
        return self.is_all_same_shape

    @property
    def is_all_same_geom(self) -> bool:
        """Whether all are spectra on the same axis of reconstructed energy."""
        axes = [d.counts.geom.axis if hasattr(d, "counts") else None for d in self]
        return all(a is not None and a == axes[0] for a in axes)

    @property
    def energy_axes_are_aligned(self) -> bool:
        """Whether all are spectra whose axes share their edges as far as they overlap, so that a range means the same bins in each."""
        axes = [d.counts.geom.axis.edges_tev if hasattr(d, "counts") else None for d in self]
        return all(a is not None and _aligned(a, axes[0]) for a in axes)

    @property
    def contributes_to_stat(self) -> np.ndarray:
        """Which of them have a bin in the fit, bool, shape (N,)."""
        return np.array([bool(np.any(d.mask_array)) for d in self], dtype=bool)

    def select_time(self, time_min: Any, time_max: Any, atol: Any = "1e-6 s") -> Self:
        """The data sets all of whose good times lie in an interval.

        Parameters
        ----------
        time_min, time_max : `~astropy.time.Time`
            The interval.
        atol : str or `~astropy.units.Quantity`
            By how much good times may reach out of it.

        Raises
        ------
        DataError
            If a data set has no good times.
        """
        margin = u.Quantity(float(to_unit(u.Quantity(atol), "s", "atol")), "s")
        timeless = [d.name for d in self if d.gti is None or not len(d.gti)]
        if timeless:
            raise DataError(
                f"select_time: {', '.join(timeless)} has no good times; set them, dataset.gti = GTI.create(start, stop)."
            )
        low, high = time_min - margin, time_max + margin
        return self._part([d for d in self if d.gti.time_start[0] >= low and d.gti.time_stop[-1] <= high])

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def _aligned(one: np.ndarray, other: Any) -> bool:
    """Whether two axes have the same edges where both are."""
    if other is None:
        return False
    low, high = max(one[0], other[0]) * (1 - EDGE), min(one[-1], other[-1]) * (1 + EDGE)
    mine, its = (a[(a >= low) & (a <= high)] for a in (one, other))
    return len(mine) == len(its) > 1 and np.allclose(mine, its, rtol=EDGE, atol=0)
