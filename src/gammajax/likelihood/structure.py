"""What a likelihood is made of: arrays, and what is static about them; and how they predict counts."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from gammajax.models import BinRule, SpectralForm, flux_per_bin
from gammajax.response import fold

__all__ = ["DatasetStructure", "Labels", "ResponseData", "SpectrumData", "Term", "flux", "signal"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ResponseData:
    """What turns the models of one data set into counts, as arrays.

    Attributes
    ----------
    exposure : array, shape (n_true,)
        cm2 s.
    edisp : array, shape (n_true, n_reco)
        Dispersion.
    rules : tuple of `BinRule`
        How the models are integrated over the true-energy bins.
    """

    exposure: Any
    edisp: Any
    rules: tuple[BinRule, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SpectrumData:
    """Arrays of one ON/OFF spectrum, as the compiled functions take them.

    Attributes
    ----------
    n_on, n_off, alpha : array, shape (n_reco,)
        Counts and ratio of acceptances; harmless numbers in masked bins.
    mask : array of bool, shape (n_reco,)
        Bins in the fit.
    response : `ResponseData`
        Exposure, dispersion and integration rules.
    """

    n_on: Any
    n_off: Any
    alpha: Any
    mask: Any
    response: ResponseData


@dataclass(frozen=True)
class Term:
    """One source in one data set: its form, where its parameters are in theta, and which rule integrates it."""

    form: SpectralForm
    index: tuple[int, ...]
    rule: int


@dataclass(frozen=True)
class DatasetStructure:
    """What is static about one data set: its sources, and whether negative predictions are clipped (gammapy)."""

    terms: tuple[Term, ...]
    clip: bool = False


class Labels:
    """Names and units: carried along, equal to any other, so that renaming compiles nothing."""

    def __init__(self, **names: tuple[str, ...]) -> None:
        self.names = names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labels)

    def __hash__(self) -> int:
        return 0


def flux(structure: DatasetStructure, response: ResponseData, theta: Any) -> jax.Array:
    """Flux of all sources in each true-energy bin, cm-2 s-1, shape (n_true,)."""
    total = jnp.zeros_like(response.exposure)
    for term in structure.terms:
        total = total + flux_per_bin(term.form, response.rules[term.rule], [theta[i] for i in term.index])
    return total


def signal(structure: DatasetStructure, response: ResponseData, theta: Any) -> jax.Array:
    """Predicted counts of all sources in each reconstructed bin, shape (n_reco,)."""
    counts = fold(flux(structure, response, theta), response.exposure, response.edisp)
    return jnp.maximum(counts, 0.0) if structure.clip else counts
