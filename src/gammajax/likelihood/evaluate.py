"""What a single data set asks for: its predictions and its statistic, with the present values of its models."""

from dataclasses import replace

import jax
import numpy as np

from gammajax.compiling import compiled
from gammajax.datasets import Dataset
from gammajax.hooks import register_hook
from gammajax.likelihood.build import response_data, sources_of
from gammajax.likelihood.statistics import spread_mask
from gammajax.likelihood.steep import steep_terms, steeper, steps_at
from gammajax.likelihood.structure import DatasetStructure, ResponseData, signal
from gammajax.units import double_precision

__all__: list[str] = []

_signal_program = compiled(signal, static_argnums=(0, 3))


def _value(structure: DatasetStructure, arrays: dict, mu: jax.Array) -> tuple[jax.Array, jax.Array]:
    statistic = structure.stat
    values = [arrays[name] for name in statistic.arrays]
    return statistic.value(*values, mu), statistic.predicted(*values, mu)


_value_program = compiled(_value, static_argnums=0)


def _prepared(dataset: Dataset) -> tuple[ResponseData, DatasetStructure, np.ndarray] | None:
    sources = sources_of(dataset)
    if dataset.models is None or not [s for s in sources if s.role != "systematics"]:
        return None
    # only its own: data sets of one structure then share a program, whatever models the others have
    own = {id(p if p.follows is None else p.follows.parent) for s in sources for p in s.parameters}
    parameters = [p for p in dataset.models.parameters.unique_parameters if id(p) in own]
    theta = np.array([p.value * p.factor for p in parameters])
    response, structure = response_data(dataset, sources, {id(p): i for i, p in enumerate(parameters)})
    step = int(steps_at(steep_terms([structure], [response.rules], np.inf), theta[None])[0])
    if step:
        response = replace(response, rules=steeper(structure, response.rules, step))
    return response, structure, theta


def _part(dataset: Dataset, only: str | None) -> np.ndarray:
    """Prediction of the sources of one kind, or of all."""
    prepared = _prepared(dataset)
    if prepared is None:
        return np.zeros(len(dataset.mask_array))
    response, structure, theta = prepared
    with double_precision():
        return np.asarray(_signal_program(structure, response, theta, only))


def _flux(dataset: Dataset) -> np.ndarray:
    """Flux of all sources in each true-energy bin, cm-2 s-1, shape (n_true,)."""
    prepared = _prepared(dataset)
    folded = dataset.response_arrays()
    n = 0 if folded is None else len(folded[0])
    if prepared is None or n == 0:
        return np.zeros(n)
    response, structure, theta = prepared
    # a perfect detector
    perfect = replace(response, exposure=np.ones(n), edisp=np.eye(n))
    with double_precision():
        return np.asarray(_signal_program(replace(structure, clip=False), perfect, theta, "matrix"))


def _npred_signal(dataset: Dataset) -> np.ndarray:
    return _part(dataset, "matrix" if dataset.response_arrays() is not None else None)


def _statistic(dataset: Dataset, mu: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Statistic and expectation of each bin for a prediction; harmless numbers outside the mask."""
    prepared = _prepared(dataset)
    structure = DatasetStructure((), statistic=dataset.stat_type) if prepared is None else prepared[1]
    arrays = dict(dataset.statistic_arrays())
    if any(s.role == "background" for s in sources_of(dataset)):
        arrays["background"] = np.zeros_like(arrays["background"])
    if prepared is not None and structure.alpha is not None:
        arrays["alpha"] = arrays["alpha"] * structure.alpha_factor(prepared[2])
    statistic = structure.stat
    safe = {
        name: np.where(spread_mask(mask, arrays[name]), arrays[name], fill)
        for name, fill in zip(statistic.arrays, statistic.harmless, strict=True)
    }
    with double_precision():
        value, predicted = _value_program(
            DatasetStructure((), statistic=structure.statistic), safe, np.where(mask, mu, 0.0)
        )
        return np.asarray(value), np.asarray(predicted)


def _npred_background(dataset: Dataset) -> np.ndarray:
    if dataset.stat_type != "wstat":
        if any(s.role == "background" for s in sources_of(dataset)):
            return _part(dataset, "diagonal")
        return dataset.statistic_arrays()["background"]
    mu = _npred_signal(dataset)
    # without OFF acceptance nothing is known of the background
    known = dataset.statistic_arrays()["alpha"] > 0
    return np.where(known, _statistic(dataset, mu, known)[1] - mu, 0.0)


def _stat_array(dataset: Dataset) -> np.ndarray:
    mask = dataset.mask_array
    return np.where(mask, _statistic(dataset, _part(dataset, None), mask)[0], 0.0)


# the methods of the data sets find them there
register_hook("evaluate flux", _flux)
register_hook("evaluate npred_signal", _npred_signal)
register_hook("evaluate npred_background", _npred_background)
register_hook("evaluate stat_array", _stat_array)
