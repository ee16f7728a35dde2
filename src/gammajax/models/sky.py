"""A source as the fit sees it (`SkyModel`), and a background (`FoVBackgroundModel`)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.closed import foreign_hint
from gammajax.errors import ModelError, UnitError
from gammajax.models.integrate import SpectralForm
from gammajax.models.registry import spectral_model_class
from gammajax.models.source import Source
from gammajax.models.spectral import SpectralModel
from gammajax.models.temporal import TemporalForm, TemporalModel, temporal_model_class
from gammajax.parameters import Covariance, JointCovariance, Parameter, Parameters, joint_covariance, keep_joint

__all__ = ["FoVBackgroundModel", "SkyModel"]


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
        """Covariance of the parameters of this source; that of the errors, uncorrelated, before a fit."""
        return Covariance(self.parameters, self.spectral_model.covariance.data)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance of its own parameters, shape (n, n).

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix, in the units of the parameters.
        """
        self.spectral_model.covariance = data

    @property
    def covariance_state(self) -> tuple[Any, ...]:
        """What was set: tells whether the source was fitted since."""
        return self.spectral_model.covariance_state

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


@gammapy_arguments
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
    spatial_model : None
        gammapy's; only None, for there are no spatial models here.

    Examples
    --------
    >>> from gammajax import PowerLawSpectralModel
    >>> SkyModel(spectral_model=PowerLawSpectralModel(), name="crab").parameters.unique_names
    ['crab.spectral.index', 'crab.spectral.amplitude', 'crab.spectral.reference']
    """

    temporal_model: TemporalModel | None
    _joint: JointCovariance | None = None

    def __init__(
        self,
        spectral_model: SpectralModel,
        name: str | None = None,
        datasets_names: Any = None,
        temporal_model: Any = None,
        *,
        spatial_model: Any = None,
    ) -> None:
        if spatial_model is not None:
            raise ModelError(
                f"SkyModel: got spatial_model={spatial_model!r}; there are no spatial models here. Spectra of one region are fitted without "
                "one: leave it out."
            )
        if not isinstance(spectral_model, SpectralModel):
            raise ModelError(
                f"SkyModel: got spectral_model={spectral_model!r}, expected a spectral model such as "
                f"PowerLawSpectralModel().{foreign_hint(spectral_model)}"
            )
        if temporal_model is not None and not isinstance(temporal_model, TemporalModel):
            raise ModelError(
                f"SkyModel: got temporal_model={temporal_model!r}, expected a temporal model such as GaussianTemporalModel()."
            )
        super().__init__(name, datasets_names)
        self.spectral_model = spectral_model
        self.temporal_model = temporal_model

    @classmethod
    def create(
        cls, spectral_model: str, spatial_model: None = None, temporal_model: str | None = None, **kwargs: Any
    ) -> "SkyModel":
        """Build a source from the tags of its models.

        Parameters
        ----------
        spectral_model : str
            Tag or class name, such as ``"pl"``.
        spatial_model : None
            gammapy's; only None.
        temporal_model : str, optional
            Tag or class name, such as ``"const"``.
        **kwargs
            To `SkyModel`: ``name``, ``datasets_names``.

        Examples
        --------
        >>> SkyModel.create("pl", name="crab").parameters.names
        ['index', 'amplitude', 'reference']
        """
        spectrum = spectral_model_class(spectral_model)()
        temporal = None if temporal_model is None else temporal_model_class(temporal_model)()
        return cls(spectrum, temporal_model=temporal, spatial_model=spatial_model, **kwargs)

    @property
    def spatial_model(self) -> None:
        """None: there are no spatial models here."""
        return None

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
        """Covariance of the parameters of this source; that of the errors, uncorrelated, before a fit."""
        if self.temporal_model is None or not len(self.temporal_model.parameters):
            return super().covariance
        return joint_covariance(self.parameters, (self.spectral_model, self.temporal_model), self._joint)

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the covariance of its own parameters, and the blocks of its models.

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix, in the units of the parameters.
        """
        # whole before anything is set
        data = Covariance(self.parameters, data).data
        n = len(self.spectral_model.parameters)
        super().set_covariance(data[:n, :n])
        if self.temporal_model is not None and len(self.temporal_model.parameters):
            self.temporal_model.covariance = data[n:, n:]
            self._joint = keep_joint(data, (self.spectral_model, self.temporal_model))

    @property
    def covariance_state(self) -> tuple[Any, ...]:
        """What was set, for spectrum and variation in time together and for each."""
        own = None if self._joint is None else self._joint.matrix
        temporal = () if self.temporal_model is None else self.temporal_model.covariance_state
        return (own, *self.spectral_model.covariance_state, *temporal)

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
        new._kept, new._joint = self._kept, self._joint
        return new

    def __repr__(self) -> str:
        temporal = "" if self.temporal_model is None else f", temporal_model={self.temporal_model!r}"
        return f"SkyModel({self.spectral_model!r}, name={self.name!r}{temporal})"

    def __str__(self) -> str:
        return super().__str__() if self.temporal_model is None else f"{super().__str__()}\n\n{self.temporal_model}"


@gammapy_arguments
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
        pairs = zip(spectral_model.form.names, spectral_model.parameters, strict=True)
        linear = [p for n, p in pairs if n in spectral_model.form.linear]
        if any(not p.unit.is_equivalent(u.dimensionless_unscaled) for p in linear):
            raise UnitError(
                f"FoVBackgroundModel: {type(spectral_model).__name__} has the unit {linear[0].unit.to_string()!r}; a "
                "background is scaled with a model without unit, such as PowerLawNormSpectralModel()."
            )
        super().__init__(f"{dataset_name}-bkg" if name is None else name, [str(dataset_name)])
        self.spectral_model = spectral_model

    def copy(self, name: str | None = None) -> "FoVBackgroundModel":
        """Return an independent copy for the same data set.

        Parameters
        ----------
        name : str, optional
            Name of the copy; ``"<dataset_name>-bkg"`` if not given.
        """
        assert self.datasets_names is not None
        return FoVBackgroundModel(self.datasets_names[0], self.spectral_model.copy(), name)

    def reset_to_default(self) -> None:
        """Set the parameters to the values that its norm model begins with; those that are linked stay.

        Raises
        ------
        ModelError
            If its norm model is made of others, which have no values to begin with.
        """
        if not self.spectral_model.declared:
            raise ModelError(
                f"reset_to_default: {type(self.spectral_model).__name__} has no values to begin with; set those of its parameters."
            )
        for d in self.spectral_model.declared:
            p = getattr(self.spectral_model, d.name)
            if p.follows is None:
                p.quantity = u.Quantity(d.value, d.unit)

    def __repr__(self) -> str:
        return f"FoVBackgroundModel({self.datasets_names}, {self.spectral_model!r}, name={self.name!r})"
