"""A spectral model of one's own, from one function."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from astropy import units as u

from gammajax.errors import InputError
from gammajax.models.base import DNDE, Declared, SpectralModel
from gammajax.models.checked import checked
from gammajax.models.form import SpectralForm

__all__ = ["define_spectral_model"]


def define_spectral_model(
    function: Callable[..., Any],
    *,
    name: str,
    parameters: Mapping[str, tuple[float, str]],
    frozen: Iterable[str] = (),
    linear: Iterable[str] = (),
    breaks: Iterable[str] = (),
    unit: str = DNDE,
    log_slope: float | None = None,
    tag: str | None = None,
) -> type[SpectralModel]:
    r"""Make a class of spectral models from a function of the energy and the parameters.

    Parameters
    ----------
    function : callable
        ``function(energy, *parameters)``, written with `jax.numpy`: it gets an array of energies in TeV and one number for
        each parameter, in the unit declared, and returns dnde in `unit` for each energy.
    name : str
        Name of the class, by which `spectral_model_class` and messages know it.
    parameters : dict
        For each parameter, in the order of the arguments, its default value and its unit (a string, "" where it has none).
    frozen : iterable of str
        Parameters that are frozen at first.
    linear : iterable of str
        Parameters that the flux is proportional to, an amplitude for one. Fits are faster with it; results are the same.
    breaks : iterable of str
        Parameters (energies) at which the flux has a kink or jumps, with an ``energy < ebreak`` in the function: bins are
        cut there, so that integrals and all derivatives are right.
    unit : str
        What the function returns, "cm-2 s-1 TeV-1" or "" for a factor.
    log_slope : float, optional
        The steepest logarithmic slope that the bin integrals shall be exact for. If not given they are made for 40 and
        checked once at the default values.
    tag : str, optional
        A short name.

    Returns
    -------
    type
        A subclass of `SpectralModel`.

    Raises
    ------
    InputError
        If the arguments of the function and the parameters differ, or a name is unknown.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from astropy import units as u
    >>> def curved(energy, amplitude, index, width):
    ...     return amplitude * energy**-index * jnp.exp(-((jnp.log(energy) / width) ** 2))
    >>> Curved = define_spectral_model(
    ...     curved,
    ...     name="DocumentedCurvedSpectralModel",
    ...     parameters={"amplitude": (1e-12, "cm-2 s-1 TeV-1"), "index": (2.0, ""), "width": (3.0, "")},
    ...     linear=["amplitude"],
    ... )
    >>> model = Curved(index=2.5)
    >>> print(f"{model(2 * u.TeV):.4g}")
    1.676e-13 1 / (TeV s cm2)
    """
    names = tuple(parameters)
    _check_arguments(function, name, names)
    for what, given in (("frozen", frozen), ("linear", linear), ("breaks", breaks)):
        unknown = [n for n in given if n not in names]
        if unknown:
            raise InputError(f"{name}: {what} names {unknown[0]!r}; the parameters are: {', '.join(names)}.")
    dimensions = {"": u.dimensionless_unscaled, DNDE: u.Unit(DNDE)}
    internal = next((k for k, v in dimensions.items() if u.Unit(unit) == v), None)
    if internal is None:
        raise InputError(f"{name}: got unit {unit!r}, expected 'cm-2 s-1 TeV-1' or '' for a factor.")
    at = tuple(names.index(b) for b in breaks)
    form = SpectralForm(
        checked(function, f"the spectral model {name}"),
        names,
        linear=tuple(linear),
        log_slope=log_slope,
        breaks=(lambda *values: tuple(values[k] for k in at)) if at else None,
        name=name,
    )
    declared = tuple(
        Declared(n, float(value), unit, n in frozen, "log" if n in linear else "lin", n in linear)
        for n, (value, unit) in parameters.items()
    )
    members = {
        "tag": (name,) if tag is None else (name, tag),
        "declared": declared,
        "form": form,
        "dnde_unit": internal,
        "__doc__": function.__doc__,
        "__module__": function.__module__,
    }
    return type(name, (SpectralModel,), members)


def _check_arguments(function: Callable[..., Any], name: str, names: tuple[str, ...]) -> None:
    arguments = tuple(inspect.signature(function).parameters)[1:]
    if arguments != names:
        raise InputError(
            f"{name}: the function takes ({', '.join(arguments)}) after the energy, but the parameters are "
            f"({', '.join(names)}); give them the same names in the same order."
        )
