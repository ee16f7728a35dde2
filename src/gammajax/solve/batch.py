"""Many minimisations of one likelihood at once, with a verdict per lane."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from gammajax.direct import home_device
from gammajax.progress import Bar
from gammajax.solve.devices import pick_device
from gammajax.solve.few import MAX_STEPS, evaluate_few, minimize_few, worthwhile
from gammajax.solve.memory import within_memory
from gammajax.solve.programs import ALONE, ALONE_FITS, evaluate_program, in_parallel, minimize_program, sizes
from gammajax.solve.sharded import over_devices
from gammajax.solve.status import Status, fitted
from gammajax.units import double_precision

__all__ = ["MAX_ITER", "SPECIALISE", "TOL", "BatchResult", "Plan", "evaluate_batch", "minimize_batch", "replace_lanes"]

MAX_ITER = 200
TOL = 1e-9
# steps of the whole batch before the lanes that are left are gathered
FIRST = 12
# from so many lanes on a program of their own, with fixed free parameters and longer calls: measured on two cores it gains nothing at
# 4000 lanes, a fifth to a quarter at 20 000, a third at 100 000, and costs up to two seconds of compilation once
SPECIALISE = 10_000


class Plan(NamedTuple):
    """Which program serves a call, settled beforehand: without it the lanes of the call decide, and what was computed before.

    Attributes
    ----------
    varied : array of bool, shape (P,)
        Parameters that are free in some lane of some call.
    moved : array of bool, shape (P,)
        Parameters that are not, but differ from lane to lane.
    large : bool
        Whether to compile a program for these parameters alone.
    devices : tuple of jax.Device
        Devices that share the lanes; none for the usual choice. Likelihood and lanes are put there by the caller and by the call.
    """

    varied: np.ndarray
    moved: np.ndarray
    large: bool
    devices: tuple = ()


class BatchResult(NamedTuple):
    """What comes back, one entry per lane.

    Attributes
    ----------
    stat : array, shape (n,)
        Statistic.
    theta : array, shape (n, P)
        Parameters, internal units.
    edm : array, shape (n,)
        Expected distance to the minimum, from the exact Hessian in the parameters that are free and not on a limit.
    iterations : array of int, shape (n,)
        Steps tried.
    status : array of int, shape (n,)
        `Status`.
    gradient, hessian : array, shapes (n, P) and (n, P, P), or None
        Exact derivatives of the statistic at the end, only if asked for; 0 for parameters that the solver was told are neither
        varied nor moved.
    """

    stat: np.ndarray
    theta: np.ndarray
    edm: np.ndarray
    iterations: np.ndarray
    status: np.ndarray
    gradient: np.ndarray | None = None
    hessian: np.ndarray | None = None

    def take(self, which: Any) -> "BatchResult":
        """Some of the lanes, by an index array or a slice."""
        stat, theta, edm, iterations, status = (a[which] for a in self[:5])
        more = (None if a is None else a[which] for a in self[5:])
        return BatchResult(stat, theta, edm, iterations, status, *more)


def _compact(likelihood: Any, device: Any, lanes: int, plan: Plan | None = None) -> tuple[Any, str]:
    """The likelihood as the solver wants it, on the device, and the kind of that device."""
    if plan is not None and plan.devices:
        return likelihood.compact(), plan.devices[0].platform
    compact, device = likelihood.compact(), pick_device(device, lanes)
    if device != home_device():
        compact = jax.device_put(compact, device)
    return compact, device.platform


def _shapes(compact: Any) -> tuple:
    """What a program is compiled for, as far as the likelihood is concerned."""
    leaves, structure = jax.tree.flatten(compact)
    return structure, tuple(a.shape for a in leaves)


def _fill(parts: list[Any], begin: int, end: int, capacity: int, inner: int) -> tuple[np.ndarray, int]:
    """Lanes begin:end of some columns, in an array of `capacity` lanes; the last inner batch is filled up with its last lane."""
    n = end - begin
    batches = -(-n // inner)
    # lanes beyond the last batch are never read
    out = np.empty((capacity, sum(p.shape[1] for p in parts)))
    at = 0
    for p in parts:
        here = out[:n, at : at + p.shape[1]]
        at += p.shape[1]
        if isinstance(p, np.ndarray):
            here[:] = p[begin:end]
        else:
            p.write(slice(begin, end), here)
    out[n : batches * inner] = out[n - 1]
    return out, batches


def _head(out: jax.Array, n: int) -> np.ndarray:
    """The first n rows, without the others behind them: many are kept until the last piece is done."""
    rows = np.asarray(out)
    return rows if n == len(rows) else rows[:n].copy()


def evaluate_batch(likelihood: Any, theta: np.ndarray, device: Any = None, plan: Plan | None = None) -> np.ndarray:
    """Statistic at many points, nothing fitted.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    theta : array, shape (n, P)
        Points, internal units.
    device : jax.Device, optional
        Where to run.
    plan : `Plan`, optional
        The program to use.

    Returns
    -------
    array, shape (n,)
        Statistic.
    """
    if plan is None and worthwhile(likelihood, device, "evaluate", len(theta)):
        return evaluate_few(likelihood, theta)
    if plan is None:
        return within_memory(lambda: _evaluate_all(likelihood, theta, device, None), device, len(theta), False)
    # whoever has a plan answers for its memory as well: its batches are those of all of its calls
    return _evaluate_all(likelihood, theta, device, plan)


def _evaluate_all(likelihood: Any, theta: np.ndarray, device: Any, plan: Plan | None) -> np.ndarray:
    """All points by the batched program."""
    moves = plan.moved if plan else np.array([_moves(theta[:, i]) for i in range(theta.shape[1])])
    with double_precision():
        compact, platform = _compact(likelihood, device, len(theta), plan)
        large = plan.large if plan else len(theta) >= SPECIALISE
        if not large:
            moves = moves | _usual(compact, len(moves))
        columns = _positions(moves)
        points = theta[:, moves]
        size = sizes(platform)
        capacity, inner = size.large if large else size.capacity, size.evaluate
        if plan and len(plan.devices) > 1:
            static = {"columns": columns, "inner": inner}
            return over_devices(evaluate_program, plan.devices, compact, theta[0], [points], capacity, static)[:, 0]
        key = ("evaluate", columns, inner, capacity, _shapes(compact))

        def call(begin: int, end: int) -> np.ndarray:
            part, batches = _fill([points], begin, end, capacity, inner)
            out = evaluate_program(compact, np.append(theta[0], batches), part, columns=columns, inner=inner)
            return _head(out, end - begin)[:, 0]

        parts = _told(in_parallel(call, len(theta), capacity, inner, platform, key, ALONE), len(theta), plan is None)
    return np.concatenate(parts)


def _told(parts: Iterable[tuple[int, int, np.ndarray]], total: int, alone: bool) -> list[np.ndarray]:
    """Results of the parts, in their order; with a bar where it takes long and is not itself a chunk of something."""
    if not alone:
        return [out for _, _, out in parts]
    found = []
    with Bar(total, "solver", "node") as bar:
        for begin, end, out in parts:
            found.append(out)
            bar.update(end - begin)
    return found


def minimize_batch(
    likelihood: Any,
    starts: np.ndarray,
    free: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    scale: np.ndarray,
    tol: float = TOL,
    max_iter: int = MAX_ITER,
    again: np.ndarray | None = None,
    derivatives: bool = False,
    device: Any = None,
    own: Any = None,
    plan: Plan | None = None,
) -> BatchResult:
    """Minimise the statistic from many starts at once.

    A first pass of few steps takes most lanes to their minimum. Those that are left are gathered and go on with stronger
    damping, then from `again`; `max_iter` counts all of it.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function.
    starts : array, shape (n, P)
        Start of each lane; parameters that are not free keep its values.
    free : array of bool, shape (P,) or (n, P)
        Which parameters are varied, in all lanes or in each.
    lower, upper : array, shape (P,)
        Limits.
    scale : array, shape (P,)
        Typical size of the parameters.
    tol : float
        Stop at this expected distance to the minimum, in units of the statistic.
    max_iter : int
        Steps tried at most.
    again : array, shape (n, P), optional
        Second start, used where the first fails.
    derivatives : bool
        Return the gradient and the Hessian as well, in all parameters that are free or move in any lane.
    device : jax.Device, optional
        Where to run.
    own : array or `gammajax.likelihood.OwnNumbers`, shape (n, D), optional
        Data of each lane, where they differ; the likelihood's compact form then has ``of_lane``.
    plan : `Plan`, optional
        The program to use: then a lane's result does not depend on what else is in the call, nor on calls before it.
    """
    n, n_par = starts.shape
    each = np.broadcast_to(free, (n, n_par))
    again = starts if again is None else again
    if not free.any() and not derivatives and own is None:
        stat = evaluate_batch(likelihood, starts, device, plan)
        status = np.where(np.isfinite(stat), Status.CONVERGED, Status.NON_FINITE)
        zero = np.zeros(n)
        return BatchResult(stat, starts, np.where(np.isfinite(stat), zero, np.nan), np.zeros(n, int), status)
    if plan is None and own is None and max_iter > MAX_STEPS and worthwhile(likelihood, device, "minimize", n):
        out = BatchResult(*minimize_few(likelihood, starts, each, lower, upper, tol))
        left = _unfinished(out)
        if len(left):
            # what plain Newton steps do not bring to a minimum is worth a program
            rest = _minimize_all(
                likelihood, starts[left], each[left], lower, upper, scale, tol, max_iter - MAX_STEPS, again[left], True, device, None
            )  # fmt: skip
            replace_lanes(out, left, rest)
        return out if derivatives else out._replace(gradient=None, hessian=None)
    return _minimize_all(
        likelihood, starts, free, lower, upper, scale, tol, max_iter, again, derivatives, device, own, plan
    )


def _minimize_all(
    likelihood: Any, starts: np.ndarray, free: np.ndarray, lower: np.ndarray, upper: np.ndarray, scale: np.ndarray,
    tol: float, max_iter: int, again: np.ndarray, derivatives: bool, device: Any, own: Any,
    plan: Plan | None = None,
) -> BatchResult:  # fmt: skip
    """All lanes by the batched program; smaller batches where a device has too little memory, but with a plan, which settles them."""

    def compute() -> BatchResult:
        return _minimize_once(
            likelihood, starts, free, lower, upper, scale, tol, max_iter, again, derivatives, device, own, plan
        )

    return compute() if plan is not None else within_memory(compute, device, len(starts), True)


def _minimize_once(
    likelihood: Any, starts: np.ndarray, free: np.ndarray, lower: np.ndarray, upper: np.ndarray, scale: np.ndarray,
    tol: float, max_iter: int, again: np.ndarray, derivatives: bool, device: Any, own: Any, plan: Plan | None,
) -> BatchResult:  # fmt: skip
    n, n_par = starts.shape
    each = np.broadcast_to(free, (n, n_par))
    varied = np.any(each, axis=0) if free.ndim > 1 else free.copy()
    with double_precision():
        compact, platform = _compact(likelihood, device, n, plan)
        large = (plan.large if plan else n >= SPECIALISE) and not derivatives
        varied = varied | plan.varied if plan else varied
        if not large:
            # what is free may change from call to call and compiles nothing; what nobody fits is left out
            varied |= _usual(compact, n_par)
        moved = [i for i in np.flatnonzero(~varied) if _moves(starts[:, i]) or _moves(again[:, i])]
        columns = varied | plan.moved if plan else varied.copy()
        columns[moved] = True
        active = _positions(columns if derivatives else varied)
        run = _Runner(compact, platform, _positions(columns), active, lower, upper, scale, tol, derivatives, large)
        run.devices, run.alone = plan.devices if plan else (), plan is None
        data = np.zeros((n, 0)) if own is None else own
        out = run(starts, again, each, data, min(FIRST, max_iter), 1e-6)
        if not _good(out).all():
            _go_on(out, run, starts, again, each, data, max_iter)
    return out


def _moves(values: np.ndarray) -> bool:
    return bool((values != values[0]).any())


def _go_on(
    out: BatchResult, run: "_Runner", starts: np.ndarray, again: np.ndarray, each: np.ndarray, own: Any,
    max_iter: int,
) -> None:  # fmt: skip
    """Lanes that are left: first from where they are, then from the second start, then at a corner of the statistic."""
    used = min(FIRST, max_iter)
    left = _unfinished(out)
    if len(left) and max_iter > used:
        _merge(out, left, run(out.theta[left], again[left], each[left], own[left], max_iter - used, 1e-2))
    left = _unfinished(out)
    if max_iter > FIRST and len(left := left[out.iterations[left] < max_iter]):
        rest = max_iter - int(out.iterations[left].min())
        _merge(out, left, run(again[left], starts[left], each[left], own[left], rest, 1.0))
    for strength in run.compact.linear(run.active):
        left = _unfinished(out)
        left = left[each[left, strength] & (run.lower[strength] < 0) & (run.upper[strength] > 0)]
        if len(left) and max_iter > FIRST:
            _corner(out, left, run, each[left], own[left], strength)


def _corner(out: BatchResult, left: np.ndarray, run: "_Runner", free: np.ndarray, own: Any, strength: int) -> None:
    """Lanes whose minimum is at strength 0: there the predictions of bins without counts change sign and the slope jumps.

    The other parameters are re-fitted with the strength at 0. In the strength itself the statistic is convex, so
    that 0 is the minimum if a little more and a little less are both worse.
    """
    held = out.theta[left]
    held[:, strength] = 0.0
    others = free.copy()
    others[:, strength] = False
    zero = run(held, held, others, own, MAX_ITER, 1e-2)
    step = 1e-6 * run.scale[run.at.index(strength)]
    sides = []
    for sign in (-1.0, 1.0):
        beside = zero.theta.copy()
        beside[:, strength] = sign * step
        # a lane without free parameters is only evaluated
        sides.append(run(beside, beside, np.zeros_like(others), own, 1, 0.0).stat)
    corner = (
        fitted(zero.status) & (zero.stat <= out.stat[left] + 1e-9) & (zero.stat < sides[0]) & (zero.stat < sides[1])
    )
    good = zero._replace(
        status=np.where(corner, Status.AT_CORNER, Status.ITERATION_LIMIT), stat=np.where(corner, zero.stat, np.inf)
    )
    _merge(out, left, good)


def _usual(compact: Any, n_par: int) -> np.ndarray:
    """Parameters that are in every program, whether they vary or not: all but those that hardly anybody fits."""
    out = np.ones(n_par, dtype=bool)
    out[list(compact.constants())] = False
    return out


def _positions(which: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(which))


def _good(out: BatchResult) -> np.ndarray:
    """Lanes that need no other attempt; where nothing was finite both starts were tried."""
    return fitted(out.status) | (out.status == Status.NON_FINITE)


def _unfinished(out: BatchResult) -> np.ndarray:
    return np.flatnonzero(~_good(out))


def replace_lanes(out: BatchResult, where: np.ndarray, new: BatchResult) -> None:
    """Put other results in the place of some lanes; the steps add up."""
    new.iterations[:] += out.iterations[where]
    for mine, theirs in zip(out, new, strict=True):
        if mine is not None:
            mine[where] = theirs


def _merge(out: BatchResult, where: np.ndarray, new: BatchResult) -> None:
    """Take from another attempt the lanes that it ended better; the steps add up."""
    take = fitted(new.status) | (new.stat < out.stat[where])
    out.iterations[where] += new.iterations
    for name in ("stat", "theta", "edm", "status", "gradient", "hessian"):
        mine, theirs = getattr(out, name), getattr(new, name)
        if mine is not None:
            mine[where[take]] = theirs[take]


class _Runner:
    """One pass of the compiled program over lanes, all starting anew."""

    def __init__(
        self, compact: Any, platform: str, columns: tuple, active: tuple, lower: Any, upper: Any, scale: Any, tol: float,
        derivatives: bool, large: bool,
    ) -> None:  # fmt: skip
        size = sizes(platform)
        self.compact, self.platform, self.lower, self.upper = compact, platform, lower, upper
        self.capacity, self.inner = size.large if large else size.capacity, size.minimize
        self.columns, self.active = columns, active
        self.at = list(active)
        self.shapes = [i for i in active if i not in compact.linear(active)]
        self.scale = scale[self.at]
        self.limits = np.concatenate([lower[self.at] / self.scale, upper[self.at] / self.scale, self.scale])
        self.tol, self.derivatives, self.output = tol, derivatives, not large
        self.devices: tuple = ()
        # whether no one else tells how far it is
        self.alone = False

    def __call__(
        self, starts: np.ndarray, again: np.ndarray, free: np.ndarray, own: Any, max_iter: int, damping: float
    ) -> BatchResult:
        shapes = self.derivatives or bool(np.any(free[:, self.shapes]))
        output = self.output and shapes
        cut = list(self.columns)
        common = np.concatenate([starts[0], self.limits, (self.tol, max_iter, damping, 0.0)])
        lanes = [starts[:, cut], again[:, cut], free[:, self.at], own]

        if len(self.devices) > 1:
            static = {
                "columns": self.columns, "active": self.active, "inner": self.inner, "shapes": shapes, "derivatives": output,
            }  # fmt: skip
            out = over_devices(minimize_program, self.devices, self.compact, common[:-1], lanes, self.capacity, static)
            return self._result(out, starts, free)

        def call(begin: int, end: int) -> np.ndarray:
            part, batches = _fill(lanes, begin, end, self.capacity, self.inner)
            out = minimize_program(
                self.compact, np.append(common[:-1], batches), part,
                columns=self.columns, active=self.active, inner=self.inner,
                shapes=shapes, derivatives=output,
            )  # fmt: skip
            return _head(out, end - begin)

        key = (
            "minimize", self.columns, self.active, shapes, self.inner, self.capacity, own.shape[1], _shapes(self.compact),
        )  # fmt: skip
        run = in_parallel(call, len(starts), self.capacity, self.inner, self.platform, key, ALONE_FITS)
        parts = _told(run, len(starts), self.alone)
        out = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return self._result(out, starts, free)

    def _result(self, out: np.ndarray, starts: np.ndarray, free: np.ndarray) -> BatchResult:
        n = len(self.at)
        theta = starts.copy()
        theta[:, self.at] = np.where(free[:, self.at], out[:, 4 : 4 + n] * self.scale, theta[:, self.at])
        stat, edm, iterations, status = out[:, 0].copy(), out[:, 1].copy(), out[:, 2].astype(int), out[:, 3].astype(int)
        if not self.derivatives:
            return BatchResult(stat, theta, edm, iterations, status)
        gradient, hessian = np.zeros(theta.shape), np.zeros((*theta.shape, theta.shape[1]))
        gradient[:, self.at] = out[:, 4 + n : 4 + 2 * n] / self.scale
        second = out[:, 4 + 2 * n :].reshape(-1, n, n) / (self.scale[:, None] * self.scale)
        if n == theta.shape[1]:
            hessian[:] = second
        else:
            # as rows of P x P numbers: one list of places is taken many times faster than two
            places = [i * theta.shape[1] + j for i in self.at for j in self.at]
            hessian.reshape(len(hessian), -1)[:, places] = second.reshape(len(second), -1)
        return BatchResult(stat, theta, edm, iterations, status, gradient, hessian)
