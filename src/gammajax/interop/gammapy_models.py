"""gammapy's spectral models as ours: same classes, values, limits, links and priors."""

from collections import Counter
from typing import Any

import numpy as np

from gammajax.errors import InputError, ModelError
from gammajax.models import (
    CompoundSpectralModel,
    EBLAbsorptionNormSpectralModel,
    FoVBackgroundModel,
    LightCurveTemplateTemporalModel,
    Models,
    PiecewiseNormSpectralModel,
    ScaleSpectralModel,
    SkyModel,
    SpectralModel,
    TemplatePhaseCurveTemporalModel,
    TemplateSpectralModel,
    TemporalModel,
    spectral_model_class,
    temporal_model_class,
)
from gammajax.parameters import GaussianPenalty, Parameter, SamplesKDEPrior, prior_classes

__all__ = ["Converted", "convert_models"]


# how gammapy interpolates the values of a template
SCALES = {"LogScale": "log", "LinearScale": "lin"}


class Converted:
    """Our models, and which of gammapy's parameters each of our parameters came from."""

    def __init__(self, times: dict[int, int] | None = None) -> None:
        # how often the prior of a parameter counts, by the identity of gammapy's object; once if not given
        self._times = times or {}
        # by the identity of gammapy's object: a parameter that two models share is shared here as well
        self._made: dict[int, Parameter] = {}
        self.pairs: list[tuple[Any, Parameter]] = []
        self.models = Models()

    def parameter(self, theirs: Any) -> Parameter:
        """Our parameter for one of gammapy's; the same for the same."""
        if id(theirs) not in self._made:
            ours = Parameter(
                theirs.name, float(theirs.value), theirs.unit, min=theirs.min, max=theirs.max, frozen=bool(theirs.frozen),
                error=float(theirs.error), scan_min=theirs._scan_min, scan_max=theirs._scan_max,
                scan_n_values=theirs.scan_n_values, scan_n_sigma=theirs.scan_n_sigma, interp=theirs.interp,
                prior=None if theirs.prior is None else _prior(theirs, self._times.get(id(theirs), 1)),
            )  # fmt: skip
            if theirs._scan_values is not None:
                ours.scan_values = theirs._scan_values
            self._made[id(theirs)] = ours
            self.pairs.append((theirs, ours))
        return self._made[id(theirs)]

    def refresh(self) -> None:
        """Take over the present values, limits, errors and frozen flags of gammapy's parameters."""
        for theirs, ours in self.pairs:
            ours.value, ours.error = float(theirs.value), float(theirs.error)
            ours.min, ours.max, ours.frozen = theirs.min, theirs.max, bool(theirs.frozen)

    def write_back(self) -> None:
        """Write values and errors on gammapy's parameters."""
        for theirs, ours in self.pairs:
            theirs.value, theirs.error = ours.value, ours.error


def _prior(parameter: Any, times: int) -> Any:
    name = type(parameter.prior).__name__
    known = prior_classes()
    if name not in known:
        raise ModelError(
            f"gammapy's prior {name} of parameter {parameter.name!r} is not known here; known are: {', '.join(known)}."
        )
    prior = parameter.prior
    values: dict[str, Any] = {p.name: float(p.value) for p in prior.parameters}
    if issubclass(known[name], SamplesKDEPrior):
        values = {"samples": prior.samples, "weights": prior.weights}
    return known[name](weight=times * float(prior.weight), **values)


