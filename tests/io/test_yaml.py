"""Model files and lists of data sets: to gammapy and back, and what is refused."""

import os
import re
import warnings

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    Datasets,
    EBLAbsorptionNormSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    Fit,
    FoVBackgroundModel,
    LogParabolaSpectralModel,
    MeyerCrabSpectralModel,
    Models,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SamplesKDEPrior,
    ScaleSpectralModel,
    SkyModel,
    SystematicsModel,
    TemplateSpectralModel,
)
from gammajax.errors import FileFormatError, InputError, MissingFileError, ModelError, UnitError
from gammajax.io.spectral_yaml import spectral_classes
from gammajax.parameters import (
    GaussianPenalty,
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogUniformPrior,
    Parameter,
    Parameters,
    UniformPrior,
    pack,
)
from tests.problems import embedded, small

# attributes of a parameter that a file keeps
KEPT = (
    "name",
    "value",
    "error",
    "min",
    "max",
    "frozen",
    "interp",
    "scan_n_values",
    "scan_n_sigma",
    "scan_min",
    "scan_max",
)


def rich_models():
    """Three sources with everything a file holds: limits, errors, frozen flags, units, links, priors, scan settings."""
    one = LogParabolaSpectralModel(
        amplitude=3.1e-7 / u.m**2 / u.s / u.TeV, reference=1.2 * u.TeV, alpha=2 + 1 / 3, beta=0.1
    )
    two = LogParabolaSpectralModel(reference=900 * u.GeV)
    three = ExpCutoffPowerLawSpectralModel(lambda_=0.05 / u.TeV)
    two.alpha = one.alpha
    one.alpha.min, one.alpha.max, one.alpha.error = 1, 3.7, 0.2 / 3
    one.alpha.prior = GaussianPrior(mu=2.3, sigma=0.1, weight=0.5)
    one.beta.prior = UniformPrior(min=-1, max=2)
    one.amplitude.prior = LogUniformPrior(min=1e-15 / u.cm**2 / u.s / u.TeV, max=1e-9 / u.cm**2 / u.s / u.TeV)
    one.amplitude.error = 1e-9 / 7
    three.index.prior = GeneralizedGaussianPrior(mu=1.5, sigma=0.3, eta=0.7)
    three.alpha.frozen = False
    three.reference.frozen = False
    three.lambda_.interp = "log"
    three.lambda_.scan_n_values, three.lambda_.scan_n_sigma, three.lambda_.scan_min = 21, 3, 0.01
    three.index.scan_values = [1.0, 1.5, 2.0]
    return Models(
        [SkyModel(one, "crab"), SkyModel(two, "other", datasets_names=["HESS", "MAGIC"]), SkyModel(three, "third")]
    )


def assert_same(one, two):
    assert one.names == two.names
    assert [m.datasets_names for m in one] == [m.datasets_names for m in two]
    assert [type(m.spectral_model) for m in one] == [type(m.spectral_model) for m in two]
    a, b = one.parameters, two.parameters
    for p, q in zip(a, b, strict=True):
        for name in KEPT:
            np.testing.assert_equal(getattr(q, name), getattr(p, name), err_msg=f"{p.name}.{name}")
        assert (q.unit, q.internal_unit, q.linear, q.prior) == (p.unit, p.internal_unit, p.linear, p.prior)
        np.testing.assert_equal(q._scan_values, p._scan_values)
    links = [[x is y for y in c] for c in (a, b) for x in c]
    assert links[: len(a)] == links[len(a) :]


@pytest.mark.parametrize("full", [False, True])
def test_round_trip_to_the_last_bit(full):
    models = rich_models()
    text = models.to_yaml(full_output=full)
    back = Models.from_yaml(text)
    assert_same(models, back)
    # writing what was read gives the same text but for the time
    assert back.to_yaml(full_output=full).split("metadata")[0] == text.split("metadata")[0]
    assert_same(models, Models.from_dict(models.to_dict(full_output=full)))


def test_full_output_says_everything():
    text = rich_models().to_yaml(full_output=True)
    assert ".nan" in text
    assert "interp: lin" in text
    assert "scale_method: scale10" in text


@pytest.mark.parametrize("cls", sorted({c for c in spectral_classes().values()}, key=lambda c: c.__name__))
def test_every_declared_model(cls):
    from gammajax.io.models_special import SPECIAL

    if cls.tag[0] in SPECIAL or not cls.declared:
        pytest.skip("has functions of its own")
    models = Models([SkyModel(cls(), "source")])
    assert_same(models, Models.from_yaml(models.to_yaml()))


