"""Spectral models that are more than a list of parameters; each type has its own pair of functions here.

A pair is ``read(node, links) -> SpectralModel`` and ``write(model, links, full) -> dict``. `node` is the ``spectral`` part of a
component; `links` keeps parameters that several places share.
"""

from collections.abc import Callable
from typing import Any

from gammajax.errors import FileFormatError, ModelError
from gammajax.io.parameters_yaml import Links
from gammajax.io.yaml_nodes import Node
from gammajax.models import SpectralModel

__all__ = ["SPECIAL"]


def read_compound(node: Node, links: Links) -> SpectralModel:
    """Read ``{type: CompoundSpectralModel, model1, model2, operator: add | mul | sub}``; refused for now."""
    raise FileFormatError(
        f"{node.where}: CompoundSpectralModel cannot be read yet; give each part a source of its own."
    )


def write_compound(model: SpectralModel, links: Links, full: bool) -> dict[str, Any]:
    """Write a compound of two models; refused for now."""
    raise ModelError("CompoundSpectralModel cannot be written yet; give each part a source of its own.")


SPECIAL: dict[str, tuple[Callable[..., SpectralModel], Callable[..., dict[str, Any]]]] = {
    "CompoundSpectralModel": (read_compound, write_compound),
}
