"""The OGIP format of ON/OFF spectra, as gammapy reads and writes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astropy import units as u

from gammajax.datasets import SpectrumDatasetOnOff
from gammajax.datasets.registry import register_format
from gammajax.errors import FileFormatError, GammajaxError
from gammajax.io.ogip_options import ReadOptions
from gammajax.io.ogip_read import read_files
from gammajax.io.ogip_write import write_files

__all__ = ["read_ogip", "write_ogip", "write_standard"]


def read_ogip(
    filename: str | Path,
    *,
    name: str | None = None,
    allow_outside: bool = False,
    grouping: bool = True,
    checksum: bool = True,
    any_energy: bool = False,
    bkg: str | Path | None = None,
    arf: str | Path | None = None,
    rmf: str | Path | None = None,
    units: Mapping[str, str] | None = None,
) -> SpectrumDatasetOnOff:
    """Read a data set from a PHA file and the files that its header names.

    Parameters
    ----------
    filename : str or path
        The PHA file; environment variables are expanded.
    name : str, optional
        Name of the data set, OBS_ID if not given.
    allow_outside : bool
        Accept partner files outside the directory of the PHA file.
    grouping : bool
        Sum the channels as the column GROUPING of the file says, as XSPEC and sherpa do; gammapy ignores it.
    checksum : bool
        Refuse files that do not match their CHECKSUM and DATASUM, where they have them, and files side by side that were not
        written together.
    any_energy : bool
        Accept energies outside 1 MeV to 1 EeV, which otherwise mean a wrong unit.
    bkg, arf, rmf : str or path, optional
        Files instead of those that the header names; ``rmf="diagonal"`` is a perfect measurement.
    units : mapping of str to str, optional
        Units of columns that state none: ``units={"SPECRESP": "cm2"}``.

    Raises
    ------
    FileFormatError, MissingFileError, DataError, UnitError
        Naming file, HDU, column, row and value.
    """
    options = ReadOptions(name, allow_outside, grouping, checksum, any_energy, bkg, arf, rmf, dict(units or {}))
    try:
        s = read_files(filename, options)
    except (GammajaxError, Warning, MemoryError):
        raise
    except Exception as error:
        raise FileFormatError(
            f"{Path(filename).name}, or a file that it names: cannot be read ({type(error).__name__}: {error})."
        ) from error
    return SpectrumDatasetOnOff.from_arrays(
        s.n_on,
        s.n_off,
        acceptance=s.acceptance,
        acceptance_off=s.acceptance_off,
        exposure=u.Quantity(s.exposure, "cm2 s"),
        edisp=s.edisp,
        energy_edges=u.Quantity(s.energy_edges, "TeV"),
        energy_true_edges=u.Quantity(s.energy_true_edges, "TeV"),
        mask_safe=s.mask_safe,
        livetime=u.Quantity(s.livetime, "s"),
        ontime=u.Quantity(s.ontime, "s"),
        gti=s.gti,
        name=s.name,
        meta={"filename": str(filename)},
    )


def write_ogip(dataset: Any, filename: str | Path, *, overwrite: bool = False) -> None:
    """Write a data set as four OGIP files; see `gammajax.io.ogip_write.write_files`.

    Parameters
    ----------
    dataset : `SpectrumDatasetOnOff`
        The data set.
    filename : str or path
        The PHA file; its partners are written beside it.
    overwrite : bool
        Whether to replace what is there.
    """
    write_files(dataset, filename, overwrite)


def write_standard(dataset: Any, filename: str | Path, *, overwrite: bool = False) -> None:
    """The same with energies in keV, as XSPEC and sherpa expect them; read again they are those of the data set to rounding."""
    write_files(dataset, filename, overwrite, unit="keV")


register_format("ogip", read=read_ogip, write=write_ogip)
register_format("ogip-standard", read=read_ogip, write=write_standard)
