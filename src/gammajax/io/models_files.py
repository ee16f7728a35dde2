"""Model files: YAML with the covariance beside it, as gammapy writes and reads them."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.errors import FileFormatError, InputError
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand
from gammajax.io.models_yaml import models_to_dict, read_components
from gammajax.io.yaml_text import checksum_of, dump, load, read_text, with_checksum
from gammajax.models import Models, SkyModel, SpectralModel, SystematicsModel
from gammajax.provenance import metadata

__all__ = ["model_files", "read_models", "write_models"]

SUFFIXES = (".yaml", ".yml")
# gammapy's own Crab spectrum has no tag, so that it can neither write nor read it
UNKNOWN = {"MeyerCrabSpectralModel", "SystematicsModel", "LogNormalPrior", "SamplesKDEPrior"}


def write_models(
    models: Models,
    path: str | Path,
    overwrite: bool = False,
    full_output: bool = False,
    write_covariance: bool = True,
    checksum: bool = False,
) -> None:
    """Write models to ``name.yaml``, and their covariance to ``name_covariance.dat`` beside it.

    gammapy 2.1 reads both. It has no penalties, which stand in the file for gammajax alone. What it cannot read is written with a warning: a
    link of parameters of different names, systematics, priors that it does not have, and its own MeyerCrabSpectralModel, which it cannot
    write either.

    Parameters
    ----------
    models : `Models`
        The models.
    path : str or path
        Name that ends in .yaml or .yml; environment variables are expanded.
    overwrite : bool
        Replace files that are there.
    full_output : bool
        Every setting of every parameter, instead of those that are not the default.
    write_covariance : bool
        Whether to write the covariance.
    checksum : bool
        Append gammapy's checksum.

    Raises
    ------
    InputError
        If a file is there and `overwrite` is not set.
    """
    files = model_files(models, path, full_output, write_covariance, checksum)
    refuse_existing(list(files), overwrite)
    write_bytes(files)


def model_files(
    models: Models, path: str | Path, full_output: bool, write_covariance: bool, checksum: bool
) -> dict[Path, bytes]:
    """Names and contents of the files, the one that names the other last."""
    full = target(path, SUFFIXES, "write")
    _warn_of_gammapy(models)
    data, files, head = models_to_dict(models, full_output), {}, metadata()
    if write_covariance and len(models.parameters):
        beside = full.with_name(f"{full.stem}_covariance.dat")
        files[beside] = _covariance_text(models).encode()
        data["covariance"] = beside.name
        # a writer that is stopped between the two files leaves one of another fit, which a reader must see
        head["covariance_md5"] = checksum_of(files[beside].decode())
    text = dump(data | {"metadata": head})
    files[full] = (with_checksum(text) if checksum else text).encode()
    return files


def _declared_names(model: SpectralModel) -> list[str]:
    """Names of the parameters where they stand; a shared one may have another name itself."""
    return [d.name for d in model.declared] or model.parameters.names


def _unknown_to_gammapy(models: Models) -> set[str]:
    """Types of gammajax that gammapy 2.1 finds under no tag; models of one's own may be registered there as well."""
    found = {type(m).__name__ for m in models if isinstance(m, SystematicsModel)}
    priors = {type(p.prior).__name__ for p in models.parameters if p.prior is not None}
    waiting = [m.spectral_model for m in models if hasattr(m, "spectral_model")]
    while waiting:
        model = waiting.pop()
        waiting += [part for name in ("model1", "model2") if (part := getattr(model, name, None)) is not None]
        found.add(type(model).__name__)
    return (found | priors) & UNKNOWN


def _warn_of_gammapy(models: Models) -> None:
    if unknown := _unknown_to_gammapy(models):
        warnings.warn(
            f"write: gammapy knows no {' nor '.join(sorted(unknown))} in files, it cannot read this one.", stacklevel=4
        )
    names: dict[int, set[str]] = {}
    for m in (m for m in models if isinstance(m, SkyModel)):
        # the name of the place, which may be another than that of the shared parameter
        for p, d in zip(m.spectral_model.parameters, _declared_names(m.spectral_model), strict=True):
            names.setdefault(id(p), set()).add(d)
    for shared in names.values():
        if len(shared) > 1:
            warnings.warn(
                f"write: {' and '.join(sorted(shared))} are one parameter; gammapy links only parameters of one name, it "
                "cannot read this file.",
                stacklevel=4,
            )
    parameters = models.parameters
    pairs = zip(parameters, parameters.unique_names, strict=True)
    if formulas := [f"{name} = {p.linked}" for p, name in pairs if p.linked]:
        warnings.warn(
            f"write: {', '.join(formulas)}: gammapy does not know such links and takes these parameters as frozen.",
            stacklevel=4,
        )
    if models.penalties:
        held = ", ".join(sorted({p.name for penalty in models.penalties for p in penalty.parameters}))
        warnings.warn(
            f"write: the penalties on {held} are for gammajax alone; gammapy reads the file without them.", stacklevel=4
        )


