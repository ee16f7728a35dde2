"""A source as the fit sees it (`SkyModel`), a background, and an ordered collection of all (`Models`)."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.errors import InputError, ModelError, UnitError
from gammajax.hooks import hook
from gammajax.models.integrate import SpectralForm
from gammajax.models.source import Source
from gammajax.models.spectral import SpectralModel
from gammajax.models.temporal import TemporalForm, TemporalModel
from gammajax.parameters import Covariance, GaussianPenalty, Parameter, Parameters

__all__ = ["FoVBackgroundModel", "Models", "SkyModel"]


class _WithSpectrum(Source):
    """A source whose mathematics is a spectral model."""

    spectral_model: SpectralModel

    @property
    def form(self) -> SpectralForm:
        """That of the spectral model."""
        return self.spectral_model.form

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names ``"<name>.spectral.<parameter>"``."""
        pars = self.spectral_model.parameters
        return Parameters(pars, [f"{self.name}.spectral.{name}" for name in self.spectral_model.parameter_names])

    @property
    def covariance(self) -> Covariance:
        """Covariance of the parameters of this source; zeros before a fit."""
        return Covariance(self.parameters, self.spectral_model.covariance.data)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance of its own parameters, shape (n, n).

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix, in the units of the parameters.
        """
        self.spectral_model.covariance = data

    def with_parameters(self, parameters: Sequence[Parameter]) -> Any:
        """Return a copy of the same name that holds other parameter objects, in the same order.

        Parameters
        ----------
        parameters : list of `Parameter`
            As many as it has, in the same order.
        """
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__ | {"spectral_model": self.spectral_model.copy(list(parameters))})
        return new

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.name}\n\n{self.spectral_model}"


class SkyModel(_WithSpectrum):
    """A source: a spectral model with a name, and a temporal model if it varies.

    Parameters
    ----------
    spectral_model : `SpectralModel`
        The spectrum.
    name : str, optional
        Name, unique in a fit; made up (``"source-1"``) if not given.
    datasets_names : list of str, optional
        Names of the data sets that the source shows in; all if not given.
    temporal_model : `TemporalModel`, optional
        A factor on the spectrum: each data set sees its mean over the good time intervals.

    Examples
    --------
    >>> from gammajax import PowerLawSpectralModel
    >>> SkyModel(spectral_model=PowerLawSpectralModel(), name="crab").parameters.unique_names
    ['crab.spectral.index', 'crab.spectral.amplitude', 'crab.spectral.reference']
    """

    temporal_model: TemporalModel | None
    _covariance: np.ndarray | None = None

    def __init__(
        self,
        spectral_model: SpectralModel,
        name: str | None = None,
        datasets_names: Any = None,
        temporal_model: Any = None,
    ) -> None:
        if not isinstance(spectral_model, SpectralModel):
            raise ModelError(
                f"SkyModel: got spectral_model={spectral_model!r}, expected a spectral model such as "
                "PowerLawSpectralModel()."
            )
        if temporal_model is not None and not isinstance(temporal_model, TemporalModel):
            raise ModelError(
                f"SkyModel: got temporal_model={temporal_model!r}, expected a temporal model such as GaussianTemporalModel()."
            )
        super().__init__(name, datasets_names)
        self.spectral_model = spectral_model
        self.temporal_model = temporal_model

    @property
    def temporal_form(self) -> TemporalForm | None:
        """Mathematics of the temporal model; its parameters follow those of the spectrum."""
        return None if self.temporal_model is None else self.temporal_model.form

    @property
    def time_scale(self) -> str:
        """Scale in which its times are counted."""
        return "utc" if self.temporal_model is None else self.temporal_model.scale

    def check_times(self, times: np.ndarray) -> None:
        """Say or refuse what its variation in time cannot describe.

        Parameters
        ----------
        times : array, shape (4, n)
            Begin and end of each interval, days and parts of days, as `GTI.mjd` has them.
        """
        if self.temporal_model is not None:
            self.temporal_model.check_times(times)

    @property
    def parameters(self) -> Parameters:
        """All parameters with their unique names ``"<name>.spectral.<parameter>"`` and ``"<name>.temporal.<parameter>"``."""
        own = super().parameters
        if self.temporal_model is None:
            return own
        names = [f"{self.name}.temporal.{name}" for name in self.temporal_model.parameter_names]
        return own + Parameters(self.temporal_model.parameters, names)

    @property
    def covariance(self) -> Covariance:
        """Covariance of the parameters of this source; zeros before a fit."""
        if self.temporal_model is None or not len(self.temporal_model.parameters):
            return super().covariance
        if self._covariance is not None:
            return Covariance(self.parameters, self._covariance)
        n, total = len(self.spectral_model.parameters), len(self.parameters)
        data = np.zeros((total, total))
        data[:n, :n] = self.spectral_model.covariance.data
        data[n:, n:] = self.temporal_model.covariance.data
        return Covariance(self.parameters, data)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance of its own parameters, and the blocks of its models.

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix, in the units of the parameters.
        """
        n = len(self.spectral_model.parameters)
        super().set_covariance(data[:n, :n])
        if self.temporal_model is not None and len(self.temporal_model.parameters):
            self.temporal_model.covariance = data[n:, n:]
            self._covariance = np.array(data)

    def with_parameters(self, parameters: Sequence[Parameter]) -> "SkyModel":
        """Return a copy of the same name that holds other parameter objects, in the same order.

        Parameters
        ----------
        parameters : list of `Parameter`
            As many as it has, in the same order.
        """
        n = len(self.spectral_model.parameters)
        new: Any = super().with_parameters(list(parameters)[:n])
        if self.temporal_model is not None:
            new.temporal_model = self.temporal_model.copy(list(parameters)[n:])
        return new

    def copy(self, name: str | None = None) -> "SkyModel":
        """Return an independent copy with a new name.

        Parameters
        ----------
        name : str, optional
            Name of the copy; a new one if not given.
        """
        temporal = None if self.temporal_model is None else self.temporal_model.copy()
        new = SkyModel(self.spectral_model.copy(), name, self.datasets_names, temporal)
        new._kept = self._kept
        return new

    def __repr__(self) -> str:
        temporal = "" if self.temporal_model is None else f", temporal_model={self.temporal_model!r}"
        return f"SkyModel({self.spectral_model!r}, name={self.name!r}{temporal})"

    def __str__(self) -> str:
        return super().__str__() if self.temporal_model is None else f"{super().__str__()}\n\n{self.temporal_model}"


