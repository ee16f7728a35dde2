"""A source as the fit sees it (`SkyModel`), and an ordered collection of sources (`Models`)."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np

from gammajax.errors import InputError, ModelError
from gammajax.models.spectral import SpectralModel
from gammajax.parameters import Covariance, Parameter, Parameters

__all__ = ["Models", "SkyModel"]

_numbers = count(1)


class SkyModel:
    """A source: a spectral model with a name.

    Parameters
    ----------
    spectral_model : `SpectralModel`
        The spectrum.
    name : str, optional
        Name, unique in a fit; made up (``"source-1"``) if not given.
    datasets_names : list of str, optional
        Names of the data sets that the source shows in; all if not given.

    Examples
    --------
    >>> from gammajax import PowerLawSpectralModel
    >>> SkyModel(spectral_model=PowerLawSpectralModel(), name="crab").parameters.unique_names
    ['crab.spectral.index', 'crab.spectral.amplitude', 'crab.spectral.reference']
    """

    def __init__(self, spectral_model: SpectralModel, name: str | None = None, datasets_names: Any = None) -> None:
        if not isinstance(spectral_model, SpectralModel):
            raise ModelError(
                f"SkyModel: got spectral_model={spectral_model!r}, expected a spectral model such as "
                "PowerLawSpectralModel()."
            )
        self.spectral_model = spectral_model
        self.name = f"source-{next(_numbers)}" if name is None else str(name)
        self.datasets_names = [datasets_names] if isinstance(datasets_names, str) else datasets_names

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names ``"<name>.spectral.<parameter>"``."""
        pars = self.spectral_model.parameters
        return Parameters(pars, [f"{self.name}.spectral.{name}" for name in self.spectral_model.parameter_names])

    @property
    def covariance(self) -> Covariance:
        """Covariance of the parameters of this source."""
        return Covariance(self.parameters, self.spectral_model.covariance.data)

    def copy(self, name: str | None = None) -> "SkyModel":
        """Return an independent copy with a new name."""
        return SkyModel(self.spectral_model.copy(), name, self.datasets_names)

    def shows_in(self, dataset_name: str) -> bool:
        """Whether the source contributes to the data set of that name."""
        return self.datasets_names is None or dataset_name in self.datasets_names

    def __repr__(self) -> str:
        return f"SkyModel({self.spectral_model!r}, name={self.name!r})"

    def __str__(self) -> str:
        return f"SkyModel: {self.name}\n\n{self.spectral_model}"


class Models:
    """An ordered collection of sources with unique names.

    Parameters
    ----------
    models : `SkyModel`, `SpectralModel` or iterable of them
        The sources. A bare spectral model is wrapped in a source of its own.
    """

    def __init__(self, models: Any = ()) -> None:
        if isinstance(models, SkyModel | SpectralModel):
            models = [models]
        if not isinstance(models, Iterable):
            raise ModelError(f"Models: got {models!r}, expected a SkyModel or a list of them.")
        members: list[SkyModel] = []
        for m in models:
            m = SkyModel(m) if isinstance(m, SpectralModel) else m
            if not isinstance(m, SkyModel):
                raise ModelError(f"Models: got {m!r}, expected a SkyModel or a spectral model.")
            if all(m is not other for other in members):
                members.append(m)
        names = [m.name for m in members]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(f"two different models are named {name!r}; give each model a name of its own.")
        self._models: list[SkyModel] = members
        self._covariance: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._models)

    def __iter__(self) -> Iterator[SkyModel]:
        return iter(self._models)

    def __getitem__(self, key: int | str) -> SkyModel:
        if isinstance(key, str):
            for m in self:
                if m.name == key:
                    return m
            raise InputError(f"no model named {key!r}; the names are: {', '.join(self.names) or 'none'}.")
        return self._models[key]

    @property
    def names(self) -> list[str]:
        """Names of the sources."""
        return [m.name for m in self]

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names, linked ones at each of their places."""
        total = Parameters([])
        for m in self:
            total = total + m.parameters
        return total

    @property
    def parameters_unique_names(self) -> list[str]:
        """Unique names of all parameters, such as ``"crab.spectral.alpha"``."""
        return self.parameters.unique_names

    @property
    def covariance(self) -> Covariance:
        """Covariance of all parameters, linked ones repeated; zeros before a fit."""
        parameters = self.parameters
        if self._covariance is not None and len(self._covariance) == len(parameters):
            return Covariance(parameters, self._covariance)
        data = np.zeros((len(parameters),) * 2)
        at = 0
        for m in self:
            n = len(m.parameters)
            data[at : at + n, at : at + n] = m.covariance.data
            at += n
        return Covariance(parameters, data)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the full covariance, shape (n, n) over `parameters`, and the blocks of the members."""
        data = np.array(data, dtype=float)
        at = 0
        for m in self:
            n = len(m.parameters)
            m.spectral_model.covariance = data[at : at + n, at : at + n]
            at += n
        self._covariance = data

    def snapshot(self) -> "Models":
        """Return a copy whose parameters are read-only and remember their unique names; links are kept."""
        made: dict[int, Parameter] = {}
        members = []
        for m in self:
            pars = m.parameters
            for p, name in zip(pars, pars.unique_names, strict=True):
                if id(p) not in made:
                    made[id(p)] = p.snapshot(name)
            members.append(SkyModel(m.spectral_model.copy([made[id(p)] for p in pars]), m.name, m.datasets_names))
        new = Models(members)
        new._covariance = self._covariance
        return new

    def to_parameters_table(self) -> Any:
        """Return an astropy Table of all parameters with model name and type."""
        from astropy.table import Column

        table = self.parameters.to_table()
        names = [n.rpartition(".spectral.")[0] for n in self.parameters_unique_names]
        table.add_column(Column(names, name="model"), index=0)
        table.add_column(Column(["spectral"] * len(names), name="type"), index=1)
        return table

    def __repr__(self) -> str:
        return f"Models({', '.join(self.names)})"

    def __str__(self) -> str:
        return "\n\n".join(str(m) for m in self)

    def _repr_html_(self) -> str:
        return self.to_parameters_table()._repr_html_()
