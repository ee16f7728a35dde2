"""One model parameter: value, unit, limits, error and the settings of its scans."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.arguments import gammapy_arguments
from gammajax.closed import Closed
from gammajax.errors import InputError
from gammajax.parameters.links import Link, make_link
from gammajax.parameters.priors import Prior
from gammajax.units import to_unit

__all__ = ["Parameter"]


@gammapy_arguments
class Parameter(Closed):
    """A named value with unit, limits, error and scan settings.

    Two models share a parameter (a link) when they hold the same `Parameter` object; `link` lets one parameter follow another.

    Parameters
    ----------
    name : str
        Name, unique inside its model.
    value : float or `~astropy.units.Quantity`
        Value; a plain number is taken in `unit`.
    unit : str or `~astropy.units.Unit`
        Unit of `value`, of the limits and of the error.
    min, max : float
        Limits in `unit`; nan means no limit.
    frozen : bool
        A frozen parameter is not fitted.
    error : float
        One standard deviation in `unit`, from the last fit.
    scan_min : float, optional
        Lower end of the default scan, in `unit`.
    scan_max : float, optional
        Upper end of the default scan, in `unit`.
    scan_n_values : int
        Number of default scan values.
    scan_n_sigma : float
        Errors on both sides of the default scan, where its ends are not given.
    scan_values : array, optional
        Scan values themselves, in `unit`.
    interp : {"lin", "log", "sqrt"}
        Spacing of the default scan values.
    linear : bool
        Whether the predicted counts are proportional to this parameter.
    prior : `Prior`, optional
        What is known of the parameter beforehand; -2 ln of its density is added to the statistic.

    Examples
    --------
    >>> Parameter("alpha", 2.3, min=1, max=3).value
    2.3
    """

    name: str
    unique_name: str | None
    internal_unit: u.UnitBase
    linear: bool
    interp: str
    scan_min: float | None
    scan_max: float | None
    scan_n_values: int
    scan_n_sigma: float
    _locked = False
    _link: Link | None = None

    def __init__(
        self,
        name: str,
        value: Any,
        unit: Any = "",
        *,
        min: Any = np.nan,
        max: Any = np.nan,
        frozen: bool = False,
        error: float = 0.0,
        scan_min: float | None = None,
        scan_max: float | None = None,
        scan_n_values: int = 11,
        scan_n_sigma: float = 2,
        scan_values: Any = None,
        interp: str = "lin",
        linear: bool = False,
        prior: Prior | None = None,
    ) -> None:
        if isinstance(value, u.Quantity):
            if unit == "":
                unit = value.unit
            value = float(to_unit(value, unit, name))
        self.name = str(name)
        self._unit = u.Unit(unit)
        self.internal_unit = self._unit
        self.value = value
        self.min = min
        self.max = max
        self.frozen = frozen
        self.error = error
        self.scan_min = scan_min
        self.scan_max = scan_max
        self.scan_n_values = scan_n_values
        self.scan_n_sigma = scan_n_sigma
        self._scan_values: np.ndarray | None = None
        if scan_values is not None:
            self.scan_values = scan_values
        self.interp = interp
        self.linear = linear
        self.prior = prior
        self.unique_name = None

    def __setattr__(self, key: str, value: Any) -> None:
        if self._locked:
            raise InputError(
                f"parameter {self.unique_name or self.name!r} belongs to a result and is read-only: {key!r} cannot be "
                f"set to {value!r} here; set it on the model's own parameter, for instance model.{self.name}.{key}."
            )
        super().__setattr__(key, value)

    def _number(self, value: Any, what: str) -> float:
        if isinstance(value, u.Quantity):
            return float(to_unit(value, self._unit, f"{self.name}.{what}"))
        try:
            return float(value)
        except (TypeError, ValueError):
            expected = f"a number in {self._unit}" if str(self._unit) else "a number"
            raise InputError(f"{self.name}.{what}: got {value!r}, expected {expected} or a quantity.") from None

    @property
    def value(self) -> float:
        """Value in `unit`; that of a linked parameter follows its parent and cannot be set."""
        return self._value if self._link is None else self._link.value(self._unit)

    @value.setter
    def value(self, value: Any) -> None:
        self._refuse_linked("value")
        self._value = self._number(value, "value")

    @property
    def unit(self) -> u.UnitBase:
        """Unit of value, limits and error."""
        return self._unit

    @property
    def quantity(self) -> u.Quantity:
        """Value with its unit."""
        return u.Quantity(self.value, self._unit)

    @quantity.setter
    def quantity(self, value: Any) -> None:
        self._refuse_linked("quantity")
        value = u.Quantity(value)
        to_unit(value, self.internal_unit, self.name)
        self._value, self._unit = float(value.value), value.unit

    @property
    def min(self) -> float:
        """Lower limit in `unit`, nan when there is none."""
        return self._min

    @min.setter
    def min(self, value: Any) -> None:
        self._min = self._number(value, "min")

    @property
    def max(self) -> float:
        """Upper limit in `unit`, nan when there is none."""
        return self._max

    @max.setter
    def max(self, value: Any) -> None:
        self._max = self._number(value, "max")

    def set_lim(self, min: Any = None, max: Any = None) -> None:
        """Set one limit or both.

        Parameters
        ----------
        min, max : float or `~astropy.units.Quantity`, optional
            Limits in `unit`; one that is not given stays, nan takes it away.
        """
        if min is not None:
            self.min = min
        if max is not None:
            self.max = max

    @property
    def frozen(self) -> bool:
        """Whether the parameter is kept fixed in fits; True for a linked one, which a fit does not vary by itself."""
        return self._frozen or self._link is not None

    @frozen.setter
    def frozen(self, value: Any) -> None:
        self._refuse_linked("frozen")
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{self.name}.frozen: got {value!r}, expected True or False.")
        self._frozen = bool(value)

    @property
    def error(self) -> float:
        """One standard deviation in `unit`; 0 before a fit and for frozen parameters; of a linked one that of its parent, propagated."""
        if self._link is None:
            return self._error
        root = self._link.root()
        return abs(root.numbers(self._unit, root.parent.unit)[0]) * root.parent.error

    @error.setter
    def error(self, value: Any) -> None:
        self._refuse_linked("error")
        number = self._number(value, "error")
        if number < 0:
            raise InputError(f"{self.name}.error: got {value!r}, a standard deviation is at least 0.")
        self._error = number

    # -- links -----------------------------------------------------------------------------------------------------

    def link(self, parent: "Parameter", factor: Any = 1.0, offset: Any = 0.0) -> None:
        r"""Let this parameter follow another one, :math:`value = factor \cdot parent + offset`.

        A fit then varies the parent alone; derivatives, errors, covariance and scans go through the link. Limits, priors and
        penalties of this parameter hold for the value that it has by the link. Factor and offset are part of what is compiled: other
        numbers compile anew.

        Parameters
        ----------
        parent : `Parameter`
            The parameter that is followed; it may follow another one itself.
        factor : float or `~astropy.units.Quantity`
            Not 0; a quantity where the two have units that are not convertible.
        offset : float or `~astropy.units.Quantity`
            A plain number is taken in the unit of this parameter.

        Raises
        ------
        InputError
            If the factor is 0 or a number is not finite, or the chain comes back to its start.
        UnitError
            If the units do not fit.

        Examples
        --------
        >>> a, b = Parameter("a", 2.0, error=0.1), Parameter("b", 0.0)
        >>> b.link(a, factor=2, offset=1)
        >>> b.value, b.error, b.linked
        (5.0, 0.2, '2 * a + 1')
        """
        if not isinstance(parent, Parameter):
            raise InputError(f"{self.name}.link: got {parent!r}, expected a parameter.")
        self._link = make_link(self, parent, factor, offset)

    def unlink(self) -> None:
        """Follow no other parameter any more; the value stays as it is, and it is free or frozen as before the link."""
        value, error = self.value, self.error
        self._link = None
        self.value, self.error = value, error

    @property
    def linked(self) -> str:
        """The parameter that this one follows, as a formula in the units of the two; empty where it follows none."""
        return "" if self._link is None else self._link.text(self._unit)

    @property
    def follows(self) -> Link | None:
        """The link to the parameter at the end of the chain; None where there is none."""
        return None if self._link is None else self._link.root()

    def _refuse_linked(self, what: str) -> None:
        if self._link is not None:
            raise InputError(
                f"{self.unique_name or self.name} is linked, {self.linked}: its {what} cannot be set; set it on "
                f"{self._link.parent.name}, or call unlink() first."
            )

    @property
    def factor(self) -> float:
        """What a value in `unit` is multiplied with to be in the internal unit."""
        return float(self._unit.to(self.internal_unit))

    @property
    def prior(self) -> Prior | None:
        """Prior, its numbers in the unit that the parameter had when it was set."""
        return self._prior

    @prior.setter
    def prior(self, value: Any) -> None:
        if value is not None and not isinstance(value, Prior):
            raise InputError(
                f"{self.name}.prior: got {value!r}, expected a prior such as GaussianPrior(mu=2.3, sigma=0.1), or None."
            )
        self._prior = None if value is None else value.in_unit(self._unit, f"{self.name}.prior")

    def prior_stat_sum(self, constants: bool = True) -> float:
        """-2 ln of the prior at the present value; 0 without a prior.

        Parameters
        ----------
        constants : bool
            Keep what does not depend on the value, as a fit does.
        """
        return 0.0 if self._prior is None else float(self._prior.in_unit(self._unit).stat(self.value, constants))

    @property
    def bounds(self) -> tuple[float, float]:
        """Limits in `unit` with nan replaced by -inf and inf, and not beyond the support of the prior."""
        low = -np.inf if np.isnan(self.min) else self.min
        high = np.inf if np.isnan(self.max) else self.max
        if self._prior is not None:
            support = self._prior.in_unit(self._unit).support
            low, high = max(low, support[0]), min(high, support[1])
        return low, high

    @property
    def scan_values(self) -> np.ndarray:
        """Values of a scan in `unit`, shape (scan_n_values,) unless set by hand."""
        if self._scan_values is not None:
            return self._scan_values
        step = self.error if self.error > 0 else abs(self.value)
        low = (
            self.value - self.scan_n_sigma * step if self.scan_min is None else self._number(self.scan_min, "scan_min")
        )
        high = (
            self.value + self.scan_n_sigma * step if self.scan_max is None else self._number(self.scan_max, "scan_max")
        )
        return spaced_values(low, high, self.scan_n_values, self.interp, self.name)

    @scan_values.setter
    def scan_values(self, values: Any) -> None:
        if values is None:
            self._scan_values = None
            return
        if isinstance(values, u.Quantity):
            values = to_unit(values, self._unit, f"{self.name}.scan_values")
        self._scan_values = np.array(values, dtype=float)

    def scan_grid(self, bounds: Any, nvalues: int) -> np.ndarray:
        """Linear grid: `bounds` is a number of errors on both sides, or a pair (low, high) in `unit`.

        Parameters
        ----------
        bounds : float or pair
            Number of errors on both sides, or (low, high) in `unit`.
        nvalues : int
            Number of values.
        """
        if np.ndim(bounds) == 0:
            step = self.error if self.error > 0 else abs(self.value)
            low, high = self.value - float(bounds) * step, self.value + float(bounds) * step
        else:
            low, high = (self._number(b, "bounds") for b in bounds)
        return spaced_values(low, high, nvalues, "lin", self.name)

    def copy(self) -> "Parameter":
        """Return an independent, editable copy, which follows no other parameter."""
        new = object.__new__(type(self))
        state = {key: value for key, value in self.__dict__.items() if key not in ("_locked", "_link")}
        state |= {"_value": self.value, "_error": self.error}
        if state["_scan_values"] is not None:
            state["_scan_values"] = state["_scan_values"].copy()
        new.__dict__.update(state)
        return new

    def snapshot(self, unique_name: str, made: Any = None) -> "Parameter":
        """Return a read-only copy that remembers where it came from.

        Parameters
        ----------
        unique_name : str
            The name it goes by.
        made : dict, optional
            Snapshots by the identity of the live parameter, so that a link leads to the snapshot of its parent. Without that it is
            a plain value.
        """
        new = self.copy()
        new.unique_name = unique_name
        root = self.follows
        if root is not None and made is not None and id(root.parent) in made:
            new._link = Link(made[id(root.parent)], root.factor, root.offset)
        object.__setattr__(new, "_locked", True)
        return new

    def __repr__(self) -> str:
        state = self.linked or ("frozen" if self.frozen else f"error={self.error:.3g}")
        return f"Parameter({self.name!r}, {self.value:.6g} {self.unit.to_string()}, {state})"


def spaced_values(low: float, high: float, n: int, interp: str, name: str) -> np.ndarray:
    """Return `n` values from `low` to `high`, evenly spaced in the value, its logarithm or its square root."""
    if interp == "lin":
        return np.linspace(low, high, n)
    if interp == "log":
        # gammapy's rule for a default range that reaches zero: the logarithm needs a positive lower end
        if high <= 0:
            raise InputError(f"{name}: interp='log' needs positive scan limits, got [{low}, {high}]; set scan_values.")
        return np.geomspace(low if low > 0 else 1e-3 * high, high, n)
    if interp == "sqrt":
        return np.linspace(np.sqrt(max(low, 0.0)), np.sqrt(max(high, 0.0)), n) ** 2
    raise InputError(f"{name}.interp: got {interp!r}, expected one of 'lin', 'log', 'sqrt'.")
