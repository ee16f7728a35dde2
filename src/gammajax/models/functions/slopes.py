r"""Local slopes :math:`d \ln \phi / d \ln E` for choosing nodes, as functions of numbers and arrays; energies in TeV.

NumPy's where nothing is traced: nodes are chosen for many values before anything is compiled.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "broken_power_law_slope",
    "log_parabola_2_slope",
    "log_parabola_slope",
    "power_law_2_slope",
    "power_law_slope",
    "super_exp_cutoff_slope",
]


def _module(*values: Any) -> Any:
    return jnp if any(isinstance(v, jax.Array) for v in values) else np


def power_law_slope(log_energy: Any, index: Any, *others: Any) -> Any:
    r"""Of `power_law`, or of a power law with a cut-off without that, :math:`-\Gamma`."""
    return 0.0 * log_energy - index


def super_exp_cutoff_slope(
    log_energy: Any, amplitude: Any, reference: Any, cutoff: Any, index_1: Any, index_2: Any
) -> Any:
    r"""Of a power law with a super-exponential cut-off without that, :math:`-\Gamma_1`."""
    return 0.0 * log_energy - index_1


def power_law_2_slope(log_energy: Any, amplitude: Any, index: Any, emin: Any, emax: Any) -> Any:
    r"""Of `power_law_2`, :math:`-\Gamma`."""
    return 0.0 * log_energy - index


def broken_power_law_slope(log_energy: Any, index1: Any, index2: Any, amplitude: Any, ebreak: Any) -> Any:
    r"""Of `broken_power_law`, :math:`-\Gamma_1` or :math:`-\Gamma_2`."""
    xp = _module(log_energy, index1, index2, ebreak)
    return -xp.where(log_energy < xp.log(ebreak), index1, index2)


def log_parabola_slope(log_energy: Any, amplitude: Any, reference: Any, alpha: Any, beta: Any) -> Any:
    r"""Of `log_parabola`, :math:`-\alpha - 2 \beta \ln(E/E_0)`."""
    return -alpha - 2 * beta * (log_energy - _module(reference).log(reference))


def log_parabola_2_slope(log_energy: Any, amplitude: Any, reference: Any, alpha: Any, beta: Any, escale: Any) -> Any:
    r"""Of `log_parabola_2`, :math:`-\alpha - \beta (\ln(E/E_0) + \ln(E/E_s))`."""
    references = _module(reference).log(reference) + _module(escale).log(escale)
    return -alpha - beta * (2 * log_energy - references)


def smooth_broken_power_law_slope(
    log_energy: Any, index1: Any, index2: Any, amplitude: Any, ebreak: Any, reference: Any, beta: Any
) -> Any:
    r"""Of `smooth_broken_power_law`, from :math:`-\Gamma_1` to :math:`-\Gamma_2`."""
    half = 0.5 * (index2 - index1)
    xp = _module(log_energy, half, ebreak, beta)
    return -index1 - half - xp.abs(half) * xp.tanh(half * (log_energy - xp.log(ebreak)) / beta)
