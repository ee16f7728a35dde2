"""Models made of models and of functions: structure, units, links, and fits with them."""

import operator
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

import gammajax.models as gm
from gammajax import (
    CompoundSpectralModel,
    Fit,
    Models,
    ScaleSpectralModel,
    SkyModel,
    SpectrumDatasetOnOff,
    define_spectral_model,
)
from gammajax.errors import InputError, ModelError, UnitError
from gammajax.models import SmoothnessWarning, bin_rule, flux_per_bin
from tests.models.table import DNDE, TEV, USERS, make_bpl, make_ebl, make_lp, make_norm, make_pl

bins = jax.jit(flux_per_bin, static_argnums=0)
AREA = 2e9 * 2e5 * u.Unit("cm2 s")


def expected_data(model, **changes):
    """A data set whose counts are the prediction, with a tenth as much background."""
    edges = np.geomspace(0.3, 30, 25) * TEV
    signal = np.asarray((model.integral(edges[:-1], edges[1:]) * AREA).to_value(""))
    background = 0.1 * signal + 1
    return SpectrumDatasetOnOff.from_arrays(
        n_on=signal + background,
        n_off=background / 0.1,
        alpha=0.1,
        exposure=np.full(24, AREA.value) * AREA.unit,
        energy_edges=edges,
        energy_true_edges=edges,
        name="made",
        **changes,
    )


@pytest.mark.filterwarnings("ignore:made. .* hold fractional counts:UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: USERS(index=2.2, amplitude=3e-12 * DNDE, ebreak=2.5 * TEV),
        lambda: make_bpl(gm),
        lambda: make_pl(gm) * make_ebl(gm),
        pytest.param(lambda: make_bpl(gm) * make_norm(gm), marks=pytest.mark.slow),
        lambda: make_lp(gm) + make_pl(gm, 1.2),
    ],
    ids=["user's", "bpl", "pl * ebl", "bpl * ecpl-norm", "lp + pl"],
)
def test_fits_find_the_truth_again(make):
    """On counts that are the prediction the fit ends where it began, from 3 % off, all programs included."""
    truth, model = make(), make()
    dataset = expected_data(truth)
    if isinstance(model, CompoundSpectralModel):
        # what both members carry alike is degenerate, and is held
        for p in model.model2.parameters:
            p.frozen = True
        if model.operator is operator.add:
            model.model2.amplitude.frozen = False
    dataset.models = SkyModel(spectral_model=model, name="source")
    for p in model.parameters.free_parameters:
        p.value *= 1.03
    result = Fit([dataset], backend="newton").run()
    assert result.success
    for p, q in zip(model.parameters, truth.parameters, strict=True):
        assert p.value == pytest.approx(q.value, rel=1e-6 if p.name != "ebreak" else 1e-4)
    free = model.parameters.free_parameters
    assert all(p.error > 0 for p in free)
    value, error = model.evaluate_error([1.0] * TEV)
    assert error > 0


def test_names_and_links_of_a_compound_in_a_fit():
    a, b = make_pl(gm), make_lp(gm)
    b.amplitude = a.amplitude
    models = Models([SkyModel(a + b, name="sum")])
    names = models.parameters_unique_names
    assert names[:2] == ["sum.spectral.model1.index", "sum.spectral.model1.amplitude"]
    assert "sum.spectral.model2.alpha" in names
    assert len(set(names)) == 7
    assert len(models.parameters.unique_parameters) == 6
    copied = (a + b).copy()
    assert copied.model1.amplitude is copied.model2.amplitude
    assert copied.model1.amplitude is not a.amplitude
    snapshot = models.snapshot()["sum"].spectral_model
    assert snapshot.model1.amplitude is snapshot.model2.amplitude
    assert list(models.to_parameters_table()["model"]) == ["sum"] * 7
    assert (a + b).parameters["model2.beta"] is b.beta


def test_equal_structure_is_one_form():
    one, two = make_pl(gm) * make_norm(gm) + make_lp(gm), make_pl(gm, 1.0) * make_norm(gm) + make_lp(gm)
    assert one.form is two.form
    assert (make_lp(gm) + make_pl(gm)).form != (make_lp(gm) - make_pl(gm)).form


