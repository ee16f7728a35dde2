"""Errors, covariance, bands and files tell one truth, whichever of them was set last."""

import copy
import pickle

import numpy as np
import pytest
from astropy import units as u

from gammajax import FunctionModel, Models, SkyModel, SystematicsModel
from gammajax import models as gm
from gammajax.errors import InputError
from gammajax.parameters import Covariance, Parameter, Parameters

TEV = u.TeV


def _pair():
    return gm.PowerLawSpectralModel() * gm.PowerLawNormSpectralModel()


def _varying():
    return SkyModel(gm.PowerLawSpectralModel(), name="flare", temporal_model=gm.GaussianTemporalModel())


def _set(holder, matrix):
    if hasattr(holder, "set_covariance"):
        holder.set_covariance(matrix)
    else:
        holder.covariance = matrix


HOLDERS = {
    "spectrum": gm.PowerLawSpectralModel,
    "compound": _pair,
    "variation": gm.GaussianTemporalModel,
    "source": lambda: SkyModel(gm.PowerLawSpectralModel(), name="crab"),
    "varying source": _varying,
    "systematics": lambda: SystematicsModel("hess", energy_scale=1.0),
    "function": lambda: FunctionModel(lambda x, a, b: a + b * x, {"a": 1.0, "b": 2.0}),
    "models": lambda: Models([_varying(), SkyModel(_pair(), name="other")]),
}


