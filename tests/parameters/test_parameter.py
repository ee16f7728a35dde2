import numpy as np
import pytest
from astropy import units as u

from gammajax import Parameter, Parameters
from gammajax.errors import InputError, UnitError
from gammajax.parameters import Covariance, covariance_from_hessian, pack


def test_quantity_sets_value_and_unit():
    p = Parameter("amplitude", 2e-12 * u.Unit("cm-2 s-1 TeV-1"))
    assert p.value == 2e-12
    assert p.unit == u.Unit("cm-2 s-1 TeV-1")
    assert p.quantity == 2e-12 * u.Unit("cm-2 s-1 TeV-1")


def test_limits_accept_quantities_and_refuse_another_dimension():
    p = Parameter("ecut", 10.0, "TeV")
    p.min = 500 * u.GeV
    assert p.min == 0.5
    with pytest.raises(UnitError, match=r"ecut.max: got unit 's', expected one convertible to 'TeV'"):
        p.max = 3 * u.s


@pytest.mark.parametrize(("attribute", "value"), [("value", "abc"), ("frozen", "False"), ("min", None)])
def test_nonsense_is_refused(attribute, value):
    with pytest.raises(InputError, match=f"index.{attribute}"):
        setattr(Parameter("index", 2.0), attribute, value)


def test_a_negative_error_is_refused():
    with pytest.raises(InputError, match=r"index.error: got -0.1, a standard deviation is at least 0"):
        Parameter("index", 2.0, error=-0.1)
    assert np.isnan(Parameter("index", 2.0, error=np.nan).error)


def test_scan_values_follow_the_settings():
    p = Parameter("index", 2.0, error=0.25)
    np.testing.assert_allclose(p.scan_values, np.linspace(1.5, 2.5, 11))
    p.scan_n_values, p.scan_n_sigma = 5, 1
    np.testing.assert_allclose(p.scan_values, np.linspace(1.75, 2.25, 5))
    p.scan_min, p.scan_max = 1, 4
    np.testing.assert_allclose(p.scan_values, [1, 1.75, 2.5, 3.25, 4])
    p.interp = "log"
    np.testing.assert_allclose(p.scan_values, np.geomspace(1, 4, 5))
    p.scan_values = [1, 2]
    np.testing.assert_array_equal(p.scan_values, [1, 2])


def test_snapshot_is_read_only_and_says_where_to_go():
    p = Parameter("alpha", 2.0).snapshot("crab.spectral.alpha")
    with pytest.raises(InputError, match=r"'crab.spectral.alpha' belongs to a result and is read-only.*model.alpha"):
        p.scan_n_values = 17
    editable = p.copy()
    editable.value = 3
    assert (p.value, editable.value) == (2.0, 3.0)


def test_lookup_by_object_name_and_number():
    a, b = Parameter("index", 2.0), Parameter("index", 3.0)
    pars = Parameters([a, b], ["m.spectral.index", "n.spectral.index"])
    assert pars[b] is b
    assert pars["n.spectral.index"] is b
    assert pars[-1] is b
    with pytest.raises(InputError, match="ambiguous here: it stands for m.spectral.index, n.spectral.index"):
        pars["index"]
    with pytest.raises(InputError, match="unknown parameter 'indx'; known are: .* Did you mean 'index'"):
        pars["indx"]
    with pytest.raises(InputError, match="there are only 2 parameters"):
        pars[2]


def test_linked_parameters_are_packed_once_and_named_in_the_table():
    shared = Parameter("index", 2.0)
    pars = Parameters([shared, Parameter("norm", 1.0), shared], ["a.index", "a.norm", "b.index"])
    assert pack(pars).names == ("a.index", "a.norm")
    assert list(pars.to_table()["link"]) == ["", "", "a.index"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"value": np.nan}, r"index: the value is nan, expected a finite number"),
        ({"value": 5.0, "max": 4.0}, r"index: the start value 5 is outside its limits \[-inf, 4\]"),
        ({"min": 3.0, "max": 1.0}, r"index: limits min=3.0, max=1.0; min must be smaller than max"),
    ],
)
def test_packing_refuses_bad_starts(change, text):
    with pytest.raises(InputError, match=text):
        pack(Parameters([Parameter("index", **({"value": 2.0} | change))]))


@pytest.mark.parametrize("limit", ["min", "max"])
def test_a_start_beside_its_limit_by_a_rounding_is_on_it(limit):
    value, outside = 5.4253183336250556e-11, -np.inf if limit == "min" else np.inf
    beside = np.nextafter(np.nextafter(value, outside), outside)
    table = pack(Parameters([Parameter("amplitude", beside, **{limit: value})]))
    assert table.theta[0] == value
    with pytest.raises(InputError, match="outside its limits"):
        pack(Parameters([Parameter("amplitude", value + np.sign(outside) * 1e-13 * value, **{limit: value})]))


def test_packing_converts_to_internal_units_and_scales_to_order_one():
    p = Parameter("amplitude", 3e-8, "m-2 s-1 TeV-1")
    p.internal_unit = u.Unit("cm-2 s-1 TeV-1")
    table = pack(Parameters([p]))
    np.testing.assert_allclose(table.theta, 3e-12)
    np.testing.assert_allclose(table.theta / table.scale, 3.0)


def test_the_name_is_the_definition():
    """Hessian, information, covariance, correlation and error of a Gaussian with a known covariance."""
    covariance = np.array([[4.0, 1.2], [1.2, 1.0]])
    information = np.linalg.inv(covariance)
    hessian_of_stat = 2 * information  # of -2 ln L, not of -ln L
    found = Covariance(Parameters([Parameter("x", 0.0), Parameter("y", 0.0)]), covariance_from_hessian(hessian_of_stat))
    np.testing.assert_allclose(found.data, covariance, rtol=1e-13)
    np.testing.assert_allclose(found.errors, [2, 1], rtol=1e-13)
    np.testing.assert_allclose(found.correlation, [[1, 0.6], [0.6, 1]], rtol=1e-13)


@pytest.mark.parametrize("hessian", [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]], [[-1.0]], [[np.nan]]])
def test_no_covariance_without_a_minimum(hessian):
    assert covariance_from_hessian(np.array(hessian)) is None


def test_covariance_of_scales_24_decades_apart():
    scale = np.diag([1e-12, 1e12])
    core = np.array([[2.0, 0.5], [0.5, 1.0]])
    expected = scale @ (2 * np.linalg.inv(core)) @ scale
    inverse = np.diag(1 / np.diag(scale))
    np.testing.assert_allclose(covariance_from_hessian(inverse @ core @ inverse), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["value", "min", "max"])
def test_arrays_of_a_collection_refuse_changes_that_would_have_no_effect(name):
    pars = Parameters([Parameter("index", 2.0, min=0, max=4), Parameter("norm", 1.0, min=0, max=9)])
    with pytest.raises(ValueError, match="read-only"):
        getattr(pars, name)[0] = 3.0
    changed = getattr(pars, name).copy()
    changed[0] = 3.0 if name != "min" else 1.5
    setattr(pars, name, changed)
    assert getattr(pars, name).tolist() == changed.tolist()
