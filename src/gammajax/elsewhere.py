"""What objects of gammapy have and ours do not: where it is, said where somebody asks for it."""

from typing import TYPE_CHECKING, Any

__all__ = ["ELSEWHERE", "Pointing", "pointer"]

SKY = "there are no spatial models here, spectra of one region are fitted without one"
SCALING = "parameters are scaled by the fit itself, from their values"
LABELS = "links are named when they are written"
COVARIANCE_FILE = "models.write(path) writes the covariance beside the models, and Models.read(path) reads it"
DEFAULTS = "parameters at their defaults are those of a new model, type(model)().parameters"
NO_MAPS = (
    "there are no maps here, a spectrum has no position; gammapy's to_spectrum_dataset(region) reduces maps to spectra"
)
FILES = "read(filename) and write(filename) go to files; lists of data sets by Datasets.read and Datasets.write"
EMPTY = "create(axis, energy_axis_true) makes an empty one, from_arrays one of arrays"
TABLES = "to_table(sed_type) gives all columns, read and write go to files"
AT_ONCE = "run(datasets) computes all at once, what selection_optional asks for"
ONE_BATCH = "all bins are one batch in one process, which uses its threads by itself"
OTHER_BINS = "dataset.resample_energy_axis(edges), dataset.slice_by_energy(energy_min, energy_max) and dataset.to_image() have other bins"
WHOLE_FILES = "files hold whole data sets, dataset.write(filename) and SpectrumDatasetOnOff.read(filename)"
ARRAYS = "data is the array over the bins of geom.axis, whose numbers may be changed in place"
MATRIX = "pdf_matrix is the matrix, axis_true and axis are its axes"
FIND_BIN = "np.searchsorted(axis.edges, energy) - 1 is the bin of an energy"
VALUES = "a prior is a value, whose numbers are plain attributes such as prior.mu; set a new prior to change one"


