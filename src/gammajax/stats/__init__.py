"""Fit statistics as functions of arrays: -2 ln L, one value per bin."""

from gammajax.stats.flux_points import (
    distrib,
    distrib_derivatives,
    likelihood_profile,
    likelihood_profile_derivatives,
)
from gammajax.stats.onoff import wstat, wstat_alpha_derivatives, wstat_mu_bkg, wstat_mu_sig_derivatives
from gammajax.stats.poisson import cash, cash_derivatives, cstat, cstat_derivatives

__all__ = [
    "cash",
    "cash_derivatives",
    "cstat",
    "cstat_derivatives",
    "distrib",
    "distrib_derivatives",
    "likelihood_profile",
    "likelihood_profile_derivatives",
    "wstat",
    "wstat_alpha_derivatives",
    "wstat_mu_bkg",
    "wstat_mu_sig_derivatives",
]
