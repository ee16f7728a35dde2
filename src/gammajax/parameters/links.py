"""Affine links: a parameter that follows another one."""

from dataclasses import dataclass
from typing import Any

from astropy import units as u

from gammajax.errors import InputError, UnitError

__all__ = ["Link", "make_link"]


@dataclass(frozen=True)
class Link:
    """The value of a parameter as ``factor * parent + offset``.

    Attributes
    ----------
    parent : `Parameter`
        The parameter that is followed.
    factor, offset : `~astropy.units.Quantity`
        With units.
    """

    parent: Any
    factor: u.Quantity
    offset: u.Quantity

    def root(self) -> "Link":
        """The same link to the parameter at the end of the chain, which is not linked itself."""
        link = self
        while (further := link.parent._link) is not None:
            offset = u.Quantity(link.factor * further.offset).to(link.offset.unit) + link.offset
            link = Link(further.parent, link.factor * further.factor, offset)
        return link

    def value(self, unit: u.UnitBase) -> float:
        """Value of the linked parameter in a unit."""
        return float((self.factor * self.parent.quantity + self.offset).to_value(unit))

    def numbers(self, unit: u.UnitBase, parent_unit: u.UnitBase) -> tuple[float, float]:
        """Factor and offset between a value of the parent in its unit and the value in `unit`."""
        return float((self.factor * parent_unit).to_value(unit)), float(self.offset.to_value(unit))

    def text(self, unit: u.UnitBase, name: str | None = None) -> str:
        """The link as a formula between values in the units of the two parameters, such as "2 * alpha + 1"."""
        factor, offset = self.numbers(unit, self.parent.unit)
        text = self.parent.unique_name or self.parent.name if name is None else name
        text = text if factor == 1 else f"{factor:g} * {text}"
        return text if offset == 0 else f"{text} {'-' if offset < 0 else '+'} {abs(offset):g}"


def make_link(child: Any, parent: Any, factor: Any, offset: Any) -> Link:
    """Checked link.

    Raises
    ------
    InputError
        For a factor of 0, numbers that are not finite, and a chain that comes back to its start.
    UnitError
        If the units do not fit.
    """
    end = parent
    while end is not None:
        if end is child:
            raise InputError(f"{child.name}.link: {parent.name} follows {child.name} already; a circle has no value.")
        end = None if end._link is None else end._link.parent
    try:
        size = u.Quantity(factor)
        shift = u.Quantity(offset) if isinstance(offset, u.Quantity) else u.Quantity(float(offset), child.unit)
    except (TypeError, ValueError):
        raise InputError(
            f"{child.name}.link: got factor={factor!r} and offset={offset!r}, expected numbers or quantities."
        ) from None
    if not (size.isscalar and shift.isscalar and abs(size.value) not in (0, float("inf")) and size == size):
        raise InputError(f"{child.name}.link: got factor={factor!r}, expected one finite number that is not 0.")
    if not abs(shift.value) < float("inf"):
        raise InputError(f"{child.name}.link: got offset={offset!r}, expected one finite number.")
    for what, unit in (("factor times the unit of " + parent.name, size.unit * parent.unit), ("offset", shift.unit)):
        if not unit.is_equivalent(child.unit):
            raise UnitError(
                f"{child.name}.link: {what} has the unit {unit.to_string()!r}, expected one convertible to "
                f"{child.unit.to_string()!r}; give it as a quantity."
            )
    return Link(parent, size, shift)