def test_a_model_of_ones_own_joins_by_its_tag():
    class Flat(PowerLawSpectralModel):
        tag = ("FlatOfTheTest", "flat-of-the-test")

    models = Models([SkyModel(Flat(index=0.1), "flat")])
    assert isinstance(Models.from_dict(models.to_dict())[0].spectral_model, Flat)

    class Nameless(PowerLawSpectralModel):
        pass

    with pytest.raises(ModelError, match="Nameless cannot be written: it has no tag of its own"):
        Models([SkyModel(Nameless(), "x")]).to_dict()
    assert spectral_classes()["pl"] is PowerLawSpectralModel


def test_penalties_are_kept():
    models = rich_models()
    third = models["third"].spectral_model
    models.set_penalties(GaussianPenalty([third.index, third.alpha], [1.5, 1.0], [[1, 0.3], [0.3, 2]], weight=2.5))
    (back,) = Models.from_yaml(models.to_yaml()).penalties
    assert [p.name for p in back.parameters] == ["index", "alpha"]
    assert (back.weight, back.mean.tolist()) == (2.5, [1.5, 1.0])
    np.testing.assert_array_equal(back.precision, models.penalties[0].precision)
    (held,) = models.snapshot().penalties
    assert held.parameters[0] is not third.index
    assert held.stat() == models.penalties[0].stat()


def test_penalties_are_missed_by_gammapy(tmp_path):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    models = Models([SkyModel(PowerLawSpectralModel(), name="s")])
    index = models["s"].spectral_model.index
    models.set_penalties(GaussianPenalty([index], [2.2], [[0.01]]))
    with pytest.warns(
        UserWarning, match="the penalties on index are for gammajax alone; gammapy reads the file without"
    ):
        models.write(tmp_path / "models.yaml")
    assert gammapy.Models.read(tmp_path / "models.yaml").names == ["s"]
    assert len(Models.read(tmp_path / "models.yaml").penalties) == 1


def test_the_crab_of_meyer_is_for_gammajax_alone(tmp_path):
    gammapy = pytest.importorskip("gammapy.modeling.models")
    own = gammapy.SkyModel(gammapy.MeyerCrabSpectralModel(), name="crab")
    with pytest.raises(AttributeError, match="tag"):
        gammapy.Models([own]).to_yaml()
    # in a product as well
    models = Models([SkyModel(MeyerCrabSpectralModel() * PowerLawNormSpectralModel(tilt=0.1), name="crab")])
    with pytest.warns(UserWarning, match="gammapy knows no MeyerCrabSpectralModel in files, it cannot read this one"):
        models.write(tmp_path / "models.yaml")
    with pytest.raises(KeyError, match="No object found with tag: 'MeyerCrabSpectralModel'"):
        gammapy.Models.read(tmp_path / "models.yaml")
    assert_same(models, Models.read(tmp_path / "models.yaml"))


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    dataset = embedded()
    dataset.models[0].spectral_model.alpha.prior = GaussianPrior(mu=2.3, sigma=0.1)
    Fit([dataset]).run()
    return dataset


def test_covariance_and_errors_in_files(tmp_path, fitted):
    fitted.models.write(tmp_path / "m.yaml")
    back = Models.read(tmp_path / "m.yaml")
    assert_same(fitted.models, back)
    np.testing.assert_array_equal(back.covariance.data, fitted.models.covariance.data)
    assert sorted(os.listdir(tmp_path)) == ["m.yaml", "m_covariance.dat"]
    with pytest.raises(InputError, match="m_covariance.dat, m.yaml exists already"):
        fitted.models.write(tmp_path / "m.yaml")
    fitted.models.write(tmp_path / "m.yaml", overwrite=True, write_covariance=False)
    # errors without correlations
    alone = Models.read(tmp_path / "m.yaml").covariance
    np.testing.assert_array_equal(alone.data, np.diag(np.square([p.error for p in fitted.models.parameters])))


