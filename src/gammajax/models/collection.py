"""An ordered collection of everything that contributes to a fit (`Models`)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gammajax.arguments import gammapy_arguments
from gammajax.closed import foreign_hint
from gammajax.errors import ModelError
from gammajax.hooks import hook, register_hook
from gammajax.models.chosen import ChosenModels
from gammajax.models.sky import FoVBackgroundModel, SkyModel
from gammajax.models.source import Source
from gammajax.models.spectral import PowerLawSpectralModel, SpectralModel
from gammajax.parameters import (
    Covariance,
    GaussianPenalty,
    JointCovariance,
    Parameter,
    Parameters,
    joint_covariance,
    keep_joint,
)

__all__ = ["Models"]


def _kinds(source: Source) -> list[str]:
    """What each parameter of a source belongs to."""
    if not isinstance(source, SkyModel | FoVBackgroundModel):
        return [source.role for _ in source.parameters]
    n = len(source.spectral_model.parameters)
    return ["spectral" if k < n else "temporal" for k in range(len(source.parameters))]


@gammapy_arguments
class Models(ChosenModels):
    """An ordered collection of sources with unique names, which grows and shrinks like a list: `append`, `remove`, ``models + source``.

    Parameters
    ----------
    models : `SkyModel`, `FoVBackgroundModel`, `SpectralModel` or iterable of them
        The sources. A bare spectral model is wrapped in a source of its own.
    penalties : list of `GaussianPenalty`, optional
        Penalties on several parameters at once; those of `models` if that is a `Models`.
    """

    _what = "model"
    _joint: JointCovariance | None

    def __init__(self, models: Any = (), penalties: Any = None) -> None:
        if isinstance(models, Source | SpectralModel):
            models = [models]
        if not isinstance(models, Iterable):
            raise ModelError(f"Models: got {models!r}, expected a SkyModel or a list of them.{foreign_hint(models)}")
        members: list[Source] = []
        for m in models:
            m = SkyModel(m) if isinstance(m, SpectralModel) else m
            if not isinstance(m, Source):
                raise ModelError(f"Models: got {m!r}, expected a SkyModel or a spectral model.{foreign_hint(m)}")
            if all(m is not other for other in members):
                members.append(m)
        names = [m.name for m in members]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(f"two different models are named {name!r}; give each model a name of its own.")
        self._members: list[Any] = members
        self._keep_covariance(None)
        self.set_penalties(getattr(models, "penalties", ()) if penalties is None else penalties)

    def _replace(self, members: list[Any]) -> None:
        super()._replace(members)
        self._keep_covariance(None)

    def _part(self, members: list[Any]) -> "Models":
        held = {id(p) for m in members for p in m.parameters}
        return Models(members, [q for q in self.penalties if all(id(p) in held for p in q.parameters)])

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
        """Covariance of all parameters, linked ones repeated; that of the errors, uncorrelated, before a fit.

        Setting it sets the errors. An error that is set afterwards counts: row and column follow it, the correlations stay. A member
        that was fitted without the others since then has its new covariance, and none with them.
        """
        return joint_covariance(self.parameters, list(self), self._joint)

    @covariance.setter
    def covariance(self, data: Any) -> None:
        self.set_covariance(np.asarray(data, dtype=float))

    def set_covariance(self, data: np.ndarray) -> None:
        """Set the full covariance, shape (n, n) over `parameters`, and the blocks of the members.

        Parameters
        ----------
        data : array, shape (n, n)
            The matrix.
        """
        # whole before anything is set
        data = Covariance(self.parameters, data).data
        at = 0
        for m in self:
            n = len(m.parameters)
            m.set_covariance(data[at : at + n, at : at + n])
            at += n
        self._keep_covariance(data)

    def _keep_covariance(self, data: np.ndarray | None) -> None:
        """The matrix, and what the members have at the same time."""
        self._joint = None if data is None else keep_joint(data, list(self))

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

    def prior_stat_sum(self, constants: bool | None = None) -> float:
        r"""-2 ln of all priors and penalties at the present values: what they add to the statistic of the data.

        Constants change no estimate. Statistics of models with other priors are compared with all of them, :math:`-2\ln` of
        the whole density; a penalty alone, as a distance in sigma, goes without.

        Parameters
        ----------
        constants : bool, optional
            True for the whole densities, False for neither. If not given as a fit has it, and gammapy: priors with their constants,
            penalties without.

        Examples
        --------
        >>> from gammajax import GaussianPrior, PowerLawSpectralModel
        >>> model = PowerLawSpectralModel(index=2.3)
        >>> model.index.prior = GaussianPrior(mu=2.0, sigma=0.1)
        >>> round(Models(model).prior_stat_sum(constants=False), 9)
        9.0
        """
        of_priors = self.parameters.prior_stat_sum(constants is not False)
        return of_priors + sum(p.stat(constants=constants is True) for p in self.penalties)

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

    def copy(self) -> "Models":
        """Independent copies of all members by the same names, with their penalties and covariance; what is linked stays linked."""
        made: dict[int, Parameter] = {}
        for p in self.parameters:
            made.setdefault(id(p), p.copy())
        for p in self.parameters:
            new = made[id(p)]
            if (root := p.follows) is not None and new.follows is None:
                # a parent that is in none of these models stays what is followed
                new.link(made.get(id(root.parent), root.parent), root.factor, root.offset)
        members = [m.with_parameters([made[id(p)] for p in m.parameters]) for m in self]
        copied = Models(members, [penalty.replace_parameters(made) for penalty in self.penalties])
        copied._joint = self._joint
        return copied

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
        new._joint = self._joint
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


def _of_one(model: Any) -> Models:
    """One source: of a spectral model, of a power law with a temporal model, or of a power law alone."""
    kind = "" if model is None else model.model_type
    spectrum = model if kind == "spectral" else PowerLawSpectralModel()
    return Models([SkyModel(spectrum, name="model", temporal_model=model if kind == "temporal" else None)])


# a single model or source is written as a collection of one
register_hook("collection of models", Models)
register_hook("collection of one", _of_one)
