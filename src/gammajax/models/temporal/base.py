"""The base of the temporal models: it binds names, units, a time scale and times to the functions of this folder."""

from difflib import get_close_matches
from functools import partial
from typing import Any, ClassVar

import jax
import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.errors import InputError, ModelError
from gammajax.hooks import hook
from gammajax.models.declared import DeclaredModel
from gammajax.models.temporal.form import TemporalForm, interval_integrals, values_at
from gammajax.times import as_times, mjd_parts
from gammajax.units import double_precision

__all__ = ["TEMPORAL_MODELS", "TemporalModel", "temporal_model_class"]

TEMPORAL_MODELS: dict[str, type] = {}
SCALES = ("tai", "tcb", "tcg", "tdb", "tt", "ut1", "utc")


def temporal_model_class(name: str) -> type:
    """Class of a temporal model by its name or tag.

    Parameters
    ----------
    name : str
        Such as ``"GaussianTemporalModel"`` or ``"gauss"``.

    Raises
    ------
    InputError
        Listing the nearest names.
    """
    if name not in TEMPORAL_MODELS:
        _load()
    if name in TEMPORAL_MODELS:
        return TEMPORAL_MODELS[name]
    near = get_close_matches(str(name), TEMPORAL_MODELS, n=3)
    listed = f"did you mean {', '.join(near)}?" if near else f"known are: {', '.join(sorted(TEMPORAL_MODELS))}."
    raise InputError(f"unknown temporal model {name!r}; {listed}")


def _load() -> None:
    """Those of the library join when they are imported."""
    hook("temporal models")


@gammapy_arguments
class TemporalModel(DeclaredModel):
    r"""Base of the temporal models: a factor on a spectrum that varies with time.

    A member declares its parameters and `form`. The spectrum in a data set is multiplied with the mean of the factor over the good
    time intervals, :math:`\sum_i \int_i N(t)\,dt / \sum_i \Delta t_i`. Times are modified Julian dates in the model's own time
    scale, for the value and for the integral alike.

    Parameters
    ----------
    scale : {"utc", "tt", "tai", ...}
        Time scale in which `t_ref` is given and times are counted.
    **kwargs
        One value per parameter: a quantity, a number where the parameter is dimensionless, or a `Parameter`.
    """

    tag: ClassVar[tuple[str, ...]] = ()
    form: Any
    model_type: ClassVar[str] = "temporal"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith("gammajax.models"):
            _load()
        for name in (cls.__name__, *cls.__dict__.get("tag", ())):
            other = TEMPORAL_MODELS.get(name)
            if other is not None and other.__name__ != cls.__name__:
                raise ModelError(
                    f"temporal model {cls.__name__!r}: the name {name!r} belongs to {other.__name__} already."
                )
            TEMPORAL_MODELS[name] = cls

    def __init__(self, scale: str = "utc", **kwargs: Any) -> None:
        if scale not in SCALES:
            raise InputError(f"{type(self).__name__}: scale got {scale!r}, expected one of {', '.join(SCALES)}.")
        self.scale = scale
        super().__init__(**kwargs)
        self._complete = type(self).__init__ is TemporalModel.__init__

    @property
    def reference_time(self) -> Any:
        """The reference time `t_ref` as `~astropy.time.Time`; may be set."""
        from astropy.time import Time

        if self.form.reference is None:
            raise ModelError(f"{type(self).__name__} has no reference time.")
        return Time(self.t_ref.quantity.to_value("d"), format="mjd", scale=self.scale)

    @reference_time.setter
    def reference_time(self, time: Any) -> None:
        self.t_ref.quantity = getattr(as_times(time, "reference_time"), self.scale).mjd * u.d

    def __setattr__(self, key: str, value: Any) -> None:
        # a property of the class, which the check of declared names would hide
        if key == "reference_time":
            object.__setattr__(self, key, value)
            return
        super().__setattr__(key, value)

    def __call__(self, time: Any) -> u.Quantity:
        """Value at times (`~astropy.time.Time`, any shape), dimensionless."""
        day, rest = mjd_parts(as_times(time, "time"), self.scale)
        with double_precision():
            return u.Quantity(np.asarray(_values(self.form, day, rest, tuple(self._theta()))))

    def integral(self, t_min: Any, t_max: Any) -> u.Quantity:
        r"""Integral over time intervals, divided by the sum of their lengths: their sum is what a spectrum is multiplied with.

        Parameters
        ----------
        t_min, t_max : `~astropy.time.Time`, shape (n,)
            Begin and end of each interval.

        Returns
        -------
        `~astropy.units.Quantity`, shape (n,)
            Dimensionless, by gammapy's convention.
        """
        first, last = as_times(t_min, "t_min"), as_times(t_max, "t_max")
        times = np.stack([np.atleast_1d(a) for t in (first, last) for a in mjd_parts(t, self.scale)])
        if not np.all((times[2] - times[0]) + (times[3] - times[1]) > 0):
            raise InputError(f"{type(self).__name__}.integral: t_max must be behind t_min in each interval.")
        self.check_times(times)
        with double_precision():
            integrals, widths = _integrals(self.form, times, tuple(self._theta()))
            out = np.asarray(integrals) / np.sum(np.asarray(widths))
        return u.Quantity(out if first.shape or last.shape else out[0])

    def check_times(self, times: np.ndarray) -> None:
        """Say or refuse what cannot be right of a measurement at these times.

        Parameters
        ----------
        times : array, shape (4, n)
            Begin and end of each interval, days and parts of days, as `GTI.mjd` has them.
        """

    def plot(self, time_range: Any, ax: Any = None, n_points: int = 100, **kwargs: Any) -> Any:
        """Plot the values in a time range; see `gammajax.plotting.plot_temporal`.

        Parameters
        ----------
        time_range : pair of `~astropy.time.Time`
            Begin and end.
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        n_points : int
            Points.
        **kwargs
            To `matplotlib.axes.Axes.plot`.
        """
        from gammajax.plotting import plot_temporal

        return plot_temporal(self, time_range, ax=ax, n_points=n_points, **kwargs)

    def __repr__(self) -> str:
        shown = [f"{p.name}={p.value:.10g} {p.unit}".strip() for p in self.parameters]
        return f"{type(self).__name__}({', '.join([*shown, f'scale={self.scale!r}'])})"


@partial(jax.jit, static_argnums=0)
def _values(form: TemporalForm, day: jax.Array, rest: jax.Array, theta: tuple) -> jax.Array:
    return values_at(form, day, rest, theta)


@partial(jax.jit, static_argnums=0)
def _integrals(form: TemporalForm, times: jax.Array, theta: tuple) -> tuple[jax.Array, jax.Array]:
    return interval_integrals(form, times, theta)