def _names(names: str, hint: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), hint)


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
    "Dataset": dict.fromkeys(("to_dict", "from_dict", "to_hdulist", "from_hdulist"), FILES),
    "CountsSpectrum": {
        **dict.fromkeys(
            (
                "cutout", "downsample", "from_map_dataset", "mask_fit_image", "mask_image", "mask_safe_image", "mask_safe_psf", "pad",
                "plot_residuals_spatial", "psf", "to_map_dataset", "to_region_map_dataset",
            ),
            NO_MAPS,
        ),
        "background_model": "models hold it, dataset.models[name]",
        "data_shape": "len(dataset.counts.data) is the number of bins",
        "evaluators": "predictions are compiled functions; npred_signal(model_names) predicts some of the sources",
        "from_geoms": EMPTY,
        "geoms": "counts.geom and exposure.geom have the two axes",
        "mask_safe_edisp": "mask_safe is of the reconstructed energies",
        "meta_table": "what is known beside the numbers is in the dictionary meta",
        "reset_data_cache": "nothing is kept that could be out of date",
        "to_spectrum_dataset": "it is one already",
    },
    "FluxPointsDataset": {
        "data_shape": "len(dataset.energy) is the number of points",
        "meta_table": "dataset.data.provenance says what is known of the points",
        "stat_kwargs": "profiles are interpolated and continued as by gammapy without stat_kwargs",
    },
    "Datasets": {
        "meta_table": "each data set has its dictionary meta",
        "to_spectrum_datasets": NO_MAPS,
    },
    "FluxPoints": {
        **dict.fromkeys(("from_hdulist", "from_maps", "to_hdulist", "to_maps"), TABLES),
        **dict.fromkeys(
            ("geom", "get_flux_points"), "its arrays have the shape (K,) or (T, K); energy_axis and gti are their axes"
        ),
        **dict.fromkeys(
            ("reference_model", "reference_model_default", "reference_spectral_model"),
            "its fluxes are dnde_ref, flux_ref and so on; reading takes a reference_model",
        ),
        **dict.fromkeys(
            ("acceptance_off", "acceptance_on", "alpha", "dnde_scan_values", "filter_success_nan", "n_dof", "niter"),
            "that is not kept; success and status say how each bin ended, norm_scan and stat_scan are the scan",
        ),
        "all_quantities": "available_quantities are those that are there",
        "from_stack": "LightCurveEstimator makes all time bins at once",
        "meta": "n_sigma, n_sigma_ul, n_sigma_sensitivity, sed_type_init and provenance say what gammapy has there",
        "resample_axis": "estimate with other energy_edges or time_intervals, which takes milliseconds",
        "sed_type_plot_default": "plot(sed_type=...) says what is drawn",
        "slice_by_coord": "slice_by_energy(energy_min, energy_max) and slice_by_time(time_min, time_max) cut",
        "sqrt_ts_threshold_ul": "it is an argument of plot; is_ul has 2",
    },
    "Estimator": {
        **dict.fromkeys(
            (
                "estimate_best_fit", "estimate_counts", "estimate_errn_errp", "estimate_flux_point", "estimate_npred",
                "estimate_npred_excess", "estimate_scan", "estimate_sensitivity", "estimate_time_bin_flux", "estimate_ts", "estimate_ul",
            ),
            AT_ONCE,
        ),
        **dict.fromkeys(("n_jobs", "parallel_backend"), ONE_BATCH),
        "allow_multiple_telescopes": "data sets are joined whatever their telescopes are; choose them before",
        "expand_map": "a light curve has arrays of shape (T, K)",
        "fit": "the strengths are found by Newton's method to rounding, there is no optimiser to be chosen",
        "get_scale_model": "the source is multiplied with a strength inside of run",
        "null_value": "the TS is against a strength of 0",
    },
    "EnergyAxis": {
        **_names(
            "as_plot_center as_plot_edges as_plot_labels as_plot_scale as_plot_xerr format_plot_xaxis format_plot_yaxis "
            "use_center_as_plot_labels",
            "plots label their axes themselves; edges and center have the energies",
        ),
        **_names(
            "concatenate from_bounds from_edges from_nodes from_stack from_table from_table_hdu",
            "from_energy_edges(edges) and from_energy_bounds(energy_min, energy_max, nbin) make axes",
        ),
        **_names("coord_to_idx coord_to_pix pix_to_coord pix_to_idx round wrap_coord", FIND_BIN),
        **_names("downsample group_table pad slice squash upsample", OTHER_BINS),
        **_names("assert_name copy rename", "an axis never changes; EnergyAxis(axis.edges, name=...) has another name"),
        **_names("interp node_type to_node_type", "bins lie between edges, their centres in the middle of the logarithm"),
        **_names("is_aligned is_allclose", "axes are compared with =="),
        **_names("to_header to_table to_table_hdu", WHOLE_FILES),
        "bounds": "edges[0] and edges[-1]",
        "is_energy_axis": "every axis here is one",
        "iter_by_edges": "zip(axis.edges_min, axis.edges_max)",
        "nbin_per_decade": "axis.nbin / np.log10(axis.edges[-1] / axis.edges[0])",
    },
    "EnergyMap": {
        **_names(
            "fill_by_coord fill_by_idx fill_by_pix fill_events get_by_coord get_by_idx get_by_pix get_image_by_coord get_image_by_idx "
            "get_image_by_pix interp_by_coord interp_by_pix is_mask iter_by_axis iter_by_axis_data iter_by_image iter_by_image_data "
            "iter_by_image_index meta sample_coord set_by_coord set_by_idx set_by_pix tag",
            ARRAYS,
        ),
        **_names(
            "crop downsample pad resample resample_axis slice_by_idx split_by_axis upsample", OTHER_BINS
        ),
        **_names(
            "coadd cumsum dot get_spectrum integral normalize reduce reduce_over_axes stack sum_over_axes",
            "maps add, multiply and divide, and numpy takes map.data: map.data.sum()",
        ),
        **_names("create from_geom from_stack from_table", "EnergyMap(geom, data, unit) makes one"),
        **_names("from_hdulist read to_hdulist to_table write", WHOLE_FILES),
        **_names(
            "cutout interp_to_geom mask_nearest_position plot_mask plot_region rename_axes reorder_axes reproject_by_image "
            "reproject_to_geom to_cube to_region_nd_map",
            NO_MAPS,
        ),
        **_names("plot_grid plot_interactive", "plot and plot_hist draw it"),
        "is_allclose": "np.allclose(map.data, other.data)",
        "to_unit": "map.quantity.to(unit)",
    },
    "EnergyGeom": {
        **_names(
            "binsz_wcs center_coord center_pix center_skydir contains contains_pix contains_wcs_pix create_mask crop cutout frame "
            "from_regions get_wcs_coord_and_weights is_all_point_sky_regions is_allsky is_flat is_hpx is_image is_region is_regular "
            "mask_nearest_position plot_region projection region separation solid_angle to_binsz to_binsz_wcs to_wcs_geom union wcs width",
            NO_MAPS,
        ),
        **_names("coord_to_idx coord_to_pix get_coord get_idx pix_to_coord pix_to_idx", f"geom.axis has the energies; {FIND_BIN}"),
        **_names("downsample drop pad resample_axis slice_by_idx squash to_cube to_image upsample", OTHER_BINS),
        **_names("from_hdulist to_bands_hdu to_hdulist", WHOLE_FILES),
        **_names("create", "EnergyGeom(axis) makes one"),
        **_names("bin_volume", "geom.axis.bin_width"),
        **_names("data_nbytes data_shape data_shape_axes ndim npix", "geom.axis.nbin is the number of bins"),
        **_names(
            "as_energy_true axes_names copy has_energy_axis is_allclose rename_axes replace_axis",
            "its one axis is geom.axis, with a name; geometries are compared with ==",
        ),
    },
    "EDispKernel": {
        **_names("edisp_kernel_map exposure_map", "it is of the whole spectrum; dataset.exposure has the exposure"),
        **_names(
            "cumsum data edisp_map evaluate fov_alignment has_offset_axis has_single_spatial_bin integral integrate_log_log interp_missing_data "
            "is_allclose is_pointlike normalize quantity required_arguments required_axes tag to_unit unit default_interp_kwargs interp_kwargs copy meta",
            MATRIX,
        ),
        **_names(
            "get_bias get_bias_energy get_mean get_resolution plot_bias pdf_in_safe_range peek",
            f"{MATRIX}: its moments are bias and resolution; plot_matrix draws it",
        ),
        **_names("cutout downsample mask_safe_image pad resample_energy_axis slice_by_idx stack to_image to_region_nd_map", OTHER_BINS),
        **_names(
            "from_diagonal_response from_edisp_kernel from_gauss from_geom from_table",
            "EDispKernel(axis_true, axis, pdf_matrix) makes one; data sets without edisp= have a perfect measurement",
        ),
        **_names("from_hdulist read to_hdulist to_table to_table_hdu write", WHOLE_FILES),
    },
    "GTI": {
        **_names("from_table_hdu to_table_hdu", "GTI.read(filename) and gti.write(filename) go to files, to_table() has the times"),
        "table": "to_table() is the table of the times",
        "group_table": "datasets.select_time(time_min, time_max) has the data sets of a time bin",
        "stack": "GTI.from_stack([one, other]) has the intervals of both",
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
            if hasattr(type(self), name):
                # an error from inside of a property ends here too, and is what there is to say
                return object.__getattribute__(self, name)
            hint = pointer(type(self), name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(f"{text}; {hint}" if hint else text, name=name, obj=self)
