"""A likelihood is used again only while nothing has changed that it was made from."""

import gc
import pickle
import weakref

import jax
import numpy as np
import pytest
from astropy import units as u

from gammajax import (
    Datasets,
    GaussianPenalty,
    GaussianPrior,
    Likelihood,
    Models,
    Parameter,
    PowerLawSpectralModel,
    SkyModel,
    SpectrumDataset,
)
from gammajax.errors import InputError
from gammajax.likelihood import likelihood_of
from gammajax.scan import Refit
from tests.problems import crab_model, small


def _datasets():
    d = small()
    d.models = [crab_model(), SkyModel(PowerLawSpectralModel(index=2.5), name="halo")]
    return Datasets([d])


def _known():
    d = SpectrumDataset.from_arrays(
        [5, 3, 1], [1.0, 0.5, 0.2], exposure=[1e12, 2e12, 3e12] * u.Unit("cm2 s"),
        energy_edges=[1, 2, 4, 8] * u.TeV, energy_true_edges=[1, 2, 4, 8] * u.TeV, name="known",
    )  # fmt: skip
    d.models = crab_model()
    return Datasets([d])


def _spectrum(datasets):
    return datasets[0].models[0].spectral_model


def _set(name, value):
    return lambda ds: setattr(_spectrum(ds).alpha, name, value)


def _in_place(name, factor):
    """Multiply one number of an array of the data set, where it lies."""

    def change(datasets):
        array = getattr(datasets[0], name)
        array[3] = array[3] * factor

    return change


def _mask(datasets):
    datasets[0].mask_fit = np.array([True, True, True, True, False, True])


def _mask_in_place(datasets):
    datasets[0]._mask_safe[1] = False


def _link(datasets):
    datasets[0].models["halo"].spectral_model.index = _spectrum(datasets).alpha


def _model(datasets):
    datasets[0].models = crab_model()


def _spectral_model(datasets):
    datasets[0].models[0].spectral_model = PowerLawSpectralModel()


def _member(datasets):
    datasets[0].models[1] = SkyModel(PowerLawSpectralModel(index=2.6), name="halo")


def _elsewhere(datasets):
    datasets[0].models["halo"].datasets_names = ["another"]


def _parameter(datasets):
    _spectrum(datasets).alpha = Parameter("alpha", 2.4)


def _unit(datasets):
    _spectrum(datasets).amplitude.quantity = 2e-15 / u.cm**2 / u.s / u.GeV


def _penalty(datasets):
    models = datasets[0].models
    models.set_penalties(GaussianPenalty([_spectrum(datasets).alpha], [2.0], [[0.01]]))


def _replaced(datasets):
    new = small(n_on=[12, 9, 7, 4, 1, 1])
    new.models = datasets[0].models
    datasets[0] = new


def _appended(datasets):
    new = small(name="second")
    new.models = datasets[0].models
    datasets.append(new)


CHANGES = {
    "value": _set("value", 2.31),
    "limit": _set("max", 2.9),
    "no limit": _set("max", np.nan),
    "frozen": _set("frozen", True),
    "prior": _set("prior", GaussianPrior(mu=2.0, sigma=0.1)),
    "counts in place": _in_place("_n_on", 2),
    "OFF counts in place": _in_place("_n_off", 2),
    "acceptance in place": _in_place("_acceptance", 2),
    "OFF acceptance in place": _in_place("_acceptance_off", 2),
    "exposure in place": _in_place("_exposure", 2),
    "dispersion in place": _in_place("_edisp", 0.5),
    "mask": _mask,
    "mask in place": _mask_in_place,
    "link": _link,
    "parameter": _parameter,
    "unit": _unit,
    "models": _model,
    "member of the models": _member,
    "spectral model": _spectral_model,
    "source shows elsewhere": _elsewhere,
    "penalty": _penalty,
    "data set": _replaced,
    "one more data set": _appended,
    "counts": lambda ds: ds[0].set_counts([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]),
    "name of the model": lambda ds: setattr(ds[0].models[0], "name", "nebula"),
    "name of the data set": lambda ds: setattr(ds[0], "name", "other"),
    "scheme": lambda ds: setattr(ds[0], "compatibility", "gammapy"),
}


