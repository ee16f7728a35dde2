"""Random damage of files: an error of our own family, a warning, or the very same content; never anything else.

CHECKSUM and DATASUM see neither two flipped bits that cancel nor words that change places; files of gammajax have a hash as well.
"""

import io
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gammajax import (
    GTI,
    Datasets,
    EBLAbsorptionNormSpectralModel,
    FluxPoints,
    FluxPointsDataset,
    LightCurveTemplateTemporalModel,
    SpectrumDatasetOnOff,
    Status,
    TemplatePhaseCurveTemporalModel,
    UpperLimit,
)
from gammajax import scan as scans
from gammajax.data import embedded_ogip_files
from gammajax.errors import GammajaxError
from gammajax.io import read_models, read_result
from gammajax.io.fits import open_fits
from gammajax.io.fits_write import fits_bytes
from tests.faults.test_writes import strengths
from tests.io.test_ogip import ARF, BKG, PHA, RMF
from tests.io.test_results import noise, same
from tests.io.test_yaml import rich_models

FOLDER = embedded_ogip_files()[0].parent
OGIP = {name: (FOLDER / name).read_bytes() for name in (PHA, BKG, ARF, RMF)}


def arrays(dataset):
    """Everything that a fit takes from a data set: two with the same arrays have the same statistic to the last bit."""
    return (
        dataset.counts.data, dataset.counts_off.data, dataset.acceptance.data, dataset.acceptance_off.data,
        dataset.exposure.data, dataset.edisp.pdf_matrix, dataset.mask_safe.data, dataset.counts.geom.axis.edges_tev,
        dataset.exposure.geom.axis.edges_tev, [dataset.livetime.value, dataset.ontime.value],
    )  # fmt: skip


