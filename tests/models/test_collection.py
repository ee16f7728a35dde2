"""`Models` and `Datasets` as lists, and what is done to some of the members; gammapy does the same beside."""

import copy
import pickle

import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    Datasets,
    ExpCutoffPowerLawSpectralModel,
    Fit,
    GaussianPenalty,
    GaussianTemporalModel,
    LogParabolaSpectralModel,
    Models,
    Parameters,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
    TemplateSpectralModel,
)
from gammajax.errors import InputError, ModelError, UnitError
from tests.problems import embedded

FLUX = u.Unit("cm-2 s-1 TeV-1")


def three():
    """A power law, a log parabola that varies, and what is not known of an instrument."""
    return [
        SkyModel(PowerLawSpectralModel(), name="one"),
        SkyModel(
            LogParabolaSpectralModel(), name="two", datasets_names=["hess"], temporal_model=GaussianTemporalModel()
        ),
        SystematicsModel("hess", energy_scale=1.0),
    ]


def test_a_collection_grows_and_shrinks_like_a_list():
    one, two, three_ = three()
    models = Models([one])
    models.append(two)
    models.insert(0, three_)
    assert models.names == ["hess-sys", "one", "two"]
    assert "one" in models
    assert two in models
    assert "four" not in models
    assert models.index("two") == models.index(two) == 2
    assert models.pop() is two
    models.remove("hess-sys")
    models.extend([two])
    del models["one"]
    assert models.names == ["two"]
    models[0] = one
    assert models.names == ["one"]
    assert models[0] is one
    others = [two]
    assert (models + two).names == (models + others).names == ["one", "two"]
    assert models.names == ["one"]
    models.clear()
    assert len(models) == 0


@pytest.mark.parametrize("key", [slice(1, None), [1, 2], np.array([False, True, True])], ids=["slice", "list", "mask"])
def test_a_part_is_a_collection_with_the_penalties_that_it_can_hold(key):
    models = Models(three())
    inside = GaussianPenalty([models["two"].spectral_model.alpha], [2.0], [[0.01]])
    outside = GaussianPenalty([models["one"].spectral_model.index], [2.0], [[0.01]])
    models.set_penalties([inside, outside])
    part = models[key]
    assert isinstance(part, Models)
    assert part.names == ["two", "hess-sys"]
    assert part.penalties == (inside,)


