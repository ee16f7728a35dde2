"""Results in files: the same to the last bit, with provenance; what is refused."""

import copy
import dataclasses
import json
import os
import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from gammajax import (
    ConfidenceTable,
    ContourResult,
    Fit,
    FitResult,
    FluxPointsEstimator,
    GoodnessOfFit,
    PowerLawSpectralModel,
    ScanResult,
    SkyModel,
    UpperLimit,
)
from gammajax.errors import FileFormatError, InputError, MissingFileError
from gammajax.io import read_result, write_result
from gammajax.io.results_code import NOT_STORED
from gammajax.io.tables import read_table, write_table
from gammajax.models import Models
from gammajax.parameters import GaussianPrior, Parameter
from gammajax.provenance import data_hash, provenance
from tests.problems import at_limit, embedded, small

SUFFIXES = ("ecsv", "fits", "yaml", "yml")


@pytest.fixture(scope="module")
def fit():
    dataset = embedded()
    dataset.models[0].spectral_model.alpha.prior = GaussianPrior(mu=2.3, sigma=0.1)
    fit = Fit([dataset], store_trace=True, optimize_opts={"tol": 1e-3})
    fit.first = fit.run()
    return fit


def noise():
    """A scan of numbers that no text likes: random bits, the smallest and largest, -0, nan, inf."""
    rng = np.random.default_rng(4)
    stat = rng.integers(0, 2**63, 24, dtype=np.uint64).view(float).reshape(6, 4)
    stat[0] = [np.nan, np.inf, -0.0, 5e-324]
    stat[1] = [-np.inf, 1.7976931348623157e308, 0.1 + 0.2, 1 / 3]
    axes = np.sort(rng.random(6)), np.sort(1e-12 * rng.random(4))
    names, nan = ("a.spectral.x", "a.spectral.y"), np.full((6, 4), np.nan)
    # as large scans have it
    status = rng.integers(0, 5, (6, 4)).astype(np.int8)
    return ScanResult(
        "frozen", names, axes, ("", "1 / (TeV s cm2)"), stat, status, nan, {"a.spectral.z": stat[::-1].copy()},
        (0.5, 1e-12), float(stat[2, 2]), None, {"tol": 1e-3, "pair": (1, 2.5), "none": None, "names": ["x"], "is": True}, 3,
    )  # fmt: skip


def open_contour():
    """A contour that the limits cut, so that it is traced from a surface and has pieces."""
    dataset = embedded()
    dataset.models[0].spectral_model.beta.value, dataset.models[0].spectral_model.beta.max = 0.1, 0.15
    fit = Fit([dataset], backend="newton")
    fit.run()
    return fit.stat_contour("alpha", "beta", 8)


def many_fits():
    """Three fits in one batch, one of them of data without anything in them."""
    dataset = small()
    sets = [dataset, dataset.copy("b"), dataset.copy("c")]
    model = SkyModel(PowerLawSpectralModel(amplitude=1e-12 / u.cm**2 / u.s / u.TeV), name="source")
    for d in sets:
        d.models = model
    sets[1].set_counts(sets[1].counts.data + 5, sets[1].counts_off.data)
    sets[2].set_counts(np.zeros(6), np.ones(6))
    return Fit([dataset]).run_each(sets)


def flux_points():
    return FluxPointsEstimator(energy_edges=[0.7, 2, 8] * u.TeV, source="crab", selection_optional="all").run(
        [embedded()]
    )


RESULTS = {
    "fit": lambda fit: fit.first,
    "fit at a limit": lambda fit: Fit([at_limit()], backend="newton").run(),
    "profile": lambda fit: fit.stat_profile("alpha", reoptimize=True),
    "surface": lambda fit: fit.stat_surface("alpha", "beta", [2.1, 2.2, 2.3], [0.1, 0.2], reoptimize=True),
    "frozen grid": lambda fit: fit.stat_grid({"alpha": [2.1, 2.2], "beta": [0.1], "amplitude": [3e-11]}, reoptimize=False),
    "noise": lambda fit: noise(),
    "contour": lambda fit: fit.stat_contour("alpha", "beta"),
    "contour of MINUIT": lambda fit: fit.stat_contour("alpha", "beta", 6, backend="minuit"),
    "open contour": lambda fit: open_contour(),
    "intervals": lambda fit: fit.confidence("all", [1, 2]),
    "interval": lambda fit: fit.confidence("alpha"),
    "upper limit": lambda fit: fit.upper_limit("beta"),
    "interval of MINUIT": lambda fit: fit.confidence("alpha", backend="minuit"),
    "many fits": lambda fit: many_fits(),
    "nested": lambda fit: fit.ts({"beta": 0}),
    "flux points": lambda fit: flux_points(),
    "goodness": lambda fit: GoodnessOfFit(12.3, 4, 0.1 + 0.2, "toys", "as drawn", 20, fit.first.provenance),
    "goodness without a p-value": lambda fit: fit.first.goodness,
}  # fmt: skip


