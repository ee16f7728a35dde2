"""Every public attribute of gammapy's one-dimensional objects is here, or its absence says what to do."""

import numpy as np
import pytest
from astropy import units as u
from scipy.stats import multivariate_normal

import gammajax
from gammajax import (
    ExpDecayTemporalModel,
    FoVBackgroundModel,
    GaussianTemporalModel,
    LogParabolaSpectralModel,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
)
from gammajax.elsewhere import ELSEWHERE, pointer
from gammajax.errors import InputError, ModelError, UnitError
from gammajax.parameters import GaussianPrior, Parameter
from tests.problems import small

theirs = pytest.importorskip("gammapy.modeling.models")

SKY_ONLY = ("Spatial", "TemplateND", "Naima", "TemplateNPred")
# what only gammapy's own machinery asks for
INNER = {"tag"}


def public(value):
    return {n for n in dir(value) if not n.startswith("_")} - INNER


def _make(module, name):
    """An instance of a model class of both packages."""
    cls = getattr(module, name)
    edges = [1, 3, 10] * u.TeV
    arguments = {
        "CompoundSpectralModel": lambda: module.PowerLawSpectralModel() * module.PowerLawNormSpectralModel(),
        "ScaleSpectralModel": lambda: cls(module.PowerLawSpectralModel()),
        "TemplateSpectralModel": lambda: cls(energy=edges, values=[3, 2, 1] * u.Unit("cm-2 s-1 TeV-1")),
        "PiecewiseNormSpectralModel": lambda: cls(energy=edges),
        "FoVBackgroundModel": lambda: cls(dataset_name="a"),
        "SkyModel": lambda: cls(module.PowerLawSpectralModel(), name="a"),
        "Models": lambda: cls([module.SkyModel(module.PowerLawSpectralModel(), name="a")]),
    }
    return arguments.get(name, cls)()


def _pairs():
    """(what, gammapy's, ours) of everything that both packages have, without what needs files."""
    from gammapy.modeling import Fit as TheirFit

    needs_files = ("EBLAbsorption", "LightCurveTemplate", "TemplatePhaseCurve")
    bases = ("SpectralModel", "TemporalModel", "Prior")
    names = [
        n for n in dir(theirs)
        if isinstance(getattr(theirs, n), type) and n not in bases and not any(s in n for s in (*SKY_ONLY, *needs_files))
    ]  # fmt: skip
    for name in names:
        if hasattr(gammajax, name):
            yield name, _make(theirs, name), _make(gammajax, name)
    one, two = theirs.PowerLawSpectralModel(), PowerLawSpectralModel()
    yield "Parameter", one.index, two.index
    yield "Parameters", one.parameters, two.parameters
    yield "Covariance", one.covariance, two.covariance
    yield "Fit", TheirFit(), gammajax.Fit()
    yield from _axes_and_maps()


def _axes_and_maps():
    """(what, gammapy's, ours) of what lives on energies and times."""
    from gammapy.data import GTI as TheirGTI
    from gammapy.irf import EDispKernel, EDispKernelMap
    from gammapy.maps import MapAxis, RegionNDMap

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    true = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4, name="energy_true")
    counts, dataset = RegionNDMap.create(region=None, axes=[axis]), small()
    yield "MapAxis", axis, dataset.counts.geom.axis
    yield "RegionNDMap", counts, dataset.counts
    yield "RegionGeom", counts.geom, dataset.counts.geom
    yield "EDispKernel", EDispKernel.from_diagonal_response(true, axis), dataset.edisp
    yield "EDispKernelMap", EDispKernelMap.from_diagonal_response(axis, true), dataset.edisp
    times = [0, 1] * u.h, [0.5, 1.5] * u.h
    yield "GTI", TheirGTI.create(*times), gammajax.GTI.create(*times)


PAIRS = {name: (a, b) for name, a, b in _pairs()}


def test_what_is_compared():
    assert len(PAIRS) > 35
    assert {"SkyModel", "Models", "GaussianPrior", "LogParabolaSpectralModel", "SineTemporalModel"} < set(PAIRS)


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_of_gammapy_is_missing_in_silence(name):
    one, two = PAIRS[name]
    # reading some properties of gammapy fails where there is no spatial model: they are looked at by their names only
    for attribute in public(one) - public(two):
        with pytest.raises(AttributeError) as error:
            getattr(two, attribute)
        hint = pointer(type(two), attribute)
        assert hint, f"{name}.{attribute} is neither here nor pointed to"
        assert hint in str(error.value)