def same_arrays(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def models_state(models):
    numbers = [(p.name, p.value, p.error, p.min, p.max, str(p.unit), p.frozen) for p in models.parameters]
    return repr(
        (models.names, [type(m.spectral_model).__name__ for m in models], numbers, models.covariance.data.tolist())
    )


# -- kinds of files: what they are made of, how they are read, and when two contents are the same -------------------------


def written(write):
    """Contents of the files that a function writes into an empty folder."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        return {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir())}


class Kind:
    """One kind of file."""

    def __init__(self, files, read, equal):
        self.files, self.read, self.equal = files, read, equal

    def check(self, folder, damaged):
        """Read a damaged set of files."""
        for path in folder.iterdir():
            path.unlink()
        for name, content in (self.files | damaged).items():
            (folder / name).write_bytes(content)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = self.read(folder)
            except GammajaxError:
                return
        if not caught:
            assert self.equal(found)


def ogip():
    clean = arrays(SpectrumDatasetOnOff.read(FOLDER / PHA))
    return Kind(
        OGIP, lambda p: SpectrumDatasetOnOff.read(p / PHA, format="ogip"), lambda d: same_arrays(arrays(d), clean)
    )


def gadf():
    dataset = SpectrumDatasetOnOff.read(FOLDER / PHA)
    files = written(lambda p: dataset.write(p / "x.fits", format="gadf"))
    clean = arrays(dataset)
    return Kind(
        files, lambda p: SpectrumDatasetOnOff.read(p / "x.fits", format="gadf"), lambda d: same_arrays(arrays(d), clean)
    )


def result(suffix):
    clean = noise()
    files = written(lambda p: clean.write(p / f"r.{suffix}"))

    def equal(found):
        same(clean, found)
        return True

    return Kind(files, lambda p: read_result(p / f"r.{suffix}"), equal)


def limit():
    clean = UpperLimit("crab.spectral.beta", 0.95, 0.1 + 0.2, "", 2.7055, 0.1, True, "crossed")
    files = written(lambda p: clean.write(p / "r.yaml"))
    return Kind(files, lambda p: read_result(p / "r.yaml"), lambda found: found == clean)


def models():
    """With the checksum that protects the numbers of a text file."""
    files = written(lambda p: rich_models().write(p / "m.yaml", checksum=True))

    def read(folder):
        return read_models(folder / "m.yaml", checksum=True)

    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        clean = models_state(read(Path(folder)))
    return Kind(files, read, lambda found: models_state(found) == clean)


def absorption():
    """An EBL table with sums, which the public ones have not."""
    energy, z = np.geomspace(0.1, 10, 5), [0.1, 0.2, 0.3]
    values = np.exp(-np.outer(z, energy))
    edges = np.append(energy / 1.1, energy[-1] * 1.1) * 1e9
    columns = [fits.Column(n, "D", array=a) for n, a in (("ENERG_LO", edges[:-1]), ("ENERG_HI", edges[1:]))]
    spectra = [fits.Column("PARAMVAL", "D", array=z), fits.Column("INTPSPEC", "5D", array=values)]
    tables = {"ENERGIES": columns, "SPECTRA": spectra}
    hdus = [fits.BinTableHDU.from_columns(c, name=n) for n, c in tables.items()]
    files = {"ebl.fits": fits_bytes(hdus)}

    def state(model):
        return model.energy.to_value("TeV"), model.param, model.data

    return table_kind(files, lambda p: EBLAbsorptionNormSpectralModel.read(p / "ebl.fits", redshift=0.2), state)


def table_kind(files, read, state):
    """A kind whose content is a tuple of arrays; the clean one is what is read of whole files."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        clean = state(read(Path(folder)))
    return Kind(
        files,
        read,
        lambda found: all(np.array_equal(a, b, equal_nan=True) for a, b in zip(state(found), clean, strict=True)),
    )


def flux_points():
    energy, unit = np.geomspace(1, 10, 4), u.Unit("cm-2 s-1 TeV-1")
    dataset = FluxPointsDataset(energy * u.TeV, energy**-2 * 1e-11 * unit, energy**-2 * 1e-12 * unit)
    return table_kind(
        written(lambda p: dataset.write(p / "f.fits")), lambda p: FluxPointsDataset.read(p / "f.fits"), points_state
    )


def points_state(d):
    return d.energy.value, d.dnde.value, d.dnde_err.value, d.is_ul, d.mask_array


def light_curve():
    times = GTI.create([0, 200] * u.s, [100, 300] * u.s)
    files = written(lambda p: strengths(times=times).write(p / "l.fits"))

    def state(found):
        arrays = [getattr(found, n) for n in ("norm", "norm_err", "norm_ul", "ts", "stat", "counts", "success")]
        times = found.gti.time_start.mjd, found.gti.time_stop.mjd
        return [found.energy_edges, *found.reference.values(), *times, *arrays, [found.n_sigma, found.n_sigma_ul]]

    return table_kind(files, lambda p: FluxPoints.read(p / "l.fits"), state)


def template():
    model = LightCurveTemplateTemporalModel([0, 1, 3] * u.d, [0.5, 2, 1], t_ref=53000 * u.d)
    files = written(lambda p: model.write(p / "c.fits"))

    def state(found):
        return found.time.value, found.norm, [found.t_ref.value]

    return table_kind(files, lambda p: LightCurveTemplateTemporalModel.read(p / "c.fits"), state)


def gti():
    files = written(lambda p: GTI.create([0, 200] * u.s, [100, 300] * u.s).write(p / "g.fits"))
    return table_kind(files, lambda p: GTI.read(p / "g.fits"), lambda g: (g.time_start.mjd, g.time_stop.mjd))


def dataset_list():
    """A list with its checksum, and a file of points that it names."""
    energy, unit = np.geomspace(1, 10, 4), u.Unit("cm-2 s-1 TeV-1")
    points = FluxPointsDataset(energy * u.TeV, energy**-2 * 1e-11 * unit, energy**-2 * 1e-12 * unit, name="a")
    files = written(lambda p: Datasets([points]).write(p / "d.yaml"))

    def state(found):
        return [list("\n".join(found.names).encode()), *(x for d in found for x in points_state(d))]

    return table_kind(files, lambda p: Datasets.read(p / "d.yaml"), state)


def phase_curve():
    model = TemplatePhaseCurveTemporalModel([0, 0.5, 1], [1, 2, 1.5])
    files = written(lambda p: model.write(p / "c.fits"))
    return table_kind(files, lambda p: TemplatePhaseCurveTemporalModel.read(p / "c.fits"), lambda m: (m.phase, m.norm))


def small_scan(place):
    """A scan of 20 nodes in three chunks."""
    from tests.scan.stored import fitted, scan

    axes = {"alpha": np.linspace(2.0, 2.4, 5), "beta": np.linspace(0.1, 0.4, 4)}
    return scan(fitted(), place, axes, chunk_size=8)


def stored_scan():
    """Manifest and chunks; the likelihood is not read, and has its own SHA-256."""
    with TemporaryDirectory() as place:
        clean = small_scan(Path(place) / "scan")
        files = {p.name: p.read_bytes() for p in sorted((Path(place) / "scan").rglob("*.*")) if p.is_file()}
    files = {n: c for n, c in files.items() if not n.startswith("likelihood")}

    def read(folder):
        with TemporaryDirectory() as place:
            (Path(place) / "chunks").mkdir()
            for name in files:
                target = Path(place) / name if name == "manifest.json" else Path(place) / "chunks" / name
                target.write_bytes((folder / name).read_bytes())
            return scans.open(place).result()

    def equal(found):
        # nodes of a damaged chunk say so, and have no value
        lost = found.status == Status.FAILED
        same = [(getattr(found, n)[~lost], getattr(clean, n)[~lost]) for n in ("stat", "status", "edm")]
        same += [(found.nuisance[n][~lost], clean.nuisance[n][~lost]) for n in clean.nuisance]
        told = [(getattr(found, n), getattr(clean, n)) for n in ("names", "units", "best", "stat_best", "kind")]
        return (
            all(np.array_equal(a, b) for a, b in (*same, *zip(found.axes, clean.axes, strict=True)))
            and all(a == b for a, b in told)
            and np.isnan(found.stat[lost]).all()
        )

    return Kind(files, read, equal)


def consolidated():
    with TemporaryDirectory() as place:
        small_scan(Path(place) / "scan")
        files = {"s.fits": scans.open(Path(place) / "scan").consolidate(Path(place) / "s.fits").read_bytes()}

    def read(folder):
        with open_fits(folder / "s.fits", "scan") as hdus:
            axes = [np.array(v) for v in hdus["AXES"].data["VALUES"]]
            return [
                *(np.array(h.data) for h in hdus if h.data is not None and h.is_image),
                *axes,
                [hdus[0].header["STATBEST"]],
            ]

    return table_kind(files, read, lambda found: found)


MAKERS = {
    "ogip": ogip,
    "gadf": gadf,
    "result fits": lambda: result("fits"),
    "result ecsv": lambda: result("ecsv"),
    "result yaml": limit,
    "models": models,
    "ebl": absorption,
    "flux points": flux_points,
    "light curve": light_curve,
    "template": template,
    "gti": gti,
    "list": dataset_list,
    "phase curve": phase_curve,
    "stored scan": stored_scan,
    "consolidated scan": consolidated,
}
# of FITS files alone, which have headers
CARDS = (
    "ogip",
    "gadf",
    "result fits",
    "ebl",
    "flux points",
    "light curve",
    "template",
    "gti",
    "phase curve",
    "consolidated scan",
)


@pytest.fixture(scope="module")
def kinds():
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("damage")


# -- ways to damage ----------------------------------------------------------------------------------------------------


def flipped(draw, content):
    """Single bits, or bytes, at a few places."""
    data = bytearray(content)
    bits = st.sampled_from([1 << k for k in range(8)]) | st.integers(1, 255)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] ^= draw(bits)
    return bytes(data)