def _places(models: Models) -> tuple[list[str], list[int], list[float]]:
    """Names of gammapy's parameters, the position of each in ours or -1 where it is kept only, and the errors of those."""
    names: list[str] = []
    where: list[int] = []
    errors: list[float] = []
    at = 0
    for m in models:
        own = m.parameters.unique_names
        # gammapy has the position between spectrum and time
        spectrum = sum(".temporal." not in n[len(m.name) :] for n in own)
        for k, name in enumerate([*own, ""]):
            if k == spectrum:
                for p in m._kept.get("spatial", {}).get("parameters", []):
                    names.append(f"{m.name}.spatial.{p['name']}")
                    where.append(-1)
                    errors.append(float(p.get("error", 0.0)))
            if k < len(own):
                names.append(name)
                where.append(at + k)
                errors.append(0.0)
        at += len(own)
    return names, where, errors


def _covariance_text(models: Models) -> str:
    from astropy.table import Table

    own = models.covariance.data
    names, where, errors = _places(models)
    full = np.diag(np.array(errors) ** 2)
    rows = np.flatnonzero(np.array(where) >= 0)
    full[np.ix_(rows, rows)] = own
    table = Table([names], names=["Parameters"])
    for i in range(len(names)):
        table[str(i)] = full[:, i]
    stream = io.StringIO()
    table.write(stream, format="ascii.fixed_width", delimiter="|")
    return stream.getvalue()


def read_models(path: str | Path, checksum: bool | None = None) -> Models:
    """Read a model file, and the covariance file that it names, which must be in its folder.

    Names, values, units, errors, limits, frozen flags, links, priors and scan settings are read. gammapy's ``scale_method`` and
    ``scale_transform`` steer its optimisers, change no result, and are not used. The position of a point source is kept
    and written back with a warning; other spatial models are refused.

    Parameters
    ----------
    path : str or path
        The YAML file; environment variables are expanded.
    checksum : bool, optional
        A checksum in the file is compared, and a warning says where it does not fit; True warns also where it is missing, False
        does not compare.

    Raises
    ------
    MissingFileError, FileFormatError, UnitError, ModelError
        Naming file and place.
    """
    full = expand(path)
    data = load(read_text(full, "model"), full.name, checksum)
    models = read_components(_tables_beside(data, full.parent), full.name)
    if data.get("covariance") is not None:
        head = data.get("metadata")
        stated = head.get("covariance_md5") if isinstance(head, dict) and checksum is not False else None
        models.set_covariance(_read_covariance(full, str(data["covariance"]), models, stated))
    return models


def _tables_beside(data: Any, folder: Path) -> Any:
    """The document with the full names of tables of temporal models that lie in the folder of the file, where gammapy looks for them."""
    components = data.get("components") if isinstance(data, dict) else None
    for c in components if isinstance(components, list) else []:
        temporal = c.get("temporal") if isinstance(c, dict) else None
        if not isinstance(temporal, dict):
            continue
        name = temporal.get("filename")
        if isinstance(name, str) and (folder / name).is_file():
            temporal["filename"] = str(folder / name)
    return data


def _read_covariance(path: Path, name: str, models: Models, stated: Any) -> np.ndarray:
    from astropy.table import Table

    file = path.parent / name
    if Path(name).name != name:
        raise InputError(
            f"{path.name}, covariance: {name!r} points outside the folder of the file; move the file there and give its name."
        )
    text = read_text(file, "covariance")
    try:
        table: Any = Table.read(text.splitlines(), format="ascii.fixed_width", delimiter="|")
        names = [str(n) for n in table["Parameters"]]
        matrix = np.array([np.asarray(table[c], dtype=float) for c in table.colnames if c != "Parameters"]).T
    except Exception as error:
        # damaged text makes astropy raise whatever it happens to meet first
        raise FileFormatError(f"{file.name}: not a covariance table ({error}).") from None
    wanted, where, _ = _places(models)
    n = len(wanted)
    if matrix.shape != (n, n):
        raise FileFormatError(
            f"{file.name}: shape {matrix.shape}, expected ({n}, {n}) for the parameters of {path.name}."
        )
    if sorted(names) != sorted(wanted) and len(set(names)) == n:
        missing = [w for w in wanted if w not in names]
        raise FileFormatError(f"{file.name}: {missing[0]} has no row; the rows are: {', '.join(names)}.")
    # what is hardly correlated is rounding, which need not be symmetric
    size = np.sqrt(np.abs(np.diag(matrix)))
    different = np.abs(matrix - matrix.T) > 1e-9 * np.maximum(np.outer(size, size), np.abs(matrix))
    if np.any(different | (np.isnan(matrix) != np.isnan(matrix.T))):
        raise FileFormatError(f"{file.name}: the matrix is not symmetric; the file is damaged.")
    if stated is not None and stated != checksum_of(text):
        warnings.warn(
            f"{file.name}: is not the file that was written with {path.name} (covariance_md5 in its metadata); the errors may be those of "
            "another fit.",
            stacklevel=5,
        )
    # gammapy's names of linked parameters, and of compound models, are not unique: those stand in order
    order = [names.index(w) for w in wanted] if len(set(names)) == n else list(range(n))
    rows = [order[i] for i in range(n) if where[i] >= 0]
    return matrix[np.ix_(rows, rows)]


register_hook("read models", read_models)
register_hook("write models", write_models)
