"""Results as plain values and back: one rule for each kind of value, and a fixed list of classes that may be built.

A value that is not plain stands as a mapping with the key ``is``: an array, a tuple, a member of one of our classes. An array may
be moved out of the document into a column of a table, which then stands beside it.
"""

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from gammajax.datasets import GTI
from gammajax.errors import FileFormatError, GammajaxError, InputError
from gammajax.fit import (
    ConfidenceResult,
    ConfidenceTable,
    ContourResult,
    EachResult,
    FitFlags,
    FitResult,
    FluxPoints,
    GoodnessOfFit,
    NestedTest,
    ParameterEstimate,
    StartsResult,
    UpperLimit,
)
from gammajax.io.models_yaml import models_to_dict, read_components
from gammajax.models import Models
from gammajax.provenance import Provenance
from gammajax.scan import ScanResult

__all__ = ["RESULTS", "NotStored", "decode", "digest", "encode"]

RESULTS: dict[str, type] = {
    c.__name__: c
    for c in (
        FitResult, ScanResult, ContourResult, ConfidenceResult, ConfidenceTable, UpperLimit, EachResult, NestedTest, FluxPoints,
        ParameterEstimate, GoodnessOfFit,
    )
}  # fmt: skip
CLASSES: dict[str, type] = {
    **RESULTS,
    "FitFlags": FitFlags,
    "Provenance": Provenance,
    "StartsResult": StartsResult,
}
# the object of the optimiser lives in one process
NOT_STORED = {"FitResult": ("raw",)}


class NotStored:
    """Stands for an object that no file holds; whatever is asked of it is refused."""

    def __init__(self, what: str, file: str) -> None:
        self.__dict__.update(_what=what, _file=file)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise InputError(
            f"{self._what} of the result read from {self._file} is not there (asked for {name!r}): it lives only in the process that "
            "ran the fit; run the fit again."
        )

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self._what}, not stored in {self._file}>"


def encode(value: Any, where: str, columns: dict[str, np.ndarray] | None = None, rows: int = 0) -> Any:
    """Plain values for a value.

    Parameters
    ----------
    value : object
        A result or a part of one.
    where : str
        Its place, for error texts and names of columns.
    columns : dict, optional
        Takes the arrays that have `rows` values.
    rows : int
        Rows of the table beside the document; 0 for none.
    """
    from astropy.table import Table

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray):
        return _array(value, where, columns, rows)
    if isinstance(value, int) and not isinstance(value, bool):
        # members of an enumeration
        return int(value)

    def part(v: Any, name: str) -> Any:
        return encode(v, f"{where}.{name}" if where else name, columns, rows)

    if isinstance(value, list | tuple):
        members = [part(v, str(i)) for i, v in enumerate(value)]
        return {"is": "tuple", "values": members} if isinstance(value, tuple) else members
    if isinstance(value, Models):
        own = {"is": "models", "covariance": part(value.covariance.data, "covariance")}
        return own | {"models": models_to_dict(value, full_output=True)}
    if isinstance(value, GTI):
        at = value.time_ref
        parts = {
            "start": value.met_start.value,
            "stop": value.met_stop.value,
            "jd1": float(at.jd1),
            "jd2": float(at.jd2),
        }
        return {"is": "gti", "scale": at.scale} | {k: part(v, k) for k, v in parts.items()}
    if isinstance(value, Table):
        return {"is": "table", "columns": part({n: np.asarray(value[n]) for n in value.colnames}, "columns")}
    name = type(value).__name__
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and CLASSES.get(name) is type(value):
        skip = NOT_STORED.get(name, ())
        fields = [f.name for f in dataclasses.fields(value) if f.name not in skip]
        return {"is": name, "fields": {f: part(getattr(value, f), f) for f in fields}}
    if isinstance(value, dict) and all(type(k) is str for k in value):
        # the header of an ECSV file sorts its keys
        return {"is": "dict", "keys": list(value), "values": [part(v, k) for k, v in value.items()]}
    raise InputError(f"write: {where} holds {name}, expected numbers, text, lists, dictionaries of them, or arrays.")