def truncated(draw, content):
    return content[: draw(st.integers(0, len(content) - 1))]


def overwritten(draw, content):
    data = bytearray(content)
    at, block = draw(st.integers(0, len(data) - 1)), draw(st.binary(min_size=1, max_size=200))
    data[at : at + len(block)] = block[: len(data) - at]
    return bytes(data)


def doubled_or_lost(draw, content):
    """A piece that is there twice, or not at all."""
    begin = draw(st.integers(0, len(content) - 1))
    end = min(len(content), begin + draw(st.integers(1, 3000)))
    return content[:end] + content[begin:] if draw(st.booleans()) else content[:begin] + content[end:]


def _cards(content):
    """Places of the cards of all headers."""
    with fits.open(io.BytesIO(content)) as hdus:
        places = [h.fileinfo() for h in hdus]
    return [range(p["hdrLoc"], p["datLoc"], 80) for p in places]


def with_cards(draw, content):
    """Two cards in each other's place, or one that is blank, in a header whose sums are left as they are."""
    header = draw(st.sampled_from(_cards(content)))
    a, b = (draw(st.sampled_from(list(header))) for _ in range(2))
    data = bytearray(content)
    if draw(st.booleans()):
        data[a : a + 80], data[b : b + 80] = data[b : b + 80], data[a : a + 80]
    else:
        data[a : a + 80] = b" " * 80
    return bytes(data)


