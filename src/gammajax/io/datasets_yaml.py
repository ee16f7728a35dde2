"""Lists of data sets: a YAML file that names one file per data set, as gammapy writes and reads it."""

from pathlib import Path
from typing import Any

import numpy as np

from gammajax.datasets import Datasets, SpectrumDatasetOnOff
from gammajax.datasets.registry import file_format
from gammajax.errors import FileFormatError, InputError
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand, open_fits
from gammajax.io.models_files import SUFFIXES, model_files, read_models
from gammajax.io.ogip_write import partner_names
from gammajax.io.yaml_nodes import Node
from gammajax.io.yaml_text import dump, load, read_text, with_checksum
from gammajax.provenance import metadata

__all__ = ["read_datasets", "write_datasets"]

KEYS = ("name", "type", "filename", "mask_fit", "compatibility")


def write_datasets(
    datasets: Datasets,
    filename: str | Path,
    filename_models: str | Path | None = None,
    overwrite: bool = False,
    write_covariance: bool = True,
    checksum: bool = True,
) -> None:
    """Write every data set as ``pha_obs<name>.fits`` with its partners, a list of them, and their models.

    gammapy 2.1 reads all of it, without `mask_fit` and `compatibility`: it has no place for them in these files, and gammajax keeps
    them in the list.

    Parameters
    ----------
    datasets : `Datasets`
        The data sets.
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

    Raises
    ------
    InputError
        If a file is there and `overwrite` is not set, or a name of a data set makes no name of a file.
    """
    full = target(filename, SUFFIXES, "write")
    entries, spectra = [], {}
    for d in datasets:
        name = f"pha_obs{d.name}.fits"
        if Path(name).name != name or "\x00" in name:
            raise InputError(
                f"write: the name {d.name!r} of a data set makes no name of a file; copy it with another name."
            )
        spectra[full.parent / name] = d
        entries.append({"name": d.name, "type": type(d).tag, "filename": name} | _fit_settings(d))
    text = dump({"datasets": entries, "metadata": metadata()})
    lists: dict[Path, bytes] = {}
    if filename_models is not None:
        lists |= model_files(datasets.models, filename_models, False, write_covariance, checksum)
    lists[full] = (with_checksum(text) if checksum else text).encode()
    partners = [p for path in spectra for p in partner_names(path).values()]
    refuse_existing([*partners, *lists], overwrite)
    for path, d in spectra.items():
        d.write(path, format="ogip", overwrite=overwrite)
    # what names the others comes last
    write_bytes(lists)


def _fit_settings(dataset: SpectrumDatasetOnOff) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if dataset.mask_fit is not None:
        data["mask_fit"] = "".join("1" if m else "0" for m in dataset.mask_fit.data)
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
    data = load(text, path.name, checksum and "\nchecksum:" in text)
    top = Node(data, path.name).mapping(("datasets", "metadata", "checksum"))
    datasets = Datasets([_read_one(n, path, allow_outside) for n in top["datasets"].elements()])
    if filename_models is not None:
        models = expand(filename_models)
        datasets.models = read_models(models, checksum and "\nchecksum:" in read_text(models, "model"))
    return datasets


def _read_one(node: Node, path: Path, allow_outside: bool) -> SpectrumDatasetOnOff:
    kind = node["type"].text()
    if kind != SpectrumDatasetOnOff.tag:
        raise FileFormatError(
            f"{node.where}.type: got {kind!r}, which gammajax cannot read; it knows {SpectrumDatasetOnOff.tag}."
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
    dataset = file_format(_format_of(file, node)).read(file, name=text, allow_outside=allow_outside)
    if "mask_fit" in node:
        dataset.mask_fit = _mask(node["mask_fit"], len(dataset.counts.data))
    if "compatibility" in node:
        dataset.compatibility = node["compatibility"].text()
    return dataset


def _format_of(file: Path, node: Node) -> str:
    """Name of the format of a file, from its extensions: OGIP has a spectrum, gammapy's own has maps."""
    with open_fits(file, "data set") as hdus:
        names = [h.name.upper() for h in hdus]
    if "SPECTRUM" in names:
        return "ogip"
    if "COUNTS_BANDS" not in names:
        raise FileFormatError(f"{node.where}.filename: {file.name} has no extension SPECTRUM; it is no OGIP spectrum.")
    try:
        file_format("gadf")
    except InputError:
        raise FileFormatError(
            f"{node.where}.filename: {file.name} holds maps (gammapy's format 'gadf'), which cannot be read; in gammapy write each "
            f"data set with dataset.write({file.name!r}, format='ogip', overwrite=True)."
        ) from None
    return "gadf"


def _mask(node: Node, n: int) -> np.ndarray:
    text = node.text()
    if len(text) != n or set(text) - {"0", "1"}:
        raise FileFormatError(f"{node.where}: got {node.shown()}, expected {n} characters 0 or 1, one for each bin.")
    return np.array([c == "1" for c in text])


register_hook("read datasets", read_datasets)
register_hook("write datasets", write_datasets)
