"""gammapy's own format of spectra, GADF: its default since 2.1."""

import warnings
from pathlib import Path
from typing import Any

from gammajax.datasets import SpectrumDataset, SpectrumDatasetOnOff
from gammajax.datasets.registry import register_format
from gammajax.errors import FileFormatError, GammajaxError, InputError
from gammajax.hooks import register_hook
from gammajax.io.files import refuse_existing, target, write_bytes
from gammajax.io.fits import expand, open_fits
from gammajax.io.gadf_read import read_maps
from gammajax.io.gadf_write import file_bytes

__all__ = ["guess_format", "read_gadf", "write_gadf"]

SUFFIXES = (".fits", ".gz")


def read_gadf(
    filename: str | Path, *, name: str | None = None, checksum: bool = True, any_energy: bool = False
) -> SpectrumDataset | SpectrumDatasetOnOff:
    """Read a spectrum that gammapy or gammajax wrote in the format "gadf".

    Parameters
    ----------
    filename : str or path
        The file; environment variables are expanded.
    name : str, optional
        Name of the data set, that in the file if not given.
    checksum : bool
        Refuse a file that does not match its CHECKSUM and DATASUM, where it has them.
    any_energy : bool
        Accept energies outside 1 MeV to 1 EeV, which otherwise mean a wrong unit.

    Returns
    -------
    `SpectrumDatasetOnOff` or `SpectrumDataset`
        With `mask_fit` and `gti`. Regions and the log of observations are kept in ``meta["tables"]`` and written back.

    Raises
    ------
    FileFormatError, MissingFileError, DataError, UnitError
        Naming file, HDU, column, row and value. A PSF, an image of the sky and a dispersion that is no kernel are refused.
    """
    path = expand(filename)
    try:
        arguments, onoff = read_maps(path, name, checksum, any_energy)
    except (GammajaxError, Warning):
        raise
    except Exception as error:
        # damaged headers make astropy raise whatever it happens to meet first
        raise FileFormatError(
            f"{path.name}: cannot be read ({type(error).__name__}: {error}); the file is damaged."
        ) from error
    mask_fit = arguments.pop("mask_fit")
    cls: Any = SpectrumDatasetOnOff if onoff else SpectrumDataset
    dataset = cls.from_arrays(**arguments)
    dataset.mask_fit = mask_fit
    return dataset


def write_gadf(dataset: Any, filename: str | Path, *, overwrite: bool = False) -> None:
    """Write a spectrum as one file that gammapy reads; reading it again gives the same numbers to the last bit.

    Parameters
    ----------
    dataset : `SpectrumDataset` or `SpectrumDatasetOnOff`
        The data set.
    filename : str or path
        The file; environment variables are expanded.
    overwrite : bool
        Whether to replace what is there.
    """
    path = target(filename, SUFFIXES, "write")
    if not path.name.endswith((".fits", ".fits.gz")):
        raise InputError(f"write: got the name {path.name!r}, expected one that ends in .fits or .fits.gz.")
    refuse_existing([path], overwrite)
    content = file_bytes(dataset)
    if path.suffix == ".gz":
        import gzip

        content = gzip.compress(content)
    write_bytes({path: content})


def guess_format(filename: str | Path) -> str:
    """Name of the format of a file: "gadf" if it has maps and no spectrum, otherwise "ogip", whose reader says what is wrong."""
    path = expand(filename)
    try:
        with warnings.catch_warnings():
            # what is wrong with the file is said by the reader
            warnings.simplefilter("ignore")
            with open_fits(path, "data set", checksum=False) as hdus:
                names = {h.name.upper() for h in hdus}
    except GammajaxError:
        return "ogip"
    return "gadf" if "COUNTS" in names and "SPECTRUM" not in names else "ogip"


register_format("gadf", read=read_gadf, write=write_gadf)
register_hook("guess format", guess_format)