def test_linked_errors_without_covariance_file():
    back = Models.from_yaml(rich_models().to_yaml())
    data = back.covariance
    i, j = (back.parameters_unique_names.index(f"{n}.spectral.alpha") for n in ("crab", "other"))
    assert data.data[i, i] == data.data[i, j] == back.parameters[i].error ** 2


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    models = rich_models()
    models.write(tmp_path / "m.yaml")
    before = (tmp_path / "m.yaml").read_bytes()

    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr("gammajax.io.files.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        models.write(tmp_path / "m.yaml", overwrite=True)
    assert (tmp_path / "m.yaml").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["m.yaml", "m_covariance.dat"]


def test_data_sets_in_files(tmp_path, fitted):
    fitted.compatibility = "gammapy"
    Datasets([fitted, small()]).write(tmp_path / "d.yaml")
    fitted.compatibility = None
    back = Datasets.read(tmp_path / "d.yaml")
    assert back.names == ["HESS", "small"]
    assert [d.compatibility for d in back] == ["gammapy", None]
    assert back["small"].mask_fit is None
    for name in ("counts", "counts_off", "acceptance", "acceptance_off", "exposure", "mask_safe", "mask_fit"):
        np.testing.assert_array_equal(getattr(back[0], name).data, getattr(fitted, name).data, err_msg=name)
    np.testing.assert_array_equal(back[0].edisp.pdf_matrix, fitted.edisp.pdf_matrix)
    assert len(back.models) == 0


def test_the_analysis_goes_on_where_it_was(tmp_path, fitted):
    Datasets([fitted]).write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    back = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert back.stat_sum_likelihood() == fitted.stat_sum()


def test_checksums(tmp_path):
    models = rich_models()
    models.write(tmp_path / "m.yaml", checksum=True)
    assert_same(models, Models.read(tmp_path / "m.yaml", checksum=True))
    (tmp_path / "m.yaml").write_text((tmp_path / "m.yaml").read_text().replace("0.1", "0.2", 1))
    with pytest.warns(UserWarning, match=r"m\.yaml: the checksum does not fit"):
        Models.read(tmp_path / "m.yaml", checksum=True)
    models.write(tmp_path / "m.yaml", overwrite=True)
    with pytest.warns(UserWarning, match=r"m\.yaml: the checksum is missing"):
        Models.read(tmp_path / "m.yaml", checksum=True)


# -- gammapy -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gammapy():
    return pytest.importorskip("gammapy.modeling.models")


def compare(ours, theirs):
    """Parameters of gammapy and gammajax, in the unit that the file states."""
    assert [p.name for p in theirs] == ours.names
    for p, q in zip(ours, theirs, strict=True):
        assert q.unit == p.unit
        np.testing.assert_equal([q.value, q.frozen, q.interp], [p.value, p.frozen, p.interp])
        # gammapy takes the error from the covariance, and the limits from the prior
        assert q.error == pytest.approx(p.error, rel=1e-14)
        np.testing.assert_equal([q.min, q.max], [np.nan if np.isinf(b) else b for b in p.bounds])
        stat = 0.0 if q.prior is None else q.prior_stat_sum()
        assert stat == pytest.approx(p.prior_stat_sum(), rel=1e-12)
    links = [[x is y for y in c] for c in (list(ours), list(theirs)) for x in c]
    assert links[: len(ours)] == links[len(ours) :]


@pytest.mark.parametrize("full", [False, True])
def test_gammapy_reads_our_models(tmp_path, gammapy, full):
    models = rich_models()
    models.write(tmp_path / "m.yaml", full_output=full, checksum=True)
    theirs = gammapy.Models.read(tmp_path / "m.yaml", checksum=True)
    compare(models.parameters, theirs.parameters)
    assert theirs.names == models.names
    assert theirs["other"].datasets_names == ["HESS", "MAGIC"]
    third = theirs["third"].spectral_model
    assert (third.lambda_.scan_n_values, third.lambda_.scan_min) == (21, 0.01)
    np.testing.assert_array_equal(third.index.scan_values, [1.0, 1.5, 2.0])


@pytest.mark.parametrize("full", [False, True])
def test_we_read_what_gammapy_writes(tmp_path, gammapy, full):
    models = rich_models()
    models.write(tmp_path / "ours.yaml")
    theirs = gammapy.Models.read(tmp_path / "ours.yaml")
    if not full:
        # gammapy 2.1 cannot write a changed interp in short form (TypeError from isnan of a text)
        theirs["third"].spectral_model.lambda_.interp = "lin"
    theirs.write(tmp_path / "theirs.yaml", full_output=full, checksum=True)
    back = Models.read(tmp_path / "theirs.yaml", checksum=True)
    compare(back.parameters, theirs.parameters)
    np.testing.assert_allclose(back.covariance.data, theirs.covariance.data, rtol=1e-14)


def test_the_models_beside_a_fit_result_of_gammapy(tmp_path, gammapy):
    modeling, datasets = pytest.importorskip("gammapy.modeling"), pytest.importorskip("gammapy.datasets")
    small().write(tmp_path / "pha.fits")
    theirs = datasets.SpectrumDatasetOnOff.read(tmp_path / "pha.fits")
    theirs.models = gammapy.SkyModel(gammapy.PowerLawSpectralModel(), name="crab")
    result = modeling.Fit().run([theirs])
    result.write(tmp_path / "r.yaml")
    # its metadata is in the file twice
    compare(Models.read(tmp_path / "r.yaml").parameters, result.parameters)


def test_covariance_both_ways(tmp_path, gammapy, fitted):
    fitted.models.write(tmp_path / "m.yaml")
    theirs = gammapy.Models.read(tmp_path / "m.yaml")
    # gammapy takes the root of the variances and squares it again; the order of sums rounds where parameters hardly correlate
    np.testing.assert_allclose(theirs.covariance.data, fitted.models.covariance.data, rtol=1e-13)
    theirs.write(tmp_path / "t.yaml")
    np.testing.assert_allclose(
        Models.read(tmp_path / "t.yaml").covariance.data, fitted.models.covariance.data, rtol=1e-13
    )


def test_a_point_source_of_gammapy_is_kept(tmp_path, gammapy):
    point = gammapy.PointSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", frame="icrs")
    point.lon_0.error = 0.02
    theirs = gammapy.Models([gammapy.SkyModel(gammapy.PowerLawSpectralModel(), point, name="crab")])
    theirs.parameters["index"].error = 0.25
    theirs.write(tmp_path / "t.yaml")
    with pytest.warns(UserWarning, match=r"t\.yaml, components\[0\]\.spatial: the position of 'crab' is kept"):
        ours = Models.read(tmp_path / "t.yaml")
    assert ours.parameters.names == ["index", "amplitude", "reference"]
    assert ours.covariance.data[0, 0] == 0.0625
    # also from the copy that a result holds
    ours.snapshot().write(tmp_path / "o.yaml")
    again = gammapy.Models.read(tmp_path / "o.yaml")
    assert again[0].spatial_model.lon_0.value == 83.63
    np.testing.assert_allclose(again.covariance.data, theirs.covariance.data, rtol=1e-14)


def test_gammapy_reads_our_data_sets(tmp_path, gammapy, fitted):
    datasets = pytest.importorskip("gammapy.datasets")
    Datasets([fitted]).write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    (theirs,) = datasets.Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert theirs.name == "HESS"
    for name in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe"):
        np.testing.assert_array_equal(getattr(theirs, name).data.ravel(), getattr(fitted, name).data, err_msg=name)
    # area times livetime, through the effective area
    np.testing.assert_allclose(theirs.exposure.quantity.to_value("cm2 s").ravel(), fitted.exposure.data, rtol=1e-12)


def test_we_read_data_sets_of_gammapy(tmp_path, gammapy, fitted, hess_files):
    datasets = pytest.importorskip("gammapy.datasets")
    theirs = datasets.Datasets([datasets.SpectrumDatasetOnOff.read(p) for p in hess_files])
    theirs.models = gammapy.Models([gammapy.SkyModel(gammapy.LogParabolaSpectralModel(alpha=2.2), name="crab")])
    theirs.write(tmp_path / "d.yaml", tmp_path / "m.yaml")
    # the other format of the two, which the list does not tell apart
    theirs[0].write(tmp_path / "pha_obs23523.fits", format="ogip", overwrite=True)
    ours = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml")
    assert ours.names == ["23523", "23526"]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.counts.data, b.counts.data.ravel())
    # the bin integrals of gammapy are its own
    for d in ours:
        d.compatibility = "gammapy"
    assert ours.stat_sum() == pytest.approx(theirs.stat_sum(), rel=1e-6)


