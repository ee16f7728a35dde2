"""File formats; importing this package registers them with the data sets, the models and the results."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.io.datasets_yaml import read_datasets, write_datasets
    from gammajax.io.flux_points import read_flux_points, read_points, write_flux_points, write_points
    from gammajax.io.gadf import read_gadf, write_gadf
    from gammajax.io.gti import read_gti, write_gti
    from gammajax.io.models_files import read_models, write_models
    from gammajax.io.ogip import read_ogip, write_ogip
    from gammajax.io.results import read_result, write_result

__all__ = [
    "read_datasets",
    "read_flux_points",
    "read_gadf",
    "read_gti",
    "read_models",
    "read_ogip",
    "read_points",
    "read_result",
    "write_datasets",
    "write_flux_points",
    "write_gadf",
    "write_gti",
    "write_models",
    "write_ogip",
    "write_points",
    "write_result",
]

__getattr__, __dir__ = names_of(__name__)
