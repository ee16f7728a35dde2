"""Many spectra of one structure as arrays, without an object for each."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets.axes import EnergyMap
from gammajax.datasets.known import SpectrumDataset
from gammajax.datasets.registry import evaluator
from gammajax.datasets.simulate import random_generator
from gammajax.datasets.spectrum import SpectrumDatasetOnOff
from gammajax.errors import DataError, InputError
from gammajax.models import Models
from gammajax.units import to_unit

__all__ = ["SpectrumBatch"]


class SpectrumBatch:
    """N spectra on the same axes with the same models, for ``fit.run_each``; made by ``Datasets.from_arrays``.

    Counts differ from member to member; exposure and dispersion may. ``batch[i]`` is a data set of its own, with a copy of the arrays.

    Parameters
    ----------
    template : `SpectrumDatasetOnOff` or `SpectrumDataset`
        Axes, what all have in common, models and masks.
    arrays : dict of str to array, shape (N, n_reco)
        What the statistic takes: n_on, n_off and alpha, or n_on and background.
    exposure : array, shape (N, n_true), optional
        Where it differs, cm2 s.
    edisp : array, shape (N, n_true, n_reco), optional
        Where it differs.
    """

    def __init__(
        self,
        template: Any,
        arrays: dict[str, np.ndarray],
        exposure: np.ndarray | None = None,
        edisp: np.ndarray | None = None,
    ) -> None:
        self.template, self.arrays, self.exposure, self.edisp = template, arrays, exposure, edisp

    @classmethod
    def from_arrays(
        cls, n_on: Any, n_off: Any = None, alpha: Any = None, *, background: Any = None, exposure: Any, edisp: Any = None,
        energy_edges: Any, energy_true_edges: Any, mask_safe: Any = None, name: str = "batch",
    ) -> "SpectrumBatch":  # fmt: skip
        """See `Datasets.from_arrays`.

        Parameters
        ----------
        n_on, n_off, alpha, background, exposure, edisp, energy_edges, energy_true_edges, mask_safe, name
            As in `Datasets.from_arrays`.
        """
        on = np.asarray(n_on, dtype=float)
        if on.ndim != 2 or len(on) == 0:
            raise DataError(f"{name}: n_on has shape {on.shape}, expected (N, n_reco), one row for each spectrum.")
        if (n_off is None) == (background is None):
            raise InputError(f"{name}: give either n_off and alpha, or background.")
        per, matrix = (
            to_unit(exposure, "cm2 s", f"{name}: exposure"),
            None if edisp is None else np.asarray(edisp, float),
        )
        own_exposure, own_edisp = per.ndim == 2, matrix is not None and matrix.ndim == 3
        common: dict[str, Any] = {
            "exposure": u.Quantity(per[0] if own_exposure else per, "cm2 s"),
            "edisp": matrix[0] if own_edisp and matrix is not None else matrix,
            "energy_edges": energy_edges, "energy_true_edges": energy_true_edges, "mask_safe": mask_safe, "name": name,
        }  # fmt: skip
        arrays = {"n_on": on}
        if n_off is not None:
            arrays["n_off"] = _rows(n_off, on.shape, f"{name}: n_off")
            arrays["alpha"] = _rows(alpha, on.shape, f"{name}: alpha")
            zero = np.zeros(on.shape[1])
            template: Any = SpectrumDatasetOnOff.from_arrays(zero, zero, arrays["alpha"][0], **common)
        else:
            arrays["background"] = _rows(background, on.shape, f"{name}: background")
            template = SpectrumDataset.from_arrays(np.zeros(on.shape[1]), arrays["background"][0], **common)
        for key, values in arrays.items():
            _check(values, f"{name}: {key}", above=key == "alpha")
        if own_exposure:
            _check(_shaped(per, (len(on), template.exposure.data.size), f"{name}: exposure"), f"{name}: exposure")
        if own_edisp and matrix is not None:
            shape = (len(on), *template.edisp.pdf_matrix.shape)
            _check(_shaped(matrix, shape, f"{name}: edisp"), f"{name}: edisp")
        return cls(template, arrays, per if own_exposure else None, matrix if own_edisp else None)

    @classmethod
    def simulate(
        cls, dataset: Any, n: int, random_state: int | np.random.Generator, npred_background: Any = None
    ) -> "SpectrumBatch":
        """Draw N realisations of one data set with its models.

        Parameters
        ----------
        dataset : `SpectrumDatasetOnOff` or `SpectrumDataset`
            With models; not changed.
        n : int
            How many.
        random_state : int or `numpy.random.Generator`
            Seed or generator.
        npred_background : array, shape (n_reco,), optional
            Background expected in the ON region; alpha n_off of the present counts, or the known one, if not given.
        """
        template = dataset.copy(name=dataset.name)
        template.models, template.mask_fit = dataset.models, dataset.mask_fit
        template.compatibility = dataset.compatibility
        arrays = {k: np.broadcast_to(v, (int(n), len(v))).copy() for k, v in dataset.statistic_arrays().items()}
        batch = cls(template, arrays)
        batch.fake(random_state, npred_background)
        return batch

    def fake(self, random_state: int | np.random.Generator, npred_background: Any = None) -> None:
        """Replace all counts by Poisson simulations of the models, each with its own response.

        Parameters
        ----------
        random_state : int or `numpy.random.Generator`
            Seed or generator.
        npred_background : array, shape (n_reco,) or (N, n_reco), optional
            Background expected in the ON region.
        """
        rng = random_generator(random_state)
        shape = self.arrays["n_on"].shape
        signal = self.npred_signal()
        known = "background" in self.arrays
        if npred_background is not None:
            data = npred_background.data if isinstance(npred_background, EnergyMap) else npred_background
            background = _rows(data, shape, "npred_background")
        elif known:
            background = evaluator("npred_background")(self.template) * np.ones(shape)
        else:
            background = self.arrays["alpha"] * self.arrays["n_off"]
        bad = np.argwhere(~np.isfinite(signal) | (signal < 0) | (background < 0))
        if len(bad):
            i, k = bad[0]
            raise InputError(
                f"fake: bin {k} of spectrum {i} predicts signal {signal[i, k]:g} and background {background[i, k]:g}, "
                "expected finite counts of at least 0; check the model values."
            )
        self.arrays["n_on"] = rng.poisson(signal).astype(float) + rng.poisson(background)
        if not known:
            # bins outside of the fit may have no OFF acceptance
            alpha = self.arrays["alpha"]
            off = np.where(alpha > 0, background / np.where(alpha > 0, alpha, 1.0), 0.0)
            self.arrays["n_off"] = rng.poisson(off).astype(float)

    def npred_signal(self) -> np.ndarray:
        """Predicted source counts of each spectrum, shape (N, n_reco)."""
        shape = self.arrays["n_on"].shape
        if self.exposure is None and self.edisp is None:
            return np.broadcast_to(self.template.npred_signal().data, shape)
        exposure, edisp, _ = self.template.response_arrays()
        flux = evaluator("flux")(self.template)
        folded = flux * (exposure if self.exposure is None else self.exposure)
        if self.edisp is None:
            return np.broadcast_to(folded @ edisp, shape)
        return np.einsum("nt,ntr->nr", np.broadcast_to(folded, (shape[0], len(exposure))), self.edisp)

    @property
    def models(self) -> Models | None:
        """The models that all have in common."""
        return self.template.models

    @models.setter
    def models(self, models: Any) -> None:
        self.template.models = models

    @property
    def mask_fit(self) -> EnergyMap | None:
        """Bins in the fit of all of them; None means all."""
        return self.template.mask_fit

    @mask_fit.setter
    def mask_fit(self, mask: Any) -> None:
        self.template.mask_fit = mask

    def __len__(self) -> int:
        return len(self.arrays["n_on"])

    def __getitem__(self, index: int) -> Any:
        """One of the data sets, named ``"<name>-<index>"``."""
        index = range(len(self))[index]
        one = self.template.copy(name=f"{self.template.name}-{index}")
        one.mask_fit, one.compatibility = self.template.mask_fit, self.template.compatibility
        if "background" in self.arrays:
            one._n_on, one._background = self.arrays["n_on"][index].copy(), self.arrays["background"][index].copy()
        else:
            one._n_on, one._n_off = self.arrays["n_on"][index].copy(), self.arrays["n_off"][index].copy()
            one._acceptance_off = one._acceptance / self.arrays["alpha"][index]
        if self.exposure is not None:
            one._exposure = self.exposure[index].copy()
        if self.edisp is not None:
            one._edisp = self.edisp[index].copy()
        one.models = self.template.models
        return one

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        own = [n for n, a in (("exposure", self.exposure), ("dispersion", self.edisp)) if a is not None]
        return (
            f"SpectrumBatch({len(self)} x {type(self.template).__name__}, own: counts{''.join(f', {n}' for n in own)})"
        )


def _rows(values: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    if values is None:
        raise InputError(f"{what} is missing; give a number, one for each bin, or one row for each spectrum.")
    array = np.asarray(values, dtype=float)
    try:
        return np.broadcast_to(array, shape).copy()
    except ValueError:
        raise DataError(f"{what} has shape {array.shape}, expected one that fits {shape}.") from None


def _shaped(values: np.ndarray, shape: tuple, what: str) -> np.ndarray:
    if values.shape != shape:
        raise DataError(f"{what} has shape {values.shape}, expected {shape}.")
    return values


def _check(values: np.ndarray, what: str, above: bool = False) -> None:
    bad = np.argwhere(~np.isfinite(values) | ((values <= 0) if above else (values < 0)))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise DataError(
            f"{what}[{', '.join(map(str, at))}] is {values[at]:g}, expected finite values "
            f"{'above' if above else 'of at least'} 0; {len(bad)} entries are affected."
        )
