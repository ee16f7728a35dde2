"""Energy bins of files: edges from lower and upper energies, checked."""

import warnings

import numpy as np

from gammajax.errors import DataError

__all__ = ["GRID_TOLERANCE", "contiguous_edges"]

# energies outside are a wrong unit, not a gamma-ray telescope: 1 MeV to 1 EeV (TeV) ...
ENERGY_RANGE = 1e-6, 1e6
# ... and with any_energy, from radio waves on
ANY_ENERGY = 1e-21, 1e12
GRID_TOLERANCE = 1e-5


def contiguous_edges(low: np.ndarray, high: np.ndarray, where: str, any_energy: bool = False) -> np.ndarray:
    """Contiguous increasing edges from lower and upper ones.

    Parameters
    ----------
    low, high : array, shape (n,)
        Lower and upper energies of the bins, TeV.
    where : str
        File and HDU, for error texts.
    any_energy : bool
        Accept energies outside 1 MeV to 1 EeV.

    Returns
    -------
    array, shape (n + 1,)
        TeV.

    Raises
    ------
    DataError
        Naming the first bad row.
    """
    if not len(low):
        raise DataError(f"{where}: there are no rows, expected at least one bin.")
    bottom, top = ANY_ENERGY if any_energy else ENERGY_RANGE
    for values, which in ((low, "lower"), (high, "upper")):
        bad = np.flatnonzero((values <= bottom) | (values >= top))
        if len(bad) and not (which == "lower" and bad[0] == 0 and len(bad) == 1 and values[0] == 0):
            hint = "" if any_energy else ", or read with any_energy=True if it is right"
            raise DataError(
                f"{where}, row {bad[0]}: {which} energy {values[bad[0]]:g} TeV, expected {bottom:g} to {top:g} TeV; check the unit "
                f"of the column{hint}."
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