def test_no_pointer_is_stale():
    """What a pointer is for is not here; and the message of what nobody knows stays as it was."""
    for _, two in PAIRS.values():
        for cls in type(two).__mro__:
            for attribute in ELSEWHERE.get(cls.__name__, {}):
                if cls.__name__ == type(two).__name__:
                    assert not hasattr(two, attribute), (cls.__name__, attribute)
    with pytest.raises(AttributeError, match="'Parameter' object has no attribute 'valeu'$"):
        _ = Parameter("a", 1.0).valeu
    with pytest.raises(
        AttributeError, match="PowerLawSpectralModel has no attribute 'indx'; its parameters are: index, amp"
    ):
        _ = PowerLawSpectralModel().indx


# -- what came with the comparison -----------------------------------------------------------------------------------


def test_sources_from_tags():
    ours = SkyModel.create("lp", temporal_model="gauss", name="a", datasets_names=["x"])
    other = theirs.SkyModel.create("lp", temporal_model="gauss", name="a", datasets_names=["x"])
    assert ours.parameters_unique_names == other.parameters_unique_names
    assert (ours.name, ours.datasets_names) == (other.name, other.datasets_names)
    assert isinstance(ours.temporal_model, GaussianTemporalModel)
    assert ours.spatial_model is None
    with pytest.raises(InputError, match="unknown spectral model 'plw'"):
        SkyModel.create("plw")
    with pytest.raises(ModelError, match="no spatial models here"):
        SkyModel.create("pl", "point")


@pytest.mark.parametrize(
    "make", [lambda: PowerLawSpectralModel(index=2.5), lambda: ExpDecayTemporalModel(t0=3 * u.d, t_ref=55555 * u.d)]
)
def test_single_models_as_plain_values_and_back(make):
    model = make()
    plain = model.to_dict()
    again = type(model).from_dict(plain)
    assert again.parameters.value.tolist() == model.parameters.value.tolist()
    other = getattr(theirs, type(model).__name__).from_dict(plain)
    np.testing.assert_array_equal(other.parameters.value, model.parameters.value)
    # and what gammapy makes of it
    assert type(model).from_dict(other.to_dict()).parameters.value.tolist() == model.parameters.value.tolist()
    with pytest.raises(ModelError, match="expected a dictionary with the key"):
        type(model).from_dict({})


def test_plain_values_of_another_class():
    with pytest.raises(
        ModelError, match="LogParabolaSpectralModel.from_dict: the values are those of a PowerLawSpectralModel"
    ):
        LogParabolaSpectralModel.from_dict(PowerLawSpectralModel().to_dict())
    with pytest.raises(ModelError, match="SystematicsModel.from_dict: the values are those of a SkyModel"):
        SystematicsModel.from_dict(SkyModel(PowerLawSpectralModel(), name="a").to_dict())


def test_sources_as_plain_values_and_back():
    for source in (
        SkyModel(PowerLawSpectralModel(index=2.5), name="a", datasets_names=["x"]),
        FoVBackgroundModel("x", PowerLawNormSpectralModel(norm=1.5)),
        SystematicsModel("x", energy_scale=1.1),
    ):
        again = type(source).from_dict(source.to_dict())
        assert again.parameters.unique_names == source.parameters.unique_names
        assert again.parameters.value.tolist() == source.parameters.value.tolist()
        assert again.datasets_names == source.datasets_names


def test_a_model_of_given_parameters():
    index = Parameter("index", 2.7)
    model = PowerLawSpectralModel.from_parameters([index])
    assert model.index is index
    assert model.amplitude.value == 1e-12


def test_samples_of_parameters_have_their_covariance():
    models = Models([SkyModel(PowerLawSpectralModel(), name="a"), SkyModel(PowerLawSpectralModel(), name="b")])
    n = len(models.parameters)
    free = [i for i, p in enumerate(models.parameters) if not p.frozen]
    rng = np.random.default_rng(1)
    root = rng.normal(size=(len(free), len(free))) * np.array([0.1, 1e-13, 0.1, 1e-13])[:, None]
    matrix = np.zeros((n, n))
    matrix[np.ix_(free, free)] = root @ root.T
    models.covariance = matrix
    number = 20000
    samples = models.sample_parameters_from_covariance(number, random_state=3)
    assert samples.shape == (number, 4)
    error = np.sqrt(np.diag(matrix)[free])
    pulls = (samples - models.parameters.value[free]) / error
    # means are known to 1/sqrt(N), correlations to less than that: five of them
    np.testing.assert_allclose(pulls.mean(axis=0), 0.0, atol=5 / np.sqrt(number))
    np.testing.assert_allclose(
        np.corrcoef(pulls.T), matrix[np.ix_(free, free)] / np.outer(error, error), atol=5 / np.sqrt(number)
    )
    np.testing.assert_allclose(pulls.std(axis=0), 1.0, atol=5 / np.sqrt(2 * number))
    # frozen ones stay, and a source has its own
    whole = models["a"].sample_parameters_from_covariance(5, free_only=False)
    assert np.all(whole[:, 2] == 1.0)
    assert np.array_equal(samples, models.sample_parameters_from_covariance(number, random_state=3))
    models.parameters["a.spectral.index"].error = np.nan
    with pytest.raises(InputError, match=r"a.spectral.index.* has no finite error; freeze it, or fit again"):
        models.sample_parameters_from_covariance(5)
    spectrum = models["b"].spectral_model
    density = multivariate_normal(spectrum.parameters.value, spectrum.covariance.data, allow_singular=True)
    at = spectrum.parameters.value + np.array([0.01, 1e-14, 0])
    assert spectrum.covariance.scipy_mvn.logpdf(at) == pytest.approx(density.logpdf(at), rel=1e-12)


