r"""Local slopes :math:`d \ln \phi / d \ln E` as functions of numbers and NumPy arrays, for choosing nodes; energies in TeV."""

from typing import Any

import numpy as np

__all__ = [
    "broken_power_law_slope",
    "log_parabola_2_slope",
    "log_parabola_slope",
    "power_law_2_slope",
    "power_law_slope",
]


def power_law_slope(log_energy: Any, index: Any, *others: Any) -> Any:
    r"""Of `power_law`, or of a power law with a cut-off without that, :math:`-\Gamma`."""
    return 0.0 * log_energy - index


def power_law_2_slope(log_energy: Any, amplitude: Any, index: Any, emin: Any, emax: Any) -> Any:
    r"""Of `power_law_2`, :math:`-\Gamma`."""
    return 0.0 * log_energy - index


def broken_power_law_slope(log_energy: Any, index1: Any, index2: Any, amplitude: Any, ebreak: Any) -> Any:
    r"""Of `broken_power_law`, :math:`-\Gamma_1` or :math:`-\Gamma_2`."""
    return -np.where(log_energy < np.log(ebreak), index1, index2)


def log_parabola_slope(log_energy: Any, amplitude: Any, reference: Any, alpha: Any, beta: Any) -> Any:
    r"""Of `log_parabola`, :math:`-\alpha - 2 \beta \ln(E/E_0)`."""
    return -alpha - 2 * beta * (log_energy - np.log(reference))


def log_parabola_2_slope(log_energy: Any, amplitude: Any, reference: Any, alpha: Any, beta: Any, escale: Any) -> Any:
    r"""Of `log_parabola_2`, :math:`-\alpha - \beta (\ln(E/E_0) + \ln(E/E_s))`."""
    return -alpha - beta * (2 * log_energy - np.log(reference) - np.log(escale))


def smooth_broken_power_law_slope(
    log_energy: Any, index1: Any, index2: Any, amplitude: Any, ebreak: Any, reference: Any, beta: Any
) -> Any:
    r"""Of `smooth_broken_power_law`, from :math:`-\Gamma_1` to :math:`-\Gamma_2`."""
    half = 0.5 * (index2 - index1)
    return -index1 - half - np.abs(half) * np.tanh(half * (log_energy - np.log(ebreak)) / beta)
