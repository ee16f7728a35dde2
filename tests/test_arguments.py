"""Every argument of gammapy's methods works here, or says what to do instead."""

import inspect

import numpy as np
import pytest
from astropy import units as u

import gammajax
from gammajax import datasets as our_datasets
from gammajax.arguments import ARGUMENTS
from gammajax.datasets.counts import CountsSpectrum
from gammajax.errors import InputError
from gammajax.plotting import datasets as plots
from gammajax.plotting import flux_points, light_curves, maps, points_fit, spectra
from gammajax.plotting.correlation import plot_correlation
from tests.problems import small
from tests.test_elsewhere import PAIRS

gammapy = pytest.importorskip("gammapy")


def _classes():
    """(what, gammapy's class, ours)."""
    from gammapy import datasets, estimators, modeling

    for name, (one, two) in PAIRS.items():
        yield name, type(one), type(two)
    for package, names in (
        (datasets, ("SpectrumDataset", "SpectrumDatasetOnOff", "FluxPointsDataset", "Datasets")),
        (estimators, ("FluxPoints", "FluxPointsEstimator", "LightCurveEstimator", "ParameterEstimator")),
        (modeling.fit, ("FitResult",)),
    ):
        for name in names:
            yield name, getattr(package, name), getattr(gammajax, name)


CLASSES = {name: (a, b) for name, a, b in _classes()}
# methods that hand further arguments on, and who takes them
HANDED_ON = {
    "peek": plots.peek, "plot_counts": plots.plot_counts, "plot_excess": plots.plot_excess, "plot_masks": plots.plot_masks,
    "plot_correlation": plot_correlation, "plot_matrix": maps.plot_matrix, "plot_spectrum": points_fit.plot_points_spectrum,
}  # fmt: skip


def _taken(cls, method):
    """Names of all arguments that a method of ours takes, those that it hands on as well."""
    names = set(inspect.signature(getattr(cls, method)).parameters)
    if method in HANDED_ON:
        names |= set(inspect.signature(HANDED_ON[method]).parameters)
    if method == "plot_fit":
        points = cls is gammajax.FluxPointsDataset
        names |= set(inspect.signature(points_fit.plot_points_fit if points else plots.plot_fit).parameters)
    if method in ("plot", "plot_error"):
        by_class = {gammajax.FluxPoints: flux_points.plot_flux_points, our_datasets.EnergyMap: maps.plot_energy_map}
        spectrum = spectra.plot_spectral_error if method == "plot_error" else spectra.plot_spectral_model
        names |= set(inspect.signature(by_class.get(cls, spectrum)).parameters)
        if cls is gammajax.FluxPoints:
            names |= set(inspect.signature(light_curves.plot_light_curve).parameters)
    if method == "read" and cls.__name__.startswith("SpectrumDataset"):
        from gammajax.io.gadf import read_gadf

        names |= set(inspect.signature(read_gadf).parameters)
    if method == "__init__" and issubclass(cls, CountsSpectrum):
        names |= set(inspect.signature(CountsSpectrum.__init__).parameters)
    if method in ("evaluate", "__init__", "from_log10") and isinstance(getattr(cls, "declared", None), tuple | list):
        # values of parameters by their names
        names |= {d.name for d in cls.declared}
    return names


def _missing(theirs, ours):
    """(method, argument) of gammapy's class that ours has, and does not take."""
    for method in ("__init__", "__call__", *(n for n in dir(theirs) if not n.startswith("_"))):
        if not hasattr(ours, method):
            continue
        both = [inspect.getattr_static(cls, method) for cls in (theirs, ours)]
        if any(isinstance(f, property) for f in both) or not all(
            callable(getattr(cls, method)) for cls in (theirs, ours)
        ):
            continue
        try:
            parameters = inspect.signature(getattr(theirs, method)).parameters.values()
            taken = _taken(ours, method)
        except ValueError:
            # what is written in C, as methods of lists
            continue
        for p in parameters:
            if (
                p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
                and p.name not in ("self", "cls")
                and p.name not in taken
            ):
                yield method, p.name


MISSING = {name: list(_missing(*pair)) for name, pair in CLASSES.items()}


def test_what_is_compared():
    assert len(CLASSES) > 50
    assert ("npred_signal", "stack") in MISSING["SpectrumDatasetOnOff"]
    assert ("__init__", "stat_kwargs") in MISSING["FluxPointsDataset"]
    assert sum(map(len, MISSING.values())) > 100


@pytest.mark.parametrize("name", [n for n, found in MISSING.items() if found])
def test_no_argument_of_gammapy_ends_in_a_bare_error(name):
    """The argument itself is refused before anything else is looked at, with its name."""
    ours = CLASSES[name][1]
    for method, argument in MISSING[name]:
        call = ours if method == "__init__" else getattr(ours, method)
        with pytest.raises(
            InputError, match=rf"got {argument}=.*(which gammapy takes and this does not: |leave it out)"
        ):
            call(**{argument: object()})


def test_no_hint_is_stale():
    """What a hint is for is an argument of gammapy's, and none of ours."""
    known = {(cls, m, a) for name, found in MISSING.items() for cls in CLASSES[name][1].__mro__ for m, a in found}
    names = {(cls.__name__, m, a) for cls, m, a in known}
    for cls, methods in ARGUMENTS.items():
        for method, rules in methods.items():
            for argument in rules:
                assert (cls, method, argument) in names, (cls, method, argument)


# what says nothing new is taken, whatever else is there
NOTHING_NEW = {
    "npred_signal": lambda: small().npred_signal(stack=True),
    "axis": lambda: gammajax.EnergyAxis.from_energy_edges([1, 2] * u.TeV, interp="log"),
    "source": lambda: gammajax.SkyModel(gammajax.PowerLawSpectralModel(), name="a", apply_irf=None),
    "yaml": lambda: gammajax.Models([]).to_dict(overwrite_templates=False),
}


@pytest.mark.parametrize("what", NOTHING_NEW)
def test_what_says_nothing_new_is_taken(what):
    assert NOTHING_NEW[what]() is not None


# what is called, what the message says
WRONG = {
    "stack": (lambda: small().npred_signal(stack=False), r"npred_signal: got stack=False, .*npred_signal\(model_names=name\) is the prediction"),
    "by position": (lambda: small().npred_signal(None, False), "npred_signal: too many positional arguments. Of what gammapy's takes: there is no axis"),
    "made as in gammapy": (lambda: gammajax.SpectrumDatasetOnOff(name="a"), "SpectrumDatasetOnOff: missing a required .*from_arrays makes one of arrays"),
    "samples": (lambda: gammajax.PowerLawSpectralModel().evaluate_error(1 * u.TeV, n_samples=9), "evaluate_error: got n_samples=9, .* nothing is sampled"),
    "misspelt": (lambda: small().npred_signal(modelnames="a"), "npred_signal: got an unexpected keyword argument 'modelnames'"),
    "many numbers": (lambda: gammajax.EnergyAxis(nodes=np.arange(100.0)), "got nodes=ndarray, "),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_the_message_says(what):
    act, text = WRONG[what]
    with pytest.raises(InputError, match=text):
        act()


def test_errors_from_inside_are_as_they_were():
    class Odd:
        def __array__(self, *a, **k):
            raise TypeError("odd numbers")

    with pytest.raises(TypeError, match="odd numbers"):
        our_datasets.EnergyMap(small().counts.geom, Odd())
