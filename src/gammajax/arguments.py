"""What methods of gammapy take and ours do not: what to do instead, said where somebody gives it."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from gammajax.elsewhere import NO_MAPS, SCALING, SKY
from gammajax.errors import InputError

__all__ = ["ARGUMENTS", "gammapy_arguments"]

EXACT = "errors are propagated with exact derivatives, nothing is sampled"
AT_ONCE = "files are read whole and at once"
CHECKED = "what is written always has checksums"
EMPTY = "from_arrays makes one of arrays, create(axis, energy_axis_true) an empty one"
TEMPLATES = "tables of models are written beside them where they are needed"
COVARIANCE = "set it afterwards, models.covariance = matrix or model.set_covariance(matrix)"
COPIED = "copies have the numbers of a model, and its tables, which never change"
MODELS_FILE = "a result is written whole; result.models.write(path) writes the models, with these arguments"
AXIS = "an axis is EnergyAxis(edges, name), its centres in the logarithm"
META = "what is known beside the numbers is in the dictionary meta"
MASKS = "plot_masks(kwargs_fit=..., kwargs_safe=...) draws the masks"

# what says the same as leaving an argument away, and what to do otherwise
Rule = tuple[tuple[Any, ...], str]


def _all(names: str, hint: str, *nothing: Any) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), (nothing, hint))


_SAMPLES = _all("n_samples random_state samples", EXACT)
_CHECKSUM = {"checksum": ((True,), CHECKED)}
_TEMPLATES = {"overwrite_templates": ((False,), TEMPLATES)}
_COPY_DATA = {"copy_data": ((), COPIED)}
_EMPTY_SPECTRUM = {
    "migra_axis": ((None,), NO_MAPS),
    "reference_time": ((None,), "set dataset.gti, whose times have one"),
    "meta_table": ((None,), META),
}
_SPECTRUM = _all("models counts mask_fit psf meta_table", EMPTY)

# class here -> method -> argument of gammapy's method of that name that ours does not know
ARGUMENTS: dict[str, dict[str, dict[str, Rule]]] = {
    "SpectralModel": {
        **dict.fromkeys(
            ("energy_flux_error", "evaluate_error", "integral_error", "plot_error", "spectral_index_error"), _SAMPLES
        ),
        "spectral_index": {"epsilon": ((), "its derivative is exact")},
    },
    "TemporalModel": {
        "__call__": {"energy": ((None,), "no temporal model here depends on the energy")},
        "integral": {"oversampling_factor": ((), "integrals are exact")},
    },
    "SkyModel": {
        "__init__": {"apply_irf": ((None,), SKY), "covariance_data": ((None,), COVARIANCE)},
        "__call__": _all("lon lat energy time", "model.spectral_model(energy), times model.temporal_model(time)"),
        "copy": _COPY_DATA,
    },
    "FoVBackgroundModel": {
        "__init__": {"spatial_model": ((None,), SKY), "covariance_data": ((None,), COVARIANCE)},
        "copy": _COPY_DATA,
    },
    "Models": {
        "__init__": {"covariance_data": ((None,), COVARIANCE)},
        "copy": _COPY_DATA,
        "from_dict": {"path": (("",), "tables of models are in the dictionary, or where it says")},
        "from_yaml": {
            "yaml_str": ((), "its argument here is text"),
            "path": (("",), "tables of models are in the text, or where it says"),
        },
        "insert": _all("idx model", "its arguments here are index and value"),
        "pop": {"index": ((), "its argument here is key")},
        "read": {"filename": ((), "its argument here is path")},
        "to_dict": _TEMPLATES,
        "to_yaml": _TEMPLATES,
        "write": _TEMPLATES,
    },
    "Parameter": {"__init__": _all("scale scale_method scale_transform", SCALING)},
    "Parameters": {
        "count": {"value": ((), "its argument here is parameter")},
        "index": {"val": ((), "its argument here is key")},
    },
    "Prior": {"__call__": {"value": ((), "its argument here is x")}},
    "SpectrumDataset": {
        "__init__": _SPECTRUM,
        "create": _EMPTY_SPECTRUM,
        "read": _all("lazy cache", AT_ONCE, False),
        "write": _CHECKSUM,
    },
    "SpectrumDatasetOnOff": {
        "__init__": _SPECTRUM
        | {"counts_off": ((), EMPTY), "stat_type": (("wstat",), "the statistic of ON and OFF counts is wstat")},
        "create": _EMPTY_SPECTRUM | _all("rad_axis binsz_irf reco_psf", NO_MAPS, None),
        "write": _CHECKSUM,
    },
    "CountsSpectrum": {
        "npred_signal": {
            "stack": ((True,), "there is no axis of models; npred_signal(model_names=name) is the prediction of one of them")
        },
        "plot_residuals": _all("ax_spatial kwargs_spatial", NO_MAPS, None)
        | _all("ax_spectral kwargs_spectral", "its arguments here are ax, method, and those of errorbar"),
        "plot_residuals_spectral": _all("kwargs_fit kwargs_safe", MASKS, None) | {"region": ((None,), NO_MAPS)},
    },
    "FluxPointsDataset": {
        "__init__": {
            "meta_table": ((None,), "dataset.data.provenance says what is known of the points"),
            "stat_kwargs": ((None,), "profiles are interpolated and continued as by gammapy without stat_kwargs"),
        },
        "plot_spectrum": {"axis_name": (("energy",), "plot of the points, dataset.data.plot(axis_name='time'), draws them in time")},
    },
    "Datasets": {
        "insert": _all("idx dataset", "its arguments here are index and value"),
        "pop": {"index": ((), "its argument here is key")},
        "read": _all("lazy cache", AT_ONCE, False),
    },
    "FluxPoints": {
        "__init__": _all(
            "data reference_model meta filter_success_nan",
            "estimators make them, FluxPoints.from_table and FluxPoints.read read them with a reference_model",
        ),
        "copy": {"reference_model": ((), "reading takes a reference_model, FluxPoints.from_table(table, reference_model=...)")},
    },
    "FitResult": {
        "__init__": _all("optimize_result covariance_result", "fit.run makes results"),
        "write": _all("full_output overwrite_templates write_covariance checksum", MODELS_FILE),
    },
    "GTI": {
        "__init__": {"table": ((), "GTI.create(start, stop) makes one of times, GTI.read reads a table")},
        "read": {"format": (("gadf",), "files are read as gammapy's format gadf"), "checksum": ((), AT_ONCE)},
        "select_time": {"inverted": ((False,), "delete_interval leaves an interval out")},
    },
    "EnergyAxis": {
        "__init__": _all("nodes interp node_type unit boundary_type", AXIS),
        "from_energy_bounds": {"node_type": (("edges",), AXIS), "strict_bounds": ((True,), "the bounds are always met")},
        "from_energy_edges": {"interp": (("log",), AXIS)},
    },
    "EnergyMap": {
        "__init__": {"dtype": ((), "its data keep their type"), "meta": ((None,), "the data set has a dictionary meta")},
        "plot": {"axis_name": ((None, "energy", "energy_true"), "a map has one axis, which is drawn")},
    },
    "EnergyGeom": {
        "__init__": _all("region axes wcs binsz_wcs", "EnergyGeom(axis) has the one axis of a spectrum"),
    },
    "EDispKernel": {
        "__init__": _all(
            "axes data unit is_pointlike fov_alignment meta interp_kwargs edisp_kernel_map exposure_map",
            "EDispKernel(axis_true, axis, pdf_matrix)",
        ),
        "get_edisp_kernel": {"position": ((None,), NO_MAPS), "energy_axis": ((None,), "it has the axes of its data set")},
        "plot_matrix": _all("axes_loc kwargs_colorbar", "draw the colour bar with matplotlib, figure.colorbar(ax.collections[0])", None),
    },
}  # fmt: skip

C = TypeVar("C", bound=type)


def gammapy_arguments(cls: C) -> C:
    """Class decorator: methods in `ARGUMENTS` say what to do for arguments that only gammapy's method of that name has."""
    for name, rules in ARGUMENTS[cls.__name__].items():
        found = inspect.getattr_static(cls, name)
        inner = found.__func__ if isinstance(found, classmethod | staticmethod) else found
        new: Any = _told(inner, f"{cls.__name__}.{name}" if name != "__init__" else cls.__name__, rules)
        setattr(cls, name, type(found)(new) if isinstance(found, classmethod | staticmethod) else new)
    return cls


def _told(function: Callable, what: str, rules: dict[str, Rule]) -> Callable:
    """The function, and an error for each argument that has a rule, and for arguments that do not fit it at all."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        for name in [n for n in named if n in rules] if named else ():
            nothing, hint = rules[name]
            value = named.pop(name)
            if not any(value is v or (type(value) is type(v) and value == v) for v in nothing):
                raise InputError(f"{what}: got {name}={_short(value)}, which gammapy takes and this does not: {hint}.")
        try:
            return function(*arguments, **named)
        except TypeError:
            misfit = _misfit(function, arguments, named)
            if not misfit:
                raise
            hints = "; ".join(dict.fromkeys(hint for _, hint in rules.values()))
            error = InputError(f"{what}: {misfit}. Of what gammapy's takes: {hints}.")
        raise error

    return call


def _misfit(function: Callable, arguments: tuple, named: dict[str, Any]) -> str:
    """Why arguments do not fit a function; empty where they do."""
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError as error:
        return str(error)
    return ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 and "\n" not in text else type(value).__name__
