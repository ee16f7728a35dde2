"""Results of the bins that hold data, in the place of each among all bins."""

from typing import Any

import numpy as np

from gammajax.fit.flux_columns import PER_DATASET
from gammajax.solve import Status

__all__ = ["spread"]

# what has one number for each bin
COLUMNS = (
    "norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "norm_sensitivity", "ts", "stat", "stat_null",
)  # fmt: skip


def spread(found: dict[str, Any], place: np.ndarray, belongs: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
    """The fields of `FluxPoints` for all bins: nan, no success and `Status.NOT_DONE` in those without a channel in the fit; no counts there.

    Parameters
    ----------
    found : dict
        Fields by name, with one entry for each of the n bins that hold data.
    place : array of int, shape (n,)
        Where they are among all bins.
    belongs : array of bool, shape (number of all bins, D)
        Which data sets are in the time bins.
    shape : tuple of int
        Of all bins, (K,) or (T, K).

    Returns
    -------
    dict
        The same, each of shape `shape`, the scan and counts with one axis more.
    """
    out = found | {name: _spread(found[name], place, shape) for name in (*COLUMNS, *PER_DATASET, "stat_scan")}
    out["counts"] = np.where(belongs.reshape(out["counts"].shape), np.nan_to_num(out["counts"]), np.nan)
    status = _spread(found["status"], place, shape)
    out["status"] = np.where(np.isnan(status), Status.NOT_DONE.value, status).astype(int)
    out["success"] = _spread(found["success"], place, shape) == 1
    return out


def _spread(values: np.ndarray, place: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.full((int(np.prod(shape)), *values.shape[1:]), np.nan)
    out[place] = values
    return out.reshape(*shape, *values.shape[1:])