def test_every_term_has_its_own_rule_and_bins_can_be_taken():
    model = (make_pl(gm) + make_lp(gm)) * make_ebl(gm) + make_bpl(gm)
    edges = np.geomspace(0.1, 30, 20)
    rule = bin_rule(edges, model.form)
    assert [r.mode for r in rule.parts] == ["power", "exact", "closed"]
    indices = np.array([3, 3, 0, 17])
    with jax.enable_x64(True):
        whole = np.asarray(bins(model.form, rule, tuple(model._theta())))
        some = np.asarray(bins(model.form, rule.take(indices), tuple(model._theta())))
    np.testing.assert_allclose(some, whole[indices], rtol=1e-14)


def test_what_is_refused():
    pl, norm = make_pl(gm), make_norm(gm)
    with pytest.raises(ModelError, match="two fluxes cannot be multiplied"):
        pl * make_lp(gm)
    with pytest.raises(ModelError, match="a flux and a factor cannot be added"):
        pl - norm
    with pytest.raises(InputError, match="got operator 'pow', expected one of add, sub, mul"):
        CompoundSpectralModel(pl, norm, "pow")
    with pytest.raises(ModelError, match="got 3, expected a spectral model"):
        ScaleSpectralModel(3)


FLUX = 4e-13 * DNDE
# what is written, and its value at 2 TeV beside a power law of 1e-12 E^-2.3, by hand; whether gammapy can do it
JOINED = {
    "model + flux": (lambda m: m + FLUX, lambda v: v + 4e-13, True),
    "model - flux": (lambda m: m - FLUX, lambda v: v - 4e-13, True),
    "flux + model": (lambda m: FLUX + m, lambda v: v + 4e-13, False),
    # gammapy has the sign the other way round where it comes to this
    "flux - model": (lambda m: FLUX - m, lambda v: 4e-13 - v, False),
    "other unit": (lambda m: m + (FLUX).to("MeV-1 s-1 m-2"), lambda v: v + 4e-13, True),
    "model * number": (lambda m: m * 3, lambda v: 3 * v, False),
    "number * model": (lambda m: np.float64(3) * m, lambda v: 3 * v, False),
    "model * percent": (lambda m: m * (50 * u.percent), lambda v: 0.5 * v, False),
    "quantity * model": (lambda m: u.Quantity(3) * m, lambda v: 3 * v, False),
}


@pytest.mark.parametrize("case", JOINED)
def test_numbers_and_quantities(case, tmp_path):
    theirs = pytest.importorskip("gammapy.modeling.models")
    join, by_hand, known = JOINED[case]
    model = gm.PowerLawSpectralModel(index=2.3)
    joined = join(model)
    expected = by_hand(1e-12 * 2**-2.3)
    assert joined(2 * TEV).to_value(DNDE) == pytest.approx(expected, rel=1e-14)
    # the members stay what they are: the index is that of the model
    model.index.value = 2.3 + 1e-9
    assert joined.parameters[[p is model.index for p in joined.parameters].index(True)].value == 2.3 + 1e-9
    model.index.value = 2.3
    if known:
        other = join(theirs.PowerLawSpectralModel(index=2.3))
        assert other(2 * TEV).to_value(DNDE) == pytest.approx(expected, rel=1e-12)
        assert [p.name for p in other.parameters] == joined.parameters.names
        assert [p.frozen for p in other.parameters] == [p.frozen for p in joined.parameters]
    # and there and back by a file that gammapy reads
    models = Models(SkyModel(joined, name="a"))
    models.write(tmp_path / "models.yaml")
    read = theirs.Models.read(tmp_path / "models.yaml")
    assert read[0].spectral_model(2 * TEV).to_value(DNDE) == pytest.approx(expected, rel=1e-12)
    read.write(tmp_path / "theirs.yaml")
    again = Models.read(tmp_path / "theirs.yaml")
    assert again[0].spectral_model(2 * TEV).to_value(DNDE) == pytest.approx(expected, rel=1e-14)
    assert [p.frozen for p in again.parameters] == [p.frozen for p in joined.parameters]


def test_a_factor_is_not_fitted_and_a_flux_is():
    model = gm.PowerLawSpectralModel()
    assert (2 * model).parameters.free_parameters.names == ["index", "amplitude"]
    assert (model + FLUX).parameters.free_parameters.names == ["index", "amplitude", "const"]


