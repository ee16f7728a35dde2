"""What objects of gammapy have and ours do not: where it is, said where somebody asks for it."""

from typing import TYPE_CHECKING, Any

__all__ = ["ELSEWHERE", "Pointing", "pointer"]

SKY = "there are no spatial models here, spectra of one region are fitted without one"
SCALING = "parameters are scaled by the fit itself, from their values"
LABELS = "links are named when they are written"
COVARIANCE_FILE = "models.write(path) writes the covariance beside the models, and Models.read(path) reads it"
DEFAULTS = "parameters at their defaults are those of a new model, type(model)().parameters"
VALUES = "a prior is a value, whose numbers are plain attributes such as prior.mu; set a new prior to change one"

# class here -> attribute of gammapy's class of that name -> what to do
ELSEWHERE: dict[str, dict[str, str]] = {
    "Parameter": {
        **dict.fromkeys(
            (
                "autoscale", "factor_min", "factor_max", "inverse_transform", "reset_autoscale", "scale", "scale_method",
                "scale_transform", "set_parameter_factors", "transform", "update_scale",
            ),
            SCALING,
        ),
        **dict.fromkeys(("conf_min", "conf_max"), "ends of a plot are arguments of the plot; parameter.bounds has the limits"),
        "check_limits": "a fit says which starts are outside their limits",
        "to_dict": "models.to_dict() has all parameters",
        "update_from_dict": "set value, error, min, max and frozen, or read models with Models.from_dict",
        "type": "models.parameters.unique_names tells what each belongs to",
    },
    "Parameters": {
        **dict.fromkeys(("autoscale", "set_parameter_factors"), SCALING),
        "check_limits": "a fit says which starts are outside their limits",
        "update_link_label": LABELS,
        "from_stack": "add collections with +",
        "to_dict": "models.to_dict() has all parameters",
        "from_dict": "models are made with Models.from_dict",
    },
    "Covariance": dict.fromkeys(
        ("from_factor_matrix", "from_stack", "set_subcovariance"),
        "a covariance never changes; set the matrix of the models, models.covariance = matrix",
    ),
    "Prior": {
        **dict.fromkeys(
            ("covariance", "default_parameters", "freeze", "frozen", "parameters", "parameters_unique_names", "unfreeze"), VALUES
        ),
        **dict.fromkeys(("from_parameters", "reassign", "sample_parameters_from_covariance", "type"), VALUES),
        "copy": "a prior never changes, so that it may be shared",
        "evaluate": "call the prior, prior(x)",
        **dict.fromkeys(("to_dict", "from_dict"), "models.to_dict() and Models.from_dict have the priors of all parameters"),
    },
    "DeclaredModel": {
        "default_parameters": DEFAULTS,
        "reassign": "data sets are those of a source, SkyModel(...).reassign",
        "type": "model.model_type",
    },
    "SpectralModel": {
        "evaluate_integral": "model.integral(energy_min, energy_max)",
        "evaluate_energy_flux": "model.energy_flux(energy_min, energy_max)",
        "coefficients": "the polynomial of Meyer et al. is part of its function",
        "from_region_map": "TemplateSpectralModel(energy=..., values=...)",
    },
    "TemporalModel": {
        "evaluate": "call the model with times, model(time)",
        "is_energy_dependent": "no temporal model here depends on the energy",
        "time_sum": "gti.time_sum",
        "sample_time": "events are gammapy's; model(time) has the values to sample from",
        "plot_phasogram": "model.plot(time_range) over one period",
    },
    "Source": {
        **dict.fromkeys(
            (
                "apply_irf", "contributes", "evaluate_geom", "evaluation_bin_size_min", "evaluation_radius", "evaluation_region", "frame",
                "integrate_geom", "position", "position_lonlat", "spatial_model",
            ),
            SKY,
        ),
        "evaluate": "model.spectral_model(energy), times model.temporal_model(time) where there is one",
        "default_parameters": DEFAULTS,
        "from_parameters": "parameters are those of its spectral model, type(model.spectral_model).from_parameters",
        "tag": "type(model).__name__",
        "type": "model.role",
    },
    "Models": {
        **dict.fromkeys(
            (
                "plot_positions", "plot_regions", "positions", "select_from_geom", "select_mask", "select_region", "to_regions",
                "to_template_sky_model", "to_template_spectral_model", "wcs_geom",
            ),
            SKY,
        ),
        **dict.fromkeys(("read_covariance", "write_covariance"), COVARIANCE_FILE),
        "background_models": "[m for m in models if m.role == 'background']",
        "update_link_label": LABELS,
        "update_parameters_from_table": "read the models with Models.read, or set the values of models.parameters",
    },
    "Settings": {"covariance_opts": "there is one covariance, that of the exact Hessian"},
    "StoredResult": {"to_dict": "result.write(path) writes it as .yaml, .ecsv or .fits"},
}  # fmt: skip


def pointer(cls: type, name: str) -> str:
    """What to do instead, for an attribute that a class does not have; empty where nothing is known of it.

    Parameters
    ----------
    cls : type
        The class.
    name : str
        The attribute.
    """
    return next((found for base in cls.__mro__ if (found := ELSEWHERE.get(base.__name__, {}).get(name))), "")


class Pointing:
    """Base of objects that say where it is, when they are asked for what gammapy has and they have not."""

    # not for type checkers: to them such an attribute is an error as any other
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hint = pointer(type(self), name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(f"{text}; {hint}" if hint else text, name=name, obj=self)