def test_a_link_that_gammapy_cannot_read_is_said(tmp_path):
    models = Models([SkyModel(PowerLawSpectralModel(), "a"), SkyModel(LogParabolaSpectralModel(), "b")])
    models["a"].spectral_model.index = models["b"].spectral_model.alpha
    with pytest.warns(
        UserWarning, match="alpha and index are one parameter; gammapy links only parameters of one name"
    ):
        models.write(tmp_path / "m.yaml")
    back = Models.read(tmp_path / "m.yaml")
    assert back["a"].spectral_model.index is back["b"].spectral_model.alpha
    assert back.parameters_unique_names == models.parameters_unique_names


# -- refusals ----------------------------------------------------------------------------------------------------------

GOOD = """
components:
-   name: crab
    type: SkyModel
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   {name: index, value: 2.5, frozen: false}
        -   {name: amplitude, value: 1e-12, unit: cm-2 s-1 TeV-1}
        -   {name: reference, value: 1, unit: TeV}
"""
INDEX = "{name: index, value: 2.5, frozen: false}"
PLACE = r"YAML text, components\[0\]\.spectral\.parameters\[0\]"

WRONG = {
    "component type": ("type: SkyModel", "type: SkyModl", r"components\[0\]\.type: got 'SkyModl'.* Did you mean 'SkyModel'"),
    "spectral type": ("PowerLawS", "PowerLowS", "unknown spectral model 'PowerLowSpectralModel'.* Did you mean 'PowerLawSpectralModel'"),
    "key": ("frozen: false", "forzen: false", PLACE + r": unknown key 'forzen'.* Did you mean 'frozen'"),
    "parameter": ("name: index", "name: indx", PLACE + r": unknown parameter 'indx'.* Did you mean 'index'"),
    "twice": (INDEX, f"{INDEX}\n        -   {INDEX}", r"parameters\[1\]: parameter 'index' is there twice"),
    "no value": ("value: 2.5, ", "", PLACE + r": key 'value' is missing"),
    "text": ("value: 2.5", "value: abc", PLACE + r"\.value: got 'abc', expected a number"),
    "flag as number": ("value: 2.5", "value: true", PLACE + r"\.value: got True, expected a number"),
    "nan": ("value: 2.5", "value: .nan", PLACE + r"\.value: got nan, expected a finite number"),
    "frozen as text": ("frozen: false", 'frozen: "False"', PLACE + r"\.frozen: got 'False', expected true or false without quotes"),
    "interp": ("frozen: false", "interp: cubic", PLACE + r"\.interp: got 'cubic', expected one of lin, log, sqrt"),
    "prior": ("frozen: false", "prior: {type: GausPrior, parameters: []}", r"\.prior\.type: unknown prior 'GausPrior'.* Did you mean 'GaussianPrior'"),
    "prior value": ("frozen: false", "prior: {type: GaussianPrior, parameters: [{name: sgma, value: 1}]}", r"\.prior: GaussianPrior: unknown value 'sgma'"),
    "prior width": ("frozen: false", "prior: {type: GaussianPrior, parameters: [{name: sigma, value: 0}]}", r"\.prior: GaussianPrior.sigma: got 0"),
    "prior unit": ("frozen: false", "prior: {type: GaussianPrior, parameters: [{name: mu, value: 1, unit: TeV}, {name: sigma, value: 1, unit: TeV}]}", "has unit 'TeV', expected one convertible to ''"),
    "prior samples": ("frozen: false", "prior: {type: SamplesKDEPrior, samples: [1, .nan]}", r"prior\.samples\[1\]: got nan, expected a finite number"),
    "prior sample": ("frozen: false", "prior: {type: SamplesKDEPrior, samples: [1]}", r"\.prior: SamplesKDEPrior\.samples: got 1 of 1 with a weight"),
    "prior without samples": ("frozen: false", "prior: {type: SamplesKDEPrior, weights: [1]}", r"\.prior: key 'samples' is missing"),
    "prior of numbers": ("frozen: false", "prior: {type: SamplesKDEPrior, parameters: []}", r"\.prior: unknown key 'parameters'; known are: type, samples"),
    "temporal": ("    spectral:", "    temporal: {type: SpinTemporalModel}\n    spectral:", r"components\[0\]\.temporal\.type: unknown temporal model 'SpinTemporalModel'"),
    "spatial": ("    spectral:", "    spatial: {type: GaussianSpatialModel, parameters: []}\n    spectral:", "'GaussianSpatialModel' changes what a spectrum counts"),
    "irf": ("    spectral:", "    apply_irf: {exposure: true, psf: true, edisp: false}\n    spectral:", r"apply_irf: only true"),
    "no components": ("components:", "component:", r"unknown key 'component'.* Did you mean 'components'"),
    "duplicate key": ("type: SkyModel", "type: SkyModel\n    type: SkyModel", "key 'type' is there twice"),
    "python tag": ("value: 2.5", "value: !!python/object/apply:os.system ['true']", r"YAML text, components\[0\]\.spectral\.parameters\[0\]\.value: not YAML of plain values: tag .*python/object"),
    "list": (GOOD, "- 1", "holds list, expected a mapping"),
    "not yaml": (GOOD, "a: [", "not YAML of plain values"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_its_place(case):
    old, new, text = WRONG[case]
    assert old in GOOD
    with pytest.raises(FileFormatError, match=text):
        Models.from_yaml(GOOD.replace(old, new, 1))


def test_limits_that_leave_one_value_freeze():
    """As MINUIT does with such limits in gammapy."""
    text = GOOD.replace("value: 2.5", "value: 2.5, min: 2.5, max: 2.5")
    with pytest.warns(UserWarning, match=PLACE + r": index has min = max = 2\.5 and is read as frozen"):
        models = Models.from_yaml(text)
    assert models.parameters["index"].frozen
    assert not models.parameters["amplitude"].frozen
    # one that is frozen already is held anyway
    again = Models.from_yaml(models.to_yaml()).parameters["index"]
    assert (again.frozen, again.min, again.max) == (True, 2.5, 2.5)
    assert pack(models.parameters).free.tolist() == [False, True, False]
    again.frozen = False
    with pytest.raises(InputError, match=r"min must be smaller than max\. Freeze a parameter that is to stay"):
        pack(Parameters([again]))


def test_limits_that_leave_another_value_are_refused():
    text = GOOD.replace("value: 2.5", "value: 2.5, min: 3, max: 3")
    with pytest.raises(FileFormatError, match=PLACE + r": index = 2\.5 with min = max = 3, which leave no other value"):
        Models.from_yaml(text)


def test_errors_without_a_variance():
    for size in ("1e155", "-1e300"):
        with pytest.raises(
            FileFormatError, match=PLACE + r": index has the error .*, expected at most 1\.34e\+154: its square"
        ):
            Models.from_yaml(GOOD.replace("value: 2.5", f"value: 2.5, error: {size}"))
    large = Models.from_yaml(GOOD.replace("value: 2.5", "value: 2.5, error: 1e154"))
    assert large.covariance.data[0, 0] == pytest.approx(1e308)
    # a fit that failed has errors that are no numbers
    assert np.isnan(Models.from_yaml(GOOD.replace("value: 2.5", "value: 2.5, error: .nan")).covariance.data[0, 0])


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("unit: TeV}", "unit: cm}", r"parameters\[2\]\.unit: got 'cm', expected one convertible to 'TeV'"),
        ("unit: TeV}", "unit: Tev_}", r"parameters\[2\]\.unit: 'Tev_' is no unit"),
    ],
)
def test_wrong_units(old, new, text):
    with pytest.raises(UnitError, match=text):
        Models.from_yaml(GOOD.replace(old, new))


