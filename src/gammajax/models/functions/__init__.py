"""Spectral models as pure functions of arrays.

Each takes the energy first and then scalars in the order in which its class declares them.
"""

from gammajax.models.functions.curved import (
    gaussian,
    gaussian_integral,
    log_parabola,
    log_parabola_2,
    log_parabola_slopes,
    meyer_crab,
    smooth_broken_power_law,
    smooth_broken_power_law_cuts,
)
from gammajax.models.functions.cutoffs import (
    exp_cutoff_power_law,
    exp_cutoff_power_law_3fgl,
    super_exp_cutoff_3fgl,
    super_exp_cutoff_3fgl_cuts,
    super_exp_cutoff_4fgl,
    super_exp_cutoff_4fgl_cuts,
    super_exp_cutoff_4fgl_dr3,
    super_exp_cutoff_4fgl_dr3_cuts,
)
from gammajax.models.functions.power_laws import (
    broken_power_law,
    broken_power_law_integral,
    constant,
    constant_integral,
    power_law,
    power_law_2,
    power_law_2_integral,
    power_law_integral,
)
from gammajax.models.functions.slopes import (
    broken_power_law_slope,
    log_parabola_2_slope,
    log_parabola_slope,
    power_law_2_slope,
    power_law_slope,
    smooth_broken_power_law_slope,
    super_exp_cutoff_slope,
)
from gammajax.models.functions.steepness import (
    exp_cutoff_3fgl_steepness,
    exp_cutoff_steepness,
    gaussian_steepness,
    super_exp_cutoff_3fgl_steepness,
    super_exp_cutoff_4fgl_dr3_steepness,
    super_exp_cutoff_4fgl_steepness,
)
from gammajax.models.functions.tables import absorption, piecewise_norm, template

__all__ = [
    "absorption",
    "broken_power_law",
    "broken_power_law_integral",
    "broken_power_law_slope",
    "constant",
    "constant_integral",
    "exp_cutoff_3fgl_steepness",
    "exp_cutoff_power_law",
    "exp_cutoff_power_law_3fgl",
    "exp_cutoff_steepness",
    "gaussian",
    "gaussian_integral",
    "gaussian_steepness",
    "log_parabola",
    "log_parabola_2",
    "log_parabola_2_slope",
    "log_parabola_slope",
    "log_parabola_slopes",
    "meyer_crab",
    "piecewise_norm",
    "power_law",
    "power_law_2",
    "power_law_2_integral",
    "power_law_2_slope",
    "power_law_integral",
    "power_law_slope",
    "smooth_broken_power_law",
    "smooth_broken_power_law_cuts",
    "smooth_broken_power_law_slope",
    "super_exp_cutoff_3fgl",
    "super_exp_cutoff_3fgl_cuts",
    "super_exp_cutoff_3fgl_steepness",
    "super_exp_cutoff_4fgl",
    "super_exp_cutoff_4fgl_cuts",
    "super_exp_cutoff_4fgl_dr3",
    "super_exp_cutoff_4fgl_dr3_cuts",
    "super_exp_cutoff_4fgl_dr3_steepness",
    "super_exp_cutoff_4fgl_steepness",
    "super_exp_cutoff_slope",
    "template",
]
