"""Counts in tables of flux points, of each data set by itself."""

import json
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError
from gammajax.fit.flux_columns import PER_DATASET

__all__ = ["counts_of", "names_of"]


def names_of(meta: dict[str, Any], where: str) -> tuple[str, ...] | None:
    """Names of the data sets, which files of gammapy do not have.

    Parameters
    ----------
    meta : dict
        Of the table, by upper-case keys.
    where : str
        Name of the file, for messages.
    """
    text = meta.get("DATASETS")
    if text is None:
        return None
    found = json.loads(text)
    if not isinstance(found, list) or not found or not all(isinstance(n, str) for n in found):
        raise FileFormatError(f"{where}: DATASETS holds no list of names; remove the keyword.")
    return tuple(found)


def counts_of(
    table: Any, names: tuple[str, ...] | None, shape: tuple[int, ...], where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns counts, npred and npred_excess, shape (*shape, D): a number for each data set in each bin, or one for all; nan without them.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    names : tuple of str, optional
        Of the data sets, if they are known.
    shape : tuple of int
        Of the other columns.
    where : str
        Name of the file, for messages.

    Raises
    ------
    FileFormatError
        Naming a column of another shape.
    """
    found = {}
    for name in PER_DATASET:
        if name in table.colnames:
            values = np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan)
            found[name] = np.asarray(values[..., None] if values.shape == shape else values)
    size = len(names) if names else next((v.shape[-1] for v in found.values()), 1)
    for name, values in found.items():
        if values.shape != (*shape, size):
            raise FileFormatError(
                f"{where}: column {name} has shape {values.shape}, expected {(*shape, size)}: one number for each data set in each bin."
            )
    counts, npred, excess = (found.get(n, np.full((*shape, size), np.nan)) for n in PER_DATASET)
    return counts, npred, excess
