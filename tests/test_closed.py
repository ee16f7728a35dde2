import pytest
from astropy import units as u

from gammajax import (
    Fit,
    FluxPointsEstimator,
    FoVBackgroundModel,
    FunctionModel,
    LightCurveEstimator,
    LogParabolaSpectralModel,
    Parameter,
    ParameterEstimator,
    PowerLawSpectralModel,
    SkyModel,
    SystematicsModel,
    XYDataset,
    define_spectral_model,
)
from gammajax.closed import Closed
from gammajax.errors import DataError, InputError
from gammajax.models.temporal import GaussianTemporalModel
from tests.problems import embedded

LINE = FunctionModel(lambda x, slope: slope * x, {"slope": 1.0})

# object, misspelt attribute, what the message offers
MISSPELT = {
    "data set": (embedded, "model", "did you mean 'models'"),
    "data set, mask": (embedded, "mask_fti", "did you mean 'mask_fit'"),
    "points": (lambda: XYDataset([0.0, 1.0], [1.0, 2.0], 0.1, model=LINE), "mask", "did you mean 'mask_fit'"),
    "parameter": (lambda: Parameter("a", 1.0), "frosen", "did you mean 'frozen'"),
    "parameter, another word": (lambda: Parameter("a", 1.0), "fixed", "what can be set: error, frozen,"),
    "source": (lambda: SkyModel(PowerLawSpectralModel()), "spectral", "did you mean 'spectral_model'"),
    "background": (lambda: FoVBackgroundModel(dataset_name="d"), "spectral", "did you mean 'spectral_model'"),
    "systematics": (lambda: SystematicsModel("d"), "energyscale", "did you mean 'energy_scale'"),
    "spectrum": (LogParabolaSpectralModel, "index", "what can be set: amplitude, reference, alpha, beta"),
    "fit": (lambda: Fit(backend="newton"), "optimise_opts", "did you mean 'optimize_opts'"),
    "flux points": (
        lambda: FluxPointsEstimator([1, 10] * u.TeV),
        "selection_optionals",
        "did you mean 'selection_optional'",
    ),
    "light curve": (lambda: LightCurveEstimator([1, 10] * u.TeV), "n_jobs", "what can be set: atol, energy_edges,"),
    "parameter estimator": (ParameterEstimator, "null_values", "did you mean 'null_value'"),
    "time": (GaussianTemporalModel, "sigmas", "did you mean 'sigma'"),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_attribute_is_refused_not_kept(name):
    make, attribute, text = MISSPELT[name]
    instance = make()
    with pytest.raises(InputError, match=f"has no (attribute|parameter) '{attribute}'.*{text}"):
        setattr(instance, attribute, 1.0)
    assert attribute not in vars(instance)


def test_private_names_and_those_of_a_subclass_are_free():
    class Mine(Closed):
        colour: str

    mine = Mine()
    mine.colour, mine._note = "red", 1
    assert (mine.colour, mine._note) == ("red", 1)


def test_a_model_of_ones_own_is_closed_too():
    model = define_spectral_model(
        lambda energy, amplitude, index: amplitude * energy**-index,
        name="ClosedSpectralModel",
        parameters={"amplitude": (1e-12, "cm-2 s-1 TeV-1"), "index": (3.0, "")},
    )()
    with pytest.raises(InputError, match="has no parameter 'indx'.*did you mean 'index'"):
        model.indx = 2


def test_a_factor_of_an_instrument_is_a_parameter_not_a_number():
    systematics = SystematicsModel("d", energy_scale=1.0)
    with pytest.raises(InputError, match=r"got 1.1; set the number with .energy_scale.value = ..."):
        systematics.energy_scale = 1.1
    other = SystematicsModel("e", energy_scale=1.0)
    other.energy_scale = systematics.energy_scale
    assert other.energy_scale is systematics.energy_scale


def test_the_mask_of_points_may_be_set_later():
    points = XYDataset([0.0, 1.0, 2.0], [1.0, 2.0, 9.0], 0.1, model=LINE)
    everything = points.stat_sum()
    points.mask_fit = [True, True, False]
    assert points.stat_sum() < everything
    points.mask_fit = None
    assert points.stat_sum() == everything
    with pytest.raises(DataError, match=r"mask_fit has shape \(2,\)"):
        points.mask_fit = [True, False]


def test_what_an_estimator_computes_may_be_set_later_and_is_shown():
    estimator = FluxPointsEstimator([1, 10] * u.TeV, source="crab")
    estimator.selection_optional = "all"
    assert estimator.selection_optional == ("errn-errp", "ul", "scan", "sensitivity")
    assert "selection=('errn-errp', 'ul', 'scan', 'sensitivity'), n_sigma=1.0, n_sigma_ul=2.0, n_sigma_sens" in repr(
        estimator
    )
    assert "energy_edges=[1, 10]" in repr(estimator)
    with pytest.raises(
        InputError, match="selection_optional: unknown 'limits'; known are: errn-errp, ul, scan, sensitivity, or 'all'"
    ):
        estimator.selection_optional = ["limits"]
    assert estimator.selection_optional == ("errn-errp", "ul", "scan", "sensitivity")


def test_things_may_be_noted_on_a_fit():
    fit = Fit(backend="newton")
    fit.result = "as it came"
    assert fit.result == "as it came"
    with pytest.raises(InputError, match="has no attribute 'covariance_opts'"):
        fit.covariance_opts = {"backend": "minuit"}
