"""Energy bins of files: edges from lower and upper energies, checked."""

import warnings

import numpy as np

from gammajax.errors import DataError

__all__ = ["GRID_TOLERANCE", "contiguous_edges"]

# energies outside are a wrong unit, not an instrument (TeV)
ENERGY_RANGE = 1e-12, 1e9
GRID_TOLERANCE = 1e-5


def contiguous_edges(low: np.ndarray, high: np.ndarray, where: str) -> np.ndarray:
    """Contiguous increasing edges from lower and upper ones.

    Parameters
    ----------
    low, high : array, shape (n,)
        Lower and upper energies of the bins, TeV.
    where : str
        File and HDU, for error texts.

    Returns
    -------
    array, shape (n + 1,)
        TeV.

    Raises
    ------
    DataError
        Naming the first bad row.
    """
    for values, which in ((low, "lower"), (high, "upper")):
        bad = np.flatnonzero((values <= ENERGY_RANGE[0]) | (values >= ENERGY_RANGE[1]))
        if len(bad) and not (which == "lower" and bad[0] == 0 and len(bad) == 1 and values[0] == 0):
            raise DataError(
                f"{where}, row {bad[0]}: {which} energy {values[bad[0]]:g} TeV, expected {ENERGY_RANGE[0]:g} to "
                f"{ENERGY_RANGE[1]:g} TeV; check the unit of the column."
            )
    if low[0] == 0:
        low = low.copy()
        low[0] = 1e-3 * high[0]
        warnings.warn(f"{where}, row 0: the lower energy is 0; it is replaced by {low[0]:g} TeV.", stacklevel=2)
    bad = np.flatnonzero(high <= low)
    if len(bad):
        raise DataError(
            f"{where}, row {bad[0]}: energies {low[bad[0]]:g} to {high[bad[0]]:g} TeV, expected increasing bins."
        )
    gap = np.flatnonzero(np.abs(high[:-1] / low[1:] - 1) > GRID_TOLERANCE)
    if len(gap):
        i = gap[0]
        raise DataError(
            f"{where}: row {i} ends at {high[i]:g} TeV and row {i + 1} begins at {low[i + 1]:g} TeV, expected contiguous bins."
        )
    return np.append(low, high[-1])