def test_what_yaml_does_not_take_for_a_number_is_read_as_meant():
    models = Models.from_yaml(GOOD)
    assert models.parameters["amplitude"].value == 1e-12
    assert models.parameters["reference"].frozen


def test_a_missing_parameter_has_its_default_with_a_warning():
    with pytest.warns(UserWarning, match=r"spectral\.parameters: index is missing, its default 2"):
        models = Models.from_yaml(GOOD.replace(f"        -   {INDEX}\n", ""))
    assert models.parameters["index"].value == 2.0


def test_a_prior_in_another_unit_is_converted_and_said():
    prior = "prior: {type: GaussianPrior, parameters: [{name: mu, value: 900, unit: GeV}, {name: sigma, value: 90, unit: GeV}]}"
    with pytest.warns(UserWarning, match="the value is converted here, gammapy would take the number as it is"):
        models = Models.from_yaml(GOOD.replace("value: 1, unit: TeV", f"value: 1, unit: TeV, {prior}"))
    assert models.parameters["reference"].prior.mu == pytest.approx(0.9, rel=1e-15)


@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 1 / 3]])
def test_a_prior_of_samples_keeps_every_bit(weights):
    models = Models.from_yaml(GOOD)
    amplitude = models.parameters["amplitude"]
    amplitude.prior = SamplesKDEPrior(np.array([1e-12, 2e-12, 1e-11 / 3]) * amplitude.unit, weights, weight=0.3)
    text = models.to_yaml()
    assert ("weights" in text) == (weights is not None)
    assert Models.from_yaml(text).parameters["amplitude"].prior == amplitude.prior
    other = GOOD.replace("value: 2.5", "value: 2.5, prior: {type: SamplesKDEPrior, samples: [2, 3], unit: ''}")
    assert Models.from_yaml(other).parameters["index"].prior == SamplesKDEPrior([2, 3] * u.one)
    other = GOOD.replace("unit: TeV", "unit: TeV, prior: {type: SamplesKDEPrior, samples: [900, 1100], unit: GeV}")
    prior = Models.from_yaml(other).parameters["reference"].prior
    np.testing.assert_allclose(prior.samples, [0.9, 1.1], rtol=1e-15)
    assert prior.unit == u.TeV