WAYS = (flipped, truncated, overwritten, doubled_or_lost)
QUICK = settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=600)


def damage_once(kinds, place, kind, data, ways):
    chosen = kinds[kind]
    name = data.draw(st.sampled_from(sorted(chosen.files)), label="file")
    way = data.draw(st.sampled_from(ways), label="way")
    chosen.check(place, {name: way(data.draw, chosen.files[name])})


@pytest.mark.parametrize("kind", MAKERS)
@QUICK
@given(data=st.data())
def test_damaged_files(kinds, place, kind, data):
    damage_once(kinds, place, kind, data, WAYS)


@pytest.mark.parametrize("kind", CARDS)
@QUICK
@given(data=st.data())
def test_damaged_cards(kinds, place, kind, data):
    damage_once(kinds, place, kind, data, (with_cards,))


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
@LONG
@given(data=st.data())
def test_damaged_files_at_length(kinds, place, kind, data):
    damage_once(kinds, place, kind, data, (*WAYS, with_cards) if kind in CARDS else WAYS)


@pytest.mark.parametrize("kind", MAKERS)
def test_undamaged_files(kinds, place, kind):
    """The comparison itself: what is whole is the same, and read without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, content in kinds[kind].files.items():
            (place / name).write_bytes(content)
        assert kinds[kind].equal(kinds[kind].read(place))


def names(hdus):
    """Everything that has a name in a file: columns and keywords."""
    return {n for h in hdus for n in (*(getattr(h, "columns", None) or fits.ColDefs([])).names, *h.header)}


@QUICK
@given(name=st.sampled_from(sorted(OGIP)), data=st.data())
def test_dropped_columns_and_keywords(kinds, place, name, data):
    """With sums that fit again: what is not there is named, or was not needed."""
    with fits.open(FOLDER / name, memmap=False) as hdus:
        # without the hash, which would say it of every change
        del hdus[0].header["SHA256"]
        before = names(hdus)
        hdu = hdus[data.draw(st.integers(1, len(hdus) - 1), label="extension")]
        if data.draw(st.booleans(), label="column"):
            hdu.columns.del_col(data.draw(st.sampled_from(hdu.columns.names)))
        else:
            fixed = ("XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TF", "TT")
            del hdu.header[data.draw(st.sampled_from([k for k in hdu.header if not k.startswith(fixed)]))]
        stream = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hdus.writeto(stream, checksum=True)
    with fits.open(io.BytesIO(stream.getvalue())) as hdus:
        gone = before - names(hdus)
    # a file without these is a valid one: QUALITY is 0 and scales are 1 by default
    if not gone & {"QUALITY", "AREASCAL", "LO_THRES"}:
        kinds["ogip"].check(place, {name: stream.getvalue()})


@pytest.mark.parametrize("kind", CARDS)
def test_a_cut_between_extensions(kinds, place, kind):
    """What is left is FITS with sums that fit, and says something else: the number of extensions tells."""
    for name, content in kinds[kind].files.items():
        with fits.open(io.BytesIO(content)) as hdus:
            ends = [h.fileinfo()["hdrLoc"] for h in hdus][1:]
        for end in ends:
            kinds[kind].check(place, {name: content[:end]})


def test_damage_that_cancels_in_the_sums(kinds, place):
    """One count more in a row and one less four bytes further on: every sum fits, and the hash does not."""
    data = bytearray(OGIP[PHA])
    with fits.open(io.BytesIO(OGIP[PHA])) as hdus:
        begin, counts = hdus[1].fileinfo()["datLoc"], hdus[1].data["COUNTS"]
        width, size = hdus[1].header["NAXIS1"], hdus[1].data.dtype.fields["COUNTS"]
    step = 4 // np.gcd(width, 4)
    rows = [i for i in range(len(counts) - step) if 5 < counts[i] < 250 and 5 < counts[i + step] < 250]
    for i, change in ((rows[0], 1), (rows[0] + step, -1)):
        data[begin + i * width + size[1] + 3] += change
    (place / PHA).write_bytes(bytes(data))
    for name in (BKG, ARF, RMF):
        (place / name).write_bytes(OGIP[name])
    with pytest.warns(
        UserWarning,
        match=f"{PHA}: was changed after gammajax wrote it, or is damaged in a way that its sums do not show",
    ):
        found = SpectrumDatasetOnOff.read(place / PHA, format="ogip")
    assert not kinds["ogip"].equal(found)
