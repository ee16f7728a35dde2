"""Single models as plain values, by gammapy's names; collections of them have `Models.to_dict`."""

from typing import Any, ClassVar, Self

from gammajax.errors import ModelError
from gammajax.hooks import hook

__all__ = ["PlainModel"]


class PlainModel:
    """Base of spectral and temporal models: to plain values and back."""

    model_type: ClassVar[str] = ""

    def to_dict(self, full_output: bool = False) -> dict[str, Any]:
        """Return the model as plain values, ``{"spectral": {...}}`` or ``{"temporal": {...}}``.

        Parameters
        ----------
        full_output : bool
            Whether parameters at their defaults are written out as well.
        """
        component = hook("models to dict")(hook("collection of one")(self), full_output)["components"][0]
        return {self.model_type: component[self.model_type]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build a model from plain values, as `to_dict` makes them.

        Parameters
        ----------
        data : dict
            Plain values.

        Raises
        ------
        ModelError
            If they are those of another class.
        """
        kind = cls.model_type
        if not isinstance(data, dict) or kind not in data:
            raise ModelError(f"{cls.__name__}.from_dict: got {data!r}, expected a dictionary with the key {kind!r}.")
        component = hook("models to dict")(hook("collection of one")(None), False)["components"][0] | {kind: data[kind]}
        found = getattr(hook("models from dict")({"components": [component]})[0], f"{kind}_model")
        if not isinstance(found, cls):
            raise ModelError(f"{cls.__name__}.from_dict: the values are those of a {type(found).__name__}.")
        return found