@pytest.fixture(scope="module")
def results(fit):
    return {name: make(fit) for name, make in RESULTS.items()}


def same(a, b, where=""):
    """Both the same to the last bit, types included."""
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        np.testing.assert_array_equal(a, b, err_msg=where)
        # the sign of nan says nothing
        assert np.array_equal(np.signbit(a[~np.isnan(a)]), np.signbit(b[~np.isnan(b)])), where
    elif isinstance(a, Parameter):
        for key in (
            "name",
            "unit",
            "internal_unit",
            "frozen",
            "interp",
            "linear",
            "unique_name",
            "prior",
            "scan_n_values",
        ):
            assert getattr(a, key) == getattr(b, key), f"{where}.{key}"
        for key in ("value", "error", "min", "max"):
            same(getattr(a, key), getattr(b, key), f"{where}.{key}")
    elif isinstance(a, Models):
        assert a.names == b.names
        for p, q in zip(a.parameters, b.parameters, strict=True):
            same(p, q, f"{where}.{p.name}")
        same(a.covariance.data, b.covariance.data, f"{where}.covariance")
    elif isinstance(a, Table):
        assert a.colnames == b.colnames
        for n in a.colnames:
            same(np.asarray(a[n]), np.asarray(b[n]), f"{where}.{n}")
    elif dataclasses.is_dataclass(a):
        for f in dataclasses.fields(a):
            if f.name not in NOT_STORED.get(type(a).__name__, ()):
                same(getattr(a, f.name), getattr(b, f.name), f"{where}.{f.name}")
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for k in a:
            same(a[k], b[k], f"{where}.{k}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{i}]")
    elif isinstance(a, float):
        np.testing.assert_equal(b, a, err_msg=where)
        assert np.isnan(a) or np.signbit(a) == np.signbit(b), where
    else:
        assert a == b, where


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", RESULTS)
def test_round_trip_to_the_last_bit(tmp_path, results, name, suffix):
    result = results[name]
    write_result(result, tmp_path / f"r.{suffix}")
    back = read_result(tmp_path / f"r.{suffix}", type(result))
    same(result, back)
    assert str(back) == str(result)
    same(back, read_result(tmp_path / f"r.{suffix}"))
    # and once more from what was read
    write_result(back, tmp_path / f"again.{suffix}")
    same(result, read_result(tmp_path / f"again.{suffix}"))