def _matrix(n, seed=3):
    """A covariance with correlations, of very different sizes as spectra have them."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    size = 10.0 ** rng.uniform(-13, 0, n)
    return root @ root.T * np.outer(size, size)


@pytest.mark.parametrize("name", HOLDERS)
def test_an_error_set_afterwards_rescales_its_row_and_column(name):
    """The closed form: S C S with the ratio of the errors on the diagonal of S."""
    holder = HOLDERS[name]()
    n = len(holder.parameters)
    matrix = _matrix(n)
    _set(holder, matrix)
    # setting the matrix sets the errors, as in gammapy
    errors = [p.error for p in holder.parameters]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(matrix)), rtol=1e-15)
    assert np.array_equal(holder.covariance.data, matrix)
    at, factor = n - 1, 2.5
    holder.parameters[at].error *= factor
    scale = np.ones(n)
    scale[at] = factor
    np.testing.assert_allclose(holder.covariance.data, matrix * np.outer(scale, scale), rtol=1e-12)
    np.testing.assert_allclose(holder.covariance.errors, [p.error for p in holder.parameters], rtol=1e-12)
    # a correlation that was set is not lost on the way: the old error brings the old matrix
    holder.parameters[at].error = errors[at]
    np.testing.assert_allclose(holder.covariance.data, matrix, rtol=1e-12)


@pytest.mark.parametrize("name", HOLDERS)
def test_a_matrix_of_another_size_is_refused_before_anything_is_set(name):
    holder = HOLDERS[name]()
    n = len(holder.parameters)
    for other in (n - 1, n + 1):
        with pytest.raises(InputError, match=rf"got shape \({other}, {other}\), expected \({n}, {n}\) for {n} param"):
            _set(holder, np.eye(other))
    assert not np.any(holder.covariance.data)
    assert not any(p.error for p in holder.parameters)


@pytest.mark.parametrize("way", [lambda m: m, Models.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_follow_their_own_errors(way):
    models = HOLDERS["models"]()
    models.covariance = _matrix(len(models.parameters))
    models.parameters["flare.spectral.index"].error *= 2
    expected = models.covariance.data
    copied = way(models)
    assert np.array_equal(copied.covariance.data, expected)
    copied.parameters["flare.spectral.index"].error *= 2
    assert copied.covariance.data[0, 1] == pytest.approx(2 * expected[0, 1], rel=1e-12)


CASES = {
    # error before, error set by hand, what comes of the covariance [[e^2, ...], [..., 1]] with the correlation 0.5
    "larger": (0.2, 0.5, [[0.25, 0.25], [0.25, 1.0]]),
    "none": (0.2, 0.0, [[0.0, 0.0], [0.0, 1.0]]),
    "from nothing": (0.0, 0.5, [[0.25, 0.0], [0.0, 1.0]]),
    "from undefined": (np.nan, 0.5, [[0.25, 0.0], [0.0, 1.0]]),
    "undefined": (0.2, np.nan, [[np.nan, 0.0], [0.0, 1.0]]),
    # 2e-13 squared is far below 1e-8, where gammapy keeps the covariance as it was
    "small": (1e-13, 2e-13, [[4e-26, 1e-13], [1e-13, 1.0]]),
}


@pytest.mark.parametrize("name", CASES)
def test_errors_by_hand(name):
    before, after, expected = CASES[name]
    a, b = Parameter("a", 1.0), Parameter("b", 1.0, error=1.0)
    a.error = after
    found = Covariance.of_errors(Parameters([a, b]), [[before**2, 0.5 * before], [0.5 * before, 1.0]])
    np.testing.assert_allclose(found.data, expected, rtol=1e-12)


def test_what_is_linked_follows_its_parent():
    """b = 2 a: an error of a by hand goes through the link, to every place of both."""
    first, second = gm.PowerLawSpectralModel(), gm.LogParabolaSpectralModel()
    second.beta.link(first.index, factor=2)
    models = Models([SkyModel(first, name="a"), SkyModel(second, name="b")])
    n, names = len(models.parameters), models.parameters.unique_names
    i, j = names.index("a.spectral.index"), names.index("b.spectral.beta")
    matrix = np.zeros((n, n))
    matrix[np.ix_([i, j], [i, j])] = 0.01 * np.array([[1, 2], [2, 4]])
    models.covariance = matrix
    assert first.index.error == pytest.approx(0.1, rel=1e-15)
    first.index.error = 0.3
    np.testing.assert_allclose(models.covariance.data[np.ix_([i, j], [i, j])], 0.09 * np.array([[1, 2], [2, 4]]))
    np.testing.assert_allclose(models["b"].covariance.errors[3], 0.6, rtol=1e-12)


def test_bands_follow():
    model = gm.PowerLawSpectralModel(amplitude="1e-12 cm-2 s-1 TeV-1")
    model.covariance = [[0.01, 5e-15, 0], [5e-15, 1e-26, 0], [0, 0, 0]]
    model.index.error = 0.3
    value, error = model.evaluate_error(2 * TEV)
    # gradient of ln of the flux in (index, amplitude): -ln 2, 1 / amplitude
    log2 = np.log(2)
    expected = np.sqrt((0.3 * log2) ** 2 + 0.1**2 - 2 * 0.5 * 0.3 * 0.1 * log2)
    assert (error / value).value == pytest.approx(expected, rel=1e-12)


def test_a_part_that_was_set_by_itself_loses_what_it_had_in_common():
    """As in gammapy, for both kinds of compounds: what is known of the part counts, not what was set for both before."""
    for holder, part in ((pair := _pair(), pair.model2), (source := _varying(), source.temporal_model)):
        n, own = len(holder.parameters), len(part.parameters)
        matrix = _matrix(n)
        _set(holder, matrix)
        new = _matrix(own, seed=5)
        part.covariance = new
        found = holder.covariance.data
        assert np.array_equal(found[n - own :, n - own :], new)
        assert not found[: n - own, n - own :].any()
        assert np.array_equal(found[: n - own, : n - own], matrix[: n - own, : n - own])


def test_written_files_tell_the_same_to_gammapy(tmp_path):
    theirs = pytest.importorskip("gammapy.modeling.models")
    models = Models([SkyModel(gm.PowerLawSpectralModel(), name="a"), SkyModel(gm.LogParabolaSpectralModel(), name="b")])
    free = [i for i, p in enumerate(models.parameters) if not p.frozen]
    matrix = np.zeros((len(models.parameters),) * 2)
    matrix[np.ix_(free, free)] = _matrix(len(free))
    models.covariance = matrix
    models.parameters["b.spectral.alpha"].error = 0.5
    models.write(tmp_path / "models.yaml")
    read = theirs.Models.read(tmp_path / "models.yaml")
    np.testing.assert_allclose([p.error for p in read.parameters], models.covariance.errors, rtol=1e-12)
    np.testing.assert_allclose(read.covariance.data, models.covariance.data, rtol=1e-12)
    again = Models.read(tmp_path / "models.yaml")
    assert [p.error for p in again.parameters] == [p.error for p in models.parameters]
    np.testing.assert_allclose(again.covariance.data, models.covariance.data, rtol=1e-12)


def test_a_result_stays():
    models = Models([SkyModel(gm.PowerLawSpectralModel(), name="a")])
    models.covariance = np.diag([0.01, 1e-26, 0.0])
    snapshot = models.snapshot()
    models.parameters["index"].error = 0.7
    assert snapshot.covariance.data[0, 0] == 0.01
    with pytest.raises(InputError, match="belongs to a result and is read-only: 'error'"):
        snapshot.covariance = np.eye(3)
