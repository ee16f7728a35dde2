"""Reading OGIP spectra: PHA, background, effective area, dispersion."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gammajax.datasets import GTI
from gammajax.errors import DataError, FileFormatError
from gammajax.io.fits import Table, expand, open_fits
from gammajax.io.gti import measured_times
from gammajax.io.ogip_forms import areascal, exposure_ratio, grouped
from gammajax.io.ogip_options import ReadOptions
from gammajax.io.ogip_response import Matrix, ebounds, read_area, read_matrix, same_grid
from gammajax.io.ogip_set import check_same_set, partner, unchanged
from gammajax.io.ogip_spectrum import backscal, counts, good, livetime, spectrum_table
from gammajax.response import diagonal_dispersion

__all__ = ["OgipSpectrum", "read_files"]

# reconstructed over true energy, beyond which a unit is wrong
BIAS = 100.0


@dataclass(frozen=True)
class OgipSpectrum:
    """What four OGIP files hold, as arrays.

    Attributes
    ----------
    name : str
        OBS_ID, or the stem of the file.
    energy_edges, energy_true_edges : array, shapes (n_reco + 1,), (n_true + 1,)
        TeV.
    n_on, n_off, acceptance, acceptance_off : array, shape (n_reco,)
        Counts and BACKSCAL of the two regions.
    mask_safe : array of bool, shape (n_reco,)
        QUALITY = 0.
    exposure : array, shape (n_true,)
        Effective area times EXPOSURE, cm2 s.
    edisp : array, shape (n_true, n_reco)
        Dispersion.
    livetime : float
        EXPOSURE, s.
    ontime : float
        Sum of the good time intervals, s; nan without a GTI extension.
    gti : `GTI`, optional
        The good time intervals; None without a GTI extension, or if that holds only their sum.
    """

    name: str
    energy_edges: np.ndarray
    energy_true_edges: np.ndarray
    n_on: np.ndarray
    n_off: np.ndarray
    acceptance: np.ndarray
    acceptance_off: np.ndarray
    mask_safe: np.ndarray
    exposure: np.ndarray
    edisp: np.ndarray
    livetime: float
    ontime: float
    gti: GTI | None = None


def read_files(filename: str | Path, options: ReadOptions) -> OgipSpectrum:
    """Read a PHA file and the files that its header names.

    Parameters
    ----------
    filename : str or path
        The PHA file; environment variables are expanded.
    options : `ReadOptions`
        Everything else.

    Raises
    ------
    FileFormatError, MissingFileError, DataError, UnitError
        Naming file, HDU, column, row and value.
    """
    path = expand(filename)
    with unchanged() as watch, open_fits(watch(path), "PHA", options.checksum) as hdus:
        table = spectrum_table(hdus, path, "PHA")
        files = _partners(table, path, options)
        own = ebounds(hdus, path, "PHA", options) if "EBOUNDS" in [h.name.upper() for h in hdus] else None
        return grouped(
            _read(table, files, own, measured_times(hdus, path, "PHA"), options, watch), table, options.grouping
        )


def _partners(table: Table, path: Path, options: ReadOptions) -> dict[str, Path | None]:
    """Background, area and dispersion files: those that were given, or else those that the header names."""

    def find(given: str | Path | None, key: str, why: str) -> Path:
        if given is not None:
            return expand(given)
        return partner(table, key, path.parent, options.allow_outside, why)

    bkg = find(
        options.bkg,
        "BACKFILE",
        "the W statistic needs OFF counts, name the background file (bkg=); for a known background use "
        "SpectrumDataset.from_arrays, with cash or cstat",
    )
    rmf = None
    if options.rmf != "diagonal":
        rmf = find(
            options.rmf,
            "RESPFILE",
            "it names the energy dispersion file (rmf=); rmf='diagonal' is a perfect measurement",
        )
    arf = None
    if options.arf is not None or str(table.header.get("ANCRFILE", "none")).strip().upper() not in ("", "NONE"):
        arf = find(options.arf, "ANCRFILE", "it names the effective area file (arf=)")
    return {"bkg": bkg, "arf": arf, "rmf": rmf}


class _Off(NamedTuple):
    """The OFF region: counts, acceptance (n_reco,), and the mark of the set that the file belongs to."""

    n_off: np.ndarray
    acceptance: np.ndarray
    set: str


class _Folding(NamedTuple):
    """Area and dispersion: area (n_true,), exposure where the file states it, both axes, edisp, marks of the sets."""

    area: np.ndarray
    exact: np.ndarray | None
    true_edges: np.ndarray
    edges: np.ndarray
    edisp: np.ndarray
    sets: dict[Path, str]


def _read(
    table: Table,
    files: dict[str, Path | None],
    own: np.ndarray | None,
    on: tuple[float, GTI | None],
    options: ReadOptions,
    watch: Callable[[Path], Path],
) -> OgipSpectrum:
    path, n, bkg = table.path, len(table.hdu.data), files["bkg"]
    mask_safe = good(table, n)
    n_on, acceptance, time, scale = counts(table, mask_safe), backscal(table, n), livetime(table), areascal(table, n)
    assert bkg is not None
    off = _read_off(watch(bkg), table, mask_safe, time, scale, options)
    folding = _read_folding(table, files, own, options, watch)
    _check_energies(folding.true_edges, folding.edges, folding.edisp, path)
    if options.checksum:
        check_same_set(path, str(table.header.get("GJSET", "")), {bkg: off.set} | folding.sets)
    name, label = options.name, table.header.get("OBS_ID")
    return OgipSpectrum(
        name=str(name if name is not None else label if label is not None else path.stem),
        energy_edges=folding.edges,
        energy_true_edges=folding.true_edges,
        n_on=n_on,
        n_off=off.n_off,
        acceptance=acceptance,
        acceptance_off=off.acceptance,
        mask_safe=mask_safe,
        exposure=_exposure(folding, mask_safe, time, path, files["arf"]),
        # what AREASCAL takes from a channel, it takes from what is predicted there
        edisp=folding.edisp * scale,
        livetime=time,
        ontime=on[0],
        gti=on[1],
    )


def _read_off(
    bkg: Path, table: Table, mask_safe: np.ndarray, time: float, scale: np.ndarray, options: ReadOptions
) -> _Off:
    """The background file, of as many channels as the spectrum."""
    n = len(mask_safe)
    with open_fits(bkg, "background", options.checksum) as hdus:
        off = spectrum_table(hdus, bkg, "background")
        if len(off.hdu.data) != n:
            raise DataError(
                f"{off.where}: {len(off.hdu.data)} channels, the spectrum {table.path.name} has {n}; expected the same number."
            )
        # alpha is the ratio of BACKSCAL, AREASCAL and EXPOSURE; the ON region keeps its own BACKSCAL
        acceptance = backscal(off, n) * exposure_ratio(off, time) * (areascal(off, n) / scale)
        return _Off(counts(off, mask_safe & good(off, n)), acceptance, str(off.header.get("GJSET", "")))


def _read_folding(
    table: Table,
    files: dict[str, Path | None],
    own: np.ndarray | None,
    options: ReadOptions,
    watch: Callable[[Path], Path],
) -> _Folding:
    """Area and dispersion files, which agree on the true energies, and with the spectrum on the channels."""
    path, n, arf, rmf = table.path, len(table.hdu.data), files["arf"], files["rmf"]
    response = None if rmf is None else read_matrix(watch(rmf), n, arf is not None, options)
    exact, sets = None, {}
    if arf is not None:
        area, true_edges, exact, sets[arf] = read_area(watch(arf), options)
    elif response is not None and response.area is not None:
        area, true_edges = response.area, response.energy_true_edges
    else:
        raise FileFormatError(_no_area(table, rmf))
    if rmf is not None and response is not None:
        sets[rmf] = response.set
        if arf is not None:
            same_grid(true_edges, response.energy_true_edges, f"{arf.name} and {rmf.name}")
        own = _channel_edges(own, response, f"{path.name} and {rmf.name}")
    if own is None:
        raise FileFormatError(
            f"{path.name}{f' and {rmf.name}' if rmf else ''}: no extension EBOUNDS, the energies of the channels are not known."
        )
    if len(own) - 1 != n:
        raise DataError(f"{path.name}: EBOUNDS has {len(own) - 1} channels, COUNTS has {n}; expected the same number.")
    edisp = diagonal_dispersion(true_edges, own) if response is None else response.edisp
    return _Folding(area, exact, true_edges, own, edisp, sets)


def _exposure(folding: _Folding, mask_safe: np.ndarray, time: float, path: Path, arf: Path | None) -> np.ndarray:
    """Effective area times EXPOSURE, or what the file of the area states, if that is the same."""
    area, exact = _known_area(folding.area, folding.edisp, mask_safe, arf), folding.exact
    if exact is None:
        return area * time
    if not np.allclose(exact, area * time, rtol=1e-9, atol=0):
        assert arf is not None
        raise DataError(
            f"{arf.name}, HDU SPECRESP: column EXPOSURE is not SPECRESP times the EXPOSURE of {path.name}; remove the "
            "column if the effective area was changed."
        )
    return exact


def _no_area(table: Table, rmf: Path | None) -> str:
    missing = "keyword ANCRFILE is missing" if "ANCRFILE" not in table.header else "ANCRFILE is none"
    text = f"{table.where}: {missing}; it names the effective area file (arf=)"
    if rmf is None:
        return f"{text}."
    return f"{text}, and the matrix of {rmf.name} does not say that it holds the area itself (HDUCLAS3 = FULL)."


def _channel_edges(own: np.ndarray | None, response: Matrix, what: str) -> np.ndarray | None:
    """Energies of the channels, which the spectrum and the response must agree on where both state them."""
    if own is not None and response.energy_edges is not None:
        same_grid(own, response.energy_edges, f"{what}, EBOUNDS", "reconstructed-energy")
    return own if own is not None else response.energy_edges


def _check_energies(true_edges: np.ndarray, edges: np.ndarray, edisp: np.ndarray, path: Path) -> None:
    """Refuse true and reconstructed energies that are decades apart: one of the units is wrong.

    Of each row of the dispersion the mean of ln E over its channels is compared with its true energy, and the median of the rows is
    judged: no instrument is wrong by a factor of 100 in the middle of its range, and units differ by 1000.
    """
    centre, true = (np.log(e[:-1] * e[1:]) / 2 for e in (edges, true_edges))
    sums = edisp.sum(axis=1)
    filled = sums > 0
    if not filled.any():
        raise DataError(
            f"{path.name}: the dispersion is 0 for every true energy and channel; check the units of the energies."
        )
    factor = float(np.exp(np.median((edisp @ centre)[filled] / sums[filled] - true[filled])))
    if not 1 / BIAS < factor < BIAS:
        raise DataError(
            f"{path.name}: the channels (EBOUNDS, {edges[0]:g} to {edges[-1]:g} TeV) lie at {factor:.3g} times the true energies that "
            f"reach them ({true_edges[0]:g} to {true_edges[-1]:g} TeV); check the units of E_MIN, E_MAX, ENERG_LO and ENERG_HI."
        )


def _known_area(area: np.ndarray, edisp: np.ndarray, mask_safe: np.ndarray, arf: Path | None) -> np.ndarray:
    """The area with 0 where it is nan and reaches no good channel; refuses nan that does."""
    bad = np.isnan(area)
    if not bad.any():
        return area
    name = "" if arf is None else arf.name
    used = np.flatnonzero(bad & np.any(edisp[:, mask_safe] > 0, axis=1))
    if len(used):
        raise DataError(
            f"{name}, HDU SPECRESP, column SPECRESP, row {used[0]}: value nan, expected finite numbers; {len(used)} rows are affected that "
            "contribute to channels of good QUALITY."
        )
    warnings.warn(
        f"{name}, HDU SPECRESP, column SPECRESP: {int(bad.sum())} rows are nan and contribute to no channel of good QUALITY; they "
        "are 0.",
        stacklevel=2,
    )
    return np.where(bad, 0.0, area)