BOMBS = {
    "aliases": "\n".join(
        ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    ),
    "nesting": "[" * 100_000,
    "cycle": "a: &a [*a]",
    "size": "a: " + "x" * 20_000_001,
}


@pytest.mark.parametrize("case", BOMBS)
def test_hostile_documents_end_soon(case):
    with pytest.raises(FileFormatError):
        Models.from_yaml(BOMBS[case])


LIST = """
datasets:
-   {name: small, type: SpectrumDatasetOnOff, filename: pha_obssmall.fits}
"""


@pytest.mark.parametrize(
    ("old", "new", "error", "text"),
    [
        ("SpectrumDatasetOnOff", "MapDataset", FileFormatError, r"datasets\[0\]\.type: got 'MapDataset', which gammajax cannot read"),
        ("filename: pha", "filename: ../pha", InputError, r"'../pha_obssmall.fits' points outside the folder"),
        ("pha_obssmall.fits", "/etc/hostname", InputError, "points outside the folder"),
        ("pha_obssmall", "pha_obsgone", MissingFileError, "pha_obsgone.fits does not exist"),
        ("filename", "file", FileFormatError, r"unknown key 'file'.* Did you mean 'filename'"),
        (".fits}", ".fits, mask_fit: '01'}", FileFormatError, "expected 6 characters 0 or 1"),
        (".fits}", ".fits, compatibility: sherpa}", InputError, "compatibility got 'sherpa'"),
    ],
)  # fmt: skip
def test_lists_of_data_sets_refused(tmp_path, old, new, error, text):
    small().write(tmp_path / "pha_obssmall.fits")
    (tmp_path / "d.yaml").write_text(LIST)
    assert Datasets.read(tmp_path / "d.yaml").names == ["small"]
    (tmp_path / "d.yaml").write_text(LIST.replace(old, new))
    with pytest.raises(error, match=text):
        Datasets.read(tmp_path / "d.yaml")


