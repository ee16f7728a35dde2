"""Parts of a collection of models, and what is done to all of a part."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from gammajax.errors import InputError
from gammajax.models.source import Source
from gammajax.parameters import Covariance, Parameters, SampledParameters
from gammajax.sequence import NamedSequence

__all__ = ["ChosenModels"]


class ChosenModels(SampledParameters, NamedSequence):
    """What `Models` does to some or all of its members, by gammapy's names."""

    @property
    def parameters(self) -> Parameters:
        """All parameters."""
        raise NotImplementedError

    @property
    def covariance(self) -> Covariance:
        """Covariance of all parameters."""
        raise NotImplementedError

    def select(
        self,
        name_substring: str | None = None,
        datasets_names: Any = None,
        tag: Any = None,
        model_type: str | None = None,
        frozen: bool | None = None,
    ) -> Self:
        """The members that fit all that is given.

        Parameters
        ----------
        name_substring : str, optional
            Part of the name.
        datasets_names : str or list of str, optional
            Data sets, in one of which the member shows.
        tag : str or list of str, optional
            Class name or short tag, of the member or, with a `model_type`, of its model of that type.
        model_type : {"spectral", "temporal"}, optional
            What `tag` is that of.
        frozen : bool, optional
            Whether all parameters are frozen.
        """
        mask = self.selection_mask(name_substring, datasets_names, tag, model_type, frozen)
        return self._part([m for m, fits in zip(self, mask, strict=True) if fits])

    def selection_mask(
        self,
        name_substring: str | None = None,
        datasets_names: Any = None,
        tag: Any = None,
        model_type: str | None = None,
        frozen: bool | None = None,
    ) -> np.ndarray:
        """Which members fit all that is given, as in `select`; shape (n,).

        Parameters
        ----------
        name_substring : str, optional
            Part of the name.
        datasets_names : str or list of str, optional
            Data sets, in one of which the member shows.
        tag : str or list of str, optional
            Class name or short tag.
        model_type : {"spectral", "temporal"}, optional
            What `tag` is that of.
        frozen : bool, optional
            Whether all parameters are frozen.
        """
        tags, names = ([v] if isinstance(v, str) else v for v in (tag, datasets_names))
        fits = [
            (name_substring is None or name_substring in m.name)
            and (names is None or any(m.shows_in(n) for n in names))
            and (tags is None or any(t in _tags(m, model_type) for t in tags))
            and (frozen is None or m.frozen == frozen)
            for m in self
        ]
        return np.array(fits, dtype=bool)

    def reassign(self, dataset_name: Any, new_dataset_name: Any) -> Self:
        """Copies of all members by the same names, which show in other data sets; what is linked stays linked.

        Parameters
        ----------
        dataset_name : str or list of str
            Data sets that they show in now.
        new_dataset_name : str or list of str
            As many, to be there in their places.
        """
        copied = self.copy()
        for m in copied:
            m.datasets_names = m.reassign(dataset_name, new_dataset_name).datasets_names
        return copied

    def set_prior(self, parameters: Any, priors: Any) -> None:
        """Set priors of several parameters.

        Parameters
        ----------
        parameters : iterable of `Parameter` or str
            Parameters, or their names.
        priors : iterable of `Prior`
            As many.
        """
        found, given = [self.parameters[p] for p in parameters], list(priors)
        if len(found) != len(given):
            raise InputError(f"set_prior: got {len(found)} parameters and {len(given)} priors, expected as many.")
        for p, prior in zip(found, given, strict=True):
            p.prior = prior

    def copy(self) -> Any:
        """Independent copies of all members."""
        raise NotImplementedError

    @property
    def frozen(self) -> bool:
        """Whether all parameters are frozen."""
        return all(m.frozen for m in self)

    def freeze(self, model_type: str | None = None) -> None:
        """Freeze all parameters.

        Parameters
        ----------
        model_type : {None, "spectral", "temporal"}
            Those of the spectra or of the variation in time alone.
        """
        for m in self:
            m.freeze(model_type)

    def unfreeze(self, model_type: str | None = None) -> None:
        """Free all parameters but those that are frozen by default, such as reference energies.

        Parameters
        ----------
        model_type : {None, "spectral", "temporal"}
            Those of the spectra or of the variation in time alone.
        """
        for m in self:
            m.unfreeze(model_type)

    def set_parameters_bounds(
        self,
        tag: Any,
        model_type: str,
        parameters_names: Any = None,
        min: float | None = None,
        max: float | None = None,
        value: float | None = None,
    ) -> None:
        """Set limits and values of the parameters of all models of one kind.

        Parameters
        ----------
        tag : str or list of str
            Class name or short tag, such as ``"pl"``.
        model_type : {"spectral", "temporal"}
            Type of the models.
        parameters_names : str or list of str, optional
            Names of parameters; all if not given.
        min, max, value : float, optional
            Limits and value, in the unit of each parameter; those not given stay.

        Raises
        ------
        InputError
            If there is no such parameter.
        """
        chosen = self.select(tag=tag, model_type=model_type).parameters.select(parameters_names, model_type)
        if not len(chosen):
            raise InputError(
                f"set_parameters_bounds: no parameter {parameters_names or ''} of {model_type} models tagged {tag!r}; there are: "
                f"{', '.join(self.parameters.unique_names) or 'none'}."
            )
        for p in chosen:
            for name, number in (("min", min), ("max", max), ("value", value)):
                if number is not None:
                    setattr(p, name, number)

    @contextmanager
    def restore_status(self, restore_values: bool = True) -> Iterator[None]:
        """Context in which parameters may be frozen and changed, by a fit as well; at its end they are as they were.

        Parameters
        ----------
        restore_values : bool
            Whether values, errors and covariance are put back too, and not only which are frozen.
        """
        covariance = self.covariance.data
        try:
            with self.parameters.restore_status(restore_values):
                yield
        finally:
            if restore_values:
                self.set_covariance(covariance)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance of all parameters.

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix.
        """
        raise NotImplementedError


def _tags(source: Source, model_type: str | None) -> list[str]:
    """Names of the class of a source, or of its model of a type."""
    if model_type is None:
        return [
            type(source).__name__,
            {"SkyModel": "sky-model", "FoVBackgroundModel": "fov-bkg"}.get(type(source).__name__, ""),
        ]
    return [t for m in source.models_of(model_type) for t in (type(m).__name__, *np.atleast_1d(m.tag))]