def _array(value: np.ndarray, where: str, columns: dict[str, np.ndarray] | None, rows: int) -> dict[str, Any]:
    if value.dtype.kind not in "biuf":
        raise InputError(f"write: {where} holds an array of type {value.dtype}, expected numbers.")
    head = {"dtype": value.dtype.newbyteorder("=").name, "shape": list(value.shape)}
    if value.dtype == np.int8:
        # FITS has bytes without a sign only
        value = value.astype(np.int16)
    if columns is not None and rows and value.size == rows:
        columns[where] = value.ravel()
        return {"is": "column", "name": where} | head
    if columns is not None and rows and value.shape[:1] == (rows,) and value.size:
        columns[where] = value.reshape(rows, -1)
        return {"is": "column", "name": where} | head
    return {"is": "array"} | head | {"values": value.ravel().tolist()}


def digest(coded: Any, columns: Any) -> str:
    """SHA-256 of what `encode` made, and of the columns that it names; the same after reading, in every format."""
    total = hashlib.sha256(json.dumps(coded, sort_keys=True).encode())
    for name, dtype in sorted(_columns(coded)):
        values = np.array(columns[name], dtype=np.dtype(dtype))
        if values.dtype.kind == "f":
            # text keeps no more of nan than that it is one
            values[np.isnan(values)] = np.nan
        total.update(f"{name} {dtype} {values.shape}\n".encode() + values.tobytes())
    return total.hexdigest()


def _columns(coded: Any) -> Iterator[tuple[str, str]]:
    """Names and types of the columns that a coded value refers to."""
    if isinstance(coded, dict):
        if coded.get("is") == "column":
            yield coded["name"], coded["dtype"]
        for part in coded.values():
            yield from _columns(part)
    elif isinstance(coded, list):
        for part in coded:
            yield from _columns(part)


def decode(value: Any, file: str, table: Any = None) -> Any:
    """The value that `encode` was given; arrays are read-only.

    Raises
    ------
    FileFormatError
        For what no result holds, naming the file.
    """
    if isinstance(value, list):
        return [decode(v, file, table) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("is")
    try:
        if kind == "dict":
            return {k: decode(v, file, table) for k, v in zip(value["keys"], value["values"], strict=True)}
        if kind in ("array", "column"):
            numbers = value["values"] if kind == "array" else table[value["name"]]
            return _read_array(numbers, value["dtype"], value["shape"])
        if kind == "tuple":
            return tuple(decode(v, file, table) for v in value["values"])
        if kind == "table":
            return _read_table(decode(value["columns"], file, table))
        if kind == "gti":
            return _read_gti({k: decode(v, file, table) for k, v in value.items()})
        if kind == "models":
            return _read_models(value["models"], decode(value["covariance"], file, table), file)
        if kind not in CLASSES:
            raise FileFormatError(f"{file}: {str(kind)[:60]!r} is no part of a result.")
        fields = {k: decode(v, file, table) for k, v in value["fields"].items()}
        fields |= {n: NotStored(n, file) for n in NOT_STORED.get(kind, ())}
        return CLASSES[kind](**fields)
    except GammajaxError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"{file}: a {str(kind)[:60]!r} in it is damaged ({error}).") from None


def _read_array(numbers: Any, dtype: str, shape: list[int]) -> np.ndarray:
    if np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"type {dtype}")
    out = np.array(numbers, dtype=np.dtype(dtype)).reshape(shape)
    out.setflags(write=False)
    return out


def _read_gti(parts: dict[str, Any]) -> GTI:
    from astropy.time import Time

    at = Time(parts["jd1"], parts["jd2"], format="jd", scale=parts["scale"])
    at.format = "isot"
    return GTI(parts["start"], parts["stop"], at)


def _read_table(columns: dict[str, np.ndarray]) -> Any:
    from astropy.table import Table

    return Table(columns)


def _read_models(data: dict[str, Any], covariance: np.ndarray, file: str) -> Models:
    with warnings.catch_warnings():
        # what a result keeps of a model file was said when that was read
        warnings.simplefilter("ignore", UserWarning)
        models = read_components(data, file)
    models.set_covariance(covariance)
    return models.snapshot()