def _all_of(likelihood):
    """Everything that makes a likelihood what it is, as things that compare."""
    table, leaves = likelihood.table, jax.tree.leaves((likelihood.data, likelihood.numbers, likelihood.compact()))
    arrays = (table.theta, table.lower, table.upper, table.free, table.scale, table.factor, *leaves)
    return (
        [(np.shape(a), np.asarray(a).tobytes()) for a in arrays],
        (likelihood.names, likelihood.units, likelihood.dataset_names, likelihood.structure),
        [id(p) for p in (*likelihood.parameters, *likelihood.unique)],
        [id(m) for m in likelihood.models],
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_is_seen(change):
    datasets = _datasets()
    before = likelihood_of(datasets)
    assert likelihood_of(datasets) is before
    first = _all_of(before)
    change(datasets)
    after = _all_of(likelihood_of(datasets))
    assert after == _all_of(Likelihood(datasets))
    assert after != first
    # the functions from before stay what they were; parameters and models are those that the person holds
    assert _all_of(before)[:2] == first[:2]
    assert _all_of(likelihood_of(datasets)) == after


def test_background_in_place():
    datasets = _known()
    before = likelihood_of(datasets)
    first = _all_of(before)
    datasets[0]._background[1] = 0.7
    after = _all_of(likelihood_of(datasets))
    assert after == _all_of(Likelihood(datasets)) != first


def test_the_error_counts_where_the_value_is_zero():
    datasets = _datasets()
    _spectrum(datasets).beta.value = 0.0
    first = likelihood_of(datasets).scale[3]
    _spectrum(datasets).beta.error = 0.02
    assert likelihood_of(datasets).scale[3] == Likelihood(datasets).scale[3] != first


def test_a_bad_value_is_refused_on_the_way():
    datasets = _datasets()
    likelihood_of(datasets)
    _spectrum(datasets).alpha.value = 3.5
    with pytest.raises(InputError, match=r"the start value 3.5 is outside its limits"):
        likelihood_of(datasets)
    _spectrum(datasets).alpha.value = 2.5
    assert likelihood_of(datasets).start[2] == 2.5


def test_models_of_each_data_set_are_collected_anew():
    first, second = small(), small(name="second")
    first.models, second.models = Models(crab_model()), Models(SkyModel(PowerLawSpectralModel(), name="halo"))
    datasets = Datasets([first, second])
    before = likelihood_of(datasets)
    before.models.set_covariance(np.eye(len(before.parameters)))
    second.models[0].spectral_model.covariance = 2 * np.eye(3)
    assert likelihood_of(datasets).models.covariance.data[-1, -1] == 2


def test_nothing_keeps_the_data_alive():
    datasets = _datasets()
    likelihood_of(datasets)
    alive = weakref.ref(datasets[0])
    del datasets
    gc.collect()
    assert alive() is None


def test_what_is_prepared_stays_in_the_process():
    likelihood = likelihood_of(_datasets())
    hash(likelihood.structure)
    likelihood.prepared["program"] = lambda: None
    state = likelihood.__getstate__()
    assert state["prepared"] == {}
    structure = pickle.loads(pickle.dumps(likelihood.structure))
    # hashes of texts differ from process to process
    assert "_hash" not in vars(structure)
    assert structure == likelihood.structure
    assert hash(structure) == hash(likelihood.structure)


def test_re_fits_are_shared_only_around_the_same_best_fit():
    datasets = _datasets()
    likelihood, hessian = likelihood_of(datasets), np.diag([1e22, 1, 20, 30, 5, 1e22, 1])
    refit = Refit.around(likelihood, hessian)
    assert Refit.around(likelihood, hessian) is refit
    assert Refit.around(likelihood, hessian, tol=1e-10) is not refit
    assert Refit.around(likelihood, hessian, 2).starts == 2
    assert Refit.around(likelihood, hessian.copy()) is not refit
    refit = Refit.around(likelihood, hessian)
    _spectrum(datasets).alpha.frozen = True
    other = Refit.around(likelihood_of(datasets), hessian)
    assert other is not refit
    assert not other.likelihood.free[2]
