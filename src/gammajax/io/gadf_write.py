"""Writing spectra in gammapy's own format: one FITS file with a table for each map, by the names of GADF."""

from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.io.fits_write import fits_bytes
from gammajax.io.gadf_read import ENERGY, TRUE
from gammajax.io.gti import times_hdus
from gammajax.provenance import metadata

__all__ = ["file_bytes"]


def file_bytes(dataset: Any) -> bytes:
    """The whole file of a `SpectrumDataset` or a `SpectrumDatasetOnOff`.

    Energies are in TeV and numbers in double precision, so that reading gives the same to the last bit. The livetime stands in the
    header of EXPOSURE, where gammapy does not look for it: its format has no place for it. Models are not stored.
    """
    from astropy.io import fits

    hdus = fits.HDUList([_primary(dataset)])
    reco = [(ENERGY, dataset.counts.geom.axis.edges_tev)]
    true = [(TRUE, dataset.exposure.geom.axis.edges_tev)]
    squashed = [(ENERGY, reco[0][1][[0, -1]])]
    exposure = dataset.exposure.data
    tables = dataset.meta.get("tables", {})
    regions = {k.removesuffix("_REGION"): t for k, t in tables.items() if k.endswith("_REGION")}
    for name, values, axes, unit in (
        ("COUNTS", dataset.counts.data, reco, ""),
        ("EXPOSURE", exposure, true, "cm2 s"),
        ("BACKGROUND", dataset.background_array(), reco, ""),
        ("EDISP", dataset.edisp.pdf_matrix, [*reco, *true], ""),
        ("EDISP_EXPOSURE", exposure[:, None], [*squashed, *true], "cm2 s"),
        ("MASK_SAFE", dataset.mask_safe.data, reco, ""),
        ("MASK_FIT", None if dataset.mask_fit is None else dataset.mask_fit.data, reco, ""),
        *_off_maps(dataset, reco),
    ):
        if values is not None:
            hdus += _map(name, values, axes, unit, regions.get(name))
    if np.isfinite(dataset.livetime.value):
        hdus["EXPOSURE"].header["LIVETIME"] = float(dataset.livetime.value), "s; written by gammajax"
    hdus += times_hdus(dataset)
    if "META_TABLE" in tables:
        hdus.append(fits.BinTableHDU(tables["META_TABLE"], name="META_TABLE"))
    return fits_bytes(hdus)


def _off_maps(dataset: Any, reco: list) -> list[tuple]:
    if not hasattr(dataset, "counts_off"):
        return []
    return [
        ("COUNTS_OFF", dataset.counts_off.data, reco, ""),
        ("ACCEPTANCE", dataset.acceptance.data, reco, ""),
        ("ACCEPTANCE_OFF", dataset.acceptance_off.data, reco, ""),
    ]


def _primary(dataset: Any) -> Any:
    from astropy.io import fits

    if not (dataset.name.isascii() and dataset.name.isprintable()):
        raise InputError(
            f"write: the name {dataset.name!r} has characters that no FITS header holds; copy the data set with another name."
        )
    head, hdu = metadata(), fits.PrimaryHDU()
    hdu.header["NAME"], hdu.header["CREATOR"] = dataset.name, head["creator"]
    hdu.header["CREATED"] = head["date"]
    if dataset.stat_type == "cstat":
        hdu.header["STATTYPE"] = dataset.stat_type, "gammapy: cash, another constant"
    return hdu


def _map(name: str, values: np.ndarray, axes: list[tuple[str, np.ndarray]], unit: str, region: Any) -> list[Any]:
    """A map of one region, its bands, and the region where one is known; `axes` from the fastest to the slowest."""
    from astropy.io import fits

    tail = (*values.shape[1:], 1, 1)
    code = "L" if values.dtype == bool else "D"
    data = np.asarray(values).reshape(len(values), *tail)
    columns = [
        fits.Column("CHANNEL", "I", array=np.arange(len(values), dtype=np.int16)),
        fits.Column(
            "DATA", f"{int(np.prod(tail))}{code}", unit=unit or None, array=data, dim=f"({','.join(map(str, tail[::-1]))})"
        ),
    ]  # fmt: skip
    hdus = [fits.BinTableHDU.from_columns(columns, name=name), _bands(f"{name}_BANDS", axes)]
    if region is not None:
        hdus.append(fits.BinTableHDU(region, name=f"{name}_REGION"))
    for hdu in hdus[:2]:
        for k, (text, _) in enumerate(axes):
            hdu.header[f"AXCOLS{k + 1}"], hdu.header[f"INTERP{k + 1}"] = text, "log"
    return hdus


def _bands(name: str, axes: list[tuple[str, np.ndarray]]) -> Any:
    """One row for each bin, the first axis varying fastest."""
    from astropy.io import fits

    shape = [len(edges) - 1 for _, edges in axes]
    index = np.unravel_index(np.arange(np.prod(shape)), shape, order="F")
    columns = [fits.Column("CHANNEL", "K", array=np.arange(np.prod(shape)))]
    for (text, edges), at in zip(axes, index, strict=True):
        low, high = text.split(",")
        centre = "ENERGY" if text == ENERGY else "ENERGY_TRUE"
        for column, values in (
            (centre, np.sqrt(edges[:-1] * edges[1:])),
            (low, edges[:-1]),
            (high, edges[1:]),
        ):
            columns.append(fits.Column(column, "D", unit="TeV", array=values[at]))
    return fits.BinTableHDU.from_columns(columns, name=name)