def test_methods_are_the_functions(tmp_path, results):
    for name in ("fit", "surface", "many fits", "nested"):
        results[name].write(tmp_path / f"{name}.fits")
        same(results[name], type(results[name]).read(tmp_path / f"{name}.fits"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_read_is_read_only(tmp_path, results, suffix):
    results["fit"].write(tmp_path / f"r.{suffix}")
    back = FitResult.read(tmp_path / f"r.{suffix}")
    with pytest.raises(InputError, match="belongs to a result and is read-only"):
        back.parameters["alpha"].value = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        back.total_stat = 0.0
    results["surface"].write(tmp_path / f"s.{suffix}")
    with pytest.raises(ValueError, match="read-only"):
        ScanResult.read(tmp_path / f"s.{suffix}").stat[0, 0] = 1


def test_a_result_that_was_read_serves_the_next_fit(tmp_path, results, fit):
    results["fit"].write(tmp_path / "r.fits")
    back = FitResult.read(tmp_path / "r.fits")
    np.testing.assert_array_equal(
        fit.stat_profile(back.parameters["alpha"], reoptimize=True).stat, results["profile"].stat
    )
    assert back.parameters["alpha"].prior.mu == 2.3


def test_the_optimiser_is_not_there_and_says_so(tmp_path, results):
    results["fit"].write(tmp_path / "r.yaml")
    back = FitResult.read(tmp_path / "r.yaml")
    with pytest.raises(InputError, match=r"raw of the result read from r\.yaml is not there \(asked for 'valid'\)"):
        _ = back.minuit.valid
    assert not back.raw
    assert "not stored in r.yaml" in repr(back.raw)


def test_copies_and_pickles_of_what_was_read(tmp_path, results):
    results["fit"].write(tmp_path / "r.yaml")
    back = FitResult.read(tmp_path / "r.yaml")
    for other in (pickle.loads(pickle.dumps(back)), copy.deepcopy(back)):
        same(back, other)
        assert "not stored" in repr(other.raw)


# -- tables for any program --------------------------------------------------------------------------------------------


def tables(folder, result):
    result.write(folder / "r.ecsv", overwrite=True)
    result.write(folder / "r.fits", overwrite=True)
    return Table.read(folder / "r.ecsv"), Table.read(folder / "r.fits", hdu="RESULT")


def test_tables_of_scans_and_contours(tmp_path, results):
    scan = results["surface"]
    for table in tables(tmp_path, scan):
        np.testing.assert_array_equal(table["crab.spectral.alpha"], np.repeat(scan.axes[0], 2))
        np.testing.assert_array_equal(table["stat"], scan.stat.ravel())
        np.testing.assert_array_equal(
            table["nuisance.crab.spectral.amplitude"], scan.nuisance["crab.spectral.amplitude"].ravel()
        )
    contour = results["contour"]
    for table in tables(tmp_path, contour):
        np.testing.assert_array_equal(table["crab.spectral.beta"], contour.y)


def test_the_table_of_an_amplitude_has_its_unit(tmp_path, fit):
    for table in tables(tmp_path, fit.stat_profile("amplitude")):
        assert table["crab.spectral.amplitude"].unit == "TeV-1 s-1 cm-2"


def test_the_open_contour_has_pieces(results):
    assert results["open contour"].method == "surface"
    assert len(results["open contour"].pieces) > 0


def test_tables_of_parameters_and_intervals(tmp_path, results):
    for table in tables(tmp_path, results["fit"]):
        assert list(table["name"]) == results["fit"].parameters.names
        np.testing.assert_array_equal(table["error"], [p.error for p in results["fit"].parameters])
    for table in tables(tmp_path, results["intervals"]):
        assert len(table) == 6
    for name in ("interval", "upper limit"):
        for table in tables(tmp_path, results[name]):
            assert len(table) == 1


def test_tables_of_many_fits_and_tests(tmp_path, results):
    many = results["many fits"]
    for table in tables(tmp_path, many):
        assert len(table) == 3
        np.testing.assert_array_equal(table["source.spectral.index"], many.value[:, 0])
        np.testing.assert_array_equal(np.asarray(table["covariance"]).reshape(3, 3, 3), many.covariance)
        assert [str(v) for v in table["verdict"]] == list(many.to_table()["status"])
    for table in tables(tmp_path, results["nested"]):
        assert table["ts"][0] == results["nested"].ts


def test_gammapy_reads_the_table_of_flux_points(tmp_path, results):
    estimators = pytest.importorskip("gammapy.estimators")
    points = results["flux points"]
    for suffix in ("fits", "ecsv"):
        write_result(points, tmp_path / f"p.{suffix}")
        theirs = estimators.FluxPoints.read(tmp_path / f"p.{suffix}", sed_type="likelihood")
        for name in ("dnde", "dnde_err", "dnde_errn", "e2dnde_ul"):
            ours = points.quantity(name)
            found = getattr(theirs, name).quantity.to_value(ours.unit).ravel()
            np.testing.assert_allclose(found, ours.value, rtol=1e-12, err_msg=name)
        np.testing.assert_array_equal(theirs.stat_scan.data.squeeze(), points.stat_scan)


# -- provenance --------------------------------------------------------------------------------------------------------


def test_provenance_is_in_every_result_of_the_data(results):
    # those of other data, and one made by hand
    others = ("many fits", "flux points", "noise")
    hashes = {r.provenance.data for name, r in results.items() if name not in others}
    assert len(hashes) == 1
    for name in others[:-1]:
        assert len(results[name].provenance.data) == 64
        assert results[name].provenance.data not in hashes
    assert results["intervals"]["alpha"][0].provenance == results["intervals"].provenance
    assert results["many fits"].provenance.settings["tol"] > 0
    assert results["flux points"].provenance.settings["source"] == "crab"
    source = results["fit"].provenance
    assert [n for n, _ in source.versions] == ["gammajax", "jax", "jaxlib", "numpy"]
    assert dict(source.versions)["numpy"] == np.__version__
    assert source.created.endswith("+00:00")


def hash_of(dataset):
    return Fit([dataset]).stat_profile("index", [2.0]).provenance.data


def test_the_hash_is_that_of_the_data_alone():
    from gammajax import LogParabolaSpectralModel, PowerLawSpectralModel, SkyModel
    from gammajax.likelihood import Likelihood

    dataset = small()
    dataset.models = SkyModel(PowerLawSpectralModel(), name="a")
    first = hash_of(dataset)
    dataset.models[0].spectral_model.index.value = 2.7
    assert hash_of(dataset) == first
    again = small()
    again.models = SkyModel(LogParabolaSpectralModel(), name="a")
    assert data_hash(Likelihood([again]).data) == first
    changed = {
        "counts": small(n_on=[12, 9, 7, 4, 2, 0]),
        "off": small(n_off=[30, 20, 11, 6, 0, 2]),
        "alpha": small(alpha=0.11),
        "response": small(exposure=small().exposure.quantity * 1.01),
        "bins": small(energy_true_edges=small().exposure.geom.axis.edges * 1.001),
        "mask": small(mask_safe=[True] * 5 + [False]),
    }
    hashes = {first}
    for d in changed.values():
        d.models = SkyModel(PowerLawSpectralModel(), name="a")
        hashes.add(hash_of(d))
    assert len(hashes) == 1 + len(changed)


def test_the_hash_of_the_same_data_is_taken_once(fit, monkeypatch):
    from gammajax.likelihood import Likelihood

    def refuse(data):
        raise AssertionError("hashed again")

    monkeypatch.setattr("gammajax.provenance._digest", refuse)
    for _ in range(3):
        fit.stat_profile("alpha")
        assert provenance(Likelihood(fit.datasets).data).data == fit.first.provenance.data


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_names_and_classes(tmp_path, results):
    limit = results["upper limit"]
    with pytest.raises(InputError, match=r"got the name 'r\.txt', expected one that ends in \.ecsv, \.fits"):
        limit.write(tmp_path / "r.txt")
    with pytest.raises(InputError, match=r"read: got the name 'r\.txt'"):
        UpperLimit.read(tmp_path / "r.txt")
    limit.write(tmp_path / "r.yaml")
    with pytest.raises(InputError, match=r"r\.yaml exists already"):
        limit.write(tmp_path / "r.yaml")
    with pytest.raises(FileFormatError, match=r"holds a UpperLimit, expected a ContourResult; use UpperLimit\.read"):
        ContourResult.read(tmp_path / "r.yaml")
    for suffix in SUFFIXES:
        with pytest.raises(MissingFileError, match=f"gone.{suffix} does not exist"):
            ConfidenceTable.read(tmp_path / f"gone.{suffix}")


def test_options_that_no_file_can_hold(tmp_path, results):
    odd = dataclasses.replace(results["noise"], options={"callback": print})
    with pytest.raises(InputError, match=r"options\.callback holds builtin_function_or_method"):
        odd.write(tmp_path / "r.fits")
    assert os.listdir(tmp_path) == []


def test_large_scans_are_refused_as_yaml(tmp_path, results, monkeypatch):
    monkeypatch.setattr("gammajax.io.results.MAX_YAML", 23)
    with pytest.raises(InputError, match="24 nodes are too many for YAML"):
        results["noise"].write(tmp_path / "r.yaml")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failing_write_leaves_the_old_file(tmp_path, results, monkeypatch, suffix):
    results["upper limit"].write(tmp_path / f"r.{suffix}")
    before = (tmp_path / f"r.{suffix}").read_bytes()

    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr("gammajax.io.files.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        results["upper limit"].write(tmp_path / f"r.{suffix}", overwrite=True)
    assert (tmp_path / f"r.{suffix}").read_bytes() == before
    assert os.listdir(tmp_path) == [f"r.{suffix}"]


DAMAGE = {
    "version": ("version: 1", "version: 2", r"version 2 of the format, expected 1"),
    "format": ("gammajax result", "other result", "holds no result of gammajax"),
    "class": ("is: ScanResult", "is: ScanResul", r"holds 'ScanResul', expected one of .* Did you mean 'ScanResult'"),
    "field": ("kind: frozen", "sort: frozen", "a 'ScanResult' in it is damaged"),
    "foreign class": ("is: tuple", "is: os.system", "'os.system' is no part of a result"),
    "shape": ("- 6\n", "- 7\n", "a 'array' in it is damaged .*reshape"),
    "type of array": ("dtype: float64", "dtype: object", "a 'array' in it is damaged .*type object"),
    "number": ("- 5.0e-324", "- five", "a 'array' in it is damaged"),
    "python": ("kind: frozen", "kind: !!python/name:os.system", "not YAML of plain values"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_documents(tmp_path, results, case):
    old, new, text = DAMAGE[case]
    results["noise"].write(tmp_path / "r.yaml")
    content = (tmp_path / "r.yaml").read_text()
    assert old in content
    (tmp_path / "r.yaml").write_text(content.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=r"r\.yaml[:,] .*" + text):
        ScanResult.read(tmp_path / "r.yaml")


@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_truncated_files(tmp_path, results, suffix):
    path = tmp_path / f"r.{suffix}"
    results["noise"].write(path)
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])
    with pytest.raises(FileFormatError, match=rf"r\.{suffix}"):
        ScanResult.read(path)


def test_files_of_others(tmp_path):
    Table({"x": [1.0]}).write(tmp_path / "r.ecsv")
    Table({"x": [1.0]}).write(tmp_path / "r.fits")
    (tmp_path / "r.yaml").write_text(json.dumps({"components": []}))
    for suffix in ("ecsv", "fits", "yaml"):
        with pytest.raises(FileFormatError, match=rf"r\.{suffix}: holds no result of gammajax"):
            ScanResult.read(tmp_path / f"r.{suffix}")
    (tmp_path / "b.ecsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="not a text file"):
        ScanResult.read(tmp_path / "b.ecsv")


def test_flipped_bits_in_fits(tmp_path, results):
    path = tmp_path / "r.fits"
    results["noise"].write(path)
    with fits.open(path) as hdus:
        at = hdus["RESULT"].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[at + 5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="do not match their DATASUM"):
        ScanResult.read(path)


def test_changed_digits_in_ecsv(tmp_path, results):
    path = tmp_path / "r.ecsv"
    results["upper limit"].write(path)
    content = path.read_text()
    *head, row = content.rstrip().split("\n")
    # the number that others see in the table, not the one that is read back
    changed = row.replace(" 0.95 ", " 0.96 ")
    assert changed != row
    path.write_text("\n".join([*head, changed]) + "\n")
    with pytest.raises(
        FileFormatError, match=r"r\.ecsv: the table does not match its checksum \(table_sha256 in its header\)"
    ):
        UpperLimit.read(path)
    # line ends of another system are no change, and who removes the line has meant it
    path.write_bytes(content.replace("\n", "\r\n").encode())
    assert UpperLimit.read(path) == results["upper limit"]
    path.write_text("\n".join([*(h for h in head if "table_sha256" not in h), changed]) + "\n")
    assert UpperLimit.read(path) == results["upper limit"]


@pytest.mark.parametrize("old", ["2.5", "TeV", "true"])
def test_changed_tables_are_said(tmp_path, old):
    table = Table({"energy": [1.0, 2.5] * u.TeV, "ok": [True, False]}, meta={"flag": True})
    path = write_table(table, tmp_path / "t.ecsv")
    back = read_table(path, "test")
    assert dict(back.meta) == {"flag": True}
    assert list(back["energy"]) == [1.0, 2.5]
    content = path.read_text()
    path.write_text(content.replace(old, {"2.5": "3.5", "TeV": "GeV", "true": "false"}[old]))
    with pytest.warns(
        UserWarning, match=r"t\.ecsv: the checksum .* does not fit; the file was changed after it was written"
    ):
        read_table(path, "test")
    # astropy alone sees an ordinary table
    assert "table_sha256" in Table.read(path, format="ascii.ecsv").meta