def test_bins_of_a_sum_with_a_flux():
    """Closed form of both terms."""
    found = (gm.PowerLawSpectralModel(index=2.3) + FLUX).integral(1 * TEV, 4 * TEV).to_value("cm-2 s-1")
    assert found == pytest.approx(1e-12 * (1 - 4**-1.3) / 1.3 + 4e-13 * 3, rel=1e-12)


@pytest.mark.parametrize(
    ("join", "error", "text"),
    [
        (lambda m: m + 1e-12, UnitError, r"PowerLawSpectralModel \+ 1e-12: expected a quantity convertible to 'TeV-1 s-1 cm-2'"),
        (lambda m: 1e-12 - m, UnitError, "PowerLawSpectralModel - 1e-12: expected a quantity convertible"),
        (lambda m: m - 1 * u.cm, UnitError, "expected a quantity convertible to 'TeV-1 s-1 cm-2'"),
        (lambda m: m * (2 * u.s), UnitError, "expected a factor without unit"),
        (lambda m: m * [1, 2], InputError, "expected a spectral model, a finite number or a quantity, not an array"),
        (lambda m: m + [1, 2] * DNDE, InputError, "not an array"),
        (lambda m: np.array([1, 2]) * m, InputError, "not an array"),
        (lambda m: m * np.nan, InputError, "a finite number"),
        (lambda m: m * True, InputError, "a finite number"),
        (lambda m: m + "1", InputError, "a finite number"),
        (lambda m: gm.PowerLawNormSpectralModel() + 1, UnitError, r"write PowerLawNormSpectralModel\(norm=...\)"),
    ],
)  # fmt: skip
def test_what_no_model_can_be_made_of(join, error, text):
    with pytest.raises(error, match=text):
        join(gm.PowerLawSpectralModel())


def test_scale_follows_its_model():
    inner = make_pl(gm)
    model = ScaleSpectralModel(inner, norm=2)
    before = model(1 * TEV)
    inner.index.value = 1.0
    assert model(3 * TEV) == 2 * inner(3 * TEV)
    assert before == 2 * make_pl(gm)(1 * TEV)
    assert model.parameters.names == ["norm"]


def sudden(energy, amplitude, ebreak):
    return amplitude * jnp.where(energy < ebreak, 1.0, 0.3) * energy**-2.0


def test_a_users_model_that_is_not_smooth_is_told_so_once():
    parameters = {"amplitude": (1e-12, "cm-2 s-1 TeV-1"), "ebreak": (1.7, "TeV")}
    edges = np.geomspace(0.1, 30, 20)
    silent = define_spectral_model(sudden, name="Sudden", parameters=parameters, breaks=["ebreak"])
    unsaid = define_spectral_model(sudden, name="SuddenUnsaid", parameters=parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bin_rule(edges, silent.form)
        bin_rule(edges, unsaid.form, "gammapy")
    with pytest.warns(SmoothnessWarning, match="SuddenUnsaid: the integral over the bin from 1.4.* is wrong by about"):
        bin_rule(edges, unsaid.form)
    with pytest.warns(SmoothnessWarning, match="SuddenUnsaid: the integral"):
        bin_rule(edges, (unsaid() + make_pl(gm)).form)
    with pytest.warns(SmoothnessWarning, match="product of models: the integral"):
        bin_rule(edges, (unsaid() * make_norm(gm)).form)


def test_a_users_model_must_say_its_parameters():
    parameters = {"amplitude": (1e-12, "cm-2 s-1 TeV-1"), "ebreak": (1.7, "TeV")}
    with pytest.raises(
        InputError, match=r"the function takes \(amplitude, ebreak\) after the energy, but the parameters"
    ):
        define_spectral_model(sudden, name="Bad", parameters={"ebreak": (1.0, "TeV")})
    with pytest.raises(InputError, match="breaks names 'eb'; the parameters are: amplitude, ebreak"):
        define_spectral_model(sudden, name="Bad", parameters=parameters, breaks=["eb"])
    with pytest.raises(InputError, match="got unit 'erg', expected"):
        define_spectral_model(sudden, name="Bad", parameters=parameters, unit="erg")
    with pytest.raises(ModelError, match="belongs to PowerLawSpectralModel already"):
        define_spectral_model(sudden, name="PowerLawSpectralModel", parameters=parameters)
