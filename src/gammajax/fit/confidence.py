"""Asymmetric errors and upper limits: where the re-optimised TS crosses a level."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.errors import FitError, InputError
from gammajax.hooks import StoredResult
from gammajax.provenance import Provenance
from gammajax.scan.crossing import Crossings, Rays, find_crossings
from gammajax.scan.refit import Refit
from gammajax.units import unit_text

__all__ = ["ConfidenceResult", "ConfidenceTable", "UpperLimit", "check_sigma", "intervals", "upper_limit"]

# a node this far below the best fit shows that it was none
BELOW = 1e-3


def branch(starts: int) -> str:
    """What re-fits from so many starts find, in words."""
    return "re-fits follow the branch of the best fit" if starts == 1 else f"best of {starts} starts per re-fit"


def check_sigma(sigma: Any, what: str) -> list[float]:
    """One level or several as a list; refuses what is none."""
    try:
        levels = np.atleast_1d(np.asarray(sigma, dtype=float))
    except (TypeError, ValueError):
        levels = np.zeros(0)
    if levels.ndim != 1 or not len(levels) or not np.all(np.isfinite(levels) & (levels > 0) & (levels <= 38)):
        raise InputError(f"{what}: got sigma={sigma!r}, expected a number above 0 and at most 38, or a list of such.")
    return [float(s) for s in levels]


@dataclass(frozen=True, repr=False)
class ConfidenceResult(Mapping, StoredResult):
    """Distances from the best fit to the crossings of TS = sigma^2.

    Readable like gammapy's dictionary: keys ``errn``, ``errp``, ``success``, ``message``, ``nfev``.

    Attributes
    ----------
    parameter : str
        Unique name.
    sigma : float
        Level.
    errn, errp : float
        Distances down and up, positive, in `unit`; nan where that side does not close.
    unit : str
        Unit of the parameter.
    success : bool
        Whether both sides are crossings, verified by a re-fit.
    message : str
        Why a side is nan, or "both sides crossed".
    nfev : int
        Evaluations of the statistic with MINUIT, batches of re-fits otherwise.
    value : float
        The best fit, in `unit`.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    starts : int
        Starts of every re-fit; with 1 they follow the branch of minima that the best fit is on.
    """

    parameter: str
    sigma: float
    errn: float
    errp: float
    unit: str
    success: bool
    message: str
    nfev: int
    value: float = np.nan
    provenance: Provenance | None = None
    starts: int = 1

    _keys = ("errn", "errp", "success", "message", "nfev")

    def __getitem__(self, key: str) -> Any:
        if key in self._keys:
            return getattr(self, key)
        raise KeyError(f"{key!r}: the keys are {', '.join(self._keys)}.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __str__(self) -> str:
        return (
            f"{self.parameter}: -{self.errn:.6g} +{self.errp:.6g}{f' {self.unit}' if self.unit else ''} at TS = {self.sigma**2:g} "
            f"({self.sigma:g} sigma, one parameter); {self.message}; {branch(self.starts)}"
        )

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class ConfidenceTable(Mapping, StoredResult):
    """Intervals of several parameters at several levels: ``table["alpha"][0]``, ``table["alpha", 2]`` for 2 sigma.

    Attributes
    ----------
    results : dict of str to list of `ConfidenceResult`
        By unique name, in the order of `sigma`.
    sigma : tuple of float
        Levels.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    starts : int
        Starts of every re-fit; with 1 they follow the branch of minima that the best fit is on.
    """

    results: dict[str, list[ConfidenceResult]]
    sigma: tuple[float, ...]
    provenance: Provenance | None = None
    starts: int = 1

    def _name(self, key: str) -> str:
        found = [n for n in self.results if key in (n, n.rsplit(".", 1)[-1])]
        if len(found) != 1:
            raise KeyError(
                f"{key!r}: {'ambiguous' if found else 'unknown'}; the parameters are {', '.join(self.results)}."
            )
        return found[0]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            name, sigma = key
            if sigma not in self.sigma:
                raise KeyError(f"{sigma!r}: the levels are {', '.join(f'{s:g}' for s in self.sigma)} sigma.")
            return self.results[self._name(name)][self.sigma.index(sigma)]
        return self.results[self._name(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @property
    def success(self) -> bool:
        """Whether every side of every interval is a crossing."""
        return all(r.success for rs in self.results.values() for r in rs)

    def to_table(self) -> Any:
        """All intervals as an astropy table, one row per parameter and level."""
        from astropy.table import Table

        rows = [r for rs in self.results.values() for r in rs]
        names = ("parameter", "sigma", "value", "errn", "errp", "unit", "success", "message")
        return Table([[getattr(r, n) for r in rows] for n in names], names=names)

    def __str__(self) -> str:
        return "\n".join(str(r) for rs in self.results.values() for r in rs)

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class UpperLimit(StoredResult):
    """One-sided upper limit of a parameter.

    Attributes
    ----------
    parameter : str
        Unique name.
    cl : float
        Confidence level.
    value : float
        The limit, in `unit`; nan where there is none.
    unit : str
        Unit of the parameter.
    ts : float
        Level of the re-optimised TS, the square of the normal quantile of `cl`.
    best : float
        The best fit, in `unit`.
    success : bool
        Whether the value is a crossing, verified by a re-fit.
    message : str
        Why not, or the definition.
    provenance : `gammajax.provenance.Provenance` or None
        Versions, hash of the data, time and settings.
    starts : int
        Starts of every re-fit; with 1 they follow the branch of minima that the best fit is on.
    """

    parameter: str
    cl: float
    value: float
    unit: str
    ts: float
    best: float
    success: bool
    message: str
    provenance: Provenance | None = None
    starts: int = 1

    def __str__(self) -> str:
        return f"{self.parameter} < {self.value:.6g} {self.unit} ({100 * self.cl:g} % CL); {self.message}; {branch(self.starts)}".replace(
            "  ", " "
        )

    __repr__ = __str__


def free_covariance(refit: Refit, also: Sequence[int] = ()) -> np.ndarray:
    """Covariance 2 H^-1 of the free parameters that are on no limit, shape (P, P), 0 elsewhere; nan where there is none."""
    like, best = refit.likelihood, refit.best
    on_limit = (best <= like.lower) | (best >= like.upper)
    on_limit[list(also)] = False
    index = np.flatnonzero(like.free & ~on_limit)
    key = index.tobytes()
    if key not in refit.covariances:
        refit.covariances[key] = _covariance_of(refit, index)
    return refit.covariances[key]


def _covariance_of(refit: Refit, index: np.ndarray) -> np.ndarray:
    out = np.zeros((len(refit.best),) * 2)
    block = refit.hessian[np.ix_(index, index)]
    unit = np.sqrt(np.abs(np.diag(block)))
    unit = np.where(unit > 0, unit, 1.0)
    try:
        inverse = 2 * np.linalg.inv(block / np.outer(unit, unit)) / np.outer(unit, unit)
    except np.linalg.LinAlgError:
        inverse = np.full(block.shape, np.nan)
    out[np.ix_(index, index)] = inverse
    return out


def steps(refit: Refit, index: int) -> float:
    """Size of one sigma of a parameter, internal units: from the covariance, or what the curvature gives."""
    variance = free_covariance(refit, [index])[index, index]
    return float(np.sqrt(variance)) if np.isfinite(variance) and variance > 0 else float(refit.scale[index])


def _rays(refit: Refit, ends: list[tuple[int, float, float]]) -> Rays:
    """Rays of one parameter each: its position, its signed size of a step, and the level."""
    n_par = len(refit.best)
    held = np.zeros((len(ends), n_par), dtype=bool)
    direction = np.zeros((len(ends), n_par))
    for k, (index, step, _) in enumerate(ends):
        held[k, index], direction[k, index] = True, step
    return Rays(held, direction, np.array([level for *_, level in ends]))


def check_best(crossings: Crossings, what: str) -> None:
    """Refuse results around a point that turned out not to be the minimum.

    Raises
    ------
    FitError
        If a re-fit found a statistic more than 1e-3 below the best fit.
    """
    if crossings.lowest[0] < -BELOW:
        raise FitError(
            f"{what}: the parameters are not at a minimum, or not at the lowest: a re-fit found a statistic lower by "
            f"{-crossings.lowest[0]:.4g}; run the fit (again with tighter options, or from several starts: "
            "fit.run(starts=20)) before asking for intervals or contours."
        )


def intervals(refit: Refit, stat_best: float, found: list, sigma: list[float]) -> ConfidenceTable:
    """Both sides of the intervals of all parameters and levels, in one batch.

    Parameters
    ----------
    refit : `Refit`
        Around the best fit.
    stat_best : float
        Statistic there.
    found : list
        For each parameter: position in theta, parameter, unique name.
    sigma : list of float
        Levels; TS = sigma^2.
    """
    size = {index: steps(refit, index) for index, *_ in found}
    ends = [(i, sign * size[i], s**2) for i, *_ in found for s in sigma for sign in (-1.0, 1.0)]
    out = find_crossings(refit, _rays(refit, ends), stat_best)
    check_best(out, "confidence")
    results: dict[str, list[ConfidenceResult]] = {}
    for k, (index, live, name) in enumerate(f for f in found for _ in sigma):
        pair = 2 * k, 2 * k + 1
        distance = [out.t[j] * size[index] / live.factor for j in pair]
        reasons = [
            f"{side} side: {out.reason[j]}" for side, j in zip(("lower", "upper"), pair, strict=True) if out.reason[j]
        ]
        s = sigma[k % len(sigma)]
        one = ConfidenceResult(
            parameter=name, sigma=s, errn=float(distance[0]), errp=float(distance[1]), unit=unit_text(live.unit),
            success=not reasons, message="; ".join(reasons) or "both sides crossed", nfev=out.rounds,
            value=float(refit.best[index] / live.factor), starts=refit.starts,
        )  # fmt: skip
        results.setdefault(name, []).append(one)
    return ConfidenceTable(results, tuple(sigma), starts=refit.starts)


def upper_limit(refit: Refit, stat_best: float, found: tuple, cl: float) -> UpperLimit:
    """One-sided upper limit: the value above the best fit where the re-optimised TS is the squared normal quantile of `cl`."""
    if not (np.isfinite(cl) and 0.5 < cl < 1):
        raise InputError(
            f"upper_limit: got cl={cl!r}, expected a confidence level above 0.5 and below 1, such as 0.95."
        )
    index, live, name = found
    from scipy.special import ndtri

    level = float(ndtri(cl)) ** 2
    size = steps(refit, index)
    out = find_crossings(refit, _rays(refit, [(index, size, level)]), stat_best)
    check_best(out, "upper_limit")
    best = refit.best[index] / live.factor
    reason = out.reason[0]
    return UpperLimit(
        parameter=name, cl=float(cl), value=float(best + out.t[0] * size / live.factor), unit=live.unit.to_string(),
        ts=level, best=float(best), success=not reason,
        message=reason or f"TS = {level:.4g} above the best fit of {best:.6g}, all other free parameters re-fitted",
        starts=refit.starts,
    )  # fmt: skip
