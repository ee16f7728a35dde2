"""Times as plain numbers without loss: a modified Julian date as a whole part and a rest."""

from typing import Any

import numpy as np

from gammajax.errors import InputError

__all__ = ["as_times", "mjd_parts"]


def as_times(value: Any, what: str) -> Any:
    """Times from what astropy reads as times; refuses bare numbers, which could mean anything.

    Raises
    ------
    InputError
        Naming the argument.
    """
    from astropy.time import Time

    if isinstance(value, Time):
        return value
    try:
        if np.asarray(value).dtype.kind in "fiub":
            raise ValueError
        return Time(value)
    except (ValueError, TypeError):
        raise InputError(
            f"{what}: got {value!r}, expected times; write for instance {what} = Time(53343.9, format='mjd', scale='tt')."
        ) from None


def mjd_parts(times: Any, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Modified Julian dates in two parts, whose sum has twice the digits of one number.

    Parameters
    ----------
    times : `~astropy.time.Time`
        Times.
    scale : {"tt", "utc", "tai", "tdb", ...}
        Time scale in which they are counted.

    Returns
    -------
    day, rest : array
        Days, the first part a multiple of 1/2.
    """
    own = getattr(times, scale)
    return np.asarray(own.jd1 - 2400000.5, dtype=float), np.asarray(own.jd2, dtype=float)
