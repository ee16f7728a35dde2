"""Data sets: containers of arrays and axes, a mask and a statistic."""

from gammajax.datasets.axes import EDispKernel, EnergyAxis, EnergyGeom, EnergyMap
from gammajax.datasets.collection import Datasets
from gammajax.datasets.spectrum import SpectrumDatasetOnOff

__all__ = ["Datasets", "EDispKernel", "EnergyAxis", "EnergyGeom", "EnergyMap", "SpectrumDatasetOnOff"]