def test_other_data_sets():
    one = SkyModel(PowerLawSpectralModel(), name="a", datasets_names=["x", "y"])
    other = one.reassign("x", "z")
    assert (other.name, other.datasets_names, one.datasets_names) == ("a", ["z", "y"], ["x", "y"])
    assert other.spectral_model.index is not one.spectral_model.index
    # gammapy replaces parts of names as well: "x" in "xy"
    assert one.reassign(["y", "x"], ["v", "w"]).datasets_names == ["w", "v"]
    two = SkyModel(PowerLawSpectralModel(), name="b", datasets_names=["x"])
    two.spectral_model.index = one.spectral_model.index
    models = Models([one, two]).reassign("x", "z")
    assert [m.datasets_names for m in models] == [["z", "y"], ["z"]]
    assert models["a"].spectral_model.index is models["b"].spectral_model.index
    with pytest.raises(InputError, match="got 1 data sets and 2 new ones, expected as many"):
        one.reassign("x", ["y", "z"])


def test_collections_and_parameters():
    models = Models([SkyModel(PowerLawSpectralModel(), name="a"), FoVBackgroundModel("x")])
    other = theirs.Models(
        [theirs.SkyModel(theirs.PowerLawSpectralModel(), name="a"), theirs.FoVBackgroundModel(dataset_name="x")]
    )
    for arguments in (
        {"tag": "sky-model"},
        {"name_substring": "bkg"},
        {"frozen": True},
        {"datasets_names": "x", "tag": "fov-bkg"},
    ):
        assert models.selection_mask(**arguments).tolist() == other.selection_mask(**arguments).tolist()
    assert models.parameters.types == other.parameters.types
    assert (models.count("a"), models.count("b")) == (1, 0)
    models.reverse()
    assert models.names == ["x-bkg", "a"]
    prior = GaussianPrior(mu=2.0, sigma=0.1)
    models.set_prior([models["a"].spectral_model.index, "norm"], [prior, GaussianPrior(mu=1.0, sigma=0.1)])
    assert models.parameters["index"].prior.mu == 2.0
    assert models.parameters["norm"].prior.sigma == 0.1
    with pytest.raises(InputError, match="set_prior: got 2 parameters and 1 priors, expected as many"):
        models.set_prior(["index", "norm"], [GaussianPrior(mu=0.0, sigma=1.0)])
    assert models.parameters["index"].prior.mu == 2.0
    parameters = models.parameters
    copied = parameters.copy()
    copied["index"].value = 3.0
    assert (parameters["index"].value, parameters.count(parameters["index"])) == (2.0, 1)
    parameters["index"].set_lim(max=5)
    assert (np.isnan(parameters["index"].min), parameters["index"].max) == (True, 5.0)


def test_backgrounds_are_copied_and_set_back():
    background = FoVBackgroundModel("x", PowerLawNormSpectralModel(norm=1.5, tilt=0.1))
    copied = background.copy("other")
    copied.reset_to_default()
    assert copied.parameters.value.tolist() == [0.0, 1.0, 1.0]
    assert (copied.name, copied.datasets_names) == ("other", ["x"])
    assert background.parameters["norm"].value == 1.5
    twice = FoVBackgroundModel("x", 2 * PowerLawNormSpectralModel(norm=1.5))
    assert twice.spectral_model.parameters.free_parameters.names == ["norm"]
    with pytest.raises(ModelError, match="CompoundSpectralModel has no values to begin with"):
        twice.reset_to_default()
    with pytest.raises(
        UnitError, match="CompoundSpectralModel has the unit .*a background is scaled with a model without unit"
    ):
        FoVBackgroundModel("x", PowerLawSpectralModel() * PowerLawNormSpectralModel())
