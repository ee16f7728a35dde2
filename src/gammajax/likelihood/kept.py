"""The likelihood of the last call, used again as long as nothing has changed that it was made from.

Whatever a likelihood depends on can be changed in place between two calls, counts included, so all of it is compared
each time: objects by identity, arrays byte by byte. That takes a third of what making a likelihood takes.
"""

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

import numpy as np

from gammajax.datasets import Datasets
from gammajax.likelihood.core import Likelihood
from gammajax.models import SkyModel

__all__ = ["likelihood_of"]


class _Made(NamedTuple):
    """A likelihood and what it was made from.

    Attributes
    ----------
    likelihood : `Likelihood`
        The likelihood.
    others : tuple of weak reference
        Its data sets.
    objects : list
        Compared by identity; they are kept alive, so that no other object can take the place of one.
    contents : list
        Compared by value: names, and arrays as bytes.
    numbers : list
        Values, limits and errors of the parameters, and which are frozen.
    """

    likelihood: Likelihood
    others: tuple[ref, ...]
    objects: list
    contents: list
    numbers: list


# by the first data set
_made: WeakKeyDictionary = WeakKeyDictionary()


def likelihood_of(datasets: Datasets) -> Likelihood:
    """The likelihood of some data sets with their present values: the one made before if that would be the same.

    Parameters
    ----------
    datasets : `Datasets`
        Data sets with their models set.
    """
    found = _state(datasets)
    if found is None:
        return Likelihood(datasets)
    objects, contents, numbers = found
    first, known = datasets[0], _made.get(datasets[0])
    if known is not None and _same_datasets(known.others, datasets) and _same(known, objects, contents):
        models = datasets.models
        if known.numbers == numbers and known.likelihood.models is models:
            return known.likelihood
        likelihood = known.likelihood.renewed(models)
    else:
        likelihood = Likelihood(datasets)
    _made[first] = _Made(likelihood, tuple(ref(d) for d in datasets), objects, contents, numbers)
    return likelihood


def _same_datasets(known: tuple[ref, ...], datasets: Datasets) -> bool:
    return len(known) == len(datasets) and all(k() is d for k, d in zip(known, datasets, strict=True))


def _same(known: _Made, objects: list, contents: list) -> bool:
    return (
        len(known.objects) == len(objects)
        and all(a is b for a, b in zip(known.objects, objects, strict=True))
        and known.contents == contents
    )


def _state(datasets: Datasets) -> tuple[list, list, list] | None:
    """All that a likelihood is made from; None where it is not worth keeping: priors, penalties, other kinds of sources."""
    objects: list = []
    contents: list = []
    numbers: list = []
    seen: set[int] = set()
    for d in datasets:
        models = d.models
        if models is None or models.penalties:
            return None
        objects.append(models)
        contents += [d.name, d.stat_type, d.compatibility, d.energy_power]
        contents += map(_bytes, (*d.statistic_arrays().values(), d.mask_array, *(d.response_arrays() or (d.points(),))))
        known = d.background_array()
        contents.append(None if known is None else _bytes(known))
        contents.append(None if d.gti is None else _bytes(d.gti.mjd("tt")))
        if id(models) in seen:
            continue
        seen.add(id(models))
        for m in models:
            if type(m) is not SkyModel or not _add(m, objects, contents, numbers):
                return None
    return (objects, contents, numbers) if objects else None


def _add(source: SkyModel, objects: list, contents: list, numbers: list) -> bool:
    """What matters of a source; False if there is a prior, or a link that leads elsewhere."""
    spectral, temporal = source.spectral_model, source.temporal_model
    objects += [source, spectral, spectral.form, temporal, source.temporal_form]
    contents += [
        source.time_scale,
        source.name,
        None if source.datasets_names is None else tuple(source.datasets_names),
    ]
    for p in source.parameters:
        if p.prior is not None or p.follows is not None:
            return False
        objects += [p, p.unit, p.internal_unit]
        contents.append(p.name)
        # a limit that is not there is nan, and nan is not nan
        numbers += [p.value, *p.bounds, p.error, p.frozen]
    return True


def _bytes(array: np.ndarray) -> tuple[Any, ...]:
    """An array as something that is compared fast; equal bytes are equal numbers, nan included."""
    return array.shape, array.dtype, array.tobytes()