# what is done to a collection of "one" and "two", error class, what the message says
REFUSED = {
    "twice": (lambda m: m.append(SkyModel(PowerLawSpectralModel(), name="one")), ModelError, "two different models are named 'one'"),
    "no model": (lambda m: m.append(3), ModelError, "got 3, expected a SkyModel"),
    "unknown": (lambda m: m["three"], InputError, "no model named 'three'; the names are: one, two"),
    "remove": (lambda m: m.remove("three"), InputError, "no model named 'three'"),
    "number": (lambda m: m.pop(7), InputError, "no model number 7; there are 2"),
    "type": (lambda m: m.freeze("spatial"), ModelError, "model_type='spatial', expected 'spectral', 'temporal'"),
    "bounds": (lambda m: m.set_parameters_bounds("ecpl", "spectral", "index"), InputError, "no parameter index of spectral models tagged 'ecpl'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_belong_there_is_refused_and_nothing_changes(case):
    act, error, text = REFUSED[case]
    models = Models(three()[:2])
    with pytest.raises(error, match=text):
        act(models)
    assert models.names == ["one", "two"]


def test_a_model_added_after_a_fit_takes_part_in_the_next():
    dataset = embedded()
    dataset.models = Models([SkyModel(PowerLawSpectralModel(amplitude=3e-11 * FLUX), name="one")])
    before = Fit(dataset, backend="newton").run()
    extra = SkyModel(ExpCutoffPowerLawSpectralModel(amplitude=0 * FLUX), name="extra")
    extra.freeze()
    dataset.models.append(extra)
    frozen = Fit(dataset, backend="newton").run()
    assert frozen.models.names == ["one", "extra"]
    np.testing.assert_allclose(frozen.total_stat, before.total_stat, rtol=1e-12)
    dataset.models.remove("extra")
    again = Fit(dataset, backend="newton").run()
    assert again.models.names == ["one"]
    np.testing.assert_allclose(again.parameters.value, before.parameters.value, rtol=1e-9)


def frozen_of(models):
    return [bool(p.frozen) for p in models.parameters]


def test_freeze_and_unfreeze_are_those_of_gammapy():
    gammapy = pytest.importorskip("gammapy.modeling.models")

    def theirs():
        return gammapy.Models(
            [
                gammapy.SkyModel(gammapy.PowerLawSpectralModel(), name="one"),
                gammapy.SkyModel(
                    gammapy.LogParabolaSpectralModel(), name="two", temporal_model=gammapy.GaussianTemporalModel()
                ),
            ]
        )

    for kind in (None, "spectral", "temporal"):
        both = [theirs(), Models(three()[:2])]
        for models in both:
            # a reference energy that was freed is frozen by unfreeze, as it is by default
            models.parameters["two.spectral.reference" if models is both[1] else 4].frozen = False
            models["two"].freeze(kind)
        assert frozen_of(both[0]) == frozen_of(both[1])
        assert [m.frozen for m in both[0]] == [m.frozen for m in both[1]]
        for models in both:
            models.unfreeze(kind)
        assert frozen_of(both[0]) == frozen_of(both[1])


def test_factors_of_an_instrument_are_freed_again_as_they_were():
    s = SystematicsModel("hess", energy_scale=1.0)
    models = Models([s])
    models.freeze("spectral")
    assert not s.energy_scale.frozen
    models.freeze()
    assert models.frozen
    models.unfreeze()
    assert frozen_of(models) == [True, False, True]


def test_products_are_freed_as_their_members_are_by_default():
    model = PowerLawSpectralModel() * PowerLawNormSpectralModel()
    default = [bool(p.frozen) for p in model.parameters]
    model.freeze()
    assert model.frozen
    model.unfreeze()
    assert [bool(p.frozen) for p in model.parameters] == default


# arguments of `select`, and who is left of "one", "two" and "hess-sys"
SELECTED = {
    "name": ({"name_substring": "o"}, ["one", "two"]),
    "data set": ({"datasets_names": "hess"}, ["one", "two", "hess-sys"]),
    "other data set": ({"datasets_names": ["magic"]}, ["one"]),
    "tag": ({"tag": "sky-model"}, ["one", "two"]),
    "short tag": ({"tag": "lp", "model_type": "spectral"}, ["two"]),
    "class": ({"tag": "GaussianTemporalModel", "model_type": "temporal"}, ["two"]),
    "frozen": ({"frozen": True}, []),
    "both": ({"name_substring": "o", "tag": ["pl"], "model_type": "spectral"}, ["one"]),
}


@pytest.mark.parametrize("case", SELECTED)
def test_select(case):
    arguments, names = SELECTED[case]
    assert Models(three()).select(**arguments).names == names


def test_limits_and_values_of_all_models_of_a_kind():
    models = Models(
        [SkyModel(PowerLawSpectralModel(), name=n) for n in "ab"] + [SkyModel(LogParabolaSpectralModel(), name="c")]
    )
    models.set_parameters_bounds("pl", "spectral", ["index"], min=1, max=4, value=2.5)
    index = models.parameters.select("index")
    assert len(index) == 2
    np.testing.assert_array_equal([index.min, index.max, index.value], [[1, 1], [4, 4], [2.5, 2.5]])
    assert np.isnan(models["c"].spectral_model.alpha.min)
    index.max = [3, 5]
    assert [p.max for p in index] == [3, 5]
    assert models.parameters.select(type="spectral", frozen=True).names == ["reference"] * 3


def test_status_and_values_are_put_back_after_a_trial_fit():
    dataset = embedded()
    dataset.models = SkyModel(PowerLawSpectralModel(amplitude=3e-11 * FLUX), name="one")
    fit, models = Fit(dataset, backend="newton"), dataset.models
    fit.run()
    index = models["one"].spectral_model.index
    kept, covariance = (index.value, index.error), models.covariance.data

    def trial():
        with models.restore_status():
            index.value, index.frozen = 3.0, True
            fit.run()
            assert (index.value, models.covariance.data[0, 0]) == (3.0, 0)
            raise KeyError("put back in spite of an error")

    with pytest.raises(KeyError):
        trial()
    assert (index.value, index.error, index.frozen) == (*kept, False)
    np.testing.assert_array_equal(models.covariance.data, covariance)
    with models.parameters.restore_status(restore_values=False):
        index.value, index.frozen = 3.0, True
    assert (index.value, index.frozen) == (3.0, False)


def test_a_copy_keeps_links_and_shares_nothing():
    models = Models(three())
    one, two = (models[k].spectral_model for k in (0, 1))
    two.alpha.link(one.index, factor=2, offset=1)
    two.amplitude = one.amplitude
    copied = models.copy()
    mine, other = (copied[k].spectral_model for k in (0, 1))
    assert copied.names == models.names
    assert mine.amplitude is other.amplitude
    mine.index.value, mine.amplitude.value = 3.0, 5e-12
    assert (other.alpha.value, one.index.value, one.amplitude.value) == (7.0, 2.0, 1e-12)
    alone = Models([models["two"]]).copy()["two"].spectral_model
    one.index.value = 4.0
    assert alone.alpha.value == 9.0


@pytest.mark.parametrize(
    "way", [lambda m: m, Models.copy, Models.snapshot, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_covariance_is_that_of_the_last_fit_of_each_member(way):
    """A source that is fitted alone after a joint fit keeps nothing of it, as in gammapy; what it had in common with others is not known."""
    one, two = (SkyModel(PowerLawSpectralModel(), name=n) for n in ("one", "two"))
    both, matrix = Models([one, two]), np.diag(np.arange(1.0, 7.0))
    matrix[0, 3] = matrix[3, 0] = 0.5
    both.covariance = matrix
    assert np.array_equal(way(both).covariance.data, matrix)
    Models([one]).covariance = np.diag([9.0, 8.0, 7.0])
    assert np.array_equal(way(both).covariance.data, np.diag([9.0, 8.0, 7.0, 4.0, 5.0, 6.0]))


def test_data_sets_are_added_and_taken_by_name():
    first, second = embedded(), embedded()
    second.name = "second"
    datasets = Datasets([first])
    datasets.extend([second])
    assert isinstance(datasets[1:], Datasets)
    assert datasets[1:].names == ["second"]
    assert datasets.pop(np.int64(1)) is second
    with pytest.raises(InputError, match="no data set named 'second'"):
        datasets["second"]
    assert datasets.names == [first.name]


# text of a quantity for a power law, value in the unit of the text; or the error
TEXTS = {
    "1e-12 cm-2 s-1 TeV-1": 1e-12,
    "2e-15 / (cm2 s GeV)": 2e-15,
    "1e-12": None,
    "1e-12 cm-2": None,
    "fast": None,
}


@pytest.mark.parametrize("text", TEXTS)
def test_values_may_be_typed_with_their_units(text):
    if TEXTS[text] is None:
        with pytest.raises(UnitError, match="PowerLawSpectralModel.amplitude: got .*TeV-1 s-1 cm-2"):
            PowerLawSpectralModel(amplitude=text)
        return
    model = PowerLawSpectralModel(amplitude=text, reference="1 TeV", index="2.5")
    assert (model.amplitude.value, model.index.value, model.reference.unit) == (TEXTS[text], 2.5, u.TeV)
    assert model.amplitude.quantity == u.Quantity(text)


def test_priors_of_several_parameters():
    assert Parameters(PowerLawSpectralModel().parameters).prior == [None, None, None]


def test_energies_may_be_typed_too():
    model = PowerLawSpectralModel()
    assert model("2 TeV") == model(2 * u.TeV)
    assert model.integral("1 TeV", "10 TeV") == model.integral(1 * u.TeV, 10 * u.TeV)
    for text, told in (("fast", "expected a number with a unit such as '1 TeV'"), ("1 s", "got unit 's'")):
        with pytest.raises(UnitError, match=f"energy: .*{told}"):
            model(text)


def test_a_template_shows_what_it_holds():
    template = TemplateSpectralModel([1, 3, 10] * u.TeV, [3, 2, 1] * u.Unit("cm-2 s-1 TeV-1"))
    assert repr(template) == "TemplateSpectralModel(3 values from 1 TeV to 10 TeV)"