def test_names_of_files(tmp_path):
    models = rich_models()
    with pytest.raises(InputError, match=r"got the name 'm\.txt', expected one that ends in \.yaml, \.yml"):
        models.write(tmp_path / "m.txt")
    with pytest.raises(InputError, match="the folder .* does not exist"):
        models.write(tmp_path / "no" / "m.yaml")
    with pytest.raises(MissingFileError, match=r"m\.yaml does not exist"):
        Models.read(tmp_path / "m.yaml")
    with pytest.raises(InputError, match="the name 'a/b' of a data set makes no name of a file"):
        Datasets([small(name="a/b")]).write(tmp_path / "d.yaml")
    Datasets([small()]).write(tmp_path / "d.yaml")
    with pytest.raises(InputError, match=r"pha_obssmall\.fits.*d\.yaml exists already"):
        Datasets([small()]).write(tmp_path / "d.yaml")


@pytest.mark.parametrize(
    ("old", "new", "error", "text"),
    [
        ("third.spectral.index", "third.spectral.indix", FileFormatError, "third.spectral.index has no row"),
        ("Parameters", "Designated", FileFormatError, "not a covariance table"),
        ("0.0044", "abcdef", FileFormatError, "not a covariance table"),
        (r"(e-20 \|) 0.0", r"\1 0.1", FileFormatError, "the matrix is not symmetric"),
        (r"\n.*third.spectral.alpha.*\n", r"\n", FileFormatError, r"shape \(12, 13\), expected \(13, 13\)"),
    ],
)
def test_damaged_covariance(tmp_path, old, new, error, text):
    rich_models().write(tmp_path / "m.yaml")
    path = tmp_path / "m_covariance.dat"
    path.write_text(re.sub(old, new, path.read_text(), count=1))
    with pytest.raises(error, match=text):
        Models.read(tmp_path / "m.yaml")


def test_covariance_outside_the_folder(tmp_path):
    rich_models().write(tmp_path / "m.yaml")
    text = (tmp_path / "m.yaml").read_text()
    (tmp_path / "m.yaml").write_text(text.replace("m_covariance.dat", "../m_covariance.dat"))
    with pytest.raises(InputError, match="points outside the folder"):
        Models.read(tmp_path / "m.yaml")


