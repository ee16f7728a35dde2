"""Lists of data sets: a YAML file that names one file per data set, as gammapy writes and reads it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.datasets import Datasets, FluxPointsDataset, SpectrumDataset, SpectrumDatasetOnOff
from gammajax.datasets.registry import file_format
from gammajax.errors import FileFormatError, GammajaxError, InputError
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand
from gammajax.io.flux_points import flux_points_bytes
from gammajax.io.gadf import guess_format
from gammajax.io.gadf_write import file_bytes
from gammajax.io.models_files import SUFFIXES, model_files, read_models
from gammajax.io.ogip_set import partner_names
from gammajax.io.ogip_write import ogip_files
from gammajax.io.yaml_nodes import Node
from gammajax.io.yaml_text import dump, load, read_text, with_checksum
from gammajax.progress import track
from gammajax.provenance import metadata

__all__ = ["read_datasets", "write_datasets"]

log = logging.getLogger(__name__)
TYPES = (SpectrumDatasetOnOff.tag, SpectrumDataset.tag, FluxPointsDataset.tag)
KEYS = ("name", "type", "filename", "mask_fit", "compatibility", "stat_type")


def write_datasets(
    datasets: Datasets,
    filename: str | Path,
    filename_models: str | Path | None = None,
    overwrite: bool = False,
    write_covariance: bool = True,
    checksum: bool = True,
    format: str = "gadf",
) -> None:
    """Write every data set, a list of them, and their models.

    gammapy 2.1 reads all of it. It forgets `mask_fit` of a `SpectrumDatasetOnOff` and `stat_type` of a `FluxPointsDataset`, which is
    chi2 until it is set anew (its own lists do so too), `compatibility`, for which it has no place, and with "gadf" the livetime.

    Parameters
    ----------
    datasets : `Datasets`
        The data sets: `SpectrumDatasetOnOff`, `SpectrumDataset` and `FluxPointsDataset`.
    filename : str or path
        The list, a name that ends in .yaml or .yml; the data sets go into its folder.
    filename_models : str or path, optional
        File of the models; they are not written if it is not given.
    overwrite : bool
        Replace files that are there.
    write_covariance : bool
        Whether to write the covariance of the models.
    checksum : bool
        Append gammapy's checksum to the YAML files.
    format : {"gadf", "ogip", "ogip-standard"}
        Of ON/OFF spectra: one file ``pha_obs<name>.fits`` each, as gammapy writes them, or that and its three OGIP partners. All
        other data sets have one file.

    Raises
    ------
    WriteError
        If the disk is full or the folder read-only; all files are the old ones then.
    InputError
        If a file is there and `overwrite` is not set, a name of a data set makes no name of a file, or a data set has no file format.
    """
    full = target(filename, SUFFIXES, "write")
    file_format(format)
    entries: list[dict[str, Any]] = []
    places: dict[Path, Any] = {}
    for d in datasets:
        path = full.parent / _name_of_file(d)
        if path in places:
            raise InputError(
                f"write: {places[path].name!r} and {d.name!r} would both be {path.name}; rename one of them."
            )
        places[path] = d
        entries.append({"name": d.name, "type": type(d).tag, "filename": path.name} | _fit_settings(d, format))
    text = dump({"datasets": entries, "metadata": metadata()})
    lists: dict[Path, bytes] = {}
    if filename_models is not None:
        lists |= model_files(datasets.models, filename_models, False, write_covariance, checksum)
    lists[full] = (with_checksum(text) if checksum else text).encode()
    refuse_existing([*(f for path, d in places.items() for f in _files(path, d, format)), *lists], overwrite)
    contents: dict[Path, bytes] = {}
    for path, d in track(places.items(), len(places), "write", "data set"):
        contents |= _contents(path, d, format)
    # all or nothing, and what names the others comes last
    write_bytes(contents | lists)


def _format_of(dataset: Any, format: str) -> str:
    return format if isinstance(dataset, SpectrumDatasetOnOff) else "gadf"


def _files(path: Path, dataset: Any, format: str) -> list[Path]:
    return [path] if _format_of(dataset, format) == "gadf" else list(partner_names(path).values())


def _contents(path: Path, dataset: Any, format: str) -> dict[Path, bytes]:
    if isinstance(dataset, FluxPointsDataset):
        return {path: flux_points_bytes(dataset, "fits")}
    kind = _format_of(dataset, format)
    if kind == "gadf":
        return {path: file_bytes(dataset)}
    return ogip_files(dataset, path, "keV" if kind == "ogip-standard" else "TeV")


def _name_of_file(dataset: Any) -> str:
    """Name that gammapy gives the file of a data set."""
    if type(dataset).tag not in TYPES:
        raise InputError(
            f"write: {dataset.name!r} is a {type(dataset).__name__}, for which a list has no file format; it knows {', '.join(TYPES)}."
        )
    onoff = isinstance(dataset, SpectrumDatasetOnOff)
    name = f"pha_obs{dataset.name}.fits" if onoff else f"{dataset.name.replace(' ', '_')}.fits"
    if Path(name).name != name or "\x00" in name:
        raise InputError(
            f"write: the name {dataset.name!r} of a data set makes no name of a file; copy it with another name."
        )
    return name


def _fit_settings(dataset: Any, format: str) -> dict[str, Any]:
    """What the file of the data set does not hold."""
    data: dict[str, Any] = {}
    if dataset.mask_fit is not None and _format_of(dataset, format) != "gadf":
        data["mask_fit"] = "".join("1" if m else "0" for m in dataset.mask_fit.data)
    if isinstance(dataset, FluxPointsDataset) and dataset.stat_type != "chi2":
        data["stat_type"] = dataset.stat_type
    if dataset.compatibility is not None:
        data["compatibility"] = dataset.compatibility
    return data


def read_datasets(
    filename: str | Path,
    filename_models: str | Path | None = None,
    *,
    checksum: bool = True,
    allow_outside: bool = False,
) -> Datasets:
    """Read a list of data sets, and their models.

    Parameters
    ----------
    filename : str or path
        The list; environment variables are expanded.
    filename_models : str or path, optional
        File of the models; the data sets have none if it is not given.
    checksum : bool
        Compare with the checksums in the YAML files that have one, and warn where it does not fit.
    allow_outside : bool
        Accept files outside the folder of the list.

    Raises
    ------
    MissingFileError, FileFormatError, DataError, InputError
        Naming file and place. Data sets of a type that gammajax does not have are refused by name.
    """
    path = expand(filename)
    text = read_text(path, "data set list")
    data = load(text, path.name, None if checksum else False)
    top = Node(data, path.name).mapping(("datasets", "metadata", "checksum"))
    nodes = top["datasets"].elements()
    datasets = Datasets([_read_one(n, path, allow_outside) for n in track(nodes, len(nodes), "read", "data set")])
    if filename_models is not None:
        models = expand(filename_models)
        datasets.models = read_models(models, None if checksum else False)
    log.info("read %d data sets and %d models from %s", len(datasets), len(datasets.models), path.name)
    return datasets


def _read_one(node: Node, path: Path, allow_outside: bool) -> Any:
    kind = node["type"].text()
    if kind not in TYPES:
        raise FileFormatError(
            f"{node.where}.type: got {kind!r}, which gammajax cannot read; it knows {', '.join(TYPES)}."
        )
    node.mapping(KEYS)
    name = node["filename"].text()
    file = path.parent / expand(name)
    if not allow_outside and path.parent.resolve() not in file.resolve().parents:
        raise InputError(
            f"{node.where}.filename: {name!r} points outside the folder of the list; move the file there, or read with "
            "allow_outside=True if you trust it."
        )
    label = node["name"]
    # an unquoted number is one for YAML
    text = str(label.whole()) if isinstance(label.value, int) else label.text()
    dataset = (
        FluxPointsDataset.read(file, text) if kind == FluxPointsDataset.tag else _read_file(file, text, allow_outside)
    )
    if type(dataset).tag != kind:
        raise FileFormatError(f"{node.where}.type: got {kind!r}, but {file.name} holds a {type(dataset).tag}.")
    if "mask_fit" in node:
        dataset.mask_fit = _mask(node["mask_fit"], len(dataset.mask_array))
    if "stat_type" in node:
        _set_statistic(dataset, node["stat_type"])
    if "compatibility" in node:
        dataset.compatibility = node["compatibility"].text()
    return dataset


def _set_statistic(dataset: Any, node: Node) -> None:
    if not isinstance(dataset, FluxPointsDataset):
        raise FileFormatError(
            f"{node.where}: a {type(dataset).__name__} has one statistic; remove the key, it is for flux points."
        )
    try:
        dataset.stat_type = node.text()
    except GammajaxError as error:
        raise FileFormatError(f"{node.where}: {error}") from None


def _read_file(file: Path, name: str, allow_outside: bool) -> Any:
    kind = guess_format(file)
    # only OGIP names further files
    own = {"allow_outside": allow_outside} if kind == "ogip" else {}
    return file_format(kind).read(file, name=name, **own)


def _mask(node: Node, n: int) -> np.ndarray:
    text = node.text()
    if len(text) != n or set(text) - {"0", "1"}:
        raise FileFormatError(f"{node.where}: got {node.shown()}, expected {n} characters 0 or 1, one for each bin.")
    return np.array([c == "1" for c in text])


register_hook("read datasets", read_datasets)
register_hook("write datasets", write_datasets)