class FoVBackgroundModel(_WithSpectrum):
    r"""Scales the known background of one data set, bin by bin, with a norm model evaluated at the bin centres.

    Parameters
    ----------
    dataset_name : str
        The data set.
    spectral_model : `SpectralModel`, optional
        A model without unit; `PowerLawNormSpectralModel` if not given: :math:`norm\,(E/E_0)^{-tilt}`.
    name : str, optional
        ``"<dataset_name>-bkg"`` if not given.

    Examples
    --------
    >>> FoVBackgroundModel("hess").parameters.free_parameters.unique_names
    ['hess-bkg.spectral.norm']
    """

    role = "background"

    def __init__(self, dataset_name: str, spectral_model: SpectralModel | None = None, name: str | None = None) -> None:
        if spectral_model is None:
            from gammajax.models.spectral import PowerLawNormSpectralModel

            spectral_model = PowerLawNormSpectralModel()
        if not isinstance(spectral_model, SpectralModel):
            raise ModelError(f"FoVBackgroundModel: got spectral_model={spectral_model!r}, expected a norm model.")
        linear = [getattr(spectral_model, n) for n in spectral_model.form.linear]
        if any(not p.unit.is_equivalent(u.dimensionless_unscaled) for p in linear):
            raise UnitError(
                f"FoVBackgroundModel: {type(spectral_model).__name__} has the unit {linear[0].unit.to_string()!r}; a "
                "background is scaled with a model without unit, such as PowerLawNormSpectralModel()."
            )
        super().__init__(f"{dataset_name}-bkg" if name is None else name, [str(dataset_name)])
        self.spectral_model = spectral_model

    def __repr__(self) -> str:
        return f"FoVBackgroundModel({self.datasets_names}, {self.spectral_model!r}, name={self.name!r})"


def _kinds(source: Source) -> list[str]:
    """What each parameter of a source belongs to."""
    if not isinstance(source, _WithSpectrum):
        return [source.role for _ in source.parameters]
    n = len(source.spectral_model.parameters)
    return ["spectral" if k < n else "temporal" for k in range(len(source.parameters))]


