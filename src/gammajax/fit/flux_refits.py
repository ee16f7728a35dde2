"""Flux points with all other free parameters re-fitted in each bin: the profile of each strength, by the batched solver."""

from typing import Any

import numpy as np
from astropy import units as u

from gammajax.datasets import Datasets
from gammajax.likelihood import Likelihood
from gammajax.models import Models, PowerLawNormSpectralModel, SkyModel
from gammajax.parameters import Parameter
from gammajax.solve import fitted, minimize_batch
from gammajax.units import double_precision

__all__ = ["RefittedBin"]

# profiles are compared to 1e-10 of their rise
TOL = 1e-12
# strengths at which the others cannot be fitted, then the bin is given up: where they cannot be told apart nothing else ends
MOST_FAILURES = 40


class RefittedBin:
    """The data of one energy and time bin, with models of its own: the source has a free strength, the others what is free in them.

    Parameters
    ----------
    datasets : list of data sets
        Those with channels in the bin.
    masks : list of array, shape (n_reco,)
        Channels of the bin, of each.
    models : `Models`
        Models of all; not changed.
    source : str
        Name of the source.
    """

    def __init__(self, datasets: list[Any], masks: list[np.ndarray], models: Models, source: str) -> None:
        own = _with_strength(models, source)
        members = []
        for d, mask in zip(datasets, masks, strict=True):
            new = d.copy(name=d.name)
            new.mask_fit, new.models = mask, own
            members.append(new)
        self.datasets, self.source = Datasets(members), own[source]
        likelihood = self._likelihood = Likelihood(self.datasets)
        assert likelihood.unique is not None
        norm = self.source.spectral_model.model1.norm
        self._norm = next(i for i, p in enumerate(likelihood.unique) if p is norm)
        self._scale, self._start = likelihood.scale, likelihood.start
        self._others = likelihood.free.copy()
        self._others[self._norm] = False
        # a background of another night, a source that is not seen here: what has no effect stays as it is
        with double_precision():
            out = minimize_batch(
                likelihood, self._start[None], self._others, likelihood.lower, likelihood.upper, self._scale, max_iter=1,
                derivatives=True,
            )  # fmt: skip
        assert out.hessian is not None
        assert out.gradient is not None
        self._known: dict[float, tuple[float, float, float]] = {}
        self._failures = 0
        self._others &= np.any(out.hessian[0] != 0, axis=1) | (out.gradient[0] != 0)

    def curve(self, norm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Statistic with the others re-fitted, its slope and its curvature, at strengths (L,).

        By the envelope theorem :math:`f' = g_\psi - H_{\psi\nu} H_{\nu\nu}^{-1} g_\nu` and
        :math:`f'' = H_{\psi\psi} - H_{\psi\nu} H_{\nu\nu}^{-1} H_{\nu\psi}`, of the parameters that are not on a limit; nan where the
        others could not be fitted.
        """
        new = np.unique([x for x in norm if np.isfinite(x) and float(x) not in self._known])
        if len(new) and self._failures < MOST_FAILURES:
            self._add(new)
        nan = (np.nan,) * 3
        stat, slope, curvature = np.array([self._known.get(float(x), nan) for x in norm]).reshape(-1, 3).T
        return stat, slope, curvature

    def _add(self, norm: np.ndarray) -> None:
        out = self._solve(norm)
        good = fitted(out.status)
        self._failures += int(np.sum(~good))
        if good.any():
            # the next ones begin at the lowest of these
            self._start = out.theta[np.flatnonzero(good)[np.argmin(out.stat[good])]].copy()
        for k, x in enumerate(norm):
            outside = np.inf if out.stat[k] == np.inf else np.nan
            self._known[float(x)] = self._profile(out, k) if good[k] else (outside, np.nan, np.nan)

    def _solve(self, norm: np.ndarray) -> Any:
        like = self._likelihood
        starts = np.tile(self._start, (len(norm), 1))
        again = np.tile(like.start, (len(norm), 1))
        starts[:, self._norm] = again[:, self._norm] = norm
        return minimize_batch(
            like, starts, self._others, like.lower, like.upper, self._scale, tol=TOL, again=again, derivatives=True
        )

    def _profile(self, out: Any, k: int) -> tuple[float, float, float]:
        """Statistic, slope and curvature of one lane, to first order at the very minimum of the others."""
        like, scale = self._likelihood, self._scale
        x, g, h = out.theta[k], out.gradient[k] * scale, out.hessian[k] * np.outer(scale, scale)
        held = ((x <= like.lower) & (g > 0)) | ((x >= like.upper) & (g < 0))
        at = np.flatnonzero(self._others & ~held)
        stat, slope, curvature = out.stat[k], g[self._norm], h[self._norm, self._norm]
        if len(at):
            solved = np.linalg.solve(h[np.ix_(at, at)], np.stack([g[at], h[at, self._norm]], axis=1))
            slope = slope - h[self._norm, at] @ solved[:, 0]
            curvature = curvature - h[self._norm, at] @ solved[:, 1]
        return stat, slope / scale[self._norm], curvature / scale[self._norm] ** 2

    def set_best(self, norm: float) -> None:
        """Put the models of the bin at a strength and the values of the others that fit it best."""
        theta = self._solve(np.array([norm])).theta[0]
        unique = self._likelihood.unique
        assert unique is not None
        for i in [self._norm, *np.flatnonzero(self._others)]:
            unique[i].value = theta[i] / unique[i].factor


def _with_strength(models: Models, source: str) -> Models:
    """Copies of all models; the source held as it is, times a free norm."""
    shape = {id(p) for p in models[source].parameters}
    made: dict[int, Parameter] = {}
    pars = models.parameters
    for p in sorted(pars, key=lambda p: p.follows is not None):
        if id(p) in made:
            continue
        new = made[id(p)] = p.copy()
        if id(p) in shape:
            # its prior would be a constant
            new.prior, new.frozen = None, True
        elif (root := p.follows) is not None:
            factor, offset = root.numbers(p.unit, root.parent.unit)
            parent = made[id(root.parent)]
            new.link(parent, u.Quantity(factor, p.unit / parent.unit), u.Quantity(offset, p.unit))
    members = []
    for m in models:
        own = m.with_parameters([made[id(p)] for p in m.parameters])
        if m.name == source:
            strong = PowerLawNormSpectralModel() * own.spectral_model
            own = SkyModel(strong, m.name, m.datasets_names, own.temporal_model)
        members.append(own)
    return Models(members, [penalty.replace_parameters(made) for penalty in models.penalties])