def spectral(theirs: Any, converted: Converted) -> SpectralModel:
    """Our spectral model for one of gammapy's.

    Raises
    ------
    ModelError
        For a model that is not known here, naming it.
    """
    name = type(theirs).__name__
    pars = [converted.parameter(p) for p in theirs.parameters]
    if name == "CompoundSpectralModel":
        return CompoundSpectralModel(
            spectral(theirs.model1, converted), spectral(theirs.model2, converted), theirs.operator.__name__
        )
    if name == "ScaleSpectralModel":
        # of gammapy's flux point estimator: the model inside does not vary
        return ScaleSpectralModel(spectral(theirs.model, Converted()), norm=pars[0])
    if name == "EBLAbsorptionNormSpectralModel":
        return EBLAbsorptionNormSpectralModel(
            theirs.energy, theirs.param, theirs.data, redshift=pars[0], alpha_norm=pars[1]
        )
    if name == "PiecewiseNormSpectralModel":
        return PiecewiseNormSpectralModel(theirs.energy, norms=pars, interp=getattr(theirs, "_interp", "log"))
    if name == "TemplateSpectralModel":
        scale = type(theirs._evaluate.scale).__name__
        if scale not in SCALES:
            raise ModelError(f"gammapy's template interpolates values in {scale}; known are: {', '.join(SCALES)}.")
        return TemplateSpectralModel(theirs.energy, theirs.values, interp_kwargs={"values_scale": SCALES[scale]})
    try:
        cls = spectral_model_class(name)
    except InputError as error:
        raise ModelError(
            f"gammapy's spectral model {name} is not known here: {error} Define it with gammajax.define_spectral_model."
        ) from None
    return cls(**{p.name: ours for p, ours in zip(theirs.parameters, pars, strict=True)})


def temporal(theirs: Any, converted: Converted) -> TemporalModel:
    """Our temporal model for one of gammapy's.

    Raises
    ------
    ModelError
        For a model that is not known here, naming it.
    """
    name = type(theirs).__name__
    pars: dict[str, Any] = {p.name: converted.parameter(p) for p in theirs.parameters}
    if name == "LightCurveTemplateTemporalModel":
        if theirs.is_energy_dependent or (theirs.method, theirs.values_scale) != ("linear", "lin"):
            raise ModelError(
                f"gammapy's {name}: only curves of time alone with straight lines between points are known here."
            )
        axis = theirs.map.geom.axes["time"]
        return LightCurveTemplateTemporalModel(
            axis.center, np.asarray(theirs.map.data, dtype=float).ravel(), pars["t_ref"], theirs.filename
        )
    if name == "TemplatePhaseCurveTemporalModel":
        # its table is normalised already
        phase, norm = (np.asarray(theirs.table[c], dtype=float) for c in ("PHASE", "NORM"))
        return TemplatePhaseCurveTemporalModel(phase, norm, normalize=False, scale=theirs.scale, **pars)
    try:
        cls = temporal_model_class(name)
    except InputError as error:
        raise ModelError(f"gammapy's temporal model {name} is not known here: {error}") from None
    return cls(scale=theirs.scale, **pars)


def convert_models(theirs: Any, like_gammapy: bool = False) -> Converted:
    """Our models for gammapy's, as they are in memory.

    Parameters
    ----------
    theirs : `gammapy.modeling.models.Models`
        Sky models with a spectral model, and background models.
    like_gammapy : bool
        Count the prior of a linked parameter once for each model that holds it, as gammapy's statistic does.

    Raises
    ------
    ModelError
        For a part of the response that is switched off, or a model that is not known here.
    """
    times = Counter(id(p) for p in theirs.parameters) if like_gammapy else None
    out, members = Converted(times), []
    for m in theirs:
        kind = type(m).__name__
        if kind == "SkyModel":
            if not all((m.apply_irf or {}).values()):
                raise ModelError(
                    f"{m.name!r} has apply_irf={m.apply_irf}; here every model goes through the whole response."
                )
            varies = None if m.temporal_model is None else temporal(m.temporal_model, out)
            model: Any = SkyModel(spectral(m.spectral_model, out), m.name, m.datasets_names, varies)
        elif kind == "FoVBackgroundModel" and m.spatial_model is None:
            model = FoVBackgroundModel(m.datasets_names[0], spectral(m.spectral_model, out), name=m.name)
        else:
            raise ModelError(
                f"gammapy's {kind} {m.name!r} is not for spectra; known are SkyModel and FoVBackgroundModel."
            )
        members.append(model)
    # a private name: gammapy has no public one
    found = getattr(theirs, "_penalties", None) or []
    for q in found:
        if not hasattr(q, "_inverse_covariance"):
            raise ModelError(f"gammapy's penalty {type(q).__name__} is not known here; known is: GaussianPriorPenalty.")
    penalties = [
        GaussianPenalty.from_precision(
            [out.parameter(p) for p in q.parameters], np.asarray(q._inverse_covariance), q.mean, float(q.lambda_)
        )
        for q in found
    ]
    out.models = Models(members, penalties)
    return out