class Models:
    """An ordered collection of sources with unique names.

    Parameters
    ----------
    models : `SkyModel`, `FoVBackgroundModel`, `SpectralModel` or iterable of them
        The sources. A bare spectral model is wrapped in a source of its own.
    penalties : list of `GaussianPenalty`, optional
        Penalties on several parameters at once; those of `models` if that is a `Models`.
    """

    def __init__(self, models: Any = (), penalties: Any = None) -> None:
        if isinstance(models, Source | SpectralModel):
            models = [models]
        if not isinstance(models, Iterable):
            raise ModelError(f"Models: got {models!r}, expected a SkyModel or a list of them.")
        members: list[Source] = []
        for m in models:
            m = SkyModel(m) if isinstance(m, SpectralModel) else m
            if not isinstance(m, Source):
                raise ModelError(f"Models: got {m!r}, expected a SkyModel or a spectral model.")
            if all(m is not other for other in members):
                members.append(m)
        names = [m.name for m in members]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(f"two different models are named {name!r}; give each model a name of its own.")
        self._models: list[Source] = members
        self._covariance: np.ndarray | None = None
        self.set_penalties(getattr(models, "penalties", ()) if penalties is None else penalties)

    def __len__(self) -> int:
        return len(self._models)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._models)

    def __getitem__(self, key: int | str) -> Any:
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
        """Set the full covariance, shape (n, n) over `parameters`, and the blocks of the members.

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix.
        """
        data = np.array(data, dtype=float)
        at = 0
        for m in self:
            n = len(m.parameters)
            m.set_covariance(data[at : at + n, at : at + n])
            at += n
        self._covariance = data

    def set_penalties(self, penalties: Any) -> None:
        """Set the penalties on several parameters: a `GaussianPenalty`, a list of them, or an empty list for none.

        Parameters
        ----------
        penalties : `GaussianPenalty` or list of them
            The penalties.
        """
        members = [penalties] if isinstance(penalties, GaussianPenalty) else list(penalties or [])
        for p in members:
            if not isinstance(p, GaussianPenalty):
                raise ModelError(f"set_penalties: got {p!r}, expected GaussianPenalty.")
        self.penalties: tuple[GaussianPenalty, ...] = tuple(members)

    # -- files ---------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str | Path, checksum: bool | None = None) -> "Models":
        """Read a model file of gammapy or of gammajax; see `gammajax.io.read_models`.

        Parameters
        ----------
        path : str or path
            The file.
        checksum : bool, optional
            A checksum in the file is compared, and a warning says where it does not fit; True warns also where it is missing, False
            does not compare.
        """
        return hook("read models")(path, checksum=checksum)

    def write(
        self,
        path: str | Path,
        overwrite: bool = False,
        full_output: bool = False,
        write_covariance: bool = True,
        checksum: bool = False,
    ) -> None:
        """Write a model file that gammapy and gammajax read; see `gammajax.io.write_models`.

        Parameters
        ----------
        path : str or path
            The file.
        overwrite : bool
            Whether to replace what is there.
        full_output : bool
            Whether parameters at their defaults are written out as well.
        write_covariance : bool
            Whether to write the covariance of the models beside.
        checksum : bool
            Whether to append gammapy's checksum.
        """
        hook("write models")(self, path, overwrite, full_output, write_covariance, checksum)

    @classmethod
    def from_yaml(cls, text: str, checksum: bool | None = None) -> "Models":
        """Build models from the text of a model file that names no further file.

        Parameters
        ----------
        text : str
            YAML.
        checksum : bool, optional
            As in `read`.
        """
        return hook("models from yaml")(text, checksum=checksum)

    def to_yaml(self, full_output: bool = False) -> str:
        """Text of a model file, without covariance.

        Parameters
        ----------
        full_output : bool
            Whether parameters at their defaults are written out as well.
        """
        return hook("models to yaml")(self, full_output)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Models":
        """Build models from plain values, as `to_dict` makes them.

        Parameters
        ----------
        data : dict
            Plain values.
        """
        return hook("models from dict")(data)

    def to_dict(self, full_output: bool = False) -> dict[str, Any]:
        """Return the models as plain values by gammapy's names, without covariance.

        Parameters
        ----------
        full_output : bool
            Whether parameters at their defaults are written out as well.
        """
        return hook("models to dict")(self, full_output)

    def snapshot(self) -> "Models":
        """Return a copy whose parameters are read-only and remember their unique names; links are kept."""
        made: dict[int, Parameter] = {}
        pars = self.parameters
        # what others follow comes first
        for p, name in sorted(zip(pars, pars.unique_names, strict=True), key=lambda pair: pair[0].follows is not None):
            if id(p) not in made:
                made[id(p)] = p.snapshot(name, made)
        members = [m.with_parameters([made[id(p)] for p in m.parameters]) for m in self]
        new = Models(members, [penalty.replace_parameters(made) for penalty in self.penalties])
        new._covariance = self._covariance
        return new

    def to_parameters_table(self) -> Any:
        """Return an astropy Table of all parameters with model name and type."""
        from astropy.table import Column

        table = self.parameters.to_table()
        kinds = [(m.name, kind) for m in self for kind in _kinds(m)]
        table.add_column(Column([name for name, _ in kinds], name="model", dtype=str), index=0)
        table.add_column(Column([kind for _, kind in kinds], name="type", dtype=str), index=1)
        return table

    def __repr__(self) -> str:
        return f"Models({', '.join(self.names)})"

    def __str__(self) -> str:
        return "\n\n".join(str(m) for m in self)

    def _repr_html_(self) -> str:
        return self.to_parameters_table()._repr_html_()
