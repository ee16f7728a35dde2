"""Data sets: containers of arrays and axes, a mask and a statistic."""

from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.datasets.axes import EDispKernel, EnergyAxis, EnergyGeom, EnergyMap
    from gammajax.datasets.base import Dataset
    from gammajax.datasets.batch import SpectrumBatch
    from gammajax.datasets.collection import Datasets
    from gammajax.datasets.flux_points import FluxPointsDataset
    from gammajax.datasets.gti import GTI
    from gammajax.datasets.known import SpectrumDataset
    from gammajax.datasets.spectrum import SpectrumDatasetOnOff
    from gammajax.datasets.xy import XYDataset

__all__ = [
    "GTI",
    "Dataset",
    "Datasets",
    "EDispKernel",
    "EnergyAxis",
    "EnergyGeom",
    "EnergyMap",
    "FluxPointsDataset",
    "SpectrumBatch",
    "SpectrumDataset",
    "SpectrumDatasetOnOff",
    "XYDataset",
]

__getattr__, __dir__ = names_of(__name__)
