"""Summary numbers and text of a data set."""

from typing import Any

import numpy as np
from astropy import units as u

__all__ = ["cash_sqrt_ts", "info_dict", "li_ma_sqrt_ts", "summary"]


def li_ma_sqrt_ts(n_on: float, n_off: float, alpha: float) -> float:
    r"""Significance of an excess, signed square root of the likelihood ratio.

    Li & Ma 1983, ApJ 272, 317, eq. 17; negative for a deficit; equal to the difference of the W statistic between no
    signal and the best one.

    Examples
    --------
    >>> round(li_ma_sqrt_ts(124, 92, 1 / 12), 6)
    18.872042
    """
    if not np.isfinite(alpha) or alpha <= 0:
        return np.nan
    total = n_on + n_off

    def term(n: float, ratio: float) -> float:
        return n * np.log(ratio) if n > 0 else 0.0

    on = term(n_on, (1 + alpha) / alpha * n_on / total if total else 1.0)
    off = term(n_off, (1 + alpha) * n_off / total if total else 1.0)
    return float(np.sign(n_on - alpha * n_off) * np.sqrt(max(2 * (on + off), 0.0)))


def cash_sqrt_ts(n_on: float, background: float) -> float:
    r"""Significance of an excess over a known background b, :math:`\pm\sqrt{2 (n \ln(n/b) - n + b)}`.

    Li & Ma 1983, ApJ 272, 317, with a known background; negative for a deficit.

    Examples
    --------
    >>> round(cash_sqrt_ts(20, 10.0), 6)
    2.779548
    """
    if background <= 0:
        return 0.0 if n_on == 0 else np.nan
    term = n_on * np.log(n_on / background) if n_on > 0 else 0.0
    return float(np.sign(n_on - background) * np.sqrt(max(2 * (term - n_on + background), 0.0)))


def info_dict(dataset: Any, in_safe_data_range: bool = True) -> dict[str, Any]:
    """Summary of a data set by gammapy's names.

    Parameters
    ----------
    dataset : data set of counts
        The data set.
    in_safe_data_range : bool
        Sum over the bins of mask_safe only.

    Returns
    -------
    dict
        Counts, rates, exposure, statistic; predictions are nan without models.
    """
    mask = dataset.mask_safe.data if in_safe_data_range else np.ones(len(dataset.counts.data), dtype=bool)
    n_on, background = float(dataset.counts.data[mask].sum()), float(dataset.background.data[mask].sum())
    exposure = (
        dataset.exposure.quantity[dataset.exposure.data > 0]
        if np.any(dataset.exposure.data > 0)
        else dataset.exposure.quantity
    )
    npred_background = float(dataset.npred_background().data[mask].sum())
    npred_signal = float(dataset.npred_signal().data[mask].sum()) if dataset.models else np.nan
    livetime = dataset.livetime
    off = _off_numbers(dataset, mask, background) if hasattr(dataset, "counts_off") else {}
    return {
        "name": dataset.name,
        "counts": int(round(n_on)),
        "excess": n_on - background,
        "sqrt_ts": li_ma_sqrt_ts(n_on, off["counts_off"], off["alpha"]) if off else cash_sqrt_ts(n_on, background),
        "background": background,
        "npred": npred_background + (npred_signal if dataset.models else 0.0),
        "npred_background": npred_background,
        "npred_signal": npred_signal,
        "exposure_min": exposure.min(),
        "exposure_max": exposure.max(),
        "livetime": livetime,
        "ontime": dataset.ontime,
        "counts_rate": n_on / livetime,
        "background_rate": background / livetime,
        "excess_rate": (n_on - background) / livetime,
        "n_bins": len(mask),
        "n_fit_bins": int(dataset.mask.data.sum()),
        "stat_type": dataset.stat_type,
        "stat_sum": dataset.stat_sum() if dataset.mask.data.any() else np.nan,
        **off,
    }


def _off_numbers(dataset: Any, mask: np.ndarray, background: float) -> dict[str, Any]:
    """What only an OFF measurement has."""
    n_off = float(dataset.counts_off.data[mask].sum())
    acceptance = float(dataset.acceptance.data[mask].sum())
    if n_off > 0:
        alpha = background / n_off
    else:
        total_off = float(dataset.acceptance_off.data[mask].sum())
        alpha = acceptance / total_off if total_off > 0 else np.nan
    return {
        "counts_off": int(round(n_off)),
        "acceptance": acceptance,
        "acceptance_off": acceptance / alpha if alpha else np.nan,
        "alpha": alpha,
    }


LABELS = (
    ("Name", "name"),
    None,
    ("Total counts", "counts"),
    ("Total background counts", "background"),
    ("Total excess counts", "excess"),
    ("Significance of the excess (Li & Ma)", "sqrt_ts"),
    None,
    ("Predicted counts", "npred"),
    ("Predicted background counts", "npred_background"),
    ("Predicted excess counts", "npred_signal"),
    None,
    ("Exposure min", "exposure_min"),
    ("Exposure max", "exposure_max"),
    ("Livetime", "livetime"),
    None,
    ("Number of total bins", "n_bins"),
    ("Number of fit bins", "n_fit_bins"),
    None,
    ("Fit statistic type", "stat_type"),
    ("Fit statistic value (-2 log(L))", "stat_sum"),
    None,
    ("Total counts_off", "counts_off"),
    ("Acceptance", "acceptance"),
    ("Acceptance off", "acceptance_off"),
)


def _text(value: Any) -> str:
    if isinstance(value, u.Quantity):
        return f"{value:.3g}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def summary(dataset: Any) -> str:
    """Text of ``print(dataset)``."""
    info = info_dict(dataset)
    lines = [type(dataset).__name__, "-" * len(type(dataset).__name__), ""]
    lines += [
        "" if row is None else f"  {row[0]:<36}: {_text(info[row[1]])}"
        for row in LABELS
        if row is None or row[1] in info
    ]
    models = dataset.models
    free = len(models.parameters.free_unique_parameters) if models else 0
    lines += [
        "",
        f"  {'Number of models':<36}: {len(models) if models else 0}",
        f"  {'Number of parameters':<36}: {len(models.parameters) if models else 0}",
        f"  {'Number of free parameters':<36}: {free}",
    ]
    if dataset.compatibility:
        lines += ["", f"  Bin integrals in the mode of {dataset.compatibility}, not exact."]
    return "\n".join(lines)
