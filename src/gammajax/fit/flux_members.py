"""Data sets in the bins of flux points, and counts of each of them in each bin."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Member", "counted", "placed"]


class Member(NamedTuple):
    """A data set, or a part of one, in a time bin.

    Attributes
    ----------
    dataset : data set
        With models.
    row : int
        Number of its time bin.
    column : int
        Its number among those whose counts are kept apart.
    """

    dataset: Any
    row: int
    column: int


def counted(
    values: Sequence[np.ndarray], segment: np.ndarray, column: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Sums over the channels of each data set in each bin.

    Parameters
    ----------
    values : sequence of array, shape (m,)
        What is summed, one number for each channel.
    segment, column : array of int, shape (m,)
        Bin and data set of each channel.
    shape : (int, int)
        Numbers n of bins and D of data sets.

    Returns
    -------
    array, shape (len(values), n, D)
    """
    place = segment * shape[1] + column
    return np.array([np.bincount(place, v, shape[0] * shape[1]).reshape(shape) for v in values])


def placed(members: Sequence[Member], n_times: int, n_datasets: int) -> np.ndarray:
    """Which data sets are in which time bins, bool, shape (n_times, n_datasets)."""
    out = np.zeros((n_times, n_datasets), dtype=bool)
    for m in members:
        out[m.row, m.column] = True
    return out