def test_reading_is_quiet(tmp_path):
    rich_models().write(tmp_path / "m.yaml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Models.read(tmp_path / "m.yaml")
    assert isinstance(Models.read(tmp_path / "m.yaml").parameters[0], Parameter)


TABLE = {"energy": [0.1, 1, 10] * u.TeV}
SPECTRA = {
    "sum": lambda: PowerLawSpectralModel() + LogParabolaSpectralModel(),
    "difference of a product": lambda: (
        PowerLawSpectralModel() * PowerLawNormSpectralModel() - LogParabolaSpectralModel()
    ),
    "template": lambda: TemplateSpectralModel(**TABLE, values=[1e-10, 1e-12, 1e-16] * u.Unit("cm-2 s-1 TeV-1")),
    "piecewise": lambda: PowerLawSpectralModel() * PiecewiseNormSpectralModel(**TABLE, norms=[1.0, 2.0, 1.5]),
    "absorption": lambda: (
        PowerLawSpectralModel()
        * EBLAbsorptionNormSpectralModel(
            **TABLE, param=[0.1, 0.5], data=[[0.9, 0.8, 0.1], [0.8, 0.3, 0.01]], redshift=0.2
        )
    ),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_models_with_tables_and_members(name, tmp_path, gammapy):
    """Written, read by gammapy, written by gammapy and read again: the same values of the spectrum."""
    models = Models([SkyModel(SPECTRA[name](), "source")])
    models.write(tmp_path / "m.yaml")
    energy = [0.3, 2, 7] * u.TeV
    expected = models[0].spectral_model(energy)
    back = Models.read(tmp_path / "m.yaml")
    assert back[0].spectral_model.form == models[0].spectral_model.form
    theirs = gammapy.Models.read(tmp_path / "m.yaml")
    assert [p.name for p in theirs.parameters] == models.parameters.names
    np.testing.assert_allclose(theirs[0].spectral_model(energy).to_value(expected.unit), expected.value, rtol=1e-9)
    theirs.write(tmp_path / "t.yaml")
    again = Models.read(tmp_path / "t.yaml")
    np.testing.assert_allclose(again[0].spectral_model(energy).value, expected.value, rtol=1e-9)


def test_background_models_both_ways(tmp_path, gammapy):
    background = FoVBackgroundModel("hess")
    background.spectral_model.norm.value = 1.25
    models = Models([SkyModel(PowerLawSpectralModel(), "source"), background])
    models.write(tmp_path / "m.yaml")
    theirs = gammapy.Models.read(tmp_path / "m.yaml")
    assert theirs[1].spectral_model.norm.value == 1.25
    assert theirs.parameters_unique_names == models.parameters_unique_names
    theirs.write(tmp_path / "t.yaml")
    back = Models.read(tmp_path / "t.yaml")
    assert back[1].datasets_names == ["hess"]
    assert back[1].spectral_model.norm.value == 1.25


def test_systematics_are_written_and_read(tmp_path, gammapy):
    factors = SystematicsModel("magic", energy_scale=1.05, background=0.9)
    factors.energy_scale.prior = GaussianPrior(mu=1.0, sigma=0.15)
    # one scale for two telescopes
    other = SystematicsModel("veritas", energy_scale=factors.energy_scale, name="other")
    models = Models([SkyModel(PowerLawSpectralModel(), "x"), factors, other])
    with pytest.warns(UserWarning, match="gammapy knows no SystematicsModel in files, it cannot read this one"):
        models.write(tmp_path / "m.yaml")
    back = Models.read(tmp_path / "m.yaml")
    assert back.parameters_unique_names == models.parameters_unique_names
    for a, b in zip(back.parameters, models.parameters, strict=True):
        assert (a.value, a.min, a.frozen, a.prior) == (b.value, b.min, b.frozen, b.prior)
    assert back["other"].energy_scale is back["magic-sys"].energy_scale
    assert back["magic-sys"].acting == ("energy_scale", "background")
    assert back["magic-sys"].datasets_names == ["magic"]
    assert back.to_dict() == models.to_dict()
    with pytest.raises(Exception, match="SystematicsModel"):
        gammapy.Models.read(tmp_path / "m.yaml")
    data = models.to_dict()
    data["components"][1]["datasets_names"].append("more")
    with pytest.raises(
        FileFormatError, match=r"components\[1\].datasets_names: got 2 names, systematics belong to one data set"
    ):
        Models.from_dict(data)


def test_what_has_no_form_in_a_file_is_refused():
    with pytest.raises(ModelError, match="ScaleSpectralModel cannot be written"):
        Models([SkyModel(ScaleSpectralModel(PowerLawSpectralModel()), "x")]).to_dict()
    linear = TemplateSpectralModel(
        [1, 2] * u.TeV, [1, 2] * u.Unit("cm-2 s-1 TeV-1"), interp_kwargs={"values_scale": "lin"}
    )
    with pytest.raises(ModelError, match="knows only interpolation of logarithms"):
        Models([SkyModel(linear, "x")]).to_dict()
